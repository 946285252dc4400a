package oauth

import (
	"context"
	"time"

	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/kernel/identity"
)

// bearer is what is remembered of an access token.
type bearer struct {
	principal scope.Principal
	tenant    int32
	expires   time.Time
	grant     grant
	scope     string
	created   time.Time
}

// Verify says who an access token speaks for, and for which tenant. It returns fault.Unauthenticated for a token that is mistyped, unknown,
// expired or revoked, or whose user or client is gone, and does not say which.
func (p *Provider) Verify(ctx context.Context, token string) (scope.Principal, int32, error) {
	b, err := p.bearer(ctx, token)
	return b.principal, b.tenant, err
}

func (p *Provider) bearer(ctx context.Context, token string) (bearer, error) {
	slug, ok := identity.Slug(AccessPrefix, token)
	if !ok {
		return bearer{}, identity.NotGood()
	}
	h := hashOf(token)
	b, ok := p.known.Peek(h)
	if !ok {
		if _, bad := p.unknown.Peek(h); bad {
			return bearer{}, identity.NotGood()
		}
		var err error
		if b, err = p.known.Get(ctx, h, func(ctx context.Context) (bearer, error) { return p.load(ctx, slug, h) }); err != nil {
			return bearer{}, err
		}
	}
	if !p.deps.Clock.Now().Before(b.expires) {
		return bearer{}, identity.NotGood()
	}
	return b, nil
}

// load reads a token, and the account as it is now, so that a changed role or a closed account counts for tokens that are out.
func (p *Provider) load(ctx context.Context, slug string, h hash) (bearer, error) {
	tenant, err := p.deps.Tenants.Find(ctx, slug)
	if err != nil {
		if fault.Is(err, fault.CodeNotFound) {
			err = identity.NotGood()
		}
		return bearer{}, err
	}
	ctx = scope.WithTenant(ctx, tenant)
	t, ok, err := p.lookup(ctx, h, kindAccess)
	if err != nil {
		return bearer{}, err
	}
	if !ok {
		_, _ = p.unknown.Get(ctx, h, func(context.Context) (struct{}, error) { return struct{}{}, nil })
		return bearer{}, identity.NotGood()
	}
	if !t.good(p.now()) || t.scope == "" {
		return bearer{}, identity.NotGood()
	}
	c, err := p.client(ctx, t.Client)
	if err != nil {
		return bearer{}, err
	}
	if c.ID == "" {
		return bearer{}, identity.NotGood()
	}
	b := bearer{tenant: tenant.ID, expires: t.expires, grant: t.grant, scope: t.scope, created: t.created}
	b.principal = scope.Principal{ID: "client/" + c.ID, Role: t.Role, Client: c.ID, Scopes: t.scope}
	if t.Account != "" {
		a, err := p.deps.People.Account(ctx, t.Account)
		if err != nil {
			if fault.Is(err, fault.CodeNotFound) {
				err = identity.NotGood()
			}
			return bearer{}, err
		}
		b.principal = scope.Principal{
			ID: "user/" + a.User, Role: a.Role, Person: a.Person, Patients: a.Patients, Sensitive: a.Sensitive,
			Patient: t.Patient, Scopes: t.scope, Client: c.ID, Session: t.Session,
		}
	}
	if p.deps.Rights != nil {
		b.principal = p.deps.Rights(b.principal)
	}
	return b, nil
}
