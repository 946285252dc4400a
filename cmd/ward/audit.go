package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"ward/internal/app"
	"ward/internal/base/fault"
	"ward/internal/kernel/audit"
)

type auditCmd struct {
	Query  auditQueryCmd  `cmd:"" help:"Show who did what, the newest first."`
	Verify auditVerifyCmd `cmd:"" help:"Prove that nothing was altered, removed, swapped or cut off."`
	Export auditExportCmd `cmd:"" help:"Write events as FHIR AuditEvents, one on each line."`
}

// auditChoice chooses events.
type auditChoice struct {
	Tenant  string `help:"The tenant; empty: what belongs to none." placeholder:"SLUG"`
	Patient string `help:"Only what was done with this patient's data." placeholder:"ID"`
	User    string `help:"Only what this person did, or was done on their behalf: Practitioner/7, user/..., token id." placeholder:"WHO"`
	Action  string `help:"Only this action: read, search, create, update, sign-in, break-glass, security, ..." placeholder:"ACTION"`
	From    string `help:"Recorded at this time or later: 2026-01-31 or 2026-01-31T12:00:00Z." placeholder:"TIME"`
	Until   string `help:"Recorded before this time." placeholder:"TIME"`
	Address string `help:"Only what came from this network address." placeholder:"IP"`
}

func (c auditChoice) query() (q audit.Query, err error) {
	q = audit.Query{Patient: c.Patient, By: c.User, Address: c.Address}
	if c.Action != "" {
		if q.Action, err = audit.ParseAction(c.Action); err != nil {
			return q, err
		}
	}
	for _, t := range []struct {
		name, text string
		to         *time.Time
	}{{"--from", c.From, &q.From}, {"--until", c.Until, &q.Until}} {
		if t.text == "" {
			continue
		}
		if *t.to, err = audit.ParseTime(t.name, t.text); err != nil {
			return q, err
		}
	}
	return q, nil
}

type auditQueryCmd struct {
	place       `embed:""`
	auditChoice `embed:""`
	Limit       int `help:"At most so many." default:"100"`
}

// Help is shown by --help.
func (auditQueryCmd) Help() string {
	return `Who looked at a patient, what somebody did, what happened when. Reading the log is itself on record.

Examples:
  ward audit query --tenant demo --patient p1
  ward audit query --tenant demo --user Practitioner/7 --from 2026-01-31 --until 2026-02-01
  ward audit query --tenant demo --action security --limit 20`
}

// Run shows them.
func (c *auditQueryCmd) Run(ctx context.Context, w *world) error {
	q, err := c.query()
	if err != nil {
		return err
	}
	return c.with(ctx, w, func(d desk) error {
		t := tabwriter.NewWriter(w.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "TIME\tACTION\tBY\tROLE\tABOUT\tPATIENTS\tDETAIL")
		left := c.Limit
		err := auditPages(ctx, d, c.Tenant, q, c.Limit, func(e app.AuditEntry) error {
			by, detail := e.By, e.Detail
			if e.OnBehalfOf != "" {
				by += " for " + e.OnBehalfOf
			}
			if e.Count > 1 {
				detail += fmt.Sprintf(" ×%d", e.Count)
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", e.Time.Format("2006-01-02T15:04:05.000Z07:00"), e.Action, dash(by), dash(e.Role), dash(e.About), dash(e.Patients), dash(detail))
			if left--; left <= 0 {
				return io.EOF
			}
			return nil
		})
		if err != nil {
			return err
		}
		return t.Flush()
	})
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// auditPages calls fn for each event until fn gives io.EOF.
func auditPages(ctx context.Context, d desk, tenant string, q audit.Query, page int, fn func(e app.AuditEntry) error) error {
	for q.Count = min(max(page, 1), 1000); ; {
		found, err := d.AuditQuery(ctx, tenant, q)
		if err != nil {
			return err
		}
		for _, e := range found.Entries {
			if err := fn(e); err != nil {
				if err == io.EOF { //nolint:errorlint // the value itself is the message
					return nil
				}
				return err
			}
		}
		if found.Next == "" {
			return nil
		}
		q.After = found.Next
	}
}

type auditVerifyCmd struct {
	place  `embed:""`
	Tenant string   `help:"The tenant; empty: the log of what belongs to none." placeholder:"SLUG"`
	Key    []string `help:"Public key of another installation that signed a part of it, in base64." placeholder:"BASE64"`
}

// Help is shown by --help.
func (auditVerifyCmd) Help() string {
	return `Reads the whole log: every link's signature, that it follows the one before, every row that it covers, and what the exported checkpoints saw.
Exits with 1 and names the first broken link when something does not prove.

Example:
  ward audit verify --tenant demo`
}

// Run verifies.
func (c *auditVerifyCmd) Run(ctx context.Context, w *world) error {
	var keys [][]byte
	for _, text := range c.Key {
		k, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return fault.Invalid("--key is a public key in base64")
		}
		keys = append(keys, k)
	}
	return c.with(ctx, w, func(d desk) error {
		r, err := d.AuditVerify(ctx, c.Tenant, keys)
		if err != nil {
			return err
		}
		fmt.Fprintf(w.out, "%d events in %d rows, %d links in %d lanes, %d checkpoints; public key %s\n",
			r.Events, r.Groups, r.Links, r.Lanes, r.Checkpoints, base64.StdEncoding.EncodeToString(r.Key))
		if r.Adopted > 0 {
			fmt.Fprintf(w.out, "%d rows were linked for a process that had died\n", r.Adopted)
		}
		if r.Unlinked > 0 {
			fmt.Fprintf(w.out, "%d rows are so young that their link may still come\n", r.Unlinked)
		}
		if r.Proven() {
			fmt.Fprintln(w.out, "The chain proves.")
			return nil
		}
		fmt.Fprintf(w.err, "ward: the chain does not prove. First: %s\n", r.Breaks[0])
		for _, b := range r.Breaks[1:] {
			fmt.Fprintf(w.err, "  %s\n", b)
		}
		if r.More > 0 {
			fmt.Fprintf(w.err, "  and %d more\n", r.More)
		}
		return errSilent
	})
}

type auditExportCmd struct {
	place       `embed:""`
	auditChoice `embed:""`
	Out         string `help:"File to write; - is standard output." default:"-" placeholder:"FILE"`
}

// Help is shown by --help.
func (auditExportCmd) Help() string {
	return `Examples:
  ward audit export --tenant demo --from 2026-01-01 --until 2026-02-01 --out january.ndjson
  ward audit export --tenant demo --patient p1`
}

// Run writes them.
func (c *auditExportCmd) Run(ctx context.Context, w *world) (err error) {
	q, err := c.query()
	if err != nil {
		return err
	}
	to := w.out
	if c.Out != "-" {
		f, err := os.OpenFile(c.Out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return fault.Invalid("%s can't be made: %s", c.Out, err.Error())
		}
		defer func() {
			if closed := f.Close(); err == nil {
				err = closed
			}
		}()
		to = f
	}
	out := bufio.NewWriter(to)
	return c.with(ctx, w, func(d desk) error {
		err := auditPages(ctx, d, c.Tenant, q, 1000, func(e app.AuditEntry) error {
			if _, err := out.Write(append(e.JSON, '\n')); err != nil {
				return fault.Internal("the export was not written").With(err)
			}
			return nil
		})
		if err != nil {
			return err
		}
		return out.Flush()
	})
}
