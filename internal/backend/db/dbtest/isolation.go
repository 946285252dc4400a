package dbtest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// Isolation shows on a PostgreSQL database with all its migrations that no tenant reaches another's rows: for every table of the tenants and every verb it
// tries, as the application's role, another tenant, no tenant and an empty one, and both roles on the other side's tables. at is the database's URL, of a role that may become
// ward_app and ward_system. rows gives, for tables whose constraints a made-up row would break, the columns and values of one, such as
// "(a, b) VALUES (1, 'x')". It leaves the database as it was.
func Isolation(t *testing.T, at string, rows map[string]string) {
	t.Helper()
	p := &prober{T: t, at: at, rows: rows}
	tables := p.tables("ward")
	if len(tables) == 0 {
		t.Fatal("no tenant tables: migrate first")
	}
	for _, table := range tables {
		t.Run(table, func(t *testing.T) {
			q := *p
			q.T = t
			q.table(table)
		})
	}
	for _, role := range []string{"ward_app", "ward_system"} {
		own := map[string]string{"ward_app": "ward", "ward_system": "system"}[role]
		t.Run(role+" elsewhere", func(t *testing.T) {
			q := *p
			q.T = t
			c := q.connect(role, own)
			for _, schema := range []string{"ward", "system"} {
				names := []string{"ward_migration"}
				if schema != own {
					names = append(names, p.tables(schema)...)
				}
				for _, name := range names {
					table := schema + "." + name
					for _, sql := range []string{
						"SELECT FROM " + table, "INSERT INTO " + table + " DEFAULT VALUES", "UPDATE " + table + " SET " + q.column(name, schema) + " = NULL",
						"DELETE FROM " + table, "TRUNCATE " + table,
					} {
						q.refused(c, sql, "42501")
					}
				}
			}
		})
	}
}

type prober struct {
	*testing.T
	at   string
	rows map[string]string
}

// connect is a session of a role, without a tenant.
func (p *prober) connect(role, schema string) *pgconn.PgConn {
	p.Helper()
	config, err := pgconn.ParseConfig(p.at)
	if err != nil {
		p.Fatal("the URL can't be parsed")
	}
	if role != "" {
		config.RuntimeParams["role"] = role
		config.RuntimeParams["search_path"] = schema
	}
	c, err := pgconn.ConnectConfig(p.Context(), config)
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

func (p *prober) tables(schema string) []string {
	p.Helper()
	var names []string
	for _, r := range p.query(p.connect("", ""), "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE nspname = '"+schema+"' AND relkind IN ('r', 'p') AND relname <> 'ward_migration' ORDER BY 1") {
		names = append(names, string(r[0]))
	}
	return names
}

func (p *prober) column(table, schema string) string {
	p.Helper()
	r := p.query(p.connect("", ""), "SELECT column_name FROM information_schema.columns WHERE table_schema = '"+schema+"' AND table_name = '"+table+"' ORDER BY ordinal_position DESC LIMIT 1")
	return string(r[0][0])
}

func (p *prober) query(c *pgconn.PgConn, sql string) [][][]byte {
	p.Helper()
	results, err := c.Exec(p.Context(), sql).ReadAll()
	if err != nil {
		p.Fatalf("%s: %v", sql, err)
	}
	return results[len(results)-1].Rows
}

// changes is how many rows a statement changes.
func (p *prober) changes(c *pgconn.PgConn, sql string) int64 {
	p.Helper()
	results, err := c.Exec(p.Context(), sql).ReadAll()
	if err != nil {
		p.Fatalf("%s: %v", sql, err)
	}
	return results[len(results)-1].CommandTag.RowsAffected()
}

// refused runs a statement that must fail with one of the codes; the transaction goes on.
func (p *prober) refused(c *pgconn.PgConn, sql string, codes ...string) {
	p.Helper()
	inside := c.TxStatus() == 'T'
	if inside {
		p.query(c, "SAVEPOINT refused")
	}
	_, err := c.Exec(p.Context(), sql).ReadAll()
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || !strings.Contains(strings.Join(codes, " "), pg.Code) {
		p.Errorf("%s: %v, want SQLSTATE %s", sql, err, strings.Join(codes, " or "))
	}
	if inside {
		p.query(c, "ROLLBACK TO refused")
	}
}

// table tries every verb on one table. All happens in transactions that are rolled back, but for the row of tenant A, which must be
// committed for others to be kept from it, and is deleted at the end.
func (p *prober) table(table string) {
	const a, b = 2147480001, 2147480002
	row := p.row(table)
	column := p.column(table, "ward")
	c := p.connect("ward_app", "ward")
	as := func(tenant any) { p.query(c, fmt.Sprintf("SELECT set_config('ward.tenant', '%v', false)", tenant)) }
	rows := func() string { return string(p.query(c, "SELECT count(*) FROM "+table)[0][0]) }

	as(a)
	p.query(c, "INSERT INTO "+table+" "+row)
	defer func() {
		as(a)
		if n := p.changes(c, "DELETE FROM "+table); n != 1 {
			p.Errorf("tenant A has %d rows at the end, want the 1 it had", n)
		}
	}()
	if n := rows(); n != "1" {
		p.Errorf("tenant A sees %s of its rows, want 1", n)
	}
	p.none(table, row, column, a)

	as(b)
	if n := rows(); n != "0" {
		p.Errorf("SELECT as tenant B sees %s rows of A", n)
	}
	p.query(c, "BEGIN")
	if n := p.changes(c, fmt.Sprintf("UPDATE %s SET %s = %s", table, column, column)); n != 0 {
		p.Errorf("UPDATE as tenant B changed %d rows of A", n)
	}
	if n := p.changes(c, "DELETE FROM "+table); n != 0 {
		p.Errorf("DELETE as tenant B removed %d rows of A", n)
	}
	names, values, _ := strings.Cut(strings.TrimPrefix(row, "("), ") VALUES (")
	if row == "DEFAULT VALUES" {
		names, values = "", ")"
	}
	comma := ""
	if names != "" {
		comma = ", "
	}
	p.refused(c, fmt.Sprintf("INSERT INTO %s (tenant%s%s) VALUES (%d%s%s", table, comma, names, a, comma, values), "42501")
	// A row of B's own, with the same key as A's, can't be given to A.
	p.query(c, "INSERT INTO "+table+" "+row)
	p.refused(c, fmt.Sprintf("UPDATE %s SET tenant = %d", table, a), "42501")
	if n := p.changes(c, fmt.Sprintf("UPDATE %s SET %s = %s", table, column, column)); n != 1 {
		p.Errorf("UPDATE as tenant B changed %d rows, want its own 1", n)
	}
	p.query(c, "ROLLBACK")
	p.refused(c, "TRUNCATE "+table, "42501")
	p.refused(c, "ALTER TABLE "+table+" DISABLE ROW LEVEL SECURITY", "42501")
	p.refused(c, "SET row_security = off; SELECT FROM "+table, "42501")
	p.query(c, "SET row_security = on")
}

// none tries every verb on a table without a tenant.
func (p *prober) none(table, row, column string, a int) {
	p.Helper()
	c := p.connect("ward_app", "ward")
	// None was ever set in the session; then an empty one; then one for a transaction that is over.
	resets := []string{"", "SELECT set_config('ward.tenant', '', false)", fmt.Sprintf("BEGIN; SELECT set_config('ward.tenant', '%d', true); COMMIT", a)}
	for _, reset := range resets {
		if reset != "" {
			p.query(c, reset)
		}
		if n := string(p.query(c, "SELECT count(*) FROM "+table)[0][0]); n != "0" {
			p.Errorf("SELECT without a tenant sees %s rows", n)
		}
		if n := p.changes(c, fmt.Sprintf("UPDATE %s SET %s = %s", table, column, column)); n != 0 {
			p.Errorf("UPDATE without a tenant changed %d rows", n)
		}
		if n := p.changes(c, "DELETE FROM "+table); n != 0 {
			p.Errorf("DELETE without a tenant removed %d rows", n)
		}
		// The default has no value (42704 unknown setting, 22P02 empty), and a tenant that is named breaks the policy.
		p.refused(c, "INSERT INTO "+table+" "+row, "42704", "22P02", "42501")
	}
}

// row makes up a row for a table: "(columns) VALUES (values)" of all columns that need one.
func (p *prober) row(table string) string {
	p.Helper()
	if r, ok := p.rows[table]; ok {
		return r
	}
	var names, values []string
	for _, r := range p.query(p.connect("", ""), "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = 'ward' AND table_name = '"+table+
		"' AND column_name <> 'tenant' AND is_nullable = 'NO' AND column_default IS NULL AND is_identity = 'NO' AND is_generated = 'NEVER' ORDER BY ordinal_position") {
		value, ok := map[string]string{
			"smallint": "1", "integer": "1", "bigint": "1", "numeric": "1", "real": "1", "double precision": "1", "boolean": "true", "text": "'x'", "character varying": "'x'",
			"bytea": "'\\x01'", "jsonb": "'{}'", "json": "'{}'", "uuid": "'00000000-0000-7000-8000-000000000001'", "date": "'2020-01-01'", "timestamp with time zone": "'2020-01-01'",
		}[string(r[1])]
		if !ok {
			p.Fatalf("table %s: no value is known for column %s of type %s: give a row", table, r[0], r[1])
		}
		names, values = append(names, string(r[0])), append(values, value)
	}
	if len(names) == 0 {
		return "DEFAULT VALUES"
	}
	return "(" + strings.Join(names, ", ") + ") VALUES (" + strings.Join(values, ", ") + ")"
}
