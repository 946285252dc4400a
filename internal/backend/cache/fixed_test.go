package cache_test

import (
	"bytes"
	"testing"
	"time"

	"ward/internal/backend/cache"
	"ward/internal/backend/cache/cachetest"
)

// Two processes share a tier. Its failing, losing or swapping values is a miss, never another answer.
func TestFixed_SharedTier(t *testing.T) {
	t.Parallel()
	tier := cachetest.NewTier()
	process := func() *cache.Cache {
		return open(t, cache.Config{TagSlots: 16}, cache.Deps{Tier: tier, Sealer: cachetest.Sealer(t), Guard: cachetest.Unguarded{}})
	}
	ctx := tenant(t.Context(), 1)
	first := process()
	for _, k := range []string{"chart/a/v1", "chart/b/v1"} {
		if err := first.SetFixed(ctx, []byte(k), []byte("value of "+k), time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	if err := first.Close(ctx); err != nil { // writes what waits
		t.Fatal(err)
	}
	var names []string
	for name, sealed := range tier.Values() {
		if bytes.Contains(sealed, []byte("value")) || bytes.Contains([]byte(name), []byte("chart")) {
			t.Fatal("plain text left the process")
		}
		names = append(names, name)
	}
	if len(names) != 2 {
		t.Fatalf("%d values in the tier", len(names))
	}
	get := func() string {
		got, _, err := process().GetFixed(ctx, []byte("chart/a/v1"))
		if err != nil {
			t.Fatal(err)
		}
		return string(got)
	}
	if got := get(); got != "value of chart/a/v1" {
		t.Errorf("another process gets %q", got)
	}
	if got, ok, _ := process().GetFixed(tenant(t.Context(), 2), []byte("chart/a/v1")); ok {
		t.Errorf("another tenant gets %q", got)
	}
	tier.Swap(names[0], names[1])
	if got := get(); got != "" {
		t.Errorf("a swapped value is answered: %q", got)
	}
	tier.Swap(names[0], names[1])
	tier.Down.Store(true)
	if got := get(); got != "" {
		t.Errorf("got %q from a tier that is down", got)
	}
	tier.Down.Store(false)
	if got := get(); got != "value of chart/a/v1" {
		t.Errorf("after the tier came back: %q", got)
	}
}

func TestTier_InMemory(t *testing.T) {
	t.Parallel()
	cachetest.RunTier(t, func(*testing.T) cache.Tier { return cachetest.NewTier() })
}
