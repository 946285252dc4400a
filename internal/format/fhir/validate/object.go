package validate

import (
	"strings"

	"ward/internal/format/fhir/spec"
	"ward/internal/format/jsontape"
)

// root checks the document's resource.
func (r *run) root(n jsontape.Node, opts Options) {
	r.scope = scope{inside: -1}
	t := r.resourceType(n)
	if t == nil {
		return
	}
	if opts.ResourceType != "" && t.Name != opts.ResourceType {
		r.path = append(r.path[:0], step{t.Name, -1})
		r.report(r.doc.Get(n, "resourceType"), kindValue, "resourceType must be "+opts.ResourceType+" here")
		return
	}
	r.push(t.Name, -1)
	r.independent(n, t)
	r.pop()
}

// resourceType is the type of the resource at n; nil after it has reported what is wrong.
func (r *run) resourceType(n jsontape.Node) *spec.Type {
	if k := r.doc.Kind(n); k != jsontape.Object {
		r.report(n, kindStructure, "a resource is a JSON object, not "+k.String())
		return nil
	}
	name := r.doc.Get(n, "resourceType")
	switch {
	case name < 0:
		r.report(n, kindRequired, "resourceType is missing: add the name of the resource's type, such as \"Patient\"")
		return nil
	case r.doc.Kind(name) != jsontape.String:
		r.report(name, kindStructure, "resourceType must be a string, not "+r.doc.Kind(name).String())
		return nil
	}
	t := r.v.defs.Resource(r.doc.Bytes(name))
	if t == nil {
		r.report(name, kindStructure, "resourceType is not a resource type of FHIR R4; names are case-sensitive, as in \"Patient\"")
	}
	return t
}

// resource checks a resource inside another: in contained, or in an entry of a Bundle or a parameter of Parameters.
func (r *run) resource(n jsontape.Node, f *spec.Field, index int) {
	t := r.resourceType(n)
	if t == nil {
		return
	}
	if f.Name == "contained" {
		r.contained(n, t, index)
		return
	}
	r.independent(n, t)
}

// seen notes which elements of a type occur, by their ordinal.
type seen [4]uint64

func (s *seen) add(ordinal uint8)      { s[ordinal>>6] |= 1 << (ordinal & 63) }
func (s *seen) has(ordinal uint8) bool { return s[ordinal>>6]&(1<<(ordinal&63)) != 0 }

func (s *seen) any(mask *seen) bool {
	return s[0]&mask[0]|s[1]&mask[1]|s[2]&mask[2]|s[3]&mask[3] != 0
}

// object checks the members of the object at n, which is of type t.
func (r *run) object(n jsontape.Node, t *spec.Type) {
	doc := r.doc
	var have seen
	count := 0
	for m := doc.First(n); m >= 0 && !r.full(); m = doc.Next(m) {
		key := doc.Key(m)
		f := t.Field(key)
		if f == nil {
			r.otherMember(n, m, key, t, &have)
			continue
		}
		count++
		if have.has(f.Ordinal) && f.Element.Choice {
			r.secondChoice(n, m, f)
		}
		have.add(f.Ordinal)
		r.member(n, m, f)
	}
	if count <= 1 && t.Kind != spec.ResourceKind {
		r.notEmpty(n, t, &have)
	}
	for _, ordinal := range t.Required {
		if !have.has(ordinal) {
			r.missing(n, &t.Elements[ordinal])
		}
	}
	for i := range r.v.rules[t.Index] {
		r.rule(n, &r.v.rules[t.Index][i], &have)
	}
	if h := r.v.hooks[t.Index]; h != nil {
		h(r, n)
	}
}

// otherMember checks a member that is no element of t: resourceType, the "_" of a primitive, or a mistake.
func (r *run) otherMember(n, m jsontape.Node, key []byte, t *spec.Type, have *seen) {
	if t.Kind == spec.ResourceKind && string(key) == "resourceType" {
		return
	}
	if len(key) > 1 && key[0] == '_' {
		if f := t.Field(key[1:]); f != nil && f.Primitive != spec.NotPrimitive {
			if have.has(f.Ordinal) && f.Element.Choice {
				r.secondChoice(n, m, f)
			}
			have.add(f.Ordinal)
			r.underscore(n, m, f)
			return
		}
	}
	r.unknown(m, key, t)
}

func (r *run) unknown(m jsontape.Node, key []byte, t *spec.Type) {
	name := "this property"
	if printable(key) {
		name = string(key)
	}
	message := name + " is not a property of " + t.Name
	bare := strings.TrimPrefix(name, "_")
	switch e := t.Named(bare); {
	case e != nil && e.Choice:
		message += "; write the type into the name: " + choiceNames(e)
	case e != nil:
		message += "; " + bare + " is not a primitive, so there is no _" + bare
	default:
		if right := respelled(t, bare); right != "" {
			message += "; names are case-sensitive: " + right
		}
	}
	r.reportMember(m, kindStructure, message)
}

// respelled is the property that differs from the name only in its case, empty when there is none.
func respelled(t *spec.Type, name string) string {
	for i := range t.Fields {
		if strings.EqualFold(t.Fields[i].Name, name) {
			return t.Fields[i].Name
		}
	}
	return ""
}

// printable says whether a key looks like a field's name, and so can be repeated in a message.
func printable(key []byte) bool {
	if len(key) == 0 || len(key) > 64 {
		return false
	}
	for i, c := range key {
		if c != '_' && c|0x20-'a' > 25 && (i == 0 || !digit(c)) {
			return false
		}
	}
	return true
}

// choiceNames lists the JSON names of a choice, the first eight when there are more.
func choiceNames(e *spec.Element) string {
	var b strings.Builder
	for i, t := range e.Types {
		if i == 8 {
			b.WriteString(", ...")
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(e.Name + strings.ToUpper(t.Code[:1]) + t.Code[1:])
	}
	return b.String()
}

// secondChoice reports that the element has already been seen, unless that was the same name with or without "_".
func (r *run) secondChoice(n, m jsontape.Node, f *spec.Field) {
	for other := r.doc.First(n); other >= 0 && other != m; other = r.doc.Next(other) {
		key := r.doc.Key(other)
		if len(key) > 0 && key[0] == '_' {
			key = key[1:]
		}
		if len(key) <= len(f.Element.Name) || string(key[:len(f.Element.Name)]) != f.Element.Name || string(key) == f.Name {
			continue
		}
		if e := r.typeFieldOf(f, key); e {
			r.push(f.Element.Name, -1)
			r.reportMember(m, kindStructure, "there can be only one "+f.Element.Name+"[x]: "+string(key)+" is there already")
			r.pop()
			return
		}
	}
}

// typeFieldOf says whether key is another JSON name of the choice that f belongs to.
func (r *run) typeFieldOf(f *spec.Field, key []byte) bool {
	suffix := key[len(f.Element.Name):]
	for i := range f.Element.Types {
		code := f.Element.Types[i].Code
		if len(code) == len(suffix) && code[1:] == string(suffix[1:]) && code[0]&^0x20 == suffix[0] {
			return true
		}
	}
	return false
}

// notEmpty reports an object without value or children (ele-1).
func (r *run) notEmpty(n jsontape.Node, t *spec.Type, have *seen) {
	for i := range t.Elements {
		if have.has(uint8(i)) && t.Elements[i].Name != "id" {
			return
		}
	}
	if r.doc.Len(n) == 0 {
		r.report(n, kindStructure, "an object must not be empty; leave the property out instead")
		return
	}
	if have.any(&seen{1}) { // id comes first in every type
		r.report(n, kindInvariant, "ele-1: an element must have a value or children, an id alone is not enough")
	}
}

func (r *run) missing(n jsontape.Node, e *spec.Element) {
	name := e.Name
	if e.Choice {
		name = choiceNames(e)
	}
	message := name + " is required"
	if e.Choice {
		message = "one of " + name + " is required"
	}
	if e.Binding != nil && e.Binding.Codes != nil {
		message += ": " + listCodes(e.Binding.Codes)
	}
	r.push(e.Name, -1)
	r.report(n, kindRequired, message)
	r.pop()
}

// member checks the value of a known property.
func (r *run) member(owner, m jsontape.Node, f *spec.Field) {
	doc := r.doc
	if !f.Element.Repeats() {
		r.push(f.Element.Name, -1)
		if doc.Kind(m) == jsontape.Array {
			r.report(m, kindStructure, f.Name+" occurs at most once: write it without the brackets")
		} else {
			r.value(m, f, -1)
		}
		r.pop()
		return
	}
	if doc.Kind(m) != jsontape.Array {
		r.push(f.Element.Name, -1)
		r.report(m, kindStructure, f.Name+" may repeat, so it must be an array: put it into brackets")
		r.pop()
		return
	}
	if doc.Len(m) == 0 {
		r.push(f.Element.Name, -1)
		r.report(m, kindStructure, "an array must not be empty; leave "+f.Name+" out instead")
		r.pop()
		return
	}
	i := 0
	filler := gapFiller{}
	for x := doc.First(m); x >= 0 && !r.full(); x = doc.Next(x) {
		r.push(f.Element.Name, i)
		if doc.Kind(x) != jsontape.Null || f.Primitive == spec.NotPrimitive {
			r.value(x, f, i)
		} else if doc.Kind(filler.at(doc, owner, f, i)) != jsontape.Object {
			r.report(x, kindStructure, "null is only for a gap that _"+f.Name+" fills at the same place")
		}
		r.pop()
		i++
	}
}

// gapFiller walks the "_" array beside an array of primitives, in step with it.
type gapFiller struct {
	found bool
	node  jsontape.Node
	index int
}

// at is the entry of the "_" array at the index, Invalid when there is none. Indexes must not decrease.
func (g *gapFiller) at(doc *jsontape.Doc, owner jsontape.Node, f *spec.Field, index int) jsontape.Node {
	if !g.found {
		g.found, g.node = true, jsontape.Invalid
		for m := doc.First(owner); m >= 0; m = doc.Next(m) {
			if key := doc.Key(m); len(key) == len(f.Name)+1 && key[0] == '_' && string(key[1:]) == f.Name && doc.Kind(m) == jsontape.Array {
				g.node = doc.First(m)
			}
		}
	}
	for ; g.index < index; g.index++ {
		g.node = doc.Next(g.node)
	}
	return g.node
}

// value checks one value of the element.
func (r *run) value(n jsontape.Node, f *spec.Field, index int) {
	if f.Primitive != spec.NotPrimitive {
		r.primitive(n, f)
		return
	}
	if f.Type.Kind == spec.ResourceKind {
		r.resource(n, f, index)
		return
	}
	if k := r.doc.Kind(n); k != jsontape.Object {
		r.report(n, kindStructure, f.Name+" must be "+article(f.Type)+" object, not "+k.String())
		return
	}
	r.object(n, f.Type)
	if f.Ref.Simple {
		r.simple(n)
	}
	switch f.Type {
	case r.v.reference:
		r.reference(n, f)
	case r.v.codeableConcept, r.v.coding:
		if b := f.Element.Binding; b != nil && b.Codes != nil {
			r.binding(n, f, b.Codes)
		}
	}
}

func article(t *spec.Type) string {
	if t.Kind == spec.BackboneKind {
		return "a JSON"
	}
	if strings.IndexByte("AEIOU", t.Name[0]) >= 0 {
		return "an " + t.Name
	}
	return "a " + t.Name
}

// underscore checks the member "_name" of a primitive: an object with id and extension, or an array of them.
func (r *run) underscore(owner, m jsontape.Node, f *spec.Field) {
	doc := r.doc
	base := doc.Get(owner, f.Name)
	if !f.Element.Repeats() {
		r.push(f.Element.Name, -1)
		r.elementObject(m, f, base >= 0)
		r.pop()
		return
	}
	if doc.Kind(m) != jsontape.Array || doc.Len(m) == 0 {
		r.push(f.Element.Name, -1)
		r.report(m, kindStructure, "_"+f.Name+" must be an array with an entry, or null, for each of "+f.Name)
		r.pop()
		return
	}
	if base >= 0 && doc.Kind(base) == jsontape.Array && doc.Len(base) != doc.Len(m) {
		r.push(f.Element.Name, -1)
		r.report(m, kindStructure, "_"+f.Name+" and "+f.Name+" must be equally long; fill the gaps with null")
		r.pop()
	}
	value := doc.First(base)
	i := 0
	for x := doc.First(m); x >= 0 && !r.full(); x = doc.Next(x) {
		r.push(f.Element.Name, i)
		hasValue := value >= 0 && doc.Kind(value) != jsontape.Null
		if doc.Kind(x) != jsontape.Null {
			r.elementObject(x, f, hasValue)
		} else if !hasValue && value < 0 {
			r.report(x, kindStructure, "null stands here for a gap that no entry of "+f.Name+" fills")
		}
		r.pop()
		value = doc.Next(value)
		i++
	}
}

// elementObject checks the id and the extensions of a primitive.
func (r *run) elementObject(n jsontape.Node, f *spec.Field, hasValue bool) {
	if k := r.doc.Kind(n); k != jsontape.Object {
		r.report(n, kindStructure, "_"+f.Name+" holds the id and the extensions of "+f.Name+", so it must be an object, not "+k.String())
		return
	}
	if hasValue && r.doc.Len(n) == 1 && r.doc.Get(n, "id") >= 0 {
		r.push("id", -1)
		r.primitive(r.doc.First(n), r.v.element.Field([]byte("id")))
		r.pop()
		return
	}
	r.object(n, r.v.element)
}
