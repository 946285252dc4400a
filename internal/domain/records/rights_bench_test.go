package records

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"ward/internal/base/scope"
	"ward/internal/format/fhir/search"
	"ward/internal/kernel/access"
)

// clinic stores n patients with 40 results and two encounters each; every share-th is in the care of Practitioner/doc.
func clinic(b *testing.B, s *Service, ctx context.Context, n, share int) {
	b.Helper()
	r := rand.New(rand.NewPCG(1, 7)) //nolint:gosec // reproducible
	list := [][]byte{[]byte(`{"resourceType":"Practitioner","id":"doc"}`)}
	for i := range n {
		carer := "other"
		if i%share == 0 {
			carer = "doc"
		}
		list = append(list, fmt.Appendf(nil, `{"resourceType":"Patient","id":"p%d","name":[{"family":"Name%d","given":["Anna"]}],"birthDate":"19%02d-01-01","generalPractitioner":[{"reference":"Practitioner/%s"}]}`, i, i%50, i%90, carer))
		for v := range 2 {
			list = append(list, fmt.Appendf(nil, `{"resourceType":"Encounter","id":"e%d-%d","status":"finished","class":{"code":"AMB"},"subject":{"reference":"Patient/p%d"},"participant":[{"individual":{"reference":"Practitioner/%s"}}],"period":{"start":"2026-01-%02d"}}`, i, v, i, carer, 1+(i+v)%28))
		}
	}
	for range 40 * n {
		list = append(list, modelObservation(r, n))
	}
	load(b, s, ctx, list)
}

// BenchmarkPanel answers what a clinician asks for, as one who sees all charts and as one who is kept to a panel, in turns. "ratio" is
// what the second takes of the first; it shall be 1.5 at most. "scan" is a question whose answers are spread over all charts: it can't
// be better than one over the share of the panel, unless the panel leads.
func BenchmarkPanel(b *testing.B) {
	for _, share := range []int{2, 4, 20} {
		b.Run(fmt.Sprintf("1in%d", share), func(b *testing.B) {
			eachBench(b, func(b *testing.B, s *Service, ctx context.Context) {
				const patients = 600
				clinic(b, s, ctx, patients, share)
				s.settings = func(context.Context) (Settings, error) { return Settings{CareOnly: true}, nil }
				all := as(ctx, scope.Principal{ID: "a", Role: access.Analyst})
				panel := as(ctx, scope.Principal{ID: "b", Role: access.Clinician, Person: "Practitioner/doc"})
				mine := func(n int) string { return fmt.Sprintf("p%d", n*share%patients) }
				questions := []struct {
					name string
					ask  func(n int) string
				}{
					{"chart", func(n int) string { return "Observation?patient=" + mine(n) + "&code=8867-4&_sort=-date&_count=20" }},
					{"results", func(n int) string { return "Observation?patient=" + mine(n) + "&_count=20" }},
					{"people", func(n int) string { return fmt.Sprintf("Patient?name=Name%d&_count=20", n%50) }},
					{"day", func(n int) string {
						return fmt.Sprintf("Encounter?practitioner=Practitioner/doc&date=2026-01-%02d&_count=20", 1+n%28)
					}},
					{"scan", func(n int) string {
						return "Observation?code=" + []string{"8867-4", "8480-6", "29463-7"}[n%3] + "&_count=20"
					}},
				}
				for _, q := range questions {
					b.Run(q.name, func(b *testing.B) { ratio(b, s, all, panel, func(n int) []string { return []string{q.ask(n)} }) })
				}
				b.Run("mix", func(b *testing.B) {
					ratio(b, s, all, panel, func(n int) (list []string) {
						for _, q := range questions {
							list = append(list, q.ask(n))
						}
						return list
					})
				})
			})
		})
	}
}

// BenchmarkPanel_Large is what a clinician with a panel of 500 asks among 20,000 patients, as one who sees all charts and as one who is kept to the panel, in turns.
// "ratio" is what the second takes of the first; it shall be 1.5 at most.
func BenchmarkPanel_Large(b *testing.B) {
	eachBench(b, func(b *testing.B, s *Service, ctx context.Context) {
		const patients, share = 20_000, 40
		r := rand.New(rand.NewPCG(1, 9)) //nolint:gosec // reproducible
		list := make([][]byte, 0, 8*patients)
		for i := range patients {
			carer := "other"
			if i%share == 0 {
				carer = "doc"
			}
			list = append(list,
				fmt.Appendf(nil, `{"resourceType":"Patient","id":"p%d","name":[{"family":"Name%d","given":["Anna"]}],"gender":"%s","birthDate":"19%02d-01-01","generalPractitioner":[{"reference":"Practitioner/%s"}]}`, i, i/7%50, []string{"female", "male"}[i/3%2], i/11%90, carer),
				fmt.Appendf(nil, `{"resourceType":"Condition","id":"c%d","code":{"coding":[{"system":"http://snomed.info/sct","code":"%d"}]},"subject":{"reference":"Patient/p%d"}}`, i, i/13%20, i))
		}
		for range 5 * patients {
			list = append(list, modelObservation(r, patients))
		}
		load(b, s, ctx, list)
		s.settings = func(context.Context) (Settings, error) { return Settings{CareOnly: true}, nil }
		all := as(ctx, scope.Principal{ID: "a", Role: access.Analyst})
		panel := as(ctx, scope.Principal{ID: "b", Role: access.Clinician, Person: "Practitioner/doc"})
		mine := func(n int) string { return fmt.Sprintf("p%d", n*share%patients) }
		code := func(n int) string { return []string{"8867-4", "8480-6", "29463-7"}[n%3] }
		questions := []struct {
			name string
			ask  func(n int) string
		}{
			{"chart", func(n int) string { return "Observation?patient=" + mine(n) + "&code=8867-4&_sort=-date&_count=20" }},
			{"results", func(n int) string { return "Observation?patient=" + mine(n) + "&_count=20" }},
			{"code", func(n int) string { return "Observation?code=" + code(n) + "&_count=20" }},
			{"all", func(int) string { return "Observation?_count=20" }},
			{"newest", func(n int) string { return "Observation?code=" + code(n) + "&_sort=-date&_count=20" }},
			{"problems", func(n int) string { return fmt.Sprintf("Condition?code=%d&_count=20", n%20) }},
			{"people", func(n int) string { return fmt.Sprintf("Patient?name=Name%d&_count=20", n%50) }},
			{"person", func(n int) string {
				return fmt.Sprintf("Patient?name=Name%d&birthdate=19%02d-01-01&_count=20", n%50, n%90)
			}},
			{"gender", func(n int) string { return "Patient?gender=" + []string{"female", "male"}[n%2] + "&_count=20" }},
			{"count", func(n int) string { return "Observation?code=" + code(n) + "&_summary=count" }},
		}
		for _, q := range questions {
			b.Run(q.name, func(b *testing.B) { ratio(b, s, all, panel, func(n int) []string { return []string{q.ask(n)} }) })
		}
		b.Run("mix", func(b *testing.B) {
			ratio(b, s, all, panel, func(n int) (list []string) {
				for _, q := range questions {
					list = append(list, q.ask(n))
				}
				return list
			})
		})
	})
}

// ratio asks in turns and reports what the second takes of the first.
func ratio(b *testing.B, s *Service, first, second context.Context, ask func(n int) []string) {
	b.Helper()
	var took [2]time.Duration
	one := func(ctx context.Context, question string) {
		typ, criteria := cutQuestion(question)
		query, err := s.parse(ctx, typ, criteria, search.Options{})
		if err == nil {
			_, err = s.Search(ctx, Request{Query: query})
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	for _, question := range ask(0) { // once for what is kept of a principal
		one(first, question)
		one(second, question)
	}
	for n := 0; b.Loop(); n++ {
		for _, question := range ask(n) {
			for turn := range 2 { // in changing order: who comes second finds warmer memory
				i := (turn + n) % 2
				began := time.Now() //nolint:forbidigo // a benchmark
				one([2]context.Context{first, second}[i], question)
				took[i] += time.Since(began)
			}
		}
	}
	b.ReportMetric(float64(took[1])/float64(took[0]), "ratio")
	b.ReportMetric(float64(took[0].Microseconds())/float64(b.N), "µs-all/op")
	b.ReportMetric(float64(took[1].Microseconds())/float64(b.N), "µs-panel/op")
}
