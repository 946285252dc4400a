package patch

import (
	"strings"

	"ward/internal/base/fault"
	"ward/internal/format/fhir/spec"
	"ward/internal/format/jsontape"
)

// render makes the JSON of a part's value for an element of a type: the name of its member, which for a choice carries the
// type, and its bytes. name is how the patch names the element.
func render(p *jsontape.Doc, part jsontape.Node, owner *spec.Type, element *spec.Element, name string) (key string, s slot, err error) {
	suffix, value, ext := partValue(p, part)
	parts := p.Get(part, "part")
	resource := p.Get(part, "resource")
	switch {
	case suffix != "":
		return renderValue(p, suffix, value, ext, owner, element, name)
	case resource >= 0:
		if p.Kind(resource) != jsontape.Object || element.Types[0].Code != "Resource" {
			return "", slot{}, fault.Unprocessable("%s is no place for a resource", element.Path)
		}
		return element.Name, slot{value: compact(p, resource)}, nil
	case p.Len(parts) > 0:
		field := owner.Field([]byte(name))
		if field == nil && !element.Choice {
			field = owner.Field([]byte(element.Name))
		}
		if field == nil {
			return "", slot{}, fault.Unprocessable("%s is a choice: name it with its type, or give the value as value[x]", element.Path)
		}
		if field.Primitive != spec.NotPrimitive || field.Type.Kind == spec.ResourceKind {
			return "", slot{}, fault.Unprocessable("%s is of type %s and can't be given as parts", element.Path, field.Type.Name)
		}
		text, err := renderParts(p, parts, field.Type)
		return field.Name, slot{value: text}, err
	}
	return "", slot{}, fault.Invalid("the value is missing: give value[x], a resource, or parts for a type that value[x] can't be")
}

// partValue finds value[x] and _value[x] in a part; suffix is the x.
func partValue(p *jsontape.Doc, part jsontape.Node) (suffix string, value, ext jsontape.Node) {
	value, ext = jsontape.Invalid, jsontape.Invalid
	for m := p.First(part); m >= 0; m = p.Next(m) {
		key := string(p.Key(m))
		if x, ok := strings.CutPrefix(key, "value"); ok && x != "" {
			suffix, value = x, m
		} else if x, ok := strings.CutPrefix(key, "_value"); ok && x != "" {
			suffix, ext = x, m
		}
	}
	return suffix, value, ext
}

func renderValue(p *jsontape.Doc, suffix string, value, ext jsontape.Node, owner *spec.Type, element *spec.Element, name string) (string, slot, error) {
	given := typeOfSuffix(suffix)
	if given == nil {
		return "", slot{}, fault.Invalid("there is no type for value[x] of this name")
	}
	key := element.Name
	if element.Choice {
		key += suffix
	}
	field := owner.Field([]byte(key))
	if element.Choice && (field == nil || field.Element != element || owner.Field([]byte(name)) != nil && name != key) {
		return "", slot{}, fault.Unprocessable("%s can't be of type %s; it may be %s", element.Path, given.Name, typeNames(element))
	}
	if field == nil || !fits(given, field.Type) {
		return "", slot{}, fault.Unprocessable("%s can't be of type %s; it is of type %s", element.Path, given.Name, typeNames(element))
	}
	var s slot
	if value >= 0 {
		if !written(p.Kind(value), field.Type) {
			return "", slot{}, fault.Unprocessable("a value of type %s can't be %s", field.Type.Name, p.Kind(value))
		}
		s.value = compact(p, value)
	}
	if ext >= 0 {
		if p.Kind(ext) != jsontape.Object || field.Primitive == spec.NotPrimitive {
			return "", slot{}, fault.Invalid("only a primitive value has a companion with _, and it must be an object")
		}
		s.ext = compact(p, ext)
	}
	return key, s, nil
}

// typeOfSuffix is the type that value[x] names: Quantity, String for string, DateTime for dateTime.
func typeOfSuffix(suffix string) *spec.Type {
	d := spec.R4()
	if t := d.Type(suffix); t != nil {
		return t
	}
	t := d.Type(strings.ToLower(suffix[:1]) + suffix[1:])
	if t == nil || t.Primitive == spec.NotPrimitive {
		return nil
	}
	return t
}

func typeNames(e *spec.Element) string {
	var names []string
	for _, t := range e.Types {
		if t.Code != "" {
			names = append(names, t.Code)
		}
	}
	return strings.Join(names, ", ")
}

// fits says whether a value given as one type may stand where another is wanted: the same or a related one, and among
// primitives any that JSON writes the same way, since clients write codes and dates as valueString.
func fits(given, wanted *spec.Type) bool {
	if given.Primitive != spec.NotPrimitive && wanted.Primitive != spec.NotPrimitive {
		return kindOfJSON(given.Primitive) == kindOfJSON(wanted.Primitive)
	}
	return derived(given, wanted) || derived(wanted, given)
}

func derived(t, from *spec.Type) bool {
	for ; t != nil && t.Name != "Element" && t.Name != "BackboneElement"; t = spec.R4().Type(t.Base) {
		if t == from {
			return true
		}
	}
	return false
}

func kindOfJSON(p spec.Primitive) jsontape.Kind {
	switch p { //nolint:exhaustive // the others are strings
	case spec.Boolean:
		return jsontape.True
	case spec.Decimal, spec.Integer, spec.PositiveInt, spec.UnsignedInt:
		return jsontape.Number
	}
	return jsontape.String
}

// written says whether a JSON value of this kind can be of the type.
func written(k jsontape.Kind, t *spec.Type) bool {
	if t.Primitive == spec.NotPrimitive {
		return k == jsontape.Object
	}
	if k == jsontape.False {
		k = jsontape.True
	}
	return k == kindOfJSON(t.Primitive)
}

// renderParts makes an object of parts that are named after the elements of a type (fhirpatch.html#anonymous).
func renderParts(p *jsontape.Doc, parts jsontape.Node, t *spec.Type) ([]byte, error) {
	var lists []*list
	for part := p.First(parts); part >= 0; part = p.Next(part) {
		name := p.Text(p.Get(part, "name"))
		element := elementNamed(t, name)
		if element == nil {
			return nil, fault.Unprocessable("%s has no element of the name that a part of the value has", t.Name)
		}
		key, s, err := render(p, part, t, element, name)
		if err != nil {
			return nil, err
		}
		at := -1
		for i, l := range lists {
			if l.key == key {
				at = i
			}
		}
		if at < 0 {
			lists = append(lists, &list{key: key, newKey: key, repeats: element.Repeats()})
			at = len(lists) - 1
		}
		if lists[at].slots = append(lists[at].slots, s); len(lists[at].slots) > 1 && !element.Repeats() {
			return nil, fault.Unprocessable("%s is given twice and does not repeat", element.Path)
		}
	}
	out := []byte{'{'}
	for _, l := range lists {
		out = l.appendMembers(out)
	}
	return append(out, '}'), nil
}
