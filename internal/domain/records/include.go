package records

import (
	"context"
	"slices"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/format/fhir/search"
	"ward/internal/format/jsontape"
	"ward/internal/kernel/access"
)

// maxIncludes bounds what one page carries beside its matches.
const maxIncludes = 5_000

// includer gathers what the matches of a page refer to, and what refers to them (FHIR R4 search.html#include).
type includer struct {
	e     *engine
	seen  map[string]bool
	found []*Version
}

func (e *engine) includes(ctx context.Context, matches []*Version) ([]*Version, error) {
	if len(e.req.Include) == 0 && len(e.req.RevInclude) == 0 || len(matches) == 0 {
		return nil, nil
	}
	in := &includer{e: e, seen: make(map[string]bool, 2*len(matches))}
	for _, v := range matches {
		in.seen[v.Type+"/"+v.ID] = true
	}
	for round, fresh := 0, matches; len(fresh) > 0; round++ {
		before := len(in.found)
		for _, include := range e.req.Include {
			if round == 0 || include.Iterate {
				if err := in.forward(ctx, include, fresh); err != nil {
					return nil, err
				}
			}
		}
		for _, include := range e.req.RevInclude {
			if round == 0 || include.Iterate {
				if err := in.backward(ctx, include, fresh); err != nil {
					return nil, err
				}
			}
		}
		fresh = in.found[before:]
	}
	return in.found, nil
}

func (in *includer) add(v *Version) error {
	ok, err := in.e.s.sees(in.e.registry, in.e.rights, v, access.Search)
	if err != nil || !ok {
		return err
	}
	if key := v.Type + "/" + v.ID; !in.seen[key] {
		if len(in.found) >= maxIncludes {
			return fault.New(fault.CodeTooCostly, "this page would include more than %d resources: ask for a smaller _count or fewer includes", maxIncludes)
		}
		in.seen[key] = true
		in.found = append(in.found, v)
	}
	return nil
}

// params are the reference parameters that an include means on a type.
func (in *includer) params(include search.Include, typ string) []*search.Param {
	if include.SourceType != "" && include.SourceType != typ {
		return nil
	}
	if include.Code != "*" {
		if p := in.e.registry.Param(typ, include.Code); p != nil {
			return []*search.Param{p}
		}
		return nil
	}
	return slices.DeleteFunc(slices.Clone(in.e.registry.Params(typ)), func(p *search.Param) bool { return p.Type != search.Reference })
}

// forward reads what the resources refer to.
func (in *includer) forward(ctx context.Context, include search.Include, from []*Version) error {
	var (
		types []int32
		ids   [][]byte
		names []string
		doc   jsontape.Doc
		asked = map[string]bool{}
	)
	for _, v := range from {
		params := in.params(include, v.Type)
		if len(params) == 0 {
			continue
		}
		if err := doc.Parse(v.JSON); err != nil {
			return fault.Internal("a stored resource does not parse").With(err)
		}
		for _, p := range params {
			in.e.registry.References(p, &doc, v.Type, func(ref string) {
				kind, id, ok := cutReference(ref)
				number := in.e.s.definitions.TypeNumber(kind)
				if !ok || number == 0 || include.Target != "" && include.Target != kind || in.seen[ref] || asked[ref] {
					return
				}
				asked[ref] = true
				types, ids, names = append(types, int32(number)), append(ids, encodeID(id)), append(names, kind)
			})
		}
	}
	if len(ids) == 0 {
		return nil
	}
	return in.e.q.Lookup(ctx, db.Lookup{
		Table: "records_resource", Want: []string{"rid", "version", "seq", "op", "body"},
		Keys: []db.Column{db.Col("type", types), db.Col("id", ids)},
	}, func(i int, r db.Row) error {
		v, err := in.e.s.scanVersion(ctx, r, names[i], decodeID(ids[i]))
		if err != nil || v.Deleted() {
			return err
		}
		return in.add(v)
	})
}

// backward reads what refers to the resources.
func (in *includer) backward(ctx context.Context, include search.Include, to []*Version) error {
	targets := map[string]bool{}
	for _, v := range to {
		if include.Target == "" || include.Target == v.Type {
			targets[v.Type+"/"+v.ID] = true
		}
	}
	types := []string{include.SourceType}
	if include.SourceType == "" {
		types = in.e.s.definitions.ResourceTypes()
	}
	for _, typ := range types {
		params := in.params(include, typ)
		if len(params) == 0 || len(targets) == 0 {
			continue
		}
		sub := in.e.sub()
		found, err := sub.first(ctx, typ, []condition{sub.refCondition(ctx, typ, params, targets)}, maxIncludes+1)
		if err != nil {
			return err
		}
		for _, c := range found {
			if err := in.add(c.Version); err != nil {
				return err
			}
		}
	}
	return nil
}
