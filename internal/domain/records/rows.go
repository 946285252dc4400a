package records

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/format/fhir/search"
	"ward/internal/format/jsontape"
	"ward/internal/kernel/seal"
)

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
	mask                      *seal.Mask
	created, updated, history resourceRows
	postings, postingDrop     postingRows
	chart, chartDrop          chartRows
	// Rows of resources that were there before: one that an earlier version of Ward left behind is no error.
	postingAdd postingRows
	chartAdd   chartRows
}

// rows computes them. now is the tenant's registry, nil when that is not known: a search parameter that was added after
// a change was prepared must be indexed too.
func (s *Service) rows(ctx context.Context, touched []*slot, now *search.Registry) (*rowSet, error) {
	key, err := s.keys.For(ctx)
	if err != nil {
		return nil, err
	}
	rows := &rowSet{mask: key.Mask()}
	for _, sl := range touched {
		registry := sl.last.registry
		if now != nil && now != registry {
			registry = now
			if !sl.current.Deleted() {
				sl.last.values = extract(now, sl.typ, sl.id, sl.last.doc)
			}
		}
		for i := range sl.replaced {
			rows.history.add(s, key, &sl.replaced[i], nil)
		}
		var before, after entries
		if sl.found == nil {
			rows.created.add(s, key, sl.current, encodeID(sl.id))
		} else {
			rows.updated.add(s, key, sl.current, encodeID(sl.id))
			if !sl.found.Deleted() {
				doc := new(jsontape.Doc)
				if err := doc.Parse(sl.found.JSON); err != nil {
					return nil, fault.Internal("a stored resource does not parse").With(err)
				}
				values := extract(registry, sl.typ, sl.id, doc)
				before = s.entries(sl.typ, values)
				sl.patients = append(sl.patients, values.chart.Patients...)
			}
		}
		if !sl.current.Deleted() {
			after = s.entries(sl.typ, sl.last.values)
			sl.patients = append(sl.patients, sl.last.values.chart.Patients...)
		}
		if sl.found == nil {
			rows.add(sl.rid, after)
		} else {
			rows.diff(sl.rid, before, after)
		}
	}
	return rows, nil
}

// add takes the index rows of a new resource.
func (rows *rowSet) add(rid int64, e entries) {
	for _, p := range e.postings {
		rows.postings.add(p, rid)
	}
	for _, c := range e.chart {
		rows.chart.add(c, rid)
	}
}

// diff adds the index rows that are new and drops those that are no more. Postings are in order.
func (rows *rowSet) diff(rid int64, before, after entries) {
	old := before.postings
	for _, p := range after.postings {
		for len(old) > 0 && comparePostings(old[0], p) < 0 {
			rows.postingDrop.add(old[0], rid)
			old = old[1:]
		}
		if len(old) > 0 && comparePostings(old[0], p) == 0 {
			old = old[1:]
		} else {
			rows.postingAdd.add(p, rid)
		}
	}
	for _, p := range old {
		rows.postingDrop.add(p, rid)
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

func comparePostings(a, b search.Posting) int {
	return cmp.Or(cmp.Compare(a.Atom, b.Atom), bytes.Compare(a.Key, b.Key))
}

// write sends all rows, each table's in the order of its key.
func (rows *rowSet) write(ctx context.Context, tx db.Tx) error {
	for _, step := range []struct {
		rows int
		run  func() (int64, error)
	}{
		{len(rows.created.rids), func() (int64, error) { return tx.Insert(ctx, "records_resource", rows.created.columns(true)...) }},
		{len(rows.updated.rids), func() (int64, error) {
			return tx.Upsert(ctx, "records_resource", []string{"rid"}, rows.updated.columns(true)...)
		}},
		{len(rows.history.rids), func() (int64, error) { return tx.Insert(ctx, "records_history", rows.history.columns(false)...) }},
		{len(rows.postingDrop), func() (int64, error) { return tx.Delete(ctx, "records_index", rows.postingDrop.columns(rows.mask)...) }},
		{len(rows.chartDrop), func() (int64, error) { return tx.Delete(ctx, "records_chart", rows.chartDrop.columns(rows.mask)...) }},
		{len(rows.postingAdd), func() (int64, error) {
			return tx.InsertNew(ctx, "records_index", rows.postingAdd.columns(rows.mask)...)
		}},
		{len(rows.chartAdd), func() (int64, error) { return tx.InsertNew(ctx, "records_chart", rows.chartAdd.columns(rows.mask)...) }},
		{len(rows.postings), func() (int64, error) { return tx.Insert(ctx, "records_index", rows.postings.columns(rows.mask)...) }},
		{len(rows.chart), func() (int64, error) { return tx.Insert(ctx, "records_chart", rows.chart.columns(rows.mask)...) }},
	} {
		if step.rows == 0 {
			continue
		}
		if _, err := step.run(); err != nil {
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

func (r *resourceRows) add(s *Service, key *seal.Key, v *Version, idKey []byte) {
	r.rids = append(r.rids, v.RID)
	r.versions = append(r.versions, v.Number)
	r.seqs = append(r.seqs, v.Seq)
	r.types = append(r.types, s.number(v.Type))
	r.ops = append(r.ops, int32(v.Op))
	r.ids = append(r.ids, idKey)
	var body []byte
	if !v.Deleted() {
		body = s.packer.sealed(key, v)
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

// columns gives the rows as they are stored: once, for it masks them.
func (r postingRows) columns(m *seal.Mask) []db.Column {
	room := make([]byte, 0, 16*len(r))
	for i := range r {
		if r[i].Form != search.FormOrdered {
			from := len(room)
			room = maskKey(m, room, r[i].Atom, r[i].Form, r[i].Key)
			r[i].Key = room[from:len(room):len(room)]
		}
	}
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

// columns gives the rows as they are stored: once, for it masks them.
func (r chartRows) columns(m *seal.Mask) []db.Column {
	for i := range r {
		r[i].patient, r[i].code = maskChart(m, r[i].patient), maskChartCode(m, r[i].code)
	}
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
