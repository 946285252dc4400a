package patch

import (
	"slices"
	"strings"

	"ward/internal/base/fault"
	"ward/internal/format/fhir/fhirpath"
	"ward/internal/format/fhir/spec"
	"ward/internal/format/jsontape"
)

func (c *change) apply(t *target) error {
	items, err := c.path.Eval(t.doc, t.doc.Root())
	if err != nil {
		return err
	}
	for i := range items {
		if items[i].Literal() {
			return fault.Invalid("the path must lead to elements of the resource, and this one makes values of its own")
		}
	}
	switch c.kind {
	case "insert", "move":
		return c.inList(t, items)
	case "delete":
		if len(items) == 0 {
			return nil
		}
	}
	switch len(items) {
	case 0:
		return fault.Unprocessable("no element matches the path")
	case 1:
	default:
		return fault.Unprocessable("the path matches %d elements and must match a single one", len(items))
	}
	if c.kind == "add" {
		return c.add(t, &items[0], c.name)
	}
	return c.one(t, &items[0])
}

// add appends the value to an element of the item.
func (c *change) add(t *target, to *fhirpath.Item, name string) error {
	owner := to.Type
	if owner.Primitive != spec.NotPrimitive {
		owner = spec.R4().Type("Element")
	}
	element := elementNamed(owner, name)
	if element == nil {
		return fault.Unprocessable("%s has no element of the name given", to.Type.Name)
	}
	key, value, err := render(c.patch, c.value, owner, element, name)
	if err != nil {
		return err
	}
	object := to.Node
	if to.Type.Primitive != spec.NotPrimitive {
		object = to.Ext
	}
	list := newList(t.doc, object, key)
	if !element.Repeats() {
		for i := range owner.Fields {
			if f := &owner.Fields[i]; f.Element == element && len(newList(t.doc, object, f.Name).slots) > 0 {
				return fault.Unprocessable("%s is there already and does not repeat; use replace", element.Path)
			}
		}
	}
	list.repeats = element.Repeats()
	list.slots = append(list.slots, value)
	text := list.rebuild(t.doc)
	if to.Type.Primitive == spec.NotPrimitive {
		return t.put(object, text)
	}
	return putExtension(t, to, text)
}

// putExtension makes text the id and extensions of a primitive.
func putExtension(t *target, of *fhirpath.Item, text []byte) error {
	list := newList(t.doc, of.Parent, of.Key)
	list.slots[max(of.Index, 0)].ext = text
	return t.put(of.Parent, list.rebuild(t.doc))
}

// one is delete and replace.
func (c *change) one(t *target, item *fhirpath.Item) error {
	if item.Parent < 0 {
		return fault.Unprocessable("the resource itself can't be the target of %s", c.kind)
	}
	list := newList(t.doc, item.Parent, item.Key)
	at := max(item.Index, 0)
	if c.kind == "delete" {
		list.slots = slices.Delete(list.slots, at, at+1)
		return t.put(item.Parent, list.rebuild(t.doc))
	}
	key, value, err := render(c.patch, c.value, item.Owner, item.Field.Element, item.Field.Element.Name)
	if err != nil {
		return err
	}
	list.newKey = key
	list.slots[at] = value
	return t.put(item.Parent, list.rebuild(t.doc))
}

// inList is insert and move.
func (c *change) inList(t *target, items []fhirpath.Item) error {
	if len(items) == 0 {
		return c.insertFirst(t)
	}
	first := &items[0]
	if first.Parent < 0 || !first.Field.Element.Repeats() {
		return fault.Unprocessable("the path must lead to a list, and this element does not repeat")
	}
	list := newList(t.doc, first.Parent, first.Key)
	for i := range items {
		if items[i].Parent != first.Parent || items[i].Key != first.Key || len(items) != len(list.slots) {
			return fault.Unprocessable("the path must lead to one whole list, not to a part of it or to several")
		}
	}
	if c.kind == "insert" {
		if c.index > len(items) {
			return fault.Unprocessable("the list has %d elements, so the index must be 0 to %d", len(items), len(items))
		}
		_, value, err := render(c.patch, c.value, first.Owner, first.Field.Element, first.Field.Element.Name)
		if err != nil {
			return err
		}
		list.slots = slices.Insert(list.slots, c.index, value)
	} else {
		if c.source >= len(items) || c.destination >= len(items) {
			return fault.Unprocessable("the list has %d elements, so source and destination must be 0 to %d", len(items), len(items)-1)
		}
		moved := list.slots[c.source]
		list.slots = slices.Insert(slices.Delete(list.slots, c.source, c.source+1), c.destination, moved)
	}
	return t.put(first.Parent, list.rebuild(t.doc))
}

// insertFirst inserts into a list that is not there yet.
func (c *change) insertFirst(t *target) error {
	parent, name, ok := c.path.Parent()
	if c.kind == "move" || !ok {
		return fault.Unprocessable("no element matches the path")
	}
	items, err := parent.Eval(t.doc, t.doc.Root())
	if err != nil {
		return err
	}
	if len(items) != 1 || items[0].Literal() {
		return fault.Unprocessable("no element matches the path")
	}
	owner := items[0].Type
	if owner.Primitive != spec.NotPrimitive {
		owner = spec.R4().Type("Element")
	}
	if e := owner.Named(name); e == nil || !e.Repeats() {
		return fault.Unprocessable("the path must lead to a list, and this element does not repeat")
	}
	if c.index != 0 {
		return fault.Unprocessable("the list is empty, so the index must be 0")
	}
	return c.add(t, &items[0], name)
}

// elementNamed finds an element by its name, for a choice also as "value[x]" or "valueQuantity".
func elementNamed(t *spec.Type, name string) *spec.Element {
	if e := t.Named(strings.TrimSuffix(name, "[x]")); e != nil {
		return e
	}
	if f := t.Field([]byte(name)); f != nil {
		return f.Element
	}
	return nil
}

// slot is one value of an element: its bytes and, for a primitive, those of its id and extensions. nil is absence.
type slot struct{ value, ext []byte }

func (s slot) empty() bool { return s.value == nil && s.ext == nil }

// list is the values that one member of an object has, with those of its "_" companion.
type list struct {
	object  jsontape.Node
	key     string
	newKey  string // the member's name afterwards
	repeats bool
	slots   []slot
}

// newList reads a member; without one, or without an object, the list is empty.
func newList(d *jsontape.Doc, object jsontape.Node, key string) *list {
	l := &list{object: object, key: key, newKey: key}
	value, ext := d.Get(object, key), d.Get(object, "_"+key)
	if d.Kind(value) != jsontape.Array && d.Kind(ext) != jsontape.Array {
		if s := (slot{value: present(d, value), ext: present(d, ext)}); !s.empty() {
			l.slots = []slot{s}
		}
		return l
	}
	l.repeats = true
	value, ext = d.First(value), d.First(ext)
	for value >= 0 || ext >= 0 {
		l.slots = append(l.slots, slot{value: present(d, value), ext: present(d, ext)})
		value, ext = d.Next(value), d.Next(ext)
	}
	return l
}

func present(d *jsontape.Doc, n jsontape.Node) []byte {
	if n < 0 || d.Kind(n) == jsontape.Null {
		return nil
	}
	return d.Raw(n)
}

// rebuild gives the object with the list's member as it is now; nil when nothing is left in it.
func (l *list) rebuild(d *jsontape.Doc) []byte {
	l.slots = slices.DeleteFunc(l.slots, slot.empty)
	out := []byte{'{'}
	written := false
	write := func() {
		if !written {
			out = l.appendMembers(out)
			written = true
		}
	}
	for m := d.First(l.object); m >= 0; m = d.Next(m) {
		key := string(d.Key(m))
		if key == l.key || key == "_"+l.key {
			write()
			continue
		}
		out = append(comma(out), d.RawMember(m)...)
	}
	write()
	if len(out) == 1 {
		return nil
	}
	return append(out, '}')
}

func (l *list) appendMembers(out []byte) []byte {
	values, exts := false, false
	for _, s := range l.slots {
		values, exts = values || s.value != nil, exts || s.ext != nil
	}
	if values {
		out = l.appendMember(out, l.newKey, func(s slot) []byte { return s.value })
	}
	if exts {
		out = l.appendMember(out, "_"+l.newKey, func(s slot) []byte { return s.ext })
	}
	return out
}

func (l *list) appendMember(out []byte, key string, of func(slot) []byte) []byte {
	out = append(jsontape.AppendQuoted(comma(out), key), ':')
	if !l.repeats {
		return append(out, of(l.slots[0])...)
	}
	out = append(out, '[')
	for i, s := range l.slots {
		if i > 0 {
			out = append(out, ',')
		}
		if text := of(s); text != nil {
			out = append(out, text...)
		} else {
			out = append(out, "null"...)
		}
	}
	return append(out, ']')
}

// comma appends one unless an object has just been opened.
func comma(out []byte) []byte {
	if out[len(out)-1] == '{' {
		return out
	}
	return append(out, ',')
}

// put makes text the bytes of a value. Without any, the value goes, and so does what holds nothing else.
func (t *target) put(n jsontape.Node, text []byte) error {
	d := t.doc
	if text != nil {
		return t.splice(d.Offset(n), d.End(n), text)
	}
	parent := t.parent(n)
	switch {
	case parent < 0:
		return t.splice(d.Offset(n), d.End(n), []byte("{}"))
	case d.Kind(parent) == jsontape.Object && d.Len(parent) == 1:
		return t.put(parent, nil)
	case d.Kind(parent) == jsontape.Object:
		return t.remove(parent, n)
	}
	key := string(d.Key(parent))
	object := t.parent(parent)
	if name, ok := strings.CutPrefix(key, "_"); ok {
		key = name
	}
	l := newList(d, object, key)
	i := 0
	for c := d.First(parent); c != n; c = d.Next(c) {
		i++
	}
	if strings.HasPrefix(string(d.Key(parent)), "_") {
		l.slots[i].ext = nil
	} else {
		l.slots[i].value = nil
	}
	return t.put(object, l.rebuild(d))
}
