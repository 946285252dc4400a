package sqlite_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"ward/internal/backend/db"
	"ward/internal/backend/db/dbtest"
	"ward/internal/backend/db/sqlite"
	"ward/internal/base/fault"
)

// crowded is a database that takes two open files for many, so that reads share the writer's connection.
func crowded(t testing.TB) *db.DB {
	t.Helper()
	d, err := sqlite.Open(t.Context(), sqlite.Config{Dir: t.TempDir(), Many: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return d
}

func TestConformance_WhileManyFilesAreOpen(t *testing.T) {
	t.Parallel()
	dbtest.Run(t, crowded)
}

// shared is a crowded database with an item of the tenant 1.
func shared(t *testing.T) (*db.DB, context.Context) {
	t.Helper()
	d := crowded(t)
	if err := d.RegisterTenant("lite", itemTables()); err != nil {
		t.Fatal(err)
	}
	ctx := dbtest.Tenant(t, 1)
	for range 2 { // the system's file is open too
		if n := count(ctx, t, d); n != 0 {
			t.Fatalf("%d items", n)
		}
	}
	if err := put(ctx, d, 10, 1); err != nil {
		t.Fatal(err)
	}
	return d, ctx
}

func TestLend_OneConnectionIsEnough(t *testing.T) {
	t.Parallel()
	d, ctx := shared(t)
	before := d.Stats().Connections
	for range 50 {
		if n := count(ctx, t, d); n != 1 {
			t.Fatalf("%d items", n)
		}
	}
	if after := d.Stats().Connections; after != before {
		t.Errorf("%d connections, then %d: a read after another needs no second one", before, after)
	}
}

// TestLend_AReadDoesNotHoldUpWrites: the writer whose connection is with a read opens another.
func TestLend_AReadDoesNotHoldUpWrites(t *testing.T) {
	t.Parallel()
	d, ctx := shared(t)
	inside, leave := make(chan struct{}), make(chan struct{})
	var reading sync.WaitGroup
	reading.Go(func() {
		err := d.Read(ctx, func(ctx context.Context, q db.Querier) error {
			return q.Query(ctx, "SELECT id FROM lite_item", func(db.Row) error {
				close(inside)
				<-leave
				return nil
			})
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-inside
	bounded, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := put(bounded, d, 10, 2); err != nil {
		t.Errorf("a write beside the read: %v", err)
	}
	close(leave)
	reading.Wait()
	if n := count(ctx, t, d); n != 2 {
		t.Errorf("%d items", n)
	}
	if err := put(ctx, d, 10, 3); err != nil {
		t.Error(err)
	}
}

func TestLend_AWriteInsideARead(t *testing.T) {
	t.Parallel()
	d, ctx := shared(t)
	bounded, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	err := d.Read(bounded, func(ctx context.Context, _ db.Querier) error { return put(ctx, d, 10, 2) })
	if err != nil {
		t.Fatal(err)
	}
	if n := count(ctx, t, d); n != 2 {
		t.Errorf("%d items", n)
	}
}

func TestLend_AReadMayNotWrite(t *testing.T) {
	t.Parallel()
	d, ctx := shared(t)
	for _, sql := range []string{
		"INSERT INTO lite_item (id) VALUES (7)", "DELETE FROM lite_item", "WITH x AS (SELECT 7 AS id) INSERT INTO lite_item (id) SELECT id FROM x", "CREATE TABLE lite_other (id INTEGER)",
	} {
		err := d.Read(ctx, func(ctx context.Context, q db.Querier) error { return q.Query(ctx, sql, nil) })
		if !fault.Is(err, fault.CodeInternal) || !strings.Contains(err.Error(), "for Write") {
			t.Errorf("%s: %v", sql, err)
		}
	}
	err := d.Read(ctx, func(ctx context.Context, q db.Querier) error {
		return q.Query(ctx, "WITH x AS (SELECT id FROM lite_item) SELECT id FROM x", nil)
	})
	if err != nil {
		t.Error(err)
	}
	if n := count(ctx, t, d); n != 1 {
		t.Errorf("%d items", n)
	}
}
