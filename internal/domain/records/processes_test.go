package records

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
)

// twoProcesses are two record stores over one PostgreSQL database that know nothing of each other, and drew the same number
// for their sequences.
func twoProcesses(t *testing.T) (one, two *Service, ctx context.Context) {
	t.Helper()
	postgresURL(t)
	one, ctx = newStore(t, onPostgres(t))
	two, _ = newStore(t, onPostgres(t))
	two.sequence.node = one.sequence.node
	return one, two, ctx
}

// TestProcesses_TablesHoldWhatWasAcknowledged: two processes write the same resources at random.
func TestProcesses_TablesHoldWhatWasAcknowledged(t *testing.T) {
	t.Parallel()
	one, two, ctx := twoProcesses(t)
	w := newWorld(one, ctx)
	var wg sync.WaitGroup
	for n := range uint64(12) {
		s := one
		if n%2 == 0 {
			s = two
		}
		wg.Go(func() {
			r := rand.New(rand.NewPCG(n, 15)) //nolint:gosec // reproducible
			for range 30 {
				c := w.change(t, r)
				if err := s.commit(ctx, c); err != nil {
					t.Errorf("commit of %s/%s: %v", c.Type, c.ID, err)
					continue
				}
				w.ack(t, c)
			}
		})
	}
	wg.Wait()
	w.check(t)
	w.checkSearches(t)
}

// TestProcesses_NoUpdateIsLost: a counter that writers of both processes raise.
func TestProcesses_NoUpdateIsLost(t *testing.T) {
	t.Parallel()
	one, two, ctx := twoProcesses(t)
	put(t, one, ctx, string(numbered("counter", 0)))
	const writers, each = 8, 8
	var wg sync.WaitGroup
	current := func(s *Service) (v *Version, err error) {
		err = s.db.Read(ctx, func(ctx context.Context, q db.Querier) error {
			v, err = s.read(ctx, q, "Basic", "counter")
			return err
		})
		return v, err
	}
	for n := range writers {
		s := one
		if n%2 == 0 {
			s = two
		}
		wg.Go(func() {
			for done := 0; done < each; {
				v, err := current(s)
				if err == nil {
					_, err = updateBasic(t, s, ctx, numbered("counter", numberIn(v)+1), "counter", v.Number, false)
				}
				switch {
				case err == nil:
					done++
				case !fault.Is(err, fault.CodePrecondition):
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	v, err := current(one)
	if err != nil || numberIn(v) != writers*each || v.Number != writers*each+1 {
		t.Errorf("the counter is %d in version %d, want %d: %v", numberIn(v), v.Number, writers*each, err)
	}
}
