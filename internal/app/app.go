package app

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"ward/internal/base/clock"
	"ward/internal/base/fault"
	"ward/internal/base/proxies"
	"ward/internal/base/scope"
	"ward/internal/domain/calendar/booking"
	"ward/internal/domain/calendar/events"
	"ward/internal/domain/calendar/secret"
	"ward/internal/domain/records"
	"ward/internal/kernel/audit"
	"ward/internal/kernel/breakglass"
	"ward/internal/kernel/identity"
	"ward/internal/kernel/identity/argon"
	"ward/internal/kernel/identity/oauth"
	"ward/internal/kernel/identity/people"
	"ward/internal/kernel/limit"
	"ward/internal/kernel/module"
	"ward/internal/kernel/observe"
	"ward/internal/kernel/operators"
	"ward/internal/kernel/outbox"
	"ward/internal/kernel/serve"
	"ward/internal/kernel/tenancy"
	"ward/internal/kernel/tiers"
	"ward/internal/web/signin"
)

// Options are what a process gives the product besides its configuration.
type Options struct {
	Version string
	Log     *slog.Logger
	Clock   clock.Clock     // default: the machine's
	Extra   []module.Module // more modules, for tests

	// HashCommand is the program and its arguments that computes password hashes in a process of its own (argon.Serve); nil has this process
	// compute them.
	HashCommand []string

	// Unrecorded keeps what is done with records out of the audit log, to measure what the log costs: a test's own process can say so, no setting
	// of the program's can, and it is logged as an error.
	Unrecorded bool

	// Prepare is called by Run before requests are taken, and Ready when they are. Both may be nil.
	Prepare, Ready func(ctx context.Context, a *App) error
}

// App is the product, built in one process.
type App struct {
	Config    Config
	Tenants   *tenancy.Directory
	Tiers     *tiers.Service
	Tokens    *identity.Tokens
	Verifier  *identity.Verifier
	Audit     *audit.Log
	Glass     *breakglass.Glass
	Operators *operators.Access
	OAuth     *oauth.Provider
	People    *people.People
	Sessions  *people.Sessions
	Records   *records.Service
	Events    *events.Service
	Secrets   *secret.Secrets
	Booking   *booking.Service
	Backends  *Backends
	Outbox    *outbox.Outbox

	options Options
	targets module.Target
	log     *slog.Logger
	clock   clock.Clock
	metrics *observe.Metrics
	traces  *observe.Traces
	parts   []module.Module
	server  *serve.Server
	runners *supervisor
	control *control
	lanes   *limit.Lanes
	hashes  *argon.Pool
	signIn  *signin.Pages
	deafen  func()       // ends hearOfDestroyed; nil when nobody else is there
	asked   serve.Tokens // who says who asks: Verifier, unless a test says so

	listening atomic.Pointer[string] // the address, once it is known
}

// Open builds everything and starts nothing: for commands that work on the data themselves. Embedded databases are migrated,
// and PostgreSQL when db.migrate says so. Close it after use.
func Open(ctx context.Context, c Config, o Options) (a *App, err error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	targets, err := module.ParseTargets(c.Target)
	if err != nil {
		return nil, err
	}
	if o.Clock == nil {
		o.Clock = clock.System()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	a = &App{Config: c, options: o, targets: targets, log: o.Log, clock: o.Clock, metrics: observe.NewMetrics()}
	if a.Backends, err = (opener{config: &a.Config, log: a.log, clock: a.clock, calls: newGuardMeter(a.metrics)}).open(ctx); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close(context.WithoutCancel(ctx)))
			a = nil
		}
	}()
	if err := a.build(); err != nil {
		return a, err
	}
	a.parts = append(a.modules(), o.Extra...)
	if err := a.buildOutbox(); err != nil {
		return a, err
	}
	if err := module.Check(a.parts); err != nil {
		return a, fault.Internal("the modules don't fit together").With(err)
	}
	for _, m := range a.parts {
		if m.Migrations != nil {
			if err := a.Backends.DB.RegisterTenant(m.Name, m.Migrations); err != nil {
				return a, err
			}
		}
	}
	// An embedded tenant's database is migrated when it is opened.
	if c.Embedded()[0] {
		err = a.MigrateSystem(ctx)
	} else if c.DB.Migrate {
		err = a.Migrate(ctx)
	}
	if err != nil {
		return a, err
	}
	a.Backends.Seal.Warm(scope.WithSystem(ctx)) // made now where there is none: inside a transaction of the system's it could not be
	return a, nil
}

// MigrateSystem brings the system database up to date. Several processes may do it at once.
func (a *App) MigrateSystem(ctx context.Context) error {
	for _, m := range a.parts {
		if m.SystemMigrations != nil {
			if err := a.Backends.DB.Migrate(ctx, m.Name, m.SystemMigrations); err != nil {
				return err
			}
		}
	}
	return nil
}

// Migrate brings the system database and every tenant's up to date. Several processes may do it at once.
func (a *App) Migrate(ctx context.Context) error {
	if err := a.MigrateSystem(ctx); err != nil {
		return err
	}
	return a.Backends.DB.MigrateTenants(ctx)
}

// Routes are the whole HTTP surface of the configuration's targets.
func (a *App) Routes() []module.Route {
	routes := serve.OpsRoutes()
	for _, m := range a.parts {
		for _, r := range m.Routes {
			if r.Target&a.targets != 0 {
				routes = append(routes, r)
			}
		}
	}
	return routes
}

// Start begins to work: runners first, then the door. It returns when requests are answered; ctx bounds the starting only.
func (a *App) Start(ctx context.Context) (err error) {
	if a.traces, err = observe.NewTraces(ctx, observe.TraceOptions{
		Endpoint: a.Config.Trace.Endpoint, Ratio: a.Config.Trace.Ratio, Service: "ward", Version: a.options.Version,
	}); err != nil {
		return err
	}
	var routes []module.Route
	for _, m := range a.parts {
		routes = append(routes, m.Routes...)
	}
	h := a.Config.HTTP
	get, protocols := a.certificates()
	behind, err := proxies.Parse(h.Proxies)
	if err != nil {
		return err
	}
	a.server, err = serve.New(serve.Deps{
		Routes: routes, Tenants: a.Tenants, Tokens: a.asked, Sessions: a.Sessions, Passwords: a.Secrets, Origins: a.OAuth, Audit: a.Audit, Checks: a.checks(), Metrics: a.metrics, Traces: a.traces, Log: a.log, Clock: a.clock,
		Lanes: a.lanes, Rate: a.rate(),
	}, serve.Options{
		Listen: h.Listen, OpsListen: h.OpsListen, Certificate: h.Certificate, Key: h.Key, Certificates: get, Protocols: protocols, Proxies: behind, Targets: a.targets,
		Timeouts: map[module.Lane]time.Duration{
			module.Urgent: h.UrgentTimeout, module.Interactive: h.InteractiveTimeout, module.Background: h.BackgroundTimeout,
		},
		HeaderTimeout: h.HeaderTimeout, ReadTimeout: h.ReadTimeout, WriteTimeout: h.WriteTimeout, IdleTimeout: h.IdleTimeout,
		DrainWait: h.DrainWait, DrainTimeout: h.DrainTimeout, LogSample: a.Config.Log.Sample, Profiles: h.Profiles,
	})
	if err != nil {
		return err
	}
	a.measure()
	a.runners = newSupervisor(context.WithoutCancel(ctx), a.log, a.metrics)
	for _, r := range runners(a.targets, a.parts) {
		a.runners.start(r.Name, r.Run)
	}
	if a.Config.Embedded()[0] {
		if a.control, err = a.listenControl(ctx); err != nil {
			return err
		}
	}
	if err := a.server.Start(ctx); err != nil {
		return err
	}
	at := a.server.Addr()
	a.listening.Store(&at)
	return nil
}

// checks are what /readyz asks. Only the database keeps a process from answering: without the others it is slower or
// delays what goes out.
func (a *App) checks() []serve.Check {
	return []serve.Check{
		{Name: "database", Critical: true, Check: a.Backends.DB.Check},
		{Name: "bus", Check: a.Backends.Bus.Check},
		{Name: "blobs", Check: func(ctx context.Context) error { return a.Backends.Blobs.Check(scope.WithSystem(ctx)) }},
	}
}

// Addr is where requests are answered, once started.
func (a *App) Addr() string { return a.server.Addr() }

// OpsAddr is where health, readiness and metrics are, once started.
func (a *App) OpsAddr() string { return a.server.OpsAddr() }

// Failed tells when a listener broke.
func (a *App) Failed() <-chan error { return a.server.Failed() }

// Stop drains: /readyz says no, requests in flight finish, runners and consumers end, the outbox is flushed, the backends close.
// ctx bounds all of it.
func (a *App) Stop(ctx context.Context) error {
	var errs []error
	if a.server != nil {
		errs = append(errs, a.server.Drain(ctx))
	}
	errs = append(errs, a.control.close(ctx))
	if a.runners != nil {
		errs = append(errs, a.runners.stop(ctx))
		if err := a.Outbox.Flush(ctx); err != nil { // nothing is lost: events stay in their tables
			a.log.WarnContext(ctx, "the outbox was not flushed", slog.Any("error", err))
		}
	}
	return errors.Join(append(errs, a.Close(ctx))...)
}

// Close closes what Open opened, at once. What the audit log still had in memory is written before.
func (a *App) Close(ctx context.Context) error {
	if a.hashes != nil {
		a.hashes.Close()
	}
	var errs []error
	if a.Audit != nil {
		errs = append(errs, a.Audit.Flush(ctx)) // what a command did that started nothing
	}
	if a.deafen != nil {
		a.deafen()
		a.deafen = nil
	}
	errs = append(errs, a.Backends.close(ctx))
	if a.server != nil {
		errs = append(errs, a.server.Close())
	}
	return errors.Join(append(errs, a.traces.Close(ctx))...)
}

// Run is a whole process: it starts, works until ctx ends or a listener breaks, drains and closes.
func Run(ctx context.Context, c Config, o Options) error {
	if err := c.checkListeners(); err != nil {
		return err
	}
	a, err := Open(ctx, c, o)
	if err != nil {
		return err
	}
	a.limitMemory()
	stopping := context.WithoutCancel(ctx)
	if o.Prepare != nil {
		err := o.Prepare(ctx, a)
		if ctx.Err() != nil {
			err = nil // told to stop before it was ready
		}
		if err != nil || ctx.Err() != nil {
			return errors.Join(err, a.Stop(stopping))
		}
	}
	if err := a.Start(ctx); err != nil {
		return errors.Join(err, a.Stop(stopping))
	}
	a.log.InfoContext(ctx, "ready", slog.String("listen", a.Addr()), slog.String("ops", a.OpsAddr()), slog.String("target", a.targets.String()), slog.String("version", o.Version))
	if o.Ready != nil {
		if err := o.Ready(ctx, a); err != nil {
			return errors.Join(err, a.Stop(stopping))
		}
	}
	var broken error
	select {
	case <-ctx.Done():
	case broken = <-a.Failed():
	}
	a.log.InfoContext(stopping, "draining")
	stopping, cancel := context.WithTimeout(stopping, c.HTTP.DrainWait+c.HTTP.DrainTimeout+10*time.Second)
	defer cancel()
	err = errors.Join(broken, a.Stop(stopping))
	a.log.InfoContext(stopping, "stopped")
	return err
}
