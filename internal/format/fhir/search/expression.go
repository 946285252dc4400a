package search

import (
	"fmt"
	"slices"
	"strings"
)

// Expressions are a subset of FHIRPath: unions of paths, with as, ofType, where(element = 'text'),
// where(resolve() is Type), extension('url'), [index] and first(), and the form "path.exists() and path != false".

const (
	maxExpression      = 16 << 10 // bytes; the longest standard one has 3,000
	maxExpressionDepth = 8        // parentheses
	maxBranches        = 400
)

// ExpressionError says where an expression leaves what Ward understands.
type ExpressionError struct {
	Offset  int // in bytes
	Message string
}

// Error is a sentence.
func (e *ExpressionError) Error() string {
	return fmt.Sprintf("the expression is not understood at character %d: %s", e.Offset+1, e.Message)
}

// path is one branch of an expression.
type path struct {
	ops   []op
	truth bool // "path.exists() and path != false": the value is whether it is there and not false
}

type op struct {
	kind  opKind
	name  string // member, type or URL
	value string // what where compares with
	index int
}

type opKind uint8

const (
	opMember    opKind = iota
	opAs               // name is a type
	opWhere            // element name has the text value
	opResolve          // the reference is to a resource of type name
	opExtension        // name is the URL
	opIndex
)

// parseExpression reads an expression into its branches.
func parseExpression(text string) ([]path, error) {
	if len(text) > maxExpression {
		return nil, &ExpressionError{Offset: maxExpression, Message: fmt.Sprintf("it is longer than %d characters", maxExpression)}
	}
	p := expressionParser{text: text}
	p.next()
	all, err := p.union()
	if err == nil && p.tok != "" {
		err = p.fail("unexpected %q", p.tok)
	}
	return all, err
}

// expressionParser is a recursive descent. tok is the current token, "" at the end; quoted marks a string literal.
type expressionParser struct {
	text   string
	at     int // after tok
	start  int // of tok
	tok    string
	quoted bool
	depth  int
}

func (p *expressionParser) fail(format string, args ...any) error {
	return &ExpressionError{Offset: p.start, Message: fmt.Sprintf(format, args...)}
}

func (p *expressionParser) next() {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
	p.start, p.quoted = p.at, false
	if p.at == len(p.text) {
		p.tok = ""
		return
	}
	switch c := p.text[p.at]; {
	case c == '\'':
		end := strings.IndexByte(p.text[p.at+1:], '\'')
		if end < 0 {
			p.tok, p.at = p.text[p.at:], len(p.text)
			return
		}
		p.tok, p.quoted = p.text[p.at+1:p.at+1+end], true
		p.at += end + 2
	case letter(c) || c == '%':
		for p.at++; p.at < len(p.text) && (letter(p.text[p.at]) || digit(p.text[p.at])); {
			p.at++
		}
		p.tok = p.text[p.start:p.at]
	case digit(c):
		for p.at++; p.at < len(p.text) && digit(p.text[p.at]); {
			p.at++
		}
		p.tok = p.text[p.start:p.at]
	case c == '!' && strings.HasPrefix(p.text[p.at:], "!="):
		p.tok = "!="
		p.at += 2
	default:
		p.tok = p.text[p.at : p.at+1]
		p.at++
	}
}

func letter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' }
func digit(c byte) bool  { return c >= '0' && c <= '9' }

// is says whether the current token is this symbol or word, not a string of the same text.
func (p *expressionParser) is(s string) bool { return !p.quoted && p.tok == s }

func (p *expressionParser) take(s string) error {
	if !p.is(s) {
		return p.fail("%q was expected", s)
	}
	p.next()
	return nil
}

func (p *expressionParser) name() (string, error) {
	if p.quoted || p.tok == "" || !letter(p.tok[0]) && p.tok[0] != '%' {
		return "", p.fail("a name was expected")
	}
	s := p.tok
	p.next()
	return s, nil
}

func (p *expressionParser) union() ([]path, error) {
	var all []path
	for {
		some, err := p.term()
		if err != nil {
			return nil, err
		}
		if all = append(all, some...); len(all) > maxBranches {
			return nil, p.fail("it has more than %d branches", maxBranches)
		}
		if !p.is("|") {
			return all, nil
		}
		p.next()
	}
}

// term is a path, or something in parentheses and the path that goes on from there; then perhaps "as Type" or "and … != false".
func (p *expressionParser) term() ([]path, error) {
	var heads []path
	if p.is("(") {
		if p.depth++; p.depth > maxExpressionDepth {
			return nil, p.fail("parentheses nest deeper than %d", maxExpressionDepth)
		}
		p.next()
		var err error
		if heads, err = p.union(); err != nil {
			return nil, err
		}
		if err = p.take(")"); err != nil {
			return nil, err
		}
		p.depth--
	} else {
		first, err := p.name()
		if err != nil {
			return nil, err
		}
		heads = []path{{ops: []op{{kind: opMember, name: first}}}}
	}
	tail, exists, err := p.tail()
	if err != nil {
		return nil, err
	}
	for i := range heads {
		heads[i].ops = append(slices.Clip(heads[i].ops), tail...)
	}
	switch {
	case p.is("as"):
		p.next()
		name, err := p.typeName()
		if err != nil {
			return nil, err
		}
		for i := range heads {
			heads[i].ops = append(heads[i].ops, op{kind: opAs, name: name})
		}
	case exists && p.is("and"):
		if err := p.notFalse(heads); err != nil {
			return nil, err
		}
	case exists:
		return nil, p.fail("exists() is understood only in \"path.exists() and path != false\"")
	}
	return heads, nil
}

// notFalse reads "and path != false" after "path.exists()".
func (p *expressionParser) notFalse(heads []path) error {
	p.next()
	at := p.start
	again, err := p.term()
	if err != nil {
		return err
	}
	if len(heads) != 1 || len(again) != 1 || canonicalPath(heads[0].ops) != canonicalPath(again[0].ops) {
		p.start = at
		return p.fail("the same path as before \"and\" was expected")
	}
	if err := p.take("!="); err != nil {
		return err
	}
	heads[0].truth = true
	return p.take("false")
}

// tail reads ".name", ".function(...)" and "[n]" as often as they come.
func (p *expressionParser) tail() (ops []op, exists bool, err error) {
	for {
		switch {
		case p.is("["):
			p.next()
			n := 0
			if p.tok == "" || p.quoted || !digit(p.tok[0]) || len(p.tok) > 4 {
				return nil, false, p.fail("an index up to 9999 was expected")
			}
			for i := range len(p.tok) {
				n = n*10 + int(p.tok[i]-'0')
			}
			p.next()
			if err = p.take("]"); err != nil {
				return nil, false, err
			}
			ops = append(ops, op{kind: opIndex, index: n})
		case p.is("."):
			p.next()
			name, err := p.name()
			if err != nil {
				return nil, false, err
			}
			if !p.is("(") {
				ops = append(ops, op{kind: opMember, name: name})
				continue
			}
			p.next()
			if name == "exists" {
				return ops, true, p.take(")")
			}
			call, err := p.call(name)
			if err != nil {
				return nil, false, err
			}
			ops = append(ops, call...)
		default:
			return ops, false, nil
		}
	}
}

// call reads a function's arguments up to the closing parenthesis.
func (p *expressionParser) call(name string) ([]op, error) {
	var ops []op
	switch name {
	case "as", "ofType":
		typ, err := p.typeName()
		if err != nil {
			return nil, err
		}
		ops = []op{{kind: opAs, name: typ}}
	case "first":
		ops = []op{{kind: opIndex}}
	case "extension":
		if !p.quoted {
			return nil, p.fail("extension needs a URL in quotes")
		}
		ops = []op{{kind: opExtension, name: p.tok}}
		p.next()
	case "where":
		for {
			o, err := p.condition()
			if err != nil {
				return nil, err
			}
			ops = append(ops, o)
			if !p.is("and") {
				break
			}
			p.next()
		}
	default:
		return nil, p.fail("the function %s() is not supported; as, ofType, first, extension, where and exists are", name)
	}
	return ops, p.take(")")
}

// condition reads "element = 'text'" or "resolve() is Type".
func (p *expressionParser) condition() (op, error) {
	name, err := p.name()
	if err != nil {
		return op{}, err
	}
	if name == "resolve" {
		if err := p.take("("); err != nil {
			return op{}, err
		}
		if err := p.take(")"); err != nil {
			return op{}, err
		}
		if err := p.take("is"); err != nil {
			return op{}, err
		}
		typ, err := p.typeName()
		return op{kind: opResolve, name: typ}, err
	}
	if err := p.take("="); err != nil {
		return op{}, err
	}
	if !p.quoted && !p.is("true") && !p.is("false") {
		return op{}, p.fail("where compares an element with a text in quotes, true or false")
	}
	o := op{kind: opWhere, name: name, value: p.tok}
	p.next()
	return o, nil
}

// typeName reads a type, with or without the prefix "FHIR.".
func (p *expressionParser) typeName() (string, error) {
	name, err := p.name()
	if err == nil && name == "FHIR" && p.is(".") {
		p.next()
		name, err = p.name()
	}
	return name, err
}

// canonicalPath writes what an atom is about: the path without its conditions, and without the resource type.
func canonicalPath(ops []op) string {
	var b strings.Builder
	for i, o := range ops {
		switch o.kind {
		case opMember:
			if i == 0 {
				continue
			}
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(o.name)
		case opAs:
			fmt.Fprintf(&b, ".as(%s)", o.name)
		case opIndex:
			fmt.Fprintf(&b, "[%d]", o.index)
		case opExtension:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			fmt.Fprintf(&b, "extension('%s')", o.name)
		case opWhere, opResolve:
		}
	}
	return b.String()
}
