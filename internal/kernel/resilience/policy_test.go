package resilience_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ward/internal/base/fault"
	"ward/internal/kernel/resilience"
)

var errDown = errors.New("connection refused")

func TestDo_RetriesUntilItWorks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := resilience.New(resilience.Config{Name: "x", Attempts: 3})
		calls := 0
		err := p.Do(t.Context(), func(context.Context) error {
			if calls++; calls < 3 {
				return errDown
			}
			return nil
		})
		if err != nil || calls != 3 {
			t.Fatalf("%d calls, %v", calls, err)
		}
	})
}

func TestDo_AnswersAreNotRetriedNorCounted(t *testing.T) {
	t.Parallel()
	p := resilience.New(resilience.Config{Name: "x", Attempts: 3})
	calls := 0
	for range 100 {
		err := p.Do(t.Context(), func(context.Context) error { calls++; return fault.NotFound("no such claim") })
		if !fault.Is(err, fault.CodeNotFound) {
			t.Fatal(err)
		}
	}
	if calls != 100 || p.Open() {
		t.Fatalf("%d calls, open %v", calls, p.Open())
	}
}

func TestDo_BreakerOpensAnswersAtOnceAndRecovers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &recorder{}
		p := resilience.New(resilience.Config{Name: "x", Attempts: 1, OpenFor: 5 * time.Second, Metrics: m})
		down, calls := true, 0
		call := func(context.Context) error {
			calls++
			if down {
				return errDown
			}
			return nil
		}
		for range 20 {
			_ = p.Do(t.Context(), call)
		}
		if calls != 5 {
			t.Errorf("%d calls reached a dependency that is down, want the 5 that open the breaker", calls)
		}
		err := p.Do(t.Context(), call)
		if !fault.Is(err, fault.CodeUnavailable) || fault.RetryAfter(err) < time.Second || fault.Message(err) != "x is not answering" {
			t.Errorf("open breaker answers %v, retry after %v", err, fault.RetryAfter(err))
		}
		down = false
		time.Sleep(5*time.Second + time.Millisecond)
		for range 10 {
			if err := p.Do(t.Context(), call); err != nil {
				t.Fatalf("after the dependency came back: %v", err)
			}
		}
		if p.Open() || m.states[0] != "open" || m.states[len(m.states)-1] != "closed" {
			t.Errorf("states %v", m.states)
		}
		if m.outcomes["open"] == 0 || m.outcomes["failed"] == 0 || m.outcomes["ok"] == 0 {
			t.Errorf("outcomes %v", m.outcomes)
		}
	})
}

func TestDo_TimeLimitOfOneAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := resilience.New(resilience.Config{Name: "x", Attempts: 1, Timeout: time.Second})
		began := time.Now()
		err := p.Do(t.Context(), func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		if !fault.Is(err, fault.CodeTimeout) || time.Since(began) != time.Second {
			t.Fatalf("%v after %v", err, time.Since(began))
		}
	})
}

func TestDo_CallersPatienceIsNotTheDependencysFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := resilience.New(resilience.Config{Name: "x", Attempts: 3})
		for range 50 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			calls := 0
			err := p.Do(ctx, func(ctx context.Context) error { calls++; <-ctx.Done(); return errDown })
			cancel()
			if err == nil || calls != 1 {
				t.Fatalf("%d calls, %v", calls, err)
			}
		}
		if p.Open() {
			t.Fatal("the breaker opened")
		}
	})
}

func TestDo_BulkheadRefusesTheNext(t *testing.T) {
	t.Parallel()
	p := resilience.New(resilience.Config{Name: "x", Concurrency: 2})
	hold, inside := make(chan struct{}), make(chan struct{}, 2)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			_ = p.Do(t.Context(), func(context.Context) error { inside <- struct{}{}; <-hold; return nil })
		})
	}
	<-inside
	<-inside
	err := p.Do(t.Context(), func(context.Context) error { return nil })
	close(hold)
	wg.Wait()
	if !fault.Is(err, fault.CodeExhausted) {
		t.Fatal(err)
	}
}

func TestValue_GivesTheLastAttemptsValue(t *testing.T) {
	t.Parallel()
	p := resilience.New(resilience.Config{Name: "x"})
	got, err := resilience.Value(t.Context(), p, func(context.Context) (int, error) { return 42, nil })
	if got != 42 || err != nil {
		t.Fatal(got, err)
	}
}

func BenchmarkDo(b *testing.B) {
	p := resilience.New(resilience.Config{Name: "x"})
	b.ReportAllocs()
	for b.Loop() {
		if err := p.Do(b.Context(), func(context.Context) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

type recorder struct {
	mu       sync.Mutex
	outcomes map[string]int
	states   []string
}

func (r *recorder) Called(_, outcome string, _ time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.outcomes == nil {
		r.outcomes = map[string]int{}
	}
	r.outcomes[outcome]++
}

func (r *recorder) Breaker(_, state string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.states = append(r.states, state)
}
