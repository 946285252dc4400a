package records

import (
	"strconv"
	"strings"

	"ward/internal/base/fault"
	"ward/internal/format/jsontape"
)

// maxEntries is the most entries that a batch or transaction may have.
const maxEntries = 10_000

// bundle is a batch or a transaction as it was sent.
type bundle struct {
	doc     *jsontape.Doc
	atomic  bool // a transaction
	entries []bundleEntry
}

// bundleEntry is one Bundle.entry. Its resource aliases the bundle's bytes.
type bundleEntry struct {
	index           int
	fullURL         string
	method, url     string
	ifMatch         string
	ifNoneMatch     string
	ifModifiedSince string
	ifNoneExist     string
	node            jsontape.Node // the resource; Invalid when there is none
	resource        []byte
	problems        []fault.Detail
}

// at is the FHIRPath of the entry, for errors.
func (e *bundleEntry) at() string { return entryPath(e.index) }

func entryPath(index int) string { return "Bundle.entry[" + strconv.Itoa(index) + "]" }

// readBundle reads a batch or transaction. The bytes must stay as they are while the bundle is in use.
//
// Errors: Invalid with every problem of its form, TooLarge for too many entries.
func (s *Service) readBundle(json []byte) (*bundle, error) {
	doc := new(jsontape.Doc)
	if err := s.parseResource(doc, json); err != nil {
		return nil, err
	}
	root := doc.Root()
	if typ := doc.Text(doc.Get(root, "resourceType")); typ != "Bundle" {
		return nil, fault.Invalid("the base takes a Bundle, not a %s: POST a single resource to [base]/[type]", printable(typ))
	}
	b := &bundle{doc: doc}
	switch kind := doc.Text(doc.Get(root, "type")); kind {
	case "transaction":
		b.atomic = true
	case "batch":
	default:
		return nil, fault.Invalid("Bundle.type is %q: the base takes a batch or a transaction", printableOr(kind, "missing")).
			Detail(problem("value", "Bundle.type", "must be batch or transaction", doc, doc.Get(root, "type")))
	}
	if problems := s.unknownMembers(nil, doc, root, "Bundle", "Bundle"); len(problems) > 0 {
		return nil, fault.Invalid("the bundle has members that no Bundle has").Detail(problems...)
	}
	list := doc.Get(root, "entry")
	if list == jsontape.Invalid {
		return b, nil
	}
	if doc.Kind(list) != jsontape.Array {
		return nil, fault.Invalid("Bundle.entry must be an array").
			Detail(problem("structure", "Bundle.entry", "must be an array", doc, list))
	}
	if n := doc.Len(list); n > maxEntries {
		return nil, fault.TooLarge("the bundle has %d entries; a batch or transaction may have %d: send it in parts", n, maxEntries)
	}
	b.entries = make([]bundleEntry, 0, doc.Len(list))
	var problems []fault.Detail
	for n := doc.First(list); n != jsontape.Invalid; n = doc.Next(n) {
		e := bundleEntry{index: len(b.entries), node: jsontape.Invalid}
		e.problems = e.read(doc, n)
		e.problems = s.unknownMembers(e.problems, doc, n, "Bundle.entry", e.at())
		e.problems = s.unknownMembers(e.problems, doc, doc.Get(n, "request"), "Bundle.entry.request", e.at()+".request")
		problems = append(problems, e.problems...)
		b.entries = append(b.entries, e)
	}
	if len(problems) > 0 && b.atomic {
		return nil, fault.Invalid("the transaction is not well formed").Detail(problems...)
	}
	return b, nil
}

// read fills the entry from its node and lists what is wrong with it.
func (e *bundleEntry) read(doc *jsontape.Doc, n jsontape.Node) (problems []fault.Detail) {
	if doc.Kind(n) != jsontape.Object {
		return []fault.Detail{problem("structure", e.at(), "an entry must be an object", doc, n)}
	}
	text := func(obj jsontape.Node, key, path string) string {
		v := doc.Get(obj, key)
		if v == jsontape.Invalid {
			return ""
		}
		if doc.Kind(v) != jsontape.String {
			problems = append(problems, problem("value", e.at()+"."+path, "must be a string", doc, v))
			return ""
		}
		return doc.Text(v)
	}
	e.fullURL = text(n, "fullUrl", "fullUrl")
	if r := doc.Get(n, "resource"); r != jsontape.Invalid {
		if doc.Kind(r) == jsontape.Object {
			e.node, e.resource = r, doc.Raw(r)
		} else {
			problems = append(problems, problem("structure", e.at()+".resource", "must be an object", doc, r))
		}
	}
	request := doc.Get(n, "request")
	if doc.Kind(request) != jsontape.Object {
		return append(problems, problem("required", e.at()+".request", "each entry needs a request with method and url", doc, n))
	}
	e.method = text(request, "method", "request.method")
	e.url = text(request, "url", "request.url")
	e.ifMatch = text(request, "ifMatch", "request.ifMatch")
	e.ifNoneMatch = text(request, "ifNoneMatch", "request.ifNoneMatch")
	e.ifModifiedSince = text(request, "ifModifiedSince", "request.ifModifiedSince")
	e.ifNoneExist = strings.TrimPrefix(text(request, "ifNoneExist", "request.ifNoneExist"), "?")
	switch e.method {
	case "GET", "HEAD", "DELETE":
	case "POST", "PUT", "PATCH":
		if e.node == jsontape.Invalid {
			problems = append(problems, problem("required", e.at()+".resource", "a "+e.method+" needs a resource", doc, n))
		}
	default:
		problems = append(problems, problem("value", e.at()+".request.method",
			"must be GET, HEAD, POST, PUT, PATCH or DELETE", doc, doc.Get(request, "method")))
	}
	if e.url == "" && e.method != "GET" && e.method != "HEAD" {
		problems = append(problems, problem("required", e.at()+".request.url", "must say what the request is for", doc, request))
	}
	return problems
}

// unknownMembers adds a problem for each member that the type does not have: a misspelt one would be passed over in
// silence, and with it what it asks for.
func (s *Service) unknownMembers(problems []fault.Detail, doc *jsontape.Doc, n jsontape.Node, typ, path string) []fault.Detail {
	t := s.definitions.Type(typ)
	for m := doc.First(n); m != jsontape.Invalid && doc.Kind(n) == jsontape.Object; m = doc.Next(m) {
		key := doc.Key(m)
		if t.Element(key) == nil && string(key) != "resourceType" {
			problems = append(problems, problem("structure", path, "has no member "+strconv.Quote(printable(string(key))), doc, m))
		}
	}
	return problems
}

// problem is an error in the client's JSON at the node's place.
func problem(kind, path, message string, doc *jsontape.Doc, n jsontape.Node) fault.Detail {
	d := fault.Detail{Severity: "error", Kind: kind, Expression: path, Message: path + ": " + message}
	if n != jsontape.Invalid {
		d.Line, d.Column = doc.Position(n)
	}
	return d
}

func printableOr(s, empty string) string {
	if s == "" {
		return empty
	}
	return printable(s)
}
