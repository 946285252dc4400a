package records

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/format/fhir"
	"ward/internal/format/fhir/search"
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
		err = s.batcher.Do(ctx, c)
	}
	if err != nil && !fault.Is(err, fault.CodeUnavailable) {
		return err
	}
	return cmp.Or(err, s.announce(ctx, []*Change{c}))
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
	for i, c := range cs {
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
	rows, err := s.rows(touched, s.parameters.current(ctx))
	if err != nil {
		return nil, err
	}
	if err := rows.write(ctx, tx); err != nil {
		return nil, err
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
		v, err := s.scanVersion(r, sl.typ, sl.id)
		if err != nil {
			return err
		}
		sl.rid, sl.found, sl.current = v.RID, v, v
		return nil
	})
	return slots, err
}

// scanVersion reads the columns rid, version, seq, op, body.
func (s *Service) scanVersion(r db.Row, typ, resourceID string) (*Version, error) {
	json, err := s.packer.unpack(r.Bytes(4))
	if err != nil {
		return nil, err
	}
	return &Version{
		Type: typ, ID: resourceID, RID: r.Int64(0), Number: r.Int64(1), Seq: r.Int64(2), Op: Op(r.Int64(3)), JSON: json,
	}, nil
}

// step carries one change out on its slot, in memory.
func (s *Service) step(c *Change, sl *slot) error {
	now := sl.current
	exists := now != nil && !now.Deleted()
	switch {
	case c.IfMatch != 0 && !exists:
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

// entries are the rows of all indexes for one version of a resource.
type entries struct {
	postings []search.Posting
	chart    []chartRow
}

type chartRow struct {
	patient, code, at int64
	typ               int32
}

func (s *Service) entries(typ string, values indexed) entries {
	e := entries{postings: values.postings}
	number := s.number(typ)
	at := chartTime(values.chart.At)
	for _, patient := range values.chart.Patients {
		e.chart = append(e.chart, chartRow{int64(patient), 0, at, number}) //nolint:gosec // a hash's bits
		for _, code := range values.chart.Codes {
			e.chart = append(e.chart, chartRow{int64(patient), int64(code), at, number}) //nolint:gosec // a hash's bits
		}
	}
	return e
}

// chartTime turns a time into the chart's column, in which the newest sorts first and what has no time last.
func chartTime(at int64) int64 {
	return ^at
}

// rowSet gathers all rows that a group of changes writes, so that each table is written by one statement.
type rowSet struct {
	created, updated, history resourceRows
	postingAdd, postingDrop   postingRows
	chartAdd, chartDrop       chartRows
}

// rows computes them. now is the tenant's registry, nil when that is not known: a search parameter that was added after
// a change was prepared must be indexed too.
func (s *Service) rows(touched []*slot, now *search.Registry) (*rowSet, error) {
	rows := new(rowSet)
	for _, sl := range touched {
		registry := sl.last.registry
		if now != nil && now != registry {
			registry = now
			if !sl.current.Deleted() {
				sl.last.values = extract(now, sl.typ, sl.id, sl.last.doc)
			}
		}
		for i := range sl.replaced {
			rows.history.add(s, &sl.replaced[i], nil)
		}
		var before, after entries
		if sl.found == nil {
			rows.created.add(s, sl.current, encodeID(sl.id))
		} else {
			rows.updated.add(s, sl.current, encodeID(sl.id))
			if !sl.found.Deleted() {
				doc := new(jsontape.Doc)
				if err := doc.Parse(sl.found.JSON); err != nil {
					return nil, fault.Internal("a stored resource does not parse").With(err)
				}
				values := extract(registry, sl.typ, sl.id, doc)
				before = s.entries(sl.typ, values)
				sl.last.patients = append(sl.last.patients, values.chart.Patients...)
			}
		}
		if !sl.current.Deleted() {
			after = s.entries(sl.typ, sl.last.values)
			sl.last.patients = append(sl.last.patients, sl.last.values.chart.Patients...)
		}
		rows.diff(sl.rid, before, after)
	}
	return rows, nil
}

// diff adds the index rows that are new and drops those that are no more.
func (rows *rowSet) diff(rid int64, before, after entries) {
	same := func(a, b search.Posting) bool { return a.Atom == b.Atom && bytes.Equal(a.Key, b.Key) }
	for _, p := range after.postings {
		if !slices.ContainsFunc(before.postings, func(q search.Posting) bool { return same(p, q) }) {
			rows.postingAdd.add(p, rid)
		}
	}
	for _, p := range before.postings {
		if !slices.ContainsFunc(after.postings, func(q search.Posting) bool { return same(p, q) }) {
			rows.postingDrop.add(p, rid)
		}
	}
	for _, c := range after.chart {
		if !slices.Contains(before.chart, c) {
			rows.chartAdd.add(c, rid)
		}
	}
	for _, c := range before.chart {
		if !slices.Contains(after.chart, c) {
			rows.chartDrop.add(c, rid)
		}
	}
}

// write sends all rows, each table's in the order of its key.
func (rows *rowSet) write(ctx context.Context, tx db.Tx) error {
	if len(rows.created.rids) > 0 {
		if _, err := tx.Insert(ctx, "records_resource", rows.created.columns(true)...); err != nil {
			return err
		}
	}
	if len(rows.updated.rids) > 0 {
		if _, err := tx.Upsert(ctx, "records_resource", []string{"rid"}, rows.updated.columns(true)...); err != nil {
			return err
		}
	}
	if len(rows.history.rids) > 0 {
		if _, err := tx.Insert(ctx, "records_history", rows.history.columns(false)...); err != nil {
			return err
		}
	}
	if len(rows.postingDrop) > 0 {
		if _, err := tx.Delete(ctx, "records_index", rows.postingDrop.columns()...); err != nil {
			return err
		}
	}
	if len(rows.chartDrop) > 0 {
		if _, err := tx.Delete(ctx, "records_chart", rows.chartDrop.columns()...); err != nil {
			return err
		}
	}
	if len(rows.postingAdd) > 0 {
		if _, err := tx.Insert(ctx, "records_index", rows.postingAdd.columns()...); err != nil {
			return err
		}
	}
	if len(rows.chartAdd) > 0 {
		if _, err := tx.Insert(ctx, "records_chart", rows.chartAdd.columns()...); err != nil {
			return err
		}
	}
	return nil
}

type resourceRows struct {
	rids, versions, seqs []int64
	types, ops           []int32
	ids, bodies          [][]byte
}

func (r *resourceRows) add(s *Service, v *Version, idKey []byte) {
	r.rids = append(r.rids, v.RID)
	r.versions = append(r.versions, v.Number)
	r.seqs = append(r.seqs, v.Seq)
	r.types = append(r.types, s.number(v.Type))
	r.ops = append(r.ops, int32(v.Op))
	r.ids = append(r.ids, idKey)
	var body []byte
	if !v.Deleted() {
		body = s.packer.pack(v.Type, v.JSON)
	}
	r.bodies = append(r.bodies, body)
}

func (r *resourceRows) columns(withID bool) []db.Column {
	columns := []db.Column{
		db.Col("rid", r.rids), db.Col("type", r.types), db.Col("version", r.versions), db.Col("seq", r.seqs),
		db.Col("op", r.ops), db.Col("body", r.bodies),
	}
	if withID {
		columns = append(columns, db.Col("id", r.ids))
	}
	return columns
}

type postingRows []postingRow

type postingRow struct {
	search.Posting
	rid int64
}

func (r *postingRows) add(p search.Posting, rid int64) { *r = append(*r, postingRow{p, rid}) }

func (r postingRows) columns() []db.Column {
	slices.SortFunc(r, func(a, b postingRow) int {
		return cmp.Or(cmp.Compare(int32(a.Atom), int32(b.Atom)), bytes.Compare(a.Key, b.Key), cmp.Compare(a.rid, b.rid)) //nolint:gosec // a hash's bits, as stored
	})
	atoms, keys, rids := make([]int32, len(r)), make([][]byte, len(r)), make([]int64, len(r))
	for i, p := range r {
		atoms[i], keys[i], rids[i] = int32(p.Atom), p.Key, p.rid //nolint:gosec // a hash's bits
	}
	return []db.Column{db.Col("atom", atoms), db.Col("key", keys), db.Col("rid", rids)}
}

type chartRows []keyedChartRow

type keyedChartRow struct {
	chartRow
	rid int64
}

func (r *chartRows) add(c chartRow, rid int64) { *r = append(*r, keyedChartRow{c, rid}) }

func (r chartRows) columns() []db.Column {
	slices.SortFunc(r, func(a, b keyedChartRow) int {
		return cmp.Or(cmp.Compare(a.patient, b.patient), cmp.Compare(a.typ, b.typ), cmp.Compare(a.code, b.code),
			cmp.Compare(a.at, b.at), cmp.Compare(a.rid, b.rid))
	})
	n := len(r)
	patients, codes, ats, rids, types := make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n), make([]int32, n)
	for i, c := range r {
		patients[i], types[i], codes[i], ats[i], rids[i] = c.patient, c.typ, c.code, c.at, c.rid
	}
	return []db.Column{
		db.Col("patient", patients), db.Col("type", types), db.Col("code", codes), db.Col("at", ats), db.Col("rid", rids),
	}
}
