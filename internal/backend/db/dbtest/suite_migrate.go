package dbtest

import (
	"context"
	"strings"
	"testing"
	"testing/fstest"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
)

func migrateCases() map[string]func(t *testing.T, open Open) {
	return map[string]func(t *testing.T, open Open){
		"again does nothing; a further step is applied; no table is lost": func(t *testing.T, open Open) {
			d := open(t)
			files := systemTables()
			for range 2 {
				if err := d.Migrate(t.Context(), "dbtest", files); err != nil {
					t.Fatal(err)
				}
			}
			files["migrations/0002_more.sql"] = &fstest.MapFile{Data: []byte("INSERT INTO dbtest_thing VALUES (1, 'a'); INSERT INTO dbtest_thing VALUES (2, 'b');\n-- done\n")}
			for range 2 {
				if err := d.Migrate(t.Context(), "dbtest", files); err != nil {
					t.Fatal(err)
				}
			}
			var n int64
			err := d.Read(scope.WithSystem(t.Context()), func(ctx context.Context, q db.Querier) error {
				return q.Query(ctx, "SELECT count(*) FROM dbtest_thing", func(r db.Row) error { n = r.Int64(0); return nil })
			})
			if n != 2 || err != nil {
				t.Errorf("%d things, %v", n, err)
			}
		},
		"a step that fails leaves nothing of itself": func(t *testing.T, open Open) {
			d := open(t)
			files := systemTables()
			files["migrations/0002_bad.sql"] = &fstest.MapFile{Data: []byte("CREATE TABLE dbtest_other (id int8); SELECT broken;")}
			if err := d.Migrate(t.Context(), "dbtest", files); !fault.Is(err, fault.CodeInternal) || !strings.Contains(err.Error(), "dbtest/0002_bad") {
				t.Errorf("%v", err)
			}
			files["migrations/0002_bad.sql"] = &fstest.MapFile{Data: []byte("CREATE TABLE dbtest_other (id int8);")}
			if err := d.Migrate(t.Context(), "dbtest", files); err != nil {
				t.Errorf("%v", err)
			}
		},
		"a changed step and a newer database are refused": func(t *testing.T, open Open) {
			d := open(t)
			files := systemTables()
			files["migrations/0002_more.sql"] = &fstest.MapFile{Data: []byte("CREATE TABLE dbtest_more (id int8)")}
			if err := d.Migrate(t.Context(), "dbtest", files); err != nil {
				t.Fatal(err)
			}
			files["migrations/0002_more.sql"] = &fstest.MapFile{Data: []byte("CREATE TABLE dbtest_more (id int4)")}
			if err := d.Migrate(t.Context(), "dbtest", files); err == nil || !strings.Contains(fault.Message(err)+err.Error(), "was changed after it was applied") {
				t.Errorf("changed: %v", err)
			}
			delete(files, "migrations/0002_more.sql")
			if err := d.Migrate(t.Context(), "dbtest", files); err == nil || !strings.Contains(err.Error(), "newer than this Ward") {
				t.Errorf("newer: %v", err)
			}
		},
		"two domains have a line each, in every tenant's database": func(t *testing.T, open Open) {
			d := open(t)
			other := fstest.MapFS{
				"0001_x.sql":          {Data: []byte("CREATE TABLE other_x (id INTEGER PRIMARY KEY)")},
				"0001_x.postgres.sql": {Data: []byte("-- ward:tenant-table other_x\nCREATE TABLE other_x (tenant int4 NOT NULL DEFAULT current_setting('ward.tenant')::int4, id int8 NOT NULL, PRIMARY KEY (tenant, id))")},
			}
			if err := d.RegisterTenant("other", other); err != nil {
				t.Fatal(err)
			}
			if err := d.RegisterTenant("other", other); err == nil {
				t.Error("registered twice")
			}
			Migrate(t, d, "dbtest", tables())
			for id := range int32(3) {
				err := d.Write(Tenant(t, id+1), func(ctx context.Context, tx db.Tx) error {
					if _, err := tx.Insert(ctx, "other_x", db.Col("id", []int64{1, 2})); err != nil {
						return err
					}
					return insertItems(ctx, tx, 1)
				})
				if err != nil {
					t.Error(err)
				}
			}
			if err := d.MigrateTenants(t.Context()); err != nil {
				t.Error(err)
			}
		},
		"names that don't follow the rule are refused": func(t *testing.T, open Open) {
			d := open(t)
			for _, name := range []string{"1_x.sql", "x.sql", "0002_x.sql", "0000_x.sql", "0001_x.mysql.sql"} {
				if err := d.Migrate(t.Context(), "dbtest", fstest.MapFS{name: {Data: []byte("SELECT 1")}}); !fault.Is(err, fault.CodeInternal) {
					t.Errorf("%s: %v", name, err)
				}
			}
		},
	}
}
