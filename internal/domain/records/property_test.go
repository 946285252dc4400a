package records

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"ward/internal/format/fhir/search"
)

// TestStore_TablesHoldWhatWasAcknowledged writes at random, one by one and in groups, with several changes of one resource
// in a group, and compares all tables with what was acknowledged.
func TestStore_TablesHoldWhatWasAcknowledged(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, s *Service, ctx context.Context) {
		for seed := range uint64(4) {
			r := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // reproducible
			w := newWorld(s, freshTenant(ctx))
			for range 40 {
				if r.IntN(2) == 0 {
					c := w.change(t, r)
					if err := s.commit(w.ctx, c); err != nil {
						t.Fatalf("commit: %v", err)
					}
					w.ack(t, c)
					continue
				}
				cs := make([]*Change, 1+r.IntN(12))
				for i := range cs {
					cs[i] = w.change(t, r)
				}
				w.apply(t, cs)
			}
			w.check(t)
			w.checkSearches(t)
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
	})
}

// TestStore_TablesHoldWhatWasAcknowledged_Concurrently is the same with many writers at once.
func TestStore_TablesHoldWhatWasAcknowledged_Concurrently(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, s *Service, ctx context.Context) {
		w := newWorld(s, ctx)
		var wg sync.WaitGroup
		for n := range uint64(12) {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(n, 2)) //nolint:gosec // reproducible
				for range 30 {
					c := w.change(t, r)
					if err := s.commit(ctx, c); err != nil {
						t.Errorf("commit of %s/%s: %v", c.Type, c.ID, err)
						continue
					}
					w.ack(t, c)
				}
			})
		}
		wg.Wait()
		w.check(t)
		w.checkSearches(t)
	})
}

// checkSearches compares answers by plan, in pages, with reading everything.
func (w *world) checkSearches(t *testing.T) {
	t.Helper()
	for _, question := range worldQuestions {
		typ, criteria := cutQuestion(question)
		want := readingEverything(t, w.s, w.ctx, typ, criteria)
		got := idsOf(walk(t, w.s, w.ctx, typ, criteria, 2, nil))
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s\n got %v\nwant %v", question, got, want)
		}
		query, err := w.s.parse(w.ctx, typ, criteria+"&_summary=count", search.Options{})
		if err != nil {
			t.Fatal(err)
		}
		query.Count = 0
		page, err := w.s.Search(w.ctx, Request{Query: query})
		if err != nil || page.Total == nil || *page.Total != int64(len(want)) {
			t.Errorf("%s: counted %v %v, want %d", question, page, err, len(want))
		}
	}
}

// walk reads a search page by page. between is called after each page but the last.
func walk(t *testing.T, s *Service, ctx context.Context, typ, criteria string, count int, between func(page int)) []*Version {
	t.Helper()
	query, err := s.parse(ctx, typ, criteria, search.Options{})
	if err != nil {
		t.Fatalf("%s?%s: %v", typ, criteria, err)
	}
	query.Count, query.HasCount = count, true
	var found []*Version
	for n := 1; n < 1000; n++ {
		page, err := s.Search(ctx, Request{Query: query})
		if err != nil {
			t.Errorf("%s?%s, page %d: %v", typ, criteria, n, err)
			return found
		}
		found = append(found, page.Matches...)
		if page.Next == "" {
			return found
		}
		if query.Cursor = page.Next; between != nil {
			between(n)
		}
	}
	t.Errorf("%s?%s does not end", typ, criteria)
	return found
}

func idsOf(versions []*Version) []string {
	ids := make([]string, len(versions))
	for i, v := range versions {
		ids[i] = v.ID
	}
	return ids
}

//nolint:gochecknoglobals // constant table
var worldQuestions = []string{
	"Patient?", "Patient?_id=p0,p3,nobody", "Patient?family=chalmers", "Patient?name=mul", "Patient?name:exact=Peter", "Patient?name:contains=nds",
	"Patient?gender=male&birthdate=1974", "Patient?birthdate=ge2018-02", "Patient?birthdate:missing=true", "Patient?active:not=true", "Patient?identifier=urn:mrn|p2",
	"Patient?identifier=x", "Patient?general-practitioner.family=careful", "Patient?organization.name=gastro", "Patient?_tag=a", "Patient?_tag=urn:tags|b&gender=female",
	"Patient?_has:Observation:patient:code=8867-4", "Patient?_has:Observation:patient:performer:Practitioner.name=adam", "Patient?_lastUpdated=gt2000-01-01",
	"Practitioner?gender=male", "Organization?name=cardio", "Encounter?patient=p1", "Encounter?status=finished&class=IMP", "Encounter?date=2018-02", "Encounter?participant=p0",
	"Observation?", "Observation?patient=p0", "Observation?patient=p0,p2", "Observation?patient=p1&code=8867-4", "Observation?patient=p1&code=http://loinc.org|29463-7",
	"Observation?patient=p1&code=8867-4,8302-2", "Observation?patient=p3&_sort=date", "Observation?patient=p3&_sort=-date", "Observation?patient=p3&_sort=code,-date",
	"Observation?subject=Group/g1", "Observation?subject=Patient/p4&status=final", "Observation?code=other", "Observation?code=http://loinc.org|8867-4&status=final&category=vital-signs",
	"Observation?date=ge2019&date=lt2020", "Observation?date=2018-03-02", "Observation?date=sa2018-03", "Observation?date=eb2019", "Observation?value-quantity=gt60|http://unitsofmeasure.org|kg",
	"Observation?patient.family=windsor", "Observation?patient.gender=male&_sort=-date", "Observation?patient.general-practitioner.name=adam", "Observation?performer=Practitioner/p1",
	"Observation?encounter.status=finished", "Observation?encounter.patient=p1", "Observation?encounter.patient.family=windsor", "Patient?_has:Observation:patient:encounter.patient=p1", "Observation?encounter=e1&_sort=_lastUpdated", "Observation?_sort=-_lastUpdated", "Observation?_sort=status,-_lastUpdated",
	"Observation?_lastUpdated=gt2000-01-01&_sort=_lastUpdated", "Observation?status:not=final", "Observation?date:missing=true", "Condition?patient=p2&_sort=onset-date",
	"Condition?asserter.name=adam", "MedicationRequest?patient=p0&intent=order", "MedicationRequest?authoredon=ge2019&_sort=authoredon", "MedicationRequest?code=8302-2",
}

func cutQuestion(question string) (typ, criteria string) {
	typ, criteria, _ = strings.Cut(question, "?")
	return typ, criteria
}
