package records

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"
)

// The tests of this file follow FHIR R4 http.html#history and #paging.

func TestHTTP_History_OfAResource(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		id := c.create(t, patient(""))
		c.must(t, 200, "PUT", "/Patient/"+id, patient(`"id":"`+id+`","active":true`))
		c.must(t, 200, "PATCH", "/Patient/"+id, `[{"op":"replace","path":"/active","value":false}]`, "Content-Type", jsonPatch)
		c.must(t, 204, "DELETE", "/Patient/"+id, "")
		c.must(t, 201, "PUT", "/Patient/"+id, patient(`"id":"`+id+`"`))
		c.create(t, patient("")) // another one
		r := c.must(t, 200, "GET", "/Patient/"+id+"/_history", "")
		equal(t, "type", r.text(t, "type"), "history")
		equal(t, "total", r.text(t, "total"), "5")
		equal(t, "self", r.link(t, "self"), testBase+"/Patient/"+id+"/_history")
		for i, want := range []struct{ method, url, etag string }{
			{"PUT", "Patient/" + id, `W/"5"`},
			{"DELETE", "Patient/" + id, `W/"4"`},
			{"PATCH", "Patient/" + id, `W/"3"`},
			{"PUT", "Patient/" + id, `W/"2"`},
			{"POST", "Patient", `W/"1"`},
		} {
			equal(t, fmt.Sprint("method ", i), r.text(t, "entry", i, "request", "method"), want.method)
			equal(t, fmt.Sprint("url ", i), r.text(t, "entry", i, "request", "url"), want.url)
			equal(t, fmt.Sprint("etag ", i), r.text(t, "entry", i, "response", "etag"), want.etag)
			equal(t, fmt.Sprint("fullUrl ", i), r.text(t, "entry", i, "fullUrl"), testBase+"/Patient/"+id)
			if r.text(t, "entry", i, "response", "lastModified") == "" {
				t.Errorf("entry %d has no lastModified", i)
			}
			if has := r.text(t, "entry", i, "resource", "resourceType") != ""; has != (want.method != "DELETE") {
				t.Errorf("entry %d, %s: resource %v", i, want.method, has)
			}
		}
		c.get(t, "/Patient/never/_history").refused(t, 404)
		c.get(t, "/Pasient/_history").refused(t, 404)
	})
}

func TestHTTP_History_PagesOfATypeAndTheSystem(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		var ids []string
		for range 4 {
			ids = append(ids, c.create(t, patient("")))
		}
		c.create(t, `{"resourceType":"Practitioner"}`)
		for _, id := range ids {
			c.must(t, 200, "PUT", "/Patient/"+id, patient(`"id":"`+id+`","active":true`))
		}
		c.must(t, 204, "DELETE", "/Patient/"+ids[0], "")
		walk := func(path string, meanwhile func()) (versions int) {
			seen := map[string]bool{}
			last := ""
			for page := path + "?_count=2"; page != ""; {
				r := c.must(t, 200, "GET", page, "")
				if n := r.count(t, "entry"); n > 2 {
					t.Fatalf("a page of %d", n)
				}
				for i := range r.count(t, "entry") {
					key := r.text(t, "entry", i, "fullUrl") + r.text(t, "entry", i, "response", "etag")
					if seen[key] {
						t.Errorf("%s twice", key)
					}
					seen[key] = true
					at := r.text(t, "entry", i, "response", "lastModified")
					if last != "" && at > last {
						t.Errorf("%s after %s: the newest come first", at, last)
					}
					last = at
				}
				page = r.link(t, "next")
				meanwhile()
			}
			return len(seen)
		}
		equal(t, "of the system", walk("/_history", func() {}), 10)
		// What is written meanwhile neither shows up nor moves anything.
		equal(t, "of a type", walk("/Patient/_history", func() {
			c.must(t, 200, "PUT", "/Patient/"+ids[1], patient(`"id":"`+ids[1]+`"`))
			c.create(t, patient(""))
		}), 9)
	})
}

func TestHTTP_History_SinceAndAt(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		moment := func(r *reply) time.Time {
			at, err := time.Parse(time.RFC3339Nano, r.text(t, "meta", "lastUpdated"))
			if err != nil {
				t.Fatal(err)
			}
			return at
		}
		id := c.create(t, patient(""))
		var times []time.Time
		times = append(times, moment(c.get(t, "/Patient/"+id)))
		for range 3 {
			times = append(times, moment(c.must(t, 200, "PUT", "/Patient/"+id, patient(`"id":"`+id+`"`))))
		}
		stamp := func(at time.Time) string { return url.QueryEscape(at.Format("2006-01-02T15:04:05.000Z07:00")) }
		versions := func(query string) string {
			var list []string
			for _, path := range []string{"/Patient/" + id + "/_history", "/Patient/_history", "/_history"} {
				r := c.must(t, 200, "GET", path+"?"+query, "")
				var numbers []string
				for i := range r.count(t, "entry") {
					numbers = append(numbers, r.text(t, "entry", i, "resource", "meta", "versionId"))
				}
				list = append(list, strings.Join(numbers, " "))
			}
			if list[0] != list[1] || list[1] != list[2] {
				t.Errorf("%s: a resource, its type and the system differ: %q", query, list)
			}
			return list[0]
		}
		// Created at or after the instant.
		equal(t, "since the third", versions("_since="+stamp(times[2])), "4 3")
		equal(t, "since after", versions("_since="+stamp(times[3].Add(time.Millisecond))), "")
		equal(t, "since long ago", versions("_since=1970-01-01T00:00:00Z"), "4 3 2 1")
		equal(t, "since the far future", versions("_since=9999-01-01T00:00:00Z"), "")
		// Current at some point during the period.
		equal(t, "at the second", versions("_at="+stamp(times[1])), "2")
		equal(t, "at that day", versions("_at="+times[0].Format("2006-01-02")), "4 3 2 1")
		equal(t, "at a year before", versions("_at=1999"), "")
		equal(t, "at later", versions("_at=2200"), "4")
	})
}

func TestHTTP_History_Parameters(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		id := c.create(t, patient(""))
		c.must(t, 200, "PUT", "/Patient/"+id, patient(`"id":"`+id+`"`))
		for _, query := range []string{
			"_since=x", "_at=x", "_count=x", "_count=-1", "_count=1&_count=2", "_since=2020-01-01T00:00:00Z&_since=2021-01-01T00:00:00Z",
			"_cursor=x", "colour=red", "_cursor=" + strings.Repeat("A", 40),
		} {
			c.get(t, "/Patient/"+id+"/_history?"+query).refused(t, 400)
		}
		c.get(t, "/Patient/_history?_list=List/1").refused(t, 501)
		c.must(t, 200, "GET", "/Patient/"+id+"/_history?_count=1000000000", "")
		c.must(t, 200, "GET", "/Patient/"+id+"/_history?_count=99999999999999999999", "")
		equal(t, "count 0", c.must(t, 200, "GET", "/Patient/"+id+"/_history?_count=0", "").count(t, "entry"), 0)
		next := c.get(t, "/Patient/"+id+"/_history?_count=1").link(t, "next")
		// A cursor belongs to its query.
		other := c.create(t, patient(""))
		c.get(t, strings.Replace(next, id, other, 1)).refused(t, 400, "cursor")
		c.get(t, strings.Replace(next, "_count=1", "_count=2", 1)).refused(t, 400, "cursor")
		c.must(t, 200, "GET", next, "")
	})
}
