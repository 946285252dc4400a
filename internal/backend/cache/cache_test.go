package cache_test

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"ward/internal/backend/cache"
	"ward/internal/backend/cache/cachetest"
	"ward/internal/base/scope"
)

func open(t testing.TB, config cache.Config, deps cache.Deps) *cache.Cache {
	t.Helper()
	c, err := cache.New(t.Context(), config, deps)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return c
}

func tenant(ctx context.Context, id int32) context.Context {
	return scope.WithTenant(ctx, scope.Tenant{ID: id, Slug: fmt.Sprint("t", id)})
}

func TestCache_Alone(t *testing.T) {
	t.Parallel()
	cachetest.Run(t, func(t *testing.T) *cache.Cache { return open(t, cache.Config{}, cache.Deps{}) })
}

func TestCache_WithSecondTier(t *testing.T) {
	t.Parallel()
	cachetest.Run(t, func(t *testing.T) *cache.Cache {
		return open(t, cache.Config{}, cache.Deps{Tier: cachetest.NewTier(), Sealer: cachetest.Sealer(t), Guard: cachetest.Unguarded{}})
	})
}

func TestNew_SecondTierWithoutSealerIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := cache.New(t.Context(), cache.Config{}, cache.Deps{Tier: cachetest.NewTier(), Guard: cachetest.Unguarded{}}); err == nil {
		t.Fatal("plain text would have left the process")
	}
}

func TestGet_DoesNotAllocate(t *testing.T) {
	c := open(t, cache.Config{}, cache.Deps{})
	ctx := tenant(t.Context(), 1)
	keep(t, c, ctx, "Patient/p1", "answer", cache.TagOf("Patient", "p1"))
	id := []byte("p1")
	n := testing.AllocsPerRun(1000, func() {
		var buf [64]byte
		key := append(append(buf[:0], "Patient/"...), id...)
		if _, ok, err := c.Get(ctx, key); !ok || err != nil {
			t.Fatal("a miss")
		}
	})
	if n != 0 {
		t.Fatalf("Get allocates %v times", n)
	}
}

func TestBytes_AreBounded(t *testing.T) { // not parallel: it measures the heap
	const limit = 8 << 20
	c := open(t, cache.Config{Bytes: limit}, cache.Deps{})
	ctx := tenant(t.Context(), 1)
	value := bytes.Repeat([]byte("x"), 1500)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range 50_000 {
		keep(t, c, ctx, fmt.Sprintf("Observation/%032d", i), string(value), cache.TagOf("Observation", fmt.Sprint(i)))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if s := c.Stats(); s.Bytes > limit*11/10 || s.Entries < 1000 {
		t.Errorf("%d entries in %d bytes, limit %d", s.Entries, s.Bytes, limit)
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 3*limit {
		t.Errorf("the heap grew by %d bytes, limit %d", grown, limit)
	}
	runtime.KeepAlive(c)
}

// TestLease_ConcurrentWriters is the argument of doc.go, tried: readers fill the cache from a database that writers change, and
// nobody may see less than what was acknowledged before it asked.
func TestLease_ConcurrentWriters(t *testing.T) {
	t.Parallel()
	c := open(t, cache.Config{}, cache.Deps{})
	ctx := tenant(t.Context(), 1)
	runHistory(t, ctx, []*cache.Cache{c}, 20_000, nil)
}

func keep(t testing.TB, c *cache.Cache, ctx context.Context, key, value string, tags ...cache.Tag) { //nolint:revive // t first reads better
	t.Helper()
	l, err := c.Begin(ctx, tags...)
	if err != nil {
		t.Fatal(err)
	}
	if !l.Store([]byte(key), []byte(value)) {
		t.Fatalf("%s was not stored", key)
	}
}

// runHistory has readers and writers work through the caches on one register per patient, and checks that no Get gives less than
// what was acknowledged before it began.
func runHistory(t *testing.T, ctx context.Context, caches []*cache.Cache, rounds int, pace func()) { //nolint:revive // t first reads better
	t.Helper()
	const patients = 8
	var db, acknowledged [patients]struct {
		sync.Mutex
		n int
	}
	key := func(p int) []byte { return fmt.Appendf(nil, "chart/%d", p) }
	var wg sync.WaitGroup
	for worker := range 8 {
		c := caches[worker%len(caches)]
		wg.Go(func() {
			for i := range rounds / 8 {
				if pace != nil {
					pace()
				}
				p := (i*7 + worker*3) % patients
				tag := cache.TagOf("Patient", fmt.Sprint(p))
				if (i+worker)%5 == 0 {
					db[p].Lock()
					db[p].n++
					n := db[p].n
					db[p].Unlock()
					if err := c.Invalidate(ctx, tag); err != nil {
						t.Error(err)
						return
					}
					acknowledged[p].Lock()
					acknowledged[p].n = max(acknowledged[p].n, n)
					acknowledged[p].Unlock()
					continue
				}
				acknowledged[p].Lock()
				least := acknowledged[p].n
				acknowledged[p].Unlock()
				value, ok, err := c.Get(ctx, key(p))
				if err != nil {
					t.Error(err)
					return
				}
				if !ok {
					l, _ := c.Begin(ctx, tag)
					db[p].Lock()
					value = fmt.Append(nil, db[p].n)
					db[p].Unlock()
					l.Store(key(p), value)
				}
				var got int
				if _, err := fmt.Sscan(string(value), &got); err != nil || got < least {
					t.Errorf("patient %d: got %q, but %d was acknowledged before", p, value, least)
					return
				}
			}
		})
	}
	wg.Wait()
	var hits int64
	for _, c := range caches {
		hits += c.Stats().Hits
	}
	if hits == 0 {
		t.Error("nothing was ever answered from the cache, so nothing was tried")
	}
}

func BenchmarkGet(b *testing.B) {
	for name, config := range map[string]cache.Config{"alone": {}} {
		b.Run(name, func(b *testing.B) {
			c := open(b, config, cache.Deps{})
			ctx := tenant(b.Context(), 1)
			for i := range 10_000 {
				id := fmt.Sprintf("0190a1b2-c3d4-7e5f-8a9b-%012d", i)
				keep(b, c, ctx, "Observation/"+id, string(make([]byte, 1500)), cache.TagOf("Observation", id), cache.TagOf("Patient", id))
			}
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				var buf [64]byte
				i := 0
				for pb.Next() {
					i = (i + 7919) % 10_000
					key := fmtKey(buf[:0], i)
					if _, ok, _ := c.Get(ctx, key); !ok {
						b.Fatal("a miss")
					}
				}
			})
		})
	}
}

func fmtKey(b []byte, i int) []byte {
	b = append(b, "Observation/0190a1b2-c3d4-7e5f-8a9b-"...)
	for d := 100_000_000_000; d > 0; d /= 10 {
		b = append(b, byte('0'+i/d%10))
	}
	return b
}

func BenchmarkStore(b *testing.B) {
	c := open(b, cache.Config{}, cache.Deps{})
	ctx := tenant(b.Context(), 1)
	value := make([]byte, 1500)
	var buf [64]byte
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		l, _ := c.Begin(ctx, cache.Tag(i))
		l.Store(fmtKey(buf[:0], i), value)
	}
}

func BenchmarkInvalidate(b *testing.B) {
	c := open(b, cache.Config{}, cache.Deps{})
	ctx := tenant(b.Context(), 1)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		_ = c.Invalidate(ctx, cache.Tag(i))
	}
}

// TestLease_AdvancesOverItsOwnChangeAlone has a writer put what it changed in the place of what was there.
func TestLease_AdvancesOverItsOwnChangeAlone(t *testing.T) {
	t.Parallel()
	for name, others := range map[string]int{"alone": 0, "another change before": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := open(t, cache.Config{}, cache.Deps{})
			ctx := tenant(t.Context(), 1)
			tag := cache.TagOf("calendar", "Patient/1")
			l, err := c.Begin(ctx, tag)
			if err != nil {
				t.Fatal(err)
			}
			for range others + 1 {
				if err := c.Invalidate(ctx, tag); err != nil {
					t.Fatal(err)
				}
			}
			if l.Store([]byte("k"), []byte("as it was")) {
				t.Error("a lease from before the change was good")
			}
			l.Advance()
			l.Store([]byte("k"), []byte("as it is"))
			if _, ok, _ := c.Get(ctx, []byte("k")); ok != (others == 0) {
				t.Errorf("kept: %v", ok)
			}
			if err := c.Invalidate(ctx, tag); err != nil {
				t.Fatal(err)
			}
			if _, ok, _ := c.Get(ctx, []byte("k")); ok {
				t.Error("it outlived the next change")
			}
		})
	}
}
