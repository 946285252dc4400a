package search

import (
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"sync"

	"ward/internal/format/fhir/spec"
	"ward/internal/format/ucum"
)

// Registry knows the search parameters of a server or tenant. It is immutable; copies share what they have in common.
type Registry struct {
	defs  *spec.Definitions
	units *ucum.Cache
	base  string
	byURL map[string]*Param
	atoms map[atomName]*Atom
	ids   map[uint32]*Atom
	plans map[string]*plan
	open  bool // while the standard parameters are compiled: atoms are kept at once
}

// atomName is what makes an atom.
type atomName struct {
	resourceType, path string
	typ                ParamType
	flavour            Flavour
}

// plan is everything about one resource type.
type plan struct {
	params map[string]*Param
	sorted []*Param
	root   *node
	truths []*branch
	chart  chart
}

// Standard is the registry of R4's standard parameters. The first call compiles them (tens of milliseconds).
func Standard() *Registry { return standard() }

//nolint:gochecknoglobals // constant: compiled once
var standard = sync.OnceValue(func() *Registry {
	r, errs := compileAll(spec.R4())
	if len(errs) > 0 {
		panic("search: the standard parameters do not compile: " + errs[0].Error()) // a broken build; tested
	}
	return r
})

// compileAll compiles the parameters of a specification, composites last.
func compileAll(defs *spec.Definitions) (*Registry, []error) {
	r := &Registry{
		defs: defs, units: &ucum.Cache{}, byURL: map[string]*Param{}, atoms: map[atomName]*Atom{},
		ids: map[uint32]*Atom{}, plans: map[string]*plan{}, open: true,
	}
	var all []*Param
	var errs []error
	for _, composite := range []bool{false, true} {
		for _, s := range defs.SearchParameters() {
			def := FromSpec(s)
			if (def.Type == Composite) != composite {
				continue
			}
			p, err := r.compile(def)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", def.ID, err))
				continue
			}
			r.byURL[p.URL] = p
			all = append(all, p)
		}
	}
	r.extend(all)
	r.open = false
	return r, errs
}

// With is a registry that has these parameters too, compiled by r or by a registry that r was made from. A parameter with the code of
// another takes its place.
func (r *Registry) With(params ...*Param) *Registry {
	c := *r
	c.byURL, c.plans = maps.Clone(r.byURL), maps.Clone(r.plans)
	c.atoms, c.ids = maps.Clone(r.atoms), maps.Clone(r.ids)
	for _, p := range params {
		c.byURL[p.URL] = p
	}
	c.extend(params)
	return &c
}

// At is the registry of a server whose own base URL is base: absolute references below it are local.
func (r *Registry) At(base string) *Registry {
	c := *r
	c.base = strings.TrimSuffix(base, "/")
	return &c
}

// Base is the own base URL, without a slash at the end; "" when none was given.
func (r *Registry) Base() string { return r.base }

// Param is the parameter with the code on the resource type, nil when there is none. Every type has _id, _lastUpdated, _profile,
// _security, _source and _tag.
func (r *Registry) Param(resourceType, code string) *Param {
	if p := r.plans[resourceType]; p != nil {
		return p.params[code]
	}
	return nil
}

// Params are the parameters of a resource type, sorted by code. The slice must not be changed.
func (r *Registry) Params(resourceType string) []*Param {
	if p := r.plans[resourceType]; p != nil {
		return p.sorted
	}
	return nil
}

// ByURL is the parameter with the canonical URL, nil when there is none.
func (r *Registry) ByURL(url string) *Param { return r.byURL[url] }

// intern makes or finds an atom. A registry that is in use does not change, so an atom of a tenant's parameter is kept only by With.
//
// Errors: two atoms with the same number, which is as likely as one in a million for a whole set of parameters.
func (r *Registry) intern(resourceType, path string, p ParamType, f Flavour) (*Atom, error) {
	name := atomName{resourceType, path, p, f}
	if a := r.atoms[name]; a != nil {
		return a, nil
	}
	h := fnv.New32a()
	_, _ = fmt.Fprintf(h, "%s\x00%s\x00%s\x00%d", resourceType, path, p, f) // a hash never fails
	a := &Atom{ID: max(h.Sum32(), 1), ResourceType: resourceType, Type: p, Path: path, Flavour: f}
	if other := r.ids[a.ID]; other != nil {
		return nil, fmt.Errorf("%s.%s has the same number as %s.%s: write the path differently", a.ResourceType, path, other.ResourceType, other.Path)
	}
	if r.open {
		r.keep(a)
	}
	return a, nil
}

func (r *Registry) keep(a *Atom) {
	if a == nil {
		return
	}
	if name := (atomName{a.ResourceType, a.Path, a.Type, a.Flavour}); r.atoms[name] == nil {
		r.atoms[name], r.ids[a.ID] = a, a
	}
}

// extend adds parameters: to the list of atoms, and to the plans of the types that they are about.
func (r *Registry) extend(params []*Param) {
	changed := map[string][]*Param{}
	for _, p := range params {
		for t, u := range p.byType {
			changed[t] = append(changed[t], p)
			for _, b := range u.branches {
				r.keep(b.atom)
				r.keep(b.extra)
			}
		}
	}
	for t, more := range changed {
		old, next := r.plans[t], &plan{params: map[string]*Param{}}
		if old != nil {
			maps.Copy(next.params, old.params)
		}
		for _, p := range more {
			next.params[p.Code] = p
		}
		for _, code := range sortedKeys(next.params) {
			next.sorted = append(next.sorted, next.params[code])
		}
		if old != nil {
			next.chart = old.chart // what the chart answers is the same for all tenants
		} else {
			next.chart = newChart(t, next)
		}
		next.build(t)
		r.plans[t] = next
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
