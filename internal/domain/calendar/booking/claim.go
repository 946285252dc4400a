package booking

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/format/fhir/search"
)

// A claim is what a visit takes of one party: a seat, for all cells of its time. Cells are 5 minutes; times that are booked begin and end on
// cells. The rows of calendar_claim are one for each cell and seat, and their key keeps two visits apart, on any database and whatever
// the processes do: they are made by INSERT … ON CONFLICT DO NOTHING in one statement, in the order of their key.
type claim struct {
	Party string `json:"party"` // FHIR reference
	Seat  int32  `json:"seat"`
	From  int32  `json:"from"` // cell
	To    int32  `json:"to"`   // first cell after it
}

// resourceOf is the number of a party in calendar_claim.
func resourceOf(ref string) int64 { return int64(search.RefHash(ref)) } //nolint:gosec // a hash's bits

// want is a claim that has no seat yet.
type want struct {
	party    string
	from, to int32
	seats    int32 // how many the party has
	extra    bool  // an extra seat may be taken, beyond those
}

// extraSeats is how many visits may be booked deliberately beyond a party's seats at one time.
const extraSeats = 8

// errRaced says that another process took what was free a moment ago: the act is tried again.
var errRaced = errors.New("calendar: another process was faster")

func raced() error { return fault.Conflict("somebody else was faster").With(errRaced) }

type claimKey struct {
	resource int64
	cell     int32
	seat     int32
}

type claimRow struct {
	booking string
	expires int64
}

// ledger is what is claimed of the parties that a group of acts touches: as stored, and as it will be.
type ledger struct {
	now    int64
	before map[claimKey]claimRow
	after  map[claimKey]claimRow
	// over are holds whose time is over and which are locked: their claims may be taken. ended are those that were.
	over, ended map[string]bool
}

func newLedger(now int64) *ledger {
	return &ledger{now: now, before: map[claimKey]claimRow{}, after: map[claimKey]claimRow{}, over: map[string]bool{}, ended: map[string]bool{}}
}

// free says whether the booking may have the row.
func (l *ledger) free(k claimKey, booking string) bool {
	r, taken := l.after[k]
	return !taken || r.booking == booking || r.expires != 0 && r.expires <= l.now && l.over[r.booking]
}

func (l *ledger) fits(w *want, booking string, seat int32) bool {
	resource := resourceOf(w.party)
	for cell := w.from; cell < w.to; cell++ {
		if !l.free(claimKey{resource, cell, seat}, booking) {
			return false
		}
	}
	return true
}

// take claims all that is wanted, or nothing; the error names the party that has no time. prefer are seats that the booking had.
func (l *ledger) take(booking string, wants []want, prefer []claim, expires int64) ([]claim, error) {
	claims := make([]claim, 0, len(wants))
	for i := range wants {
		w := &wants[i]
		seat := l.seat(w, booking, prefer)
		if seat == 0 {
			return nil, fault.Conflict("%s has no time then: it is taken", w.party)
		}
		claims = append(claims, claim{Party: w.party, Seat: seat, From: w.from, To: w.to})
	}
	// Nothing can fail from here on: no two wants are of the same party.
	for _, c := range claims {
		l.put(booking, c, expires)
	}
	return claims, nil
}

func (l *ledger) seat(w *want, booking string, prefer []claim) int32 {
	most := w.seats
	if w.extra {
		most += extraSeats
	}
	for _, p := range prefer {
		if p.Party == w.party && p.Seat <= most && l.fits(w, booking, p.Seat) {
			return p.Seat
		}
	}
	for seat := int32(1); seat <= most; seat++ {
		if l.fits(w, booking, seat) {
			return seat
		}
	}
	return 0
}

// put makes the claim's rows the booking's.
func (l *ledger) put(booking string, c claim, expires int64) {
	resource := resourceOf(c.Party)
	for cell := c.From; cell < c.To; cell++ {
		k := claimKey{resource, cell, c.Seat}
		if r, taken := l.after[k]; taken && r.booking != booking {
			l.ended[r.booking] = true
		}
		l.after[k] = claimRow{booking, expires}
	}
}

// drop lets the booking's claims go.
func (l *ledger) drop(booking string, claims []claim) {
	for _, c := range claims {
		resource := resourceOf(c.Party)
		for cell := c.From; cell < c.To; cell++ {
			if k := (claimKey{resource, cell, c.Seat}); l.after[k].booking == booking {
				delete(l.after, k)
			}
		}
	}
}

// known adds the claims of a booking that is locked: nobody else changes them.
func (l *ledger) known(booking string, expires int64, claims []claim) {
	for _, c := range claims {
		resource := resourceOf(c.Party)
		for cell := c.From; cell < c.To; cell++ {
			k := claimKey{resource, cell, c.Seat}
			if _, read := l.before[k]; !read {
				l.before[k] = claimRow{booking, expires}
				l.after[k] = claimRow{booking, expires}
			}
		}
	}
}

// read adds what is stored about the cells of all wants.
func (l *ledger) read(ctx context.Context, q db.Querier, wants []want) error {
	type cell struct {
		resource int64
		cell     int32
	}
	seen := map[cell]bool{}
	var resources []int64
	var cells []int32
	for i := range wants {
		w := &wants[i]
		resource := resourceOf(w.party)
		for c := w.from; c < w.to; c++ {
			if k := (cell{resource, c}); !seen[k] {
				seen[k] = true
				resources, cells = append(resources, resource), append(cells, c)
			}
		}
	}
	if len(cells) == 0 {
		return nil
	}
	return q.Lookup(ctx, db.Lookup{
		Table: "calendar_claim", Want: []string{"seat", "booking", "expires"}, Keys: []db.Column{db.Col("resource", resources), db.Col("cell", cells)},
	}, func(i int, r db.Row) error {
		k := claimKey{resources[i], cells[i], int32(r.Int64(0))} //nolint:gosec // as stored
		row := claimRow{r.Text(1), r.Int64(2)}
		l.before[k], l.after[k] = row, row
		return nil
	})
}

// expired are the holds in the ledger whose time is over.
func (l *ledger) expired() []string {
	seen := map[string]bool{}
	for _, r := range l.before {
		if r.expires != 0 && r.expires <= l.now {
			seen[r.booking] = true
		}
	}
	ids := make([]string, 0, len(seen))
	for id := range seen {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// claimRows are rows of calendar_claim for one statement.
type claimRows struct {
	resources []int64
	cells     []int32
	seats     []int32
	bookings  []string
	expires   []int64
}

func (c *claimRows) add(k claimKey, r claimRow) {
	c.resources, c.cells, c.seats = append(c.resources, k.resource), append(c.cells, k.cell), append(c.seats, k.seat)
	c.bookings, c.expires = append(c.bookings, r.booking), append(c.expires, r.expires)
}

func (c *claimRows) key() []db.Column {
	return []db.Column{db.Col("resource", c.resources), db.Col("cell", c.cells), db.Col("seat", c.seats)}
}

// write makes the tables what the ledger says. New rows come first, in the order of their key, so that whoever waits for another's rows
// holds only rows that come before them, and whoever lets rows go waits for nobody any more: no two transactions wait for each other.
//
// Errors: errRaced when another process has taken a row.
func (l *ledger) write(ctx context.Context, tx db.Tx) error {
	var fresh, changed, gone claimRows
	for _, k := range l.keys() {
		was, had := l.before[k]
		is, has := l.after[k]
		switch {
		case has && !had:
			fresh.add(k, is)
		case has && was != is:
			changed.add(k, is)
		case had && !has:
			gone.add(k, was)
		}
	}
	if n := len(fresh.cells); n > 0 {
		made, err := tx.InsertNew(ctx, "calendar_claim", append(fresh.key(), db.Col("booking", fresh.bookings), db.Col("expires", fresh.expires))...)
		if err != nil {
			return err
		}
		if made != int64(n) {
			return raced()
		}
	}
	if len(changed.cells) > 0 {
		_, err := tx.Upsert(ctx, "calendar_claim", []string{"resource", "cell", "seat"},
			append(changed.key(), db.Col("booking", changed.bookings), db.Col("expires", changed.expires))...)
		if err != nil {
			return err
		}
	}
	if len(gone.cells) > 0 {
		if _, err := tx.Delete(ctx, "calendar_claim", append(gone.key(), db.Col("booking", gone.bookings))...); err != nil {
			return err
		}
	}
	return nil
}

// keys are all rows, in the order of the table.
func (l *ledger) keys() []claimKey {
	keys := make([]claimKey, 0, len(l.after))
	for k := range l.after {
		keys = append(keys, k)
	}
	for k := range l.before {
		if _, has := l.after[k]; !has {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b claimKey) int {
		return cmp.Or(cmp.Compare(a.resource, b.resource), cmp.Compare(a.cell, b.cell), cmp.Compare(a.seat, b.seat))
	})
	return keys
}
