package operators

import (
	"context"
	"crypto/sha256"
	"embed"
	"io/fs"
	"strings"
	"time"

	"ward/internal/backend/db"
	"ward/internal/base/clock"
	"ward/internal/base/fault"
	"ward/internal/base/id"
	"ward/internal/base/recent"
	"ward/internal/base/scope"
	"ward/internal/kernel/access"
	"ward/internal/kernel/audit"
	"ward/internal/kernel/identity"
	"ward/internal/kernel/module"
	"ward/internal/kernel/seal"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Longest is how long a grant lasts at most.
const Longest = 4 * time.Hour

// TokenPrefix begins the tokens of operators who were let in.
const TokenPrefix = "wardop_"

// staleness is how long another process may not know that a grant was revoked.
const staleness = 2 * time.Second

// Audit is where grants and their use are recorded: an *audit.Log.
type Audit interface {
	RecordIn(ctx context.Context, tx db.Tx, events ...audit.Event) error
}

// Deps are what the desk works with; all are needed.
type Deps struct {
	DB    *db.DB
	Keys  *seal.Keys
	Clock clock.Clock
	Audit Audit
	// Tenant finds a tenant by its slug, as the server does.
	Tenant func(ctx context.Context, slug string) (scope.Tenant, error)
}

// Grant is what a tenant allowed.
type Grant struct {
	ID       string
	Operator string // the principal's id; empty: any operator
	By       string // who gave it: a principal's id of the tenant
	Given    time.Time
	Until    time.Time
	Revoked  time.Time // zero: not
}

// good says whether the grant counts at the time.
func (g *Grant) good(now time.Time) bool { return g.Revoked.IsZero() && now.Before(g.Until) }

// bearer is who holds a token, and by which grant.
type bearer struct {
	grant    Grant
	operator string
	rights   any
}

// Access gives and uses grants. It is safe for use by many goroutines.
type Access struct {
	deps   Deps
	tokens *recent.Cache[[sha256.Size]byte, bearer]
	wrong  *recent.Cache[[sha256.Size]byte, struct{}]
}

// New is the access of operators to all tenants.
func New(d Deps) *Access {
	return &Access{
		deps:   d,
		tokens: recent.New[[sha256.Size]byte, bearer](recent.Options{Clock: d.Clock, TTL: staleness, Max: 10_000}),
		wrong:  recent.New[[sha256.Size]byte, struct{}](recent.Options{Clock: d.Clock, TTL: staleness, Max: 10_000}),
	}
}

// Module is the tables and the routes.
func (a *Access) Module() module.Module {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return module.Module{Name: "operators", Migrations: files, Routes: a.routes()}
}

// Give lets an operator, or any when operator is empty, read the records of the scope's tenant for a time. The caller has checked the permission.
//
// Errors: Invalid for a time or a reason that can't be.
func (a *Access) Give(ctx context.Context, operator, reason string, length time.Duration) (g Grant, err error) {
	defer fault.Op(&err, "operators.Give")
	reason = strings.TrimSpace(reason)
	const most = 1000
	switch {
	case length <= 0 || length > Longest:
		return g, fault.Invalid("access is given for 1 minute to %d hours", int(Longest.Hours()))
	case reason == "" || len(reason) > most:
		return g, fault.Invalid("a reason of 1 to %d characters is needed", most)
	case len(operator) > 100:
		return g, fault.Invalid("operator is the id of an operator's token, or empty for any operator")
	}
	if err := access.Require(ctx, access.OperatorGrant); err != nil {
		return g, err
	}
	key, err := a.deps.Keys.For(ctx)
	if err != nil {
		return g, err
	}
	s, _ := scope.From(ctx)
	now := a.deps.Clock.Now().UTC().Truncate(time.Millisecond)
	g = Grant{ID: id.New(), Operator: operator, By: s.Principal.ID, Given: now, Until: now.Add(length)}
	sealed := key.Seal(nil, []byte(reason), []byte("operators_grant "+g.ID+" reason"))
	err = a.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		if _, err := tx.Exec(ctx, "INSERT INTO operators_grant (id, operator, by_id, reason, given, until, revoked) VALUES ($1, $2, $3, $4, $5, $6, 0)",
			g.ID, operator, g.By, sealed, g.Given.UnixMilli(), g.Until.UnixMilli()); err != nil {
			return err
		}
		return a.deps.Audit.RecordIn(ctx, tx, audit.Event{Action: audit.Grant, Type: "operator-access", ID: g.ID, Detail: "operator access"})
	})
	return g, err
}

// List is the grants of the scope's tenant, the newest first, at most limit.
func (a *Access) List(ctx context.Context, limit int) (list []Grant, err error) {
	defer fault.Op(&err, "operators.List")
	err = a.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) (err error) {
		list, err = grants(ctx, q, "ORDER BY id DESC LIMIT $1", limit)
		return err
	})
	return list, err
}

func grants(ctx context.Context, q db.Querier, rest string, args ...any) (list []Grant, err error) {
	err = q.Query(ctx, "SELECT id, operator, by_id, given, until, revoked FROM operators_grant "+rest, func(r db.Row) error {
		list = append(list, Grant{ID: r.Text(0), Operator: r.Text(1), By: r.Text(2), Given: moment(r.Int64(3)), Until: moment(r.Int64(4)), Revoked: moment(r.Int64(5))})
		return nil
	}, args...)
	return list, err
}

func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// Revoke ends a grant. Revoking twice is no error.
//
// Errors: NotFound.
func (a *Access) Revoke(ctx context.Context, grantID string) (err error) {
	defer fault.Op(&err, "operators.Revoke", grantID)
	err = a.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		n, err := tx.Exec(ctx, "UPDATE operators_grant SET revoked = CASE WHEN revoked = 0 THEN $1 ELSE revoked END WHERE id = $2", a.deps.Clock.Now().UnixMilli(), grantID)
		if err == nil && n == 0 {
			err = fault.NotFound("there is no such grant")
		}
		if err != nil {
			return err
		}
		return a.deps.Audit.RecordIn(ctx, tx, audit.Event{Action: audit.Revoke, Type: "operator-access", ID: grantID, Detail: "operator access"})
	})
	a.tokens.Invalidate()
	return err
}

// Consent gives the grant by which the operator in ctx may take the records of a tenant away.
//
// Errors: Denied when there is no grant for this operator that counts, without saying why.
func (a *Access) Consent(ctx context.Context, tenant scope.Tenant, grantID string) (g Grant, err error) {
	defer fault.Op(&err, "operators.Consent", grantID)
	s, _ := scope.From(ctx)
	err = a.deps.DB.Read(scope.With(ctx, scope.Scope{Tenant: tenant, Principal: s.Principal}), func(ctx context.Context, q db.Querier) (err error) {
		g, err = granted(ctx, q, grantID, s.Principal.ID, a.deps.Clock.Now())
		return err
	})
	return g, err
}

// granted is the grant if it counts for the operator at the time.
func granted(ctx context.Context, q db.Querier, grantID, operator string, now time.Time) (Grant, error) {
	found, err := grants(ctx, q, "WHERE id = $1", grantID)
	if err != nil {
		return Grant{}, err
	}
	if len(found) == 0 || !found[0].good(now) || found[0].Operator != "" && found[0].Operator != operator {
		return Grant{}, fault.Denied("this tenant has not let you in")
	}
	return found[0], nil
}

// Enter exchanges a grant for a token of the tenant. The principal in ctx is the operator. The token is returned this once.
//
// Errors: Denied when there is no grant for this operator that counts, without saying why; NotFound for a tenant that is not there.
func (a *Access) Enter(ctx context.Context, slug, grantID string) (token string, g Grant, err error) {
	defer fault.Op(&err, "operators.Enter", grantID)
	if err := access.Require(ctx, access.OperatorEnter); err != nil {
		return "", g, err
	}
	s, _ := scope.From(ctx)
	tenant, err := a.deps.Tenant(ctx, slug)
	if err != nil {
		return "", g, err
	}
	inside := scope.With(ctx, scope.Scope{Tenant: tenant, Principal: s.Principal})
	now := a.deps.Clock.Now()
	token = identity.Mint(TokenPrefix, tenant.Slug)
	hash := sha256.Sum256([]byte(token))
	err = a.deps.DB.Write(inside, func(ctx context.Context, tx db.Tx) error {
		if g, err = granted(ctx, tx, grantID, s.Principal.ID, now); err != nil {
			return err
		}
		if _, err := tx.Insert(ctx, "operators_token", db.Col("hash", [][]byte{hash[:]}), db.Col("grant_id", []string{g.ID}), db.Col("operator", []string{s.Principal.ID})); err != nil {
			return err
		}
		by := s.Principal
		by.OnBehalfOf = g.By
		return a.deps.Audit.RecordIn(ctx, tx, audit.Event{Action: audit.Token, By: by, Type: "operator-access", ID: g.ID, Detail: "operator access"})
	})
	if err != nil {
		return "", Grant{}, err
	}
	a.wrong.Invalidate()
	return token, g, nil
}

// Verify says who a token of an operator who was let in speaks for: an [identity.Minter].
func (a *Access) Verify(ctx context.Context, token string) (scope.Principal, int32, error) {
	slug, ok := identity.Slug(TokenPrefix, token)
	if !ok {
		return scope.Principal{}, 0, identity.NotGood()
	}
	tenant, err := a.deps.Tenant(ctx, slug)
	if err != nil {
		return scope.Principal{}, 0, identity.NotGood()
	}
	hash := sha256.Sum256([]byte(token))
	if _, bad := a.wrong.Peek(hash); bad {
		return scope.Principal{}, 0, identity.NotGood()
	}
	b, err := a.tokens.Get(ctx, hash, func(ctx context.Context) (bearer, error) { return a.load(ctx, tenant, hash) })
	if err != nil {
		return scope.Principal{}, 0, err
	}
	if !b.grant.good(a.deps.Clock.Now()) {
		return scope.Principal{}, 0, identity.NotGood()
	}
	return scope.Principal{ID: b.operator, Role: access.Operator, OnBehalfOf: b.grant.By, Rights: b.rights}, tenant.ID, nil
}

func (a *Access) load(ctx context.Context, tenant scope.Tenant, hash [sha256.Size]byte) (b bearer, err error) {
	err = a.deps.DB.Read(scope.WithTenant(ctx, tenant), func(ctx context.Context, q db.Querier) error {
		b = bearer{}
		grant := ""
		err := q.Query(ctx, "SELECT grant_id, operator FROM operators_token WHERE hash = $1", func(r db.Row) error {
			grant, b.operator = r.Text(0), r.Text(1)
			return nil
		}, hash[:])
		if err != nil || grant == "" {
			return err
		}
		found, err := grants(ctx, q, "WHERE id = $1", grant)
		if len(found) == 1 {
			b.grant = found[0]
		}
		return err
	})
	if err != nil {
		return b, err
	}
	if b.grant.ID == "" {
		_, _ = a.wrong.Get(ctx, hash, func(context.Context) (struct{}, error) { return struct{}{}, nil })
		return b, identity.NotGood()
	}
	p := access.WithRights(scope.Principal{ID: b.operator, Role: access.Operator, OnBehalfOf: b.grant.By})
	b.rights = p.Rights
	return b, nil
}
