package audit

import (
	"context"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"ward/internal/backend/blob"
	"ward/internal/backend/db"
	"ward/internal/base/clock"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/kernel/observe"
	"ward/internal/kernel/seal"
)

// Deps are what a log works with.
type Deps struct {
	DB     *db.DB
	Secret []byte // 32 bytes, the same in every process: the signing key is derived from it
	Keys   Keys   // of tenants: events are sealed, and salts derived, with them; nil: events are in the clear, and salts are derived from Secret

	Clock     clock.Clock                                       // default: the machine's
	Log       *slog.Logger                                      // default: none
	Blobs     *blob.Store                                       // where checkpoints go; nil: none are made
	Tenants   func(ctx context.Context) ([]scope.Tenant, error) // whose checkpoints are made; nil: none
	Parameter func(name string) bool                            // says whether a search parameter's name is one; nil: none is
	// Emergency says whether the principal could see any of the patients only because they were opened in an emergency. It answers from
	// memory. nil: nobody could.
	Emergency func(tenant int32, by *scope.Principal, patients []string) bool
	Site      string        // who recorded, in AuditEvent.source; default "ward"
	Lag       time.Duration // how long a read's event waits for others; default 500 ms
}

// maxLag is how far the log may be behind: who records when it is more writes what waits first.
const maxLag = time.Second

// maxWaiting is how many events of one tenant wait while the database does not take them.
const maxWaiting = 100_000

// Log writes events. It is safe for use by many goroutines.
type Log struct {
	deps   Deps
	lane   int64
	number atomic.Int64 // of the last group
	key    ed25519.PrivateKey
	keyID  [keyIDSize]byte

	mu      sync.RWMutex
	trails  map[int32]*trail // by tenant; 0 is the system's
	repeats repeats
	batches batches
}

// trail is one tenant's log in this process.
type trail struct {
	log    *Log
	scope  scope.Scope
	tenant int32
	bound  int32  // the number that the tenant was made with, which hashes and signatures are bound to: after an import its number is another
	salts  []salt // the first is of what is recorded now, others are of before

	mu      sync.Mutex
	waiting []*batch
	waits   int       // events in them
	known   []known   // texts of the newest batch
	since   time.Time // when the oldest of what waits came
	covered []covered // groups that are committed and in no link yet

	linking sync.Mutex // held by who writes a link
	head    *head      // of the lane; nil when it must be read
}

// New is a log. It reads nothing yet.
func New(d Deps) (*Log, error) {
	if len(d.Secret) < 16 {
		return nil, fault.Internal("the audit log needs a secret of at least 16 bytes")
	}
	if d.Clock == nil {
		d.Clock = clock.System()
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Site == "" {
		d.Site = "ward"
	}
	if d.Lag <= 0 {
		d.Lag = maxLag / 2
	}
	seed, err := hkdf.Key(sha256.New, d.Secret, nil, "ward audit signatures", ed25519.SeedSize)
	if err != nil {
		return nil, fault.Internal("the audit log's key can't be derived").With(err)
	}
	l := &Log{deps: d, lane: 1, key: ed25519.NewKeyFromSeed(seed), trails: map[int32]*trail{}}
	l.batches.hashing = maphash.MakeSeed()
	l.keyID = keyID(l.PublicKey())
	if d.DB.Dialect().Name != db.SQLite { // an embedded database has one process
		var b [8]byte
		_, _ = rand.Read(b[:]) // never fails since Go 1.24
		l.lane = int64(binary.BigEndian.Uint64(b[:]) >> 2)
	}
	l.number.Store(d.Clock.Now().UnixMicro()) // more than any of an earlier process
	l.repeats.start()
	return l, nil
}

// PublicKey verifies the signatures of links and checkpoints.
func (l *Log) PublicKey() ed25519.PublicKey {
	key, _ := l.key.Public().(ed25519.PublicKey)
	return key
}

// trail is that of the tenant, or the system, that ctx's scope names.
func (l *Log) trail(ctx context.Context) (*trail, scope.Scope, error) {
	s, ok := scope.From(ctx)
	if !ok || !s.Valid() {
		return nil, s, fault.Internal("an audit event belongs to a tenant: the context has none")
	}
	number := s.Tenant.ID
	if s.System {
		number = 0
	}
	l.mu.RLock()
	t := l.trails[number]
	l.mu.RUnlock()
	if t != nil {
		return t, s, nil
	}
	bound, salts, err := l.salts(ctx, number)
	if err != nil {
		return nil, s, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if t = l.trails[number]; t == nil {
		own := scope.Scope{Tenant: s.Tenant, System: s.System, Principal: scope.Principal{ID: "system", Role: "system"}}
		if s.System {
			own.Tenant = scope.Tenant{}
		}
		t = &trail{log: l, scope: own, tenant: number, bound: bound, salts: salts}
		l.trails[number] = t
	}
	return t, s, nil
}

// Keys gives the key of the scope's tenant; kernel/seal's Keys is one.
type Keys interface {
	For(ctx context.Context) (*seal.Key, error)
}

// salts are those of the tenant that ctx's scope names, and the number that it is bound to.
func (l *Log) salts(ctx context.Context, number int32) (bound int32, salts []salt, err error) {
	before, err := newSalt(l.deps.Secret, number)
	if err != nil {
		return 0, nil, fault.Internal("the audit log's salt can't be derived").With(err)
	}
	if l.deps.Keys == nil {
		return number, []salt{before}, nil
	}
	key, err := l.deps.Keys.For(ctx)
	if err != nil {
		return 0, nil, err
	}
	own, err := key.Derive("ward audit salt")
	return key.Bound(), []salt{own, before}, err
}

// key is that of the trail's tenant, nil where events are not sealed.
func (t *trail) key(ctx context.Context) (*seal.Key, error) {
	if t.log.deps.Keys == nil {
		return nil, nil
	}
	return t.log.deps.Keys.For(scope.With(ctx, t.scope))
}

// fill adds what the context says.
func (l *Log) fill(ctx context.Context, s *scope.Scope, e *Event) {
	if e.Time.IsZero() {
		e.Time = l.deps.Clock.Now()
	}
	if e.By.ID == "" {
		e.By = s.Principal
	}
	if l.deps.Emergency != nil && len(e.Patients) > 0 && !e.Emergency {
		e.Emergency = l.deps.Emergency(s.Tenant.ID, &e.By, e.Patients)
	}
	if e.Request == "" || e.Address == "" {
		if q, ok := observe.RequestFrom(ctx); ok {
			if e.Request == "" {
				e.Request = q.ID
			}
			if e.Address == "" {
				e.Address = q.Address
			}
		}
	}
}

// Record takes the event of something that wrote nothing: it is in the log within a second, and at the latest when the process stops cleanly. The
// scope of ctx says in whose log; the system's takes what belongs to no tenant.
//
// Errors: Unavailable when the log can't be written and is behind by more than it may be: what was to be recorded must then not be
// done. Internal for a context without a scope.
func (l *Log) Record(ctx context.Context, e Event) error {
	t, behind, err := l.note(ctx, e)
	if err != nil {
		return err
	}
	if behind <= maxLag || db.InWrite(ctx) { // who is inside a transaction must not wait for another one
		return nil
	}
	if err := t.flush(context.WithoutCancel(ctx)); err != nil {
		return errBehind(err)
	}
	return nil
}

// RecordEven is Record for what may be shown although the database can't be reached, which away says: the event then waits in memory, among
// 100,000 at most, and is in the log when the database is back. What a process that is killed meanwhile still had is lost. So it is for what clinicians
// need while the database is away, and only that.
//
// Errors: as Record.
func (l *Log) RecordEven(ctx context.Context, e Event, away func(ctx context.Context) bool) error {
	t, behind, err := l.note(ctx, e)
	if err != nil {
		return err
	}
	if behind <= maxLag || db.InWrite(ctx) || away(ctx) {
		return nil
	}
	if err := t.flush(context.WithoutCancel(ctx)); err != nil && !away(ctx) {
		return errBehind(err)
	}
	return nil
}

// note puts the event among those that wait, and says for how long the oldest has.
func (l *Log) note(ctx context.Context, e Event) (*trail, time.Duration, error) {
	t, s, err := l.trail(ctx)
	if err != nil {
		return nil, 0, err
	}
	l.fill(ctx, &s, &e)
	now := l.deps.Clock.Now()
	t.guard(&e)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.waits >= maxWaiting {
		return nil, 0, errBehind(nil)
	}
	if len(t.waiting) == 0 && len(t.covered) == 0 {
		t.since = now
	}
	last := len(t.waiting) - 1
	if last < 0 || t.waiting[last].n >= mostInGroup {
		if t.known == nil {
			t.known = make([]known, knownByTrail)
		}
		t.waiting = append(t.waiting, l.batches.take(t.salts[0], now, t.known))
		last++
	}
	t.waiting[last].add(&e)
	t.waits++
	return t, now.Sub(t.since), nil
}

func errBehind(cause error) error {
	f := fault.Unavailable("what is done can't be recorded at the moment, so it is not done").Retry(2 * time.Second)
	if cause != nil {
		return f.With(cause)
	}
	return f
}

// RecordIn writes the events as part of tx: they are in the log if and only if tx commits. ctx is that of the function of Write. Where the context's
// principal is not who did it, each event's By says who.
//
// Errors: Internal for a context without a scope, the database's own.
func (l *Log) RecordIn(ctx context.Context, tx db.Tx, events ...Event) error {
	if len(events) == 0 {
		return nil
	}
	t, s, err := l.trail(ctx)
	if err != nil {
		return err
	}
	now := l.deps.Clock.Now()
	for i := range events {
		e := &events[i]
		if e.Time.IsZero() {
			e.Time = now
		}
		l.fill(ctx, &s, e)
	}
	var (
		all        []*batch
		remembered = make([]known, knownByWrite)
	)
	for i := range events {
		if i%mostInGroup == 0 {
			all = append(all, l.batches.take(t.salts[0], now, remembered))
		}
		e := events[i] // the caller's may come again
		t.guard(&e)
		all[len(all)-1].add(&e)
	}
	groups, err := t.write(ctx, tx, now, all)
	l.batches.give(all)
	if err != nil {
		return err
	}
	if !db.AfterCommit(ctx, func() { t.cover(now, groups) }) {
		return fault.Internal("audit.RecordIn is called outside of the function of Write")
	}
	return nil
}

// write adds the batches and their index.
func (t *trail) write(ctx context.Context, tx db.Tx, now time.Time, all []*batch) ([]covered, error) {
	var (
		out                             []covered
		at, lane, number                []int64
		bodies                          [][]byte
		keys, keyAt, keyLane, keyNumber []int64
		millis                          = now.UnixMilli()
	)
	key, err := t.key(ctx)
	if err != nil {
		return nil, err
	}
	for _, b := range all {
		g := group{place: place{at: millis, lane: t.log.lane, number: t.log.number.Add(1)}}
		g.fill(key, b.body(millis))
		out = append(out, covered{place: g.place, digest: g.digest(t.bound)})
		at, lane, number, bodies = append(at, g.at), append(lane, g.lane), append(number, g.number), append(bodies, g.body)
		for _, k := range b.index() {
			keys, keyAt, keyLane, keyNumber = append(keys, k), append(keyAt, g.at), append(keyLane, g.lane), append(keyNumber, g.number)
		}
	}
	if _, err := tx.Insert(ctx, "audit_event", db.Col("at", at), db.Col("lane", lane), db.Col("number", number), db.Col("body", bodies)); err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return out, nil
	}
	_, err = tx.Insert(ctx, "audit_index", db.Col("key", keys), db.Col("at", keyAt), db.Col("lane", keyLane), db.Col("number", keyNumber))
	return out, err
}

// guard replaces the query by commitments, and bounds what callers give.
func (t *trail) guard(e *Event) {
	if e.Query != "" {
		e.Query = t.salts[0].commitQuery(e.Query, t.log.deps.Parameter)
	}
	if len(e.Detail) > 100 {
		e.Detail = e.Detail[:100]
	}
	if len(e.Request) > 64 {
		e.Request = e.Request[:64]
	}
}

// cover takes note of groups that are committed, for the next link.
func (t *trail) cover(now time.Time, groups []covered) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting) == 0 && len(t.covered) == 0 {
		t.since = now
	}
	t.covered = append(t.covered, groups...)
}
