package search

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"

	"ward/internal/format/ucum"
)

const (
	maxRanges         = 4096 // more are no help to an index
	maxExpandedRanges = 1000 // codes of a value set
)

// Ranges is where the postings of every resource that matches the clause are: in at least one of the ranges. exact means that a posting
// there (for which Holds is true) belongs to a resource that matches, so that Match need not be asked. nil stands for a clause that
// postings can't answer (:missing, :not, :text, and kinds that the store decides); an empty list that is not nil for one that nothing
// matches.
func (c *Clause) Ranges(resourceType string) (ranges []Range, exact bool) {
	if c.Kind != KindValue || c.Not || c.Modifier == ModMissing {
		return nil, false
	}
	p := c.ParamFor(resourceType)
	if p == nil || p.byType[resourceType] == nil {
		return []Range{}, true
	}
	t := p.byType[resourceType]
	w := ranger{modifier: c.Modifier, base: c.registry.base, all: []Range{}, exact: true}
	if p.Type == Composite {
		return w.composite(t, c.Values)
	}
	if !w.branches(p.Type, t.branches, c.Values) {
		return nil, false
	}
	return w.all, w.exact
}

// RangesTo is where the postings of resources are that refer to target ("Patient/1", or an absolute URL) by a reference parameter; exact as
// with Clause.Ranges. nil when the parameter has no postings on the type.
func (p *Param) RangesTo(resourceType, target string) (ranges []Range, exact bool) {
	t := p.byType[resourceType]
	if t == nil || p.Type != Reference {
		return nil, false
	}
	w := ranger{all: []Range{}, exact: true}
	if !w.branches(Reference, t.branches, []Value{{refs: []string{target}}}) {
		return nil, false
	}
	return w.all, w.exact
}

// ranger collects the ranges of a clause.
type ranger struct {
	modifier Modifier
	base     string
	all      []Range
	exact    bool
	charts   int // atoms of the chart that the clause reads
}

func (w *ranger) add(r Range) { w.all = append(w.all, r) }

func (w *ranger) addEq(a *Atom, key []byte) { w.add(Range{Atom: a.ID, Lo: key, Eq: true}) }

func (w *ranger) addPrefix(a *Atom, prefix []byte) {
	w.add(Range{Atom: a.ID, Lo: prefix, Hi: successor(prefix)})
}

// formed says of what the keys of the ranges from one on are made, where that is not said yet.
func (w *ranger) formed(from int, f Form) {
	for i := from; i < len(w.all); i++ {
		if w.all[i].Form == FormOrdered {
			w.all[i].Form = f
		}
	}
}

// branches adds the ranges of all branches and values, and says whether postings can answer.
func (w *ranger) branches(typ ParamType, branches []*branch, values []Value) bool {
	for _, b := range branches {
		if b.atom == nil {
			return false
		}
		w.exact = w.exact && !b.filtered
		if b.atom.Chart {
			w.charts++
		}
	}
	if len(values) > 0 && len(values)*max(1, len(values[0].types)) > maxRanges {
		return false
	}
	for _, b := range branches {
		for i := range values {
			if !w.value(typ, b, &values[i]) || len(w.all) > maxRanges {
				return false
			}
		}
	}
	return true
}

func (w *ranger) value(typ ParamType, b *branch, v *Value) bool {
	switch typ {
	case Token:
		return w.token(b, v)
	case String:
		return w.text(b, v)
	case Reference:
		return w.reference(b, v)
	case Date:
		w.date(b.atom, v)
	case Number:
		w.number(b.atom, v, nil)
		w.exact = false
	case Quantity:
		w.quantity(b.atom, v)
		w.exact = false
	case URI:
		return w.uri(b.atom, v)
	case NoType, Composite, Special:
		return false
	}
	return true
}

func (w *ranger) token(b *branch, v *Value) bool {
	defer w.formed(len(w.all), FormToken)
	switch w.modifier { //nolint:exhaustive // the others compare codes
	case ModText:
		return false
	case ModOfType:
		if b.extra != nil {
			w.add(Range{Atom: b.extra.ID, Lo: ofTypeKey(nil, []byte(v.typeSystem), []byte(v.typed), []byte(v.code)), Eq: true, Form: FormTyped})
		}
		return true
	}
	if v.codings != nil {
		return w.codings(b, v)
	}
	key := tokenKey(nil, nil, []byte(v.code))
	switch {
	case !v.hasSystem:
		if b.systemless() {
			w.addEq(b.atom, key)
		} else {
			w.addPrefix(b.atom, key)
		}
	case v.code == "": // "system|"
		r := Range{Atom: b.atom.ID, breadth: whole}
		if !b.implies(v.system) {
			r.Suffix = appendShort(nil, []byte(v.system))
		} else {
			w.exact = w.exact && len(b.leaves) == 1
		}
		w.add(r)
	case v.system == "": // "|code"
		w.addEq(b.atom, key)
	default:
		if !b.systemless() {
			w.addEq(b.atom, tokenKey(nil, []byte(v.system), []byte(v.code)))
		}
		if b.implies(v.system) {
			w.addEq(b.atom, key)
			w.exact = w.exact && len(b.leaves) == 1
		}
	}
	return true
}

// systemless says whether none of the branch's tokens can have a system.
func (b *branch) systemless() bool {
	return !slices.ContainsFunc(b.leaves, func(l leaf) bool {
		return l.dt == dtCoding || l.dt == dtCodeableConcept || l.dt == dtIdentifier
	})
}

func (b *branch) implies(system string) bool {
	return slices.ContainsFunc(b.leaves, func(l leaf) bool { return l.implies(system) })
}

func (w *ranger) codings(b *branch, v *Value) bool {
	mime := slices.ContainsFunc(b.leaves, func(l leaf) bool { return l.dt == dtMime })
	if len(v.codings.list) > maxExpandedRanges || mime && w.modifier == ModBelow {
		return false
	}
	for _, c := range v.codings.list {
		bare := tokenKey(nil, nil, []byte(c.Code))
		switch {
		case b.systemless():
			w.addEq(b.atom, bare)
		case c.System == "":
			w.addPrefix(b.atom, bare)
		default:
			w.addEq(b.atom, tokenKey(nil, []byte(c.System), []byte(c.Code)))
			w.addEq(b.atom, bare)
		}
	}
	return true
}

func (w *ranger) text(b *branch, v *Value) bool {
	switch w.modifier {
	case ModContains:
		w.add(Range{Atom: b.atom.ID, breadth: whole, hold: v, typ: String})
		w.exact = false
	case ModExact:
		if len(v.folded) == 0 { // nothing but punctuation, which has no posting
			return false
		}
		w.addEq(b.atom, stringKey(nil, v.folded))
		w.exact = false
	default:
		w.addPrefix(b.atom, stringKey(nil, v.folded))
		w.exact = w.exact && len(v.folded) <= keptString
	}
	return true
}

func (w *ranger) reference(b *branch, v *Value) bool {
	if w.modifier == ModIdentifier {
		if b.extra != nil {
			of := branch{atom: b.extra, leaves: []leaf{{dt: dtIdentifier}}}
			w.exact = w.exact && b.resolve == ""
			plain := ranger{all: w.all, exact: w.exact}
			ok := plain.token(&of, v)
			w.all, w.exact = plain.all, plain.exact
			return ok
		}
		return true
	}
	w.exact = w.exact && !v.hasVer
	for _, text := range v.refs {
		t, ok := parseTarget([]byte(text), w.base)
		if !ok {
			t = target{text: []byte(text)} // a canonical that is no absolute URL
		}
		t.text = []byte(text)
		w.target(b, t)
	}
	for _, typ := range v.types {
		w.target(b, target{text: []byte(typ + "/" + v.id), typ: typ, local: true})
		if len(w.all) > maxRanges {
			return false
		}
	}
	return true
}

func (w *ranger) target(b *branch, t target) {
	if !b.admits(t) {
		return
	}
	r := Range{Atom: b.atom.ID, Lo: binary.BigEndian.AppendUint64(nil, refHash(t.text)), Eq: true, Form: FormReference}
	if b.atom.Chart && t.local && t.typ == "Patient" {
		r.Chart = true
		w.exact = w.exact && w.charts == b.atom.siblings
	}
	w.add(r)
}

func (w *ranger) uri(a *Atom, v *Value) bool {
	switch w.modifier {
	case ModBelow:
		w.addPrefix(a, []byte(v.uri[:min(len(v.uri), headURI)]))
		w.exact = w.exact && len(v.uri) <= headURI
	case ModAbove:
		w.addEq(a, uriKey(nil, []byte(v.uri)))
		for i := range len(v.uri) {
			if v.uri[i] == '/' && !isURN(v.uri) {
				w.addEq(a, uriKey(nil, []byte(v.uri[:i])))
				if i < len(v.uri)-1 {
					w.addEq(a, uriKey(nil, []byte(v.uri[:i+1])))
				}
			}
		}
	default:
		w.addEq(a, uriKey(nil, []byte(v.uri)))
		w.exact = w.exact && !v.hasVer
	}
	return true
}

// date adds the ranges of both classes: short spans are found by where they begin, long ones need a look at each that begins
// early enough. Range.Holds compares the ends.
func (w *ranger) date(a *Atom, v *Value) {
	class := func(c byte, from, to int64, b breadth) {
		if from >= to {
			return
		}
		r := Range{Atom: a.ID, Lo: []byte{c}, Hi: []byte{c + 1}, breadth: b, hold: v, typ: Date}
		if from > openLow {
			r.Lo = appendInt(r.Lo, from)
		}
		if to < openHigh {
			r.Hi = appendInt([]byte{c}, to)
		}
		w.add(r)
	}
	from, to := v.low, v.high
	early := func(t int64) int64 { // where a short span that reaches t begins at the earliest
		if t < openLow+longSpan {
			return openLow
		}
		return t - longSpan
	}
	switch v.compare {
	case eq:
		class(classShort, from, to, few)
		if to-from > longSpan || to-from < 0 {
			class(classLong, from, to, few)
		}
	case ne:
		class(classShort, openLow, openHigh, whole)
		class(classLong, openLow, openHigh, whole)
	case gt:
		class(classShort, early(to), openHigh, half)
		class(classLong, openLow, openHigh, half)
	case ge:
		class(classShort, min(from, early(to)), openHigh, half)
		class(classLong, openLow, openHigh, half)
	case lt:
		class(classShort, openLow, from, half)
		class(classLong, openLow, from, half)
	case le:
		class(classShort, openLow, to, half)
		class(classLong, openLow, to, half)
	case sa:
		class(classShort, to, openHigh, half)
		class(classLong, to, openHigh, half)
	case eb:
		class(classShort, openLow, from, half)
		class(classLong, openLow, from, half)
	case ap:
		class(classShort, early(from), to, few)
		class(classLong, openLow, to, half)
	}
}

// bounds are the numbers that a comparison may find, as floats, both ends included.
func (v *Value) bounds() (low, high float64, b breadth) {
	switch v.compare {
	case eq, ap:
		return v.from.float(), v.to.float(), few
	case gt, ge, sa:
		return v.number.float(), math.Inf(1), half
	case lt, le, eb:
		return math.Inf(-1), v.number.float(), half
	case ne:
	}
	return math.Inf(-1), math.Inf(1), whole
}

func (w *ranger) number(a *Atom, v *Value, suffix []byte) {
	low, high, b := v.bounds()
	w.floats(a, classPoint, low, high, b, suffix)
	w.add(Range{Atom: a.ID, Lo: []byte{classRange}, Hi: []byte{classRange + 1}, breadth: b})
}

func (w *ranger) floats(a *Atom, class byte, low, high float64, b breadth, suffix []byte) {
	w.add(Range{
		Atom: a.ID, Lo: appendFloat([]byte{class}, low), Hi: successor(appendFloat([]byte{class}, high)), breadth: b, Suffix: suffix,
	})
}

func (w *ranger) quantity(a *Atom, v *Value) {
	if !v.hasUnit || v.system == "" || v.code == "" {
		w.number(a, v, nil)
		return
	}
	w.number(a, v, appendShort(nil, []byte(v.code)))
	if v.unit == nil {
		return
	}
	low, high, b := v.bounds()
	low, high = canonicalBound(v.unit, low, -1), canonicalBound(v.unit, high, 1)
	w.floats(a, classCanonical, low, high, b, appendShort(nil, []byte(v.unit.Dimension())))
	if !v.unit.IsCanonical() {
		w.floats(a, classPoint, low, high, b, appendShort(nil, []byte(v.unit.CanonicalCode())))
	}
}

// canonicalBound converts one end of a range and moves it outward by what floats may be off.
func canonicalBound(u *ucum.Unit, value, sign float64) float64 {
	if math.IsInf(value, 0) {
		return value
	}
	canonical := u.Float(value)
	return canonical + sign*u.Slack(canonical)
}

// composite takes the part whose ranges promise the fewest postings. The others are left to Match.
func (w *ranger) composite(t *typed, values []Value) ([]Range, bool) {
	var best []Range
	score := math.MaxInt
	for k := range t.groups[0].parts {
		one := ranger{base: w.base, all: []Range{}}
		ok := true
		for i := range t.groups {
			p := &t.groups[i].parts[k]
			for n := range values {
				ok = ok && one.branches(p.typ, p.branches, values[n].parts[k:k+1])
			}
		}
		if !ok {
			continue
		}
		if s := cost(one.all); s < score {
			best, score = one.all, s
		}
	}
	return best, false
}

// cost ranks lists of ranges: single keys are best, then few, then halves.
func cost(ranges []Range) int {
	sum := 0
	for i := range ranges {
		switch r := &ranges[i]; {
		case r.Eq:
			sum++
		case r.breadth == few && !bytes.Equal(r.Lo, []byte{classRange}):
			sum += 10
		case r.breadth == half:
			sum += 10_000
		case r.breadth == whole:
			sum += 1_000_000
		}
	}
	return sum
}
