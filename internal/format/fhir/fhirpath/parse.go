package fhirpath

import (
	"strconv"
	"strings"

	"ward/internal/format/fhir/spec"
)

type operation uint8

const (
	opLiteral  operation = iota + 1
	opEmpty              // {}
	opMember             // left.name; without left the name stands first
	opCall               // left.name(args); without left on $this
	opIndex              // left[args[0]]
	opThis               // $this
	opCounter            // $index
	opResource           // %resource, %rootResource, %context
	opType               // left is name, left as name; also is(), as(), ofType(), with name is "is", "as" or "ofType"
	opBinary             // left name args[0]
)

// node is a part of an expression.
type node struct {
	op   operation
	at   int // bytes before it in the source
	name string
	left *node
	args []*node
	lit  literal
	typ  string // of opType
}

// Expression is a parsed expression. It never changes, and many goroutines may use it at once.
type Expression struct {
	src  string
	root *node
}

// String is the source of the expression.
func (e *Expression) String() string { return e.src }

// Parent splits a path that ends with a name: Patient.contact.name is the element "name" of Patient.contact, and name alone
// is that element of the resource. ok is false for all other expressions.
func (e *Expression) Parent() (parent *Expression, name string, ok bool) {
	switch {
	case e.root.op != opMember:
		return nil, "", false
	case e.root.left != nil:
		return &Expression{src: e.src, root: e.root.left}, e.root.name, true
	case spec.R4().Type(e.root.name) != nil:
		return nil, "", false
	}
	return &Expression{src: e.src, root: &node{op: opThis, at: e.root.at}}, e.root.name, true
}

// Parse reads an expression. Errors are fault.Invalid with the position, counted in characters from 1.
func Parse(src string) (*Expression, error) {
	tokens, err := lex(src)
	if err != nil {
		return nil, err
	}
	p := &parser{src: src, tokens: tokens}
	if p.peek().kind == tokenEnd {
		return nil, fail(src, 0, "the expression is empty")
	}
	root, err := p.expression(0, 0)
	if err != nil {
		return nil, err
	}
	if t := p.peek(); t.kind != tokenEnd {
		return nil, fail(src, t.at, "expected an operator, a point or the end here")
	}
	return &Expression{src: src, root: root}, nil
}

type parser struct {
	src    string
	tokens []token
	next   int
}

func (p *parser) peek() token { return p.tokens[p.next] }

func (p *parser) take() token {
	t := p.tokens[p.next]
	if t.kind != tokenEnd {
		p.next++
	}
	return t
}

func (p *parser) symbol(text string) bool {
	if t := p.peek(); t.kind == tokenSymbol && t.text == text {
		p.next++
		return true
	}
	return false
}

// strength is how tightly a binary operator binds, 0 when the token is none (FHIRPath N1 §8).
func strength(t token) int {
	if t.quoted || t.kind != tokenSymbol && t.kind != tokenName {
		return 0
	}
	switch t.text {
	case "implies":
		return 1
	case "or", "xor":
		return 2
	case "and":
		return 3
	case "in", "contains":
		return 4
	case "=", "!=", "~", "!~":
		return 5
	case "<", ">", "<=", ">=":
		return 6
	case "|":
		return 7
	case "is", "as":
		return 8
	case "+", "-", "&":
		return 9
	case "*", "/", "div", "mod":
		return 10
	}
	return 0
}

func (p *parser) expression(least, depth int) (*node, error) {
	if depth > maxDepth {
		return nil, fail(p.src, p.peek().at, "the expression is nested too deeply")
	}
	left, err := p.term(depth)
	if err != nil {
		return nil, err
	}
	for {
		t := p.peek()
		s := strength(t)
		if s == 0 || s <= least {
			return left, nil
		}
		p.take()
		switch {
		case s >= 9 || t.text == "~" || t.text == "!~":
			return nil, fail(p.src, t.at, "the operator %s is not supported here", t.text)
		case s == 8:
			name, err := p.typeName()
			if err != nil {
				return nil, err
			}
			left = &node{op: opType, at: t.at, name: t.text, left: left, typ: name}
		default:
			right, err := p.expression(s, depth+1)
			if err != nil {
				return nil, err
			}
			left = &node{op: opBinary, at: t.at, name: t.text, left: left, args: []*node{right}}
		}
	}
}

// term reads an operand with the invocations and indexers that follow it.
func (p *parser) term(depth int) (*node, error) {
	n, err := p.primary(depth)
	for err == nil {
		at := p.peek().at
		switch {
		case p.symbol("."):
			t := p.take()
			if t.kind == tokenVariable || t.kind != tokenName {
				return nil, fail(p.src, t.at, "expected a name after the point")
			}
			n, err = p.invocation(n, t, depth)
		case p.symbol("["):
			var index *node
			if index, err = p.expression(0, depth+1); err != nil {
				return nil, err
			}
			if !p.symbol("]") {
				return nil, fail(p.src, p.peek().at, "expected ']'")
			}
			n = &node{op: opIndex, at: at, left: n, args: []*node{index}}
		default:
			return n, nil
		}
	}
	return nil, err
}

func (p *parser) primary(depth int) (*node, error) {
	t := p.take()
	switch t.kind {
	case tokenName:
		if !t.quoted && (t.text == "true" || t.text == "false") {
			return &node{op: opLiteral, at: t.at, lit: literal{kind: boolScalar, text: t.text}}, nil
		}
		return p.invocation(nil, t, depth)
	case tokenString, tokenNumber, tokenDate, tokenTime:
		if q := p.peek(); t.kind == tokenNumber && (q.kind == tokenString || q.kind == tokenName && calendarUnit(q.text)) {
			return nil, fail(p.src, t.at, "quantities are not supported here")
		}
		return &node{op: opLiteral, at: t.at, lit: literal{kind: kindOf(t.kind), text: t.text}}, nil
	case tokenVariable:
		if t.text == "index" {
			return &node{op: opCounter, at: t.at}, nil
		}
		return &node{op: opThis, at: t.at}, nil
	case tokenConstant:
		return &node{op: opResource, at: t.at}, nil
	case tokenSymbol:
		return p.primarySymbol(t, depth)
	case tokenEnd:
	}
	return nil, fail(p.src, t.at, "the expression ends where an operand is expected")
}

func (p *parser) primarySymbol(t token, depth int) (*node, error) {
	switch t.text {
	case "(":
		n, err := p.expression(0, depth+1)
		if err == nil && !p.symbol(")") {
			err = fail(p.src, p.peek().at, "expected ')'")
		}
		return n, err
	case "{":
		if !p.symbol("}") {
			return nil, fail(p.src, p.peek().at, "expected '}': only the empty collection is written with braces")
		}
		return &node{op: opEmpty, at: t.at}, nil
	case "+", "-":
		number := p.take()
		if number.kind != tokenNumber {
			return nil, fail(p.src, t.at, "a sign stands before a number only")
		}
		text := number.text
		if t.text == "-" {
			text = "-" + text
		}
		return &node{op: opLiteral, at: t.at, lit: literal{kind: numberScalar, text: text}}, nil
	}
	return nil, fail(p.src, t.at, "expected an operand here")
}

func calendarUnit(name string) bool {
	switch strings.TrimSuffix(name, "s") {
	case "year", "month", "week", "day", "hour", "minute", "second", "millisecond":
		return true
	}
	return false
}

// invocation reads what follows the name of an element or function.
func (p *parser) invocation(left *node, t token, depth int) (*node, error) {
	if t.quoted || !p.symbol("(") {
		return &node{op: opMember, at: t.at, name: t.text, left: left}, nil
	}
	f, known := functionOf(t.text)
	if !known {
		return nil, fail(p.src, t.at, "the function %s() is not supported here", t.text)
	}
	if f.types {
		name, err := p.typeName()
		if err != nil {
			return nil, err
		}
		if !p.symbol(")") {
			return nil, fail(p.src, p.peek().at, "expected ')'")
		}
		return &node{op: opType, at: t.at, name: t.text, left: left, typ: name}, nil
	}
	n := &node{op: opCall, at: t.at, name: t.text, left: left}
	for !p.symbol(")") {
		if len(n.args) > 0 && !p.symbol(",") {
			return nil, fail(p.src, p.peek().at, "expected ',' or ')'")
		}
		arg, err := p.expression(0, depth+1)
		if err != nil {
			return nil, err
		}
		n.args = append(n.args, arg)
	}
	if len(n.args) < f.least || len(n.args) > f.most {
		want := strconv.Itoa(f.least)
		if f.most > f.least {
			want += " or " + strconv.Itoa(f.most)
		}
		return nil, fail(p.src, t.at, "%s() takes %s argument(s), not %d", t.text, want, len(n.args))
	}
	return n, nil
}

// typeName reads Quantity, FHIR.Quantity or System.String and gives the name of a type of the specification.
func (p *parser) typeName() (string, error) {
	t := p.take()
	if t.kind != tokenName {
		return "", fail(p.src, t.at, "expected the name of a type")
	}
	name := t.text
	if (name == "FHIR" || name == "System") && p.symbol(".") {
		of := p.take()
		if of.kind != tokenName {
			return "", fail(p.src, of.at, "expected the name of a type")
		}
		if name == "System" {
			return p.systemType(of)
		}
		name = of.text
	}
	if spec.R4().Type(name) != nil {
		return name, nil
	}
	return p.systemType(token{text: name, at: t.at})
}

func (p *parser) systemType(t token) (string, error) {
	switch t.text {
	case "Boolean", "String", "Integer", "Decimal", "Date", "DateTime", "Time":
		return "System." + t.text, nil
	}
	return "", fail(p.src, t.at, "FHIR R4 has no type of this name")
}
