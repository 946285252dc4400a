package watch_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"ward/internal/backend/db/internal/watch"
)

func TestSlot_InterruptsTheCallWhoseContextEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := watch.New(10 * time.Millisecond)
		defer w.Close()
		time.Sleep(5 * time.Second) // it parks
		var fired atomic.Int64
		s, other := w.Slot(func() { fired.Add(1) }), w.Slot(func() { t.Error("another call was interrupted") })
		ctx, cancel := context.WithCancel(t.Context())
		otherCtx, cancelOther := context.WithCancel(t.Context())
		defer cancelOther()
		s.Enter(ctx)
		other.Enter(otherCtx)
		time.Sleep(time.Second)
		cancel()
		time.Sleep(time.Second)
		if fired.Load() != 1 || !s.Leave() || other.Leave() {
			t.Errorf("interrupted %d times", fired.Load())
		}
		s.Enter(otherCtx)
		time.Sleep(time.Second)
		if fired.Load() != 1 || s.Leave() {
			t.Error("the next call was interrupted")
		}
		s.Remove()
		other.Remove()
	})
}
