package search

import (
	"testing"
)

func TestQuantity(t *testing.T) {
	t.Parallel()
	at := func(value, code string) string {
		return `{"valueQuantity":{"value":` + value + `,"unit":"milligram","system":"http://unitsofmeasure.org","code":"` + code + `"}}`
	}
	q := func(s string) string { return "Observation?value-quantity=" + s }
	const ucum = "|http://unitsofmeasure.org|"
	run(t, []matching{
		// "5.4(+/-0.05) mg"
		{at("5.4", "mg"), q("5.4" + ucum + "mg"), true},
		{at("5.35", "mg"), q("5.4" + ucum + "mg"), true},
		{at("5.45", "mg"), q("5.4" + ucum + "mg"), false},
		// "0.0054(+/-0.000005) g"
		{at("0.0054", "g"), q("5.40e-3" + ucum + "g"), true},
		{at("0.005404", "g"), q("5.40e-3" + ucum + "g"), true},
		{at("0.00541", "g"), q("5.40e-3" + ucum + "g"), false},
		{at("5.4", "mg"), q("5.40e-3" + ucum + "g"), true},
		{at("5.41", "mg"), q("5.40e-3" + ucum + "g"), false},
		// "the unit - either the code or the stated human unit"
		{at("5.4", "mg"), q("5.4||mg"), true},
		{at("5.4", "mg"), q("5.4||milligram"), true},
		{at("5.4", "mg"), q("5.4||g"), false},
		{at("0.0054", "g"), q("5.4||mg"), false},
		{at("5.4", "mg"), q("5.4"), true},
		{at("5.4", "kg"), q("5.4"), true},
		{at("5.4", "mg"), q("le5.4" + ucum + "mg"), true},
		{at("5.41", "mg"), q("le5.4" + ucum + "mg"), false},
		{at("5.8", "mg"), q("ap5.4" + ucum + "mg"), true},
		{at("6", "mg"), q("ap5.4" + ucum + "mg"), false},
		// canonical units
		{at("98.6", "[degF]"), q("37.0" + ucum + "Cel"), true},
		{at("310.15", "K"), q("37.0" + ucum + "Cel"), true},
		{at("37", "Cel"), q("98.6" + ucum + "[degF]"), true},
		{at("16", "kPa"), q("gt120" + ucum + "mm[Hg]"), true},
		{at("120", "mm[Hg]"), q("gt16" + ucum + "kPa"), false},
		{at("121", "mm[Hg]"), q("gt16" + ucum + "kPa"), true},
		{at("1", "g/L"), q("100" + ucum + "mg/dL"), true},
		{at("70", "kg"), q("gt154" + ucum + "[lb_av]"), true},
		{at("5.5", "mmol/L"), q("5.5" + ucum + "meq/L"), false},
		{at("1000", "mg"), q("1000" + ucum + "mg"), true},
		{at("1", "g"), q("eq1000" + ucum + "mg"), true},
		{at("1", "g"), q("ge1000" + ucum + "mg"), true},
		{at("1", "g"), q("gt1000" + ucum + "mg"), false},
		{at("5.4", "mL"), q("5.4" + ucum + "mg"), false},
		// units that are none of UCUM's compare as written
		{`{"valueQuantity":{"value":3,"system":"http://acme.org/units","code":"drop"}}`, q("3|http://acme.org/units|drop"), true},
		{`{"valueQuantity":{"value":3,"system":"http://acme.org/units","code":"drop"}}`, q("3|http://acme.org/units|"), true},
		{`{"valueQuantity":{"value":3,"system":"http://acme.org/units","code":"drop"}}`, q("3|http://unitsofmeasure.org|drop"), false},
		{at("120", "mmHg"), q("120" + ucum + "mmHg"), true},
		// a comparator makes a range
		{`{"valueQuantity":{"value":5,"comparator":"<"}}`, q("lt5"), true},
		{`{"valueQuantity":{"value":5,"comparator":"<"}}`, q("ge5"), false},
		{`{"valueQuantity":{"value":5,"comparator":"<="}}`, q("ge5"), true},
		{`{"valueQuantity":{"value":5,"comparator":"<"}}`, q("5"), false},
		{`{"valueQuantity":{"value":5,"comparator":">"}}`, q("gt100"), true},
		{`{"valueQuantity":{"value":5,"comparator":">"}}`, q("sa5"), true},
		{`{"valueQuantity":{"value":5,"comparator":">"}}`, q("eb5"), false},
		{`{"totalNet":{"value":100,"currency":"EUR"}}`, "Invoice?totalnet=100|urn:iso:std:iso:4217|EUR", true},
		{`{"totalNet":{"value":100,"currency":"EUR"}}`, "Invoice?totalnet=100|urn:iso:std:iso:4217|USD", false},
		{`{"onsetAge":{"value":5,"system":"http://unitsofmeasure.org","code":"a"}}`, "Condition?onset-age=lt61|http://unitsofmeasure.org|mo", true},
		{`{"onsetRange":{"low":{"value":5},"high":{"value":8}}}`, "Condition?onset-age=gt7", true},
		{`{"valueQuantity":{"unit":"mg"}}`, q("gt0"), false},
	})
}

func TestReference(t *testing.T) {
	t.Parallel()
	about := func(ref string) string { return `{"subject":{"reference":"` + ref + `"}}` }
	run(t, []matching{
		{about("Patient/123"), "Observation?subject=Patient/123", true},
		{about("Patient/123"), "Observation?subject=123", true},
		{about("Group/123"), "Observation?subject=123", true},
		{about("Patient/124"), "Observation?subject=Patient/123", false},
		{about("Group/123"), "Observation?subject=Patient/123", false},
		{about("http://example.org/fhir/Patient/123"), "Observation?subject=Patient/123", true},
		{about("http://example.org/fhir/Patient/123"), "Observation?subject=123", true},
		{about("Patient/123"), "Observation?subject=http://example.org/fhir/Patient/123", true},
		{about("http://other.org/fhir/Patient/123"), "Observation?subject=Patient/123", false},
		{about("http://other.org/fhir/Patient/123"), "Observation?subject=http://other.org/fhir/Patient/123", true},
		{about("Patient/123"), "Observation?subject:Patient=123", true},
		{about("Group/123"), "Observation?subject:Patient=123", false},
		{about("Patient/123"), "Observation?subject:Patient=Patient/123", true},
		// "limited to only include references of type Patient"
		{about("Patient/123"), "Observation?patient=123", true},
		{about("Group/123"), "Observation?patient=123", false},
		{about("Group/123"), "Observation?patient=Group/123", false},
		{about("Patient/123"), "Observation?patient=Patient/123", true},
		// versions
		{about("Patient/123/_history/2"), "Observation?subject=Patient/123", true},
		{about("Patient/123"), "Observation?subject=Patient/123/_history/2", true},
		// what is no literal reference to a resource
		{about("#p"), "Observation?subject=p", false},
		{about("urn:uuid:0190b0a2-7f2a-7c3e-9f6d-1a2b3c4d5e6f"), "Observation?subject=urn:uuid:0190b0a2-7f2a-7c3e-9f6d-1a2b3c4d5e6f", true},
		{`{"subject":{"display":"Eve"}}`, "Observation?subject=Eve", false},
		// :identifier
		{`{"subject":{"identifier":{"system":"http://acme.org/fhir/identifier/mrn","value":"123456"}}}`, "Observation?subject:identifier=http://acme.org/fhir/identifier/mrn|123456", true},
		{`{"subject":{"identifier":{"system":"http://acme.org/fhir/identifier/mrn","value":"123456"}}}`, "Observation?subject:identifier=123456", true},
		{`{"subject":{"identifier":{"system":"http://acme.org/fhir/identifier/mrn","value":"1"}}}`, "Observation?subject:identifier=http://acme.org/fhir/identifier/mrn|123456", false},
		{`{"subject":{"type":"Group","identifier":{"value":"1"}}}`, "Observation?patient:identifier=1", false},
		{`{"subject":{"type":"Patient","identifier":{"value":"1"}}}`, "Observation?patient:identifier=1", true},
		// several branches: the chart knows patients of either
		{`{"agent":[{"who":{"reference":"Patient/1"}}]}`, "AuditEvent?patient=1", true},
		{`{"agent":[{"who":{"reference":"Patient/1"}}]}`, "AuditEvent?entity=Patient/1", false},
		{`{"entity":[{"what":{"reference":"Patient/1"}}]}`, "AuditEvent?entity=Patient/1", true},
		// where(type = ...)
		{`{"relatedArtifact":[{"type":"depends-on","resource":"http://a/L"}]}`, "Measure?depends-on=http://a/L", true},
		{`{"relatedArtifact":[{"type":"derived-from","resource":"http://a/L"}]}`, "Measure?depends-on=http://a/L", false},
		{`{"entry":[{"resource":{"resourceType":"Composition","id":"c"}}]}`, "Bundle?composition=c", true},
		{`{"entry":[{"resource":{"resourceType":"Patient","id":"c"}}]}`, "Bundle?composition=c", false},
		{`{"entry":[{"resource":{"resourceType":"Patient","id":"p"}},{"resource":{"resourceType":"Composition","id":"c"}}]}`, "Bundle?composition=c", false},
	})
}

func TestReferencesAndVersions_Canonical(t *testing.T) {
	t.Parallel()
	with := func(url string) string { return `{"library":["` + url + `"]}` }
	run(t, []matching{
		{with("http://acme.com/some-profile|1.0"), "Measure?depends-on:below=http://acme.com/some-profile", true},
		{with("http://acme.com/some-profile|2.0"), "Measure?depends-on:below=http://acme.com/some-profile", true},
		{with("http://acme.com/some-profile|1.0"), "Measure?depends-on:below=http://acme.com/some-profile|1", true},
		{with("http://acme.com/some-profile|1.1"), "Measure?depends-on:below=http://acme.com/some-profile|1", true},
		{with("http://acme.com/some-profile|2.0"), "Measure?depends-on:below=http://acme.com/some-profile|1", false},
		{with("http://acme.com/some-profile|1.0"), "Measure?depends-on=http://acme.com/some-profile", true},
		{with("http://acme.com/some-profile|1.0"), "Measure?depends-on=http://acme.com/some-profile|1.0", true},
		{with("http://acme.com/some-profile|1.0"), "Measure?depends-on=http://acme.com/some-profile|1", false},
		{with("http://acme.com/some-profile"), "Measure?depends-on=http://acme.com/some-profile|1.0", false},
		{with("http://acme.com/some"), "Measure?depends-on=http://acme.com/some-profile", false},
	})
}

func TestComposite(t *testing.T) {
	t.Parallel()
	potassium := func(value string) string {
		return `{"code":{"coding":[{"system":"http://loinc.org","code":"2823-3"}]},"valueQuantity":{"value":` + value + `,"system":"http://unitsofmeasure.org","code":"mmol/L"}}`
	}
	pressure := `{"component":[{"code":{"coding":[{"system":"http://loinc.org","code":"8480-6"}]},"valueQuantity":{"value":107}},{"code":{"coding":[{"system":"http://loinc.org","code":"8462-4"}]},"valueQuantity":{"value":55}}]}`
	run(t, []matching{
		{potassium("5.5"), "Observation?code-value-quantity=http://loinc.org|2823-3$gt5.4|http://unitsofmeasure.org|mmol/L", true},
		{potassium("5.4"), "Observation?code-value-quantity=http://loinc.org|2823-3$gt5.4|http://unitsofmeasure.org|mmol/L", false},
		{potassium("5.5"), "Observation?code-value-quantity=http://loinc.org|2823-4$gt5.4|http://unitsofmeasure.org|mmol/L", false},
		// both in the same component
		{pressure, "Observation?component-code-value-quantity=http://loinc.org|8480-6$lt60", false},
		{pressure, "Observation?component-code-value-quantity=http://loinc.org|8462-4$lt60", true},
		{pressure, "Observation?combo-code-value-quantity=8480-6$gt100", true},
		{pressure, "Observation?code-value-quantity=8480-6$gt100", false},
		// an OR of pairs
		{pressure, "Observation?component-code-value-quantity=8480-6$lt60,8462-4$lt60", true},
		{`{"characteristic":[{"code":{"coding":[{"code":"gender"}]},"valueCodeableConcept":{"coding":[{"code":"mixed"}]}}]}`, "Group?characteristic-value=gender$mixed", true},
		{`{"characteristic":[{"code":{"coding":[{"code":"gender"}]},"valueCodeableConcept":{"coding":[{"code":"mixed"}]}}]}`, "Group?characteristic-value=gender$mixed,owner$Eve", true},
		{`{"characteristic":[{"code":{"coding":[{"code":"gender"}]}},{"code":{"coding":[{"code":"x"}]},"valueCodeableConcept":{"coding":[{"code":"mixed"}]}}]}`, "Group?characteristic-value=gender$mixed", false},
		{`{"useContext":[{"code":{"code":"focus"},"valueCodeableConcept":{"coding":[{"system":"http://snomed.info/sct","code":"408934002"}]}}]}`, "Questionnaire?context-type-value=focus$http://snomed.info/sct|408934002", true},
		{`{"code":{"coding":[{"code":"1"}]},"valueString":"Positive for a, b"}`, `Observation?code-value-string=1$positive for a\, b`, true},
		{`{"code":{"coding":[{"code":"1"}]},"valuePeriod":{"start":"2013-01-01","end":"2013-01-02"}}`, "Observation?code-value-date=1$2013-01", true},
		{`{"relatesTo":[{"code":"replaces","target":{"reference":"DocumentReference/1"}}]}`, "DocumentReference?relationship=replaces$DocumentReference/1", true},
		{`{"relatesTo":[{"code":"appends","target":{"reference":"DocumentReference/1"}},{"code":"replaces","target":{"reference":"DocumentReference/2"}}]}`, "DocumentReference?relationship=replaces$DocumentReference/1", false},
		{`{"referenceSeq":{"chromosome":{"coding":[{"code":"1"}]}},"variant":[{"start":128273724,"end":128273736}]}`, "MolecularSequence?chromosome-variant-coordinate=1$lt345678901$gt123456789", true},
		{`{"referenceSeq":{"chromosome":{"coding":[{"code":"1"}]}},"variant":[{"start":128273724,"end":128273736}]}`, "MolecularSequence?chromosome-variant-coordinate=2$lt345678901$gt123456789", false},
		{`{"referenceSeq":{"chromosome":{"coding":[{"code":"1"}]},"windowStart":100,"windowEnd":200}}`, "MolecularSequence?chromosome-window-coordinate=1$100$200", true},
	})
}
