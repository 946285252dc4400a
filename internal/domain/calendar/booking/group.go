package booking

import (
	"context"
	"slices"
	"strings"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/domain/calendar/events"
	"ward/internal/domain/calendar/reminder"
	"ward/internal/kernel/audit"
	"ward/internal/kernel/seal"
)

// group is the acts that share a transaction, on their way.
type group struct {
	b        *Service
	now      int64
	acts     []*act
	results  []error
	ledger   *ledger
	key      *seal.Key
	bookings map[string]*booking // locked, or made by this group
	touched  []*booking
	waiting  []entryChange
	drop     []string // bookings whose reminders are withdrawn
	remind   reminder.Rows
	showing  *showing
	puts     []*events.Event   // of visits that are booked or moved
	drops    []string          // of those that are cancelled
	answered map[[32]byte]*act // by Idempotency-Key, in this group
	taken    map[string]taken  // by whom the acts are bound by
}

// apply is what the batcher runs. results[i] says that acts[i] alone was refused.
func (b *Service) apply(ctx context.Context, tx db.Tx, acts []*act, results []error) (err error) {
	defer fault.Op(&err, "calendar.apply")
	g := &group{
		b: b, now: b.deps.Clock.Now().Unix(), acts: acts, results: results, bookings: map[string]*booking{}, answered: map[[32]byte]*act{},
	}
	g.ledger = newLedger(g.now)
	if g.key, err = b.deps.Keys.For(ctx); err != nil {
		return err
	}
	shows, err := b.deps.Events.Join(ctx)
	if err != nil {
		return err
	}
	g.showing = &showing{joint: shows}
	for _, a := range acts {
		a.was, a.is, a.answer, a.audited = nil, nil, nil, audit.Event{}
		a.joint.Stage(nil, nil, nil)
		a.showing = g.showing
		if a.once != nil {
			a.once.first = nil
		}
	}
	if err := g.remember(ctx, tx); err != nil {
		return err
	}
	if err := g.read(ctx, tx); err != nil {
		return err
	}
	if err := g.tally(ctx, tx); err != nil {
		return err
	}
	var refusals []*act
	for i, a := range acts {
		if g.repeats(i) {
			continue
		}
		if err := g.decide(ctx, tx, a); err != nil {
			if _, known := fault.Of(err); !known || !refusal(err) {
				return err
			}
			results[i] = err
			if a.once != nil {
				refusals = append(refusals, a)
			}
		}
	}
	if err := g.write(ctx, tx); err != nil {
		return err
	}
	return g.keep(ctx, tx, refusals)
}

// refusal says that an error is the caller's, and of this act alone.
func refusal(err error) bool {
	switch fault.CodeOf(err) { //nolint:exhaustive // the others fail the transaction
	case fault.CodeConflict, fault.CodeNotFound, fault.CodeDenied, fault.CodeUnprocessable, fault.CodeInvalid, fault.CodeGone:
		return true
	}
	return false
}

// read locks the bookings that the acts are about, and holds that are over and in their way, and reads what is claimed.
func (g *group) read(ctx context.Context, tx db.Tx) error {
	var ids []string
	var wants []want
	for _, a := range g.acts {
		if a.once != nil && a.once.first != nil {
			continue
		}
		if a.verb != doHold && a.verb != doBook && a.verb != doRefuse {
			ids = append(ids, a.id)
		}
		wants = append(wants, a.wants...)
		if a.patient != nil {
			wants = append(wants, *a.patient)
		}
	}
	if err := g.ledger.read(ctx, tx, wants); err != nil {
		return err
	}
	over := g.ledger.expired()
	ids = append(ids, over...)
	if len(ids) == 0 {
		return nil
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	if err := g.b.loadBookings(ctx, tx, ids, true, func(b *booking) { g.bookings[b.id] = b }); err != nil {
		return err
	}
	if len(over) > 0 {
		clear(g.ledger.before)
		clear(g.ledger.after)
		if err := g.ledger.read(ctx, tx, wants); err != nil {
			return err
		}
	}
	for _, id := range over {
		if h := g.bookings[id]; h != nil && h.state == held && h.expires <= g.now {
			g.ledger.over[id] = true
			g.ledger.known(id, h.expires, h.Claims)
		}
	}
	for _, a := range g.acts {
		if h := g.bookings[a.id]; h != nil && (h.state == held || h.state == booked) {
			g.ledger.known(a.id, h.claimExpiry(), h.Claims)
		}
	}
	return nil
}

// claimExpiry is what the claims of a booking carry: an offer's don't expire by themselves, they pass on.
func (b *booking) claimExpiry() int64 {
	if b.state == held && b.Waiting == "" {
		return b.expires
	}
	return 0
}

// decide carries the act out in memory.
func (g *group) decide(ctx context.Context, tx db.Tx, a *act) error {
	if a.verb == doRefuse {
		return a.refusal
	}
	if a.verb == doHold || a.verb == doBook {
		if err := g.within(a); err != nil {
			return err
		}
		is := *a.draft
		is.id, is.state = a.id, booked
		if a.verb == doHold {
			is.state, is.expires = held, g.b.deps.Clock.Now().Unix()+holdSeconds // from when the time was seen to be free
		}
		claims, err := g.ledger.take(a.id, a.wants, nil, is.claimExpiry())
		if err != nil {
			return err
		}
		is.Claims, is.By = claims, a.by.ID
		return g.conclude(a, nil, &is)
	}
	was := g.bookings[a.id]
	if was == nil {
		return errNoBooking()
	}
	if a.permit != nil {
		if err := a.permit(was); err != nil {
			return err
		}
	}
	is := *was
	is.Claims = slices.Clone(was.Claims)
	switch a.verb { //nolint:exhaustive // the others ended above
	case doConfirm:
		if was.state != held {
			return errState(was)
		}
		if was.expires <= g.now {
			return errOver()
		}
		if err := g.within(a); err != nil {
			return err
		}
		if a.patient != nil {
			more, err := g.ledger.take(a.id, []want{*a.patient}, nil, 0)
			if err != nil {
				return err
			}
			is.Claims, is.Patient = append(is.Claims, more...), a.patient.party
		}
		is.state, is.expires, is.State = booked, 0, a.place
		for _, c := range is.Claims {
			g.ledger.put(a.id, c, 0)
		}
		if was.Waiting != "" {
			g.waiting = append(g.waiting, entryChange{id: was.Waiting, from: offered, to: waitBooked, offer: was.id})
		}
	case doCancel:
		if was.state != held && was.state != booked {
			return errState(was)
		}
		is.state, is.expires = cancelled, 0
		if was.state == held && was.Waiting != "" {
			g.waiting = append(g.waiting, entryChange{id: was.Waiting, from: offered, to: waiting, refused: was.starts})
		}
		if err := g.release(ctx, tx, was); err != nil {
			return err
		}
	case doPass:
		if was.state != held || was.expires > g.now && !a.decline {
			return errState(was)
		}
		is.state = expired
		if was.Waiting != "" {
			change := entryChange{id: was.Waiting, from: offered, to: lapsed}
			if a.decline {
				change.to, change.refused = waiting, was.starts
			}
			g.waiting = append(g.waiting, change)
		}
		if err := g.release(ctx, tx, was); err != nil {
			return err
		}
	case doReschedule:
		if was.state != booked {
			return errState(was)
		}
		g.ledger.drop(a.id, was.Claims)
		claims, err := g.ledger.take(a.id, a.wants, was.Claims, 0)
		if err != nil {
			for _, c := range was.Claims {
				g.ledger.put(a.id, c, 0)
			}
			return err
		}
		is.Claims, is.starts, is.ends = claims, a.draft.starts, a.draft.ends
		is.Schedule, is.Schedules, is.Zone, is.Extra, is.State = a.draft.Schedule, a.draft.Schedules, a.draft.Zone, a.draft.Extra, a.draft.State
		is.Slots = a.draft.Slots
		if err := g.pass(ctx, tx, was); err != nil {
			return err
		}
	}
	return g.conclude(a, was, &is)
}

func errState(b *booking) error {
	switch b.state { //nolint:exhaustive // below
	case held:
		return fault.Conflict("the appointment is only held: book it first")
	case booked:
		return fault.Conflict("the appointment is booked already")
	case cancelled:
		return fault.Conflict("the appointment was cancelled")
	}
	return errOver()
}

func errOver() error { return fault.Conflict("the hold is over: find a time again") }

// conclude notes what became of a booking, and what the records will say.
func (g *group) conclude(a *act, was, is *booking) error {
	if err := g.stage(a, was, is); err != nil {
		return err
	}
	if was != nil {
		g.drop = append(g.drop, is.id)
		g.remind.Forget(is.id)
	}
	if is.state == booked {
		is.Version++
		planReminders(&g.remind, is, g.now)
	}
	a.was, a.is = was, is
	g.bookings[is.id] = is
	g.touched = append(g.touched, is)
	g.took(is)
	types, ids, bodies, err := recordsOf(a, was, is)
	if err != nil {
		return err
	}
	a.joint.Stage(types, ids, bodies)
	a.audited = audit.Event{
		Action: audit.Operation, By: a.by, Request: a.request, Type: "Appointment", ID: is.id, Detail: a.verb.detail(is.Extra),
	}
	if patient, ok := strings.CutPrefix(is.Patient, "Patient/"); ok {
		a.audited.Patients = []string{patient}
	}
	return nil
}

func (v verb) detail(extra bool) string {
	switch {
	case extra && (v == doBook || v == doReschedule || v == doHold):
		return "overbook"
	case v == doHold:
		return "hold"
	case v == doCancel:
		return "cancel"
	case v == doReschedule:
		return "reschedule"
	case v == doPass:
		return "hold-over"
	}
	return "book"
}

// write makes all of it true: claims first (see ledger.write), then what rests on them.
func (g *group) write(ctx context.Context, tx db.Tx) error {
	for id := range g.ledger.ended {
		// A hold that is over and lost a part of its claims loses the rest.
		h := *g.bookings[id]
		g.ledger.drop(id, h.Claims)
		if h.state == held {
			h.state = expired
			g.touched = append(g.touched, &h)
		}
	}
	if err := g.ledger.write(ctx, tx); err != nil {
		return err
	}
	if err := saveBookings(ctx, tx, g.key, g.touched); err != nil {
		return err
	}
	if err := changeEntries(ctx, tx, g.waiting); err != nil {
		return err
	}
	if err := g.remind.Write(ctx, tx, g.drop); err != nil {
		return err
	}
	var joints []Joint
	var audited []audit.Event
	for _, a := range g.acts {
		if a.is != nil {
			joints = append(joints, a.joint)
			audited = append(audited, a.audited)
		}
	}
	if err := g.b.deps.Records.WriteJoint(ctx, tx, joints); err != nil {
		return err
	}
	if err := g.show(ctx, tx); err != nil {
		return err
	}
	if len(audited) > 0 {
		if err := g.b.deps.Audit.RecordIn(ctx, tx, audited...); err != nil {
			return err
		}
	}
	for _, a := range g.acts {
		if a.is == nil {
			continue
		}
		if stored := a.joint.Stored(); len(stored) > 0 {
			a.answer = stored[0] // the Appointment comes first
			continue
		}
		var err error
		if a.answer, err = appointmentOf(a, a.is); err != nil {
			return err
		}
	}
	return nil
}
