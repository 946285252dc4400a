package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"ward/internal/backend/blob"
	"ward/internal/backend/cache/redis"
	"ward/internal/backend/db"
	"ward/internal/base/clock"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/kernel/journal"
)

// Finding is what `ward doctor` says of one part.
type Finding struct {
	Part    string
	Says    string
	Remedy  string // what to do; "" when nothing is to be done
	Wrong   bool   // Ward does not work with it
	Warning bool   // it works, but not as it should
}

const (
	slowSync    = 20 * time.Millisecond // of a small write: writes are slow then, not wrong
	littleRoom  = 1 << 30               // bytes free on the disk
	muchSkew    = time.Second           // between this machine's clock and the database's
	probeTime   = 10 * time.Second      // for each part
	connectTime = 2 * time.Second       // for the bus, which connects in the background
)

// Examine opens each backend of the configuration by itself, tries it, and tells what it found, in order.
func Examine(ctx context.Context, c Config, tell func(Finding)) {
	if err := c.Check(); err != nil {
		tell(Finding{Part: "config", Says: fault.Message(err), Wrong: true})
		return
	}
	tell(Finding{Part: "config", Says: fmt.Sprintf("%s; target %s", whole(c.urls()), c.Target)})
	e := examination{config: &c, clock: clock.System(), tell: tell}
	e.opener = opener{config: &c, log: slog.New(slog.DiscardHandler), clock: e.clock}
	embedded := c.Embedded()
	if slices.Contains(embedded[:], true) {
		e.folder()
	}
	if embedded[0] {
		if other, err := dialControl(ctx, c.Data); other != nil || err != nil {
			f := Finding{Part: "database", Says: "a running Ward has " + c.Data + " open and answers: ask its /readyz for the embedded parts"}
			if err != nil {
				f = wrong("database", err, "run this as the user that Ward runs as")
			}
			tell(f)
			return
		}
	}
	for _, part := range []func(ctx context.Context) Finding{e.database, e.bus, e.cache, e.blobs} {
		limited, cancel := context.WithTimeout(ctx, probeTime)
		tell(part(limited))
		cancel()
	}
}

func whole(urls []string) string {
	var b bytes.Buffer
	for i, u := range urls {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(masked("url", u))
	}
	return b.String()
}

type examination struct {
	config *Config
	clock  clock.Clock
	opener opener
	tell   func(Finding)
}

func wrong(part string, err error, remedy string) Finding {
	says := err.Error()
	if f, ok := fault.Of(err); ok {
		says = f.Message
		if f.Cause != nil {
			says += ": " + f.Cause.Error()
		}
	}
	return Finding{Part: part, Says: says, Remedy: remedy, Wrong: true}
}

// folder looks at the disk below the data folder.
func (e *examination) folder() {
	dir := e.config.Data
	if err := os.MkdirAll(dir, 0o700); err != nil {
		e.tell(wrong("folder", err, "set data to a folder that this user may write to"))
		return
	}
	took, err := e.sync(dir)
	if err != nil {
		e.tell(wrong("folder", err, "set data to a folder that this user may write to"))
		return
	}
	f := Finding{Part: "folder", Says: fmt.Sprintf("%s: a small write is on the disk after %v", dir, took.Round(time.Microsecond))}
	if took > slowSync {
		f.Warning, f.Remedy = true, "writes wait for the disk: use a faster one, or PostgreSQL"
	}
	var disk syscall.Statfs_t
	if syscall.Statfs(dir, &disk) == nil {
		free := int64(disk.Bavail) * int64(disk.Bsize) //nolint:gosec,unconvert // far below 2^63; its type differs between systems
		f.Says += fmt.Sprintf(", %d MB free", free>>20)
		if free < littleRoom {
			f.Warning, f.Remedy = true, "make room: Ward refuses writes with 507 when the disk is full"
		}
	}
	e.tell(f)
}

// sync is the median time of a write of 4 KB with fsync.
func (e *examination) sync(dir string) (time.Duration, error) {
	f, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	defer f.Close()
	page := make([]byte, 4096)
	took := make([]time.Duration, 21)
	for i := range took {
		began := e.clock.Now()
		if _, err := f.Write(page); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
		took[i] = e.clock.Now().Sub(began)
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}

func (e *examination) database(ctx context.Context) Finding {
	const part = "database"
	d, err := e.opener.db(ctx)
	if err == nil {
		defer func() { _ = d.Close(context.WithoutCancel(ctx)) }()
		err = d.Check(ctx)
	}
	remedy := "check db.url: host, port, role and password, and that the database is up"
	if e.config.Embedded()[0] {
		remedy = "stop the process that has the folder, or set data to another; if the file is damaged, restore a backup"
	}
	if err != nil {
		return wrong(part, err, remedy)
	}
	if e.config.Embedded()[0] {
		if err := d.Migrate(ctx, "journal", journal.Module().SystemMigrations); err != nil {
			return wrong(part, err, remedy)
		}
	}
	took, err := e.probeWrite(ctx, d)
	if err != nil {
		return wrong(part, err, "if the tables are missing, run `ward migrate`")
	}
	says, err := e.serverFacts(ctx, d)
	if err != nil {
		return wrong(part, err, remedy)
	}
	says.Part = part
	says.Says += fmt.Sprintf("; a write is durable after %v", took.Round(time.Microsecond))
	return says
}

func (e *examination) probeWrite(ctx context.Context, d *db.DB) (time.Duration, error) {
	j, err := journal.Open(ctx, d, scope.Tenant{}, "doctor")
	if err != nil {
		return 0, err
	}
	began := e.clock.Now()
	h := journal.HashOf([]byte("ward doctor"))
	if err := errors.Join(j.Mark(ctx, h), j.Flush(ctx)); err != nil {
		return 0, err
	}
	took := e.clock.Now().Sub(began)
	if j, err = journal.Open(ctx, d, scope.Tenant{}, "doctor"); err == nil && !j.Done(h) {
		err = fault.Internal("what was written is not there")
	}
	return took, err
}

// serverFacts are the server's version, its clock, and on PostgreSQL what its role may do.
func (e *examination) serverFacts(ctx context.Context, d *db.DB) (f Finding, err error) {
	sql := d.Dialect().Pick(
		"SELECT 'SQLite ' || sqlite_version(), (julianday('now') - 2440587.5) * 86400.0, false, false",
		`SELECT 'PostgreSQL ' || current_setting('server_version'), extract(epoch FROM clock_timestamp())::float8,
			r.rolsuper OR r.rolbypassrls, EXISTS (SELECT 1 FROM pg_class c WHERE c.relowner = r.oid AND c.relkind IN ('r', 'p') AND c.relname LIKE 'records\_%')
			FROM pg_roles r WHERE r.rolname = current_user`)
	err = d.Read(scope.WithSystem(ctx), func(ctx context.Context, q db.Querier) error {
		return q.Query(ctx, sql, func(r db.Row) error {
			f.Says = r.Text(0)
			skew := time.Duration((r.Float64(1) - float64(e.clock.Now().UnixNano())/1e9) * float64(time.Second))
			if skew.Abs() > muchSkew {
				f.Warning, f.Says = true, f.Says+fmt.Sprintf("; its clock is %v off this machine's", skew.Round(time.Millisecond))
				f.Remedy = "set both clocks by NTP: times of resources come from this machine"
			}
			if r.Bool(2) || r.Bool(3) {
				f.Wrong, f.Says = true, f.Says+"; this role owns the tables or bypasses row-level security, so tenants are not kept apart by the database"
				f.Remedy = "set db.url to the application's role, which `ward migrate` makes, and db.owner-url to this one"
			}
			return nil
		})
	})
	return f, err
}

func (e *examination) bus(ctx context.Context) Finding {
	b, err := e.opener.bus(ctx)
	if err != nil {
		return wrong("bus", err, "check bus.url, and that no other process has the folder nats in the data folder")
	}
	defer func() { _ = b.Close(context.WithoutCancel(ctx)) }()
	began := e.clock.Now()
	for err = b.Check(ctx); err != nil; err = b.Check(ctx) { // it connects in the background
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
			if e.clock.Now().Sub(began) < connectTime {
				continue
			}
		}
		return wrong("bus", err, "check bus.url, that NATS is up, and that JetStream is on (nats-server -js)")
	}
	heard := make(chan struct{}, 1)
	stop, err := b.Listen([]string{"ward.doctor"}, func(string, []byte) {
		select {
		case heard <- struct{}{}:
		default:
		}
	})
	if err != nil {
		return wrong("bus", err, "the role in bus.url must be allowed to subscribe to ward.>")
	}
	defer stop()
	began = e.clock.Now()
	if err := b.Broadcast(ctx, "ward.doctor", nil); err != nil {
		return wrong("bus", err, "the role in bus.url must be allowed to publish to ward.>")
	}
	select {
	case <-heard:
		return Finding{Part: "bus", Says: fmt.Sprintf("NATS with JetStream; a message is back after %v", e.clock.Now().Sub(began).Round(time.Microsecond))}
	case <-ctx.Done():
		return wrong("bus", fault.Unavailable("a message did not come back"), "the role in bus.url must be allowed to publish and subscribe to ward.>")
	}
}

func (e *examination) cache(ctx context.Context) Finding {
	if e.config.Embedded()[2] {
		return Finding{Part: "cache", Says: fmt.Sprintf("in memory, %s", e.config.Cache.Size)}
	}
	tier, err := redis.New(e.config.Cache.URL)
	if err != nil {
		return wrong("cache", err, "check cache.url")
	}
	defer tier.Close()
	began := e.clock.Now()
	if err := tier.Check(ctx); err != nil {
		f := wrong("cache", err, "check cache.url and that Redis is up; without it Ward is slower and right")
		f.Wrong, f.Warning = false, true
		return f
	}
	return Finding{Part: "cache", Says: fmt.Sprintf("Redis answers after %v; %s in memory before it", e.clock.Now().Sub(began).Round(time.Microsecond), e.config.Cache.Size)}
}

func (e *examination) blobs(ctx context.Context) Finding {
	const part = "blobs"
	remedy := "check blob.url: host, bucket and keys, and that the bucket is there"
	if e.config.Embedded()[3] {
		remedy = "the folder must be writable: " + filepath.Clean(e.config.BlobURL()[len("file:"):])
	}
	store, closeStore, err := e.opener.blobs(nil)
	if err != nil {
		return wrong(part, err, remedy)
	}
	defer func() { _ = closeStore() }()
	began := e.clock.Now()
	if err := probeBlob(scope.WithSystem(ctx), store); err != nil {
		return wrong(part, err, remedy)
	}
	return Finding{Part: part, Says: fmt.Sprintf("a blob was put, read and deleted in %v", e.clock.Now().Sub(began).Round(time.Microsecond))}
}

func probeBlob(ctx context.Context, store *blob.Store) error {
	text := []byte("ward doctor")
	if _, err := store.Put(ctx, "doctor/probe", "text/plain", bytes.NewReader(text), int64(len(text))); err != nil {
		return err
	}
	r, _, err := store.Get(ctx, "doctor/probe")
	if err != nil {
		return err
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, text) {
		return fault.Internal("what was put is not what came back")
	}
	return store.Delete(ctx, "doctor/probe")
}
