package events

import (
	"context"
	"slices"
	"strings"

	"ward/internal/format/ical"
	"ward/internal/kernel/audit"
)

// resourceType is what events are called in the audit log.
const resourceType = "CalendarEvent"

// atOnce is how many patients one record names.
const atOnce = 500

// patientsOf are the ids of the patients among subscribers.
func patientsOf(subscribers []string) (ids []string) {
	for _, subscriber := range subscribers {
		if id, ok := strings.CutPrefix(subscriber, "Patient/"); ok {
			ids = append(ids, id)
		}
	}
	return ids
}

// looked is what the log says of a look at a window. Of named subscribers it needs no criteria: the patients are named, and the days are ours.
type looked struct {
	subscribers []string
	query       string // as it was sent, of a cohort; else what names subscribers who are no patients
	days        string // from/to
}

func (a *asked) looked(query string) looked {
	l := looked{subscribers: a.subscribers, query: query, days: timeText(ical.Civil(a.from), true) + "/" + timeText(ical.Civil(a.to), true)}
	if !a.cohort {
		l.query = ""
		for _, subscriber := range a.subscribers {
			if !strings.HasPrefix(subscriber, "Patient/") {
				l.query += "&subscriber=" + subscriber
			}
		}
		l.query = strings.TrimPrefix(l.query, "&")
	}
	return l
}

// seen records that calendars were read. What can't be recorded must not be shown.
func (s *Service) seen(ctx context.Context, action audit.Action, id string, subscribers []string, query string) error {
	return s.record(ctx, audit.Event{Action: action, Type: resourceType, ID: id, Query: query, Count: 1}, subscribers)
}

func (s *Service) record(ctx context.Context, e audit.Event, subscribers []string) error {
	if s.deps.Audit == nil {
		return nil
	}
	patients := patientsOf(subscribers)
	if len(patients) == 0 {
		return s.deps.Audit.RecordEven(ctx, e, s.deps.DB.Away)
	}
	for some := range slices.Chunk(patients, atOnce) {
		e.Patients, e.Count = some, int64(len(some))
		if err := s.deps.Audit.RecordEven(ctx, e, s.deps.DB.Away); err != nil {
			return err
		}
	}
	return nil
}

// done are the records of what a change wrote and deleted.
func (w *writer) done() (list []audit.Event) {
	for i, id := range w.ids {
		e := audit.Event{Action: audit.Update, Type: resourceType, ID: id, Version: w.versions[i]}
		switch was := w.have[id]; {
		case w.bodies[i] == nil:
			e.Action = audit.Delete
		case was.Event == nil:
			e.Action = audit.Create
		}
		for k, event := range w.events {
			if event == id {
				e.Patients = append(e.Patients, patientsOf(w.subscribers[k:k+1])...)
			}
		}
		list = append(list, e)
	}
	return list
}
