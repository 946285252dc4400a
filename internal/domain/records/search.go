package records

import (
	"context"
	"net/url"
	"strings"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/format/fhir/search"
	"ward/internal/format/jsontape"
	"ward/internal/kernel/access"
	"ward/internal/kernel/seal"
)

// Request is a parsed search, within a compartment when one is named.
type Request struct {
	*search.Query
	CompartmentType string // "Patient", ...; empty: no compartment
	CompartmentID   string

	once bool // the next page is not asked for
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
	ctx, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	var page *Page
	err = s.db.Read(ctx, func(ctx context.Context, q db.Querier) (err error) {
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

// match returns the resources of one type that meet criteria, at most two of them: conditional interactions ask for one.
func (s *Service) match(ctx context.Context, q db.Querier, typ, criteria string) ([]*Version, error) {
	query, err := s.parse(ctx, typ, criteria, search.Options{})
	if err != nil {
		return nil, err
	}
	query.Count, query.Cursor, query.Total, query.Sort, query.Include, query.RevInclude = 2, "", search.TotalNone, nil, nil, nil
	page, err := s.search(ctx, q, Request{Query: query, once: true})
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
	paging   bool // from is a later page's
	began    mark
	budget   *budget
	loaded   map[string]*loaded // resources that chains looked at
	rights   *access.Rights
	mask     *seal.Mask
	guarded  bool // not all sensitive classes are granted
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
	e := &engine{s: s, q: q, req: req, registry: registry, from: cursor{lead: -1}, budget: newBudget(s.db.Dialect()), loaded: map[string]*loaded{}}
	if e.mask, err = s.mask(ctx); err != nil {
		return nil, err
	}
	e.rights = access.Of(ctx)
	e.guarded = !e.rights.ClearsAll()
	if req.Cursor != "" {
		if e.from, err = s.openCursor(ctx, req.cursorBinding(), req.Cursor); err != nil {
			return nil, err
		}
		e.paging = true
		return e, nil
	}
	e.began = s.flights.now(ctx)
	e.from.low, e.from.high = e.began.low, e.began.end
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
