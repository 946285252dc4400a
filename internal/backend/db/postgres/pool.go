package postgres

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
)

// pool is the connections of one application role.
type pool struct {
	d       *driver
	config  *pgconn.Config
	puddle  *puddle.Pool[*conn]
	acquire time.Duration
	made    atomic.Int64
}

type lease = *puddle.Resource[*conn]

func newPool(d *driver, config *pgconn.Config, size int32) (*pool, error) {
	p := &pool{d: d, config: config, acquire: d.cfg.AcquireTimeout}
	var err error
	p.puddle, err = puddle.NewPool(&puddle.Config[*conn]{
		MaxSize:     size,
		Constructor: p.connect,
		Destructor: func(c *conn) {
			ctx, cancel := context.WithTimeout(d.base, cancelTime)
			defer cancel()
			c.close(ctx)
		},
	})
	if err != nil {
		return nil, fault.Internal("postgres: a pool of %d connections", size).With(err)
	}
	return p, nil
}

func (p *pool) connect(ctx context.Context) (*conn, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.d.cfg.ConnectTimeout)
	defer cancel()
	pg, err := pgconn.ConnectConfig(ctx, p.config)
	if err != nil {
		return nil, &lostError{redacted(err)}
	}
	// Connections don't all expire together.
	n := p.made.Add(1)
	life := p.d.cfg.MaxLifetime - time.Duration(n%16)*p.d.cfg.MaxLifetime/64
	return take(ctx, pg, p.d.watcher, p.d.base, p.d.cfg.Clock.Now().Add(life))
}

// get gives a connection that works as far as can be seen without asking the server.
func (p *pool) get(ctx context.Context) (lease, error) {
	for {
		r, err := p.wait(ctx)
		if err != nil {
			return nil, err
		}
		c := r.Value()
		if c.broken || p.d.cfg.Clock.Now().After(c.expires) || r.IdleDuration() > trustIdle && !alive(c.net) {
			r.Destroy()
			continue
		}
		return r, nil
	}
}

// trustIdle is how long a connection at rest is taken to be still there.
const trustIdle = 20 * time.Millisecond

func (p *pool) wait(ctx context.Context) (lease, error) {
	if r, err := p.puddle.TryAcquire(ctx); err == nil { // the common case needs no timer
		return r, nil
	}
	limited, cancel := context.WithTimeout(ctx, p.acquire)
	defer cancel()
	r, err := p.puddle.Acquire(limited)
	switch {
	case err == nil:
		return r, nil
	case ctx.Err() != nil:
		return nil, db.Ended(ctx)
	case errors.Is(err, context.DeadlineExceeded):
		return nil, db.Unavailable(errors.New("postgres: all connections are in use"))
	default:
		return nil, mapped(ctx, err, false)
	}
}

// put gives a connection back, or closes it when it is not as it was.
func (p *pool) put(r lease) {
	c := r.Value()
	c.out, c.queued, c.open = c.out[:0], 0, false
	if c.broken || c.status != 'I' || c.busy {
		c.broken = true
		r.Destroy()
		return
	}
	r.Release()
}

// tidy closes connections that have been at rest for long.
func (p *pool) tidy() {
	for _, r := range p.puddle.AcquireAllIdle() {
		if r.IdleDuration() > p.d.cfg.MaxIdle || !alive(r.Value().net) {
			r.Destroy()
		} else {
			r.ReleaseUnused()
		}
	}
}

// alive looks whether the server has closed the connection. A connection at rest has nothing to read.
func alive(c net.Conn) bool {
	if t, ok := c.(interface{ NetConn() net.Conn }); ok { // TLS
		c = t.NetConn()
	}
	sc, ok := c.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	ok = false
	var buf [1]byte
	err = raw.Read(func(fd uintptr) bool {
		_, _, err := syscall.Recvfrom(int(fd), buf[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		ok = errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EWOULDBLOCK)
		return true
	})
	return ok && err == nil
}

// redacted is an error of connecting without the connection string, in which a password may be.
func redacted(err error) error {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return &serverError{code: pg.Code, routine: pg.Routine}
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return context.DeadlineExceeded
	}
	return errors.New("can't connect")
}
