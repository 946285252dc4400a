package records

import (
	"context"
	"maps"
	"slices"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/format/fhir/search"
	"ward/internal/format/jsontape"
	"ward/internal/kernel/access"
)

// conditions prepares the request's clauses, and its compartment, for one type.
func (e *engine) conditions(ctx context.Context, typ string) ([]condition, error) {
	list := make([]condition, 0, len(e.req.Clauses)+1)
	if e.req.CompartmentType != "" {
		list = append(list, e.inCompartment(ctx, typ))
	}
	for _, clause := range e.req.Clauses {
		c, err := e.condition(ctx, typ, clause)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	reach, err := e.reach(ctx, typ, list)
	return append(list, reach...), err
}

func (e *engine) condition(ctx context.Context, typ string, clause *search.Clause) (condition, error) {
	switch clause.Kind {
	case search.KindID:
		return idCondition(clause.IDs, clause.Not), nil
	case search.KindUpdated:
		return updatedCondition(clause), nil
	case search.KindList:
		ids, err := e.listed(ctx, typ, clause.IDs)
		return idCondition(ids, clause.Not), err
	case search.KindChain:
		return e.chainCondition(ctx, typ, clause)
	case search.KindHas:
		return e.hasCondition(ctx, typ, clause.Has)
	case search.KindValue:
	}
	return e.valueCondition(ctx, typ, clause), nil
}

func idCondition(ids []string, not bool) condition {
	set := make(map[string]bool, len(ids))
	for _, id := range ids {
		set[id] = true
	}
	if not {
		return condition{cheap: func(v *Version) bool { return !set[v.ID] }, rank: rankNone}
	}
	return condition{
		cheap: func(v *Version) bool { return set[v.ID] },
		ids:   ids, exact: true, rank: rankIDs, never: len(ids) == 0,
	}
}

func updatedCondition(clause *search.Clause) condition {
	c := condition{rank: rankNone, cheap: func(v *Version) bool {
		at := v.Seq >> seqTimeShift * 1000
		return slices.ContainsFunc(clause.Spans, func(s search.Span) bool { return at >= s.Low && at < s.High })
	}}
	if len(clause.Spans) == 1 {
		c.span = &clause.Spans[0]
	}
	return c
}

func (e *engine) valueCondition(ctx context.Context, typ string, clause *search.Clause) condition {
	c := condition{rank: rankNone, holds: func(_ context.Context, _ *Version, doc *jsontape.Doc) (bool, error) {
		return clause.Match(doc, typ), nil
	}}
	if p := clause.ParamFor(typ); p != nil && !e.s.parameters.ready(ctx, p) {
		return c
	}
	c.fixed = true
	c.ranges, c.exact = clause.Ranges(typ)
	if c.ranges == nil {
		return c
	}
	c.ranges = maskRanges(e.mask, c.ranges)
	c.never = len(c.ranges) == 0
	c.rank = rankOf(clause, c.ranges)
	if codes, exact, ok := clause.ChartCodes(typ); ok && len(codes) == 1 {
		c.code, c.codeExact = &codes[0], exact
	}
	return c
}

func rankOf(clause *search.Clause, ranges []search.Range) int {
	if len(ranges) <= maxPatients && !slices.ContainsFunc(ranges, func(r search.Range) bool { return !r.Chart }) {
		return rankPatient
	}
	if slices.ContainsFunc(ranges, func(r search.Range) bool { return r.Wide() }) {
		return rankNone
	}
	switch clause.Param.Type {
	case search.Token:
		if clause.Code == "identifier" {
			return rankIdentifier
		}
		return rankToken
	case search.Reference, search.URI:
		return rankReference
	case search.Date:
		if narrow(ranges) {
			return rankDay
		}
	case search.String:
		return rankString
	default:
	}
	return rankOther
}

// narrow says that date ranges have both ends: a day, a month.
func narrow(ranges []search.Range) bool {
	return !slices.ContainsFunc(ranges, func(r search.Range) bool { return r.Half() || r.Wide() })
}

// refCondition holds for resources that refer to one of targets ("Type/id") at one of the parameters.
func (e *engine) refCondition(ctx context.Context, typ string, params []*search.Param, targets map[string]bool) condition {
	c := condition{rank: rankReference, exact: true, ranges: []search.Range{}}
	c.holds = func(_ context.Context, _ *Version, doc *jsontape.Doc) (bool, error) {
		found := false
		for _, p := range params {
			e.registry.References(p, doc, typ, func(ref string) { found = found || targets[ref] })
		}
		return found, nil
	}
	if slices.ContainsFunc(params, func(p *search.Param) bool { return !e.s.parameters.ready(ctx, p) }) {
		c.rank, c.exact, c.ranges = rankNone, false, nil
		return c
	}
	known := make(map[postingKey]bool, len(targets))
	for _, p := range params {
		for _, target := range slices.Sorted(maps.Keys(targets)) {
			ranges, exact := p.RangesTo(typ, target)
			c.exact = c.exact && exact
			for _, r := range maskRanges(e.mask, ranges) {
				// Parameters share branches: patient and subject, say.
				if key := (postingKey{r.Atom, r.Chart, string(r.Lo)}); !known[key] {
					known[key], c.ranges = true, append(c.ranges, r)
				}
			}
		}
	}
	if !slices.ContainsFunc(c.ranges, func(r search.Range) bool { return !r.Chart }) {
		c.rank = rankPatient
	}
	c.never = len(c.ranges) == 0
	return c
}

// postingKey tells ranges of single keys apart.
type postingKey struct {
	atom  uint32
	chart bool
	key   string
}

// inCompartment holds for what belongs to the request's compartment (FHIR R4 compartmentdefinition.html).
func (e *engine) inCompartment(ctx context.Context, typ string) condition {
	self := e.req.CompartmentType + "/" + e.req.CompartmentID
	var params []*search.Param
	for _, code := range e.s.definitions.Compartment(e.req.CompartmentType).Params(typ) {
		if p := e.registry.Param(typ, code); p != nil {
			params = append(params, p)
		}
	}
	c := e.refCondition(ctx, typ, params, map[string]bool{self: true})
	c.fixed = true
	if c.ranges != nil {
		c.rank = min(c.rank, rankPatient)
	}
	if typ != e.req.CompartmentType || c.ranges == nil {
		return c
	}
	// The resource that names the compartment is in it, and so are those of its type that refer to it.
	refers := c.holds
	return condition{
		rank: rankIDs, ids: []string{e.req.CompartmentID}, ranges: c.ranges,
		holds: func(ctx context.Context, v *Version, doc *jsontape.Doc) (bool, error) {
			if v.ID == e.req.CompartmentID {
				return true, nil
			}
			return refers(ctx, v, doc)
		},
	}
}

const (
	maxTargets   = 1_000 // of a chain, looked up before
	maxReferring = 5_000 // of a reverse chain, looked up before
)

// chainCondition holds for resources that refer to one that meets a clause (FHIR R4 search.html#chaining). Where
// few resources meet the clause they are looked up first; else each candidate's references are followed.
func (e *engine) chainCondition(ctx context.Context, typ string, clause *search.Clause) (condition, error) {
	targets := map[string]bool{}
	for _, link := range clause.Chain {
		found, complete, err := e.find(ctx, link.Target, link.Clause, maxTargets-len(targets))
		if err != nil {
			return condition{}, err
		}
		if !complete {
			return e.followCondition(ctx, typ, clause)
		}
		for _, v := range found {
			targets[v.Type+"/"+v.ID] = true
		}
	}
	return e.refCondition(ctx, typ, []*search.Param{clause.ParamFor(typ)}, targets), nil
}

// followCondition loads what a candidate refers to and decides on that.
func (e *engine) followCondition(ctx context.Context, typ string, clause *search.Clause) (condition, error) {
	links := make(map[string]condition, len(clause.Chain))
	for _, link := range clause.Chain {
		c, err := e.condition(ctx, link.Target, link.Clause)
		if err != nil {
			return condition{}, err
		}
		links[link.Target] = c
	}
	return condition{rank: rankNone, dear: true, holds: func(ctx context.Context, _ *Version, doc *jsontape.Doc) (bool, error) {
		var refs []string
		e.registry.References(clause.ParamFor(typ), doc, typ, func(ref string) { refs = append(refs, ref) })
		for _, ref := range refs {
			kind, id, _ := cutReference(ref)
			c, ok := links[kind]
			if !ok {
				continue
			}
			target, err := e.load(ctx, kind, id)
			if err != nil {
				return false, err
			}
			if target == nil {
				continue
			}
			if ok, err := c.decide(ctx, target.version, &target.doc); ok || err != nil {
				return ok, err
			}
		}
		return false, nil
	}}, nil
}

func (c condition) decide(ctx context.Context, v *Version, doc *jsontape.Doc) (bool, error) {
	if c.cheap != nil {
		return c.cheap(v), nil
	}
	return c.holds(ctx, v, doc)
}

// load reads a resource that a chain passes through; nil when it is not there.
func (e *engine) load(ctx context.Context, typ, id string) (*loaded, error) {
	key := typ + "/" + id
	if target, ok := e.loaded[key]; ok {
		return target, nil
	}
	if err := e.budget.spend(e.budget.statement); err != nil {
		return nil, err
	}
	v, err := e.s.read(ctx, e.q, typ, id)
	var target *loaded
	switch {
	case fault.Is(err, fault.CodeNotFound):
	case err != nil:
		return nil, err
	case !v.Deleted():
		if ok, err := e.s.sees(e.registry, e.rights, v, access.Search); err != nil {
			return nil, err
		} else if !ok {
			break // as if it were not there
		}
		target = &loaded{version: v}
		if err := target.doc.Parse(v.JSON); err != nil {
			return nil, fault.Internal("a stored resource does not parse").With(err)
		}
	}
	e.loaded[key] = target
	return target, nil
}

// hasCondition holds for resources that one of another type refers to (FHIR R4 search.html#has).
func (e *engine) hasCondition(ctx context.Context, typ string, has *search.Has) (condition, error) {
	found, complete, err := e.find(ctx, has.Type, has.Clause, maxReferring)
	if err != nil {
		return condition{}, err
	}
	if complete {
		var (
			ids []string
			doc jsontape.Doc
		)
		for _, v := range found {
			if err := doc.Parse(v.JSON); err != nil {
				return condition{}, fault.Internal("a stored resource does not parse").With(err)
			}
			e.registry.References(has.Param, &doc, has.Type, func(ref string) {
				if kind, id, ok := cutReference(ref); ok && kind == typ {
					ids = append(ids, id)
				}
			})
		}
		slices.Sort(ids)
		return idCondition(slices.Compact(ids), false), nil
	}
	return condition{rank: rankNone, dear: true, holds: func(ctx context.Context, v *Version, _ *jsontape.Doc) (bool, error) {
		if err := e.budget.spend(e.budget.statement); err != nil {
			return false, err
		}
		sub := e.sub()
		meets, err := sub.condition(ctx, has.Type, has.Clause)
		if err != nil {
			return false, err
		}
		refers := sub.refCondition(ctx, has.Type, []*search.Param{has.Param}, map[string]bool{typ + "/" + v.ID: true})
		list, err := sub.first(ctx, has.Type, []condition{refers, meets}, 1)
		return len(list) > 0, err
	}}, nil
}

// sub is an engine for a search inside this one. It spends from the same budget.
func (e *engine) sub() *engine {
	return &engine{
		s: e.s, q: e.q, req: Request{Query: &search.Query{}}, registry: e.registry, budget: e.budget, loaded: e.loaded, from: cursor{lead: -1},
		rights: e.rights, guarded: e.guarded, mask: e.mask,
	}
}

// find returns the resources of a type that meet a clause, if they are no more than most.
func (e *engine) find(ctx context.Context, typ string, clause *search.Clause, most int) (found []candidate, complete bool, err error) {
	sub := e.sub()
	c, err := sub.condition(ctx, typ, clause)
	if err != nil {
		return nil, false, err
	}
	if c.rank == rankNone && !c.never && !e.small(ctx, typ) {
		return nil, false, nil
	}
	found, err = sub.first(ctx, typ, []condition{c}, most+1)
	return found, len(found) <= most, err
}

// small says that a type has so few resources that reading all of them is no matter.
func (e *engine) small(ctx context.Context, typ string) bool {
	const few = 2_000
	n, err := e.countRows(countSmall, e.s.number(typ), few)(ctx)
	return err == nil && n < few
}

// first returns up to n resources of a type that meet all conditions and are in reach.
func (e *engine) first(ctx context.Context, typ string, conditions []condition, n int) ([]candidate, error) {
	reach, err := e.reach(ctx, typ, conditions)
	if err != nil {
		return nil, err
	}
	conditions = append(conditions, reach...)
	if slices.ContainsFunc(conditions, func(c condition) bool { return c.never }) {
		return nil, nil
	}
	p, err := e.access(ctx, typ, conditions, cursor{lead: -1})
	if err != nil {
		return nil, err
	}
	found, _, err := e.take(ctx, p, n, nil)
	return found, err
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

// listed gives the ids of the resources of a type that stand on any of the lists (FHIR R4 search.html#list).
func (e *engine) listed(ctx context.Context, typ string, lists []string) ([]string, error) {
	var ids []string
	for _, list := range lists {
		l, err := e.load(ctx, "List", list)
		if err != nil {
			return nil, err
		}
		if l == nil {
			continue
		}
		entries := l.doc.Get(l.doc.Root(), "entry")
		for n := l.doc.First(entries); n >= 0; n = l.doc.Next(n) {
			kind, id, ok := cutReference(l.doc.Text(l.doc.Get(l.doc.Get(n, "item"), "reference")))
			if ok && kind == typ {
				ids = append(ids, id)
			}
		}
	}
	return ids, nil
}
