package booking

import (
	"context"
	"net/http"
	"strings"

	"ward/internal/base/fault"
	"ward/internal/base/id"
	"ward/internal/domain/calendar/rule"
	"ward/internal/kernel/access"
)

// wanted is the visit that a call of $hold or $book asks for; ok is false when it names one that is held or booked instead.
func (b *Service) wanted(c *call) (ask *asked, ok bool, err error) {
	switch ref := c.one(byReference); {
	case c.sent != nil:
		if ask, err = c.sent.ask(c.raw); err != nil {
			return nil, false, err
		}
		if schedule, service, start, proposed := parseProposal(c.sent.ID); proposed && start == ask.start && service == ask.service {
			ask.schedule = schedule
		}
	default:
		id, err := bookingID(ref)
		if err != nil {
			return nil, false, err
		}
		schedule, service, start, proposed := parseProposal(id)
		if !proposed {
			return nil, false, nil
		}
		ask = &asked{schedule: schedule, service: service, start: start}
	}
	patient, err := c.reference("patient-reference", "Patient")
	if err != nil {
		return nil, false, err
	}
	if patient != "" {
		ask.patient = patient
	}
	if ask.patient == "" {
		ask.patient = own(c.ctx)
	}
	ask.state = c.one("patient-state")
	return ask, true, c.extra(ask)
}

// extra reads whether an extra seat is asked for, which is a permission of its own.
func (c *call) extra(ask *asked) error {
	switch c.one("overbook") {
	case "", "false":
		return nil
	case "true":
		ask.extra = true
		return access.Require(c.ctx, access.CalendarOverbook)
	}
	return fault.Invalid("overbook must be true or false")
}

// holdSeconds is how long a hold stands.
const holdSeconds = 10 * 60

func (b *Service) handleHold(w http.ResponseWriter, r *http.Request) error {
	return b.operate(w, r, []string{"patient-reference", "patient-state", "overbook"}, func(c *call) (*act, error) {
		ask, ok, err := b.wanted(c)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, fault.Invalid("%s must be one that $find proposed", byReference)
		}
		return b.hold(c.ctx, ask)
	})
}

// hold is the act that holds a time.
func (b *Service) hold(ctx context.Context, ask *asked) (*act, error) {
	if err := b.mayFor(ctx, ask.patient); err != nil {
		return nil, err
	}
	d, err := b.draft(ctx, ask, nil)
	if err != nil {
		return nil, err
	}
	limits, err := b.bound(ctx)
	if err != nil {
		return nil, err
	}
	d.booking.Given = ask.given
	return &act{verb: doHold, id: id.New(), draft: d.booking, wants: d.wants, given: ask.given, limits: limits}, nil
}

func (b *Service) handleBook(w http.ResponseWriter, r *http.Request) error {
	return b.operate(w, r, []string{"patient-reference", "patient-state", "overbook"}, func(c *call) (*act, error) {
		if c.sent != nil {
			_, _, _, proposed := parseProposal(c.sent.ID)
			switch {
			case c.sent.Status == "cancelled":
				return b.cancel(c, c.sent.ID)
			case c.sent.ID != "" && !proposed:
				return b.ofSent(c)
			case c.sent.Status != "pending" && c.sent.Status != "proposed" && c.sent.Status != "booked":
				return nil, fault.Invalid("Appointment.status must be pending to book it, or cancelled")
			}
		}
		ask, ok, err := b.wanted(c)
		if err != nil {
			return nil, err
		}
		if !ok {
			return b.confirm(c, c.one(byReference))
		}
		return b.book(c.ctx, ask)
	})
}

// ofSent books the Appointment that was sent when it is held, and moves it when it is booked.
func (b *Service) ofSent(c *call) (*act, error) {
	v, _, err := b.permitted(c.ctx, c.sent.ID)
	if err != nil {
		return nil, err
	}
	if v.state == held {
		return b.confirm(c, c.sent.ID)
	}
	ask, err := c.sent.ask(c.raw)
	if err != nil {
		return nil, err
	}
	ask.state = c.one("patient-state")
	if err := c.extra(ask); err != nil {
		return nil, err
	}
	return b.move(c.ctx, v, ask)
}

// book is the act that books a time without a hold.
func (b *Service) book(ctx context.Context, ask *asked) (*act, error) {
	if ask.patient == "" {
		return nil, fault.Invalid("patient-reference: a visit needs a patient, here or among the participants")
	}
	if err := b.mayFor(ctx, ask.patient); err != nil {
		return nil, err
	}
	d, err := b.draft(ctx, ask, nil)
	if err != nil {
		return nil, err
	}
	limits, err := b.bound(ctx)
	if err != nil {
		return nil, err
	}
	return &act{verb: doBook, id: id.New(), draft: d.booking, wants: d.wants, given: ask.given, shown: d.shown, limits: limits}, nil
}

// confirm is the act that books what is held.
func (b *Service) confirm(c *call, ref string) (*act, error) {
	id, err := bookingID(ref)
	if err != nil {
		return nil, err
	}
	v, permit, err := b.permitted(c.ctx, id)
	if err != nil {
		return nil, err
	}
	patient, err := c.reference("patient-reference", "Patient")
	if err != nil {
		return nil, err
	}
	if patient == "" && c.sent != nil {
		for _, p := range c.sent.Participant {
			if strings.HasPrefix(p.Actor.Reference, "Patient/") {
				patient = p.Actor.Reference
			}
		}
	}
	visit := *v
	a := &act{verb: doConfirm, id: v.id, permit: permit, given: v.Given}
	if c.raw != nil {
		if a.given, err = wordsOf(c.raw); err != nil {
			return nil, err
		}
	}
	switch {
	case v.Patient == "" && patient == "":
		return nil, fault.Invalid("patient-reference: a visit needs a patient, and the hold has none")
	case v.Patient != "" && patient != "" && patient != v.Patient:
		return nil, fault.Conflict("the hold is for another patient")
	case v.Patient == "":
		if err := b.mayFor(c.ctx, patient); err != nil {
			return nil, err
		}
		visit.Patient = patient
	}
	if a.limits, err = b.bound(c.ctx); err != nil {
		return nil, err
	}
	a.holder = visit.Patient
	if v.Patient == "" || v.Waiting != "" {
		w := patientWant(visit.Patient, v)
		a.patient = &w
	}
	if s := c.one("patient-state"); s != "" {
		visit.State = rule.StateCode(s)
	}
	service, rules, err := b.rulesOf(c.ctx, v)
	if err != nil {
		return nil, err
	}
	if service == nil {
		return nil, fault.NotFound("there is no such service")
	}
	if a.shown, err = b.shows(c.ctx, service, rules); err != nil {
		return nil, err
	}
	if err := b.holds(c.ctx, service, &visit); err != nil {
		return nil, err
	}
	a.place = visit.State
	return a, nil
}
