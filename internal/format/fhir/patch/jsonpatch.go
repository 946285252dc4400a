package patch

import (
	"slices"
	"strconv"

	"ward/internal/base/fault"
	"ward/internal/format/fhir"
	"ward/internal/format/jsontape"
)

// JSONPatch applies a JSON Patch (RFC 6902) to a document and gives the new one. The bytes given are left alone, and so is
// every byte of the document that no operation names.
func JSONPatch(doc, patch []byte) ([]byte, error) {
	var p jsontape.Doc
	if err := p.Parse(patch); err != nil {
		return nil, fhir.SyntaxFault(err)
	}
	if k := p.Kind(p.Root()); k != jsontape.Array {
		return nil, fault.Invalid("a JSON Patch is an array of operations, found %s", k)
	}
	t, err := newTarget(doc)
	if err != nil {
		return nil, err
	}
	i := 0
	for op := p.First(p.Root()); op >= 0; op = p.Next(op) {
		o, err := readOperation(&p, op)
		if err == nil {
			err = o.apply(t)
		}
		if err != nil {
			prefix := "operation[" + strconv.Itoa(i) + "]"
			if o.name != "" {
				prefix += " " + o.name
			}
			return nil, located(err, &p, op, prefix, "")
		}
		i++
	}
	return t.src, nil
}

// jsonOperation is one operation of a JSON Patch (RFC 6902 §4).
type jsonOperation struct {
	patch      *jsontape.Doc
	name       string
	path, from pointer
	value      jsontape.Node
}

func readOperation(p *jsontape.Doc, n jsontape.Node) (o jsonOperation, err error) {
	o = jsonOperation{patch: p, value: p.Get(n, "value")}
	if p.Kind(n) != jsontape.Object {
		return o, fault.Invalid("an operation is an object, found %s", p.Kind(n))
	}
	op := p.Get(n, "op")
	if p.Kind(op) != jsontape.String {
		return o, fault.Invalid(`the member "op" must be there and be a string`)
	}
	needsFrom, needsValue := false, false
	switch name := p.Text(op); name {
	case "add", "replace", "test":
		o.name, needsValue = name, true
	case "move", "copy":
		o.name, needsFrom = name, true
	case "remove":
		o.name = name
	default:
		return o, fault.Invalid(`"op" must be add, remove, replace, move, copy or test`)
	}
	if o.path, err = readPointer(p, n, "path"); err != nil {
		return o, err
	}
	if needsFrom {
		if o.from, err = readPointer(p, n, "from"); err != nil {
			return o, err
		}
	}
	if needsValue && o.value < 0 {
		return o, fault.Invalid(`the member "value" is missing`)
	}
	return o, nil
}

func (o *jsonOperation) apply(t *target) error {
	switch o.name {
	case "add":
		return add(t, o.path, compact(o.patch, o.value))
	case "remove":
		return remove(t, o.path)
	case "replace":
		n, err := o.path.find(t.doc, len(o.path))
		if err != nil {
			return err
		}
		return t.splice(t.doc.Offset(n), t.doc.End(n), compact(o.patch, o.value))
	case "test":
		n, err := o.path.find(t.doc, len(o.path))
		if err != nil {
			return err
		}
		t.work += t.doc.End(n) - t.doc.Offset(n)
		if !jsontape.Equal(t.doc, n, o.patch, o.value) {
			return fault.Unprocessable("the value at %s is not the one expected", o.path)
		}
		return nil
	}
	n, err := o.from.find(t.doc, len(o.from))
	if err != nil {
		return err
	}
	value := t.doc.Raw(n) // of bytes that stay as they are
	if o.name == "copy" {
		return add(t, o.path, value)
	}
	if o.from.inside(o.path) {
		return fault.Unprocessable("%s can't be moved into itself", o.from)
	}
	if o.from.equal(o.path) {
		return nil
	}
	if err := remove(t, o.from); err != nil {
		return err
	}
	return add(t, o.path, value)
}

// add is the operation of that name (RFC 6902 §4.1).
func add(t *target, path pointer, value []byte) error {
	d := t.doc
	if len(path) == 0 {
		return t.splice(d.Offset(d.Root()), d.End(d.Root()), value)
	}
	parent, err := path.find(d, len(path)-1)
	if err != nil {
		return err
	}
	last := path[len(path)-1]
	switch d.Kind(parent) {
	case jsontape.Object:
		if n := d.Get(parent, last); n >= 0 {
			return t.splice(d.Offset(n), d.End(n), value)
		}
		member := append(jsontape.AppendQuoted(nil, last), ':')
		return t.append(parent, append(member, value...))
	case jsontape.Array:
		if last == "-" {
			return t.append(parent, value)
		}
		i, err := arrayIndex(last)
		switch {
		case err != nil:
			return err
		case i > d.Len(parent):
			return fault.Unprocessable("%s has %d elements, so an element can't be added at index %d", path[:len(path)-1], d.Len(parent), i)
		case i == d.Len(parent):
			return t.append(parent, value)
		}
		at := d.Offset(d.Index(parent, i))
		return t.splice(at, at, append(slices.Clip(value), ','))
	case jsontape.None, jsontape.Null, jsontape.False, jsontape.True, jsontape.Number, jsontape.String:
	}
	return fault.Unprocessable("%s is %s, which nothing can be added to", path[:len(path)-1], d.Kind(parent))
}

func remove(t *target, path pointer) error {
	if len(path) == 0 {
		return fault.Unprocessable("the whole document can't be removed")
	}
	parent, err := path.find(t.doc, len(path)-1)
	if err != nil {
		return err
	}
	n, err := path.find(t.doc, len(path))
	if err != nil {
		return err
	}
	return t.remove(parent, n)
}
