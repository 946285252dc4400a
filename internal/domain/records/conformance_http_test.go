package records

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// The tests of this file follow FHIR R4 (4.0.1) http.html section by section; docs/conformance.md has the list.

func TestConformance_Root_SchemeAndCase(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		c.s.baseURL = "http://example.com"
		id := c.create(t, patient(""))
		// URLs and ids are case sensitive.
		c.must(t, 201, "PUT", "/Patient/Ab", patient(`"id":"Ab"`))
		c.get(t, "/Patient/aB").refused(t, 404)
		c.get(t, "/PATIENT/"+id).refused(t, 404)
		// http and https name the same resource, another port another one.
		https := "https" + strings.TrimPrefix(testBase, "http")
		equal(t, "by https", c.must(t, 200, "GET", "/Patient?_id="+id, "").count(t, "entry"), 1)
		o := c.create(t, `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"`+https+`/Patient/`+id+`"}}`)
		equal(t, "reference by https", fmt.Sprint(c.get(t, "/Observation?subject=Patient/"+id).ids(t)), "[Observation/"+o+"]")
		equal(t, "search by http", fmt.Sprint(c.get(t, "/Observation?subject="+url.QueryEscape(testBase+"/Patient/"+id)).ids(t)), "[Observation/"+o+"]")
		elsewhere := strings.Replace(testBase, "example.com", "example.com:81", 1)
		equal(t, "another port", c.get(t, "/Observation?subject="+url.QueryEscape(elsewhere+"/Patient/"+id)).count(t, "entry"), 0)
	})
}

func TestConformance_Versioning_HeadersSayWhatMetaSays(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		check := func(what string, r *reply) {
			t.Helper()
			equal(t, what+": ETag", r.header.Get("ETag"), `W/"`+r.text(t, "meta", "versionId")+`"`)
			at, err := time.Parse(time.RFC3339Nano, r.text(t, "meta", "lastUpdated"))
			if err != nil {
				t.Errorf("%s: lastUpdated is no instant: %v", what, err)
			}
			equal(t, what+": Last-Modified", r.header.Get("Last-Modified"), at.UTC().Format(http.TimeFormat))
		}
		created := c.must(t, 201, "POST", "/Patient", patient(""))
		id := created.text(t, "id")
		check("create", created)
		check("update", c.must(t, 200, "PUT", "/Patient/"+id, patient(`"id":"`+id+`"`)))
		check("patch", c.must(t, 200, "PATCH", "/Patient/"+id, `[{"op":"add","path":"/active","value":true}]`, "Content-Type", jsonPatch))
		check("read", c.must(t, 200, "GET", "/Patient/"+id, ""))
		check("vread", c.must(t, 200, "GET", "/Patient/"+id+"/_history/2", ""))
		check("upsert", c.must(t, 201, "PUT", "/Patient/new", patient(`"id":"new"`)))
		check("conditional create", c.must(t, 201, "POST", "/Patient", identified("v", ""), "If-None-Exist", byIdentifier("v")))
		check("conditional create that finds", c.must(t, 200, "POST", "/Patient", identified("v", ""), "If-None-Exist", byIdentifier("v")))
	})
}

func TestConformance_StatusCodes_FailuresComeWithAnOutcome(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		id := c.create(t, patient(""))
		for _, row := range []struct {
			method, path, body string
			status             int
		}{
			{"GET", "/Patient/none", "", 404},
			{"GET", "/Patient/a_b", "", 400},
			{"GET", "/Pasient", "", 404},
			{"GET", "/Patient/" + id + "/_history/9", "", 404},
			{"GET", "/Patient?colour=red", "", 400},
			{"POST", "/Patient", "{", 400},
			{"PUT", "/Patient/" + id, patient(""), 400},
			{"PATCH", "/Patient/" + id, patient(""), 400},
			{"DELETE", "/Patient", "", 400},
			{"POST", "", patient(""), 400},
			{"POST", "/Patient/$none", patient(""), 405},
			{"GET", "/Patient/$none", "", 404},
			{"GET", "/nothing/of/the/sort/here", "", 404},
		} {
			r := c.do(t, row.method, row.path, row.body)
			if r.status != row.status || r.text(t, "resourceType") != "OperationOutcome" {
				t.Errorf("%s %s: %d %s, want %d", row.method, row.path, r.status, r.body, row.status)
			}
			if got := r.header.Get("Content-Type"); !strings.HasPrefix(got, "application/fhir+json") {
				t.Errorf("%s %s: Content-Type %s", row.method, row.path, got)
			}
			for i := range r.count(t, "issue") {
				if r.text(t, "issue", i, "severity") == "" || r.text(t, "issue", i, "code") == "" {
					t.Errorf("%s %s: an issue without severity or code: %s", row.method, row.path, r.body)
				}
			}
		}
	})
}

func TestConformance_MimeType_FormatValues(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		id := c.create(t, patient(""))
		for status, formats := range map[int][]string{
			200: {"json", "application/json", "application/fhir+json", "text/json"},
			406: {"xml", "text/xml", "application/xml", "application/fhir+xml", "ttl", "application/fhir+turtle", "text/turtle", "nonsense"},
		} {
			for _, format := range formats {
				for _, path := range []string{"/Patient/" + id, "/Patient", "/Patient/" + id + "/_history", "/metadata"} {
					if r := c.get(t, path+"?_format="+url.QueryEscape(format), "Accept", "application/fhir+json"); r.status != status {
						t.Errorf("%s as %s: %d, want %d", path, format, r.status, status)
					}
				}
			}
		}
		// It says nothing about the format of the body that is sent.
		c.do(t, "POST", "/Patient?_format=json", "<Patient/>", "Content-Type", "application/fhir+xml").refused(t, 415)
		c.must(t, 201, "POST", "/Patient?_format=json", patient(""))
		// Nothing is stored when the answer can't be given.
		c.do(t, "PUT", "/Patient/not-stored", patient(`"id":"not-stored"`), "Accept", "application/fhir+xml").refused(t, 406)
		c.get(t, "/Patient/not-stored").refused(t, 404)
	})
}

func TestConformance_MimeType_VersionParameter(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		for _, version := range []string{"1.0", "3.0", "4.3", "5.0"} {
			c.get(t, "/metadata", "Accept", "application/fhir+json; fhirVersion="+version).refused(t, 406)
			c.do(t, "POST", "/Patient", patient(""), "Content-Type", "application/fhir+json; fhirVersion="+version).refused(t, 415)
			// One side alone can't be of another version.
			c.do(t, "POST", "/Patient", patient(""), "Content-Type", "application/fhir+json; fhirVersion=4.0", "Accept", "application/fhir+json; fhirVersion="+version).refused(t, 406)
		}
		c.must(t, 200, "GET", "/metadata", "", "Accept", "application/fhir+json; fhirVersion=4.0")
		equal(t, "stored", c.get(t, "/Patient?_summary=count").text(t, "total"), "0")
	})
}

func TestConformance_Head_IsGetWithoutBody(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		id := c.create(t, patient(`"active":true`))
		for _, path := range []string{
			"/metadata", "/Patient", "/Patient?active=true", "/Patient/" + id, "/Patient/" + id + "/_history", "/Patient/" + id + "/_history/1",
			"/Patient/_history", "/_history", "/Patient/" + id + "/Observation", "/Patient/" + id + "/$everything", "/Patient/none", "/Patient?colour=red",
		} {
			get, head := c.get(t, path), c.do(t, "HEAD", path, "")
			equal(t, path, head.status, get.status)
			for _, name := range []string{"Content-Type", "ETag", "Last-Modified"} {
				equal(t, path+" "+name, head.header.Get(name), get.header.Get(name))
			}
		}
	})
}

func TestConformance_Read_ADeletedOneIsGoneUntilItIsPutBack(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		id := c.create(t, patient(""))
		gone := c.must(t, 204, "DELETE", "/Patient/"+id, "")
		c.get(t, "/Patient/"+id).refused(t, 410)
		c.do(t, "PUT", "/Patient/"+id, patient(`"id":"`+id+`"`), "If-Match", `W/"1"`).refused(t, 412)
		equal(t, "ETag", gone.header.Get("ETag"), `W/"2"`)
		c.do(t, "PUT", "/Patient/"+id, patient(`"id":"`+id+`"`), "If-Match", `*`).refused(t, 412)
		r := c.must(t, 201, "PUT", "/Patient/"+id, patient(`"id":"`+id+`"`), "If-Match", `W/"2"`)
		equal(t, "Location", r.header.Get("Location"), testBase+"/Patient/"+id+"/_history/3")
	})
}

func TestConformance_VRead_EachVersionStaysAsItWas(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		id := c.create(t, patient(`"active":true`))
		var first [3]string
		for n := range first {
			r := c.must(t, 200, "GET", fmt.Sprintf("/Patient/%s/_history/%d", id, n+1), "")
			equal(t, "id", r.text(t, "id"), id)
			equal(t, "versionId", r.text(t, "meta", "versionId"), fmt.Sprint(n+1))
			first[n] = string(r.body)
			c.must(t, 200, "PUT", "/Patient/"+id, patient(fmt.Sprintf(`"id":"%s","multipleBirthInteger":%d`, id, n)))
		}
		for n, body := range first {
			equal(t, "version", string(c.get(t, fmt.Sprintf("/Patient/%s/_history/%d", id, n+1)).body), body)
		}
		// Past versions can't be changed or deleted.
		for _, method := range []string{"PUT", "POST", "PATCH", "DELETE"} {
			c.do(t, method, "/Patient/"+id+"/_history/1", patient(`"id":"`+id+`"`)).refused(t, 405)
		}
	})
}

func TestConformance_Update_ReturnsTheSameContent(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		// The other metadata stays as the client sent it.
		const sent = `"meta":{"versionId":"66","lastUpdated":"1999-01-01T00:00:00Z","source":"urn:s","profile":["http://example.org/p"],"security":[{"code":"R"}],"tag":[{"code":"t"}]},"language":"de","active":true`
		c.must(t, 201, "PUT", "/Patient/a", patient(`"id":"a",`+sent))
		r := c.get(t, "/Patient/a")
		for path, want := range map[string]string{"source": "urn:s", "versionId": "1"} {
			equal(t, path, r.text(t, "meta", path), want)
		}
		equal(t, "profile", r.text(t, "meta", "profile", 0), "http://example.org/p")
		equal(t, "security", r.text(t, "meta", "security", 0, "code"), "R")
		equal(t, "tag", r.text(t, "meta", "tag", 0, "code"), "t")
		equal(t, "language", r.text(t, "language"), "de")
		if strings.HasPrefix(r.text(t, "meta", "lastUpdated"), "1999") {
			t.Error("the client's lastUpdated was taken")
		}
		// 201 is answered for nothing but a create.
		c.must(t, 200, "PUT", "/Patient/a", patient(`"id":"a",`+sent))
		c.must(t, 200, "PUT", "/Patient/a", patient(`"id":"a",`+sent))
	})
}

func TestConformance_Update_AnUpdateWithoutChangeIsOneToo(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		c.must(t, 201, "PUT", "/Patient/a", patient(`"id":"a"`))
		r := c.must(t, 200, "PUT", "/Patient/a", patient(`"id":"a"`))
		equal(t, "ETag", r.header.Get("ETag"), `W/"`+c.get(t, "/Patient/a").text(t, "meta", "versionId")+`"`)
	})
}

func TestConformance_Create_IDsAreUniqueAndWellFormed(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		seen := map[string]bool{}
		for range 20 {
			id := c.create(t, patient(`"id":"same"`))
			if seen[id] || id == "same" || len(id) > 64 || strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.") != "" {
				t.Errorf("the id %q", id)
			}
			seen[id] = true
		}
	})
}

func TestConformance_ConditionalCreate_AnswersAsIfCreated(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		c.create(t, identified("1", ""))
		minimal := c.must(t, 200, "POST", "/Patient", identified("1", ""), "If-None-Exist", byIdentifier("1"), "Prefer", "return=minimal")
		equal(t, "body", len(minimal.body), 0)
		if minimal.header.Get("Location") == "" || minimal.header.Get("ETag") != `W/"1"` || minimal.header.Get("Last-Modified") == "" {
			t.Errorf("headers: %v", minimal.header)
		}
		outcome := c.must(t, 200, "POST", "/Patient", identified("1", ""), "If-None-Exist", byIdentifier("1"), "Prefer", "return=OperationOutcome")
		equal(t, "outcome", outcome.text(t, "resourceType"), "OperationOutcome")
	})
}

// A condition that any resource meets would create nothing, replace or delete whatever there is.
func TestConformance_Conditional_CriteriaMustLookAtTheResources(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		id := c.create(t, patient(""))
		for _, criteria := range []string{"_sort=_lastUpdated", "_count=1", "_total=none", "_include=Patient:link"} {
			c.do(t, "POST", "/Patient", patient(""), "If-None-Exist", criteria).refused(t, 400, "criteria")
			c.do(t, "PUT", "/Patient?"+criteria, patient("")).refused(t, 400, "criteria")
			c.do(t, "PATCH", "/Patient?"+criteria, fhirPathPatch).refused(t, 400, "criteria")
			c.do(t, "DELETE", "/Patient?"+criteria, "").refused(t, 400, "criteria")
			for _, entry := range []string{
				entryOf("", "POST", "Patient", patient(""), `"ifNoneExist":"`+criteria+`"`),
				entryOf("", "PUT", "Patient?"+criteria, patient("")),
				entryOf("", "PATCH", "Patient?"+criteria, fhirPathPatch),
				entryOf("", "DELETE", "Patient?"+criteria, ""),
				entryOf("", "POST", "Basic", `{"resourceType":"Basic","code":{"text":"x"},"subject":{"reference":"Patient?`+criteria+`"}}`),
			} {
				c.do(t, "POST", "", bundleOfType("transaction", entry)).refused(t, 400, "criteria", "Bundle.entry[0]")
			}
		}
		equal(t, "version", c.get(t, "/Patient/"+id).text(t, "meta", "versionId"), "1")
		equal(t, "patients", c.get(t, "/Patient?_summary=count").text(t, "total"), "1")
	})
}

func TestConformance_ConditionalUpdate_NoMatchButTheIDIsTaken(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		id := c.create(t, identified("1", `"active":true`))
		r := c.do(t, "PUT", "/Patient?"+byIdentifier("2"), identified("2", `"id":"`+id+`"`))
		if r.status != 409 && r.status != 200 {
			t.Fatalf("%d: %s", r.status, r.body)
		}
		// R4 says nothing of it but "update as create": what is there already may not be reported as created.
		if r.status == 200 {
			equal(t, "versionId", c.get(t, "/Patient/"+id).text(t, "meta", "versionId"), "2")
		}
	})
}

func TestConformance_Prefer_AppliesToEveryWrite(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		c.must(t, 201, "PUT", "/Patient/a", identified("1", `"id":"a"`))
		for i, row := range []struct{ method, path, body, content string }{
			{"POST", "/Patient", patient(""), ""},
			{"PUT", "/Patient/a", identified("1", `"id":"a"`), ""},
			{"PUT", "/Patient?" + byIdentifier("1"), identified("1", ""), ""},
			{"PATCH", "/Patient/a", `[{"op":"add","path":"/active","value":true}]`, jsonPatch},
			{"PATCH", "/Patient?" + byIdentifier("1"), fhirPathPatch, ""},
		} {
			send := func(prefer string) *reply {
				headers := []string{"Prefer", prefer}
				if row.content != "" {
					headers = append(headers, "Content-Type", row.content)
				}
				r := c.do(t, row.method, row.path, row.body, headers...)
				if r.status != 200 && r.status != 201 {
					t.Fatalf("%s %s: %d %s", row.method, row.path, r.status, r.body)
				}
				if r.header.Get("ETag") == "" {
					t.Errorf("%d: no ETag", i)
				}
				return r
			}
			equal(t, fmt.Sprint(i, " minimal"), len(send("return=minimal").body), 0)
			equal(t, fmt.Sprint(i, " representation"), send("return=representation").text(t, "resourceType"), "Patient")
			equal(t, fmt.Sprint(i, " outcome"), send("return=OperationOutcome").text(t, "resourceType"), "OperationOutcome")
		}
	})
}

func TestConformance_Patch_AFailedTestIs422AndNothingHappens(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		id := c.create(t, patient(`"active":true`))
		c.do(t, "PATCH", "/Patient/"+id, `[{"op":"replace","path":"/active","value":false},{"op":"test","path":"/active","value":true}]`, "Content-Type", jsonPatch).refused(t, 422)
		r := c.get(t, "/Patient/"+id)
		equal(t, "active", r.text(t, "active"), "true")
		equal(t, "versionId", r.text(t, "meta", "versionId"), "1")
	})
}

func TestConformance_Patch_IsProcessedAsAnUpdate(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		id := c.create(t, patient(`"active":true,"name":[{"family":"Old"}]`))
		patch := func(body string) *reply { return c.do(t, "PATCH", "/Patient/"+id, body, "Content-Type", jsonPatch) }
		// The server's metadata is the server's.
		r := patch(`[{"op":"replace","path":"/meta/versionId","value":"77"},{"op":"replace","path":"/meta/lastUpdated","value":"1999-01-01T00:00:00Z"},{"op":"replace","path":"/name/0/family","value":"New"}]`)
		r.want(t, 200)
		equal(t, "versionId", r.text(t, "meta", "versionId"), "2")
		if strings.HasPrefix(r.text(t, "meta", "lastUpdated"), "1999") {
			t.Error("the patch set lastUpdated")
		}
		equal(t, "found by the new value", c.get(t, "/Patient?family=new").count(t, "entry"), 1)
		equal(t, "found by the old value", c.get(t, "/Patient?family=old").count(t, "entry"), 0)
		patch(`[{"op":"replace","path":"/gender","value":"nonsense"}]`).want(t, 422)
		patch(`[{"op":"add","path":"/gender","value":"nonsense"}]`).refused(t, 400, "Patient.gender")
		equal(t, "versionId", c.get(t, "/Patient/"+id).text(t, "meta", "versionId"), "2")
		c.do(t, "PATCH", "/Patient/"+id, `<diff/>`, "Content-Type", "application/xml-patch+xml").refused(t, 415)
		c.must(t, 201, "PUT", "/Binary/b", `{"resourceType":"Binary","id":"b","contentType":"text/plain","data":"YQ=="}`)
		c.do(t, "PATCH", "/Binary/b", `[]`, "Content-Type", jsonPatch).refused(t, 405)
	})
}

func TestConformance_Delete_IsAVersionOfItsOwn(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		id := c.create(t, patient(`"active":true`))
		equal(t, "ETag", c.must(t, 204, "DELETE", "/Patient/"+id, "").header.Get("ETag"), `W/"2"`)
		for _, path := range []string{"/Patient?active=true", "/Patient", "/Patient?_id=" + id, "?_id=" + id} {
			equal(t, path, c.must(t, 200, "GET", path, "").count(t, "entry"), 0)
		}
		h := c.must(t, 200, "GET", "/Patient/"+id+"/_history", "")
		equal(t, "entries", h.count(t, "entry"), 2)
		equal(t, "newest", h.text(t, "entry", 0, "request", "method"), "DELETE")
		equal(t, "without content", h.text(t, "entry", 0, "resource", "resourceType"), "")
		c.must(t, 200, "GET", "/Patient/"+id+"/_history/1", "")
		c.get(t, "/Patient/"+id+"/_history/2").refused(t, 410)
	})
}

func TestConformance_Custom_RequestID(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		if c.get(t, "/metadata").header.Get("X-Request-Id") == "" {
			t.Error("no X-Request-Id")
		}
		r := c.get(t, "/metadata", "X-Request-Id", "mine-1")
		if r.header.Get("X-Request-Id") != "mine-1" && r.header.Get("X-Correlation-Id") != "mine-1" {
			t.Errorf("the client's id is not told: %v", r.header)
		}
	})
}
