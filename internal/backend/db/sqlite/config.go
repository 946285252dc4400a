package sqlite

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"time"

	zombiezen "zombiezen.com/go/sqlite"

	"ward/internal/backend/db"
	"ward/internal/backend/db/internal/watch"
	"ward/internal/base/clock"
	"ward/internal/base/fault"
)

// Config says where the files are and how many resources they may take. Zero values are the defaults.
type Config struct {
	Dir             string        // the folder; made when it is not there
	MaxOpen         int           // files open at once; default 1200, and no more than descriptors allow. More only while more are in use.
	Many            int           // files open at once, above which small ones do with little memory: one connection and a small cache; default 32
	Readers         int           // read connections per file; default 2 per CPU, at least 4 and at most 16
	CheckpointPages int           // WAL pages of 4,096 bytes after which the WAL is copied back; default 32,000
	MMapBytes       int64         // of its file that a read connection maps into memory; default 32 MiB; negative: none
	MMapTotal       int64         // by all connections together; those that come later map nothing; default 192 MiB
	CacheBytes      int64         // page cache of the writer, a twelfth of it for each reader; default 24 MiB
	SnapshotLimit   time.Duration // a Snapshot may hold the WAL so long; default 2 minutes
	MaxFileBytes    int64         // a file may grow so far, then it is fault.Full; default no limit
	Log             *slog.Logger  // default: nothing is logged
	Clock           clock.Clock   // default: the machine's
}

// minVersion is the first SQLite without the WAL-reset corruption.
const minVersion = 3051003

const (
	pageSize      = 4096
	lookEvery     = 10 * time.Millisecond
	groupLimit    = 256                   // writes in one group
	groupTime     = 10 * time.Millisecond // a group takes no more writes after it
	queueLength   = 256                   // writes that wait per file before callers wait to wait
	idleWAL       = 3 * time.Second       // a file without writes so long has its WAL cut
	fewPages      = 256                   // a WAL of fewer is left alone for longer while many files are open: cutting it takes three fsyncs
	idleFew       = time.Minute
	idleReader    = time.Minute // a read connection without work so long is closed
	upkeepEvery   = time.Second
	hardBound     = 4 // times CheckpointPages
	hardBoundWait = 250 * time.Millisecond
	readersWait   = 25 * time.Millisecond // the writer waits so long for readers to leave a WAL that was copied back
	lockWait      = 10 * time.Second      // for SQLite's own short locks
	perFile       = 8                     // descriptors that an open file takes on average: three for each connection
	smallFile     = 4 << 20               // bytes up to which a file is small: no read of it takes long
	smallCache    = 64 << 10              // page cache of a small file's connection while many are open
	busyReads     = 50                    // reads a second from which a small file has the usual cache
	lentWait      = 10 * time.Millisecond // the writer waits so long for its connection when a read has it
	penWait       = 5 * time.Millisecond  // and a read of a small file for the writer's: opening another takes a millisecond and a quarter of a megabyte
	idleSpare     = 5 * time.Second       // a small file's second connection without work so long is closed
)

func (c Config) withDefaults() Config {
	if c.MaxOpen <= 0 {
		c.MaxOpen = 1200
	}
	c.MaxOpen = min(c.MaxOpen, descriptors()/perFile)
	if c.Many <= 0 {
		c.Many = 32
	}
	if c.Readers <= 0 {
		c.Readers = min(max(4, 2*runtime.GOMAXPROCS(0)), 16)
	}
	if c.CheckpointPages <= 0 {
		c.CheckpointPages = 32000
	}
	switch {
	case c.MMapBytes == 0:
		c.MMapBytes = 32 << 20
	case c.MMapBytes < 0:
		c.MMapBytes = 0
	}
	if c.MMapTotal <= 0 {
		c.MMapTotal = 192 << 20
	}
	if c.CacheBytes <= 0 {
		c.CacheBytes = 24 << 20
	}
	if c.SnapshotLimit <= 0 {
		c.SnapshotLimit = 2 * time.Minute
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Clock == nil {
		c.Clock = clock.System()
	}
	return c
}

// Open opens the folder. The error says what to do when another process has it.
func Open(ctx context.Context, cfg Config) (*db.DB, error) {
	if cfg.Dir == "" {
		return nil, fault.Internal("sqlite: no folder is given, such as sqlite:data")
	}
	if zombiezen.VersionNumber < minVersion {
		return nil, fault.Internal("sqlite: this build has SQLite %s, 3.51.3 or later is needed", zombiezen.Version)
	}
	cfg = cfg.withDefaults()
	settle()
	if err := os.MkdirAll(filepath.Join(cfg.Dir, tenantFolder), 0o700); err != nil {
		return nil, fault.Internal("sqlite: the folder %s can't be made: choose one that this user may write to", cfg.Dir).With(err)
	}
	lock, err := lockFolder(cfg.Dir)
	if err != nil {
		return nil, err
	}
	d := &driver{cfg: cfg, base: context.WithoutCancel(ctx), lock: lock, watcher: watch.New(lookEvery), stop: make(chan struct{})}
	d.files.init(d)
	d.upkeep.Go(d.keepUp)
	if err := d.Check(ctx); err != nil {
		_ = d.Close(ctx)
		return nil, err
	}
	return db.New(d), nil
}
