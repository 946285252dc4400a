package booking

import (
	"cmp"
	"context"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/domain/calendar/availability"
	"ward/internal/kernel/access"
)

// Limits is how much one person may take of the calendar. Without bounds a single patient, or whoever has their password, could keep
// all others out.
type Limits struct {
	Holds   int // live holds of a patient
	Visits  int // booked visits to come of a patient
	Waiting int // entries of a patient that wait, or are offered something
}

// The bounds where a tenant sets none.
const (
	defaultHolds   = 3
	defaultVisits  = 50
	defaultWaiting = 10
	openHolds      = 20 // live holds without a patient, of one principal
)

// limits are the tenant's. They are asked for outside of transactions.
func (b *Service) limits(ctx context.Context) (l Limits, err error) {
	if b.deps.Limits != nil {
		if l, err = b.deps.Limits(ctx); err != nil {
			return l, err
		}
	}
	return Limits{cmp.Or(l.Holds, defaultHolds), cmp.Or(l.Visits, defaultVisits), cmp.Or(l.Waiting, defaultWaiting)}, nil
}

// bound gives the limits of what the principal may take; nil for those who run the calendar.
func (b *Service) bound(ctx context.Context) (*Limits, error) {
	sc, _ := scope.From(ctx)
	if access.Permits(&sc.Principal, access.CalendarManage) {
		return nil, nil //nolint:nilnil // there are none
	}
	l, err := b.limits(ctx)
	return &l, err
}

// taken is what somebody has taken of the calendar: live holds and booked visits to come, true for the holds.
type taken map[string]bool

func (t taken) count(holds bool) (n int) {
	for _, held := range t {
		if held == holds {
			n++
		}
	}
	return n
}

// tally counts what those have taken for whom the group's acts would take more, in the transaction. The rows of their time are what is counted.
// What another process books in the same instant is not among it.
func (g *group) tally(ctx context.Context, tx db.Tx) error {
	g.taken = map[string]taken{}
	var resources []int64
	var of []taken
	open := false
	for _, a := range g.acts {
		who := g.taker(a)
		if who == "" || g.taken[who] != nil || a.once != nil && a.once.first != nil {
			continue
		}
		t := taken{}
		g.taken[who] = t
		if who == a.by.ID {
			open = true
			continue
		}
		resources, of = append(resources, resourceOf(who)), append(of, t)
	}
	now := availability.CellOf(g.now)
	if len(resources) > 0 {
		err := tx.Lookup(ctx, db.Lookup{Table: "calendar_claim", Want: []string{"cell", "booking", "expires"}, Keys: []db.Column{db.Col("resource", resources)}}, func(i int, r db.Row) error {
			if expires := r.Int64(2); r.Int64(0) >= int64(now) && (expires == 0 || expires > g.now) {
				of[i][r.Text(1)] = expires != 0
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if !open {
		return nil
	}
	return tx.Query(ctx, `SELECT id, state, starts, ends, expires, body FROM calendar_booking WHERE state = 1 AND expires > $1`, func(r db.Row) error {
		v, err := scanBooking(g.key, r.Text(0), r, 1)
		if err == nil && v.Patient == "" && v.Waiting == "" && g.taken[v.By] != nil {
			g.taken[v.By][v.id] = true
		}
		return err
	}, g.now)
}

// taker is for whom an act would take something that is counted: a patient, or for a hold without one whoever holds; empty for acts without
// bounds.
func (g *group) taker(a *act) string {
	switch {
	case a.limits == nil:
	case a.verb == doConfirm:
		return a.holder
	case a.verb == doHold && a.draft.Patient == "":
		return a.by.ID
	case a.verb == doHold, a.verb == doBook:
		return a.draft.Patient
	}
	return ""
}

// within refuses an act that would take more than somebody may.
//
// Errors: Conflict.
func (g *group) within(a *act) error {
	who := g.taker(a)
	t := g.taken[who]
	switch {
	case who == "" || t == nil:
		return nil
	case a.verb == doHold && who == a.by.ID && t.count(true) >= openHolds:
		return fault.Conflict("you hold %d times without a patient already: book or cancel some first", openHolds)
	case a.verb == doHold && who != a.by.ID && t.count(true) >= a.limits.Holds:
		return fault.Conflict("%d times are held for the patient already, as many as may be: book or cancel one first", a.limits.Holds)
	case a.verb != doHold && t.count(false) >= a.limits.Visits:
		return fault.Conflict("the patient has %d booked visits to come, as many as may be: cancel one first, or ask the front desk", a.limits.Visits)
	}
	return nil
}

// took notes what became of a booking, for the acts of the group that come after.
func (g *group) took(is *booking) {
	for _, who := range []string{is.Patient, is.By} {
		t := g.taken[who]
		switch {
		case t == nil:
		case is.state != held && is.state != booked || who == is.By && is.Patient != "":
			delete(t, is.id)
		default:
			t[is.id] = is.state == held
		}
	}
}
