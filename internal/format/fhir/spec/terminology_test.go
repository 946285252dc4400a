package spec_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"ward/internal/format/fhir/spec"
)

const (
	v3 = "http://terminology.hl7.org/CodeSystem/v3-"
	v2 = "http://terminology.hl7.org/CodeSystem/v2-"
)

func TestCodeSystem(t *testing.T) {
	t.Parallel()
	d := spec.R4()
	s := d.CodeSystem("http://hl7.org/fhir/observation-status|4.0.1")
	if s == nil || !s.Complete || len(s.Codes) != 8 || !s.Has("amended") || s.Has("Amended") {
		t.Fatalf("observation-status: %+v", s)
	}
	for _, url := range []string{"http://snomed.info/sct", "http://loinc.org", "http://unitsofmeasure.org", ""} {
		if d.CodeSystem(url) != nil {
			t.Errorf("%s is not in the specification", url)
		}
	}
}

func TestSubsumes(t *testing.T) {
	t.Parallel()
	d := spec.R4()
	for _, row := range []struct {
		system, ancestor, code string
		want, known            bool
	}{
		{"http://hl7.org/fhir/observation-status", "amended", "corrected", true, true},
		{"http://hl7.org/fhir/observation-status", "corrected", "amended", false, true},
		{"http://hl7.org/fhir/observation-status", "final", "final", true, true},
		{"http://hl7.org/fhir/observation-status", "final", "amended", false, true},
		{"http://hl7.org/fhir/observation-status", "nothing", "amended", false, true},
		{v3 + "ActClass", "ACT", "OBS", true, true},
		{v3 + "ActClass", "OBS", "ACT", false, true},
		{v3 + "RoleCode", "FAMMEMB", "MTH", true, true},
		{"http://snomed.info/sct", "1", "2", false, false},
		{"http://snomed.info/sct", "1", "1", true, false},
	} {
		got, known := d.Subsumes(row.system, row.ancestor, row.code)
		if got != row.want || known != row.known {
			t.Errorf("%s: %s over %s is %v, known %v", row.system, row.ancestor, row.code, got, known)
		}
	}
}

// TestSubsumes_SeveralParents is the case of v3-ActCode, where COVMX names a child that stands elsewhere in the tree.
func TestSubsumes_SeveralParents(t *testing.T) {
	t.Parallel()
	s := spec.R4().CodeSystem(v3 + "ActCode")
	if !s.Subsumes("COVMX", "LFEMX") {
		t.Error("LFEMX is below COVMX")
	}
	if above := s.Above("LFEMX"); !slices.Contains(above, "COVMX") || len(above) < 3 {
		t.Errorf("above LFEMX: %v", above)
	}
}

// TestHierarchies walks every system up and down. It ends only when no code lies below itself.
func TestHierarchies(t *testing.T) {
	t.Parallel()
	d := spec.R4()
	seen := map[string]bool{}
	for _, v := range d.ValueSets() {
		for _, url := range v.Systems() {
			s := d.CodeSystem(url)
			if s == nil || seen[url] {
				continue
			}
			seen[url] = true
			for _, code := range s.Codes {
				above := s.Above(code)
				if !s.Has(code) || above[0] != code || slices.Contains(above[1:], code) || !s.Subsumes(above[len(above)-1], code) {
					t.Errorf("%s: above %s: %v", url, code, above)
				}
			}
		}
	}
	if len(seen) < 900 {
		t.Errorf("only %d systems", len(seen))
	}
}

func TestBelowAbove(t *testing.T) {
	t.Parallel()
	s := spec.R4().CodeSystem("http://hl7.org/fhir/observation-status")
	if got := s.Below("amended"); !slices.Equal(got, []string{"amended", "corrected"}) {
		t.Errorf("below amended: %v", got)
	}
	if got := s.Above("corrected"); !slices.Equal(got, []string{"corrected", "amended"}) {
		t.Errorf("above corrected: %v", got)
	}
	if got := s.Below("unheard"); !slices.Equal(got, []string{"unheard"}) {
		t.Errorf("below unheard: %v", got)
	}
	if got := s.Above("unheard"); !slices.Equal(got, []string{"unheard"}) {
		t.Errorf("above unheard: %v", got)
	}
}

func TestValueSet_Contains(t *testing.T) {
	t.Parallel()
	d := spec.R4()
	for _, row := range []struct {
		set, system, code string
		want, known       bool
	}{
		{"http://hl7.org/fhir/ValueSet/observation-status|4.0.1", "http://hl7.org/fhir/observation-status", "final", true, true},
		{"http://hl7.org/fhir/ValueSet/observation-status", "http://hl7.org/fhir/observation-status", "finale", false, true},
		{"http://hl7.org/fhir/ValueSet/observation-status", "http://example.org", "final", false, true},
		{"http://hl7.org/fhir/ValueSet/observation-status", "", "final", true, true},
		{"http://hl7.org/fhir/ValueSet/observation-status", "", "finale", false, true},
		// a part of v3-ActCode by is-a filters; the root itself is excluded
		{"http://terminology.hl7.org/ValueSet/v3-ActEncounterCode", v3 + "ActCode", "AMB", true, true},
		{"http://terminology.hl7.org/ValueSet/v3-ActEncounterCode", v3 + "ActCode", "_ActEncounterCode", false, true},
		{"http://terminology.hl7.org/ValueSet/v3-ActEncounterCode", v3 + "ActCode", "COVMX", false, true},
		// is-not-a
		{"http://hl7.org/fhir/ValueSet/patient-contactrelationship", v2 + "0131", "N", true, true},
		{"http://hl7.org/fhir/ValueSet/patient-contactrelationship", v2 + "0131", "O", false, true},
		// another value set included
		{"http://hl7.org/fhir/ValueSet/all-types", "http://hl7.org/fhir/resource-types", "Patient", true, true},
		{"http://hl7.org/fhir/ValueSet/all-types", "http://hl7.org/fhir/data-types", "HumanName", true, true},
		// codes that HL7 does not publish
		{"http://hl7.org/fhir/ValueSet/condition-code", "http://snomed.info/sct", "38341003", false, false},
		{"http://hl7.org/fhir/ValueSet/condition-code", "http://example.org", "38341003", false, true},
		// listed codes of such a system
		{"http://hl7.org/fhir/ValueSet/condition-severity", "http://snomed.info/sct", "24484000", true, true},
		{"http://hl7.org/fhir/ValueSet/condition-severity", "http://snomed.info/sct", "1", false, true},
		// a filter on a property
		{"http://hl7.org/fhir/ValueSet/iso3166-1-3", "urn:iso:std:iso:3166", "DEU", false, false},
	} {
		v := d.ValueSet(row.set)
		if v == nil {
			t.Errorf("%s is not known", row.set)
			continue
		}
		got, known := v.Contains(row.system, row.code)
		if got != row.want || known != row.known {
			t.Errorf("%s of %s in %s: %v, known %v", row.code, row.system, row.set, got, known)
		}
	}
	if d.ValueSet("http://example.org/set") != nil {
		t.Error("a value set that nobody wrote is known")
	}
}

func TestValueSet_Expand(t *testing.T) {
	t.Parallel()
	d := spec.R4()
	list, err := d.ValueSet("http://hl7.org/fhir/ValueSet/administrative-gender").Expand()
	if err != nil || len(list) != 4 || list[0] != (spec.Coding{System: "http://hl7.org/fhir/administrative-gender", Code: "male"}) {
		t.Errorf("administrative-gender: %v %v", list, err)
	}
	list, err = d.ValueSet("http://terminology.hl7.org/ValueSet/v3-ActEncounterCode").Expand()
	if err != nil || slices.Contains(list, spec.Coding{System: v3 + "ActCode", Code: "_ActEncounterCode"}) || len(list) < 8 {
		t.Errorf("v3-ActEncounterCode: %v %v", list, err)
	}
	_, err = d.ValueSet("http://hl7.org/fhir/ValueSet/condition-code").Expand()
	var no *spec.NotExpandableError
	if !errors.As(err, &no) || !strings.Contains(err.Error(), "snomed") {
		t.Errorf("condition-code: %v", err)
	}
}

// TestExpand_AgreesWithContains asks every set for its codes, and every code for its set.
func TestExpand_AgreesWithContains(t *testing.T) {
	t.Parallel()
	complete, incomplete := 0, 0
	for _, v := range spec.R4().ValueSets() {
		list, err := v.Expand()
		if err != nil {
			incomplete++
		} else {
			complete++
		}
		for _, c := range list {
			if in, known := v.Contains(c.System, c.Code); !in || !known {
				t.Errorf("%s: %v is listed, but not in it", v.URL, c)
			}
		}
	}
	if complete+incomplete != 1316 || complete < 1100 {
		t.Errorf("%d value sets can be listed, %d can't", complete, incomplete)
	}
	t.Logf("%d value sets can be listed, %d can't", complete, incomplete)
}

// TestRequiredSets compares the sets that validation uses with the rules of their value sets.
func TestRequiredSets(t *testing.T) {
	t.Parallel()
	d := spec.R4()
	listed, other := map[string]bool{}, map[string]bool{}
	for _, typ := range d.Types() {
		for _, e := range typ.Elements {
			if e.Binding == nil || e.Binding.Strength != spec.Required {
				continue
			}
			codes := e.Binding.Codes
			if codes == nil {
				other[e.Binding.ValueSet] = true
				continue
			}
			if listed[codes.ValueSet] {
				continue
			}
			listed[codes.ValueSet] = true
			want, err := d.ValueSet(e.Binding.ValueSet).Expand()
			if err != nil {
				t.Errorf("%s: %v", codes.ValueSet, err)
			}
			for _, c := range want {
				if !codes.HasCoding([]byte(c.System), []byte(c.Code)) || !codes.Has([]byte(c.Code)) {
					t.Errorf("%s lacks %v", codes.ValueSet, c)
				}
			}
			if len(want) != len(codes.Codes) {
				t.Errorf("%s has %d codes, want %d", codes.ValueSet, len(codes.Codes), len(want))
			}
		}
	}
	if len(listed) != 220 || len(other) != 4 {
		t.Errorf("%d sets are listed, %d are not: %v", len(listed), len(other), other)
	}
}
