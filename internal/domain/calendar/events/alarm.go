package events

import (
	"context"
	"math"
	"slices"

	"ward/internal/backend/db"
	"ward/internal/format/ical"
)

// Alarm is a reminder of one occurrence of an event.
type Alarm struct {
	Event       string
	Subscribers []string
	Start, End  int64 // seconds
	At          int64 // when it is due
	Minutes     int   // before the start
	TZ          string
	AllDay      bool
}

// Alarms is told, inside the transaction, which events changed that have reminders or had.
type Alarms interface {
	Changed(ctx context.Context, tx db.Tx, ids []string) error
}

// reminded are the events of a change whose reminders have to be worked out anew.
func (w *writer) reminded() (ids []string) {
	for _, r := range w.puts {
		if was := w.have[r.ID].Event; len(r.Reminders) > 0 || was != nil && len(was.Reminders) > 0 {
			ids = append(ids, r.ID)
		}
	}
	for id, was := range w.have {
		if was.Event != nil && len(was.Reminders) > 0 && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// AlarmsOf gives the reminders of events that are due in (since, now], and when the next is; 0 when there is none any more. It reads by q.
func (s *Service) AlarmsOf(ctx context.Context, q db.Querier, ids []string, since []int64, now int64) (due [][]Alarm, next []int64, err error) {
	key, err := s.deps.Keys.For(ctx)
	if err != nil {
		return nil, nil, err
	}
	have, err := s.load(ctx, q, key, ids)
	if err != nil {
		return nil, nil, err
	}
	due, next = make([][]Alarm, len(ids)), make([]int64, len(ids))
	for i, id := range ids {
		e := have[id].Event
		if e == nil || len(e.Reminders) == 0 || e.Status == "cancelled" {
			continue
		}
		r, err := compile(e)
		if err != nil {
			continue // what was stored was checked
		}
		due[i], next[i] = r.alarms(since[i], now)
	}
	return due, next, nil
}

// Occurs says whether an event has an occurrence that starts then, still has the subscriber, and is not cancelled.
func (s *Service) Occurs(ctx context.Context, id, subscriber string, start int64) (a Alarm, ok bool, err error) {
	have, err := s.events(ctx, []string{id})
	if err != nil {
		return a, false, err
	}
	e := have[id].Event
	if e == nil || !slices.Contains(e.Subscribers, subscriber) {
		return a, false, nil
	}
	r, err := compile(e)
	if err != nil {
		return a, false, nil //nolint:nilerr // what was stored was checked
	}
	for _, h := range r.occurrences(nil, start, start+1) {
		if h.start == start && h.stands() {
			return r.alarm(h, 0), true, nil
		}
	}
	return a, false, nil
}

// stands says whether the occurrence is not cancelled.
func (h *happening) stands() bool {
	if h.changed != nil && h.changed.Status != "" {
		return !h.changed.Cancelled && h.changed.Status != "cancelled"
	}
	return h.Status != "cancelled" && (h.changed == nil || !h.changed.Cancelled)
}

func (r *ready) alarm(h happening, minutes int) Alarm {
	return Alarm{
		Event: r.ID, Subscribers: r.Subscribers, Start: h.start, End: h.end, At: r.ahead(h.start, minutes), Minutes: minutes, TZ: r.TZ, AllDay: r.allDay,
	}
}

const (
	daySeconds = 86400
	dayMinutes = 24 * 60
	// lookAhead is how far the next reminder is looked for; what lies beyond is looked for again by then.
	lookAhead = 370 * daySeconds
)

// ahead is so many minutes before an instant. Whole days are days of the wall clock (RFC 5545 §3.3.6: nominal), anything else is exact.
func (r *ready) ahead(start int64, minutes int) int64 {
	if minutes == 0 || minutes%dayMinutes != 0 {
		return start - int64(minutes)*60
	}
	zone := r.series.Zone()
	return zone.Instant(zone.Civil(start) - ical.Civil(minutes*60))
}

// alarms are the reminders due in (since, now], and when the next one is. Those of occurrences that are over are left out.
func (r *ready) alarms(since, now int64) (due []Alarm, next int64) {
	const slack = daySeconds // whole days are not of 24 hours always
	lead := int64(slices.Max(r.Reminders))*60 + slack
	next = math.MaxInt64
	look := func(from, to int64) {
		for _, h := range r.occurrences(nil, from, to) {
			if !h.stands() {
				continue
			}
			for _, m := range r.Reminders {
				a := r.alarm(h, m)
				switch {
				case a.At > now:
					next = min(next, a.At)
				case a.At > since && now < max(h.end, h.start+600):
					due = append(due, a)
				}
			}
		}
	}
	look(now-600-r.length, now+lead+daySeconds)
	if next == math.MaxInt64 {
		look(now+lead+daySeconds, now+lead+lookAhead)
	}
	switch {
	case next != math.MaxInt64:
	case r.latest < now:
		next = 0
	default:
		next = now + lookAhead/2
	}
	return due, next
}
