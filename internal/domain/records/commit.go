package records

import (
	"cmp"
	"context"
	"errors"
	"strconv"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/format/fhir"
	"ward/internal/format/jsontape"
)

// commit writes one prepared change together with whatever other requests of the same tenant are waiting, and returns
// when it is durable.
//
// Errors: Precondition when IfMatch or MustNotExist does not hold, Conflict, Unavailable, Full.
func (s *Service) commit(ctx context.Context, c *Change) error {
	defer s.flights.begin(ctx)()
	err := s.batcher.Do(ctx, c)
	for attempt := 1; attempt < createAttempts && errors.Is(err, db.ErrUnique); attempt++ {
		s.sequence.redraw()
		err = s.batcher.Do(ctx, c)
	}
	switch {
	case err == nil, fault.Is(err, fault.CodeUnavailable), fault.Is(err, fault.CodePrecondition):
		return cmp.Or(err, s.announce(ctx, []*Change{c}))
	}
	return err
}

// createAttempts is how often a write begins anew because another one created the same resource at the same time.
const createAttempts = 5

// write runs fn in a transaction and tells all caches what the changes that it returns have touched. Two writers that create
// the same resource don't see each other until one has committed; the other then begins anew and finds it.
//
// Errors: fn's; Unavailable when it is not known whether the changes were made.
func (s *Service) write(ctx context.Context, fn func(ctx context.Context, tx db.Tx) ([]*Change, error)) error {
	defer s.flights.begin(ctx)()
	for attempt := 1; ; attempt++ {
		var made []*Change
		err := s.db.Write(ctx, func(ctx context.Context, tx db.Tx) (err error) {
			made, err = fn(ctx, tx)
			return err
		})
		switch {
		case err == nil, fault.Is(err, fault.CodeUnavailable):
			return cmp.Or(err, s.announce(ctx, made))
		case attempt == createAttempts, !errors.Is(err, db.ErrUnique):
			return err
		}
		s.sequence.redraw()
	}
}

// applyGroup is what the batcher runs: results[i] fails cs[i] alone.
func (s *Service) applyGroup(ctx context.Context, tx db.Tx, cs []*Change, results []error) error {
	errs, err := s.apply(ctx, tx, cs)
	copy(results, errs)
	return err
}

// slot is one resource that a group of changes touches.
type slot struct {
	typ, id  string
	rid      int64
	found    *Version  // as stored before the group; nil if there was nothing
	current  *Version  // after the changes so far
	last     *Change   // the change that made current
	replaced []Version // superseded by this group, to be kept as history
	patients []uint64  // whose charts are touched, before and after
	searched bool      // by unannounced
}

// apply makes changes inside a transaction of the caller's. errs[i] says that cs[i] alone was refused and left no
// trace; err says that the transaction is to be given up. Later changes see what earlier ones did.
func (s *Service) apply(ctx context.Context, tx db.Tx, cs []*Change) (errs []error, err error) {
	defer fault.Op(&err, "records.apply")
	slots, err := s.slots(ctx, tx, cs)
	if err != nil {
		return nil, err
	}
	errs = make([]error, len(cs))
	room, err := s.room(ctx, tx, cs, slots)
	if err != nil {
		return nil, err
	}
	for i, c := range cs {
		if creates(c, slots[i]) && !room.take() {
			errs[i] = room.refusal()
			continue
		}
		errs[i] = s.step(c, slots[i])
	}
	if err := s.checkReferences(ctx, tx, cs, slots, errs); err != nil {
		return nil, err
	}
	touched := slots[:0:0]
	for i, c := range cs {
		if errs[i] == nil && slots[i].last == c {
			touched = append(touched, slots[i])
		}
	}
	rows, err := s.rows(ctx, touched, s.parameters.current(ctx))
	if err != nil {
		return nil, err
	}
	if err := rows.write(ctx, tx); err != nil {
		return nil, err
	}
	if err := s.recordChanges(ctx, tx, cs, errs); err != nil {
		return nil, err
	}
	if err := s.unannounced(ctx, tx, cs, slots); err != nil {
		return nil, err
	}
	for i, c := range cs {
		c.patients = slots[i].patients
	}
	effective := make([]*Change, len(touched))
	for i, sl := range touched {
		effective[i] = sl.last
	}
	return errs, s.parameters.applied(ctx, tx, effective)
}

// slots finds what is stored under each change's id, locked until the transaction ends. Changes of one resource
// share a slot.
func (s *Service) slots(ctx context.Context, tx db.Tx, cs []*Change) ([]*slot, error) {
	slots := make([]*slot, len(cs))
	byKey := make(map[string]*slot, len(cs))
	var (
		types []int32
		ids   [][]byte
		named []*slot
	)
	for i, c := range cs {
		c.Version, c.Prior, c.Created, c.NoOp, c.patients = nil, nil, false, false, nil
		if c.fresh {
			slots[i] = &slot{typ: c.Type, id: c.ID}
			continue
		}
		key := c.Type + "/" + c.ID
		if slots[i] = byKey[key]; slots[i] != nil {
			continue
		}
		sl := &slot{typ: c.Type, id: c.ID}
		slots[i], byKey[key] = sl, sl
		named = append(named, sl)
		types = append(types, s.number(c.Type))
		ids = append(ids, encodeID(c.ID))
	}
	if len(named) == 0 {
		return slots, nil
	}
	err := tx.Lookup(ctx, db.Lookup{
		Table: "records_resource", Want: []string{"rid", "version", "seq", "op", "body"},
		Keys: []db.Column{db.Col("type", types), db.Col("id", ids)}, ForUpdate: true,
	}, func(i int, r db.Row) error {
		sl := named[i]
		v, err := s.scanVersion(ctx, r, sl.typ, sl.id)
		if err != nil {
			return err
		}
		sl.rid, sl.found, sl.current = v.RID, v, v
		return nil
	})
	return slots, err
}

// scanVersion reads the columns rid, version, seq, op, body.
func (s *Service) scanVersion(ctx context.Context, r db.Row, typ, resourceID string) (*Version, error) {
	v := &Version{Type: typ, ID: resourceID, RID: r.Int64(0), Number: r.Int64(1), Seq: r.Int64(2), Op: opAt(r, 3)}
	var err error
	v.JSON, err = s.unseal(ctx, v.RID, v.Number, r.Bytes(4))
	return v, err
}

// step carries one change out on its slot, in memory.
func (s *Service) step(c *Change, sl *slot) error {
	now, err := s.judge(c, sl.current)
	if err != nil {
		return err
	}
	if err := unkept(c, now); err != nil {
		return err
	}
	exists := now != nil && !now.Deleted()
	switch {
	case c.IfMatch != 0 && now == nil, c.IfMatch == anyVersion && !exists:
		return fault.Precondition("If-Match asks for a version, and there is no such resource")
	case c.IfMatch == noVersion:
		return fault.Precondition("If-Match names no version that this server gave; the current one is %d", now.Number)
	case c.IfMatch > 0 && c.IfMatch != now.Number:
		return fault.Precondition("If-Match asks for version %d, the current one is %d", c.IfMatch, now.Number)
	case c.MustNotExist && exists:
		return fault.Precondition("If-None-Match: * asks that there be no such resource, and there is one")
	case c.Op == OpDelete && !exists:
		c.Version, c.Prior, c.NoOp = now, now, true
		return nil
	}
	v := &Version{Type: c.Type, ID: c.ID, Number: 1, Op: c.Op}
	if now == nil {
		v.Seq = s.sequence.after(0)
		v.RID = v.Seq
		sl.rid = v.RID
	} else {
		v.Number, v.RID, v.Seq = now.Number+1, sl.rid, s.sequence.after(now.Seq)
		sl.replaced = append(sl.replaced, *now)
	}
	if c.Op != OpDelete {
		v.JSON = fhir.Stamp(make([]byte, 0, len(c.JSON)+128), c.doc, c.ID, strconv.FormatInt(v.Number, 10), v.Updated())
	}
	c.Version, c.Prior, c.Created = v, now, !exists && c.Op != OpDelete
	sl.current, sl.last = v, c
	return nil
}

const versionsDown = `SELECT rid, version, seq, op, body FROM records_history WHERE rid = $1 ORDER BY version DESC LIMIT $2`

// unannounced adds the patients of versions that writes still under way have superseded. Such a write is committed, but has
// not told the caches yet; who writes after it on the same resource, and is acknowledged first, tells them.
func (s *Service) unannounced(ctx context.Context, tx db.Tx, cs []*Change, slots []*slot) error {
	low := s.flights.now(ctx).low
	for i, sl := range slots {
		if sl.found == nil || sl.found.Seq < low || sl.searched {
			continue
		}
		sl.searched = true
		const most = 64
		err := tx.Query(ctx, versionsDown, func(r db.Row) error {
			v, err := s.scanVersion(ctx, r, sl.typ, sl.id)
			if err != nil {
				return err
			}
			if !v.Deleted() {
				var doc jsontape.Doc
				if err := doc.Parse(v.JSON); err != nil {
					return fault.Internal("a stored resource does not parse").With(err)
				}
				sl.patients = append(sl.patients, extract(cs[i].registry, sl.typ, sl.id, &doc).chart.Patients...)
			}
			if v.Seq < low {
				return db.Stop
			}
			return nil
		}, sl.rid, most)
		if err != nil {
			return err
		}
	}
	return nil
}
