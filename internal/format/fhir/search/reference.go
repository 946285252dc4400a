package search

import (
	"ward/internal/format/fhir"
	"ward/internal/format/fhir/spec"
	"ward/internal/format/jsontape"
)

// target is what a reference points at.
type target struct {
	text    []byte // "Type/id" when local, else the URL without version
	typ     string // of a literal reference; "" when it can't be told
	local   bool
	version []byte // of a canonical
}

// readTarget reads the reference at a leaf. ok is false when it points at nothing that can be searched for: contained resources,
// conditions, and what is no reference.
func readTarget(doc *jsontape.Doc, n jsontape.Node, dt datatype, base string) (t target, ok bool) {
	switch dt { //nolint:exhaustive // the datatypes of reference parameters
	case dtReference:
		n = doc.Get(n, "reference")
	case dtResource:
		typ, id := doc.Get(n, "resourceType"), doc.Get(n, "id")
		if typ < 0 || id < 0 {
			return target{}, false
		}
		name := doc.Text(typ)
		return target{text: []byte(name + "/" + doc.Text(id)), typ: name, local: true}, true
	}
	if doc.Kind(n) != jsontape.String {
		return target{}, false
	}
	return parseTarget(doc.Bytes(n), base)
}

func parseTarget(b []byte, base string) (t target, ok bool) {
	if i := plainReference(b); i > 0 {
		if typ := spec.R4().Resource(b[:i]); typ != nil {
			return target{text: b, typ: typ.Name, local: true}, true
		}
	}
	r := fhir.ParseReference(string(b), base)
	switch r.Kind {
	case fhir.Local:
		return target{text: []byte(r.TypeID()), typ: r.Type, local: true}, true
	case fhir.Remote:
		return target{text: []byte(r.Base + "/" + r.TypeID()), typ: r.Type}, true
	case fhir.URN, fhir.Canonical:
		return target{text: []byte(r.URL), version: []byte(r.Version)}, true
	case fhir.NoReference, fhir.Contained, fhir.Conditional:
	}
	return target{}, false
}

// plainReference is the position of the slash in "Type/id"; 0 for every other form.
func plainReference(b []byte) int {
	slash := 0
	for i, c := range b {
		switch {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
		case c == '/':
			if slash > 0 || i == 0 {
				return 0
			}
			slash = i
		case slash > 0 && (c >= '0' && c <= '9' || c == '-' || c == '.'):
		default:
			return 0
		}
	}
	if n := len(b) - slash - 1; n < 1 || n > 64 {
		return 0
	}
	return slash
}

// References calls each for every resource that a reference parameter names in doc: "Patient/1" for relative references, else an
// absolute or canonical URL without version. References to contained resources are left out. See [Registry.References] for
// absolute references to the server itself.
func (p *Param) References(doc *jsontape.Doc, resourceType string, each func(ref string)) {
	p.references(doc, resourceType, "", each)
}

// References is [Param.References] with absolute references below the registry's base as "Patient/1" too.
func (r *Registry) References(p *Param, doc *jsontape.Doc, resourceType string, each func(ref string)) {
	p.references(doc, resourceType, r.base, each)
}

func (p *Param) references(doc *jsontape.Doc, resourceType, base string, each func(ref string)) {
	t := p.byType[resourceType]
	if t == nil || p.Type != Reference {
		return
	}
	for _, b := range t.branches {
		for i := range b.leaves {
			l := &b.leaves[i]
			l.each(doc, doc.Root(), func(n jsontape.Node) bool {
				if ref, ok := readTarget(doc, n, l.dt, base); ok && b.admits(ref) {
					each(string(ref.text))
				}
				return false
			})
		}
	}
}
