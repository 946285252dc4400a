package app

import (
	"context"
	"net/http"
	"time"

	"ward/internal/kernel/tenancy"
	"ward/internal/kernel/tiers"
)

// TierDesk is what the desk does about where tenants are.
type TierDesk interface {
	AddTenant(ctx context.Context, slug string, terms tenancy.Terms) (tenancy.Tenant, error)
	ShowTenant(ctx context.Context, slug string) (tiers.Standing, error)
	// DeleteTenant gives the time from which the tenant may be destroyed; a grace of 0 is the default one.
	DeleteTenant(ctx context.Context, slug string, grace time.Duration) (time.Time, error)
	RestoreTenant(ctx context.Context, slug string) error
	PlanMove(ctx context.Context, slug string, to tiers.Place) (tiers.Plan, error)
	// Order does long work, and tells how far it is. The end of ctx ends it, and it is undone.
	Order(ctx context.Context, o tiers.Order, progress func(tiers.Progress)) (tiers.Job, error)
	SetCell(ctx context.Context, c tenancy.Cell) error
	ListCells(ctx context.Context) ([]tenancy.Cell, error)
}

func (d *localDesk) AddTenant(ctx context.Context, slug string, terms tenancy.Terms) (tenancy.Tenant, error) {
	return d.app.Tiers.Create(ctx, slug, terms)
}

func (d *localDesk) ShowTenant(ctx context.Context, slug string) (tiers.Standing, error) {
	return d.app.Tiers.Show(ctx, slug)
}

func (d *localDesk) DeleteTenant(ctx context.Context, slug string, grace time.Duration) (time.Time, error) {
	return d.app.Tiers.Delete(ctx, slug, grace)
}

func (d *localDesk) RestoreTenant(ctx context.Context, slug string) error {
	return d.app.Tiers.Restore(ctx, slug)
}

func (d *localDesk) PlanMove(ctx context.Context, slug string, to tiers.Place) (tiers.Plan, error) {
	return d.app.Tiers.Plan(ctx, slug, to)
}

func (d *localDesk) SetCell(ctx context.Context, c tenancy.Cell) error {
	return d.app.Tiers.SetCell(ctx, c)
}

func (d *localDesk) ListCells(ctx context.Context) ([]tenancy.Cell, error) {
	return d.app.Tenants.Cells(ctx)
}

func (d *localDesk) Order(ctx context.Context, o tiers.Order, progress func(tiers.Progress)) (tiers.Job, error) {
	if err := d.app.Tiers.Resume(ctx, d.app.Config.Embedded()[0] && d.app.runners == nil); err != nil { // nobody else does in a Ward that is not running
		return tiers.Job{}, err
	}
	return follow(ctx, o, progress, d.app.Tiers.Start, func(_ context.Context, name string) (tiers.Job, error) { return d.app.Tiers.Job(name) },
		func(_ context.Context, name string) error { d.app.Tiers.Cancel(name); return nil })
}

const followEvery = 100 * time.Millisecond

// follow starts work and looks at it until it has ended.
func follow(ctx context.Context, o tiers.Order, progress func(tiers.Progress), start func(context.Context, tiers.Order) (string, error),
	look func(context.Context, string) (tiers.Job, error), cancel func(context.Context, string) error,
) (tiers.Job, error) {
	name, err := start(ctx, o)
	if err != nil {
		return tiers.Job{}, err
	}
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	given := ctx.Done()
	settled := context.WithoutCancel(ctx)
	for {
		j, err := look(settled, name)
		if err != nil {
			return j, err
		}
		if progress != nil {
			progress(j.Progress)
		}
		if !j.Ended.IsZero() {
			return j, j.Err()
		}
		select {
		case <-tick.C:
		case <-given:
			given = nil // it says so when it was undone
			if err := cancel(settled, name); err != nil {
				return j, err
			}
		}
	}
}

// What goes over the wire.
type (
	addWire struct {
		Slug  string
		Terms tenancy.Terms
	}
	slugWire struct {
		Slug  string
		Grace time.Duration
	}
	planWire struct {
		Slug string
		To   tiers.Place
	}
	nameWire struct{ Name string }
)

// tierOperations adds the operations of TierDesk.
func (d *localDesk) tierOperations(mux *http.ServeMux) {
	none := struct{}{}
	operation(mux, "tenant-add", func(ctx context.Context, in addWire) (tenancy.Tenant, error) {
		return d.AddTenant(ctx, in.Slug, in.Terms)
	})
	operation(mux, "tenant-show", func(ctx context.Context, in slugWire) (tiers.Standing, error) { return d.ShowTenant(ctx, in.Slug) })
	operation(mux, "tenant-delete", func(ctx context.Context, in slugWire) (time.Time, error) {
		return d.DeleteTenant(ctx, in.Slug, in.Grace)
	})
	operation(mux, "tenant-restore", func(ctx context.Context, in slugWire) (struct{}, error) { return none, d.RestoreTenant(ctx, in.Slug) })
	operation(mux, "tenant-plan", func(ctx context.Context, in planWire) (tiers.Plan, error) { return d.PlanMove(ctx, in.Slug, in.To) })
	operation(mux, "tenant-order", func(ctx context.Context, in tiers.Order) (nameWire, error) {
		name, err := d.app.Tiers.Start(ctx, in)
		return nameWire{name}, err
	})
	operation(mux, "tenant-job", func(_ context.Context, in nameWire) (tiers.Job, error) { return d.app.Tiers.Job(in.Name) })
	operation(mux, "tenant-cancel", func(_ context.Context, in nameWire) (struct{}, error) {
		d.app.Tiers.Cancel(in.Name)
		return none, nil
	})
	operation(mux, "cell-set", func(ctx context.Context, in tenancy.Cell) (struct{}, error) { return none, d.SetCell(ctx, in) })
	operation(mux, "cell-list", func(ctx context.Context, _ struct{}) ([]tenancy.Cell, error) { return d.ListCells(ctx) })
}

func (d *remoteDesk) AddTenant(ctx context.Context, slug string, terms tenancy.Terms) (tenancy.Tenant, error) {
	return call[tenancy.Tenant](ctx, d.c, "tenant-add", addWire{slug, terms})
}

func (d *remoteDesk) ShowTenant(ctx context.Context, slug string) (tiers.Standing, error) {
	return call[tiers.Standing](ctx, d.c, "tenant-show", slugWire{Slug: slug})
}

func (d *remoteDesk) DeleteTenant(ctx context.Context, slug string, grace time.Duration) (time.Time, error) {
	return call[time.Time](ctx, d.c, "tenant-delete", slugWire{slug, grace})
}

func (d *remoteDesk) RestoreTenant(ctx context.Context, slug string) error {
	_, err := call[struct{}](ctx, d.c, "tenant-restore", slugWire{Slug: slug})
	return err
}

func (d *remoteDesk) PlanMove(ctx context.Context, slug string, to tiers.Place) (tiers.Plan, error) {
	return call[tiers.Plan](ctx, d.c, "tenant-plan", planWire{slug, to})
}

func (d *remoteDesk) SetCell(ctx context.Context, c tenancy.Cell) error {
	_, err := call[struct{}](ctx, d.c, "cell-set", c)
	return err
}

func (d *remoteDesk) ListCells(ctx context.Context) ([]tenancy.Cell, error) {
	return call[[]tenancy.Cell](ctx, d.c, "cell-list", struct{}{})
}

func (d *remoteDesk) Order(ctx context.Context, o tiers.Order, progress func(tiers.Progress)) (tiers.Job, error) {
	return follow(ctx, o, progress,
		func(ctx context.Context, o tiers.Order) (string, error) {
			n, err := call[nameWire](ctx, d.c, "tenant-order", o)
			return n.Name, err
		},
		func(ctx context.Context, name string) (tiers.Job, error) {
			return call[tiers.Job](ctx, d.c, "tenant-job", nameWire{name})
		},
		func(ctx context.Context, name string) error {
			_, err := call[struct{}](ctx, d.c, "tenant-cancel", nameWire{name})
			return err
		})
}
