package postgres

import (
	"context"
	"log/slog"
	"maps"
	"net"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"ward/internal/backend/db"
	"ward/internal/backend/db/internal/watch"
	"ward/internal/base/clock"
	"ward/internal/base/fault"
)

// Config says where the database is and how many resources it may take. Zero values are the defaults.
type Config struct {
	URL              string        // postgres://user:password@host:5432/name, of a role that may act as ward_app and ward_system
	OwnerURL         string        // of the role that owns the tables and migrates; default: URL
	MaxConns         int           // connections for tenants' work; default 4 per CPU, at least 8. The system's work has up to 4 more.
	ConnectTimeout   time.Duration // default 5 s
	AcquireTimeout   time.Duration // a call waits so long for a connection; default 5 s
	StatementTimeout time.Duration // the server cancels a statement after it; default 30 s
	CommitTimeout    time.Duration // a commit without an answer after it is Unavailable; default 10 s
	MaxLifetime      time.Duration // of a connection; default 1 h
	MaxIdle          time.Duration // a connection at rest is closed after it; default 5 minutes
	Log              *slog.Logger  // default: nothing is logged
	Clock            clock.Clock   // default: the machine's
}

const (
	lookEvery   = 10 * time.Millisecond
	upkeepEvery = 15 * time.Second
	cancelTime  = 5 * time.Second
	systemConns = 4
)

func (c Config) withDefaults() Config {
	if c.OwnerURL == "" {
		c.OwnerURL = c.URL
	}
	if c.MaxConns <= 0 {
		c.MaxConns = max(8, 4*runtime.GOMAXPROCS(0))
	}
	for _, t := range []struct {
		value *time.Duration
		def   time.Duration
	}{
		{&c.ConnectTimeout, 5 * time.Second},
		{&c.AcquireTimeout, 5 * time.Second},
		{&c.StatementTimeout, 30 * time.Second},
		{&c.CommitTimeout, 10 * time.Second},
		{&c.MaxLifetime, time.Hour},
		{&c.MaxIdle, 5 * time.Minute},
	} {
		if *t.value <= 0 {
			*t.value = t.def
		}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Clock == nil {
		c.Clock = clock.System()
	}
	return c
}

// Open makes the roles and schemas when they are missing, connects, and refuses roles that may do more than they should.
func Open(ctx context.Context, cfg Config) (*db.DB, error) {
	cfg = cfg.withDefaults()
	d := &driver{cfg: cfg, base: context.WithoutCancel(ctx), stop: make(chan struct{})}
	if err := d.prepare(ctx); err != nil {
		return nil, err
	}
	tenants, err := appConfig(cfg, tenantSide)
	if err != nil {
		return nil, err
	}
	system, err := appConfig(cfg, systemSide)
	if err != nil {
		return nil, err
	}
	if d.tenants, err = newPool(d, tenants, int32(cfg.MaxConns)); err != nil { //nolint:gosec // a small number
		return nil, err
	}
	if d.system, err = newPool(d, system, systemConns); err != nil {
		return nil, err
	}
	d.watcher = watch.New(lookEvery)
	d.upkeep.Go(d.keepUp)
	if err := d.verify(ctx); err != nil {
		_ = d.Close(ctx)
		return nil, err
	}
	return db.New(d), nil
}

func parse(url, what string) (*pgconn.Config, error) {
	config, err := pgconn.ParseConfig(url)
	if err != nil { // the error may quote the password
		return nil, fault.Internal("postgres: the %s is not a connection string: write postgres://user:password@host:5432/name", what)
	}
	// A server that vanished is noticed in some 20 s, also by a call that only waits.
	dialer := &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 3 * time.Second, Count: 3}}
	config.DialFunc = dialer.DialContext
	return config, nil
}

// appConfig is how connections for the application's work are made.
func appConfig(cfg Config, s side) (*pgconn.Config, error) {
	config, err := parse(cfg.URL, "URL")
	if err != nil {
		return nil, err
	}
	millis := func(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
	maps.Copy(config.RuntimeParams, map[string]string{
		"application_name": "ward",
		"role":             s.role,
		"search_path":      s.schema,
		"plan_cache_mode":  "force_generic_plan",
		// Every statement is one range of an index, or a nested loop over such: a plan of another kind, as PostgreSQL
		// chooses for a table that it has no statistics of yet, was 100 times slower.
		"enable_seqscan":                      "off",
		"enable_hashjoin":                     "off",
		"enable_mergejoin":                    "off",
		"enable_bitmapscan":                   "off",
		"default_transaction_read_only":       "on",
		"jit":                                 "off",
		"statement_timeout":                   millis(cfg.StatementTimeout),
		"idle_in_transaction_session_timeout": millis(2 * cfg.StatementTimeout),
		"client_encoding":                     "UTF8",
		"timezone":                            "UTC",
		"extra_float_digits":                  "1",
	})
	return config, nil
}

// quoted is a name as SQL has it.
func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
