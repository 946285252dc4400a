package app

import (
	"context"
	"net/http"

	"ward/internal/base/fault"
	"ward/internal/kernel/seal"
)

// KeyState is what can be told of a tenant's keys.
type KeyState struct {
	seal.State
	Slug string // "" for the system, and for a tenant that is no longer listed
}

type keyWire struct{ Act, Tenant string }

func (d *localDesk) ListKeys(ctx context.Context) ([]KeyState, error) {
	states, err := d.app.Backends.Seal.List(ctx)
	if err != nil {
		return nil, err
	}
	tenants, err := d.app.Tenants.List(ctx)
	if err != nil {
		return nil, err
	}
	slugs := make(map[int32]string, len(tenants))
	for _, t := range tenants {
		slugs[t.ID] = t.Slug
	}
	all := make([]KeyState, len(states))
	for i, s := range states {
		all[i] = KeyState{s, slugs[s.Tenant]}
	}
	return all, nil
}

func (d *localDesk) ActOnKeys(ctx context.Context, act, slug string) (int, error) {
	keys := d.app.Backends.Seal
	if act == "rewrap" {
		return keys.Rewrap(ctx)
	}
	t, err := d.app.Tenants.Get(ctx, slug)
	if err != nil {
		return 0, err
	}
	switch act {
	case "rotate":
		return 1, keys.Rotate(ctx, t.ID)
	case "renew":
		return 1, keys.Renew(ctx, t.ID)
	default:
		return 0, fault.Invalid("keys can't be %q", act)
	}
}

func (d *localDesk) keyOperations(mux *http.ServeMux) {
	operation(mux, "key-list", func(ctx context.Context, _ struct{}) ([]KeyState, error) { return d.ListKeys(ctx) })
	operation(mux, "key-act", func(ctx context.Context, in keyWire) (int, error) { return d.ActOnKeys(ctx, in.Act, in.Tenant) })
}

func (d *remoteDesk) ListKeys(ctx context.Context) ([]KeyState, error) {
	return call[[]KeyState](ctx, d.c, "key-list", struct{}{})
}

func (d *remoteDesk) ActOnKeys(ctx context.Context, act, slug string) (int, error) {
	return call[int](ctx, d.c, "key-act", keyWire{act, slug})
}
