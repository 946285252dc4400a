package postgres

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"ward/internal/backend/db"
	"ward/internal/backend/db/internal/watch"
	"ward/internal/base/fault"
)

type driver struct {
	cfg     Config
	base    context.Context //nolint:containedctx // for work of the driver's own; it never ends
	watcher *watch.Watcher
	tenants *pool
	system  *pool
	stop    chan struct{}
	upkeep  sync.WaitGroup

	mu    sync.Mutex
	lines []db.Line // of the tenants' tables

	commits, retries atomic.Int64
}

func (d *driver) Dialect() db.Dialect { return db.Dialect{Name: db.PostgreSQL} }

func (d *driver) pool(at db.Place) *pool {
	if at.System {
		return d.system
	}
	return d.tenants
}

func (d *driver) Read(ctx context.Context, at db.Place, fn func(ctx context.Context, q db.Querier) error) error {
	q := &reader{pool: d.pool(at), at: at}
	defer q.end()
	return fn(ctx, q)
}

func (d *driver) Snapshot(ctx context.Context, at db.Place, fn func(ctx context.Context, q db.Querier) error) error {
	q := &begun{pool: d.pool(at), at: at, first: func(c *conn) *statement { return c.snapshot }}
	defer q.end(d.base)
	return fn(ctx, q)
}

// mostTries is how often the function of a Write runs.
const mostTries = 10

func (d *driver) Write(ctx context.Context, at db.Place, fn func(ctx context.Context, tx db.Tx) error) error {
	for try := 1; ; try++ {
		again, err := d.write(ctx, at, fn)
		if err == nil || !again || try == mostTries {
			return err
		}
		d.retries.Add(1)
		// Half of the pause is random, so that two who met once don't meet again.
		pause := time.Millisecond << min(try, 8)
		pause = pause/2 + rand.N(pause) //nolint:gosec // not a secret
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return db.Ended(ctx)
		}
	}
}

// write runs the function once, and says whether it may be run again: when nothing of it was committed, for a reason that may pass.
func (d *driver) write(ctx context.Context, at db.Place, fn func(ctx context.Context, tx db.Tx) error) (retry bool, err error) {
	t := &tx{begun{pool: d.pool(at), at: at, first: func(c *conn) *statement { return c.begin }}}
	defer t.end(d.base)
	err = fn(ctx, t)
	t.over = true
	if t.failed != nil {
		if err == nil {
			err = t.failed
		}
		return again(t.failed) || t.lease != nil && isLost(t.failed) && ctx.Err() == nil, err
	}
	if err != nil || t.lease == nil {
		return false, err
	}
	return t.commit(ctx, d)
}

// commit sends the commit, and what is queued, and waits for the answer.
func (t *tx) commit(ctx context.Context, d *driver) (retry bool, err error) {
	c := t.lease.Value()
	if c.broken {
		return true, db.Unavailable(errors.New("postgres: the connection was lost"))
	}
	// From here on the end of ctx would leave open what happened; the server is given a moment instead.
	if err := db.Ended(ctx); err != nil {
		return false, err
	}
	_ = c.net.SetDeadline(d.cfg.Clock.Now().Add(d.cfg.CommitTimeout))
	c.out = putRun(c.out, c.commit)
	c.open = false
	done, err := c.round(d.base, c.commit, nil)
	_ = c.net.SetDeadline(time.Time{})
	switch {
	case c.broken || isLost(err):
		c.broken = true
		return false, fault.Unavailable("the database was lost during a commit: it is not known whether it was written").With(err).Retry(db.RetryAfter)
	case err != nil: // the server says no: of something queued, or of the commit
		return again(err), mapped(d.base, err, true)
	case done.verb != 'C':
		return false, fault.Internal("db: the transaction had failed before its commit")
	}
	d.commits.Add(1)
	return false, nil
}

// Check asks the server as both roles.
func (d *driver) Check(ctx context.Context) error {
	for _, at := range []db.Place{{System: true}, {Tenant: 1}} {
		err := d.Read(ctx, at, func(ctx context.Context, q db.Querier) error { return q.Query(ctx, "SELECT 1", nil) })
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *driver) Stats() db.Stats {
	s := db.Stats{Commits: d.commits.Load(), Retries: d.retries.Load()}
	for _, p := range []*pool{d.tenants, d.system} {
		st := p.puddle.Stat()
		s.Connections += int64(st.TotalResources())
		s.Idle += int64(st.IdleResources())
		s.Waits += st.EmptyAcquireCount()
		s.Waited += st.EmptyAcquireWaitTime()
	}
	return s
}

// keepUp closes connections that have been at rest for long, until the driver is closed.
func (d *driver) keepUp() {
	tick := time.NewTicker(upkeepEvery)
	defer tick.Stop()
	for {
		select {
		case <-d.stop:
			return
		case <-tick.C:
			d.tenants.tidy()
			d.system.tidy()
		}
	}
}

// Close waits for the connections in use until ctx ends.
func (d *driver) Close(ctx context.Context) error {
	close(d.stop)
	d.upkeep.Wait()
	closed := make(chan struct{})
	go func() {
		d.tenants.puddle.Close()
		d.system.puddle.Close()
		d.watcher.Close()
		close(closed)
	}()
	select {
	case <-closed:
		return nil
	case <-ctx.Done():
		return fault.Unavailable("postgres: connections were still in use at the end")
	}
}
