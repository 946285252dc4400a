package validate_test

import (
	_ "embed"
	"testing"

	"ward/internal/format/fhir/spec"
	"ward/internal/format/fhir/validate"
	"ward/internal/format/jsontape"
)

//go:embed testdata/observation.json
var observation []byte

// BenchmarkObservation validates a blood pressure of 1.5 KB. The limit beside it is reading the same bytes into a tape, which every
// write does anyhow.
func BenchmarkObservation(b *testing.B) {
	var doc jsontape.Doc
	if err := doc.Parse(observation); err != nil {
		b.Fatal(err)
	}
	b.Run("parse", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(observation)))
		for b.Loop() {
			if err := doc.Parse(observation); err != nil {
				b.Fatal(err)
			}
		}
	})
	v := validate.New(spec.R4())
	b.Run("validate", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(observation)))
		for b.Loop() {
			if got := v.Resource(&doc, doc.Root(), validate.Options{}); got != nil {
				b.Fatal(got)
			}
		}
	})
}

func TestObservation_NoAllocation(t *testing.T) {
	var doc jsontape.Doc
	if err := doc.Parse(observation); err != nil {
		t.Fatal(err)
	}
	v := validate.New(spec.R4())
	if n := testing.AllocsPerRun(200, func() { v.Resource(&doc, doc.Root(), validate.Options{}) }); n >= 1 {
		t.Errorf("%v allocations for a valid Observation, want 0", n)
	}
}
