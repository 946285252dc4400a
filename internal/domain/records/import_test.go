package records

import (
	"context"
	"strings"
	"testing"
)

func TestImport_TransactionKeepsIDsAndMayBeRepeated(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, s *Service, ctx context.Context) {
		body := []byte(bundleOfType("transaction",
			entryOf(urn1, "POST", "Patient", patient(`"id":"x"`)),
			entryOf(urn2, "POST", "Observation", `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"`+urn1+`"}}`),
			entryOf("", "PUT", "Practitioner/d", `{"resourceType":"Practitioner","id":"d"}`)))
		first, err := s.ImportBundle(ctx, body)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "created", first.Created, 3)
		again, err := s.ImportBundle(ctx, body)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "unchanged", again.Unchanged, 3)
		equal(t, "created again", again.Created+again.Updated, 0)
		o, err := s.Read(ctx, "Observation", strings.TrimPrefix(urn2, "urn:uuid:"))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(o.JSON), `"reference":"Patient/`+strings.TrimPrefix(urn1, "urn:uuid:")+`"`) {
			t.Errorf("reference: %s", o.JSON)
		}
		equal(t, "version", o.Number, 1)
	})
}

func TestImport_Resources(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, s *Service, ctx context.Context) {
		list := [][]byte{
			[]byte(patient(`"id":"a"`)), []byte(patient(`"id":"b","gender":"m"`)), []byte(patient("")), []byte(`{`), []byte(patient(`"id":"c"`)),
		}
		report, err := s.ImportResources(ctx, list)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "created", report.Created, 3)
		equal(t, "refused", len(report.Refused), 2)
		equal(t, "which", report.Refused[0].Index, 1)
		equal(t, "type", report.Refused[0].Type, "Patient")
		list[0] = []byte(patient(`"id":"a","active":true`))
		report, err = s.ImportResources(ctx, [][]byte{list[0], list[4]})
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "updated", report.Updated, 1)
		equal(t, "unchanged", report.Unchanged, 1)
		collection, err := s.ImportBundle(ctx, []byte(`{"resourceType":"Bundle","type":"collection","entry":[{"resource":`+patient(`"id":"z"`)+`}]}`))
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "collection", collection.Created, 1)
		if _, err := s.ImportBundle(ctx, []byte(patient(""))); err == nil {
			t.Error("a Patient was taken for a Bundle")
		}
	})
}
