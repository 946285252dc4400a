package records

import (
	"context"
	"slices"
	"testing"

	"ward/internal/base/fault"
	"ward/internal/format/fhir/search"
)

// TestSearch_OwnAbsoluteReferencesAreLocal: an absolute URL below the server's own base names the same resource as the relative one
// (FHIR R4 search.html#reference, references.html#literal).
func TestSearch_OwnAbsoluteReferencesAreLocal(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, s *Service, ctx context.Context) {
		s.baseURL = "http://example.com"
		const base = "http://example.com/t/test/fhir/"
		put(t, s, ctx, `{"resourceType":"Practitioner","id":"dr","name":[{"family":"Adam"}]}`)
		put(t, s, ctx, `{"resourceType":"Patient","id":"p","name":[{"family":"Peter"}],"generalPractitioner":[{"reference":"`+base+`Practitioner/dr"}]}`)
		put(t, s, ctx, `{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"},"subject":{"reference":"`+base+`Patient/p"},"performer":[{"reference":"`+base+`Practitioner/dr"}]}`)
		put(t, s, ctx, `{"resourceType":"Observation","id":"other","status":"final","code":{"text":"x"},"subject":{"reference":"http://other.example/fhir/Patient/p"}}`)
		for question, want := range map[string][]string{
			"Observation?patient=p": {"o"}, "Observation?subject=" + base + "Patient/p": {"o"}, "Observation?performer=Practitioner/dr": {"o"},
			"Observation?patient.family=peter": {"o"}, "Observation?performer:Practitioner.family=adam": {"o"},
			"Observation?patient.general-practitioner.family=adam": {"o"}, "Patient?_has:Observation:patient:status=final": {"p"},
			"Practitioner?_has:Patient:general-practitioner:family=peter": {"dr"}, "Observation?subject=http://other.example/fhir/Patient/p": {"other"},
			"Patient?_id=p&_include=Patient:general-practitioner": {"dr", "p"}, "Patient?_id=p&_revinclude=Observation:patient": {"o", "p"},
		} {
			typ, criteria := cutQuestion(question)
			query, err := s.parse(ctx, typ, criteria, search.Options{Base: "http://example.com/t/test/fhir"})
			if err != nil {
				t.Fatal(err)
			}
			page, err := s.Search(ctx, Request{Query: query})
			if err != nil {
				t.Fatal(err)
			}
			got := idsOf(append(page.Matches, page.Includes...))
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("%s: got %v, want %v", question, got, want)
			}
		}
		s.settings = func(context.Context) (Settings, error) { return Settings{ReferentialIntegrity: true}, nil }
		if errs := together(t, s, ctx, "-Practitioner/dr"); !fault.Is(errs[0], fault.CodeConflict) {
			t.Errorf("deleting what is referred to absolutely: %v", errs[0])
		}
		if errs := together(t, s, ctx, `{"resourceType":"Patient","id":"q","generalPractitioner":[{"reference":"`+base+`Practitioner/nobody"}]}`); !fault.Is(errs[0], fault.CodeUnprocessable) {
			t.Errorf("an absolute reference to nothing: %v", errs[0])
		}
	})
}
