package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"ward/internal/base/fault"
	"ward/internal/format/ical"
)

// Event is what happens once or again and again.
type Event struct {
	ID           string   `json:"id,omitempty"`
	UID          string   `json:"uid,omitempty"`     // RFC 5545 §3.8.4.7; the id when none was given
	Version      int64    `json:"version,omitempty"` // from 1
	Updated      string   `json:"updated,omitempty"` // RFC 3339; Ward sets it
	Organization string   `json:"organization"`      // a reference, such as "Organization/1"
	Subscribers  []string `json:"subscribers"`       // references
	Title        string   `json:"title"`
	Description  string   `json:"description,omitempty"`
	Location     string   `json:"location,omitempty"`
	Category     string   `json:"category,omitempty"`
	Status       string   `json:"status,omitempty"`     // confirmed (the default), tentative or cancelled
	Visibility   string   `json:"visibility,omitempty"` // public (the default) or private: others than its subscribers see that they are busy
	Free         bool     `json:"free,omitempty"`       // it takes nobody's time

	Start string `json:"start"`        // 2026-01-03T09:00:00 on the clocks of TZ, or 2026-01-03 for whole days
	End   string `json:"end"`          // likewise; the first day after for whole days
	TZ    string `json:"tz,omitempty"` // IANA; empty: the time is floating

	RRule     string     `json:"rrule,omitempty"`
	RDates    []string   `json:"rdates,omitempty"`
	ExDates   []string   `json:"exdates,omitempty"`
	Overrides []Override `json:"overrides,omitempty"`

	Reminders   []int  `json:"reminders,omitempty"`   // minutes before the start
	Appointment string `json:"appointment,omitempty"` // a reference
	Visit       string `json:"visit,omitempty"`       // the id of a telehealth visit
	Kept        bool   `json:"kept,omitempty"`        // it is a booked visit, which changes by booking alone

	source string // the file that a calendar program sent, when this is what it says: for those who may see all of the event
}

// Override changes one occurrence. Empty fields are as in the series.
type Override struct {
	Recurrence  string `json:"recurrence"` // the start that the rule gives, on the clocks of the event's TZ
	Cancelled   bool   `json:"cancelled,omitempty"`
	Start       string `json:"start,omitempty"`
	End         string `json:"end,omitempty"`
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
	Location    string `json:"location,omitempty"`
	Status      string `json:"status,omitempty"`
}

// The limits of an event.
const (
	maxSubscribers = 500
	maxOverrides   = 5_000
	maxReminders   = 10
	maxDays        = 366   // an occurrence's length
	maxMonthly     = 3_000 // occurrences of its rule in a month; also RDATEs
	maxExDates     = 5_000
	maxCount       = 100_000 // COUNT: finding the last one takes a walk
	lastYear       = 9998
	maxTitle       = 200
	maxText        = 10_000
)

var referencePattern = regexp.MustCompile(`^[A-Z][A-Za-z]{1,39}/[A-Za-z0-9.-]{1,64}$`)

// ready is an event that was checked, with its series.
type ready struct {
	*Event
	key       string // what its UID is kept under when it is new; empty: the UID
	series    *ical.Series
	allDay    bool
	length    int64 // seconds
	overrides map[int64]changed
	earliest  int64
	latest    int64 // no occurrence ends later; math.MaxInt64 without an end
}

// changed is an occurrence that an override changes.
type changed struct {
	*Override
	local      ical.Civil
	start, end int64
}

// parseTime reads 2026-01-03T09:00:00 and 2026-01-03.
func parseTime(field, s string) (ical.Moment, error) {
	compact := strings.NewReplacer("-", "", ":", "").Replace(s)
	m, err := ical.ParseMoment(field, compact)
	if err != nil || len(s) != 10 && len(s) != 19 && len(s) != 20 {
		return m, fault.Invalid("%s must be a time such as 2026-01-03T09:00:00 on the clocks of tz, or a day such as 2026-01-03", field)
	}
	if year, _, _ := m.Civil.Date(); year < 1 || year > lastYear {
		return m, fault.Invalid("%s must be in the years 0001 to %d", field, lastYear)
	}
	return m, nil
}

// timeText writes a time as events have it.
func timeText(c ical.Civil, day bool) string {
	b := c.Append(make([]byte, 0, 20))
	text := string(b[:4]) + "-" + string(b[4:6]) + "-" + string(b[6:8])
	if day {
		return text
	}
	return text + "T" + string(b[9:11]) + ":" + string(b[11:13]) + ":" + string(b[13:15])
}

// compile checks an event and prepares its series. It fails with Invalid, which names the field.
func compile(e *Event) (*ready, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	r := &ready{Event: e}
	d := ical.Definition{}
	var err error
	if d.Start, err = parseTime("start", e.Start); err != nil {
		return nil, err
	}
	if d.Start.UTC {
		return nil, fault.Invalid("start must be a time on the clocks of tz, without Z: for UTC give tz UTC")
	}
	r.allDay = d.Start.Date
	if r.allDay && e.TZ != "" {
		return nil, fault.Invalid("tz must be empty for whole days")
	}
	if e.TZ != "" {
		if d.Zone, err = ical.LoadZone(e.TZ); err != nil {
			return nil, err
		}
	}
	if e.RRule != "" {
		rule, err := ical.ParseRule(e.RRule)
		if err != nil {
			return nil, err
		}
		if rule.Count > maxCount {
			return nil, fault.Invalid("rrule may have COUNT from 1 to %d", maxCount)
		}
		d.Rule = &rule
	}
	for i, list := range [][]string{e.RDates, e.ExDates} {
		for _, s := range list {
			m, err := parseTime([]string{"rdates", "exdates"}[i], s)
			if err != nil {
				return nil, err
			}
			if i == 0 {
				d.RDates = append(d.RDates, m)
			} else {
				d.ExDates = append(d.ExDates, m)
			}
		}
	}
	if r.series, err = ical.NewSeries(d); err != nil {
		return nil, err
	}
	if r.length, err = r.span(d.Start, "end", e.End); err != nil {
		return nil, err
	}
	if err := r.sparse(d); err != nil {
		return nil, err
	}
	return r, r.override()
}

// sparse fails for a rule that gives too many occurrences in a month. Rules of days give at most 31. Of others the months are looked at in which
// they first give any: a day has as many as the next.
func (r *ready) sparse(d ical.Definition) (err error) {
	const looks, month = 24, 31 * 86400
	if d.Rule == nil || d.Rule.Freq <= ical.Daily && len(d.Rule.ByHour)+len(d.Rule.ByMinute)+len(d.Rule.BySecond) == 0 {
		return nil
	}
	s := r.series
	if len(d.RDates)+len(d.ExDates) > 0 {
		if s, err = ical.NewSeries(ical.Definition{Start: d.Start, Zone: d.Zone, Rule: d.Rule}); err != nil {
			return err
		}
	}
	at := s.First().Start
	var room [1]ical.Occurrence
	for range looks {
		if n := len(s.Between(nil, at, at+month, maxMonthly+1)); n > maxMonthly {
			return fault.Invalid("rrule gives more than %d occurrences in a month: choose a longer FREQ or INTERVAL", maxMonthly)
		}
		next := s.Between(room[:0], at+month, monthBegin(12*(lastYear+1)), 1)
		if len(next) == 0 {
			return nil
		}
		at = next[0].Start
	}
	return nil
}

// span is how long an occurrence lasts that begins at start and ends at the time that a field gives.
func (r *ready) span(start ical.Moment, field, end string) (int64, error) {
	m, err := parseTime(field, end)
	if err != nil {
		return 0, err
	}
	if m.Date != r.allDay || m.UTC {
		return 0, fault.Invalid("%s must be a day when start is one, and a time when start is", field)
	}
	zone := r.series.Zone()
	length := zone.Instant(m.Civil) - zone.Instant(start.Civil)
	if length < 0 || length > maxDays*86400 || r.allDay && length == 0 {
		return 0, fault.Invalid("%s must be after start, by %d days at most", field, maxDays)
	}
	return length, nil
}

// override prepares the overrides, and the bounds of the whole event.
func (r *ready) override() error {
	r.earliest, r.latest = r.series.Earliest(), math.MaxInt64
	if last, bounded := r.series.Latest(); bounded {
		r.latest = last + r.length
	}
	r.overrides = make(map[int64]changed, len(r.Overrides))
	zone := r.series.Zone()
	for i := range r.Overrides {
		o := &r.Overrides[i]
		m, err := parseTime("overrides.recurrence", o.Recurrence)
		if err != nil {
			return err
		}
		at, ok := r.series.At(zone.Instant(m.Civil))
		if !ok || m.Date != r.allDay {
			return fault.Invalid("overrides.recurrence must be the start of an occurrence of the series")
		}
		if _, twice := r.overrides[at.Start]; twice {
			return fault.Invalid("overrides.recurrence may come once for each occurrence")
		}
		c := changed{Override: o, local: at.Local, start: at.Start, end: at.Start + r.length}
		if o.Start != "" {
			m, err := parseTime("overrides.start", o.Start)
			if err != nil {
				return err
			}
			if m.Date != r.allDay || m.UTC {
				return fault.Invalid("overrides.start must be a day when start is one, and a time on the clocks of tz when start is")
			}
			c.local, c.start = m.Civil, zone.Instant(m.Civil)
			c.end = c.start + r.length
		}
		if o.End != "" {
			length, err := r.span(ical.Moment{Civil: c.local}, "overrides.end", o.End)
			if err != nil {
				return err
			}
			c.end = c.start + length
		}
		r.overrides[at.Start] = c
		r.earliest = min(r.earliest, c.start)
		if r.latest != math.MaxInt64 {
			r.latest = max(r.latest, c.end)
		}
	}
	return nil
}

// check holds what needs no time.
func (e *Event) check() error {
	if !referencePattern.MatchString(e.Organization) {
		return fault.Invalid("organization must be a reference such as Organization/1")
	}
	if len(e.Subscribers) == 0 || len(e.Subscribers) > maxSubscribers {
		return fault.Invalid("subscribers must be 1 to %d references", maxSubscribers)
	}
	for _, s := range e.Subscribers {
		if !referencePattern.MatchString(s) {
			return fault.Invalid("subscribers must be references such as Patient/1 or Practitioner/2")
		}
	}
	slices.Sort(e.Subscribers)
	e.Subscribers = slices.Compact(e.Subscribers)
	if e.Title == "" {
		return fault.Invalid("title must be there")
	}
	texts := []struct {
		field, text string
		most        int
	}{
		{"title", e.Title, maxTitle},
		{"description", e.Description, maxText},
		{"location", e.Location, maxTitle},
		{"category", e.Category, maxTitle},
		{"uid", e.UID, maxTitle},
		{"appointment", e.Appointment, maxTitle},
		{"visit", e.Visit, maxTitle},
	}
	for _, o := range e.Overrides {
		texts = append(texts, []struct {
			field, text string
			most        int
		}{{"overrides.title", o.Title, maxTitle}, {"overrides.description", o.Description, maxText}, {"overrides.location", o.Location, maxTitle}}...)
		if !slices.Contains([]string{"", "confirmed", "tentative", "cancelled"}, o.Status) {
			return fault.Invalid("overrides.status must be one of confirmed, tentative, cancelled")
		}
	}
	for _, t := range texts {
		if len(t.text) > t.most || !utf8.ValidString(t.text) || strings.ContainsRune(t.text, 0) {
			return fault.Invalid("%s must be text of at most %d bytes", t.field, t.most)
		}
	}
	if !slices.Contains([]string{"", "confirmed", "tentative", "cancelled"}, e.Status) {
		return fault.Invalid("status must be one of confirmed, tentative, cancelled")
	}
	if !slices.Contains([]string{"", "public", "private"}, e.Visibility) {
		return fault.Invalid("visibility must be one of public, private")
	}
	if len(e.Overrides) > maxOverrides {
		return fault.Invalid("an event may have up to %d overrides", maxOverrides)
	}
	if len(e.RDates) > maxMonthly || len(e.ExDates) > maxExDates {
		return fault.Invalid("rdates may be up to %d, exdates up to %d", maxMonthly, maxExDates)
	}
	if len(e.Reminders) > maxReminders || slices.ContainsFunc(e.Reminders, func(m int) bool { return m < 0 || m > 60*24*60 }) {
		return fault.Invalid("reminders must be up to %d numbers of minutes before the start, each from 0 to %d", maxReminders, 60*24*60)
	}
	return nil
}

// decode reads JSON strictly into v.
func decode(body []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	var typed *json.UnmarshalTypeError
	switch {
	case err == nil:
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			return fault.Invalid("the body must be one JSON object")
		}
		return nil
	case errors.As(err, &typed) && typed.Field != "":
		return fault.Invalid("%s has the wrong type: it must be %s", typed.Field, typed.Type)
	case strings.HasPrefix(err.Error(), "json: unknown field"):
		return fault.Invalid("the body has a field that is not known")
	}
	return fault.Invalid("the body must be a JSON object")
}

// monthOf is the month that an instant lies in, in UTC, counted from the year 0.
func monthOf(instant int64) int64 {
	y, m, _ := ical.Civil(instant).Date()
	return int64(y)*12 + int64(m) - 1
}

// monthBegin is the first instant of a month.
func monthBegin(month int64) int64 {
	return int64(ical.MakeCivil(int(month/12), int(month%12)+1, 1, 0, 0, 0))
}

// longMonths is how many months an event may touch that is listed under each of them.
const longMonths = 15

// forever is the month of series that go on for longer.
const forever = -1

// months are those under which an event is listed.
func (r *ready) months() []int64 {
	if r.latest == math.MaxInt64 {
		return []int64{forever}
	}
	from, to := monthOf(r.earliest), monthOf(r.latest)
	if to-from >= longMonths {
		return []int64{forever}
	}
	var list []int64
	for m := from; m <= to; m++ {
		list = append(list, m)
	}
	return list
}

func etag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }
