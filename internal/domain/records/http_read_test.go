package records

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// The tests of this file follow FHIR R4 http.html#read, #vread, #cread, #mime-type and #head.

func TestHTTP_Read_ReturnsTheResourceWithItsID(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		id := c.create(t, patient(`"birthDate":"1970-03-30"`))
		r := c.must(t, 200, "GET", "/Patient/"+id, "")
		equal(t, "id", r.text(t, "id"), id)
		equal(t, "birthDate", r.text(t, "birthDate"), "1970-03-30")
		equal(t, "ETag", r.header.Get("ETag"), `W/"1"`)
		equal(t, "versionId", r.text(t, "meta", "versionId"), "1")
		updated, err := time.Parse(time.RFC3339Nano, r.text(t, "meta", "lastUpdated"))
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "Last-Modified", r.header.Get("Last-Modified"), updated.UTC().Format(http.TimeFormat))
		equal(t, "Content-Type", r.header.Get("Content-Type"), "application/fhir+json; charset=utf-8")
	})
}

func TestHTTP_Read_KeepsTheBytes(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		sent := `{"resourceType":"Observation","id":"bytes","valueQuantity":{"value":1.50,"unit":"µg"},"status":"final","code":{"text":"A\u0042 \/ é"}}`
		c.must(t, 201, "PUT", "/Observation/bytes", sent)
		got := string(c.must(t, 200, "GET", "/Observation/bytes", "").body)
		for _, part := range []string{`"valueQuantity":{"value":1.50,"unit":"µg"},"status":"final"`, `A\u0042 \/ é`} {
			if !strings.Contains(got, part) {
				t.Errorf("%s is not in %s", part, got)
			}
		}
		if strings.Index(got, "valueQuantity") > strings.Index(got, `"status"`) {
			t.Errorf("the order of the fields changed: %s", got)
		}
	})
}

func TestHTTP_Read_UnknownIs404AndDeletedIs410(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		c.get(t, "/Patient/never").refused(t, 404)
		id := c.create(t, patient(""))
		c.must(t, 204, "DELETE", "/Patient/"+id, "")
		c.get(t, "/Patient/"+id).refused(t, 410)
	})
}

func TestHTTP_Read_BadTargets(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		c.get(t, "/Pasient/1").refused(t, 404, "Pasient")
		c.get(t, "/patient/1").refused(t, 404)
		c.get(t, "/Patient/a_b").refused(t, 400, "64")
		c.get(t, "/Patient/"+strings.Repeat("a", 65)).refused(t, 400, "64")
		c.get(t, "/Observation/"+c.create(t, patient(""))).refused(t, 404)
	})
}

func TestHTTP_Read_Head(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		id := c.create(t, patient(""))
		r := c.must(t, 200, "HEAD", "/Patient/"+id, "")
		equal(t, "ETag", r.header.Get("ETag"), `W/"1"`)
		c.must(t, 404, "HEAD", "/Patient/never", "")
	})
}

func TestHTTP_Read_SummaryAndElements(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		id := c.create(t, patient(`"active":true,"name":[{"family":"Chalmers"}],"maritalStatus":{"text":"m"},"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>"}`))
		summary := c.must(t, 200, "GET", "/Patient/"+id+"?_summary=true", "")
		equal(t, "name in summary", summary.text(t, "name", 0, "family"), "Chalmers")
		equal(t, "maritalStatus in summary", summary.text(t, "maritalStatus", "text"), "")
		equal(t, "tag", summary.text(t, "meta", "tag", 0, "code"), "SUBSETTED")
		text := c.must(t, 200, "GET", "/Patient/"+id+"?_summary=text", "")
		equal(t, "text", text.text(t, "text", "status"), "generated")
		equal(t, "name in text", text.text(t, "name", 0, "family"), "")
		data := c.must(t, 200, "GET", "/Patient/"+id+"?_summary=data", "")
		equal(t, "text in data", data.text(t, "text", "status"), "")
		elements := c.must(t, 200, "GET", "/Patient/"+id+"?_elements=name", "")
		equal(t, "name in elements", elements.text(t, "name", 0, "family"), "Chalmers")
		equal(t, "active in elements", elements.text(t, "maritalStatus", "text"), "")
		c.get(t, "/Patient/"+id+"?_summary=some").refused(t, 400, "_summary")
	})
}

func TestHTTP_General_Pretty(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		id := c.create(t, patient(""))
		r := c.must(t, 200, "GET", "/Patient/"+id+"?_pretty=true", "")
		if !strings.Contains(string(r.body), "\n  \"resourceType\": \"Patient\"") {
			t.Errorf("not pretty: %s", r.body)
		}
		if r := c.must(t, 200, "GET", "/Patient?_pretty=true", ""); !strings.Contains(string(r.body), "\n  \"resourceType\": \"Bundle\"") {
			t.Errorf("not pretty: %s", r.body)
		}
	})
}

func TestHTTP_General_Format(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		id := c.create(t, patient(""))
		for _, row := range []struct {
			accept, format string
			status         int
		}{
			{"", "", 200},
			{"*/*", "", 200},
			{"application/fhir+json", "", 200},
			{"application/json", "", 200},
			{"application/fhir+json; fhirVersion=4.0", "", 200},
			{"application/fhir+json; fhirVersion=3.0", "", 406},
			{"application/fhir+xml", "", 406},
			{"application/fhir+xml, application/fhir+json;q=0.1", "", 200},
			{"application/fhir+json;q=0", "", 406},
			{"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "", 200},
			{"application/fhir+xml", "json", 200},
			{"application/fhir+xml", "application/fhir+json", 200},
			{"", "xml", 406},
			{"", "text/xml", 406},
			{"", "ttl", 406},
			{"application/fhir+json", "application/fhir+xml", 406},
		} {
			path := "/Patient/" + id
			if row.format != "" {
				path += "?_format=" + row.format
			}
			var headers []string
			if row.accept != "" {
				headers = []string{"Accept", row.accept}
			}
			if r := c.get(t, path, headers...); r.status != row.status {
				t.Errorf("Accept %q, _format %q: %d, want %d", row.accept, row.format, r.status, row.status)
			}
		}
		c.get(t, "/Patient/"+id, "Accept", "application/fhir+xml").refused(t, 406, "json")
		equal(t, "Content-Type", c.get(t, "/Patient/"+id, "Accept", "application/json").header.Get("Content-Type"), "application/json; charset=utf-8")
	})
}

func TestHTTP_ConditionalRead(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		id := c.create(t, patient(""))
		first := c.get(t, "/Patient/"+id)
		for _, row := range []struct {
			header, value string
			status        int
		}{
			{"If-None-Match", `W/"1"`, 304},
			{"If-None-Match", `"1"`, 304},
			{"If-None-Match", `*`, 304},
			{"If-None-Match", `W/"7", W/"1"`, 304},
			{"If-None-Match", `W/"2"`, 200},
			{"If-Modified-Since", first.header.Get("Last-Modified"), 304},
			{"If-Modified-Since", "Mon, 01 Jan 2001 00:00:00 GMT", 200},
			{"If-Modified-Since", "nonsense", 200},
		} {
			r := c.get(t, "/Patient/"+id, row.header, row.value)
			if r.status != row.status {
				t.Errorf("%s %s: %d, want %d", row.header, row.value, r.status, row.status)
			}
			if r.status == 304 && len(r.body) > 0 {
				t.Errorf("304 with a body: %s", r.body)
			}
			equal(t, "ETag", r.header.Get("ETag"), `W/"1"`)
		}
		c.must(t, 200, "PUT", "/Patient/"+id, patient(`"id":"`+id+`","active":true`))
		c.must(t, 200, "GET", "/Patient/"+id, "", "If-None-Match", `W/"1"`)
	})
}

func TestHTTP_VRead(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		id := c.create(t, patient(`"gender":"male"`))
		c.must(t, 200, "PUT", "/Patient/"+id, patient(`"id":"`+id+`","gender":"female"`))
		c.must(t, 204, "DELETE", "/Patient/"+id, "")
		c.must(t, 201, "PUT", "/Patient/"+id, patient(`"id":"`+id+`","gender":"other"`))
		for version, gender := range map[string]string{"1": "male", "2": "female", "4": "other"} {
			r := c.must(t, 200, "GET", "/Patient/"+id+"/_history/"+version, "")
			equal(t, "id", r.text(t, "id"), id)
			equal(t, "versionId", r.text(t, "meta", "versionId"), version)
			equal(t, "gender of "+version, r.text(t, "gender"), gender)
			equal(t, "ETag", r.header.Get("ETag"), `W/"`+version+`"`)
			if r.header.Get("Last-Modified") == "" {
				t.Error("no Last-Modified")
			}
		}
		c.get(t, "/Patient/"+id+"/_history/3").refused(t, 410)
		c.get(t, "/Patient/"+id+"/_history/5").refused(t, 404)
		c.get(t, "/Patient/"+id+"/_history/x").refused(t, 404)
		c.get(t, "/Patient/"+id+"/_history/01").refused(t, 404)
		c.get(t, "/Patient/never/_history/1").refused(t, 404)
	})
}

func TestHTTP_MethodsThatAPathDoesNotHave(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		r := c.do(t, "POST", "/Patient/1", patient(""))
		r.refused(t, 405)
		if allow := r.header.Get("Allow"); !strings.Contains(allow, "GET") || !strings.Contains(allow, "PUT") || strings.Contains(allow, "POST") {
			t.Errorf("Allow: %s", allow)
		}
		c.do(t, "PUT", "/Patient/1/_history/1", patient("")).refused(t, 405)
		c.get(t, "/Patient/1/Observation/2/3").refused(t, 404)
	})
}

func TestHTTP_EachTypeIsServed(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		for _, typ := range c.s.definitions.ResourceTypes() {
			c.get(t, "/"+typ+"/1").refused(t, 404)
			r := c.must(t, 200, "GET", "/"+typ, "")
			equal(t, "type of "+typ, r.text(t, "type"), "searchset")
		}
	})
}
