package validate_test

import (
	"testing"

	"ward/internal/format/fhir/fhirtest"
	"ward/internal/format/fhir/spec"
	"ward/internal/format/fhir/validate"
	"ward/internal/format/jsontape"
)

// TestMutations puts something that can't be right in the place of each value of the small examples, one at a time. Every one of
// these documents must be refused, and none may bring the validator down.
func TestMutations(t *testing.T) {
	t.Parallel()
	v := validate.New(spec.R4())
	var doc, mutant jsontape.Doc
	var text []byte
	count := 0
	for i, e := range fhirtest.Examples(t) {
		if len(e.JSON) > 2000 {
			continue
		}
		if err := doc.Parse(e.JSON); err != nil {
			t.Fatal(err)
		}
		for n := range doc.Nodes() {
			at := jsontape.Node(n)
			for _, wrong := range []string{`null`, `{}`, `[]`, `""`, `[null]`, `{"id":"x"}`, `[[{"x":1}]]`} {
				if key := doc.Key(at); wrong == `{"id":"x"}` && len(key) > 0 && key[0] == '_' {
					continue // beside its value, a primitive may have an id alone
				}
				text = append(text[:0], e.JSON[:doc.Offset(at)]...)
				text = append(text, wrong...)
				text = append(text, e.JSON[doc.End(at):]...)
				if err := mutant.Parse(text); err != nil {
					t.Fatal(err)
				}
				if got := v.Resource(&mutant, mutant.Root(), validate.Options{}); len(got) == 0 {
					t.Errorf("%s: %s in the place of byte %d is taken", e.Name(i), wrong, doc.Offset(at))
				}
				count++
			}
		}
	}
	if count < 80_000 {
		t.Errorf("only %d mutants", count)
	}
}
