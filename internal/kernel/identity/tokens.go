package identity

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"embed"
	"io/fs"
	"slices"
	"strings"
	"time"

	"ward/internal/backend/db"
	"ward/internal/base/clock"
	"ward/internal/base/fault"
	"ward/internal/base/id"
	"ward/internal/base/recent"
	"ward/internal/base/scope"
	"ward/internal/kernel/access"
	"ward/internal/kernel/module"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Token is what is known of a token. The token itself is known to its holder alone.
type Token struct {
	ID       string
	TenantID int32 // 0 for an operator's
	Role     string
	Name     string // what it is for
	Created  time.Time
	Expires  time.Time // zero: never
	Revoked  time.Time // zero: not

	hash [sha256.Size]byte
}

// Good says whether the token is neither revoked nor expired at the time.
func (t *Token) Good(now time.Time) bool {
	return t.Revoked.IsZero() && (t.Expires.IsZero() || now.Before(t.Expires))
}

// Deps are what the tokens work with; all are needed.
type Deps struct {
	DB    *db.DB
	Clock clock.Clock
}

// Tokens mints and verifies. It is safe for use by many goroutines.
type Tokens struct {
	deps    Deps
	known   *recent.Cache[[sha256.Size]byte, Token]
	unknown *recent.Cache[[sha256.Size]byte, struct{}]
}

// staleTime is how long those who were known when the database went away are known: nobody can end a token or a session there meanwhile, but
// who still reaches it could.
const staleTime = 5 * time.Minute

// New is the tokens of the system database.
func New(d Deps) *Tokens {
	return &Tokens{
		deps:    d,
		known:   recent.New[[sha256.Size]byte, Token](recent.Options{Clock: d.Clock, TTL: 2 * time.Second, Max: 50_000, Stale: staleTime}),
		unknown: recent.New[[sha256.Size]byte, struct{}](recent.Options{Clock: d.Clock, TTL: 2 * time.Second, Max: 10_000}),
	}
}

// Module is the tokens' table.
func (t *Tokens) Module() module.Module {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return module.Module{Name: "identity", SystemMigrations: files}
}

// Create mints a token for the tenant, or for operators when the tenant is zero. The secret is returned this once. It
// returns fault.Invalid for a role that such a token can't have and for a lifetime that is negative; 0 never expires.
func (t *Tokens) Create(ctx context.Context, tenant scope.Tenant, role, name string, lifetime time.Duration) (secret string, token Token, err error) {
	defer fault.Op(&err, "identity.Create", tenant.ID, role)
	roles, slug := access.TenantRoles(), tenant.Slug
	if tenant.ID == 0 {
		roles, slug = []string{access.Operator}, systemSlug
	}
	if !slices.Contains(roles, role) {
		return "", token, fault.Invalid("%q is no role for this token: choose %s", role, strings.Join(roles, ", "))
	}
	if lifetime < 0 {
		return "", token, fault.Invalid("the lifetime is negative: leave it out for a token that never expires")
	}
	if len(name) > 200 {
		return "", token, fault.Invalid("a token's name has at most 200 bytes")
	}
	now := t.deps.Clock.Now().Truncate(time.Millisecond).UTC()
	secret = Mint(prefix, slug)
	token = Token{ID: id.New(), TenantID: tenant.ID, Role: role, Name: name, Created: now, hash: sha256.Sum256([]byte(secret))}
	if lifetime > 0 {
		token.Expires = now.Add(lifetime)
	}
	err = t.deps.DB.Write(scope.WithSystem(ctx), func(ctx context.Context, tx db.Tx) error {
		_, err := tx.Exec(ctx, "INSERT INTO identity_token (id, hash, tenant_id, role, name, created, expires, revoked) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
			token.ID, token.hash[:], token.TenantID, role, name, token.Created.UnixMilli(), millis(token.Expires), 0)
		return err
	})
	if err != nil {
		return "", Token{}, err
	}
	t.unknown.Invalidate()
	return secret, token, nil
}

// List is the tokens of a tenant, 0 for operators', oldest first, without secrets.
func (t *Tokens) List(ctx context.Context, tenantID int32) ([]Token, error) {
	return t.query(ctx, "WHERE tenant_id = $1 ORDER BY created, id", tenantID)
}

// Revoke ends a token for good. It returns fault.NotFound when there is none with the id; revoking twice is no error.
func (t *Tokens) Revoke(ctx context.Context, tokenID string) (err error) {
	defer fault.Op(&err, "identity.Revoke", tokenID)
	err = t.deps.DB.Write(scope.WithSystem(ctx), func(ctx context.Context, tx db.Tx) error {
		n, err := tx.Exec(ctx, "UPDATE identity_token SET revoked = CASE WHEN revoked = 0 THEN $1 ELSE revoked END WHERE id = $2", t.deps.Clock.Now().UnixMilli(), tokenID)
		if err == nil && n == 0 {
			err = fault.NotFound("there is no token %s: `ward token list` lists them", tokenID)
		}
		return err
	})
	t.known.Invalidate()
	return err
}

// Verify says who the token speaks for, and for which tenant: 0 is none, for operators. It returns fault.Unauthenticated for a
// token that is mistyped, unknown, expired or revoked, and does not say which.
func (t *Tokens) Verify(ctx context.Context, secret string) (scope.Principal, int32, error) {
	if _, ok := Slug(prefix, secret); !ok {
		return scope.Principal{}, 0, NotGood()
	}
	hash := sha256.Sum256([]byte(secret))
	token, ok := t.known.Peek(hash)
	if !ok {
		if _, bad := t.unknown.Peek(hash); bad {
			return scope.Principal{}, 0, NotGood()
		}
		var err error
		if token, err = t.known.Get(ctx, hash, func(ctx context.Context) (Token, error) { return t.load(ctx, hash) }); err != nil {
			return scope.Principal{}, 0, err
		}
	}
	if subtle.ConstantTimeCompare(token.hash[:], hash[:]) != 1 || !token.Good(t.deps.Clock.Now()) {
		return scope.Principal{}, 0, NotGood()
	}
	return scope.Principal{ID: token.ID, Role: token.Role}, token.TenantID, nil
}

func (t *Tokens) load(ctx context.Context, hash [sha256.Size]byte) (Token, error) {
	found, err := t.query(ctx, "WHERE hash = $1", hash[:])
	if err != nil {
		return Token{}, err
	}
	if len(found) == 0 {
		_, _ = t.unknown.Get(ctx, hash, func(context.Context) (struct{}, error) { return struct{}{}, nil })
		return Token{}, NotGood()
	}
	return found[0], nil
}

func (t *Tokens) query(ctx context.Context, rest string, args ...any) (found []Token, err error) {
	defer fault.Op(&err, "identity.query")
	err = t.deps.DB.Read(scope.WithSystem(ctx), func(ctx context.Context, q db.Querier) error {
		found = nil
		return q.Query(ctx, "SELECT id, hash, tenant_id, role, name, created, expires, revoked FROM identity_token "+rest, func(r db.Row) error {
			token := Token{
				ID: r.Text(0), TenantID: int32(r.Int64(2)), Role: r.Text(3), Name: r.Text(4), //nolint:gosec // an int4
				Created: moment(r.Int64(5)), Expires: moment(r.Int64(6)), Revoked: moment(r.Int64(7)),
			}
			copy(token.hash[:], r.Bytes(1))
			found = append(found, token)
			return nil
		}, args...)
	})
	return found, err
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
