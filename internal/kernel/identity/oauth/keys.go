package oauth

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"time"

	"github.com/go-jose/go-jose/v4"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/kernel/audit"
)

// How keys come and go: a new one is shown for a day before it signs, so that clients know it by then; one that no longer signs is shown
// for as long as anything that it signed may be looked at.
const (
	keyRotation = 90 * 24 * time.Hour
	keyNotice   = 24 * time.Hour
	keyLinger   = 7 * 24 * time.Hour
)

const idTokenAlgorithm = jose.RS256 // what OpenID Connect Core §15.1 requires every provider to have

// signingKey is a key of identity_oauth_key.
type signingKey struct {
	id     string
	public jose.JSONWebKey
	sealed []byte
	signs  time.Time
	ends   time.Time // zero: not known yet
}

func newRSA() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 3072) }

// signer is the key that signs now, with its private part; the tenant's first is made when it is first wanted.
func (p *Provider) signer(ctx context.Context) (jose.JSONWebKey, error) {
	keys, err := p.shown(ctx)
	if err != nil {
		return jose.JSONWebKey{}, err
	}
	k, ok := current(keys, p.now())
	if !ok {
		if err := p.addKey(ctx, 0, true); err != nil {
			return jose.JSONWebKey{}, err
		}
		if keys, err = p.shown(ctx); err != nil {
			return jose.JSONWebKey{}, err
		}
		if k, ok = current(keys, p.now()); !ok {
			return jose.JSONWebKey{}, fault.Internal("there is no key to sign with")
		}
	}
	der, err := p.openKey(ctx, k.id, k.sealed)
	if err != nil {
		return jose.JSONWebKey{}, err
	}
	private, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return jose.JSONWebKey{}, fault.Internal("the private key %s can't be read", k.id).With(err)
	}
	return jose.JSONWebKey{Key: private, KeyID: k.id, Algorithm: string(idTokenAlgorithm), Use: "sig"}, nil
}

// keyAbout is what a key that was sealed under the installation's key is bound to.
func keyAbout(t scope.Tenant, id string) string {
	return "tenant " + strconv.Itoa(int(t.ID)) + " key " + id
}

// current is the newest key that signs already.
func current(keys []signingKey, now time.Time) (out signingKey, ok bool) {
	for _, k := range keys {
		if !k.signs.After(now) && (!ok || k.signs.After(out.signs)) {
			out, ok = k, true
		}
	}
	return out, ok
}

// shown are the keys of the tenant's key set, from memory.
func (p *Provider) shown(ctx context.Context) ([]signingKey, error) {
	tenant, err := tenantOf(ctx)
	if err != nil {
		return nil, err
	}
	return p.keys.Get(ctx, tenant.ID, func(ctx context.Context) (keys []signingKey, err error) {
		err = p.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) error {
			keys = nil
			return readKeys(ctx, q, p.now(), &keys)
		})
		return keys, err
	})
}

func readKeys(ctx context.Context, q db.Querier, now time.Time, keys *[]signingKey) error {
	return q.Query(ctx, "SELECT id, public, private, signs, ends FROM identity_oauth_key WHERE ends = 0 OR ends > $1 ORDER BY signs", func(r db.Row) error {
		k := signingKey{id: r.Text(0), sealed: append([]byte{}, r.Bytes(2)...), signs: moment(r.Int64(3)), ends: moment(r.Int64(4))}
		if err := json.Unmarshal([]byte(r.Text(1)), &k.public); err != nil {
			return fault.Internal("the public key %s can't be read", k.id).With(err)
		}
		*keys = append(*keys, k)
		return nil
	}, now.UnixMilli())
}

// addKey adds a key that signs after the notice, and ends the others some time later. With first it does nothing when there is one.
func (p *Provider) addKey(ctx context.Context, notice time.Duration, first bool) (err error) {
	defer fault.Op(&err, "oauth.addKey")
	tenant, err := tenantOf(ctx)
	if err != nil {
		return err
	}
	private, err := p.deps.NewKey()
	if err != nil {
		return fault.Internal("make a key").With(err)
	}
	key := jose.JSONWebKey{Key: &private.PublicKey, Algorithm: string(idTokenAlgorithm), Use: "sig"}
	thumb, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return fault.Internal("name a key").With(err)
	}
	key.KeyID = base64.RawURLEncoding.EncodeToString(thumb)
	shown, err := key.MarshalJSON()
	if err != nil {
		return fault.Internal("write a key").With(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return fault.Internal("write a key").With(err)
	}
	seals, err := p.key(ctx)
	if err != nil {
		return err
	}
	sealed := seals.Seal(nil, der, aboutKey(key.KeyID))
	added := false
	err = p.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		added = false
		if err := tx.Lock(ctx, "identity_oauth_key"); err != nil {
			return err
		}
		now := p.now()
		var keys []signingKey
		if err := readKeys(ctx, tx, now, &keys); err != nil || first && len(keys) > 0 {
			return err
		}
		signs := now.Add(notice)
		if _, err := tx.Exec(ctx, "UPDATE identity_oauth_key SET ends = $1 WHERE ends = 0", signs.Add(keyLinger).UnixMilli()); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "INSERT INTO identity_oauth_key (id, public, private, created, signs, ends) VALUES ($1, $2, $3, $4, $5, 0)",
			key.KeyID, string(shown), sealed, now.UnixMilli(), signs.UnixMilli())
		added = err == nil
		return err
	})
	p.keys.Drop(tenant.ID)
	if err == nil && added && !first {
		err = p.deps.Audit.Record(ctx, audit.Event{Action: audit.Setting, Type: "key", ID: key.KeyID, Detail: "signing key"})
	}
	return err
}

// RotateKeys gives the context's tenant a new key that signs at once. The former ones stay in its key set for a week.
func (p *Provider) RotateKeys(ctx context.Context) error { return p.addKey(ctx, 0, false) }

// rotateWhenDue adds a key when the newest has signed for long enough.
func (p *Provider) rotateWhenDue(ctx context.Context) error {
	keys, err := p.shown(ctx)
	if err != nil || len(keys) == 0 || p.now().Before(keys[len(keys)-1].signs.Add(keyRotation)) {
		return err
	}
	return p.addKey(ctx, keyNotice, false)
}
