package records

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// The tests of this file follow FHIR R4 http.html#create, #update, #upsert, #concurrency, #delete, #ops and #prefer.

func TestHTTP_Create_AnswersWithLocation(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		r := c.must(t, 201, "POST", "/Patient", patient(`"active":true`))
		id := r.text(t, "id")
		equal(t, "Location", r.header.Get("Location"), testBase+"/Patient/"+id+"/_history/1")
		equal(t, "ETag", r.header.Get("ETag"), `W/"1"`)
		if r.header.Get("Last-Modified") == "" {
			t.Error("no Last-Modified")
		}
		c.must(t, 200, "GET", r.header.Get("Location"), "")
	})
}

func TestHTTP_Create_IgnoresIDVersionAndTime(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		r := c.must(t, 201, "POST", "/Patient", patient(`"id":"mine","meta":{"versionId":"77","lastUpdated":"2001-01-01T00:00:00Z","tag":[{"code":"kept"}]}`))
		if r.text(t, "id") == "mine" {
			t.Error("the client's id was taken")
		}
		equal(t, "versionId", r.text(t, "meta", "versionId"), "1")
		if strings.HasPrefix(r.text(t, "meta", "lastUpdated"), "2001") {
			t.Error("the client's lastUpdated was taken")
		}
		equal(t, "tag", r.text(t, "meta", "tag", 0, "code"), "kept")
		c.get(t, "/Patient/mine").refused(t, 404)
	})
}

func TestHTTP_Create_RefusesWhatIsWrong(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		for name, row := range map[string]struct {
			path, body string
			status     int
			says       []string
		}{
			"not JSON":        {"/Patient", "{\n  \"resourceType\": \"Patient\",\n  \"active\": tru\n}", 400, []string{"line 3"}},
			"empty":           {"/Patient", " ", 400, nil},
			"cut off":         {"/Patient", `{"resourceType":"Patient"`, 400, []string{"line 1"}},
			"trailing":        {"/Patient", `{"resourceType":"Patient"} x`, 400, nil},
			"duplicate key":   {"/Patient", `{"resourceType":"Patient","active":true,"active":false}`, 400, nil},
			"array":           {"/Patient", `[]`, 400, nil},
			"no type":         {"/Patient", `{"active":true}`, 400, []string{"resourceType"}},
			"unknown type":    {"/Patient", `{"resourceType":"Pasient"}`, 400, []string{"Pasient"}},
			"other type":      {"/Patient", `{"resourceType":"Observation","status":"final","code":{"text":"x"}}`, 400, []string{"Observation", "Patient"}},
			"unknown field":   {"/Patient", `{"resourceType":"Patient","colour":"red"}`, 400, []string{"colour"}},
			"wrong type":      {"/Patient", `{"resourceType":"Patient","active":"yes"}`, 400, []string{"Patient.active"}},
			"bad code":        {"/Patient", `{"resourceType":"Patient","gender":"m"}`, 400, []string{"Patient.gender"}},
			"missing":         {"/Observation", `{"resourceType":"Observation","code":{"text":"x"}}`, 400, []string{"status"}},
			"bad date":        {"/Patient", `{"resourceType":"Patient","birthDate":"1970-13-01"}`, 400, []string{"Patient.birthDate"}},
			"deep":            {"/Patient", `{"resourceType":"Patient","x":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `}`, 400, nil},
			"lone surrogate":  {"/Patient", `{"resourceType":"Patient","implicitRules":"\ud800"}`, 400, nil},
			"unknown type/db": {"/Pasient", `{"resourceType":"Pasient"}`, 404, nil},
		} {
			r := c.do(t, "POST", row.path, row.body)
			if r.status != row.status {
				t.Errorf("%s: %d, want %d: %s", name, r.status, row.status, r.body)
				continue
			}
			r.refused(t, row.status, row.says...)
		}
		equal(t, "stored", c.get(t, "/Patient?_total=accurate").text(t, "total"), "0")
	})
}

func TestHTTP_Create_EveryProblemInOneOutcome(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		r := c.do(t, "POST", "/Patient", `{"resourceType":"Patient","gender":"m","active":1,"birthDate":"x"}`)
		r.refused(t, 400)
		equal(t, "issues", r.count(t, "issue"), 3)
		if r.text(t, "issue", 0, "expression", 0) == "" {
			t.Errorf("no expression: %s", r.body)
		}
	})
}

func TestHTTP_Content_MediaTypes(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		for content, status := range map[string]int{
			"application/fhir+json":                  201,
			"application/fhir+json; charset=UTF-8":   201,
			"application/fhir+json; fhirVersion=4.0": 201,
			"application/json":                       201,
			"application/fhir+json; charset=utf-16":  415,
			"application/fhir+json; fhirVersion=3.0": 415,
			"application/fhir+xml":                   415,
			"text/plain":                             415,
			"application/x-www-form-urlencoded":      415,
			"application/json-patch+json":            415,
			"//":                                     415,
		} {
			if r := c.do(t, "POST", "/Patient", patient(""), "Content-Type", content); r.status != status {
				t.Errorf("%s: %d, want %d: %s", content, r.status, status, r.body)
			}
		}
		c.do(t, "POST", "/Patient", "<Patient/>", "Content-Type", "application/fhir+xml").refused(t, 415, "XML", "application/fhir+json")
	})
}

func TestHTTP_Update_MakesVersions(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		id := c.create(t, patient(""))
		r := c.must(t, 200, "PUT", "/Patient/"+id, patient(`"id":"`+id+`","meta":{"versionId":"9","lastUpdated":"2001-01-01T00:00:00Z"},"active":true`))
		equal(t, "ETag", r.header.Get("ETag"), `W/"2"`)
		if r.header.Get("Last-Modified") == "" {
			t.Error("no Last-Modified")
		}
		equal(t, "versionId", r.text(t, "meta", "versionId"), "2")
		equal(t, "active", r.text(t, "active"), "true")
	})
}

func TestHTTP_Update_CreatesUnderTheClientsID(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		r := c.must(t, 201, "PUT", "/Patient/my.id-1", patient(`"id":"my.id-1"`))
		equal(t, "Location", r.header.Get("Location"), testBase+"/Patient/my.id-1/_history/1")
		equal(t, "ETag", r.header.Get("ETag"), `W/"1"`)
		c.must(t, 200, "GET", "/Patient/my.id-1", "")
	})
}

func TestHTTP_Update_TheIDMustBeThatOfTheURL(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		c.do(t, "PUT", "/Patient/a", patient("")).refused(t, 400, "id")
		c.do(t, "PUT", "/Patient/a", patient(`"id":"b"`)).refused(t, 400, "id")
		c.do(t, "PUT", "/Patient/a", `{"resourceType":"Practitioner","id":"a"}`).refused(t, 400, "Practitioner")
		c.do(t, "PUT", "/Patient/a_b", patient(`"id":"a_b"`)).refused(t, 400)
		c.get(t, "/Patient/a").refused(t, 404)
	})
}

func TestHTTP_Update_BringsBackToLife(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		id := c.create(t, patient(""))
		c.must(t, 204, "DELETE", "/Patient/"+id, "")
		r := c.must(t, 201, "PUT", "/Patient/"+id, patient(`"id":"`+id+`"`))
		equal(t, "ETag", r.header.Get("ETag"), `W/"3"`)
		c.must(t, 200, "GET", "/Patient/"+id, "")
		equal(t, "found", c.get(t, "/Patient?_id="+id).count(t, "entry"), 1)
	})
}

func TestHTTP_Contention_IfMatch(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		id := c.create(t, patient(""))
		body := patient(`"id":"` + id + `","active":true`)
		for _, row := range []struct {
			ifMatch string
			status  int
		}{
			{`W/"7"`, 412},
			{`W/"x"`, 412},
			{`1`, 400},
			{`W/1`, 400},
			{`"`, 400},
			{`W/"1"`, 200},
			{`W/"1"`, 412},
			{`"2"`, 200},
			{`*`, 200},
		} {
			if r := c.do(t, "PUT", "/Patient/"+id, body, "If-Match", row.ifMatch); r.status != row.status {
				t.Errorf("%s: %d, want %d: %s", row.ifMatch, r.status, row.status, r.body)
			}
		}
		equal(t, "versionId", c.get(t, "/Patient/"+id).text(t, "meta", "versionId"), "4")
		c.do(t, "PUT", "/Patient/new", patient(`"id":"new"`), "If-Match", `W/"1"`).refused(t, 412)
		c.do(t, "PUT", "/Patient/new", patient(`"id":"new"`), "If-Match", `*`).refused(t, 412)
		c.do(t, "DELETE", "/Patient/"+id, "", "If-Match", `W/"1"`).refused(t, 412)
		c.must(t, 204, "DELETE", "/Patient/"+id, "", "If-Match", `W/"4"`)
	})
}

func TestHTTP_Contention_IfNoneMatchStar(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		c.must(t, 201, "PUT", "/Patient/a", patient(`"id":"a"`), "If-None-Match", "*")
		c.do(t, "PUT", "/Patient/a", patient(`"id":"a"`), "If-None-Match", "*").refused(t, 412)
		c.do(t, "PUT", "/Patient/a", patient(`"id":"a"`), "If-None-Match", `W/"1"`).refused(t, 400)
	})
}

func TestHTTP_Contention_ParallelUpdatesLoseNothing(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		id := c.create(t, patient(""))
		const writers = 8
		var (
			wg   sync.WaitGroup
			wins [writers]int
		)
		for w := range writers {
			wg.Go(func() {
				for range 5 {
					current := c.get(t, "/Patient/"+id).header.Get("ETag")
					r := c.do(t, "PUT", "/Patient/"+id, patient(fmt.Sprintf(`"id":"%s","multipleBirthInteger":%d`, id, w+1)), "If-Match", current)
					switch r.status {
					case 200:
						wins[w]++
					case 412:
					default:
						t.Errorf("answered %d: %s", r.status, r.body)
					}
				}
			})
		}
		wg.Wait()
		total := 0
		for _, n := range wins {
			total += n
		}
		equal(t, "versions", c.get(t, "/Patient/"+id).text(t, "meta", "versionId"), fmt.Sprint(total+1))
		equal(t, "history", c.get(t, "/Patient/"+id+"/_history?_count=100").count(t, "entry"), total+1)
	})
}

func TestHTTP_Delete(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		id := c.create(t, patient(""))
		r := c.must(t, 204, "DELETE", "/Patient/"+id, "")
		equal(t, "body", len(r.body), 0)
		equal(t, "ETag", r.header.Get("ETag"), `W/"2"`)
		equal(t, "search", c.get(t, "/Patient?_id="+id).count(t, "entry"), 0)
		// Deleting what is deleted, or was never there, has no effect and is no error.
		c.must(t, 204, "DELETE", "/Patient/"+id, "")
		c.must(t, 204, "DELETE", "/Patient/never", "")
		equal(t, "versions", c.get(t, "/Patient/"+id+"/_history").count(t, "entry"), 2)
		c.must(t, 200, "GET", "/Patient/"+id+"/_history/1", "")
		c.must(t, 200, "DELETE", "/Patient/"+id, "", "Prefer", "return=OperationOutcome")
	})
}

func TestHTTP_Prefer_Return(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		for _, row := range []struct{ prefer, resourceType string }{
			{"", "Patient"},
			{"return=representation", "Patient"},
			{"return=minimal", ""},
			{"return=OperationOutcome", "OperationOutcome"},
			{"respond-async, return=minimal", ""},
			{"return=nonsense", "Patient"},
		} {
			r := c.must(t, 201, "POST", "/Patient", patient(""), "Prefer", row.prefer)
			if row.resourceType == "" {
				equal(t, row.prefer, len(r.body), 0)
			} else {
				equal(t, row.prefer, r.text(t, "resourceType"), row.resourceType)
			}
			if r.header.Get("Location") == "" || r.header.Get("ETag") == "" {
				t.Errorf("%s: no Location or ETag", row.prefer)
			}
		}
		// It applies to what succeeds: a failure says why.
		c.do(t, "POST", "/Patient", patient(`"gender":"m"`), "Prefer", "return=minimal").refused(t, 400)
	})
}

func TestHTTP_Permissions(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		id := c.create(t, patient(""))
		nobody := c.as("operator")
		for _, row := range []struct{ method, path, body string }{
			{"GET", "/Patient/" + id, ""},
			{"GET", "/Patient", ""},
			{"POST", "/Patient", patient("")},
			{"DELETE", "/Patient/" + id, ""},
			{"POST", "", `{"resourceType":"Bundle","type":"batch"}`},
			{"GET", "/_history", ""},
			{"GET", "/Patient/" + id + "/$everything", ""},
		} {
			if r := nobody.do(t, row.method, row.path, row.body); r.status != 403 {
				t.Errorf("%s %s: %d, want 403", row.method, row.path, r.status)
			}
		}
		c.as("").get(t, "/Patient/"+id).refused(t, 401)
		c.as("").must(t, 200, "GET", "/metadata", "")
		c.as("clinician").do(t, "POST", "/SearchParameter", `{"resourceType":"SearchParameter"}`).refused(t, 403)
	})
}

func TestHTTP_Update_ParallelOnesCreateOnce(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		for round := range 4 {
			id := fmt.Sprint("same-", round)
			var (
				wg       sync.WaitGroup
				statuses [6]int
			)
			for i := range statuses {
				wg.Go(func() {
					if i%2 == 0 {
						statuses[i] = c.do(t, "PUT", "/Patient/"+id, patient(`"id":"`+id+`"`)).status
						return
					}
					r := c.do(t, "POST", "", bundleOfType("transaction", entryOf("", "PUT", "Patient/"+id, patient(`"id":"`+id+`"`))))
					statuses[i] = r.status
					if r.status == 200 && strings.HasPrefix(r.text(t, "entry", 0, "response", "status"), "201") {
						statuses[i] = 201
					}
				})
			}
			wg.Wait()
			made := 0
			for _, status := range statuses {
				if status == 201 {
					made++
				} else if status != 200 {
					t.Errorf("answered %d", status)
				}
			}
			equal(t, "created", made, 1)
			equal(t, "versions", c.get(t, "/Patient/"+id).text(t, "meta", "versionId"), fmt.Sprint(len(statuses)))
		}
	})
}
