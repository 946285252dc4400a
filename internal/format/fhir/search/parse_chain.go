package search

import (
	"slices"
	"strings"
)

// chainKey and chained remember what became of the rest of a chain on a type, so that a chain with many ways costs what its
// places cost, not what its ways do.
type chainKey struct {
	typ, rest, value string
}

type chained struct {
	clause *Clause
	err    *problem
}

// chain reads what follows the "." of a reference parameter (search.html#chaining).
func (p *parser) chain(c *Clause, types []string, modifier, rest, value string, depth int) *problem {
	c.Kind = KindChain
	if c.Param.Type != Reference {
		return invalid("only reference parameters can be chained; %s is a %s parameter", c.Code, c.Param.Type)
	}
	if depth+1 > maxDepth {
		return tooCostly("it is chained more than %d deep; search in steps", maxDepth)
	}
	targets, err := p.targets(c, types, modifier)
	if err != nil {
		return err
	}
	var unknown *problem
	for _, t := range targets {
		next, err := p.link(t, rest, value, depth+1)
		switch {
		case err == nil:
			c.Chain = append(c.Chain, Link{Target: t, Clause: next})
		case err.unknown:
			if unknown == nil {
				unknown = err
			}
		default:
			return err
		}
	}
	if len(c.Chain) == 0 {
		return unknown
	}
	return nil
}

// targets are the types that the parameter can refer to, only one when there is a modifier.
func (p *parser) targets(c *Clause, types []string, modifier string) ([]string, *problem) {
	var all []string
	if len(types) == 0 {
		types = p.registry.defs.ResourceTypes()
	}
	for _, t := range types {
		all = append(all, c.ParamFor(t).Targets(t)...)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	if modifier == "" {
		return all, nil
	}
	if !slices.Contains(all, modifier) {
		if p.registry.defs.IsResource(modifier) {
			return nil, invalid("%s can't refer to a %s; it refers to %s", c.Code, modifier, strings.Join(all, ", "))
		}
		return nil, wrongModifier(modifier, c.Code, "chained reference", all)
	}
	return []string{modifier}, nil
}

func (p *parser) link(typ, rest, value string, depth int) (*Clause, *problem) {
	key := chainKey{typ, rest, value}
	if done, ok := p.chains[key]; ok {
		return done.clause, done.err
	}
	if p.links++; p.links > maxLinks {
		return nil, tooCostly("its chains can go more than %d ways; name the types, as in subject:Patient.name", maxLinks)
	}
	c, err := p.clause([]string{typ}, rest, value, depth)
	p.chains[key] = chained{c, err}
	return c, err
}

// has reads "_has:Type:parameter:rest" (search.html#has).
func (p *parser) has(types []string, name, value string, depth int) (*Clause, *problem) {
	parts := strings.SplitN(name, ":", 4)
	if len(parts) < 4 || parts[3] == "" {
		return nil, invalid("_has is written _has:Type:reference:parameter, as in _has:Observation:patient:code")
	}
	if depth+1 > maxDepth {
		return nil, tooCostly("it is chained more than %d deep; search in steps", maxDepth)
	}
	typ, code, rest := parts[1], parts[2], parts[3]
	if !p.registry.defs.IsResource(typ) {
		return nil, invalid("%q is no resource type of FHIR R4", printable(typ))
	}
	param, err := p.param([]string{typ}, code)
	if err != nil {
		return nil, err
	}
	if param.Type != Reference {
		return nil, invalid("_has needs a reference parameter; %s of %s is a %s parameter", code, typ, param.Type)
	}
	if targets := param.Targets(typ); len(types) > 0 && !slices.ContainsFunc(types, func(t string) bool { return slices.Contains(targets, t) }) {
		return nil, invalid("%s of %s never refers to a %s; it refers to %s", code, typ, strings.Join(types, " or "), strings.Join(targets, ", "))
	}
	next, err := p.link(typ, rest, value, depth+1)
	if err != nil {
		return nil, err
	}
	return &Clause{Kind: KindHas, Code: "_has", Has: &Has{Type: typ, Param: param, Clause: next}, registry: p.registry}, nil
}
