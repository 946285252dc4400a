package db

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"ward/internal/base/fault"
	"ward/internal/base/scope"
)

// BatcherOptions are the limits of a [Batcher]. Zero values are the defaults.
type BatcherOptions struct {
	MaxItems int           // in one transaction; default 128
	Flights  int           // transactions under way at once per tenant; default 1 on SQLite, 2 on PostgreSQL
	Timeout  time.Duration // for one transaction; default 30 s
}

// Batcher is group commit of items: those that arrive while a transaction is under way wait together for the next one, so a
// burst costs few transactions and a single item waits for nobody. Items of different tenants never share a transaction.
type Batcher[T any] struct {
	db    *DB
	apply func(ctx context.Context, tx Tx, items []T, results []error) error
	opts  BatcherOptions

	mu     sync.Mutex
	queues map[Place]*batchQueue[T]
}

type batchQueue[T any] struct {
	flights int
	waiting []*batchItem[T]
}

// batchItem is one caller. While it waits it belongs to the queue; then to the flight that took it, which sends exactly one message.
type batchItem[T any] struct {
	item   T
	result error
	taken  bool // guarded by the Batcher's mutex
	wake   chan []*batchItem[T]
}

// NewBatcher makes a batcher over d. apply writes the items in one transaction and sets results[i] for an item that fails alone, of which it
// must not have written anything; when apply itself fails, the items are tried in smaller groups until the bad ones are alone. The items of one
// call are in the order of their arrival. apply may run more than once for an item; results are then nil again. Its context has the scope of the tenant with the system as
// principal, and outlives the callers'.
func NewBatcher[T any](d *DB, apply func(ctx context.Context, tx Tx, items []T, results []error) error, opts BatcherOptions) *Batcher[T] {
	if opts.MaxItems <= 0 {
		opts.MaxItems = 128
	}
	if opts.Flights <= 0 {
		opts.Flights = 1
		if d.Dialect().Name == PostgreSQL {
			opts.Flights = 2
		}
	}
	if opts.Timeout <= 0 {
		opts.Timeout = 30 * time.Second
	}
	return &Batcher[T]{db: d, apply: apply, opts: opts, queues: map[Place]*batchQueue[T]{}}
}

// Do writes the item and returns after its commit is durable, with the item's own error. When ctx ends while the item waits for
// its turn, the answer is Timeout or Canceled and nothing was written; later the end of ctx is ignored and the outcome is told.
func (b *Batcher[T]) Do(ctx context.Context, item T) error {
	at, err := b.db.place(ctx)
	if err != nil {
		return err
	}
	me := &batchItem[T]{item: item}
	group := b.join(at, me)
	if group == nil {
		select {
		case group = <-me.wake:
		case <-ctx.Done():
			if b.leave(at, me) {
				return Ended(ctx)
			}
			group = <-me.wake
		}
	}
	if group != nil {
		b.fly(ctx, at, group)
	}
	return me.result
}

// join adds the item to the tenant's queue; when a flight is free it takes what waits, and the caller flies it.
func (b *Batcher[T]) join(at Place, me *batchItem[T]) []*batchItem[T] {
	b.mu.Lock()
	defer b.mu.Unlock()
	q := b.queues[at]
	if q == nil {
		q = &batchQueue[T]{}
		b.queues[at] = q
	}
	if q.flights < b.opts.Flights {
		q.flights++
		me.taken = true
		return []*batchItem[T]{me}
	}
	me.wake = make(chan []*batchItem[T], 1)
	q.waiting = append(q.waiting, me)
	return nil
}

// leave takes an item out of the queue; false when a flight has it.
func (b *Batcher[T]) leave(at Place, me *batchItem[T]) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if me.taken {
		return false
	}
	q := b.queues[at]
	for i, w := range q.waiting {
		if w == me {
			q.waiting = append(q.waiting[:i], q.waiting[i+1:]...)
			break
		}
	}
	return true
}

// land ends a flight. What waited in the meantime is handed to the first who waits, so that no caller works longer for others
// than for himself.
func (b *Batcher[T]) land(at Place) {
	b.mu.Lock()
	defer b.mu.Unlock()
	q := b.queues[at]
	if len(q.waiting) == 0 {
		q.flights--
		if q.flights == 0 {
			delete(b.queues, at)
		}
		return
	}
	n := min(len(q.waiting), b.opts.MaxItems)
	group := append([]*batchItem[T](nil), q.waiting[:n]...)
	rest := copy(q.waiting, q.waiting[n:])
	clear(q.waiting[rest:])
	q.waiting = q.waiting[:rest]
	for _, it := range group {
		it.taken = true
	}
	group[0].wake <- group
}

func (b *Batcher[T]) fly(ctx context.Context, at Place, group []*batchItem[T]) {
	s := scope.Scope{System: at.System, Tenant: scope.Tenant{ID: at.Tenant}, Principal: scope.Principal{ID: "system", Role: "system"}}
	if was, ok := scope.From(ctx); ok {
		s.Tenant.Slug = was.Tenant.Slug
	}
	ctx = scope.With(context.WithoutCancel(ctx), s)
	defer func() {
		b.land(at)
		for _, it := range group[1:] {
			it.wake <- nil
		}
	}()
	items, results := make([]T, len(group)), make([]error, len(group))
	for i, it := range group {
		items[i] = it.item
	}
	b.write(ctx, items, results)
	for i, it := range group {
		it.result = results[i]
	}
}

// write does the items in one transaction, or in halves when that fails for a reason that may be one item's.
func (b *Batcher[T]) write(ctx context.Context, items []T, results []error) {
	err := b.once(ctx, items, results)
	if err == nil {
		return
	}
	if len(items) > 1 {
		switch fault.CodeOf(err) {
		case fault.CodeUnavailable, fault.CodeFull, fault.CodeTimeout, fault.CodeCanceled:
		default:
			half := len(items) / 2
			b.write(ctx, items[:half], results[:half])
			b.write(ctx, items[half:], results[half:])
			return
		}
	}
	for i := range results {
		results[i] = err
	}
}

func (b *Batcher[T]) once(ctx context.Context, items []T, results []error) error {
	ctx, cancel := context.WithTimeout(ctx, b.opts.Timeout)
	defer cancel()
	return b.db.Write(ctx, func(ctx context.Context, tx Tx) (err error) {
		clear(results)
		defer func() {
			// An item that makes apply panic must not take down those that share its transaction.
			if p := recover(); p != nil {
				err = fault.Internal("internal error").With(fmt.Errorf("panic in a batch: %v\n%s", p, debug.Stack()))
			}
		}()
		return b.apply(ctx, tx, items, results)
	})
}
