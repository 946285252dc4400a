package app

import (
	"context"
	"sync"

	"ward/internal/base/scope"
	"ward/internal/domain/records"
	"ward/internal/kernel/journal"
)

// localTarget stores into this process's records.
type localTarget struct {
	records *records.Service
	tenant  scope.Tenant
	journal *journal.Journal
}

func (a *App) importJournal(ctx context.Context, slug string) (*journal.Journal, error) {
	t, err := a.Tenants.Get(ctx, slug)
	if err != nil {
		return nil, err
	}
	return journal.Open(ctx, a.Backends.DB, t.Tenant, "import")
}

func (a *App) importTarget(ctx context.Context, slug string) (*localTarget, error) {
	t, err := a.Tenants.Get(ctx, slug)
	if err != nil {
		return nil, err
	}
	j, err := journal.Open(ctx, a.Backends.DB, t.Tenant, "import")
	return &localTarget{records: a.Records, tenant: t.Tenant, journal: j}, err
}

// withTarget does one chunk for another process, which keeps the journal.
func withTarget(ctx context.Context, a *App, slug string, do func(importTarget) (imported, error)) (imported, error) {
	t, err := a.Tenants.Get(ctx, slug)
	if err != nil {
		return imported{}, err
	}
	return do(&localTarget{records: a.Records, tenant: t.Tenant})
}

func (t *localTarget) bundle(ctx context.Context, body []byte) (imported, error) {
	r, err := t.records.ImportBundle(scope.WithTenant(ctx, t.tenant), body)
	return importedOf(r), err
}

func (t *localTarget) resources(ctx context.Context, bodies [][]byte) (imported, error) {
	r, err := t.records.ImportResources(scope.WithTenant(ctx, t.tenant), bodies)
	return importedOf(r), err
}

func (t *localTarget) done(h journal.Hash) bool { return t.journal.Done(h) }

func (t *localTarget) mark(ctx context.Context, h journal.Hash) error { return t.journal.Mark(ctx, h) }

func (t *localTarget) flush(ctx context.Context) error { return t.journal.Flush(ctx) }

func importedOf(r records.ImportReport) imported {
	out := imported{Created: r.Created, Updated: r.Updated, Unchanged: r.Unchanged}
	for _, x := range r.Refused {
		out.Refused = append(out.Refused, refusedEntry{x.Index, x.Type, failedOnWire(x.Err)})
	}
	return out
}

// remoteTarget stores through the process that has the data open.
type remoteTarget struct {
	c      *caller
	tenant string

	mu      sync.Mutex
	known   map[journal.Hash]bool
	waiting []journal.Hash
}

func (t *remoteTarget) bundle(ctx context.Context, body []byte) (imported, error) {
	return call[imported](ctx, t.c, "import-bundle", importWire{Tenant: t.tenant, Bodies: [][]byte{body}})
}

func (t *remoteTarget) resources(ctx context.Context, bodies [][]byte) (imported, error) {
	return call[imported](ctx, t.c, "import-resources", importWire{Tenant: t.tenant, Bodies: bodies})
}

func (t *remoteTarget) done(h journal.Hash) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.known[h]
}

// markedAtOnce is how many marks go over in one call.
const markedAtOnce = 64

func (t *remoteTarget) mark(ctx context.Context, h journal.Hash) error {
	t.mu.Lock()
	t.known[h] = true
	t.waiting = append(t.waiting, h)
	due := len(t.waiting) >= markedAtOnce
	t.mu.Unlock()
	if due {
		return t.flush(ctx)
	}
	return nil
}

func (t *remoteTarget) flush(ctx context.Context) error {
	t.mu.Lock()
	hashes := t.waiting
	t.waiting = nil
	t.mu.Unlock()
	if len(hashes) == 0 {
		return nil
	}
	_, err := call[struct{}](ctx, t.c, "import-mark", importWire{Tenant: t.tenant, Hashes: hashes})
	return err
}
