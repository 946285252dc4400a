package cachetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ward/internal/backend/cache"
)

// RunTier checks that a second tier keeps its promises. open gives one and closes it when the test ends; names from earlier runs may be in it.
func RunTier(t *testing.T, open func(t *testing.T) cache.Tier) {
	t.Helper()
	unique := "ward:test:" + rand.Text() + ":"
	t.Run("NothingIsNil", func(t *testing.T) {
		t.Parallel()
		got, err := open(t).Get(t.Context(), unique+"nothing")
		if got != nil || err != nil {
			t.Fatalf("%q %v", got, err)
		}
	})
	t.Run("GetWhatWasSet", func(t *testing.T) {
		t.Parallel()
		tier := open(t)
		for name, value := range map[string]string{"text": "value", "binary": "\x00\xff\r\n", "large": strings.Repeat("x", 1<<20)} {
			if err := tier.Set(t.Context(), unique+name, []byte(value), time.Minute); err != nil {
				t.Fatal(err)
			}
			if got, err := tier.Get(t.Context(), unique+name); err != nil || string(got) != value {
				t.Errorf("%s: %d bytes, %v", name, len(got), err)
			}
		}
	})
	t.Run("EndsByTime", func(t *testing.T) {
		t.Parallel()
		tier := open(t)
		if err := tier.Set(t.Context(), unique+"short", []byte("v"), 20*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		deadline := time.Now().Add(10 * time.Second)
		for {
			got, err := tier.Get(t.Context(), unique+"short")
			if err != nil {
				t.Fatal(err)
			}
			if got == nil {
				return
			}
			if time.Now().After(deadline) {
				t.Fatal("still there after 10 s")
			}
		}
	})
	t.Run("Chain", func(t *testing.T) {
		t.Parallel()
		tier, ok := open(t).(cache.Chainer)
		if !ok {
			t.Fatal("it keeps no chains")
		}
		runChain(t, tier, unique)
	})
	t.Run("EndsWithItsContext", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := open(t).Get(ctx, unique+"x"); err == nil {
			t.Fatal("no error")
		}
	})
}

// Tier is a second tier in memory, for tests. It can be made to fail.
type Tier struct {
	Down   atomic.Bool
	mu     sync.Mutex
	values map[string]kept
	calls  atomic.Int64
}

type kept struct {
	sealed []byte
	until  time.Time
}

// NewTier is an empty tier.
func NewTier() *Tier { return &Tier{values: map[string]kept{}} }

var errDown = errors.New("the second tier is down")

// Get implements cache.Tier.
func (m *Tier) Get(ctx context.Context, name string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if m.Down.Load() {
		return nil, errDown
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ok := m.values[name]
	if !ok || time.Now().After(k.until) {
		return nil, nil
	}
	return bytes.Clone(k.sealed), nil
}

// Set implements cache.Tier.
func (m *Tier) Set(ctx context.Context, name string, sealed []byte, ttl time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if m.Down.Load() {
		return errDown
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values[name] = kept{bytes.Clone(sealed), time.Now().Add(ttl)}
	return nil
}

// Close implements cache.Tier.
func (m *Tier) Close() {}

// Values is a copy of what is kept, by name.
func (m *Tier) Values() map[string][]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make(map[string][]byte, len(m.values))
	for name, k := range m.values {
		all[name] = bytes.Clone(k.sealed)
	}
	return all
}

// Swap exchanges what lies under two names, as somebody who controls the tier could.
func (m *Tier) Swap(a, b string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values[a], m.values[b] = m.values[b], m.values[a]
}

// Unguarded is a guard that only calls.
type Unguarded struct{}

// Do implements cache.Guard.
func (Unguarded) Do(ctx context.Context, call func(ctx context.Context) error) error {
	return call(ctx)
}
