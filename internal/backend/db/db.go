package db

import (
	"context"
	"sync"
	"sync/atomic"

	"ward/internal/base/fault"
	"ward/internal/base/scope"
)

// DB reads and writes the database that the scope in the context picks. It is safe for use by many goroutines.
type DB struct {
	driver Driver
	gate   gate
	before func(ctx context.Context)

	reads, writes, failures, queries atomic.Int64

	away sync.Map // Place → true: its last call found that it can't be reached
}

// New is a database over a driver. The drivers' Open call it.
func New(driver Driver) *DB {
	d := &DB{driver: driver}
	d.gate.idle = make(chan struct{})
	return d
}

// Before has fn called at the begin of every Read, Snapshot and Write of a tenant's database, when no connection is held: to have ready in memory what
// fn of those would have to look up in another database. Call it before the database is used.
func (d *DB) Before(fn func(ctx context.Context)) { d.before = fn }

// Read runs fn with statements that each see their own snapshot.
func (d *DB) Read(ctx context.Context, fn func(ctx context.Context, q Querier) error) error {
	at, err := d.enter(ctx)
	if err != nil {
		return err
	}
	defer d.gate.leave()
	err = d.driver.Read(ctx, at, d.counted(fn))
	d.count(&d.reads, at, err)
	return err
}

// Snapshot runs fn with statements that all see one snapshot, and can't write.
func (d *DB) Snapshot(ctx context.Context, fn func(ctx context.Context, q Querier) error) error {
	at, err := d.enter(ctx)
	if err != nil {
		return err
	}
	defer d.gate.leave()
	err = d.driver.Snapshot(ctx, at, d.counted(fn))
	d.count(&d.reads, at, err)
	return err
}

// counting is a Querier that counts.
type counting struct {
	Querier

	n *atomic.Int64
}

func (c *counting) Query(ctx context.Context, sql string, each func(Row) error, args ...any) error {
	c.n.Add(1)
	return c.Querier.Query(ctx, sql, each, args...)
}

func (c *counting) Lookup(ctx context.Context, l Lookup, each func(i int, r Row) error) error {
	c.n.Add(1)
	return c.Querier.Lookup(ctx, l, each)
}

func (d *DB) counted(fn func(ctx context.Context, q Querier) error) func(ctx context.Context, q Querier) error {
	return func(ctx context.Context, q Querier) error { return fn(ctx, &counting{q, &d.queries}) }
}

// Write runs fn in a transaction and returns after its commit is durable. When it returns an error nothing was written, with one
// exception: Unavailable, when the connection was lost during the commit, leaves open whether it was. fn may run more
// than once.
func (d *DB) Write(ctx context.Context, fn func(ctx context.Context, tx Tx) error) error {
	at, err := d.enter(ctx)
	if err != nil {
		return err
	}
	defer d.gate.leave()
	w := &writing{at: at}
	err = d.driver.Write(context.WithValue(ctx, inWrite{}, w), at, func(ctx context.Context, tx Tx) error {
		w.committed = w.committed[:0] // it may run more than once
		return fn(ctx, tx)
	})
	d.count(&d.writes, at, err)
	if err == nil {
		for _, then := range w.committed {
			then()
		}
	}
	return err
}

// AfterCommit has then called once the transaction of the Write whose function ctx was given to is durable, before Write returns; never when it is
// not known to be. It says whether ctx is of such a function.
func AfterCommit(ctx context.Context, then func()) bool {
	w, ok := ctx.Value(inWrite{}).(*writing)
	if ok {
		w.committed = append(w.committed, then)
	}
	return ok
}

// InWrite says whether ctx is of the function of a Write: who has it must not wait for another one.
func InWrite(ctx context.Context) bool {
	_, ok := ctx.Value(inWrite{}).(*writing)
	return ok
}

// Apart is ctx for another goroutine that does not take part in the Write that ctx may be of: what it asks for, it asks beside that transaction. Who waits for it inside the
// function of Write must be sure that it does not write to the same database.
func Apart(ctx context.Context) context.Context { return context.WithValue(ctx, inWrite{}, nil) }

// Dialect says which SQL the database speaks.
func (d *DB) Dialect() Dialect { return d.driver.Dialect() }

// DialectOf is that of the database which the scope in ctx picks: with a [Router] a tenant's may differ from [DB.Dialect].
func (d *DB) DialectOf(ctx context.Context) (Dialect, error) {
	at, err := d.place(ctx)
	if err != nil {
		return Dialect{}, err
	}
	if r, ok := d.driver.(*Router); ok {
		return r.DialectOf(ctx, at)
	}
	return d.driver.Dialect(), nil
}

// Alter runs a script as the owner of the tables of the database that the scope picks, all or nothing: for triggers and the like,
// which are no domain's.
func (d *DB) Alter(ctx context.Context, script string) error {
	at, err := d.enter(ctx)
	if err != nil {
		return err
	}
	defer d.gate.leave()
	return d.driver.Alter(ctx, at, script)
}

// Discard removes the database of the scope's tenant where it is one of its own (a file), and says whether it is: where tables are shared the
// caller deletes the rows. Unavailable means that somebody still uses it.
func (d *DB) Discard(ctx context.Context) (bool, error) {
	at, err := d.enter(ctx)
	if err != nil {
		return false, err
	}
	defer d.gate.leave()
	if at.System {
		return false, fault.Internal("db: the system's database is not discarded")
	}
	return d.driver.Discard(ctx, at)
}

// Check asks the database whether it works, and says what is wrong. fault.Full means that reads work and writes don't.
func (d *DB) Check(ctx context.Context) error {
	if !d.gate.enter() {
		return errClosed()
	}
	defer d.gate.leave()
	return d.driver.Check(ctx)
}

// Stats counts what was done so far.
func (d *DB) Stats() Stats {
	s := d.driver.Stats()
	s.Reads, s.Writes, s.Failures, s.Queries = d.reads.Load(), d.writes.Load(), d.failures.Load(), d.queries.Load()
	s.InFlight = d.gate.inside()
	return s
}

// Close refuses new work, waits for what is under way until ctx ends, and closes the database.
func (d *DB) Close(ctx context.Context) error {
	if !d.gate.shut() {
		return nil
	}
	select {
	case <-d.gate.idle:
	case <-ctx.Done():
	}
	return d.driver.Close(ctx)
}

type inWrite struct{}

// writing is a call of Write under way.
type writing struct {
	at        Place
	committed []func()
}

// place is the database that the scope in ctx picks.
func (d *DB) place(ctx context.Context) (Place, error) {
	s, ok := scope.From(ctx)
	switch {
	case !ok || !s.Valid():
		return Place{}, fault.Internal("no scope: the context names neither a tenant nor the system")
	case s.System:
		return Place{System: true}, nil
	default:
		return Place{Tenant: s.Tenant.ID}, nil
	}
}

func (d *DB) enter(ctx context.Context) (Place, error) {
	at, err := d.place(ctx)
	if err != nil {
		return at, err
	}
	if w, ok := ctx.Value(inWrite{}).(*writing); ok && w.at == at {
		return at, fault.Internal("db: a call inside the function of Write: use its tx")
	}
	if err := Ended(ctx); err != nil {
		return at, err
	}
	if d.before != nil && !at.System {
		d.before(ctx)
	}
	if !d.gate.enter() {
		return at, errClosed()
	}
	return at, nil
}

// Away says whether the database that the scope picks can't be reached, as far as the last call found.
func (d *DB) Away(ctx context.Context) bool {
	at, err := d.place(ctx)
	if err != nil {
		return false
	}
	_, away := d.away.Load(at)
	return away
}

func (d *DB) count(calls *atomic.Int64, at Place, err error) {
	calls.Add(1)
	_, away := d.away.Load(at)
	switch unavailable := fault.CodeOf(err) == fault.CodeUnavailable; {
	case err != nil && unavailable && !away:
		d.away.Store(at, true)
	case err == nil && away:
		d.away.Delete(at)
	}
	if err == nil {
		return
	}
	switch fault.CodeOf(err) { //nolint:exhaustive // the others are the caller's
	case fault.CodeUnavailable, fault.CodeFull, fault.CodeTimeout, fault.CodeInternal:
		d.failures.Add(1)
	}
}

func errClosed() error {
	return fault.Unavailable("the database is closed").Retry(RetryAfter)
}

// gate counts calls under way and closes once.
type gate struct {
	state atomic.Int64 // calls inside; shutBit when closed
	once  sync.Once
	idle  chan struct{} // closed when shut and nobody is inside
}

const shutBit = 1 << 62

func (g *gate) enter() bool {
	if g.state.Add(1)&shutBit != 0 {
		g.leave()
		return false
	}
	return true
}

func (g *gate) leave() {
	if g.state.Add(-1) == shutBit {
		g.once.Do(func() { close(g.idle) })
	}
}

func (g *gate) shut() bool {
	for {
		s := g.state.Load()
		if s&shutBit != 0 {
			return false
		}
		if g.state.CompareAndSwap(s, s|shutBit) {
			if s == 0 {
				g.once.Do(func() { close(g.idle) })
			}
			return true
		}
	}
}

func (g *gate) inside() int64 { return g.state.Load() &^ shutBit }
