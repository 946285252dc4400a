package seal_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"ward/internal/backend/cache"
	"ward/internal/backend/cache/cachetest"
	"ward/internal/backend/db/dbtest"
	"ward/internal/base/fault"
	"ward/internal/kernel/seal"
)

// TestTiered_EachTenantsValuesAreItsOwn: two processes share a second tier; another tenant's key opens nothing of it, and without its key a tenant's
// values are misses.
func TestTiered_EachTenantsValuesAreItsOwn(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house) {
		tier, keys := cachetest.NewTier(), h.keys()
		process := func(k *seal.Keys) *cache.Cache {
			c, err := cache.New(t.Context(), cache.Config{TagSlots: 16}, cache.Deps{Tier: tier, Sealer: seal.NewTiered(k, []byte("names")), Guard: cachetest.Unguarded{}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = c.Close(context.WithoutCancel(t.Context())) })
			return c
		}
		first := process(keys)
		for _, tenant := range []int32{1, 2} {
			if err := first.SetFixed(dbtest.Tenant(t, tenant), []byte("same key"), []byte("value of one of two"), time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		if err := first.Close(t.Context()); err != nil { // writes what waits
			t.Fatal(err)
		}
		var names []string
		for name, sealed := range tier.Values() {
			if bytes.Contains(sealed, []byte("value")) {
				t.Error("a value left the process in the clear")
			}
			names = append(names, name)
		}
		if len(names) != 2 {
			t.Fatalf("%d values", len(names))
		}
		got := func(k *seal.Keys, tenant int32) string {
			value, _, err := process(k).GetFixed(dbtest.Tenant(t, tenant), []byte("same key"))
			if err != nil {
				t.Fatal(err)
			}
			return string(value)
		}
		if got(h.keys(), 1) == "" || got(h.keys(), 2) == "" {
			t.Error("another process finds nothing")
		}
		tier.Swap(names[0], names[1])
		if v := got(h.keys(), 1) + got(h.keys(), 2); v != "" {
			t.Errorf("tenants get each other's value: %q", v)
		}
		tier.Swap(names[0], names[1])
		if _, err := keys.Destroy(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		if v := got(h.keys(), 1); v != "" {
			t.Errorf("without its key tenant 1 has %q", v)
		}
		if got(h.keys(), 2) == "" {
			t.Error("tenant 2 lost its value")
		}
		if _, err := seal.NewTiered(h.keys(), nil).Seal(t.Context(), 1, "name", nil); !fault.Is(err, fault.CodeGone) {
			t.Error(err)
		}
	})
}
