package search

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"ward/internal/base/fault"
	"ward/internal/base/id"
)

// Limits of a query. Beyond them it is refused: 400, or "too costly" for chains.
const (
	maxPairs        = 200
	maxPairBytes    = 64 << 10 // of one value, all its alternatives
	maxValueBytes   = 4096     // of one alternative
	maxAlternatives = 1000
	maxValues       = 10_000 // of all parameters, chains included
	maxDepth        = 10     // links of a chain
	maxLinks        = 1000   // ways that all chains of a query can go
	maxCodings      = 50_000 // of all value sets and hierarchies of a query
	maxIncludes     = 50
	maxSortKeys     = 10
	maxCount        = 1000
	defaultCount    = 20
)

// Parse reads a query on a resource type, or on all types (or those of _type) when resourceType is empty.
//
// Errors: Invalid, NotImplemented or TooCostly, with one detail for each parameter that is wrong.
func Parse(r *Registry, resourceType string, pairs []Pair, opt Options) (*Query, error) {
	if resourceType != "" && r.plans[resourceType] == nil {
		return nil, fault.Invalid("there is no resource type of that name in FHIR R4")
	}
	if opt.Terminology == nil {
		opt.Terminology = published{r.defs}
	}
	if opt.Base != "" && r.base != strings.TrimSuffix(opt.Base, "/") {
		r = r.At(opt.Base)
	}
	p := parser{registry: r, opt: opt, query: &Query{}, seen: map[string]bool{}, chains: map[chainKey]chained{}, expanded: map[chainKey]*codingSet{}}
	if opt.MaxCount == 0 {
		p.opt.MaxCount = maxCount
	}
	if opt.DefaultCount == 0 {
		p.opt.DefaultCount = defaultCount
	}
	p.query.Count = min(p.opt.DefaultCount, p.opt.MaxCount)
	if resourceType != "" {
		p.query.Types = []string{resourceType}
	}
	if len(pairs) > maxPairs {
		return nil, fault.Invalid("a search has at most %d parameters", maxPairs)
	}
	for _, pair := range pairs {
		if pair.Name == "_type" {
			p.types(resourceType, pair)
		}
	}
	for _, pair := range pairs {
		p.pair(pair)
	}
	if err := p.failure(); err != nil {
		return nil, err
	}
	slices.Sort(p.canonical)
	p.query.Canonical = strings.Join(p.canonical, "&")
	return p.query, nil
}

type parser struct {
	registry  *Registry
	opt       Options
	query     *Query
	problems  []problem
	canonical []string
	seen      map[string]bool // result parameters, which come once
	chains    map[chainKey]chained
	links     int
	expanded  map[chainKey]*codingSet
	codings   int
	values    int
}

// problem is one thing wrong with a query.
type problem struct {
	code    fault.Code
	kind    string // FHIR issue type
	param   string // as in the query, without values
	message string
	unknown bool // there is no such parameter, or it is not supported: what lenient handling ignores
}

func (p *problem) Error() string { return p.message }

func invalid(format string, args ...any) *problem {
	return &problem{code: fault.CodeInvalid, kind: "invalid", message: fmt.Sprintf(format, args...)}
}

func unsupportedBecause(message string) *problem {
	return &problem{code: fault.CodeNotImplemented, kind: "not-supported", message: message}
}

func tooCostly(format string, args ...any) *problem {
	return &problem{code: fault.CodeTooCostly, kind: "too-costly", message: fmt.Sprintf(format, args...)}
}

// failure makes one error of the problems: of the code of the first that is Invalid, else of the first.
func (p *parser) failure() error {
	if len(p.problems) == 0 {
		return nil
	}
	first := p.problems[0]
	for _, q := range p.problems {
		if q.code == fault.CodeInvalid {
			first = q
			break
		}
	}
	err := fault.New(first.code, "%s: %s", first.param, first.message)
	if len(p.problems) > 1 {
		err = fault.New(first.code, "the search has %d problems; the first: %s: %s", len(p.problems), first.param, first.message)
	}
	for _, q := range p.problems {
		err.Details = append(err.Details, fault.Detail{Severity: "error", Kind: q.kind, Message: q.param + ": " + q.message})
	}
	return err
}

// printable bounds what a message repeats of a parameter's name. Values, which may be patient data, are never repeated.
func printable(name string) string {
	const most = 80
	name = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, name)
	if len(name) > most {
		return name[:most] + "…"
	}
	return name
}

func (p *parser) pair(pair Pair) {
	err := p.oneParameter(pair)
	if err == nil {
		return
	}
	err.param = printable(pair.Name)
	if p.opt.Lenient && err.unknown {
		p.query.Ignored = append(p.query.Ignored, err.param+": "+err.message)
		return
	}
	p.problems = append(p.problems, *err)
}

// oneParameter reads a parameter; what is not about the result is a clause.
func (p *parser) oneParameter(pair Pair) *problem {
	if len(pair.Value) > maxPairBytes {
		return invalid("a value has at most %d bytes", maxPairBytes)
	}
	if err, is := p.result(pair); is {
		switch {
		case err != nil || pair.Name == "_cursor":
		case pair.Name == "_count":
			p.keep(pair.Name, strconv.Itoa(p.query.Count))
		case pair.Name == "_type":
			p.keep(pair.Name, strings.Join(p.query.Types, ","))
		default:
			p.keep(pair.Name, pair.Value)
		}
		return err
	}
	if pair.Value == "" {
		return &problem{
			code: fault.CodeInvalid, kind: "invalid", unknown: true,
			message: "it has no value; leave the parameter out to search without it",
		}
	}
	c, err := p.clause(p.query.Types, pair.Name, pair.Value, 0)
	if err != nil {
		return err
	}
	p.query.Clauses = append(p.query.Clauses, c)
	p.keep(pair.Name, pair.Value)
	return nil
}

func (p *parser) keep(name, value string) {
	p.canonical = append(p.canonical, url.QueryEscape(name)+"="+url.QueryEscape(value))
}

// types reads _type, which decides what the other parameters mean.
func (p *parser) types(resourceType string, pair Pair) {
	var list []string
	for t := range strings.SplitSeq(pair.Value, ",") {
		if !p.registry.defs.IsResource(t) {
			p.problems = append(p.problems, problem{
				code: fault.CodeInvalid, kind: "value", param: "_type", message: "a value is no resource type of FHIR R4",
			})
			return
		}
		list = append(list, t)
	}
	slices.Sort(list)
	list = slices.Compact(list)
	if resourceType != "" && !slices.Equal(list, p.query.Types) {
		p.problems = append(p.problems, problem{
			code: fault.CodeInvalid, kind: "value", param: "_type", message: "a search on one resource type can't ask for another",
		})
		return
	}
	p.query.Types = list
}

// clause reads a condition on resources of the types; none means all types. name may be a chain or _has.
func (p *parser) clause(types []string, name, value string, depth int) (*Clause, *problem) {
	if depth > maxDepth {
		return nil, tooCostly("it is chained more than %d deep; search in steps", maxDepth)
	}
	if strings.HasPrefix(name, "_has:") {
		return p.has(types, name, value, depth)
	}
	head, rest, isChain := strings.Cut(name, ".")
	code, modifier, _ := strings.Cut(head, ":")
	switch code {
	case "_list":
		return p.lists(code, modifier, value, isChain)
	case "_filter":
		return nil, &problem{
			code: fault.CodeNotImplemented, kind: "not-supported", unknown: true,
			message: "filter expressions (_filter) are not supported; use parameters and modifiers",
		}
	}
	param, err := p.param(types, code)
	if err != nil {
		return nil, err
	}
	c := &Clause{Code: code, Param: param, registry: p.registry}
	switch {
	case isChain:
		return c, p.chain(c, types, modifier, rest, value, depth)
	case code == "_id":
		return c, p.ids(c, modifier, value)
	case code == "_lastUpdated":
		return c, p.updated(c, modifier, value)
	}
	return c, p.readValues(c, types, modifier, value)
}

// param finds a parameter that all types have.
func (p *parser) param(types []string, code string) (*Param, *problem) {
	all := types
	if len(all) == 0 {
		all = p.registry.defs.ResourceTypes()
	}
	var found *Param
	for _, t := range all {
		q := p.registry.Param(t, code)
		if q == nil {
			return nil, p.unknown(types, t, code)
		}
		if q.Unsupported != "" {
			return nil, &problem{code: fault.CodeNotImplemented, kind: "not-supported", unknown: true, message: q.Unsupported}
		}
		if found == nil {
			found = q
		} else if found.Type != q.Type {
			return nil, invalid("it is a %s parameter of %s and a %s parameter of %s; search them one by one", found.Type, all[0], q.Type, t)
		}
	}
	return found, nil
}

func (p *parser) unknown(types []string, t, code string) *problem {
	list := p.registry.Params(t)
	if len(types) == 0 {
		list = slices.DeleteFunc(slices.Clone(list), func(q *Param) bool {
			return !slices.Contains(q.Base, "Resource") && !slices.Contains(q.Base, "DomainResource")
		})
		t = "a search on all types"
	}
	codes := make([]string, 0, len(list)+2)
	for _, q := range list {
		if q.Unsupported == "" {
			codes = append(codes, q.Code)
		}
	}
	codes = append(codes, "_has", "_list")
	slices.Sort(codes)
	return &problem{
		code: fault.CodeInvalid, kind: "not-supported", unknown: true,
		message: fmt.Sprintf("%s has no search parameter %q; it supports %s", t, printable(code), strings.Join(codes, ", ")),
	}
}

func (p *parser) ids(c *Clause, modifier, value string) *problem {
	c.Kind = KindID
	switch modifier {
	case "":
	case "not":
		c.Not = true
	default:
		return wrongModifier(modifier, c.Code, "token", []string{"not"})
	}
	for _, text := range split(value, ',') {
		if !id.Valid(text) {
			return invalid("a resource id has 1 to 64 letters, digits, '-' and '.'")
		}
		c.IDs = append(c.IDs, text)
	}
	if len(c.IDs) > maxAlternatives {
		return invalid("it has more than %d values", maxAlternatives)
	}
	return nil
}

func (p *parser) updated(c *Clause, modifier, value string) *problem {
	c.Kind = KindUpdated
	if modifier != "" {
		return wrongModifier(modifier, c.Code, "date", nil)
	}
	texts := split(value, ',')
	if len(texts) > maxAlternatives {
		return invalid("it has more than %d values", maxAlternatives)
	}
	for _, text := range texts {
		v := Value{Text: text}
		if err := p.date(&v, text); err != nil {
			return err
		}
		switch v.compare {
		case eq, ap:
			c.Spans = append(c.Spans, Span{v.low, v.high})
		case ne:
			c.Spans = append(c.Spans, Span{openLow - 1, v.low}, Span{v.high, openHigh})
		case gt, sa:
			c.Spans = append(c.Spans, Span{v.high, openHigh})
		case ge:
			c.Spans = append(c.Spans, Span{v.low, openHigh})
		case lt, eb:
			c.Spans = append(c.Spans, Span{openLow - 1, v.low})
		case le:
			c.Spans = append(c.Spans, Span{openLow - 1, v.high})
		}
	}
	return nil
}

func (p *parser) lists(code, modifier, value string, isChain bool) (*Clause, *problem) {
	if modifier != "" || isChain {
		return nil, invalid("_list takes the id of a List, without modifier or chain")
	}
	c := &Clause{Kind: KindList, Code: code, registry: p.registry}
	for _, text := range split(value, ',') {
		if strings.HasPrefix(text, "$") {
			return nil, unsupportedBecause("functional lists ($current-…) are not supported; name a stored List by its id")
		}
		text = strings.TrimPrefix(text, "List/")
		if !id.Valid(text) {
			return nil, invalid("it takes the id of a List")
		}
		c.IDs = append(c.IDs, text)
	}
	if len(c.IDs) > maxAlternatives {
		return nil, invalid("it has more than %d values", maxAlternatives)
	}
	return c, nil
}

func atoi(text string, most int) (int, bool) {
	for i := range len(text) {
		if !digit(text[i]) {
			return 0, false
		}
	}
	if text == "" {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	if err != nil { // more digits than an int has
		return most, true
	}
	return min(n, most), true
}
