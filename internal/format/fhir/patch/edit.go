package patch

import (
	"errors"

	"ward/internal/base/fault"
	"ward/internal/format/fhir"
	"ward/internal/format/jsontape"
)

const (
	maxWork   = 256 << 20 // bytes that the operations of one patch may go over
	maxResult = 16 << 20  // bytes of the result, unless the document was larger before
)

// target is the document under a patch. Every change makes new bytes and reads them again.
type target struct {
	doc   *jsontape.Doc
	src   []byte
	work  int
	limit int
}

func newTarget(src []byte) (*target, error) {
	t := &target{doc: &jsontape.Doc{}, limit: max(maxResult, len(src))}
	return t, t.set(src)
}

// set makes src the document.
func (t *target) set(src []byte) error {
	if len(src) > t.limit {
		return fault.TooLarge("the patch makes the document larger than %d bytes", t.limit)
	}
	if t.work += len(src); t.work > maxWork {
		return fault.TooCostly("the patch takes too much work on a document of this size; split it")
	}
	t.src = src
	if err := t.doc.Parse(src); err != nil {
		return fhir.SyntaxFault(err)
	}
	return nil
}

// splice puts text in the place of the bytes from, to.
func (t *target) splice(from, to int, text []byte) error {
	out := make([]byte, 0, len(t.src)-(to-from)+len(text))
	out = append(out, t.src[:from]...)
	out = append(out, text...)
	return t.set(append(out, t.src[to:]...))
}

// remove takes a child out of its array or object.
func (t *target) remove(parent, child jsontape.Node) error {
	d := t.doc
	before := jsontape.Invalid
	for c := d.First(parent); c != child; c = d.Next(c) {
		before = c
	}
	switch next := d.Next(child); {
	case next >= 0:
		return t.splice(d.KeyOffset(child), d.KeyOffset(next), nil)
	case before >= 0:
		return t.splice(d.End(before), d.End(child), nil)
	}
	return t.splice(d.Offset(parent)+1, d.End(parent)-1, nil)
}

// append adds an element to an array, or a member to an object when text starts with its key.
func (t *target) append(parent jsontape.Node, text []byte) error {
	if last := t.doc.Last(parent); last >= 0 {
		at := t.doc.End(last)
		return t.splice(at, at, append([]byte{','}, text...))
	}
	at := t.doc.Offset(parent) + 1
	return t.splice(at, t.doc.End(parent)-1, text)
}

// parent is the array or object that n stands in; Invalid for the root.
func (t *target) parent(n jsontape.Node) jsontape.Node {
	d := t.doc
	parent := jsontape.Invalid
	for at := d.Root(); at != n; {
		parent = at
		c := d.First(at)
		for d.End(c) <= d.Offset(n) {
			c = d.Next(c)
		}
		at = c
	}
	return parent
}

// compact is a value without whitespace between its tokens.
func compact(d *jsontape.Doc, n jsontape.Node) []byte {
	if d.Compact() {
		return d.Raw(n)
	}
	return jsontape.AppendCompact(nil, d.Raw(n))
}

// located adds the operation's number, name and place in the patch to an error.
func located(err error, patch *jsontape.Doc, operation jsontape.Node, prefix, expression string) error {
	var f *fault.Error
	if !errors.As(err, &f) {
		return err
	}
	line, column := patch.Position(operation)
	message := prefix + ": " + f.Message
	return (&fault.Error{Code: f.Code, Message: message, Cause: f.Cause}).Detail(fault.Detail{
		Severity: "error", Kind: fhir.IssueType(f.Code), Expression: expression, Message: message, Line: line, Column: column,
	})
}
