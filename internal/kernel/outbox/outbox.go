package outbox

import (
	"context"
	"embed"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"ward/internal/backend/bus"
	"ward/internal/backend/db"
	"ward/internal/base/clock"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/kernel/module"
	"ward/internal/kernel/seal"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Config tunes the outbox. The zero value of a field takes the default beside it.
type Config struct {
	Backoff     []time.Duration // before the second, third, ... attempt of a consumer; 1 s, 5 s, 30 s, 2 min, 10 min
	Concurrency int             // of each consumer in this process; 4
	SweepRate   int             // tenants looked at in a second; 20
	SweepEvery  time.Duration   // from the end of a sweep to the next, where other processes write too; 10 min
	StreamBytes int64           // of the stream on disk; beyond it events wait in their tables; 1 GB
}

// Deps are what an outbox works with.
type Deps struct {
	DB        *db.DB
	Bus       *bus.Bus
	Keys      Keys // what events are sealed with
	Clock     clock.Clock
	Logger    *slog.Logger
	Metrics   Metrics                                           // nil for none
	Consumers []module.Consumer                                 // of all modules, whatever this process runs
	Tenants   func(ctx context.Context) ([]scope.Tenant, error) // all of them; asked at each sweep and for a tenant that is new
}

// Metrics hears what the outbox does. It must not block.
type Metrics interface {
	Enqueued(events int)
	Published(events, messages int)
	// Handled reports one event: outcome is "ok", "failed" or "dead".
	Handled(consumer, outcome string, took time.Duration)
}

// Outbox is safe for use by many goroutines.
type Outbox struct {
	config    Config
	deps      Deps
	consumers []consumer
	wanted    sync.Map // subject → bool

	relays  relays
	ready   atomic.Bool // the stream and all durable consumers are there
	tenants tenants

	preparing sync.Mutex
	looks     []time.Duration
}

type consumer struct {
	module.Consumer
	durable string
}

const (
	stream        = "WARD_EVENTS"
	subjectPrefix = "ward.event."

	// MaxData is the most bytes of an event's data. An event names what changed; it does not carry it.
	MaxData = 32 << 10
)

// New makes the outbox for the modules' consumers.
//
// Errors: Internal when a consumer's name or subject can't be one, or a name is there twice.
func New(config Config, deps Deps) (*Outbox, error) {
	if config.SweepRate <= 0 {
		config.SweepRate = 20
	}
	if config.SweepEvery <= 0 {
		config.SweepEvery = 10 * time.Minute
	}
	if deps.Clock == nil {
		deps.Clock = clock.System()
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	if deps.Metrics == nil {
		deps.Metrics = silent{}
	}
	o := &Outbox{config: config, deps: deps, looks: looks()}
	o.relays.at = map[int32]*relay{}
	o.relays.publishing = make(chan struct{}, publishersAtOnce)
	names := map[string]bool{}
	for _, c := range deps.Consumers {
		durable := strings.ReplaceAll(c.Name, ".", "_")
		if durable == "" || strings.Trim(strings.ToLower(durable), "abcdefghijklmnopqrstuvwxyz0123456789_-") != "" || len(durable) > 64 {
			return nil, fault.Internal("the consumer's name %q must be 1 to 64 of A-Z a-z 0-9 . _ -", c.Name)
		}
		if names[durable] {
			return nil, fault.Internal("the consumer's name %q is there twice", c.Name)
		}
		names[durable] = true
		if err := checkSubject(c.Subject, true); err != nil {
			return nil, err
		}
		if c.Handle == nil {
			return nil, fault.Internal("the consumer %q has no Handle", c.Name)
		}
		o.consumers = append(o.consumers, consumer{c, durable})
	}
	return o, nil
}

// Module is the outbox's tables and runners: the relay in every process, the consumers in workers.
func (o *Outbox) Module() module.Module {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return module.Module{
		Name: "outbox", Migrations: files,
		Runners: []module.Runner{
			{Name: "outbox.relay", Target: module.All, Run: o.Relay},
			{Name: "outbox.consumers", Target: module.Worker, Run: o.Consume},
		},
	}
}

// Wants says whether anybody consumes the subject. Where nobody does, Enqueue writes nothing, and there is no need to build the event.
func (o *Outbox) Wants(subject string) bool {
	if w, ok := o.wanted.Load(subject); ok {
		return w.(bool) //nolint:forcetypeassert // only bools are stored
	}
	w := false
	for i := range o.consumers {
		w = w || matches(o.consumers[i].Subject, subject)
	}
	o.wanted.Store(subject, w)
	return w
}

// Enqueue writes the events that somebody wants into the tenant's outbox, as part of tx: one row each, one statement for all. Subject and Data of each count;
// the rest is filled in for the consumers. Call [Outbox.Wake] after the commit to have them published at once; else they are within milliseconds.
//
// Errors: Internal for a scope without a tenant or a subject that is not one, TooLarge for data of more than MaxData bytes, the
// database's own.
func (o *Outbox) Enqueue(ctx context.Context, tx db.Tx, events ...module.Event) error {
	s, _ := scope.From(ctx)
	var key *seal.Key
	var ids, data [][]byte
	var subjects []string
	for i := range events {
		e := &events[i]
		if !o.Wants(e.Subject) {
			continue
		}
		if err := checkSubject(e.Subject, false); err != nil {
			return err
		}
		if len(e.Data) > MaxData {
			return fault.TooLarge("an event of %s has %d bytes: it may have %d, names and ids only", e.Subject, len(e.Data), MaxData)
		}
		id, err := newEventID()
		if err != nil {
			return err
		}
		if s.Tenant.ID <= 0 {
			return fault.Internal("an event belongs to a tenant: the scope has none")
		}
		if key == nil {
			if key, err = o.deps.Keys.For(ctx); err != nil {
				return err
			}
		}
		sealed := key.Seal(make([]byte, 0, len(e.Data)+seal.Overhead), e.Data, label(id))
		ids, subjects, data = append(ids, id[:]), append(subjects, e.Subject), append(data, sealed)
	}
	if len(ids) == 0 {
		return nil
	}
	if _, err := tx.Insert(ctx, "outbox_event", db.Col("id", ids), db.Col("consumer", make([]string, len(ids))), db.Col("subject", subjects), db.Col("data", data)); err != nil {
		return err
	}
	o.deps.Metrics.Enqueued(len(ids))
	o.relays.signal(o, s.Tenant, false)
	return nil
}

// Wake has the events of the scope's tenant published now. Call it after the commit of a transaction that enqueued; it costs nothing when
// nothing was.
func (o *Outbox) Wake(ctx context.Context) {
	if s, ok := scope.From(ctx); ok && s.Tenant.ID > 0 {
		o.relays.signal(o, s.Tenant, true)
	}
}

// First says whether the consumer sees the event for the first time, and remembers it as part of tx: when tx commits, First says no to the same
// event for two weeks. A consumer that calls it first in the transaction that does its work does the work once.
func (o *Outbox) First(ctx context.Context, tx db.Tx, consumer string, e module.Event) (bool, error) {
	id, err := parseEventID(e.ID)
	if err != nil {
		return false, err
	}
	if id[15]&127 == 0 { // now and then
		if _, err := tx.Exec(ctx, "DELETE FROM outbox_seen WHERE consumer = $1 AND id < $2", consumer, before(o.deps.Clock.Now().Add(-seenFor))); err != nil {
			return false, err
		}
	}
	n, err := tx.InsertNew(ctx, "outbox_seen", db.Col("consumer", []string{consumer}), db.Col("id", [][]byte{id[:]}))
	return n == 1, err
}

const seenFor = 14 * 24 * time.Hour // longer than the stream keeps a message

type silent struct{}

func (silent) Enqueued(int)                          {}
func (silent) Published(int, int)                    {}
func (silent) Handled(string, string, time.Duration) {}
