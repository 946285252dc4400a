package search

import (
	"ward/internal/format/fhir"
	"ward/internal/format/fhir/spec"
	"ward/internal/format/jsontape"
)

// References calls each for every Reference.reference in a resource, contained resources and extensions included: n is the string. Absolute
// references to the server itself are Remote, since no base URL is known here.
func References(doc *jsontape.Doc, resourceType string, each func(n jsontape.Node, ref fhir.Ref)) {
	defs := spec.R4()
	if t := defs.Resource([]byte(resourceType)); t != nil {
		w := referenceWalk{defs: defs, doc: doc, each: each}
		w.object(doc.Root(), t)
	}
}

type referenceWalk struct {
	defs *spec.Definitions
	doc  *jsontape.Doc
	each func(n jsontape.Node, ref fhir.Ref)
}

// object visits the members of an object of type t. Documents are as deep as the parser allows, and no deeper.
func (w *referenceWalk) object(n jsontape.Node, t *spec.Type) {
	for m := w.doc.First(n); m >= 0; m = w.doc.Next(m) {
		key := w.doc.Key(m)
		if len(key) > 1 && key[0] == '_' { // a primitive's extensions
			w.values(m, w.defs.Type("Element"))
			continue
		}
		f := t.Field(key)
		if f == nil || f.Primitive != spec.NotPrimitive || f.Type == nil {
			if f != nil && t.Name == "Reference" && f.Name == "reference" && w.doc.Kind(m) == jsontape.String {
				w.each(m, fhir.ParseReference(w.doc.Text(m), ""))
			}
			continue
		}
		w.values(m, f.Type)
	}
}

func (w *referenceWalk) values(n jsontape.Node, t *spec.Type) {
	switch w.doc.Kind(n) { //nolint:exhaustive // the others hold no references
	case jsontape.Array:
		for e := w.doc.First(n); e >= 0; e = w.doc.Next(e) {
			w.values(e, t)
		}
	case jsontape.Object:
		if t.Name == "Resource" {
			if t = w.defs.Resource(w.doc.Bytes(w.doc.Get(n, "resourceType"))); t == nil {
				return
			}
		}
		w.object(n, t)
	}
}
