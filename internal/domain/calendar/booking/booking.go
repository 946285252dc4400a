package booking

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"ward/internal/backend/db"
	"ward/internal/base/clock"
	"ward/internal/base/scope"
	"ward/internal/domain/calendar/alarm"
	"ward/internal/domain/calendar/events"
	"ward/internal/domain/calendar/reminder"
	"ward/internal/domain/calendar/sight"
	"ward/internal/kernel/audit"
	"ward/internal/kernel/seal"
)

// Service computes when somebody can be seen, and holds, books, moves and cancels visits, for all tenants: the scope in each call's context
// says whose.
//
// A visit has parties: the patient, the clinician, and perhaps a room, an interpreter, a device. Each has its time claimed, all or none (claim.go).
// What the tables say and what the records say about it, Appointments, Slots and Schedules, is written in one transaction. The
// acts that wait together share one (act.go).
type Service struct {
	deps      Deps
	batcher   *db.Batcher[*act]
	reminders reminder.Queue
	known     rulesCache
	fresh     freshRules
	due       dueTimes
}

// Deps is what booking is built on.
type Deps struct {
	DB      *db.DB
	Clock   clock.Clock
	Log     *slog.Logger
	Records Records
	Sight   sight.Finder    // whom the caller may see
	Events  *events.Service // in whose windows visits appear
	Alarms  *alarm.Service  // whose reminders the clockwork sends with its own; nil: none
	Audit   Audit
	Limits  func(ctx context.Context) (Limits, error)         // of the tenant; nil, and zero fields: the defaults
	Keys    Keys                                              // what bodies are sealed with
	Tenants func(ctx context.Context) ([]scope.Tenant, error) // all of them, for work behind the scenes
	BaseURL string                                            // what URLs in answers begin with, without the tenant; empty: taken from the request
	Senders map[string]reminder.Sender                        // by channel: "email", "sms", "push"
}

// Records is the record store, as far as booking needs it.
type Records interface {
	// Read is a resource's current version. Errors: NotFound, Gone.
	Read(ctx context.Context, typ, id string) ([]byte, error)
	// Matching are the resources of a type that meet FHIR search criteria, at most so many.
	Matching(ctx context.Context, typ, criteria string, most int) ([][]byte, error)
	// Join begins writes that take part in a transaction of booking's. It is not called inside one.
	Join(ctx context.Context) (Joint, error)
	// WriteJoint writes what the joints have staged, inside the transaction.
	WriteJoint(ctx context.Context, tx db.Tx, joints []Joint) error
}

// Joint is one act's writes to the records.
type Joint interface {
	// Stage says what WriteJoint writes: types[i]/ids[i] will be bodies[i], or be deleted where that is nil.
	Stage(types, ids []string, bodies [][]byte)
	// Stored is what was staged as it is stored, with its versions.
	Stored() [][]byte
	// Done is called after the transaction that ended with err, before anything is acknowledged.
	Done(ctx context.Context, err error) error
}

// Keys gives the key of the scope's tenant; kernel/seal's Keys is one.
type Keys interface {
	For(ctx context.Context) (*seal.Key, error)
}

// Audit is the tenant's log of what was done.
type Audit interface {
	Record(ctx context.Context, e audit.Event) error
	RecordIn(ctx context.Context, tx db.Tx, events ...audit.Event) error
}

// New makes it. It reads nothing yet.
func New(d Deps) *Service {
	b := &Service{deps: d, reminders: reminder.Queue{DB: d.DB, Clock: d.Clock, Log: d.Log, Senders: d.Senders}}
	b.known.kept = map[rulesKey]keptRules{}
	b.fresh.clock, b.fresh.kept = d.Clock, map[rulesKey]freshEntry{}
	b.due.at = map[int32]time.Time{}
	// One transaction at a time: what is in it is decided in memory, and those of other processes are met by the claims' key.
	b.batcher = db.NewBatcher(d.DB, b.apply, db.BatcherOptions{MaxItems: 256, Flights: 1})
	return b
}

// state is what a booking is. The numbers are stored.
type state int32

const (
	held      state = 1
	booked    state = 2
	cancelled state = 3
	expired   state = 4
)

// booking is one row of calendar_booking.
type booking struct {
	id      string // also the Appointment's
	state   state
	starts  int64 // seconds
	ends    int64
	expires int64 // of a hold
	detail
}

// detail is the body of a booking. It holds ids, times and codes; what people wrote is in the Appointment.
type detail struct {
	Schedule  string   `json:"schedule"` // of the clinician or whoever leads; an availability's id
	Service   string   `json:"service"`
	Zone      string   `json:"zone"`
	Patient   string   `json:"patient,omitempty"` // FHIR reference; a hold may have none yet
	Claims    []claim  `json:"claims"`
	Schedules []string `json:"schedules,omitempty"` // of the parties that have one, the leading one first
	Slots     []string `json:"slots,omitempty"`     // one for each
	State     string   `json:"state,omitempty"`     // where the patient will be, such as "NY"
	Licensed  []string `json:"licensed,omitempty"`  // practitioners who must be licensed there
	Extra     bool     `json:"extra,omitempty"`     // booked deliberately beyond the seats
	Waiting   string   `json:"waiting,omitempty"`   // the waitlist's entry that the hold is offered to
	Version   int64    `json:"version,omitempty"`   // how often it was booked and moved
	By        string   `json:"by,omitempty"`        // who holds it
	Given     []byte   `json:"given,omitempty"`     // of a hold: the Appointment as it was asked for, for $book
}

// lead is the party that the visit is with.
func (d *detail) lead() string {
	for _, c := range d.Claims {
		if c.Party != d.Patient {
			return c.Party
		}
	}
	return ""
}

// rulesCache keeps parsed availabilities and services by the version that is stored.
type rulesCache struct {
	mu   sync.Mutex
	kept map[rulesKey]keptRules
}

type rulesKey struct {
	tenant int32
	kind   byte
	id     string
}

type keptRules struct {
	version int64
	value   any
}

func (c *rulesCache) get(ctx context.Context, kind byte, id string, version int64) any {
	sc, _ := scope.From(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.kept[rulesKey{sc.Tenant.ID, kind, id}]; k.value != nil && k.version == version {
		return k.value
	}
	return nil
}

func (c *rulesCache) put(ctx context.Context, kind byte, id string, version int64, value any) {
	const most = 20_000
	sc, _ := scope.From(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.kept) >= most {
		clear(c.kept)
	}
	c.kept[rulesKey{sc.Tenant.ID, kind, id}] = keptRules{version, value}
}

// freshFor is how long what was read of rules is taken for granted: a rush asks for the same ones. A change is seen within this time, whichever process
// made it.
const freshFor = time.Second

// freshRules are what queries gave a moment ago.
type freshRules struct {
	clock clock.Clock
	mu    sync.Mutex
	kept  map[rulesKey]freshEntry
}

type freshEntry struct {
	read  time.Time
	value any
}

// fresh gives what was read under the key a moment ago, else what read gives.
func fresh[T any](ctx context.Context, f *freshRules, kind byte, id string, read func() (T, error)) (T, error) {
	sc, _ := scope.From(ctx)
	key, now := rulesKey{sc.Tenant.ID, kind, id}, f.clock.Now()
	f.mu.Lock()
	e, ok := f.kept[key]
	f.mu.Unlock()
	if age := now.Sub(e.read); ok && age >= 0 && age < freshFor {
		return e.value.(T), nil //nolint:forcetypeassert // of one kind are values of one type
	}
	value, err := read()
	if err != nil {
		return value, err
	}
	const most = 20_000
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.kept) >= most {
		clear(f.kept)
	}
	f.kept[key] = freshEntry{now, value}
	return value, nil
}

// forget makes the next reads ask the database.
func (f *freshRules) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.kept)
}

// asSystem is ctx with the rights of the system: what a rule must know, whoever asks need not see.
func asSystem(ctx context.Context) context.Context {
	sc, _ := scope.From(ctx)
	return scope.WithTenant(ctx, sc.Tenant)
}
