package records

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/format/fhir/search"
	"ward/internal/format/jsontape"
	"ward/internal/kernel/access"
)

// A panel is the patients in reach of somebody who has many. Which of a search's candidates are about them is in the index: where what is asked for is spread over all
// charts, the search goes through theirs, patient after patient in the order of ids, and reads no further than the page needs.

const (
	fewPatientsAtOnce  = 8      // whose index rows the first statement reads
	mostPatientsAtOnce = 256    // and later ones, at most
	mostWithin         = 2_000  // patients of a panel against whom gathered rids are held
	mostOfPanel        = 50_000 // rids of a panel that are held in memory at once
	gatherOfPanel      = 4_000  // a lead with more than this is worse than going through the panel
)

// panelOf is the condition that holds for a panel which can lead; -1 without one.
func panelOf(conditions []condition) int {
	return slices.IndexFunc(conditions, func(c condition) bool { return c.panel })
}

// indexed says whether the panel's resources of a type are found by the index.
func (e *engine) indexed(ctx context.Context, typ string) bool {
	params := e.s.links[typ]
	return typ == "Patient" || len(params) > 0 && !slices.ContainsFunc(params, func(p *search.Param) bool { return !e.s.parameters.ready(ctx, p) })
}

// panelPlan goes through the panel's charts. Conditions are decided on what is read.
func (e *engine) panelPlan(typ string, conditions []condition, from cursor) (*plan, error) {
	lead := panelOf(conditions)
	if lead < 0 {
		return nil, errCursor()
	}
	src := &panelSource{e: e, typ: typ, patients: conditions[lead].among.List(), among: conditions[lead].among, step: fewPatientsAtOnce}
	src.code, _ = chartCode(conditions)
	if err := src.seek(from.position); err != nil {
		return nil, err
	}
	p := &plan{source: src, kind: fromPanel, lead: -1, residual: dearLast(conditions), typ: typ, conditions: conditions}
	others := slices.ContainsFunc(conditions, func(c condition) bool { return !c.panel && (c.code == nil || !c.codeExact) })
	if typ != "Patient" && !others && len(from.position) == 0 {
		p.count = func(ctx context.Context) (int64, error) {
			rids, err := src.all(ctx, e.q, maxCollected)
			if err == nil && rids == nil {
				err = fault.New(fault.CodeTooCostly, "more than %d resources are about the patients in your reach: add a criterion that narrows the search", maxCollected)
			}
			return int64(len(rids)), err
		}
	}
	return p, nil
}

// panelRow is a resource in the chart of a patient of the panel.
type panelRow struct {
	patient string
	rid     int64
}

// panelSource reads the resources of a panel: by patient, and of each patient by rid. A resource about several is given with the first.
type panelSource struct {
	e        *engine
	typ      string
	code     int64
	among    *access.Set
	patients []string // that are left, in order
	after    panelRow // the last one given; of its patient only what comes later is left
	step     int
	pending  []panelRow
}

// A position is the patient's id, a zero byte, and the rid.
func (r panelRow) position() []byte {
	return sortableInt64(append(append(make([]byte, 0, len(r.patient)+9), r.patient...), 0), r.rid)
}

func (p *panelSource) seek(position []byte) error {
	if len(position) == 0 {
		return nil
	}
	if len(position) < 10 || position[len(position)-9] != 0 {
		return errCursor()
	}
	p.after = panelRow{string(position[:len(position)-9]), fromSortableInt64(position[len(position)-8:])}
	at, _ := slices.BinarySearch(p.patients, p.after.patient)
	p.patients = p.patients[at:]
	return nil
}

func (p *panelSource) next(ctx context.Context, q db.Querier, n int) ([]candidate, error) {
	found := make([]candidate, 0, min(n, 100))
	for len(found) < n {
		if len(p.pending) == 0 {
			if len(p.patients) == 0 {
				return found, nil
			}
			if err := p.gather(ctx, q); err != nil {
				return nil, err
			}
			continue
		}
		rows := p.pending[:min(n-len(found), len(p.pending))]
		p.pending = p.pending[len(rows):]
		rids := make([]int64, len(rows))
		for i, r := range rows {
			rids[i] = r.rid
		}
		versions, err := p.e.s.byRID(ctx, q, rids, p.typ)
		if err != nil {
			return nil, err
		}
		for i, v := range versions {
			if v == nil || v.Deleted() {
				continue
			}
			first, err := p.first(v, rows[i].patient)
			if err != nil {
				return nil, err
			}
			if first {
				found = append(found, candidate{v, rows[i].position()})
			}
		}
	}
	return found, nil
}

// first says whether no patient of the panel whom the resource is about comes before the one.
func (p *panelSource) first(v *Version, patient string) (bool, error) {
	if p.typ == "Patient" || bytes.Count(v.JSON, []byte("Patient/")) == 1 && bytes.IndexByte(v.JSON, '\\') < 0 {
		return true, nil
	}
	doc := jsontape.Get()
	defer jsontape.Put(doc)
	if err := doc.Parse(v.JSON); err != nil {
		return false, wrapParse(err)
	}
	first := true
	p.e.s.patientsOf(p.e.registry, v.Type, v.ID, doc, func(other string) {
		if other < patient && p.among.Has(other) {
			first = false
		}
	})
	return first, nil
}

// gather reads the index rows of the patients who come next: of few at first, a page is often in the first charts.
func (p *panelSource) gather(ctx context.Context, q db.Querier) error {
	if p.typ == "Patient" {
		if known, err := p.itself(ctx); known || err != nil {
			return err
		}
		p.step = max(p.step, 8*fewPatientsAtOnce) // each has one row
	}
	chunk := p.patients[:min(p.step, len(p.patients))]
	p.patients, p.step = p.patients[len(chunk):], min(4*p.step, mostPatientsAtOnce)
	err := p.rows(ctx, q, chunk, func(r panelRow) {
		if r.patient != p.after.patient || r.rid > p.after.rid {
			p.pending = append(p.pending, r)
		}
	})
	if err != nil {
		return err
	}
	slices.SortFunc(p.pending, func(a, b panelRow) int {
		return cmp.Or(strings.Compare(a.patient, b.patient), cmp.Compare(a.rid, b.rid))
	})
	p.pending = slices.Compact(p.pending)
	return p.e.budget.spend(len(p.pending)/8 + 1)
}

// itself takes the panel's own Patients where their rids are known.
func (p *panelSource) itself(ctx context.Context) (bool, error) {
	known, err := p.e.patientsOfPanel(ctx, p.among)
	if err != nil || known == nil {
		return false, err
	}
	for i, id := range p.patients {
		if r := (panelRow{id, known.each[p.among.Len()-len(p.patients)+i]}); r.patient != p.after.patient || r.rid > p.after.rid {
			p.pending = append(p.pending, r)
		}
	}
	p.patients = nil
	return true, nil
}

// rows calls each with every index row of the patients, perhaps more than once.
func (p *panelSource) rows(ctx context.Context, q db.Querier, patients []string, each func(panelRow)) error {
	number := p.e.s.number(p.typ)
	if p.typ == "Patient" {
		types, keys := make([]int32, len(patients)), make([][]byte, len(patients))
		for i, id := range patients {
			types[i], keys[i] = number, encodeID(id)
		}
		return q.Lookup(ctx, db.Lookup{
			Table: "records_resource", Want: []string{"rid"}, Keys: []db.Column{db.Col("type", types), db.Col("id", keys)},
		}, func(i int, r db.Row) error {
			each(panelRow{patients[i], r.Int64(0)})
			return nil
		})
	}
	type owned struct {
		charts, postings []string // whose
		keys             []int64
		equal            []posting
	}
	var o owned
	for _, id := range patients {
		known := make(map[postingKey]bool, 4) // parameters share branches
		for _, param := range p.e.s.links[p.typ] {
			ranges, _ := param.RangesTo(p.typ, "Patient/"+id)
			for _, r := range maskRanges(p.e.mask, ranges) {
				key := postingKey{r.Atom, r.Chart, string(r.Lo)}
				switch {
				case known[key]: // patient and subject, say
				case r.Chart:
					o.charts, o.keys = append(o.charts, id), append(o.keys, maskChart(p.e.mask, chartKey(r)))
				default:
					o.postings, o.equal = append(o.postings, id), append(o.equal, postingOf(r))
				}
				known[key] = true
			}
		}
	}
	if len(o.keys) > 0 {
		types, codes := make([]int32, len(o.keys)), make([]int64, len(o.keys))
		for i := range o.keys {
			types[i], codes[i] = number, maskChartCode(p.e.mask, p.code)
		}
		err := q.Lookup(ctx, db.Lookup{
			Table: "records_chart", Want: []string{"rid"}, Keys: []db.Column{db.Col("patient", o.keys), db.Col("type", types), db.Col("code", codes)},
		}, func(i int, r db.Row) error {
			each(panelRow{o.charts[i], r.Int64(0)})
			return nil
		})
		if err != nil {
			return err
		}
	}
	if len(o.equal) == 0 {
		return nil
	}
	atoms, keys := make([]int32, len(o.equal)), make([][]byte, len(o.equal))
	for i, x := range o.equal {
		atoms[i], keys[i] = x.atom, x.key
	}
	return q.Lookup(ctx, db.Lookup{
		Table: "records_index", Want: []string{"rid"}, Keys: []db.Column{db.Col("atom", atoms), db.Col("key", keys)},
	}, func(i int, r db.Row) error {
		each(panelRow{o.postings[i], r.Int64(0)})
		return nil
	})
}

// all are the rids of the whole panel, in order, each once; nil when they are more than most.
func (p *panelSource) all(ctx context.Context, q db.Querier, most int) ([]int64, error) {
	rids := []int64{}
	for from := 0; from < len(p.patients); from += mostPatientsAtOnce {
		err := p.rows(ctx, q, p.patients[from:min(from+mostPatientsAtOnce, len(p.patients))], func(r panelRow) { rids = append(rids, r.rid) })
		if err != nil {
			return nil, err
		}
		if err := p.e.budget.spend(mostPatientsAtOnce / 8); err != nil {
			return nil, err
		}
		if len(rids) > most {
			return nil, nil
		}
	}
	slices.Sort(rids)
	return slices.Compact(rids), nil
}

// within leaves of gathered rids those in a panel's charts, so that no other is read: as they are, when they are few or the panel is large.
func (e *engine) within(ctx context.Context, typ string, conditions []condition, rids []int64) ([]int64, error) {
	lead := panelOf(conditions)
	if lead < 0 || len(rids) <= probeRows || conditions[lead].among.Len() > mostWithin {
		return rids, nil
	}
	among := conditions[lead].among
	var panel []int64
	if typ == "Patient" {
		known, err := e.patientsOfPanel(ctx, among)
		if err != nil || known == nil {
			return rids, err
		}
		panel = known.sorted
	} else {
		src := &panelSource{e: e, typ: typ, patients: among.List(), among: among}
		src.code, _ = chartCode(conditions)
		var err error
		if panel, err = src.all(ctx, e.q, mostOfPanel); err != nil || panel == nil {
			return rids, err
		}
	}
	return slices.DeleteFunc(rids, func(rid int64) bool {
		_, in := slices.BinarySearch(panel, rid)
		return !in
	}), nil
}

// panelPatients are the rids of a panel's Patients: in the order of the panel's list, and sorted.
type panelPatients struct{ each, sorted []int64 }

// patientsOfPanel finds the rids of a panel's Patients; nil when one is not there, or there are too many. They are remembered: a resource has the same for ever.
func (e *engine) patientsOfPanel(ctx context.Context, among *access.Set) (*panelPatients, error) {
	if among.Len() > mostWithin {
		return nil, nil //nolint:nilnil // documented
	}
	key := panelKey{tenantIn(ctx).ID, among.Print()}
	if known := e.s.panelled.of(key); known != nil {
		return known, nil
	}
	found := &panelPatients{each: make([]int64, 0, among.Len())}
	for ids := range slices.Chunk(among.List(), mostPatientsAtOnce) {
		rids := make([]int64, len(ids))
		missing := len(ids)
		src := &panelSource{e: e, typ: "Patient"}
		err := src.rows(ctx, e.q, ids, func(r panelRow) {
			if i, ok := slices.BinarySearch(ids, r.patient); ok && rids[i] == 0 {
				rids[i] = r.rid
				missing--
			}
		})
		if err != nil || missing > 0 {
			return nil, err
		}
		found.each = append(found.each, rids...)
	}
	found.sorted = slices.Sorted(slices.Values(found.each))
	e.s.panelled.keep(key, found)
	return found, nil
}

// panelled remembers the Patients of panels.
type panelled struct {
	mu   sync.RWMutex
	kept map[panelKey]*panelPatients
}

type panelKey struct {
	tenant int32
	panel  string
}

func (m *panelled) of(key panelKey) *panelPatients {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.kept[key]
}

func (m *panelled) keep(key panelKey, found *panelPatients) {
	m.mu.Lock()
	defer m.mu.Unlock()
	const most = 500
	if m.kept == nil || len(m.kept) >= most {
		m.kept = map[panelKey]*panelPatients{}
	}
	m.kept[key] = found
}
