package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/phi"
	"ward/internal/base/scope"
	"ward/internal/kernel/access"
	"ward/internal/kernel/breakglass"
	"ward/internal/kernel/identity/people"
	"ward/internal/kernel/module"
	"ward/internal/kernel/operators"
)

// buildEmergency makes what lets somebody see what they otherwise may not: a clinician a patient in an emergency, an operator a tenant's records by its
// leave.
func (a *App) buildEmergency() {
	a.Glass = breakglass.New(breakglass.Deps{
		DB: a.Backends.DB, Keys: a.Backends.Seal, Clock: a.clock, Audit: a.Audit, Notify: a.notifyPrivacy,
		Factor: func(r *http.Request, within time.Duration) bool {
			s, ok := a.Sessions.FromRequest(r)
			asks, _ := scope.From(r.Context()) // by a token perhaps, beside somebody else's cookie
			return ok && s.Principal().ID == asks.Principal.ID && s.FreshSecondFactor(within)
		},
		Announce: func(ctx context.Context, tx db.Tx, events ...module.Event) error {
			return a.Outbox.Enqueue(ctx, tx, events...)
		},
	})
	a.Operators = operators.New(operators.Deps{
		DB: a.Backends.DB, Keys: a.Backends.Seal, Clock: a.clock, Audit: a.Audit, Tenant: a.Tenants.Find,
	})
}

// privacyOfficers are the people who hear of a patient that was opened: the auditors, or the administrators where there is none.
func (a *App) privacyOfficers(ctx context.Context) ([]people.Person, error) {
	const page = 500
	byRole := map[string][]people.Person{}
	for after := ""; ; {
		list, err := a.People.List(ctx, after, page)
		if err != nil {
			return nil, err
		}
		for _, p := range list {
			if p.State == people.Active {
				byRole[p.Role] = append(byRole[p.Role], p)
			}
		}
		if len(list) < page {
			break
		}
		after = list[len(list)-1].ID
	}
	if len(byRole[access.Auditor]) > 0 {
		return byRole[access.Auditor], nil
	}
	return byRole[access.Admin], nil
}

// notifyPrivacy sends the privacy officers a mail, which says nothing about the patient.
func (a *App) notifyPrivacy(ctx context.Context, n breakglass.Notice) error {
	officers, err := a.privacyOfficers(ctx)
	if err != nil {
		return err
	}
	mailer, err := a.mailer()
	if err != nil {
		return err
	}
	s, _ := scope.From(ctx)
	text := fmt.Sprintf("A patient was opened in an emergency at %s, by %s (%s), until %s.\n\nWho it was and why is on the list of openings that wait for a review: %s/t/%s/break-glass (opening %s).\n",
		s.Tenant.Slug, n.By, n.Role, n.Until.UTC().Format(time.RFC3339), a.publicURL(), s.Tenant.Slug, n.ID)
	var errs []error
	for _, o := range officers {
		errs = append(errs, mailer.Send(ctx, people.Message{To: o.Email, Subject: "A patient was opened in an emergency", Text: phi.Of(text)}))
	}
	if err := errors.Join(errs...); err != nil {
		return fault.Unavailable("a privacy officer could not be told").With(err)
	}
	return nil
}
