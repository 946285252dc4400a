package events

import (
	"cmp"
	"encoding/json"
	"strings"

	"ward/internal/format/ical"
)

// when, what and who are the pieces of an occurrence's JSON.
type (
	when struct {
		Event      string `json:"event"`
		Recurrence string `json:"recurrence,omitempty"`
		Start      string `json:"start"`
		End        string `json:"end"`
		TZ         string `json:"tz,omitempty"`
		UTC        string `json:"utc,omitempty"` // the start; not for whole days and floating times
		AllDay     bool   `json:"allDay,omitempty"`
		Status     string `json:"status,omitempty"`
		Free       bool   `json:"free,omitempty"`
	}
	what struct {
		Title       string `json:"title"`
		Location    string `json:"location,omitempty"`
		Category    string `json:"category,omitempty"`
		Description string `json:"description,omitempty"`
		Appointment string `json:"appointment,omitempty"`
		Visit       string `json:"visit,omitempty"`
	}
	who struct {
		Organization string   `json:"organization"`
		Subscribers  []string `json:"subscribers"`
	}
)

// render adds the entries of what happens to a subscriber in a month; ok is false when they are more than a shard holds.
func render(entries []entry, subscriber string, events []*ready, month int64) (_ []entry, ok bool) {
	from, to := monthBegin(month), monthBegin(month+1)
	var list []happening
	for _, r := range events {
		list = r.occurrences(list[:0], from, to)
		if len(entries)+len(list) > maxInMonth {
			return nil, false
		}
		var texts [2][]byte // of all but the occurrences that are changed
		for i := range list {
			entries = append(entries, list[i].entry(subscriber, &texts))
		}
	}
	return entries, true
}

// entry is the occurrence as a shard has it. texts are what and who of the event, once they are known.
func (h *happening) entry(subscriber string, texts *[2][]byte) entry {
	e := h.Event
	zone := h.series.Zone()
	w := when{
		Event: e.ID, Start: timeText(h.local, h.allDay), End: timeText(zone.Civil(h.end), h.allDay), TZ: e.TZ, AllDay: h.allDay, Status: e.Status, Free: e.Free,
	}
	if e.TZ != "" {
		w.UTC = timeText(ical.Civil(h.start), false) + "Z"
	}
	if e.RRule != "" || len(e.RDates) > 0 {
		w.Recurrence = timeText(zone.Civil(h.recurrence), h.allDay)
	}
	d := what{Title: e.Title, Location: e.Location, Category: e.Category, Description: e.Description, Appointment: e.Appointment, Visit: e.Visit}
	if texts[0] == nil {
		texts[0], texts[1] = piece(d), piece(who{e.Organization, e.Subscribers})
	}
	said := texts[0]
	if o := h.changed; o != nil {
		if o.Title+o.Location+o.Description != "" {
			d.Title, d.Location, d.Description = cmp.Or(o.Title, d.Title), cmp.Or(o.Location, d.Location), cmp.Or(o.Description, d.Description)
			said = piece(d)
		}
		w.Status = cmp.Or(o.Status, w.Status)
	}
	out := entry{start: h.start, end: h.end, recurrence: h.recurrence, id: []byte(e.ID)}
	if e.Free {
		out.flags |= flagFree
	}
	if e.Visibility == "private" {
		out.flags |= flagPrivate
	}
	if w.Status == "cancelled" {
		out.flags |= flagGone
	}
	typ, _, _ := strings.Cut(subscriber, "/")
	for _, other := range e.Subscribers {
		if other != subscriber {
			out.flags |= flagMany
			if t, _, _ := strings.Cut(other, "/"); t == typ {
				out.flags |= flagJoint
			}
		}
	}
	out.when, out.what, out.who = piece(w), said, texts[1]
	return out
}

// piece is the JSON of an object without its braces.
func piece(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings and lists of them
	}
	return b[1 : len(b)-1]
}
