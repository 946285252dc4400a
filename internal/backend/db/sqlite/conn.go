package sqlite

import (
	"context"
	"errors"
	"strconv"
	"time"

	zombiezen "zombiezen.com/go/sqlite"

	"ward/internal/backend/db"
	"ward/internal/backend/db/internal/watch"
	"ward/internal/base/fault"
)

// conn is one connection to a file, used by one goroutine at a time. It is the Querier of reads.
type conn struct {
	c      *zombiezen.Conn
	stmts  map[string]*statement // by SQL text
	shapes map[string]*statement // by shape of Lookup, Insert, ...; owned by stmts too
	shape  []byte                // the key under construction
	count  int64
	row    row
	busy   bool          // a statement runs
	inner  bool          // a Lookup began a transaction for its snapshot
	theirs bool          // the last call ended by the error of its row function
	slot   *watch.Slot   // nil while it writes: an interrupted write would roll back its whole group
	spare  *watch.Slot   // of the writer's connection, for when a read has it
	reads  bool          // a read has the writer's connection: nothing may be written
	done   chan struct{} // closed to interrupt
	mapped int64         // bytes of its file that it may map
	seen   int64         // count when tidy last saw it work
	seenAt time.Time
	cache  int64 // bytes of its page cache
}

// checkRows is after how many rows a query looks at its context.
const checkRows = 256

// openConn opens a connection with the file's settings, which may map so many bytes of it and caches so many. The first one to a file makes it a WAL file.
func openConn(name string, cfg *Config, writer bool, mapped, cache int64) (_ *conn, err error) {
	flags := zombiezen.OpenReadWrite
	if writer {
		flags |= zombiezen.OpenCreate
	}
	zc, err := zombiezen.OpenConn(name, flags)
	if err != nil {
		return nil, err
	}
	c := &conn{c: zc, mapped: mapped, cache: cache, stmts: map[string]*statement{}, shapes: map[string]*statement{}}
	defer func() {
		if err != nil {
			_ = c.close()
		}
	}()
	zc.SetBusyTimeout(lockWait)
	pragmas := []string{
		"PRAGMA page_size=" + strconv.Itoa(pageSize),
		"PRAGMA journal_mode=wal",
		"PRAGMA synchronous=full",
		"PRAGMA wal_autocheckpoint=0",
		"PRAGMA temp_store=memory",
		"PRAGMA foreign_keys=on",
		"PRAGMA trusted_schema=off",
		cacheSize(cache),
		"PRAGMA mmap_size=" + strconv.FormatInt(mapped, 10),
		"PRAGMA journal_size_limit=" + strconv.FormatInt(2*int64(cfg.CheckpointPages)*pageSize, 10),
	}
	if cfg.MaxFileBytes > 0 {
		pragmas = append(pragmas, "PRAGMA max_page_count="+strconv.FormatInt(max(cfg.MaxFileBytes/pageSize, 1), 10))
	}
	if !writer {
		pragmas = append(pragmas, "PRAGMA query_only=on")
	}
	for _, p := range pragmas {
		if err := c.script(p); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func cacheSize(bytes int64) string { return "PRAGMA cache_size=-" + strconv.FormatInt(bytes>>10, 10) }

// resize gives the connection another page cache; what is too much is let go at once.
func (c *conn) resize(cache int64) {
	if c.cache != cache && c.script(cacheSize(cache)) == nil {
		c.cache = cache
	}
}

// watched lets the watcher interrupt the connection's statements.
func (c *conn) watched(w *watch.Watcher) {
	c.done = make(chan struct{})
	c.c.SetInterrupt(c.done)
	c.slot = w.Slot(func() { close(c.done) })
}

// lend makes the writer's connection one for a read, until back.
func (c *conn) lend(w *watch.Watcher) {
	if c.spare == nil {
		c.watched(w)
		c.spare = c.slot
	}
	c.slot, c.reads = c.spare, true
}

func (c *conn) back() { c.slot, c.reads = nil, false }

func (c *conn) close() error {
	for _, s := range []*watch.Slot{c.slot, c.spare} {
		if s != nil {
			s.Remove()
		}
	}
	for _, st := range c.stmts {
		_ = st.Finalize()
	}
	return c.c.Close()
}

// script runs one or more statements whose rows nobody wants.
func (c *conn) script(sql string) error {
	for sql = db.SkipBlank(sql); sql != ""; {
		st, rest, err := c.c.PrepareTransient(sql)
		if err != nil {
			return err
		}
		for more := true; more; {
			if more, err = st.Step(); err != nil {
				_ = st.Finalize()
				return err
			}
		}
		if err := st.Finalize(); err != nil {
			return err
		}
		sql = db.SkipBlank(sql[len(sql)-rest:])
	}
	return nil
}

// prepare gives the statement for a text, from the cache where it is there.
func (c *conn) prepare(sql string) (*statement, error) {
	c.count++
	if st, ok := c.stmts[sql]; ok {
		st.used = c.count
		return st, nil
	}
	s, rest, err := c.c.PrepareTransient(sql)
	if err != nil {
		return nil, err
	}
	st, err := newStatement(s, sql)
	if err == nil && rest > 0 {
		err = fault.Internal("db: more than one statement in a text")
	}
	if err != nil {
		_ = s.Finalize()
		return nil, err
	}
	if len(c.stmts) >= maxStatements || c.cache <= smallCache && len(c.stmts) >= fewStatements {
		c.evict()
	}
	st.used = c.count
	c.stmts[sql] = st
	return st, nil
}

// evict finalizes the half of the statements that was unused for longest.
func (c *conn) evict() {
	var sum int64
	for _, st := range c.stmts {
		sum += st.used
	}
	mean := sum / int64(len(c.stmts))
	for sql, st := range c.stmts {
		if st.used <= mean {
			_ = st.Finalize()
			delete(c.stmts, sql)
		}
	}
	clear(c.shapes)
}

// shaped gives the statement for a shape, whose text is made when it is seen first.
func (c *conn) shaped(verb byte, table string, names []string, cols []db.Column, text func() (string, error)) (*statement, error) {
	c.shape = db.Shape(c.shape[:0], verb, table, names, cols)
	if st, ok := c.shapes[string(c.shape)]; ok {
		c.count++
		st.used = c.count
		return st, nil
	}
	key := string(c.shape)
	if err := db.CheckName(table); err != nil {
		return nil, err
	}
	if err := db.CheckName(names...); err != nil {
		return nil, err
	}
	for _, col := range cols {
		if err := db.CheckName(col.Name); err != nil {
			return nil, err
		}
	}
	sql, err := text()
	if err != nil {
		return nil, err
	}
	st, err := c.prepare(sql)
	if err != nil {
		return nil, err
	}
	c.shapes[key] = st
	return st, nil
}

// begin starts a call: one at a time, watched.
func (c *conn) begin(ctx context.Context) error {
	if c.busy {
		return fault.Internal("db: a statement inside the row function of another: collect the rows first")
	}
	if err := db.Ended(ctx); err != nil {
		return err
	}
	c.busy, c.theirs = true, false
	if c.slot != nil {
		c.slot.Enter(ctx)
	}
	return nil
}

// end ends a call.
func (c *conn) end() {
	c.row.rest()
	if c.slot != nil && c.slot.Leave() {
		c.done = make(chan struct{})
		c.c.SetInterrupt(c.done)
	}
	if c.inner {
		_ = c.run("ROLLBACK") // it only read
		c.inner = false
	}
	c.busy = false
}

// Query implements db.Querier.
func (c *conn) Query(ctx context.Context, sql string, each func(db.Row) error, args ...any) error {
	if err := c.begin(ctx); err != nil {
		return err
	}
	defer c.end()
	st, err := c.prepare(sql)
	if err != nil {
		return mapped(ctx, err)
	}
	defer st.rest()
	if st.refused != nil {
		return st.refused
	}
	if c.reads && !st.reads {
		return fault.Internal("db: the statement writes: that is for Write")
	}
	if err := st.bind(args); err != nil {
		return err
	}
	c.row.st = st
	for n := 1; ; n++ {
		more, err := st.Step()
		if err != nil {
			return mapped(ctx, err)
		}
		if !more {
			return nil
		}
		if each != nil {
			c.row.next()
			if err := each(&c.row); err != nil {
				return c.stopped(err)
			}
		}
		if n%checkRows == 0 {
			if err := db.Ended(ctx); err != nil {
				return err
			}
		}
	}
}

// stopped is what the error of a row function makes the call answer.
func (c *conn) stopped(err error) error {
	if errors.Is(err, db.Stop) {
		return nil
	}
	c.theirs = true
	return err
}

// upTo ends after so many rows.
func upTo(most int, each func(i int, r db.Row) error) func(i int, r db.Row) error {
	rows := 0
	return func(i int, r db.Row) error {
		if err := each(i, r); err != nil {
			return err
		}
		if rows++; rows == most {
			return db.Stop
		}
		return nil
	}
}

// Lookup implements db.Querier: a prepared statement per key, all in one snapshot.
func (c *conn) Lookup(ctx context.Context, l db.Lookup, each func(i int, r db.Row) error) error {
	n, err := db.CheckLookup(&l, c.slot == nil) // ForUpdate has nothing to do: a file has one writer
	if err != nil || n == 0 {
		return err
	}
	if err := c.begin(ctx); err != nil {
		return err
	}
	defer c.end()
	st, err := c.shaped('?', l.Table, l.Want, l.Keys, func() (string, error) { return lookupText(&l), nil })
	if err != nil {
		return mapped(ctx, err)
	}
	if n > 1 && c.c.AutocommitEnabled() {
		// One snapshot for all keys; and beginning and ending one for each would cost more than the reads.
		if err := c.run("BEGIN"); err != nil {
			return mapped(ctx, err)
		}
		c.inner = true
	}
	defer st.rest()
	c.row.st = st
	if l.Most > 0 {
		each = upTo(l.Most, each)
	}
	for i := range n {
		for k := range l.Keys {
			st.value(k+1, l.Keys[k].Values, i)
		}
		if more, err := c.rows(ctx, st, i, each); err != nil || !more {
			return err
		}
		if (i+1)%checkRows == 0 {
			if err := db.Ended(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// rows gives the rows of key i, and says whether to go on with the next key.
func (c *conn) rows(ctx context.Context, st *statement, i int, each func(i int, r db.Row) error) (bool, error) {
	for {
		more, err := st.Step()
		if err != nil {
			return false, mapped(ctx, err)
		}
		if !more {
			return true, mapped(ctx, st.Reset())
		}
		c.row.next()
		if err := each(i, &c.row); err != nil {
			return false, c.stopped(err)
		}
	}
}

// run runs a prepared statement without arguments or rows, such as BEGIN.
func (c *conn) run(sql string) error {
	st, err := c.prepare(sql)
	if err != nil {
		return err
	}
	_, err = st.Step()
	_ = st.Reset()
	return err
}
