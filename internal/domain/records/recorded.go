package records

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"ward/internal/backend/db"
	"ward/internal/base/id"
	"ward/internal/base/scope"
	"ward/internal/kernel/audit"
	"ward/internal/kernel/observe"
)

// Audit is where the records say what was done with them: an *audit.Log.
type Audit interface {
	Record(ctx context.Context, e audit.Event) error
	RecordIn(ctx context.Context, tx db.Tx, events ...audit.Event) error
	Security(ctx context.Context, kind audit.Kind, detail string)
}

// doer is who makes a change, and by which request: changes of several are committed together.
type doer struct {
	by               scope.Principal
	request, address string
}

func doerIn(ctx context.Context) doer {
	sc, _ := scope.From(ctx)
	q, _ := observe.RequestFrom(ctx)
	return doer{sc.Principal, q.ID, q.Address}
}

// recordRead says that a version was read.
func (s *Service) recordRead(ctx context.Context, v *Version) error {
	if s.audit == nil {
		return nil
	}
	return s.audit.Record(ctx, audit.Event{Action: audit.Read, Type: v.Type, ID: v.ID, Version: v.Number, Patients: patientsOfVersion(nil, v, s.base(ctx))})
}

// recordLookup says that criteria of a conditional interaction or reference were looked up: whether they match tells something too.
func (s *Service) recordLookup(ctx context.Context, typ, criteria string, found []*Version) error {
	if s.audit == nil {
		return nil
	}
	e := audit.Event{Action: audit.Search, Type: typ, Query: criteria, Detail: "conditional", Patients: patientsAsked(nil, criteria)}
	for _, v := range found {
		e.Patients = patientsOfVersion(e.Patients, v, s.base(ctx))
	}
	return s.audit.Record(ctx, e)
}

// base is the URL of the tenant's own server, below which absolute references are local; "" when Ward does not know it.
func (s *Service) base(ctx context.Context) string {
	if s.baseURL == "" {
		return ""
	}
	registry, err := s.registry(ctx)
	if err != nil {
		return ""
	}
	return registry.Base()
}

// recordSearch says that a search was answered with a Bundle.
func (s *Service) recordSearch(ctx context.Context, in *interaction, body []byte) error {
	if s.audit == nil {
		return nil
	}
	return s.record(ctx, in, searched(in.typ, in.id, in.members, in.query, in.base, body))
}

func searched(typ, id, members, query, base string, body []byte) audit.Event {
	e := audit.Event{Action: audit.Search, Type: typ, Query: query, Patients: patientsIn(nil, body, base)}
	if members != "" {
		if typ == "Patient" {
			e.Patients = appendPatient(e.Patients, id)
		}
		e.Type, e.Detail = members, "compartment of "+typ
		if members == "*" {
			e.Type = ""
		}
	}
	e.Patients = patientsAsked(e.Patients, query)
	return e
}

// recordAnswer says what came of an interaction that wrote nothing.
func (s *Service) recordAnswer(ctx context.Context, in *interaction, a *answer) error {
	if s.audit == nil || in.metadata {
		return nil
	}
	e := audit.Event{Type: in.typ, ID: in.id}
	switch {
	case a.wrote:
		// What wrote is recorded where it was committed. A conditional create that found its resource wrote nothing and shows it.
		if !a.existed {
			return nil
		}
		e.Action, e.ID, e.Detail = audit.Read, a.version.ID, "conditional create"
	case in.operation != "":
		e.Action, e.Detail = audit.Operation, "$"+in.operation
		e.Patients = patientsIn(nil, a.body, in.base)
	case in.history:
		e.Action, e.Query = audit.History, in.query
		e.Patients = patientsIn(nil, a.body, in.base)
	case in.search || in.members != "" || in.id == "":
		return s.recordSearch(ctx, in, a.body)
	default:
		e.Action = audit.Read
		if in.version != "" {
			e.Action = audit.VRead
		}
	}
	if v := a.version; v != nil {
		e.Version = v.Number
		e.Patients = patientsOfVersion(e.Patients, v, s.base(ctx))
	}
	if in.typ == "Patient" && in.id != "" {
		e.Patients = appendPatient(e.Patients, in.id)
	}
	return s.record(ctx, in, e)
}

// record records in the transaction that the interaction is part of, where it is part of one.
func (s *Service) record(ctx context.Context, in *interaction, e audit.Event) error {
	if tx, ok := in.inside.(db.Tx); ok {
		return s.audit.RecordIn(ctx, tx, e)
	}
	return s.audit.Record(ctx, e)
}

// recordChanges says, in the transaction that makes them, which changes were made.
func (s *Service) recordChanges(ctx context.Context, tx db.Tx, cs []*Change, errs []error) error {
	if s.audit == nil {
		return nil
	}
	events := make([]audit.Event, 0, len(cs))
	for i, c := range cs {
		if errs[i] != nil || c.NoOp || c.Version == nil {
			continue
		}
		e := audit.Event{
			Action: audit.Update, By: c.doer.by, Request: c.doer.request, Address: c.doer.address, Type: c.Type, ID: c.ID, Version: c.Version.Number,
			Patients: patientsOfVersion(nil, c.Version, c.registry.Base()),
		}
		if c.Prior != nil {
			e.Patients = patientsOfVersion(e.Patients, c.Prior, c.registry.Base())
		}
		switch {
		case c.Op == OpDelete:
			e.Action = audit.Delete
		case c.Created:
			e.Action = audit.Create
		case c.Op == OpPatch:
			e.Action = audit.Patch
		}
		events = append(events, e)
	}
	return s.audit.RecordIn(ctx, tx, events...)
}

// hidden takes note of a resource that is there and was asked for by somebody who may not see it.
func (s *Service) hidden(ctx context.Context, typ string) {
	if s.audit != nil {
		s.audit.Security(ctx, audit.Denied, "hidden "+typ)
	}
}

// forged takes note of a cursor that was not given to whom it came from, or not for this query.
func (s *Service) forged(ctx context.Context) {
	if s.audit != nil {
		s.audit.Security(ctx, audit.ForgedCursor, "")
	}
}

// patientsOfVersion adds the patients whom a version refers to, and itself if it is one.
func patientsOfVersion(ids []string, v *Version, base string) []string {
	if v.Type == "Patient" {
		ids = appendPatient(ids, v.ID)
	}
	return patientsIn(ids, v.JSON, base)
}

// patientsIn adds the patients whom JSON refers to, relatively or below base. It looks for references in the bytes, which is much quicker than
// reading them as JSON, and may find one in a text that only looks like a reference.
func patientsIn(ids []string, json []byte, base string) []string {
	const before = "Patient/"
	if bytes.IndexByte(json, '\\') >= 0 {
		json = unescaped(json) // a reference may be written in escapes
	}
	for rest := json; ; {
		i := bytes.Index(rest, []byte(before))
		if i < 0 {
			break
		}
		head, tail := rest[:i], rest[i+len(before):]
		rest = tail
		if n := len(head); n == 0 || head[n-1] != '"' && (head[n-1] != '/' || base == "" || !bytes.HasSuffix(head[:n-1], []byte(base))) {
			continue
		}
		end := 0
		for end < len(tail) && end < 64 && idByte(tail[end]) {
			end++
		}
		if end > 0 && !slices.ContainsFunc(ids, func(id string) bool { return id == string(tail[:end]) }) {
			ids = append(ids, string(tail[:end]))
		}
	}
	return ids
}

// unescaped replaces escapes of JSON (RFC 8259 §7) that stand for a slash or another character of ASCII, which a reference can be written in.
// Quotation marks and reverse solidi stay escaped.
func unescaped(json []byte) []byte {
	out := make([]byte, 0, len(json))
	for {
		i := bytes.IndexByte(json, '\\')
		if i < 0 || i+1 >= len(json) {
			return append(out, json...)
		}
		out = append(out, json[:i]...)
		n := 2 // length of the escape
		switch json[i+1] {
		case '/':
			out = append(out, '/')
		case 'u':
			n = min(6, len(json)-i)
			code, err := strconv.ParseUint(string(json[i+2:i+n]), 16, 16)
			if err == nil && n == 6 && code < 0x80 && code != '"' && code != '\\' {
				out = append(out, byte(code))
			} else {
				out = append(out, json[i:i+n]...)
			}
		default:
			out = append(out, json[i:i+n]...)
		}
		json = json[i+n:]
	}
}

// patientsAsked adds the patients whom a query names, though the answer may be empty.
func patientsAsked(ids []string, query string) []string {
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		name, _, _ = strings.Cut(name, ":")
		if name != "patient" && name != "subject" {
			continue
		}
		if decoded, err := url.QueryUnescape(value); err == nil {
			value = decoded
		}
		for one := range strings.SplitSeq(value, ",") {
			one, typed := strings.CutPrefix(one, "Patient/")
			if (typed || name == "patient") && id.Valid(one) {
				ids = appendPatient(ids, one)
			}
		}
	}
	return ids
}

func appendPatient(ids []string, one string) []string {
	if slices.Contains(ids, one) {
		return ids
	}
	return append(ids, one)
}

// recordKept says that a search was answered from the cache.
func (s *Service) recordKept(r *http.Request, base string, body []byte) error {
	if s.audit == nil {
		return nil
	}
	return s.audit.Record(r.Context(), searched(r.PathValue("type"), r.PathValue("id"), r.PathValue("members"), r.URL.RawQuery, base, body))
}
