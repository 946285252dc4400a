package sqlite

import (
	"context"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"ward/internal/backend/db"
	"ward/internal/backend/db/internal/watch"
	"ward/internal/base/fault"
)

type driver struct {
	cfg           Config
	base          context.Context //nolint:containedctx // for work of the driver's own; it never ends
	lock          *os.File
	watcher       *watch.Watcher
	files         files
	stop          chan struct{}
	upkeep        sync.WaitGroup
	oneCheckpoint sync.Mutex
	lines         lines

	commits, checkpoints, connections, waits, waited, mapped atomic.Int64
}

func (d *driver) Dialect() db.Dialect { return db.Dialect{Name: db.SQLite} }

func (d *driver) Read(ctx context.Context, at db.Place, fn func(ctx context.Context, q db.Querier) error) error {
	f, err := d.files.acquire(ctx, at)
	if err != nil {
		return err
	}
	defer d.files.release(f)
	c, err := f.reader(ctx)
	if err != nil {
		return err
	}
	defer f.giveBack(c)
	return fn(ctx, c)
}

func (d *driver) Snapshot(ctx context.Context, at db.Place, fn func(ctx context.Context, q db.Querier) error) error {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.SnapshotLimit)
	defer cancel()
	f, err := d.files.acquire(ctx, at)
	if err != nil {
		return err
	}
	defer d.files.release(f)
	c, err := f.ownReader(ctx) // it may take long
	if err != nil {
		return err
	}
	defer f.giveBack(c)
	if err := c.run("BEGIN"); err != nil {
		return mapped(ctx, err)
	}
	defer func() { _ = c.run("ROLLBACK") }()
	return fn(ctx, c)
}

func (d *driver) Write(ctx context.Context, at db.Place, fn func(ctx context.Context, tx db.Tx) error) error {
	f, err := d.files.acquire(ctx, at)
	if err != nil {
		return err
	}
	defer d.files.release(f)
	return rethrow(f.submit(ctx, &job{fn: fn}))
}

// Check opens the system database and writes to the folder.
func (d *driver) Check(ctx context.Context) error {
	f, err := d.files.acquire(ctx, db.Place{System: true})
	if err != nil {
		return err
	}
	defer d.files.release(f)
	c, err := f.reader(ctx)
	if err != nil {
		return err
	}
	defer f.giveBack(c)
	if err := c.Query(ctx, "SELECT 1", nil); err != nil {
		return err
	}
	probe, err := os.CreateTemp(d.cfg.Dir, ".probe-*")
	if err != nil {
		return fault.Unavailable("sqlite: the folder %s can't be written to", d.cfg.Dir).With(err)
	}
	defer func() { _, _ = probe.Close(), os.Remove(probe.Name()) }()
	if _, err := probe.Write(make([]byte, pageSize)); err != nil {
		return fault.Full("sqlite: the folder %s has no room", d.cfg.Dir).With(err)
	}
	return nil
}

func (d *driver) Stats() db.Stats {
	s := db.Stats{
		Commits: d.commits.Load(), Checkpoints: d.checkpoints.Load(), Connections: d.connections.Load(),
		Waits: d.waits.Load(), Waited: time.Duration(d.waited.Load()),
	}
	d.files.mu.Lock()
	defer d.files.mu.Unlock()
	s.OpenFiles, s.Closed = int64(d.files.count), d.files.closed
	for _, f := range d.files.open {
		s.WALPages = max(s.WALPages, f.walPages.Load())
		f.mu.Lock()
		s.Idle += int64(len(f.idle))
		f.mu.Unlock()
	}
	return s
}

// Close closes all files. Calls that are still under way keep theirs, and the folder's lock, until the process ends.
func (d *driver) Close(context.Context) error {
	close(d.stop)
	d.upkeep.Wait()
	left := d.files.closeAll()
	d.upkeep.Wait()
	d.watcher.Close()
	if left > 0 {
		return fault.Unavailable("sqlite: %d files were still in use at the end", left)
	}
	return d.lock.Close()
}
