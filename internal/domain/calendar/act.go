package calendar

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"slices"
	"strings"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/kernel/audit"
	"ward/internal/kernel/observe"
	"ward/internal/kernel/seal"
)

// verb is what an act does.
type verb uint8

const (
	doHold       verb = iota + 1
	doBook            // without a hold
	doConfirm         // book what is held
	doCancel          // also lets a hold go
	doReschedule      //
	doRefuse          // nothing: the refusal is remembered for the call's key
	doPass            // a hold's time is over, or an offer was declined: on to the next on the waitlist, else free
)

// act is one change to bookings. It is worked out before the transaction as far as that can be, and decided inside it.
type act struct {
	verb  verb
	id    string   // the booking's
	draft *booking // of doHold and doBook: what is to be; of doReschedule: the new time and place
	wants []want
	once  *once // nil without an Idempotency-Key
	by    scope.Principal
	// permit says whether whoever asks may touch the booking; nil asks nothing.
	permit func(b *booking) error
	// given is the Appointment that was asked for, for its reasons and comments; nil for none.
	given   []byte
	reason  string // of a cancellation, a code
	decline bool   // of doPass: before its time is over
	place   string // of doConfirm: where the patient will be
	patient *want  // of doConfirm: the patient's time, when the hold had no patient
	refusal error  // of doRefuse
	joint   Joint
	request string

	// What came of it.
	was, is *booking
	answer  []byte // the Appointment
	audited audit.Event
}

// once is a call's Idempotency-Key.
type once struct {
	key, request [32]byte
	first        *firstAnswer // when the call was made before
}

type firstAnswer struct {
	status int
	body   []byte
}

func onceOf(principal, key string, request []byte) *once {
	return &once{key: sha256.Sum256([]byte(principal + "\x00" + key)), request: sha256.Sum256(request)}
}

func openAnswer(key *seal.Key, o *once, sealed []byte) ([]byte, error) {
	return key.Open(nil, sealed, label("calendar_once", string(o.key[:])))
}

// attempts is how often an act is tried again because another process was faster.
const attempts = 12

// do carries the act out and gives the Appointment. The answer leaves after all of it is durable.
//
// Errors: Conflict for a time that is taken, a hold that is over, a booking that is not there any more; Unprocessable for an
// Idempotency-Key that came with something else before; NotFound; what the act's permit says.
func (b *Booking) do(ctx context.Context, a *act) (_ []byte, err error) {
	defer fault.Op(&err, "calendar.do", a.id)
	sc, _ := scope.From(ctx)
	a.by = sc.Principal
	if r, ok := observe.RequestFrom(ctx); ok {
		a.request = r.ID
	}
	for attempt := 1; ; attempt++ {
		joint, err := b.deps.Records.Join(asSystem(ctx))
		if err != nil {
			return nil, err
		}
		a.joint = joint
		err = joint.Done(ctx, b.batcher.Do(ctx, a))
		switch {
		case err == nil && a.once != nil && a.once.first != nil:
			first := a.once.first
			if first.status == http.StatusConflict {
				return nil, fault.Conflict("%s", first.body)
			}
			return first.body, nil
		case err == nil:
			b.wake(ctx, a)
			return a.answer, nil
		case attempt < attempts && (errors.Is(err, errRaced) || errors.Is(err, db.ErrUnique)):
		default:
			return nil, err
		}
	}
}

// group is the acts that share a transaction, on their way.
type group struct {
	b        *Booking
	now      int64
	acts     []*act
	results  []error
	ledger   *ledger
	key      *seal.Key
	bookings map[string]*booking // locked, or made by this group
	touched  []*booking
	waiting  []entryChange
	drop     []string // bookings whose reminders are withdrawn
	remind   reminderRows
	answered map[[32]byte]*act // by Idempotency-Key, in this group
}

// apply is what the batcher runs. results[i] says that acts[i] alone was refused.
func (b *Booking) apply(ctx context.Context, tx db.Tx, acts []*act, results []error) (err error) {
	defer fault.Op(&err, "calendar.apply")
	g := &group{
		b: b, now: b.deps.Clock.Now().Unix(), acts: acts, results: results, bookings: map[string]*booking{}, answered: map[[32]byte]*act{},
	}
	g.ledger = newLedger(g.now)
	if g.key, err = b.deps.Keys.For(ctx); err != nil {
		return err
	}
	for _, a := range acts {
		a.was, a.is, a.answer, a.audited = nil, nil, nil, audit.Event{}
		a.joint.Stage(nil, nil, nil)
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
	var refusals []*act
	for i, a := range acts {
		if g.repeats(i) {
			continue
		}
		if err := g.decide(ctx, tx, a); err != nil {
			if _, known := fault.Of(err); !known || !fault.Is(err, fault.CodeConflict) && !refusal(err) {
				return err
			}
			results[i] = err
			if a.once != nil && fault.Is(err, fault.CodeConflict) {
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
	case fault.CodeNotFound, fault.CodeDenied, fault.CodeUnprocessable, fault.CodeInvalid, fault.CodeGone:
		return true
	}
	return false
}

// remember finds the first answers to calls that were made before.
func (g *group) remember(ctx context.Context, tx db.Tx) error {
	var keys [][]byte
	var acts []*act
	for _, a := range g.acts {
		if a.once != nil {
			keys, acts = append(keys, a.once.key[:]), append(acts, a)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	return tx.Lookup(ctx, db.Lookup{Table: "calendar_once", Want: []string{"request", "status", "answer"}, Keys: []db.Column{db.Col("key", keys)}}, func(i int, r db.Row) error {
		body, err := openAnswer(g.key, acts[i].once, r.Bytes(2))
		if err != nil {
			return err
		}
		first := &firstAnswer{status: int(r.Int64(1)), body: body}
		if !bytes.Equal(r.Bytes(0), acts[i].once.request[:]) {
			first = &firstAnswer{status: http.StatusUnprocessableEntity}
		}
		acts[i].once.first = first
		return nil
	})
}

func errOtherRequest() error {
	return fault.Unprocessable("the Idempotency-Key came with another request before: use a new key for a new request")
}

// repeats says that the act was answered before, or is answered by another of the group.
func (g *group) repeats(i int) bool {
	a := g.acts[i]
	if a.once == nil {
		return false
	}
	if a.once.first != nil {
		if a.once.first.status == http.StatusUnprocessableEntity {
			a.once.first = nil
			g.results[i] = errOtherRequest()
		}
		return true
	}
	if g.answered[a.once.key] != nil {
		g.results[i] = raced() // the first of both is answered with this transaction; the second then finds its answer
		return true
	}
	g.answered[a.once.key] = a
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
		is := *a.draft
		is.id, is.state = a.id, booked
		if a.verb == doHold {
			is.state = held
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
		return fault.NotFound("there is no such appointment among those that were booked here")
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
	if was != nil {
		g.drop = append(g.drop, is.id)
		g.remind.forget(is.id)
	}
	if is.state == booked {
		is.Version++
		g.remind.plan(is, g.now)
	}
	a.was, a.is = was, is
	g.bookings[is.id] = is
	g.touched = append(g.touched, is)
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
	if err := g.remind.write(ctx, tx, g.drop); err != nil {
		return err
	}
	var joints []Joint
	var events []audit.Event
	for _, a := range g.acts {
		if a.is != nil {
			joints = append(joints, a.joint)
			events = append(events, a.audited)
		}
	}
	if err := g.b.deps.Records.WriteJoint(ctx, tx, joints); err != nil {
		return err
	}
	if len(events) > 0 {
		if err := g.b.deps.Audit.RecordIn(ctx, tx, events...); err != nil {
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

// keep stores the first answers.
func (g *group) keep(ctx context.Context, tx db.Tx, refusals []*act) error {
	var keys, requests, answers [][]byte
	var statuses []int32
	var made []int64
	add := func(o *once, status int32, answer []byte) {
		keys, requests, answers = append(keys, o.key[:]), append(requests, o.request[:]), append(answers, g.key.Seal(nil, answer, label("calendar_once", string(o.key[:]))))
		statuses, made = append(statuses, status), append(made, g.now)
	}
	for i, a := range g.acts {
		switch {
		case a.once == nil:
		case a.is != nil:
			add(a.once, http.StatusOK, a.answer)
		case slices.Contains(refusals, a):
			add(a.once, http.StatusConflict, []byte(fault.Message(g.results[i])))
		}
	}
	if len(keys) == 0 {
		return nil
	}
	n, err := tx.InsertNew(ctx, "calendar_once", db.Col("key", keys), db.Col("request", requests), db.Col("status", statuses), db.Col("made", made), db.Col("answer", answers))
	if err == nil && n != int64(len(keys)) {
		return raced()
	}
	return err
}
