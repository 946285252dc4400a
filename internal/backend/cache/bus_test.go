package cache_test

import (
	"context"
	"testing"
	"time"

	"ward/internal/backend/bus"
	"ward/internal/backend/bus/bustest"
	"ward/internal/backend/cache"
)

// TestPeers_OnTheRealBus has three processes share a NATS server that is killed and started again.
func TestPeers_OnTheRealBus(t *testing.T) {
	t.Parallel()
	server := bustest.NewServer(t)
	server.Start()
	ctx := tenant(t.Context(), 1)
	var caches []*cache.Cache
	for range 3 {
		b, err := bus.Connect(bus.Config{URL: server.URL()}, bus.Deps{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = b.Close(context.WithoutCancel(t.Context())) })
		caches = append(caches, open(t, cache.Config{Lease: 300 * time.Millisecond, TagSlots: 1 << 12}, cache.Deps{Bus: b}))
	}
	serving := func(want bool) func() bool {
		return func() bool {
			for _, c := range caches {
				if serves(t, ctx, c) != want || want && c.Stats().Peers != 2 {
					return false
				}
			}
			return true
		}
	}
	await(t, "all serve", serving(true))
	runHistory(t, ctx, caches, 4000, nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		runHistory(t, ctx, caches, 4000, func() { time.Sleep(time.Millisecond) })
	}()
	server.Kill()
	await(t, "nobody serves", serving(false))
	server.Start()
	<-done
	await(t, "all serve again", serving(true))
	runHistory(t, ctx, caches, 4000, nil)
}

func await(t *testing.T, what string, happened func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); !happened(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("30 s passed before %s", what)
		}
	}
}

// BenchmarkInvalidateWithPeers is the write's part of coherence, with two peers on a server of their own.
func BenchmarkInvalidateWithPeers(b *testing.B) {
	server := bustest.NewServer(b)
	server.Start()
	var caches []*cache.Cache
	for range 3 {
		x, err := bus.Connect(bus.Config{URL: server.URL()}, bus.Deps{})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = x.Close(context.WithoutCancel(b.Context())) })
		caches = append(caches, open(b, cache.Config{TagSlots: 1 << 12}, cache.Deps{Bus: x}))
	}
	ctx := tenant(b.Context(), 1)
	for caches[0].Stats().Peers != 2 {
		_ = caches[0].Invalidate(ctx, 1)
	}
	b.SetParallelism(32)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if err := caches[0].Invalidate(ctx, cache.Tag(i), cache.Tag(i+1)); err != nil {
				b.Error(err)
			}
		}
	})
}
