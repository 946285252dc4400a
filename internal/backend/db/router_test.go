package db_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"ward/internal/backend/db"
	"ward/internal/backend/db/dbtest"
	"ward/internal/backend/db/postgres"
	"ward/internal/backend/db/sqlite"
	"ward/internal/base/clock"
	"ward/internal/base/fault"
)

// routed is a router over a shared database, with homes that are folders or PostgreSQL's by their URL.
func routed(t testing.TB, shared *db.DB, locate func(ctx context.Context, tenant int32) (string, error), change func(*db.RouterDeps)) *db.Router {
	t.Helper()
	deps := db.RouterDeps{
		Shared: shared, Locate: locate, Forget: func(int32) {},
		Open: func(ctx context.Context, home string) (*db.DB, error) {
			if home[0] == 'p' {
				return postgres.Open(ctx, postgres.Config{URL: home, MaxConns: 8})
			}
			return sqlite.Open(ctx, sqlite.Config{Dir: home})
		},
	}
	if change != nil {
		change(&deps)
	}
	return db.NewRouter(t.Context(), deps)
}

func closed(t testing.TB, d *db.DB) *db.DB {
	t.Helper()
	t.Cleanup(func() { _ = d.Close(context.Background()) })
	return d
}

func openFolder(t testing.TB) *db.DB {
	t.Helper()
	d, err := sqlite.Open(t.Context(), sqlite.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestRouter_Conformance runs the suite of all drivers with every second tenant in a database of another kind.
func TestRouter_Conformance(t *testing.T) {
	t.Parallel()
	halves := func(home string) func(context.Context, int32) (string, error) {
		return func(_ context.Context, tenant int32) (string, error) {
			if tenant%2 == 0 {
				return home, nil
			}
			return "", nil
		}
	}
	t.Run("folders", func(t *testing.T) {
		t.Parallel()
		dbtest.Run(t, func(t testing.TB) *db.DB {
			t.Helper()
			return closed(t, db.New(routed(t, openFolder(t), halves(t.TempDir()), nil)))
		})
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		dbtest.Run(t, func(t testing.TB) *db.DB {
			t.Helper()
			other := dbtest.PostgresURL(t)
			shared, err := postgres.Open(t.Context(), postgres.Config{URL: dbtest.PostgresURL(t), MaxConns: 8})
			if err != nil {
				t.Fatal(err)
			}
			return closed(t, db.New(routed(t, shared, halves(other), nil)))
		})
	})
}

var note = fstest.MapFS{"0001_note.sql": {Data: []byte("CREATE TABLE router_note (id INTEGER PRIMARY KEY)")}} //nolint:gochecknoglobals // a constant

func add(ctx context.Context, d *db.DB, id int64) error {
	return d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		_, err := tx.Insert(ctx, "router_note", db.Col("id", []int64{id}))
		return err
	})
}

func count(ctx context.Context, t *testing.T, d *db.DB) (n int64) {
	t.Helper()
	err := d.Read(ctx, func(ctx context.Context, q db.Querier) error {
		return q.Query(ctx, "SELECT count(*) FROM router_note", func(r db.Row) error { n = r.Int64(0); return nil })
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestRouter_HeldWritesWaitAndGoOnAtTheNewHome(t *testing.T) {
	t.Parallel()
	var home atomic.Value
	home.Store("")
	other := t.TempDir()
	r := routed(t, openFolder(t), func(context.Context, int32) (string, error) { s, _ := home.Load().(string); return s, nil }, nil)
	d := closed(t, db.New(r))
	if err := d.RegisterTenant("router", note); err != nil {
		t.Fatal(err)
	}
	ctx := dbtest.Tenant(t, 7)
	if err := add(ctx, d, 1); err != nil {
		t.Fatal(err)
	}
	release, err := r.Hold(ctx, 7)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Hold(ctx, 7); !fault.Is(err, fault.CodeConflict) {
		t.Errorf("held twice: %v", err)
	}
	if n := count(ctx, t, d); n != 1 {
		t.Errorf("reads see %d rows while writes are held", n)
	}
	if err := add(dbtest.Tenant(t, 8), d, 1); err != nil {
		t.Errorf("another tenant's write: %v", err)
	}
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if err := add(short, d, 9); !fault.Is(err, fault.CodeTimeout) {
		t.Errorf("a held write whose time is over: %v", err)
	}
	var wait sync.WaitGroup
	for id := range int64(5) {
		wait.Go(func() {
			if err := add(ctx, d, 10+id); err != nil {
				t.Error(err)
			}
		})
	}
	home.Store(other)
	release()
	wait.Wait()
	if n := count(ctx, t, d); n != 5 {
		t.Errorf("the new home has %d rows", n)
	}
	home.Store("")
	if n := count(ctx, t, d); n != 1 {
		t.Errorf("the old home has %d rows", n)
	}
}

func TestRouter_HoldWaitsForWritesUnderWay(t *testing.T) {
	t.Parallel()
	r := routed(t, openFolder(t), func(context.Context, int32) (string, error) { return "", nil }, nil)
	d := closed(t, db.New(r))
	if err := d.RegisterTenant("router", note); err != nil {
		t.Fatal(err)
	}
	ctx := dbtest.Tenant(t, 7)
	began, end, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- d.Write(ctx, func(context.Context, db.Tx) error { close(began); <-end; return nil })
	}()
	<-began
	short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	if _, err := r.Hold(short, 7); !fault.Is(err, fault.CodeTimeout) {
		t.Errorf("held over a write under way: %v", err)
	}
	close(end)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := add(ctx, d, 1); err != nil {
		t.Errorf("a hold that failed still holds: %v", err)
	}
}

func TestRouter_HomesAreBoundedAndClosedAtRest(t *testing.T) {
	t.Parallel()
	folders := []string{t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()}
	var opened atomic.Int64
	now := clock.NewManual(time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC))
	r := routed(t, openFolder(t), func(_ context.Context, tenant int32) (string, error) { return folders[tenant], nil }, func(d *db.RouterDeps) {
		open := d.Open
		d.Open = func(ctx context.Context, home string) (*db.DB, error) { opened.Add(1); return open(ctx, home) }
		d.MaxOpen, d.Idle, d.Clock = 2, time.Minute, now
	})
	d := closed(t, db.New(r))
	if err := d.RegisterTenant("router", note); err != nil {
		t.Fatal(err)
	}
	for tenant := range int32(4) {
		if tenant == 0 {
			continue
		}
		now.Advance(time.Second)
		if err := add(dbtest.Tenant(t, tenant), d, 1); err != nil {
			t.Fatal(err)
		}
	}
	if n := r.Open(); n != 2 {
		t.Errorf("%d homes are open", n)
	}
	now.Advance(2 * time.Minute)
	r.Tidy(t.Context())
	if n := r.Open(); n != 0 {
		t.Errorf("%d homes are open after a rest", n)
	}
	if n := count(dbtest.Tenant(t, 1), t, d); n != 1 || opened.Load() != 4 {
		t.Errorf("%d rows after %d openings", n, opened.Load())
	}
}

func TestRouter_AHomeThatCannotBeOpenedIsTriedAgain(t *testing.T) {
	t.Parallel()
	broken := true
	r := routed(t, openFolder(t), func(context.Context, int32) (string, error) { return "x", nil }, func(d *db.RouterDeps) {
		folder := t.TempDir()
		d.Open = func(ctx context.Context, _ string) (*db.DB, error) {
			if broken {
				return nil, fault.Unavailable("down")
			}
			return sqlite.Open(ctx, sqlite.Config{Dir: folder})
		}
	})
	d := closed(t, db.New(r))
	if err := d.RegisterTenant("router", note); err != nil {
		t.Fatal(err)
	}
	if err := add(dbtest.Tenant(t, 1), d, 1); !fault.Is(err, fault.CodeUnavailable) {
		t.Errorf("%v", err)
	}
	broken = false
	if err := add(dbtest.Tenant(t, 1), d, 1); err != nil {
		t.Error(err)
	}
}

func TestRouter_AWriteThatCameTooLateGoesToTheNewHome(t *testing.T) {
	t.Parallel()
	var forgotten atomic.Int64
	r := routed(t, openFolder(t), func(context.Context, int32) (string, error) { return "", nil }, func(d *db.RouterDeps) {
		d.Forget = func(int32) { forgotten.Add(1) }
	})
	d := closed(t, db.New(r))
	if err := d.RegisterTenant("router", note); err != nil {
		t.Fatal(err)
	}
	calls := 0
	err := d.Write(dbtest.Tenant(t, 1), func(context.Context, db.Tx) error {
		if calls++; calls < 3 {
			return fault.Unavailable("moved").With(errors.Join(db.ErrMoved))
		}
		return nil
	})
	if err != nil || calls != 3 || forgotten.Load() != 2 {
		t.Errorf("%v after %d calls, %d looks", err, calls, forgotten.Load())
	}
}
