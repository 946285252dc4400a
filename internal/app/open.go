package app

import (
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ward/internal/backend/blob"
	"ward/internal/backend/blob/file"
	"ward/internal/backend/blob/s3"
	"ward/internal/backend/blob/sealed"
	"ward/internal/backend/bus"
	"ward/internal/backend/bus/embedded"
	"ward/internal/backend/cache"
	"ward/internal/backend/cache/redis"
	"ward/internal/backend/db"
	"ward/internal/backend/db/postgres"
	"ward/internal/backend/db/sqlite"
	"ward/internal/base/clock"
	"ward/internal/base/fault"
	"ward/internal/kernel/resilience"
	"ward/internal/kernel/seal"
	"ward/internal/kernel/tenancy"
)

// Backends are what the domains work on, opened by the URLs of the configuration.
type Backends struct {
	DB    *db.DB
	Bus   *bus.Bus
	Cache *cache.Cache
	Blobs *blob.Store
	Seal  *seal.Keys // of all tenants

	Router *db.Router // what DB works through

	directory *tenancy.Directory // where tenants are; set once it is built
	tier      *redis.Tier        // nil without a second tier
	closeBlob func() error
	keys      keys
}

// keys are derived from key.secret, one for each purpose.
type keys struct {
	cursor, names, kms, oauth, audit, people, directory []byte
}

// opener opens backends one after another and closes what it opened when one fails.
type opener struct {
	config *Config
	log    *slog.Logger
	clock  clock.Clock
	calls  resilience.Metrics
}

func (o opener) open(ctx context.Context) (b *Backends, err error) {
	b = &Backends{}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close(context.WithoutCancel(ctx)))
			b = nil
		}
	}()
	shared, err := o.db(ctx) // first: it holds the folder
	if err != nil {
		return b, err
	}
	b.route(ctx, shared, o)
	if b.keys, err = o.keys(); err != nil {
		return b, err
	}
	if b.Seal, err = o.seal(b); err != nil {
		return b, err
	}
	if b.Bus, err = o.bus(ctx); err != nil {
		return b, err
	}
	if b.Cache, b.tier, err = o.cache(ctx, b); err != nil {
		return b, err
	}
	b.Blobs, b.closeBlob, err = o.blobs(seal.NewStreams(b.Seal))
	return b, err
}

// blobs opens the blob store. Without keys nothing is sealed, for who only looks whether it works.
func (o opener) blobs(keys sealed.Keys) (*blob.Store, func() error, error) {
	u := o.config.BlobURL()
	if o.config.Embedded()[3] {
		d, err := file.Open(strings.TrimPrefix(strings.TrimPrefix(u, "file:"), "//"))
		if err != nil {
			return nil, nil, err
		}
		return o.store(d, keys), d.Close, nil
	}
	d, err := s3.Open(u, s3.Deps{Guard: resilience.New(resilience.Config{Name: "s3", Metrics: o.calls})})
	if err != nil {
		return nil, nil, err
	}
	return o.store(d, keys), func() error { d.Close(); return nil }, nil
}

func (o opener) store(d blob.Driver, keys sealed.Keys) *blob.Store {
	if keys != nil {
		d = sealed.New(d, keys)
	}
	return blob.New(blob.Deps{Driver: d, Clock: o.clock})
}

func (o opener) db(ctx context.Context) (*db.DB, error) { return o.database(ctx, o.config.DBURL()) }

// database opens what a URL names.
func (o opener) database(ctx context.Context, u string) (*db.DB, error) {
	owner := ""
	if u == o.config.DBURL() {
		owner = o.config.DB.OwnerURL
	}
	switch scheme(u) {
	case "sqlite":
		return sqlite.Open(ctx, sqlite.Config{
			Dir: strings.TrimPrefix(strings.TrimPrefix(u, "sqlite:"), "//"), MaxOpen: o.config.DB.OpenFiles, MMapBytes: orNone(int64(o.config.DB.Mapped)),
			MaxFileBytes: int64(o.config.DB.MaxFile), Log: o.log, Clock: o.clock,
		})
	case "postgres":
		return postgres.Open(ctx, postgres.Config{
			URL: u, OwnerURL: owner, MaxConns: o.config.DB.Connections, AcquireTimeout: o.config.DB.Timeout,
			Log: o.log, Clock: o.clock,
		})
	default:
		return nil, fault.Invalid("the database %q: write sqlite:FOLDER or postgres://USER:PASSWORD@HOST/DATABASE", masked("url", u))
	}
}

// route makes the database out of the shared one and those of the tenants that have their own.
func (b *Backends) route(ctx context.Context, shared *db.DB, o opener) {
	b.Router = db.NewRouter(ctx, db.RouterDeps{
		Shared: shared, Clock: o.clock,
		Locate: func(ctx context.Context, tenant int32) (string, error) { return b.directory.Locate(ctx, tenant) },
		Forget: func(tenant int32) { b.directory.Forget(tenant) },
		Open: func(ctx context.Context, home string) (*db.DB, error) {
			if shared.Dialect().Name == db.PostgreSQL && scheme(home) != "postgres" {
				return nil, fault.Invalid("a folder belongs to one process: where the system is on PostgreSQL, so are its tenants")
			}
			return o.database(ctx, home)
		},
	})
	b.DB = db.New(b.Router)
}

// orNone turns 0, which means none, into what drivers take for none.
func orNone(n int64) int64 {
	if n == 0 {
		return -1
	}
	return n
}

func (o opener) bus(ctx context.Context) (*bus.Bus, error) {
	deps := bus.Deps{Logger: o.log}
	if o.config.Embedded()[1] {
		return embedded.Open(ctx, embedded.Config{Dir: filepath.Join(o.config.Data, "nats")}, deps)
	}
	replicas := o.config.Bus.Replicas
	if replicas == 0 {
		replicas = 3
	}
	return bus.Connect(bus.Config{URL: o.config.Bus.URL, Replicas: replicas}, deps)
}

func (o opener) cache(ctx context.Context, b *Backends) (*cache.Cache, *redis.Tier, error) {
	deps := cache.Deps{Clock: o.clock, Logger: o.log}
	if !o.config.Embedded()[0] {
		deps.Bus = b.Bus // others may write to the same database
	}
	var tier *redis.Tier
	if !o.config.Embedded()[2] {
		var err error
		if tier, err = redis.New(o.config.Cache.URL); err != nil {
			return nil, nil, err
		}
		deps.Tier, deps.Sealer = tier, seal.NewTiered(b.Seal, b.keys.names)
		deps.Guard = resilience.New(resilience.Config{Name: "redis", Timeout: 250 * time.Millisecond, Attempts: 1, Metrics: o.calls})
	}
	c, err := cache.New(ctx, cache.Config{Bytes: uint64(o.config.Cache.Size)}, deps) //nolint:gosec // a size is never negative
	return c, tier, err
}

// keys reads the secret, which is made and kept in the data folder when none is set.
func (o opener) keys() (keys, error) {
	var secret []byte
	var err error
	if o.config.Key.Secret != "" {
		secret, err = decodeKey(o.config.Key.Secret)
	} else {
		secret, err = keptKey(filepath.Join(o.config.Data, "ward.key"))
	}
	if err != nil {
		return keys{}, err
	}
	derive := func(purpose string) []byte {
		k, deriveErr := hkdf.Key(sha256.New, secret, nil, purpose, 32)
		err = errors.Join(err, deriveErr)
		return k
	}
	k := keys{cursor: derive("ward cursors"), names: derive("ward cached names"), kms: derive(kmsPurpose), oauth: derive("ward oauth"), audit: derive("ward audit"), people: derive("ward accounts"), directory: derive("ward directory")}
	return k, err
}

func keptKey(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err == nil {
		key, err := decodeKey(string(text))
		if err != nil {
			return nil, fault.Invalid("%s does not hold 32 bytes in base64: restore it, or set key.secret", path)
		}
		return key, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fault.Internal("the key %s can't be read", path).With(err)
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails: crypto/rand ends the program instead
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fault.Internal("the folder of the key %s can't be made", path).With(err)
	}
	if err := writeFile(path, []byte(base64.StdEncoding.EncodeToString(key)+"\n")); err != nil {
		return nil, fault.Internal("the key %s can't be kept", path).With(err)
	}
	return key, nil
}

// writeFile puts the whole file in its place at once, readable by its owner alone.
func writeFile(path string, content []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".ward-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	if _, err = f.Write(content); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// close closes what is open, last opened first.
func (b *Backends) close(ctx context.Context) error {
	var errs []error
	if b.closeBlob != nil {
		errs = append(errs, b.closeBlob())
	}
	if b.Cache != nil {
		errs = append(errs, b.Cache.Close(ctx))
	}
	if b.Bus != nil {
		errs = append(errs, b.Bus.Close(ctx))
	}
	if b.DB != nil {
		errs = append(errs, b.DB.Close(ctx))
	}
	return errors.Join(errs...)
}
