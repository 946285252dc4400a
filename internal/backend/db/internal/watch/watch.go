// Package watch ends database calls whose context has ended. context.AfterFunc costs each call more than a point read does; here a
// call stores its context in a slot, and one goroutine looks at the slots of calls under way every few milliseconds. It
// sleeps while there are none.
package watch

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Watcher looks after the slots of one database.
type Watcher struct {
	every  time.Duration
	parked atomic.Bool
	wake   chan struct{}
	stop   chan struct{}
	done   chan struct{}

	mu    sync.Mutex
	slots map[*Slot]struct{}
}

// Slot is one connection's place. Its calls don't overlap.
type Slot struct {
	w         *Watcher
	interrupt func()

	mu    sync.Mutex
	ctx   context.Context //nolint:containedctx // of the call under way
	fired bool
}

// New starts a watcher that looks every so often.
func New(every time.Duration) *Watcher {
	w := &Watcher{every: every, wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}), slots: map[*Slot]struct{}{}}
	go w.run()
	return w
}

// Slot adds a connection. interrupt is called at most once per call, with the slot locked: it must be quick and never enter or leave.
func (w *Watcher) Slot(interrupt func()) *Slot {
	s := &Slot{w: w, interrupt: interrupt}
	w.mu.Lock()
	w.slots[s] = struct{}{}
	w.mu.Unlock()
	return s
}

// Close ends the watcher.
func (w *Watcher) Close() {
	close(w.stop)
	<-w.done
}

// Remove takes the slot out.
func (s *Slot) Remove() {
	s.w.mu.Lock()
	delete(s.w.slots, s)
	s.w.mu.Unlock()
}

// Enter begins a call.
func (s *Slot) Enter(ctx context.Context) {
	if ctx.Done() == nil {
		return
	}
	s.mu.Lock()
	s.ctx = ctx
	s.mu.Unlock()
	if s.w.parked.Load() {
		select {
		case s.w.wake <- struct{}{}:
		default:
		}
	}
}

// Leave ends a call and says whether it was interrupted.
func (s *Slot) Leave() bool {
	s.mu.Lock()
	fired := s.fired
	s.ctx, s.fired = nil, false
	s.mu.Unlock()
	return fired
}

// look interrupts the call when its context has ended, and says whether a call is under way.
func (s *Slot) look() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx == nil {
		return false
	}
	if !s.fired && s.ctx.Err() != nil {
		s.fired = true
		s.interrupt()
	}
	return true
}

func (w *Watcher) run() {
	defer close(w.done)
	const quietLooks = 50
	tick := time.NewTicker(w.every)
	defer tick.Stop()
	for quiet := 0; ; {
		select {
		case <-w.stop:
			return
		case <-tick.C:
		}
		if w.look() {
			quiet = 0
			continue
		}
		if quiet++; quiet < quietLooks {
			continue
		}
		quiet = 0
		tick.Stop()
		w.parked.Store(true)
		if !w.look() { // a call may have entered before it could see that we park
			select {
			case <-w.stop:
				return
			case <-w.wake:
			}
		}
		w.parked.Store(false)
		tick.Reset(w.every)
	}
}

func (w *Watcher) look() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	busy := false
	for s := range w.slots {
		if s.look() {
			busy = true
		}
	}
	return busy
}
