package records

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
)

// historyQuery is what a history interaction asks for (FHIR R4 http.html#history).
type historyQuery struct {
	typ, id string    // both empty for the whole system, id empty for a type
	since   time.Time // versions made at this instant or later; zero for all
	from    time.Time // _at: versions that were current in [from, until); zero for all
	until   time.Time
	count   int
	before  int64 // versions older than this sequence, where a page follows another; 0 on the first
}

// historyPage is a page of versions, newest first.
type historyPage struct {
	versions []*Version
	total    int64 // the number of all versions, -1 when not known
	next     int64 // what the following page's query has in before; 0 on the last
}

// The current version is read before the superseded ones: a version that is superseded between the two statements
// is then seen twice, which merging corrects, and never missed.
const (
	// A sequence plus nothing is in no index: one resource's versions are found by its rid.
	historyColumns = `SELECT h.rid, h.version, h.seq, h.op, h.body, h.type, r.id
FROM records_history h JOIN records_resource r ON r.rid = h.rid
WHERE `
	historyOfOne  = historyColumns + `h.rid = $1 AND h.seq + 0 < $2 AND h.seq + 0 >= $3 ORDER BY h.version DESC LIMIT $4`
	historyOfType = historyColumns + `h.type = $1 AND h.seq < $2 AND h.seq >= $3 ORDER BY h.seq DESC LIMIT $4`
	historyOfAll  = historyColumns + `h.seq < $1 AND h.seq >= $2 ORDER BY h.seq DESC LIMIT $3`

	// stillCurrent restricts to versions that the next one had not yet replaced, for _at.
	stillCurrent = `COALESCE((SELECT n.seq FROM records_history n WHERE n.rid = h.rid AND n.version = h.version + 1), r.seq) > `

	historyOfOneAt  = historyColumns + stillCurrent + `$5 AND h.rid = $1 AND h.seq + 0 < $2 AND h.seq + 0 >= $3 ORDER BY h.version DESC LIMIT $4`
	historyOfTypeAt = historyColumns + stillCurrent + `$5 AND h.type = $1 AND h.seq < $2 AND h.seq >= $3 ORDER BY h.seq DESC LIMIT $4`
	historyOfAllAt  = historyColumns + stillCurrent + `$4 AND h.seq < $1 AND h.seq >= $2 ORDER BY h.seq DESC LIMIT $3`

	currentOfType = `SELECT rid, version, seq, op, body, type, id FROM records_resource
WHERE type = $1 AND seq < $2 AND seq >= $3 ORDER BY seq DESC LIMIT $4`

	// typesInUse leaps from type to type along the index instead of reading every row.
	typesInUse = `WITH RECURSIVE t (n) AS (
  SELECT MIN(type) FROM records_resource
  UNION ALL
  SELECT (SELECT MIN(r.type) FROM records_resource r WHERE r.type > t.n) FROM t WHERE t.n IS NOT NULL
) SELECT n FROM t WHERE n IS NOT NULL`
)

// history reads a page of the versions of one resource, one type or the whole system, newest first.
//
// Errors: NotFound for a resource that never was.
func (s *Service) history(ctx context.Context, q db.Querier, h historyQuery) (page historyPage, err error) {
	defer fault.Op(&err, "records.history", h.typ, h.id)
	before, least, end := int64(math.MaxInt64), int64(0), int64(0)
	if h.before > 0 {
		before = h.before
	}
	if !h.since.IsZero() {
		least = seqBound(h.since)
	}
	if !h.from.IsZero() {
		end = seqBound(h.from.Add(time.Millisecond)) - 1 // a version ends when the next one's millisecond begins
		before = min(before, seqBound(h.until))
	}
	limit := h.count + 1
	var found []*Version
	add := func(r db.Row) error {
		v, err := s.scanVersion(ctx, r, s.definitions.TypeName(int16(r.Int64(5))), decodeID(r.Bytes(6))) //nolint:gosec // stored from an int16
		if err == nil {
			found = append(found, v)
		}
		return err
	}
	superseded := func(plain, at string, args ...any) error {
		if end == 0 {
			return q.Query(ctx, plain, add, args...)
		}
		return q.Query(ctx, at, add, append(args, end)...)
	}
	page.total = -1
	switch {
	case h.id != "":
		v, err := s.read(ctx, q, h.typ, h.id)
		if err != nil {
			return page, err
		}
		if v.Seq < before && v.Seq >= least {
			found = append(found, v)
		}
		if h.since.IsZero() && h.from.IsZero() {
			page.total = v.Number
		}
		if err := superseded(historyOfOne, historyOfOneAt, v.RID, before, least, limit); err != nil {
			return page, err
		}
	case h.typ != "":
		number := int64(s.definitions.TypeNumber(h.typ))
		if err := q.Query(ctx, currentOfType, add, number, before, least, limit); err != nil {
			return page, err
		}
		if err := superseded(historyOfType, historyOfTypeAt, number, before, least, limit); err != nil {
			return page, err
		}
	default:
		if err := s.currentOfAll(ctx, q, before, least, limit, add); err != nil {
			return page, err
		}
		if err := superseded(historyOfAll, historyOfAllAt, before, least, limit); err != nil {
			return page, err
		}
	}
	slices.SortFunc(found, func(a, b *Version) int { return cmp.Or(cmp.Compare(b.Seq, a.Seq), cmp.Compare(b.RID, a.RID)) })
	found = slices.CompactFunc(found, func(a, b *Version) bool { return a.Seq == b.Seq && a.RID == b.RID })
	if len(found) > h.count {
		found = found[:h.count]
		if h.count > 0 {
			page.next = found[h.count-1].Seq
		}
	}
	page.versions = found
	return page, nil
}

// currentOfAll reads the newest current versions of every type in use.
func (s *Service) currentOfAll(ctx context.Context, q db.Querier, before, least int64, limit int, add func(db.Row) error) error {
	var types []int64
	err := q.Query(ctx, typesInUse, func(r db.Row) error {
		types = append(types, r.Int64(0))
		return nil
	})
	if err != nil {
		return err
	}
	for _, number := range types {
		if err := q.Query(ctx, currentOfType, add, number, before, least, limit); err != nil {
			return err
		}
	}
	return nil
}

// seqBound is seqFrom for times that a client chose, which may lie beyond what a sequence can hold.
func seqBound(t time.Time) int64 {
	const last = math.MaxInt64 >> seqTimeShift
	return min(max(t.UnixMilli(), 0), last) << seqTimeShift
}
