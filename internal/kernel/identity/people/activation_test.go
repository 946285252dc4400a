package people_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"ward/internal/backend/db"
	"ward/internal/backend/db/dbtest"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/kernel/access"
	"ward/internal/kernel/audit"
	"ward/internal/kernel/identity/argon"
	"ward/internal/kernel/identity/people"
	"ward/internal/kernel/module"
	"ward/internal/kernel/seal/sealtest"
	"ward/internal/kernel/tenancy"
)

// quiet takes audit events and keeps none.
type quiet struct{}

func (quiet) RecordIn(context.Context, db.Tx, ...audit.Event) error { return nil }
func (quiet) Record(context.Context, audit.Event) error             { return nil }
func (quiet) Security(context.Context, audit.Kind, string)          {}

type counted chan int

func (c counted) Activated(n int) { c <- n }

// staff is the accounts as one process has them; hashed tells how many passwords it hashed.
func (h *house) staff(hashed chan int) *people.People {
	h.Helper()
	return h.staffWith(hashed, func(context.Context, db.Tx, ...module.Event) error { return nil })
}

// staffWith is staff whose events go there.
func (h *house) staffWith(hashed chan int, enqueue func(context.Context, db.Tx, ...module.Event) error) *people.People {
	h.Helper()
	pool := argon.New(argon.Options{Params: argon.Params{Memory: 64, Time: 1, Threads: 1}})
	h.Cleanup(pool.Close)
	p, err := people.New(people.Deps{
		DB: h.db, Clock: h.now, Log: slog.New(slog.DiscardHandler), Sessions: h.process(), Pool: pool, Key: bytes.Repeat([]byte{1}, 32), Keys: sealtest.Keys(h, h.db), Audit: quiet{}, Metrics: counted(hashed),
		Settings: func(context.Context) (tenancy.Settings, error) { return tenancy.Settings{}, nil },
		Tenants: func(context.Context) ([]scope.Tenant, error) {
			return []scope.Tenant{{ID: 2, Slug: "south"}, north}, nil
		},
		BaseURL: func() string { return "https://ward.example" },
		Enqueue: enqueue,
	})
	if err != nil {
		h.Fatal(err)
	}
	return p
}

// work has the process hash what waits until the test ends.
func (h *house) work(p *people.People) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, r := range p.Module().Runners {
		running.Go(func() { _ = r.Run(ctx) })
	}
	h.Cleanup(func() { cancel(); running.Wait() })
}

// invite gives the secret of a new person's link.
func (h *house) invite(p *people.People, email string) string {
	h.Helper()
	_, link, err := p.Invite(h.ctx, people.Invitation{Email: email, Role: access.Patient, Reference: "Patient/9", ByHand: true})
	if err != nil {
		h.Fatal(err)
	}
	_, text, _ := strings.Cut(link, "/activate/")
	return text
}

// TestActivation_NoneIsLost: many at once while nobody hashes, the process dies, and the next one hashes them all in turn.
func TestActivation_NoneIsLost(t *testing.T) {
	onEach(t, func(h *house) {
		const n = 60
		dead := h.staff(make(chan int, n))
		links, tickets := make([]string, n), make([]string, n)
		for i := range links {
			links[i] = h.invite(dead, fmt.Sprintf("p%d@example.org", i))
		}
		var all sync.WaitGroup
		for i := range links {
			for range 2 { // each pressed twice
				all.Go(func() {
					ticket, _, err := dead.Activate(h.ctx, links[i], fmt.Sprintf("many wild geese %d", i))
					if err == nil {
						tickets[i] = ticket
					} else if !fault.Is(err, fault.CodeNotFound) {
						h.Error(err)
					}
				})
			}
		}
		all.Wait()
		ahead := map[int]bool{}
		for i, ticket := range tickets {
			p, err := dead.Progress(h.ctx, ticket)
			if err != nil || p.Done || p.Wait <= 0 || ahead[p.Ahead] {
				h.Fatalf("%d: %+v %v", i, p, err)
			}
			ahead[p.Ahead] = true // each has a place of its own
		}
		if !ahead[0] || !ahead[n-1] {
			h.Errorf("places %v", ahead)
		}
		h.nowhere("wild geese")

		hashed := make(chan int, n)
		two := h.staff(hashed)
		h.work(two)
		if h.db.Dialect().Name == db.PostgreSQL { // several processes share the work there
			h.work(h.staff(hashed))
		}
		for done := 0; done < n; {
			done += <-hashed
		}
		for i, ticket := range tickets {
			if p, err := two.Progress(h.ctx, ticket); err != nil || !p.Done {
				h.Errorf("%d: %+v %v", i, p, err)
			}
			who, err := two.ByEmail(h.ctx, fmt.Sprintf("p%d@example.org", i))
			if err != nil || who.State != people.Active || !who.Password || who.Activated.IsZero() {
				h.Errorf("%d: %+v %v", i, who, err)
			}
		}
		w := h.recorder()
		if next, err := two.Password(h.ctx, w, h.request(), "p7@example.org", "many wild geese 7", ""); err != nil || next != people.FollowMail {
			h.Errorf("%v %v", next, err)
		}
		if _, err := two.Password(h.ctx, w, h.request(), "p7@example.org", "many wild geese 8", ""); !fault.Is(err, fault.CodeUnauthenticated) {
			h.Errorf("another's password: %v", err)
		}
		h.count("SELECT count(*) FROM identity_activation WHERE sealed IS NOT NULL", 0)
		if _, err := two.Progress(h.ctx, "made-up"); !fault.Is(err, fault.CodeNotFound) {
			h.Errorf("a ticket that nobody has: %v", err)
		}
	})
}

// nowhere checks that no table of the accounts holds the text.
func (h *house) nowhere(text string) {
	h.Helper()
	for table, columns := range map[string]string{"identity_activation": "sealed", "identity_person": "password", "identity_link": "hash", "identity_attempt": "data"} {
		err := h.db.Read(h.ctx, func(ctx context.Context, q db.Querier) error {
			return q.Query(ctx, "SELECT "+columns+" FROM "+table, func(r db.Row) error {
				if bytes.Contains(r.Bytes(0), []byte(text)) {
					h.Errorf("%s holds it in clear", table)
				}
				return nil
			})
		})
		if err != nil {
			h.Fatal(err)
		}
	}
}

func (h *house) count(sql string, want int64) {
	h.Helper()
	err := h.db.Read(h.ctx, func(ctx context.Context, q db.Querier) error {
		return q.Query(ctx, sql, func(r db.Row) error {
			if got := r.Int64(0); got != want {
				h.Errorf("%s: %d, want %d", sql, got, want)
			}
			return nil
		})
	})
	if err != nil {
		h.Fatal(err)
	}
}

// TestLinks_AreReplacedAndExpire: one link of a kind, for a week, once.
func TestLinks_AreReplacedAndExpire(t *testing.T) {
	onEach(t, func(h *house) {
		p := h.staff(make(chan int, 10))
		first := h.invite(p, "ada@example.org")
		who, err := p.ByEmail(h.ctx, "ADA@example.org ")
		if err != nil {
			h.Fatal(err)
		}
		link, err := p.InviteAgain(h.ctx, who.ID, true)
		if err != nil {
			h.Fatal(err)
		}
		_, second, _ := strings.Cut(link, "/activate/")
		if _, err := p.FollowLink(h.ctx, first); !fault.Is(err, fault.CodeNotFound) {
			h.Errorf("a link that was replaced: %v", err)
		}
		if _, err := p.FollowLink(h.ctx, second); err != nil {
			h.Error(err)
		}
		elsewhere := scope.WithTenant(h.Context(), scope.Tenant{ID: 2, Slug: "south"})
		if _, err := p.FollowLink(elsewhere, second); !fault.Is(err, fault.CodeNotFound) {
			h.Errorf("in another tenant: %v", err)
		}
		h.now.Advance(7 * 24 * time.Hour)
		if _, _, err := p.Activate(h.ctx, second, "five wild geese"); !fault.Is(err, fault.CodeNotFound) {
			h.Errorf("after a week: %v", err)
		}
		if err := p.Disable(h.ctx, who.ID); err != nil {
			h.Fatal(err)
		}
		if _, err := p.InviteAgain(h.ctx, who.ID, true); !fault.Is(err, fault.CodeConflict) {
			h.Errorf("a disabled person invited: %v", err)
		}
		if err := p.Enable(h.ctx, who.ID); err != nil {
			h.Fatal(err)
		}
		if who, err = p.Get(h.ctx, who.ID); err != nil || who.State != people.Invited {
			h.Errorf("%+v %v", who, err)
		}
		if text := fmt.Sprintf("%v %+v %s", who, who, who.Email); strings.Contains(text, "example.org") {
			h.Errorf("a person prints as %s", text)
		}
	})
}

func TestInvite_Refuses(t *testing.T) {
	onEach(t, func(h *house) {
		p := h.staff(make(chan int, 10))
		for name, i := range map[string]people.Invitation{
			"no address":                  {Role: access.Nurse},
			"a name in the address":       {Email: "Ada <ada@example.org>", Role: access.Nurse},
			"a line break":                {Email: "ada@example.org\r\nBcc: eve@example.org", Role: access.Nurse},
			"an unknown role":             {Email: "a@example.org", Role: "root"},
			"a machine's role":            {Email: "a@example.org", Role: access.Integration},
			"an operator":                 {Email: "a@example.org", Role: access.Operator},
			"a patient of nobody":         {Email: "a@example.org", Role: access.Patient},
			"a proxy of nobody":           {Email: "a@example.org", Role: access.Proxy, Reference: "RelatedPerson/3"},
			"a clinician with patients":   {Email: "a@example.org", Role: access.Clinician, Patients: []string{"9"}},
			"a reference to a thing":      {Email: "a@example.org", Role: access.Nurse, Reference: "Device/9"},
			"a patient's id that is none": {Email: "a@example.org", Role: access.Proxy, Patients: []string{"a b"}},
			"a class of two words":        {Email: "a@example.org", Role: access.Nurse, Sensitive: []string{"a b"}},
			"a name with a line break":    {Email: "a@example.org", Role: access.Nurse, Name: "a\nb"},
		} {
			if _, _, err := p.Invite(h.ctx, i); !fault.Is(err, fault.CodeInvalid) {
				h.Errorf("%s: %v", name, err)
			}
		}
		h.count("SELECT count(*) FROM identity_person", 0)
	})
}

func TestTables_KeepTenantsApart(t *testing.T) {
	t.Parallel()
	d, at := dbtest.PostgresAt(t)
	dbtest.Migrate(t, d, "people", people.Migrations())
	dbtest.Isolation(t, at, nil)
}
