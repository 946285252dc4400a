package booking

import (
	"context"
	"slices"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/domain/calendar/availability"
	"ward/internal/domain/calendar/events"
)

const (
	bookedAll = `SELECT id, state, starts, ends, expires, body FROM calendar_booking WHERE state = 2 AND (starts > $1 OR starts = $1 AND id > $2) ORDER BY starts, id LIMIT 200`
	showCheck = "events"
)

// carry makes events of the visits that were booked before visits were events, once for each tenant.
func (b *Service) carry(ctx context.Context) (err error) {
	defer fault.Op(&err, "booking.carry")
	done := false
	if err := b.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) error {
		done = false
		return q.Query(ctx, checkedAt, func(db.Row) error {
			done = true
			return nil
		}, showCheck)
	}); err != nil || done {
		return err
	}
	from, after := int64(-1<<62), ""
	for {
		ids, last, err := b.bookedAfter(ctx, from, after)
		if err != nil {
			return err
		}
		if len(ids) == 0 {
			break
		}
		from, after = last, ids[len(ids)-1]
		if err := b.carrySome(ctx, ids); err != nil {
			return err
		}
	}
	return b.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		_, err := tx.Upsert(ctx, "calendar_checked", []string{"name"}, db.Col("name", []string{showCheck}), db.Col("at", []int64{b.deps.Clock.Now().Unix()}))
		return err
	})
}

// bookedAfter are booked visits in the order of their start and id, after one of them.
func (b *Service) bookedAfter(ctx context.Context, from int64, after string) (ids []string, last int64, err error) {
	err = b.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) error {
		ids = nil
		return q.Query(ctx, bookedAll, func(r db.Row) error {
			ids, last = append(ids, r.Text(0)), r.Int64(2)
			return nil
		}, from, after)
	})
	return ids, last, err
}

// carrySome makes events of those of the bookings that are still booked.
func (b *Service) carrySome(ctx context.Context, ids []string) error {
	slices.Sort(ids)
	joint, err := b.deps.Events.Join(ctx)
	if err != nil {
		return err
	}
	known := map[string]shown{}
	var list []*booking
	if err := b.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) error {
		list = nil
		return b.loadBookings(ctx, q, ids, false, func(v *booking) { list = append(list, v) })
	}); err != nil {
		return err
	}
	for _, v := range list {
		key := v.Schedule + " " + v.Service
		if _, ok := known[key]; ok {
			continue
		}
		s, a, err := b.rulesOf(ctx, v)
		if s == nil {
			s = &availability.Service{Title: "Visit"} // no longer offered
		}
		if err == nil {
			known[key], err = b.shows(ctx, s, a)
		}
		if err != nil {
			return err
		}
	}
	return joint.Done(ctx, b.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		var puts []*events.Event
		var failed error
		if err := b.loadBookings(ctx, tx, ids, true, func(v *booking) {
			w, ok := known[v.Schedule+" "+v.Service]
			if v.state != booked || !ok {
				return // moved meanwhile, and with that an event
			}
			e, err := eventOf(v, w)
			if err != nil {
				failed = err
			}
			puts = append(puts, e)
		}); err != nil {
			return err
		}
		if failed != nil {
			return failed
		}
		if err := joint.Stage(puts, nil); err != nil {
			return err
		}
		return b.deps.Events.WriteJoint(ctx, tx, joint)
	}))
}

// rulesOf are the service and the rules of a booking; nil for those that are not there any more.
func (b *Service) rulesOf(ctx context.Context, v *booking) (s *availability.Service, a *availability.Availability, err error) {
	err = b.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) error {
		if s, err = b.service(ctx, q, v.Service); fault.Is(err, fault.CodeNotFound) {
			s, err = nil, nil
		}
		if err != nil {
			return err
		}
		if a, err = b.availability(ctx, q, v.Schedule); fault.Is(err, fault.CodeNotFound) {
			a, err = nil, nil
		}
		return err
	})
	return s, a, err
}
