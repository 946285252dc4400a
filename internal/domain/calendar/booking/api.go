package booking

import (
	"context"
	"encoding/json"
	"time"

	"ward/internal/base/fault"
)

// What other parts of the product book with: the rights are those of the context's principal, as on the routes.

// Ask is a visit as it is asked for.
type Ask struct {
	Schedule string // an availability's id
	Service  string
	Start    time.Time
	Patient  string // FHIR reference; empty: the only one whom the principal acts for
	State    string // where the patient will be, such as "NY"; empty: as the rules find out
	Key      string // an Idempotency-Key; empty for none
}

// Booked is a visit that was booked.
type Booked struct {
	ID         string // the Appointment's
	Start, End time.Time
}

// Book books a visit, as Appointment/$book does. Errors: as there.
func (b *Service) Book(ctx context.Context, q Ask) (Booked, error) {
	return b.direct(ctx, q.Key, "book", q, func(*call) (*act, error) {
		ask := &asked{schedule: q.Schedule, service: q.Service, start: q.Start.Unix(), patient: q.Patient, state: q.State}
		if ask.patient == "" {
			ask.patient = own(ctx)
		}
		return b.book(ctx, ask)
	})
}

// Cancel cancels a visit, as Appointment/$cancel does; reason is a code of appointment-cancellation-reason. Errors: as there.
func (b *Service) Cancel(ctx context.Context, id, reason, key string) error {
	_, err := b.direct(ctx, key, "cancel", [2]string{id, reason}, func(c *call) (*act, error) {
		c.texts["reason"] = []string{reason}
		return b.cancel(c, id)
	})
	return err
}

// Move moves a visit to another start, and with schedule to somebody else's, as Appointment/$reschedule does. Errors: as there.
func (b *Service) Move(ctx context.Context, id, schedule string, start time.Time, key string) (Booked, error) {
	return b.direct(ctx, key, "move", []any{id, schedule, start.Unix()}, func(*call) (*act, error) {
		v, err := b.loadBooking(ctx, id)
		if err != nil {
			return nil, err
		}
		ask := v.elsewhere(start.Unix())
		if schedule != "" && schedule != v.Schedule {
			ask.schedule, ask.parties = schedule, nil
		}
		return b.move(ctx, v, ask)
	})
}

// direct is operate, for a call from within.
func (b *Service) direct(ctx context.Context, key, operation string, request any, work func(c *call) (*act, error)) (Booked, error) {
	c := &call{ctx: ctx, parameters: &parameters{texts: map[string][]string{}}}
	text, err := json.Marshal(request)
	if err != nil {
		return Booked{}, fault.Internal("a request can't be written").With(err)
	}
	if err := c.under(key, operation+"\n"+string(text)); err != nil {
		return Booked{}, err
	}
	appointment, err := b.perform(c, func() (*act, error) { return work(c) })
	if err != nil {
		return Booked{}, err
	}
	var a struct {
		ID         string
		Start, End time.Time
	}
	if err := json.Unmarshal(appointment, &a); err != nil {
		return Booked{}, fault.Internal("an Appointment can't be read").With(err)
	}
	return Booked(a), nil
}

// Slot is a time that is free.
type Slot struct {
	ID              string // of the proposal
	Schedule, Actor string
	Service, Title  string
	Zone            string
	Start, End      time.Time
	Seats           int
}

// Search is which free times are wanted.
type Search struct {
	From, To time.Time
	Services []string // empty: all
	Actors   []string // FHIR references; empty: all
}

// Find computes free times in the order of their start, as Appointment/$find does. Errors: as there.
func (b *Service) Find(ctx context.Context, s Search) ([]Slot, error) {
	list, err := b.find(ctx, &finding{from: s.From.Unix(), to: s.To.Unix(), services: s.Services, actors: s.Actors})
	if err != nil {
		return nil, err
	}
	slots := make([]Slot, len(list))
	for i := range list {
		p := &list[i]
		at := p.availability.Clocks().Location()
		slots[i] = Slot{
			p.id(), p.availability.ID, p.availability.Actor, p.service.ID, p.service.Title, p.availability.Zone,
			time.Unix(p.starts, 0).In(at), time.Unix(p.ends, 0).In(at), p.free,
		}
	}
	return slots, nil
}
