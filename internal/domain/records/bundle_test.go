package records

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sync/semaphore"

	"ward/internal/base/fault"
)

// The tests of this file follow FHIR R4 http.html#transaction, #brules, #trules and #transaction-response.

func bundleOfType(kind string, entries ...string) string {
	return `{"resourceType":"Bundle","type":"` + kind + `","entry":[` + strings.Join(entries, ",") + `]}`
}

// entry writes an entry; fields stand beside method and url in the request.
func entryOf(fullURL, method, url, resource string, fields ...string) string {
	var b strings.Builder
	b.WriteByte('{')
	if fullURL != "" {
		b.WriteString(`"fullUrl":"` + fullURL + `",`)
	}
	if resource != "" {
		b.WriteString(`"resource":` + resource + `,`)
	}
	b.WriteString(`"request":{"method":"` + method + `","url":"` + url + `"`)
	for _, f := range fields {
		b.WriteString("," + f)
	}
	b.WriteString("}}")
	return b.String()
}

const (
	urn1 = "urn:uuid:11111111-1111-4111-8111-111111111111"
	urn2 = "urn:uuid:22222222-2222-4222-8222-222222222222"
)

func TestBundle_Transaction_AnswersInTheOrderOfTheRequest(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		old, gone := c.create(t, patient("")), c.create(t, patient(""))
		r := c.must(t, 200, "POST", "", bundleOfType("transaction",
			entryOf("", "GET", "Patient/"+old, ""),
			entryOf("", "PUT", "Patient/"+old, patient(`"id":"`+old+`","active":true`)),
			entryOf(urn1, "POST", "Patient", patient("")),
			entryOf("", "DELETE", "Patient/"+gone, ""),
			entryOf("", "PUT", "Patient/new", patient(`"id":"new"`)),
		))
		equal(t, "type", r.text(t, "type"), "transaction-response")
		for i, status := range []string{"200 OK", "200 OK", "201 Created", "204 No Content", "201 Created"} {
			equal(t, fmt.Sprintf("status %d", i), r.text(t, "entry", i, "response", "status"), status)
		}
		// GETs see what the transaction did.
		equal(t, "read", r.text(t, "entry", 0, "resource", "active"), "true")
		equal(t, "etag", r.text(t, "entry", 1, "response", "etag"), `W/"2"`)
		equal(t, "location", r.text(t, "entry", 4, "response", "location"), "Patient/new/_history/1")
		if r.text(t, "entry", 2, "response", "lastModified") == "" || !strings.HasPrefix(r.text(t, "entry", 2, "response", "location"), "Patient/") {
			t.Errorf("no location or lastModified: %s", r.body)
		}
		// Without Prefer, writes answer without their resources.
		equal(t, "resource", r.text(t, "entry", 1, "resource", "resourceType"), "")
		c.get(t, "/Patient/"+gone).refused(t, 410)
	})
}

func TestBundle_Transaction_Prefer(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		body := bundleOfType("transaction", entryOf(urn1, "POST", "Patient", patient("")))
		r := c.must(t, 200, "POST", "", body, "Prefer", "return=representation")
		equal(t, "resource", r.text(t, "entry", 0, "resource", "resourceType"), "Patient")
		r = c.must(t, 200, "POST", "", body, "Prefer", "return=OperationOutcome")
		equal(t, "outcome", r.text(t, "entry", 0, "response", "outcome", "resourceType"), "OperationOutcome")
	})
}

func TestBundle_Transaction_AllOrNothing(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		old := c.create(t, patient(""))
		for name, bad := range map[string]struct {
			entry  string
			status int
		}{
			"invalid":        {entryOf("", "POST", "Patient", patient(`"gender":"m"`)), 400},
			"version":        {entryOf("", "PUT", "Patient/"+old, patient(`"id":"`+old+`"`), `"ifMatch":"W/\"9\""`), 412},
			"gone read":      {entryOf("", "GET", "Patient/never", ""), 404},
			"unknown type":   {entryOf("", "POST", "Pasient", patient("")), 404},
			"type of url":    {entryOf("", "POST", "Observation", patient("")), 400},
			"no reference":   {entryOf("", "POST", "Observation", `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Patient?identifier=none"}}`), 412},
			"patch of none":  {entryOf("", "PATCH", "Patient/never", fhirPathPatch), 404},
			"if none match":  {entryOf("", "PUT", "Patient/"+old, patient(`"id":"`+old+`"`), `"ifNoneMatch":"*"`), 412},
			"bad id":         {entryOf("", "PUT", "Patient/a_b", patient(`"id":"a_b"`)), 400},
			"id of the url":  {entryOf("", "PUT", "Patient/a", patient(`"id":"b"`)), 400},
			"foreign server": {entryOf("", "PUT", "http://elsewhere.org/fhir/Patient/a", patient(`"id":"a"`)), 400},
		} {
			r := c.do(t, "POST", "", bundleOfType("transaction", entryOf(urn1, "POST", "Patient", identified("tx", "")), bad.entry))
			if r.status != bad.status {
				t.Errorf("%s: %d, want %d: %s", name, r.status, bad.status, r.body)
				continue
			}
			r.refused(t, bad.status, "Bundle.entry[1]")
		}
		equal(t, "stored", c.get(t, "/Patient?"+byIdentifier("tx")).count(t, "entry"), 0)
		equal(t, "version", c.get(t, "/Patient/"+old).text(t, "meta", "versionId"), "1")
	})
}

func TestBundle_Transaction_EmptyIsNoError(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		r := c.must(t, 200, "POST", "", `{"resourceType":"Bundle","type":"transaction"}`)
		equal(t, "type", r.text(t, "type"), "transaction-response")
		r = c.must(t, 200, "POST", "", `{"resourceType":"Bundle","type":"batch"}`)
		equal(t, "type", r.text(t, "type"), "batch-response")
	})
}

func TestBundle_Transaction_AResourceAppearsOnce(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		id := c.create(t, identified("1", ""))
		body := patient(`"id":"` + id + `"`)
		for name, entries := range map[string][]string{
			"put twice":       {entryOf("", "PUT", "Patient/"+id, body), entryOf("", "PUT", "Patient/"+id, body)},
			"put and delete":  {entryOf("", "PUT", "Patient/"+id, body), entryOf("", "DELETE", "Patient/"+id, "")},
			"conditional put": {entryOf("", "PUT", "Patient?"+byIdentifier("1"), identified("1", "")), entryOf("", "DELETE", "Patient/"+id, "")},
			"patch":           {entryOf("", "PATCH", "Patient/"+id, fhirPathPatch), entryOf("", "PUT", "Patient/"+id, body)},
			"same fullUrl":    {entryOf(urn1, "POST", "Patient", patient("")), entryOf(urn1, "POST", "Patient", patient(""))},
		} {
			r := c.do(t, "POST", "", bundleOfType("transaction", entries...))
			if r.status != 400 {
				t.Errorf("%s: %d: %s", name, r.status, r.body)
			}
		}
		equal(t, "version", c.get(t, "/Patient/"+id).text(t, "meta", "versionId"), "1")
	})
}

func TestBundle_Transaction_ReplacesReferences(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		observation := `{"resourceType":"Observation","status":"final","code":{"text":"` + urn1 + `"},"subject":{"reference":"` + urn1 + `"},` +
			`"performer":[{"reference":"` + urn1 + `/_history/5"},{"reference":"Practitioner/elsewhere"}],` +
			`"meta":{"source":"` + urn1 + `"},"derivedFrom":[{"reference":"` + urn2 + `"}],` +
			`"contained":[{"resourceType":"Patient","id":"c","link":[{"type":"refer","other":{"reference":"` + urn1 + `"}}]}],` +
			`"focus":[{"reference":"#c"}],"extension":[{"url":"http://example.org/x","valueCanonical":"` + urn1 + `"}],` +
			`"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><a href=\"` + urn1 + `\">p</a></div>"}}`
		r := c.must(t, 200, "POST", "", bundleOfType("transaction",
			entryOf(urn2, "POST", "Observation", observation), // a reference to itself
			entryOf(urn1, "POST", "Patient", patient("")),
		))
		at := func(i int) string {
			typeID, _, _ := strings.Cut(r.text(t, "entry", i, "response", "location"), "/_history")
			return typeID
		}
		got := c.must(t, 200, "GET", "/"+at(0), "")
		p := at(1)
		equal(t, "reference", got.text(t, "subject", "reference"), p)
		equal(t, "with a version", got.text(t, "performer", 0, "reference"), p+"/_history/1")
		equal(t, "not in the bundle", got.text(t, "performer", 1, "reference"), "Practitioner/elsewhere")
		equal(t, "uri", got.text(t, "meta", "source"), p)
		equal(t, "itself", got.text(t, "derivedFrom", 0, "reference"), at(0))
		equal(t, "contained", got.text(t, "contained", 0, "link", 0, "other", "reference"), p)
		equal(t, "to contained", got.text(t, "focus", 0, "reference"), "#c")
		equal(t, "canonical stays", got.text(t, "extension", 0, "valueCanonical"), urn1)
		equal(t, "string stays", got.text(t, "code", "text"), urn1)
		if !strings.Contains(got.text(t, "text", "div"), `<a href="`+p+`">`) {
			t.Errorf("narrative: %s", got.text(t, "text", "div"))
		}
	})
}

func TestBundle_Transaction_ReplacesReferencesOfOtherServers(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		r := c.must(t, 200, "POST", "", bundleOfType("transaction",
			entryOf("http://elsewhere.org/fhir/Observation/1", "POST", "Observation", `{"resourceType":"Observation","status":"final","code":{"text":"x"},`+
				`"subject":{"reference":"Patient/7"},"performer":[{"reference":"http://elsewhere.org/fhir/Patient/7"},{"reference":"http://other.org/Patient/7"}]}`),
			entryOf("http://elsewhere.org/fhir/Patient/7", "POST", "Patient", patient(`"id":"7"`)),
			entryOf("http://elsewhere.org/fhir/Patient/8", "PUT", "Patient/8", patient(`"id":"8"`)),
		))
		location, _, _ := strings.Cut(r.text(t, "entry", 0, "response", "location"), "/_history")
		p, _, _ := strings.Cut(r.text(t, "entry", 1, "response", "location"), "/_history")
		got := c.must(t, 200, "GET", "/"+location, "")
		equal(t, "relative", got.text(t, "subject", "reference"), p)
		equal(t, "absolute", got.text(t, "performer", 0, "reference"), p)
		equal(t, "of another server", got.text(t, "performer", 1, "reference"), "http://other.org/Patient/7")
		if p == "Patient/7" {
			t.Error("a POST kept the client's id")
		}
	})
}

func TestBundle_Transaction_ConditionalReferences(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		about := func(criteria string) string {
			return `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Patient?` + criteria + `"}}`
		}
		subject := func(r *reply, i int) string {
			location, _, _ := strings.Cut(r.text(t, "entry", i, "response", "location"), "/_history")
			return c.must(t, 200, "GET", "/"+location, "").text(t, "subject", "reference")
		}
		id := c.create(t, identified("1", ""))
		r := c.must(t, 200, "POST", "", bundleOfType("transaction", entryOf("", "POST", "Observation", about(byIdentifier("1")))))
		equal(t, "stored", subject(r, 0), "Patient/"+id)
		// One that the transaction itself makes.
		r = c.must(t, 200, "POST", "", bundleOfType("transaction",
			entryOf("", "POST", "Observation", about(byIdentifier("2"))), entryOf("", "POST", "Patient", identified("2", ""))))
		if !strings.HasPrefix(r.text(t, "entry", 1, "response", "location"), subject(r, 0)+"/") {
			t.Errorf("made in the same transaction: %s", subject(r, 0))
		}
		c.do(t, "POST", "", bundleOfType("transaction", entryOf("", "POST", "Observation", about(byIdentifier("none"))))).refused(t, 412, "Bundle.entry[0]")
		c.create(t, identified("1", ""))
		c.do(t, "POST", "", bundleOfType("transaction", entryOf("", "POST", "Observation", about(byIdentifier("1"))))).refused(t, 412, "Bundle.entry[0]")
		c.do(t, "POST", "", bundleOfType("transaction", entryOf("", "POST", "Observation", about("colour=red")))).refused(t, 400, "Bundle.entry[0]")
	})
}

func TestBundle_Transaction_ConditionalEntries(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		id := c.create(t, identified("1", ""))
		doomed := c.create(t, identified("2", ""))
		patched := c.create(t, identified("3", `"active":true`))
		r := c.must(t, 200, "POST", "", bundleOfType("transaction",
			entryOf(urn1, "POST", "Patient", identified("1", ""), `"ifNoneExist":"`+byIdentifier("1")+`"`),
			entryOf("", "POST", "Observation", `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"`+urn1+`"}}`),
			entryOf("", "DELETE", "Patient?"+byIdentifier("2"), ""),
			entryOf("", "PATCH", "Patient?"+byIdentifier("3"), fhirPathPatch),
			entryOf("", "PUT", "Patient?"+byIdentifier("4"), identified("4", "")),
			entryOf("", "DELETE", "Patient?"+byIdentifier("none"), ""),
		))
		for i, status := range []string{"200 OK", "201 Created", "204 No Content", "200 OK", "201 Created", "204 No Content"} {
			equal(t, fmt.Sprintf("status %d", i), r.text(t, "entry", i, "response", "status"), status)
		}
		equal(t, "found", r.text(t, "entry", 0, "response", "location"), "Patient/"+id+"/_history/1")
		location, _, _ := strings.Cut(r.text(t, "entry", 1, "response", "location"), "/_history")
		equal(t, "reference to what was found", c.get(t, "/"+location).text(t, "subject", "reference"), "Patient/"+id)
		c.get(t, "/Patient/"+doomed).refused(t, 410)
		equal(t, "patched", c.get(t, "/Patient/"+patched).text(t, "active"), "false")
		c.create(t, identified("1", ""))
		c.do(t, "POST", "", bundleOfType("transaction",
			entryOf("", "POST", "Patient", identified("1", ""), `"ifNoneExist":"`+byIdentifier("1")+`"`))).refused(t, 412, "Bundle.entry[0]")
	})
}

func TestBundle_Transaction_ParallelConditionalCreatesMakeOneResource(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		body := bundleOfType("transaction",
			entryOf(urn1, "POST", "Patient", identified("1", ""), `"ifNoneExist":"`+byIdentifier("1")+`"`),
			entryOf("", "POST", "Observation", `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"`+urn1+`"}}`))
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if r := c.do(t, "POST", "", body); r.status != 200 {
					t.Errorf("answered %d: %s", r.status, r.body)
				}
			})
		}
		wg.Wait()
		found := c.get(t, "/Patient?"+byIdentifier("1"))
		equal(t, "patients", found.count(t, "entry"), 1)
		equal(t, "observations", c.get(t, "/Observation?subject="+found.ids(t)[0]).count(t, "entry"), 8)
	})
}

func TestBundle_Transaction_SameConditionTwice(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		about := func(urn string) string {
			return entryOf("", "POST", "Observation", `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"`+urn+`"}}`)
		}
		condition := `"ifNoneExist":"` + byIdentifier("1") + `"`
		body := bundleOfType("transaction",
			entryOf(urn1, "POST", "Patient", identified("1", ""), condition), entryOf(urn2, "POST", "Patient", identified("1", ""), condition), about(urn1), about(urn2))
		r := c.must(t, 200, "POST", "", body)
		equal(t, "first", r.text(t, "entry", 0, "response", "status"), "201 Created")
		equal(t, "second", r.text(t, "entry", 1, "response", "status"), "200 OK")
		equal(t, "the same", r.text(t, "entry", 1, "response", "location"), r.text(t, "entry", 0, "response", "location"))
		found := c.get(t, "/Patient?"+byIdentifier("1"))
		equal(t, "made", found.count(t, "entry"), 1)
		equal(t, "referred to", c.get(t, "/Observation?subject="+found.ids(t)[0]).count(t, "entry"), 2)
		update := entryOf("", "PUT", "Patient?"+byIdentifier("2"), identified("2", ""))
		c.do(t, "POST", "", bundleOfType("transaction", update, update)).refused(t, 400, "Bundle.entry[1]", "Bundle.entry[0]")
		// Where all is there already, nothing is written.
		r = c.must(t, 200, "POST", "", bundleOfType("transaction",
			entryOf(urn1, "POST", "Patient", identified("1", ""), condition), entryOf("", "DELETE", "Patient?"+byIdentifier("none"), ""),
			entryOf("", "GET", "Patient?"+byIdentifier("1"), "")))
		for i, status := range []string{"200 OK", "204 No Content", "200 OK"} {
			equal(t, fmt.Sprint("status ", i), r.text(t, "entry", i, "response", "status"), status)
		}
	})
}

func TestBundle_Transaction_PatchByBinary(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		id := c.create(t, patient(`"active":true`))
		// [{"op":"replace","path":"/active","value":false}]
		binary := `{"resourceType":"Binary","contentType":"application/json-patch+json","data":"W3sib3AiOiJyZXBsYWNlIiwicGF0aCI6Ii9hY3RpdmUiLCJ2YWx1ZSI6ZmFsc2V9XQ=="}`
		c.must(t, 200, "POST", "", bundleOfType("transaction", entryOf("", "PATCH", "Patient/"+id, binary, `"ifMatch":"W/\"1\""`)))
		equal(t, "active", c.get(t, "/Patient/"+id).text(t, "active"), "false")
		c.do(t, "POST", "", bundleOfType("transaction", entryOf("", "PATCH", "Patient/"+id, binary, `"ifMatch":"W/\"1\""`))).refused(t, 412)
	})
}

func TestBundle_Transaction_ReadsAndSearches(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		id := c.create(t, identified("1", ""))
		r := c.must(t, 200, "POST", "", bundleOfType("transaction",
			entryOf("", "GET", "Patient?"+byIdentifier("new"), ""),
			entryOf("", "GET", "Patient/"+id+"/_history/1", ""),
			entryOf("", "GET", "/Patient/"+id+"/_history", ""),
			entryOf("", "GET", testBase+"/Patient/"+id, "", `"ifNoneMatch":"W/\"1\""`),
			entryOf("", "HEAD", "Patient/"+id, ""),
			entryOf("", "GET", "metadata", ""),
			entryOf("", "POST", "Patient", identified("new", "")),
		))
		equal(t, "search", r.count(t, "entry", 0, "resource", "entry"), 1)
		equal(t, "vread", r.text(t, "entry", 1, "resource", "id"), id)
		equal(t, "history", r.text(t, "entry", 2, "resource", "type"), "history")
		equal(t, "not modified", r.text(t, "entry", 3, "response", "status"), "304 Not Modified")
		equal(t, "head", r.text(t, "entry", 4, "resource", "id"), "")
		equal(t, "metadata", r.text(t, "entry", 5, "resource", "resourceType"), "CapabilityStatement")
	})
}

func TestBundle_Transaction_ProblemsHaveTheirPlace(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		body := "{\"resourceType\":\"Bundle\",\"type\":\"transaction\",\"entry\":[\n" +
			entryOf(urn1, "POST", "Patient", patient("")) + ",\n" +
			`{"request":{"method":"POST","url":"Observation"},"resource":` + "\n" +
			`{"resourceType":"Observation","status":"final","code":{"text":"x"},` + "\n" + `"subject":{"reference":"` + urn1 + `"},"valueBoolean":"no"}}` + "\n]}"
		r := c.do(t, "POST", "", body)
		r.refused(t, 400, "Bundle.entry[1].resource.value", "line 5")
		both := c.do(t, "POST", "", bundleOfType("transaction",
			entryOf("", "POST", "Patient", patient(`"gender":"m"`)), entryOf("", "POST", "Patient", patient(`"active":1`))))
		both.refused(t, 400, "Bundle.entry[0].resource.gender", "Bundle.entry[1].resource.active")
	})
}

func TestBundle_BadBundles(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		for name, body := range map[string]string{
			"other resource":   patient(""),
			"misspelt entry":   `{"resourceType":"Bundle","type":"transaction","entries":[]}`,
			"misspelt field":   bundleOfType("transaction", `{"fullurl":"x","request":{"method":"GET","url":"Patient"}}`),
			"misspelt request": bundleOfType("transaction", entryOf("", "PUT", "Patient/1", patient(`"id":"1"`), `"ifmatch":"W/\"1\""`)),
			"other type":       `{"resourceType":"Bundle","type":"collection"}`,
			"no type":          `{"resourceType":"Bundle"}`,
			"entry no array":   `{"resourceType":"Bundle","type":"transaction","entry":{}}`,
			"entry no object":  bundleOfType("transaction", `1`),
			"no request":       bundleOfType("transaction", `{"resource":`+patient("")+`}`),
			"no resource":      bundleOfType("transaction", entryOf("", "POST", "Patient", "")),
			"method":           bundleOfType("transaction", entryOf("", "LOOK", "Patient", "")),
			"url of number":    bundleOfType("transaction", `{"request":{"method":"GET","url":1}}`),
			"delete of a type": bundleOfType("transaction", entryOf("", "DELETE", "Patient", "")),
			"post to an id":    bundleOfType("transaction", entryOf("", "POST", "Patient/1", patient(""))),
			"if match":         bundleOfType("transaction", entryOf("", "PUT", "Patient/1", patient(`"id":"1"`), `"ifMatch":"1"`)),
		} {
			if r := c.do(t, "POST", "", body); r.status != 400 {
				t.Errorf("%s: %d: %s", name, r.status, r.body)
			} else {
				r.refused(t, 400)
			}
		}
		entries := strings.Repeat(entryOf("", "GET", "Patient", "")+",", maxEntries) + entryOf("", "GET", "Patient", "")
		c.do(t, "POST", "", bundleOfType("transaction", entries)).refused(t, 413, "10000")
	})
}

func TestBundle_Batch_EachEntryByItself(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		id := c.create(t, patient(""))
		r := c.must(t, 200, "POST", "", bundleOfType("batch",
			entryOf("", "POST", "Patient", patient(`"gender":"m"`)),
			entryOf("", "POST", "Patient", patient("")),
			entryOf("", "GET", "Patient/never", ""),
			entryOf("", "GET", "Patient/"+id, ""),
			entryOf("", "PUT", "Patient/"+id, patient(`"id":"`+id+`"`), `"ifMatch":"W/\"9\""`),
			`{"request":{"method":"LOOK","url":"Patient"}}`,
			entryOf("", "GET", "Patient?colour=red", ""),
			entryOf("", "DELETE", "Patient/"+id, ""),
		))
		equal(t, "type", r.text(t, "type"), "batch-response")
		for i, status := range []string{"400", "201", "404", "410", "412", "400", "400", "204"} {
			if got := r.text(t, "entry", i, "response", "status"); !strings.HasPrefix(got, status+" ") {
				t.Errorf("entry %d: %s, want %s", i, got, status)
			}
			if status >= "400" {
				equal(t, fmt.Sprintf("outcome %d", i), r.text(t, "entry", i, "response", "outcome", "resourceType"), "OperationOutcome")
			}
		}
	})
}

func TestBundle_Permissions(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		doctor := c.as("clinician")
		param := `{"resourceType":"SearchParameter","url":"http://example.org/p","name":"p","status":"draft","description":"p","code":"p","base":["Patient"],"type":"string"}`
		doctor.do(t, "POST", "", bundleOfType("transaction", entryOf("", "POST", "SearchParameter", param))).refused(t, 403, "Bundle.entry[0]")
		r := doctor.must(t, 200, "POST", "", bundleOfType("batch", entryOf("", "POST", "SearchParameter", param), entryOf("", "POST", "Patient", patient(""))))
		equal(t, "refused", r.text(t, "entry", 0, "response", "status"), "403 Forbidden")
		equal(t, "done", r.text(t, "entry", 1, "response", "status"), "201 Created")
	})
}

func TestBundle_Transaction_TenThousandEntries(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		var entries strings.Builder
		entries.WriteString(entryOf(urn1, "POST", "Patient", patient("")))
		for n := 1; n < maxEntries; n++ {
			entries.WriteString("," + entryOf("", "POST", "Basic", `{"resourceType":"Basic","code":{"coding":[{"code":"c`+fmt.Sprint(n%100)+`"}]},"subject":{"reference":"`+urn1+`"}}`))
		}
		r := c.must(t, 200, "POST", "", bundleOfType("transaction", entries.String()))
		equal(t, "answers", r.count(t, "entry"), maxEntries)
		p := c.get(t, "/Patient").ids(t)[0]
		equal(t, "stored", c.get(t, "/Basic?_summary=count&patient="+p).text(t, "total"), fmt.Sprint(maxEntries-1))
		equal(t, "by code", c.get(t, "/Basic?_summary=count&code=c7").text(t, "total"), "100")
	})
}

func TestBundle_Transaction_ReferentialIntegrity(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		c.s.settings = func(context.Context) (Settings, error) { return Settings{ReferentialIntegrity: true}, nil }
		refers := func(to string) string {
			return patient(`"link":[{"type":"seealso","other":{"reference":"` + to + `"}}]`)
		}
		// Resources may refer to each other in a circle when they come together.
		r := c.must(t, 200, "POST", "", bundleOfType("transaction",
			entryOf(urn1, "POST", "Patient", refers(urn2)), entryOf(urn2, "POST", "Patient", refers(urn1))))
		first, _, _ := strings.Cut(r.text(t, "entry", 0, "response", "location"), "/_history")
		second, _, _ := strings.Cut(r.text(t, "entry", 1, "response", "location"), "/_history")
		if bad := c.do(t, "POST", "", bundleOfType("transaction", entryOf("", "POST", "Patient", refers("Patient/none")))); bad.status < 400 || bad.status > 499 {
			t.Errorf("a reference to nothing: %d", bad.status)
		}
		if bad := c.do(t, "DELETE", "/"+first, ""); bad.status != 409 {
			t.Errorf("deleting what is referred to: %d", bad.status)
		}
		c.must(t, 200, "POST", "", bundleOfType("transaction", entryOf("", "DELETE", first, ""), entryOf("", "DELETE", second, "")))
	})
}

func TestBundle_MoreThanThereIsRoomFor(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		c.s.bundles, c.s.bundleRoom = semaphore.NewWeighted(700), 700
		one := entryOf("", "POST", "Patient", patient(""))
		large := make([]string, 50)
		for i := range large {
			large[i] = one
		}
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				if i%10 == 0 {
					c.must(t, 200, "POST", "", bundleOfType("transaction", large...)) // larger than all the room
				} else {
					c.must(t, 200, "POST", "", bundleOfType("batch", one, one))
				}
			})
		}
		all.Wait()
		if !c.s.bundles.TryAcquire(700) {
			t.Fatal("a bundle kept its room")
		}
		ctx, cancel := context.WithCancel(c.ctx)
		cancel()
		if _, err := c.s.processBundle(ctx, []byte(bundleOfType("batch")), testBase, preference{}); !fault.Is(err, fault.CodeCanceled) {
			t.Errorf("a bundle that waits outlives its request: %v", err)
		}
	})
}
