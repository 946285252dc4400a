package cache_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ward/internal/backend/cache"
)

// network stands for a bus between processes: it delivers in order per link, late, and loses what it is told to lose.
type network struct {
	mu    sync.Mutex
	nodes []*node
	lose  float64 // share of messages
	delay func() time.Duration
}

type node struct {
	net       *network
	up        bool
	silent    bool // cut off without noticing: nothing arrives, nothing leaves
	subjects  map[string]bool
	queue     chan func()
	lost, got []func()
}

func (n *network) join(t *testing.T) *node {
	t.Helper()
	one := &node{net: n, up: true, subjects: map[string]bool{}, queue: make(chan func(), 1<<16)}
	n.mu.Lock()
	n.nodes = append(n.nodes, one)
	n.mu.Unlock()
	return one
}

var errCut = errors.New("not connected")

func (o *node) Broadcast(_ context.Context, subject string, data []byte) error {
	n := o.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if !o.up {
		return errCut
	}
	for _, to := range n.nodes {
		if !to.up || to.silent || o.silent || to.subjects == nil || rand.Float64() < n.lose {
			continue
		}
		deliver := func() {}
		if handle := to.handler(subject); handle != nil {
			deliver = func() { handle(subject, data) }
		}
		var wait time.Duration
		if n.delay != nil {
			wait = n.delay()
		}
		to.queue <- func() {
			time.Sleep(wait)
			deliver()
		}
	}
	return nil
}

type listener struct {
	handle func(string, []byte)
}

var listeners sync.Map // node → listener

func (o *node) handler(subject string) func(string, []byte) {
	if !o.subjects[subject] {
		return nil
	}
	l, ok := listeners.Load(o)
	if !ok {
		return nil
	}
	return l.(listener).handle //nolint:errcheck,forcetypeassert // only listeners are stored
}

func (o *node) Listen(subjects []string, handle func(string, []byte)) (func(), error) {
	listeners.Store(o, listener{handle})
	o.net.mu.Lock()
	for _, s := range subjects {
		o.subjects[s] = true
	}
	o.net.mu.Unlock()
	stop := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		for {
			select {
			case call := <-o.queue:
				call()
			case <-stop:
				return
			}
		}
	})
	return func() { close(stop); running.Wait(); listeners.Delete(o) }, nil
}

func (o *node) OnDisconnect(call func()) { o.lost = append(o.lost, call) }
func (o *node) OnReconnect(call func())  { o.got = append(o.got, call) }

func (o *node) set(up bool) {
	o.net.mu.Lock()
	changed := o.up != up
	o.up = up
	o.net.mu.Unlock()
	if !changed {
		return
	}
	calls := o.got
	if !up {
		calls = o.lost
	}
	for _, call := range calls {
		call()
	}
}

func (o *node) hush(silent bool) {
	o.net.mu.Lock()
	o.silent = silent
	o.net.mu.Unlock()
}

func processes(t *testing.T, n *network, count int) ([]*cache.Cache, []*node) {
	t.Helper()
	var caches []*cache.Cache
	var nodes []*node
	for range count {
		o := n.join(t)
		nodes = append(nodes, o)
		caches = append(caches, open(t, cache.Config{TagSlots: 1 << 12}, cache.Deps{Bus: o}))
	}
	return caches, nodes
}

func serves(t *testing.T, ctx context.Context, c *cache.Cache) bool { //nolint:revive // t first reads better
	t.Helper()
	before := c.Stats().Bypassed
	if _, _, err := c.Get(ctx, []byte("is it serving?")); err != nil {
		t.Fatal(err)
	}
	return c.Stats().Bypassed == before
}

func TestPeers_JoinThenServe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx := tenant(t.Context(), 1)
		caches, _ := processes(t, &network{}, 3)
		for _, c := range caches {
			if serves(t, ctx, c) {
				t.Error("serves before it has joined")
			}
		}
		time.Sleep(2100 * time.Millisecond)
		for i, c := range caches {
			if !serves(t, ctx, c) {
				t.Errorf("process %d does not serve", i)
			}
			if got := c.Stats().Peers; got != 2 {
				t.Errorf("process %d has %d peers", i, got)
			}
		}
	})
}

func TestPeers_InvalidateReachesAllBeforeItReturns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx := tenant(t.Context(), 1)
		caches, _ := processes(t, &network{delay: func() time.Duration { return 3 * time.Millisecond }}, 3)
		time.Sleep(2100 * time.Millisecond)
		tag := cache.TagOf("Patient", "a")
		for round := range 20 {
			for _, c := range caches {
				keep(t, c, ctx, "a", "old", tag)
			}
			began := time.Now()
			if err := caches[round%3].Invalidate(ctx, tag); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took > 50*time.Millisecond {
				t.Errorf("took %v", took)
			}
			for i, c := range caches {
				if got, ok, _ := c.Get(ctx, []byte("a")); ok {
					t.Fatalf("process %d answers %q", i, got)
				}
			}
		}
	})
}

func TestPeers_SilentPeerDelaysOneWriteAndStopsServing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx := tenant(t.Context(), 1)
		caches, nodes := processes(t, &network{}, 2)
		time.Sleep(2100 * time.Millisecond)
		tag := cache.TagOf("Patient", "a")
		keep(t, caches[1], ctx, "a", "old", tag)
		nodes[1].hush(true)
		began := time.Now()
		if err := caches[0].Invalidate(ctx, tag); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 500*time.Millisecond || took > 1500*time.Millisecond {
			t.Errorf("the write waited %v for the lease of 1 s", took)
		}
		if got, ok, _ := caches[1].Get(ctx, []byte("a")); ok {
			t.Fatalf("the silent peer answers %q", got)
		}
		began = time.Now()
		if err := caches[0].Invalidate(ctx, tag); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("the second write waited %v", took)
		}
		if serves(t, ctx, caches[0]) {
			t.Error("the other serves, although the silent one may write")
		}
		nodes[1].hush(false)
		time.Sleep(3100 * time.Millisecond)
		for i, c := range caches {
			if !serves(t, ctx, c) {
				t.Errorf("process %d does not serve again", i)
			}
			if got, ok, _ := c.Get(ctx, []byte("a")); ok {
				t.Errorf("process %d answers %q", i, got)
			}
		}
	})
}

func TestPeers_DeadPeerIsForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx := tenant(t.Context(), 1)
		caches, nodes := processes(t, &network{}, 2)
		time.Sleep(2100 * time.Millisecond)
		keep(t, caches[0], ctx, "a", "old", 1)
		nodes[1].hush(true) // killed
		time.Sleep(30 * time.Second)
		if serves(t, ctx, caches[0]) {
			t.Error("serves while the peer could still be writing")
		}
		time.Sleep(40 * time.Second)
		if !serves(t, ctx, caches[0]) {
			t.Error("does not serve after the peer was forgotten")
		}
		if _, ok, _ := caches[0].Get(ctx, []byte("a")); ok {
			t.Error("kept an answer that the dead peer may have changed")
		}
	})
}

func TestPeers_GoodbyeIsImmediate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx := tenant(t.Context(), 1)
		caches, _ := processes(t, &network{}, 2)
		time.Sleep(2100 * time.Millisecond)
		if err := caches[1].Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2100 * time.Millisecond)
		if !serves(t, ctx, caches[0]) || caches[0].Stats().Peers != 0 {
			t.Errorf("serves %v, %d peers", serves(t, ctx, caches[0]), caches[0].Stats().Peers)
		}
	})
}

func TestPeers_BusDownEverybodyBypassesAndWritesGoOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx := tenant(t.Context(), 1)
		caches, nodes := processes(t, &network{}, 3)
		time.Sleep(2100 * time.Millisecond)
		for _, c := range caches {
			keep(t, c, ctx, "a", "old", 1)
		}
		for _, o := range nodes {
			o.set(false)
		}
		began := time.Now()
		for i, c := range caches {
			if serves(t, ctx, c) {
				t.Errorf("process %d serves without the bus", i)
			}
			for range 10 {
				if err := c.Invalidate(ctx, 1); err != nil {
					t.Fatal(err)
				}
			}
		}
		if took := time.Since(began); took > 1500*time.Millisecond {
			t.Errorf("30 writes took %v, want at most one lease", took)
		}
		time.Sleep(10 * time.Second)
		for _, o := range nodes {
			o.set(true)
		}
		time.Sleep(3100 * time.Millisecond)
		for i, c := range caches {
			if !serves(t, ctx, c) {
				t.Errorf("process %d does not serve again", i)
			}
			if _, ok, _ := c.Get(ctx, []byte("a")); ok {
				t.Errorf("process %d answers with what was before", i)
			}
		}
	})
}

func TestPeers_BusDownFromTheStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx := tenant(t.Context(), 1)
		n := &network{}
		o := n.join(t)
		o.set(false)
		c := open(t, cache.Config{TagSlots: 1 << 12}, cache.Deps{Bus: o})
		for range 5 {
			if err := c.Invalidate(ctx, 1); err != nil {
				t.Fatal(err)
			}
		}
		if serves(t, ctx, c) {
			t.Error("serves without ever having heard the bus")
		}
	})
}

// TestPeers_HistoryUnderLossAndCuts is the promise itself: with messages late, lost and processes cut off for a while, no Get gives less than
// what was acknowledged before it.
func TestPeers_HistoryUnderLossAndCuts(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		synctest.Test(t, func(t *testing.T) {
			ctx := tenant(t.Context(), 1)
			random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a test's
			var mu sync.Mutex
			draw := func(n int) int { mu.Lock(); defer mu.Unlock(); return random.IntN(n) }
			n := &network{lose: 0.02, delay: func() time.Duration { return time.Duration(draw(2000)) * time.Microsecond }}
			caches, nodes := processes(t, n, 3)
			time.Sleep(3100 * time.Millisecond)
			end := make(chan struct{})
			var chaos sync.WaitGroup
			chaos.Go(func() {
				for {
					select {
					case <-end:
						return
					case <-time.After(time.Duration(1+draw(6)) * time.Second):
					}
					o := nodes[draw(len(nodes))]
					cut := time.Duration(draw(4000)) * time.Millisecond
					if draw(2) == 0 {
						o.hush(true)
						time.Sleep(cut)
						o.hush(false)
					} else {
						o.set(false)
						time.Sleep(cut)
						o.set(true)
					}
				}
			})
			runHistory(t, ctx, caches, 4000, func() { time.Sleep(time.Duration(draw(60)) * time.Millisecond) })
			close(end)
			chaos.Wait()
		})
	}
}
