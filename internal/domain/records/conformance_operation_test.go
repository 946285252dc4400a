package records

import (
	"fmt"
	"strings"
	"testing"
)

// The tests of this file follow FHIR R4 (4.0.1) operations.html, resource-operation-validate.html, fhirpatch.html,
// patient-operation-everything.html, capabilitystatement.html and http.html#capabilities.

func TestConformance_Operations_LevelsAndMethods(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		p := c.create(t, patient(""))
		// An operation that changes something is not offered by GET.
		for _, name := range []string{"meta-add", "meta-delete"} {
			if r := c.get(t, "/Patient/"+p+"/$"+name); r.status != 405 && r.status != 404 {
				t.Errorf("GET $%s: %d", name, r.status)
			}
		}
		// Parameters go in the URL, or in Parameters; the answer is the same.
		get := c.must(t, 200, "GET", "/Patient/"+p+"/$everything?_type=Patient&_count=5", "")
		post := c.must(t, 200, "POST", "/Patient/"+p+"/$everything",
			`{"resourceType":"Parameters","parameter":[{"name":"_type","valueCode":"Patient"},{"name":"_count","valueInteger":5}]}`)
		equal(t, "ids", fmt.Sprint(post.ids(t)), fmt.Sprint(get.ids(t)))
		// One that fails says why; nothing is done by it.
		c.do(t, "POST", "/Patient/"+p+"/$everything", `{"resourceType":"Parameters","parameter":[{"name":"colour","valueCode":"red"}]}`).refused(t, 400, "colour")
		c.do(t, "POST", "/Patient/"+p+"/$meta-add", `{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":{"tag":[{"code":1}]}}]}`).refused(t, 400)
		equal(t, "version", c.get(t, "/Patient/"+p).text(t, "meta", "versionId"), "1")
		c.get(t, "/Basic/1/$everything").refused(t, 404)
		c.get(t, "/$everything").refused(t, 404)
	})
}

func TestConformance_Validate_TellsWhatAWriteWouldAnswer(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		for _, body := range []string{
			patient(""), patient(`"gender":"m"`), patient(`"name":[{}]`), patient(`"colour":"red"`), patient(`"birthDate":"1970-02-30"`),
			`{"resourceType":"Patient",`, patient(`"contact":[{"gender":"male"}]`), patient(`"communication":[{"preferred":true}]`),
		} {
			v := c.must(t, 200, "POST", "/Patient/$validate", body)
			equal(t, "resourceType", v.text(t, "resourceType"), "OperationOutcome")
			if v.count(t, "issue") == 0 {
				t.Error("an outcome without issues")
			}
			refused := false
			for i := range v.count(t, "issue") {
				switch v.text(t, "issue", i, "severity") {
				case "error", "fatal":
					refused = true
				}
			}
			if w := c.do(t, "POST", "/Patient", body); (w.status == 201) == refused {
				t.Errorf("%s: $validate %s, but the write answers %d", body, v.body, w.status)
			}
		}
		before := c.get(t, "/Patient?_summary=count").text(t, "total")
		c.must(t, 200, "POST", "/Patient/$validate?mode=create", patient(""))
		equal(t, "stored by $validate", c.get(t, "/Patient?_summary=count").text(t, "total"), before)
	})
}

func TestConformance_FHIRPathPatch_InOrderAndAllOrNothing(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		operation := func(parts ...string) string {
			var list []string
			for i := 0; i+1 < len(parts); i += 2 {
				list = append(list, `{"name":"`+parts[i]+`",`+parts[i+1]+`}`)
			}
			return `{"name":"operation","part":[` + strings.Join(list, ",") + `]}`
		}
		patch := func(operations ...string) string {
			return `{"resourceType":"Parameters","parameter":[` + strings.Join(operations, ",") + `]}`
		}
		code, path := func(s string) string { return `"valueCode":"` + s + `"` }, func(s string) string { return `"valueString":"` + s + `"` }
		id := c.create(t, patient(`"birthDate":"1970-01-01","identifier":[{"value":"a"},{"value":"b"}]`))
		r := c.must(t, 200, "PATCH", "/Patient/"+id, patch(
			operation("type", code("add"), "path", path("Patient"), "name", path("gender"), "value", code("male")),
			operation("type", code("replace"), "path", path("Patient.gender"), "value", code("female")),
			operation("type", code("delete"), "path", path("Patient.birthDate")),
			operation("type", code("delete"), "path", path("Patient.maritalStatus")), // nothing there is no error
			operation("type", code("insert"), "path", path("Patient.identifier"), "index", `"valueInteger":1`, "value", `"valueIdentifier":{"value":"new"}`),
			operation("type", code("move"), "path", path("Patient.identifier"), "source", `"valueInteger":0`, "destination", `"valueInteger":2`),
			operation("type", code("add"), "path", path("Patient"), "name", path("name"), "value", `"valueHumanName":{"family":"x"}`),
		))
		equal(t, "gender", r.text(t, "gender"), "female")
		equal(t, "birthDate", r.text(t, "birthDate"), "")
		equal(t, "identifiers", r.text(t, "identifier", 0, "value")+r.text(t, "identifier", 1, "value")+r.text(t, "identifier", 2, "value"), "newba")
		equal(t, "name", r.text(t, "name", 0, "family"), "x")
		for what, bad := range map[string]string{
			"no such element":      operation("type", code("replace"), "path", path("Patient.maritalStatus"), "value", `"valueCodeableConcept":{"text":"x"}`),
			"more than one":        operation("type", code("replace"), "path", path("Patient.identifier"), "value", `"valueIdentifier":{"value":"x"}`),
			"more than one to go":  operation("type", code("delete"), "path", path("Patient.identifier")),
			"no such operation":    operation("type", code("copy"), "path", path("Patient.gender")),
			"no path":              operation("type", code("delete")),
			"another type":         operation("type", code("delete"), "path", path("Observation.code")),
			"index out of bounds":  operation("type", code("insert"), "path", path("Patient.identifier"), "index", `"valueInteger":9`, "value", `"valueIdentifier":{"value":"x"}`),
			"leaves what is wrong": operation("type", code("replace"), "path", path("Patient.gender"), "value", code("nonsense")),
		} {
			r := c.do(t, "PATCH", "/Patient/"+id, patch(operation("type", code("delete"), "path", path("Patient.gender")), bad))
			if what == "leaves what is wrong" {
				r = c.do(t, "PATCH", "/Patient/"+id, patch(operation("type", code("delete"), "path", path("Patient.name")), bad))
			}
			if r.status != 400 && r.status != 422 {
				t.Errorf("%s: %d %s", what, r.status, r.body)
			}
		}
		after := c.get(t, "/Patient/"+id)
		equal(t, "version", after.text(t, "meta", "versionId"), "2")
		equal(t, "gender", after.text(t, "gender"), "female")
	})
}

func TestConformance_Everything_HasTheCompartmentAndWhatItRefersTo(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		org := c.create(t, `{"resourceType":"Organization","name":"o"}`)
		doctor := c.create(t, `{"resourceType":"Practitioner"}`)
		p := c.create(t, patient(`"managingOrganization":{"reference":"Organization/`+org+`"}`))
		other := c.create(t, patient(""))
		mine := map[string]bool{"Patient/" + p: true, "Organization/" + org: true, "Practitioner/" + doctor: true}
		mine["Observation/"+c.create(t, `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/`+p+`"},"performer":[{"reference":"Practitioner/`+doctor+`"}]}`)] = true
		gone := c.create(t, observation(p, 1))
		c.must(t, 204, "DELETE", "/Observation/"+gone, "")
		c.create(t, observation(other, 2))
		r := c.must(t, 200, "GET", "/Patient/"+p+"/$everything", "")
		equal(t, "type", r.text(t, "type"), "searchset")
		ids := r.ids(t)
		equal(t, "resources", len(ids), len(mine))
		for _, id := range ids {
			if !mine[id] {
				t.Errorf("%s is not of this chart", id)
			}
		}
		for i := range r.count(t, "entry") {
			if mode := r.text(t, "entry", i, "search", "mode"); mode != "match" && mode != "include" {
				t.Errorf("mode %q", mode)
			}
		}
	})
}

func TestConformance_Capabilities_HoldsTheRulesOfItsResource(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		r := c.must(t, 200, "GET", "/metadata", "")
		for _, name := range []string{"status", "date", "kind", "fhirVersion"} {
			if r.text(t, name) == "" {
				t.Errorf("no %s", name)
			}
		}
		equal(t, "cpb-14: kind", r.text(t, "kind"), "instance")
		equal(t, "cpb-14: implementation", r.text(t, "implementation", "url"), testBase)
		equal(t, "formats", r.count(t, "format") > 0, true)
		equal(t, "mode", r.text(t, "rest", 0, "mode"), "server")
		types := map[string]bool{}
		resources, _ := r.at(t, "rest", 0, "resource").([]any)
		for _, resource := range resources {
			typ, _ := resource.(map[string]any)["type"].(string)
			if types[typ] {
				t.Errorf("cpb-9: %s twice", typ)
			}
			types[typ] = true
			names := map[string]bool{}
			params, _ := resource.(map[string]any)["searchParam"].([]any)
			for _, p := range params {
				name, _ := p.(map[string]any)["name"].(string)
				if names[name] {
					t.Errorf("cpb-12: %s of %s twice", name, typ)
				}
				names[name] = true
			}
		}
		for _, mode := range []string{"", "?mode=full", "?mode=normative"} {
			equal(t, mode, c.must(t, 200, "GET", "/metadata"+mode, "").text(t, "resourceType"), "CapabilityStatement")
		}
		summary := c.must(t, 200, "GET", "/metadata?_elements=fhirVersion", "")
		equal(t, "_elements", summary.count(t, "rest", 0, "resource"), 0)
	})
}

func TestConformance_Capabilities_TheETagChangesWithTheStatement(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		tag := c.get(t, "/metadata").header.Get("ETag")
		equal(t, "the same", c.get(t, "/metadata").header.Get("ETag"), tag)
		c.create(t, `{"resourceType":"SearchParameter","url":"http://example.org/p","name":"p","status":"active","description":"d","code":"shoe","base":["Patient"],"type":"string","expression":"Patient.extension.where(url='http://example.org/shoe').value.as(string)"}`)
		if c.get(t, "/metadata").header.Get("ETag") == tag {
			t.Error("the statement changed, its ETag did not")
		}
		c.must(t, 200, "GET", "/metadata", "", "If-None-Match", tag)
	})
}
