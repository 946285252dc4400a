package records

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"

	"ward/internal/base/scope"
)

// synthea reads transaction bundles from the folder that WARD_TEST_SYNTHEA names.
func synthea(b *testing.B) [][]byte {
	b.Helper()
	dir := os.Getenv("WARD_TEST_SYNTHEA")
	if dir == "" {
		b.Skip("WARD_TEST_SYNTHEA names no folder of unpacked Synthea bundles")
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(names) == 0 {
		b.Fatalf("no bundles in %s: %v", dir, err)
	}
	var bundles [][]byte
	for _, name := range names {
		body, err := os.ReadFile(name) //nolint:gosec // the benchmark's own folder
		if err != nil {
			b.Fatal(err)
		}
		bundles = append(bundles, body)
	}
	return bundles
}

// BenchmarkImport imports Synthea's bundles, as many at once as there are cores; the figure is resources per second.
func BenchmarkImport(b *testing.B) {
	bundles := synthea(b)
	eachBench(b, func(b *testing.B, s *Service, ctx context.Context) {
		var resources atomic.Int64
		for n := rand.Int32N(math.MaxInt32 / 2); b.Loop(); n++ { // PostgreSQL keeps what earlier runs imported
			ctx := scope.WithTenant(ctx, scope.Tenant{ID: n, Slug: "bench"})
			parallel(len(bundles), runtime.GOMAXPROCS(0), func(i int) {
				report, err := s.ImportBundle(ctx, bundles[i])
				if err != nil {
					b.Errorf("bundle %d: %v", i, err)
				}
				resources.Add(int64(report.Created))
			})
		}
		b.ReportMetric(float64(resources.Load())/b.Elapsed().Seconds(), "resources/s")
	})
}

// BenchmarkTransaction100 posts transactions of 100 Observations through the service; the figure is resources per second.
func BenchmarkTransaction100(b *testing.B) {
	eachBench(b, func(b *testing.B, s *Service, ctx context.Context) {
		var entries bytes.Buffer
		for i := range 100 {
			if i > 0 {
				entries.WriteByte(',')
			}
			entries.WriteString(entryOf(fmt.Sprintf("urn:uuid:00000000-0000-4000-8000-%012d", i), "POST", "Observation", vitalSigns(i)))
		}
		body := []byte(bundleOfType("transaction", entries.String()))
		b.SetBytes(int64(len(body)))
		b.SetParallelism(4)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := s.processBundle(ctx, body, testBase, preference{returns: returnMinimal}); err != nil {
					b.Error(err)
				}
			}
		})
		b.ReportMetric(float64(b.N)*100/b.Elapsed().Seconds(), "resources/s")
	})
}

// vitalSigns is an Observation of about 1.5 KB, as a laboratory or monitor sends it.
func vitalSigns(n int) string {
	return fmt.Sprintf(`{"resourceType":"Observation","meta":{"profile":["http://hl7.org/fhir/StructureDefinition/bp","http://hl7.org/fhir/StructureDefinition/vitalsigns"]},`+
		`"identifier":[{"system":"urn:ward:bench","value":"obs-%d"}],"status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs","display":"Vital Signs"}]}],`+
		`"code":{"coding":[{"system":"http://loinc.org","code":"85354-9","display":"Blood pressure panel with all children optional"}],"text":"Blood pressure systolic & diastolic"},`+
		`"subject":{"reference":"Patient/p%d"},"encounter":{"reference":"Encounter/e%d"},"effectiveDateTime":"2026-01-02T03:04:05Z","issued":"2026-01-02T03:04:05.678Z",`+
		`"performer":[{"reference":"Practitioner/d%d","display":"Dr. Adam Careful"}],"interpretation":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation","code":"L","display":"low"}],"text":"Below low normal"}],`+
		`"bodySite":{"coding":[{"system":"http://snomed.info/sct","code":"368209003","display":"Right arm"}]},`+
		`"component":[{"code":{"coding":[{"system":"http://loinc.org","code":"8480-6","display":"Systolic blood pressure"}]},"valueQuantity":{"value":107.50,"unit":"mmHg","system":"http://unitsofmeasure.org","code":"mm[Hg]"},"interpretation":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation","code":"N","display":"normal"}],"text":"Normal"}]},`+
		`{"code":{"coding":[{"system":"http://loinc.org","code":"8462-4","display":"Diastolic blood pressure"}]},"valueQuantity":{"value":60,"unit":"mmHg","system":"http://unitsofmeasure.org","code":"mm[Hg]"}}]}`, n, n%10, n%20, n%5)
}
