package transfer_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"ward/internal/backend/db"
	"ward/internal/backend/db/dbtest"
	"ward/internal/base/fault"
	"ward/internal/kernel/transfer"
)

// tables have every type of column, keys of every type, and a second unique key, whose values the rows pass on to each other.
func tables() fstest.MapFS {
	return fstest.MapFS{
		"0001_t.sql": {Data: []byte(`
CREATE TABLE t_item (id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, name TEXT, body BLOB, flag BOOLEAN NOT NULL, ratio DOUBLE PRECISION, level INTEGER DEFAULT 7);
CREATE UNIQUE INDEX t_item_kind ON t_item (kind);
CREATE TABLE t_edge (a TEXT NOT NULL, b BLOB NOT NULL, c BOOLEAN NOT NULL, PRIMARY KEY (a, b, c)) WITHOUT ROWID;`)},
		"0001_t.postgres.sql": {Data: []byte(`
-- ward:tenant-table t_item
-- ward:tenant-table t_edge
CREATE TABLE t_item (tenant int4 NOT NULL DEFAULT current_setting('ward.tenant')::int4,
	id int8 NOT NULL, kind int4 NOT NULL, name text, body bytea, flag boolean NOT NULL, ratio double precision, level int2 DEFAULT 7, PRIMARY KEY (tenant, id));
CREATE UNIQUE INDEX t_item_kind ON t_item (tenant, kind);
CREATE TABLE t_edge (tenant int4 NOT NULL DEFAULT current_setting('ward.tenant')::int4,
	a text NOT NULL, b bytea NOT NULL, c boolean NOT NULL, PRIMARY KEY (tenant, a, b, c));`)},
	}
}

func open(t *testing.T, kind string) *db.DB {
	t.Helper()
	var d *db.DB
	if kind == db.SQLite {
		d = dbtest.SQLite(t)
	} else {
		d = dbtest.Postgres(t)
	}
	if err := d.RegisterTenant("transfer", transfer.Module().Migrations); err != nil {
		t.Fatal(err)
	}
	dbtest.Migrate(t, d, "t", tables())
	return d
}

func eachPair(t *testing.T, test func(t *testing.T, from, to *db.DB)) {
	t.Helper()
	for _, pair := range [][2]string{{db.SQLite, db.PostgreSQL}, {db.PostgreSQL, db.SQLite}, {db.SQLite, db.SQLite}, {db.PostgreSQL, db.PostgreSQL}} {
		t.Run(pair[0]+" to "+pair[1], func(t *testing.T) {
			t.Parallel()
			test(t, open(t, pair[0]), open(t, pair[1]))
		})
	}
}

func fill(ctx context.Context, d *db.DB, first, n int64) error {
	return d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		for id := first; id < first+n; id++ {
			args := []any{id, id, "Ärztin, " + strings.Repeat("x", int(id%5)), bytes.Repeat([]byte{byte(id)}, int(id%40)), id%2 == 0, float64(id) / 3, id % 9}
			if id%3 == 0 {
				args[2], args[5] = nil, nil
			}
			if id%4 == 0 {
				args[3] = nil
			}
			if id%5 == 0 {
				args[6] = nil
			}
			if _, err := tx.Exec(ctx, "INSERT INTO t_item (id, kind, name, body, flag, ratio, level) VALUES ($1, $2, $3, $4, $5, $6, $7)", args...); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, "INSERT INTO t_edge (a, b, c) VALUES ($1, $2, $3)", []string{"", "a", "é,\""}[id%3], []byte{byte(id >> 8), byte(id)}, id%2 == 0); err != nil {
				return err
			}
		}
		return nil
	})
}

func digest(ctx context.Context, t *testing.T, d *db.DB) map[string]transfer.Count {
	t.Helper()
	all, err := transfer.Digest(ctx, d)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// trouble writes until told to stop: it adds, changes, deletes, moves keys, and lets rows swap what is unique.
func trouble(ctx context.Context, d *db.DB, seed uint64, stop <-chan struct{}) error {
	r := rand.New(rand.NewPCG(seed, 1))
	next := int64(seed * 1_000_000)
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		next++
		some := r.Int64N(3000)
		err := d.Write(ctx, func(ctx context.Context, tx db.Tx) (err error) {
			switch r.IntN(5) {
			case 0:
				_, err = tx.Exec(ctx, "INSERT INTO t_item (id, kind, flag) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", next, next, true)
			case 1:
				_, err = tx.Exec(ctx, "DELETE FROM t_item WHERE id = $1", some)
			case 2:
				_, err = tx.Exec(ctx, "UPDATE t_item SET name = $2, id = $3 WHERE id = $1", some, "moved", next+10_000_000)
			case 3: // two rows swap what is unique
				if err := tx.Lock(ctx, "swap"); err != nil {
					return err
				}
				if _, err = tx.Exec(ctx, "UPDATE t_item SET kind = -kind - 1 WHERE id = $1 AND kind >= 0", some); err != nil {
					return err
				}
				_, err = tx.Exec(ctx, "UPDATE t_item SET kind = 100000000 + kind WHERE id = $1 AND kind < 50000", some+1)
			case 4:
				_, err = tx.Exec(ctx, "DELETE FROM t_edge WHERE b = $1", []byte{byte(some >> 8), byte(some)})
			}
			return err
		})
		if errors.Is(err, db.ErrMoved) {
			return nil
		}
		if err != nil && !errors.Is(err, db.ErrUnique) && !fault.Is(err, fault.CodeUnavailable) {
			return err
		}
	}
}

func TestCopy_EqualWhileWritten(t *testing.T) {
	t.Parallel()
	eachPair(t, func(t *testing.T, from, to *db.DB) {
		ctx, other := dbtest.Tenant(t, 7), dbtest.Tenant(t, 8)
		for _, c := range []context.Context{ctx, other} {
			if err := fill(c, from, 0, 3000); err != nil {
				t.Fatal(err)
			}
		}
		if err := fill(other, to, 0, 100); err != nil {
			t.Fatal(err)
		}
		before, there := digest(other, t, from), digest(other, t, to)
		if err := transfer.Track(ctx, from); err != nil {
			t.Fatal(err)
		}
		stop := make(chan struct{})
		var writers sync.WaitGroup
		for seed := range uint64(3) {
			writers.Go(func() {
				if err := trouble(ctx, from, seed+1, stop); err != nil {
					t.Error(err)
				}
			})
		}
		c, err := transfer.NewCopier(ctx, from, to)
		if err != nil {
			t.Fatal(err)
		}
		if size, err := c.Size(ctx); err != nil || size < 5000 {
			t.Errorf("%d rows, %v", size, err)
		}
		for _, step := range []func(context.Context) error{c.Copy, c.Compare} {
			if err := step(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if from.Dialect().Name == db.SQLite {
			close(stop)
			writers.Wait()
		}
		if err := transfer.Close(ctx, from); err != nil {
			t.Fatal(err)
		}
		if from.Dialect().Name == db.PostgreSQL {
			writers.Wait() // the fence has stopped them
			if err := fill(ctx, from, 9000, 1); !errors.Is(err, db.ErrMoved) {
				t.Errorf("a write after the fence was closed: %v", err)
			}
			if err := fill(other, from, 9000, 0); err != nil {
				t.Error(err)
			}
		}
		if _, err := c.CatchUp(ctx); err != nil {
			t.Fatal(err)
		}
		if err := c.CompareCounts(ctx); err != nil {
			t.Fatal(err)
		}
		if c.Changes() == 0 {
			t.Error("nothing was written meanwhile")
		}
		if got, want := digest(ctx, t, to), digest(ctx, t, from); !reflect.DeepEqual(got, want) {
			t.Errorf("the copy differs:\n%v\n%v", got, want)
		}
		if got := digest(other, t, from); !reflect.DeepEqual(got, before) {
			t.Error("another tenant's rows at the old place changed")
		}
		if err := transfer.Untrack(ctx, from); err != nil {
			t.Fatal(err)
		}
		if err := fill(ctx, from, 20_000, 1); err != nil {
			t.Errorf("a write after the triggers were taken away: %v", err)
		}
		if err := transfer.Clear(ctx, from); err != nil {
			t.Fatal(err)
		}
		if empty, err := transfer.Empty(ctx, from); err != nil || !empty {
			t.Errorf("empty: %v, %v", empty, err)
		}
		if got := digest(other, t, from); !reflect.DeepEqual(got, before) {
			t.Error("another tenant's rows were cleared too")
		}
		if got := digest(other, t, to); !reflect.DeepEqual(got, there) {
			t.Error("another tenant's rows at the new place changed")
		}
	})
}

func TestCompare_FindsWhatDiffers(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]string{
		"a value":       "UPDATE t_item SET name = 'other' WHERE id = 1700",
		"a missing row": "DELETE FROM t_item WHERE id = 3",
		"one row more":  "INSERT INTO t_item (id, kind, flag) VALUES (77777, 77777, false)",
		"NULL or empty": "UPDATE t_item SET body = '' WHERE id = 4",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from, to := open(t, db.SQLite), open(t, db.PostgreSQL)
			ctx := dbtest.Tenant(t, 7)
			if err := fill(ctx, from, 0, 2000); err != nil {
				t.Fatal(err)
			}
			c, err := transfer.NewCopier(ctx, from, to)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Copy(ctx); err != nil {
				t.Fatal(err)
			}
			if err := c.Compare(ctx); err != nil {
				t.Fatal(err)
			}
			if err := to.Write(ctx, func(ctx context.Context, tx db.Tx) error { _, err := tx.Exec(ctx, damage); return err }); err != nil {
				t.Fatal(err)
			}
			if err := c.Compare(ctx); !fault.Is(err, fault.CodeInternal) || !strings.Contains(err.Error(), "t_item") {
				t.Errorf("not found: %v", err)
			}
		})
	}
}

func TestTrack_TenantsOfOneDatabaseAreTrackedEachForItself(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		if err := d.RegisterTenant("transfer", transfer.Module().Migrations); err != nil {
			t.Fatal(err)
		}
		dbtest.Migrate(t, d, "t", tables())
		ctx, other := dbtest.Tenant(t, 7), dbtest.Tenant(t, 8)
		for range 2 { // again is fine
			if err := transfer.Track(ctx, d); err != nil {
				t.Fatal(err)
			}
		}
		var notes atomic.Int64
		for _, c := range []context.Context{ctx, other} {
			if err := fill(c, d, 0, 10); err != nil {
				t.Fatal(err)
			}
		}
		for c, want := range map[context.Context]int64{ctx: 20, other: 0} {
			err := d.Read(c, func(ctx context.Context, q db.Querier) error {
				return q.Query(ctx, "SELECT count(*) FROM transfer_change", func(r db.Row) error { notes.Store(r.Int64(0)); return nil })
			})
			if err != nil || notes.Load() != want {
				t.Errorf("%d notes, want %d: %v", notes.Load(), want, err)
			}
		}
	})
}
