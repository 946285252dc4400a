package records

import (
	"bytes"
	"context"
	"slices"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/format/jsontape"
)

func (e *engine) sorted() bool { return len(e.req.Sort) > 0 }

// byTime says that the answer is sorted by the time of the last write and nothing else. Positions are then sequences.
func (e *engine) byTime() bool { return len(e.req.Sort) == 1 && e.req.Sort[0].Code == "_lastUpdated" }

// merges says that resources of several types are given in one order.
func (e *engine) merges(types []string) bool { return len(types) > 1 && e.sorted() }

// sortedPlan finds the resources of a type in the order asked for.
func (e *engine) sortedPlan(ctx context.Context, typ string, conditions []condition, from cursor) (*plan, error) {
	single := !e.merges(e.types())
	if lead, oldestFirst := e.chartOrder(typ, conditions); lead >= 0 && single {
		from.lead = lead
		return e.chartPlan(typ, conditions, from, oldestFirst)
	}
	most := gatherRows
	if e.byTime() {
		most = sortRows
	}
	inner, err := e.narrow(ctx, typ, conditions, cursor{lead: -1}, most)
	if inner == nil && err == nil {
		if e.byTime() {
			return e.sequencePlan(ctx, typ, conditions, from, e.req.Sort[0].Desc)
		}
		inner, err = e.scan(ctx, typ, conditions, cursor{lead: -1})
	}
	if err != nil {
		return nil, err
	}
	p := &plan{
		source: &sortedSource{e: e, inner: inner, after: from.position}, kind: fromSorted, lead: -1,
		typ: typ, conditions: conditions, place: e.sortPosition,
	}
	return p, nil
}

// chartOrder says whether the chart that leads is in the order asked for already; lead is -1 if not.
func (e *engine) chartOrder(typ string, conditions []condition) (lead int, oldestFirst bool) {
	if len(e.req.Sort) != 1 {
		return -1, false
	}
	lead = slices.IndexFunc(conditions, condition.oneChart)
	_, _, date := e.registry.ChartParams(typ)
	if lead < 0 || date == nil || e.req.Sort[0].ParamFor(typ) != date || hasIDs(conditions) {
		return -1, false
	}
	return lead, !e.req.Sort[0].Desc
}

// sortedSource gives the candidates that come next in the order asked for, by reading all of them.
type sortedSource struct {
	e     *engine
	inner *plan
	after []byte // the position after which to go on; nil: from the start
	begun bool
}

func (c *sortedSource) next(ctx context.Context, _ db.Querier, n int) ([]candidate, error) {
	if c.begun {
		return nil, nil // one page takes from it once
	}
	c.begun = true
	n += len(c.e.from.seen) // those that the first page has shown are taken out later
	var best []candidate
	trim := func() {
		slices.SortFunc(best, func(a, b candidate) int { return bytes.Compare(a.position, b.position) })
		best = best[:min(n, len(best))]
	}
	known := map[int64]bool{}
	err := c.e.all(ctx, c.inner, func(v *Version) error {
		if c.inner.place != nil { // what is written while it is read may come twice
			if known[v.RID] {
				return nil
			}
			known[v.RID] = true
		}
		was, err := c.e.placed(ctx, v)
		if err != nil || was == nil {
			return err
		}
		if was != v {
			if ok, err := c.e.meets(ctx, c.inner.conditions, was); err != nil || !ok {
				return err
			}
		}
		position, err := c.e.sortPosition(was)
		if err != nil || bytes.Compare(position, c.after) <= 0 && len(c.after) > 0 {
			return err
		}
		if best = append(best, candidate{v, position}); len(best) > 4*n+1000 {
			trim()
		}
		return nil
	})
	trim()
	return best, err
}

// all runs fn on every match of a plan.
func (e *engine) all(ctx context.Context, p *plan, fn func(v *Version) error) error {
	for {
		const chunk = 500
		list, err := p.source.next(ctx, e.q, chunk)
		if err != nil {
			return err
		}
		if err := e.budget.spend(len(list)); err != nil {
			return err
		}
		for _, c := range list {
			ok, err := e.matches(ctx, p.residual, c.Version)
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			if err := fn(c.Version); err != nil {
				return err
			}
		}
		if len(list) < chunk {
			return nil
		}
	}
}

// mergedPlan finds the resources of several types in one order.
func (e *engine) mergedPlan(ctx context.Context, types []string, from cursor) (*plan, error) {
	merged := &mergedSource{e: e}
	for _, typ := range types {
		conditions, err := e.conditions(ctx, typ)
		if err != nil {
			return nil, err
		}
		if never(conditions) {
			continue
		}
		p, err := e.sortedPlan(ctx, typ, conditions, from)
		if err != nil {
			return nil, err
		}
		merged.parts = append(merged.parts, p)
	}
	if len(merged.parts) == 0 {
		return nil, nil //nolint:nilnil // nothing can match
	}
	return &plan{source: merged, kind: fromSorted, lead: -1, parts: merged.parts, place: e.sortPosition}, nil
}

// mergedSource merges what several types have next.
type mergedSource struct {
	e     *engine
	parts []*plan
	begun bool
}

func (m *mergedSource) next(ctx context.Context, _ db.Querier, n int) ([]candidate, error) {
	if m.begun {
		return nil, nil // one page takes from it once
	}
	m.begun = true
	n += len(m.e.from.seen) // those that the first page has shown are taken out later
	var best []candidate
	for _, p := range m.parts {
		found, _, err := m.e.take(ctx, p, n, nil)
		if err != nil {
			return nil, err
		}
		best = append(best, found...)
	}
	slices.SortFunc(best, func(a, b candidate) int { return bytes.Compare(a.position, b.position) })
	return best, nil
}

// sortPosition is where a version stands in the order asked for: its sort key, and the rid that breaks ties.
func (e *engine) sortPosition(v *Version) ([]byte, error) {
	if e.byTime() {
		return seqPosition(v.Seq, e.req.Sort[0].Desc), nil
	}
	key, err := e.sortKey(v)
	return sortableInt64(key, v.RID), err
}

// sortKey spells the values that a resource is sorted by in bytes that sort as asked, none of which is the beginning of
// another. What has no value comes last.
func (e *engine) sortKey(v *Version) ([]byte, error) {
	var (
		key []byte
		doc jsontape.Doc
	)
	for i := range e.req.Sort {
		k := &e.req.Sort[i]
		var (
			value   []byte
			present = true
		)
		switch {
		case k.Code == "_lastUpdated":
			value = sortableInt64(nil, v.Seq)
		case k.Code == "_id":
			value = []byte(v.ID)
		case k.ParamFor(v.Type) == nil:
			present = false
		default:
			if doc.Src() == nil {
				if err := doc.Parse(v.JSON); err != nil {
					return nil, fault.Internal("a stored resource does not parse").With(err)
				}
			}
			value, present = k.ParamFor(v.Type).SortValue(&doc, v.Type, k.Desc)
		}
		if !present {
			key = append(key, 1)
			continue
		}
		key = append(key, 0)
		from := len(key)
		key = append(append(key, bytes.ReplaceAll(value, []byte{0}, []byte{0, 0xff})...), 0, 0)
		if k.Desc {
			for i := from; i < len(key); i++ {
				key[i] = ^key[i]
			}
		}
	}
	return key, nil
}
