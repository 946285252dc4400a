package tiers

import (
	"context"

	"ward/internal/base/scope"
	"ward/internal/kernel/audit"
)

// Audit is where acts on tenants are recorded: an *audit.Log.
type Audit interface {
	Record(ctx context.Context, e audit.Event) error
	Flush(ctx context.Context) error
}

// note records an act of the caller on a tenant, in the tenant's log, for its people, and in the system's, which outlives the tenant. It returns when both
// are on disk: what is recorded first is not done when it can't be.
func (s *Service) note(ctx context.Context, t scope.Tenant, e audit.Event) error {
	if s.deps.Audit == nil {
		return nil
	}
	if sc, ok := scope.From(ctx); ok && e.By.ID == "" {
		e.By = sc.Principal
	}
	e.Type = "tenant"
	if err := s.deps.Audit.Record(within(ctx, t), e); err != nil {
		return err
	}
	e.ID = t.Slug
	if err := s.deps.Audit.Record(scope.WithSystem(ctx), e); err != nil {
		return err
	}
	return s.deps.Audit.Flush(ctx)
}

// noteOf is note for a slug, which may be that of no tenant: then nothing is recorded, and what follows says so.
func (s *Service) noteOf(ctx context.Context, slug string, e audit.Event) error {
	t, err := s.deps.Directory.Get(ctx, slug)
	if err != nil || s.deps.Directory.Away(t) {
		return nil //nolint:nilerr // whoever acts on it next answers with that
	}
	return s.note(ctx, t.Tenant, e)
}
