package app

import (
	"context"
	"net/http"
	"strings"
	"time"

	"ward/internal/base/fault"
	"ward/internal/kernel/identity/people"
)

// PersonInvitation is whom an operator invites.
type PersonInvitation struct {
	Email, Name, Role, Person string
	Patients                  []string
	ByHand                    bool
}

// PersonEntry is an account as the command line shows it.
type PersonEntry struct {
	ID, Email, Role, Person, State string
	SignedIn                       time.Time
	Link                           string
}

// SessionEntry is a session as the command line shows it.
type SessionEntry struct {
	ID, Methods string
	Began, Seen time.Time
}

func entryOf(p people.Person, link string) PersonEntry {
	return PersonEntry{ID: p.ID, Email: p.Email.Reveal(), Role: p.Role, Person: p.Reference, State: p.State, SignedIn: p.SignedIn, Link: link}
}

func (d *localDesk) InvitePerson(ctx context.Context, tenant string, i PersonInvitation) (PersonEntry, error) {
	ctx, err := d.within(ctx, tenant)
	if err != nil {
		return PersonEntry{}, err
	}
	p, link, err := d.app.People.Invite(ctx, people.Invitation{Email: i.Email, Name: i.Name, Role: i.Role, Reference: i.Person, Patients: i.Patients, ByHand: i.ByHand})
	return entryOf(p, link), err
}

func (d *localDesk) ListPeople(ctx context.Context, tenant string) (out []PersonEntry, err error) {
	ctx, err = d.within(ctx, tenant)
	if err != nil {
		return nil, err
	}
	const page = 1000
	for after := ""; ; {
		list, err := d.app.People.List(ctx, after, page)
		if err != nil {
			return nil, err
		}
		for i := range list {
			out, after = append(out, entryOf(list[i], "")), list[i].ID
		}
		if len(list) < page {
			return out, nil
		}
	}
}

// person is who the id or the address names.
func (d *localDesk) person(ctx context.Context, who string) (people.Person, error) {
	if strings.Contains(who, "@") {
		return d.app.People.ByEmail(ctx, who)
	}
	return d.app.People.Get(ctx, who)
}

func (d *localDesk) ActOnPerson(ctx context.Context, tenant, who, act string, byHand bool) (PersonEntry, error) {
	ctx, err := d.within(ctx, tenant)
	if err != nil {
		return PersonEntry{}, err
	}
	p, err := d.person(ctx, who)
	if err != nil {
		return PersonEntry{}, err
	}
	link, all := "", d.app.People
	switch act {
	case "invite":
		link, err = all.InviteAgain(ctx, p.ID, byHand)
	case "reset":
		link, err = all.Reset(ctx, p.ID, byHand)
	case "disable":
		err = all.Disable(ctx, p.ID)
	case "enable":
		err = all.Enable(ctx, p.ID)
	case "sign-out":
		err = all.EndSessions(ctx, p.ID)
	default:
		err = fault.Invalid("there is no such act")
	}
	if err == nil {
		p, err = all.Get(ctx, p.ID)
	}
	return entryOf(p, link), err
}

func (d *localDesk) PersonSessions(ctx context.Context, tenant, who string) (out []SessionEntry, err error) {
	ctx, err = d.within(ctx, tenant)
	if err != nil {
		return nil, err
	}
	p, err := d.person(ctx, who)
	if err != nil {
		return nil, err
	}
	list, err := d.app.Sessions.List(ctx, p.ID)
	for _, s := range list {
		out = append(out, SessionEntry{ID: s.ID, Methods: strings.Join(s.AMR, " "), Began: s.AuthTime, Seen: s.Seen})
	}
	return out, err
}

// personWire goes over the wire.
type personWire struct {
	Tenant, Who, Act string
	ByHand           bool
	Invitation       PersonInvitation
}

func (d *localDesk) personOperations(mux *http.ServeMux) {
	operation(mux, "person-invite", func(ctx context.Context, in personWire) (PersonEntry, error) {
		return d.InvitePerson(ctx, in.Tenant, in.Invitation)
	})
	operation(mux, "person-list", func(ctx context.Context, in personWire) ([]PersonEntry, error) { return d.ListPeople(ctx, in.Tenant) })
	operation(mux, "person-act", func(ctx context.Context, in personWire) (PersonEntry, error) {
		return d.ActOnPerson(ctx, in.Tenant, in.Who, in.Act, in.ByHand)
	})
	operation(mux, "person-sessions", func(ctx context.Context, in personWire) ([]SessionEntry, error) {
		return d.PersonSessions(ctx, in.Tenant, in.Who)
	})
}

func (d *remoteDesk) InvitePerson(ctx context.Context, tenant string, i PersonInvitation) (PersonEntry, error) {
	return call[PersonEntry](ctx, d.c, "person-invite", personWire{Tenant: tenant, Invitation: i})
}

func (d *remoteDesk) ListPeople(ctx context.Context, tenant string) ([]PersonEntry, error) {
	return call[[]PersonEntry](ctx, d.c, "person-list", personWire{Tenant: tenant})
}

func (d *remoteDesk) ActOnPerson(ctx context.Context, tenant, who, act string, byHand bool) (PersonEntry, error) {
	return call[PersonEntry](ctx, d.c, "person-act", personWire{Tenant: tenant, Who: who, Act: act, ByHand: byHand})
}

func (d *remoteDesk) PersonSessions(ctx context.Context, tenant, who string) ([]SessionEntry, error) {
	return call[[]SessionEntry](ctx, d.c, "person-sessions", personWire{Tenant: tenant, Who: who})
}
