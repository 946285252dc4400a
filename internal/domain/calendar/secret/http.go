package secret

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/kernel/access"
	"ward/internal/kernel/module"
)

// Module is what the secrets bring to the product.
func (s *Secrets) Module() module.Module {
	m := module.Module{Name: "calendarsecrets", Migrations: Migrations()}
	const base = module.TenantPrefix + "calendar/"
	for _, r := range []struct {
		method, path, summary string
		handle                func(w http.ResponseWriter, r *http.Request) error
	}{
		{"GET", "passwords", "List one's calendar passwords", s.handleList(password)},
		{"POST", "passwords", "Make a calendar password, which is told this once", s.handleCreate(password)},
		{"DELETE", "passwords/{id}", "Revoke a calendar password", s.handleRevoke(password)},
		{"GET", "feeds", "List one's feeds", s.handleList(feed)},
		{"POST", "feeds", "Make a feed, whose address is told this once", s.handleCreate(feed)},
		{"DELETE", "feeds/{id}", "Revoke a feed", s.handleRevoke(feed)},
	} {
		m.Routes = append(m.Routes, module.Route{
			Method: r.method, Pattern: base + r.path, Target: module.API, Lane: module.Interactive, Permission: access.CalendarRead, BodyLimit: 16 << 10,
			Objective: module.Objective{Percentile: 0.95, Latency: 250 * time.Millisecond}, Summary: r.summary, Handler: r.handle,
		})
	}
	m.Routes = append(m.Routes, module.Route{
		Method: "GET", Pattern: base + "feed/{file}", Target: module.API, Lane: module.Background, Public: true, BodyLimit: 1 << 10, Timeout: 30 * time.Second,
		Objective: module.Objective{Percentile: 0.95, Latency: time.Second}, Summary: "A calendar as iCalendar, for who has the address", Handler: s.handleFeed,
	})
	return m
}

// wire is a secret as its person sees it.
type wire struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	Subscriber string     `json:"subscriber,omitempty"`
	Titles     bool       `json:"titles,omitempty"`
	Created    time.Time  `json:"created"`
	Used       *time.Time `json:"used,omitempty"`

	Password string `json:"password,omitempty"` // this once
	Path     string `json:"path,omitempty"`     // of a feed, this once
}

func wireOf(one Secret) wire {
	out := wire{ID: one.ID, Name: one.Name, Subscriber: one.Subscriber, Titles: one.Titles, Created: one.Created}
	if !one.Used.IsZero() {
		out.Used = &one.Used
	}
	return out
}

func send(w http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fault.Internal("an answer can't be written").With(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(b)
	return nil
}

// account is the account that asks. Secrets are a person's: tokens and apps have none.
func account(r *http.Request) (string, scope.Scope, error) {
	sc, _ := scope.From(r.Context())
	id, ok := strings.CutPrefix(sc.Principal.ID, "user/")
	if !ok || sc.Principal.Scopes != "" {
		return "", sc, fault.Denied("calendar passwords and feeds are for people who are signed in")
	}
	return id, sc, nil
}

func (s *Secrets) handleList(kind string) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		who, _, err := account(r)
		if err != nil {
			return err
		}
		list, err := s.list(r.Context(), who, kind)
		if err != nil {
			return err
		}
		out := make([]wire, len(list))
		for i := range list {
			out[i] = wireOf(list[i])
		}
		return send(w, http.StatusOK, map[string][]wire{kind + "s": out})
	}
}

func (s *Secrets) handleCreate(kind string) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		who, sc, err := account(r)
		if err != nil {
			return err
		}
		fresh, err := s.deps.Fresh(r)
		if err != nil {
			return err
		}
		if !fresh {
			return fault.Denied("show your second factor first: sign in again, and come back within ten minutes")
		}
		var in struct {
			Name       string `json:"name"`
			Subscriber string `json:"subscriber"`
			Titles     bool   `json:"titles"`
		}
		if err := decode(r, &in); err != nil {
			return err
		}
		made := Secret{Kind: kind, Account: who, Name: in.Name}
		if kind == password && (in.Subscriber != "" || in.Titles) {
			return fault.Invalid("subscriber and titles are for feeds: a password opens what its person may see")
		}
		if kind == feed {
			if made.Subscriber, made.Titles = in.Subscriber, in.Titles; made.Subscriber == "" {
				made.Subscriber = sc.Principal.Person
			}
			if made.Subscriber == "" {
				return fault.Invalid("subscriber must be there: your account is nobody's who has a calendar")
			}
			if _, err := s.deps.Events.Calendar(r.Context(), made.Subscriber); err != nil {
				return err
			}
		}
		text, err := s.create(r.Context(), &made)
		if err != nil {
			return err
		}
		out := wireOf(made)
		if kind == password {
			out.Password = grouped(text)
		} else {
			out.Path = "/t/" + sc.Tenant.Slug + "/calendar/feed/" + text + ".ics"
		}
		return send(w, http.StatusCreated, out)
	}
}

// decode reads a request's body strictly into v.
func decode(r *http.Request, v any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		if _, more := d.Token(); errors.Is(more, io.EOF) {
			return nil
		}
	}
	if _, known := fault.Of(err); known {
		return err
	}
	return fault.Invalid("the body must be one JSON object with name, and for feeds subscriber and titles")
}

func (s *Secrets) handleRevoke(kind string) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		who, _, err := account(r)
		if err != nil {
			return err
		}
		if err := s.revoke(r.Context(), who, kind, r.PathValue("id")); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
}
