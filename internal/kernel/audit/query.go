package audit

import (
	"context"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/kernel/seal"
)

// Query chooses events. Empty fields choose all.
type Query struct {
	Patient string    // the id of a patient: whose data it was
	By      string    // the id of a principal, or the reference of a person such as "Practitioner/7": who did it, or on whose behalf
	From    time.Time // recorded at this time or later
	Until   time.Time // recorded before this time
	Action  Action
	Address string // where it came from: found by its commitment
	After   string // the cursor of the page before
	Count   int    // most events of a page; 0 is 100, at most 1,000
}

// Entry is an event in the log.
type Entry struct {
	Event
	ID string // its name, good as an id in FHIR
}

// Page is a page of events, the newest first.
type Page struct {
	Entries []Entry
	Next    string // the cursor of the next page; empty on the last one
}

const (
	defaultCount = 100
	maxCount     = 1000
)

// position is an event's place in its group.
type position struct {
	place
	index int
}

// cursor is a position's text. It gives no access to anything: each page is asked for with the same rights.
func (p position) cursor() string {
	return strings.Join([]string{strconv.FormatInt(p.at, 36), strconv.FormatInt(p.lane, 36), strconv.FormatInt(p.number, 36), strconv.Itoa(p.index)}, ".")
}

func parseCursor(s string) (p position, ok bool) {
	parts := strings.Split(s, ".")
	if len(parts) != 4 {
		return p, false
	}
	for i, to := range []*int64{&p.at, &p.lane, &p.number} {
		n, err := strconv.ParseInt(parts[i], 36, 64)
		if err != nil {
			return p, false
		}
		*to = n
	}
	n, err := strconv.Atoi(parts[3])
	p.index = n
	return p, err == nil
}

// id is an event's name in AuditEvent.id: 64 characters at most.
func (p position) id() string {
	return strconv.FormatInt(p.at, 36) + "-" + strconv.FormatInt(p.lane, 36) + "-" + strconv.FormatInt(p.number, 36) + "-" + strconv.Itoa(p.index)
}

const (
	groupsByTime = `SELECT at, lane, number, body FROM audit_event WHERE at >= $1 AND (at, lane, number) < ($2, $3, $4) ORDER BY at DESC, lane DESC, number DESC LIMIT $5`
	groupsByKey  = `SELECT at, lane, number FROM audit_index WHERE key = $1 AND at >= $2 AND (at, lane, number) < ($3, $4, $5) ORDER BY at DESC, lane DESC, number DESC LIMIT $6`
)

// mostGroups is how many groups one page reads at most: it then ends early, with a cursor.
const mostGroups = 20_000

// Find gives a page of the scope's tenant's log. What this process recorded in the last second is in it.
//
// Errors: Invalid for a cursor that is none; the database's.
func (l *Log) Find(ctx context.Context, find Query) (page Page, err error) {
	defer fault.Op(&err, "audit.Find")
	t, _, err := l.trail(ctx)
	if err != nil {
		return page, err
	}
	if find.Count <= 0 {
		find.Count = defaultCount
	}
	find.Count = min(find.Count, maxCount)
	from := position{place: place{at: math.MaxInt64, lane: math.MaxInt64, number: math.MaxInt64}, index: math.MaxInt}
	if find.After != "" {
		var ok bool
		if from, ok = parseCursor(find.After); !ok {
			return page, fault.Invalid("_cursor is not one that this log gave")
		}
	} else {
		if err := t.flush(ctx); err != nil {
			return page, err
		}
		if !find.Until.IsZero() { // a group may hold events of up to a second before
			from.at = min(from.at, find.Until.Add(saveTimeout+maxLag).UnixMilli())
		}
	}
	w := &walk{find: find, from: from, least: millisOf(find.From.Add(-time.Millisecond))}
	for _, s := range t.salts {
		w.addresses = append(w.addresses, s.commit("address", find.Address))
	}
	switch {
	case find.Patient != "":
		w.key, w.keyed = indexKey(ofPatient, find.Patient), true
	case find.By != "":
		w.key, w.keyed = indexKey(ofActor, find.By), true
	}
	err = l.deps.DB.Read(scope.With(ctx, t.scope), func(ctx context.Context, q db.Querier) (err error) {
		w.page = Page{}
		if w.opens, err = t.key(ctx); err != nil {
			return err
		}
		return w.run(ctx, q)
	})
	return w.page, err
}

// walk reads groups from the newest on.
type walk struct {
	find      Query
	from      position
	addresses []string // commitments to find.Address, by salt
	least     int64    // milliseconds
	key       int64
	keyed     bool
	opens     *seal.Key
	page      Page
}

func (w *walk) run(ctx context.Context, q db.Querier) error {
	at := place{w.from.at, w.from.lane, w.from.number}
	if w.find.After != "" { // the rest of the group that the page before ended in
		groups, err := readGroups(ctx, q, []place{at})
		if err != nil {
			return err
		}
		for i := range groups {
			if full, err := w.take(&groups[i], w.from.index); err != nil || full {
				return err
			}
		}
	}
	for read := 0; read < mostGroups; {
		const size = 200
		groups, err := w.groups(ctx, q, at, size)
		if err != nil {
			return err
		}
		for i := range groups {
			if full, err := w.take(&groups[i], math.MaxInt); err != nil || full {
				return err
			}
			at = groups[i].place
		}
		if len(groups) < size {
			return nil
		}
		read += len(groups)
	}
	w.page.Next = position{at, 0}.cursor()
	return nil
}

// groups gives the next groups before a place, newest first.
func (w *walk) groups(ctx context.Context, q db.Querier, before place, size int) ([]group, error) {
	if !w.keyed {
		var out []group
		err := q.Query(ctx, groupsByTime, func(r db.Row) error {
			out = append(out, group{place{r.Int64(0), r.Int64(1), r.Int64(2)}, slices.Clone(r.Bytes(3))})
			return nil
		}, w.least, before.at, before.lane, before.number, size)
		return out, err
	}
	var places []place
	err := q.Query(ctx, groupsByKey, func(r db.Row) error {
		places = append(places, place{r.Int64(0), r.Int64(1), r.Int64(2)})
		return nil
	}, w.key, w.least, before.at, before.lane, before.number, size)
	if err != nil || len(places) == 0 {
		return nil, err
	}
	found, err := readGroups(ctx, q, places)
	if err != nil {
		return nil, err
	}
	byPlace := make(map[place]group, len(found))
	for _, g := range found {
		byPlace[g.place] = g
	}
	out := make([]group, len(places))
	for i, p := range places {
		out[i] = group{place: p, body: byPlace[p].body} // without a body: verify says that it is gone
	}
	return out, nil
}

// take adds the events of a group before an index, the last first, and says whether the page is full.
func (w *walk) take(g *group, before int) (full bool, err error) {
	if g.body == nil {
		return false, nil
	}
	events, err := g.events(w.opens)
	if err != nil {
		return false, err
	}
	for i := min(before, len(events)) - 1; i >= 0; i-- {
		e := &events[i]
		if !w.wanted(e) {
			continue
		}
		at := position{g.place, i}
		if len(w.page.Entries) == w.find.Count {
			w.page.Next = position{g.place, i + 1}.cursor()
			return true, nil
		}
		w.page.Entries = append(w.page.Entries, Entry{Event: *e, ID: at.id()})
	}
	return false, nil
}

func (w *walk) wanted(e *Event) bool {
	f := &w.find
	switch {
	case f.Patient != "" && !slices.Contains(e.Patients, f.Patient),
		f.By != "" && f.By != e.By.ID && f.By != e.By.Person && f.By != e.By.OnBehalfOf,
		f.Action != 0 && f.Action != e.Action,
		!f.From.IsZero() && e.Time.Before(f.From.Truncate(time.Millisecond)),
		!f.Until.IsZero() && !e.Time.Before(f.Until),
		f.Address != "" && !slices.Contains(w.addresses, e.Address):
		return false
	}
	return true
}

// Export gives all events that the query chooses, newest first, until fn errs.
func (l *Log) Export(ctx context.Context, find Query, fn func(e Entry) error) error {
	find.Count = maxCount
	for {
		page, err := l.Find(ctx, find)
		if err != nil {
			return err
		}
		for _, e := range page.Entries {
			if err := fn(e); err != nil {
				return err
			}
		}
		if page.Next == "" {
			return nil
		}
		find.After = page.Next
	}
}
