package events

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
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

func (s *Service) handleWindow(w http.ResponseWriter, r *http.Request) error {
	v := viewerOf(r.Context())
	a, err := s.ask(r, &v)
	if err != nil {
		return err
	}
	list, err := s.shards(r.Context(), &a.window)
	if err != nil {
		return err
	}
	s.reads.Add(1)
	h := w.Header()
	tag := a.tag(list, v.Role+"\x00"+v.Person+"\x00"+r.URL.RawQuery)
	h.Set("ETag", tag)
	h.Set("Cache-Control", "private, no-cache")
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	if err := s.seen(r.Context(), audit.Search, "", a.subscribers, r.URL.RawQuery); err != nil {
		return err
	}
	h.Set("Content-Type", "application/json")
	switch a.shape {
	case "days":
		return a.days(w, a.gather(list, false))
	case "freebusy":
		return a.freebusy(w, list)
	case "heat":
		return a.heat(w, list)
	default:
		return a.occurrences(w, &v, a.gather(list, false))
	}
}

// occurrences writes a page of what happens.
func (a *asked) occurrences(w http.ResponseWriter, v *viewer, all []found) error {
	if a.cursor != nil {
		at, exact := slices.BinarySearchFunc(all, a.cursor, func(f found, c *entry) int { return compare(&f.entry, c) })
		if exact {
			at++
		}
		all = all[at:]
	}
	next := ""
	if len(all) > a.count {
		all = all[:a.count]
		next = sealCursor(&all[a.count-1].entry)
	}
	b := append(make([]byte, 0, min(chunk+1024, 64+400*len(all))), `{"occurrences":[`...)
	for i := range all {
		if i > 0 {
			b = append(b, ',')
		}
		if b = v.append(b, &all[i].entry); len(b) >= chunk {
			if _, err := w.Write(b); err != nil {
				return nil //nolint:nilerr // the caller went away
			}
			b = b[:0]
		}
	}
	b = append(b, ']')
	if next != "" {
		b = append(append(append(b, `,"next":"`...), next...), '"')
	}
	_, _ = w.Write(append(b, '}'))
	return nil
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

// dates are the days of the window on the clocks of tz.
func (a *asked) dates() (list []string, begins []int64) {
	for day := a.zone.Civil(a.from).Midnight(); ; day += 86400 {
		at := a.zone.Instant(day)
		begins = append(begins, at)
		if at >= a.to {
			return list, begins
		}
		list = append(list, timeText(day, true))
	}
}

// days writes how much begins on each day.
func (a *asked) days(w http.ResponseWriter, all []found) error {
	type day struct {
		Day   string `json:"day"`
		Count int    `json:"count"`
	}
	dates, begins := a.dates()
	days := make([]day, len(dates))
	for i, d := range dates {
		days[i].Day = d
	}
	i := 0
	for _, f := range all {
		for i+1 < len(dates) && begins[i+1] <= f.start {
			i++
		}
		days[i].Count++ // what began before the window counts on its first day
	}
	return write(w, struct {
		Days []day `json:"days"`
	}{days})
}

// busy are the times at which a subscriber is busy, in order, without overlaps.
func (a *asked) busy(months []shard) (list [][2]int64) {
	single := window{subscribers: a.subscribers[:1], from: a.from, to: a.to}
	for _, f := range single.gather([][]shard{months}, true) {
		if f.flags&(flagFree|flagGone) != 0 || f.end == f.start {
			continue
		}
		from, to := max(f.start, a.from), min(f.end, a.to)
		if n := len(list); n > 0 && from <= list[n-1][1] {
			list[n-1][1] = max(list[n-1][1], to)
		} else {
			list = append(list, [2]int64{from, to})
		}
	}
	return list
}

// freebusy writes when each subscriber is busy.
func (a *asked) freebusy(w http.ResponseWriter, list [][]shard) error {
	type span struct {
		Start string `json:"start"`
		End   string `json:"end"`
	}
	type one struct {
		Subscriber string `json:"subscriber"`
		Busy       []span `json:"busy"`
	}
	out := make([]one, len(list))
	for i, months := range list {
		out[i] = one{a.subscribers[i], []span{}}
		for _, b := range a.busy(months) {
			out[i].Busy = append(out[i].Busy, span{timeText(ical.Civil(b[0]), false) + "Z", timeText(ical.Civil(b[1]), false) + "Z"})
		}
	}
	return write(w, struct {
		Subscribers []one `json:"subscribers"`
	}{out})
}

// heat writes for how many minutes each subscriber is busy on each day.
func (a *asked) heat(w http.ResponseWriter, list [][]shard) error {
	type one struct {
		Subscriber string  `json:"subscriber"`
		Minutes    []int64 `json:"minutes"`
	}
	dates, begins := a.dates()
	out := make([]one, len(list))
	for i, months := range list {
		seconds := make([]int64, len(dates))
		for _, b := range a.busy(months) {
			for d := range dates {
				if from, to := max(b[0], begins[d]), min(b[1], begins[d+1]); from < to {
					seconds[d] += to - from
				}
			}
		}
		for d := range seconds {
			seconds[d] /= 60
		}
		out[i] = one{a.subscribers[i], seconds}
	}
	return write(w, struct {
		Days        []string `json:"days"`
		Subscribers []one    `json:"subscribers"`
	}{dates, out})
}

func write(w http.ResponseWriter, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fault.Internal("an answer can't be written").With(err)
	}
	_, _ = w.Write(b)
	return nil
}
