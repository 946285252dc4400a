package validate_test

import (
	"strings"
	"testing"

	"ward/internal/base/fault"
	"ward/internal/format/fhir/fhirtest"
	"ward/internal/format/fhir/spec"
	"ward/internal/format/fhir/validate"
	"ward/internal/format/jsontape"
)

// broken are HL7's examples that do not keep the rules, with what is wrong with them: how often, and the first place.
//

var broken = map[string]struct {
	problems int
	first    string
	reason   string
}{
	"DeviceMetric/example": {
		1, "DeviceMetric.parent.reference",
		"R4 lets parent refer to a Device; the example was not changed when DeviceComponent became DeviceDefinition",
	},
	"DeviceUseStatement/example":  {1, "DeviceUseStatement.reasonReference[0].reference", "R4 does not let the reason be a Procedure"},
	"MedicationRequest/medrx0301": {1, "MedicationRequest.dispenseRequest.performer.reference", "R4 lets only an Organization dispense"},
	"Observation/clinical-gender": {1, "Observation.performer[0].reference", "R4 does not let an Encounter perform"},
	"ImplementationGuide/fhir":    {2, "ImplementationGuide.name", "name and status are required; both copies lack them"},
	"Questionnaire/qs1":           {32, "Questionnaire.item[0].item[0].linkId", "linkId is required in each item; the example's inner items lack it"},
}

func TestExamples(t *testing.T) {
	t.Parallel()
	v := validate.New(spec.R4())
	var doc jsontape.Doc
	seen := map[string]bool{}
	for i, e := range fhirtest.Examples(t) {
		name := e.Name(i)
		if err := doc.Parse(e.JSON); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := v.Resource(&doc, doc.Root(), validate.Options{ResourceType: e.Type})
		want, isBroken := broken[name]
		switch {
		case !isBroken && len(got) > 0:
			t.Errorf("%s: %s", name, describe(got))
		case isBroken && (len(got) != want.problems || got[0].Expression != want.first):
			t.Errorf("%s: want %d problems, the first at %s, got %s", name, want.problems, want.first, describe(got))
		}
		seen[name] = true
	}
	for name := range broken {
		if !seen[name] {
			t.Errorf("there is no example %s", name)
		}
	}
}

func describe(list []fault.Detail) string {
	var b strings.Builder
	for _, d := range list {
		b.WriteString("\n\t" + d.Kind + " " + d.Expression + ": " + d.Message)
	}
	return b.String()
}

// TestSynthea takes four resources of each type that Synthea writes, and twenty-five Observations.
func TestSynthea(t *testing.T) {
	t.Parallel()
	lines, err := fhirtest.Lines("internal/format/fhir/validate/testdata/synthea.ndjson.zst")
	if err != nil || len(lines) != 85 {
		t.Fatalf("%d resources, %v", len(lines), err)
	}
	v := validate.New(spec.R4())
	var doc jsontape.Doc
	for i, line := range lines {
		if err := doc.Parse(line); err != nil {
			t.Fatal(err)
		}
		if got := v.Resource(&doc, doc.Root(), validate.Options{}); len(got) > 0 {
			t.Errorf("resource %d: %s", i, describe(got))
		}
	}
}
