package records

import (
	"bytes"
	"context"
	"slices"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/format/jsontape"
)

// Pages show a search as it was ordered when its first page was read: nothing comes twice, and nothing that was there and
// matched throughout is left out. Sources in the order of rids or ids need nothing for that. The others are ordered by
// what an update can change, and go by this rule:
//
// A cursor keeps two sequences. All versions below low were committed before the first page was read, none from high on.
// Each resource has one place that never changes, whatever is written: that of its last version below low, or, when it
// was created between low and high, of its first version. Later pages put it there; what was created since is left out.
//
// The first page shows the present. Where it disagrees with the rule about what was being written meanwhile, the cursor
// says so: seen are resources that it has shown though their place is further on, owed those that it has not shown though
// their place is behind. The next page begins with these.
//
// low is exact for the writes of this process. A write of another process that was under way, or whose clock is behind,
// when the first page was read is taken for one that the first page saw.

const (
	maxRecent = 10_000 // versions written while the first page was read that are looked at
	maxOwed   = 500
)

// A sequence plus nothing is in no index: the rows of a resource are found by its rid, not among all that were written then.
const (
	selectRecent = `SELECT ` + resourceColumns + ` FROM records_resource r
WHERE r.type = $1 AND r.seq >= $2 AND r.version > 1 AND r.op <> 4 ORDER BY r.seq LIMIT $3`

	selectBefore = `SELECT rid, version, seq, op, body FROM records_history WHERE rid = $1 AND seq + 0 < $2 ORDER BY version DESC LIMIT 1`

	selectOld = `, h.version, h.seq, h.op, h.body`

	// What stood at a place in the order of writing before it was written again: the last versions below low, and first ones.
	wasCurrent = ` AND h.op <> 4 AND r.op <> 4 AND r.seq + 0 >= $4 AND (h.seq < $4 OR h.version = 1)
AND NOT EXISTS (SELECT 1 FROM records_history n WHERE n.rid = h.rid AND n.version = h.version + 1 AND n.seq + 0 < $4` + probeEnd

	changedOldest = `SELECT ` + resourceColumns + selectOld + ` FROM records_history h JOIN records_resource r ON r.rid = h.rid
WHERE h.type = $1 AND h.seq >= $2 AND h.seq < $3` + wasCurrent + ` ORDER BY h.seq LIMIT $5`

	changedNewest = `SELECT ` + resourceColumns + selectOld + ` FROM records_history h JOIN records_resource r ON r.rid = h.rid
WHERE h.type = $1 AND h.seq >= $2 AND h.seq < $3` + wasCurrent + ` ORDER BY h.seq DESC LIMIT $5`

	changedChart = `SELECT ` + resourceColumns + selectOld + ` FROM records_chart c
JOIN records_resource r ON r.rid = c.rid JOIN records_history h ON h.rid = c.rid AND h.version =
COALESCE((SELECT n.version FROM records_history n WHERE n.rid = c.rid AND n.seq + 0 < $4 ORDER BY n.version DESC LIMIT 1), 1)
WHERE c.patient = $1 AND c.type = $2 AND c.code = $3 AND r.seq + 0 >= $4 AND r.version > 1 AND r.op <> 4 AND h.op <> 4 AND h.seq + 0 < $5`
)

// unchanged says that a version stands at its resource's place.
func (e *engine) unchanged(v *Version) bool {
	return v.Seq < e.from.low || v.Seq == v.RID && v.Seq < e.from.high
}

// placed is the version that says where v's resource stands: v itself on a first page; nil when later pages leave it out.
func (e *engine) placed(ctx context.Context, v *Version) (*Version, error) {
	if !e.paging || e.unchanged(v) {
		return v, nil
	}
	return e.asOf(ctx, v, e.from.low, e.from.high)
}

func (e *engine) asOf(ctx context.Context, v *Version, low, high int64) (old *Version, err error) {
	if v.RID >= high {
		return nil, nil
	}
	text, args := selectBefore, []any{v.RID, low}
	if v.RID >= low {
		text, args = selectFirstSeen, []any{v.RID, v.RID}
	}
	if v.RID >= low && v.Number == 1 {
		return v, nil
	}
	err = e.q.Query(ctx, text, func(r db.Row) (err error) {
		old, err = e.s.scanVersion(ctx, r, v.Type, v.ID)
		return err
	}, args...)
	if err != nil || old == nil || old.Deleted() {
		return nil, err
	}
	return old, nil
}

// meets decides all conditions on one version.
func (e *engine) meets(ctx context.Context, conditions []condition, v *Version) (bool, error) {
	if ok, err := e.cleared(v); err != nil || !ok {
		return false, err
	}
	var doc jsontape.Doc
	if err := doc.Parse(v.JSON); err != nil {
		return false, fault.Internal("a stored resource does not parse").With(err)
	}
	for _, c := range conditions {
		if ok, err := c.decide(ctx, v, &doc); err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}

// changes finds what stood between two positions of a source and was changed since. reach is how far it looked, at most upTo;
// nil stands for the end.
type changes func(ctx context.Context, after, upTo []byte) (found []candidate, reach []byte, err error)

// stableSource puts what was changed back where it stood, among what was not.
type stableSource struct {
	e       *engine
	inner   source
	changed changes
	after   []byte
	list    []candidate // of inner, not merged yet
	ahead   []candidate
	ended   bool // inner is
	done    bool
}

// stable wraps a source whose order updates can change, for later pages.
func (e *engine) stable(inner source, position []byte, changed changes) source {
	if !e.paging {
		return inner
	}
	return &stableSource{e: e, inner: inner, changed: changed, after: position}
}

// next reads inner before it asks for what was changed: what is changed in between is then found by both, at the same place.
func (s *stableSource) next(ctx context.Context, q db.Querier, n int) ([]candidate, error) {
	for len(s.ahead) < n && !s.done {
		if len(s.list) == 0 && !s.ended {
			var err error
			if s.list, err = s.inner.next(ctx, q, n); err != nil {
				return nil, err
			}
			s.ended = len(s.list) < n
		}
		var upTo []byte
		if !s.ended {
			upTo = s.list[len(s.list)-1].position
		}
		batch, reach, err := s.changed(ctx, s.after, upTo)
		if err != nil {
			return nil, err
		}
		cut := len(s.list)
		if reach != nil {
			if at := slices.IndexFunc(s.list, func(c candidate) bool { return bytes.Compare(c.position, reach) > 0 }); at >= 0 {
				cut = at
			}
		}
		for _, c := range s.list[:cut] {
			if s.e.unchanged(c.Version) {
				batch = append(batch, c)
			}
		}
		slices.SortFunc(batch, func(a, b candidate) int { return bytes.Compare(a.position, b.position) })
		batch = slices.CompactFunc(batch, func(a, b candidate) bool { return a.RID == b.RID })
		s.ahead, s.list = append(s.ahead, batch...), s.list[cut:]
		s.after, s.done = reach, reach == nil
	}
	m := min(n, len(s.ahead))
	found := s.ahead[:m:m]
	s.ahead = s.ahead[m:]
	return found, nil
}

// changedSince runs a statement whose rows have the columns resourceColumns and selectOld. It gives what met the conditions when
// it stood between the positions, and the place of the last row.
func (e *engine) changedSince(ctx context.Context, typ string, conditions []condition, place func(*Version) ([]byte, error), after, upTo []byte,
	text string, args ...any,
) (found []candidate, last []byte, rows int, err error) {
	type pair struct{ now, was *Version }
	var pairs []pair
	err = e.q.Query(ctx, text, func(r db.Row) error {
		now, err := e.s.scanCandidate(ctx, r, typ)
		if err != nil {
			return err
		}
		json, err := e.s.unseal(ctx, now.RID, r.Int64(6), r.Bytes(9))
		if err != nil {
			return err
		}
		pairs = append(pairs, pair{now, &Version{
			Type: typ, ID: now.ID, RID: now.RID, Number: r.Int64(6), Seq: r.Int64(7), Op: opAt(r, 8), JSON: json,
		}})
		return nil
	}, args...)
	if err != nil {
		return nil, nil, 0, err
	}
	if err := e.budget.spend(len(pairs)); err != nil {
		return nil, nil, 0, err
	}
	for _, p := range pairs {
		if last, err = place(p.was); err != nil {
			return nil, nil, 0, err
		}
		if len(after) > 0 && bytes.Compare(last, after) <= 0 || upTo != nil && bytes.Compare(last, upTo) > 0 {
			continue
		}
		ok, err := e.meets(ctx, conditions, p.was)
		if err != nil {
			return nil, nil, 0, err
		}
		if ok {
			found = append(found, candidate{p.now, last})
		}
	}
	return found, last, len(pairs), nil
}

// recent finds what the first page and the rule disagree about: of a plan's resources that were written while the
// page was read, those that are on the page, and those that are not though their place is before end. A nil end is the
// end of the source.
func (e *engine) recent(ctx context.Context, p *plan, shown map[int64]bool, end []byte) (seen []int64, owed []*Version, err error) {
	var list []*Version
	err = e.q.Query(ctx, selectRecent, func(r db.Row) error {
		v, err := e.s.scanCandidate(ctx, r, p.typ)
		list = append(list, v)
		return err
	}, e.s.number(p.typ), e.from.low, maxRecent)
	if err != nil {
		return nil, nil, err
	}
	for _, v := range list {
		if shown[v.RID] {
			seen = append(seen, v.RID)
			continue
		}
		if len(owed) == maxOwed {
			continue
		}
		if ok, err := e.meets(ctx, p.conditions, v); err != nil {
			return nil, nil, err
		} else if !ok {
			continue
		}
		passed, err := e.passed(ctx, p, v, end)
		if err != nil {
			return nil, nil, err
		}
		if passed {
			owed = append(owed, v)
		}
	}
	return seen, owed, nil
}

// passed says that later pages, which go on after end, will not come to a resource.
func (e *engine) passed(ctx context.Context, p *plan, v *Version, end []byte) (bool, error) {
	was, err := e.asOf(ctx, v, e.from.low, e.from.high)
	if err != nil || was == nil || end == nil {
		return true, err
	}
	if ok, err := e.meets(ctx, p.conditions, was); err != nil || !ok {
		return true, err
	}
	at, err := p.place(was)
	return bytes.Compare(at, end) <= 0, err
}
