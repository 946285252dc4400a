package booking

import (
	"context"
	"net/http"
	"strings"

	"ward/internal/base/fault"
)

func (b *Service) handleCancel(w http.ResponseWriter, r *http.Request) error {
	return b.operate(w, r, []string{"reason"}, func(c *call) (*act, error) {
		ref := c.one(byReference)
		if c.sent != nil {
			ref = c.sent.ID
		}
		return b.cancel(c, ref)
	})
}

// cancel is the act that cancels a visit, or lets a hold go.
func (b *Service) cancel(c *call, ref string) (*act, error) {
	id, err := bookingID(ref)
	if err != nil {
		return nil, err
	}
	_, permit, err := b.permitted(c.ctx, id)
	if err != nil {
		return nil, err
	}
	a := &act{verb: doCancel, id: id, permit: permit, reason: c.one("reason")}
	if a.reason == "" && c.sent != nil && len(c.sent.Reason.Coding) > 0 {
		a.reason = c.sent.Reason.Coding[0].Code
	}
	if len(a.reason) > 64 || strings.ContainsAny(a.reason, " \t\r\n") {
		return nil, fault.Invalid("reason must be a code of appointment-cancellation-reason, such as pat or prov-pers")
	}
	a.given, err = b.stored(c.ctx, id)
	return a, err
}

// stored is the Appointment as it is, for what people wrote into it; nil when there is none, such as of a hold.
func (b *Service) stored(ctx context.Context, id string) ([]byte, error) {
	text, err := b.deps.Records.Read(asSystem(ctx), "Appointment", id)
	if fault.Is(err, fault.CodeNotFound) || fault.Is(err, fault.CodeGone) {
		return nil, nil
	}
	return text, err
}

func (b *Service) handleReschedule(w http.ResponseWriter, r *http.Request) error {
	return b.operate(w, r, []string{"start", "practitioner", "patient-state", "overbook"}, func(c *call) (*act, error) {
		ref := c.one(byReference)
		if c.sent != nil {
			ref = c.sent.ID
		}
		id, err := bookingID(ref)
		if err != nil {
			return nil, err
		}
		v, _, err := b.permitted(c.ctx, id)
		if err != nil {
			return nil, err
		}
		var ask *asked
		if c.sent != nil {
			ask, err = c.sent.ask(c.raw)
		} else {
			ask, err = c.moved(v)
		}
		if err != nil {
			return nil, err
		}
		ask.state = c.one("patient-state")
		if err := c.extra(ask); err != nil {
			return nil, err
		}
		return b.move(c.ctx, v, ask)
	})
}

// elsewhere is the same visit at another time.
func (b *booking) elsewhere(start int64) *asked {
	ask := &asked{schedule: b.Schedule, service: b.Service, patient: b.Patient, start: start}
	for _, claim := range b.Claims {
		if claim.Party != b.Patient && claim.Party != b.lead() {
			ask.parties = append(ask.parties, claim.Party)
		}
	}
	return ask
}

// moved is a visit at another time, or with somebody else.
func (c *call) moved(v *booking) (*asked, error) {
	start, err := instantOf("start", c.one("start"))
	if err != nil {
		return nil, err
	}
	ask := v.elsewhere(start)
	other, err := c.reference("practitioner", "Practitioner", "PractitionerRole")
	if err != nil {
		return nil, err
	}
	if other != "" && other != v.lead() {
		ask.schedule, ask.parties = "", append([]string{other}, ask.parties...)
	}
	return ask, nil
}

// move is the act that moves a visit.
func (b *Service) move(ctx context.Context, v *booking, ask *asked) (*act, error) {
	permit, err := b.permit(ctx, v)
	if err != nil {
		return nil, err
	}
	if v.state != booked {
		return nil, errState(v)
	}
	if ask.patient == "" {
		ask.patient = v.Patient
	}
	if ask.patient != v.Patient {
		return nil, fault.Conflict("the visit is another patient's: cancel it and book a new one")
	}
	if ask.schedule == "" && ask.given != nil {
		for _, p := range ask.parties {
			if p == v.lead() {
				ask.schedule = v.Schedule
			}
		}
	}
	d, err := b.draft(ctx, ask, v)
	if err != nil {
		return nil, err
	}
	a := &act{verb: doReschedule, id: v.id, draft: d.booking, wants: d.wants, permit: permit, given: ask.given, shown: d.shown}
	if a.given == nil {
		a.given, err = b.stored(ctx, v.id)
	}
	return a, err
}
