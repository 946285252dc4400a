package events

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"slices"

	"ward/internal/format/ical"
)

// A shard is what happens to one subscriber in one month, sorted, ready to be sent: 8 bytes the subscriber's version, then entries:
//
//	8 start, 8 end, 8 the start that the rule gives, 1 flags, 1 length of the event's id, 4 + 4 + 4 lengths of three pieces of
//	JSON (when it is; what it is; who is there), the id, the pieces
//
// It is immutable and shared.
type shard []byte

const shardHead = 8

// Flags of an entry.
const (
	flagFree    = 1 << iota // it takes nobody's time
	flagPrivate             // what it is, its subscribers alone may see
	flagGone                // cancelled
)

const entryHead = 8 + 8 + 8 + 1 + 1 + 4 + 4 + 4

// entry is an occurrence in a shard.
type entry struct {
	start, end, recurrence int64
	flags                  byte
	id                     []byte
	when, what, who        []byte
}

// each calls take for the entries, until it returns false.
func (s shard) each(take func(e *entry) bool) {
	var e entry
	for b := s[shardHead:]; len(b) > 0; {
		le := binary.LittleEndian
		e.start, e.end, e.recurrence = int64(le.Uint64(b)), int64(le.Uint64(b[8:])), int64(le.Uint64(b[16:])) //nolint:gosec // they were put in as such
		e.flags = b[24]
		n, when, what, who := int(b[25]), int(le.Uint32(b[26:])), int(le.Uint32(b[30:])), int(le.Uint32(b[34:]))
		b = b[entryHead:]
		e.id, b = b[:n:n], b[n:]
		e.when, b = b[:when:when], b[when:]
		e.what, b = b[:what:what], b[what:]
		e.who, b = b[:who:who], b[who:]
		if !take(&e) {
			return
		}
	}
}

// happening is an occurrence on its way into a shard.
type happening struct {
	*ready
	start, end, recurrence int64
	local                  ical.Civil
	changed                *Override
}

// most is how many occurrences of one series a shard has: what more there is, its rule gives within seconds.
const most = 50_000

// occurrences are those that overlap [from, to).
func (r *ready) occurrences(list []happening, from, to int64) []happening {
	if r.Status == "cancelled" && len(r.Overrides) == 0 && r.RRule != "" {
		return list
	}
	for _, o := range r.series.Between(nil, from-r.length, to, most) {
		if _, is := r.overrides[o.Start]; is {
			continue
		}
		if end := o.Start + r.length; end > from || o.Start >= from {
			list = append(list, happening{ready: r, start: o.Start, end: end, recurrence: o.Start, local: o.Local})
		}
	}
	for at, c := range r.overrides {
		if !c.Cancelled && c.start < to && (c.end > from || c.start >= from) {
			list = append(list, happening{ready: r, start: c.start, end: c.end, recurrence: at, local: c.local, changed: c.Override})
		}
	}
	return list
}

// newShard makes the shard of what happens in a month.
func newShard(version int64, events []*ready, month int64) shard {
	var list []happening
	from, to := monthBegin(month), monthBegin(month+1)
	for _, r := range events {
		list = r.occurrences(list, from, to)
	}
	slices.SortFunc(list, func(a, b happening) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.ID, b.ID), cmp.Compare(a.recurrence, b.recurrence))
	})
	s := binary.LittleEndian.AppendUint64(make([]byte, 0, 64+200*len(list)), uint64(version)) //nolint:gosec // a count
	for i := range list {
		s = list[i].append(s)
	}
	return s
}

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

func (h *happening) append(s shard) shard {
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
	if o := h.changed; o != nil {
		d.Title, d.Location, d.Description = cmp.Or(o.Title, d.Title), cmp.Or(o.Location, d.Location), cmp.Or(o.Description, d.Description)
		w.Status = cmp.Or(o.Status, w.Status)
	}
	var flags byte
	if e.Free {
		flags |= flagFree
	}
	if e.Visibility == "private" {
		flags |= flagPrivate
	}
	if w.Status == "cancelled" {
		flags |= flagGone
	}
	piece := func(v any) []byte {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err) // strings and lists of them
		}
		return b[1 : len(b)-1]
	}
	a, b, c := piece(w), piece(d), piece(who{e.Organization, e.Subscribers})
	le := binary.LittleEndian
	for _, n := range []int64{h.start, h.end, h.recurrence} {
		s = le.AppendUint64(s, uint64(n)) //nolint:gosec // its bits
	}
	s = append(s, flags, byte(len(e.ID))) //nolint:gosec // ids have at most 64 bytes
	for _, p := range [][]byte{a, b, c} {
		s = le.AppendUint32(s, uint32(len(p))) //nolint:gosec // an event has at most 1 MB
	}
	return append(append(append(append(s, e.ID...), a...), b...), c...)
}
