package people_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"ward/internal/backend/db"
	"ward/internal/backend/db/dbtest"
	"ward/internal/base/clock"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/kernel/identity/people"
	"ward/internal/kernel/seal/sealtest"
)

var north = scope.Tenant{ID: 1, Slug: "north"}

type house struct {
	*testing.T
	db       *db.DB
	now      *clock.Manual
	sessions *people.Sessions
	ctx      context.Context
}

func onEach(t *testing.T, test func(h *house)) {
	t.Helper()
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		dbtest.Migrate(t, d, "people", people.Migrations())
		h := &house{T: t, db: d, now: clock.NewManual(time.Date(2024, 5, 1, 8, 0, 0, 0, time.UTC)), ctx: scope.WithTenant(t.Context(), north)}
		h.sessions = h.process()
		test(h)
	})
}

// process is the sessions as another process has them.
func (h *house) process() *people.Sessions {
	return people.NewSessions(people.SessionDeps{
		DB: h.db, Keys: sealtest.Keys(h, h.db), Clock: h.now, Log: slog.New(slog.DiscardHandler),
		Limits: func(context.Context) (people.Limits, error) {
			return people.Limits{Idle: 30 * time.Minute, Absolute: 12 * time.Hour}, nil
		},
	})
}

// person adds an account of the state.
func (h *house) person(id, state string) {
	h.Helper()
	err := h.db.Write(h.ctx, func(ctx context.Context, tx db.Tx) error {
		_, err := tx.Exec(ctx, "INSERT INTO identity_person (id, email, name, role, person, patients, sensitive, state, password, second_step, created, activated, signed_in) VALUES ($1, $2, '', 'clinician', 'Practitioner/7', 'a b', 'V', $3, '', 0, 1, 1, 0)",
			id, id+"@example.org", state)
		return err
	})
	if err != nil {
		h.Fatal(err)
	}
}

// request is one from a browser with the cookies.
func (h *house) request(cookies ...*http.Cookie) *http.Request {
	r := httptest.NewRequestWithContext(h.ctx, "GET", "https://ward.example/t/north/account", nil)
	r.Header.Set("User-Agent", "Test/1.0")
	for _, c := range cookies {
		r.AddCookie(c)
	}
	return r
}

func (h *house) begin(personID string, r *http.Request, methods ...string) *http.Cookie {
	h.Helper()
	w := httptest.NewRecorder()
	if err := h.sessions.Begin(h.ctx, w, r, personID, methods); err != nil {
		h.Fatal(err)
	}
	return h.cookie(w)
}

func (h *house) cookie(w *httptest.ResponseRecorder) *http.Cookie {
	h.Helper()
	all := w.Result().Cookies()
	if len(all) != 1 {
		h.Fatalf("%d cookies", len(all))
	}
	return all[0]
}

func (h *house) signedIn(s *people.Sessions, c *http.Cookie, want bool, why string) people.Session {
	h.Helper()
	found, err := s.Find(h.ctx, h.request(c))
	if (err == nil) != want || (err != nil && !fault.Is(err, fault.CodeUnauthenticated)) {
		h.Errorf("%s: %v", why, err)
	}
	return found
}

func TestSessions_SayWhoIsSignedIn(t *testing.T) {
	onEach(t, func(h *house) {
		h.person("ada", people.Active)
		c := h.begin("ada", h.request(), people.ByPassword, people.ByCode)
		if !strings.HasPrefix(c.Name, "__Host-ward-session") || !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.MaxAge != 0 {
			h.Errorf("the cookie is %s", c)
		}
		s := h.signedIn(h.sessions, c, true, "at once")
		p := s.Principal()
		if p.ID != "user/ada" || p.Role != "clinician" || p.Person != "Practitioner/7" || strings.Join(p.Patients, ",") != "a,b" || strings.Join(p.Sensitive, ",") != "V" || p.Session != s.ID {
			h.Errorf("%+v", p)
		}
		if s.ACR != "https://refeds.org/profile/mfa" || strings.Join(s.AMR, " ") != "pwd otp" || !s.AuthTime.Equal(h.now.Now()) || s.Agent != "Test/1.0" {
			h.Errorf("%+v", s)
		}
		h.signedIn(h.process(), c, true, "another process, or this one after a restart")

		elsewhere := scope.WithTenant(h.Context(), scope.Tenant{ID: 2, Slug: "south"})
		other := *c
		other.Name = strings.Replace(c.Name, "north", "south", 1)
		if _, err := h.sessions.Find(elsewhere, h.request(&other)); !fault.Is(err, fault.CodeUnauthenticated) {
			h.Errorf("another tenant: %v", err)
		}
		plain := *c
		plain.Name = strings.TrimPrefix(c.Name, "__Host-")
		h.signedIn(h.sessions, &plain, false, "a cookie that another host may have set")
		bad := *c
		bad.Value = strings.Repeat("A", len(c.Value))
		reads := h.db.Stats().Reads
		for range 5 {
			h.signedIn(h.sessions, &bad, false, "a made-up cookie")
		}
		if n := h.db.Stats().Reads - reads; n > 1 {
			h.Errorf("for one made-up cookie the database was asked %d times", n)
		}
	})
}

func TestSessions_GetNewCookiesWhereTrustGrows(t *testing.T) {
	onEach(t, func(h *house) {
		h.person("ada", people.Active)
		h.person("eve", people.Active)
		planted := h.begin("eve", h.request(), people.ByPassword)
		c := h.begin("ada", h.request(planted), people.ByPassword)
		if c.Value == planted.Value {
			h.Error("the cookie that the browser came with is kept")
		}
		h.signedIn(h.sessions, planted, false, "the session that the browser came with")
		s := h.signedIn(h.sessions, c, true, "the new one")
		if s.FreshSecondFactor(time.Hour) {
			h.Error("a second factor that nobody showed is fresh")
		}
		h.now.Advance(time.Minute)
		w := httptest.NewRecorder()
		if err := h.sessions.StepUp(h.ctx, w, h.request(c), s, people.ByCode); err != nil {
			h.Fatal(err)
		}
		up := h.cookie(w)
		h.signedIn(h.sessions, c, false, "the session before the second factor")
		was := s.ID
		s = h.signedIn(h.sessions, up, true, "the session with the second factor")
		if s.ID != was {
			h.Error("it is another session: what apps were let do in it would end")
		}
		if !s.FreshSecondFactor(time.Minute) || s.AuthTime.Equal(h.now.Now()) {
			h.Errorf("%+v", s)
		}
		h.now.Advance(5*time.Minute + time.Millisecond)
		if s.FreshSecondFactor(5 * time.Minute) {
			h.Error("still fresh after its time")
		}
	})
}

func TestSessions_End(t *testing.T) {
	onEach(t, func(h *house) {
		h.person("ada", people.Active)
		h.person("off", people.Disabled)
		h.signedIn(h.sessions, h.begin("off", h.request(), people.ByPassword), false, "a disabled account")

		idle := h.begin("ada", h.request(), people.ByPassword)
		used := h.begin("ada", h.request(), people.ByPassword)
		other := h.process()
		for range 3 {
			h.now.Advance(25 * time.Minute)
			h.signedIn(h.sessions, used, true, "in use")
			if err := h.sessions.Flush(h.ctx); err != nil {
				h.Fatal(err)
			}
			h.signedIn(other, used, true, "in use elsewhere")
		}
		h.signedIn(h.sessions, idle, false, "unused for too long")
		list, err := h.sessions.List(h.ctx, "ada")
		if err != nil || len(list) != 1 {
			h.Errorf("%d sessions, %v", len(list), err)
		}
		for range 27 {
			h.now.Advance(25 * time.Minute)
			h.sessions.FromRequest(h.request(used))
		}
		h.signedIn(h.sessions, used, false, "older than sessions get")

		one, two := h.begin("ada", h.request(), people.ByPassword), h.begin("ada", h.request(), people.ByPassword)
		first := h.signedIn(h.sessions, one, true, "the first of two")
		second := h.signedIn(other, two, true, "the second of two")
		if err := h.sessions.Revoke(h.ctx, "eve", first.ID); !fault.Is(err, fault.CodeNotFound) {
			h.Errorf("somebody else's: %v", err)
		}
		if err := h.sessions.Revoke(h.ctx, "ada", second.ID); err != nil {
			h.Error(err)
		}
		h.signedIn(h.sessions, two, false, "revoked here")
		h.now.Advance(2 * time.Second)
		h.signedIn(other, two, false, "revoked elsewhere")
		h.signedIn(h.sessions, one, true, "the other one")
		w := httptest.NewRecorder()
		if err := h.sessions.End(h.ctx, w, h.request(one)); err != nil || h.cookie(w).MaxAge >= 0 {
			h.Error("signing out", err)
		}
		h.signedIn(h.sessions, one, false, "signed out")
		three := h.begin("ada", h.request(), people.ByPassword)
		if err := h.sessions.RevokeAll(h.ctx, "ada", ""); err != nil {
			h.Error(err)
		}
		h.signedIn(h.sessions, three, false, "all revoked")
	})
}

func TestSecureFrom(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		url        string
		configured bool
		want       bool
	}{
		{"http://localhost:8080/", false, false},
		{"http://127.0.0.1:8080/", false, false},
		{"http://[::1]:8080/", false, false},
		{"http://127.0.0.1:8080/", true, true},
		{"https://localhost/", false, true},
		{"http://ward.example/", false, true},
		{"http://localhost.example/", false, true},
		{"http://10.0.0.1/", false, true},
	} {
		if got := people.SecureFrom(httptest.NewRequestWithContext(t.Context(), "GET", row.url, nil), row.configured); got != row.want {
			t.Errorf("%s: %v", row.url, got)
		}
	}
}

func (h *house) recorder() *httptest.ResponseRecorder { return httptest.NewRecorder() }
