package sqlite

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"ward/internal/backend/db"
)

// file is one open database: a writer with its queue, and read connections.
type file struct {
	d    *driver
	at   db.Place
	path string
	name string // without the folder, for the log

	// Guarded by files.mu.
	refs         int
	newer, older *file // neighbours in the order of use
	closing      bool

	ready chan struct{} // closed when opened, or when opening failed with err
	gone  chan struct{} // closed when closed
	err   error

	writer  *conn      // what the writer's goroutine has at the moment
	own     *conn      // the writer's connection; guarded by mu
	pen     chan *conn // holds it while nobody uses it
	queue   chan *job
	written chan struct{} // closed when the writer's goroutine ended
	group0  []*job        // a group's room, kept

	copier        *conn // for checkpoints; guarded by driver.oneCheckpoint
	checkpointing atomic.Bool
	walPages      atomic.Int64
	lastWrite     atomic.Int64 // Unix nanoseconds

	many  atomic.Bool  // many files are open
	small atomic.Bool  // the file is small
	busy  atomic.Bool  // it is read often
	lent  atomic.Int64 // reads that had the writer's connection since the last look

	turns chan struct{} // one for each read connection in use
	mu    sync.Mutex
	idle  []*conn // the last used is last
}

// open opens the file and brings its tables up to date.
func (f *file) open() (err error) {
	fresh := !exists(f.path)
	f.weigh()
	if f.own, err = openConn(f.path, &f.d.cfg, true, 0, f.cache(true)); err != nil {
		return mapped(f.d.base, err)
	}
	defer func() {
		if err != nil {
			_ = f.own.close()
		}
	}()
	if f.at.System { // what is deleted there, such as wrapped keys, must not lie on in the free space
		if err := f.own.script("PRAGMA secure_delete=on"); err != nil {
			return mapped(f.d.base, err)
		}
	}
	if err := f.d.migrateFile(f.own, f.at); err != nil {
		return mapped(f.d.base, err)
	}
	if fresh {
		if err := syncFolder(f.folder()); err != nil {
			return mapped(f.d.base, err)
		}
	}
	f.d.connections.Add(1)
	f.lastWrite.Store(f.d.cfg.Clock.Now().UnixNano())
	f.walPages.Store(1) // the first tidy cuts what a former process left
	f.queue, f.written = make(chan *job, queueLength), make(chan struct{})
	f.turns = make(chan struct{}, f.d.cfg.Readers)
	f.pen = make(chan *conn, 1)
	f.pen <- f.own
	go f.write()
	return nil
}

// close ends the writer and closes all connections. Nobody uses the file any more.
func (f *file) close() error {
	close(f.queue)
	<-f.written
	for _, c := range f.idle {
		f.closeReader(c)
	}
	f.idle = nil
	if f.copier != nil {
		_ = f.copier.close()
	}
	f.d.connections.Add(-1)
	return f.own.close() // the last one copies the WAL back and removes it
}

// ownReader gives a connection that is for reads alone.
func (f *file) ownReader(ctx context.Context) (*conn, error) {
	select {
	case f.turns <- struct{}{}:
	default:
		start := f.d.cfg.Clock.Now()
		select {
		case f.turns <- struct{}{}:
		case <-ctx.Done():
			return nil, db.Ended(ctx)
		}
		f.d.waits.Add(1)
		f.d.waited.Add(int64(f.d.cfg.Clock.Now().Sub(start)))
	}
	if c := f.idleReader(); c != nil {
		return c, nil
	}
	c, err := f.openReader()
	if err != nil {
		<-f.turns
		return nil, mapped(ctx, err)
	}
	return c, nil
}

// idleReader takes a read connection that is at rest; nil when there is none.
func (f *file) idleReader() *conn {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(f.idle)
	if n == 0 {
		return nil
	}
	c := f.idle[n-1]
	f.idle = f.idle[:n-1]
	return c
}

func (f *file) openReader() (*conn, error) {
	// Mapped pages count as this process's memory, once for each connection that maps them: there is a budget.
	grant := f.d.cfg.MMapBytes
	if f.d.mapped.Add(grant) > f.d.cfg.MMapTotal {
		f.d.mapped.Add(-grant)
		grant = 0
	}
	c, err := openConn(f.path, &f.d.cfg, false, grant, f.cache(false))
	if err != nil {
		f.d.mapped.Add(-grant)
		return nil, err
	}
	c.watched(f.d.watcher)
	f.d.connections.Add(1)
	return c, nil
}

func (f *file) closeReader(c *conn) {
	f.d.mapped.Add(-c.mapped)
	f.d.connections.Add(-1)
	_ = c.close()
}

// giveBack takes the connection of a read back.
func (f *file) giveBack(c *conn) {
	if c.reads && c.spare != nil {
		f.giveBackLent(c)
		return
	}
	f.mu.Lock()
	f.idle = append(f.idle, c)
	f.mu.Unlock()
	<-f.turns
}

// closeIdle closes the read connections that have been without work for so long, all but one, or all where the writer's does.
func (f *file) closeIdle(now time.Time, rest time.Duration) {
	f.mu.Lock()
	var old []*conn
	keep := 1
	if f.frugal() {
		keep = 0 // the writer's does
	}
	for len(f.idle) > keep && f.idle[0].seen == f.idle[0].count && f.idle[0].seenAt.Before(now.Add(-rest)) {
		old = append(old, f.idle[0])
		f.idle = f.idle[1:]
	}
	for _, c := range f.idle {
		if c.seen != c.count {
			c.seen, c.seenAt = c.count, now
		}
	}
	f.mu.Unlock()
	for _, c := range old {
		f.closeReader(c)
	}
}
