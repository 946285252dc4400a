package records

import (
	"context"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/format/fhir/search"
	"ward/internal/format/jsontape"
	"ward/internal/kernel/access"
)

// maxProblems bounds how many problems one answer lists.
const maxProblems = 500

// prepare parses, validates and indexes the entries' resources, as many at once as there are cores.
func (t *transaction) prepare(ctx context.Context) error {
	work := make([]*step, 0, len(t.steps))
	for i := range t.steps {
		st := &t.steps[i]
		st.change = nil
		switch {
		case st.order == stepGet, st.existing, st.id == "", st.entry.method == http.MethodPatch:
		default:
			work = append(work, st)
		}
	}
	errs := make([]error, len(work))
	parallel(len(work), runtime.GOMAXPROCS(0), func(i int) {
		if errs[i] = ctx.Err(); errs[i] == nil {
			errs[i] = t.prepareOne(ctx, work[i])
		}
	})
	return joinProblems(errs)
}

func (t *transaction) prepareOne(ctx context.Context, st *step) error {
	e, op := st.entry, OpUpdate
	switch st.order {
	case stepDelete:
		c, err := t.s.prepare(ctx, st.in.typ, st.id, OpDelete, nil)
		if err != nil {
			return inEntry(e.index, err)
		}
		c.IfMatch = st.match
		st.change = c
		return nil
	case stepPost:
		op = OpCreate
	}
	json, changed := t.s.relink(t.bundle.doc, e, &t.links)
	c, err := t.s.prepare(ctx, st.in.typ, st.id, op, json)
	if err != nil {
		return inEntry(e.index, t.s.placed(ctx, t.bundle.doc, st, op, changed, err))
	}
	if c.fresh = op == OpCreate && !t.keepIDs; c.fresh {
		if err := t.s.permit(c); err != nil {
			return inEntry(e.index, err)
		}
	}
	c.IfMatch, c.MustNotExist = st.match, st.absent
	st.change = c
	return nil
}

// placed gives the problems of an entry's resource their place in the bundle. Where links were replaced the places are
// those of the resource as it was sent.
func (s *Service) placed(ctx context.Context, doc *jsontape.Doc, st *step, op Op, changed bool, err error) error {
	if changed {
		_, asSent := s.prepare(ctx, st.in.typ, st.id, op, st.entry.resource)
		if f, ok := fault.Of(asSent); ok && len(f.Details) == len(fault.Details(err)) {
			err = asSent
		} else {
			return withoutPlaces(err)
		}
	}
	f, ok := fault.Of(err)
	if !ok || len(f.Details) == 0 {
		return err
	}
	line, column := doc.Position(st.entry.node)
	c := *f
	c.Details = slices.Clone(f.Details)
	for i := range c.Details {
		d := &c.Details[i]
		switch d.Line {
		case 0:
		case 1:
			d.Line, d.Column = line, d.Column+column-1
		default:
			d.Line += line - 1
		}
	}
	return &c
}

func withoutPlaces(err error) error {
	f, ok := fault.Of(err)
	if !ok {
		return err
	}
	c := *f
	c.Details = slices.Clone(f.Details)
	for i := range c.Details {
		c.Details[i].Line, c.Details[i].Column = 0, 0
	}
	return &c
}

// patches prepares the PATCH entries: their resources are read inside the database transaction.
func (t *transaction) patches(ctx context.Context, tx db.Tx) error {
	for i := range t.steps {
		st := &t.steps[i]
		if st.entry.method != http.MethodPatch {
			continue
		}
		current, err := t.s.read(ctx, tx, st.in.typ, st.id)
		if err == nil {
			err = t.s.visible(ctx, current, access.Read, access.Search, access.Update)
		}
		if err == nil {
			st.change, err = t.s.preparePatch(ctx, &st.in, current, st.match)
		}
		if err != nil {
			return inEntry(i, err)
		}
	}
	return nil
}

// referTo gives what a conditional reference refers to: the one resource that matches when the transaction is done
// (FHIR R4 http.html#trules, step 5).
func (t *transaction) referTo(ctx context.Context, c *criterion, taken map[string]int) (string, error) {
	var matches []string
	for _, v := range c.found {
		if i, ours := taken[v.Type+"/"+v.ID]; !ours || t.steps[i].entry.method == http.MethodPatch {
			matches = append(matches, v.Type+"/"+v.ID)
		}
	}
	if len(matches) < 2 {
		own, err := t.ownMatches(ctx, c)
		if err != nil {
			return "", err
		}
		matches = append(matches, own...)
	}
	switch len(matches) {
	case 1:
		return matches[0], nil
	case 0:
		return "", fault.Precondition("a conditional reference matches no %s: it must match exactly one", c.typ)
	}
	return "", fault.Precondition("a conditional reference matches more than one %s: it must match exactly one", c.typ)
}

// ownMatches finds which resources that the transaction itself brings meet the criteria. Criteria that look beyond the
// resource, chains among them, find none of these.
func (t *transaction) ownMatches(ctx context.Context, c *criterion) ([]string, error) {
	candidates := t.bringing(c.typ)
	if len(candidates) == 0 {
		return nil, nil
	}
	query, err := t.s.parse(ctx, c.typ, c.query, search.Options{Base: t.base})
	if err != nil {
		return nil, err
	}
	var matches []string
	for _, st := range candidates {
		ok, err := matchesAlone(query, t.bundle.doc, st)
		if err != nil {
			return nil, err
		}
		if ok {
			matches = append(matches, st.in.typ+"/"+st.id)
		}
	}
	return matches, nil
}

// bringing are the steps that create or replace a resource of the type.
func (t *transaction) bringing(typ string) []*step {
	var list []*step
	for i := range t.steps {
		st := &t.steps[i]
		if st.in.typ == typ && !st.existing && (st.entry.method == http.MethodPost || st.entry.method == http.MethodPut) && st.order != stepGet {
			list = append(list, st)
		}
	}
	return list
}

func matchesAlone(query *search.Query, bundle *jsontape.Doc, st *step) (bool, error) {
	var doc jsontape.Doc
	if err := doc.Parse(bundle.Raw(st.entry.node)); err != nil {
		return false, fault.Internal("re-read an entry").With(err)
	}
	for _, clause := range query.Clauses {
		switch clause.Kind {
		case search.KindID:
			if !slices.Contains(clause.IDs, st.id) {
				return false, nil
			}
		case search.KindValue:
			if !clause.Match(&doc, st.in.typ) {
				return false, nil
			}
		default:
			return false, nil
		}
	}
	return true, nil
}

// parallel calls do for 0 ≤ i < n, at most width at once, and returns when all are done. A panic of do is the caller's.
func parallel(n, width int, do func(i int)) {
	width = min(n, width)
	if width <= 1 {
		for i := range n {
			do(i)
		}
		return
	}
	var (
		next   atomic.Int64
		wg     sync.WaitGroup
		failed atomic.Pointer[any]
	)
	for range width {
		wg.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					failed.CompareAndSwap(nil, &p)
				}
			}()
			for failed.Load() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				do(i)
			}
		})
	}
	wg.Wait()
	if p := failed.Load(); p != nil {
		panic(*p)
	}
}

// joinProblems makes one error of several: the first one's code and message, the details of all.
func joinProblems(errs []error) error {
	var joined *fault.Error
	for _, err := range errs {
		if err == nil {
			continue
		}
		f, ok := fault.Of(err)
		if !ok {
			return err
		}
		if joined == nil {
			joined = f
			continue
		}
		if left := maxProblems - len(joined.Details); left > 0 {
			joined = joined.Detail(f.Details[:min(left, len(f.Details))]...)
		}
	}
	if joined == nil {
		return nil
	}
	return joined
}
