package app

import (
	"context"
	"net/http"

	"ward/internal/kernel/identity/oauth"
)

// What goes over the wire about clients.
type (
	clientWire struct {
		Tenant, ID   string
		Registration oauth.Registration
	}
	clientMade struct {
		Client oauth.Client
		Secret string
	}
)

func (d *localDesk) CreateClient(ctx context.Context, slug string, r oauth.Registration) (oauth.Client, string, error) {
	ctx, err := d.within(ctx, slug)
	if err != nil {
		return oauth.Client{}, "", err
	}
	return d.app.OAuth.CreateClient(ctx, r)
}

func (d *localDesk) ListClients(ctx context.Context, slug string) ([]oauth.Client, error) {
	ctx, err := d.within(ctx, slug)
	if err != nil {
		return nil, err
	}
	return d.app.OAuth.Clients(ctx)
}

func (d *localDesk) Client(ctx context.Context, slug, id string) (oauth.Client, error) {
	ctx, err := d.within(ctx, slug)
	if err != nil {
		return oauth.Client{}, err
	}
	return d.app.OAuth.Client(ctx, id)
}

func (d *localDesk) DeleteClient(ctx context.Context, slug, id string) error {
	ctx, err := d.within(ctx, slug)
	if err != nil {
		return err
	}
	return d.app.OAuth.DeleteClient(ctx, id)
}

// clientOperations adds what the desk does with clients.
func (d *localDesk) clientOperations(mux *http.ServeMux) {
	operation(mux, "client-create", func(ctx context.Context, in clientWire) (out clientMade, err error) {
		out.Client, out.Secret, err = d.CreateClient(ctx, in.Tenant, in.Registration)
		return out, err
	})
	operation(mux, "client-list", func(ctx context.Context, in clientWire) ([]oauth.Client, error) { return d.ListClients(ctx, in.Tenant) })
	operation(mux, "client-show", func(ctx context.Context, in clientWire) (oauth.Client, error) { return d.Client(ctx, in.Tenant, in.ID) })
	operation(mux, "client-delete", func(ctx context.Context, in clientWire) (struct{}, error) {
		return struct{}{}, d.DeleteClient(ctx, in.Tenant, in.ID)
	})
}

func (d *remoteDesk) CreateClient(ctx context.Context, slug string, r oauth.Registration) (oauth.Client, string, error) {
	made, err := call[clientMade](ctx, d.c, "client-create", clientWire{Tenant: slug, Registration: r})
	return made.Client, made.Secret, err
}

func (d *remoteDesk) ListClients(ctx context.Context, slug string) ([]oauth.Client, error) {
	return call[[]oauth.Client](ctx, d.c, "client-list", clientWire{Tenant: slug})
}

func (d *remoteDesk) Client(ctx context.Context, slug, id string) (oauth.Client, error) {
	return call[oauth.Client](ctx, d.c, "client-show", clientWire{Tenant: slug, ID: id})
}

func (d *remoteDesk) DeleteClient(ctx context.Context, slug, id string) error {
	_, err := call[struct{}](ctx, d.c, "client-delete", clientWire{Tenant: slug, ID: id})
	return err
}
