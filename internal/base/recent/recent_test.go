package recent_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"ward/internal/base/clock"
	"ward/internal/base/fault"
	"ward/internal/base/recent"
)

func counter(n *atomic.Int64) func(context.Context) (int64, error) {
	return func(context.Context) (int64, error) { return n.Add(1), nil }
}

func TestCache_KeepsForItsTTL(t *testing.T) {
	t.Parallel()
	now := clock.NewManual(time.Unix(0, 0))
	c := recent.New[string, int64](recent.Options{Clock: now, TTL: time.Second, Max: 10})
	var loads atomic.Int64
	get := func(want int64) {
		t.Helper()
		if v, err := c.Get(t.Context(), "a", counter(&loads)); err != nil || v != want {
			t.Errorf("%d %v, want %d", v, err, want)
		}
	}
	get(1)
	now.Advance(999 * time.Millisecond)
	get(1)
	now.Advance(time.Millisecond)
	get(2)
	c.Invalidate()
	get(3)
}

func TestCache_ManyWaitForOneLoad(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := recent.New[string, int64](recent.Options{Clock: clock.System(), TTL: time.Second, Max: 10})
		var loads atomic.Int64
		release := make(chan struct{})
		for range 20 {
			go func() {
				_, _ = c.Get(t.Context(), "a", func(ctx context.Context) (int64, error) {
					<-release
					return counter(&loads)(ctx)
				})
			}()
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := c.Get(gone, "a", counter(&loads)); !errors.Is(err, context.Canceled) {
			t.Errorf("who went away still waits: %v", err)
		}
		synctest.Wait()
		close(release)
		synctest.Wait()
		if loads.Load() != 1 {
			t.Errorf("%d loads", loads.Load())
		}
	})
}

func TestCache_InvalidateCountsForALoadUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := recent.New[string, string](recent.Options{Clock: clock.System(), TTL: time.Hour, Max: 10})
		release := make(chan struct{})
		go func() {
			_, _ = c.Get(t.Context(), "a", func(context.Context) (string, error) {
				<-release
				return "old", nil
			})
		}()
		synctest.Wait()
		c.Invalidate()
		if v, _ := c.Get(t.Context(), "a", func(context.Context) (string, error) { return "new", nil }); v != "new" {
			t.Errorf("got %q, which was read before the change", v)
		}
		close(release)
		synctest.Wait()
		if v, _ := c.Get(t.Context(), "a", func(context.Context) (string, error) { return "newer", nil }); v != "new" {
			t.Errorf("kept %q", v)
		}
	})
}

func TestCache_IsBoundedAndKeepsNoErrors(t *testing.T) {
	t.Parallel()
	c := recent.New[int, int](recent.Options{Clock: clock.System(), TTL: time.Hour, Max: 5})
	for i := range 100 {
		if _, err := c.Get(t.Context(), i, func(context.Context) (int, error) { return i, nil }); err != nil {
			t.Fatal(err)
		}
	}
	kept := 0
	for i := range 100 {
		if _, ok := c.Peek(i); ok {
			kept++
		}
	}
	if kept != 5 {
		t.Errorf("%d kept", kept)
	}
	broken := errors.New("broken")
	if _, err := c.Get(t.Context(), 200, func(context.Context) (int, error) { return 0, broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
	if v, err := c.Get(t.Context(), 200, func(context.Context) (int, error) { return 7, nil }); v != 7 || err != nil {
		t.Error(v, err)
	}
}

func BenchmarkCache_Get(b *testing.B) {
	c := recent.New[string, int](recent.Options{Clock: clock.System(), TTL: time.Hour, Max: 5})
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_, _ = c.Get(b.Context(), "demo", func(context.Context) (int, error) { return 1, nil })
		}
	})
}

func TestCache_KeepsLongerWhileItsSourceIsAway(t *testing.T) {
	t.Parallel()
	now := clock.NewManual(time.Unix(0, 0))
	c := recent.New[string, int64](recent.Options{Clock: now, TTL: time.Second, Max: 10, Stale: time.Minute})
	var loads atomic.Int64
	var failure error
	get := func(want int64, code fault.Code) {
		t.Helper()
		v, err := c.Get(t.Context(), "a", func(ctx context.Context) (int64, error) {
			if failure != nil {
				return 0, failure
			}
			return counter(&loads)(ctx)
		})
		if v != want || code != fault.CodeInternal && !fault.Is(err, code) || code == fault.CodeInternal && err != nil {
			t.Errorf("%d %v, want %d %v", v, err, want, code)
		}
	}
	const fine = fault.CodeInternal
	get(1, fine)
	failure = fault.NotFound("it is gone")
	now.Advance(2 * time.Second)
	get(0, fault.CodeNotFound)
	failure = fault.Unavailable("the database is away")
	get(1, fine)
	now.Advance(59 * time.Second) // 61 s after the load: the last moment
	get(0, fault.CodeUnavailable)
	failure = nil
	get(2, fine)
	failure = fault.Unavailable("the database is away")
	now.Advance(30 * time.Second)
	get(2, fine)
	c.Invalidate() // what is changed here is not known any more
	get(0, fault.CodeUnavailable)
}
