package fhirpath

import (
	"strconv"

	"ward/internal/base/fault"
	"ward/internal/format/fhir/spec"
	"ward/internal/format/jsontape"
)

// maxSteps is how many items one evaluation may look at.
const maxSteps = 2_000_000

// Eval evaluates the expression on the resource at n, which has its own resourceType. Errors are fault.Invalid, or
// fault.TooCostly when it would take too long.
func (e *Expression) Eval(doc *jsontape.Doc, n jsontape.Node) ([]Item, error) {
	t := spec.R4().Resource(doc.Bytes(doc.Get(n, "resourceType")))
	if t == nil {
		return nil, fault.Invalid("FHIRPath: there is no resource to evaluate the expression on")
	}
	ev := &evaluator{doc: doc, src: e.src}
	ev.root = Item{Node: n, Ext: jsontape.Invalid, Parent: jsontape.Invalid, Index: -1, Type: t}
	return ev.eval(e.root, scope{this: []Item{ev.root}, outermost: true})
}

// EvalBool evaluates a condition: false when the result is empty.
func (e *Expression) EvalBool(doc *jsontape.Doc, n jsontape.Node) (bool, error) {
	items, err := e.Eval(doc, n)
	if err != nil {
		return false, err
	}
	ev := &evaluator{doc: doc, src: e.src}
	b, err := ev.truth(e.root, items)
	return b == yes, err
}

type evaluator struct {
	doc   *jsontape.Doc
	src   string
	root  Item
	steps int
}

// scope is what $this and $index mean.
type scope struct {
	this      []Item
	index     int
	outermost bool // the name of the resource's type may start a path
}

func (e *evaluator) fail(n *node, format string, args ...any) *fault.Error {
	return fail(e.src, n.at, format, args...)
}

func (e *evaluator) spend(steps int) error {
	if e.steps += steps; e.steps > maxSteps {
		return fault.TooCostly("FHIRPath: the expression takes too many steps on this resource; make it narrower")
	}
	return nil
}

func (e *evaluator) eval(n *node, s scope) ([]Item, error) {
	if err := e.spend(1); err != nil {
		return nil, err
	}
	switch n.op {
	case opLiteral:
		return []Item{literalItem(n.lit.kind, n.lit.text)}, nil
	case opEmpty:
		return nil, nil
	case opThis:
		return s.this, nil
	case opCounter:
		return []Item{literalItem(numberScalar, strconv.Itoa(s.index))}, nil
	case opResource:
		return []Item{e.root}, nil
	case opBinary:
		return e.binary(n, s)
	case opMember, opCall, opIndex, opType:
	}
	input := s.this
	if n.left != nil {
		var err error
		if input, err = e.eval(n.left, s); err != nil {
			return nil, err
		}
	}
	switch n.op { //nolint:exhaustive // the others are done above
	case opMember:
		if n.left == nil {
			if items, ok, err := e.typeRoot(n, s); ok || err != nil {
				return items, err
			}
		}
		return e.member(n, input)
	case opIndex:
		return e.index(n, input, s)
	case opType:
		return e.types(n, input)
	}
	f, _ := functionOf(n.name)
	return f.call(e, n, input, s)
}

// typeRoot is the resource itself, when an expression starts with the name of its type.
func (e *evaluator) typeRoot(n *node, s scope) (items []Item, ok bool, err error) {
	t := spec.R4().Type(n.name)
	if t == nil || t.Kind != spec.ResourceKind || len(s.this) != 1 || s.this[0].Type == nil {
		return nil, false, nil
	}
	if e.isType(&s.this[0], n.name) {
		return s.this, true, nil
	}
	if s.outermost {
		return nil, false, e.fail(n, "the path starts with %s, but the resource is of type %s", n.name, e.root.Type.Name)
	}
	return nil, false, nil
}

func (e *evaluator) index(n *node, input []Item, s scope) ([]Item, error) {
	items, err := e.eval(n.args[0], scope{this: s.this, index: s.index, outermost: s.outermost})
	if err != nil {
		return nil, err
	}
	i, ok := e.integer(items)
	if !ok {
		return nil, e.fail(n, "an index must be a whole number")
	}
	if i < 0 || i >= len(input) {
		return nil, nil
	}
	return input[i : i+1 : i+1], nil
}

func (e *evaluator) integer(items []Item) (int, bool) {
	if len(items) != 1 {
		return 0, false
	}
	v := e.scalar(&items[0])
	if v.kind != numberScalar {
		return 0, false
	}
	i, err := strconv.Atoi(string(v.text))
	return i, err == nil
}

func (e *evaluator) types(n *node, input []Item) ([]Item, error) {
	if n.name == "ofType" {
		return e.filter(input, func(i *Item) (bool, error) { return e.isType(i, n.typ), nil })
	}
	if len(input) == 0 {
		return nil, nil
	}
	if len(input) > 1 {
		return nil, e.fail(n, "%s needs a single item, found %d; use ofType or an index", n.name, len(input))
	}
	is := e.isType(&input[0], n.typ)
	if n.name == "is" {
		return []Item{boolean(is)}, nil
	}
	if is {
		return input, nil
	}
	return nil, nil
}

func (e *evaluator) filter(input []Item, keep func(*Item) (bool, error)) ([]Item, error) {
	var out []Item
	if err := e.spend(len(input)); err != nil {
		return nil, err
	}
	for i := range input {
		ok, err := keep(&input[i])
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, input[i])
		}
	}
	return out, nil
}

// logical is a truth value with three states.
type logical uint8

const (
	unknown logical = iota
	no
	yes
)

func logicalOf(b bool) logical {
	if b {
		return yes
	}
	return no
}

func (l logical) items() []Item {
	if l == unknown {
		return nil
	}
	return []Item{boolean(l == yes)}
}

// truth is what a collection means as a condition (FHIRPath N1 §4.5).
func (e *evaluator) truth(n *node, items []Item) (logical, error) {
	switch len(items) {
	case 0:
		return unknown, nil
	case 1:
		if v := e.scalar(&items[0]); v.kind == boolScalar {
			return logicalOf(string(v.text) == "true"), nil
		}
		return yes, nil
	}
	return unknown, e.fail(n, "a condition needs a single value, found %d", len(items))
}

func (e *evaluator) binary(n *node, s scope) ([]Item, error) {
	left, err := e.eval(n.left, s)
	if err != nil {
		return nil, err
	}
	right, err := e.eval(n.args[0], s)
	if err != nil {
		return nil, err
	}
	switch n.name {
	case "and", "or", "xor", "implies":
		a, err := e.truth(n.left, left)
		if err != nil {
			return nil, err
		}
		b, err := e.truth(n.args[0], right)
		if err != nil {
			return nil, err
		}
		return combine(n.name, a, b).items(), nil
	case "=", "!=":
		result, err := e.equalCollections(left, right)
		if n.name == "!=" && result != unknown {
			result = yes + no - result
		}
		return result.items(), err
	case "|":
		return e.union(left, right)
	case "in":
		return e.membership(n, left, right)
	case "contains":
		return e.membership(n, right, left)
	}
	return e.compare(n, left, right)
}

// combine is the table of the logical operators (FHIRPath N1 §6.5).
func combine(operator string, a, b logical) logical {
	switch operator {
	case "and":
		switch {
		case a == no || b == no:
			return no
		case a == yes && b == yes:
			return yes
		}
	case "or":
		switch {
		case a == yes || b == yes:
			return yes
		case a == no && b == no:
			return no
		}
	case "xor":
		if a != unknown && b != unknown {
			return logicalOf(a != b)
		}
	case "implies":
		switch {
		case a == no || b == yes:
			return yes
		case a == yes && b == no:
			return no
		}
	}
	return unknown
}

func (e *evaluator) equalCollections(left, right []Item) (logical, error) {
	if len(left) == 0 || len(right) == 0 {
		return unknown, nil
	}
	if len(left) != len(right) {
		return no, nil
	}
	if err := e.spend(len(left)); err != nil {
		return unknown, err
	}
	result := yes
	for i := range left {
		if err := e.spendOn(&left[i]); err != nil {
			return unknown, err
		}
		same, known := e.equal(&left[i], &right[i])
		switch {
		case !known:
			result = unknown
		case !same:
			return no, nil
		}
	}
	return result, nil
}

// spendOn pays for comparing an item with everything in it.
func (e *evaluator) spendOn(i *Item) error {
	return e.spend((e.doc.End(i.Node) - e.doc.Offset(i.Node)) / 16)
}

func (e *evaluator) union(left, right []Item) ([]Item, error) {
	var out []Item
	for _, side := range [][]Item{left, right} {
		for i := range side {
			found, err := e.has(out, &side[i])
			if err != nil {
				return nil, err
			}
			if !found {
				out = append(out, side[i])
			}
		}
	}
	return out, nil
}

func (e *evaluator) has(items []Item, item *Item) (bool, error) {
	for i := range items {
		if err := e.spend(1); err != nil {
			return false, err
		}
		if err := e.spendOn(item); err != nil {
			return false, err
		}
		if same, known := e.equal(&items[i], item); same && known {
			return true, nil
		}
	}
	return false, nil
}

func (e *evaluator) membership(n *node, item, items []Item) ([]Item, error) {
	switch len(item) {
	case 0:
		return nil, nil
	case 1:
		found, err := e.has(items, &item[0])
		return []Item{boolean(found)}, err
	}
	return nil, e.fail(n, "%s needs a single item to look for", n.name)
}

func (e *evaluator) compare(n *node, left, right []Item) ([]Item, error) {
	if len(left) == 0 || len(right) == 0 {
		return nil, nil
	}
	if len(left) > 1 || len(right) > 1 {
		return nil, e.fail(n, "%s compares single values", n.name)
	}
	c, known, ordered := order(e.scalar(&left[0]), e.scalar(&right[0]))
	if !ordered {
		return nil, e.fail(n, "%s can't compare values of these types", n.name)
	}
	if !known {
		return nil, nil
	}
	var result bool
	switch n.name {
	case "<":
		result = c < 0
	case ">":
		result = c > 0
	case "<=":
		result = c <= 0
	case ">=":
		result = c >= 0
	}
	return []Item{boolean(result)}, nil
}
