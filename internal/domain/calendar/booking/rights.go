package booking

import (
	"context"
	"slices"
	"strings"

	"ward/internal/base/fault"
	"ward/internal/base/scope"
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
	if p.Scopes != "" && !scopesAllow(p.Scopes, p.Patient == id) {
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

// mayFor refuses to act for a patient whom the principal may not act for.
func mayFor(ctx context.Context, patient string) error {
	sc, _ := scope.From(ctx)
	if !mine(&sc.Principal, patient) {
		return errNotMine()
	}
	return nil
}

// permitOf is the check of an act on a booking: what is not theirs is not there for patients.
func permitOf(ctx context.Context) func(b *booking) error {
	sc, _ := scope.From(ctx)
	p := sc.Principal
	return func(b *booking) error {
		if b.Patient == "" && b.By == p.ID || mine(&p, b.Patient) {
			return nil
		}
		if p.Role == access.Patient || p.Role == access.Proxy {
			return fault.NotFound("there is no such appointment among those that were booked here")
		}
		return errNotMine()
	}
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
