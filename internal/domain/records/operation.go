package records

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"ward/internal/base/fault"
	"ward/internal/format/jsontape"
)

// operation is an operation that is offered (FHIR R4 operations.html).
type operation struct {
	code       string
	definition string // canonical URL of its OperationDefinition
	types      []string
	system     bool
	typeLevel  bool
	instance   bool
	get, post  bool
	writes     bool
	run        func(s *Service, ctx context.Context, in *interaction) (answer, error)
}

const coreOperation = "http://hl7.org/fhir/OperationDefinition/"

// operations lists what is offered; routes and the capability statement come from it. types nil means all.
func operations() []operation {
	return []operation{
		{
			code: "validate", definition: coreOperation + "Resource-validate", typeLevel: true, instance: true, post: true,
			run: (*Service).validateOperation,
		},
		{
			code: "everything", definition: coreOperation + "Patient-everything", types: []string{"Patient"}, typeLevel: true, instance: true, get: true, post: true,
			run: (*Service).everything,
		},
		{
			code: "everything", definition: coreOperation + "Encounter-everything", types: []string{"Encounter"}, instance: true, get: true, post: true,
			run: (*Service).everything,
		},
		{
			code: "index-status", definition: "urn:ward:operation:index-status", types: []string{"SearchParameter"}, typeLevel: true, instance: true, get: true,
			run: (*Service).indexStatus,
		},
		{
			code: "meta", definition: coreOperation + "Resource-meta", system: true, typeLevel: true, instance: true, get: true, post: true,
			run: (*Service).metaOperation,
		},
		{
			code: "meta-add", definition: coreOperation + "Resource-meta-add", instance: true, post: true, writes: true,
			run: (*Service).metaChange,
		},
		{
			code: "meta-delete", definition: coreOperation + "Resource-meta-delete", instance: true, post: true, writes: true,
			run: (*Service).metaChange,
		},
	}
}

// readOnly tells whether an operation changes nothing; one that isn't known changes nothing either.
func readOnly(code string) bool {
	return !slices.ContainsFunc(operations(), func(o operation) bool { return o.code == code && o.writes })
}

// operate carries out an operation.
func (s *Service) operate(ctx context.Context, in *interaction) (answer, error) {
	known := false
	for _, o := range operations() {
		if o.code != in.operation {
			continue
		}
		known = true
		level := o.system && in.typ == "" || o.typeLevel && in.typ != "" && in.id == "" || o.instance && in.id != ""
		if !level || o.types != nil && !slices.Contains(o.types, in.typ) {
			continue
		}
		switch {
		case in.method == http.MethodPost && o.post:
		case (in.method == http.MethodGet || in.method == http.MethodHead) && o.get:
		case in.method == http.MethodGet && in.operation == "validate" && in.id != "":
		default:
			return answer{}, fault.MethodNotAllowed("$%s is not offered by %s", o.code, in.method)
		}
		if o.writes && in.inside != nil {
			return answer{}, fault.Invalid("$%s can't be part of a transaction", o.code)
		}
		return o.run(s, ctx, in)
	}
	if known {
		return answer{}, fault.NotFound("$%s is not offered here; the capability statement says where it is", printable(in.operation))
	}
	return answer{}, fault.NotFound("there is no operation $%s; the capability statement lists those that there are", printable(in.operation))
}

// arguments are the parameters of an operation: from the URL, and from a Parameters resource in the body.
type arguments struct {
	doc    *jsontape.Doc
	values map[string][]jsontape.Node // parameter objects
	query  url.Values
	body   []byte // a body that is no Parameters: the resource itself
}

// arguments reads an operation's parameters and refuses those it does not have.
func (s *Service) arguments(in *interaction, names ...string) (*arguments, error) {
	query, err := url.ParseQuery(in.query)
	if err != nil {
		return nil, fault.Invalid("the URL's query is not escaped as it should be")
	}
	a := &arguments{query: query, values: map[string][]jsontape.Node{}}
	for name := range query {
		if !slices.Contains(names, name) && !slices.Contains([]string{"_format", "_pretty", "_summary", "_elements"}, name) {
			return nil, errArgument(in.operation, name, names)
		}
	}
	if in.method != http.MethodPost || len(in.body) == 0 {
		return a, nil
	}
	a.doc = new(jsontape.Doc)
	if err := s.parseResource(a.doc, in.body); err != nil {
		if in.operation == "validate" && a.doc.Root() == jsontape.Invalid {
			a.body = in.body // what is wrong with it is the answer
			return a, nil
		}
		if in.operation == "validate" {
			a.body = in.body
			return a, nil
		}
		return nil, err
	}
	if a.doc.Text(a.doc.Get(a.doc.Root(), "resourceType")) != "Parameters" {
		a.body = in.body
		return a, nil
	}
	list := a.doc.Get(a.doc.Root(), "parameter")
	if list != jsontape.Invalid && a.doc.Kind(list) != jsontape.Array {
		return nil, fault.Invalid("Parameters.parameter must be an array")
	}
	for p := a.doc.First(list); p != jsontape.Invalid; p = a.doc.Next(p) {
		name := a.doc.Text(a.doc.Get(p, "name"))
		if !slices.Contains(names, name) {
			return nil, errArgument(in.operation, name, names)
		}
		a.values[name] = append(a.values[name], p)
	}
	return a, nil
}

func errArgument(code, name string, names []string) error {
	return fault.Invalid("$%s has no parameter %q; it has %s", code, printableOr(name, "(without a name)"), strings.Join(names, ", "))
}

// value is the value[x] of a parameter's first occurrence.
func (a *arguments) value(name string) jsontape.Node {
	for _, p := range a.values[name] {
		return a.valueOf(p)
	}
	return jsontape.Invalid
}

func (a *arguments) valueOf(p jsontape.Node) jsontape.Node {
	for m := a.doc.First(p); m != jsontape.Invalid; m = a.doc.Next(m) {
		if strings.HasPrefix(string(a.doc.Key(m)), "value") {
			return m
		}
	}
	return jsontape.Invalid
}

// text is a parameter's value as it would stand in a URL; empty when it is not given.
func (a *arguments) text(name string) string {
	if list := a.texts(name); len(list) > 0 {
		return list[0]
	}
	return ""
}

// texts are the values of a parameter that may repeat or hold several, separated by commas.
func (a *arguments) texts(name string) []string {
	var list []string
	for _, value := range a.query[name] {
		list = append(list, strings.Split(value, ",")...)
	}
	for _, p := range a.values[name] {
		if n := a.valueOf(p); n != jsontape.Invalid && a.doc.Kind(n) != jsontape.Object && a.doc.Kind(n) != jsontape.Array {
			list = append(list, strings.Split(a.doc.Text(n), ",")...)
		}
	}
	return list
}

// resource is a parameter's resource, nil when it is not given.
func (a *arguments) resource(name string) []byte {
	for _, p := range a.values[name] {
		if r := a.doc.Get(p, "resource"); r != jsontape.Invalid {
			return a.doc.Raw(r)
		}
	}
	return nil
}
