package search

import (
	"testing"

	"ward/internal/format/fhir/spec"
	"ward/internal/format/jsontape"
)

// observation is a 1.5 KB Observation as Synthea writes them.
const observation = `{"resourceType":"Observation","id":"0190b0a2-7f2a-7c3e-9f6d-1a2b3c4d5e6f","meta":{"profile":["http://hl7.org/fhir/us/core/StructureDefinition/us-core-vital-signs"]},` +
	`"status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs","display":"vital-signs"}]}],` +
	`"code":{"coding":[{"system":"http://loinc.org","code":"85354-9","display":"Blood Pressure"},{"system":"http://snomed.info/sct","code":"75367002","display":"Blood pressure (observable entity)"}],"text":"Blood Pressure"},` +
	`"subject":{"reference":"Patient/4b2a1c9e-1d1f-4a7d-8c2b-0f9e8d7c6b5a","display":"Mrs. Example"},"encounter":{"reference":"Encounter/7c1d2e3f-1d1f-4a7d-8c2b-0f9e8d7c6b5a"},` +
	`"effectiveDateTime":"2013-01-14T10:23:45-05:00","issued":"2013-01-14T10:23:45.123-05:00","performer":[{"reference":"Practitioner/0000016d-3a85-4cca-0000-00000000c5b2"}],` +
	`"component":[{"code":{"coding":[{"system":"http://loinc.org","code":"8462-4","display":"Diastolic Blood Pressure"}],"text":"Diastolic Blood Pressure"},` +
	`"valueQuantity":{"value":74.32,"unit":"mmHg","system":"http://unitsofmeasure.org","code":"mm[Hg]"}},{"code":{"coding":[{"system":"http://loinc.org","code":"8480-6","display":"Systolic Blood Pressure"}],"text":"Systolic Blood Pressure"},` +
	`"valueQuantity":{"value":121.04,"unit":"mmHg","system":"http://unitsofmeasure.org","code":"mm[Hg]"}}]}`

func parsed(tb testing.TB, json string) *jsontape.Doc {
	tb.Helper()
	doc := new(jsontape.Doc)
	if err := doc.Parse([]byte(json)); err != nil {
		tb.Fatal(err)
	}
	return doc
}

// The limit is the tape alone, see BenchmarkTape.
func BenchmarkIndex(b *testing.B) {
	r, doc := Standard(), parsed(b, observation)
	var arena Arena
	var dst []Posting
	b.ReportAllocs()
	for b.Loop() {
		arena.Reset()
		dst, _ = r.Index(&arena, dst[:0], doc, "Observation")
	}
	b.ReportMetric(float64(len(dst)), "postings")
}

func BenchmarkChart(b *testing.B) {
	r, doc := Standard(), parsed(b, observation)
	b.ReportAllocs()
	for b.Loop() {
		r.Chart(doc, "Observation")
	}
}

func BenchmarkTape(b *testing.B) {
	src, doc := []byte(observation), new(jsontape.Doc)
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		if err := doc.Parse(src); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	r, doc := Standard(), parsed(b, observation)
	for _, c := range []struct{ name, param, value string }{
		{"token", "code", "http://loinc.org|85354-9"},
		{"date", "date", "ge2013-01-01"},
		{"reference", "subject", "Patient/4b2a1c9e-1d1f-4a7d-8c2b-0f9e8d7c6b5a"},
		{"composite", "component-code-value-quantity", "http://loinc.org|8480-6$gt100|http://unitsofmeasure.org|mm[Hg]"},
		{"quantity", "combo-value-quantity", "gt16|http://unitsofmeasure.org|kPa"},
	} {
		q, err := Parse(r, "Observation", []Pair{{c.param, c.value}}, Options{})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !q.Clauses[0].Match(doc, "Observation") {
					b.Fatal("no match")
				}
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	r := Standard()
	pairs := []Pair{{"patient", "4b2a1c9e-1d1f-4a7d-8c2b-0f9e8d7c6b5a"}, {"code", "http://loinc.org|85354-9"}, {"_sort", "-date"}, {"_count", "20"}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(r, "Observation", pairs, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStandard(b *testing.B) {
	defs := spec.R4()
	b.ReportAllocs()
	for b.Loop() {
		compileAll(defs)
	}
}
