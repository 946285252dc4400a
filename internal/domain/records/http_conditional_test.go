package records

import (
	"fmt"
	"net/url"
	"sync"
	"testing"
)

// The tests of this file follow FHIR R4 http.html#ccreate, #cond-update, #patch and conditional delete.

func identified(value, fields string) string {
	if fields != "" {
		fields = "," + fields
	}
	return patient(`"identifier":[{"system":"urn:test","value":"` + value + `"}]` + fields)
}

func byIdentifier(value string) string { return "identifier=" + url.QueryEscape("urn:test|"+value) }

func TestHTTP_ConditionalCreate(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		// No matches: the create is processed as usual.
		first := c.must(t, 201, "POST", "/Patient", identified("1", ""), "If-None-Exist", byIdentifier("1"))
		// One match: the post is ignored and the answer is 200.
		second := c.must(t, 200, "POST", "/Patient", identified("1", `"active":true`), "If-None-Exist", byIdentifier("1"))
		equal(t, "Location", second.header.Get("Location"), first.header.Get("Location"))
		equal(t, "active", second.text(t, "active"), "")
		// Multiple matches: 412.
		c.create(t, identified("1", ""))
		c.do(t, "POST", "/Patient", identified("1", ""), "If-None-Exist", byIdentifier("1")).refused(t, 412)
		// Criteria that can't be searched by are an error and create nothing.
		c.do(t, "POST", "/Patient", identified("2", ""), "If-None-Exist", "colour=red").refused(t, 400, "colour")
		equal(t, "patients", c.get(t, "/Patient?_total=accurate&_summary=count").text(t, "total"), "2")
	})
}

func TestHTTP_ConditionalCreate_ParallelOnesMakeOneResource(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		for round := range 5 {
			value := fmt.Sprint(round)
			var (
				wg       sync.WaitGroup
				statuses [8]int
			)
			for i := range statuses {
				wg.Go(func() {
					statuses[i] = c.do(t, "POST", "/Patient", identified(value, ""), "If-None-Exist", byIdentifier(value)).status
				})
			}
			wg.Wait()
			made := 0
			for _, status := range statuses {
				switch status {
				case 201:
					made++
				case 200:
				default:
					t.Errorf("answered %d", status)
				}
			}
			equal(t, "created", made, 1)
			equal(t, "stored", c.get(t, "/Patient?"+byIdentifier(value)).count(t, "entry"), 1)
		}
	})
}

func TestHTTP_ConditionalUpdate(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		put := func(value, fields string, status int) *reply {
			return c.must(t, status, "PUT", "/Patient?"+byIdentifier(value), identified(value, fields))
		}
		// No matches, no id provided: the server creates the resource.
		id := put("1", "", 201).text(t, "id")
		// One match, no resource id provided: the update is performed against the match.
		equal(t, "id", put("1", `"active":true`, 200).text(t, "id"), id)
		// One match, the id provided is that of the resource found.
		equal(t, "versionId", put("1", `"id":"`+id+`"`, 200).text(t, "meta", "versionId"), "3")
		// One match, another id: 400.
		put("1", `"id":"other"`, 400)
		// No matches, id provided: update as create.
		equal(t, "id", put("2", `"id":"chosen"`, 201).text(t, "id"), "chosen")
		// Multiple matches: 412.
		c.create(t, identified("1", ""))
		put("1", "", 412)
		c.do(t, "PUT", "/Patient", identified("1", "")).refused(t, 400)
		c.do(t, "PUT", "/Patient?colour=red", identified("1", "")).refused(t, 400, "colour")
	})
}

func TestHTTP_ConditionalUpdate_ParallelOnesMakeOneResourceAndLoseNone(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		const writers = 8
		var wg sync.WaitGroup
		for i := range writers {
			wg.Go(func() {
				r := c.do(t, "PUT", "/Patient?"+byIdentifier("1"), identified("1", fmt.Sprintf(`"multipleBirthInteger":%d`, i)))
				if r.status != 200 && r.status != 201 {
					t.Errorf("answered %d: %s", r.status, r.body)
				}
			})
		}
		wg.Wait()
		found := c.get(t, "/Patient?"+byIdentifier("1"))
		equal(t, "stored", found.count(t, "entry"), 1)
		equal(t, "versions", found.text(t, "entry", 0, "resource", "meta", "versionId"), fmt.Sprint(writers))
	})
}

func TestHTTP_ConditionalDelete(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		c.must(t, 204, "DELETE", "/Patient?"+byIdentifier("1"), "")
		id := c.create(t, identified("1", ""))
		c.must(t, 204, "DELETE", "/Patient?"+byIdentifier("1"), "")
		c.get(t, "/Patient/"+id).refused(t, 410)
		c.create(t, identified("1", ""))
		c.create(t, identified("1", ""))
		c.do(t, "DELETE", "/Patient?"+byIdentifier("1"), "").refused(t, 412)
		equal(t, "left", c.get(t, "/Patient?"+byIdentifier("1")).count(t, "entry"), 2)
		c.do(t, "DELETE", "/Patient", "").refused(t, 400)
		c.do(t, "DELETE", "/Patient?colour=red", "").refused(t, 400)
		c.do(t, "DELETE", "/Patient?_format=json", "").refused(t, 400)
	})
}

const jsonPatch = "application/json-patch+json"

func TestHTTP_Patch_JSON(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		id := c.create(t, patient(`"active":true,"gender":"male"`))
		r := c.must(t, 200, "PATCH", "/Patient/"+id, `[{"op":"replace","path":"/active","value":false},{"op":"remove","path":"/gender"}]`, "Content-Type", jsonPatch)
		equal(t, "active", r.text(t, "active"), "false")
		equal(t, "gender", r.text(t, "gender"), "")
		equal(t, "ETag", r.header.Get("ETag"), `W/"2"`)
		if r.header.Get("Last-Modified") == "" {
			t.Error("no Last-Modified")
		}
		// A patch may ask for a version.
		c.do(t, "PATCH", "/Patient/"+id, `[]`, "Content-Type", jsonPatch, "If-Match", `W/"1"`).refused(t, 412)
		c.must(t, 200, "PATCH", "/Patient/"+id, `[{"op":"add","path":"/gender","value":"female"}]`, "Content-Type", jsonPatch, "If-Match", `W/"2"`)
		// What the patch leaves must be valid, and the same resource.
		c.do(t, "PATCH", "/Patient/"+id, `[{"op":"add","path":"/colour","value":"red"}]`, "Content-Type", jsonPatch).refused(t, 400, "colour")
		c.do(t, "PATCH", "/Patient/"+id, `[{"op":"replace","path":"/id","value":"other"}]`, "Content-Type", jsonPatch).refused(t, 422, "id")
		if r := c.do(t, "PATCH", "/Patient/"+id, `[{"op":"test","path":"/active","value":true}]`, "Content-Type", jsonPatch); r.status < 400 || r.status > 499 {
			t.Errorf("a failed test answered %d", r.status)
		}
		c.do(t, "PATCH", "/Patient/"+id, `{`, "Content-Type", jsonPatch).refused(t, 400)
		c.do(t, "PATCH", "/Patient/"+id, `<diff/>`, "Content-Type", "application/xml-patch+xml").refused(t, 415)
		c.do(t, "PATCH", "/Patient/never", `[]`, "Content-Type", jsonPatch).refused(t, 404)
		c.must(t, 204, "DELETE", "/Patient/"+id, "")
		c.do(t, "PATCH", "/Patient/"+id, `[]`, "Content-Type", jsonPatch).refused(t, 410)
	})
}

const fhirPathPatch = `{"resourceType":"Parameters","parameter":[{"name":"operation","part":[` +
	`{"name":"type","valueCode":"replace"},{"name":"path","valueString":"Patient.active"},{"name":"value","valueBoolean":false}]}]}`

func TestHTTP_Patch_FHIRPath(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		id := c.create(t, patient(`"active":true`))
		equal(t, "active", c.must(t, 200, "PATCH", "/Patient/"+id, fhirPathPatch).text(t, "active"), "false")
		c.do(t, "PATCH", "/Patient/"+id, patient("")).refused(t, 400)
	})
}

func TestHTTP_Patch_Conditional(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		patch := `[{"op":"add","path":"/active","value":true}]`
		c.do(t, "PATCH", "/Patient?"+byIdentifier("1"), patch, "Content-Type", jsonPatch).refused(t, 404)
		id := c.create(t, identified("1", ""))
		equal(t, "id", c.must(t, 200, "PATCH", "/Patient?"+byIdentifier("1"), patch, "Content-Type", jsonPatch).text(t, "id"), id)
		c.create(t, identified("1", ""))
		c.do(t, "PATCH", "/Patient?"+byIdentifier("1"), patch, "Content-Type", jsonPatch).refused(t, 412)
	})
}

func TestHTTP_Patch_LeavesNoStaleNarrative(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		const div = `"div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">male</div>"`
		id := c.create(t, patient(`"text":{"status":"generated",`+div+`},"gender":"male"`))
		r := c.must(t, 200, "PATCH", "/Patient/"+id, `[{"op":"replace","path":"/gender","value":"female"}]`, "Content-Type", jsonPatch)
		equal(t, "narrative", r.text(t, "text", "status"), "")
		equal(t, "gender", r.text(t, "gender"), "female")
		id = c.create(t, patient(`"text":{"status":"additional",`+div+`},"gender":"male"`))
		r = c.must(t, 200, "PATCH", "/Patient/"+id, `[{"op":"replace","path":"/gender","value":"female"}]`, "Content-Type", jsonPatch)
		equal(t, "written by hand", r.text(t, "text", "status"), "additional")
	})
}

func TestHTTP_Patch_ParallelOnesAllCount(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		id := c.create(t, patient(`"name":[{"family":"x"}]`))
		const writers = 6
		var wg sync.WaitGroup
		for range writers {
			wg.Go(func() {
				r := c.do(t, "PATCH", "/Patient/"+id, `[{"op":"add","path":"/name/-","value":{"family":"y"}}]`, "Content-Type", jsonPatch)
				if r.status != 200 && r.status != 409 {
					t.Errorf("answered %d: %s", r.status, r.body)
				}
			})
		}
		wg.Wait()
		r := c.get(t, "/Patient/"+id)
		equal(t, "names", fmt.Sprint(r.count(t, "name")), r.text(t, "meta", "versionId"))
	})
}

func TestWithoutStaleNarrative(t *testing.T) {
	t.Parallel()
	const text = `"text":{"status":"generated","div":"<div/>"}`
	for _, row := range []struct{ before, after, want string }{
		{`{"a":1,` + text + `,"b":2}`, `{"a":2,` + text + `,"b":2}`, `{"a":2,"b":2}`},
		{`{"a":1,` + text + `}`, `{"a":2,` + text + `}`, `{"a":2}`},
		{`{` + text + `,"b":2}`, `{` + text + `,"b":3}`, `{"b":3}`},
		{`{"a":1}`, `{"a":2,` + text + `}`, `{"a":2,` + text + `}`},
		{`{"a":1}`, `{"a":2}`, `{"a":2}`},
	} {
		got, err := withoutStaleNarrative([]byte(row.before), []byte(row.after))
		if err != nil || string(got) != row.want {
			t.Errorf("%s → %s: %s (%v), want %s", row.before, row.after, got, err, row.want)
		}
	}
}
