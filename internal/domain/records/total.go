package records

import (
	"bytes"
	"context"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/format/fhir/search"
	"ward/internal/format/jsontape"
)

const countSmall = `SELECT count(*) FROM (SELECT 1 FROM records_resource WHERE type = $1 LIMIT $2) few`

// countRows makes a count of one statement.
func (e *engine) countRows(text string, args ...any) func(context.Context) (int64, error) {
	return func(ctx context.Context) (n int64, err error) {
		err = e.q.Query(ctx, text, func(r db.Row) error {
			n = r.Int64(0)
			return nil
		}, args...)
		return n, err
	}
}

// total fills in how many resources match, if that was asked for or is known anyway.
func (e *engine) total(ctx context.Context, page *Page, types []string) error {
	if e.req.Count > 0 && e.req.Cursor == "" && page.Next == "" {
		n := int64(len(page.Matches))
		page.Total = &n
		return nil
	}
	asked := e.req.Total == search.TotalAccurate || e.req.Total == search.TotalEstimate || e.req.Count == 0
	if !asked {
		return nil
	}
	var all int64
	for _, typ := range types {
		n, err := e.count(ctx, typ)
		if fault.Is(err, fault.CodeTooCostly) && e.req.Total == search.TotalEstimate {
			return nil // an estimate is a courtesy
		}
		if err != nil {
			return err
		}
		all += n
	}
	page.Total = &all
	return nil
}

func (e *engine) count(ctx context.Context, typ string) (int64, error) {
	conditions, err := e.conditions(ctx, typ)
	if err != nil {
		return 0, err
	}
	for _, c := range conditions {
		if c.never {
			return 0, nil
		}
	}
	p, err := e.access(ctx, typ, conditions, cursor{lead: -1})
	if err != nil {
		return 0, err
	}
	if p.count != nil && len(p.residual) == 0 {
		return p.count(ctx)
	}
	var n int64
	for {
		const chunk = 500
		list, err := p.source.next(ctx, e.q, chunk)
		if err != nil {
			return 0, err
		}
		if err := e.budget.spend(len(list)); err != nil {
			return 0, err
		}
		for _, c := range list {
			ok, err := e.matches(ctx, p.residual, c.Version)
			if err != nil {
				return 0, err
			}
			if ok {
				n++
			}
		}
		if len(list) < chunk {
			return n, nil
		}
	}
}

func (e *engine) sorted() bool { return len(e.req.Sort) > 0 }

// orderedAccess finds a source that is already in the order asked for; nil when there is none.
func (e *engine) orderedAccess(ctx context.Context, typ string, conditions []condition, from cursor) (*plan, error) {
	if len(e.req.Sort) != 1 {
		return nil, nil
	}
	key := &e.req.Sort[0]
	for i, c := range conditions {
		if c.rank == rankIDs {
			return nil, nil
		}
		if c.rank == rankPatient {
			_, _, date := e.registry.ChartParams(typ)
			if date == nil || key.ParamFor(typ) != date || !c.oneChart() {
				return nil, nil
			}
			from.lead = i
			return e.chartPlan(ctx, typ, conditions, from, !key.Desc)
		}
	}
	if key.Code == "_lastUpdated" {
		for i, c := range conditions {
			if from.kind == 0 && c.rank < rankNone {
				rids, err := e.gather(ctx, typ, c, probeRows)
				if err != nil {
					return nil, err
				}
				if rids != nil {
					from.lead = i
					return nil, nil // few enough to sort
				}
			}
		}
		if from.kind == 0 || from.kind == fromSequence {
			return e.sequencePlan(ctx, typ, conditions, from, key.Desc)
		}
	}
	return nil, nil
}

// sortKey spells the values that a resource is sorted by in bytes that sort as asked. What has no value comes last.
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

// ridsOf finds the rids of ids.
func (e *engine) ridsOf(ctx context.Context, typ string, ids []string) ([]int64, error) {
	if len(ids) == 0 {
		return []int64{}, nil
	}
	types, keys := make([]int32, len(ids)), make([][]byte, len(ids))
	for i, id := range ids {
		types[i], keys[i] = e.s.number(typ), encodeID(id)
	}
	rids := make([]int64, 0, len(ids))
	err := e.q.Lookup(ctx, db.Lookup{
		Table: "records_resource", Want: []string{"rid"}, Keys: []db.Column{db.Col("type", types), db.Col("id", keys)},
	}, func(_ int, r db.Row) error {
		rids = append(rids, r.Int64(0))
		return nil
	})
	return rids, err
}
