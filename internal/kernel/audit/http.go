package audit

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"ward/internal/base/fault"
	"ward/internal/base/id"
	"ward/internal/base/scope"
)

type handler = func(w http.ResponseWriter, r *http.Request) error

// parseQuery reads patient, user, action, from, until, address, _count and _cursor.
//
// Errors: Invalid, naming the parameter.
func parseQuery(values url.Values) (q Query, err error) {
	for name, given := range values {
		if len(given) > 1 {
			return q, fault.Invalid("%s is given more than once", name)
		}
		v := given[0]
		switch name {
		case "patient":
			q.Patient = strings.TrimPrefix(v, "Patient/")
			if !id.Valid(q.Patient) {
				return q, fault.Invalid("patient is the id of a patient")
			}
		case "user":
			q.By = v
		case "action":
			q.Action, err = ParseAction(v)
		case "from":
			q.From, err = ParseTime("from", v)
		case "until":
			q.Until, err = ParseTime("until", v)
		case "address":
			q.Address = v
		case "_count":
			if q.Count, err = strconv.Atoi(v); err != nil || q.Count < 1 {
				return q, fault.Invalid("_count is a whole number from 1")
			}
		case "_cursor":
			q.After = v
		default:
			return q, fault.Invalid("there is no such parameter: the log is asked by patient, user, action, from, until, address, _count and _cursor")
		}
		if err != nil {
			return q, err
		}
	}
	return q, nil
}

// ParseTime reads a date or an instant, such as 2026-01-31 or 2026-01-31T12:00:00Z. A date begins at midnight UTC.
//
// Errors: Invalid, naming what was to be read.
func ParseTime(name, s string) (time.Time, error) {
	s = strings.ReplaceAll(s, " ", "+") // a plus sign that was not escaped
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fault.Invalid("%s is a date or an instant, such as 2026-01-31 or 2026-01-31T12:00:00Z", name)
}

// read records that the log is read.
func (l *Log) read(ctx context.Context, find Query, detail string) error {
	e := Event{Action: AuditRead, Detail: detail}
	if find.Patient != "" {
		e.Patients = []string{find.Patient}
	}
	return l.Record(ctx, e)
}

// handleEvents answers GET /t/{tenant}/audit/events with a Bundle.
func (l *Log) handleEvents(w http.ResponseWriter, r *http.Request) error {
	find, err := parseQuery(r.URL.Query())
	if err != nil {
		return err
	}
	return l.answer(w, r, find, "events")
}

// handleMine answers GET /t/{tenant}/audit/mine: the events about the caller's own data, or about one of those that the caller speaks for.
func (l *Log) handleMine(w http.ResponseWriter, r *http.Request) error {
	find, err := parseQuery(r.URL.Query())
	if err != nil {
		return err
	}
	s, _ := scope.From(r.Context())
	own := slices.Clone(s.Principal.Patients)
	if p, ok := strings.CutPrefix(s.Principal.Person, "Patient/"); ok && !slices.Contains(own, p) {
		own = append(own, p)
	}
	switch {
	case find.Patient == "" && len(own) == 1:
		find.Patient = own[0]
	case find.Patient == "" && len(own) > 1:
		return fault.Invalid("you speak for several patients: say whose log with patient=")
	case !slices.Contains(own, find.Patient) || find.Patient == "":
		return fault.Denied("this is not your own log")
	}
	return l.answer(w, r, find, "mine")
}

func (l *Log) answer(w http.ResponseWriter, r *http.Request, find Query, detail string) error {
	if err := l.read(r.Context(), find, detail); err != nil {
		return err
	}
	page, err := l.Find(r.Context(), find)
	if err != nil {
		return err
	}
	out := []byte(`{"resourceType":"Bundle","type":"searchset","link":[{"relation":"self","url":`)
	self := r.URL.RequestURI()
	out = appendString(out, self)
	out = append(out, '}')
	if page.Next != "" {
		values := r.URL.Query()
		values.Set("_cursor", page.Next)
		out = append(out, `,{"relation":"next","url":`...)
		out = appendString(out, r.URL.Path+"?"+values.Encode())
		out = append(out, '}')
	}
	out = append(out, `],"entry":[`...)
	for i := range page.Entries {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, `{"resource":`...)
		if out, err = page.Entries[i].AppendJSON(out, l.deps.Site); err != nil {
			return err
		}
		out = append(out, `,"search":{"mode":"match"}}`...)
	}
	out = append(out, "]}"...)
	w.Header().Set("Content-Type", "application/fhir+json")
	w.Header().Set("Content-Length", strconv.Itoa(len(out)))
	_, err = w.Write(out)
	return err
}

func appendString(dst []byte, s string) []byte {
	b, _ := json.Marshal(s) // a string always can be
	return append(dst, b...)
}

// handleExport answers GET /t/{tenant}/audit/export: one AuditEvent on each line, newest first.
func (l *Log) handleExport(w http.ResponseWriter, r *http.Request) error {
	find, err := parseQuery(r.URL.Query())
	if err != nil {
		return err
	}
	if err := l.read(r.Context(), find, "export"); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/fhir+ndjson")
	out := bufio.NewWriterSize(w, 64<<10)
	var line []byte
	err = l.Export(r.Context(), find, func(e Entry) (err error) {
		if line, err = e.AppendJSON(line[:0], l.deps.Site); err != nil {
			return err
		}
		_, err = out.Write(append(line, '\n'))
		return err
	})
	if err != nil {
		return err
	}
	return out.Flush()
}

// Site is the name under which this log records.
func (l *Log) Site() string { return l.deps.Site }
