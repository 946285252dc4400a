package records

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"ward/internal/backend/db"
	"ward/internal/format/fhir/search"
)

// modelObservation is the model of the benchmarks: 1.5 KB, a vital sign of one of n patients.
func modelObservation(r *rand.Rand, patients int) []byte {
	codes := []struct{ code, display, unit string }{
		{"8867-4", "Heart rate", "/min"},
		{"8480-6", "Systolic blood pressure", "mm[Hg]"},
		{"29463-7", "Body weight", "kg"},
		{"8302-2", "Body height", "cm"},
		{"8310-5", "Body temperature", "Cel"},
		{"9279-1", "Respiratory rate", "/min"},
		{"2339-0", "Glucose", "mg/dL"},
		{"718-7", "Hemoglobin", "g/dL"},
		{"2708-6", "Oxygen saturation", "%"},
		{"39156-5", "Body mass index", "kg/m2"},
	}
	c := codes[r.IntN(len(codes))]
	return fmt.Appendf(nil, `{"resourceType":"Observation","meta":{"profile":["http://hl7.org/fhir/StructureDefinition/vitalsigns"]},`+
		`"identifier":[{"system":"urn:oid:1.2.840.113619.21.1","value":"obs-%08d"}],"status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs","display":"Vital Signs"}],"text":"Vital Signs"}],`+
		`"code":{"coding":[{"system":"http://loinc.org","code":"%s","display":"%s"}],"text":"%s"},"subject":{"reference":"Patient/p%d","display":"Patient %d"},`+
		`"encounter":{"reference":"Encounter/e%d"},"effectiveDateTime":"20%02d-%02d-%02dT%02d:%02d:00+00:00","issued":"2024-03-01T10:00:00.000+00:00",`+
		`"performer":[{"reference":"Practitioner/d%d","display":"Dr. Example %d"}],"valueQuantity":{"value":%d.%d,"unit":"%s","system":"http://unitsofmeasure.org","code":"%s"},`+
		`"interpretation":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation","code":"N","display":"Normal"}],"text":"Normal"}],`+
		`"note":[{"text":"Taken at rest, seated, left arm, after five minutes; the patient reported no dizziness, no chest pain and no shortness of breath. Device calibrated this month."}],`+
		`"referenceRange":[{"low":{"value":50,"unit":"%s"},"high":{"value":150,"unit":"%s"},"text":"usual range for adults"}]}`,
		r.IntN(1e8), c.code, c.display, c.display, r.IntN(patients), r.IntN(patients), r.IntN(patients*10), 10+r.IntN(15), 1+r.IntN(12), 1+r.IntN(28), r.IntN(24), r.IntN(60),
		r.IntN(50), r.IntN(50), 50+r.IntN(100), r.IntN(10), c.unit, c.unit, c.unit, c.unit)
}

func BenchmarkCreate(b *testing.B) {
	eachBench(b, func(b *testing.B, s *Service, ctx context.Context) {
		var n atomic.Uint64
		b.SetParallelism(32)
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			r := rand.New(rand.NewPCG(n.Add(1), 7))
			for pb.Next() {
				c, err := s.prepare(ctx, "Observation", "", OpCreate, modelObservation(r, 2000))
				if err == nil {
					err = s.commit(ctx, c)
				}
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "creates/s")
	})
}

func BenchmarkPrepare(b *testing.B) {
	eachBench(b, func(b *testing.B, s *Service, ctx context.Context) {
		json := modelObservation(rand.New(rand.NewPCG(1, 7)), 2000)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.prepare(ctx, "Observation", "", OpCreate, json); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkSearchPatientCode(b *testing.B) {
	eachBench(b, func(b *testing.B, s *Service, ctx context.Context) {
		r := rand.New(rand.NewPCG(1, 7))
		const patients = 200
		var all [][]byte
		for range 40_000 {
			all = append(all, modelObservation(r, patients))
		}
		load(b, s, ctx, all)
		b.ReportAllocs()
		for b.Loop() {
			query, err := s.parse(ctx, "Observation", fmt.Sprintf("patient=p%d&code=8867-4&_sort=-date&_count=20", r.IntN(patients)), search.Options{})
			if err != nil {
				b.Fatal(err)
			}
			page, err := s.Search(ctx, Request{Query: query})
			if err != nil || len(page.Matches) == 0 {
				b.Fatal(err, page)
			}
		}
	})
}

func BenchmarkBareChart(b *testing.B) {
	eachBench(b, func(b *testing.B, s *Service, ctx context.Context) {
		r := rand.New(rand.NewPCG(1, 7))
		const patients = 200
		var all [][]byte
		for range 40_000 {
			all = append(all, modelObservation(r, patients))
		}
		load(b, s, ctx, all)
		m, err := s.mask(ctx)
		if err != nil {
			b.Fatal(err)
		}
		code := maskChartCode(m, int64(search.CodeHash("8867-4"))) //nolint:gosec // a hash's bits
		for b.Loop() {
			rows := 0
			err := s.db.Read(ctx, func(ctx context.Context, q db.Querier) error {
				return q.Query(ctx, chartAfter, func(r db.Row) error {
					rows += len(r.Bytes(4))
					return nil
				}, maskChart(m, int64(search.RefHash(fmt.Sprintf("Patient/p%d", r.IntN(patients))))), s.number("Observation"), code, 21, math.MinInt64, math.MinInt64) //nolint:gosec // a hash's bits
			})
			if err != nil || rows == 0 {
				b.Fatal(err, rows)
			}
		}
	})
}
