package postgres

import (
	"context"

	"ward/internal/backend/db"
)

// reader is the Querier of Read: each statement is a transaction of its own. It takes a connection at its first statement.
type reader struct {
	pool  *pool
	at    db.Place
	lease lease
}

func (q *reader) end() {
	if q.lease != nil {
		q.pool.put(q.lease)
		q.lease = nil
	}
}

// once runs a statement, a second time on another connection when the first was lost before it gave a row: a read may be repeated.
func (q *reader) once(ctx context.Context, fn func(c *conn) (tag, error)) error {
	for attempt := 1; ; attempt++ {
		if q.lease != nil && q.lease.Value().broken {
			q.end() // an earlier statement was ended before its rows were
		}
		if q.lease == nil {
			r, err := q.pool.get(ctx)
			if err != nil {
				return err
			}
			q.lease = r
		}
		c := q.lease.Value()
		t, err := fn(c)
		if err == nil || c.theirs {
			return err
		}
		if attempt < 3 && t.seen == 0 && ctx.Err() == nil && (isLost(err) || stale(err)) {
			c.broken = true
			q.end()
			q.pool.tidy() // the others of a server that restarted are as dead
			continue
		}
		return mapped(ctx, err, false)
	}
}

func (q *reader) Query(ctx context.Context, sql string, each func(db.Row) error, args ...any) error {
	return q.once(ctx, func(c *conn) (t tag, err error) {
		if err := c.enter(ctx); err != nil {
			return t, err
		}
		defer c.leave()
		st, err := c.prepare(ctx, sql)
		if err != nil {
			return t, err
		}
		c.scoped(q.at, st)
		if c.out, err = putCall(c.out, st, args); err != nil {
			c.unqueue()
			return t, err
		}
		return c.round(ctx, st, each)
	})
}

func (q *reader) Lookup(ctx context.Context, l db.Lookup, each func(i int, r db.Row) error) error {
	n, err := db.CheckLookup(&l, false)
	if err != nil || n == 0 {
		return err
	}
	return q.once(ctx, func(c *conn) (t tag, err error) {
		if err := c.enter(ctx); err != nil {
			return t, err
		}
		defer c.leave()
		st, err := c.lookup(ctx, &l)
		if err != nil {
			return t, err
		}
		c.scoped(q.at, st)
		return c.look(ctx, st, &l, n, nil, each)
	})
}

// scoped adds what sets the implicit transaction of the next round: the tenant, and a plan of the statement's own.
func (c *conn) scoped(at db.Place, st *statement) {
	if !at.System {
		c.queueTenant(at.Tenant)
	}
	if st.custom {
		c.queue(c.custom)
	}
}

// unqueue drops what was not sent.
func (c *conn) unqueue() { c.out, c.queued = c.out[:0], 0 }

// lookup gives the statement of a Lookup.
func (c *conn) lookup(ctx context.Context, l *db.Lookup) (*statement, error) {
	verb := byte('?')
	if l.ForUpdate {
		verb = '!'
	}
	if l.Most > 0 {
		for _, err := range []error{db.CheckName(l.Table), db.CheckName(l.Want...), db.CheckName(names(l.Keys)...)} {
			if err != nil {
				return nil, err
			}
		}
		return c.prepare(ctx, lookupText(l))
	}
	return c.shaped(ctx, verb, l.Table, l.Want, l.Keys, func() string { return lookupText(l) })
}

func names(cols []db.Column) []string {
	list := make([]string, len(cols))
	for i, c := range cols {
		list[i] = c.Name
	}
	return list
}

// look runs a Lookup's statement for the keys in the order given, or as they are.
func (c *conn) look(ctx context.Context, st *statement, l *db.Lookup, n int, order []int32, each func(i int, r db.Row) error) (tag, error) {
	c.out = putColumns(c.out, st, l.Keys, n, order)
	return c.round(ctx, st, func(db.Row) error {
		c.row.from = 0
		i := int(c.row.Int64(0)) - 1
		if order != nil {
			i = int(order[i])
		}
		c.row.from = 1
		return each(i, &c.row)
	})
}

// begun is the Querier of Snapshot and the base of a Tx: statements of one transaction, which begins with the first of them.
type begun struct {
	pool   *pool
	at     db.Place
	first  func(c *conn) *statement // BEGIN
	lease  lease
	failed error // the first error, which fails the whole
	over   bool
}

// ready gives the connection, in the transaction as soon as the next round is sent.
func (b *begun) ready(ctx context.Context) (*conn, error) {
	if b.over {
		return nil, errOver()
	}
	if b.failed != nil {
		return nil, b.failed
	}
	if b.lease == nil {
		r, err := b.pool.get(ctx)
		if err != nil {
			return nil, b.keep(ctx, nil, err)
		}
		b.lease = r
		c := r.Value()
		c.open = true
		c.queue(b.first(c))
		if !b.at.System {
			c.queueTenant(b.at.Tenant)
		}
	}
	return b.lease.Value(), nil
}

// keep remembers the first error of a statement, as the server or the connection gave it, and answers with its fault.
func (b *begun) keep(ctx context.Context, c *conn, err error) error {
	if err == nil || c != nil && c.theirs {
		return err
	}
	if b.failed == nil {
		b.failed = mapped(ctx, err, b.writing())
	}
	return b.failed
}

func (b *begun) writing() bool {
	return b.lease != nil && b.first(b.lease.Value()) == b.lease.Value().begin
}

func (b *begun) Query(ctx context.Context, sql string, each func(db.Row) error, args ...any) error {
	_, err := b.query(ctx, sql, each, args)
	return err
}

func (b *begun) query(ctx context.Context, sql string, each func(db.Row) error, args []any) (t tag, err error) {
	c, err := b.ready(ctx)
	if err != nil {
		return t, err
	}
	if err := c.enter(ctx); err != nil {
		return t, b.keep(ctx, nil, err)
	}
	defer c.leave()
	st, err := c.prepare(ctx, sql)
	if err != nil {
		return t, b.keep(ctx, nil, err)
	}
	if st.custom {
		c.queue(c.custom)
	}
	if c.out, err = putCall(c.out, st, args); err != nil {
		return t, b.keep(ctx, nil, err)
	}
	t, err = c.round(ctx, st, each)
	if st.custom && err == nil {
		c.queue(c.generic)
	}
	return t, b.keep(ctx, c, err)
}

func (b *begun) Lookup(ctx context.Context, l db.Lookup, each func(i int, r db.Row) error) error {
	c, err := b.ready(ctx)
	if err != nil {
		return err
	}
	n, err := db.CheckLookup(&l, c.open && b.writing())
	if err != nil || n == 0 {
		return b.keep(ctx, nil, err)
	}
	if err := c.enter(ctx); err != nil {
		return b.keep(ctx, nil, err)
	}
	defer c.leave()
	st, err := c.lookup(ctx, &l)
	if err != nil {
		return b.keep(ctx, nil, err)
	}
	var order []int32
	if l.ForUpdate {
		order = sorted(l.Keys, n, false)
	}
	_, err = c.look(ctx, st, &l, n, order, each)
	return b.keep(ctx, c, err)
}

// end rolls back what is open and gives the connection back.
func (b *begun) end(ctx context.Context) {
	b.over = true
	if b.lease == nil {
		return
	}
	c := b.lease.Value()
	if c.broken || c.busy {
		c.broken = true
	} else if c.status != 'I' {
		c.unqueue()
		c.queue(c.rollback)
		c.open = false
		if _, err := c.round(ctx, c.rollback, nil); err != nil {
			c.broken = true
		}
	}
	b.pool.put(b.lease)
	b.lease = nil
}
