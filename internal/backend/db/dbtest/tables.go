package dbtest

import (
	"context"
	"errors"
	"testing"
	"testing/fstest"

	"ward/internal/backend/db"
	"ward/internal/base/scope"
)

// tables are the suite's own migrations.
func tables() fstest.MapFS {
	return fstest.MapFS{
		"0001_item.sql": {Data: []byte(`
-- An item has a number, a key that is unique within its kind, and values of all types.
CREATE TABLE dbtest_item (
    id    INTEGER PRIMARY KEY,
    kind  INTEGER NOT NULL,
    key   BLOB    NOT NULL,
    label TEXT,
    body  BLOB,
    flag  BOOLEAN,
    ratio DOUBLE PRECISION
);
CREATE UNIQUE INDEX dbtest_item_key ON dbtest_item (kind, key); -- the end`)},
		"0001_item.postgres.sql": {Data: []byte(`
-- ward:tenant-table dbtest_item
CREATE TABLE dbtest_item (
    tenant int4 NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    id     int8 NOT NULL,
    kind   int2 NOT NULL,
    key    bytea NOT NULL,
    label  text,
    body   bytea,
    flag   boolean,
    ratio  double precision,
    PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX dbtest_item_key ON dbtest_item (tenant, kind, key);`)},
		"0002_edge.sql": {Data: []byte(`
CREATE TABLE dbtest_edge (a INTEGER NOT NULL, b INTEGER NOT NULL, PRIMARY KEY (a, b));`)},
		"0002_edge.postgres.sql": {Data: []byte(`
-- ward:tenant-table dbtest_edge
CREATE TABLE dbtest_edge (
    tenant int4 NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    a int8 NOT NULL, b int8 NOT NULL, PRIMARY KEY (tenant, a, b));`)},
	}
}

// systemTables are the suite's tables in the system database; one text for both.
func systemTables() fstest.MapFS {
	return fstest.MapFS{"migrations/0001_thing.sql": {Data: []byte(`CREATE TABLE dbtest_thing (id int8 NOT NULL PRIMARY KEY, name text NOT NULL)`)}}
}

// suite is one database with the suite's tables, for one test.
type suite struct {
	*testing.T
	d    *db.DB
	base int32           // tenants of this case are base+1, base+2, ...
	ctx  context.Context //nolint:containedctx // of the first tenant, for the test's own calls
}

func newSuite(t *testing.T, d *db.DB, base int32) *suite {
	t.Helper()
	s := &suite{T: t, d: d, base: base}
	s.ctx = s.tenant(1)
	return s
}

// tenant is a context with the scope of a tenant of the case's own, from 1.
func (s *suite) tenant(n int32) context.Context { return tenant(s.Context(), s.base+n) }

func (s *suite) no(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *suite) write(fn func(ctx context.Context, tx db.Tx) error) {
	s.Helper()
	s.no(s.d.Write(s.ctx, fn))
}

// items inserts items with these numbers, of kind 1 and with the number as key.
func (s *suite) items(ctx context.Context, ids ...int64) error {
	s.Helper()
	return s.d.Write(ctx, func(ctx context.Context, tx db.Tx) error { return insertItems(ctx, tx, ids...) })
}

func insertItems(ctx context.Context, tx db.Tx, ids ...int64) error {
	kinds, keys := make([]int64, len(ids)), make([][]byte, len(ids))
	for i, id := range ids {
		kinds[i], keys[i] = 1, key(id)
	}
	_, err := tx.Insert(ctx, "dbtest_item", db.Col("id", ids), db.Col("kind", kinds), db.Col("key", keys))
	return err
}

func key(id int64) []byte {
	b := make([]byte, 8)
	for i := range b {
		b[i] = byte(id >> (56 - 8*i))
	}
	return b
}

// ids are the numbers of the items of the context's tenant, in order.
func (s *suite) ids(ctx context.Context) []int64 {
	s.Helper()
	var ids []int64
	s.no(s.d.Read(ctx, func(ctx context.Context, q db.Querier) error {
		ids = nil
		return q.Query(ctx, "SELECT id FROM dbtest_item ORDER BY id", func(r db.Row) error {
			ids = append(ids, r.Int64(0))
			return nil
		})
	}))
	return ids
}

func (s *suite) wantIDs(ctx context.Context, want ...int64) {
	s.Helper()
	got := s.ids(ctx)
	if len(got) != len(want) {
		s.Fatalf("items %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			s.Fatalf("items %v, want %v", got, want)
		}
	}
}

func (s *suite) count(ctx context.Context, table string) int64 {
	s.Helper()
	var n int64
	s.no(s.d.Read(ctx, func(ctx context.Context, q db.Querier) error {
		return q.Query(ctx, "SELECT count(*) FROM "+table, func(r db.Row) error { n = r.Int64(0); return nil })
	}))
	return n
}

func tenant(ctx context.Context, id int32) context.Context {
	return scope.WithTenant(ctx, scope.Tenant{ID: id})
}

// errTest is an error of a caller's own, which no driver knows.
var errTest = errors.New("of the test's own") //nolint:gochecknoglobals // a sentinel
