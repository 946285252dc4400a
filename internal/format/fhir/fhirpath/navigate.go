package fhirpath

import (
	"ward/internal/format/fhir/spec"
	"ward/internal/format/jsontape"
)

// member gives the elements of that name of all items. A name that none of their types has is an error.
func (e *evaluator) member(n *node, input []Item) ([]Item, error) {
	var out []Item
	known := len(input) == 0
	var stranger *Item
	for i := range input {
		if err := e.spend(1); err != nil {
			return nil, err
		}
		t := elementsOf(&input[i])
		if t == nil {
			stranger = &input[i]
			continue
		}
		element := t.Named(n.name)
		if element == nil {
			stranger = &input[i]
			continue
		}
		known = true
		before := len(out)
		out = e.children(out, &input[i], t, element)
		if err := e.spend(len(out) - before); err != nil {
			return nil, err
		}
	}
	if known {
		return out, nil
	}
	switch {
	case stranger.Type == nil:
		return nil, e.fail(n, "a literal has no elements")
	case stranger.Type.Field([]byte(n.name)) != nil:
		return nil, e.fail(n, "%s has no element %s; a choice is named without its type, which ofType() selects", stranger.Type.Name, n.name)
	}
	return nil, e.fail(n, "%s has no element %s", stranger.Type.Name, n.name)
}

// elementsOf is the type whose elements an item has: a primitive's are those of Element. nil for literals.
func elementsOf(i *Item) *spec.Type {
	if i.Type != nil && i.Type.Primitive != spec.NotPrimitive {
		return spec.R4().Type("Element")
	}
	return i.Type
}

// children appends the values of one element of an item; of all its elements when element is nil.
func (e *evaluator) children(out []Item, of *Item, t *spec.Type, element *spec.Element) []Item {
	d := e.doc
	object := of.Node
	if of.Type.Primitive != spec.NotPrimitive {
		object = of.Ext
	}
	if d.Kind(object) != jsontape.Object {
		return out
	}
	for m := d.First(object); m >= 0; m = d.Next(m) {
		key := d.Key(m)
		value, ext := m, jsontape.Invalid
		if len(key) > 1 && key[0] == '_' {
			if d.Get(object, string(key[1:])) >= 0 {
				continue // comes with its value
			}
			key, value, ext = key[1:], jsontape.Invalid, m
		}
		field := t.Field(key)
		if field == nil || element != nil && field.Element != element {
			continue
		}
		if value >= 0 && field.Primitive != spec.NotPrimitive {
			ext = d.Get(object, "_"+field.Name)
		}
		out = e.values(out, Item{Node: value, Ext: ext, Parent: object, Key: field.Name, Index: -1, Owner: t, Field: field, Type: field.Type})
	}
	return out
}

// values appends a member's value, or those in its array.
func (e *evaluator) values(out []Item, i Item) []Item {
	d := e.doc
	if d.Kind(i.Node) != jsontape.Array && d.Kind(i.Ext) != jsontape.Array {
		return append(out, e.typed(i))
	}
	value, ext := d.First(i.Node), d.First(i.Ext)
	for at := 0; value >= 0 || ext >= 0; at++ {
		one := i
		one.Index = at
		one.Node, one.Ext = value, ext
		if d.Kind(one.Node) == jsontape.Null {
			one.Node = jsontape.Invalid
		}
		if d.Kind(one.Ext) == jsontape.Null {
			one.Ext = jsontape.Invalid
		}
		if one.Node >= 0 || one.Ext >= 0 {
			out = append(out, e.typed(one))
		}
		value, ext = d.Next(value), d.Next(ext)
	}
	return out
}

// typed gives contained resources their own type.
func (e *evaluator) typed(i Item) Item {
	if i.Type != nil && i.Type.Kind == spec.ResourceKind {
		if own := spec.R4().Resource(e.doc.Bytes(e.doc.Get(i.Node, "resourceType"))); own != nil {
			i.Type = own
		}
	}
	return i
}
