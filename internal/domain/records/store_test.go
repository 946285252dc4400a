package records

import (
	"context"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"ward/internal/backend/cache"
	"ward/internal/backend/db"
	"ward/internal/backend/db/postgres"
	"ward/internal/backend/db/sqlite"
	"ward/internal/base/clock"
	"ward/internal/base/id"
	"ward/internal/base/scope"
	"ward/internal/base/testenv"
	"ward/internal/format/fhir/search"
	"ward/internal/format/fhir/spec"
	"ward/internal/format/fhir/validate"
	"ward/internal/format/jsontape"
	"ward/internal/kernel/seal/sealtest"
)

// eachDatabase runs a test on SQLite and, where there is one, on PostgreSQL, each with a tenant of its own.
func eachDatabase(t *testing.T, test func(t *testing.T, s *Service, ctx context.Context)) {
	t.Helper()
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		s, ctx := newStore(t, onSQLite(t))
		test(t, s, ctx)
	})
	if testenv.Has("WARD_TEST_POSTGRES") {
		t.Run("PostgreSQL", func(t *testing.T) {
			t.Parallel()
			s, ctx := newStore(t, onPostgres(t))
			test(t, s, ctx)
		})
	}
}

// eachBench is eachDatabase for benchmarks.
func eachBench(b *testing.B, bench func(b *testing.B, s *Service, ctx context.Context)) {
	b.Helper()
	b.Run("SQLite", func(b *testing.B) {
		s, ctx := newStore(b, onSQLite(b))
		bench(b, s, ctx)
	})
	if testenv.Has("WARD_TEST_POSTGRES") {
		b.Run("PostgreSQL", func(b *testing.B) {
			s, ctx := newStore(b, onPostgres(b))
			bench(b, s, ctx)
		})
	}
}

func onSQLite(t testing.TB) *db.DB {
	t.Helper()
	d, err := sqlite.Open(t.Context(), sqlite.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close(context.WithoutCancel(t.Context())) })
	return d
}

// database is one PostgreSQL database for all tests of a run.
type database struct {
	once sync.Once
	url  string
	err  error
}

//nolint:gochecknoglobals // made by the first test that asks for it, dropped after the last
var own database

func TestMain(m *testing.M) {
	code := m.Run()
	if own.url != "" {
		_ = own.run(`DROP DATABASE "` + own.name() + `" WITH (FORCE)`)
	}
	os.Exit(code)
}

func (o *database) name() string {
	u, err := url.Parse(o.url)
	if err != nil {
		return ""
	}
	return strings.TrimPrefix(u.Path, "/")
}

// run executes a statement on the server itself.
func (o *database) run(sql string) error {
	c, err := pgconn.Connect(context.Background(), os.Getenv("WARD_TEST_POSTGRES"))
	if err != nil {
		return err
	}
	defer func() { _ = c.Close(context.Background()) }()
	_, err = c.Exec(context.Background(), sql).ReadAll()
	return err
}

func postgresURL(t testing.TB) string {
	t.Helper()
	server := testenv.URL(t, "WARD_TEST_POSTGRES")
	own.once.Do(func() {
		u, err := url.Parse(server)
		if err != nil {
			own.err = err
			return
		}
		u.Path = "/ward_" + id.New()
		own.url = u.String()
		own.err = own.run(`CREATE DATABASE "` + own.name() + `"`)
	})
	if own.err != nil {
		t.Fatal(own.err)
	}
	return own.url
}

func onPostgres(t testing.TB) *db.DB {
	t.Helper()
	d, err := postgres.Open(t.Context(), postgres.Config{URL: postgresURL(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close(context.WithoutCancel(t.Context())) })
	return d
}

// newStore makes a record store over d, and the context of a tenant that nobody else uses.
func newStore(t testing.TB, d *db.DB) (*Service, context.Context) {
	t.Helper()
	s, err := New(depsOf(t, d))
	if err != nil {
		t.Fatal(err)
	}
	return s, freshTenant(t.Context())
}

func depsOf(t testing.TB, d *db.DB) Deps {
	t.Helper()
	answers, err := cache.New(t.Context(), cache.Config{TagSlots: 1 << 14}, cache.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.RegisterTenant("records", Migrations()); err != nil {
		t.Fatal(err)
	}
	if err := d.MigrateTenants(t.Context()); err != nil {
		t.Fatal(err)
	}
	return Deps{
		DB: d, Cache: answers, Keys: sealtest.Keys(t, d), Definitions: spec.R4(), Validator: validate.New(spec.R4()), Standard: search.Standard(),
		Clock: clock.System(), Log: slog.New(slog.DiscardHandler), CursorKey: []byte("a key for tests"),
		Settings: func(context.Context) (Settings, error) { return Settings{}, nil },
		Version:  "test", BaseURL: "",
	}
}

// put stores a resource under the id that it has, or a new one.
func put(t testing.TB, s *Service, ctx context.Context, json string) *Version {
	t.Helper()
	doc := new(jsontape.Doc)
	if err := doc.Parse([]byte(json)); err != nil {
		t.Fatal(err)
	}
	op := OpUpdate
	id := doc.Text(doc.Get(doc.Root(), "id"))
	if id == "" {
		op = OpCreate
	}
	c, err := s.prepare(ctx, "", id, op, []byte(json))
	if err != nil {
		t.Fatalf("prepare: %v", err)
	}
	if err := s.commit(ctx, c); err != nil {
		t.Fatalf("commit: %v", err)
	}
	return c.Version
}

// load stores many resources in transactions of 200.
func load(t testing.TB, s *Service, ctx context.Context, resources [][]byte) {
	t.Helper()
	for len(resources) > 0 {
		chunk := resources[:min(200, len(resources))]
		resources = resources[len(chunk):]
		var cs []*Change
		for _, json := range chunk {
			doc := new(jsontape.Doc)
			if err := doc.Parse(json); err != nil {
				t.Fatal(err)
			}
			c, err := s.prepare(ctx, "", doc.Text(doc.Get(doc.Root(), "id")), OpUpdate, json)
			if err != nil {
				t.Logf("left out a %s: %v", doc.Text(doc.Get(doc.Root(), "resourceType")), err)
				continue
			}
			cs = append(cs, c)
		}
		err := s.db.Write(ctx, func(ctx context.Context, tx db.Tx) error {
			errs, err := s.apply(ctx, tx, cs)
			for _, e := range errs {
				if e != nil {
					return e
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// freshTenant is the context of a tenant that nobody else uses: tests share one PostgreSQL.
func freshTenant(ctx context.Context) context.Context {
	n := 1 + rand.Int32N(math.MaxInt32-1)
	return scope.WithTenant(ctx, scope.Tenant{ID: n, Slug: "test"})
}
