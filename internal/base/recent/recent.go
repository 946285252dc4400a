// Package recent keeps values that were loaded lately, for directories that are asked on every request and change rarely.
//
// A value is at most TTL old, or as old as its load when another process changed it; an [Cache.Invalidate] in this process
// counts at once, also for a load that is under way. Many who ask for the same missing value wait for one load. There are
// never more than Max values, so that asking for what does not exist can't fill the memory.
//
// With Stale a value that can't be loaded anew, because where it comes from is unavailable, is good for so much longer: what was known when
// the database went away is known until it is back, for a while.
package recent

import (
	"context"
	"sync"
	"time"

	"ward/internal/base/clock"
	"ward/internal/base/fault"
)

// loadTime bounds one load: it serves many callers, so none of their contexts ends it.
const loadTime = 5 * time.Second

// again is how long after a failure a value that is good for longer is loaded anew.
const again = time.Second

// Options of a cache; all but Stale are needed.
type Options struct {
	Clock clock.Clock
	TTL   time.Duration
	Max   int           // values
	Stale time.Duration // beyond TTL, while loads fail with Unavailable; 0: not at all
}

// Cache keeps values by key. It is safe for use by many goroutines.
type Cache[K comparable, V any] struct {
	options Options

	mu      sync.RWMutex
	values  map[K]value[V]
	loads   map[K]*load[V]
	changes uint64 // invalidations so far
}

type value[V any] struct {
	v    V
	best time.Time // before
	last time.Time // before, while it can't be loaded
}

type load[V any] struct {
	done chan struct{}
	v    V
	err  error
	at   uint64 // changes when it began
}

// New is an empty cache.
func New[K comparable, V any](o Options) *Cache[K, V] {
	return &Cache[K, V]{options: o, values: map[K]value[V]{}, loads: map[K]*load[V]{}}
}

// Get is the value of the key, loaded when there is no recent one. Errors are not kept.
func (c *Cache[K, V]) Get(ctx context.Context, key K, fetch func(ctx context.Context) (V, error)) (V, error) {
	if v, ok := c.Peek(key); ok {
		return v, nil
	}
	c.mu.Lock()
	l := c.loads[key]
	if l == nil || l.at != c.changes {
		l = &load[V]{done: make(chan struct{}), at: c.changes}
		c.loads[key] = l
		go c.run(context.WithoutCancel(ctx), key, l, fetch)
	}
	c.mu.Unlock()
	select {
	case <-l.done:
		return l.v, l.err
	case <-ctx.Done():
		var none V
		return none, ctx.Err()
	}
}

// Peek is the value of the key when there is a recent one.
func (c *Cache[K, V]) Peek(key K) (V, bool) {
	c.mu.RLock()
	kept, ok := c.values[key]
	c.mu.RUnlock()
	if !ok || !c.options.Clock.Now().Before(kept.best) {
		var none V
		return none, false
	}
	return kept.v, true
}

func (c *Cache[K, V]) run(ctx context.Context, key K, l *load[V], fetch func(ctx context.Context) (V, error)) {
	ctx, cancel := context.WithTimeout(ctx, loadTime)
	defer cancel()
	began := c.options.Clock.Now()
	l.v, l.err = fetch(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.loads[key] == l {
		delete(c.loads, key)
	}
	if l.err == nil && l.at == c.changes {
		c.makeRoom(began)
		best := began.Add(c.options.TTL)
		c.values[key] = value[V]{v: l.v, best: best, last: best.Add(c.options.Stale)}
	}
	if kept, ok := c.values[key]; ok && l.at == c.changes && fault.Is(l.err, fault.CodeUnavailable) {
		if now := c.options.Clock.Now(); now.Before(kept.last) {
			kept.best = now.Add(again)
			c.values[key] = kept
			l.v, l.err = kept.v, nil
		}
	}
	close(l.done)
}

func (c *Cache[K, V]) makeRoom(now time.Time) {
	if len(c.values) < c.options.Max {
		return
	}
	for k, v := range c.values {
		if !now.Before(v.last) {
			delete(c.values, k)
		}
	}
	for k := range c.values { // any of them: all are recent
		if len(c.values) < c.options.Max {
			return
		}
		delete(c.values, k)
	}
}

// Invalidate forgets all values, and keeps none from a load that began before.
func (c *Cache[K, V]) Invalidate() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changes++
	clear(c.values)
}

// Drop forgets the values of these keys, and keeps none from a load that began before.
func (c *Cache[K, V]) Drop(keys ...K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changes++
	for _, k := range keys {
		delete(c.values, k)
	}
}
