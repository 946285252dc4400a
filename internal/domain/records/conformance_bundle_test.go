package records

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// The tests of this file follow FHIR R4 (4.0.1) bundle.html and http.html#transaction, #history.

// checkBundle holds a Bundle against its invariants (bdl-1 to bdl-8) and the rules of fullUrl.
func checkBundle(t *testing.T, what string, r *reply) {
	t.Helper()
	r.want(t, 200)
	kind := r.text(t, "type")
	isSearch, isHistory := kind == "searchset", kind == "history"
	isResponse := kind == "batch-response" || kind == "transaction-response"
	if r.at(t, "total") != nil && !isSearch && !isHistory {
		t.Errorf("%s: bdl-1: total in a %s", what, kind)
	}
	seen := map[string]bool{}
	for i := range r.count(t, "entry") {
		has := func(path ...any) bool { return r.at(t, append([]any{"entry", i}, path...)...) != nil }
		if has("search") && !isSearch {
			t.Errorf("%s: bdl-2: search in a %s", what, kind)
		}
		if has("request") != isHistory {
			t.Errorf("%s: bdl-3: request %v in a %s", what, has("request"), kind)
		}
		if has("response") != (isHistory || isResponse) {
			t.Errorf("%s: bdl-4: response %v in a %s", what, has("response"), kind)
		}
		if !has("resource") && !has("request") && !has("response") {
			t.Errorf("%s: bdl-5: an entry with nothing in it", what)
		}
		full := r.text(t, "entry", i, "fullUrl")
		if has("resource") && full == "" && r.text(t, "entry", i, "search", "mode") != "outcome" && !isResponse {
			t.Errorf("%s: an entry without fullUrl", what)
		}
		if strings.Contains(full, "/_history/") {
			t.Errorf("%s: bdl-8: %s has a version", what, full)
		}
		if full != "" && has("resource", "id") && !strings.HasSuffix(full, "/"+r.text(t, "entry", i, "resource", "id")) {
			t.Errorf("%s: fullUrl %s disagrees with the id", what, full)
		}
		if full != "" && !strings.Contains(full, "://") {
			t.Errorf("%s: fullUrl %s is not absolute", what, full)
		}
		if full != "" && !isHistory {
			if seen[full] {
				t.Errorf("%s: bdl-7: %s twice", what, full)
			}
			seen[full] = true
		}
		if status := r.text(t, "entry", i, "response", "status"); has("response") && (len(status) < 3 || status[0] < '1' || status[0] > '5') {
			t.Errorf("%s: status %q does not begin with an HTTP code", what, status)
		}
	}
	relations := map[string]bool{}
	for i := range r.count(t, "link") {
		name := r.text(t, "link", i, "relation")
		if relations[name] || r.text(t, "link", i, "url") == "" {
			t.Errorf("%s: the link %q", what, name)
		}
		relations[name] = true
	}
	if (isSearch || isHistory) && !relations["self"] {
		t.Errorf("%s: no self link", what)
	}
}

func TestConformance_Bundle_InvariantsOfWhatIsAnswered(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		p := c.create(t, identified("1", ""))
		o := c.create(t, observation(p, 1))
		c.must(t, 200, "PUT", "/Patient/"+p, identified("1", `"id":"`+p+`"`))
		c.must(t, 204, "DELETE", "/Observation/"+o, "")
		c.create(t, observation(p, 2))
		entries := []string{
			entryOf(urn1, "POST", "Patient", patient("")), entryOf("", "GET", "Patient?_id="+p, ""), entryOf("", "GET", "Patient/"+p+"/_history", ""),
			entryOf("", "PUT", "Patient/put", patient(`"id":"put"`)), entryOf("", "DELETE", "Patient/none", ""), entryOf("", "GET", "Patient/"+p, ""),
		}
		for what, r := range map[string]*reply{
			"search":              c.get(t, "/Patient"),
			"empty search":        c.get(t, "/Patient?_id=none"),
			"include":             c.get(t, "/Observation?_include=Observation:subject&_revinclude=Provenance:target"),
			"count":               c.get(t, "/Patient?_summary=count"),
			"page":                c.get(t, "/Patient?_count=1"),
			"lenient":             c.get(t, "/Patient?colour=red", "Prefer", "handling=lenient"),
			"all types":           c.get(t, "?_lastUpdated=gt2000"),
			"compartment":         c.get(t, "/Patient/"+p+"/*"),
			"everything":          c.get(t, "/Patient/"+p+"/$everything"),
			"history":             c.get(t, "/Patient/"+p+"/_history"),
			"history of a type":   c.get(t, "/Observation/_history"),
			"history of all":      c.get(t, "/_history"),
			"batch":               c.do(t, "POST", "", bundleOfType("batch", append(entries, entryOf("", "GET", "Patient/none", ""))...)),
			"transaction":         c.do(t, "POST", "", bundleOfType("transaction", entries...), "Prefer", "return=representation"),
			"transaction minimal": c.do(t, "POST", "", bundleOfType("transaction", entryOf("", "DELETE", "Patient/put", ""))),
		} {
			checkBundle(t, what, r)
			v := c.must(t, 200, "POST", "/Bundle/$validate", string(r.body))
			if s := v.text(t, "issue", 0, "severity"); s == "error" || s == "fatal" {
				t.Errorf("%s is no valid Bundle: %s", what, v.body)
			}
		}
	})
}

func TestConformance_Bundle_IsAResourceLikeAnyOther(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		// POST to [base]/Bundle stores it; POST to [base] carries it out.
		id := c.create(t, `{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0","resource":`+patient("")+`}]}`)
		equal(t, "stored", c.must(t, 200, "GET", "/Bundle/"+id, "").text(t, "entry", 0, "resource", "resourceType"), "Patient")
		equal(t, "patients", c.get(t, "/Patient").count(t, "entry"), 0)
		for name, body := range map[string]string{
			"bdl-1":  `{"resourceType":"Bundle","type":"collection","total":1}`,
			"bdl-2":  `{"resourceType":"Bundle","type":"collection","entry":[{"resource":` + patient("") + `,"search":{"mode":"match"}}]}`,
			"bdl-3":  `{"resourceType":"Bundle","type":"transaction","entry":[{"resource":` + patient("") + `}]}`,
			"bdl-4":  `{"resourceType":"Bundle","type":"collection","entry":[{"resource":` + patient("") + `,"response":{"status":"200"}}]}`,
			"bdl-7":  `{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"http://example.org/Patient/1","resource":` + patient("") + `},{"fullUrl":"http://example.org/Patient/1","resource":` + patient("") + `}]}`,
			"bdl-9":  `{"resourceType":"Bundle","type":"document","timestamp":"2020-01-01T00:00:00Z"}`,
			"bdl-10": `{"resourceType":"Bundle","type":"document","identifier":{"system":"urn:d","value":"1"}}`,
			"bdl-8":  `{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"http://example.org/Patient/1/_history/2","resource":` + patient("") + `}]}`,
			"bdl-5":  `{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"http://example.org/Patient/1"}]}`,
		} {
			c.do(t, "POST", "/Bundle", body).refused(t, 400, name)
		}
	})
}

func TestConformance_Transaction_TheOrderOfEntriesDoesNotMatter(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		entries := func(n int) []string {
			gone, kept := c.create(t, identified("x"+fmt.Sprint(n), "")), c.create(t, patient(""))
			return []string{
				entryOf("", "GET", "Patient?"+byIdentifier("x"+fmt.Sprint(n)), ""),
				entryOf("", "PUT", "Patient/"+kept, patient(`"id":"`+kept+`","link":[{"type":"seealso","other":{"reference":"`+urn1+`"}}]`)),
				// What is deleted is not found by the create that comes after it.
				entryOf(urn1, "POST", "Patient", identified("x"+fmt.Sprint(n), `"active":true`), `"ifNoneExist":"`+byIdentifier("y"+fmt.Sprint(n))+`"`),
				entryOf("", "DELETE", "Patient/"+gone, ""),
			}
		}
		for n, order := range [][]int{{0, 1, 2, 3}, {3, 2, 1, 0}, {2, 0, 3, 1}} {
			list := entries(n)
			shuffled := make([]string, len(list))
			place := map[int]int{}
			for i, from := range order {
				shuffled[i], place[from] = list[from], i
			}
			r := c.must(t, 200, "POST", "", bundleOfType("transaction", shuffled...))
			checkBundle(t, "response", r)
			equal(t, "entries", r.count(t, "entry"), len(list))
			for from, status := range map[int]string{0: "200", 1: "200", 2: "201", 3: "204"} {
				if got := r.text(t, "entry", place[from], "response", "status"); !strings.HasPrefix(got, status) {
					t.Errorf("%v: entry %d: %s, want %s", order, from, got, status)
				}
			}
			equal(t, "read at the end", r.count(t, "entry", place[0], "resource", "entry"), 1)
			equal(t, "sees the new one", r.text(t, "entry", place[0], "resource", "entry", 0, "resource", "active"), "true")
		}
	})
}

func TestConformance_Transaction_AFailureIsOneOutcome(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		for _, bad := range []string{
			entryOf("", "GET", "Patient/none", ""),
			entryOf("", "POST", "Patient", patient(`"gender":"m"`)),
			entryOf("", "PUT", "Patient/a", patient(`"id":"a"`), `"ifMatch":"W/\"1\""`),
			entryOf("", "PATCH", "Patient/none", fhirPathPatch),
			entryOf("", "GET", "Patient?colour=red", ""),
		} {
			r := c.do(t, "POST", "", bundleOfType("transaction", entryOf("", "POST", "Patient", patient("")), bad), "Prefer", "return=representation")
			if r.status < 400 || r.status > 599 || r.text(t, "resourceType") != "OperationOutcome" {
				t.Errorf("%d: %s", r.status, r.body)
			}
		}
		equal(t, "stored", c.get(t, "/Patient?_summary=count").text(t, "total"), "0")
		equal(t, "in the history", c.get(t, "/_history").count(t, "entry"), 0)
	})
}

func TestConformance_Transaction_IDsAndVersionsAreTheServers(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		r := c.must(t, 200, "POST", "", bundleOfType("transaction",
			entryOf("http://elsewhere.org/fhir/Patient/7", "POST", "Patient", patient(`"id":"7","meta":{"versionId":"9","lastUpdated":"1999-01-01T00:00:00Z","tag":[{"code":"kept"}]}`)),
			entryOf("", "PUT", "Patient/mine", patient(`"id":"mine","meta":{"versionId":"9"}`)),
		), "Prefer", "return=representation")
		if id := r.text(t, "entry", 0, "resource", "id"); id == "7" || id == "" {
			t.Errorf("a POST made the id %q", id)
		}
		for i := range 2 {
			equal(t, "versionId", r.text(t, "entry", i, "resource", "meta", "versionId"), "1")
			equal(t, "etag", r.text(t, "entry", i, "response", "etag"), `W/"1"`)
		}
		equal(t, "tag", r.text(t, "entry", 0, "resource", "meta", "tag", 0, "code"), "kept")
		// Each entry is treated as if it came alone: the id of an update is that of its URL.
		c.do(t, "POST", "", bundleOfType("transaction", entryOf("", "PUT", "Patient/mine", patient("")))).refused(t, 400)
		c.do(t, "POST", "", bundleOfType("transaction", entryOf("", "PUT", "Patient/mine", patient(`"id":"mine"`), `"ifMatch":"W/\"5\""`))).refused(t, 412)
		c.do(t, "POST", "", bundleOfType("transaction", entryOf("", "PUT", "Patient/mine", patient(`"id":"mine"`), `"ifNoneMatch":"*"`))).refused(t, 412)
	})
}

func TestConformance_Transaction_LinksThatAreReplaced(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		r := c.must(t, 200, "POST", "", bundleOfType("transaction",
			entryOf(urn1, "POST", "Patient", patient("")),
			entryOf(urn2, "POST", "Binary", `{"resourceType":"Binary","contentType":"text/plain","data":"YQ=="}`),
			entryOf("", "POST", "DocumentReference", `{"resourceType":"DocumentReference","status":"current","subject":{"reference":"`+urn1+`"},`+
				`"content":[{"attachment":{"contentType":"text/plain","url":"`+urn2+`"}}],`+
				`"extension":[{"url":"http://example.org/uri","valueUri":"`+urn1+`"},{"url":"http://example.org/uuid","valueUuid":"`+urn1+`"},{"url":"http://example.org/string","valueString":"`+urn1+`"},{"url":"http://example.org/canonical","valueCanonical":"`+urn1+`"}],`+
				`"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><a href=\"`+urn1+`\">p</a><img src=\"`+urn2+`\" alt=\"b\"/></div>"}}`),
		))
		at := func(i int) string {
			ref, _, _ := strings.Cut(r.text(t, "entry", i, "response", "location"), "/_history")
			return ref
		}
		d := c.must(t, 200, "GET", "/"+at(2), "")
		p, b := at(0), at(1)
		equal(t, "reference", d.text(t, "subject", "reference"), p)
		equal(t, "url", d.text(t, "content", 0, "attachment", "url"), b)
		equal(t, "uri", d.text(t, "extension", 0, "valueUri"), p)
		// What the link turns into is no uuid, so that an element of this type stays as it is.
		equal(t, "uuid", d.text(t, "extension", 1, "valueUuid"), urn1)
		equal(t, "string", d.text(t, "extension", 2, "valueString"), urn1)
		equal(t, "canonical", d.text(t, "extension", 3, "valueCanonical"), urn1)
		div := d.text(t, "text", "div")
		if !strings.Contains(div, `href="`+p+`"`) || !strings.Contains(div, `src="`+b+`"`) {
			t.Errorf("narrative: %s", div)
		}
	})
}

func TestConformance_Transaction_ConditionalReferencesOnlyThere(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		p := c.create(t, identified("1", ""))
		about := `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Patient?` + byIdentifier("1") + `"}}`
		r := c.must(t, 200, "POST", "", bundleOfType("transaction", entryOf("", "POST", "Observation", about)))
		id, _, _ := strings.Cut(r.text(t, "entry", 0, "response", "location"), "/_history")
		equal(t, "in a transaction", c.get(t, "/"+id).text(t, "subject", "reference"), "Patient/"+p)
		for what, r := range map[string]*reply{
			"create": c.do(t, "POST", "/Observation", about),
			"update": c.do(t, "PUT", "/Observation/a", strings.Replace(about, `{`, `{"id":"a",`, 1)),
		} {
			// Elsewhere it is not resolved.
			if r.status == 201 && r.text(t, "subject", "reference") == "Patient/"+p {
				t.Errorf("%s: resolved outside of a transaction", what)
			}
		}
	})
}

func TestConformance_Batch_IsAnswered200WhateverItsEntries(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		r := c.must(t, 200, "POST", "", bundleOfType("batch",
			entryOf("", "GET", "Patient/none", ""), entryOf("", "POST", "Patient", patient(`"gender":"m"`)), entryOf("", "GET", "metadata", ""),
			entryOf("", "POST", "Patient/$validate", patient("")), entryOf("", "GET", "Patient/none/$everything", "")))
		checkBundle(t, "batch", r)
		for i, status := range []string{"404", "400", "200", "200", "404"} {
			if got := r.text(t, "entry", i, "response", "status"); !strings.HasPrefix(got, status) {
				t.Errorf("entry %d: %s, want %s", i, got, status)
			}
		}
	})
}

func TestConformance_History_EntriesSayHowTheyCameAbout(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		// Conditional interactions and those of transactions appear as the direct ones that they became.
		c.must(t, 201, "POST", "/Patient", identified("1", ""), "If-None-Exist", byIdentifier("1"))
		c.must(t, 200, "PUT", "/Patient?"+byIdentifier("1"), identified("1", `"active":true`))
		c.must(t, 200, "PATCH", "/Patient?"+byIdentifier("1"), fhirPathPatch)
		id := c.get(t, "/Patient?"+byIdentifier("1")).text(t, "entry", 0, "resource", "id")
		c.must(t, 200, "POST", "/Patient/"+id+"/$meta-add", `{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":{"tag":[{"code":"x"}]}}]}`)
		c.must(t, 200, "POST", "", bundleOfType("transaction", entryOf("", "DELETE", "Patient?"+byIdentifier("1"), "")))
		r := c.must(t, 200, "GET", "/Patient/"+id+"/_history", "")
		checkBundle(t, "history", r)
		equal(t, "entries", r.count(t, "entry"), 5)
		for i := range r.count(t, "entry") {
			method, u := r.text(t, "entry", i, "request", "method"), r.text(t, "entry", i, "request", "url")
			want := "Patient/" + id
			if method == "POST" {
				want = "Patient"
			}
			equal(t, "url of "+method, u, want)
			if has := r.text(t, "entry", i, "resource", "resourceType") != ""; has != (method != "DELETE") {
				t.Errorf("%s: resource %v", method, has)
			}
			if r.text(t, "entry", i, "response", "lastModified") == "" {
				t.Errorf("%s: no lastModified", method)
			}
			if v := r.text(t, "entry", i, "resource", "meta", "versionId"); v != "" {
				equal(t, "etag of "+method, r.text(t, "entry", i, "response", "etag"), `W/"`+v+`"`)
			}
		}
		equal(t, "first", r.text(t, "entry", 4, "request", "method"), "POST")
		equal(t, "last", r.text(t, "entry", 0, "request", "method"), "DELETE")
	})
}

func TestConformance_History_ParametersOnceAndWithoutPrefixes(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		id := c.create(t, patient(""))
		for _, path := range []string{"/Patient/" + id + "/_history", "/Patient/_history", "/_history"} {
			for _, query := range []string{"_count=1&_count=1", "_at=2020&_at=2021", "_since=2020-01-01T00:00:00Z&_since=2020-01-01T00:00:00Z", "_since=ge2020-01-01T00:00:00Z", "_at=gt2020", "_at:missing=true", "_count:not=1"} {
				c.get(t, path+"?"+query).refused(t, 400)
			}
			c.must(t, 200, "GET", path+"?_since="+url.QueryEscape("2020-01-01T00:00:00+02:00"), "")
		}
	})
}
