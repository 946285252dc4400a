package sqlite

import (
	"context"
	"runtime/debug"
	"sync/atomic"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
)

// job is one Write, or work that the writer's goroutine does between groups.
type job struct {
	ctx     context.Context //nolint:containedctx // of the caller who waits
	fn      func(ctx context.Context, tx db.Tx) error
	between func(w *conn) error // instead of fn
	state   atomic.Int32
	err     error
	done    chan struct{}
}

// A job is waiting until the writer takes it or its caller leaves; only one of them can.
const (
	waiting int32 = iota
	taken
	left
)

func (j *job) take() bool { return j.state.CompareAndSwap(waiting, taken) }

func (j *job) finish(err error) {
	j.err = err
	close(j.done)
}

// submit hands the job to the writer and waits for its end. A job whose caller gives up while it waits never runs; one that has
// begun is waited for, so that the answer says what happened.
func (f *file) submit(ctx context.Context, j *job) error {
	j.ctx, j.done = ctx, make(chan struct{})
	select {
	case f.queue <- j:
	case <-ctx.Done():
		return db.Ended(ctx)
	}
	select {
	case <-j.done:
	case <-ctx.Done():
		if j.state.CompareAndSwap(waiting, left) {
			return db.Ended(ctx)
		}
		<-j.done
	}
	return j.err
}

// write is the file's writer goroutine.
func (f *file) write() {
	defer close(f.written)
	for j := range f.queue {
		if err := f.take(); err != nil {
			if j.take() {
				j.finish(mapped(j.ctx, err))
			}
			continue
		}
		for j != nil {
			if j.between != nil {
				if j.take() {
					j.finish(mapped(j.ctx, j.between(f.writer)))
				}
				j = nil
				continue
			}
			j = f.group(j)
			f.lastWrite.Store(f.d.cfg.Clock.Now().UnixNano())
			f.watchWAL()
		}
		f.put()
	}
}

// group runs the write j and those that wait behind it in one transaction, commits it, and gives the job it could not take.
func (f *file) group(j *job) (next *job) {
	g := group{f: f, c: f.writer, written: f.group0[:0]}
	until := f.d.cfg.Clock.Now().Add(groupTime)
	for n := 1; ; n++ {
		if j.take() {
			g.run(j)
		}
		if n >= groupLimit || n > 1 && !f.d.cfg.Clock.Now().Before(until) {
			break
		}
		select {
		case j = <-f.queue:
		default:
			j = nil
		}
		if j == nil || j.between != nil {
			next = j
			break
		}
	}
	g.commit()
	f.group0 = g.written
	clear(f.group0[:cap(f.group0)])
	return next
}

// group is the transaction under way.
type group struct {
	f       *file
	c       *conn
	begun   bool
	written []*job // wait for the commit
}

func (g *group) run(j *job) {
	if !g.begun {
		if err := g.c.run("BEGIN IMMEDIATE"); err != nil {
			j.finish(mapped(j.ctx, err))
			return
		}
		g.begun = true
	}
	// The first write needs no savepoint: while nobody else is in the transaction, its failure may end all of it.
	alone := len(g.written) == 0
	if !alone {
		if err := g.c.run("SAVEPOINT one"); err != nil {
			j.finish(mapped(j.ctx, err))
			return
		}
	}
	err := call(j, g.c)
	switch {
	case err == nil && alone:
		g.written = append(g.written, j)
	case err == nil:
		if err := g.c.run("RELEASE one"); err != nil {
			g.fail(mapped(j.ctx, err))
			j.finish(mapped(j.ctx, err))
			return
		}
		g.written = append(g.written, j)
	case alone:
		g.fail(nil)
		j.finish(err)
	default:
		g.undo(j.ctx, err)
		j.finish(err)
	}
}

// undo takes one write out of the group. Some errors, such as a full disk, make SQLite roll back the whole transaction; then the
// others in it fail too.
func (g *group) undo(ctx context.Context, why error) {
	if g.c.c.AutocommitEnabled() {
		if !fault.Is(why, fault.CodeFull) {
			why = db.Unavailable(why)
		}
		g.fail(why)
		return
	}
	if err := g.c.run("ROLLBACK TO one"); err != nil {
		g.fail(mapped(ctx, err))
		return
	}
	if err := g.c.run("RELEASE one"); err != nil {
		g.fail(mapped(ctx, err))
	}
}

// fail rolls back the transaction; all who are in it get the error.
func (g *group) fail(err error) {
	if !g.c.c.AutocommitEnabled() {
		_ = g.c.run("ROLLBACK")
	}
	g.begun = false
	for _, j := range g.written {
		j.finish(err)
	}
	g.written = g.written[:0]
}

func (g *group) commit() {
	if !g.begun {
		return
	}
	if len(g.written) == 0 {
		g.fail(nil)
		return
	}
	if err := g.c.run("COMMIT"); err != nil {
		g.fail(mapped(g.written[0].ctx, err))
		return
	}
	g.f.d.commits.Add(1)
	for _, j := range g.written {
		j.finish(nil)
	}
}

// call runs the function. Its panic goes to its own caller.
func call(j *job, c *conn) (err error) {
	t := &tx{c: c}
	defer func() {
		t.over = true
		if p := recover(); p != nil {
			err = &panicError{value: p, stack: debug.Stack()}
		} else if err == nil {
			err = t.failed
		}
		if err == nil && c.c.AutocommitEnabled() {
			err = fault.Internal("db: the function of Write ended its transaction: it may not run COMMIT or ROLLBACK")
		}
	}()
	return j.fn(j.ctx, t)
}
