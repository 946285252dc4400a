package records

import (
	"bytes"
	"context"
	"net/url"
	"slices"
	"strings"
	"time"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/format/fhir/search"
	"ward/internal/format/jsontape"
)

// Request is a parsed search, within a compartment when one is named.
type Request struct {
	*search.Query
	CompartmentType string // "Patient", ...; empty: no compartment
	CompartmentID   string
}

// Page is one page of a search's answer.
type Page struct {
	Matches  []*Version
	Includes []*Version
	Total    *int64 // nil when it was not asked for and is not known without asking
	Next     string // the next page's cursor; empty on the last page
	Warnings []fault.Detail
}

// Search answers from the cache while nothing that the answer depends on has changed, else from the database.
//
// Errors: Invalid for a bad cursor, TooCostly when the answer would take too much reading.
func (s *Service) Search(ctx context.Context, req Request) (*Page, error) {
	// A read of the database inside another could wait for the connection that the other holds.
	if _, err := s.registry(ctx); err != nil {
		return nil, err
	}
	var page *Page
	err := s.db.Read(ctx, func(ctx context.Context, q db.Querier) (err error) {
		page, err = s.search(ctx, q, req)
		return err
	})
	return page, err
}

// search answers within a transaction or not.
func (s *Service) search(ctx context.Context, q db.Querier, req Request) (_ *Page, err error) {
	defer fault.Op(&err, "records.search")
	e, err := s.engine(ctx, q, req)
	if err != nil {
		return nil, err
	}
	return e.page(ctx)
}

// match returns at most limit resources of one type that meet criteria, for conditional interactions.
func (s *Service) match(ctx context.Context, q db.Querier, typ, criteria string, limit int) ([]*Version, error) {
	query, err := s.parse(ctx, typ, criteria, search.Options{})
	if err != nil {
		return nil, err
	}
	query.Count, query.Cursor, query.Total, query.Sort, query.Include, query.RevInclude = limit, "", search.TotalNone, nil, nil, nil
	page, err := s.search(ctx, q, Request{Query: query})
	if err != nil {
		return nil, err
	}
	return page.Matches, nil
}

// parse reads the criteria of a search: a URL's query, or a form's body.
func (s *Service) parse(ctx context.Context, typ, criteria string, opt search.Options) (*search.Query, error) {
	registry, err := s.registry(ctx)
	if err != nil {
		return nil, err
	}
	pairs, err := splitCriteria(criteria)
	if err != nil {
		return nil, err
	}
	opt.Now = s.clock.Now()
	return search.Parse(registry, typ, pairs, opt)
}

// splitCriteria takes a URL's query apart, in order and with repeats.
func splitCriteria(criteria string) ([]search.Pair, error) {
	var pairs []search.Pair
	for part := range strings.SplitSeq(criteria, "&") {
		if part == "" {
			continue
		}
		rawName, rawValue, _ := strings.Cut(part, "=")
		name, err := url.QueryUnescape(rawName)
		if err != nil {
			return nil, fault.Invalid("parameter %d of the query has a name that is not percent-encoded well", len(pairs)+1)
		}
		value, err := url.QueryUnescape(rawValue)
		if err != nil {
			return nil, fault.Invalid("parameter %s of the query has a value that is not percent-encoded well: a '%%' begins an escape of two hexadecimal digits", printable(name))
		}
		pairs = append(pairs, search.Pair{Name: name, Value: value})
	}
	return pairs, nil
}

// engine is one search under way.
type engine struct {
	s        *Service
	q        db.Querier
	req      Request
	registry *search.Registry
	from     cursor
	budget   *budget
	loaded   map[string]*loaded // resources that chains looked at
	doc      jsontape.Doc
}

type loaded struct {
	version *Version
	doc     jsontape.Doc
}

func (s *Service) engine(ctx context.Context, q db.Querier, req Request) (*engine, error) {
	registry, err := s.registry(ctx)
	if err != nil {
		return nil, err
	}
	e := &engine{s: s, q: q, req: req, registry: registry, from: cursor{lead: -1}, budget: &budget{}}
	if req.Cursor != "" {
		if e.from, err = s.openCursor(ctx, req.cursorBinding(), req.Cursor); err != nil {
			return nil, err
		}
	} else {
		e.from.snapshot = seqFrom(s.clock.Now().Add(time.Millisecond))
	}
	return e, nil
}

func (r Request) cursorBinding() string {
	return r.CompartmentType + "/" + r.CompartmentID + " " + strings.Join(r.Types, ",") + "?" + r.Canonical
}

// types are the resource types to search, in order.
func (e *engine) types() []string {
	if len(e.req.Types) > 0 {
		return e.req.Types
	}
	return e.s.definitions.ResourceTypes()
}

// page gathers one page: the types one after another, each from its source.
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

func (e *engine) fill(ctx context.Context, page *Page, types []string) error {
	var last cursor
	for step := e.from.step; step < len(types); step++ {
		start := cursor{lead: -1, snapshot: e.from.snapshot}
		if step == e.from.step {
			start = e.from
		}
		p, err := e.plan(ctx, types[step], start)
		if err != nil {
			return err
		}
		if p == nil {
			continue
		}
		found, err := e.take(ctx, p, e.req.Count+1-len(page.Matches))
		if err != nil {
			return err
		}
		for _, c := range found {
			if len(page.Matches) == e.req.Count {
				page.Next = e.s.sealCursor(ctx, e.req.cursorBinding(), last)
				return nil
			}
			page.Matches = append(page.Matches, c.Version)
			last = cursor{step: step, kind: p.kind, lead: p.lead, position: c.position, snapshot: e.from.snapshot}
		}
	}
	return nil
}

// take returns up to n matches of a plan.
func (e *engine) take(ctx context.Context, p *plan, n int) ([]candidate, error) {
	var found []candidate
	for chunk := n; ; chunk = min(chunk*2, 500) {
		list, err := p.source.next(ctx, e.q, chunk)
		if err != nil {
			return nil, err
		}
		if err := e.budget.spend(len(list)); err != nil {
			return nil, err
		}
		for _, c := range list {
			ok, err := e.matches(ctx, p.residual, c.Version)
			if err != nil {
				return nil, err
			}
			if ok {
				if found = append(found, c); len(found) == n {
					return found, nil
				}
			}
		}
		if len(list) < chunk {
			return found, nil
		}
	}
}

// matches decides on the resource's bytes what the source did not.
func (e *engine) matches(ctx context.Context, residual []condition, v *Version) (bool, error) {
	if len(residual) == 0 {
		return true, nil
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

// sortedSource keeps the candidates that come next in the order asked for, by reading all of them.
type sortedSource struct {
	e          *engine
	inner      *plan
	conditions []condition
	after      []byte // the sort key and rid after which to go on; nil: from the start
	begun      bool
}

type sortable struct {
	candidate
	key []byte
}

func (c *sortedSource) next(ctx context.Context, _ db.Querier, n int) ([]candidate, error) {
	if c.begun {
		return nil, nil // one page takes from it once
	}
	c.begun = true
	var (
		lastKey []byte
		lastRID int64
		best    []sortable
	)
	if c.after != nil {
		var err error
		if lastKey, lastRID, err = splitKeyPosition(c.after); err != nil {
			return nil, err
		}
	}
	order := func(a, b sortable) int {
		if d := bytes.Compare(a.key, b.key); d != 0 {
			return d
		}
		return compareInt64(a.RID, b.RID)
	}
	for {
		const chunk = 500
		list, err := c.inner.source.next(ctx, c.e.q, chunk)
		if err != nil {
			return nil, err
		}
		if err := c.e.budget.spend(len(list)); err != nil {
			return nil, err
		}
		for _, found := range list {
			ok, err := c.e.matches(ctx, c.inner.residual, found.Version)
			if err != nil {
				return nil, err
			}
			if !ok {
				continue
			}
			placed, err := c.e.asOfFirstPage(ctx, c.conditions, found.Version)
			if err != nil {
				return nil, err
			}
			if placed == nil {
				continue
			}
			key, err := c.e.sortKey(placed)
			if err != nil {
				return nil, err
			}
			if c.after != nil && order(sortable{found, key}, sortable{candidate{&Version{RID: lastRID}, nil}, lastKey}) <= 0 {
				continue
			}
			best = append(best, sortable{found, key})
		}
		if len(best) > 4*n+1000 {
			slices.SortFunc(best, order)
			best = slices.Delete(best, n, len(best))
		}
		if len(list) < chunk {
			break
		}
	}
	slices.SortFunc(best, order)
	best = best[:min(n, len(best))]
	found := make([]candidate, len(best))
	for i, b := range best {
		b.position = keyPosition(b.key, b.RID)
		found[i] = b.candidate
	}
	return found, nil
}

func compareInt64(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
