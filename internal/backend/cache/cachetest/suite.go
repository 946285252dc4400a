// Package cachetest holds what every cache and every second tier must do, and doubles for tests of those who use them.
package cachetest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"ward/internal/backend/cache"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
)

func tenant(t testing.TB, id int32) context.Context {
	t.Helper()
	return scope.WithTenant(t.Context(), scope.Tenant{ID: id, Slug: fmt.Sprint("t", id)})
}

// Run checks that a cache keeps its promises. open gives a new one, ready to serve, and closes it when the test ends.
func Run(t *testing.T, open func(t *testing.T) *cache.Cache) {
	t.Helper()
	for name, check := range map[string]func(t *testing.T, c *cache.Cache){
		"GetWhatWasStored":            getWhatWasStored,
		"StoreCopies":                 storeCopies,
		"InvalidateOne":               invalidateOne,
		"InvalidateAnyOfManyTags":     invalidateAnyOfManyTags,
		"StoreAfterInvalidateIsVoid":  storeAfterInvalidateIsVoid,
		"TenantsAreApart":             tenantsAreApart,
		"NoScopeIsRefused":            noScopeIsRefused,
		"TooLargeIsNotKept":           tooLargeIsNotKept,
		"FixedStaysThroughInvalidate": fixedStaysThroughInvalidate,
		"FixedAndTaggedAreApart":      fixedAndTaggedAreApart,
		"FlushDropsTagged":            flushDropsTagged,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, open(t))
		})
	}
}

func store(t *testing.T, c *cache.Cache, ctx context.Context, key, value string, tags ...cache.Tag) { //nolint:revive // t first reads better
	t.Helper()
	l, err := c.Begin(ctx, tags...)
	if err != nil {
		t.Fatal(err)
	}
	if !l.Store([]byte(key), []byte(value)) {
		t.Fatalf("%s was not stored", key)
	}
}

func want(t *testing.T, c *cache.Cache, ctx context.Context, key, value string) { //nolint:revive // t first reads better
	t.Helper()
	got, ok, err := c.Get(ctx, []byte(key))
	if err != nil || !ok || string(got) != value {
		t.Fatalf("Get(%s) = %q %v %v, want %q", key, got, ok, err, value)
	}
}

func wantMiss(t *testing.T, c *cache.Cache, ctx context.Context, key string) { //nolint:revive // t first reads better
	t.Helper()
	if got, ok, err := c.Get(ctx, []byte(key)); ok || err != nil || got != nil {
		t.Fatalf("Get(%s) = %q %v %v, want a miss", key, got, ok, err)
	}
}

func getWhatWasStored(t *testing.T, c *cache.Cache) {
	ctx := tenant(t, 1)
	wantMiss(t, c, ctx, "Patient/a")
	store(t, c, ctx, "Patient/a", "one", cache.TagOf("Patient", "a"))
	store(t, c, ctx, "Patient/b", "", cache.TagOf("Patient", "b"))
	store(t, c, ctx, "", "no key", cache.TagOf("Patient", "b"))
	want(t, c, ctx, "Patient/a", "one")
	want(t, c, ctx, "Patient/b", "")
	want(t, c, ctx, "", "no key")
	store(t, c, ctx, "Patient/a", "two", cache.TagOf("Patient", "a"))
	want(t, c, ctx, "Patient/a", "two")
}

func storeCopies(t *testing.T, c *cache.Cache) {
	ctx := tenant(t, 1)
	l, _ := c.Begin(ctx)
	key, value := []byte("k"), []byte("value")
	l.Store(key, value)
	clear(key)
	clear(value)
	want(t, c, ctx, "k", "value")
}

func invalidateOne(t *testing.T, c *cache.Cache) {
	ctx := tenant(t, 1)
	a, b := cache.TagOf("Patient", "a"), cache.TagOfBytes("Patient", []byte("b"))
	store(t, c, ctx, "a", "A", a)
	store(t, c, ctx, "b", "B", b)
	if err := c.Invalidate(ctx, a); err != nil {
		t.Fatal(err)
	}
	wantMiss(t, c, ctx, "a")
	want(t, c, ctx, "b", "B")
	if b != cache.TagOf("Patient", "b") || b == cache.TagOf("Observation", "b") {
		t.Fatal("a tag is not of its kind and id")
	}
}

func invalidateAnyOfManyTags(t *testing.T, c *cache.Cache) {
	ctx := tenant(t, 1)
	tags := make([]cache.Tag, 9)
	for i := range tags {
		tags[i] = cache.TagOf("Observation", fmt.Sprint(i))
	}
	for _, tag := range tags {
		store(t, c, ctx, "bundle", "all", tags...)
		want(t, c, ctx, "bundle", "all")
		if err := c.Invalidate(ctx, tag); err != nil {
			t.Fatal(err)
		}
		wantMiss(t, c, ctx, "bundle")
	}
}

func storeAfterInvalidateIsVoid(t *testing.T, c *cache.Cache) {
	ctx := tenant(t, 1)
	tag := cache.TagOf("Patient", "a")
	l, err := c.Begin(ctx, tag)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Invalidate(ctx, tag); err != nil {
		t.Fatal(err)
	}
	if l.Store([]byte("a"), []byte("read before the write")) {
		t.Error("Store says it kept a stale answer")
	}
	wantMiss(t, c, ctx, "a")
}

func tenantsAreApart(t *testing.T, c *cache.Cache) {
	one, two, system := tenant(t, 1), tenant(t, 2), scope.WithSystem(t.Context())
	tag := cache.TagOf("Patient", "a")
	for ctx, value := range map[context.Context]string{one: "of one", two: "of two", system: "of the system"} {
		store(t, c, ctx, "a", value, tag)
		if err := c.SetFixed(ctx, []byte("f"), []byte(value), time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	want(t, c, one, "a", "of one")
	want(t, c, two, "a", "of two")
	want(t, c, system, "a", "of the system")
	for ctx, value := range map[context.Context]string{one: "of one", two: "of two", system: "of the system"} {
		if got, ok, _ := c.GetFixed(ctx, []byte("f")); !ok || string(got) != value {
			t.Errorf("GetFixed = %q %v, want %q", got, ok, value)
		}
	}
	if err := c.Invalidate(one, tag); err != nil {
		t.Fatal(err)
	}
	wantMiss(t, c, one, "a")
	want(t, c, two, "a", "of two")
	want(t, c, system, "a", "of the system")
}

func noScopeIsRefused(t *testing.T, c *cache.Cache) {
	ctx := t.Context()
	_, _, getErr := c.Get(ctx, []byte("a"))
	_, _, getFixedErr := c.GetFixed(ctx, []byte("a"))
	_, beginErr := c.Begin(ctx)
	for name, err := range map[string]error{
		"Get": getErr, "GetFixed": getFixedErr, "Begin": beginErr, "Invalidate": c.Invalidate(ctx, 1),
		"SetFixed": c.SetFixed(ctx, []byte("a"), nil, time.Second),
		"a scope of no tenant": func() error {
			_, _, err := c.Get(scope.With(ctx, scope.Scope{}), []byte("a"))
			return err
		}(),
	} {
		if !fault.Is(err, fault.CodeInternal) {
			t.Errorf("%s: %v, want Internal", name, err)
		}
	}
}

func tooLargeIsNotKept(t *testing.T, c *cache.Cache) {
	ctx := tenant(t, 1)
	l, _ := c.Begin(ctx)
	huge := []byte(strings.Repeat("x", 2<<20))
	if l.Store([]byte("a"), huge) {
		t.Error("Store says it kept 2 MB")
	}
	wantMiss(t, c, ctx, "a")
	if err := c.SetFixed(ctx, []byte("a"), huge, time.Minute); err != nil {
		t.Error(err)
	}
	if _, ok, _ := c.GetFixed(ctx, []byte("a")); ok {
		t.Error("2 MB were kept")
	}
}

func fixedStaysThroughInvalidate(t *testing.T, c *cache.Cache) {
	ctx := tenant(t, 1)
	if err := c.SetFixed(ctx, []byte("chart/a/v7"), []byte("seven"), time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := c.Invalidate(ctx, cache.TagOf("Patient", "a")); err != nil {
		t.Fatal(err)
	}
	c.Flush()
	if got, ok, err := c.GetFixed(ctx, []byte("chart/a/v7")); !ok || err != nil || string(got) != "seven" {
		t.Errorf("GetFixed = %q %v %v", got, ok, err)
	}
	if err := c.SetFixed(ctx, []byte("x"), nil, 0); !fault.Is(err, fault.CodeInvalid) {
		t.Errorf("no time to live: %v", err)
	}
}

func fixedAndTaggedAreApart(t *testing.T, c *cache.Cache) {
	ctx := tenant(t, 1)
	store(t, c, ctx, "k", "tagged", 1)
	if _, ok, _ := c.GetFixed(ctx, []byte("k")); ok {
		t.Error("a tagged answer came back as a fixed one")
	}
	if err := c.SetFixed(ctx, []byte("k"), []byte("fixed"), time.Minute); err != nil {
		t.Fatal(err)
	}
	want(t, c, ctx, "k", "tagged")
}

func flushDropsTagged(t *testing.T, c *cache.Cache) {
	ctx := tenant(t, 1)
	before, _ := c.Begin(ctx)
	store(t, c, ctx, "k", "v")
	c.Flush()
	wantMiss(t, c, ctx, "k")
	if before.Store([]byte("k"), []byte("v")) {
		t.Error("a lease from before the flush stored")
	}
	store(t, c, ctx, "k", "v")
	want(t, c, ctx, "k", "v")
}
