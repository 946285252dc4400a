package tiers

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/kernel/audit"
	"ward/internal/kernel/tenancy"
)

// Delete makes the tenant's data unreachable at once, and has it destroyed after the grace, 0 for the default; until then [Service.Restore] brings it back. It gives the time from
// which it may be destroyed.
func (s *Service) Delete(ctx context.Context, slug string, grace time.Duration) (due time.Time, err error) {
	defer fault.Op(&err, "tiers.Delete", slug)
	if grace < 0 {
		return due, fault.Invalid("a tenant can't be deleted in the past")
	}
	if grace == 0 {
		grace = s.deps.Grace
	}
	if err := s.noteOf(ctx, slug, audit.Event{Action: audit.Delete}); err != nil {
		return due, err
	}
	err = s.deps.Directory.Change(ctx, slug, func(t *tenancy.Tenant) error {
		switch {
		case t.Move != nil:
			return fault.Conflict("the tenant %s is on the move: wait for its end", slug)
		case t.Status == tenancy.Deleting:
			return fault.Conflict("the tenant %s is being deleted already", slug)
		}
		due = s.deps.Clock.Now().Add(grace).Truncate(time.Millisecond)
		t.Status, t.Due = tenancy.Deleting, due
		return nil
	})
	return due, err
}

// Restore brings a deleted tenant back, until it is destroyed. It returns fault.Conflict for one that is not deleted.
func (s *Service) Restore(ctx context.Context, slug string) (err error) {
	defer fault.Op(&err, "tiers.Restore", slug)
	err = s.deps.Directory.Change(ctx, slug, func(t *tenancy.Tenant) error {
		if t.Status != tenancy.Deleting {
			return fault.Conflict("the tenant %s is not deleted", slug)
		}
		if !s.deps.Clock.Now().Before(t.Due) {
			return fault.Conflict("the tenant %s is being destroyed", slug)
		}
		t.Status, t.Due = tenancy.Active, time.Time{}
		return nil
	})
	if err != nil {
		return err
	}
	return s.noteOf(ctx, slug, audit.Event{Action: audit.Setting, Detail: "restored"})
}

// Destroy removes what a deleted tenant has left, its key first: from then on nothing of it can be read, wherever a copy is. It may be called again when it failed. It
// returns fault.Conflict for a tenant that is not due.
func (s *Service) Destroy(ctx context.Context, slug string) (err error) {
	defer fault.Op(&err, "tiers.Destroy", slug)
	t, err := s.deps.Directory.Get(ctx, slug)
	if err != nil {
		return err
	}
	if t.Status != tenancy.Deleting || s.deps.Clock.Now().Before(t.Due) {
		return fault.Conflict("the tenant %s is not due", slug)
	}
	ctx = within(ctx, t.Tenant)
	whole, err := s.deps.Keys.Destroy(ctx, t.ID)
	if err != nil {
		return err
	}
	if !whole {
		s.deps.Log.WarnContext(ctx, "the key service can't destroy a tenant's key: older copies of the system database still open what backups hold of it", slog.Int("number", int(t.ID)))
	}
	for _, shred := range s.deps.Shred {
		if err := shred(ctx, t.Tenant); err != nil {
			return err
		}
	}
	release, err := s.deps.Router.Hold(ctx, t.ID) // what still wants to be written finds no tenant after
	if err != nil {
		return err
	}
	defer release()
	if !s.deps.Directory.Away(t) {
		d, done, err := s.deps.Router.Home(ctx, t.Home)
		if err != nil {
			return err
		}
		err = s.clear(ctx, d, false)
		done()
		if err != nil {
			return err
		}
		if err := s.clearBlobs(ctx); err != nil {
			return err
		}
	}
	err = s.deps.Directory.Change(ctx, slug, func(t *tenancy.Tenant) error {
		// The slug is free again, the number never is; the name may be a person's.
		t.Slug, t.Name, t.Status = fmt.Sprintf("destroyed-%d", t.ID), "", tenancy.Destroyed
		t.Settings, t.Home, t.Plan, t.Limits, t.KMS, t.Due = tenancy.Settings{}, "", "", nil, "", time.Time{}
		return nil
	})
	if err == nil && s.deps.Audit != nil {
		err = s.deps.Audit.Record(scope.WithSystem(ctx), audit.Event{Action: audit.Delete, Type: "tenant", ID: slug, Detail: "destroyed"})
	}
	if err == nil {
		s.deps.Log.InfoContext(ctx, "a tenant was destroyed", slog.Int("number", int(t.ID)))
	}
	return err
}

func (s *Service) clearBlobs(ctx context.Context) error {
	for b, err := range s.deps.Blobs.List(ctx, "", "") {
		if err != nil {
			return err
		}
		if err := s.deps.Blobs.Delete(ctx, b.Key); err != nil {
			return err
		}
	}
	return nil
}
