package events

import (
	"context"
	"embed"
	"io/fs"
	"net/http"
	"sync/atomic"
	"time"

	"ward/internal/backend/cache"
	"ward/internal/backend/db"
	"ward/internal/base/clock"
	"ward/internal/domain/calendar/sight"
	"ward/internal/kernel/access"
	"ward/internal/kernel/audit"
	"ward/internal/kernel/module"
	"ward/internal/kernel/seal"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// Migrations is the SQL of the events' tables, for the tenants' databases.
func Migrations() fs.FS {
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		panic(err) // the folder is embedded above
	}
	return files
}

// Keys gives the key of the scope's tenant; kernel/seal's Keys is one.
type Keys interface {
	For(ctx context.Context) (*seal.Key, error)
}

// Audit is where it is recorded who saw and changed what; kernel/audit's Log is one.
type Audit interface {
	Record(ctx context.Context, e audit.Event) error
	// RecordEven takes the event also while away says that the database can't be reached.
	RecordEven(ctx context.Context, e audit.Event, away func(ctx context.Context) bool) error
	RecordIn(ctx context.Context, tx db.Tx, list ...audit.Event) error
}

// Deps are what the events are kept with.
type Deps struct {
	DB    *db.DB
	Cache *cache.Cache // nil: every window is read from the database
	Keys  Keys
	Clock clock.Clock
	Audit Audit // nil: nothing is recorded

	Alarms Alarms // nil: nobody is reminded of events

	// Cohort gives the subscribers of a cohort that the caller may see: kind is group, panel, organization or search, value the id, the
	// reference or the criteria. It gives at most one more than most.
	Cohort func(ctx context.Context, kind, value string, most int) ([]string, error)
	// Visible fails with NotFound unless the caller may see the charts of all these patients. It answers from memory for callers who may
	// see everybody's.
	Visible func(ctx context.Context, patients []string) error
	// Sight gives whom the caller sees: of events with others, that somebody is busy is all that is shown. nil: all see everybody.
	Sight sight.Finder
	// SightTag is invalidated when it changes whom callers see, other than by what Print of their sight says.
	SightTag cache.Tag
	// Organization is the reference of the organisation to which new events belong that programs put into a subscriber's calendar: no file says
	// it. nil: programs can put none.
	Organization func(ctx context.Context, subscriber string) (string, error)
}

// Service is the events of all tenants: the scope in each call's context says whose.
type Service struct {
	deps Deps

	reads, queries atomic.Int64
	lost           atomic.Uint64 // raised when the second tier did not answer, or not as it should
	mismatches     mismatches
	numbers        numbers
	outages        outages
	away           atomic.Bool // some tenant's database was, once
}

// New is the events' service.
func New(d Deps) *Service { return &Service{deps: d} }

// Stats are totals since the start.
type Stats struct {
	Reads   int64 // windows, events and syncs that were answered
	Queries int64 // statements that those sent to the database; not those that found who is in a cohort
}

// Stats gives the totals.
func (s *Service) Stats() Stats { return Stats{s.reads.Load(), s.queries.Load()} }

// events reads events by their ids.
func (s *Service) events(ctx context.Context, ids []string) (have map[string]stored, err error) {
	key, err := s.deps.Keys.For(ctx)
	if err != nil {
		return nil, err
	}
	s.queries.Add(1)
	err = s.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) error {
		have, err = s.load(ctx, q, key, ids)
		return err
	})
	return have, err
}

// Module is what the events bring to the product.
func (s *Service) Module() module.Module {
	m := module.Module{Name: "calendar", Migrations: Migrations()}
	const (
		base        = module.TenantPrefix + "calendar/"
		read, write = access.CalendarRead, access.CalendarWrite
	)
	quick, fair := 250*time.Millisecond, time.Second
	for _, r := range []struct {
		method, path, permission string
		latency                  time.Duration
		summary                  string
		handle                   func(w http.ResponseWriter, r *http.Request) error
	}{
		{"GET", "events", read, fair, "A window of calendars: occurrences, counts, busy times", s.handleWindow},
		{"POST", "events", write, quick, "Create an event", s.handleCreate},
		{"GET", "events/{id}", read, quick, "Read an event", s.handleRead},
		{"PUT", "events/{id}", write, quick, "Replace an event", s.handleUpdate},
		{"DELETE", "events/{id}", write, quick, "Delete an event", s.handleDelete},
		{"POST", "events/{id}/$edit", write, quick, "Change one occurrence, it and those after it, or all", s.handleEdit},
		{"GET", "sync", read, quick, "What changed in a calendar since a token", s.handleSync},
	} {
		m.Routes = append(m.Routes, module.Route{
			Method: r.method, Pattern: base + r.path, Target: module.API, Lane: module.Interactive, Permission: r.permission, BodyLimit: 1 << 20,
			Objective: module.Objective{Percentile: 0.95, Latency: r.latency}, Summary: r.summary, Handler: r.handle,
		})
	}
	exchange := module.Route{
		Method: "GET", Pattern: base + "events.ics", Target: module.API, Lane: module.Background, Permission: read, BodyLimit: 1 << 20,
		Objective: module.Objective{Percentile: 0.95, Latency: 5 * time.Second}, Summary: "A calendar as iCalendar", Handler: s.handleExport,
	}
	m.Routes = append(m.Routes, exchange)
	exchange.Method, exchange.Pattern, exchange.Permission, exchange.BodyLimit = "POST", base+"import", write, importLimit
	exchange.Summary, exchange.Handler = "Import an iCalendar file, all or nothing", s.handleImport
	m.Routes = append(m.Routes, exchange)
	return m
}
