package events

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"ward/internal/base/fault"
	"ward/internal/format/ical"
	"ward/internal/kernel/audit"
)

const (
	defaultPage = 1_000
	maxPage     = 50_000
	chunk       = 64 << 10
)

// asked is a window as it was asked for.
type asked struct {
	window
	shape  string
	zone   *ical.Zone
	count  int
	cursor *entry // the last occurrence of the page before
	cohort bool   // the subscribers are those of a cohort
}

//nolint:gochecknoglobals // constant table
var cohorts = []string{"group", "panel", "organization", "search"}

// ask reads the query of a window.
func (s *Service) ask(r *http.Request, v *viewer) (*asked, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, fault.Invalid("the query can't be read")
	}
	a := &asked{shape: "occurrences", zone: ical.UTC, count: defaultPage}
	for name := range q {
		if !slices.Contains([]string{"from", "to", "subscriber", "shape", "tz", "count", "cursor"}, name) && !slices.Contains(cohorts, name) {
			return nil, fault.Invalid("the query has a parameter that is not known: they are from, to, subscriber, group, panel, organization, search, shape, tz, count, cursor")
		}
	}
	if q.Has("tz") {
		if a.zone, err = ical.LoadZone(q.Get("tz")); err != nil {
			return nil, err
		}
	}
	if q.Has("shape") {
		a.shape = q.Get("shape")
	}
	if !slices.Contains([]string{"occurrences", "days", "freebusy", "heat"}, a.shape) {
		return nil, fault.Invalid("shape must be one of occurrences, days, freebusy, heat")
	}
	if a.from, err = instant("from", q.Get("from"), a.zone); err != nil {
		return nil, err
	}
	if a.to, err = instant("to", q.Get("to"), a.zone); err != nil {
		return nil, err
	}
	if q.Has("count") {
		if a.count, err = strconv.Atoi(q.Get("count")); err != nil || a.count < 1 || a.count > maxPage {
			return nil, fault.Invalid("count must be from 1 to %d", maxPage)
		}
	}
	if q.Has("cursor") {
		if a.cursor, err = openCursor(q.Get("cursor")); err != nil {
			return nil, err
		}
	}
	return a, s.who(r, v, a, q)
}

// who finds the subscribers that are asked for.
func (s *Service) who(r *http.Request, v *viewer, a *asked, q url.Values) error {
	for _, list := range q["subscriber"] {
		for one := range strings.SplitSeq(list, ",") {
			if !referencePattern.MatchString(one) {
				return fault.Invalid("subscriber must be references such as Patient/1, with commas between them")
			}
			a.subscribers = append(a.subscribers, one)
		}
	}
	named := len(a.subscribers)
	if named > 0 {
		if err := s.may(r.Context(), v, a.subscribers, false); err != nil {
			return err
		}
	}
	for _, kind := range cohorts {
		if !q.Has(kind) {
			continue
		}
		if v.own || s.deps.Cohort == nil {
			return fault.Denied("cohorts are for those who work here")
		}
		if launched, err := v.scopes(false); err != nil || launched {
			return fault.Denied("the token's scopes don't cover cohorts")
		}
		list, err := s.deps.Cohort(r.Context(), kind, q.Get(kind), maxCohort)
		if err != nil {
			return err
		}
		a.subscribers = append(a.subscribers, list...)
		a.cohort = true
		named++
	}
	if named == 0 {
		return fault.Invalid("say whose calendar: subscriber, group, panel, organization or search must be there")
	}
	slices.Sort(a.subscribers)
	a.subscribers = slices.Compact(a.subscribers)
	return a.check()
}

// instant reads an end of a window.
func instant(field, text string, zone *ical.Zone) (int64, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t.Unix(), nil
	}
	m, err := parseTime(field, text)
	if err != nil {
		return 0, fault.Invalid("%s must be a time such as 2026-01-03T09:00:00Z or 2026-01-03T09:00:00-05:00, or a day such as 2026-01-03 in tz", field)
	}
	return m.In(zone), nil
}

// handleWindow answers a window: from the bytes that were sent before while nothing that they show has changed, else from the shards.
func (s *Service) handleWindow(w http.ResponseWriter, r *http.Request) error {
	v := viewerOf(r.Context())
	if done, err := s.again(w, r, &v); done || err != nil {
		return err
	}
	a, err := s.ask(r, &v)
	if err != nil {
		return err
	}
	keep, err := s.keeping(r, a)
	if err != nil {
		return err
	}
	list, err := s.shards(r.Context(), &a.window)
	if err != nil {
		return err
	}
	if a.shape == "occurrences" { // the others tell nothing of who else is there
		if err := s.lookIn(r.Context(), &v, a.subscribers, list); err != nil {
			return err
		}
	}
	class := v.class(has(list, hasPrivate))
	tag := a.tag(list, class+v.unseen()+"\x00"+r.URL.RawQuery)
	look := a.looked(r.URL.RawQuery)
	if stop, err := s.begin(w, r, &look, tag); stop || err != nil {
		return err
	}
	if keep != nil && !v.blind {
		standpoint, err := s.standpoint(r.Context(), &v)
		if err != nil {
			return err
		}
		var answer bytes.Buffer
		if err := a.write(&answer, &v, list); err != nil {
			return err
		}
		keep.store(class, standpoint, r.URL.RawQuery, tag, &look, answer.Bytes())
		w.Header().Set("Content-Length", strconv.Itoa(answer.Len()))
		_, _ = w.Write(answer.Bytes())
		return nil
	}
	if a.shape == "days" && s.deps.Cache != nil {
		return s.counted(w, r, a, &v, list, tag)
	}
	return a.write(w, &v, list)
}

// counted answers the day counts of a cohort, from what was counted before for the same tag: it is of all that the counts are made from.
func (s *Service) counted(w http.ResponseWriter, r *http.Request, a *asked, v *viewer, list [][]shard, tag string) error {
	key := append([]byte("calendar/counts/"), tag...)
	value, ok, err := s.deps.Cache.Get(r.Context(), key)
	if err != nil {
		return err
	}
	if !ok {
		lease, err := s.deps.Cache.Begin(r.Context())
		if err != nil {
			return err
		}
		var answer bytes.Buffer
		if err := a.write(&answer, v, list); err != nil {
			return err
		}
		value = answer.Bytes()
		lease.Store(key, value)
	}
	_, _ = w.Write(value)
	return nil
}

// begin is what comes before the body of an answer: stop says that there is none.
func (s *Service) begin(w http.ResponseWriter, r *http.Request, look *looked, tag string) (stop bool, err error) {
	s.reads.Add(1)
	h := w.Header()
	s.aged(r.Context(), h)
	h["Etag"] = []string{tag}
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return true, nil
	}
	if err := s.record(r.Context(), audit.Event{Action: audit.Search, Type: resourceType, Query: look.query, Detail: look.days, Count: 1}, look.subscribers); err != nil {
		h.Del("Etag")
		return true, err
	}
	h["Content-Type"] = contentType
	return false, nil
}

//nolint:gochecknoglobals // a constant: nothing appends to it
var contentType = []string{"application/json"}

func (a *asked) write(w io.Writer, v *viewer, list [][]shard) error {
	switch a.shape {
	case "days":
		return a.days(w, list)
	case "freebusy":
		return a.freebusy(w, list)
	case "heat":
		return a.heat(w, list)
	default:
		return a.occurrences(w, v, list)
	}
}

// A cursor is the place of the page's last occurrence: it holds nothing that the page did not.
func sealCursor(e *entry) string {
	b := binary.AppendVarint(binary.AppendVarint(nil, e.start), e.recurrence)
	return base64.RawURLEncoding.EncodeToString(append(b, e.id...))
}

func openCursor(text string) (*entry, error) {
	bad := fault.Invalid("the cursor is damaged: begin again with the first page")
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil, bad
	}
	e := &entry{}
	for _, to := range []*int64{&e.start, &e.recurrence} {
		n, size := binary.Varint(b)
		if size <= 0 {
			return nil, bad
		}
		*to, b = n, b[size:]
	}
	e.id = b
	return e, nil
}
