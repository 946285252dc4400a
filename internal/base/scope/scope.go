// Package scope says for whom a piece of work is done: the tenant and the principal, carried by the context.
//
// The database, the cache and the blob store read the scope to choose the tenant's data and refuse a context that has
// none, so that no query can forget its tenant. Only the server (from the path and the token), the runners and the
// command line make scopes.
package scope

import "context"

// Tenant is a customer whose data is kept apart from all others'.
type Tenant struct {
	ID   int32  // positive; never reused
	Slug string // as in the path: /t/{slug}/
}

// Scope is a tenant and a principal, or the system.
type Scope struct {
	Tenant    Tenant
	Principal Principal
	System    bool // the system database; Tenant is then zero
}

// Valid says whether the scope picks a database.
func (s Scope) Valid() bool { return s.System || s.Tenant.ID > 0 }

type key struct{}

// carried keeps the scope in the context node itself, so that putting it there costs one allocation and reading it none.
type carried struct {
	context.Context //nolint:containedctx // this is a context
	scope           Scope
}

func (c *carried) Value(k any) any {
	if _, ok := k.(key); ok {
		return c
	}
	return c.Context.Value(k)
}

// With is ctx with the scope.
func With(ctx context.Context, s Scope) context.Context {
	return &carried{Context: ctx, scope: s}
}

// WithTenant is ctx with a scope of the tenant in which the system itself acts, for runners, consumers and the command line.
func WithTenant(ctx context.Context, t Tenant) context.Context {
	return With(ctx, Scope{Tenant: t, Principal: Principal{ID: "system", Role: "system"}})
}

// WithSystem is ctx with the scope of the system database.
func WithSystem(ctx context.Context) context.Context {
	return With(ctx, Scope{System: true, Principal: Principal{ID: "system", Role: "system"}})
}

// From gives the scope that ctx carries; false when it carries none.
func From(ctx context.Context) (Scope, bool) {
	if c, ok := ctx.Value(key{}).(*carried); ok {
		return c.scope, true
	}
	return Scope{}, false
}
