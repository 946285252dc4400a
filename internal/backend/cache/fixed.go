package cache

import (
	"bytes"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"ward/internal/base/fault"
)

// Tier is a second tier that many processes share. It sees opaque names and sealed values.
type Tier interface {
	// Get gives nil and no error when there is nothing under name.
	Get(ctx context.Context, name string) ([]byte, error)
	Set(ctx context.Context, name string, sealed []byte, ttl time.Duration) error
	Close()
}

// Guard runs a call that leaves the process; kernel/resilience's Policy is one.
type Guard interface {
	Do(ctx context.Context, call func(ctx context.Context) error) error
}

// Sealer encrypts values under their tenant's key and binds them to the name they lie under.
type Sealer interface {
	// Name hides a tenant's key, which may hold a patient's id: nobody without the sealer's secret can find it again.
	Name(tenant int32, key []byte) string
	Seal(ctx context.Context, tenant int32, name string, plain []byte) (sealed []byte, err error)
	// Open fails for anything that Seal did not make for this tenant and name. What it gives is not nil.
	Open(ctx context.Context, tenant int32, name string, sealed []byte) (plain []byte, err error)
}

// GetFixed gives the value that was put under key with SetFixed, from this process or the second tier. A second tier that fails is
// a miss. The caller must not change the bytes.
//
// Errors: Internal when ctx carries no scope.
func (c *Cache) GetFixed(ctx context.Context, key []byte) (value []byte, ok bool, err error) {
	tenant, err := tenantOf(ctx)
	if err != nil {
		return nil, false, err
	}
	at := c.place(fixedFamily, tenant, key)
	n := &c.counts[at.lo%countStripes]
	if e, ok := c.kept.GetIfPresent(at); ok && e.tenant == tenant && e.fixed && bytes.Equal(e.key, key) {
		n.hit.Add(1)
		return e.value, true, nil
	}
	n.missed.Add(1)
	if c.far == nil {
		return nil, false, nil
	}
	value, ok = c.far.get(ctx, tenant, key)
	if ok {
		c.keepFixed(at, tenant, key, value)
	}
	return value, ok, nil
}

// SetFixed keeps a copy of a value that will never be another under this key: the key holds the version of everything that the value
// depends on, read from the database together with the value or before it. The second tier gets it in the background for ttl.
//
// Errors: Internal when ctx carries no scope, Invalid when ttl is not positive.
func (c *Cache) SetFixed(ctx context.Context, key, value []byte, ttl time.Duration) error {
	tenant, err := tenantOf(ctx)
	if err != nil {
		return err
	}
	if ttl <= 0 {
		return fault.Invalid("a fixed value is kept for %v: give a positive time", ttl)
	}
	if len(value) > c.config.Largest {
		return nil
	}
	e := c.keepFixed(c.place(fixedFamily, tenant, key), tenant, key, value)
	if c.far != nil {
		c.far.set(tenant, e.key, e.value, ttl)
	}
	return nil
}

func (c *Cache) keepFixed(at place, tenant int32, key, value []byte) *entry {
	e := &entry{tenant: tenant, fixed: true}
	e.fill(key, value)
	c.kept.Set(at, e)
	return e
}

// far is the second tier as the cache uses it: named by hashes, sealed, guarded, written in the background.
type far struct {
	tier    Tier
	sealer  Sealer
	guard   Guard
	waiting chan write
	cancel  context.CancelFunc
	done    sync.WaitGroup
	closing sync.RWMutex
	closed  bool

	hits, misses, failures, dropped atomic.Int64
}

type write struct {
	tenant     int32
	key, value []byte
	ttl        time.Duration
	run        func(ctx context.Context) // instead, when it is set
}

const (
	farWriters = 4
	farWaiting = 1024 // values
)

func newFar(ctx context.Context, deps Deps) *far {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f := &far{tier: deps.Tier, sealer: deps.Sealer, guard: deps.Guard, waiting: make(chan write, farWaiting), cancel: cancel}
	for range farWriters {
		f.done.Go(func() { f.write(ctx) })
	}
	return f
}

func (f *far) get(ctx context.Context, tenant int32, key []byte) ([]byte, bool) {
	n := f.sealer.Name(tenant, key)
	var sealed []byte
	err := f.guard.Do(ctx, func(ctx context.Context) (err error) {
		sealed, err = f.tier.Get(ctx, n)
		return err
	})
	if err != nil {
		f.failures.Add(1)
		return nil, false
	}
	if sealed == nil {
		f.misses.Add(1)
		return nil, false
	}
	plain, err := f.sealer.Open(ctx, tenant, n, sealed)
	if err != nil { // sealed with a key that is gone, or tampered with: not an answer
		f.failures.Add(1)
		return nil, false
	}
	f.hits.Add(1)
	return plain, true
}

func (f *far) set(tenant int32, key, value []byte, ttl time.Duration) {
	f.queue(write{tenant: tenant, key: key, value: value, ttl: ttl})
}

// later runs something in the background.
func (f *far) later(run func(ctx context.Context)) { f.queue(write{run: run}) }

func (f *far) queue(w write) {
	f.closing.RLock()
	defer f.closing.RUnlock()
	if f.closed {
		return
	}
	select {
	case f.waiting <- w:
	default:
		f.dropped.Add(1)
	}
}

func (f *far) write(ctx context.Context) {
	for w := range f.waiting {
		if w.run != nil {
			w.run(ctx)
			continue
		}
		n := f.sealer.Name(w.tenant, w.key)
		sealed, err := f.sealer.Seal(ctx, w.tenant, n, w.value)
		if err == nil {
			err = f.guard.Do(ctx, func(ctx context.Context) error { return f.tier.Set(ctx, n, sealed, w.ttl) })
		}
		if err != nil {
			f.failures.Add(1)
		}
	}
}

// close writes what waits, until ctx ends.
func (f *far) close(ctx context.Context) error {
	f.closing.Lock()
	if !f.closed {
		f.closed = true
		close(f.waiting)
	}
	f.closing.Unlock()
	stop := context.AfterFunc(ctx, f.cancel)
	f.done.Wait()
	stop()
	f.cancel()
	f.tier.Close()
	return nil
}
