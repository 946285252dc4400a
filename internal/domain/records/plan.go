package records

import (
	"cmp"
	"context"
	"encoding/binary"
	"math"
	"slices"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/format/fhir/search"
	"ward/internal/format/jsontape"
	"ward/internal/kernel/access"
)

// plan is how the resources of one type, or of several in one order, are found: a source of candidates, and the conditions
// that the source does not answer by itself.
type plan struct {
	source     source
	kind       sourceKind
	lead       int // the condition that leads the source; -1 for none
	residual   []condition
	typ        string
	conditions []condition // all of them
	parts      []*plan     // one for each type, when there are several

	place func(v *Version) ([]byte, error)         // the position of a version, where updates can change it; else nil
	count func(ctx context.Context) (int64, error) // counts without reading resources; nil when that can't be
	reads int                                      // statements that the source was asked for
}

// each is the plan of each type.
func (p *plan) each() []*plan {
	if p.parts != nil {
		return p.parts
	}
	return []*plan{p}
}

// condition is one clause for one type, with whatever ways there are to answer it.
type condition struct {
	cheap func(v *Version) bool                                                  // decides without the content
	holds func(ctx context.Context, v *Version, doc *jsontape.Doc) (bool, error) // decides on the content

	ids       []string       // only these, and what is in ranges, can match; nil: no such list
	ranges    []search.Range // only what is in these can match; nil: not indexed
	exact     bool           // all that is in the ranges matches
	rank      int            // the lower, the fewer resources are likely to be in the ranges
	code      *uint64        // the chart's code that the resource must have
	codeExact bool           // and that is all the clause asks
	span      *search.Span   // the time of the last write
	never     bool           // nothing can match
	fixed     bool           // the ranges follow from the query alone, not from the data
	dear      bool           // holds reads the database

	early func(v *Version) bool // false: it does not hold, which need not be looked for in the content
	among *access.Set           // the patients in reach, when the condition is that and too many to lead as others do
	panel bool                  // what they are about is in the index: see panelPlan
}

// Ranks of conditions, from the one that is likely to leave the fewest candidates.
const (
	rankIDs = iota
	rankPatient
	rankIdentifier
	rankReference
	rankDay
	rankString
	rankToken
	rankOther
	rankNone
)

const (
	probeRows  = 128    // a lead with no more candidates than this is good enough
	sortRows   = 2_000  // a lead with more than this is worse than reading the type by time, where that is the order asked for
	gatherRows = 20_000 // a lead with more than this is worse than reading the type in order

	maxPatients = 1_000 // charts of so many patients are gathered in one round trip
)

// plan chooses how to find resources of a type from where the cursor says. It returns nil when nothing can match.
func (e *engine) plan(ctx context.Context, typ string, from cursor) (*plan, error) {
	conditions, err := e.conditions(ctx, typ)
	if err != nil {
		return nil, err
	}
	if never(conditions) {
		return nil, nil //nolint:nilnil // documented
	}
	if e.sorted() {
		return e.sortedPlan(ctx, typ, conditions, from)
	}
	return e.access(ctx, typ, conditions, from)
}

func never(conditions []condition) bool {
	return slices.ContainsFunc(conditions, func(c condition) bool { return c.never })
}

// access chooses the source for an answer in no particular order.
func (e *engine) access(ctx context.Context, typ string, conditions []condition, from cursor) (*plan, error) {
	switch from.kind {
	case fromChart:
		return e.chartPlan(typ, conditions, from, false)
	case fromEqual:
		return e.equalPlan(typ, conditions, from)
	case fromCollected:
		return e.collectedPlan(ctx, typ, conditions, from)
	case fromSequence:
		return e.sequencePlan(ctx, typ, conditions, from, false)
	case fromType:
		return e.typePlan(typ, conditions, from)
	case fromPanel:
		return e.panelPlan(typ, conditions, from)
	case fromSorted:
		return nil, errCursor()
	}
	from.lead = -1
	if lead := slices.IndexFunc(conditions, condition.oneChart); lead >= 0 && !hasIDs(conditions) {
		from.lead = lead
		return e.chartPlan(typ, conditions, from, false)
	}
	if p, err := e.narrow(ctx, typ, conditions, from, gatherRows); p != nil || err != nil {
		return p, err
	}
	return e.scan(ctx, typ, conditions, from)
}

func hasIDs(conditions []condition) bool {
	return slices.ContainsFunc(conditions, func(c condition) bool { return c.rank == rankIDs })
}

// scan reads all of a type, or what was written within a time.
func (e *engine) scan(ctx context.Context, typ string, conditions []condition, from cursor) (*plan, error) {
	if slices.ContainsFunc(conditions, func(c condition) bool { return c.span != nil }) {
		return e.sequencePlan(ctx, typ, conditions, from, false)
	}
	if panelOf(conditions) >= 0 {
		return e.panelPlan(typ, conditions, from)
	}
	return e.typePlan(typ, conditions, from)
}

// narrow finds a source whose order updates do not change, led by the condition that leaves the fewest candidates: at most
// most of them, or those of a patient's charts, or of one key. It returns nil when no condition is narrow enough.
func (e *engine) narrow(ctx context.Context, typ string, conditions []condition, from cursor, most int) (*plan, error) {
	leads := make([]int, 0, len(conditions))
	for i, c := range conditions {
		if c.rank < rankNone {
			leads = append(leads, i)
		}
	}
	slices.SortStableFunc(leads, func(a, b int) int { return cmp.Compare(conditions[a].rank, conditions[b].rank) })
	for _, i := range leads {
		from.lead = i
		switch c := conditions[i]; {
		case c.rank == rankPatient && singleKey(c) && c.fixed:
			return e.equalPlan(typ, conditions, from)
		case c.rank <= rankPatient:
			return e.collectedPlan(ctx, typ, conditions, from)
		}
	}
	if len(leads) > 0 && conditions[leads[0]].rank <= rankDay {
		from.lead = leads[0]
		if p, err := e.atOnce(ctx, typ, conditions, from); p != nil || err != nil {
			return p, err
		}
	}
	if panelOf(conditions) >= 0 {
		most = min(most, gatherOfPanel)
	}
	for _, rows := range []int{probeRows, most} {
		for _, i := range leads {
			from.lead = i
			if rows > sortRows && singleKey(conditions[i]) && conditions[i].fixed {
				if panelOf(conditions) >= 0 {
					return e.panelPlan(typ, conditions, from)
				}
				return e.equalPlan(typ, conditions, from)
			}
			rids, err := e.gather(ctx, typ, conditions, i, rows)
			if err != nil {
				return nil, err
			}
			if rids != nil {
				left, err := e.within(ctx, typ, conditions, *rids)
				if err != nil {
					return nil, err
				}
				return e.gathered(typ, conditions, from, left)
			}
		}
	}
	return nil, nil //nolint:nilnil // documented
}

// atOnce reads the resources of the leading condition together with its index rows, in one round trip, where that is one
// range which probably holds few: a day of birth, an identifier. It returns nil when it is not, or holds many.
func (e *engine) atOnce(ctx context.Context, typ string, conditions []condition, from cursor) (*plan, error) {
	c := conditions[from.lead]
	if len(c.ranges) != 1 || c.ranges[0].Chart || c.ids != nil {
		return nil, nil //nolint:nilnil // documented
	}
	const few = 48
	r := c.ranges[0]
	lo, hi := r.Lo, r.Hi
	if r.Eq {
		hi = append(slices.Clone(lo), 0)
	} else if hi == nil {
		hi = highestKey
	}
	var (
		rows int
		rids []int64
		read = map[int64]*Version{}
	)
	err := e.q.Query(ctx, selectAtOnce, func(row db.Row) error {
		rows++
		if !r.Holds(row.Bytes(6)) {
			return nil
		}
		v, err := e.s.scanCandidate(ctx, row, typ)
		if err == nil {
			rids, read[v.RID] = append(rids, v.RID), v
		}
		return err
	}, int32(r.Atom), lo, hi, few+1) //nolint:gosec // a hash's bits
	if err != nil || rows > few {
		return nil, err
	}
	p, err := e.gathered(typ, conditions, from, rids)
	if err == nil {
		p.source.(*collectedSource).read = read //nolint:forcetypeassert // gathered makes one
	}
	return p, err
}

const selectAtOnce = `SELECT ` + resourceColumns + `, i.key FROM records_index i JOIN records_resource r ON r.rid = i.rid
WHERE i.atom = $1 AND i.key >= $2 AND i.key < $3 LIMIT $4`

// singleKey says that a condition is one posting key.
func singleKey(c condition) bool {
	return len(c.ranges) == 1 && c.ranges[0].Eq && !c.ranges[0].Chart
}

// oneChart says that a condition is one patient's chart.
func (c condition) oneChart() bool {
	return c.fixed && c.rank == rankPatient && len(c.ranges) == 1 && c.ranges[0].Chart
}

// without are the conditions that are left to decide, those that read the database last.
func without(conditions []condition, drop func(i int, c condition) bool) []condition {
	var rest, dear []condition
	for i, c := range conditions {
		switch {
		case drop(i, c):
		case c.dear:
			dear = append(dear, c)
		default:
			rest = append(rest, c)
		}
	}
	return append(rest, dear...)
}

// dearLast are all conditions, those that read the database last.
func dearLast(conditions []condition) []condition {
	if !slices.ContainsFunc(conditions, func(c condition) bool { return c.dear }) {
		return conditions
	}
	return without(conditions, func(int, condition) bool { return false })
}

// chartPlan reads one patient's chart, and within it one code where that is asked for.
func (e *engine) chartPlan(typ string, conditions []condition, from cursor, oldestFirst bool) (*plan, error) {
	if from.lead < 0 || from.lead >= len(conditions) || !conditions[from.lead].oneChart() {
		return nil, errCursor()
	}
	lead := conditions[from.lead]
	code, byCode := chartCode(conditions)
	src := &chartSource{s: e.s, typ: typ, patient: maskChart(e.mask, chartKey(lead.ranges[0])), code: maskChartCode(e.mask, code), oldestFirst: oldestFirst}
	if err := src.seek(from.position); err != nil {
		return nil, err
	}
	p := &plan{kind: fromChart, lead: from.lead, typ: typ, conditions: conditions}
	p.place = func(v *Version) ([]byte, error) {
		var doc jsontape.Doc
		if err := doc.Parse(v.JSON); err != nil {
			return nil, fault.Internal("a stored resource does not parse").With(err)
		}
		return src.position(chartTime(e.registry.Chart(&doc, typ).At), v.RID), nil
	}
	p.source = e.stable(src, from.position, func(ctx context.Context, after, upTo []byte) ([]candidate, []byte, error) {
		found, _, _, err := e.changedSince(ctx, typ, conditions, p.place, after, upTo,
			changedChart, src.patient, e.s.number(typ), src.code, e.from.low, e.from.high)
		return found, upTo, err
	})
	p.residual = without(conditions, func(i int, c condition) bool { return i == byCode && c.codeExact || i == from.lead && c.exact })
	if len(p.residual) == 0 {
		p.count = e.countRows(countChart, src.patient, e.s.number(typ), src.code)
	}
	return p, nil
}

// chartCode is the code that narrows a chart, and the condition that asks for it; 0 and -1 when there is none.
func chartCode(conditions []condition) (code int64, at int) {
	if at = slices.IndexFunc(conditions, func(c condition) bool { return c.code != nil }); at >= 0 {
		code = int64(*conditions[at].code) //nolint:gosec // a hash's bits
	}
	return code, at
}

func chartKey(r search.Range) int64 { return int64(binary.BigEndian.Uint64(r.Lo)) } //nolint:gosec // a hash's bits

// equalPlan reads the postings of one key, and probes for the keys of others.
func (e *engine) equalPlan(typ string, conditions []condition, from cursor) (*plan, error) {
	if from.lead < 0 || from.lead >= len(conditions) || !singleKey(conditions[from.lead]) {
		return nil, errCursor()
	}
	rid, err := seekRID(from.position)
	if err != nil {
		return nil, err
	}
	src := &equalSource{s: e.s, typ: typ, lead: postingOf(conditions[from.lead].ranges[0]), rid: rid}
	args := []any{src.lead.atom, src.lead.key}
	p := &plan{source: src, kind: fromEqual, lead: from.lead, typ: typ, conditions: conditions}
	p.residual = without(conditions, func(i int, c condition) bool {
		if i == from.lead {
			return c.exact
		}
		if len(src.others) < maxProbes && singleKey(c) {
			other := postingOf(c.ranges[0])
			src.others = append(src.others, other)
			args = append(args, other.atom, other.key)
			return c.exact
		}
		return false
	})
	if len(p.residual) == 0 {
		p.count = e.countRows(countTexts[len(src.others)], args...)
	}
	return p, nil
}

func postingOf(r search.Range) posting { return posting{int32(r.Atom), r.Lo} } //nolint:gosec // a hash's bits

// gather collects what is in a condition's ranges; nil when that is more than most.
func (e *engine) gather(ctx context.Context, typ string, conditions []condition, lead, most int) (*[]int64, error) {
	c, col := conditions[lead], &collector{most: most, scan: 4_000 + 8*most}
	if c.ids != nil {
		rids, err := e.ridsOf(ctx, typ, c.ids)
		if err != nil || len(c.ranges) == 0 {
			return &rids, err
		}
		col.rids = rids
	}
	var (
		equal    []posting
		patients []int64
	)
	for _, r := range c.ranges {
		switch {
		case r.Chart:
			patients = append(patients, maskChart(e.mask, chartKey(r)))
		case r.Eq:
			equal = append(equal, postingOf(r))
		default:
			if err := col.keys(ctx, e.q, r); err != nil {
				return nil, err
			}
		}
	}
	if err := col.equal(ctx, e.q, equal); err != nil {
		return nil, err
	}
	code := int64(0)
	if c.rank == rankPatient {
		code, _ = chartCode(conditions) // which the resources must have, whatever range they are in
	}
	if err := col.charts(ctx, e.q, e.s.number(typ), patients, maskChartCode(e.mask, code)); err != nil {
		return nil, err
	}
	if err := e.budget.spend(len(col.rids) / 8); err != nil {
		return nil, err
	}
	if col.full() {
		return nil, nil //nolint:nilnil // documented
	}
	if col.rids == nil {
		col.rids = []int64{}
	}
	return &col.rids, nil
}

func (e *engine) collectedPlan(ctx context.Context, typ string, conditions []condition, from cursor) (*plan, error) {
	if from.lead < 0 || from.lead >= len(conditions) || conditions[from.lead].rank >= rankNone {
		return nil, errCursor()
	}
	rids, err := e.gather(ctx, typ, conditions, from.lead, maxCollected)
	if err != nil {
		return nil, err
	}
	if rids == nil {
		return nil, fault.New(fault.CodeTooCostly, "more than %d resources meet the narrowest criterion of this search: add one that narrows it, such as a patient or a date", maxCollected)
	}
	return e.gathered(typ, conditions, from, *rids)
}

// gathered reads a set of rids. All conditions are decided on what is read: it may have changed since the rids were gathered.
func (e *engine) gathered(typ string, conditions []condition, from cursor, rids []int64) (*plan, error) {
	src, err := newCollected(e.s, typ, rids, from.position)
	if err != nil {
		return nil, err
	}
	p := &plan{source: src, kind: fromCollected, lead: from.lead, residual: dearLast(conditions), typ: typ, conditions: conditions}
	if all := int64(len(src.rids)); len(conditions) == 1 && conditions[0].exact && conditions[0].ids == nil && len(from.position) == 0 {
		p.count = func(context.Context) (int64, error) { return all, nil }
	}
	return p, nil
}

func (e *engine) typePlan(typ string, conditions []condition, from cursor) (*plan, error) {
	p := &plan{source: &typeSource{e.s, typ, from.position}, kind: fromType, lead: -1, residual: dearLast(conditions), typ: typ, conditions: conditions}
	if len(conditions) > 0 {
		return p, nil
	}
	number := e.s.number(typ)
	p.count = func(ctx context.Context) (int64, error) {
		all, err := e.countRows(countType, number)(ctx)
		if err != nil {
			return 0, err
		}
		deleted, err := e.countRows(countDeleted, number)(ctx)
		return all - deleted, err
	}
	return p, nil
}

// sequencePlan reads a type by the time of its last writes.
func (e *engine) sequencePlan(_ context.Context, typ string, conditions []condition, from cursor, newestFirst bool) (*plan, error) {
	src := &sequenceSource{s: e.s, typ: typ, newestFirst: newestFirst, to: math.MaxInt64}
	if i := slices.IndexFunc(conditions, func(c condition) bool { return c.span != nil }); i >= 0 {
		src.from, src.to = seqSpan(*conditions[i].span)
	}
	if e.paging {
		src.to = min(src.to, e.from.high)
	}
	if err := src.seek(from.position); err != nil {
		return nil, err
	}
	p := &plan{kind: fromSequence, lead: -1, residual: dearLast(conditions), typ: typ, conditions: conditions}
	p.place = func(v *Version) ([]byte, error) { return seqPosition(v.Seq, newestFirst), nil }
	text, least, end := changedOldest, src.from, src.to
	if newestFirst {
		text = changedNewest
	}
	p.source = e.stable(src, from.position, func(ctx context.Context, after, upTo []byte) ([]candidate, []byte, error) {
		low, high := seqBetween(after, upTo, least, end, newestFirst)
		const most = 500
		found, last, rows, err := e.changedSince(ctx, typ, conditions, p.place, after, upTo, text, e.s.number(typ), low, high, e.from.low, most)
		if rows == most {
			upTo = last
		}
		return found, upTo, err
	})
	return p, nil
}

// seqBetween is the range of sequences between two positions, within [low, high).
func seqBetween(after, upTo []byte, low, high int64, newestFirst bool) (int64, int64) {
	if newestFirst {
		after, upTo = upTo, after
	}
	if len(after) == 8 {
		low = max(low, seqAt(after, newestFirst))
	}
	if len(upTo) == 8 {
		high = min(high, seqAt(upTo, newestFirst)+1)
	}
	return low, high
}

// seqSpan is the range of sequences whose time is within the span.
func seqSpan(span search.Span) (from, to int64) {
	const latest = math.MaxInt64 >> seqTimeShift // milliseconds that a sequence can carry
	to = math.MaxInt64
	if low := span.Low / 1000; span.Low > 0 {
		from = min(low+min(1, span.Low%1000), latest) << seqTimeShift
	}
	if high := span.High / 1000; high < latest {
		to = max(0, high+min(1, span.High%1000)) << seqTimeShift
	}
	return from, to
}

const (
	countChart   = `SELECT count(*) FROM records_chart WHERE patient = $1 AND type = $2 AND code = $3`
	countType    = `SELECT count(*) FROM records_resource WHERE type = $1`
	countDeleted = `SELECT count(*) FROM records_resource WHERE type = $1 AND op = 4`
	countEqual   = `SELECT count(*) FROM records_index i WHERE i.atom = $1 AND i.key = $2`
	countOne     = ` AND EXISTS (SELECT 1 FROM records_index a WHERE a.atom = $3 AND a.key = $4 AND a.rid = i.rid` + probeEnd
	countTwo     = ` AND EXISTS (SELECT 1 FROM records_index b WHERE b.atom = $5 AND b.key = $6 AND b.rid = i.rid` + probeEnd
	countThree   = ` AND EXISTS (SELECT 1 FROM records_index c WHERE c.atom = $7 AND c.key = $8 AND c.rid = i.rid` + probeEnd
)

//nolint:gochecknoglobals // constant table
var countTexts = [maxProbes + 1]string{
	countEqual, countEqual + countOne, countEqual + countOne + countTwo, countEqual + countOne + countTwo + countThree,
}
