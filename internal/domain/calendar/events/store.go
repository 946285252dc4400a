package events

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/id"
	"ward/internal/kernel/seal"
)

// stored is a row of calendar_event.
type stored struct {
	*Event // nil when it was deleted
	id     string
	key    string // what its UID is kept under: see calendar_event
	ver    int64
}

func associated(id string) []byte { return []byte("calendar_event\x00" + id) }

// sealed is what is sealed of an event.
type sealed struct {
	Event
	Source string `json:"source,omitempty"`
}

// load reads events by their ids; those that are not there are left out.
func (s *Service) load(ctx context.Context, q db.Querier, key *seal.Key, ids []string) (map[string]stored, error) {
	found := make(map[string]stored, len(ids))
	if len(ids) == 0 {
		return found, nil
	}
	l := db.Lookup{Table: "calendar_event", Want: []string{"id", "version", "body", "uid"}, Keys: []db.Column{db.Col("id", ids)}}
	err := q.Lookup(ctx, l, func(_ int, r db.Row) error {
		e := stored{id: r.Text(0), ver: r.Int64(1), key: r.Text(3)}
		if !r.IsNull(2) {
			plain, err := key.Open(nil, r.Bytes(2), associated(e.id))
			if err != nil {
				return err
			}
			var b sealed
			if err := json.Unmarshal(plain, &b); err != nil {
				return fault.Internal("an event's body can't be read").With(err)
			}
			e.Event, b.source = &b.Event, b.Source
			e.ID, e.Version = e.id, e.ver
		}
		found[e.id] = e
		return nil
	})
	return found, err
}

// edit is a change to events in one transaction: what is there is read and locked, and then becomes what change says.
type edit struct {
	ids    []string                                                          // the events to read
	uids   []string                                                          // further ones, by what their UIDs are kept under
	joint  bool                                                              // by the domain that keeps the events, which records it in the audit log itself
	find   func(ctx context.Context, q db.Querier) (ids []string, err error) // further ones; may be nil
	also   func(ctx context.Context, tx db.Tx, written []*ready) error       // what goes with the change; may be nil
	change func(have map[string]stored, uids map[string]string) ([]*ready, []string, error)
}

// apply carries an edit out. It gives the events as they are now.
func (s *Service) apply(ctx context.Context, e edit) (written []*ready, err error) {
	defer fault.Op(&err, "events.apply")
	key, err := s.deps.Keys.For(ctx)
	if err != nil {
		return nil, err
	}
	var w *writer
	err = s.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		w = &writer{key: key}
		return s.write(ctx, tx, e, w)
	})
	// also when the outcome is not known: caches must not keep what may be gone
	if w == nil {
		return nil, err
	}
	return w.puts, s.ended(ctx, w.made, err)
}

// write carries an edit out in a transaction.
func (s *Service) write(ctx context.Context, tx db.Tx, e edit, w *writer) error {
	if err := tx.Lock(ctx, "calendar.counter"); err != nil {
		return err
	}
	uids, ids := map[string]string{}, slices.Clone(e.ids)
	if len(e.uids) > 0 {
		err := tx.Lookup(ctx, db.Lookup{Table: "calendar_event", Want: []string{"uid", "id"}, Keys: []db.Column{db.Col("uid", e.uids)}}, func(_ int, r db.Row) error {
			uids[r.Text(0)] = r.Text(1)
			ids = append(ids, r.Text(1))
			return nil
		})
		if err != nil {
			return err
		}
	}
	if e.find != nil {
		more, err := e.find(ctx, tx)
		if err != nil {
			return err
		}
		ids = append(ids, more...)
		slices.Sort(ids)
		ids = slices.Compact(ids)
	}
	var err error
	if w.have, err = s.load(ctx, tx, w.key, ids); err != nil {
		return err
	}
	puts, drops, err := e.change(w.have, uids)
	if err != nil {
		return err
	}
	token, number, err := counters(ctx, tx)
	if err != nil {
		return err
	}
	w.change, w.token = int64(number)+1, newToken() //nolint:gosec // a count
	w.now = s.deps.Clock.Now().UTC().Format(time.RFC3339)
	for _, r := range puts {
		if was := w.have[r.ID].Event; !e.joint && (r.Kept || was != nil && was.Kept) {
			return errKept()
		}
		w.put(r)
	}
	for _, id := range drops {
		if !e.joint && w.have[id].Kept {
			return errKept()
		}
		w.drop(w.have[id])
	}
	if s.deps.Audit != nil && len(w.ids) > 0 && !e.joint {
		if err := s.deps.Audit.RecordIn(ctx, tx, w.done()...); err != nil {
			return err
		}
	}
	if e.also != nil {
		if err := e.also(ctx, tx, puts); err != nil {
			return err
		}
	}
	if len(w.ids) == 0 {
		return nil
	}
	if err := w.flush(ctx, tx); err != nil {
		return err
	}
	if ids := w.reminded(); s.deps.Alarms != nil && len(ids) > 0 {
		if err := s.deps.Alarms.Changed(ctx, tx, ids); err != nil {
			return err
		}
	}
	return s.announce(ctx, w, token)
}

// announce prepares, at the end of the transaction, what is published after it.
func (s *Service) announce(ctx context.Context, w *writer, token uint64) (err error) {
	p := w.published()
	if p.leases, err = s.lease(ctx, p); err != nil {
		return err
	}
	p.marking, err = s.mark(ctx, p, token, w.token)
	w.made = p
	return err
}

func errKept() error {
	return fault.Conflict("this event is a booked visit: it changes with its appointment only, by Appointment/$reschedule and Appointment/$cancel")
}

// writer gathers the rows of a change.
type writer struct {
	key    *seal.Key
	have   map[string]stored
	change int64
	now    string // RFC 3339
	token  uint64
	made   *published // what is published after the commit; nil when nothing changed
	puts   []*ready   // the events as they are now

	ids, uids []string
	versions  []int64
	bodies    [][]byte
	months    struct {
		subscriber, event []string
		month             []int64
	}
	unmonths struct {
		subscriber, event []string
		month             []int64
	}
	subscribers []string
	events      []string
	gone        []bool
}

func (w *writer) put(r *ready) {
	w.puts = append(w.puts, r)
	e := r.Event
	was := w.have[e.ID]
	if e.ID == "" {
		e.ID = id.New()
	}
	if e.UID == "" {
		e.UID = e.ID
	}
	e.Version, e.Updated = was.ver+1, w.now
	under := cmp.Or(r.key, e.UID)
	if was.Event != nil {
		under = was.key
	}
	kept := *e
	kept.ID, kept.Version = "", 0
	text, err := json.Marshal(sealed{kept, e.source})
	if err != nil {
		panic(err) // strings, numbers and lists of them
	}
	w.ids, w.uids, w.versions = append(w.ids, e.ID), append(w.uids, under), append(w.versions, e.Version)
	w.bodies = append(w.bodies, w.key.Seal(nil, text, associated(e.ID)))
	w.unlist(was)
	for _, subscriber := range e.Subscribers {
		for _, m := range r.months() {
			w.months.subscriber, w.months.month, w.months.event = append(w.months.subscriber, subscriber), append(w.months.month, m), append(w.months.event, e.ID)
		}
		w.subscribe(subscriber, e.ID, false)
	}
	if was.Event != nil {
		for _, subscriber := range was.Subscribers {
			if !slices.Contains(e.Subscribers, subscriber) {
				w.subscribe(subscriber, e.ID, true)
			}
		}
	}
}

func (w *writer) drop(was stored) {
	w.ids, w.uids, w.versions, w.bodies = append(w.ids, was.id), append(w.uids, was.key), append(w.versions, was.ver+1), append(w.bodies, nil)
	w.unlist(was)
	for _, subscriber := range was.Subscribers {
		w.subscribe(subscriber, was.id, true)
	}
}

// unlist takes what was from the months it is listed under.
func (w *writer) unlist(was stored) {
	if was.Event == nil {
		return
	}
	r, err := compile(was.Event)
	if err != nil {
		return // what was stored was checked
	}
	for _, subscriber := range was.Subscribers {
		for _, m := range r.months() {
			w.unmonths.subscriber, w.unmonths.month, w.unmonths.event = append(w.unmonths.subscriber, subscriber), append(w.unmonths.month, m), append(w.unmonths.event, was.id)
		}
	}
}

func (w *writer) subscribe(subscriber, event string, gone bool) {
	w.subscribers, w.events, w.gone = append(w.subscribers, subscriber), append(w.events, event), append(w.gone, gone)
}

// touched are the subscribers whose calendars change.
func (w *writer) touched() []string {
	list := slices.Clone(w.subscribers)
	slices.Sort(list)
	return slices.Compact(list)
}

func fill(n int, value int64) []int64 {
	list := make([]int64, n)
	for i := range list {
		list[i] = value
	}
	return list
}

func (w *writer) flush(ctx context.Context, tx db.Tx) error {
	_, err := tx.Upsert(ctx, "calendar_event", []string{"id"}, db.Col("id", w.ids), db.Col("uid", w.uids), db.Col("version", w.versions),
		db.Col("changed", fill(len(w.ids), w.change)), db.Col("body", w.bodies))
	if err != nil {
		return err
	}
	if m := w.unmonths; len(m.event) > 0 {
		if _, err := tx.Delete(ctx, "calendar_month", db.Col("subscriber", m.subscriber), db.Col("month", m.month), db.Col("event", m.event)); err != nil {
			return err
		}
	}
	if m := w.months; len(m.event) > 0 {
		if _, err := tx.Insert(ctx, "calendar_month", db.Col("subscriber", m.subscriber), db.Col("month", m.month), db.Col("event", m.event)); err != nil {
			return err
		}
	}
	if _, err := tx.Upsert(ctx, "calendar_subscription", []string{"subscriber", "event"}, db.Col("subscriber", w.subscribers), db.Col("event", w.events),
		db.Col("changed", fill(len(w.events), w.change)), db.Col("gone", w.gone)); err != nil {
		return err
	}
	touched := w.touched()
	if _, err := tx.Upsert(ctx, "calendar_subscriber", []string{"subscriber"}, db.Col("subscriber", touched), db.Col("version", fill(len(touched), w.change))); err != nil {
		return err
	}
	_, err = tx.Upsert(ctx, "calendar_counter", []string{"name"}, db.Col("name", []string{"change", "token"}), db.Col("value", []int64{w.change, int64(w.token)})) //nolint:gosec // it has 63 bits
	return err
}
