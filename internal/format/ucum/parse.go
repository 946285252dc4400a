package ucum

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"sync"
)

const (
	maxCode     = 128 // bytes
	maxExponent = 24
	maxDepth    = 8
)

// SyntaxError says why a text is no unit.
type SyntaxError struct {
	Offset  int // in bytes
	Message string
}

// Error is a sentence. It does not repeat the text.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("not a UCUM unit: %s at character %d", e.Message, e.Offset+1)
}

// Parse reads a unit in UCUM's case-sensitive form, such as "mm[Hg]" or "mL/min/{1.73_m2}". The error is a *SyntaxError.
func Parse(code string) (*Unit, error) {
	u, err := parseBase(code)
	if err != nil {
		return nil, err
	}
	u.finish(canonicals()[u.dimension])
	return u, nil
}

//nolint:gochecknoglobals // constant: the parsed table of canonical units
var canonicals = sync.OnceValue(func() map[string]*Unit {
	m := make(map[string]*Unit, len(preferred))
	for _, code := range preferred {
		u, err := parseBase(code)
		if err != nil {
			panic("ucum: canonical unit " + code + ": " + err.Error()) // a constant of this package, tested
		}
		if m[u.dimension] == nil {
			m[u.dimension] = u
		}
	}
	return m
})

func parseBase(code string) (*Unit, error) {
	if len(code) > maxCode {
		return nil, &SyntaxError{Offset: maxCode, Message: "a code has at most " + strconv.Itoa(maxCode) + " characters"}
	}
	p := parser{text: code, atoms: atoms()}
	m, err := p.main()
	if err != nil {
		return nil, err
	}
	if m.offset != nil && m.offset.Sign() == 0 {
		m.offset = nil
	}
	return &Unit{code: code, dimension: m.name(), factor: m.factor, offset: m.offset}, nil
}

// parser is a recursive descent over the grammar of UCUM §2.
type parser struct {
	text  string
	at    int
	depth int
	atoms map[string]*atom
}

func (p *parser) fail(format string, args ...any) error {
	return &SyntaxError{Offset: p.at, Message: fmt.Sprintf(format, args...)}
}

func (p *parser) peek() byte {
	if p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0
}

// main reads the whole text: a term, or "/" and a term.
func (p *parser) main() (measure, error) {
	if p.text == "" {
		return measure{}, p.fail("it is empty")
	}
	m, err := p.term(p.peek() == '/')
	if err == nil && p.at < len(p.text) {
		err = p.fail("unexpected %q", p.text[p.at])
	}
	return m, err
}

// term reads components joined by "." and "/", from left to right.
func (p *parser) term(leadingSlash bool) (measure, error) {
	m, exp := one(), 1
	if leadingSlash {
		p.at++
		exp = -1
	}
	for first := true; ; first = false {
		start := p.at
		c, err := p.component()
		if err != nil {
			return m, err
		}
		if first && exp == 1 {
			m = c
		} else {
			var ok bool
			if m, ok = m.times(c, exp); !ok {
				p.at = start
				return m, p.fail("this unit can't be multiplied or divided")
			}
		}
		switch p.peek() {
		case '.':
			exp = 1
		case '/':
			exp = -1
		default:
			return m, nil
		}
		p.at++
	}
}

// component reads a unit with its exponent and annotation, a number, an annotation or a term in parentheses.
func (p *parser) component() (measure, error) {
	m := one()
	switch c := p.peek(); c {
	case 0:
		return m, p.fail("a unit is missing")
	case '{':
		return m, p.annotation()
	case '(':
		if p.depth++; p.depth > maxDepth {
			return m, p.fail("parentheses nest deeper than %d", maxDepth)
		}
		p.at++
		m, err := p.term(p.peek() == '/')
		if err != nil {
			return m, err
		}
		if p.peek() != ')' {
			return m, p.fail("a closing parenthesis is missing")
		}
		p.at++
		p.depth--
		return m, p.annotation()
	}
	m, err := p.simple()
	if err != nil {
		return m, err
	}
	return m, p.annotation()
}

func (p *parser) annotation() error {
	if p.peek() != '{' {
		return nil
	}
	end := strings.IndexByte(p.text[p.at:], '}')
	if end < 0 {
		return p.fail("a closing brace is missing")
	}
	p.at += end + 1
	return nil
}

// simple reads an atom with its prefix and exponent, or a whole number.
func (p *parser) simple() (measure, error) {
	start := p.at
	if c := p.peek(); c >= '0' && c <= '9' && !strings.HasPrefix(p.text[p.at:], "10*") && !strings.HasPrefix(p.text[p.at:], "10^") {
		n, err := p.digits(18)
		if err != nil || n == 0 {
			p.at = start
			return measure{}, p.fail("a whole number above 0 of at most 18 digits was expected")
		}
		m := one()
		m.factor.SetInt64(n)
		return m, nil
	}
	symbol, err := p.symbol()
	if err != nil {
		return measure{}, err
	}
	base, ok := p.resolve(symbol)
	if !ok {
		p.at = start
		return measure{}, p.fail("unknown unit")
	}
	c := p.peek()
	if c != '+' && c != '-' && (c < '0' || c > '9') {
		return base, nil
	}
	sign := int64(1)
	if c == '+' || c == '-' {
		p.at++
		if c == '-' {
			sign = -1
		}
	}
	n, err := p.digits(2)
	if err != nil || n > maxExponent || n == 0 {
		p.at = start
		return measure{}, p.fail("an exponent from 1 to %d was expected", maxExponent)
	}
	m, ok := one().times(base, int(sign*n))
	if !ok {
		p.at = start
		return measure{}, p.fail("this unit can't have an exponent")
	}
	return m, nil
}

func (p *parser) digits(most int) (int64, error) {
	start := p.at
	for p.at < len(p.text) && p.text[p.at] >= '0' && p.text[p.at] <= '9' {
		p.at++
	}
	if p.at == start || p.at-start > most {
		return 0, p.fail("a number was expected")
	}
	return strconv.ParseInt(p.text[start:p.at], 10, 64)
}

// symbol reads the characters of a unit's symbol; what stands in brackets belongs to it.
func (p *parser) symbol() (string, error) {
	start := p.at
	if strings.HasPrefix(p.text[p.at:], "10*") || strings.HasPrefix(p.text[p.at:], "10^") {
		p.at += 3
		return p.text[start:p.at], nil
	}
	for p.at < len(p.text) {
		c := p.text[p.at]
		if c == '[' {
			end := strings.IndexByte(p.text[p.at:], ']')
			if end < 0 {
				return "", p.fail("a closing bracket is missing")
			}
			p.at += end + 1
			continue
		}
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '%' || c == '\'' || c == '"' || c == '_' {
			p.at++
			continue
		}
		break
	}
	if p.at == start {
		return "", p.fail("a unit was expected")
	}
	return p.text[start:p.at], nil
}

// resolve finds a symbol among the atoms, then as a prefix and a metric atom.
func (p *parser) resolve(symbol string) (measure, bool) {
	if a := p.atoms[symbol]; a != nil {
		return a.measure, true
	}
	for _, f := range prefixes {
		rest, ok := strings.CutPrefix(symbol, f.symbol)
		if !ok {
			continue
		}
		if a := p.atoms[rest]; a != nil && a.metric {
			m := measure{factor: new(big.Rat).Mul(a.factor, ratio(f.value)), dims: a.dims}
			if a.offset != nil {
				m.offset = a.offset
			}
			return m, true
		}
	}
	return measure{}, false
}
