package booking

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/domain/calendar/reminder"
)

// What happens by itself: holds end, offers pass on, reminders go out, licences are checked at night. All of it is rows with a time. A tenant is
// looked at when something of it is due; what another process wrote, or this one before it stopped, is found by a sweep over all tenants.

// dueTimes is when something of a tenant is due next, as far as this process knows.
type dueTimes struct {
	mu sync.Mutex
	at map[int32]time.Time
	of map[int32]scope.Tenant
}

// sooner makes the tenant be looked at by then.
func (d *dueTimes) sooner(t scope.Tenant, at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.of == nil {
		d.of = map[int32]scope.Tenant{}
	}
	if was, ok := d.at[t.ID]; !ok || at.Before(was) {
		d.at[t.ID], d.of[t.ID] = at, t
	}
}

// take gives the tenants that are due, and forgets them.
func (d *dueTimes) take(now time.Time) (list []scope.Tenant) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for n, at := range d.at {
		if !at.After(now) {
			list = append(list, d.of[n])
			delete(d.at, n)
			delete(d.of, n)
		}
	}
	return list
}

// wake notes when an act makes something due.
func (b *Service) wake(ctx context.Context, a *act) {
	sc, _ := scope.From(ctx)
	now := b.deps.Clock.Now()
	if a.is != nil && a.is.state == held {
		b.due.sooner(sc.Tenant, time.Unix(a.is.expires, 0))
	}
	if a.verb == doCancel || a.verb == doPass || a.verb == doReschedule {
		b.due.sooner(sc.Tenant, now) // there may be an offer to tell of
	}
	if a.is != nil && a.is.state == booked {
		var r reminder.Rows
		planReminders(&r, a.is, now.Unix())
		if first := r.First(); first != 0 {
			b.due.sooner(sc.Tenant, time.Unix(first, 0))
		}
	}
}

const (
	tick       = time.Second
	sweepPause = 50 * time.Millisecond // between two tenants of a sweep
)

// Run is the clockwork, for as long as the process lives.
func (b *Service) Run(ctx context.Context) error {
	every := 10 * time.Minute
	if b.deps.DB.Dialect().Name == db.PostgreSQL {
		every = time.Minute // other processes write too
	}
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	next := b.deps.Clock.Now()
	for {
		now := b.deps.Clock.Now()
		if !now.Before(next) {
			if err := b.sweep(ctx); err != nil {
				return err
			}
			next = b.deps.Clock.Now().Add(every)
		}
		for _, t := range b.due.take(now) {
			b.look(ctx, t)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// sweep looks at every tenant.
func (b *Service) sweep(ctx context.Context) error {
	tenants, err := b.deps.Tenants(ctx)
	if err != nil {
		return err
	}
	pause := time.NewTicker(sweepPause)
	defer pause.Stop()
	for _, t := range tenants {
		b.look(ctx, t)
		select {
		case <-ctx.Done():
			return nil
		case <-pause.C:
		}
	}
	return nil
}

// look does what is due for a tenant. What fails is logged and tried again.
func (b *Service) look(ctx context.Context, t scope.Tenant) {
	if ctx.Err() != nil {
		return
	}
	next, err := b.Turn(scope.WithTenant(ctx, t))
	if err != nil {
		if ctx.Err() == nil {
			b.deps.Log.WarnContext(ctx, "the calendar's clockwork failed", slog.Int("tenant", int(t.ID)), slog.Any("error", err))
		}
		next = b.deps.Clock.Now().Add(time.Minute)
	}
	if !next.IsZero() {
		b.due.sooner(t, next)
	}
}

// Turn does what is due for the scope's tenant now, and says when something is due next; zero when nothing is.
func (b *Service) Turn(ctx context.Context) (next time.Time, err error) {
	defer fault.Op(&err, "calendar.Turn")
	if err := b.carry(ctx); err != nil {
		return next, err
	}
	if err := b.passDue(ctx); err != nil {
		return next, err
	}
	var alarms time.Time
	if b.deps.Alarms != nil {
		if alarms, err = b.deps.Alarms.Turn(ctx); err != nil {
			return next, err
		}
	}
	for more := true; more; {
		if more, err = b.reminders.Send(ctx, b.compose); err != nil {
			return next, err
		}
	}
	if err := b.nightly(ctx); err != nil {
		return next, err
	}
	if err := b.forget(ctx); err != nil {
		return next, err
	}
	if err := b.reminders.Forget(ctx); err != nil {
		return next, err
	}
	if next, err = b.nextDue(ctx); next.IsZero() || !alarms.IsZero() && alarms.Before(next) {
		next = alarms
	}
	return next, err
}

// Wake has the tenant looked at soon: something of it became due by other ways than booking.
func (b *Service) Wake(t scope.Tenant) { b.due.sooner(t, b.deps.Clock.Now()) }

const overHolds = `SELECT id FROM calendar_booking WHERE state = 1 AND expires <= $1 ORDER BY expires LIMIT 200`

// passDue ends holds whose time is over.
func (b *Service) passDue(ctx context.Context) error {
	for {
		var ids []string
		err := b.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) error {
			ids = nil
			return q.Query(ctx, overHolds, func(r db.Row) error {
				ids = append(ids, r.Text(0))
				return nil
			}, b.deps.Clock.Now().Unix())
		})
		if err != nil || len(ids) == 0 {
			return err
		}
		for _, id := range ids {
			if _, err := b.do(ctx, &act{verb: doPass, id: id}); err != nil && !fault.Is(err, fault.CodeConflict) {
				return err
			}
		}
	}
}

const earliestDue = `SELECT MIN(at) FROM (
	SELECT MIN(expires) AS at FROM calendar_booking WHERE state = 1
	UNION ALL SELECT MIN(due) AS at FROM calendar_reminder WHERE state = 1
	UNION ALL SELECT MIN(lease) AS at FROM calendar_reminder WHERE state = 2) AS due`

func (b *Service) nextDue(ctx context.Context) (next time.Time, err error) {
	err = b.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) error {
		return q.Query(ctx, earliestDue, func(r db.Row) error {
			next = time.Time{}
			if !r.IsNull(0) {
				next = time.Unix(r.Int64(0), 0)
			}
			return nil
		})
	})
	return next, err
}

// onceFor is how long first answers are kept.
const onceFor = 24 * time.Hour

const (
	anyOnce    = `SELECT 1 FROM calendar_once WHERE made < $1 LIMIT 1`
	forgetOnce = `DELETE FROM calendar_once WHERE made < $1`
)

// forget removes first answers that nobody can ask for any more.
func (b *Service) forget(ctx context.Context) error {
	before := b.deps.Clock.Now().Add(-onceFor).Unix()
	some := false
	err := b.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) error {
		some = false
		return q.Query(ctx, anyOnce, func(db.Row) error {
			some = true
			return nil
		}, before)
	})
	if err != nil || !some {
		return err
	}
	return b.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		_, err := tx.Exec(ctx, forgetOnce, before)
		return err
	})
}
