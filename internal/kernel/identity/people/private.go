package people

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"time"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/phi"
	"ward/internal/base/scope"
	"ward/internal/kernel/seal"
)

// Keys gives the key of the scope's tenant; kernel/seal's Keys is one.
type Keys interface {
	For(ctx context.Context) (*seal.Key, error)
}

// keyOf is the tenant's key as secrets are sealed with it.
func keyOf(ctx context.Context, keys Keys) (*seal.Key, error) {
	key, err := keys.For(ctx)
	if err != nil {
		return nil, err
	}
	return key.Strict(), nil
}

// private is what identity_person.private holds.
type private struct {
	Email string `json:"email"`
	Name  string `json:"name,omitempty"`
}

func aboutPerson(id string) []byte { return []byte("identity_person/" + id) }

// hide gives what is kept of a person's address and name: the address's keyed hash and both, sealed.
func hide(key *seal.Key, personID string, about private) (address string, sealed []byte, err error) {
	text, err := json.Marshal(about)
	if err != nil {
		return "", nil, fault.Internal("a person can't be kept").With(err)
	}
	if address, err = addressHash(key, about.Email); err != nil {
		return "", nil, err
	}
	return address, key.Seal(nil, text, aboutPerson(personID)), nil
}

// addressHash is what an address, in lower case, is found by. No address begins so.
func addressHash(key *seal.Key, email string) (string, error) {
	secret, err := key.Derive("ward identity address")
	if err != nil {
		return "", err
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(email))
	return "#" + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)), nil
}

// reveal fills in what was hidden; a row of before has both in the clear.
func (p *Person) reveal(key *seal.Key, sealed []byte) error {
	if len(sealed) == 0 {
		return nil
	}
	text, err := key.Open(nil, sealed, aboutPerson(p.ID))
	var about private
	if err == nil {
		err = json.Unmarshal(text, &about)
	}
	if err != nil {
		return fault.Internal("the address and the name of a person can't be read").With(err)
	}
	p.Email, p.Name = phi.Of(about.Email), phi.Of(about.Name)
	return nil
}

// findAddress is find by an address in lower case.
func (p *People) findAddress(ctx context.Context, q db.Querier, email string) (Person, error) {
	key, err := keyOf(ctx, p.deps.Keys)
	if err != nil {
		return Person{}, err
	}
	address, err := addressHash(key, email)
	if err != nil {
		return Person{}, err
	}
	return p.find(ctx, q, "p.email IN ($1, $2)", address, email) // the second is a row of before
}

// seal hides a value that is stored under the tenant's key, bound to what it is of.
func (p *People) seal(ctx context.Context, of string, plain []byte) ([]byte, error) {
	key, err := keyOf(ctx, p.deps.Keys)
	if err != nil {
		return nil, err
	}
	return key.Seal(nil, plain, []byte("identity/"+of)), nil
}

// open gives back what seal hid, also what was hidden before tenants had keys.
func (p *People) open(ctx context.Context, of string, sealed []byte) ([]byte, error) {
	key, err := keyOf(ctx, p.deps.Keys)
	if err != nil {
		return nil, err
	}
	plain, err := key.Open(nil, sealed, []byte("identity/"+of))
	if err == nil {
		return plain, nil
	}
	if n := p.aead.NonceSize(); len(sealed) > n {
		if plain, err := p.aead.Open(nil, sealed[:n], sealed[n:], bound(tenantOf(ctx), of)); err == nil {
			return plain, nil
		}
	}
	return nil, fault.Internal("a sealed value can't be opened").With(err)
}

const settleAtOnce = 200

// Settle seals what rows of the scope's tenant that an earlier version of Ward wrote have in the clear, or under the key of the installation. It does nothing where it
// has been done.
func (p *People) Settle(ctx context.Context) (err error) {
	defer fault.Op(&err, "people.Settle")
	tenant := tenantOf(ctx)
	if _, done := p.settled.Load(tenant.ID); done {
		return nil
	}
	for _, some := range []func(ctx context.Context, q db.Querier) (int, func(ctx context.Context, tx db.Tx) error, error){p.unsettledPeople, p.unsettledPasskeys} {
		for more := true; more; {
			n := 0
			err := p.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) (err error) { n, _, err = some(ctx, q); return err })
			if err != nil {
				return err
			}
			if more = n > 0; !more {
				continue
			}
			err = p.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
				_, write, err := some(ctx, tx) // others may be at it, or change the rows
				if err != nil {
					return err
				}
				return write(ctx, tx)
			})
			if err != nil {
				return err
			}
		}
	}
	p.deps.Sessions.forget()
	p.settled.Store(tenant.ID, true)
	return nil
}

// unsettledPeople finds rows of before; the function that it returns seals them.
func (p *People) unsettledPeople(ctx context.Context, q db.Querier) (int, func(ctx context.Context, tx db.Tx) error, error) {
	type old struct {
		id, email, name string
		second          []byte
	}
	var rows []old
	err := q.Query(ctx, "SELECT id, email, name, second FROM identity_person WHERE private IS NULL ORDER BY id LIMIT $1", func(r db.Row) error {
		rows = append(rows, old{r.Text(0), r.Text(1), r.Text(2), bytes.Clone(r.Bytes(3))})
		return nil
	}, settleAtOnce)
	return len(rows), func(ctx context.Context, tx db.Tx) error {
		key, err := keyOf(ctx, p.deps.Keys)
		if err != nil {
			return err
		}
		for _, o := range rows {
			address, sealed, err := hide(key, o.id, private{o.email, o.name})
			if err != nil {
				return err
			}
			if o.second, err = p.sealedAnew(ctx, "second "+o.id, o.second); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, "UPDATE identity_person SET email = $1, name = '', private = $2, second = $3 WHERE id = $4 AND private IS NULL", address, sealed, o.second, o.id); err != nil {
				return err
			}
		}
		return nil
	}, err
}

// sealedAnew seals what may be sealed as before; nil stays.
func (p *People) sealedAnew(ctx context.Context, of string, sealed []byte) ([]byte, error) {
	if len(sealed) == 0 {
		return nil, nil
	}
	plain, err := p.open(ctx, of, sealed)
	if err != nil {
		return nil, err
	}
	return p.seal(ctx, of, plain)
}

func (p *People) unsettledPasskeys(ctx context.Context, q db.Querier) (int, func(ctx context.Context, tx db.Tx) error, error) {
	var rows []Passkey
	err := q.Query(ctx, "SELECT id, name, credential FROM identity_passkey WHERE name <> '' ORDER BY id LIMIT $1", func(r db.Row) error {
		k, err := p.passkey(ctx, bytes.Clone(r.Bytes(0)), r.Text(1), r.Bytes(2))
		rows = append(rows, k)
		return err
	}, settleAtOnce)
	return len(rows), func(ctx context.Context, tx db.Tx) error {
		for _, k := range rows {
			sealed, err := p.sealPasskey(ctx, k)
			if err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, "UPDATE identity_passkey SET name = '', credential = $1 WHERE id = $2", sealed, k.ID); err != nil {
				return err
			}
		}
		return nil
	}, err
}

// settlePause is between two tenants: it is not to be noticed.
const settlePause = 50 * time.Millisecond

// settleAll settles every tenant, once.
func (p *People) settleAll(ctx context.Context) error {
	tenants, err := p.deps.Tenants(ctx)
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
			p.deps.Log.WarnContext(ctx, "what an earlier version wrote of a tenant's people is not sealed yet", slog.Int("tenant", int(t.ID)), slog.Any("error", err))
		}
	}
	<-ctx.Done()
	return nil
}
