package search

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"ward/internal/format/jsontape"
	"ward/internal/format/ucum"
)

// Match says whether a resource of the type matches the clause, which must be of KindValue. A type that does not have the parameter
// never matches.
func (c *Clause) Match(doc *jsontape.Doc, resourceType string) bool {
	p := c.ParamFor(resourceType)
	if p == nil {
		return false
	}
	t := p.byType[resourceType]
	if t == nil {
		return false
	}
	m := matcher{clause: c, doc: doc, registry: c.registry, modifier: c.Modifier}
	root := doc.Root()
	switch {
	case c.Modifier == ModMissing:
		return m.present(t, root) != c.Missing
	case p.Type == Composite:
		return m.composite(t, root) != c.Not
	}
	m.branches = t.branches
	return m.any(p.Type, t.branches, root, c.Values) != c.Not
}

// MatchUpdated says whether a resource last updated at that time matches a clause of KindUpdated.
func (c *Clause) MatchUpdated(at time.Time) bool {
	us := at.UnixMicro()
	for _, s := range c.Spans {
		if s.Low <= us && us < s.High {
			return true
		}
	}
	return false
}

type matcher struct {
	clause   *Clause
	doc      *jsontape.Doc
	registry *Registry
	modifier Modifier
	branches []*branch
}

// present says whether the resource has a value for the parameter, even one that can't be compared.
func (m *matcher) present(t *typed, root jsontape.Node) bool {
	for _, b := range t.branches {
		for i := range b.leaves {
			l := &b.leaves[i]
			if l.each(m.doc, root, func(n jsontape.Node) bool {
				if b.resolve == "" {
					return true
				}
				ref, ok := readTarget(m.doc, n, l.dt, m.registry.base)
				return ok && b.admits(ref)
			}) {
				return true
			}
		}
	}
	return false
}

// any says whether a value at any of the branches matches any of the values.
func (m *matcher) any(typ ParamType, branches []*branch, root jsontape.Node, values []Value) bool {
	for _, b := range branches {
		if b.truth {
			if m.truth(b, root, values) {
				return true
			}
			continue
		}
		for i := range b.leaves {
			l := &b.leaves[i]
			if l.each(m.doc, root, func(n jsontape.Node) bool {
				for k := range values {
					if m.value(typ, b, l, n, &values[k]) {
						return true
					}
				}
				return false
			}) {
				return true
			}
		}
	}
	return false
}

func (m *matcher) truth(b *branch, root jsontape.Node, values []Value) bool {
	code := []byte("false")
	if b.truthOf(m.doc, root) {
		code = []byte("true")
	}
	for i := range values {
		if m.isToken(&b.leaves[0], &values[i], nil, code) {
			return true
		}
	}
	return false
}

func (m *matcher) value(typ ParamType, b *branch, l *leaf, n jsontape.Node, v *Value) bool {
	switch typ {
	case Token:
		return m.token(l, n, v)
	case String:
		return m.text(l, n, v)
	case Reference:
		return m.reference(b, l, n, v)
	case Date:
		low, high, ok := span(m.doc, n, l.dt)
		return ok && v.compare.compareSpans(low, high, v.low, v.high)
	case Number, Quantity:
		return m.amount(l, n, v)
	case URI:
		return m.uri(l, n, v)
	case NoType, Composite, Special:
	}
	return false
}

func (m *matcher) token(l *leaf, n jsontape.Node, v *Value) bool {
	switch m.modifier { //nolint:exhaustive // the others compare codes
	case ModText:
		return eachText(m.doc, n, l.dt, func(text []byte) bool {
			var buf [128]byte
			return bytes.HasPrefix(fold(buf[:0], text), v.folded)
		})
	case ModOfType:
		return l.dt == dtIdentifier && eachOfType(m.doc, n, func(system, code, value []byte) bool {
			return string(system) == v.typeSystem && equalCode(code, v.typed) && equalCode(value, v.code)
		})
	}
	return eachToken(m.doc, n, l.dt, func(system, code []byte) bool { return m.isToken(l, v, system, code) })
}

// isToken compares a system and code in a resource with those of a query (search.html#token).
func (m *matcher) isToken(l *leaf, v *Value, system, code []byte) bool {
	if v.codings != nil {
		return len(code) > 0 && v.codings.has(system, code) || m.modifier == ModBelow && l.dt == dtMime && isBelowMime(code, v.code)
	}
	switch {
	case !v.hasSystem:
		return equalCode(code, v.code)
	case v.code == "": // "system|"
		return string(system) == v.system || len(system) == 0 && l.implies(v.system)
	case v.system == "": // "|code"
		return len(system) == 0 && equalCode(code, v.code)
	case len(system) == 0:
		return equalCode(code, v.code) && l.implies(v.system)
	default:
		return equalCode(code, v.code) && string(system) == v.system
	}
}

// implies says whether values without a system, such as codes, belong to that system.
func (l *leaf) implies(system string) bool {
	switch l.dt { //nolint:exhaustive // only these have a system that is not written
	case dtCode:
		if l.codes == nil {
			return true // the value set can't be listed, so nothing speaks against it
		}
		if slices.Contains(l.codes.Systems, system) {
			return true
		}
	case dtMime:
		return system == "urn:ietf:bcp:13"
	case dtBoolean:
		return system == "http://hl7.org/fhir/special-values" || system == "http://terminology.hl7.org/CodeSystem/special-values"
	}
	return false
}

// equalCode compares without case.
func equalCode(code []byte, want string) bool {
	if string(code) == want {
		return true
	}
	var a, b [64]byte
	return bytes.Equal(foldCode(a[:0], code), foldCode(b[:0], []byte(want)))
}

// isBelowMime compares media types without their parameters (search.html#mimetype).
func isBelowMime(code []byte, want string) bool {
	head, _, _ := strings.Cut(string(code), ";")
	return strings.EqualFold(strings.TrimSpace(head), want) ||
		!strings.Contains(want, "/") && len(head) > len(want) && head[len(want)] == '/' && strings.EqualFold(head[:len(want)], want)
}

func (m *matcher) text(l *leaf, n jsontape.Node, v *Value) bool {
	return eachString(m.doc, n, l, func(text []byte, wordy bool) bool {
		if m.modifier == ModExact {
			return string(text) == v.exact
		}
		var buf [128]byte
		folded := fold(buf[:0], text)
		if m.modifier == ModContains {
			return bytes.Contains(folded, v.folded)
		}
		return beginnings(folded, wordy, func(b []byte) bool { return bytes.HasPrefix(b, v.folded) })
	})
}

func (m *matcher) reference(b *branch, l *leaf, n jsontape.Node, v *Value) bool {
	if m.modifier == ModIdentifier {
		return l.dt == dtReference && m.identifier(b, n, v)
	}
	t, ok := readTarget(m.doc, n, l.dt, m.registry.base)
	if !ok || !b.admits(t) {
		return false
	}
	if !slices.ContainsFunc(v.refs, func(want string) bool { return want == string(t.text) }) && !v.isID(t) {
		return false
	}
	switch {
	case !v.hasVer:
		return true
	case m.modifier == ModBelow:
		return strings.HasPrefix(string(t.version), v.version)
	default:
		return string(t.version) == v.version
	}
}

// isID says whether the value is an id without type, and the target is a local resource with that id of a type it may be.
func (v *Value) isID(t target) bool {
	return v.id != "" && t.local && len(t.text) == len(t.typ)+1+len(v.id) && string(t.text[len(t.typ)+1:]) == v.id && slices.Contains(v.types, t.typ)
}

// identifier compares Reference.identifier. A reference without a type that could tell is taken to resolve to any.
func (m *matcher) identifier(b *branch, n jsontape.Node, v *Value) bool {
	id := m.doc.Get(n, "identifier")
	if id < 0 {
		return false
	}
	if b.resolve != "" {
		t, ok := readTarget(m.doc, n, dtReference, m.registry.base)
		switch typ := m.doc.Bytes(m.doc.Get(n, "type")); {
		case ok && t.typ != "" && t.typ != b.resolve:
			return false
		case len(typ) > 0 && string(typ) != b.resolve:
			return false
		}
	}
	l := leaf{dt: dtIdentifier}
	return eachToken(m.doc, id, dtIdentifier, func(system, code []byte) bool { return m.isToken(&l, v, system, code) })
}

func (m *matcher) amount(l *leaf, n jsontape.Node, v *Value) bool {
	a, ok := readAmount(m.doc, n, l.dt)
	if !ok {
		return false
	}
	if !v.hasUnit {
		return v.compareAmount(&a, decimal.cmp)
	}
	if v.system == "" { // "||unit": by code or by what is shown
		return (string(a.code) == v.code || string(a.unit) == v.code) && v.compareAmount(&a, decimal.cmp)
	}
	if string(a.system) == v.system && (string(a.code) == v.code || v.code == "") {
		return v.compareAmount(&a, decimal.cmp)
	}
	if v.unit == nil || string(a.system) != ucumSystem {
		return false
	}
	u := m.registry.units.Get(a.code)
	if u == nil || u.Dimension() != v.unit.Dimension() {
		return false
	}
	return v.compareAmount(&a, func(x, y decimal) int { return compareUnits(x, u, y, v.unit) })
}

// compareUnits compares two numbers in their units, exactly: by floats when those are far enough apart, else by fractions.
func compareUnits(x decimal, xu *ucum.Unit, y decimal, yu *ucum.Unit) int {
	fx, fy := xu.Float(x.float()), yu.Float(y.float())
	if slack := xu.Slack(fx) + yu.Slack(fy); fx < fy-slack {
		return -1
	} else if fx > fy+slack {
		return 1
	}
	return xu.Canonical(x.rat()).Cmp(yu.Canonical(y.rat()))
}

func (m *matcher) uri(l *leaf, n jsontape.Node, v *Value) bool {
	raw := m.doc.Bytes(n)
	uri := canonicalURL(raw, l.dt)
	switch m.modifier { //nolint:exhaustive // the others are not for URIs
	case ModBelow:
		return len(v.uri) > 0 && strings.HasPrefix(string(uri), v.uri)
	case ModAbove:
		return isAbove(string(uri), v.uri)
	}
	if string(uri) == v.uri {
		return !v.hasVer || string(m.version(l, raw)) == v.version
	}
	return false
}

// version is the business version beside a canonical URL: what follows its "|", or the version of the resource whose URL it is.
func (m *matcher) version(l *leaf, raw []byte) []byte {
	if l.dt == dtCanonical {
		_, version, _ := bytes.Cut(raw, []byte("|"))
		return version
	}
	return m.doc.Bytes(m.doc.Get(m.doc.Root(), "version"))
}

// isAbove says whether stored is the URI or one that it lies below, segment by segment. URNs have no segments.
func isAbove(stored, uri string) bool {
	rest, ok := strings.CutPrefix(uri, stored)
	if !ok || stored == "" {
		return false
	}
	return rest == "" || !isURN(uri) && (rest[0] == '/' || strings.HasSuffix(stored, "/"))
}

func isURN(uri string) bool { return len(uri) > 4 && strings.EqualFold(uri[:4], "urn:") }

// composite says whether one element matches all parts of any of the values (search.html#composite).
func (m *matcher) composite(t *typed, root jsontape.Node) bool {
	for i := range t.groups {
		g := &t.groups[i]
		if eachStep(m.doc, root, g.steps, func(n jsontape.Node) bool {
			for k := range m.clause.Values {
				if m.parts(g, root, n, m.clause.Values[k].parts) {
					return true
				}
			}
			return false
		}) {
			return true
		}
	}
	return false
}

func (m *matcher) parts(g *group, root, n jsontape.Node, values []Value) bool {
	for i := range g.parts {
		p := &g.parts[i]
		from := n
		if p.root {
			from = root
		}
		if !m.any(p.typ, p.branches, from, values[i:i+1]) {
			return false
		}
	}
	return true
}
