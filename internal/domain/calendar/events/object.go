package events

import (
	"strconv"
	"time"

	"ward/internal/base/fault"
	"ward/internal/format/ical"
)

// Object is an event as calendar programs know it: a file of a calendar, as the caller may see it. One that is not there any more has a
// name alone.
type Object struct {
	Name    string // within the calendar
	Event   string // the id; empty when it is not there
	Version int64
	ready   *ready
}

// There says whether the event is there.
func (o *Object) There() bool { return o.ready != nil }

// ETag names the event and its version, with quotation marks.
func (o *Object) ETag() string { return `"` + o.Event + "-" + strconv.FormatInt(o.Version, 10) + `"` }

// Updated is when the event last changed; zero when that is not known.
func (o *Object) Updated() time.Time {
	t, err := time.Parse(time.RFC3339, o.ready.Updated)
	if err != nil {
		return time.Time{}
	}
	return t
}

// File is the event as iCalendar: as the program sent it that wrote this version, else as Ward writes it. It is the same as long as the
// version is.
func (o *Object) File() []byte {
	if o.ready.source != "" {
		return []byte(o.ready.source)
	}
	return o.written().Append(nil)
}

// Calendar is what [Object.File] says.
func (o *Object) Calendar() *ical.Component {
	if o.ready.source != "" {
		if c, err := ical.Parse([]byte(o.ready.source)); err == nil {
			return c
		}
	}
	return o.written()
}

func (o *Object) written() *ical.Component { return calendarOf([]*ready{o.ready}, o.stamp()) }

func (o *Object) stamp() time.Time {
	if t := o.Updated(); !t.IsZero() {
		return t
	}
	return time.Unix(0, 0)
}

// Happens says whether an occurrence overlaps [from, to), seconds since 1970 (RFC 4791 §9.9).
func (o *Object) Happens(from, to int64) bool {
	return len(o.ready.occurrences(nil, from, to)) > 0
}

// Rings says whether a reminder of an occurrence goes off in [from, to).
func (o *Object) Rings(from, to int64) bool {
	for _, minutes := range o.ready.Reminders {
		before := int64(minutes) * 60
		for _, h := range o.ready.occurrences(nil, from+before, to+before) {
			if at := h.start - before; at >= from && at < to {
				return true
			}
		}
	}
	return false
}

// Busy are the times within [from, to) that the event takes, and whether they are tentative.
func (o *Object) Busy(from, to int64) (list [][2]int64, tentative bool) {
	if o.ready.Free || o.ready.Status == "cancelled" {
		return nil, false
	}
	for _, h := range o.ready.occurrences(nil, from, to) {
		if h.changed != nil && h.changed.Status == "cancelled" || h.end == h.start {
			continue
		}
		list = append(list, [2]int64{max(h.start, from), min(h.end, to)})
	}
	return list, o.ready.Status == "tentative"
}

// Limited is the event with those changed occurrences alone that bear on [from, to) (RFC 4791 §9.6.6, limit-recurrence-set).
func (o *Object) Limited(from, to int64) *ical.Component {
	c := o.written()
	kept := c.Components[:0]
	zone := o.ready.series.Zone()
	for _, sub := range c.Components {
		if p, changed := sub.Get("RECURRENCE-ID"); changed {
			m, err := ical.ParseMoment("RECURRENCE-ID", p.Value)
			if err != nil {
				continue // it was written above
			}
			was := m.In(zone)
			now := o.ready.overrides[was]
			if (was >= to || was+o.ready.length <= from) && (now.start >= to || now.end <= from) {
				continue
			}
		}
		kept = append(kept, sub)
	}
	c.Components = kept
	return c
}

// maxExpanded is how many occurrences are written out for one event.
const maxExpanded = 5_000

// Expanded is each occurrence that overlaps [from, to) as an event of its own, in UTC and without a rule (RFC 4791 §9.6.5).
//
// Errors: TooCostly for too many occurrences.
func (o *Object) Expanded(from, to int64) (*ical.Component, error) {
	list := o.ready.occurrences(nil, from, to)
	if len(list) > maxExpanded {
		return nil, fault.TooCostly("expand gives more than %d occurrences: ask for a shorter time", maxExpanded)
	}
	c := emptyCalendar()
	for i := range list {
		c.Components = append(c.Components, o.expanded(&list[i]))
	}
	return c, nil
}

// expanded is one occurrence.
func (o *Object) expanded(h *happening) *ical.Component {
	r := h.ready
	e := &ical.Component{Name: "VEVENT"}
	e.Add("UID", ical.Escape(r.uid()))
	e.Add("DTSTAMP", o.stamp().UTC().Format("20060102T150405Z"))
	add := func(name string, instant int64) {
		switch {
		case r.allDay:
			e.Add(name, ical.Moment{Civil: ical.Civil(instant), Date: true}.String(), "VALUE", "DATE")
		case r.TZ == "":
			e.Add(name, ical.Civil(instant).String())
		default:
			e.Add(name, ical.Moment{Civil: ical.Civil(instant), UTC: true}.String())
		}
	}
	add("DTSTART", h.start)
	add("DTEND", h.end)
	if r.RRule != "" || len(r.RDates) > 0 {
		add("RECURRENCE-ID", h.recurrence)
	}
	r.describeIn(e, h.changed)
	return e
}
