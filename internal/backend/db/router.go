package db

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"time"

	"ward/internal/base/clock"
	"ward/internal/base/fault"
)

// ErrMoved is in the chain of the Unavailable that a write gets which came to a database after its tenant had left it.
var ErrMoved = errors.New("db: the tenant has moved to another database")

// RouterDeps are what a [Router] works with. The zero value of the last two is a default.
type RouterDeps struct {
	Shared *DB // the system's, and that of the tenants without a home
	// Locate is the home of a tenant: "" is Shared, else a URL that Open understands. It is asked at every call, so it answers from memory.
	Locate func(ctx context.Context, tenant int32) (home string, err error)
	// Forget makes Locate look anew.
	Forget  func(tenant int32)
	Open    func(ctx context.Context, home string) (*DB, error)
	Clock   clock.Clock
	MaxOpen int           // homes open at once; default 64. More only while more are in use.
	Idle    time.Duration // a home without work so long is closed; default 10 minutes
}

// Router is the driver of several databases: the directory of tenants says which one holds a tenant, and a tenant's writes can be held
// while it changes from one to another. Homes are opened when they are first needed, and closed when they rest.
type Router struct {
	deps  RouterDeps
	stop  chan struct{}
	rests sync.WaitGroup

	mu    sync.Mutex
	homes map[string]*home
	lines []routedLine

	seatsMu sync.RWMutex
	seats   map[int32]*seat
}

type routedLine struct {
	domain string
	files  fs.FS
}

// home is one open database besides the shared one.
type home struct {
	ready chan struct{} // closed when db or err is set
	db    *DB
	err   error
	refs  int       // guarded by Router.mu
	used  time.Time // guarded by Router.mu
}

// seat is one tenant's writes.
type seat struct {
	mu      sync.Mutex
	writers int
	held    chan struct{} // not nil while writes wait; closed when they go on
	idle    chan struct{} // not nil when somebody waits for the writers to end
}

const (
	restEvery  = 30 * time.Second
	movedTries = 200
	movedPause = 20 * time.Millisecond
)

// NewRouter is a router; [New] makes a database of it. Closing that closes all homes and the shared one. The end of ctx does not end it.
func NewRouter(ctx context.Context, d RouterDeps) *Router {
	if d.MaxOpen <= 0 {
		d.MaxOpen = 64
	}
	if d.Idle <= 0 {
		d.Idle = 10 * time.Minute
	}
	if d.Clock == nil {
		d.Clock = clock.System()
	}
	r := &Router{deps: d, stop: make(chan struct{}), homes: map[string]*home{}, seats: map[int32]*seat{}}
	r.rests.Go(func() { r.rest(context.WithoutCancel(ctx)) })
	return r
}

// Dialect is the shared database's.
func (r *Router) Dialect() Dialect { return r.deps.Shared.Dialect() }

// DialectOf is that of the database that holds the place.
func (r *Router) DialectOf(ctx context.Context, at Place) (Dialect, error) {
	d, done, err := r.at(ctx, at)
	if err != nil {
		return Dialect{}, err
	}
	defer done()
	return d.Dialect(), nil
}

// Read is part of [Driver].
func (r *Router) Read(ctx context.Context, at Place, fn func(ctx context.Context, q Querier) error) error {
	d, done, err := r.at(ctx, at)
	if err != nil {
		return err
	}
	defer done()
	return d.driver.Read(ctx, at, fn)
}

// Snapshot is part of [Driver].
func (r *Router) Snapshot(ctx context.Context, at Place, fn func(ctx context.Context, q Querier) error) error {
	d, done, err := r.at(ctx, at)
	if err != nil {
		return err
	}
	defer done()
	return d.driver.Snapshot(ctx, at, fn)
}

// Write is part of [Driver]. It waits while the tenant's writes are held.
func (r *Router) Write(ctx context.Context, at Place, fn func(ctx context.Context, tx Tx) error) error {
	if at.System {
		return r.deps.Shared.driver.Write(ctx, at, fn)
	}
	s := r.seat(at.Tenant)
	for try := 0; ; try++ {
		err := r.writeOnce(ctx, s, at, fn)
		if !errors.Is(err, ErrMoved) || try == movedTries {
			return err
		}
		r.deps.Forget(at.Tenant) // another process moved it
		timer := time.NewTimer(movedPause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return Ended(ctx)
		}
	}
}

func (r *Router) writeOnce(ctx context.Context, s *seat, at Place, fn func(ctx context.Context, tx Tx) error) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	d, done, err := r.at(ctx, at) // after enter: what it says counts until leave
	if err != nil {
		return err
	}
	defer done()
	return d.driver.Write(ctx, at, fn)
}

// at is the database of a place, open until done.
func (r *Router) at(ctx context.Context, at Place) (d *DB, done func(), err error) {
	if at.System {
		return r.deps.Shared, nothing, nil
	}
	url, err := r.deps.Locate(ctx, at.Tenant)
	if err != nil {
		return nil, nil, err
	}
	return r.Home(ctx, url)
}

func nothing() {}

// Home is the database of a home, open until done is called; "" is the shared one.
func (r *Router) Home(ctx context.Context, url string) (d *DB, done func(), err error) {
	if url == "" {
		return r.deps.Shared, nothing, nil
	}
	r.mu.Lock()
	h := r.homes[url]
	if h == nil {
		h = &home{ready: make(chan struct{}), refs: 1}
		r.homes[url] = h
		r.mu.Unlock()
		r.open(context.WithoutCancel(ctx), url, h)
	} else {
		h.refs++
		r.mu.Unlock()
		select {
		case <-h.ready:
		case <-ctx.Done():
			r.release(h)
			return nil, nil, Ended(ctx)
		}
	}
	if h.err != nil {
		r.release(h)
		return nil, nil, h.err
	}
	return h.db, func() { r.release(h) }, nil
}

// open opens a home and brings its tables up to date, and closes others when there are too many. One that can't be opened is tried again by the next caller.
func (r *Router) open(ctx context.Context, url string, h *home) {
	h.db, h.err = r.deps.Open(ctx, url)
	if h.err == nil {
		h.err = r.equip(ctx, h.db)
		if h.err != nil {
			_ = h.db.Close(ctx)
		}
	}
	close(h.ready)
	r.mu.Lock()
	if h.err != nil {
		delete(r.homes, url)
	}
	out := r.spare(len(r.homes) - r.deps.MaxOpen)
	r.mu.Unlock()
	r.shut(ctx, out)
}

// equip gives a newly opened home the tenants' tables.
func (r *Router) equip(ctx context.Context, d *DB) error {
	r.mu.Lock()
	lines := r.lines
	r.mu.Unlock()
	for _, l := range lines {
		if err := d.RegisterTenant(l.domain, l.files); err != nil {
			return err
		}
	}
	if d.Dialect().Name == PostgreSQL { // a file is brought up to date when it is opened
		return d.MigrateTenants(ctx)
	}
	return nil
}

func (r *Router) release(h *home) {
	r.mu.Lock()
	h.refs--
	h.used = r.deps.Clock.Now()
	r.mu.Unlock()
}

// spare takes up to n homes out that nobody uses, those unused for longest first. r.mu is held.
func (r *Router) spare(n int) (out []*home) {
	for ; n > 0; n-- {
		oldest := ""
		for url, h := range r.homes {
			if h.refs == 0 && h.db != nil && (oldest == "" || h.used.Before(r.homes[oldest].used)) {
				oldest = url
			}
		}
		if oldest == "" {
			return out
		}
		out = append(out, r.homes[oldest])
		delete(r.homes, oldest)
	}
	return out
}

func (r *Router) shut(ctx context.Context, homes []*home) {
	for _, h := range homes {
		_ = h.db.Close(ctx) // nobody is inside
	}
}

// rest closes homes that nobody uses, until the router is closed.
func (r *Router) rest(ctx context.Context) {
	tick := time.NewTicker(restEvery)
	defer tick.Stop()
	for {
		select {
		case <-r.stop:
			return
		case <-tick.C:
			r.Tidy(ctx)
		}
	}
}

// Tidy closes the homes that have been without work for longer than [RouterDeps.Idle].
func (r *Router) Tidy(ctx context.Context) {
	r.mu.Lock()
	var out []*home
	for url, h := range r.homes {
		if h.refs == 0 && h.db != nil && r.deps.Clock.Now().Sub(h.used) > r.deps.Idle {
			out = append(out, h)
			delete(r.homes, url)
		}
	}
	r.mu.Unlock()
	r.shut(ctx, out)
}

// Open says how many homes are open.
func (r *Router) Open() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.homes)
}

func (r *Router) seat(tenant int32) *seat {
	r.seatsMu.RLock()
	s := r.seats[tenant]
	r.seatsMu.RUnlock()
	if s != nil {
		return s
	}
	r.seatsMu.Lock()
	defer r.seatsMu.Unlock()
	if s = r.seats[tenant]; s == nil {
		s = &seat{}
		r.seats[tenant] = s
	}
	return s
}

// Hold makes the tenant's writes of this process wait, and returns when none is under way any more; release lets them go on, wherever
// the tenant's home is then. When writes are still under way at the end of ctx they all go on, and the answer is Timeout or Canceled.
func (r *Router) Hold(ctx context.Context, tenant int32) (release func(), err error) {
	s := r.seat(tenant)
	s.mu.Lock()
	if s.held != nil {
		s.mu.Unlock()
		return nil, fault.Conflict("the tenant's writes are held already")
	}
	s.held = make(chan struct{})
	var idle chan struct{}
	if s.writers > 0 {
		idle = make(chan struct{})
		s.idle = idle
	}
	s.mu.Unlock()
	var once sync.Once
	release = func() {
		once.Do(func() {
			s.mu.Lock()
			close(s.held)
			s.held, s.idle = nil, nil
			s.mu.Unlock()
		})
	}
	if idle == nil {
		return release, nil
	}
	select {
	case <-idle:
		return release, nil
	case <-ctx.Done():
		release()
		return nil, Ended(ctx)
	}
}

func (s *seat) enter(ctx context.Context) error {
	for {
		s.mu.Lock()
		held := s.held
		if held == nil {
			s.writers++
			s.mu.Unlock()
			return nil
		}
		s.mu.Unlock()
		select {
		case <-held:
		case <-ctx.Done():
			return Ended(ctx)
		}
	}
}

func (s *seat) leave() {
	s.mu.Lock()
	if s.writers--; s.writers == 0 && s.idle != nil {
		close(s.idle)
		s.idle = nil
	}
	s.mu.Unlock()
}

// MigrateSystem is part of [Driver].
func (r *Router) MigrateSystem(ctx context.Context, line Line) error {
	return r.deps.Shared.driver.MigrateSystem(ctx, line)
}

// RegisterTenant is part of [Driver]; [Router.register] is what a database of a router calls, because each home reads the files in its dialect.
func (r *Router) RegisterTenant(line Line) error {
	return fault.Internal("db: a router takes files, not the line %s", line.Domain)
}

func (r *Router) register(domain string, files fs.FS) error {
	if err := r.deps.Shared.RegisterTenant(domain, files); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, routedLine{domain, files})
	return nil
}

// MigrateTenants is part of [Driver]: it brings up to date what is in the shared database. A home is brought up to date when it is opened.
func (r *Router) MigrateTenants(ctx context.Context) error {
	return r.deps.Shared.driver.MigrateTenants(ctx)
}

// Alter is part of [Driver].
func (r *Router) Alter(ctx context.Context, at Place, script string) error {
	d, done, err := r.at(ctx, at)
	if err != nil {
		return err
	}
	defer done()
	return d.driver.Alter(ctx, at, script)
}

// Discard is part of [Driver].
func (r *Router) Discard(ctx context.Context, at Place) (bool, error) {
	d, done, err := r.at(ctx, at)
	if err != nil {
		return false, err
	}
	defer done()
	return d.driver.Discard(ctx, at)
}

// Check is part of [Driver]: a home that is down is its tenants' misfortune, not the process's.
func (r *Router) Check(ctx context.Context) error { return r.deps.Shared.driver.Check(ctx) }

// Stats is part of [Driver]: those of the shared database and of the homes that are open.
func (r *Router) Stats() Stats {
	s := r.deps.Shared.driver.Stats()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, h := range r.homes {
		select {
		case <-h.ready:
		default:
			continue
		}
		if h.err != nil {
			continue
		}
		o := h.db.driver.Stats()
		s.Commits += o.Commits
		s.Retries += o.Retries
		s.Connections += o.Connections
		s.Idle += o.Idle
		s.Waits += o.Waits
		s.Waited += o.Waited
		s.OpenFiles += o.OpenFiles
		s.Closed += o.Closed
		s.Checkpoints += o.Checkpoints
		s.WALPages = max(s.WALPages, o.WALPages)
	}
	return s
}

// Close closes all homes, then the shared database.
func (r *Router) Close(ctx context.Context) error {
	close(r.stop)
	r.rests.Wait()
	r.mu.Lock()
	homes := r.homes
	r.homes = map[string]*home{}
	r.mu.Unlock()
	var errs []error
	for _, h := range homes {
		<-h.ready
		if h.err == nil {
			errs = append(errs, h.db.Close(ctx))
		}
	}
	return errors.Join(append(errs, r.deps.Shared.Close(ctx))...)
}
