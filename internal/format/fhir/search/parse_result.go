package search

import (
	"slices"
	"strings"

	"ward/internal/base/fault"
)

// result reads the parameters that say what the answer looks like (search.html#return); is says whether this is one.
func (p *parser) result(pair Pair) (err *problem, is bool) {
	name, modifier, modified := strings.Cut(pair.Name, ":")
	switch name {
	case "_include", "_revinclude":
		return p.include(name, modifier, pair.Value), true
	case "_type":
		return nil, true // read before
	case "_cursor":
		return p.cursor(pair), true
	case "_sort", "_count", "_total", "_summary", "_elements", "_format", "_pretty", "_contained", "_containedType":
	case "_score":
		return unsupportedBecause("results have no score"), true
	default:
		return nil, false
	}
	if modified {
		return wrongModifier(modifier, name, "result", nil), true
	}
	if p.seen[name] {
		return invalid("it is given twice"), true
	}
	p.seen[name] = true
	q := p.query
	switch name {
	case "_sort":
		return p.sort(pair.Value), true
	case "_count":
		n, ok := atoi(pair.Value, p.opt.MaxCount)
		if !ok {
			return invalid("it is a whole number from 0"), true
		}
		q.Count, q.HasCount = n, true
	case "_total":
		i := slices.Index([]string{"", "none", "estimate", "accurate"}, pair.Value)
		if i < 1 {
			return invalid("it is none, estimate or accurate"), true
		}
		q.Total = Total(i) //nolint:gosec // at most 3
	case "_summary":
		if !slices.Contains([]string{"true", "text", "data", "count", "false"}, pair.Value) {
			return invalid("it is true, text, data, count or false"), true
		}
		q.Summary = pair.Value
	case "_elements":
		return p.elements(pair.Value), true
	case "_format":
		q.Format = pair.Value
	case "_pretty":
		if pair.Value != "true" && pair.Value != "false" {
			return invalid("it is true or false"), true
		}
		q.Pretty = pair.Value == "true"
	case "_contained":
		switch pair.Value {
		case "false":
			q.Contained = pair.Value
		case "true", "both":
			return unsupportedBecause("contained resources are not searched; leave _contained out"), true
		default:
			return invalid("it is false, true or both"), true
		}
	case "_containedType":
		if pair.Value != "container" && pair.Value != "contained" {
			return invalid("it is container or contained"), true
		}
	}
	return nil, true
}

func (p *parser) cursor(pair Pair) *problem {
	if p.query.Cursor != "" || pair.Value == "" || len(pair.Value) > maxValueBytes {
		return invalid("it is copied once from the link to the next page")
	}
	p.query.Cursor = pair.Value
	return nil
}

func (p *parser) sort(value string) *problem {
	rules := strings.Split(value, ",")
	if len(rules) > maxSortKeys {
		return invalid("it has more than %d rules", maxSortKeys)
	}
	for _, rule := range rules {
		code, desc := strings.CutPrefix(rule, "-")
		k := SortKey{Code: code, Desc: desc, registry: p.registry}
		switch code {
		case "":
			return invalid("a rule is empty; it is a search parameter, with a minus sign before it for descending order")
		case "_id", "_lastUpdated":
		case "_score":
			return unsupportedBecause("results have no score to sort by")
		default:
			param, err := p.param(p.query.Types, code)
			if err != nil {
				return err
			}
			if !param.CanSort() {
				return invalid("nothing can be sorted by %s, a %s parameter", code, param.Type)
			}
			k.Param = param
		}
		p.query.Sort = append(p.query.Sort, k)
	}
	return nil
}

// elements reads names of root elements. Those that no searched type has are refused, since a typing error would hide data.
func (p *parser) elements(value string) *problem {
	types := p.query.Types
	if len(types) == 0 {
		types = p.registry.defs.ResourceTypes()
	}
	for name := range strings.SplitSeq(value, ",") {
		if !slices.ContainsFunc(types, func(t string) bool {
			typ := p.registry.defs.Type(t)
			return typ.Named(name) != nil || typ.Field([]byte(name)) != nil
		}) {
			return invalid("a value is no element of %s", strings.Join(types, ", "))
		}
		if !slices.Contains(p.query.Elements, name) {
			p.query.Elements = append(p.query.Elements, name)
		}
	}
	return nil
}

// include reads "*", "Type:*", "Type:parameter" and "Type:parameter:Target".
func (p *parser) include(name, modifier, value string) *problem {
	in := Include{}
	switch modifier {
	case "":
	case "iterate", "recurse": // the name that it had in earlier versions
		in.Iterate = true
	default:
		return wrongModifier(modifier, name, "result", []string{"iterate"})
	}
	if len(p.query.Include)+len(p.query.RevInclude) >= maxIncludes {
		return tooCostly("a search has at most %d _include and _revinclude", maxIncludes)
	}
	parts := strings.Split(value, ":")
	switch {
	case value == "*":
		in.Code = "*"
	case len(parts) < 2 || len(parts) > 3:
		return invalid("it is written Type:parameter or Type:parameter:Target")
	default:
		if err := p.includeParam(&in, parts); err != nil {
			return err
		}
	}
	if name == "_include" {
		p.query.Include = append(p.query.Include, in)
	} else {
		p.query.RevInclude = append(p.query.RevInclude, in)
	}
	return nil
}

func (p *parser) includeParam(in *Include, parts []string) *problem {
	if !p.registry.defs.IsResource(parts[0]) {
		return invalid("%q is no resource type of FHIR R4", printable(parts[0]))
	}
	in.SourceType, in.Code = parts[0], parts[1]
	if len(parts) == 3 {
		in.Target = parts[2]
		if !p.registry.defs.IsResource(in.Target) {
			return invalid("%q is no resource type of FHIR R4", printable(in.Target))
		}
	}
	if in.Code == "*" {
		return nil
	}
	param, err := p.param([]string{in.SourceType}, in.Code)
	if err != nil {
		return err
	}
	if param.Type != Reference {
		codes := []string{}
		for _, q := range p.registry.Params(in.SourceType) {
			if q.Type == Reference {
				codes = append(codes, q.Code)
			}
		}
		e := invalid("%s of %s is a %s parameter; those of type reference are %s", in.Code, in.SourceType, param.Type, strings.Join(codes, ", "))
		e.code = fault.CodeInvalid
		return e
	}
	if in.Target != "" && !slices.Contains(param.Targets(in.SourceType), in.Target) {
		return invalid("%s of %s never refers to a %s; it refers to %s", in.Code, in.SourceType, in.Target,
			strings.Join(param.Targets(in.SourceType), ", "))
	}
	in.Param = param
	return nil
}
