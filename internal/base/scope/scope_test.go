package scope_test

import (
	"context"
	"testing"

	"ward/internal/base/scope"
)

func TestFrom(t *testing.T) {
	t.Parallel()
	if s, ok := scope.From(t.Context()); ok || s.Valid() {
		t.Errorf("a bare context has the scope %v", s)
	}
	north := scope.Tenant{ID: 2, Slug: "north"}
	ctx := scope.With(t.Context(), scope.Scope{Tenant: north, Principal: scope.Principal{ID: "t1", Role: "clinician"}})
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	s, ok := scope.From(inner)
	if !ok || !s.Valid() || s.Tenant != north || s.Principal.Role != "clinician" || s.System {
		t.Errorf("scope %v %v", s, ok)
	}
	s, _ = scope.From(scope.WithSystem(inner))
	if !s.System || s.Tenant.ID != 0 || !s.Valid() {
		t.Errorf("the system's scope is %v", s)
	}
	s, _ = scope.From(scope.WithTenant(scope.WithSystem(inner), north))
	if s.System || s.Tenant != north || s.Principal.Role != "system" {
		t.Errorf("the tenant's scope is %v", s)
	}
}

func TestFrom_AllocatesNothing(t *testing.T) {
	ctx := scope.WithSystem(t.Context())
	if n := testing.AllocsPerRun(100, func() { _, _ = scope.From(ctx) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
