package search

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"ward/internal/base/fault"
	"ward/internal/format/fhir/spec"
	"ward/internal/format/jsontape"
)

// branch is one path of a parameter on one resource type.
type branch struct {
	atom     *Atom // nil for what is not indexed
	extra    *Atom // of an Identifier: OfType; of a Reference: Identifier
	leaves   []leaf
	resolve  string // only references to resources of this type
	filtered bool   // the atom also has values that the branch's where(...) leaves out
	truth    bool   // the value is whether there is one that is not false
}

// admits says whether where(resolve() is ...) lets a reference through.
func (b *branch) admits(t target) bool { return b.resolve == "" || b.resolve == t.typ }

// group is the instances of a composite: each element that the steps lead to.
type group struct {
	steps []step
	parts []part
}

// part is one component of a composite.
type part struct {
	typ      ParamType
	root     bool // the branches start at the resource, not at the element
	branches []*branch
}

// FromSpec is the definition of a standard parameter.
func FromSpec(p spec.SearchParameter) Definition {
	d := Definition{
		URL: p.URL, Code: p.Code, Type: ParseParamType(p.Type), Base: p.Base, Expression: p.Expression, Target: p.Target,
	}
	d.ID = d.URL[strings.LastIndexByte(d.URL, '/')+1:]
	for _, c := range p.Components {
		d.Components = append(d.Components, ComponentDefinition(c))
	}
	if d.ID == "DocumentReference-relationship" { // R4 gives each component the other's definition
		c := d.Components
		c[0].Definition, c[1].Definition = c[1].Definition, c[0].Definition
	}
	return d
}

// ParseDefinition reads a SearchParameter resource that is valid R4.
//
// Errors: Unprocessable when the parameter's type is none of R4's.
func ParseDefinition(doc *jsontape.Doc) (Definition, error) {
	root := doc.Root()
	text := func(key string) string { return doc.Text(doc.Get(root, key)) }
	list := func(key string) (all []string) {
		for n := doc.First(doc.Get(root, key)); n >= 0; n = doc.Next(n) {
			all = append(all, doc.Text(n))
		}
		return all
	}
	d := Definition{
		ID: text("id"), URL: text("url"), Code: text("code"), Type: ParseParamType(text("type")), Base: list("base"),
		Expression: text("expression"), Target: list("target"),
	}
	for n := doc.First(doc.Get(root, "component")); n >= 0; n = doc.Next(n) {
		d.Components = append(d.Components, ComponentDefinition{
			Definition: doc.Text(doc.Get(n, "definition")), Expression: doc.Text(doc.Get(n, "expression")),
		})
	}
	if d.Type == NoType {
		return d, fault.Unprocessable("a search parameter's type is one of number, date, string, token, reference, composite, quantity, uri and special").
			Detail(fault.Detail{Severity: "error", Kind: "value", Expression: "SearchParameter.type", Message: "unknown type"})
	}
	return d, nil
}

// Compile makes a parameter of its definition. Definitions with an expression that Ward does not support, or with none, are errors;
// so is a code that a resource type has already, unless the URL is the same.
//
// Errors: Unprocessable, with a detail that names the element of the SearchParameter.
func (r *Registry) Compile(def Definition) (*Param, error) {
	p, err := r.compile(def)
	if err != nil {
		element := "SearchParameter.expression"
		if at, ok := errors.AsType[*definitionError](err); ok {
			element = at.element
		}
		return nil, fault.Unprocessable("the search parameter can't be used: %s", err.Error()).
			Detail(fault.Detail{Severity: "error", Kind: "value", Expression: element, Message: err.Error()})
	}
	if p.Unsupported != "" {
		return nil, fault.Unprocessable("the search parameter can't be used: %s", p.Unsupported)
	}
	for _, t := range sortedKeys(p.byType) {
		if old := r.Param(t, p.Code); old != nil && old.URL != p.URL {
			return nil, fault.Unprocessable("%s already has a search parameter with the code %q: choose another code", t, p.Code).
				Detail(fault.Detail{Severity: "error", Kind: "duplicate", Expression: "SearchParameter.code", Message: "the code is taken"})
		}
	}
	return p, nil
}

// definitionError is a fault in one element of a SearchParameter.
type definitionError struct{ element, message string }

func (e *definitionError) Error() string { return e.message }

func wrong(element, format string, args ...any) error {
	return &definitionError{"SearchParameter." + element, fmt.Sprintf(format, args...)}
}

func (r *Registry) compile(def Definition) (*Param, error) {
	p := &Param{
		ID: def.ID, URL: def.URL, Code: def.Code, Type: def.Type, Base: def.Base, Expression: def.Expression, Target: def.Target,
		byType: map[string]*typed{},
	}
	if !validCode(p.Code) {
		return nil, wrong("code", "a code has 1 to 64 letters, digits, '-' and '_', and starts with a letter or '_'")
	}
	types, err := r.resourceTypes(def.Base)
	if err != nil {
		return nil, err
	}
	if p.Unsupported = unsupported(&def); p.Unsupported != "" {
		for _, t := range types {
			p.byType[t] = &typed{}
		}
		return p, nil
	}
	if def.Expression == "" {
		return nil, wrong("expression", "it has no expression, so nothing says where its values are")
	}
	paths, err := parseExpression(def.Expression)
	if err != nil {
		return nil, err
	}
	if p.Type == Composite {
		return p, r.compileComposite(p, &def, types, paths)
	}
	for _, t := range types {
		b, err := r.compileType(p.Type, t, paths)
		if err != nil {
			return nil, err
		}
		if len(b.branches) > 0 {
			b.targets = targets(r.defs, p, b.branches)
			nested(p, b.branches)
			p.byType[t] = b
		}
	}
	if len(p.byType) == 0 {
		return nil, wrong("expression", "its expression says nothing about %s", strings.Join(def.Base, ", "))
	}
	return p, nil
}

func validCode(code string) bool {
	for i := range len(code) {
		c := code[i]
		if !letter(c) && (i == 0 || !digit(c) && c != '-') {
			return false
		}
	}
	return code != "" && len(code) <= 64
}

// unsupported is why a standard parameter can't be used, "" when it can.
func unsupported(def *Definition) string {
	switch {
	case def.Code == "near" && def.Type == Special:
		return "searching locations by distance (near) is not supported; search by address, or read the positions and compare them"
	case def.Type == Special:
		return fmt.Sprintf("the special parameter %s is not supported", def.Code)
	case def.Expression != "" || def.Type == Composite:
		return ""
	case def.Code == "_text":
		return "searching the narrative (_text) is not supported; search the elements that the narrative was made from"
	case def.Code == "_content":
		return "searching the whole content (_content) is not supported; search the elements themselves"
	case def.Code == "_query":
		return "named queries (_query) are not supported; this server defines none"
	}
	return ""
}

// resourceTypes are the concrete types that a parameter applies to.
func (r *Registry) resourceTypes(base []string) ([]string, error) {
	var all []string
	for _, b := range base {
		switch {
		case r.defs.IsResource(b):
			all = append(all, b)
		case b == "Resource" || b == "DomainResource":
			for _, t := range r.defs.ResourceTypes() {
				if derives(r.defs, t, b) {
					all = append(all, t)
				}
			}
		default:
			return nil, wrong("base", "%q is no resource type", b)
		}
	}
	if len(all) == 0 {
		return nil, wrong("base", "it names no resource type")
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

func derives(defs *spec.Definitions, name, base string) bool {
	for t := defs.Type(name); t != nil; t = defs.Type(t.Base) {
		if t.Name == base {
			return true
		}
	}
	return false
}

// compileType compiles the paths that are about one resource type.
func (r *Registry) compileType(p ParamType, resourceType string, paths []path) (*typed, error) {
	t := &typed{}
	for _, one := range paths {
		ops, applies := r.rooted(one.ops, resourceType)
		if !applies {
			continue
		}
		root := []scope{{typ: r.defs.Type(resourceType)}}
		scopes, err := follow(r.defs, root, ops[1:])
		if err != nil {
			return nil, err
		}
		b, err := r.newBranch(p, resourceType, ops, scopes, one.truth)
		if err != nil {
			return nil, err
		}
		t.branches = append(t.branches, b)
		if b.atom != nil && !slices.ContainsFunc(t.atoms, func(a *Atom) bool { return a.ID == b.atom.ID }) {
			t.atoms = append(t.atoms, b.atom)
		}
	}
	return t, nil
}

// rooted says whether a path starts at the resource type; one that starts with an element starts at every type.
func (r *Registry) rooted(ops []op, resourceType string) ([]op, bool) {
	switch first := ops[0].name; {
	case first == resourceType:
		return ops, true
	case first == "Resource" || first == "DomainResource":
		return ops, derives(r.defs, resourceType, first)
	case r.defs.Type(first) == nil && first[0] >= 'a' && first[0] <= 'z':
		return append([]op{{kind: opMember, name: resourceType}}, ops...), true
	default:
		return nil, false
	}
}

func (r *Registry) newBranch(p ParamType, resourceType string, ops []op, scopes []scope, truth bool) (*branch, error) {
	b := &branch{truth: truth}
	if truth {
		if p != Token {
			return nil, fmt.Errorf("only a token parameter can ask whether %s exists", describe(scopes))
		}
		for _, s := range scopes {
			b.leaves = append(b.leaves, leaf{steps: s.steps, dt: dtBoolean})
		}
	} else if b.leaves = leaves(p, scopes); len(b.leaves) == 0 {
		return nil, fmt.Errorf("%s can't be searched as a %s", describe(scopes), p)
	}
	b.resolve = scopes[0].resolve
	for i := range b.leaves {
		for k := range b.leaves[i].steps {
			b.filtered = b.filtered || len(b.leaves[i].steps[k].conds) > 0
		}
	}
	name := canonicalPath(ops)
	if name == "id" || name == "meta.lastUpdated" { // the store's own columns
		return b, nil
	}
	var err error
	if b.atom, err = r.intern(resourceType, name, p, Plain); err != nil {
		return nil, err
	}
	for i := range b.leaves {
		switch b.leaves[i].dt { //nolint:exhaustive // only these have a second atom
		case dtIdentifier:
			b.extra, err = r.intern(resourceType, name, p, OfType)
		case dtReference:
			b.extra, err = r.intern(resourceType, name, p, Identifier)
		}
	}
	return b, err
}

// nested makes a parameter that reads a resource inside another (Bundle.entry[0].resource) read only those of its target.
func nested(p *Param, branches []*branch) {
	for _, b := range branches {
		if p.Type == Reference && b.leaves[0].dt == dtResource && len(p.Target) == 1 {
			b.resolve = p.Target[0]
		}
	}
}

// targets are the types that a reference parameter can name, sorted.
func targets(defs *spec.Definitions, p *Param, branches []*branch) []string {
	if p.Type != Reference {
		return nil
	}
	var all []string
	for _, b := range branches {
		for i := range b.leaves {
			l := &b.leaves[i]
			switch {
			case b.resolve != "":
				all = append(all, b.resolve)
			case len(l.targets) > 0:
				for _, t := range l.targets {
					if defs.IsResource(t) && (len(p.Target) == 0 || slices.Contains(p.Target, t)) {
						all = append(all, t)
					}
				}
			case len(p.Target) > 0:
				all = append(all, p.Target...)
			default:
				all = append(all, defs.ResourceTypes()...)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (r *Registry) compileComposite(p *Param, def *Definition, types []string, paths []path) error {
	if len(def.Components) < 2 {
		return wrong("component", "a composite has at least two components")
	}
	for _, t := range types {
		u := &typed{}
		for _, one := range paths {
			ops, applies := r.rooted(one.ops, t)
			if !applies {
				continue
			}
			scopes, err := follow(r.defs, []scope{{typ: r.defs.Type(t)}}, ops[1:])
			if err != nil {
				return err
			}
			for _, s := range scopes {
				g, err := r.compileGroup(def, t, ops, s)
				if err != nil {
					return err
				}
				u.groups = append(u.groups, *g)
			}
		}
		if len(u.groups) > 0 {
			p.byType[t] = u
		}
	}
	if len(p.byType) == 0 {
		return wrong("expression", "its expression says nothing about %s", strings.Join(def.Base, ", "))
	}
	return nil
}

func (r *Registry) compileGroup(def *Definition, resourceType string, base []op, at scope) (*group, error) {
	g := &group{steps: at.steps}
	for _, c := range def.Components {
		sub := r.byURL[c.Definition]
		if sub == nil {
			return nil, wrong("component.definition", "the component %q is no search parameter that this server has", c.Definition)
		}
		if sub.Type == Composite || sub.Type == Special {
			return nil, wrong("component.definition", "a component can't be a %s parameter", sub.Type)
		}
		paths, err := parseExpression(c.Expression)
		if err != nil {
			return nil, err
		}
		q := part{typ: sub.Type}
		for _, one := range paths {
			start, ops := scope{typ: at.typ}, append(slices.Clone(base), one.ops...)
			rel := one.ops
			if one.ops[0].name == "%resource" {
				q.root = true
				start.typ, rel = r.defs.Type(resourceType), one.ops[1:]
				ops = append([]op{base[0]}, rel...)
			}
			scopes, err := follow(r.defs, []scope{start}, rel)
			if err != nil {
				return nil, err
			}
			b := &branch{leaves: leaves(sub.Type, scopes)}
			if len(b.leaves) == 0 {
				return nil, fmt.Errorf("%s can't be searched as a %s", describe(scopes), sub.Type)
			}
			b.atom = r.atoms[atomName{resourceType, canonicalPath(ops), sub.Type, Plain}]
			q.branches = append(q.branches, b)
		}
		g.parts = append(g.parts, q)
	}
	return g, nil
}
