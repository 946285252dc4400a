package booking

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/domain/calendar/availability"
	"ward/internal/domain/calendar/sight"
	"ward/internal/kernel/audit"
)

// waitingType is what entries of the waitlist are called in the audit log.
const waitingType = "CalendarWaiting"

// maxWaiting is how many entries one answer has.
const maxWaiting = 10_000

// queued is an entry with its place in the list.
type queued struct {
	Waiting
	place int64
}

func scanWaiting(row db.Row, service string) queued {
	q := queued{place: row.Int64(6), Waiting: Waiting{
		ID: row.Text(0), Service: service, State: entryStates[entryState(row.Int64(1))], Patient: row.Text(2), //nolint:gosec // as stored
		Earliest: time.Unix(row.Int64(3), 0).UTC().Format(time.RFC3339), Latest: time.Unix(row.Int64(4), 0).UTC().Format(time.RFC3339),
	}}
	if offer := row.Text(5); offer != "" {
		q.Offer = "Appointment/" + offer
	}
	return q
}

func (b *Service) handleWaitlist(w http.ResponseWriter, r *http.Request) error {
	p, err := readParameters(r, nil, "service", "state")
	if err != nil {
		return err
	}
	service := p.one("service")
	if !availability.ValidKey(service, availability.MaxServiceID) {
		return fault.Invalid("service must be a service's id")
	}
	state := int64(0)
	for n, name := range entryStates {
		if name == p.one("state") {
			state = int64(n)
		}
	}
	if state == 0 && p.one("state") != "" {
		return fault.Invalid("state must be one of waiting, offered, booked, lapsed, left")
	}
	list, err := b.waitingFor(r.Context(), service, state)
	if err != nil {
		return err
	}
	if err := b.recordWaiting(r, list); err != nil {
		return err
	}
	return sendJSON(w, map[string]any{"waiting": list})
}

// waitingFor is who waits for a service, of those whom the caller sees, in order; state 0 is any.
func (b *Service) waitingFor(ctx context.Context, service string, state int64) ([]Waiting, error) {
	sc, _ := scope.From(ctx)
	s, err := b.deps.Sight(ctx)
	if err != nil {
		return nil, err
	}
	list := []Waiting{}
	add := func(page []queued) error {
		patients := make([]string, 0, len(page))
		for _, e := range page {
			patients = append(patients, e.Patient)
		}
		slices.Sort(patients)
		hidden, err := b.hidden(ctx, patients)
		for _, e := range page {
			if !hidden[e.Patient] && mine(&sc.Principal, e.Patient) && len(list) < maxWaiting {
				list = append(list, e.Waiting)
			}
		}
		return err
	}
	if patients, confined := s.Among(); confined {
		page, err := b.waitingOf(ctx, service, state, patients)
		if err != nil {
			return nil, err
		}
		return list, add(page)
	}
	const size = 1000
	for after := (queued{}); len(list) < maxWaiting; {
		var page []queued
		err := b.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) error {
			page = page[:0]
			return q.Query(ctx, `SELECT id, state, patient, earliest, latest, offer, place FROM calendar_waitlist
				WHERE service = $1 AND ($2 = 0 OR state = $2) AND (place > $3 OR place = $3 AND id > $4) ORDER BY place, id LIMIT $5`, func(row db.Row) error {
				page = append(page, scanWaiting(row, service))
				return nil
			}, service, state, after.place, after.ID, size)
		})
		if err == nil {
			err = add(page)
		}
		if err != nil {
			return nil, err
		}
		if len(page) < size {
			break
		}
		after = page[size-1]
	}
	return list, nil
}

// waitingOf is those of these patients who wait for a service.
func (b *Service) waitingOf(ctx context.Context, service string, state int64, patients []string) (page []queued, err error) {
	if len(patients) == 0 {
		return nil, nil
	}
	services, references := make([]string, len(patients)), make([]string, len(patients))
	for i, id := range patients {
		services[i], references[i] = service, "Patient/"+id
	}
	err = b.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) error {
		page = page[:0]
		return q.Lookup(ctx, db.Lookup{
			Table: "calendar_waitlist", Want: []string{"id", "state", "patient", "earliest", "latest", "offer", "place"},
			Keys: []db.Column{db.Col("patient", references), db.Col("service", services)},
		}, func(_ int, row db.Row) error {
			if state == 0 || row.Int64(1) == state {
				page = append(page, scanWaiting(row, service))
			}
			return nil
		})
	})
	slices.SortFunc(page, func(a, b queued) int { return cmp.Or(cmp.Compare(a.place, b.place), cmp.Compare(a.ID, b.ID)) })
	return page, err
}

// recordWaiting records who was seen to wait. What can't be recorded must not be shown.
func (b *Service) recordWaiting(r *http.Request, list []Waiting) error {
	var patients []string
	for _, e := range list {
		if id, ok := sight.Patient(e.Patient); ok {
			patients = append(patients, id)
		}
	}
	slices.Sort(patients)
	patients = slices.Compact(patients)
	e := audit.Event{Action: audit.Search, Type: waitingType, Query: r.URL.RawQuery, Count: 1}
	if len(patients) == 0 {
		return b.deps.Audit.Record(r.Context(), e)
	}
	const atOnce = 500 // patients in one record
	for some := range slices.Chunk(patients, atOnce) {
		e.Patients, e.Count = some, int64(len(some))
		if err := b.deps.Audit.Record(r.Context(), e); err != nil {
			return err
		}
	}
	return nil
}

// entry is an entry that the caller may touch. Errors: NotFound.
func (b *Service) entry(ctx context.Context, id string) (state entryState, patient, offer string, err error) {
	sc, _ := scope.From(ctx)
	err = b.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) error {
		state = 0
		return q.Query(ctx, `SELECT state, patient, offer FROM calendar_waitlist WHERE id = $1`, func(row db.Row) error {
			if mine(&sc.Principal, row.Text(1)) {
				state, patient, offer = entryState(row.Int64(0)), row.Text(1), row.Text(2) //nolint:gosec // as stored
			}
			return nil
		}, id)
	})
	if err == nil && state != 0 {
		err = b.sees(ctx, patient)
	}
	if err == nil && state == 0 || fault.Is(err, fault.CodeNotFound) {
		err = fault.NotFound("there is no such entry on the waitlist")
	}
	return state, patient, offer, err
}
