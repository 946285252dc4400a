package postgres_test

import (
	"context"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"ward/internal/backend/db"
	"ward/internal/backend/db/dbtest"
	"ward/internal/backend/db/postgres"
	"ward/internal/base/fault"
)

// bareConn2 runs a script as the owner and gives the connection.
func bareConn2(t testing.TB, at, script string) *pgconn.PgConn {
	t.Helper()
	c, err := pgconn.Connect(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	if _, err := c.Exec(t.Context(), script).ReadAll(); err != nil {
		t.Fatal(err)
	}
	return c
}

const killAll = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'ward'"

func put(ctx context.Context, tx db.Tx, ids ...int64) error {
	kinds, keys := make([]int64, len(ids)), make([][]byte, len(ids))
	for i, id := range ids {
		kinds[i], keys[i] = 1, []byte{byte(id >> 16), byte(id >> 8), byte(id)}
	}
	_, err := tx.Insert(ctx, "pg_item", db.Col("id", ids), db.Col("kind", kinds), db.Col("key", keys))
	return err
}

func count(ctx context.Context, t testing.TB, d *db.DB) (n int64) {
	t.Helper()
	err := d.Read(ctx, func(ctx context.Context, q db.Querier) error {
		return q.Query(ctx, "SELECT count(*) FROM pg_item", func(r db.Row) error { n = r.Int64(0); return nil })
	})
	if err != nil {
		t.Error(err)
	}
	return n
}

// TestFault_ConnectionsKilled: those at rest are replaced unnoticed; a transaction that loses its connection before the commit is run again; one that
// loses it again and again is Unavailable and leaves nothing.
func TestFault_ConnectionsKilled(t *testing.T) {
	t.Parallel()
	d, at := dbtest.PostgresAt(t)
	dbtest.Migrate(t, d, "pg", itemTables())
	ctx := dbtest.Tenant(t, 1)
	killer := bareConn2(t, at, "SELECT 1")
	kill := func() {
		if _, err := killer.Exec(context.Background(), killAll).ReadAll(); err != nil {
			t.Error(err)
		}
	}
	for range 3 {
		count(ctx, t, d)
		kill()
	}
	runs := 0
	err := d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		runs++
		if err := tx.Query(ctx, "SELECT 1", nil); err != nil {
			return err
		}
		if runs == 1 {
			kill()
		}
		return put(ctx, tx, 1)
	})
	if err != nil && !fault.Is(err, fault.CodeUnavailable) { // the kill may come with the commit
		t.Errorf("%v", err)
	}
	if err == nil && count(ctx, t, d) != 1 || err != nil && count(ctx, t, d) != 0 {
		t.Errorf("after %v there are %d items", err, count(ctx, t, d))
	}
	short, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	err = d.Write(short, func(ctx context.Context, tx db.Tx) error {
		if err := put(ctx, tx, 2); err != nil {
			return err
		}
		if err := tx.Query(ctx, "SELECT 1", nil); err != nil {
			return err
		}
		kill()
		return tx.Query(ctx, "SELECT 1", nil)
	})
	if !fault.Is(err, fault.CodeUnavailable) && !fault.Is(err, fault.CodeTimeout) {
		t.Errorf("killed each time: %v", err)
	}
	if err == nil || fault.RetryAfter(err) <= 0 && fault.Is(err, fault.CodeUnavailable) {
		t.Errorf("no time to try again: %v", err)
	}
	if err := d.Write(ctx, func(ctx context.Context, tx db.Tx) error { return put(ctx, tx, 3) }); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestFault_KilledUnderLoad: what was acknowledged is there, nothing twice, while all connections are killed again and again.
func TestFault_KilledUnderLoad(t *testing.T) {
	t.Parallel()
	d, at := dbtest.PostgresAt(t)
	dbtest.Migrate(t, d, "pg", itemTables())
	ctx := dbtest.Tenant(t, 1)
	killer := bareConn2(t, at, "SELECT 1")
	batcher := db.NewBatcher(d, func(ctx context.Context, tx db.Tx, ids []int64, _ []error) error { return put(ctx, tx, ids...) }, db.BatcherOptions{})
	var next, good, bad atomic.Int64
	acknowledged := make(map[int64]bool)
	var mu sync.Mutex
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 8 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				id := next.Add(1)
				switch err := batcher.Do(ctx, id); {
				case err == nil:
					good.Add(1)
					mu.Lock()
					acknowledged[id] = true
					mu.Unlock()
				case fault.Is(err, fault.CodeUnavailable):
					bad.Add(1)
				default:
					t.Errorf("%v", err)
				}
			}
		})
	}
	for range 20 {
		was := good.Load()
		for good.Load() < was+20 && !t.Failed() {
			time.Sleep(time.Millisecond)
		}
		if _, err := killer.Exec(ctx, killAll).ReadAll(); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	wg.Wait()
	err := d.Read(ctx, func(ctx context.Context, q db.Querier) error {
		return q.Query(ctx, "SELECT id FROM pg_item", func(r db.Row) error { delete(acknowledged, r.Int64(0)); return nil })
	})
	if err != nil || len(acknowledged) != 0 {
		t.Errorf("%d acknowledged items are lost, %v", len(acknowledged), err)
	}
	t.Logf("%d written, %d unavailable", good.Load(), bad.Load())
}

// proxy stands between the driver and the server, and can swallow what the server answers.
type proxy struct {
	net.Listener
	server  string
	swallow atomic.Bool
	mu      sync.Mutex
	conns   []net.Conn
}

func newProxy(t *testing.T, at string) (*proxy, string) {
	t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test's own
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{Listener: l, server: u.Host}
	u.Host = l.Addr().String()
	t.Cleanup(func() { _ = l.Close(); p.cut() })
	go p.serve()
	return p, u.String()
}

func (p *proxy) serve() {
	for {
		c, err := p.Accept()
		if err != nil {
			return
		}
		s, err := net.Dial("tcp", p.server) //nolint:noctx // a test's own
		if err != nil {
			_ = c.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, c, s)
		p.mu.Unlock()
		go func() { _, _ = io.Copy(s, c); _ = s.Close() }()
		go func() {
			buf := make([]byte, 64<<10)
			for {
				n, err := s.Read(buf)
				if err != nil {
					_ = c.Close()
					return
				}
				if p.swallow.Load() {
					// The server has done its work; the answer never arrives.
					_, _ = c.Close(), s.Close()
					return
				}
				if _, err := c.Write(buf[:n]); err != nil {
					return
				}
			}
		}()
	}
}

func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}

// TestFault_CommitWithoutAnswer: the server commits, but the answer is lost. That is never a success, and never done twice.
func TestFault_CommitWithoutAnswer(t *testing.T) {
	t.Parallel()
	_, at := dbtest.PostgresAt(t)
	p, through := newProxy(t, at)
	d, err := postgres.Open(t.Context(), postgres.Config{URL: through, MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close(context.WithoutCancel(t.Context())) }()
	dbtest.Migrate(t, d, "pg", itemTables())
	ctx := dbtest.Tenant(t, 1)
	runs := 0
	err = d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		runs++
		if err := tx.Query(ctx, "SELECT 1", nil); err != nil {
			return err
		}
		if err := put(ctx, tx, 1); err != nil {
			return err
		}
		p.swallow.Store(true)
		return nil
	})
	p.swallow.Store(false)
	if !fault.Is(err, fault.CodeUnavailable) || runs != 1 || fault.RetryAfter(err) <= 0 {
		t.Errorf("%v after %d runs", err, runs)
	}
	if n := count(ctx, t, d); n > 1 {
		t.Errorf("%d items", n)
	}
}

// TestFault_ServerGone: calls fail at once while it is away, and work when it is back.
func TestFault_ServerGone(t *testing.T) {
	t.Parallel()
	_, at := dbtest.PostgresAt(t)
	p, through := newProxy(t, at)
	d, err := postgres.Open(t.Context(), postgres.Config{URL: through, MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close(context.WithoutCancel(t.Context())) }()
	dbtest.Migrate(t, d, "pg", itemTables())
	ctx := dbtest.Tenant(t, 1)
	count(ctx, t, d)
	address := p.Addr().String()
	_ = p.Close()
	p.cut()
	for range 3 {
		read := d.Read(ctx, func(ctx context.Context, q db.Querier) error { return q.Query(ctx, "SELECT 1", nil) })
		write := d.Write(ctx, func(ctx context.Context, tx db.Tx) error { return put(ctx, tx, 1) })
		if !fault.Is(read, fault.CodeUnavailable) || !fault.Is(write, fault.CodeUnavailable) {
			t.Errorf("read: %v, write: %v", read, write)
		}
	}
	l, err := net.Listen("tcp", address) //nolint:noctx // a test's own
	if err != nil {
		t.Fatal(err)
	}
	back := &proxy{Listener: l, server: p.server}
	t.Cleanup(func() { _ = l.Close(); back.cut() })
	go back.serve()
	if err := d.Write(ctx, func(ctx context.Context, tx db.Tx) error { return put(ctx, tx, 2) }); err != nil {
		t.Errorf("back: %v", err)
	}
	if n := count(ctx, t, d); n != 1 {
		t.Errorf("%d items", n)
	}
}

// TestFault_AllConnectionsInUse: a call does not wait for ever.
func TestFault_AllConnectionsInUse(t *testing.T) {
	t.Parallel()
	_, at := dbtest.PostgresAt(t)
	d, err := postgres.Open(t.Context(), postgres.Config{URL: at, MaxConns: 1, AcquireTimeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close(context.WithoutCancel(t.Context())) }()
	ctx := dbtest.Tenant(t, 1)
	err = d.Read(ctx, func(ctx context.Context, q db.Querier) error {
		return q.Query(ctx, "SELECT 1", func(db.Row) error {
			return d.Read(ctx, func(ctx context.Context, q db.Querier) error { return q.Query(ctx, "SELECT 1", nil) })
		})
	})
	if !fault.Is(err, fault.CodeUnavailable) {
		t.Errorf("%v", err)
	}
}
