package booking

import (
	"context"
	"errors"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/kernel/audit"
	"ward/internal/kernel/observe"
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
	reason  string  // of a cancellation, a code
	decline bool    // of doPass: before its time is over
	place   string  // of doConfirm: where the patient will be
	patient *want   // of doConfirm: the patient's time, when the hold had no patient
	refusal error   // of doRefuse
	limits  *Limits // of doHold, doBook and doConfirm; nil: unbounded
	holder  string  // of doConfirm: whose visit it will be
	shown   shown   // of doBook, doConfirm and doReschedule: what calendars say
	joint   Joint
	showing *showing // its group's
	request string

	// What came of it.
	was, is *booking
	answer  []byte // the Appointment
	audited audit.Event
}

// attempts is how often an act is tried again because another process was faster.
const attempts = 12

// do carries the act out and gives the Appointment. The answer leaves after all of it is durable.
//
// Errors: Conflict for a time that is taken, a hold that is over, a booking that is not there any more; Unprocessable for an
// Idempotency-Key that came with something else before; NotFound; what the act's permit says.
func (b *Service) do(ctx context.Context, a *act) (_ []byte, err error) {
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
		a.joint, a.showing = joint, nil
		err = b.batcher.Do(ctx, a)
		if a.is != nil {
			err = a.showing.done(ctx, err)
		}
		err = joint.Done(ctx, err)
		switch {
		case err == nil && a.once != nil && a.once.first != nil:
			return b.replay(ctx, a.once.first)
		case err == nil:
			b.wake(ctx, a)
			return a.answer, nil
		case attempt < attempts && (errors.Is(err, errRaced) || errors.Is(err, db.ErrUnique)):
		default:
			return nil, err
		}
	}
}
