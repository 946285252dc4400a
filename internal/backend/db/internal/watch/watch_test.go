package watch_test

import (
	"context"
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
		fired := 0
		s, other := w.Slot(func() { fired++ }), w.Slot(func() { t.Error("another call was interrupted") })
		ctx, cancel := context.WithCancel(t.Context())
		otherCtx, cancelOther := context.WithCancel(t.Context())
		defer cancelOther()
		s.Enter(ctx)
		other.Enter(otherCtx)
		time.Sleep(time.Second)
		cancel()
		time.Sleep(time.Second)
		if fired != 1 || !s.Leave() || other.Leave() {
			t.Errorf("interrupted %d times", fired)
		}
		s.Enter(otherCtx)
		time.Sleep(time.Second)
		if fired != 1 || s.Leave() {
			t.Error("the next call was interrupted")
		}
		s.Remove()
		other.Remove()
	})
}
