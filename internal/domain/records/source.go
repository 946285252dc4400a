package records

import (
	"context"
	"math"
	"slices"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/format/fhir/search"
)

// A source gives candidates for a search in the order of their positions, which are compared as bytes. From each position the
// same source, made anew for the next page, goes on. Candidates may have to be matched against the clauses that the source did not
// answer by itself.
type source interface {
	// next returns up to n candidates after those it returned before; fewer than n means that there are no more.
	next(ctx context.Context, q db.Querier, n int) ([]candidate, error)
}

type candidate struct {
	*Version
	position []byte
}

// sourceKind is kept in cursors: the next page must go on with the source that the first page chose.
type sourceKind byte

const (
	fromChart     sourceKind = 1 // one patient's resources of a type, or of a type and code, by date
	fromEqual     sourceKind = 2 // one posting key, by rid
	fromType      sourceKind = 3 // all of a type, by id
	fromSequence  sourceKind = 4 // all of a type, by time of the last write
	fromCollected sourceKind = 5 // a set of rids gathered in memory, by rid
	fromSorted    sourceKind = 6 // in the order that was asked for
	fromPanel     sourceKind = 7 // the charts of somebody's patients, by patient and rid
)

// scanCandidate reads the columns rid, version, seq, op, body, id.
func (s *Service) scanCandidate(ctx context.Context, r db.Row, typ string) (*Version, error) {
	return s.scanVersion(ctx, r, typ, decodeID(r.Bytes(5)))
}

const resourceColumns = `r.rid, r.version, r.seq, r.op, r.body, r.id`

// chartSource reads one patient's range, newest first or oldest first; what has no date comes last in both.
type chartSource struct {
	s             *Service
	typ           string
	patient, code int64
	oldestFirst   bool
	at, rid       int64 // the last one given
	begun         bool
}

const (
	chartAfter = `SELECT ` + resourceColumns + `, c.at FROM records_chart c JOIN records_resource r ON r.rid = c.rid
WHERE c.patient = $1 AND c.type = $2 AND c.code = $3 AND (c.at, c.rid) > ($5, $6) ORDER BY c.at, c.rid LIMIT $4`
	chartBefore = `SELECT ` + resourceColumns + `, c.at FROM records_chart c JOIN records_resource r ON r.rid = c.rid
WHERE c.patient = $1 AND c.type = $2 AND c.code = $3 AND (c.at, c.rid) < ($5, $6) ORDER BY c.at DESC, c.rid DESC LIMIT $4`

	undated = math.MaxInt64 // the column at of what has no date
)

func (c *chartSource) seek(position []byte) error {
	switch {
	case len(position) == 0:
	case len(position) != 16:
		return errCursor()
	default:
		c.at, c.rid, c.begun = fromSortableInt64(position), fromSortableInt64(position[8:]), true
		if c.oldestFirst && c.at != undated {
			c.at, c.rid = ^c.at, ^c.rid
		}
	}
	return nil
}

func (c *chartSource) position(at, rid int64) []byte {
	if c.oldestFirst && at != undated {
		at, rid = ^at, ^rid
	}
	return sortableInt64(sortableInt64(make([]byte, 0, 16), at), rid)
}

func (c *chartSource) next(ctx context.Context, q db.Querier, n int) ([]candidate, error) {
	if !c.oldestFirst {
		if !c.begun {
			c.at, c.rid, c.begun = math.MinInt64, math.MinInt64, true
		}
		return c.read(ctx, q, chartAfter, n)
	}
	if !c.begun {
		c.at, c.rid, c.begun = undated, math.MinInt64, true
	}
	var dated []candidate
	if c.at != undated || c.rid == math.MinInt64 {
		var err error
		if dated, err = c.read(ctx, q, chartBefore, n); err != nil || len(dated) == n {
			return dated, err
		}
		c.at, c.rid = undated-1, math.MaxInt64
	}
	rest, err := c.read(ctx, q, chartAfter, n-len(dated))
	return append(dated, rest...), err
}

func (c *chartSource) read(ctx context.Context, q db.Querier, text string, n int) ([]candidate, error) {
	found := make([]candidate, 0, n)
	err := q.Query(ctx, text, func(r db.Row) error {
		v, err := c.s.scanCandidate(ctx, r, c.typ)
		if err != nil {
			return err
		}
		c.at, c.rid = r.Int64(6), v.RID
		found = append(found, candidate{v, c.position(c.at, c.rid)})
		return nil
	}, c.patient, c.s.number(c.typ), c.code, n, c.at, c.rid)
	return found, err
}

// posting names one key of one atom.
type posting struct {
	atom int32
	key  []byte
}

// equalSource reads the resources under one posting key that are also under others.
type equalSource struct {
	s      *Service
	typ    string
	lead   posting
	others []posting // at most maxProbes
	rid    int64
}

// maxProbes bounds how many further keys are probed in SQL; clauses beyond are matched on the resource.
const maxProbes = 3

const (
	equalHead = `SELECT ` + resourceColumns + ` FROM records_index i JOIN records_resource r ON r.rid = i.rid
WHERE i.atom = $1 AND i.key = $2 AND i.rid > $3`
	equalTail = ` ORDER BY i.rid LIMIT $4`

	// OFFSET keeps PostgreSQL from joining all rows of one key with all of another, which it does as long as it thinks that
	// there are few.
	probeEnd   = ` LIMIT 1 OFFSET 0)`
	probeOne   = ` AND EXISTS (SELECT 1 FROM records_index a WHERE a.atom = $5 AND a.key = $6 AND a.rid = i.rid` + probeEnd
	probeTwo   = ` AND EXISTS (SELECT 1 FROM records_index b WHERE b.atom = $7 AND b.key = $8 AND b.rid = i.rid` + probeEnd
	probeThree = ` AND EXISTS (SELECT 1 FROM records_index c WHERE c.atom = $9 AND c.key = $10 AND c.rid = i.rid` + probeEnd
)

//nolint:gochecknoglobals // constant table
var equalTexts = [maxProbes + 1]string{
	equalHead + equalTail,
	equalHead + probeOne + equalTail,
	equalHead + probeOne + probeTwo + equalTail,
	equalHead + probeOne + probeTwo + probeThree + equalTail,
}

func (e *equalSource) next(ctx context.Context, q db.Querier, n int) ([]candidate, error) {
	args := []any{e.lead.atom, e.lead.key, e.rid, n}
	for _, p := range e.others {
		args = append(args, p.atom, p.key)
	}
	found := make([]candidate, 0, n)
	err := q.Query(ctx, equalTexts[len(e.others)], func(r db.Row) error {
		v, err := e.s.scanCandidate(ctx, r, e.typ)
		if err != nil {
			return err
		}
		e.rid = v.RID
		found = append(found, candidate{v, ridPosition(v.RID)})
		return nil
	}, args...)
	return found, err
}

func ridPosition(rid int64) []byte { return sortableInt64(make([]byte, 0, 8), rid) }

// seekRID reads the position of a source ordered by rid.
func seekRID(position []byte) (int64, error) {
	switch len(position) {
	case 0:
		return 0, nil
	case 8:
		return fromSortableInt64(position), nil
	}
	return 0, errCursor()
}

// typeSource reads all resources of a type by id.
type typeSource struct {
	s    *Service
	typ  string
	last []byte
}

const selectType = `SELECT ` + resourceColumns + ` FROM records_resource r WHERE r.type = $1 AND r.id > $2 AND r.op <> 4 ORDER BY r.id LIMIT $3`

func (t *typeSource) next(ctx context.Context, q db.Querier, n int) ([]candidate, error) {
	found := make([]candidate, 0, min(n, 100))
	err := q.Query(ctx, selectType, func(r db.Row) error {
		t.last = slices.Clone(r.Bytes(5))
		v, err := t.s.scanCandidate(ctx, r, t.typ)
		found = append(found, candidate{v, t.last})
		return err
	}, t.s.number(t.typ), nonNil(t.last), n)
	return found, err
}

func nonNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// sequenceSource reads all resources of a type by the time of their last write, within [from, to).
type sequenceSource struct {
	s           *Service
	typ         string
	newestFirst bool
	from, to    int64
}

const (
	selectOldest = `SELECT ` + resourceColumns + ` FROM records_resource r
WHERE r.type = $1 AND r.seq >= $2 AND r.seq < $3 AND r.op <> 4 ORDER BY r.seq LIMIT $4`
	selectNewest = `SELECT ` + resourceColumns + ` FROM records_resource r
WHERE r.type = $1 AND r.seq >= $2 AND r.seq < $3 AND r.op <> 4 ORDER BY r.seq DESC LIMIT $4`
)

func (t *sequenceSource) seek(position []byte) error {
	switch {
	case len(position) == 0:
	case len(position) != 8:
		return errCursor()
	default:
		t.passed(seqAt(position, t.newestFirst))
	}
	return nil
}

// passed narrows the range to what comes after a sequence.
func (t *sequenceSource) passed(seq int64) {
	if t.newestFirst {
		t.to = min(t.to, seq)
	} else {
		t.from = max(t.from, seq+1)
	}
}

// seqPosition is the position of a sequence in the order of time.
func seqPosition(seq int64, newestFirst bool) []byte {
	if newestFirst {
		seq = ^seq
	}
	return sortableInt64(make([]byte, 0, 8), seq)
}

func seqAt(position []byte, newestFirst bool) int64 {
	seq := fromSortableInt64(position)
	if newestFirst {
		seq = ^seq
	}
	return seq
}

func (t *sequenceSource) next(ctx context.Context, q db.Querier, n int) ([]candidate, error) {
	text := selectOldest
	if t.newestFirst {
		text = selectNewest
	}
	found := make([]candidate, 0, min(n, 100))
	err := q.Query(ctx, text, func(r db.Row) error {
		v, err := t.s.scanCandidate(ctx, r, t.typ)
		if err != nil {
			return err
		}
		t.passed(v.Seq)
		found = append(found, candidate{v, seqPosition(v.Seq, t.newestFirst)})
		return nil
	}, t.s.number(t.typ), t.from, t.to, n)
	return found, err
}

// collectedSource reads the resources of a set of rids, in order.
type collectedSource struct {
	s    *Service
	typ  string
	rids []int64            // ascending, without repeats
	read map[int64]*Version // those that were read when they were gathered
}

func newCollected(s *Service, typ string, rids []int64, position []byte) (*collectedSource, error) {
	after, err := seekRID(position)
	if err != nil {
		return nil, err
	}
	slices.Sort(rids)
	rids = slices.Compact(rids)
	from, found := slices.BinarySearch(rids, after)
	if found {
		from++
	}
	return &collectedSource{s: s, typ: typ, rids: rids[from:]}, nil
}

func (c *collectedSource) next(ctx context.Context, q db.Querier, n int) ([]candidate, error) {
	var found []candidate
	for len(found) < n && len(c.rids) > 0 {
		chunk := c.rids[:min(n-len(found), len(c.rids))]
		c.rids = c.rids[len(chunk):]
		versions, err := c.versions(ctx, q, chunk)
		if err != nil {
			return nil, err
		}
		for _, v := range versions {
			if v != nil && !v.Deleted() {
				found = append(found, candidate{v, ridPosition(v.RID)})
			}
		}
	}
	return found, nil
}

func (c *collectedSource) versions(ctx context.Context, q db.Querier, rids []int64) ([]*Version, error) {
	if c.read == nil {
		return c.s.byRID(ctx, q, rids, c.typ)
	}
	versions := make([]*Version, len(rids))
	for i, rid := range rids {
		versions[i] = c.read[rid]
	}
	return versions, nil
}

// byRID reads resources of one type; those that are no longer there, or of another type, are nil.
func (s *Service) byRID(ctx context.Context, q db.Querier, rids []int64, typ string) ([]*Version, error) {
	versions := make([]*Version, len(rids))
	number := int64(s.number(typ))
	err := q.Lookup(ctx, db.Lookup{
		Table: "records_resource", Want: []string{"rid", "version", "seq", "op", "body", "id", "type"},
		Keys: []db.Column{db.Col("rid", rids)},
	}, func(i int, r db.Row) error {
		if r.Int64(6) != number {
			return nil
		}
		v, err := s.scanCandidate(ctx, r, typ)
		versions[i] = v
		return err
	})
	return versions, err
}

// collector gathers the rids under key ranges and chart ranges, at most most+1 in all: more means "too many". So does
// having looked at scan keys of ranges.
type collector struct {
	rids []int64
	most int
	scan int
}

func (c *collector) full() bool { return len(c.rids) > c.most || c.scan <= 0 }

const selectRange = `SELECT rid, key FROM records_index
WHERE atom = $1 AND (key, rid) > ($2, $3) AND key < $4 ORDER BY key, rid LIMIT $5`

// keys gathers one range of an atom.
func (c *collector) keys(ctx context.Context, q db.Querier, r search.Range) error {
	hi := r.Hi
	if hi == nil {
		hi = highestKey
	}
	for lo, rid := r.Lo, int64(math.MinInt64); !c.full(); {
		// Of a range that holds all its keys no more are read than are wanted.
		rows, want := 0, min(max(c.most+1-len(c.rids), 256), c.scan)
		err := q.Query(ctx, selectRange, func(row db.Row) error {
			rows++
			c.scan--
			rid = row.Int64(0)
			key := row.Bytes(1)
			if r.Holds(key) {
				c.rids = append(c.rids, rid)
			}
			if rows == want {
				lo = slices.Clone(key)
			}
			return nil
		}, int32(r.Atom), nonNil(lo), rid, hi, want) //nolint:gosec // a hash's bits
		if err != nil || rows < want {
			return err
		}
	}
	return nil
}

//nolint:gochecknoglobals // constant: keys have at most 64 bytes
var highestKey = slices.Repeat([]byte{0xff}, 65)

// equal gathers many exact keys in one round trip.
func (c *collector) equal(ctx context.Context, q db.Querier, postings []posting) error {
	if c.full() || len(postings) == 0 {
		return nil
	}
	atoms, keys := make([]int32, len(postings)), make([][]byte, len(postings))
	for i, p := range postings {
		atoms[i], keys[i] = p.atom, p.key
	}
	return q.Lookup(ctx, db.Lookup{
		Table: "records_index", Want: []string{"rid"}, Keys: []db.Column{db.Col("atom", atoms), db.Col("key", keys)}, Most: c.most + 1,
	}, c.take)
}

// charts gathers the resources of one type, or type and code, of several patients.
func (c *collector) charts(ctx context.Context, q db.Querier, typ int32, patients []int64, code int64) error {
	if c.full() || len(patients) == 0 {
		return nil
	}
	types, codes := make([]int32, len(patients)), make([]int64, len(patients))
	for i := range patients {
		types[i], codes[i] = typ, code
	}
	return q.Lookup(ctx, db.Lookup{
		Table: "records_chart", Want: []string{"rid"},
		Keys: []db.Column{db.Col("patient", patients), db.Col("type", types), db.Col("code", codes)}, Most: c.most + 1,
	}, c.take)
}

func (c *collector) take(_ int, r db.Row) error {
	c.rids = append(c.rids, r.Int64(0))
	if c.full() {
		return db.Stop
	}
	return nil
}

// budget bounds the work of one search, in resources that are read and matched.
type budget struct {
	spent     int
	statement int // what a statement costs
}

const (
	maxExamined  = 200_000 // some 2 s
	maxCollected = 100_000

	// In the time of a statement so many resources could be read.
	sqliteStatement, postgresStatement = 4, 40
)

func newBudget(d db.Dialect) *budget {
	if d.Name == db.SQLite {
		return &budget{statement: sqliteStatement}
	}
	return &budget{statement: postgresStatement}
}

func (b *budget) spend(n int) error {
	if b.spent += n; b.spent > maxExamined {
		return fault.New(fault.CodeTooCostly,
			"this search would read more than %d resources to find a page of answers: add a criterion that narrows it, such as a patient, an identifier, a code or a date", maxExamined)
	}
	return nil
}
