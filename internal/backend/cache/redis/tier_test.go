package redis_test

import (
	"bytes"
	"context"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"ward/internal/backend/cache"
	"ward/internal/backend/cache/cachetest"
	"ward/internal/backend/cache/redis"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/base/testenv"
)

func open(t *testing.T, url string) *redis.Tier {
	t.Helper()
	tier, err := redis.New(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tier.Close)
	return tier
}

func ready(t *testing.T, url string) *redis.Tier {
	t.Helper()
	tier := open(t, url)
	if err := tier.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	return tier
}

func TestTier(t *testing.T) {
	t.Parallel()
	url := testenv.URL(t, "WARD_TEST_REDIS")
	cachetest.RunTier(t, func(t *testing.T) cache.Tier { return ready(t, url) })
}

func TestCache_OnRedis(t *testing.T) {
	t.Parallel()
	url := testenv.URL(t, "WARD_TEST_REDIS")
	sealer := cachetest.SealerOf(time.Now().Format("05.000000000"))
	cachetest.Run(t, func(t *testing.T) *cache.Cache {
		c, err := cache.New(t.Context(), cache.Config{}, cache.Deps{Tier: ready(t, url), Sealer: sealer, Guard: cachetest.Unguarded{}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close(context.WithoutCancel(t.Context())) })
		return c
	})
}

func TestNew_RefusesOtherURLs(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "localhost:6379", "http://localhost", "redis://user:secret@host:port:9/x"} {
		_, err := redis.New(url)
		if !fault.Is(err, fault.CodeInvalid) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", url, err)
		}
	}
}

// TestTier_KilledAndBack starts a server of its own, kills it and starts it again.
func TestTier_KilledAndBack(t *testing.T) {
	t.Parallel()
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		testenv.Missing(t, "redis-server is not installed")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	_ = l.Close()
	start := func() *exec.Cmd {
		server := exec.CommandContext(context.WithoutCancel(t.Context()), binary, "--bind", "127.0.0.1", "--port", port, "--save", "", "--dir", t.TempDir()) //nolint:gosec // a test's
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
		return server
	}
	tier := open(t, "redis://127.0.0.1:"+port)
	c, err := cache.New(t.Context(), cache.Config{Bytes: 1}, cache.Deps{Tier: tier, Sealer: cachetest.Sealer(t), Guard: cachetest.Unguarded{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.WithoutCancel(t.Context())) })
	ctx := scope.WithTenant(t.Context(), scope.Tenant{ID: 1, Slug: "t"})
	fetch := func() bool {
		_ = c.SetFixed(ctx, []byte("k/v1"), []byte("value"), time.Minute)
		got, err := tier.Get(ctx, cachetest.Sealer(t).Name(1, []byte("k/v1")))
		if err == nil && bytes.Contains(got, []byte("value")) {
			t.Error("plain text in Redis")
		}
		_, _, err2 := c.GetFixed(ctx, []byte("k/v1"))
		if err2 != nil {
			t.Errorf("a failing Redis is an error: %v", err2)
		}
		return err == nil && got != nil
	}
	began := time.Now()
	for range 20 {
		if fetch() {
			t.Fatal("answers without a server")
		}
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("20 calls of a server that is not there took %v", took)
	}
	for range 3 {
		server := start()
		await(t, "redis answers", fetch)
		_ = server.Process.Kill()
		_ = server.Wait()
		await(t, "redis is gone", func() bool { return !fetch() })
	}
}

func await(t *testing.T, what string, happened func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); !happened(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("10 s passed before %s", what)
		}
	}
}
