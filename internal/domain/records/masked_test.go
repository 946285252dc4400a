package records

import (
	"bytes"
	"context"
	"testing"

	"ward/internal/backend/db"
	"ward/internal/format/fhir/search"
	"ward/internal/format/jsontape"
)

// indexed rows of a tenant: keys by atom, and the chart's patients and codes.
func indexRows(t *testing.T, s *Service, ctx context.Context) (keys map[uint32][][]byte, chart []int64) {
	t.Helper()
	keys = map[uint32][][]byte{}
	err := s.db.Read(ctx, func(ctx context.Context, q db.Querier) error {
		err := q.Query(ctx, "SELECT atom, key FROM records_index", func(r db.Row) error {
			atom := uint32(r.Int64(0)) //nolint:gosec // a hash's bits
			keys[atom] = append(keys[atom], bytes.Clone(r.Bytes(1)))
			return nil
		})
		if err != nil {
			return err
		}
		return q.Query(ctx, "SELECT patient, code FROM records_chart", func(r db.Row) error {
			chart = append(chart, r.Int64(0))
			if r.Int64(1) != 0 {
				chart = append(chart, r.Int64(1))
			}
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys, chart
}

// TestMasked_NoGuessCanBeTestedOnTheIndex: who has the tables, and knows how keys are made, does not find a telephone number, an identifier, a code or whose
// chart it is; and two tenants with the same patients have nothing in common there.
func TestMasked_NoGuessCanBeTestedOnTheIndex(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, s *Service, ctx context.Context) {
		other := freshTenant(t.Context())
		resources := []string{
			`{"resourceType":"Patient","id":"p","identifier":[{"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MR"}]},"system":"http://h.example/mrn","value":"12345"}],` +
				`"telecom":[{"system":"phone","value":"+49 30 1234567"},{"system":"email","value":"a@example.org"}],"gender":"female"}`,
			`{"resourceType":"Observation","id":"o","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"7917-8"}]},"subject":{"reference":"Patient/p"},"performer":[{"reference":"Practitioner/d"}]}`,
		}
		for _, json := range resources {
			put(t, s, ctx, json)
			put(t, s, other, json)
		}
		keys, chart := indexRows(t, s, ctx)
		theirs, theirChart := indexRows(t, s, other)
		registry, err := s.registry(ctx)
		if err != nil {
			t.Fatal(err)
		}
		hashed := map[uint32]bool{}
		contains := func(list [][]byte, key []byte) bool {
			for _, k := range list {
				if bytes.Equal(k, key) || len(key) >= 8 && bytes.HasPrefix(k, key[:8]) {
					return true
				}
			}
			return false
		}
		for _, json := range resources {
			var doc jsontape.Doc
			if err := doc.Parse([]byte(json)); err != nil {
				t.Fatal(err)
			}
			typ := doc.Text(doc.Get(doc.Root(), "resourceType"))
			values := extract(registry, typ, doc.Text(doc.Get(doc.Root(), "id")), &doc)
			for _, p := range values.postings {
				if p.Form == search.FormOrdered {
					continue
				}
				hashed[p.Atom] = true
				if contains(keys[p.Atom], p.Key) {
					t.Errorf("%s: the bare hash %x is in the index", typ, p.Key)
				}
			}
			for _, hash := range append(values.chart.Patients, values.chart.Codes...) {
				for _, c := range chart {
					if c == int64(hash) { //nolint:gosec // a hash's bits
						t.Errorf("%s: the bare hash %x is in the chart", typ, hash)
					}
				}
			}
		}
		if len(hashed) < 8 {
			t.Errorf("only %d atoms were looked at", len(hashed))
		}
		for atom := range hashed {
			for _, key := range keys[atom] {
				if contains(theirs[atom], key) {
					t.Errorf("atom %x: two tenants have the key %x", atom, key)
				}
			}
		}
		for _, a := range chart {
			for _, b := range theirChart {
				if a == b {
					t.Errorf("two tenants have %x in their charts", a)
				}
			}
		}
		for question, want := range map[string]int{
			"Patient?identifier=http://h.example/mrn|12345": 1, "Patient?identifier=12345": 1, "Patient?identifier=http://h.example/mrn|": 1, "Patient?identifier=|12345": 0,
			"Patient?identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|MR|12345": 1, "Patient?identifier=54321": 0, "Patient?phone=%2B49 30 1234567": 1,
			"Patient?email=a@example.org": 1, "Patient?gender=female": 1, "Observation?code=http://loinc.org|7917-8": 1, "Observation?code=7917-8": 1, "Observation?code=http://loinc.org|": 1,
			"Observation?patient=p": 1, "Observation?patient=p&code=7917-8": 1, "Observation?performer=Practitioner/d": 1, "Observation?performer=Practitioner/e": 0, "Observation?patient=q": 0,
		} {
			typ, criteria := cutQuestion(question)
			for _, ctx := range []context.Context{ctx, other} {
				query, err := s.parse(ctx, typ, criteria, search.Options{})
				if err != nil {
					t.Fatal(question, err)
				}
				page, err := s.Search(ctx, Request{Query: query})
				if err != nil {
					t.Fatal(question, err)
				}
				if len(page.Matches) != want {
					t.Errorf("%s: %d matches, want %d", question, len(page.Matches), want)
				}
			}
		}
	})
}
