package oauth

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"strings"
	"time"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/kernel/seal"
)

// Keys gives the key of the scope's tenant; kernel/seal's Keys is one.
type Keys interface {
	For(ctx context.Context) (*seal.Key, error)
}

func (p *Provider) key(ctx context.Context) (*seal.Key, error) {
	key, err := p.deps.Keys.For(ctx)
	if err != nil {
		return nil, err
	}
	return key.Strict(), nil
}

// A registration is kept as this mark and its JSON, sealed, in base64. JSON without it is of before tenants had keys.
const sealedMark = "~"

func aboutClient(id string) []byte { return []byte("identity_oauth_client/" + id) }

func hideRegistration(key *seal.Key, clientID string, text []byte) string {
	return sealedMark + base64.RawStdEncoding.EncodeToString(key.Seal(nil, text, aboutClient(clientID)))
}

func revealRegistration(key *seal.Key, clientID, kept string) (r Registration, err error) {
	text := []byte(kept)
	if rest, sealed := strings.CutPrefix(kept, sealedMark); sealed {
		if text, err = base64.RawStdEncoding.DecodeString(rest); err == nil {
			text, err = key.Open(nil, text, aboutClient(clientID))
		}
	}
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		return r, fault.Internal("the registration of the client %s can't be read", clientID).With(err)
	}
	return r, nil
}

func aboutKey(id string) []byte { return []byte("identity_oauth_key/" + id) }

// openKey gives the private part of a signing key, also one that was sealed under the installation's key.
func (p *Provider) openKey(ctx context.Context, id string, sealed []byte) ([]byte, error) {
	key, err := p.key(ctx)
	if err != nil {
		return nil, err
	}
	der, err := key.Open(nil, sealed, aboutKey(id))
	if err == nil {
		return der, nil
	}
	tenant, err := tenantOf(ctx)
	if err != nil {
		return nil, err
	}
	return p.sealer.open(sealed, keyAbout(tenant, id))
}

// Settle seals what rows of the scope's tenant that an earlier version of Ward wrote have in the clear, or under the key of the installation.
func (p *Provider) Settle(ctx context.Context) (err error) {
	defer fault.Op(&err, "oauth.Settle")
	key, err := p.key(ctx)
	if err != nil {
		return err
	}
	type old struct {
		id, text string
		private  []byte
	}
	var clients, keys []old
	err = p.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) error {
		clients, keys = nil, nil
		err := q.Query(ctx, "SELECT id, registration FROM identity_oauth_client WHERE registration LIKE '{%'", func(r db.Row) error {
			clients = append(clients, old{id: r.Text(0), text: r.Text(1)})
			return nil
		})
		if err != nil {
			return err
		}
		return q.Query(ctx, "SELECT id, private FROM identity_oauth_key", func(r db.Row) error {
			if _, err := key.Open(nil, r.Bytes(1), aboutKey(r.Text(0))); err != nil {
				keys = append(keys, old{id: r.Text(0), private: bytes.Clone(r.Bytes(1))})
			}
			return nil
		})
	})
	if err != nil || len(clients)+len(keys) == 0 {
		return err
	}
	return p.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		for _, o := range clients {
			if _, err := tx.Exec(ctx, "UPDATE identity_oauth_client SET registration = $1 WHERE id = $2 AND registration = $3", hideRegistration(key, o.id, []byte(o.text)), o.id, o.text); err != nil {
				return err
			}
		}
		for _, o := range keys {
			der, err := p.openKey(ctx, o.id, o.private)
			if err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, "UPDATE identity_oauth_key SET private = $1 WHERE id = $2", key.Seal(nil, der, aboutKey(o.id)), o.id); err != nil {
				return err
			}
		}
		return nil
	})
}

// settlePause is between two tenants: it is not to be noticed.
const settlePause = 50 * time.Millisecond

// settleAll settles every tenant, once.
func (p *Provider) settleAll(ctx context.Context) error {
	tenants, err := p.deps.All(ctx)
	if err != nil {
		return err
	}
	tick := time.NewTicker(settlePause)
	defer tick.Stop()
	for _, t := range tenants {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := p.Settle(scope.WithTenant(ctx, t)); err != nil && ctx.Err() == nil {
			p.deps.Log.WarnContext(ctx, "what an earlier version wrote of a tenant's clients is not sealed yet", slog.Int("tenant", int(t.ID)), slog.Any("error", err))
		}
	}
	<-ctx.Done()
	return nil
}
