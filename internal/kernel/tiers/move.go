package tiers

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/id"
	"ward/internal/kernel/audit"
	"ward/internal/kernel/tenancy"
	"ward/internal/kernel/transfer"
)

// Place is where a tenant is to be.
type Place struct {
	Tier string // tenancy.Pooled or tenancy.Database
	Home string // URL of the database; "" is the system's own
}

// Plan is what a move would do.
type Plan struct {
	From, To string           // databases, without passwords; "" is the system's own
	Rows     map[string]int64 // by table
	Total    int64
}

// Report is what a move did.
type Report struct {
	Rows    int64         // copied and compared
	Changes int64         // notes of changes that were brought over after
	Took    time.Duration // all of it
	Pause   time.Duration // during which writes waited
}

const (
	pauseMost   = 1500 * time.Millisecond // writes wait no longer, or the switch is tried again
	switchTries = 20
	fewNotes    = 200 // so few are brought over in the pause
	mostRounds  = 100
	beatEvery   = 3 * time.Second
	beatMost    = 20 * time.Second // a move without a beat so long is taken to be dead
)

func (p *Place) check(t tenancy.Tenant) error {
	if p.Tier == "" {
		p.Tier = tenancy.Pooled
		if p.Home != "" {
			p.Tier = tenancy.Database
		}
	}
	switch {
	case p.Tier != tenancy.Pooled && p.Tier != tenancy.Database:
		return fault.Invalid("a tenant is moved online to the tier %s or %s: to a cell it goes by export and import, see docs/tenancy.md", tenancy.Pooled, tenancy.Database)
	case p.Tier == tenancy.Database && p.Home == "":
		return fault.Invalid("name the database that the tenant gets, such as postgres://ward:password@db:5432/st_marys")
	case t.Status != tenancy.Active && t.Status != tenancy.Suspended:
		return fault.Conflict("the tenant %s is %s", t.Slug, t.Status)
	case t.Move != nil:
		return fault.Conflict("the tenant %s is on the move already", t.Slug)
	case p.Home == t.Home:
		return fault.Conflict("the tenant %s is there already", t.Slug)
	}
	return nil
}

// Plan says what [Service.Move] would do, and opens the database to see that it can.
func (s *Service) Plan(ctx context.Context, slug string, to Place) (p Plan, err error) {
	defer fault.Op(&err, "tiers.Plan", slug)
	t, err := s.deps.Directory.Get(ctx, slug)
	if err == nil {
		err = s.here(t)
	}
	if err == nil {
		err = to.check(t)
	}
	if err != nil {
		return p, err
	}
	p.From, p.To = t.At, tenancy.Shown(to.Home)
	target, done, err := s.deps.Router.Home(ctx, to.Home)
	if err != nil {
		return p, err
	}
	defer done()
	ctx = within(ctx, t.Tenant)
	if err := s.vacant(ctx, target); err != nil {
		return p, err
	}
	if _, err := transfer.NewCopier(ctx, s.deps.DB, target); err != nil {
		return p, err
	}
	tables, err := transfer.Tables(ctx, s.deps.DB)
	if err != nil {
		return p, err
	}
	err = s.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) (err error) {
		p.Rows, err = transfer.Rows(ctx, q, tables)
		return err
	})
	for _, n := range p.Rows {
		p.Total += n
	}
	return p, err
}

// vacant refuses a database that holds rows of a tenant with this number: it may be another Ward's.
func (s *Service) vacant(ctx context.Context, d *db.DB) error {
	empty, err := transfer.Empty(ctx, d)
	if err == nil && !empty {
		err = fault.Conflict("that database holds a tenant of the same number, which may be another Ward's: name another database")
	}
	return err
}

// Move brings the tenant's rows to another database while it is in use. Reads go on throughout; writes wait for less than two seconds at the switch, and go on at
// the new place. Every row is compared before. When anything fails the tenant stays where it is, and the new place is cleared. progress may be nil.
//
// Errors: NotFound for a slug that no tenant has; Conflict when it is there already, is on the move, or the new place is taken; Unavailable when the pause could not be
// had; Internal naming the table when the copy differs.
func (s *Service) Move(ctx context.Context, slug string, to Place, progress func(Progress)) (r Report, err error) {
	defer fault.Op(&err, "tiers.Move", slug)
	began := s.deps.Clock.Now()
	if progress == nil {
		progress = func(Progress) {}
	}
	if err := s.noteOf(ctx, slug, audit.Event{Action: audit.Setting, Detail: "move to another database"}); err != nil {
		return r, err
	}
	m := &mover{Service: s, slug: slug, to: to, id: id.New(), progress: progress}
	if err := m.begin(ctx); err != nil {
		return r, err
	}
	stop := m.beat(ctx)
	err = m.run(within(ctx, m.tenant.Tenant), &r)
	stop()
	if err != nil && !m.switched {
		progress(Progress{Phase: "undoing"})
		if undo := s.undo(within(context.WithoutCancel(ctx), m.tenant.Tenant), slug, m.id); undo != nil {
			s.deps.Log.ErrorContext(ctx, "a move could not be undone and will be later", slog.String("tenant", slug), slog.Any("error", undo))
		}
		return r, err
	}
	r.Took = s.deps.Clock.Now().Sub(began)
	return r, err
}

// mover is one move.
type mover struct {
	*Service

	slug, id string
	to       Place
	progress func(Progress)
	tenant   tenancy.Tenant
	switched bool
}

// begin notes the move in the directory.
func (m *mover) begin(ctx context.Context) error {
	return m.deps.Directory.Change(ctx, m.slug, func(t *tenancy.Tenant) error {
		if err := m.here(*t); err != nil {
			return err
		}
		if err := m.to.check(*t); err != nil {
			return err
		}
		m.tenant = *t
		now := m.deps.Clock.Now()
		t.Move = &tenancy.Move{Phase: tenancy.Copying, Tier: m.to.Tier, To: m.to.Home, ID: m.id, Started: now, Beat: now}
		return nil
	})
}

// beat tells other processes that the move is alive, until stop is called.
func (m *mover) beat(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for sleep(ctx, beatEvery) == nil {
			_ = m.change(ctx, func(t *tenancy.Tenant) { t.Move.Beat = m.deps.Clock.Now() }) // the next one may succeed
		}
	}()
	return func() { cancel(); <-ended }
}

// change changes the tenant's entry while the move is this one. It returns fault.Conflict when somebody has undone it.
func (m *mover) change(ctx context.Context, fn func(t *tenancy.Tenant)) error {
	return m.deps.Directory.Change(ctx, m.slug, func(t *tenancy.Tenant) error {
		if t.Move == nil || t.Move.ID != m.id {
			return fault.Conflict("the move of %s was undone by another process", m.slug)
		}
		fn(t)
		return nil
	})
}

func (m *mover) run(ctx context.Context, r *Report) error {
	from, doneFrom, err := m.deps.Router.Home(ctx, m.tenant.Home)
	if err != nil {
		return err
	}
	doneFrom = sync.OnceFunc(doneFrom)
	defer doneFrom()
	to, doneTo, err := m.deps.Router.Home(ctx, m.to.Home)
	if err != nil {
		return err
	}
	defer doneTo()
	if err := m.vacant(ctx, to); err != nil {
		return err
	}
	if !m.deps.Alone { // until all processes look often
		if err := sleep(ctx, tenancy.RecentTime); err != nil {
			return err
		}
	}
	c, err := transfer.NewCopier(ctx, from, to)
	if err != nil {
		return err
	}
	size, err := c.Size(ctx)
	if err != nil {
		return err
	}
	if err := retry(ctx, func() error { return transfer.Track(ctx, from) }); err != nil { // it waits for a moment without writers
		return err
	}
	c.Progress = func(rows int64) {
		if rows < size {
			m.progress(Progress{"copying", rows, 2 * size})
		} else {
			m.progress(Progress{"comparing", min(rows, 2*size), 2 * size})
		}
	}
	if err := c.Copy(ctx); err != nil {
		return err
	}
	var b brake
	c.Backlog = b.see
	err = m.braked(ctx, &b, func() error { return c.Compare(ctx) })
	if err != nil {
		return err
	}
	m.progress(Progress{Phase: "switching"})
	for try := 1; !m.switched; try++ {
		if err := m.braked(ctx, &b, func() error { return m.calm(ctx, c) }); err != nil {
			return err
		}
		pause, err := m.switchOver(ctx, c, from)
		r.Pause = pause
		switch {
		case err == nil || m.switched:
		case try == switchTries || ctx.Err() != nil || !passing(err):
			return err
		}
	}
	r.Rows, r.Changes = size, c.Changes()
	if !m.deps.Alone {
		return nil // the runner clears the old place when other processes have left it
	}
	m.progress(Progress{Phase: "clearing the old place"})
	doneFrom()
	return m.finish(context.WithoutCancel(ctx), m.slug)
}

// passing says whether the switch may work another time.
func passing(err error) bool {
	return fault.Is(err, fault.CodeTimeout) || fault.Is(err, fault.CodeUnavailable) || fault.Is(err, fault.CodeCanceled)
}

// calm catches up until little is left.
func (m *mover) calm(ctx context.Context, c *transfer.Copier) error {
	for range mostRounds {
		notes, err := c.CatchUp(ctx)
		if err != nil || notes < fewNotes {
			return err
		}
	}
	return nil // the pause shows whether it can be done
}

// switchOver is the switch: writes wait, the rest is brought over and compared, the directory names the new place, writes go on there.
func (m *mover) switchOver(ctx context.Context, c *transfer.Copier, from *db.DB) (pause time.Duration, err error) {
	limited, cancel := context.WithTimeout(ctx, pauseMost)
	defer cancel()
	if err := m.change(limited, func(t *tenancy.Tenant) { t.Move.Phase = tenancy.Switching }); err != nil {
		return 0, err
	}
	began := m.deps.Clock.Now()
	release, err := m.deps.Router.Hold(limited, m.tenant.ID)
	if err != nil {
		return 0, err
	}
	defer func() {
		release()
		pause = m.deps.Clock.Now().Sub(began)
	}()
	settled := context.WithoutCancel(ctx)
	err = transfer.Close(limited, from)
	if err == nil {
		_, err = c.CatchUp(limited)
	}
	if err == nil {
		err = db.Ended(limited)
	}
	if err == nil {
		err = m.change(settled, func(t *tenancy.Tenant) {
			t.Home, t.Tier = m.to.Home, m.to.Tier
			t.Move.Phase, t.Move.To, t.Move.Switched = tenancy.Moved, m.tenant.Home, m.deps.Clock.Now()
		})
		if err != nil { // it may have been written nevertheless
			now, look := m.deps.Directory.Get(settled, m.slug)
			m.switched = look == nil && now.Move != nil && now.Move.ID == m.id && now.Move.Phase == tenancy.Moved
			if look != nil {
				return 0, errors.Join(err, look)
			}
		}
		m.switched = m.switched || err == nil
	}
	if !m.switched {
		return 0, errors.Join(err, transfer.Reopen(settled, from))
	}
	if !m.deps.Alone { // other processes read at the old place for so long
		_ = sleep(settled, tenancy.MovingTime+50*time.Millisecond)
	}
	return 0, nil
}

// undo puts everything back as it was before the move began. It does nothing after the switch.
func (s *Service) undo(ctx context.Context, slug, move string) (err error) {
	defer fault.Op(&err, "tiers.undo", slug)
	t, err := s.deps.Directory.Get(ctx, slug)
	if err != nil || t.Move == nil || t.Move.ID != move || t.Move.Phase == tenancy.Moved {
		return err
	}
	from, done, err := s.deps.Router.Home(ctx, t.Home)
	if err != nil {
		return err
	}
	defer done()
	if err := retry(ctx, func() error { return transfer.Untrack(ctx, from) }); err != nil {
		return err
	}
	to, doneTo, err := s.deps.Router.Home(ctx, t.Move.To)
	if err == nil {
		err = s.clear(ctx, to, false)
		doneTo()
	}
	if err != nil { // the tenant is well; what is left there is cleared by hand, or refused by the next move
		s.deps.Log.WarnContext(ctx, "the place that a tenant was to be moved to could not be cleared", slog.String("tenant", slug), slog.Any("error", err))
	}
	return s.deps.Directory.Change(ctx, slug, func(t *tenancy.Tenant) error {
		if t.Move != nil && t.Move.ID == move && t.Move.Phase != tenancy.Moved {
			t.Move = nil
		}
		return nil
	})
}

// finish clears the place that a tenant has left.
func (s *Service) finish(ctx context.Context, slug string) (err error) {
	defer fault.Op(&err, "tiers.finish", slug)
	t, err := s.deps.Directory.Get(ctx, slug)
	if err != nil || t.Move == nil || t.Move.Phase != tenancy.Moved {
		return err
	}
	old, done, err := s.deps.Router.Home(ctx, t.Move.To)
	if err != nil {
		return err
	}
	defer done()
	if err := s.clear(ctx, old, true); err != nil {
		return err
	}
	return s.deps.Directory.Change(ctx, slug, func(t *tenancy.Tenant) error {
		if t.Move != nil && t.Move.Phase == tenancy.Moved {
			t.Move = nil
		}
		return nil
	})
}
