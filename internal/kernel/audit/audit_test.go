package audit_test

import (
	"context"
	"testing"
	"time"

	"ward/internal/backend/blob"
	"ward/internal/backend/blob/file"
	"ward/internal/backend/db"
	"ward/internal/backend/db/dbtest"
	"ward/internal/base/clock"
	"ward/internal/base/scope"
	"ward/internal/kernel/audit"
	"ward/internal/kernel/observe"
	"ward/internal/kernel/seal/sealtest"
)

// house is a database, a blob store and a log over both, for tenants 1 and 2.
type house struct {
	t     *testing.T
	db    *db.DB
	blobs *blob.Store
	now   *clock.Manual
	log   *audit.Log
	at    string // the URL of the database, where it is PostgreSQL
}

// each runs a test on SQLite and PostgreSQL.
func each(t *testing.T, test func(t *testing.T, h *house)) {
	t.Helper()
	t.Parallel()
	t.Run(db.SQLite, func(t *testing.T) {
		t.Parallel()
		test(t, newHouse(t, dbtest.SQLite(t)))
	})
	t.Run(db.PostgreSQL, func(t *testing.T) {
		t.Parallel()
		d, at := dbtest.PostgresAt(t)
		h := newHouse(t, d)
		h.at = at
		test(t, h)
	})
}

func newHouse(t *testing.T, d *db.DB) *house {
	t.Helper()
	driver, err := file.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = driver.Close() })
	h := &house{t: t, db: d, now: clock.NewManual(time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC))}
	h.blobs = blob.New(blob.Deps{Driver: driver, Clock: h.now})
	h.log = h.open("the secret of this installation")
	m := h.log.Module()
	dbtest.Migrate(t, d, "audit", m.Migrations)
	if err := d.Migrate(t.Context(), "audit", m.SystemMigrations); err != nil {
		t.Fatal(err)
	}
	return h
}

// open is another process's log over the same database.
func (h *house) open(secret string) *audit.Log {
	h.t.Helper()
	l, err := audit.New(audit.Deps{
		DB: h.db, Secret: []byte(secret), Keys: sealtest.Keys(h.t, h.db), Clock: h.now, Blobs: h.blobs, Site: "ward.test",
		Tenants: func(context.Context) ([]scope.Tenant, error) {
			return []scope.Tenant{{ID: 1, Slug: "one"}, {ID: 2, Slug: "two"}}, nil
		},
		Parameter: func(name string) bool {
			return name == "name" || name == "birthdate" || name == "patient" || name == "_count" || name == "code"
		},
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return l
}

func grey() scope.Principal {
	return scope.Principal{ID: "user/7", Role: "clinician", Person: "Practitioner/7", Client: "portal"}
}

// as is a request of somebody in a tenant.
func (h *house) as(tenant int32, who scope.Principal) context.Context {
	ctx := scope.With(h.t.Context(), scope.Scope{Tenant: scope.Tenant{ID: tenant, Slug: "one"}, Principal: who})
	return observe.WithRequest(ctx, observe.Request{ID: "r-1", Address: "203.0.113.9"})
}

func (h *house) record(ctx context.Context, events ...audit.Event) {
	h.t.Helper()
	for _, e := range events {
		if err := h.log.Record(ctx, e); err != nil {
			h.t.Fatal(err)
		}
	}
}

// write records an event with a change of a tenant's data, in one transaction.
func (h *house) write(ctx context.Context, l *audit.Log, events ...audit.Event) error {
	return h.db.Write(ctx, func(ctx context.Context, tx db.Tx) error { return l.RecordIn(ctx, tx, events...) })
}

func (h *house) flush() {
	h.t.Helper()
	if err := h.log.Flush(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) find(ctx context.Context, q audit.Query) []audit.Entry {
	h.t.Helper()
	p, err := h.log.Find(ctx, q)
	if err != nil {
		h.t.Fatal(err)
	}
	return p.Entries
}

func (h *house) verify(ctx context.Context) audit.Report {
	h.t.Helper()
	r, err := h.log.Verify(ctx)
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

func (h *house) proven(ctx context.Context) audit.Report {
	h.t.Helper()
	r := h.verify(ctx)
	for _, b := range r.Breaks {
		h.t.Errorf("broken: %s", b)
	}
	return r
}
