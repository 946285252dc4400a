package postgres_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"ward/internal/backend/db"
	"ward/internal/backend/db/dbtest"
	"ward/internal/backend/db/postgres"
	"ward/internal/base/fault"
	"ward/internal/base/testenv"
)

const server = "WARD_TEST_POSTGRES"

func TestConformance(t *testing.T) {
	t.Parallel()
	testenv.URL(t, server)
	dbtest.Run(t, dbtest.Postgres)
}

// itemTables are a tenant table of the tests.
func itemTables() fstest.MapFS {
	return fstest.MapFS{"0001_item.sql": {Data: []byte(`
-- ward:tenant-table pg_item
CREATE TABLE pg_item (
    tenant int4 NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    id int8 NOT NULL, kind int2 NOT NULL, key bytea NOT NULL, body text,
    PRIMARY KEY (tenant, id));
CREATE UNIQUE INDEX pg_item_key ON pg_item (tenant, kind, key);`)}}
}

func TestIsolation_EveryTableAndVerb(t *testing.T) {
	t.Parallel()
	d, at := dbtest.PostgresAt(t)
	dbtest.Migrate(t, d, "pg", itemTables())
	if err := d.Migrate(t.Context(), "pg", fstest.MapFS{"0001_thing.sql": {Data: []byte("CREATE TABLE pg_thing (id int8 PRIMARY KEY, name text)")}}); err != nil {
		t.Fatal(err)
	}
	dbtest.Isolation(t, at, nil)
}

func TestMigrate_RefusesTablesThatDontKeepTenantsApart(t *testing.T) {
	t.Parallel()
	const column = "tenant int4 NOT NULL DEFAULT current_setting('ward.tenant')::int4"
	for name, sql := range map[string]string{
		"not declared":                    "CREATE TABLE pg_bad (" + column + ", id int8, PRIMARY KEY (tenant, id))",
		"no column":                       "-- ward:tenant-table pg_bad\nCREATE TABLE pg_bad (id int8 PRIMARY KEY)",
		"tenant not in the key":           "-- ward:tenant-table pg_bad\nCREATE TABLE pg_bad (" + column + ", id int8 PRIMARY KEY)",
		"a unique index over all tenants": "-- ward:tenant-table pg_bad\nCREATE TABLE pg_bad (" + column + ", id int8, n int8, PRIMARY KEY (tenant, id)); CREATE UNIQUE INDEX ON pg_bad (n)",
		"a view":                          "CREATE VIEW pg_bad AS SELECT 1",
		"a further policy":                "-- ward:tenant-table pg_bad\nCREATE TABLE pg_bad (" + column + ", id int8, PRIMARY KEY (tenant, id)); CREATE POLICY more ON pg_bad USING (true)",
		"a system table with tenants":     "-- ward:tenant-table pg_bad\nCREATE TABLE pg_bad (" + column + ", id int8, PRIMARY KEY (tenant, id))",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := dbtest.Postgres(t)
			files := fstest.MapFS{"0001_bad.sql": {Data: []byte(sql)}}
			var err error
			if strings.HasPrefix(name, "a system") {
				err = d.Migrate(t.Context(), "pg", files)
			} else {
				if err := d.RegisterTenant("pg", files); err != nil {
					t.Fatal(err)
				}
				err = d.MigrateTenants(t.Context())
			}
			if !fault.Is(err, fault.CodeInternal) || !strings.Contains(err.Error(), "pg/0001_bad") {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestMigrate_ManyProcessesAtOnce(t *testing.T) {
	t.Parallel()
	at := dbtest.PostgresURL(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			d, err := postgres.Open(t.Context(), postgres.Config{URL: at, MaxConns: 2})
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = d.Close(context.WithoutCancel(t.Context())) }()
			if err := d.RegisterTenant("pg", itemTables()); err != nil {
				t.Error(err)
			}
			if err := d.MigrateTenants(t.Context()); err != nil {
				t.Error(err)
			}
			if err := d.Migrate(t.Context(), "pg", fstest.MapFS{"0001_thing.sql": {Data: []byte("CREATE TABLE pg_thing (id int8 PRIMARY KEY)")}}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestOpen_SaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	at := dbtest.PostgresURL(t)
	for name, c := range map[string]struct{ url, want string }{
		"no URL":           {"postgres://%zz", "is not a connection string"},
		"no server":        {"postgres://ward:secret@127.0.0.1:1/x", "not available"},
		"no such database": {at + "_gone", "not available"},
	} {
		_, err := postgres.Open(t.Context(), postgres.Config{URL: c.url})
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestOpen_RefusesARoleThatOwnsTheTables(t *testing.T) {
	t.Parallel()
	d, at := dbtest.PostgresAt(t)
	dbtest.Migrate(t, d, "pg", itemTables())
	bareConn2(t, at, "GRANT CREATE ON SCHEMA ward TO ward_app; ALTER TABLE ward.pg_item OWNER TO ward_app")
	if _, err := postgres.Open(t.Context(), postgres.Config{URL: at}); err == nil || !strings.Contains(err.Error(), "owns Ward's tables") {
		t.Errorf("%v", err)
	}
}

// TestPlans_UseTheKeys looks at the plans of a table that was small when they were made, and under the application's role.
func TestPlans_UseTheKeys(t *testing.T) {
	t.Parallel()
	d := dbtest.Postgres(t)
	dbtest.Migrate(t, d, "pg", itemTables())
	ctx := dbtest.Tenant(t, 1)
	l := db.Lookup{Table: "pg_item", Want: []string{"id", "body"}, Keys: []db.Column{db.Col("kind", []int64{1}), db.Col("key", [][]byte{{1}})}}
	del := []db.Column{db.Col("id", []int64{1})}
	plan := func(sql string, args ...any) string {
		var lines []string
		err := d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
			return tx.Query(ctx, "EXPLAIN "+sql, func(r db.Row) error { lines = append(lines, r.Text(0)); return nil }, args...)
		})
		if err != nil {
			t.Error(err)
		}
		return strings.Join(lines, "\n")
	}
	check := func(when string) {
		for sql, index := range map[string]string{
			strings.Replace(strings.Replace(postgres.LookupText(&l), "$1::int8[]", "ARRAY[1::int8]", 1), "$2::bytea[]", "ARRAY['\\x01'::bytea]", 1): "pg_item_key",
			"SELECT body FROM pg_item WHERE id = 5":                                          "pg_item_pkey",
			"SELECT body FROM pg_item WHERE kind = 1 AND key > '\\x05' ORDER BY key LIMIT 5": "pg_item_key",
		} {
			if p := plan(sql); !strings.Contains(p, index) || strings.Contains(p, "Seq Scan") || !strings.Contains(p, "Index Cond: (") {
				t.Errorf("%s: %s\n%s", when, sql, p)
			}
		}
	}
	fill := func(from, n int) {
		err := d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
			_, err := tx.Exec(ctx, "INSERT INTO pg_item (id, kind, key) SELECT i, 1, int8send(i) FROM generate_series($1::int8, $2::int8) i", from, from+n-1)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	check("empty")
	fill(1, 5000)
	check("5,000 rows, never analysed")
	sql := strings.Replace(postgres.DeleteText("pg_item", del), "$1::int8[]", "ARRAY[1::int8, 2, 3]", 1)
	if p := plan(sql); !strings.Contains(p, "pg_item_pkey") {
		t.Errorf("delete:\n%s", p)
	}
}

// TestMessages_KeepValuesOut: PostgreSQL quotes values in its messages; Ward must not repeat them.
func TestMessages_KeepValuesOut(t *testing.T) {
	t.Parallel()
	d := dbtest.Postgres(t)
	dbtest.Migrate(t, d, "pg", itemTables())
	ctx := dbtest.Tenant(t, 1)
	const secret = "Erika Mustermann"
	for name, fn := range map[string]func(ctx context.Context, tx db.Tx) error{
		"unique": func(ctx context.Context, tx db.Tx) error {
			_, err := tx.Insert(ctx, "pg_item", db.Col("id", []int64{1, 2}), db.Col("kind", []int64{1, 1}), db.Col("key", [][]byte{[]byte(secret), []byte(secret)}))
			return err
		},
		"cast": func(ctx context.Context, tx db.Tx) error {
			return tx.Query(ctx, "SELECT $1::text::int8", nil, secret)
		},
		"null": func(ctx context.Context, tx db.Tx) error {
			_, err := tx.Exec(ctx, "INSERT INTO pg_item (id, body) VALUES (1, $1)", secret)
			return err
		},
		"character": func(ctx context.Context, tx db.Tx) error {
			_, err := tx.Exec(ctx, "INSERT INTO pg_item (id, kind, key, body) VALUES (1, 1, '', $1)", secret+"\x00")
			return err
		},
		"number": func(ctx context.Context, tx db.Tx) error {
			_, err := tx.Exec(ctx, "INSERT INTO pg_item (id, kind, key, body) VALUES (1, $1, '', $2)", 70000, secret)
			return err
		},
	} {
		err := d.Write(ctx, fn)
		if err == nil || strings.Contains(fmt.Sprintf("%v %+v", err, err), "Erika") || strings.Contains(err.Error(), "70000") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
