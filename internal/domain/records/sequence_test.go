package records

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"ward/internal/backend/db"
	"ward/internal/base/clock"
)

// TestSequence_StrictlyIncreasing: also where the clock stands or goes back, and when many draw at once.
func TestSequence_StrictlyIncreasing(t *testing.T) {
	t.Parallel()
	c := clock.NewManual(time.UnixMilli(1_000_000))
	s := newSequencer(c)
	last := int64(0)
	for n := range 5_000 {
		switch n {
		case 1_000:
			c.Advance(-time.Second)
		case 3_000:
			c.Advance(time.Minute)
		case 4_000:
			s.redraw()
		}
		least := s.next()
		seq := s.after(0)
		if seq <= last || seq < least {
			t.Fatalf("draw %d: %d after %d, at least %d", n, seq, last, least)
		}
		last = seq
	}
	var (
		mu  sync.Mutex
		all []int64
		wg  sync.WaitGroup
	)
	for range 8 {
		wg.Go(func() {
			for range 500 {
				seq := s.after(0)
				mu.Lock()
				all = append(all, seq)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	slices.Sort(all)
	if len(slices.Compact(all)) != 8*500 {
		t.Error("a sequence was drawn twice")
	}
}

// TestSequence_FollowsWhatAnotherProcessWrote: a version is later than the one before, also when that is ahead of the clock.
func TestSequence_FollowsWhatAnotherProcessWrote(t *testing.T) {
	t.Parallel()
	c := clock.NewManual(time.UnixMilli(1_000_000))
	ahead := newSequencer(clock.NewManual(time.UnixMilli(1_000_500))).after(0)
	s := newSequencer(c)
	if seq := s.after(ahead); seq <= ahead || seqTime(seq).Sub(seqTime(ahead)) > time.Millisecond {
		t.Errorf("%d after %d", seq, ahead)
	}
}

// TestSequence_TimeIsNotRunAheadOf: versions of one resource have times of their own; but however many are made at once,
// meta.lastUpdated stays within a second of the clock.
func TestSequence_TimeIsNotRunAheadOf(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, s *Service, ctx context.Context) {
		now := time.UnixMilli(1_800_000_000_000).UTC()
		s.sequence.clock = clock.NewManual(now)
		var cs []*Change
		for n := range int64(3_000) {
			c, err := s.prepare(ctx, "Basic", "b", OpUpdate, numbered("b", n))
			if err != nil {
				t.Fatal(err)
			}
			cs = append(cs, c)
		}
		err := s.write(ctx, func(ctx context.Context, tx db.Tx) ([]*Change, error) {
			_, err := s.apply(ctx, tx, cs)
			return cs, err
		})
		if err != nil {
			t.Fatal(err)
		}
		if a, b := cs[100].Version, cs[101].Version; !b.Updated().After(a.Updated()) {
			t.Errorf("two versions of %s", a.Updated())
		}
		if v := cs[2_999].Version; v.Updated().Sub(now) > 1100*time.Millisecond || v.Number != 3_000 {
			t.Errorf("version %d was updated at %s, now is %s", v.Number, v.Updated(), now)
		}
	})
}
