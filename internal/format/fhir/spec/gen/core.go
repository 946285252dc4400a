package main

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const (
	definitionBase = "http://hl7.org/fhir/StructureDefinition/"
	fhirPathSystem = "http://hl7.org/fhirpath/System."
	fhirTypeURL    = "http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type"
)

type core struct {
	types        []structure
	parameters   []parameter
	compartments []compartment
	operations   []operation
	terms        *terms
}

func readCore(in string, t *terms) (*core, error) {
	c := &core{terms: t}
	err := read(in, "StructureDefinition", func(s structure, _ []byte) {
		if s.Derivation != "constraint" && s.Kind != "logical" {
			c.types = append(c.types, s)
		}
	})
	if err != nil {
		return nil, err
	}
	resources := map[string]bool{}
	for _, s := range c.types {
		if s.Kind == "resource" {
			resources[s.Name] = true
		}
	}
	err = read(in, "SearchParameter", func(p parameter, raw []byte) {
		if standard(p.URL, resources) {
			p.raw = raw
			c.parameters = append(c.parameters, p)
		}
	})
	if err != nil {
		return nil, err
	}
	err = read(in, "CompartmentDefinition", func(d compartment, _ []byte) {
		if !strings.HasSuffix(d.URL, "/example") {
			c.compartments = append(c.compartments, d)
		}
	})
	if err != nil {
		return nil, err
	}
	if err = read(in, "OperationDefinition", func(o operation, _ []byte) { c.operations = append(c.operations, o) }); err != nil {
		return nil, err
	}
	slices.SortFunc(c.types, func(a, b structure) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(c.parameters, func(a, b parameter) int { return cmp.Compare(a.URL, b.URL) })
	slices.SortFunc(c.compartments, func(a, b compartment) int { return cmp.Compare(a.Code, b.Code) })
	slices.SortFunc(c.operations, func(a, b operation) int { return cmp.Compare(a.URL, b.URL) })
	return c, nil
}

var parameterURL = regexp.MustCompile(`^http://hl7\.org/fhir/SearchParameter/([A-Za-z]+)-`)

// standard tells the specification's parameters from the examples and extensions that are published beside them: the
// standard ones are named after a resource type, or after the group of types that share them.
func standard(url string, resources map[string]bool) bool {
	m := parameterURL.FindStringSubmatch(url)
	if m == nil {
		return false
	}
	return resources[m[1]] || slices.Contains([]string{"clinical", "conformance", "individual", "medications"}, m[1])
}

type typeRef struct {
	code    string
	simple  bool
	targets []string
}

func (r typeRef) key() string {
	return r.code + " " + strconv.FormatBool(r.simple) + " " + strings.Join(r.targets, ",")
}

// compiled is a type after its elements have been sorted into the types that they make up.
type compiled struct {
	name, base, short string
	kind              int
	abstract          bool
	elements          []compiledElement
}

type compiledElement struct {
	name, path, contentReference string
	min, max                     int
	choice, summary, modifier    bool
	types                        []typeRef
	strength                     int
	valueSet                     string
}

func (c *core) compile() []compiled {
	var all []compiled
	for _, s := range c.types {
		kind := map[string]int{"primitive-type": 1, "complex-type": 2, "resource": 4}[s.Kind]
		if kind == 0 {
			panic(s.Name + ": unknown kind " + s.Kind)
		}
		owner := compiled{name: s.Name, base: strings.TrimPrefix(s.BaseDefinition, definitionBase), kind: kind, abstract: s.Abstract}
		if kind == 4 {
			owner.short = s.Snapshot.Element[0].Short
		}
		group := []compiled{owner}
		at := map[string]int{s.Name: 0}
		if kind != 1 {
			for _, e := range s.Snapshot.Element[1:] {
				dot := strings.LastIndexByte(e.Path, '.')
				i, ok := at[e.Path[:dot]]
				if !ok {
					i = len(group)
					at[e.Path[:dot]] = i
					group = append(group, compiled{name: e.Path[:dot], kind: 3, base: "BackboneElement"})
				}
				group[i].elements = append(group[i].elements, compileElement(s, e))
			}
		}
		all = append(all, group...)
	}
	return all
}

func compileElement(s structure, e element) compiledElement {
	name := e.Path[strings.LastIndexByte(e.Path, '.')+1:]
	out := compiledElement{name: strings.TrimSuffix(name, "[x]"), path: e.Path, min: e.Min, max: -1, summary: e.IsSummary, modifier: e.IsModifier}
	out.choice = out.name != name
	if e.Max != "*" {
		n, err := strconv.Atoi(e.Max)
		if err != nil {
			panic(err)
		}
		out.max = n
	}
	if e.ContentReference != "" {
		out.contentReference = strings.TrimPrefix(e.ContentReference, "#")
		out.types = []typeRef{{code: out.contentReference}}
	}
	for _, t := range e.Type {
		r := typeRef{code: t.Code}
		switch {
		case strings.HasPrefix(t.Code, fhirPathSystem):
			r.code = primitiveOf(s, e.Path, t.Extension)
		case t.Code == "BackboneElement", t.Code == "Element":
			r.code = e.Path
		}
		for _, p := range t.Profile {
			if p != definitionBase+"SimpleQuantity" {
				panic(e.Path + ": profile " + p)
			}
			r.simple = true
		}
		for _, p := range t.TargetProfile {
			if p == definitionBase+"Resource" {
				r.targets = nil
				break
			}
			r.targets = append(r.targets, strings.TrimPrefix(p, definitionBase))
		}
		slices.Sort(r.targets)
		out.types = append(out.types, r)
	}
	if b := e.Binding; b != nil {
		out.strength = map[string]int{"required": 1, "extensible": 2, "preferred": 3}[b.Strength]
		out.valueSet, _, _ = strings.Cut(b.ValueSet, "|")
	}
	return out
}

// primitiveOf is the FHIR type of an element that R4 declares with a FHIRPath type. R4 says string for Resource.id, which is an id.
func primitiveOf(s structure, path string, extensions []struct{ URL, ValueURL string }) string {
	if s.Kind == "resource" && path == s.Name+".id" {
		return "id"
	}
	for _, x := range extensions {
		if x.URL == fhirTypeURL {
			return x.ValueURL
		}
	}
	panic(path + ": no FHIR type")
}

func (c *core) encode() []byte {
	types := c.compile()
	w := newWriter()
	sets := c.requiredSets(types)
	setAt := map[string]int{}
	w.num(len(sets))
	for i, s := range sets {
		setAt[s.url] = i + 1
		s.encode(w)
	}
	lists := encodeTypeRefs(w, types)
	bindings := encodeBindings(w, types, setAt)
	c.encodeTypes(w, types, lists, bindings)
	c.encodeParameters(w)
	w.num(len(c.compartments))
	for _, d := range c.compartments {
		w.str(d.Code)
		slices.SortFunc(d.Resource, func(a, b struct {
			Code  string
			Param []string
		},
		) int {
			return cmp.Compare(a.Code, b.Code)
		})
		w.num(len(d.Resource))
		for _, r := range d.Resource {
			w.str(r.Code)
			w.strs(r.Param)
		}
	}
	w.num(len(c.operations))
	for _, o := range c.operations {
		w.str(o.URL)
		w.str(o.Name)
		w.str(o.Code)
		w.strs(o.Resource)
		w.flag(o.System)
		w.flag(o.Type)
		w.flag(o.Instance)
		w.flag(o.AffectsState)
		w.str(o.Title)
		w.str(firstSentence(o.Description))
	}
	return w.bytes()
}

func firstSentence(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	s, _, found := strings.Cut(s, ". ")
	if found {
		s += "."
	}
	return strings.TrimSpace(s)
}

func (c *core) encodeParameters(w *writer) {
	w.num(len(c.parameters))
	for _, p := range c.parameters {
		w.str(p.URL)
		w.str(p.Name)
		w.str(p.Code)
		w.str(p.Type)
		w.strs(p.Base)
		w.str(p.Expression)
		w.strs(p.Target)
		w.str(describe(p))
		w.str(p.XPathUsage)
		w.num(len(p.Component))
		for _, x := range p.Component {
			w.str(strings.TrimPrefix(x.Definition, "http://hl7.org/fhir/SearchParameter/http://hl7.org/fhir/SearchParameter/"))
			w.str(x.Expression)
		}
	}
}

// describe is the description on one line. Parameters that several types share have one line for each, under a heading.
func describe(p parameter) string {
	lines := strings.FieldsFunc(p.Description, func(r rune) bool { return r == '\r' || r == '\n' })
	if len(lines) == 0 {
		return ""
	}
	if len(lines) == 1 || !strings.HasPrefix(lines[0], "Multiple Resources") {
		return lines[0]
	}
	_, text, found := strings.Cut(lines[1], "): ")
	if !found {
		return lines[1]
	}
	return text
}

// encodeTypeRefs writes the distinct type references and the distinct lists of them; the result finds a list by its key.
func encodeTypeRefs(w *writer, types []compiled) map[string]int {
	refs, lists := map[string]int{}, map[string]int{}
	var refList []typeRef
	var listList [][]typeRef
	for _, t := range types {
		for _, e := range t.elements {
			for _, r := range e.types {
				if _, ok := refs[r.key()]; !ok {
					refs[r.key()] = len(refList)
					refList = append(refList, r)
				}
			}
			if _, ok := lists[listKey(e.types)]; !ok {
				lists[listKey(e.types)] = len(listList)
				listList = append(listList, e.types)
			}
		}
	}
	w.num(len(refList))
	for _, r := range refList {
		w.str(r.code)
		w.flag(r.simple)
		w.strs(r.targets)
	}
	w.num(len(listList))
	for _, l := range listList {
		w.num(len(l))
		for _, r := range l {
			w.num(refs[r.key()])
		}
	}
	return lists
}

func listKey(list []typeRef) string {
	keys := make([]string, len(list))
	for i, r := range list {
		keys[i] = r.key()
	}
	return strings.Join(keys, ";")
}

func bindingKey(e compiledElement) string { return fmt.Sprint(e.strength, e.valueSet) }

func encodeBindings(w *writer, types []compiled, setAt map[string]int) map[string]int {
	at := map[string]int{}
	var list []compiledElement
	for _, t := range types {
		for _, e := range t.elements {
			if _, ok := at[bindingKey(e)]; !ok && e.strength > 0 {
				list = append(list, e)
				at[bindingKey(e)] = len(list)
			}
		}
	}
	w.num(len(list))
	for _, e := range list {
		w.num(e.strength)
		w.str(e.valueSet)
		if e.strength == 1 {
			w.num(setAt[e.valueSet])
		} else {
			w.num(0)
		}
	}
	return at
}

func (c *core) encodeTypes(w *writer, types []compiled, lists, bindings map[string]int) {
	elements, fields := 0, 0
	for _, t := range types {
		own := 0
		elements += len(t.elements)
		for _, e := range t.elements {
			own += len(e.types)
		}
		if own > 254 {
			panic(t.name + " has more properties than a byte counts")
		}
		fields += own
	}
	w.num(len(types))
	w.num(elements)
	w.num(fields)
	for _, t := range types {
		w.str(t.name)
		w.str(t.base)
		w.str(t.short)
		w.num(t.kind)
		w.flag(t.abstract)
		w.num(len(t.elements))
		for _, e := range t.elements {
			w.str(e.name)
			w.str(e.path)
			w.num(e.min)
			w.num(e.max + 1)
			flags := 0
			for i, on := range []bool{e.choice, e.summary, e.modifier} {
				if on {
					flags |= 1 << i
				}
			}
			w.num(flags)
			w.num(lists[listKey(e.types)])
			w.num(bindings[bindingKey(e)])
			w.str(e.contentReference)
			if e.choice {
				for _, r := range e.types {
					w.str(e.name + strings.ToUpper(r.code[:1]) + r.code[1:])
				}
			}
		}
	}
}
