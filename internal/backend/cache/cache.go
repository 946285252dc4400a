package cache

import (
	"bytes"
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
	"github.com/zeebo/xxh3"

	"ward/internal/base/clock"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
)

// Config bounds the cache. The zero value of a field takes the default beside it.
type Config struct {
	Bytes    uint64        // of the first tier, keys and bookkeeping included; 64 MB
	Largest  int           // bytes of one value; 1 MB. Larger ones are not kept
	TagSlots int           // rounded up to a power of two, 8 bytes each; 1,048,576
	Lease    time.Duration // how long a peer may answer from its cache without hearing from the others; 1 s
	Forget   time.Duration // after which a peer that fell silent without a goodbye is taken for dead; 60 s
}

// Deps are what a cache works with.
type Deps struct {
	Clock  clock.Clock
	Logger *slog.Logger
	Bus    Bus    // nil when this process is the only one that writes to the database
	Tier   Tier   // second tier for fixed values, nil for none
	Sealer Sealer // required with Tier
	Guard  Guard  // around every call of Tier, required with Tier
}

// Cache keeps answers in the process and, for fixed ones, in a second tier. It is safe for use by many goroutines.
type Cache struct {
	config Config
	deps   Deps
	kept   *otter.Cache[place, *entry]
	tags   *generations
	flush  atomic.Uint64 // raised to drop every tagged answer
	peers  *peers        // nil when alone
	far    *far          // nil without a second tier
	counts [countStripes]counts
	seed   uint64
	closed atomic.Bool
}

// place is where an answer lies: a hash of tenant, family and key. The entry has the key itself, so that a collision is a miss.
type place struct{ hi, lo uint64 }

type entry struct {
	key    []byte
	value  []byte
	tenant int32
	fixed  bool
	flush  uint64
	n      int
	stamps [inlineTags]stamp
	more   []stamp
}

const (
	inlineTags    = 4
	entryOverhead = 320 // bytes of an entry, its node and its place in the policy, measured
)

// New makes a cache and, when it has a bus, joins the other processes' caches: until that has settled every Get is a miss.
//
// Errors: Invalid when Deps contradict each other, the bus's own.
func New(ctx context.Context, config Config, deps Deps) (*Cache, error) {
	defaulted(&config.Bytes, 64<<20)
	defaulted(&config.Largest, 1<<20)
	defaulted(&config.TagSlots, 1<<20)
	defaulted(&config.Lease, time.Second)
	defaulted(&config.Forget, time.Minute)
	if deps.Clock == nil {
		deps.Clock = clock.System()
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	kept, err := otter.New(&otter.Options[place, *entry]{
		MaximumWeight: config.Bytes,
		Weigher: func(_ place, e *entry) uint32 {
			return uint32(entryOverhead + len(e.key) + len(e.value) + 16*len(e.more)) //nolint:gosec // bounded by Largest
		},
	})
	if err != nil {
		return nil, fault.Internal("cache of %d bytes", config.Bytes).With(err)
	}
	c := &Cache{config: config, deps: deps, kept: kept, tags: newGenerations(config.TagSlots), seed: randomUint64()}
	if deps.Tier != nil {
		if deps.Sealer == nil || deps.Guard == nil {
			return nil, fault.Invalid("a cache's second tier needs a sealer and a guard: values never leave the process in plain text")
		}
		c.far = newFar(ctx, deps)
	}
	if deps.Bus != nil {
		if c.peers, err = join(ctx, c); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func defaulted[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// tenantOf is the number that keeps the scopes apart: the tenant's, 0 for the system.
func tenantOf(ctx context.Context) (int32, error) {
	s, ok := scope.From(ctx)
	if !ok || !s.Valid() {
		return 0, fault.Internal("the cache was asked without a scope")
	}
	return s.Tenant.ID, nil // 0 when s.System
}

const (
	taggedFamily = uint64(1) << 32
	fixedFamily  = uint64(2) << 32
)

func (c *Cache) place(family uint64, tenant int32, key []byte) place {
	h := xxh3.Hash128Seed(key, c.seed^family^uint64(uint32(tenant))) //nolint:gosec // mixing bits
	return place{h.Hi, h.Lo}
}

// Get gives the answer kept under key for the scope's tenant, if nothing it depends on was invalidated since it was read. The caller must
// not change the bytes. It costs one lookup and no allocation; key may lie on the caller's stack.
//
// Errors: Internal when ctx carries no scope.
func (c *Cache) Get(ctx context.Context, key []byte) (value []byte, ok bool, err error) {
	tenant, err := tenantOf(ctx)
	if err != nil {
		return nil, false, err
	}
	at := c.place(taggedFamily, tenant, key)
	n := &c.counts[at.lo%countStripes]
	if c.peers != nil && !c.peers.mayServe() {
		n.bypassed.Add(1)
		return nil, false, nil
	}
	e, ok := c.kept.GetIfPresent(at)
	if !ok || e.tenant != tenant || e.fixed || !bytes.Equal(e.key, key) {
		n.missed.Add(1)
		return nil, false, nil
	}
	if !c.stands(e) {
		n.stale.Add(1)
		return nil, false, nil
	}
	n.hit.Add(1)
	return e.value, true, nil
}

func (c *Cache) stands(e *entry) bool {
	if e.flush != c.flush.Load() {
		return false
	}
	for i := range e.n {
		if !c.tags.stands(e.stamps[i]) {
			return false
		}
	}
	for _, s := range e.more {
		if !c.tags.stands(s) {
			return false
		}
	}
	return true
}

// Lease is the right to keep an answer that is about to be read. It is a value; dropping it costs nothing.
type Lease struct {
	cache  *Cache
	tenant int32
	flush  uint64
	n      int
	stamps [inlineTags]stamp
	more   []stamp
}

// Begin notes the generation of everything that an answer will depend on. Call it before the first read of the database that the
// answer is made from, and read from a database that has every acknowledged write (not from a replica that lags).
//
// Errors: Internal when ctx carries no scope.
func (c *Cache) Begin(ctx context.Context, tags ...Tag) (Lease, error) {
	tenant, err := tenantOf(ctx)
	if err != nil {
		return Lease{}, err
	}
	l := Lease{cache: c, tenant: tenant, flush: c.flush.Load()}
	for _, t := range tags {
		s := c.tags.read(c.tags.slot(tenant, t))
		if l.n < inlineTags {
			l.stamps[l.n] = s
			l.n++
		} else {
			l.more = append(l.more, s)
		}
	}
	return l, nil
}

// Advance makes a lease good for what an answer becomes by the one change that the caller itself has announced since Begin, with Invalidate and all of
// the lease's tags, each once: it then stores what was there at Begin, changed so. If anybody else announced another change meanwhile, it stores nothing.
func (l *Lease) Advance() {
	for i := range l.n {
		l.stamps[i].generation++
	}
	for i := range l.more {
		l.more[i].generation++
	}
}

// Store keeps a copy of the answer under key, unless something it depends on was invalidated since Begin or it is too large. It says
// whether it was kept.
func (l *Lease) Store(key, value []byte) bool {
	c := l.cache
	if c == nil || len(value) > c.config.Largest {
		return false
	}
	e := &entry{tenant: l.tenant, flush: l.flush, n: l.n, stamps: l.stamps, more: l.more}
	at := c.place(taggedFamily, l.tenant, key)
	if !c.stands(e) { // a courtesy to the memory: Get would refuse it
		c.counts[at.lo%countStripes].late.Add(1)
		return false
	}
	e.fill(key, value)
	c.kept.Set(at, e)
	return true
}

// fill copies key and value into one allocation.
func (e *entry) fill(key, value []byte) {
	both := make([]byte, len(key)+len(value))
	copy(both, key)
	copy(both[len(key):], value)
	e.key, e.value = both[:len(key):len(key)], both[len(key):]
}

// Invalidate makes every answer that depends on one of the tags be read anew. Call it after the commit and before the write is
// acknowledged, also when the commit's outcome is not known. It returns when no process will answer with what was before: at
// once when this one is alone, else when every peer has confirmed or its lease has run out (Config.Lease at most).
//
// Errors: Internal when ctx carries no scope, ctx's own when it ends first (peers are told nevertheless).
func (c *Cache) Invalidate(ctx context.Context, tags ...Tag) error {
	tenant, err := tenantOf(ctx)
	if err != nil {
		return err
	}
	for _, t := range tags {
		c.tags.bump(tenant, t)
	}
	if c.peers == nil || len(tags) == 0 {
		return nil
	}
	return c.peers.announce(ctx, tenant, tags)
}

// Flush drops every tagged answer of this process.
func (c *Cache) Flush() { c.flush.Add(1) }

// Clear lets go of all that this process keeps, tagged and fixed, so that nothing of it is in memory any longer. What others keep, and the second tier, is as it was.
func (c *Cache) Clear() {
	c.Flush()
	c.kept.InvalidateAll()
}

// Close leaves the peers, writes what the second tier still waits for and closes it. Close after the last write was acknowledged; a second
// Close does nothing.
func (c *Cache) Close(ctx context.Context) error {
	if c.closed.Swap(true) {
		return nil
	}
	if c.peers != nil {
		c.peers.leave(ctx)
	}
	if c.far != nil {
		return c.far.close(ctx)
	}
	return nil
}
