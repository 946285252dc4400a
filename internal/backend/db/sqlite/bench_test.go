package sqlite_test

import (
	"context"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/fstest"

	zombiezen "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"ward/internal/backend/db"
	"ward/internal/backend/db/dbtest"
	"ward/internal/backend/db/sqlite"
	"ward/internal/base/scope"
)

// Every benchmark runs the bare driver first, on the same machine and disk, and prints the seam's ratio to it.

const benchTables = `
CREATE TABLE bench_row (rid INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE bench_index (atom INTEGER NOT NULL, key BLOB NOT NULL, rid INTEGER NOT NULL, PRIMARY KEY (atom, key, rid)) WITHOUT ROWID;`

func benchOpen(b *testing.B) (*db.DB, context.Context) {
	b.Helper()
	d, err := sqlite.Open(b.Context(), sqlite.Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = d.Close(context.Background()) })
	if err := d.RegisterTenant("bench", fstest.MapFS{"0001_bench.sql": {Data: []byte(benchTables)}}); err != nil {
		b.Fatal(err)
	}
	return d, scope.WithTenant(b.Context(), scope.Tenant{ID: 1, Slug: "bench"})
}

func bareOpen(b *testing.B) *zombiezen.Conn {
	b.Helper()
	c, err := zombiezen.OpenConn(filepath.Join(b.TempDir(), "bare.db"), zombiezen.OpenReadWrite|zombiezen.OpenCreate)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close() })
	for _, p := range []string{"PRAGMA journal_mode=wal", "PRAGMA synchronous=full", "PRAGMA mmap_size=67108864", "PRAGMA wal_autocheckpoint=4000"} {
		if err := sqlitex.ExecuteTransient(c, p, nil); err != nil {
			b.Fatal(err)
		}
	}
	if err := sqlitex.ExecuteScript(c, benchTables, nil); err != nil {
		b.Fatal(err)
	}
	return c
}

const benchRows = 100_000

const fillText = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 100000) INSERT INTO bench_row SELECT i, randomblob(300) FROM n"

func BenchmarkPointRead(b *testing.B) {
	const text = "SELECT rid, body FROM bench_row WHERE rid = $1"
	dbtest.Compare(b, "reads/s", 1, func(b *testing.B) {
		c := bareOpen(b)
		if err := sqlitex.ExecuteTransient(c, fillText, nil); err != nil {
			b.Fatal(err)
		}
		st, err := c.Prepare(text)
		if err != nil {
			b.Fatal(err)
		}
		buf := make([]byte, 1024)
		b.ResetTimer()
		for i := range b.N {
			st.BindInt64(1, int64(i*7919%benchRows+1))
			if ok, err := st.Step(); !ok || err != nil {
				b.Fatal(ok, err)
			}
			if st.ColumnInt64(0) == 0 || st.ColumnBytes(1, buf) != 300 {
				b.Fatal("row")
			}
			_ = st.Reset()
		}
	}, func(b *testing.B) {
		d, ctx := benchOpen(b)
		if err := d.Write(ctx, func(ctx context.Context, tx db.Tx) error { _, err := tx.Exec(ctx, fillText); return err }); err != nil {
			b.Fatal(err)
		}
		b.ResetTimer()
		each := func(r db.Row) error {
			if r.Int64(0) == 0 || len(r.Bytes(1)) != 300 {
				b.Fatal("row")
			}
			return nil
		}
		for i := range b.N {
			key := int64(i*7919%benchRows + 1)
			if err := d.Read(ctx, func(ctx context.Context, q db.Querier) error { return q.Query(ctx, text, each, key) }); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkLookup100(b *testing.B) {
	keys := make([]int64, 100)
	set := func(i int) {
		for k := range keys {
			keys[k] = int64((i*100+k)*7919%benchRows + 1)
		}
	}
	dbtest.Compare(b, "rows/s", 100, func(b *testing.B) {
		c := bareOpen(b)
		if err := sqlitex.ExecuteTransient(c, fillText, nil); err != nil {
			b.Fatal(err)
		}
		st, err := c.Prepare("SELECT rid, body FROM bench_row WHERE rid = $1")
		if err != nil {
			b.Fatal(err)
		}
		buf := make([]byte, 1024)
		b.ResetTimer()
		for i := range b.N {
			set(i)
			for _, k := range keys {
				st.BindInt64(1, k)
				if ok, err := st.Step(); !ok || err != nil {
					b.Fatal(ok, err)
				}
				st.ColumnBytes(1, buf)
				_ = st.Reset()
			}
		}
	}, func(b *testing.B) {
		d, ctx := benchOpen(b)
		if err := d.Write(ctx, func(ctx context.Context, tx db.Tx) error { _, err := tx.Exec(ctx, fillText); return err }); err != nil {
			b.Fatal(err)
		}
		b.ResetTimer()
		for i := range b.N {
			set(i)
			n := 0
			err := d.Read(ctx, func(ctx context.Context, q db.Querier) error {
				return q.Lookup(ctx, db.Lookup{Table: "bench_row", Want: []string{"rid", "body"}, Keys: []db.Column{db.Col("rid", keys)}}, func(_ int, r db.Row) error {
					n += len(r.Bytes(1)) / 300
					return nil
				})
			})
			if err != nil || n != 100 {
				b.Fatal(n, err)
			}
		}
	})
}

func bareUnit(c *zombiezen.Conn, u dbtest.Unit) error {
	row, err := c.Prepare("INSERT INTO bench_row (rid, body) VALUES ($1, $2)")
	if err != nil {
		return err
	}
	row.BindInt64(1, u.ID)
	row.BindBytes(2, u.Body)
	if _, err := row.Step(); err != nil {
		return err
	}
	index, err := c.Prepare("INSERT INTO bench_index (atom, key, rid) VALUES ($1, $2, $3)")
	if err != nil {
		return err
	}
	for a, k := range u.Keys {
		index.BindInt64(1, int64(a))
		index.BindBytes(2, k)
		index.BindInt64(3, u.ID)
		if _, err := index.Step(); err != nil {
			return err
		}
		_ = index.Reset()
	}
	return nil
}

// BenchmarkInsertGroups writes 64 units per transaction, one goroutine.
func BenchmarkInsertGroups(b *testing.B) {
	const size = 64
	dbtest.Compare(b, "units/s", size, func(b *testing.B) {
		c := bareOpen(b)
		b.ResetTimer()
		for i := range b.N {
			_ = sqlitex.Execute(c, "BEGIN IMMEDIATE", nil)
			for k := range size {
				if err := bareUnit(c, dbtest.NewUnit(int64(i*size+k+1))); err != nil {
					b.Fatal(err)
				}
			}
			if err := sqlitex.Execute(c, "COMMIT", nil); err != nil {
				b.Fatal(err)
			}
		}
	}, func(b *testing.B) {
		d, ctx := benchOpen(b)
		us := make([]dbtest.Unit, size)
		b.ResetTimer()
		for i := range b.N {
			for k := range us {
				us[k] = dbtest.NewUnit(int64(i*size + k + 1))
			}
			if err := d.Write(ctx, func(ctx context.Context, tx db.Tx) error { return dbtest.InsertUnits(ctx, tx, us) }); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkGroupCommit writes one unit per call from 64 goroutines; bare is a transaction of its own for each.
func BenchmarkGroupCommit(b *testing.B) {
	dbtest.Compare(b, "units/s", 1, func(b *testing.B) {
		c := bareOpen(b)
		b.ResetTimer()
		for i := range b.N {
			_ = sqlitex.Execute(c, "BEGIN IMMEDIATE", nil)
			if err := bareUnit(c, dbtest.NewUnit(int64(i+1))); err != nil {
				b.Fatal(err)
			}
			if err := sqlitex.Execute(c, "COMMIT", nil); err != nil {
				b.Fatal(err)
			}
		}
	}, func(b *testing.B) {
		d, ctx := benchOpen(b)
		var n atomic.Int64
		b.SetParallelism(32)
		b.ResetTimer()
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				u := []dbtest.Unit{dbtest.NewUnit(n.Add(1))}
				if err := d.Write(ctx, func(ctx context.Context, tx db.Tx) error { return dbtest.InsertUnits(ctx, tx, u) }); err != nil {
					b.Error(err)
				}
			}
		})
		s := d.Stats()
		b.ReportMetric(float64(s.Writes)/float64(s.Commits), "writes/commit")
	})
}

// BenchmarkBatcher writes one unit per call from 64 goroutines through a Batcher: rows of many callers in one statement.
func BenchmarkBatcher(b *testing.B) {
	d, ctx := benchOpen(b)
	batcher := db.NewBatcher(d, func(ctx context.Context, tx db.Tx, us []dbtest.Unit, _ []error) error {
		return dbtest.InsertUnits(ctx, tx, us)
	}, db.BatcherOptions{})
	var n atomic.Int64
	b.SetParallelism(32)
	b.ResetTimer()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if err := batcher.Do(ctx, dbtest.NewUnit(n.Add(1))); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "units/s")
	b.ReportMetric(float64(b.N)/float64(d.Stats().Commits), "writes/commit")
}
