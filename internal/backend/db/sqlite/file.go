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

	writer  *conn // used by the writer's goroutine only
	queue   chan *job
	written chan struct{} // closed when the writer's goroutine ended
	group0  []*job        // a group's room, kept

	copier        *conn // for checkpoints; guarded by driver.oneCheckpoint
	checkpointing atomic.Bool
	walPages      atomic.Int64
	lastWrite     atomic.Int64 // Unix nanoseconds

	turns chan struct{} // one for each read connection in use
	mu    sync.Mutex
	idle  []*conn // the last used is last
}

// open opens the file and brings its tables up to date.
func (f *file) open() (err error) {
	fresh := !exists(f.path)
	if f.writer, err = openConn(f.path, &f.d.cfg, true, 0); err != nil {
		return mapped(f.d.base, err)
	}
	defer func() {
		if err != nil {
			_ = f.writer.close()
		}
	}()
	if f.at.System { // what is deleted there, such as wrapped keys, must not lie on in the free space
		if err := f.writer.script("PRAGMA secure_delete=on"); err != nil {
			return mapped(f.d.base, err)
		}
	}
	if err := f.d.migrateFile(f.writer, f.at); err != nil {
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
	return f.writer.close() // the last one copies the WAL back and removes it
}

// reader gives a read connection.
func (f *file) reader(ctx context.Context) (*conn, error) {
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
	f.mu.Lock()
	if n := len(f.idle); n > 0 {
		c := f.idle[n-1]
		f.idle = f.idle[:n-1]
		f.mu.Unlock()
		return c, nil
	}
	f.mu.Unlock()
	c, err := f.openReader()
	if err != nil {
		<-f.turns
		return nil, mapped(ctx, err)
	}
	return c, nil
}

func (f *file) openReader() (*conn, error) {
	// Mapped pages count as this process's memory, once for each connection that maps them: there is a budget.
	grant := f.d.cfg.MMapBytes
	if f.d.mapped.Add(grant) > f.d.cfg.MMapTotal {
		f.d.mapped.Add(-grant)
		grant = 0
	}
	c, err := openConn(f.path, &f.d.cfg, false, grant)
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

// giveBack takes a read connection back.
func (f *file) giveBack(c *conn) {
	f.mu.Lock()
	f.idle = append(f.idle, c)
	f.mu.Unlock()
	<-f.turns
}

// closeIdle closes the read connections without work since a time, all but one.
func (f *file) closeIdle(since time.Time) {
	f.mu.Lock()
	var old []*conn
	for len(f.idle) > 1 && f.idle[0].seen == f.idle[0].count && f.idle[0].seenAt.Before(since) {
		old = append(old, f.idle[0])
		f.idle = f.idle[1:]
	}
	for _, c := range f.idle {
		if c.seen != c.count {
			c.seen, c.seenAt = c.count, since.Add(idleReader)
		}
	}
	f.mu.Unlock()
	for _, c := range old {
		f.closeReader(c)
	}
}
