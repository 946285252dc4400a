package tenancy

import (
	"context"
	"embed"
	"encoding/base64"
	"encoding/json"
	"io/fs"
	"strconv"
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

// Sealer keeps the addresses of databases, which hold passwords, from those who read the system database.
type Sealer interface {
	Seal(ctx context.Context, name string, plain []byte) ([]byte, error)
	Open(ctx context.Context, name string, sealed []byte) ([]byte, error)
}

// Deps are what the directory works with. Sealer may be nil while no tenant has a home; Cell is "" where there is one Ward only.
type Deps struct {
	DB     *db.DB
	Clock  clock.Clock
	Sealer Sealer
	Cell   string // the cell that this process is part of
}

// Directory knows the tenants. It is safe for use by many goroutines.
type Directory struct {
	deps   Deps
	slugs  *recent.Cache[string, Tenant] // ID 0 for a slug that nobody has
	byID   *recent.Cache[int32, Tenant]
	moving *recent.Cache[int32, Tenant] // those that are on the move, which change soon
	cells  *recent.Cache[string, Cell]
}

const (
	recentTime = 2 * time.Second
	movingTime = 200 * time.Millisecond
	mostRecent = 10_000
	staleTime  = 5 * time.Minute // while the system's database is away
)

// MovingTime is how long another process may take a tenant that is on the move to be where it was.
const MovingTime = movingTime

// RecentTime is how long another process may not see that an entry was changed.
const RecentTime = recentTime

// New is a directory over the system database.
func New(d Deps) *Directory {
	o := recent.Options{Clock: d.Clock, TTL: recentTime, Max: mostRecent, Stale: staleTime}
	return &Directory{
		deps: d, slugs: recent.New[string, Tenant](o), byID: recent.New[int32, Tenant](o), cells: recent.New[string, Cell](o),
		moving: recent.New[int32, Tenant](recent.Options{Clock: d.Clock, TTL: movingTime, Max: mostRecent}),
	}
}

// Module is the directory's tables.
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
// has, fault.Denied for a tenant that is suspended or being deleted, and a fault of CodeElsewhere, with the address in its chain, for one that another cell serves.
func (d *Directory) Find(ctx context.Context, slug string) (scope.Tenant, error) {
	t, ok := d.slugs.Peek(slug)
	if !ok {
		if CheckSlug(slug) != nil {
			return scope.Tenant{}, errNone()
		}
		var err error
		if t, err = d.slugs.Get(ctx, slug, func(ctx context.Context) (Tenant, error) { return d.load(ctx, slug) }); err != nil {
			return scope.Tenant{}, err
		}
	}
	switch {
	case t.ID == 0 || t.Status == Destroyed:
		return scope.Tenant{}, errNone()
	case t.Status == Deleting:
		return scope.Tenant{}, fault.Denied("this tenant is being deleted")
	case d.Away(t):
		return scope.Tenant{}, d.refer(ctx, t)
	case t.Status != Active:
		return scope.Tenant{}, fault.Denied("this tenant is suspended")
	}
	return t.Tenant, nil
}

func errNone() error { return fault.NotFound("there is no such tenant") }

// Get is the entry of a slug as it stands in the database. It returns fault.NotFound for a slug that no tenant has.
func (d *Directory) Get(ctx context.Context, slug string) (Tenant, error) {
	t, err := d.load(ctx, slug)
	if err == nil && t.ID == 0 {
		err = noTenant(slug)
	}
	return t, err
}

func noTenant(slug string) error {
	return fault.NotFound("there is no tenant %s: `ward tenant list` lists them", slug)
}

// Entry is the entry of a tenant's number, from memory when it was asked for lately. It returns fault.NotFound for a number that no tenant has.
func (d *Directory) Entry(ctx context.Context, id int32) (Tenant, error) {
	fetch := func(ctx context.Context) (Tenant, error) {
		found, err := d.query(ctx, "WHERE id = $1", id)
		if err != nil || len(found) == 0 {
			return Tenant{}, err
		}
		return found[0], nil
	}
	t, err := d.byID.Get(ctx, id, fetch)
	if err == nil && t.Move != nil {
		t, err = d.moving.Get(ctx, id, fetch)
	}
	if err == nil && t.ID == 0 {
		err = errNone()
	}
	return t, err
}

// Locate is the home of the tenant's data. It returns the fault of [Directory.Find] for a tenant that another cell serves, or whose data is destroyed or due to be, so that
// nobody touches them here.
func (d *Directory) Locate(ctx context.Context, id int32) (string, error) {
	t, err := d.Entry(ctx, id)
	switch {
	case err != nil:
		return "", err
	case t.Status == Destroyed, t.Status == Deleting && !d.deps.Clock.Now().Before(t.Due):
		return "", errNone()
	case d.Away(t):
		return "", d.refer(ctx, t)
	}
	return t.Home, nil
}

// Forget makes the next look at the tenant one into the database.
func (d *Directory) Forget(int32) { d.forget() }

// Settings are those of the scope's tenant, from memory when they were asked for lately.
func (d *Directory) Settings(ctx context.Context) (Settings, error) {
	s, ok := scope.From(ctx)
	if !ok || s.Tenant.ID == 0 {
		return Settings{}, fault.Internal("settings are asked for without a tenant")
	}
	t, err := d.Entry(ctx, s.Tenant.ID)
	if fault.Is(err, fault.CodeNotFound) {
		return Settings{}, nil
	}
	return t.Settings, err
}

// List is every tenant whose data is not destroyed, by slug.
func (d *Directory) List(ctx context.Context) ([]Tenant, error) {
	return d.query(ctx, "WHERE status <> '"+Destroyed+"' ORDER BY slug")
}

// Create adds a pooled tenant. It returns fault.Invalid for a slug or name that can't be, and fault.Conflict when the slug is taken.
func (d *Directory) Create(ctx context.Context, slug, name string, settings Settings) (Tenant, error) {
	return d.Add(ctx, slug, Terms{Name: name, Settings: settings})
}

// Add adds a tenant, as Create does, on the terms given. It returns fault.NotFound for a cell that there is not.
func (d *Directory) Add(ctx context.Context, slug string, terms Terms) (t Tenant, err error) {
	defer fault.Op(&err, "tenancy.Add", slug)
	if err := CheckSlug(slug); err != nil {
		return t, err
	}
	if terms.Name == "" {
		terms.Name = slug
	}
	if err := terms.check(); err != nil {
		return t, err
	}
	if terms.Cell != "" {
		c, err := d.cell(ctx, terms.Cell)
		if err != nil {
			return t, err
		}
		if terms.Region == "" {
			terms.Region = c.Region
		}
	}
	t = Tenant{
		Tenant: scope.Tenant{Slug: slug}, Name: terms.Name, Status: Active, Settings: terms.Settings, Created: d.deps.Clock.Now().Truncate(time.Millisecond),
		Tier: terms.Tier, Home: terms.Home, Cell: terms.Cell, Region: terms.Region, Plan: terms.Plan, Limits: terms.Limits, KMS: terms.KMS, At: Shown(terms.Home),
	}
	due := int64(0)
	if !terms.Due.IsZero() {
		t.Status, t.Due, due = Deleting, terms.Due, terms.Due.UnixMilli()
	}
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
		home, err := d.seal(ctx, t.ID, t.Home)
		if err != nil {
			return err
		}
		settings, err := d.keptSettings(ctx, t.ID, t.Settings)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO tenancy_tenant (id, slug, name, status, settings, created, tier, home, cell, region, plan, limits, kms, due)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
			t.ID, slug, t.Name, t.Status, settings, t.Created.UnixMilli(), t.Tier, home, t.Cell, t.Region, t.Plan, limitsText(t.Limits), t.KMS, due)
		return err
	})
	d.forget()
	return t, err
}

// SetStatus makes the tenant Active or Suspended. It returns fault.NotFound for a slug that no tenant has, and fault.Conflict for one that is being deleted.
func (d *Directory) SetStatus(ctx context.Context, slug, status string) (err error) {
	defer fault.Op(&err, "tenancy.SetStatus", slug, status)
	if status != Active && status != Suspended {
		return fault.Invalid("a tenant is %s or %s", Active, Suspended)
	}
	return d.Change(ctx, slug, func(t *Tenant) error {
		if t.Status == Deleting {
			return fault.Conflict("the tenant %s is being deleted: `ward tenant restore %s` brings it back", slug, slug)
		}
		t.Status = status
		return nil
	})
}

// Limit is a limit of the tenant's, from memory when it was asked for lately; 0 is none.
func (d *Directory) Limit(ctx context.Context, id int32, name string) (int64, error) {
	t, ok := d.byID.Peek(id)
	if !ok {
		var err error
		if t, err = d.Entry(ctx, id); err != nil {
			return 0, err
		}
	}
	return t.Limits[name], nil
}

// SetLimits replaces the tenant's limits. It returns fault.NotFound for a slug that no tenant has, and fault.Invalid for a limit that can't be.
func (d *Directory) SetLimits(ctx context.Context, slug string, limits map[string]int64) (err error) {
	defer fault.Op(&err, "tenancy.SetLimits", slug)
	if err := CheckLimits(limits); err != nil {
		return err
	}
	return d.Change(ctx, slug, func(t *Tenant) error { t.Limits = limits; return nil })
}

// SetSettings replaces the tenant's settings. It returns fault.NotFound for a slug that no tenant has.
func (d *Directory) SetSettings(ctx context.Context, slug string, s Settings) (err error) {
	defer fault.Op(&err, "tenancy.SetSettings", slug)
	return d.Change(ctx, slug, func(t *Tenant) error { t.Settings = s; return nil })
}

// Change lets fn change the entry of a slug, in one transaction. It returns fault.NotFound for a slug that no tenant has, and fn's error.
// ID and Created stay.
func (d *Directory) Change(ctx context.Context, slug string, fn func(t *Tenant) error) error {
	err := d.deps.DB.Write(scope.WithSystem(ctx), func(ctx context.Context, tx db.Tx) error {
		if err := tx.Lock(ctx, "tenancy_tenant"); err != nil {
			return err
		}
		found, err := d.scan(ctx, tx, "WHERE slug = $1 AND status <> '"+Destroyed+"'", slug)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return noTenant(slug)
		}
		t := found[0]
		id := t.ID
		if err := fn(&t); err != nil {
			return err
		}
		home, err := d.seal(ctx, id, t.Home)
		if err != nil {
			return err
		}
		move := ""
		if t.Move != nil {
			m := *t.Move
			if m.Sealed, err = d.seal(ctx, id, m.To); err != nil {
				return err
			}
			b, err := json.Marshal(m)
			if err != nil {
				return fault.Internal("a move can't be written").With(err)
			}
			move = string(b)
		}
		due := int64(0)
		if !t.Due.IsZero() {
			due = t.Due.UnixMilli()
		}
		settings, err := d.keptSettings(ctx, id, t.Settings)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE tenancy_tenant SET slug = $2, name = $3, status = $4, settings = $5, tier = $6, home = $7, cell = $8, region = $9, plan = $10, limits = $11,
			kms = $12, due = $13, move = $14 WHERE id = $1`,
			id, t.Slug, t.Name, t.Status, settings, t.Tier, home, t.Cell, t.Region, t.Plan, limitsText(t.Limits), t.KMS, due, move)
		return err
	})
	d.forget()
	return err
}

func (d *Directory) forget() {
	d.slugs.Invalidate()
	d.byID.Invalidate()
	d.moving.Invalidate()
}

// load is the entry of a slug, with ID 0 when there is none.
func (d *Directory) load(ctx context.Context, slug string) (Tenant, error) {
	found, err := d.query(ctx, "WHERE slug = $1 AND status <> '"+Destroyed+"'", slug)
	if err != nil || len(found) == 0 {
		return Tenant{}, err
	}
	return found[0], nil
}

func (d *Directory) query(ctx context.Context, rest string, args ...any) (found []Tenant, err error) {
	defer fault.Op(&err, "tenancy.query")
	err = d.deps.DB.Read(scope.WithSystem(ctx), func(ctx context.Context, q db.Querier) (err error) {
		found, err = d.scan(ctx, q, rest, args...)
		return err
	})
	return found, err
}

func (d *Directory) scan(ctx context.Context, q db.Querier, rest string, args ...any) (found []Tenant, err error) {
	err = q.Query(ctx, "SELECT id, slug, name, status, settings, created, tier, home, cell, region, plan, limits, kms, due, move FROM tenancy_tenant "+rest, func(r db.Row) error {
		settings, err := d.readSettings(ctx, int32(r.Int64(0)), r.Text(4)) //nolint:gosec // an int4
		if err != nil {
			return err
		}
		t := Tenant{
			Tenant: scope.Tenant{ID: int32(r.Int64(0)), Slug: r.Text(1)}, Name: r.Text(2), Status: r.Text(3), //nolint:gosec // an int4
			Settings: settings, Created: time.UnixMilli(r.Int64(5)).UTC(),
			Tier: r.Text(6), Cell: r.Text(8), Region: r.Text(9), Plan: r.Text(10), KMS: r.Text(12),
		}
		if t.Limits, err = ParseLimits(r.Text(11)); err != nil {
			return err
		}
		if due := r.Int64(13); due != 0 {
			t.Due = time.UnixMilli(due).UTC()
		}
		if t.Home, err = d.open(ctx, t.ID, r.Text(7)); err != nil {
			return err
		}
		t.At = Shown(t.Home)
		if text := r.Text(14); text != "" {
			t.Move = &Move{}
			if err := json.Unmarshal([]byte(text), t.Move); err != nil {
				return fault.Internal("the move of tenant %d can't be read", t.ID).With(err)
			}
			if t.Move.To, err = d.open(ctx, t.ID, t.Move.Sealed); err != nil {
				return err
			}
			t.Move.ToAt = Shown(t.Move.To)
		}
		found = append(found, t)
		return nil
	}, args...)
	return found, err
}

func sealName(id int32) string { return "tenancy_tenant.home/" + strconv.Itoa(int(id)) }

func (d *Directory) seal(ctx context.Context, id int32, home string) (string, error) {
	if home == "" {
		return "", nil
	}
	if d.deps.Sealer == nil {
		return "", fault.Internal("tenancy: a tenant's database is named, but nothing seals its address")
	}
	b, err := d.deps.Sealer.Seal(ctx, sealName(id), []byte(home))
	return base64.StdEncoding.EncodeToString(b), err
}

func (d *Directory) open(ctx context.Context, id int32, sealed string) (string, error) {
	if sealed == "" {
		return "", nil
	}
	b, err := base64.StdEncoding.DecodeString(sealed)
	if err == nil && d.deps.Sealer != nil {
		b, err = d.deps.Sealer.Open(ctx, sealName(id), b)
	}
	if err != nil || d.deps.Sealer == nil {
		return "", fault.Internal("the address of the database of tenant %d does not open under this key: is key.secret the one it was sealed with?", id).With(err)
	}
	return string(b), nil
}
