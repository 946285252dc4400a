package postgres_test

import (
	"context"
	"encoding/binary"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5/pgconn"

	"ward/internal/backend/db"
	"ward/internal/backend/db/dbtest"
)

// Every benchmark runs bare pgconn first, as the tables' owner without row-level security, and prints the seam's ratio to it.

const benchTables = `
-- ward:tenant-table bench_row
-- ward:tenant-table bench_index
CREATE TABLE bench_row (tenant int4 NOT NULL DEFAULT current_setting('ward.tenant')::int4, rid int8 NOT NULL, body bytea NOT NULL, PRIMARY KEY (tenant, rid));
CREATE TABLE bench_index (tenant int4 NOT NULL DEFAULT current_setting('ward.tenant')::int4, atom int4 NOT NULL, key bytea NOT NULL, rid int8 NOT NULL, PRIMARY KEY (tenant, atom, key, rid));`

const bareTables = `
CREATE TABLE bare_row (rid int8 PRIMARY KEY, body bytea NOT NULL);
CREATE TABLE bare_index (atom int4 NOT NULL, key bytea NOT NULL, rid int8 NOT NULL, PRIMARY KEY (atom, key, rid));`

const benchRows = 100_000

const fillText = "SELECT i, decode(repeat(md5(i::text), 10), 'escape')::bytea FROM generate_series(1, 100000) i"

func benchOpen(b *testing.B) (*db.DB, *pgconn.PgConn) {
	b.Helper()
	d, at := dbtest.PostgresAt(b)
	dbtest.Migrate(b, d, "bench", fstest.MapFS{"0001_bench.sql": {Data: []byte(benchTables)}})
	return d, bareConn(b, at, bareTables)
}

func bareConn(b *testing.B, at, script string) *pgconn.PgConn {
	b.Helper()
	c, err := pgconn.Connect(b.Context(), at)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close(context.Background()) })
	if _, err := c.Exec(b.Context(), script).ReadAll(); err != nil {
		b.Fatal(err)
	}
	return c
}

func BenchmarkPointRead(b *testing.B) {
	d, bare := benchOpen(b)
	ctx := dbtest.Tenant(b, 1)
	if _, err := bare.Exec(ctx, "INSERT INTO bare_row "+fillText+"; ANALYZE").ReadAll(); err != nil {
		b.Fatal(err)
	}
	err := d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		_, err := tx.Exec(ctx, "INSERT INTO bench_row (rid, body) "+fillText)
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := bare.Exec(ctx, "ANALYZE; CHECKPOINT").ReadAll(); err != nil {
		b.Fatal(err)
	}
	dbtest.Compare(b, "reads/s", 1, func(b *testing.B) {
		background := context.Background() // pgconn watches any other, at a cost
		_ = bare.Deallocate(background, "point")
		if _, err := bare.Prepare(background, "point", "SELECT rid, body FROM bare_row WHERE rid = $1", nil); err != nil {
			b.Fatal(err)
		}
		key, params, formats := make([]byte, 8), make([][]byte, 1), []int16{1}
		b.ResetTimer()
		for i := range b.N {
			binary.BigEndian.PutUint64(key, uint64(i*7919%benchRows+1))
			params[0] = key
			r := bare.ExecPrepared(background, "point", params, formats, formats)
			if !r.NextRow() || len(r.Values()[1]) != 320 {
				b.Fatal("row")
			}
			if _, err := r.Close(); err != nil {
				b.Fatal(err)
			}
		}
	}, func(b *testing.B) {
		each := func(r db.Row) error {
			if r.Int64(0) == 0 || len(r.Bytes(1)) != 320 {
				b.Fatal("row")
			}
			return nil
		}
		b.ResetTimer()
		for i := range b.N {
			key := int64(i*7919%benchRows + 1)
			err := d.Read(ctx, func(ctx context.Context, q db.Querier) error {
				return q.Query(ctx, "SELECT rid, body FROM bench_row WHERE rid = $1", each, key)
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("seam64", func(b *testing.B) {
		b.SetParallelism(32)
		b.RunParallel(func(p *testing.PB) {
			for i := 0; p.Next(); i++ {
				key := int64(i*7919%benchRows + 1)
				err := d.Read(ctx, func(ctx context.Context, q db.Querier) error {
					return q.Query(ctx, "SELECT rid, body FROM bench_row WHERE rid = $1", func(db.Row) error { return nil }, key)
				})
				if err != nil {
					b.Error(err)
				}
			}
		})
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "reads/s")
	})
	b.Run("lookup100", func(b *testing.B) {
		keys := make([]int64, 100)
		for i := range b.N {
			for k := range keys {
				keys[k] = int64((i*100+k)*7919%benchRows + 1)
			}
			n := 0
			err := d.Read(ctx, func(ctx context.Context, q db.Querier) error {
				return q.Lookup(ctx, db.Lookup{Table: "bench_row", Want: []string{"rid", "body"}, Keys: []db.Column{db.Col("rid", keys)}}, func(int, db.Row) error { n++; return nil })
			})
			if err != nil || n != 100 {
				b.Fatal(n, err)
			}
		}
		b.ReportMetric(100*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	})
}

const (
	bareRow   = "INSERT INTO bare_row SELECT * FROM unnest($1::int8[], $2::bytea[])"
	bareIndex = "INSERT INTO bare_index SELECT * FROM unnest($1::int4[], $2::bytea[], $3::int8[])"
)

// bareUnits writes units in one transaction of one round trip, with arrays.
func bareUnits(ctx context.Context, c *pgconn.PgConn, us []dbtest.Unit) error {
	var rids, bodies, atoms, keys, owners []byte
	n := len(us)
	head := func(oid uint32, n, nulls int) []byte {
		b := binary.BigEndian.AppendUint32(nil, 1)
		b = binary.BigEndian.AppendUint32(b, uint32(nulls))
		b = binary.BigEndian.AppendUint32(b, oid)
		b = binary.BigEndian.AppendUint32(b, uint32(n))
		return binary.BigEndian.AppendUint32(b, 1)
	}
	i64 := func(b []byte, v int64) []byte {
		return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(b, 8), uint64(v))
	}
	raw := func(b, v []byte) []byte { return append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...) }
	rids, bodies = head(20, n, 0), head(17, n, 0)
	atoms, keys, owners = head(23, 12*n, 0), head(17, 12*n, 0), head(20, 12*n, 0)
	for _, u := range us {
		rids, bodies = i64(rids, u.ID), raw(bodies, u.Body)
		for a, k := range u.Keys {
			atoms = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(atoms, 4), uint32(a))
			keys, owners = raw(keys, k), i64(owners, u.ID)
		}
	}
	batch := &pgconn.Batch{}
	batch.ExecPrepared("begin", nil, nil, nil)
	batch.ExecPrepared("row", [][]byte{rids, bodies}, []int16{1}, nil)
	batch.ExecPrepared("index", [][]byte{atoms, keys, owners}, []int16{1}, nil)
	batch.ExecPrepared("commit", nil, nil, nil)
	return c.ExecBatch(ctx, batch).Close()
}

func bareInsert(b *testing.B, bare *pgconn.PgConn, size int) {
	b.Helper()
	ctx := context.Background()
	for name, sql := range map[string]string{"begin": "BEGIN", "row": bareRow, "index": bareIndex, "commit": "COMMIT"} {
		_ = bare.Deallocate(ctx, name)
		if _, err := bare.Prepare(ctx, name, sql, nil); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := bare.Exec(ctx, "TRUNCATE bare_row, bare_index").ReadAll(); err != nil {
		b.Fatal(err)
	}
	us := make([]dbtest.Unit, size)
	b.ResetTimer()
	for i := range b.N {
		for k := range us {
			us[k] = dbtest.NewUnit(int64(i*size + k + 1))
		}
		if err := bareUnits(ctx, bare, us); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkInsertGroups(b *testing.B) {
	const size = 64
	d, bare := benchOpen(b)
	var tenants int32
	dbtest.Compare(b, "units/s", size, func(b *testing.B) { bareInsert(b, bare, size) }, func(b *testing.B) {
		tenants++
		ctx, us := dbtest.Tenant(b, tenants), make([]dbtest.Unit, size)
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

// BenchmarkGroupCommit writes one unit per call from 64 goroutines; bare is one connection with a transaction of its own for each.
func BenchmarkGroupCommit(b *testing.B) {
	d, bare := benchOpen(b)
	tenants := int32(10)
	dbtest.Compare(b, "units/s", 1, func(b *testing.B) { bareInsert(b, bare, 1) }, func(b *testing.B) {
		tenants++
		ctx := dbtest.Tenant(b, tenants)
		batcher := db.NewBatcher(d, func(ctx context.Context, tx db.Tx, us []dbtest.Unit, _ []error) error {
			return dbtest.InsertUnits(ctx, tx, us)
		}, db.BatcherOptions{})
		before := d.Stats().Commits
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
		b.ReportMetric(float64(b.N)/float64(d.Stats().Commits-before), "writes/commit")
	})
}
