package cache_test

import (
	"bytes"
	"testing"
	"time"

	"ward/internal/backend/cache"
	"ward/internal/backend/cache/cachetest"
	"ward/internal/base/fault"
)

func TestAESGCM_OpensWhatItSealedAndNothingElse(t *testing.T) {
	t.Parallel()
	a, b := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	old, err := cache.NewAESGCM(a)
	if err != nil {
		t.Fatal(err)
	}
	rotated, _ := cache.NewAESGCM(b, a)
	other, _ := cache.NewAESGCM(b)
	for _, plain := range [][]byte{{}, []byte("x"), bytes.Repeat([]byte("long"), 10_000)} {
		sealed, err := old.Seal(t.Context(), "name", plain)
		if err != nil {
			t.Fatal(err)
		}
		for name, s := range map[string]*cache.AESGCM{"itself": old, "after a rotation": rotated} {
			if got, err := s.Open(t.Context(), "name", sealed); err != nil || !bytes.Equal(got, plain) || got == nil {
				t.Errorf("%s: %q %v", name, got, err)
			}
		}
		changed := bytes.Clone(sealed)
		changed[len(changed)-1] ^= 1
		for name, open := range map[string]func() ([]byte, error){
			"another name": func() ([]byte, error) { return old.Open(t.Context(), "other", sealed) },
			"another key":  func() ([]byte, error) { return other.Open(t.Context(), "name", sealed) },
			"changed":      func() ([]byte, error) { return old.Open(t.Context(), "name", changed) },
			"cut":          func() ([]byte, error) { return old.Open(t.Context(), "name", sealed[:20]) },
			"empty":        func() ([]byte, error) { return old.Open(t.Context(), "name", nil) },
		} {
			if got, err := open(); !fault.Is(err, fault.CodeUnprocessable) || got != nil {
				t.Errorf("%s: %q %v", name, got, err)
			}
		}
	}
	if _, err := cache.NewAESGCM([]byte("short")); !fault.Is(err, fault.CodeInvalid) {
		t.Errorf("a short key: %v", err)
	}
	if old.Name(1, []byte("k")) == old.Name(2, []byte("k")) || old.Name(1, []byte("k")) == other.Name(1, []byte("k")) {
		t.Error("names of different tenants or keys meet")
	}
}

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
