package booking

import (
	"cmp"
	"context"
	"slices"

	"ward/internal/backend/db"
	"ward/internal/base/id"
)

// The waitlist of a service: a slot that is cancelled is offered to those who wait, in the order in which they joined. An offer is a hold whose
// claims pass from the visit that was cancelled to whom it is offered, and from them to the next when its time is over, without being free
// in between. Whoever declines keeps their place for other slots; whoever lets an offer lapse leaves.

// entryState is what an entry of the waitlist is. The numbers are stored.
type entryState int32

const (
	waiting    entryState = 1
	offered    entryState = 2
	waitBooked entryState = 3
	lapsed     entryState = 4
	left       entryState = 5
)

// offerSeconds is how long an offer stands, unless the visit begins sooner.
const offerSeconds = 30 * 60

// entryChange is one change to an entry of the waitlist.
type entryChange struct {
	id       string
	from, to entryState
	offer    string // the hold
	refused  int64  // start of a slot that was declined
}

// changeEntries makes the changes, in the order of the ids, so that no two transactions wait for each other.
//
// Errors: errRaced when an entry is no longer what it was.
func changeEntries(ctx context.Context, tx db.Tx, changes []entryChange) error {
	slices.SortStableFunc(changes, func(a, b entryChange) int { return cmp.Compare(a.id, b.id) })
	for _, c := range changes {
		offer := c.offer
		if c.to == waiting {
			offer = ""
		}
		n, err := tx.Exec(ctx, `UPDATE calendar_waitlist SET state = $1, offer = $2, refused = $3 WHERE id = $4 AND state = $5`,
			int64(c.to), offer, c.refused, c.id, int64(c.from))
		if err != nil {
			return err
		}
		if n == 0 && c.from == waiting {
			return raced()
		}
	}
	return nil
}

// release lets the claims of a booking go: to the next on the waitlist as an offer, else they are free.
func (g *group) release(ctx context.Context, tx db.Tx, was *booking) error {
	g.ledger.drop(was.id, was.Claims)
	return g.pass(ctx, tx, was)
}

// pass offers a time that a booking had, and whose claims were dropped, to the next on the waitlist, as far as it is whole: a visit that moved by a little
// leaves less than a visit.
func (g *group) pass(ctx context.Context, tx db.Tx, was *booking) error {
	for _, c := range was.Claims {
		if c.Party != was.Patient && !g.ledger.fits(&want{party: c.Party, from: c.From, to: c.To}, "", c.Seat) {
			return nil
		}
	}
	next, patient, err := g.next(ctx, tx, was)
	if err != nil || next == "" {
		return err
	}
	offer := &booking{
		id: id.New(), state: held, starts: was.starts, ends: was.ends, expires: min(g.now+offerSeconds, was.starts),
		detail: detail{
			Schedule: was.Schedule, Service: was.Service, Zone: was.Zone, Patient: patient, Schedules: was.Schedules, Waiting: next,
		},
	}
	for _, c := range was.Claims {
		if c.Party == was.Patient {
			continue
		}
		g.ledger.put(offer.id, c, 0)
		offer.Claims = append(offer.Claims, c)
	}
	g.bookings[offer.id] = offer
	g.touched = append(g.touched, offer)
	g.waiting = append(g.waiting, entryChange{id: next, from: waiting, to: offered, offer: offer.id})
	g.remind.Add(offer.id, "sms", g.now) // tell the patient at once
	g.remind.Add(offer.id, "email", g.now)
	return nil
}

const nextWaiting = `SELECT id, patient FROM calendar_waitlist
	WHERE service = $1 AND state = 1 AND (actor = 0 OR actor = $2) AND earliest <= $3 AND latest >= $4 AND refused <> $3
	ORDER BY place, id LIMIT 50`

// next is who is offered the slot of a booking that is let go.
func (g *group) next(ctx context.Context, tx db.Tx, was *booking) (entry, patient string, err error) {
	if was.Extra || was.starts <= g.now || was.state == held && was.Waiting == "" {
		return "", "", nil
	}
	err = tx.Query(ctx, nextWaiting, func(r db.Row) error {
		who := r.Text(0)
		if slices.ContainsFunc(g.waiting, func(c entryChange) bool { return c.id == who }) {
			return nil // changed by this group
		}
		entry, patient = who, r.Text(1)
		return db.Stop
	}, was.Service, resourceOf(was.lead()), was.starts, was.ends)
	return entry, patient, err
}
