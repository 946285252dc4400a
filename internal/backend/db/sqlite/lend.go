package sqlite

import (
	"context"
	"os"
	"syscall"
	"time"

	"ward/internal/backend/db"
)

// A file that is small does with one connection while many files are open: a read takes the writer's when nobody has it. A connection's own copy of
// the schema is a quarter of a megabyte, which a thousand tenants would have twice.

// frugal says whether the file is to do with little memory.
func (f *file) frugal() bool { return f.many.Load() && f.small.Load() }

// reader gives a connection for a read: the writer's where that is enough.
func (f *file) reader(ctx context.Context) (*conn, error) {
	if !f.frugal() {
		return f.ownReader(ctx)
	}
	select {
	case c := <-f.pen:
		return f.borrowed(c), nil
	default:
	}
	f.mu.Lock()
	rests := len(f.idle) > 0
	f.mu.Unlock()
	if rests {
		return f.ownReader(ctx)
	}
	timer := time.NewTimer(penWait)
	defer timer.Stop()
	select {
	case c := <-f.pen:
		return f.borrowed(c), nil
	case <-timer.C:
		return f.ownReader(ctx)
	case <-ctx.Done():
		return nil, db.Ended(ctx)
	}
}

func (f *file) borrowed(c *conn) *conn {
	f.lent.Add(1)
	c.lend(f.d.watcher)
	return c
}

// take gives the writer's goroutine its connection. When a read keeps it, the writer opens another, and the read's becomes one for reads.
func (f *file) take() error {
	select {
	case f.writer = <-f.pen:
		return nil
	default:
	}
	timer := time.NewTimer(lentWait)
	defer timer.Stop()
	select {
	case f.writer = <-f.pen:
		return nil
	case <-timer.C:
	}
	c, err := openConn(f.path, &f.d.cfg, true, 0, f.cache(true))
	if err != nil {
		f.writer = <-f.pen // it comes back in the end
		return nil
	}
	f.mu.Lock()
	select {
	case f.writer = <-f.pen: // it came back meanwhile
		f.mu.Unlock()
		_ = c.close()
		return nil
	default:
	}
	f.own, f.writer = c, c
	f.mu.Unlock()
	f.d.connections.Add(1)
	return nil
}

// put gives it back, with the page cache that the file deserves.
func (f *file) put() {
	f.writer.resize(f.cache(true))
	f.pen <- f.writer
	f.writer = nil
}

// giveBackLent takes the writer's connection back from a read.
func (f *file) giveBackLent(c *conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.own == c {
		c.back()
		f.pen <- c
		return
	}
	c.spare, c.mapped = nil, 0 // it stays one for reads, which may write nothing
	f.idle = append(f.idle, c)
}

// cache is how many bytes of pages a connection keeps.
func (f *file) cache(writer bool) int64 {
	switch {
	case f.frugal() && !f.busy.Load():
		return smallCache
	case writer:
		return f.d.cfg.CacheBytes
	default:
		return f.d.cfg.CacheBytes / 12
	}
}

// weigh looks at how large the file is and how often it is read.
func (f *file) weigh() {
	info, err := os.Stat(f.path)
	f.small.Store(!f.at.System && (err != nil || info.Size() <= smallFile))
	f.busy.Store(f.lent.Swap(0) > busyReads)
}

// descriptors is how many files this process may have open.
func descriptors() int {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil || r.Cur > 1<<20 {
		return 1 << 20
	}
	return max(int(r.Cur), 8*perFile)
}
