package booking

import (
	"context"
	"slices"
	"strings"

	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/domain/calendar/sight"
	"ward/internal/kernel/access"
)

// Patients and their proxies book for themselves, whoever else has the permission for everybody. A SMART app does what its scopes say besides:
// to book is to create or update Appointments.

// mine says whether the principal may act for a patient; an empty one stands for a hold without a patient.
func mine(p *scope.Principal, patient string) bool {
	id := strings.TrimPrefix(patient, "Patient/")
	if kept := p.Role == access.Patient || p.Role == access.Proxy; kept && (patient == "" || !slices.Contains(p.Patients, id)) {
		return false
	}
	if p.Scopes != "" && !scopesAllow(p.Scopes, id != "" && p.Patient == id) {
		return false
	}
	return true
}

// scopesAllow says whether SMART scopes allow to write Appointments: those of a patient's context only for that patient.
func scopesAllow(scopes string, inContext bool) bool {
	for s := range strings.FieldsSeq(scopes) {
		context, rest, ok := strings.Cut(s, "/")
		rest, _, filtered := strings.Cut(rest, "?")
		typ, actions, _ := strings.Cut(rest, ".")
		if !ok || filtered || typ != "Appointment" && typ != "*" || context == "patient" && !inContext {
			continue
		}
		if context != "patient" && context != "user" && context != "system" {
			continue
		}
		if actions == "*" || actions == "write" || actions != "read" && strings.ContainsAny(actions, "cu") {
			return true
		}
	}
	return false
}

func errNotMine() error {
	return fault.Denied("you may book, move and cancel visits of the patients that you act for, and no others")
}

func errNoBooking() error {
	return fault.NotFound("there is no such appointment among those that were booked here")
}

// mayFor refuses to act for a patient whom the principal may not act for, or does not see: who is not there, and who is in nobody's sight, get one
// answer, before anything else is looked at.
//
// Errors: Denied, NotFound.
func (b *Service) mayFor(ctx context.Context, patient string) error {
	sc, _ := scope.From(ctx)
	if !mine(&sc.Principal, patient) {
		return errNotMine()
	}
	return b.sees(ctx, patient)
}

// sees errs with NotFound unless the principal sees the patient; an empty one stands for a hold without a patient.
func (b *Service) sees(ctx context.Context, patient string) error {
	sc, _ := scope.From(ctx)
	id, ok := sight.Patient(patient)
	if !ok || sight.Own(&sc.Principal, id) {
		return nil
	}
	s, err := b.deps.Sight(ctx)
	if err != nil {
		return err
	}
	return s.Must(ctx, id)
}

// hidden gives those of the patients, sorted references, whom the caller does not see.
func (b *Service) hidden(ctx context.Context, patients []string) (map[string]bool, error) {
	sc, _ := scope.From(ctx)
	s, err := b.deps.Sight(ctx)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, p := range slices.Compact(patients) {
		if id, ok := sight.Patient(p); ok && !sight.Own(&sc.Principal, id) {
			ids = append(ids, id)
		}
	}
	list, err := s.Hidden(ctx, ids)
	found := make(map[string]bool, len(list))
	for _, id := range list {
		found["Patient/"+id] = true
	}
	return found, err
}

// permit checks that the caller may touch a booking as it was read, and gives the check for inside the act's transaction. What may not be
// touched is not there.
//
// Errors: NotFound.
func (b *Service) permit(ctx context.Context, v *booking) (func(now *booking) error, error) {
	sc, _ := scope.From(ctx)
	p := sc.Principal
	if (v.Patient != "" || v.By != p.ID) && !mine(&p, v.Patient) {
		return nil, errNoBooking()
	}
	if err := b.sees(ctx, v.Patient); fault.Is(err, fault.CodeNotFound) {
		return nil, errNoBooking()
	} else if err != nil {
		return nil, err
	}
	return func(now *booking) error {
		if now.Patient != v.Patient {
			return fault.Conflict("somebody else was faster: the appointment has another patient by now")
		}
		return nil
	}, nil
}

// permitted loads a booking that the caller may touch. Errors: NotFound.
func (b *Service) permitted(ctx context.Context, id string) (*booking, func(now *booking) error, error) {
	v, err := b.loadBooking(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	permit, err := b.permit(ctx, v)
	return v, permit, err
}

// mayRead refuses apps whose scopes name nothing of what the calendar tells: when somebody can be seen.
func mayRead(ctx context.Context) error {
	sc, _ := scope.From(ctx)
	if !sight.Reads(&sc.Principal, "Appointment", "Slot", "Schedule") {
		return fault.Denied("the token's scopes cover neither Appointment nor Slot nor Schedule")
	}
	return nil
}

// own is the patient that a principal books for when it says none: its only one.
func own(ctx context.Context) string {
	sc, _ := scope.From(ctx)
	p := &sc.Principal
	switch {
	case p.Patient != "":
		return "Patient/" + p.Patient
	case p.Role == access.Patient && len(p.Patients) == 1:
		return "Patient/" + p.Patients[0]
	}
	return ""
}
