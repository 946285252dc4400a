package limit_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"ward/internal/base/fault"
	"ward/internal/kernel/limit"
	"ward/internal/kernel/module"
)

func enter(t *testing.T, l *limit.Lanes, lane module.Lane, times int) {
	t.Helper()
	for range times {
		if err := l.Enter(t.Context(), lane); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLanes_BackgroundTakesAtMostHalf(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limit.NewLanes(limit.Options{Ceiling: 16, Wait: time.Second})
		enter(t, l, module.Background, 8)
		if err := l.Enter(t.Context(), module.Background); !fault.Is(err, fault.CodeExhausted) || fault.RetryAfter(err) == 0 {
			t.Errorf("the ninth: %v", err)
		}
		enter(t, l, module.Interactive, 6) // 14 of 16: an eighth stays for urgent work
		if err := l.Enter(t.Context(), module.Interactive); !fault.Is(err, fault.CodeExhausted) {
			t.Errorf("interactive above its share: %v", err)
		}
		enter(t, l, module.Urgent, 2)
		if err := l.Enter(t.Context(), module.Urgent); !fault.Is(err, fault.CodeExhausted) {
			t.Errorf("above the ceiling: %v", err)
		}
	})
}

func TestLanes_UrgentGoesFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limit.NewLanes(limit.Options{Ceiling: 1, Wait: time.Hour})
		enter(t, l, module.Urgent, 1)
		var order []module.Lane
		var mu sync.Mutex
		for _, lane := range []module.Lane{module.Background, module.Interactive, module.Urgent} {
			go func() {
				if err := l.Enter(t.Context(), lane); err != nil {
					t.Error(err)
				}
				mu.Lock()
				order = append(order, lane)
				mu.Unlock()
				l.Leave(lane)
			}()
			synctest.Wait()
		}
		l.Leave(module.Urgent)
		synctest.Wait()
		if len(order) != 3 || order[0] != module.Urgent || order[1] != module.Interactive || order[2] != module.Background {
			t.Errorf("order %v", order)
		}
	})
}

func TestLanes_QueueIsBoundedAndLeavable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limit.NewLanes(limit.Options{Ceiling: 1, Queue: 1, Wait: time.Hour})
		enter(t, l, module.Interactive, 1)
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan error)
		go func() { gone <- l.Enter(ctx, module.Interactive) }()
		synctest.Wait()
		if err := l.Enter(t.Context(), module.Interactive); !fault.Is(err, fault.CodeExhausted) {
			t.Errorf("the queue of one holds two: %v", err)
		}
		cancel()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if running, waiting, refused := l.Count(module.Interactive); running != 1 || waiting != 0 || refused != 2 {
			t.Errorf("running %d, waiting %d, refused %d", running, waiting, refused)
		}
		l.Leave(module.Interactive)
		enter(t, l, module.Interactive, 1)
	})
}

// TestLanes_NeverAboveTheCeiling enters and leaves in any order and holds the limits at each step.
func TestLanes_NeverAboveTheCeiling(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ceiling := rapid.IntRange(1, 20).Draw(t, "ceiling")
		l := limit.NewLanes(limit.Options{Ceiling: ceiling, Queue: 1, Wait: time.Nanosecond})
		var in []module.Lane
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			if len(in) > 0 && rapid.Bool().Draw(t, "leave") {
				i := rapid.IntRange(0, len(in)-1).Draw(t, "who")
				l.Leave(in[i])
				in = append(in[:i], in[i+1:]...)
			} else {
				lane := module.Lane(rapid.IntRange(1, 3).Draw(t, "lane"))
				if l.Enter(context.Background(), lane) == nil {
					in = append(in, lane)
				}
			}
			background := 0
			for _, lane := range in {
				if lane == module.Background {
					background++
				}
			}
			if len(in) > ceiling || background > max(1, ceiling/2) {
				t.Fatalf("%d in, %d of them background, ceiling %d", len(in), background, ceiling)
			}
		}
		for _, lane := range in {
			l.Leave(lane)
		}
		for lane := module.Urgent; lane <= module.Background; lane++ {
			if running, _, _ := l.Count(lane); running != 0 {
				t.Fatalf("%v still has %d running", lane, running)
			}
		}
	})
}

func BenchmarkLanes_EnterLeave(b *testing.B) {
	l := limit.NewLanes(limit.Options{})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := l.Enter(b.Context(), module.Interactive); err == nil {
				l.Leave(module.Interactive)
			}
		}
	})
}
