package dbtest

import (
	"context"
	"net/url"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"ward/internal/backend/db"
	"ward/internal/backend/db/postgres"
	"ward/internal/base/id"
	"ward/internal/base/testenv"
)

// serverEnv names the server that scripts/services starts.
const serverEnv = "WARD_TEST_POSTGRES"

// Postgres is an empty database of its own on the server at WARD_TEST_POSTGRES, dropped with the test. Without a server the test is skipped, or fails in CI.
func Postgres(t testing.TB) *db.DB {
	t.Helper()
	d, _ := PostgresAt(t)
	return d
}

// PostgresAt is as [Postgres], with the database's URL.
func PostgresAt(t testing.TB) (*db.DB, string) {
	t.Helper()
	at := PostgresURL(t)
	d, err := postgres.Open(t.Context(), postgres.Config{URL: at, MaxConns: 8})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return d, at
}

// PostgresURL is the URL of a new database, dropped with the test.
func PostgresURL(t testing.TB) string {
	t.Helper()
	server := testenv.URL(t, serverEnv)
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	name := "ward_" + id.New()
	run(t, server, `CREATE DATABASE "`+name+`"`)
	t.Cleanup(func() { run(t, server, `DROP DATABASE IF EXISTS "`+name+`" WITH (FORCE)`) })
	u.Path = "/" + name
	return u.String()
}

// RunAt runs statements on the server at a URL, as the role of the URL: what Ward's own roles may not do.
func RunAt(t testing.TB, at, sql string) {
	t.Helper()
	run(t, at, sql)
}

func run(t testing.TB, at, sql string) {
	t.Helper()
	ctx := context.Background() // also after the test's own has ended
	c, err := pgconn.Connect(ctx, at)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(ctx) }()
	if _, err := c.Exec(ctx, sql).ReadAll(); err != nil {
		t.Fatal(err)
	}
}

// Each runs a test on SQLite and, where there is a server, on PostgreSQL; in CI there must be one.
func Each(t *testing.T, test func(t *testing.T, d *db.DB)) {
	t.Helper()
	t.Run(db.SQLite, func(t *testing.T) {
		t.Parallel()
		test(t, SQLite(t))
	})
	t.Run(db.PostgreSQL, func(t *testing.T) {
		t.Parallel()
		test(t, Postgres(t))
	})
}
