package records

import (
	"fmt"
	"net/url"
	"slices"
	"testing"
	"time"
)

func TestOperation_Validate(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		severity := func(r *reply) string { return r.text(t, "issue", 0, "severity") }
		parameters := func(resource, mode string) string {
			return `{"resourceType":"Parameters","parameter":[{"name":"resource","resource":` + resource + `},{"name":"mode","valueCode":"` + mode + `"}]}`
		}
		good, bad := patient(""), patient(`"gender":"m"`)
		for _, row := range []struct{ path, body, severity string }{
			{"/Patient/$validate", good, "information"},
			{"/Patient/$validate", bad, "error"},
			{"/Patient/$validate", `{"resourceType":"Observation","status":"final","code":{"text":"x"}}`, "error"},
			{"/Patient/$validate", `{"resourceType":"Patient",}`, "fatal"},
			{"/Patient/$validate", parameters(good, "create"), "information"},
			{"/Patient/$validate", parameters(bad, "create"), "error"},
			{"/Patient/1/$validate", parameters(good, "update"), "error"},
			{"/Patient/1/$validate", parameters(patient(`"id":"1"`), "update"), "information"},
			{"/Patient/never/$validate?mode=delete", "", "error"},
			{"/Patient/$validate?profile=http://example.org/p", good, "warning"},
		} {
			r := c.must(t, 200, "POST", row.path, row.body)
			equal(t, row.path+" "+row.body, severity(r), row.severity)
			equal(t, "resourceType", r.text(t, "resourceType"), "OperationOutcome")
		}
		id := c.create(t, patient(""))
		equal(t, "stored", severity(c.must(t, 200, "POST", "/Patient/"+id+"/$validate", "")), "information")
		c.do(t, "POST", "/Patient/$validate", "").refused(t, 400)
		c.do(t, "POST", "/Patient/$validate?mode=look", good).refused(t, 400, "mode")
		c.do(t, "POST", "/Patient/$nonsense", good).refused(t, 405)
		equal(t, "stored", c.get(t, "/Patient").count(t, "entry"), 1)
	})
}

func TestOperation_Meta(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		id := c.create(t, patient(`"meta":{"profile":["http://example.org/p"],"tag":[{"system":"urn:t","code":"a","display":"A"}]}`))
		c.create(t, `{"resourceType":"Practitioner","meta":{"tag":[{"system":"urn:t","code":"z"}]}}`)
		meta := func(r *reply, path ...any) string {
			return r.text(t, append([]any{"parameter", 0, "valueMeta"}, path...)...)
		}
		r := c.must(t, 200, "GET", "/Patient/"+id+"/$meta", "")
		equal(t, "name", r.text(t, "parameter", 0, "name"), "return")
		equal(t, "versionId", meta(r, "versionId"), "1")
		equal(t, "tag", meta(r, "tag", 0, "code"), "a")
		add := `{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":{"tag":[{"system":"urn:t","code":"a"},{"system":"urn:t","code":"b"}],"security":[{"code":"R"}]}}]}`
		r = c.must(t, 200, "POST", "/Patient/"+id+"/$meta-add", add)
		equal(t, "tags", r.count(t, "parameter", 0, "valueMeta", "tag"), 2)
		equal(t, "kept as it was", meta(r, "tag", 0, "display"), "A")
		equal(t, "security", meta(r, "security", 0, "code"), "R")
		equal(t, "profile", meta(r, "profile", 0), "http://example.org/p")
		// What is there already makes no version.
		c.must(t, 200, "POST", "/Patient/"+id+"/$meta-add", add)
		equal(t, "version", c.get(t, "/Patient/"+id).text(t, "meta", "versionId"), "2")
		equal(t, "found by tag", c.get(t, "/Patient?_tag=urn:t|b").count(t, "entry"), 1)
		r = c.must(t, 200, "POST", "/Patient/"+id+"/$meta-delete",
			`{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":{"tag":[{"system":"urn:t","code":"a"}],"profile":["http://example.org/p"]}}]}`)
		equal(t, "tags", r.count(t, "parameter", 0, "valueMeta", "tag"), 1)
		equal(t, "profiles", r.count(t, "parameter", 0, "valueMeta", "profile"), 0)
		equal(t, "found by tag", c.get(t, "/Patient?_tag=urn:t|a").count(t, "entry"), 0)
		equal(t, "of the type", c.must(t, 200, "GET", "/Patient/$meta", "").count(t, "parameter", 0, "valueMeta", "tag"), 1)
		equal(t, "of the system", c.must(t, 200, "GET", "/$meta", "").count(t, "parameter", 0, "valueMeta", "tag"), 2)
		c.get(t, "/Patient/never/$meta").refused(t, 404)
		c.do(t, "POST", "/Patient/"+id+"/$meta-add", patient("")).refused(t, 400)
		c.do(t, "POST", "/Patient/"+id+"/$meta-add", `{"resourceType":"Parameters","parameter":[{"name":"other","valueString":"x"}]}`).refused(t, 400, "other")
	})
}

func TestOperation_Everything_Patient(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		doctor := c.create(t, `{"resourceType":"Practitioner"}`)
		p := c.create(t, patient(`"generalPractitioner":[{"reference":"Practitioner/`+doctor+`"}]`))
		want := []string{"Patient/" + p, "Practitioner/" + doctor}
		for n := range 5 {
			want = append(want, "Observation/"+c.create(t, observation(p, n)))
		}
		want = append(want, "Condition/"+c.create(t, `{"resourceType":"Condition","subject":{"reference":"Patient/`+p+`"},"recordedDate":"2026-06-01"}`))
		other := c.create(t, patient(""))
		c.create(t, observation(other, 9))
		slices.Sort(want)
		gather := func(path string) (all []string, pages int) {
			for path != "" {
				r := c.must(t, 200, "GET", path, "")
				all = append(all, r.ids(t)...)
				path = r.link(t, "next")
				pages++
			}
			slices.Sort(all)
			return slices.Compact(all), pages
		}
		got, _ := gather("/Patient/" + p + "/$everything")
		if !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
		got, pages := gather("/Patient/" + p + "/$everything?_count=2")
		if !slices.Equal(got, want) || pages < 4 {
			t.Errorf("in %d pages: %v, want %v", pages, got, want)
		}
		first := c.must(t, 200, "GET", "/Patient/"+p+"/$everything", "")
		equal(t, "the patient comes first", first.ids(t)[0], "Patient/"+p)
		got, _ = gather("/Patient/" + p + "/$everything?_type=Observation")
		equal(t, "of a type", len(got), 5)
		got, _ = gather("/Patient/" + p + "/$everything?start=2026-05-01&_type=Observation,Condition")
		equal(t, "by date of care", len(got), 1)
		since := url.QueryEscape(time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
		got, _ = gather("/Patient/" + p + "/$everything?_since=" + since)
		equal(t, "since later", len(got), 0)
		all, _ := gather("/Patient/$everything?_count=3")
		for _, id := range append(want, "Patient/"+other) {
			if !slices.Contains(all, id) {
				t.Errorf("all patients: no %s", id)
			}
		}
		equal(t, "by POST", c.must(t, 200, "POST", "/Patient/"+p+"/$everything",
			`{"resourceType":"Parameters","parameter":[{"name":"_type","valueCode":"Observation"},{"name":"_count","valueInteger":3}]}`).count(t, "entry"), 3)
		c.get(t, "/Patient/never/$everything").refused(t, 404)
		for _, query := range []string{"_count=x", "_count=0", "start=x", "_type=Pasient", "colour=red", "_cursor=x"} {
			c.get(t, "/Patient/"+p+"/$everything?"+query).refused(t, 400)
		}
	})
}

func TestOperation_Everything_Encounter(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		p := c.create(t, patient(""))
		e := c.create(t, `{"resourceType":"Encounter","status":"finished","class":{"code":"AMB"},"subject":{"reference":"Patient/`+p+`"}}`)
		o := c.create(t, `{"resourceType":"Observation","status":"final","code":{"text":"x"},"encounter":{"reference":"Encounter/`+e+`"}}`)
		got := c.must(t, 200, "GET", "/Encounter/"+e+"/$everything", "").ids(t)
		for _, id := range []string{"Encounter/" + e, "Observation/" + o, "Patient/" + p} {
			if !slices.Contains(got, id) {
				t.Errorf("no %s in %v", id, got)
			}
		}
		c.get(t, "/Observation/"+o+"/$everything").refused(t, 404)
	})
}

func TestHTTP_Capabilities(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		r := c.as("").must(t, 200, "GET", "/metadata", "")
		equal(t, "type", r.text(t, "resourceType"), "CapabilityStatement")
		equal(t, "version", r.text(t, "fhirVersion"), "4.0.1")
		equal(t, "types", r.count(t, "rest", 0, "resource"), len(c.s.definitions.ResourceTypes()))
		if r.header.Get("ETag") == "" {
			t.Error("no ETag")
		}
		c.must(t, 304, "GET", "/metadata", "", "If-None-Match", r.header.Get("ETag"))
		// It is valid by its own rules.
		v := c.must(t, 200, "POST", "/CapabilityStatement/$validate", string(r.body))
		equal(t, "valid", v.text(t, "issue", 0, "severity"), "information")
		c.must(t, 200, "GET", "/metadata?mode=full", "")
		c.get(t, "/metadata?mode=terminology").refused(t, 501)
		c.get(t, "/metadata?mode=x").refused(t, 400)
		c.get(t, "/metadata?_format=xml").refused(t, 406)
	})
}

// TestHTTP_Capabilities_SaysWhatIsTrue asks for each search parameter that the statement lists.
func TestHTTP_Capabilities_SaysWhatIsTrue(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		r := c.must(t, 200, "GET", "/metadata", "")
		asked := 0
		resources, _ := r.at(t, "rest", 0, "resource").([]any)
		for _, resource := range resources {
			typ := resource.(map[string]any)["type"].(string)
			params, _ := resource.(map[string]any)["searchParam"].([]any)
			for _, p := range params {
				name := p.(map[string]any)["name"].(string)
				if p.(map[string]any)["type"] == "special" || name == "_list" || name == "_has" {
					continue
				}
				if a := c.get(t, "/"+typ+"?"+name+":missing=false"); a.status != 200 && a.status != 400 {
					t.Errorf("%s %s: %d %s", typ, name, a.status, a.body)
				}
				asked++
			}
		}
		if asked < 1300 {
			t.Errorf("only %d parameters", asked)
		}
	})
}

func TestParameter_AddedByTheTenant(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		var before []string
		for n := range 450 {
			colour := []string{"red", "blue"}[n%2]
			before = append(before, c.create(t, patient(fmt.Sprintf(`"extension":[{"url":"http://example.org/eyes","valueString":"%s"}]`, colour))))
		}
		param := `{"resourceType":"SearchParameter","url":"http://example.org/SearchParameter/eyes","name":"eyes","status":"active","description":"d","code":"eyes",` +
			`"base":["Patient"],"type":"string","expression":"Patient.extension.where(url='http://example.org/eyes').value.as(string)"}`
		c.get(t, "/Patient?eyes=red").refused(t, 400)
		id := c.create(t, param)
		total := func() string { return c.must(t, 200, "GET", "/Patient?eyes=red&_summary=count", "").text(t, "total") }
		// Right from the start, though the index is not there yet; new resources are indexed as they come.
		equal(t, "at once", total(), "225")
		c.create(t, patient(`"extension":[{"url":"http://example.org/eyes","valueString":"Red"}]`))
		equal(t, "with a new one", total(), "226")
		state := func() *reply { return c.must(t, 200, "GET", "/SearchParameter/"+id+"/$index-status", "") }
		equal(t, "state before", state().text(t, "parameter", 0, "part", 1, "valueCode"), "indexing")
		c.index(t)
		equal(t, "state after", state().text(t, "parameter", 0, "part", 1, "valueCode"), "ready")
		equal(t, "done", state().text(t, "parameter", 0, "part", 2, "valueDecimal"), "451")
		equal(t, "total", state().text(t, "parameter", 0, "part", 3, "valueDecimal"), "451")
		c.get(t, "/SearchParameter/never/$index-status").refused(t, 404)
		equal(t, "indexed", total(), "226")
		c.must(t, 200, "PUT", "/Patient/"+before[0], patient(`"id":"`+before[0]+`"`))
		c.must(t, 204, "DELETE", "/Patient/"+before[2], "")
		equal(t, "after changes", total(), "224")
		// The statement tells of it.
		if r := c.get(t, "/metadata"); !slices.Contains(parameterNames(t, r, "Patient"), "eyes") {
			t.Error("the capability statement does not list it")
		}
		// Retired, it is not known any more.
		c.must(t, 204, "DELETE", "/SearchParameter/"+id, "")
		c.get(t, "/Patient?eyes=red").refused(t, 400)
		c.index(t)
		c.create(t, param)
		c.index(t)
		equal(t, "added again", total(), "224")
	})
}

// index runs the re-indexing to its end.
func (c *client) index(t *testing.T) {
	t.Helper()
	c.s.parameters.grace = 0
	if err := c.s.parameters.indexTenant(c.ctx, c.tenant()); err != nil {
		t.Fatal(err)
	}
}

func parameterNames(t *testing.T, r *reply, typ string) (names []string) {
	t.Helper()
	resources, _ := r.at(t, "rest", 0, "resource").([]any)
	for _, resource := range resources {
		if resource.(map[string]any)["type"] == typ {
			params, _ := resource.(map[string]any)["searchParam"].([]any)
			for _, p := range params {
				names = append(names, p.(map[string]any)["name"].(string))
			}
		}
	}
	return names
}

func TestParameter_Refused(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		param := func(url, code, status, expression string) string {
			return `{"resourceType":"SearchParameter","url":"` + url + `","name":"n","status":"` + status + `","description":"d","code":"` + code +
				`","base":["Patient"],"type":"string","expression":"` + expression + `"}`
		}
		c.do(t, "POST", "/SearchParameter", param("http://example.org/a", "a", "active", "Patient.name.iif(true, 1)")).refused(t, 422, "SearchParameter.expression")
		c.do(t, "POST", "/SearchParameter", param("http://example.org/a", "birthdate", "active", "Patient.name.family")).refused(t, 422, "SearchParameter.code")
		c.must(t, 201, "POST", "/SearchParameter", param("http://example.org/a", "a", "draft", "Patient.name.iif(true, 1)"))
		c.must(t, 201, "POST", "/SearchParameter", param("http://example.org/b", "b", "active", "Patient.name.family"))
		c.do(t, "POST", "/SearchParameter", param("http://example.org/b", "c", "active", "Patient.name.family")).refused(t, 409)
		c.must(t, 200, "GET", "/Patient?b=x", "")
		c.get(t, "/Patient?a=x").refused(t, 400)
	})
}
