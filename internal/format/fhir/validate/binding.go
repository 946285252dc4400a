package validate

import (
	"strconv"
	"strings"

	"ward/internal/format/fhir/spec"
	"ward/internal/format/jsontape"
)

// code checks a code against the value set that it is bound to.
func (r *run) code(n jsontape.Node, code []byte, f *spec.Field) {
	b := f.Element.Binding
	if b == nil || b.Codes == nil || b.Codes.Has(code) {
		return
	}
	r.report(n, kindCode, f.Name+" must be "+listCodes(b.Codes))
}

// maxListed is how many codes a sentence names.
const maxListed = 24

// listCodes finishes the sentence "x must be ...".
func listCodes(s *spec.CodeSet) string {
	if len(s.Codes) > maxListed {
		return "one of the " + strconv.Itoa(len(s.Codes)) + " codes of " + s.ValueSet
	}
	return "one of " + strings.Join(s.Codes, ", ")
}

// binding checks a Coding, or that one at least of a CodeableConcept's codings is among the codes.
func (r *run) binding(n jsontape.Node, f *spec.Field, codes *spec.CodeSet) {
	doc := r.doc
	if f.Type == r.v.coding {
		if !r.codingIn(n, codes) {
			r.report(n, kindCode, f.Name+" must be "+listCodings(codes))
		}
		return
	}
	list := doc.Get(n, "coding")
	if list < 0 && doc.Get(n, "extension") >= 0 {
		return // an extension says why there is no code
	}
	for c := doc.First(list); c >= 0; c = doc.Next(c) {
		if r.codingIn(c, codes) {
			return
		}
	}
	r.report(n, kindCode, f.Name+" must have a coding that is "+listCodings(codes))
}

func listCodings(s *spec.CodeSet) string {
	if len(s.Systems) == 1 {
		return listCodes(s) + " with system " + s.Systems[0]
	}
	return listCodes(s) + " with its system"
}

func (r *run) codingIn(n jsontape.Node, codes *spec.CodeSet) bool {
	system, code := r.doc.Get(n, "system"), r.doc.Get(n, "code")
	return code >= 0 && codes.HasCoding(r.doc.Bytes(system), r.doc.Bytes(code))
}
