package audit

import (
	"context"
	"math"
	"slices"
	"time"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
)

// spans is a set of numbers that mostly follow each other.
type spans []span

type span struct{ first, last int64 }

func (s *spans) add(n int64) {
	list := *s
	// i is the first span that ends at n-1 or later.
	i, _ := slices.BinarySearchFunc(list, n-1, func(sp span, n int64) int {
		if sp.last < n {
			return -1
		}
		return 1
	})
	switch {
	case i == len(list) || list[i].first > n+1:
		*s = slices.Insert(list, i, span{n, n})
		return
	case n < list[i].first:
		list[i].first = n
	case n > list[i].last:
		list[i].last = n
		if i+1 < len(list) && list[i+1].first <= n+1 {
			list[i].last = list[i+1].last
			*s = slices.Delete(list, i+1, i+2)
		}
	}
}

func (s spans) has(n int64) bool {
	i, _ := slices.BinarySearchFunc(s, n, func(sp span, n int64) int {
		if sp.last < n {
			return -1
		}
		return 1
	})
	return i < len(s) && s[i].first <= n
}

// coverage is which groups are in links, by lane.
type coverage map[int64]*spans

func (c coverage) add(p place) {
	s := c[p.lane]
	if s == nil {
		s = new(spans)
		c[p.lane] = s
	}
	s.add(p.number)
}

func (c coverage) has(p place) bool {
	s := c[p.lane]
	return s != nil && s.has(p.number)
}

// skew is how far a clock may have been set back between a group and its link.
const skew = 10 * time.Minute

// settled is the age from which on a group that is in no link will not be linked by who wrote it.
const settled = 2 * time.Minute

const (
	linksFrom  = `SELECT lane, number, at, body FROM audit_link WHERE at >= $1 AND (at, lane, number) > ($2, $3, $4) ORDER BY at, lane, number LIMIT $5`
	groupsFrom = `SELECT at, lane, number FROM audit_event WHERE at >= $1 AND at < $2 AND (at, lane, number) > ($3, $4, $5) ORDER BY at, lane, number LIMIT $6`
)

// each calls fn for every row of a query that takes a place to go on after as its last three arguments but one, the page's size. at names the
// columns of the place.
func paged(ctx context.Context, q db.Querier, sql string, size int, next func(r db.Row) (place, error), args ...any) error {
	from := place{at: math.MinInt64}
	for {
		n := 0
		err := q.Query(ctx, sql, func(r db.Row) (err error) {
			n++
			from, err = next(r)
			return err
		}, append(slices.Clip(args), from.at, from.lane, from.number, size)...)
		if err != nil || n < size {
			return err
		}
	}
}

// unlinked are the groups from a time until another that no link covers.
func unlinked(ctx context.Context, q db.Querier, from, until time.Time) ([]place, error) {
	known := coverage{}
	err := paged(ctx, q, linksFrom, 500, func(r db.Row) (place, error) {
		var k link
		if _, ok := k.parse(r.Bytes(3)); ok { // verify says what is wrong with one that can't be read
			for i := range k.covered {
				known.add(k.covered[i].place)
			}
		}
		return place{r.Int64(2), r.Int64(0), r.Int64(1)}, nil
	}, millisOf(from.Add(-skew)))
	if err != nil {
		return nil, err
	}
	var out []place
	err = paged(ctx, q, groupsFrom, 5000, func(r db.Row) (place, error) {
		p := place{r.Int64(0), r.Int64(1), r.Int64(2)}
		if !known.has(p) {
			out = append(out, p)
		}
		return p, nil
	}, millisOf(from), millisOf(until))
	return out, err
}

func millisOf(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return max(t.UnixMilli(), 0)
}

// adopt links the groups since a time that nobody has linked: those of a process that died between a commit and its link. It says how many
// those were.
func (t *trail) adopt(ctx context.Context, since time.Time) (n int, err error) {
	defer fault.Op(&err, "audit.adopt")
	ctx = scope.With(ctx, t.scope)
	var orphans []place
	err = t.log.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) (err error) {
		orphans, err = unlinked(ctx, q, since, t.log.deps.Clock.Now().Add(-settled))
		return err
	})
	if err != nil {
		return 0, err
	}
	t.linking.Lock()
	defer t.linking.Unlock()
	for part := range slices.Chunk(orphans, mostCovered) {
		var others []anchor
		if t.head == nil {
			h, found, err := t.open(ctx)
			if err != nil {
				return n, err
			}
			t.head, others = &h, found
		}
		var next head
		err := t.log.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
			groups, err := readGroups(ctx, tx, part)
			if err != nil {
				return err
			}
			list := make([]covered, 0, len(groups))
			for _, g := range groups {
				list = append(list, covered{place: g.place, digest: g.digest(t.bound)})
			}
			next, err = t.link(ctx, tx, *t.head, list, others, true)
			return err
		})
		if err != nil {
			t.head = nil // read again: the outcome may not be known
			return n, err
		}
		t.head = &next
		n += len(part)
	}
	return n, nil
}

// readGroups gives the groups at the places that are there, in no order.
func readGroups(ctx context.Context, q db.Querier, at []place) ([]group, error) {
	out := make([]group, 0, len(at))
	ats, lanes, numbers := make([]int64, len(at)), make([]int64, len(at)), make([]int64, len(at))
	for i, p := range at {
		ats[i], lanes[i], numbers[i] = p.at, p.lane, p.number
	}
	err := q.Lookup(ctx, db.Lookup{
		Table: "audit_event", Want: []string{"body"}, Keys: []db.Column{db.Col("at", ats), db.Col("lane", lanes), db.Col("number", numbers)},
	}, func(i int, r db.Row) error {
		out = append(out, group{place: at[i], body: slices.Clone(r.Bytes(0))})
		return nil
	})
	return out, err
}
