package tiers

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// brake slows the tenant's writers of this process down while a move brings their changes over more slowly than they make them, so that the move comes to an end on a
// machine that is full. It is off while the backlog is small or shrinks.
type brake struct {
	level atomic.Int64 // tenths of the time for which writes wait; 0 to mostBrake
	last  int          // notes that were found the time before
}

const (
	mostBrake    = 9
	brakeBacklog = 500                    // notes: fewer are brought over in no time
	brakeTurn    = 300 * time.Millisecond // writes wait for a part of each turn
	brakeWait    = 500 * time.Millisecond // for writes under way
)

// see takes note of how many notes were found.
func (b *brake) see(notes int) {
	level := b.level.Load()
	switch {
	case notes < brakeBacklog:
		level -= 2
	case notes*10 > b.last*8:
		level += 2
	}
	b.level.Store(min(max(level, 0), mostBrake))
	b.last = notes
}

// braked runs do with the brake at work.
func (m *mover) braked(ctx context.Context, b *brake, do func() error) error {
	ctx, cancel := context.WithCancel(ctx)
	var working sync.WaitGroup
	working.Go(func() {
		for ctx.Err() == nil {
			part := brakeTurn * time.Duration(b.level.Load()) / 10
			if part > 0 {
				m.hold(ctx, part)
			}
			_ = sleep(ctx, brakeTurn-part)
		}
	})
	err := do()
	cancel()
	working.Wait()
	return err
}

// hold has the tenant's writes wait for so long. One that takes long itself is not waited for.
func (m *mover) hold(ctx context.Context, d time.Duration) {
	limited, cancel := context.WithTimeout(ctx, brakeWait)
	defer cancel()
	release, err := m.deps.Router.Hold(limited, m.tenant.ID)
	if err != nil {
		return
	}
	defer release()
	_ = sleep(ctx, d)
}
