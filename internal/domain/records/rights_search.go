package records

import (
	"context"
	"slices"

	"ward/internal/backend/db"
	"ward/internal/format/fhir/search"
	"ward/internal/format/jsontape"
	"ward/internal/kernel/access"
)

// leadPatients is how many patients' charts lead a search by themselves. More are a panel.
const leadPatients = 64

// reach is what the rights demand of resources of a type: conditions like those of the query, which may lead the plan. known are those
// of the query.
func (e *engine) reach(ctx context.Context, typ string, known []condition) ([]condition, error) {
	grants := e.rights.May(typ, access.Search)
	switch {
	case len(grants) == 0:
		return []condition{{never: true, rank: rankNone}}, nil
	case len(grants) == 1 && grants[0].Whole():
		return nil, nil
	case len(grants) > 1:
		return []condition{e.anyOf(typ, grants)}, nil
	}
	g := grants[0]
	var list []condition
	if g.Among != nil && !implied(known, g.Among) {
		list = append(list, e.amongCondition(ctx, typ, g.Among))
	}
	if g.Filter == "" {
		return list, nil
	}
	clauses, ok := e.s.filter(e.registry, typ, g.Filter)
	if !ok {
		return []condition{{never: true, rank: rankNone}}, nil
	}
	for _, clause := range clauses {
		c, err := e.condition(ctx, typ, clause)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

// implied says that the query asks for the chart of a patient of the set already: all that is in it is in reach.
func implied(known []condition, among *access.Set) bool {
	return slices.ContainsFunc(known, func(c condition) bool {
		return c.oneChart() && c.exact && among.HasHash(uint64(chartKey(c.ranges[0]))) //nolint:gosec // a hash's bits
	})
}

// amongCondition holds for what stands in the compartment of a patient of the set.
func (e *engine) amongCondition(ctx context.Context, typ string, among *access.Set) condition {
	few := among.Len() <= e.s.leadPatients
	if typ == "Patient" {
		c := idCondition(among.List(), false)
		c.rank = rankOther // what the query asks for may leave fewer
		if !few {
			c = condition{rank: rankNone, cheap: func(v *Version) bool { return among.Has(v.ID) }, panel: true}
		}
		c.among = among
		return c
	}
	if params := e.s.links[typ]; few && len(params) > 0 {
		targets := make(map[string]bool, among.Len())
		for _, id := range among.List() {
			targets["Patient/"+id] = true
		}
		c := e.refCondition(ctx, typ, params, targets)
		if c.fixed = true; c.ranges != nil {
			c.rank = min(c.rank, rankPatient)
		}
		return c
	}
	if len(e.s.links[typ]) == 0 && typ != "Binary" {
		return condition{never: true, rank: rankNone}
	}
	return condition{
		rank: rankNone, among: among, panel: e.indexed(ctx, typ),
		early: func(v *Version) bool { return mentions(v.JSON, among) },
		holds: func(_ context.Context, v *Version, doc *jsontape.Doc) (bool, error) {
			return e.s.among(e.registry, among, typ, v.ID, doc, false), nil
		},
	}
}

// anyOf holds for what any of the grants allows.
func (e *engine) anyOf(typ string, grants []access.Grant) condition {
	type compiled struct {
		among   *access.Set
		clauses []*search.Clause
	}
	var list []compiled
	for _, g := range grants {
		c := compiled{among: g.Among}
		if g.Filter != "" {
			var ok bool
			if c.clauses, ok = e.s.filter(e.registry, typ, g.Filter); !ok {
				continue
			}
		}
		list = append(list, c)
	}
	return condition{rank: rankNone, never: len(list) == 0, holds: func(_ context.Context, v *Version, doc *jsontape.Doc) (bool, error) {
		return slices.ContainsFunc(list, func(c compiled) bool {
			return e.s.among(e.registry, c.among, typ, v.ID, doc, false) && !slices.ContainsFunc(c.clauses, func(clause *search.Clause) bool {
				if clause.Kind == search.KindID {
					return slices.Contains(clause.IDs, v.ID) == clause.Not
				}
				return !clause.Match(doc, typ)
			})
		}), nil
	}}
}

// cleared says whether the principal has a grant for the security labels that a resource carries.
func (e *engine) cleared(v *Version) (bool, error) {
	if !e.guarded {
		return true, nil
	}
	labels, err := access.LabelsOf(v.JSON)
	return err == nil && e.rights.Clears(labels), wrapParse(err)
}

const anyPosting = `SELECT rid FROM records_index WHERE atom = $1 LIMIT 1`

// labelled says whether any resource of the type may carry a security label: then an index alone does not tell how many are seen.
func (e *engine) labelled(ctx context.Context, typ string) (found bool, err error) {
	if typ == "Bundle" || typ == "Parameters" {
		return true, nil // the labels of what is inside are in no index
	}
	p := e.s.standard.Param(typ, "_security")
	if p == nil || e.registry.Param(typ, "_security") != p {
		return true, nil
	}
	for _, atom := range p.Atoms(typ) {
		err := e.q.Query(ctx, anyPosting, func(db.Row) error {
			found = true
			return nil
		}, int32(atom.ID)) //nolint:gosec // a hash's bits
		if err != nil || found {
			return true, err
		}
	}
	return false, nil
}
