package validate_test

import (
	"testing"

	"ward/internal/format/fhir/fhirtest"
	"ward/internal/format/fhir/spec"
	"ward/internal/format/fhir/validate"
	"ward/internal/format/jsontape"
)

// FuzzResource holds the validator to its promise: whatever is JSON is answered, twice alike, with places that exist.
func FuzzResource(f *testing.F) {
	f.Add([]byte(`{"resourceType":"Patient","name":[{"given":["a",null],"_given":[null,{"id":"1"}]}]}`))
	f.Add([]byte(`{"resourceType":"Observation","status":[],"code":"x","contained":{"id":1},"subject":{"reference":"#"},"valueString":null,"_valueInteger":3}`))
	f.Add([]byte(`{"resourceType":"Observation","contained":[1,{"id":"a","resourceType":"Patient"},{"resourceType":"Bundle","id":"a"}],"effectivePeriod":{"start":"2020-01-01T00:00:00Z","end":"2020"}}`))
	f.Add([]byte(`{"resourceType":"Bundle","type":1,"entry":[{"resource":{"resourceType":"Patient","text":{"div":"<div xmlns='http://www.w3.org/1999/xhtml'>&#x;</div"}}},3]}`))
	for _, e := range fhirtest.Examples(f) {
		if len(e.JSON) < 1500 {
			f.Add(e.JSON)
		}
	}
	v := validate.New(spec.R4())
	f.Fuzz(func(t *testing.T, src []byte) {
		var doc jsontape.Doc
		if doc.Parse(src) != nil {
			return
		}
		got := v.Resource(&doc, doc.Root(), validate.Options{})
		if len(got) > validate.MaxProblems+1 {
			t.Fatalf("%d problems", len(got))
		}
		again := v.Resource(&doc, doc.Root(), validate.Options{})
		if len(again) != len(got) {
			t.Fatalf("%d problems, then %d", len(got), len(again))
		}
		for i, d := range got {
			if d != again[i] {
				t.Fatalf("%+v, then %+v", d, again[i])
			}
			if d.Message == "" || d.Kind == "" || d.Severity == "error" && (d.Line < 1 || d.Column < 1) {
				t.Fatalf("%+v", d)
			}
		}
	})
}
