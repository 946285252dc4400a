package tiers

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"ward/internal/backend/blob"
	"ward/internal/backend/db"
	"ward/internal/base/clock"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/kernel/audit"
	"ward/internal/kernel/seal"
	"ward/internal/kernel/tenancy"
	"ward/internal/kernel/transfer"
)

// Deps are what the service works with. All are needed but those that say so.
type Deps struct {
	Directory *tenancy.Directory
	Router    *db.Router
	DB        *db.DB // over Router
	Blobs     *blob.Store
	Keys      *seal.Keys
	Clock     clock.Clock
	Log       *slog.Logger
	Version   string // of Ward, for archives

	// Alone says that no other process works on the databases: an embedded Ward.
	Alone bool
	// Linger is how long the old place of a tenant that was moved is kept, so that transactions of other processes end there; default 2 minutes.
	Linger time.Duration
	// Grace is how long a deleted tenant can be restored when nobody says; default 30 days.
	Grace time.Duration
	// LeaveOut are tables that archives don't hold: what this Ward alone can use, such as sessions.
	LeaveOut []string
	// Settle brings what an earlier version of Ward wrote, and only this Ward can open, under the tenant's own keys before an export; the scope in ctx is the tenant's. nil does nothing.
	Settle func(ctx context.Context) error
	// AuditKey is the public key that this Ward signs audit logs with, and Inherit takes note, in the scope of an imported tenant, of the one that its log was signed with before. nil: archives
	// say nothing of it.
	AuditKey []byte
	Inherit  func(ctx context.Context, key []byte) error
	// Audit is where acts are recorded; nil records nothing.
	Audit Audit
	// Consent says by whose leave the caller may take a tenant's data away over HTTP: the id of who gave the grant. It returns fault.Denied without one.
	Consent func(ctx context.Context, t scope.Tenant, grant string) (by string, err error)
	// Homes says whether operators may name a database over HTTP: one elsewhere would be a way out. It returns fault.Denied for others.
	Homes func(home string) error
	// Shred are further seams that forget a tenant, after its keys were destroyed; the scope in ctx is the tenant's.
	Shred []func(ctx context.Context, t scope.Tenant) error
}

// Service moves, exports, imports, deletes and destroys tenants.
type Service struct {
	deps Deps

	mu   sync.Mutex
	jobs map[string]*job
	work sync.WaitGroup
}

// New is a service; nothing is read yet.
func New(d Deps) *Service {
	if d.Linger <= 0 {
		d.Linger = 2 * time.Minute
	}
	if d.Grace <= 0 {
		d.Grace = 30 * 24 * time.Hour
	}
	return &Service{deps: d, jobs: map[string]*job{}}
}

// Progress is how far a long work is.
type Progress struct {
	Phase       string // for people, such as "copying"
	Done, Total int64  // rows; Total is 0 when it is not known
}

// within is ctx in the scope of the tenant, as the system.
func within(ctx context.Context, t scope.Tenant) context.Context {
	return scope.With(ctx, scope.Scope{Tenant: t, Principal: scope.Principal{ID: "system", Role: "system"}})
}

// here refuses a tenant that another cell serves.
func (s *Service) here(t tenancy.Tenant) error {
	if s.deps.Directory.Away(t) {
		return fault.Conflict("the tenant %s is served by the cell %s: do this there", t.Slug, t.Cell)
	}
	return nil
}

// clear removes the tenant's rows, or its file, from a database that it is not in any more. tracked says that it was in use there.
func (s *Service) clear(ctx context.Context, d *db.DB, tracked bool) error {
	return retry(ctx, func() error {
		own, err := d.Discard(ctx) // Unavailable while somebody reads the file
		if err != nil || own {
			return err
		}
		if tracked {
			if err := transfer.Untrack(ctx, d); err != nil { // first: a fence refuses deletions too
				return err
			}
		}
		return transfer.Clear(ctx, d)
	})
}

const (
	retries    = 600
	retryPause = 100 * time.Millisecond
)

// retry does again what was not possible at the moment, for a minute.
func retry(ctx context.Context, do func() error) error {
	for try := 1; ; try++ {
		err := do()
		if err == nil || !fault.Is(err, fault.CodeUnavailable) || try == retries {
			return err
		}
		if err := sleep(ctx, retryPause); err != nil {
			return err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return db.Ended(ctx)
	}
}

// Create adds a tenant, and opens the database that it is to have, so that a wrong address is found out now. Errors are those of [tenancy.Directory.Add] and of the database.
func (s *Service) Create(ctx context.Context, slug string, terms tenancy.Terms) (tenancy.Tenant, error) {
	if terms.Home != "" {
		_, done, err := s.deps.Router.Home(ctx, terms.Home)
		if err != nil {
			return tenancy.Tenant{}, err
		}
		done()
	}
	t, err := s.deps.Directory.Add(ctx, slug, terms)
	if err == nil && !s.deps.Directory.Away(t) {
		err = s.note(ctx, t.Tenant, audit.Event{Action: audit.Setting, Detail: "created"})
	}
	return t, err
}

// SetStatus makes a tenant active or suspended. Errors are those of [tenancy.Directory.SetStatus].
func (s *Service) SetStatus(ctx context.Context, slug, status string) error {
	if err := s.deps.Directory.SetStatus(ctx, slug, status); err != nil {
		return err
	}
	return s.noteOf(ctx, slug, audit.Event{Action: audit.Setting, Detail: "status " + status})
}

// SetCell adds a cell or changes it. Errors are those of [tenancy.Directory.SetCell].
func (s *Service) SetCell(ctx context.Context, c tenancy.Cell) error {
	if err := s.deps.Directory.SetCell(ctx, c); err != nil || s.deps.Audit == nil {
		return err
	}
	sc, _ := scope.From(ctx)
	return s.deps.Audit.Record(scope.WithSystem(ctx), audit.Event{Action: audit.Setting, Type: "cell", ID: c.Name, Detail: "cell", By: sc.Principal})
}

// SetLimits replaces a tenant's limits. Errors are those of [tenancy.Directory.SetLimits].
func (s *Service) SetLimits(ctx context.Context, slug string, limits map[string]int64) error {
	if err := s.deps.Directory.SetLimits(ctx, slug, limits); err != nil {
		return err
	}
	return s.noteOf(ctx, slug, audit.Event{Action: audit.Setting, Detail: "limits"})
}

// SetSettings replaces a tenant's settings. Errors are those of [tenancy.Directory.SetSettings].
func (s *Service) SetSettings(ctx context.Context, slug string, settings tenancy.Settings) error {
	if err := s.deps.Directory.SetSettings(ctx, slug, settings); err != nil {
		return err
	}
	return s.noteOf(ctx, slug, audit.Event{Action: audit.Setting, Detail: "settings"})
}
