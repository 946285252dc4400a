package search

import (
	"strings"

	"ward/internal/format/fhir/spec"
	"ward/internal/format/ucum"
)

// Value is one of the values of a clause, any of which may match.
type Value struct {
	Text string // as written, with its escapes

	compare comparison

	// token; for of-type code is the identifier's value
	system, code      string
	hasSystem         bool // "system|code" or "|code"
	typeSystem, typed string
	codings           *codingSet // of :in, :not-in, :above and :below

	// string, and token :text
	exact  string
	folded []byte

	// date
	low, high int64

	// number and quantity
	number  decimal
	from    decimal // the precision range, for "ap" the approximate one
	to      decimal
	unit    *ucum.Unit // nil when there is none to convert by
	hasUnit bool

	// reference
	refs    []string // any of these texts, see target.text
	id      string   // or this id of any of the types
	types   []string
	version string
	hasVer  bool

	// uri
	uri string

	parts []Value // of a composite
}

// comparison is a prefix (search.html#prefix).
type comparison uint8

const (
	eq comparison = iota
	ne
	gt
	lt
	ge
	le
	sa
	eb
	ap
)

//nolint:gochecknoglobals // constant table
var prefixes = [...]string{"eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"}

// cutPrefix takes the prefix off a value.
func cutPrefix(text string) (comparison, string) {
	for i, p := range prefixes {
		if rest, ok := strings.CutPrefix(text, p); ok {
			return comparison(i), rest
		}
	}
	return eq, text
}

// compareSpans says whether the time [low, high) in a resource is as the comparison with the time [from, to) in the query wants it.
func (c comparison) compareSpans(low, high, from, to int64) bool {
	switch c {
	case eq:
		return from <= low && high <= to
	case ne:
		return from > low || high > to
	case gt:
		return high > to
	case lt:
		return low < from
	case ge:
		return high > to || from <= low && high <= to
	case le:
		return low < from || from <= low && high <= to
	case sa:
		return low >= to
	case eb:
		return high <= from
	case ap:
		return low < to && high > from
	}
	return false
}

// compareAmount says whether the amount in a resource is as the comparison with v wants it. cmp compares a number of the resource
// with one of the query.
func (v *Value) compareAmount(a *amount, cmp func(inResource, inQuery decimal) int) bool {
	// whether the amount has a value above, at or above, … x
	above := func(x decimal) bool { return a.noHigh || cmp(a.high, x) > 0 }
	atOrAbove := func(x decimal) bool { return above(x) || !a.highOpen && cmp(a.high, x) == 0 }
	below := func(x decimal) bool { return a.noLow || cmp(a.low, x) < 0 }
	atOrBelow := func(x decimal) bool { return below(x) || !a.lowOpen && cmp(a.low, x) == 0 }
	switch v.compare {
	case eq:
		return !below(v.from) && !atOrAbove(v.to)
	case ne:
		return below(v.from) || atOrAbove(v.to)
	case gt:
		return above(v.number)
	case lt:
		return below(v.number)
	case ge:
		return atOrAbove(v.number)
	case le:
		return atOrBelow(v.number)
	case sa:
		return !atOrBelow(v.number)
	case eb:
		return !atOrAbove(v.number)
	case ap:
		return atOrAbove(v.from) && atOrBelow(v.to)
	}
	return false
}

// codingSet is what :in, :not-in, :above and :below were expanded to.
type codingSet struct {
	list []spec.Coding
	pair map[spec.Coding]bool // with codes folded
	bare map[string]bool      // folded codes
}

func newCodingSet(list []spec.Coding) *codingSet {
	s := &codingSet{list: list, pair: make(map[spec.Coding]bool, len(list)), bare: make(map[string]bool, len(list))}
	for _, c := range list {
		code := string(foldCode(nil, []byte(c.Code)))
		s.pair[spec.Coding{System: c.System, Code: code}] = true
		s.bare[code] = true
	}
	return s
}

// has says whether a token is in the set. A token without a system, such as a code element, is taken by its code.
func (s *codingSet) has(system, code []byte) bool {
	var buf [64]byte
	folded := foldCode(buf[:0], code)
	if len(system) == 0 {
		return s.bare[string(folded)]
	}
	return s.pair[spec.Coding{System: string(system), Code: string(folded)}] || s.pair[spec.Coding{Code: string(folded)}]
}
