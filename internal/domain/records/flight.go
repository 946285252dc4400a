package records

import (
	"context"
	"sync"

	"ward/internal/base/scope"
)

// flights knows the writes of this process that are under way, by tenant. A search that continues on another page
// needs to know what its first page can have seen: every version below the mark.
type flights struct {
	sequence *sequencer

	mu      sync.Mutex
	tenants map[int32]*tenantFlights
}

type tenantFlights struct {
	open  []*flight // in the order of their beginning
	begun int64     // how many ever were
}

type flight struct {
	low   int64 // all sequences that it draws are at least this
	ended bool
}

// mark is a moment in a tenant's writes.
type mark struct {
	low   int64 // every version of this process below it was committed before
	end   int64 // every version of this process from it on is written later
	quiet bool  // no write was under way
	begun int64
}

func newFlights(s *sequencer) *flights {
	return &flights{sequence: s, tenants: map[int32]*tenantFlights{}}
}

func (f *flights) tenant(ctx context.Context) *tenantFlights {
	sc, _ := scope.From(ctx)
	t := f.tenants[sc.Tenant.ID]
	if t == nil {
		t = &tenantFlights{}
		f.tenants[sc.Tenant.ID] = t
	}
	return t
}

// begin is called before a write; end after its transaction has ended, however it ended.
func (f *flights) begin(ctx context.Context) (end func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t, fl := f.tenant(ctx), &flight{low: f.sequence.next()}
	t.open = append(t.open, fl)
	t.begun++
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		fl.ended = true
		for len(t.open) > 0 && t.open[0].ended {
			t.open[0] = nil
			t.open = t.open[1:]
		}
	}
}

// now marks the present. What is committed now, or under way, or begins later, is told apart by it.
func (f *flights) now(ctx context.Context) mark {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.tenant(ctx)
	end := f.sequence.next()
	m := mark{low: end, end: end, quiet: len(t.open) == 0, begun: t.begun}
	if !m.quiet {
		m.low = min(m.low, t.open[0].low)
	}
	return m
}

// still says that nothing of the tenant was being written from the mark to now.
func (f *flights) still(ctx context.Context, since mark) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return since.quiet && f.tenant(ctx).begun == since.begun
}
