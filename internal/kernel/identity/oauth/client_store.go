package oauth

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"net/url"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/id"
	"ward/internal/kernel/audit"
	"ward/internal/kernel/identity"
)

// maxDynamic is how many clients of a tenant may have registered themselves.
const maxDynamic = 1000

// CreateClient registers a client of the context's tenant. The secret, of a client that has one, is returned this once. It returns
// fault.Invalid for a registration that can't be.
func (p *Provider) CreateClient(ctx context.Context, r Registration) (c Client, secret string, err error) {
	c, secret, _, err = p.register(ctx, r, false)
	return c, secret, err
}

func (p *Provider) register(ctx context.Context, r Registration, dynamic bool) (c Client, secret, word string, err error) {
	defer fault.Op(&err, "oauth.register")
	tenant, err := tenantOf(ctx)
	if err != nil {
		return c, "", "", err
	}
	if word, err = r.complete(); err != nil {
		return c, "", word, err
	}
	c = Client{Registration: r, ID: id.New(), Dynamic: dynamic, Created: p.now()}
	if r.AuthMethod == authSecret {
		secret = identity.Mint(secretPrefix, tenant.Slug)
		sum := sha256.Sum256([]byte(secret))
		c.secret = sum[:]
	}
	text, err := json.Marshal(r)
	if err != nil {
		return c, "", "", fault.Internal("write a registration").With(err)
	}
	key, err := p.key(ctx)
	if err != nil {
		return c, "", "", err
	}
	err = p.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		if dynamic {
			if err := tx.Lock(ctx, "identity_oauth_client"); err != nil {
				return err
			}
			n := int64(0)
			if err := tx.Query(ctx, "SELECT count(*) FROM identity_oauth_client WHERE dynamic = 1", func(r db.Row) error { n = r.Int64(0); return nil }); err != nil {
				return err
			}
			if n >= maxDynamic {
				return fault.Exhausted("this tenant has as many clients that registered themselves as it may have: ask its administrator")
			}
		}
		_, err := tx.Exec(ctx, "INSERT INTO identity_oauth_client (id, registration, secret, dynamic, created, used) VALUES ($1, $2, $3, $4, $5, 0)",
			c.ID, hideRegistration(key, c.ID, text), append([]byte{}, c.secret...), flag(dynamic), c.Created.UnixMilli())
		return err
	})
	if err != nil {
		return Client{}, "", "", err
	}
	p.forgetClient(clientKey{tenant.ID, c.ID})
	return c, secret, "", p.record(ctx, audit.Grant, c.ID, "client registered")
}

// Clients are those of the context's tenant, oldest first.
func (p *Provider) Clients(ctx context.Context) ([]Client, error) {
	return p.queryClients(ctx, "ORDER BY created, id")
}

// Client is one. It returns fault.NotFound when there is none with the id.
func (p *Provider) Client(ctx context.Context, clientID string) (Client, error) {
	found, err := p.queryClients(ctx, "WHERE id = $1", clientID)
	if err == nil && len(found) == 0 {
		err = fault.NotFound("there is no client with this id")
	}
	if err != nil {
		return Client{}, err
	}
	return found[0], nil
}

// DeleteClient takes away a client, and with it all it was granted. It returns fault.NotFound when there is none with the id.
func (p *Provider) DeleteClient(ctx context.Context, clientID string) (err error) {
	defer fault.Op(&err, "oauth.DeleteClient", clientID)
	tenant, err := tenantOf(ctx)
	if err != nil {
		return err
	}
	var gone hashes
	err = p.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		gone = nil
		n, err := tx.Exec(ctx, "DELETE FROM identity_oauth_client WHERE id = $1", clientID)
		if err != nil {
			return err
		}
		if n == 0 {
			return fault.NotFound("there is no client with this id")
		}
		if _, err := tx.Exec(ctx, "DELETE FROM identity_oauth_consent WHERE client = $1", clientID); err != nil {
			return err
		}
		return p.revokeGrants(ctx, tx, &gone, "client = $2", clientID)
	})
	p.forgetClient(clientKey{tenant.ID, clientID})
	p.forget(gone)
	if err == nil {
		err = p.record(ctx, audit.Revoke, clientID, "client deleted")
	}
	return err
}

// record takes note of what was done about a client.
func (p *Provider) record(ctx context.Context, action audit.Action, clientID, detail string) error {
	return p.deps.Audit.Record(ctx, audit.Event{Action: action, Type: "client", ID: clientID, Detail: detail})
}

func (p *Provider) forgetClient(key clientKey) {
	p.clients.Drop(key)
	p.origins.Drop(key.tenant)
}

// client is one from memory; ID "" when there is none.
func (p *Provider) client(ctx context.Context, clientID string) (Client, error) {
	tenant, err := tenantOf(ctx)
	if err != nil || clientID == "" || len(clientID) > 64 {
		return Client{}, err
	}
	return p.clients.Get(ctx, clientKey{tenant.ID, clientID}, func(ctx context.Context) (Client, error) {
		found, err := p.queryClients(ctx, "WHERE id = $1", clientID)
		if err != nil || len(found) == 0 {
			return Client{}, err
		}
		return found[0], nil
	})
}

// AllowOrigin says whether pages of the origin may call the tenant's token endpoint and FHIR API: those of its public clients may.
func (p *Provider) AllowOrigin(ctx context.Context, origin string) (bool, error) {
	tenant, err := tenantOf(ctx)
	if err != nil {
		return false, err
	}
	known, err := p.origins.Get(ctx, tenant.ID, func(ctx context.Context) (map[string]bool, error) {
		clients, err := p.queryClients(ctx, "")
		out := map[string]bool{}
		for _, c := range clients {
			if !c.Public() {
				continue
			}
			for _, text := range append(c.RedirectURIs, c.LaunchURL) {
				if u, err := url.Parse(text); err == nil && (u.Scheme == "https" || u.Scheme == "http") {
					out[u.Scheme+"://"+u.Host] = true
				}
			}
		}
		return out, err
	})
	return known[origin], err
}

func (p *Provider) queryClients(ctx context.Context, rest string, args ...any) (found []Client, err error) {
	defer fault.Op(&err, "oauth.queryClients")
	key, err := p.key(ctx)
	if err != nil {
		return nil, err
	}
	err = p.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) error {
		found = nil
		return q.Query(ctx, "SELECT id, registration, secret, dynamic, created, used FROM identity_oauth_client "+rest, func(r db.Row) error {
			c := Client{ID: r.Text(0), Dynamic: r.Int64(3) == 1, Created: moment(r.Int64(4)), Used: r.Int64(5) == 1, secret: append([]byte{}, r.Bytes(2)...)}
			var err error
			c.Registration, err = revealRegistration(key, c.ID, r.Text(1))
			found = append(found, c)
			return err
		}, args...)
	})
	return found, err
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
