package tiers

import (
	"context"
	"log/slog"
	"time"

	"ward/internal/kernel/tenancy"
)

// lookEvery is how often moves that were left behind, and tenants that are due, are looked for.
const lookEvery = 10 * time.Second

// run looks after what was left behind until ctx ends.
func (s *Service) run(ctx context.Context) error {
	first := true
	for ctx.Err() == nil {
		if err := s.Resume(ctx, first && s.deps.Alone); err != nil && ctx.Err() == nil {
			s.deps.Log.WarnContext(ctx, "tenants could not be looked after and are again soon", slog.Any("error", err))
		}
		first = false
		_ = sleep(ctx, lookEvery)
	}
	s.stopJobs()
	return nil
}

// Resume undoes moves whose process has died, clears the places that tenants have left, and destroys the tenants that are due. dead says that all moves are left
// behind: the only process has just started.
func (s *Service) Resume(ctx context.Context, dead bool) error {
	all, err := s.deps.Directory.List(ctx)
	if err != nil {
		return err
	}
	now := s.deps.Clock.Now()
	for _, t := range all {
		if s.deps.Directory.Away(t) {
			continue
		}
		ctx := within(ctx, t.Tenant)
		var err error
		switch {
		case t.Move != nil && t.Move.Phase == tenancy.Moved:
			if s.deps.Alone && (dead || now.Sub(t.Move.Switched) > beatMost) || now.Sub(t.Move.Switched) > s.deps.Linger {
				err = s.finish(ctx, t.Slug)
			}
		case t.Move != nil:
			if dead || now.Sub(t.Move.Beat) > beatMost {
				s.deps.Log.WarnContext(ctx, "a move was left behind and is undone", slog.String("tenant", t.Slug))
				err = s.undo(ctx, t.Slug, t.Move.ID)
			}
		case t.Status == tenancy.Deleting && !now.Before(t.Due):
			err = s.Destroy(ctx, t.Slug)
		}
		if err != nil && ctx.Err() == nil {
			s.deps.Log.WarnContext(ctx, "a tenant could not be looked after and is again soon", slog.String("tenant", t.Slug), slog.Any("error", err))
		}
	}
	return nil
}
