package cache

import (
	"context"
	"encoding/hex"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"ward/internal/base/fault"
)

// Bus carries what the processes' caches tell each other. Messages may be lost; those of one sender that arrive, arrive in order.
type Bus interface {
	Broadcast(ctx context.Context, subject string, data []byte) error
	// Listen calls handle for every message on one of the subjects, one at a time and in the order in which they arrived.
	Listen(subjects []string, handle func(subject string, data []byte)) (stop func(), err error)
	OnDisconnect(call func())
	OnReconnect(call func())
}

const (
	subjectAll  = "ward.cache.all"
	subjectOne  = "ward.cache.one." // + the receiver's id
	announceMax = 8192              // tags in one message, 96 KB
)

// peers keeps this process's cache coherent with the others'. doc.go has the argument.
type peers struct {
	cache *Cache
	self  id
	base  time.Time // instants below are nanoseconds since base, by the monotonic clock

	serveUntil atomic.Int64 // Gets are answered until then

	mu       sync.Mutex
	members  map[id]*member
	sequence uint64 // of this process's announcements, also of those that nobody had to hear
	heard    int64  // until when this process's own messages prove that the bus delivers
	settled  int64  // when joining is over, 0 before the first message of our own came back
	pending  *batch // collects invalidations for the next announcement
	sent     map[uint64]*batch

	joined  bool          // settled has passed: every peer that can hear us knows us
	left    bool          // leaving: nothing is served or announced any more
	gone    bool          // we said goodbye
	cut     bool          // the bus said that it is disconnected
	changed chan struct{} // closed and replaced when writes that wait should look again
	wake    chan struct{}
	stop    func()
	cancel  context.CancelFunc
	stopped sync.WaitGroup
}

type member struct {
	granted int64  // until then it may answer counting on us
	lease   int64  // until then we may answer counting on it
	applied uint64 // its last announcement that we applied
	known   bool   // applied is set
	seen    int64
}

// batch is the invalidations that travel in one announcement.
type batch struct {
	message []byte
	tags    int
	waiting map[id]int64 // who must confirm, and until when it could still answer otherwise
	done    chan struct{}
}

func join(ctx context.Context, c *Cache) (*peers, error) {
	p := &peers{
		cache: c, base: c.deps.Clock.Now(), members: map[id]*member{}, sent: map[uint64]*batch{},
		changed: make(chan struct{}), wake: make(chan struct{}, 1),
	}
	p.self = newID()
	ctx, p.cancel = context.WithCancel(context.WithoutCancel(ctx))
	stop, err := c.deps.Bus.Listen([]string{subjectAll, subjectOne + hex.EncodeToString(p.self[:])}, func(_ string, data []byte) { p.receive(ctx, data) })
	if err != nil {
		p.cancel()
		return nil, err
	}
	p.stop = stop
	c.deps.Bus.OnDisconnect(p.disconnected)
	c.deps.Bus.OnReconnect(func() { p.reconnected(ctx) })
	p.stopped.Go(func() { p.beat(ctx) })
	p.stopped.Go(func() { p.send(ctx) })
	return p, nil
}

func (p *peers) now() int64 { return int64(p.cache.deps.Clock.Now().Sub(p.base)) }

func (p *peers) mayServe() bool { return p.now() < p.serveUntil.Load() }

func (p *peers) lease() int64 { return int64(p.cache.config.Lease) }

// beat pings the peers four times in a lease, which renews the leases, and forgets those that are long silent.
func (p *peers) beat(ctx context.Context) {
	tick := time.NewTicker(p.cache.config.Lease / 4)
	defer tick.Stop()
	p.ping(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			p.ping(ctx)
			p.expire()
		}
	}
}

func (p *peers) ping(ctx context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tell(ctx, subjectAll, message{kind: kindPing, from: p.self, number: uint64(p.now())}) //nolint:gosec // not negative
}

// tell is called with the lock held, so that the order of messages is the order of what they say.
func (p *peers) tell(ctx context.Context, subject string, m message) {
	if p.gone {
		return
	}
	_ = p.cache.deps.Bus.Broadcast(ctx, subject, m.encode()) // a message that is lost is noticed by the numbers
}

// receive runs in the bus's single goroutine of this subscription.
func (p *peers) receive(ctx context.Context, data []byte) {
	m, ok := decode(data)
	if !ok {
		p.cache.deps.Logger.Warn("cache: a message of another version on the bus", "bytes", len(data))
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone || p.cut { // it was on its way when the connection broke
		return
	}
	now := p.now()
	if m.from == p.self {
		p.echo(now, m)
		return
	}
	if m.kind == kindGoodbye {
		p.part(now, m.from)
		return
	}
	from := p.members[m.from]
	if from == nil {
		from = &member{}
		p.members[m.from] = from
		p.serve(now)                                                                              // not before it has granted us a lease
		defer p.tell(ctx, subjectAll, message{kind: kindPing, from: p.self, number: uint64(now)}) //nolint:gosec // not negative
	}
	from.seen = now
	switch m.kind {
	case kindPing:
		from.granted = now + p.lease()
		p.tell(ctx, m.from.subject(), message{kind: kindPong, from: p.self, number: m.number, sequence: p.sequence})
	case kindPong:
		p.apply(from, m.sequence, nil)
		from.lease = max(from.lease, int64(m.number)+p.lease()) //nolint:gosec // our own number come back
	case kindAnnounce:
		p.apply(from, m.sequence, m.tags)
		p.tell(ctx, m.from.subject(), message{kind: kindConfirm, from: p.self, sequence: m.sequence})
	case kindConfirm:
		p.confirmed(m.from, m.sequence)
	}
	p.serve(now)
}

// echo notes that the bus brought back a ping that left at m.number.
func (p *peers) echo(now int64, m message) {
	if m.kind != kindPing {
		return
	}
	p.heard = max(p.heard, int64(m.number)+p.lease()) //nolint:gosec // our own number
	if p.settled == 0 {
		p.settled = now + p.lease()*5/4
	}
	p.serve(now)
	p.lookAgain()
}

// apply brings this cache to the state after the sender's announcement number sequence. A pong names the last announcement and has no tags;
// when a number is missing the tags are not known, so that everything tagged goes.
func (p *peers) apply(from *member, sequence uint64, tags []announced) {
	switch {
	case from.known && sequence <= from.applied:
		return
	case from.known && sequence == from.applied+1 && tags != nil:
		for _, t := range tags {
			p.cache.tags.bump(t.tenant, t.tag)
		}
	default:
		p.cache.Flush()
	}
	from.known, from.applied = true, sequence
}

// serve works out until when Gets may be answered.
func (p *peers) serve(now int64) {
	until := p.heard
	switch {
	case p.settled == 0 || now < p.settled:
		until = 0
	case !p.joined:
		p.joined = true
		p.cache.Flush() // what was kept while peers did not know us yet
	}
	for _, m := range p.members {
		until = min(until, m.lease)
	}
	if p.left {
		until = 0
	}
	p.serveUntil.Store(until)
}

// part lets a member go. What it wrote and did not announce is not in any answer that is kept from now on.
func (p *peers) part(now int64, gone id) {
	if p.members[gone] == nil {
		return
	}
	delete(p.members, gone)
	p.cache.Flush()
	for sequence, b := range p.sent {
		delete(b.waiting, gone)
		p.finish(sequence, b)
	}
	p.serve(now)
}

// expire lets batches go whose missing confirmations are no longer needed, and members that are silent for long.
func (p *peers) expire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	for sequence, b := range p.sent {
		for who, until := range b.waiting {
			if until <= now {
				delete(b.waiting, who)
			}
		}
		p.finish(sequence, b)
	}
	for who, m := range p.members {
		if now-m.seen > int64(p.cache.config.Forget) {
			p.cache.deps.Logger.Warn("cache: a peer has been silent for long and is taken for dead", "peer", hex.EncodeToString(who[:]))
			p.part(now, who)
		}
	}
	p.serve(now)
	p.lookAgain()
}

func (p *peers) lookAgain() {
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *peers) confirmed(from id, sequence uint64) {
	if b := p.sent[sequence]; b != nil {
		delete(b.waiting, from)
		p.finish(sequence, b)
	}
}

func (p *peers) finish(sequence uint64, b *batch) {
	if len(b.waiting) == 0 {
		delete(p.sent, sequence)
		close(b.done)
	}
}

// mayWrite says whether an acknowledgement may count on what this process knows of its peers: it has joined and its own messages come back,
// which means that everything sent to it before has been seen. A process that has heard nothing for two leases is cut off: all that
// it granted has run out, so there is nobody left to wait for.
func (p *peers) mayWrite(now int64) bool {
	return p.joined && now < p.heard || now > p.heard+p.lease()
}

// announce tells the peers and waits until none of them can answer with what was before.
func (p *peers) announce(ctx context.Context, tenant int32, tags []Tag) error {
	for len(tags) > announceMax {
		if err := p.announce(ctx, tenant, tags[:announceMax]); err != nil {
			return err
		}
		tags = tags[announceMax:]
	}
	p.mu.Lock()
	for !p.left && !p.mayWrite(p.now()) {
		changed := p.changed
		p.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err() //nolint:wrapcheck // the caller's own
		}
		p.mu.Lock()
	}
	if p.left {
		p.mu.Unlock()
		return fault.Unavailable("the cache is closed")
	}
	if !p.anyGranted() {
		p.sequence++ // who comes to hear of it later must notice
		p.mu.Unlock()
		return nil
	}
	if p.pending == nil {
		p.pending = &batch{done: make(chan struct{})}
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
	b := p.pending
	for _, t := range tags {
		b.message = announced{tenant, t}.encode(b.message)
	}
	if b.tags += len(tags); b.tags >= announceMax {
		p.flushPending(ctx)
	}
	p.mu.Unlock()
	select {
	case <-b.done:
		return nil
	case <-ctx.Done():
		return ctx.Err() //nolint:wrapcheck // the caller's own
	}
}

func (p *peers) anyGranted() bool {
	now := p.now()
	for _, m := range p.members {
		if m.granted > now {
			return true
		}
	}
	return false
}

// send announces what was collected; while it waits for the lock, more is collected.
func (p *peers) send(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
			p.mu.Lock()
			p.flushPending(ctx)
			p.mu.Unlock()
		}
	}
}

func (p *peers) flushPending(ctx context.Context) {
	b := p.pending
	if b == nil {
		return
	}
	p.pending = nil
	p.sequence++
	now := p.now()
	b.waiting = make(map[id]int64, len(p.members))
	for who, m := range p.members {
		if m.granted > now {
			b.waiting[who] = m.granted
		}
	}
	p.sent[p.sequence] = b
	p.tell(context.WithoutCancel(ctx), subjectAll, message{kind: kindAnnounce, from: p.self, sequence: p.sequence, body: b.message})
	p.finish(p.sequence, b)
}

// disconnected stops answering at once and drops what was kept.
func (p *peers) disconnected() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cache.Flush()
	p.cut = true
	p.heard, p.settled, p.joined = 0, 0, false
	for _, m := range p.members {
		m.lease = 0
	}
	p.serve(p.now())
	p.lookAgain()
}

// reconnected begins to join anew.
func (p *peers) reconnected(ctx context.Context) {
	p.mu.Lock()
	p.cut = false
	p.mu.Unlock()
	p.ping(ctx)
}

// leave waits for what is announced to be confirmed and says goodbye, so that the others need not wait for our silence.
func (p *peers) leave(ctx context.Context) {
	p.mu.Lock()
	p.left = true
	p.serveUntil.Store(0)
	p.flushPending(ctx)
	p.lookAgain()
	open := slices.Collect(maps.Values(p.sent))
	p.mu.Unlock()
	for _, b := range open {
		select {
		case <-b.done:
		case <-ctx.Done():
		}
	}
	p.cancel()
	p.stopped.Wait()
	p.mu.Lock()
	p.tell(context.WithoutCancel(ctx), subjectAll, message{kind: kindGoodbye, from: p.self})
	p.gone = true
	p.mu.Unlock()
	p.stop()
}

func (p *peers) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.members)
}
