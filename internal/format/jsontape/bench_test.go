package jsontape_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"ward/internal/format/jsontape"
)

// BenchmarkParse compares one pass into the tape with the two libraries, on an Observation of about 1.5 KB as
// clients send it, compacted. The limit is encoding/json.Valid's and jsontext's pace over the same bytes.
func BenchmarkParse(b *testing.B) {
	src := observation(b)
	b.Run("jsontape", func(b *testing.B) {
		var d jsontape.Doc
		b.SetBytes(int64(len(src)))
		b.ReportAllocs()
		for b.Loop() {
			if err := d.Parse(src); err != nil {
				b.Fatal(err)
			}
		}
	})
	dense := []byte(synthea)
	b.Run("jsontape-dense", func(b *testing.B) {
		var d jsontape.Doc
		b.SetBytes(int64(len(synthea)))
		b.ReportAllocs()
		for b.Loop() {
			if err := d.Parse(dense); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("jsontext-dense-valid", func(b *testing.B) {
		b.SetBytes(int64(len(synthea)))
		for b.Loop() {
			if !jsontext.Value(dense).IsValid() {
				b.Fatal("invalid")
			}
		}
	})
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, src, "", "  "); err != nil {
		b.Fatal(err)
	}
	b.Run("jsontape-indented", func(b *testing.B) {
		var d jsontape.Doc
		b.SetBytes(int64(pretty.Len()))
		b.ReportAllocs()
		for b.Loop() {
			if err := d.Parse(pretty.Bytes()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("jsontext-tokens", func(b *testing.B) {
		b.SetBytes(int64(len(src)))
		b.ReportAllocs()
		r := bytes.NewReader(src)
		dec := jsontext.NewDecoder(r)
		for b.Loop() {
			r.Reset(src)
			dec.Reset(r)
			for {
				if _, err := dec.ReadToken(); err != nil {
					if errors.Is(err, io.EOF) {
						break
					}
					b.Fatal(err)
				}
			}
		}
	})
	b.Run("jsontext-valid", func(b *testing.B) {
		b.SetBytes(int64(len(src)))
		b.ReportAllocs()
		for b.Loop() {
			if !jsontext.Value(src).IsValid() {
				b.Fatal("invalid")
			}
		}
	})
	b.Run("encoding-json-valid", func(b *testing.B) {
		b.SetBytes(int64(len(src)))
		b.ReportAllocs()
		for b.Loop() {
			if !json.Valid(src) {
				b.Fatal("invalid")
			}
		}
	})
	b.Run("encoding-json-map", func(b *testing.B) {
		b.SetBytes(int64(len(src)))
		b.ReportAllocs()
		for b.Loop() {
			var m map[string]any
			if err := json.Unmarshal(src, &m); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func observation(tb testing.TB) []byte {
	tb.Helper()
	var out bytes.Buffer
	if err := json.Compact(&out, example(tb, `"resourceType":"Observation"`, `"id":"example"`)); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

// BenchmarkExamples parses all examples in turn.
func BenchmarkExamples(b *testing.B) {
	docs, size := examples(b), 0
	for _, e := range docs {
		size += len(e)
	}
	var d jsontape.Doc
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		for _, e := range docs {
			if err := d.Parse(e); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// synthea is an Observation of the shape that makes most of a chart, without narrative: 1.5 KB, 66 values.
const synthea = `{"resourceType":"Observation","id":"6a1b0c5e-6d2f-7f0a-92cc-0c4ad4cb2a11","meta":{"versionId":"1","lastUpdated":"2026-01-02T03:04:05.678Z","profile":["http://hl7.org/fhir/us/core/StructureDefinition/us-core-blood-pressure"]},"status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs","display":"Vital signs"}]}],"code":{"coding":[{"system":"http://loinc.org","code":"85354-9","display":"Blood pressure panel with all children optional"}],"text":"Blood pressure panel with all children optional"},"subject":{"reference":"Patient/5b8f2d1e-0f6c-7d3b-8a77-1f1c8e2ab001"},"encounter":{"reference":"Encounter/0c9e77aa-4d01-7b6e-b0cd-8d1a4be8e002"},"effectiveDateTime":"2021-03-04T05:06:07+01:00","issued":"2021-03-04T05:06:07.123+01:00","performer":[{"reference":"Practitioner/77aa0000-1111-7222-8333-444455556666","display":"Dr. Example"}],"component":[{"code":{"coding":[{"system":"http://loinc.org","code":"8462-4","display":"Diastolic Blood Pressure"}],"text":"Diastolic Blood Pressure"},"valueQuantity":{"value":80.50,"unit":"mm[Hg]","system":"http://unitsofmeasure.org","code":"mm[Hg]"}},{"code":{"coding":[{"system":"http://loinc.org","code":"8480-6","display":"Systolic Blood Pressure"}],"text":"Systolic Blood Pressure"},"valueQuantity":{"value":121.0,"unit":"mm[Hg]","system":"http://unitsofmeasure.org","code":"mm[Hg]"}}]}`
