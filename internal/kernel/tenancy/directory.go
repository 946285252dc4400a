package tenancy

import (
	"context"
	"embed"
	"io/fs"
	"time"

	"ward/internal/backend/db"
	"ward/internal/base/clock"
	"ward/internal/base/fault"
	"ward/internal/base/recent"
	"ward/internal/base/scope"
	"ward/internal/kernel/module"
)

//go:embed migrations/*.sql
var migrations embed.FS

// The states of a tenant.
const (
	Active    = "active"
	Suspended = "suspended" // its data is kept and nobody reaches it
)

// Tenant is an entry of the directory.
type Tenant struct {
	scope.Tenant
	Name     string // for people
	Status   string // Active or Suspended
	Settings Settings
	Created  time.Time
}

// Deps are what the directory works with; all are needed.
type Deps struct {
	DB    *db.DB
	Clock clock.Clock
}

// Directory knows the tenants. It is safe for use by many goroutines.
type Directory struct {
	deps    Deps
	tenants *recent.Cache[string, Tenant] // by slug; ID 0 for a slug that nobody has
	byID    *recent.Cache[int32, Settings]
}

// New is a directory over the system database.
func New(d Deps) *Directory {
	return &Directory{
		deps:    d,
		tenants: recent.New[string, Tenant](recent.Options{Clock: d.Clock, TTL: 2 * time.Second, Max: 10_000}),
		byID:    recent.New[int32, Settings](recent.Options{Clock: d.Clock, TTL: 2 * time.Second, Max: 10_000}),
	}
}

// Module is the directory's table.
func (d *Directory) Module() module.Module {
	return module.Module{Name: "tenancy", SystemMigrations: sub(migrations)}
}

func sub(files embed.FS) fs.FS {
	f, err := fs.Sub(files, "migrations")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return f
}

// Find is the tenant of a slug, from memory when it was asked lately. It returns fault.NotFound for a slug that no tenant
// has and fault.Denied for a suspended tenant.
func (d *Directory) Find(ctx context.Context, slug string) (scope.Tenant, error) {
	t, ok := d.tenants.Peek(slug)
	if !ok {
		if CheckSlug(slug) != nil {
			return scope.Tenant{}, fault.NotFound("there is no such tenant")
		}
		var err error
		if t, err = d.tenants.Get(ctx, slug, func(ctx context.Context) (Tenant, error) { return d.load(ctx, slug) }); err != nil {
			return scope.Tenant{}, err
		}
	}
	switch {
	case t.ID == 0:
		return scope.Tenant{}, fault.NotFound("there is no such tenant")
	case t.Status != Active:
		return scope.Tenant{}, fault.Denied("this tenant is suspended")
	}
	return t.Tenant, nil
}

// Get is the entry of a slug as it stands in the database. It returns fault.NotFound for a slug that no tenant has.
func (d *Directory) Get(ctx context.Context, slug string) (Tenant, error) {
	t, err := d.load(ctx, slug)
	if err == nil && t.ID == 0 {
		err = fault.NotFound("there is no tenant %s: `ward tenant list` lists them", slug)
	}
	return t, err
}

// Settings are those of the scope's tenant, from memory when they were asked for lately.
func (d *Directory) Settings(ctx context.Context) (Settings, error) {
	s, ok := scope.From(ctx)
	if !ok || s.Tenant.ID == 0 {
		return Settings{}, fault.Internal("settings are asked for without a tenant")
	}
	return d.byID.Get(ctx, s.Tenant.ID, func(ctx context.Context) (Settings, error) {
		found, err := d.query(ctx, "WHERE id = $1", s.Tenant.ID)
		if err != nil || len(found) == 0 {
			return Settings{}, err
		}
		return found[0].Settings, nil
	})
}

// List is every tenant, by slug.
func (d *Directory) List(ctx context.Context) ([]Tenant, error) {
	return d.query(ctx, "ORDER BY slug")
}

// Create adds a tenant. It returns fault.Invalid for a slug or name that can't be, and fault.Conflict when the slug is taken.
func (d *Directory) Create(ctx context.Context, slug, name string, settings Settings) (t Tenant, err error) {
	defer fault.Op(&err, "tenancy.Create", slug)
	if err := CheckSlug(slug); err != nil {
		return t, err
	}
	if name == "" {
		name = slug
	}
	if len(name) > 200 {
		return t, fault.Invalid("a tenant's name has at most 200 bytes")
	}
	t = Tenant{Tenant: scope.Tenant{Slug: slug}, Name: name, Status: Active, Settings: settings, Created: d.deps.Clock.Now().Truncate(time.Millisecond)}
	err = d.deps.DB.Write(scope.WithSystem(ctx), func(ctx context.Context, tx db.Tx) error {
		if err := tx.Lock(ctx, "tenancy_tenant"); err != nil {
			return err
		}
		taken := false
		err := tx.Query(ctx, "SELECT coalesce(max(id), 0), coalesce(sum(CASE WHEN slug = $1 THEN 1 ELSE 0 END), 0) FROM tenancy_tenant", func(r db.Row) error {
			t.ID, taken = int32(r.Int64(0))+1, r.Int64(1) > 0 //nolint:gosec // an int4
			return nil
		}, slug)
		if err != nil {
			return err
		}
		if taken {
			return fault.Conflict("there is a tenant %s already", slug)
		}
		_, err = tx.Exec(ctx, "INSERT INTO tenancy_tenant (id, slug, name, status, settings, created) VALUES ($1, $2, $3, $4, $5, $6)",
			t.ID, slug, t.Name, t.Status, settings.JSON(), t.Created.UnixMilli())
		return err
	})
	d.forget()
	return t, err
}

// SetStatus makes the tenant Active or Suspended. It returns fault.NotFound for a slug that no tenant has.
func (d *Directory) SetStatus(ctx context.Context, slug, status string) (err error) {
	defer fault.Op(&err, "tenancy.SetStatus", slug, status)
	if status != Active && status != Suspended {
		return fault.Invalid("a tenant is %s or %s", Active, Suspended)
	}
	return d.update(ctx, "status", status, slug)
}

// SetSettings replaces the tenant's settings. It returns fault.NotFound for a slug that no tenant has.
func (d *Directory) SetSettings(ctx context.Context, slug string, s Settings) (err error) {
	defer fault.Op(&err, "tenancy.SetSettings", slug)
	return d.update(ctx, "settings", s.JSON(), slug)
}

func (d *Directory) update(ctx context.Context, column, value, slug string) error {
	err := d.deps.DB.Write(scope.WithSystem(ctx), func(ctx context.Context, tx db.Tx) error {
		n, err := tx.Exec(ctx, "UPDATE tenancy_tenant SET "+column+" = $1 WHERE slug = $2", value, slug)
		if err == nil && n == 0 {
			err = fault.NotFound("there is no tenant %s: `ward tenant list` lists them", slug)
		}
		return err
	})
	d.forget()
	return err
}

func (d *Directory) forget() {
	d.tenants.Invalidate()
	d.byID.Invalidate()
}

// load is the entry of a slug, with ID 0 when there is none.
func (d *Directory) load(ctx context.Context, slug string) (Tenant, error) {
	found, err := d.query(ctx, "WHERE slug = $1", slug)
	if err != nil || len(found) == 0 {
		return Tenant{}, err
	}
	return found[0], nil
}

func (d *Directory) query(ctx context.Context, rest string, args ...any) (found []Tenant, err error) {
	defer fault.Op(&err, "tenancy.query")
	err = d.deps.DB.Read(scope.WithSystem(ctx), func(ctx context.Context, q db.Querier) error {
		found = nil
		return q.Query(ctx, "SELECT id, slug, name, status, settings, created FROM tenancy_tenant "+rest, func(r db.Row) error {
			settings, err := ParseSettings(r.Text(4))
			found = append(found, Tenant{
				Tenant: scope.Tenant{ID: int32(r.Int64(0)), Slug: r.Text(1)}, Name: r.Text(2), Status: r.Text(3), //nolint:gosec // an int4
				Settings: settings, Created: time.UnixMilli(r.Int64(5)).UTC(),
			})
			return err
		}, args...)
	})
	return found, err
}
