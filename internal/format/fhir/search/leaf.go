package search

import (
	"fmt"
	"slices"
	"strings"

	"ward/internal/format/fhir/spec"
	"ward/internal/format/jsontape"
)

// datatype is how the value at the end of a path is read.
type datatype uint8

const (
	noDatatype datatype = iota
	dtCode
	dtMime // a code that is a media type
	dtBoolean
	dtText // string, markdown, id, numbers as tokens: the value itself
	dtURI
	dtCanonical
	dtCoding
	dtCodeableConcept
	dtIdentifier
	dtContactPoint
	dtHumanName
	dtAddress
	dtReference
	dtResource // a resource inside another
	dtDateTime // date, dateTime
	dtInstant
	dtPeriod
	dtTiming
	dtNumber
	dtRange
	dtQuantity
	dtMoney
	dtSampledData
)

// readAs says how a parameter of type p reads a value of FHIR type t; noDatatype when it can't.
func readAs(p ParamType, t string) datatype {
	switch p {
	case Token:
		switch t {
		case "code":
			return dtCode
		case "boolean":
			return dtBoolean
		case "string", "markdown", "id", "integer", "positiveInt", "unsignedInt", "decimal", "date", "dateTime", "instant", "time":
			return dtText
		case "uri", "url", "oid", "uuid":
			return dtURI
		case "canonical":
			return dtCanonical
		case "Coding":
			return dtCoding
		case "CodeableConcept":
			return dtCodeableConcept
		case "Identifier":
			return dtIdentifier
		case "ContactPoint":
			return dtContactPoint
		}
	case String:
		switch t {
		case "string", "markdown", "code", "id", "uri", "url", "canonical", "oid", "uuid":
			return dtText
		case "HumanName":
			return dtHumanName
		case "Address":
			return dtAddress
		}
	case Reference:
		switch t {
		case "Reference":
			return dtReference
		case "canonical":
			return dtCanonical
		case "uri", "url", "oid", "uuid":
			return dtURI
		case "Resource":
			return dtResource
		}
	case Date:
		switch t {
		case "date", "dateTime":
			return dtDateTime
		case "instant":
			return dtInstant
		case "Period":
			return dtPeriod
		case "Timing":
			return dtTiming
		}
	case Number:
		switch t {
		case "integer", "positiveInt", "unsignedInt", "decimal":
			return dtNumber
		case "Range":
			return dtRange
		}
	case Quantity:
		switch t {
		case "Quantity", "Age", "Duration", "Count", "Distance", "MoneyQuantity", "SimpleQuantity":
			return dtQuantity
		case "Money":
			return dtMoney
		case "Range":
			return dtRange
		case "SampledData":
			return dtSampledData
		}
	case URI:
		switch t {
		case "uri", "url", "oid", "uuid":
			return dtURI
		case "canonical":
			return dtCanonical
		}
	case NoType, Composite, Special:
	}
	return noDatatype
}

// step goes from an object to a member, or to each element of a member that repeats.
type step struct {
	key   string
	index int    // only this element; -1: all
	url   string // only extensions with this URL
	conds []cond
}

// cond is where(key = 'value').
type cond struct{ key, value string }

// leaf is a path through JSON to values of one datatype.
type leaf struct {
	steps   []step
	dt      datatype
	codes   *spec.CodeSet // of a code: the required codes
	targets []string      // of a reference: what the element allows; nil: any
	wordy   bool          // a text in which every word counts as a beginning (family names)
}

// scope is where a path has got to while it is being compiled.
type scope struct {
	steps   []step
	typ     *spec.Type
	field   *spec.Field // nil at the root
	resolve string      // where(resolve() is this type)
}

// follow applies ops to the scopes, which share one expression.
func follow(defs *spec.Definitions, from []scope, ops []op) ([]scope, error) {
	here := from
	for _, o := range ops {
		var next []scope
		var err error
		switch o.kind {
		case opMember:
			next = members(here, o.name)
			if len(next) == 0 {
				return nil, fmt.Errorf("%s has no element %q", describe(here), o.name)
			}
		case opExtension:
			next = members(here, "extension")
			if len(next) == 0 {
				return nil, fmt.Errorf("%s has no extensions", describe(here))
			}
			for i := range next {
				next[i].steps[len(next[i].steps)-1].url = o.name
			}
		case opAs:
			if next, err = narrow(defs, here, o.name); err != nil {
				return nil, err
			}
		case opWhere:
			if next, err = conditioned(here, o); err != nil {
				return nil, err
			}
		case opResolve:
			if !defs.IsResource(o.name) {
				return nil, fmt.Errorf("%q is no resource type", o.name)
			}
			next = slices.Clone(here)
			for i := range next {
				next[i].resolve = o.name
			}
		case opIndex:
			next = slices.Clone(here)
			for i := range next {
				if len(next[i].steps) == 0 {
					return nil, fmt.Errorf("%s does not repeat", describe(here))
				}
				next[i].steps = slices.Clone(next[i].steps)
				next[i].steps[len(next[i].steps)-1].index = o.index
			}
		}
		if here = next; len(here) > maxBranches {
			return nil, fmt.Errorf("it has more than %d branches", maxBranches)
		}
	}
	return here, nil
}

// members goes to the element of that name: one scope for each type of a choice.
func members(from []scope, name string) []scope {
	var next []scope
	for _, s := range from {
		for i := range s.typ.Fields {
			f := &s.typ.Fields[i]
			if f.Element.Name == name || f.Name == name {
				steps := append(slices.Clip(s.steps), step{key: f.Name, index: -1})
				next = append(next, scope{steps: steps, typ: f.Type, field: f, resolve: s.resolve})
			}
		}
	}
	return next
}

// narrow keeps the scopes of one type. The definitions write some types with a capital (DateTime).
func narrow(defs *spec.Definitions, from []scope, name string) ([]scope, error) {
	var next []scope
	for _, s := range from {
		if strings.EqualFold(s.typ.Name, name) {
			next = append(next, s)
		}
	}
	if len(next) == 0 {
		if defs.Type(name) == nil && defs.Type(strings.ToLower(name[:1])+name[1:]) == nil {
			return nil, fmt.Errorf("%q is no type", name)
		}
		return nil, fmt.Errorf("%s can't be a %s", describe(from), name)
	}
	return next, nil
}

func conditioned(from []scope, o op) ([]scope, error) {
	next := slices.Clone(from)
	for i := range next {
		s := &next[i]
		if len(s.steps) == 0 || s.typ.Field([]byte(o.name)) == nil {
			return nil, fmt.Errorf("%s has no element %q to compare", describe(from), o.name)
		}
		s.steps = slices.Clone(s.steps)
		last := &s.steps[len(s.steps)-1]
		if s.typ.Name == "Extension" && o.name == "url" {
			last.url = o.value
			continue
		}
		last.conds = append(slices.Clone(last.conds), cond{o.name, o.value})
	}
	return next, nil
}

func describe(scopes []scope) string {
	if len(scopes) == 0 {
		return "nothing"
	}
	if f := scopes[0].field; f != nil {
		return f.Element.Path
	}
	return scopes[0].typ.Name
}

// leaves are the ends of a path that a parameter of type p can read. Extensions are read through to their value.
func leaves(p ParamType, scopes []scope) []leaf {
	var all []leaf
	for _, s := range scopes {
		if s.typ.Name == "Extension" {
			all = append(all, leaves(p, members([]scope{s}, "value"))...)
			continue
		}
		dt := readAs(p, s.typ.Name)
		if dt == noDatatype || s.field == nil {
			continue
		}
		l := leaf{steps: s.steps, dt: dt}
		if e := s.field.Element; e != nil {
			l.wordy = e.Path == "HumanName.family"
			if dt == dtCode && e.Path == "Attachment.contentType" {
				l.dt = dtMime
			}
			if e.Binding != nil {
				l.codes = e.Binding.Codes
			}
		}
		if s.field.Ref != nil {
			l.targets = s.field.Ref.Targets
		}
		all = append(all, l)
	}
	return all
}

// each calls visit for every value at the leaf below root until one returns true, which each then returns.
func (l *leaf) each(doc *jsontape.Doc, root jsontape.Node, visit func(jsontape.Node) bool) bool {
	return eachStep(doc, root, l.steps, visit)
}

func eachStep(doc *jsontape.Doc, n jsontape.Node, steps []step, visit func(jsontape.Node) bool) bool {
	if len(steps) == 0 {
		return visit(n)
	}
	s := &steps[0]
	child := doc.Get(n, s.key)
	switch doc.Kind(child) {
	case jsontape.None, jsontape.Null:
		return false
	case jsontape.Array:
		i := 0
		for e := doc.First(child); e >= 0; e = doc.Next(e) {
			if (s.index < 0 || s.index == i) && s.admits(doc, e) && eachStep(doc, e, steps[1:], visit) {
				return true
			}
			i++
		}
		return false
	default:
		return s.index <= 0 && s.admits(doc, child) && eachStep(doc, child, steps[1:], visit)
	}
}

// admits says whether the step's conditions hold for a value.
func (s *step) admits(doc *jsontape.Doc, n jsontape.Node) bool {
	if doc.Kind(n) == jsontape.Null {
		return false
	}
	if s.url != "" && string(doc.Bytes(doc.Get(n, "url"))) != s.url {
		return false
	}
	for i := range s.conds {
		if string(doc.Bytes(doc.Get(n, s.conds[i].key))) != s.conds[i].value {
			return false
		}
	}
	return true
}
