package records

import (
	"bytes"
	"context"
	"slices"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/format/jsontape"
)

// Pages show a search as it was ordered when its first page was read. Most sources are in the order of rids, which
// never change. The others order by what an update can change: a resource that moved since the first page could come
// twice, or never. Those are placed where they stood then; what was created since is left out.

// maxMoved bounds how many changed resources one page puts back in their places.
const maxMoved = 2_000

const selectChanged = `SELECT ` + resourceColumns + ` FROM records_resource r
WHERE r.type = $1 AND r.seq >= $2 AND r.version > 1 AND r.rid < $2 AND r.op <> 4 ORDER BY r.seq LIMIT $3`

const selectBefore = `SELECT rid, version, seq, op, body FROM records_history WHERE rid = $1 AND seq < $2 ORDER BY version DESC LIMIT 1`

// versionBefore is what a resource was before a sequence; nil when it was not there, or deleted.
func (e *engine) versionBefore(ctx context.Context, v *Version, seq int64) (*Version, error) {
	if v.RID >= seq {
		return nil, nil
	}
	var old *Version
	err := e.q.Query(ctx, selectBefore, func(r db.Row) (err error) {
		old, err = e.s.scanVersion(r, v.Type, v.ID)
		return err
	}, v.RID, seq)
	if err != nil || old == nil || old.Deleted() {
		return nil, err
	}
	return old, nil
}

// meets decides all conditions on one version.
func (e *engine) meets(ctx context.Context, conditions []condition, v *Version) (bool, error) {
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

// asOfFirstPage is the version that decides where v stands in a sorted answer: itself, or what it was when the first
// page was read. nil leaves it out.
func (e *engine) asOfFirstPage(ctx context.Context, conditions []condition, v *Version) (*Version, error) {
	if e.req.Cursor == "" || v.Seq < e.from.snapshot {
		return v, nil
	}
	old, err := e.versionBefore(ctx, v, e.from.snapshot)
	if err != nil || old == nil {
		return nil, err
	}
	if ok, err := e.meets(ctx, conditions, old); err != nil || !ok {
		return nil, err
	}
	return old, nil
}

// stableSource puts what changed since the first page back where it stood, among what did not change.
type stableSource struct {
	inner   source
	since   int64
	reverse bool // positions descend
	moved   []candidate
	ahead   []candidate
	ended   bool
}

// stable wraps a source whose order updates can change. position says where a version stands in it.
func (e *engine) stable(ctx context.Context, inner source, typ string, conditions []condition, from cursor, reverse bool,
	position func(*Version) ([]byte, error),
) (source, error) {
	if e.req.Cursor == "" || len(from.position) == 0 {
		return inner, nil
	}
	s := &stableSource{inner: inner, since: e.from.snapshot, reverse: reverse}
	var changed []*Version
	err := e.q.Query(ctx, selectChanged, func(r db.Row) error {
		v, err := e.s.scanCandidate(r, typ)
		changed = append(changed, v)
		return err
	}, e.s.number(typ), s.since, maxMoved)
	if err != nil {
		return nil, err
	}
	for _, v := range changed {
		if ok, err := e.meets(ctx, conditions, v); err != nil {
			return nil, err
		} else if !ok {
			continue
		}
		old, err := e.asOfFirstPage(ctx, conditions, v)
		if err != nil {
			return nil, err
		}
		if old == nil {
			continue
		}
		at, err := position(old)
		if err != nil {
			return nil, err
		}
		if s.before(from.position, at) {
			s.moved = append(s.moved, candidate{v, at})
		}
	}
	slices.SortFunc(s.moved, func(a, b candidate) int {
		if s.before(a.position, b.position) {
			return -1
		}
		return 1
	})
	return s, nil
}

func (s *stableSource) before(a, b []byte) bool {
	if s.reverse {
		return bytes.Compare(a, b) > 0
	}
	return bytes.Compare(a, b) < 0
}

func (s *stableSource) next(ctx context.Context, q db.Querier, n int) ([]candidate, error) {
	found := make([]candidate, 0, n)
	for len(found) < n {
		for len(s.ahead) == 0 && !s.ended {
			list, err := s.inner.next(ctx, q, n)
			if err != nil {
				return nil, err
			}
			s.ended = len(list) < n
			s.ahead = slices.DeleteFunc(list, func(c candidate) bool { return c.Seq >= s.since })
		}
		switch {
		case len(s.moved) > 0 && (len(s.ahead) == 0 || s.before(s.moved[0].position, s.ahead[0].position)):
			found, s.moved = append(found, s.moved[0]), s.moved[1:]
		case len(s.ahead) > 0:
			found, s.ahead = append(found, s.ahead[0]), s.ahead[1:]
		default:
			return found, nil
		}
	}
	return found, nil
}
