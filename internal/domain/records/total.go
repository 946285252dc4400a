package records

import (
	"context"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/format/fhir/search"
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
	if p.count != nil {
		hidden := false
		if e.guarded {
			if hidden, err = e.labelled(ctx, typ); err != nil {
				return 0, err
			}
		}
		if !hidden {
			return p.count(ctx)
		}
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
