package search

import (
	"errors"
	"slices"
	"strings"

	"ward/internal/base/fault"
	"ward/internal/base/id"
	"ward/internal/format/fhir"
	"ward/internal/format/fhir/spec"
)

// reading is how the values of a parameter or of a composite's part are read.
type reading struct {
	code     string
	typ      ParamType
	modifier Modifier
	leaves   []*leaf
	targets  []string
	target   string // the modifier of subject:Patient
}

func (r *reading) only(dts ...datatype) bool {
	return !slices.ContainsFunc(r.leaves, func(l *leaf) bool { return !slices.Contains(dts, l.dt) })
}

func (r *reading) has(dt datatype) bool {
	return slices.ContainsFunc(r.leaves, func(l *leaf) bool { return l.dt == dt })
}

// read collects what is known about the values at the branches.
func (r *reading) read(branches []*branch) {
	for _, b := range branches {
		for i := range b.leaves {
			r.leaves = append(r.leaves, &b.leaves[i])
		}
	}
}

//nolint:gochecknoglobals // constant table
var modifierNames = map[string]Modifier{
	"missing": ModMissing, "exact": ModExact, "contains": ModContains, "text": ModText, "not": ModNot, "in": ModIn, "not-in": ModNotIn,
	"below": ModBelow, "above": ModAbove, "identifier": ModIdentifier, "of-type": ModOfType,
}

// modifiers are the names of what a parameter takes (search.html#modifiers).
func (r *reading) modifiers() []string {
	switch r.typ {
	case String:
		return []string{"missing", "exact", "contains"}
	case Token:
		names := []string{"missing", "text", "not", "in", "not-in", "below", "above"}
		if r.has(dtIdentifier) {
			names = append(names, "of-type")
		}
		return names
	case Reference:
		names := []string{"missing"}
		if r.has(dtReference) {
			names = append(names, "identifier")
			names = append(names, r.targets...)
		}
		if r.has(dtCanonical) {
			names = append(names, "below")
		}
		return names
	case URI:
		return []string{"missing", "below", "above"}
	case Number, Date, Quantity:
		return []string{"missing"}
	case NoType, Composite, Special:
	}
	return nil
}

func wrongModifier(modifier, code, typ string, supported []string) *problem {
	what := "it supports none"
	if len(supported) > 0 {
		what = "it supports :" + strings.Join(supported, ", :")
	}
	err := invalid("the modifier :%s is not supported by %s, a %s parameter; %s", printable(modifier), code, typ, what)
	err.kind = "not-supported"
	return err
}

// values reads the modifier and values of a clause on the types.
func (p *parser) readValues(c *Clause, types []string, modifier, value string) *problem {
	if len(types) == 0 {
		types = p.registry.defs.ResourceTypes()
	}
	r := reading{code: c.Code, typ: c.Param.Type}
	var groups []group
	for _, t := range types {
		u := c.ParamFor(t).byType[t]
		if u == nil {
			continue
		}
		r.read(u.branches)
		r.targets = append(r.targets, u.targets...)
		groups = append(groups, u.groups...)
	}
	slices.Sort(r.targets)
	r.targets = slices.Compact(r.targets)
	if err := r.modify(c, modifier); err != nil {
		return err
	}
	if c.Modifier == ModMissing {
		switch value {
		case "true", "false":
			c.Missing = value == "true"
			return nil
		}
		return invalid(":missing is true or false")
	}
	texts := split(value, ',')
	if len(texts) > maxAlternatives {
		return invalid("it has more than %d values; search in steps", maxAlternatives)
	}
	if p.values += len(texts); p.values > maxValues {
		return tooCostly("all parameters together have more than %d values; search in steps", maxValues)
	}
	c.Values = make([]Value, len(texts))
	for i, text := range texts {
		var err *problem
		switch {
		case text == "":
			err = invalid("a value between commas is empty")
		case len(text) > maxValueBytes:
			err = invalid("a value has at most %d bytes", maxValueBytes)
		case r.typ == Composite:
			err = p.composite(&c.Values[i], text, groups)
		default:
			err = p.value(&r, &c.Values[i], text)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// modify reads the modifier.
func (r *reading) modify(c *Clause, modifier string) *problem {
	if modifier == "" {
		return nil
	}
	supported := r.modifiers()
	if !slices.Contains(supported, modifier) {
		if r.typ == Reference && (modifier == "above" || modifier == "below") {
			return wrongModifier(modifier, r.code, "reference (hierarchies are not followed)", supported)
		}
		return wrongModifier(modifier, r.code, r.typ.String(), supported)
	}
	m, ok := modifierNames[modifier]
	if !ok {
		r.target = modifier
		return nil
	}
	switch m { //nolint:exhaustive // the others are themselves
	case ModNot:
		m, c.Not = ModNone, true
	case ModNotIn:
		m, c.Not = ModIn, true
	}
	c.Modifier, r.modifier = m, m
	return nil
}

// value reads one alternative.
func (p *parser) value(r *reading, v *Value, text string) *problem {
	v.Text = text
	switch r.typ {
	case Token:
		return p.token(r, v, text)
	case String:
		s, ok := unescape(text)
		if !ok {
			return badEscape()
		}
		v.exact, v.folded = s, fold(nil, []byte(s))
		if len(v.folded) == 0 && r.modifier != ModExact {
			return invalid("a value has no letters or digits to search for; use :exact for punctuation")
		}
		return nil
	case Reference:
		return p.reference(r, v, text)
	case Date:
		return p.date(v, text)
	case Number:
		return p.number(v, text)
	case Quantity:
		return p.quantity(v, text)
	case URI:
		return p.uri(r, v, text)
	case NoType, Composite, Special:
	}
	return invalid("this parameter takes no value")
}

func badEscape() *problem {
	return invalid(`a backslash stands only before a comma, "|", "$" or another backslash`)
}

func (p *parser) date(v *Value, text string) *problem {
	v.compare, text = cutPrefix(text)
	var ok bool
	if v.low, v.high, ok = parseQueryDate(text); !ok {
		return invalid("a date is written 2013, 2013-01, 2013-01-14 or 2013-01-14T10:00:00+02:00, with one of %s before it if need be",
			strings.Join(prefixes[:], ", "))
	}
	if v.compare == ap && !p.opt.Now.IsZero() {
		gap := v.low - p.opt.Now.UnixMicro()
		v.low, v.high = v.low-max(gap, -gap)/10, v.high+max(gap, -gap)/10
	}
	return nil
}

func (p *parser) number(v *Value, text string) *problem {
	v.compare, text = cutPrefix(text)
	n, written, ok := parseDecimal([]byte(text))
	if !ok {
		return invalid("a number is written 100, 5.40 or 5.4e-3, with one of %s before it if need be", strings.Join(prefixes[:], ", "))
	}
	v.number = n
	v.from, v.to = n.precision(written)
	if v.compare == ap {
		tenth := n.tenth()
		low, high := n.sub(tenth), n.add(tenth)
		if low.cmp(v.from) < 0 {
			v.from = low
		}
		if high.cmp(v.to) > 0 {
			v.to = high
		}
	}
	return nil
}

func (p *parser) quantity(v *Value, text string) *problem {
	parts := split(text, '|')
	if len(parts) != 1 && len(parts) != 3 {
		return invalid("a quantity is written number, number||unit or number|system|code")
	}
	if err := p.number(v, parts[0]); err != nil {
		return err
	}
	if len(parts) == 1 {
		return nil
	}
	var ok [2]bool
	v.system, ok[0] = unescape(parts[1])
	v.code, ok[1] = unescape(parts[2])
	if !ok[0] || !ok[1] {
		return badEscape()
	}
	v.hasUnit = v.system != "" || v.code != ""
	if v.system == ucumSystem && v.code != "" {
		v.unit = p.registry.units.Get([]byte(v.code))
	}
	return nil
}

func (p *parser) uri(r *reading, v *Value, text string) *problem {
	if (r.modifier == ModAbove || r.modifier == ModBelow) && isURN(text) {
		return invalid("the modifiers :above and :below apply to URLs, not to URNs")
	}
	return v.canonical(text)
}

// canonical reads a URL with or without "|version".
func (v *Value) canonical(text string) *problem {
	parts := split(text, '|')
	if len(parts) > 2 {
		return invalid(`a canonical URL is written url or url|version; other "|" are escaped with a backslash`)
	}
	var ok bool
	if v.uri, ok = unescape(parts[0]); !ok {
		return badEscape()
	}
	if len(parts) == 2 {
		v.hasVer = true
		if v.version, ok = unescape(parts[1]); !ok {
			return badEscape()
		}
	}
	return nil
}

func (p *parser) reference(r *reading, v *Value, text string) *problem {
	if r.modifier == ModIdentifier {
		return v.token(text)
	}
	if err := v.canonical(text); err != nil {
		return err
	}
	literal := r.has(dtReference) || r.has(dtResource)
	if r.target != "" && id.Valid(v.uri) {
		v.refs = []string{r.target + "/" + v.uri}
		return nil
	}
	t := fhir.ParseReference(v.uri, p.registry.base)
	switch {
	case t.Kind == fhir.Local:
		if r.target != "" && t.Type != r.target {
			return invalid("the value refers to a %s, the modifier says %s", t.Type, r.target)
		}
		v.refs = []string{t.TypeID()}
	case t.Kind == fhir.Remote:
		v.refs = []string{t.Base + "/" + t.TypeID()}
	case t.Kind == fhir.URN, t.Kind == fhir.Canonical:
		v.refs = []string{t.URL}
	case literal && id.Valid(v.uri):
		v.id, v.types = v.uri, r.targets
	case literal:
		return invalid("a reference is written id, Type/id or as an absolute URL")
	}
	if !literal || r.has(dtCanonical) {
		v.refs = append(v.refs, v.uri) // a canonical may be any text
	}
	return nil
}

func (p *parser) composite(v *Value, text string, groups []group) *problem {
	v.Text = text
	texts := split(text, '$')
	if len(groups) == 0 {
		return invalid("this parameter takes no value")
	}
	if want := len(groups[0].parts); len(texts) != want {
		return invalid("a value has %d parts with $ between them", want)
	}
	v.parts = make([]Value, len(texts))
	for k, text := range texts {
		if text == "" {
			return invalid("a part of a value is empty")
		}
		r := reading{code: "this part", typ: groups[0].parts[k].typ}
		for i := range groups {
			r.read(groups[i].parts[k].branches)
		}
		for _, l := range r.leaves {
			r.targets = append(r.targets, l.targets...)
		}
		if len(r.targets) == 0 {
			r.targets = p.registry.defs.ResourceTypes()
		}
		if err := p.value(&r, &v.parts[k], text); err != nil {
			return err
		}
	}
	return nil
}

// problemOf turns an error of the terminology into a problem.
func problemOf(err error) *problem {
	if e, ok := errors.AsType[*fault.Error](err); ok {
		return &problem{code: e.Code, kind: "not-supported", message: e.Message}
	}
	return &problem{code: fault.CodeInternal, kind: "exception", message: "the terminology could not be read"}
}

// expand lists the codes of a value set, or of those above or below a code.
func (p *parser) expand(r *reading, v *Value, text string) *problem {
	if r.modifier != ModIn {
		if err := v.token(text); err != nil {
			return err
		}
	}
	key := chainKey{typ: r.code, rest: string(rune(r.modifier)), value: text}
	if v.codings = p.expanded[key]; v.codings == nil {
		list, err := p.list(r, v, text)
		if err != nil {
			return err
		}
		v.codings = newCodingSet(list)
		p.expanded[key] = v.codings
		if p.codings += len(list); p.codings > maxCodings {
			return tooCostly("its value sets and hierarchies have more than %d codes", maxCodings)
		}
	}
	return nil
}

func (p *parser) list(r *reading, v *Value, text string) ([]spec.Coding, *problem) {
	if r.modifier == ModIn {
		set, ok := unescape(text)
		if !ok {
			return nil, badEscape()
		}
		list, err := p.opt.Terminology.Expand(set)
		if err != nil {
			return nil, problemOf(err)
		}
		return list, nil
	}
	if v.code == "" {
		return nil, invalid("it takes a code, as system|code")
	}
	if r.has(dtMime) && r.modifier == ModBelow {
		return []spec.Coding{{Code: v.code}}, nil
	}
	systems := []string{v.system}
	if v.system == "" {
		systems = r.implied()
		if len(systems) == 0 {
			return nil, invalid("it takes the code with its system, as system|code")
		}
	}
	lookup := p.opt.Terminology.Below
	if r.modifier == ModAbove {
		lookup = p.opt.Terminology.Above
	}
	var list []spec.Coding
	for _, system := range systems {
		codes, err := lookup(system, v.code)
		if err != nil {
			return nil, problemOf(err)
		}
		for _, code := range codes {
			list = append(list, spec.Coding{System: system, Code: code})
		}
	}
	return list, nil
}

// implied are the systems of the codes at the leaves, when they are known.
func (r *reading) implied() []string {
	var all []string
	for _, l := range r.leaves {
		if l.codes == nil || l.dt != dtCode {
			return nil
		}
		all = append(all, l.codes.Systems...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (p *parser) token(r *reading, v *Value, text string) *problem {
	switch r.modifier { //nolint:exhaustive // the others are read as tokens
	case ModIn, ModBelow, ModAbove:
		return p.expand(r, v, text)
	case ModText:
		s, ok := unescape(text)
		if !ok {
			return badEscape()
		}
		if v.folded = fold(nil, []byte(s)); len(v.folded) == 0 {
			return invalid("a value has no letters or digits to search for")
		}
		return nil
	case ModOfType:
		parts := split(text, '|')
		if len(parts) != 3 || parts[0] == "" || parts[1] == "" || parts[2] == "" {
			return invalid(":of-type takes system|code|value, all three")
		}
		for i, to := range []*string{&v.typeSystem, &v.typed, &v.code} {
			var ok bool
			if *to, ok = unescape(parts[i]); !ok {
				return badEscape()
			}
		}
		return nil
	}
	if err := v.token(text); err != nil {
		return err
	}
	if v.hasSystem && r.only(dtContactPoint, dtURI, dtCanonical, dtBoolean) {
		return invalid(`its values have no system, so no "|" is written; escape a "|" that belongs to the value with a backslash`)
	}
	return nil
}

// token reads "code", "system|code", "|code" and "system|".
func (v *Value) token(text string) *problem {
	parts := split(text, '|')
	if len(parts) > 2 {
		return invalid(`a token is written code, system|code, |code or system|; other "|" are escaped with a backslash`)
	}
	var ok bool
	if v.code, ok = unescape(parts[len(parts)-1]); !ok {
		return badEscape()
	}
	if len(parts) == 2 {
		v.hasSystem = true
		if v.system, ok = unescape(parts[0]); !ok {
			return badEscape()
		}
		if v.system == "" && v.code == "" {
			return invalid("a token has a code or a system")
		}
	}
	return nil
}
