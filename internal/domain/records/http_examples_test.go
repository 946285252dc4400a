package records

import (
	"bytes"
	"context"
	"testing"
	"time"

	"ward/internal/format/fhir"
	"ward/internal/format/fhir/fhirtest"
	"ward/internal/format/jsontape"
)

// notR4 are the examples that break R4's own rules, with what the refusal says.
//
//nolint:gochecknoglobals // constant table
var notR4 = map[string]string{
	"DeviceMetric/example":        "parent must refer to Device",
	"DeviceUseStatement/example":  "reasonReference must refer to",
	"ImplementationGuide/fhir":    "name is required",
	"MedicationRequest/medrx0301": "performer must refer to",
	"Observation/clinical-gender": "performer must refer to",
	"Questionnaire/qs1":           "linkId is required",
}

// TestHTTP_ExamplesOfHL7_AreStoredAndReturnedByteForByte puts each of the examples and reads it back: what comes is what
// was sent, with the server's id, version and time.
func TestHTTP_ExamplesOfHL7_AreStoredAndReturnedByteForByte(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		stored, seen := 0, map[string]bool{}
		for i, example := range fhirtest.Examples(t) {
			method, path := "PUT", "/"+example.Type+"/"+example.ID
			if example.ID == "" {
				method, path = "POST", "/"+example.Type
			}
			r := c.do(t, method, path, string(example.JSON))
			if why := notR4[example.Type+"/"+example.ID]; why != "" {
				r.refused(t, 400, why)
				continue
			}
			if r.status != 201 && (r.status != 200 || !seen[path]) {
				t.Errorf("%s: %d %.400s", example.Name(i), r.status, r.body)
				continue
			}
			seen[path] = example.ID != ""
			stored++
			id := r.text(t, "id")
			got := c.must(t, 200, "GET", "/"+example.Type+"/"+id, "")
			at, err := time.Parse(time.RFC3339Nano, got.text(t, "meta", "lastUpdated"))
			if err != nil {
				t.Fatal(err)
			}
			var doc jsontape.Doc
			if err := doc.Parse(example.JSON); err != nil {
				t.Fatal(err)
			}
			if want := fhir.Stamp(nil, &doc, id, got.text(t, "meta", "versionId"), at); !bytes.Equal(got.body, want) {
				t.Errorf("%s came back changed", example.Name(i))
			}
		}
		equal(t, "stored", stored, 738-len(notR4)-1) // there are two with the id ImplementationGuide/fhir
		// All of it in the history, page by page.
		n := 0
		for page := "/_history?_count=100"; page != ""; {
			r := c.must(t, 200, "GET", page, "")
			n += r.count(t, "entry")
			page = r.link(t, "next")
		}
		equal(t, "in the history", n, stored)
	})
}

// TestParameter_OfAnotherProcess: a process learns of a parameter that was added through another one.
func TestParameter_OfAnotherProcess(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, s *Service, ctx context.Context) {
		other, err := New(Deps{
			DB: s.db, Cache: s.answers.cache, Keys: s.keys, Definitions: s.definitions, Validator: s.validator, Standard: s.standard, Clock: s.clock, Log: s.log,
			CursorKey: s.cursorKey, Settings: s.settings, Version: s.version,
		})
		if err != nil {
			t.Fatal(err)
		}
		a, b := newClient(ctx, t, s), newClient(ctx, t, other)
		b.get(t, "/Patient?nickname=x").refused(t, 400)
		a.create(t, `{"resourceType":"SearchParameter","url":"http://example.org/nickname","name":"n","status":"active","description":"d","code":"nickname",`+
			`"base":["Patient"],"type":"string","expression":"Patient.name.where(use='nickname').given"}`)
		b.create(t, patient(`"name":[{"use":"nickname","given":["Bo"]}]`)) // not indexed by it yet
		if err := b.s.parameters.reload(b.ctx, b.tenant()); err != nil {
			t.Fatal(err)
		}
		equal(t, "while it is indexed", b.get(t, "/Patient?nickname=bo").count(t, "entry"), 1)
		a.index(t)
		for name, c := range map[string]*client{"a": a, "b": b} {
			if err := c.s.parameters.reload(c.ctx, c.tenant()); err != nil {
				t.Fatal(err)
			}
			equal(t, name+" afterwards", c.get(t, "/Patient?nickname=bo").count(t, "entry"), 1)
		}
	})
}
