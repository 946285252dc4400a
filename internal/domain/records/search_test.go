package records

import (
	"context"
	"slices"
	"testing"

	"ward/internal/backend/db"
	"ward/internal/format/fhir/fhirtest"
	"ward/internal/format/fhir/search"
)

// TestSearch_PlansAgreeWithReadingEverything asks many questions of HL7's examples, each answered by the plan that the
// store chooses, page by page, and by reading all resources of the type and deciding on each.
func TestSearch_PlansAgreeWithReadingEverything(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, s *Service, ctx context.Context) {
		var all [][]byte
		for _, example := range fhirtest.Examples(t) {
			all = append(all, example.JSON)
		}
		load(t, s, ctx, all)
		for _, question := range questions {
			typ, criteria := cutQuestion(question)
			query, err := s.parse(ctx, typ, criteria, search.Options{})
			if err != nil {
				t.Errorf("%s: %v", question, err)
				continue
			}
			want := readingEverything(t, s, ctx, typ, criteria)
			query.Count, query.HasCount = 3, true
			var got []string
			for range 1000 {
				page, err := s.Search(ctx, Request{Query: query})
				if err != nil {
					t.Fatalf("%s: %v", question, err)
				}
				for _, v := range page.Matches {
					got = append(got, v.ID)
				}
				if page.Next == "" {
					break
				}
				query.Cursor = page.Next
			}
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("%s\n got %v\nwant %v", question, got, want)
			}
			if len(want) == 0 {
				t.Logf("%s finds nothing", question)
			}
		}
	})
}

func readingEverything(t *testing.T, s *Service, ctx context.Context, typ, criteria string) []string {
	t.Helper()
	query, err := s.parse(ctx, typ, criteria, search.Options{})
	if err != nil {
		t.Fatal(err)
	}
	query.Sort = nil
	var ids []string
	err = s.db.Read(ctx, func(ctx context.Context, q db.Querier) error {
		e, err := s.engine(ctx, q, Request{Query: query})
		if err != nil {
			return err
		}
		conditions, err := e.conditions(ctx, typ)
		if err != nil {
			return err
		}
		p, err := e.typePlan(typ, conditions, cursor{lead: -1})
		if err != nil {
			return err
		}
		for _, c := range p.residual {
			if c.never {
				return nil
			}
		}
		found, _, err := e.take(ctx, p, 10_000, nil)
		for _, c := range found {
			ids = append(ids, c.ID)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(ids)
	return ids
}

//nolint:gochecknoglobals // constant table
var questions = []string{
	"Patient", "Patient?", "Observation", "Patient?_id=example", "Patient?_id=example,xds,nobody",
	"Patient?family=chalmers", "Patient?name=peter", "Patient?name=pet,don", "Patient?name:exact=Peter", "Patient?name:contains=almer",
	"Patient?gender=male", "Patient?gender:not=male", "Patient?gender=male&birthdate=1974-12-25", "Patient?birthdate=lt1970",
	"Patient?birthdate=ge1970&birthdate=lt1980", "Patient?birthdate:missing=true", "Patient?birthdate:missing=false",
	"Patient?organization=Organization/1", "Patient?organization.name=gastro", "Patient?identifier=12345",
	"Patient?identifier=urn:oid:1.2.36.146.595.217.0.1|12345", "Patient?identifier=urn:oid:1.2.36.146.595.217.0.1|",
	"Patient?active=true", "Patient?address=pleasant", "Patient?address-city=pleasantville", "Patient?phone=(03)%205555%206473",
	"Patient?deceased=true", "Patient?_lastUpdated=gt2000-01-01", "Patient?_lastUpdated=lt2000-01-01",
	"Patient?_has:Observation:patient:code=http://loinc.org|29463-7", "Patient?_has:Observation:patient:_id=example,f001",
	"Observation?patient=example", "Observation?subject=Patient/example", "Observation?subject:Patient=example",
	"Observation?patient=example&code=29463-7", "Observation?patient=example&code=http://loinc.org|29463-7",
	"Observation?patient=example&code=http://loinc.org|29463-7,http://loinc.org|8302-2", "Observation?patient=example,f001",
	"Observation?patient.name=peter", "Observation?patient.name=peter&code=http://loinc.org|29463-7", "Observation?subject:Patient.gender=male",
	"Observation?code=http://loinc.org|29463-7", "Observation?code=29463-7,8302-2", "Observation?code:text=weight", "Observation?combo-code=8480-6",
	"Observation?category=vital-signs", "Observation?category=vital-signs&status=final", "Observation?category=vital-signs&status=final&patient=example",
	"Observation?status=final&category=laboratory", "Observation?status:not=final", "Observation?date=2016-03-28", "Observation?date=gt2010&date=lt2014",
	"Observation?date=ge2016&patient=example", "Observation?value-quantity=gt100", "Observation?value-quantity=185|http://unitsofmeasure.org|[lb_av]",
	"Observation?value-quantity=gt80||kg", "Observation?code-value-quantity=http://loinc.org|29463-7$185", "Observation?component-code-value-quantity=8480-6$107",
	"Observation?performer=Practitioner/example", "Observation?encounter=example", "Observation?_profile=http://hl7.org/fhir/StructureDefinition/vitalsigns",
	"Observation?_tag=http://terminology.hl7.org/CodeSystem/v3-ActReason|HTEST", "Observation?_security=HTEST", "Observation?specimen:missing=false",
	"Observation?patient=example&_sort=-date", "Observation?patient=example&_sort=date", "Observation?_sort=-date,code", "Observation?_sort=_lastUpdated",
	"Observation?_sort=-_lastUpdated", "Patient?_sort=family,-birthdate", "Patient?gender=male&_sort=name", "Observation?patient=example&_sort=code",
	"Encounter?status=finished", "Encounter?class=IMP", "Encounter?date=ge2010", "Encounter?patient=example", "Encounter?length=gt1",
	"Condition?patient=example", "Condition?clinical-status=active", "Condition?onset-date=ge2010", "Condition?code=http://snomed.info/sct|39065001",
	"MedicationRequest?patient=pat1", "MedicationRequest?medication.code=http://www.nlm.nih.gov/research/umls/rxnorm|213293", "MedicationRequest?intent=order",
	"ValueSet?url=http://hl7.org/fhir/ValueSet/example-extensional", "ValueSet?url:below=http://hl7.org/fhir/ValueSet", "ValueSet?url:above=http://hl7.org/fhir/ValueSet/example-extensional/x",
	"StructureDefinition?type=Patient", "CodeSystem?name=acme", "Location?partof=1", "Location?partof.name=south", "RiskAssessment?probability=gt0.1",
	"DiagnosticReport?result.code=http://loinc.org|718-7", "DiagnosticReport?patient=example&result.status=final", "Practitioner?name=adam",
	"PractitionerRole?practitioner.name=adam", "Appointment?actor:Patient.name=peter", "Appointment?date=2013-12-10", "Immunization?date=2013-01-10",
	"Patient?_has:Observation:patient:performer:Practitioner.name=adam", "Patient?general-practitioner.name=careful", "Provenance?target=Procedure/example",
	"AuditEvent?entity=Patient/example", "AllergyIntolerance?patient=example&criticality=high", "List?item=Condition/example", "Questionnaire?title:contains=quest",
}
