package records

import (
	"context"
	"slices"

	"ward/internal/base/fault"
)

// page gathers one page: the types one after another, each from its source, or all in one order.
func (e *engine) page(ctx context.Context) (*Page, error) {
	page := &Page{}
	types := e.types()
	if e.from.step >= len(types) {
		return nil, errCursor()
	}
	if e.req.Count > 0 {
		if err := e.fill(ctx, page, types); err != nil {
			return nil, err
		}
	}
	if err := e.total(ctx, page, types); err != nil {
		return nil, err
	}
	if e.req.Count > 0 {
		includes, err := e.includes(ctx, page.Matches)
		if err != nil {
			return nil, err
		}
		page.Includes = includes
	}
	return page, nil
}

// fill takes the page's matches, and one more to know whether there is a next page.
func (e *engine) fill(ctx context.Context, page *Page, types []string) error {
	steps := len(types)
	if e.merges(types) {
		steps = 1
	}
	var (
		at   *plan // where the page ends
		last = e.from
		rest []int64
	)
	for step := e.from.step; step < steps; step++ {
		start := cursor{step: step, lead: -1, low: e.from.low, high: e.from.high}
		if step == e.from.step {
			start = e.from
		}
		p, err := e.stepPlan(ctx, types, start)
		if err != nil {
			return err
		}
		if p == nil {
			continue
		}
		if len(start.owed) > 0 {
			if rest, err = e.pay(ctx, page, p, start.owed); err != nil {
				return err
			}
		}
		found, ended, err := e.take(ctx, p, e.req.Count+1-len(page.Matches), start.seen)
		if err != nil {
			return err
		}
		for _, c := range found {
			if len(page.Matches) == e.req.Count {
				if e.req.once {
					return nil
				}
				return e.next(ctx, page, at, last, rest)
			}
			page.Matches = append(page.Matches, c.Version)
			at, last = p, cursor{step: step, kind: p.kind, lead: p.lead, position: c.position, low: start.low, high: start.high, seen: start.seen}
		}
		if ended && len(rest) == 0 {
			if rest, err = e.missed(ctx, page, p); err != nil {
				return err
			}
		}
		if len(rest) > 0 {
			return e.next(ctx, page, at, last, rest)
		}
	}
	return nil
}

// stepPlan is the plan of a step: one type, or all of them in one order. nil when nothing can match.
func (e *engine) stepPlan(ctx context.Context, types []string, from cursor) (*plan, error) {
	if e.merges(types) {
		return e.mergedPlan(ctx, types, from)
	}
	return e.plan(ctx, types[from.step], from)
}

// next seals the cursor of the page that follows. at is the plan from which the page's last match came; nil when all
// matches were owed.
func (e *engine) next(ctx context.Context, page *Page, at *plan, last cursor, owed []int64) error {
	last.owed = owed
	if at != nil && at.place != nil && !e.paging {
		last.high = e.s.flights.now(ctx).end
		e.from.high = last.high
		if !e.s.flights.still(ctx, e.began) {
			shown := shownOn(page)
			for _, part := range at.each() {
				seen, missed, err := e.recent(ctx, part, shown, last.position)
				if err != nil {
					return err
				}
				last.seen = append(last.seen, seen...)
				for _, v := range missed {
					if !slices.Contains(last.owed, v.RID) {
						last.owed = append(last.owed, v.RID)
					}
				}
			}
		}
	}
	page.Next = e.s.sealCursor(ctx, e.req.cursorBinding(), last)
	return nil
}

func shownOn(page *Page) map[int64]bool {
	shown := make(map[int64]bool, len(page.Matches))
	for _, v := range page.Matches {
		shown[v.RID] = true
	}
	return shown
}

// missed adds what a source of more than one statement passed over because it was written in between. What does not fit
// is left for the next page.
func (e *engine) missed(ctx context.Context, page *Page, p *plan) (rest []int64, err error) {
	if e.paging || p.reads < 2 || p.place == nil || e.s.flights.still(ctx, e.began) {
		return nil, nil
	}
	e.from.high = e.s.flights.now(ctx).end
	for _, part := range p.each() {
		_, owed, err := e.recent(ctx, part, shownOn(page), nil)
		if err != nil {
			return nil, err
		}
		for _, v := range owed {
			if len(page.Matches) < e.req.Count {
				page.Matches = append(page.Matches, v)
			} else {
				rest = append(rest, v.RID)
			}
		}
	}
	return rest, nil
}

// pay begins a page with what the first one owed. What does not fit is left for the next.
func (e *engine) pay(ctx context.Context, page *Page, p *plan, owed []int64) (rest []int64, err error) {
	for _, part := range p.each() {
		versions, err := e.s.byRID(ctx, e.q, owed, part.typ)
		if err != nil {
			return nil, err
		}
		for _, v := range versions {
			if v == nil || v.Deleted() {
				continue
			}
			ok, err := e.meets(ctx, part.conditions, v)
			switch {
			case err != nil:
				return nil, err
			case !ok:
			case len(page.Matches) < e.req.Count:
				page.Matches = append(page.Matches, v)
			default:
				rest = append(rest, v.RID)
			}
		}
	}
	return rest, nil
}

// take returns up to n matches of a plan but those in except, and whether there are no more.
func (e *engine) take(ctx context.Context, p *plan, n int, except []int64) (found []candidate, ended bool, err error) {
	var taken map[int64]bool
	if len(except) > 0 {
		taken = make(map[int64]bool, len(except)+n)
		for _, rid := range except {
			taken[rid] = true
		}
	}
	for chunk := n; n > 0; chunk = min(chunk*2, 500) {
		list, err := p.source.next(ctx, e.q, chunk)
		if err != nil {
			return nil, false, err
		}
		p.reads++
		if err := e.budget.spend(len(list)); err != nil {
			return nil, false, err
		}
		for _, c := range list {
			ok, err := e.matches(ctx, p.residual, c.Version)
			if err != nil {
				return nil, false, err
			}
			if !ok || taken[c.RID] {
				continue
			}
			if found = append(found, c); len(found) == n {
				return found, false, nil
			}
			if taken != nil {
				taken[c.RID] = true
			}
		}
		if len(list) < chunk {
			return found, true, nil
		}
		if taken == nil { // the next statement may see again, elsewhere, what was written in between
			taken = make(map[int64]bool, n)
			for _, c := range found {
				taken[c.RID] = true
			}
		}
	}
	return nil, false, nil
}

// matches decides on the resource's bytes what the source did not.
func (e *engine) matches(ctx context.Context, residual []condition, v *Version) (bool, error) {
	if ok, err := e.cleared(v); err != nil || !ok {
		return false, err
	}
	for _, c := range residual {
		if c.early != nil && !c.early(v) {
			return false, nil
		}
	}
	parsed := false
	for _, c := range residual {
		if c.cheap != nil {
			if !c.cheap(v) {
				return false, nil
			}
			continue
		}
		if !parsed {
			if err := e.doc.Parse(v.JSON); err != nil {
				return false, fault.Internal("a stored resource does not parse").With(err)
			}
			parsed = true
		}
		ok, err := c.holds(ctx, v, &e.doc)
		if err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}
