package app

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/kernel/audit"
)

// AuditEntry is an event of the audit log as the command line shows it.
type AuditEntry struct {
	Time                                          time.Time
	Action, By, Role, OnBehalfOf, About, Patients string
	Detail                                        string
	Count                                         int64
	JSON                                          json.RawMessage // the AuditEvent
}

// AuditPage is a page of them, the newest first.
type AuditPage struct {
	Entries []AuditEntry
	Next    string // the cursor of the next page; empty on the last one
}

// AuditReport is what verifying a log found.
type AuditReport struct {
	audit.Report
	Key []byte // the public key of this installation
}

// logOf is ctx in the scope of a tenant's log; of the system's for "".
func (d *localDesk) logOf(ctx context.Context, slug string) (context.Context, error) {
	if slug == "" {
		return scope.WithSystem(ctx), nil
	}
	return d.within(ctx, slug)
}

// noted records what was done in the system's database, in the log of the tenant that it was about.
func (d *localDesk) noted(ctx context.Context, slug string, e audit.Event) error {
	ctx, err := d.logOf(ctx, slug)
	if err != nil {
		return err
	}
	return d.app.Audit.Record(ctx, e)
}

func (d *localDesk) AuditQuery(ctx context.Context, slug string, q audit.Query) (page AuditPage, err error) {
	if ctx, err = d.logOf(ctx, slug); err != nil {
		return page, err
	}
	read := audit.Event{Action: audit.AuditRead, Detail: "command line"}
	if q.Patient != "" {
		read.Patients = []string{q.Patient}
	}
	if err := d.app.Audit.Record(ctx, read); err != nil {
		return page, err
	}
	found, err := d.app.Audit.Find(ctx, q)
	if err != nil {
		return page, err
	}
	page.Next = found.Next
	for i := range found.Entries {
		e := &found.Entries[i]
		text, err := e.AppendJSON(nil, d.app.Audit.Site())
		if err != nil {
			return page, err
		}
		by := e.By.ID
		if e.By.Person != "" {
			by = e.By.Person
		}
		page.Entries = append(page.Entries, AuditEntry{
			Time: e.Time, Action: e.Action.String(), By: by, Role: e.By.Role, OnBehalfOf: e.By.OnBehalfOf, About: strings.TrimSuffix(e.Type+"/"+e.Event.ID, "/"),
			Patients: strings.Join(e.Patients, ","), Detail: e.Detail, Count: e.Count, JSON: text,
		})
	}
	return page, nil
}

func (d *localDesk) AuditVerify(ctx context.Context, slug string, keys [][]byte) (r AuditReport, err error) {
	if ctx, err = d.logOf(ctx, slug); err != nil {
		return r, err
	}
	public := make([]ed25519.PublicKey, len(keys))
	for i, k := range keys {
		if len(k) != ed25519.PublicKeySize {
			return r, fault.Invalid("a public key has %d bytes, in base64", ed25519.PublicKeySize)
		}
		public[i] = k
	}
	if err := d.app.Audit.Flush(ctx); err != nil {
		return r, err
	}
	r.Key = d.app.Audit.PublicKey()
	if r.Report, err = d.app.Audit.Verify(ctx, public...); err == nil && !r.Proven() {
		d.app.Audit.Security(ctx, audit.ChainBroken, "")
	}
	return r, err
}

type auditWire struct {
	Tenant string
	Query  audit.Query
	Keys   [][]byte
}

// auditControl adds the log's operations to the control address.
func auditControl(mux *http.ServeMux, d *localDesk) {
	operation(mux, "audit-query", func(ctx context.Context, in auditWire) (AuditPage, error) {
		return d.AuditQuery(ctx, in.Tenant, in.Query)
	})
	operation(mux, "audit-verify", func(ctx context.Context, in auditWire) (AuditReport, error) {
		return d.AuditVerify(ctx, in.Tenant, in.Keys)
	})
}

func (d *remoteDesk) AuditQuery(ctx context.Context, slug string, q audit.Query) (AuditPage, error) {
	return call[AuditPage](ctx, d.c, "audit-query", auditWire{Tenant: slug, Query: q})
}

func (d *remoteDesk) AuditVerify(ctx context.Context, slug string, keys [][]byte) (AuditReport, error) {
	return call[AuditReport](ctx, d.c, "audit-verify", auditWire{Tenant: slug, Keys: keys})
}
