package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"ward/internal/backend/db"
	"ward/internal/backend/db/internal/watch"
	"ward/internal/base/fault"
)

// conn is one connection of a pool, used by one goroutine at a time. pgconn connects and closes it; in between the driver writes and
// reads its messages itself.
type conn struct {
	pg      *pgconn.PgConn
	net     net.Conn
	in      *pgproto3.Frontend
	stmts   map[string]*statement // by SQL text
	shapes  map[string]string     // SQL text by shape of Lookup, Insert, ...
	shape   []byte                // the key under construction
	names   int64
	count   int64
	out     []byte // messages not sent yet
	queued  int    // commands in out whose answers nobody waits for: the first error among them is the next round's
	status  byte   // of the transaction at the end of the last round: 'I' none, 'T' open, 'E' failed
	row     row
	busy    bool
	open    bool // in a transaction of more than one round
	broken  bool // not to be used again
	theirs  bool // the last call ended by the error of its row function
	slot    *watch.Slot
	expires time.Time

	begin, snapshot, commit, rollback, tenant, custom, generic *statement
}

// keepOut is the largest buffer that is kept for the next messages.
const keepOut = 1 << 20

// The driver's own statements.
const (
	textBegin    = "BEGIN READ WRITE"
	textSnapshot = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
	textCommit   = "COMMIT"
	textRollback = "ROLLBACK"
	textTenant   = "SELECT set_config('ward.tenant', $1, true)"
	textCustom   = "SELECT set_config('plan_cache_mode', 'force_custom_plan', true)"
	textGeneric  = "SELECT set_config('plan_cache_mode', 'force_generic_plan', true)"
)

// take makes a connection that pgconn has opened into one of the pool's.
func take(ctx context.Context, pg *pgconn.PgConn, w *watch.Watcher, base context.Context, expires time.Time) (*conn, error) { //nolint:revive // base outlives ctx
	c := &conn{
		pg: pg, net: pg.Conn(), in: pg.Frontend(), stmts: map[string]*statement{}, shapes: map[string]string{}, expires: expires, status: 'I',
	}
	c.slot = w.Slot(func() {
		// The call under way fails at once; the server is told in the background. The connection is closed after.
		_ = c.net.SetDeadline(time.Unix(1, 0))
		go func() {
			ctx, cancel := context.WithTimeout(base, cancelTime)
			defer cancel()
			_ = pg.CancelRequest(ctx)
		}()
	})
	for _, f := range []struct {
		st        **statement
		name, sql string
	}{
		{&c.begin, "begin", textBegin},
		{&c.snapshot, "snapshot", textSnapshot},
		{&c.commit, "commit", textCommit},
		{&c.rollback, "rollback", textRollback},
		{&c.tenant, "tenant", textTenant},
		{&c.custom, "custom", textCustom},
		{&c.generic, "generic", textGeneric},
	} {
		st, err := c.prepareFixed(ctx, f.name, f.sql)
		if err != nil {
			c.close(ctx)
			return nil, err
		}
		*f.st = st
	}
	return c, nil
}

func (c *conn) close(ctx context.Context) {
	c.slot.Remove()
	if c.broken {
		_ = c.net.Close()
		return
	}
	_ = c.pg.Close(ctx)
}

// enter starts a call: one at a time, watched.
func (c *conn) enter(ctx context.Context) error {
	if c.busy {
		return fault.Internal("db: a statement inside the row function of another: collect the rows first")
	}
	if c.broken {
		return &lostError{errors.New("in an earlier call")}
	}
	if err := db.Ended(ctx); err != nil {
		return err
	}
	c.busy, c.theirs = true, false
	c.slot.Enter(ctx)
	return nil
}

// leave ends a call.
func (c *conn) leave() {
	if c.slot.Leave() {
		c.broken = true
	}
	c.row = row{}
	if cap(c.out) > keepOut {
		c.out = nil
	}
	c.busy = false
}

// queue adds a statement without parameters to what is sent with the next round.
func (c *conn) queue(st *statement) {
	c.out = putRun(c.out, st)
	c.queued++
}

// queueTenant adds the setting of the tenant, for the transaction that the next round is in.
func (c *conn) queueTenant(id int32) {
	b, at := beginBind(c.out, c.tenant)
	b = append(b, 0, 0, 0, 1) // text; one parameter
	b, v := open(b)
	b = done(strconv.AppendInt(b, int64(id), 10), v)
	c.out = endBind(b, at, c.tenant)
	c.queued++
}

// round sends what is queued, ends the pipeline and reads the answers: those of the queued commands are only looked at for errors, the rows of the one after
// them go to each. It gives that one's command tag.
func (c *conn) round(ctx context.Context, st *statement, each func(db.Row) error) (tag, error) {
	skip := c.queued
	c.queued = 0
	c.out = putSync(c.out)
	n, err := c.net.Write(c.out)
	c.out = c.out[:0]
	if err != nil {
		c.broken = true
		return tag{}, &lostError{fmt.Errorf("after %d bytes: %w", n, err)}
	}
	finished := false
	defer func() {
		if !finished { // a row function panicked
			c.broken = true
		}
	}()
	t, err := c.receive(ctx, skip, st, each)
	finished = true
	return t, err
}

// mostDrained is how many rows a query outside a transaction may still send after its reader stopped, before its connection is closed instead.
const mostDrained = 2000

func (c *conn) receive(ctx context.Context, skip int, st *statement, each func(db.Row) error) (t tag, err error) {
	var failed error
	rows, drained := each != nil, 0
	c.row.st = st
	for {
		msg, err := c.in.Receive()
		if err != nil {
			c.broken = true
			if failed != nil && isLost(failed) {
				return t, failed
			}
			return t, &lostError{err}
		}
		switch m := msg.(type) {
		case *pgproto3.DataRow:
			if skip > 0 || !rows {
				if drained++; drained > mostDrained && !c.open && c.theirs {
					c.broken = true
					return t, failed
				}
				continue
			}
			c.row.values = m.Values
			if e := each(&c.row); e != nil {
				rows, c.theirs = false, true
				if !errors.Is(e, db.Stop) {
					failed = e
				}
			} else if t.seen++; t.seen%checkRows == 0 && ctx.Err() != nil {
				rows, c.theirs = false, true
				failed = db.Ended(ctx)
			}
		case *pgproto3.CommandComplete:
			if skip > 0 {
				skip--
				continue
			}
			t.parse(m.CommandTag)
		case *pgproto3.EmptyQueryResponse:
			skip--
		case *pgproto3.RowDescription:
			st.described(m)
		case *pgproto3.ParameterDescription:
			st.params = append([]uint32(nil), m.ParameterOIDs...)
		case *pgproto3.ErrorResponse:
			if failed == nil || c.theirs {
				failed, c.theirs = newServerError(m), false
			}
		case *pgproto3.ReadyForQuery:
			c.status = m.TxStatus
			return t, failed
		case *pgproto3.CopyInResponse, *pgproto3.CopyOutResponse, *pgproto3.CopyBothResponse:
			c.broken = true
			return t, fault.Internal("db: COPY is not for this seam: use Insert")
		}
	}
}

// checkRows is after how many rows a query looks at its context.
const checkRows = 256

// tag is what a command says at its end, and how many rows were given out.
type tag struct {
	rows int64
	verb byte // the first letter
	seen int
}

func (t *tag) parse(text []byte) {
	if len(text) == 0 {
		return
	}
	t.verb = text[0]
	n, unit := int64(0), int64(1)
	for i := len(text) - 1; i >= 0 && text[i] >= '0' && text[i] <= '9'; i-- {
		n += unit * int64(text[i]-'0')
		unit *= 10
	}
	t.rows = n
	if t.verb == 'S' || t.verb == 'F' { // SELECT and FETCH count what they gave, not what they changed
		t.rows = 0
	}
}
