package signin

import (
	"net/http"
	"strconv"
	"time"

	"ward/internal/base/fault"
	"ward/internal/kernel/identity/people"
)

// personWire is an account as the administrator's program sees it.
type personWire struct {
	ID        string     `json:"id"`
	Email     string     `json:"email"`
	Name      string     `json:"name,omitempty"`
	Role      string     `json:"role"`
	Person    string     `json:"person,omitempty"`
	Patients  []string   `json:"patients,omitempty"`
	Sensitive []string   `json:"sensitive,omitempty"`
	State     string     `json:"state"`
	Password  bool       `json:"password"`
	App       bool       `json:"app"`
	Created   time.Time  `json:"created"`
	Activated *time.Time `json:"activated,omitempty"`
	SignedIn  *time.Time `json:"signedIn,omitempty"`
	Link      string     `json:"link,omitempty"` // with byHand, this once
}

func wire(x people.Person, link string) personWire {
	some := func(t time.Time) *time.Time {
		if t.IsZero() {
			return nil
		}
		return &t
	}
	return personWire{
		ID: x.ID, Email: x.Email.Reveal(), Name: x.Name.Reveal(), Role: x.Role, Person: x.Reference, Patients: x.Patients, Sensitive: x.Sensitive, State: x.State,
		Password: x.Password, App: x.Second, Created: x.Created, Activated: some(x.Activated), SignedIn: some(x.SignedIn), Link: link,
	}
}

const mostListed = 500

func (p *Pages) listPeople(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	limit := 100
	if text := q.Get("count"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > mostListed {
			return fault.Invalid("count is a number from 1 to %d", mostListed)
		}
		limit = n
	}
	list, err := p.deps.People.List(r.Context(), q.Get("after"), limit)
	if err != nil {
		return err
	}
	out := struct {
		People []personWire `json:"people"`
		After  string       `json:"after,omitempty"` // for the next page
	}{People: make([]personWire, len(list))}
	for i := range list {
		out.People[i] = wire(list[i], "")
	}
	if len(list) == limit {
		out.After = list[limit-1].ID
	}
	return answer(w, http.StatusOK, out)
}

func (p *Pages) invite(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Email     string   `json:"email"`
		Name      string   `json:"name"`
		Role      string   `json:"role"`
		Person    string   `json:"person"`
		Patients  []string `json:"patients"`
		Sensitive []string `json:"sensitive"`
		ByHand    bool     `json:"byHand"` // the link is in the answer and not mailed
	}
	if err := decode(r, &in); err != nil {
		return err
	}
	who, link, err := p.deps.People.Invite(r.Context(), people.Invitation{
		Email: in.Email, Name: in.Name, Role: in.Role, Reference: in.Person, Patients: in.Patients, Sensitive: in.Sensitive, ByHand: in.ByHand,
	})
	if err != nil {
		return err
	}
	w.Header().Set("Location", at(r, "/people/"+who.ID))
	return answer(w, http.StatusCreated, wire(who, link))
}

func (p *Pages) getPerson(w http.ResponseWriter, r *http.Request) error {
	who, err := p.deps.People.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, wire(who, ""))
}

func (p *Pages) actOnPerson(w http.ResponseWriter, r *http.Request) error {
	ctx, id := r.Context(), r.PathValue("id")
	var in struct {
		ByHand    bool     `json:"byHand"`
		Sensitive []string `json:"sensitive"`
	}
	if r.ContentLength != 0 {
		if err := decode(r, &in); err != nil {
			return err
		}
	}
	var link string
	var err error
	switch r.PathValue("act") {
	case "invite":
		link, err = p.deps.People.InviteAgain(ctx, id, in.ByHand)
	case "reset":
		link, err = p.deps.People.Reset(ctx, id, in.ByHand)
	case "disable":
		err = p.deps.People.Disable(ctx, id)
	case "enable":
		err = p.deps.People.Enable(ctx, id)
	case "sign-out":
		err = p.deps.People.EndSessions(ctx, id)
	case "sensitive":
		err = p.deps.People.SetSensitive(ctx, id, in.Sensitive)
	default:
		err = fault.NotFound("there is nothing at this path")
	}
	if err != nil {
		return err
	}
	who, err := p.deps.People.Get(ctx, id)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, wire(who, link))
}

func (p *Pages) listSessions(w http.ResponseWriter, r *http.Request) error {
	if _, err := p.deps.People.Get(r.Context(), r.PathValue("id")); err != nil {
		return err
	}
	list, err := p.deps.Sessions.List(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	type session struct {
		ID      string    `json:"id"`
		Began   time.Time `json:"began"`
		Seen    time.Time `json:"seen"`
		Methods []string  `json:"methods"`
		Agent   string    `json:"agent"`
	}
	out := struct {
		Sessions []session `json:"sessions"`
	}{Sessions: make([]session, len(list))}
	for i, s := range list {
		out.Sessions[i] = session{s.ID, s.AuthTime, s.Seen, s.AMR, s.Agent}
	}
	return answer(w, http.StatusOK, out)
}
