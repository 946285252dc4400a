package audit

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
)

// flush writes what waits and links what is committed; others that ask meanwhile wait for it.
func (t *trail) flush(ctx context.Context) (err error) {
	t.linking.Lock()
	defer t.linking.Unlock()
	for {
		t.mu.Lock()
		events, groups := t.waiting, t.covered
		more := len(groups) > mostCovered
		if more {
			groups = groups[:mostCovered:mostCovered]
		}
		if len(events) == 0 && len(groups) == 0 {
			t.mu.Unlock()
			return nil
		}
		since := t.since
		t.waiting, t.waits, t.covered = nil, 0, t.covered[len(groups):]
		t.since = t.log.deps.Clock.Now()
		t.mu.Unlock()
		err := t.save(scope.With(ctx, t.scope), events, groups)
		if fault.Is(err, fault.CodeNotFound) || fault.Is(err, fault.CodeGone) {
			return nil // the tenant was destroyed, and its trail with it
		}
		if err != nil {
			t.mu.Lock()
			t.waiting, t.covered, t.since = append(events, t.waiting...), append(groups, t.covered...), since
			for _, b := range events {
				t.waits += b.n
			}
			t.mu.Unlock()
			return err
		}
		t.log.batches.give(events)
		if !more {
			return nil
		}
	}
}

// saveTimeout is how long a group of events may take to be written.
const saveTimeout = 30 * time.Second

// save writes the events and the link over them and the groups, in one transaction.
func (t *trail) save(ctx context.Context, events []*batch, groups []covered) (err error) {
	defer fault.Op(&err, "audit.save")
	ctx, cancel := context.WithTimeout(ctx, saveTimeout)
	defer cancel()
	if _, err := t.key(ctx); err != nil { // has it in memory
		return err
	}
	var others []anchor
	if t.head == nil {
		h, found, err := t.open(ctx)
		if err != nil {
			return err
		}
		t.head, others = &h, found
	}
	var next head
	err = t.log.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		all := slices.Clip(groups)
		if len(events) > 0 {
			written, err := t.write(ctx, tx, t.log.deps.Clock.Now(), events)
			if err != nil {
				return err
			}
			all = append(all, written...)
		}
		var err error
		next, err = t.link(ctx, tx, *t.head, all, others, false)
		return err
	})
	switch {
	case err == nil:
		t.head = &next
		return nil
	case fault.Is(err, fault.CodeUnavailable), fault.Is(err, fault.CodeConflict):
		// The link may be there: then all of its transaction is.
		before := *t.head
		t.head = nil
		h, _, again := t.open(ctx)
		if again != nil {
			t.head = nil
			return err
		}
		t.head = &h
		if h == next && next != before {
			return nil
		}
		if fault.Is(err, fault.CodeConflict) && h == before {
			return errLane()
		}
	}
	return err
}

// due are the trails whose oldest event or group waits for longer than lag.
func (l *Log) due(lag time.Duration) []*trail {
	now := l.deps.Clock.Now()
	l.mu.RLock()
	defer l.mu.RUnlock()
	var out []*trail
	for _, t := range l.trails {
		t.mu.Lock()
		if (len(t.waiting) > 0 || len(t.covered) > 0) && now.Sub(t.since) >= lag {
			out = append(out, t)
		}
		t.mu.Unlock()
	}
	return out
}

// flushers is how many tenants' logs are written at once.
const flushers = 4

// Flush writes all that waits, for every tenant.
//
// Errors: the database's; what it did not take waits for the next time.
func (l *Log) Flush(ctx context.Context) error {
	l.repeats.report(ctx, l, true)
	return l.flushDue(ctx, 0)
}

func (l *Log) flushDue(ctx context.Context, lag time.Duration) error {
	due := l.due(lag)
	if len(due) == 0 {
		return nil
	}
	var (
		working sync.WaitGroup
		mu      sync.Mutex
		first   error
		next    = make(chan *trail, len(due))
	)
	for _, t := range due {
		next <- t
	}
	close(next)
	for range min(flushers, len(due)) {
		working.Go(func() {
			for t := range next {
				if err := t.flush(ctx); err != nil {
					l.deps.Log.ErrorContext(ctx, "the audit log was not written; it waits in memory", slog.Int("tenant", int(t.tenant)), slog.Any("error", err))
					mu.Lock()
					first = err
					mu.Unlock()
				}
			}
		})
	}
	working.Wait()
	return first
}

// Write writes what waits until ctx ends, and then all that is left.
func (l *Log) Write(ctx context.Context) error {
	tick := time.NewTicker(l.deps.Lag / 5)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			l.repeats.report(ctx, l, false)
			_ = l.flushDue(ctx, l.deps.Lag) // logged, and tried again
		case <-ctx.Done():
			return l.Flush(context.WithoutCancel(ctx))
		}
	}
}
