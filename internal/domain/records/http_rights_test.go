package records

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// The principals of the tests, and where they stand in a tenant with two patients: "mine", who has everything to do with them, and
// "hers", of whom they may not see a byte. All that is hers says "secret".
const (
	thePatient  = "patient?patients=mine&id=1"
	theProxy    = "proxy?patients=mine,child&id=2"
	thePanel    = "clinician?person=Practitioner/doc&id=3" // where clinicians are kept to their care
	theLaunched = "clinician?person=Practitioner/doc&patient=mine&scopes=patient/*.cruds&id=4"
	theBackend  = "integration?id=5&scopes=system/Observation.cruds%3Fcategory%3Dlaboratory+system/Patient.rs%3F_id%3Dmine"
	theWhole    = "clinician?id=7"
	theAnalyst  = "analyst?id=6" // sees both, and nothing that is labelled
)

// twoPatients stores them. kept says that clinicians are kept to their care.
func twoPatients(t *testing.T, c *client) {
	t.Helper()
	c.s.settings = func(context.Context) (Settings, error) { return Settings{CareOnly: true}, nil }
	const restricted = `"meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}]},`
	for _, body := range []string{
		`{"resourceType":"Practitioner","id":"doc","name":[{"family":"Doc"}]}`,
		`{"resourceType":"Organization","id":"house","name":"House"}`,
		`{"resourceType":"Patient","id":"mine","name":[{"family":"Mine"}],"generalPractitioner":[{"reference":"Practitioner/doc"}]}`,
		`{"resourceType":"Patient","id":"hers",` + restricted + `"name":[{"family":"Secret"}],"identifier":[{"value":"secret-1"}],"managingOrganization":{"reference":"Organization/house"}}`,
		`{"resourceType":"Observation","id":"o-mine","status":"final","category":[{"coding":[{"code":"laboratory"}]}],"code":{"text":"x"},"subject":{"reference":"Patient/mine"},
			"encounter":{"reference":"Encounter/e-hers"},"hasMember":[{"reference":"Observation/o-hers"}],"performer":[{"reference":"Practitioner/doc"}]}`,
		`{"resourceType":"Observation","id":"o-hers",` + restricted + `"status":"final","category":[{"coding":[{"code":"vital-signs"}]}],"code":{"text":"secret"},"subject":{"reference":"Patient/hers"},
			"encounter":{"reference":"Encounter/e-hers"},"hasMember":[{"reference":"Observation/o-mine"}],"performer":[{"reference":"Practitioner/doc"}]}`,
		`{"resourceType":"Encounter","id":"e-hers",` + restricted + `"status":"finished","class":{"code":"SECRET"},"subject":{"reference":"Patient/hers"},"serviceProvider":{"reference":"Organization/house"}}`,
		`{"resourceType":"Encounter","id":"e-else",` + restricted + `"status":"finished","class":{"code":"SECRET"},"subject":{"reference":"Patient/hers"}}`,
		`{"resourceType":"Condition","id":"c-hers",` + restricted + `"code":{"text":"secret"},"subject":{"reference":"Patient/hers"}}`,
		`{"resourceType":"List","id":"l-hers",` + restricted + `"title":"secret","status":"current","mode":"working","subject":{"reference":"Patient/hers"},"entry":[{"item":{"reference":"Patient/mine"}}]}`,
		`{"resourceType":"Binary","id":"b-hers",` + restricted + `"contentType":"text/plain","data":"c2VjcmV0","securityContext":{"reference":"Patient/hers"}}`,
		// One that was hers, and one that was moved to her.
		`{"resourceType":"Observation","id":"o-gone",` + restricted + `"status":"final","code":{"text":"secret"},"subject":{"reference":"Patient/hers"}}`,
		`{"resourceType":"Observation","id":"o-moved","status":"final","code":{"text":"once mine, no longer: secret"},"subject":{"reference":"Patient/mine"}}`,
		`{"resourceType":"Observation","id":"o-moved",` + restricted + `"status":"final","code":{"text":"secret"},"subject":{"reference":"Patient/hers"}}`,
	} {
		var name string
		for _, part := range []string{`"resourceType":"`, `"id":"`} {
			_, rest, _ := strings.Cut(body, part)
			value, _, _ := strings.Cut(rest, `"`)
			name += "/" + value
		}
		if r := c.do(t, "PUT", name, body); r.status > 201 {
			t.Fatalf("%s: %s", name, r.body)
		}
	}
	c.must(t, 204, "DELETE", "/Observation/o-gone", "")
}

// eachWhoMayNot runs a test for every principal that may not see what is hers.
func eachWhoMayNot(t *testing.T, test func(t *testing.T, c *client)) {
	t.Helper()
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		twoPatients(t, c)
		for _, who := range []string{thePatient, theProxy, thePanel, theLaunched, theBackend, theAnalyst} {
			role, _, _ := strings.Cut(who, "&id")
			t.Run(role, func(t *testing.T) { test(t, c.as(who)) })
		}
		c.s.settings = func(context.Context) (Settings, error) { return Settings{}, nil }
		t.Run("clinician who reaches all", func(t *testing.T) { test(t, c.as(theWhole)) })
	})
}

// TestRights_HiddenIsAsIfNotThere asks for what is hidden and for what was never there, every way that names an id, and finds no difference.
func TestRights_HiddenIsAsIfNotThere(t *testing.T) {
	eachWhoMayNot(t, func(t *testing.T, c *client) {
		for _, hidden := range []string{"Patient/hers", "Observation/o-hers", "Encounter/e-else", "Condition/c-hers", "List/l-hers", "Binary/b-hers", "Observation/o-moved"} {
			typ, id, _ := strings.Cut(hidden, "/")
			absent := strings.Repeat("n", len(id))
			body := func(id string) string {
				return `{"resourceType":"` + typ + `","id":"` + id + `","subject":{"reference":"Patient/mine"},"status":"final","code":{"text":"x"}}`
			}
			if typ == "Patient" || typ == "Binary" {
				body = func(id string) string {
					return `{"resourceType":"` + typ + `","id":"` + id + `","contentType":"text/plain"}`
				}
				if typ == "Patient" {
					body = func(id string) string { return `{"resourceType":"Patient","id":"` + id + `"}` }
				}
			}
			for _, ask := range []struct{ method, path, body, header string }{
				{"GET", "/{}", "", ""},
				{"HEAD", "/{}", "", ""},
				{"GET", "/{}?_summary=true", "", ""},
				{"GET", "/{}?_format=json&_pretty=true", "", ""},
				{"GET", "/{}", "", `If-None-Match=W/"1"`},
				{"GET", "/{}", "", "If-Modified-Since=Sat, 01 Jan 2050 00:00:00 GMT"},
				{"GET", "/{}/_history/1", "", ""},
				{"GET", "/{}/_history/2", "", ""},
				{"GET", "/{}/_history/99", "", ""},
				{"GET", "/{}/_history", "", ""},
				{"GET", "/{}/_history?_count=0", "", ""},
				{"GET", "/{}/$meta", "", ""},
				{"GET", "/{}/$validate", "", ""},
				{"POST", "/{}/$validate?mode=delete", "", ""},
				{"GET", "/{}/$everything", "", ""},
				{"POST", "/{}/$meta-add", `{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":{"tag":[{"code":"a"}]}}]}`, ""},
				{"POST", "/{}/$meta-delete", `{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":{"security":[{"code":"R"}]}}]}`, ""},
				{"PUT", "/{}", body(id), ""},
				{"PUT", "/{}", body(id), `If-Match=W/"1"`},
				{"PUT", "/{}", body(id), `If-Match=W/"7"`},
				{"PUT", "/{}", body(id), "If-None-Match=*"},
				{"PATCH", "/{}", `[{"op":"test","path":"/id","value":"x"}]`, "Content-Type=application/json-patch+json"},
				{"PATCH", "/{}", `[{"op":"remove","path":"/meta"}]`, `Content-Type=application/json-patch+json;If-Match=W/"1"`},
				{"DELETE", "/{}", "", ""},
				{"DELETE", "/{}", "", `If-Match=W/"1"`},
				{"GET", "/" + typ + "?_id=" + id, "", ""},
				{"GET", "/" + typ + "?_id=" + id + "&_total=accurate", "", ""},
				{"GET", "/" + typ + "?_id=" + id + "&_summary=count", "", ""},
				{"GET", "/{}/Observation", "", ""},
				{"GET", "/{}/*", "", ""},
				{"GET", "/Observation?_list=" + id, "", ""},
				{"GET", "?_type=Patient,Observation,Condition&_id=" + id, "", ""},
				{"POST", "", `{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"` + hidden + `"}},{"request":{"method":"GET","url":"` + hidden + `/_history/1"}},
					{"request":{"method":"DELETE","url":"` + hidden + `"}},{"resource":` + body(id) + `,"request":{"method":"PUT","url":"` + hidden + `"}}]}`, ""},
				{"POST", "", `{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"GET","url":"` + hidden + `"}}]}`, ""},
				{"POST", "", `{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"DELETE","url":"` + hidden + `"}}]}`, ""},
				{"POST", "", `{"resourceType":"Bundle","type":"transaction","entry":[{"resource":` + body(id) + `,"request":{"method":"PUT","url":"` + hidden + `"}}]}`, ""},
			} {
				var headers []string
				for pair := range strings.SplitSeq(ask.header, ";") {
					if name, value, ok := strings.Cut(pair, "="); ok {
						headers = append(headers, name, value)
					}
				}
				send := func(id string) (string, *reply) {
					swap := strings.NewReplacer("{}", typ+"/"+id, strings.TrimPrefix(hidden, typ+"/"), id)
					r := c.do(t, ask.method, swap.Replace(ask.path), swap.Replace(ask.body), headers...)
					r.header.Del("X-Request-Id")
					said := strings.ReplaceAll(fmt.Sprint(r.status, r.header, string(r.body)), id, "{}")
					return strings.ReplaceAll(said, url.QueryEscape(id), "{}"), r
				}
				got, r := send(id)
				want, _ := send(absent)
				name := ask.method + " " + hidden + " " + ask.path + " " + ask.header
				if got != want {
					t.Errorf("%s\nhidden %s\nabsent %s", name, got, want)
				}
				if bytes.Contains(bytes.ToLower(r.body), []byte("secret")) {
					t.Errorf("%s says %s", name, r.body)
				}
				nothing := (r.status == 204 || r.status == 412) && ask.method == "DELETE" && c.role == theWhole // to delete what is not there is no error
				named := strings.Contains(ask.path, "{}") && !strings.HasSuffix(ask.path, "/Observation") && !strings.HasSuffix(ask.path, "/*")
				if named && r.status != 403 && r.status != 404 && r.status != 400 && r.status != 200 && !nothing || r.status >= 500 {
					t.Errorf("%s answers %d %s", name, r.status, r.body)
				}
				if named && r.status == 200 && !strings.Contains(ask.path, "$validate") { // whose own answer is that there is nothing
					t.Errorf("%s answers %d %s", name, r.status, r.body)
				}
			}
		}
	})
}

// TestRights_NothingSideways goes to what is hers over what is mine.
func TestRights_NothingSideways(t *testing.T) {
	eachWhoMayNot(t, func(t *testing.T, c *client) {
		for _, path := range []string{
			"/Observation", "/Patient", "", "?_count=100", "/Encounter", "/Condition?code=secret", "/Patient?name=secret", "/Patient?identifier=secret-1", "/Binary", "/List?title=secret",
			"/Observation?_include=*", "/Observation?_include=Observation:encounter", "/Observation?_include=Observation:has-member", "/Observation?_include=Observation:has-member&_include:iterate=Observation:subject",
			"/Observation?_include=Observation:encounter&_include:iterate=Encounter:patient", "/Observation?_revinclude=Observation:has-member",
			"/Patient?_revinclude=*:*", "/Patient?_revinclude=List:item", "/Practitioner?_revinclude=Observation:performer", "/Practitioner?_revinclude=Observation:performer&_include:iterate=Observation:subject",
			"/Organization?_revinclude=Patient:organization", "/Organization?_revinclude=Encounter:service-provider&_include:iterate=Encounter:patient",
			"/Practitioner?_has:Observation:performer:code=secret", "/Organization?_has:Patient:organization:name=secret", "/Organization?_has:Patient:organization:_has:Observation:patient:code=secret",
			"/Patient?_has:List:item:title=secret", "/Observation?encounter.class=SECRET", "/Observation?encounter.patient.name=secret", "/Observation?has-member.code=secret", "/Observation?has-member:Observation.code=secret",
			"/Observation?patient.name=secret", "/Observation?_list=l-hers", "/Patient?_list=l-hers", "/_history", "/Observation/_history", "/Observation/_history?_count=100", "/Patient/_history",
			"/Encounter/_history", "/_history?_since=2000-01-01", "/Observation/_history?_at=2999", "/Observation/o-mine/_history", "/Patient/$everything", "/Patient/mine/$everything", "/Patient/mine/$everything?_type=Observation",
			"/Patient/mine/*", "/Patient/mine/Observation?_include=*", "/Practitioner/doc/Observation", "/Practitioner/doc/*?_include=*", "/Patient/hers/*", "/Encounter/e-else/*", "/Encounter/e-hers/Observation",
			"/Observation?_sort=code", "/Observation?_sort=-date&_count=1", "/Observation?code:missing=false", "/Observation?code:not=x", "/Observation?_security=R", "/Observation?_security:not=R", "/$meta", "/Observation/$meta",
			"/Observation?_elements=code", "/Observation?_summary=text", "/Observation?_lastUpdated=gt2000", "/Patient?_id=mine,hers", "/Observation?subject=Patient/hers", "/Observation?patient=hers", "/Observation?patient=mine,hers",
		} {
			r := c.get(t, path)
			for pages := 0; ; pages++ {
				if bytes.Contains(bytes.ToLower(bytes.ReplaceAll(r.body, []byte(url.QueryEscape(path)), nil)), []byte("secret")) && !strings.Contains(path, "secret") && !strings.Contains(path, "SECRET") {
					t.Errorf("%s says %s", path, r.body)
				}
				if r.status >= 500 {
					t.Errorf("%s: %d %s", path, r.status, r.body)
				}
				if r.status != 200 {
					break
				}
				for _, key := range r.ids(t) {
					if strings.Contains(key, "hers") || strings.Contains(key, "o-moved") || strings.Contains(key, "o-gone") {
						t.Errorf("%s gives %s", path, key)
					}
				}
				for i := range r.count(t, "entry") {
					if full := r.text(t, "entry", i, "fullUrl"); strings.Contains(full, "hers") || strings.Contains(full, "o-moved") || strings.Contains(full, "o-gone") {
						t.Errorf("%s gives %s", path, full)
					}
				}
				if total := r.at(t, "total"); total != nil && strings.Contains(strings.ToLower(path), "secret") && fmt.Sprint(total) != "0" {
					t.Errorf("%s counts %v", path, total)
				}
				next := r.link(t, "next")
				if next == "" || pages > 50 {
					break
				}
				r = c.get(t, next)
			}
		}
		// What is mine is still there.
		if strings.HasPrefix(c.role, "analyst") || strings.HasPrefix(c.role, "integration") || c.role == theWhole {
			return
		}
		if ids := c.must(t, 200, "GET", "/Patient/mine/$everything", "").ids(t); !slices.Contains(ids, "Observation/o-mine") || !slices.Contains(ids, "Patient/mine") {
			t.Errorf("everything of mine: %v", ids)
		}
		if ids := c.must(t, 200, "GET", "/Observation?performer=Practitioner/doc&_total=accurate", "").ids(t); !slices.Equal(ids, []string{"Observation/o-mine"}) {
			t.Errorf("observations of mine: %v", ids)
		}
	})
}

// TestRights_CursorsAndCachedAnswers: neither serves anybody else.
func TestRights_CursorsAndCachedAnswers(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		twoPatients(t, c)
		for n := range 3 {
			c.create(t, observation("mine", n))
			c.create(t, observation("hers", n))
		}
		for _, path := range []string{"/Observation?_count=1", "/Observation?_count=1&_sort=-date", "/Observation?_count=1&patient=mine", "/_history?_count=1", "/Observation/_history?_count=1", "/Patient/mine/$everything?_count=1"} {
			next := c.must(t, 200, "GET", path, "").link(t, "next")
			if next == "" {
				t.Fatalf("%s has one page", path)
			}
			for _, who := range []string{thePatient, thePanel, "clinician?person=Practitioner/doc&id=other&sensitive=restricted", "system?id=other"} {
				c.as(who).get(t, next).refused(t, 400, "begin again")
			}
			mine := c.as(thePatient).must(t, 200, "GET", path, "").link(t, "next")
			if mine == "" {
				t.Fatalf("%s has one page of mine", path)
			}
			c.as("patient?patients=mine&id=another").get(t, mine).refused(t, 400, "begin again")
			c.as("patient?patients=hers&id=1").get(t, mine).refused(t, 400, "begin again")
			c.as(thePatient).must(t, 200, "GET", mine, "")
			forged := strings.Replace(mine, "_cursor=", "_cursor=A", 1)
			c.as(thePatient).get(t, forged).refused(t, 400, "begin again")
		}
		for range 2 { // the second time from the cache
			for _, path := range []string{"/Observation?patient=hers&_count=50", "/Observation?patient=mine&_count=50"} {
				all := c.must(t, 200, "GET", path, "").ids(t)
				for _, who := range []string{thePatient, thePanel, theLaunched, theBackend} {
					for _, key := range c.as(who).must(t, 200, "GET", path, "").ids(t) {
						if !slices.Contains(all, key) || strings.Contains(path, "hers") {
							t.Errorf("%s: %s gives %s", who, path, key)
						}
					}
				}
			}
			c.must(t, 200, "GET", "/Observation/o-hers", "")
			c.as(thePatient).get(t, "/Observation/o-hers").refused(t, 404)
			c.as("analyst").get(t, "/Observation/o-hers").refused(t, 404)
			c.as("analyst?sensitive=restricted").must(t, 200, "GET", "/Observation/o-hers", "")
		}
	})
}

// TestRights_Writes: nobody writes where they may not, nor takes what they have out of reach.
func TestRights_Writes(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		twoPatients(t, c)
		answers := func(fields string) string {
			return `{"resourceType":"QuestionnaireResponse","status":"completed"` + fields + `}`
		}
		const mine, hers = `,"subject":{"reference":"Patient/mine"}`, `,"subject":{"reference":"Patient/hers"}`
		me := c.as(thePatient)
		mineID := me.create(t, answers(mine))
		c.must(t, 201, "PUT", "/QuestionnaireResponse/ours", answers(`,"id":"ours","author":{"reference":"Patient/hers"}`+mine))
		me.must(t, 200, "GET", "/QuestionnaireResponse/ours", "")
		for _, row := range []struct {
			name, who, method, path, body string
			want                          int
		}{
			{"answers about another", thePatient, "POST", "/QuestionnaireResponse", answers(hers), 403},
			{"answers about nobody", thePatient, "POST", "/QuestionnaireResponse", answers(``), 403},
			{"answers about me by another", thePatient, "POST", "/QuestionnaireResponse", answers(mine + `,"author":{"reference":"Patient/hers"}`), 403},
			{"a result of mine", thePatient, "POST", "/Observation", observation("mine", 1), 403},
			{"under an id of my choice", thePatient, "PUT", "/QuestionnaireResponse/x", answers(`,"id":"x"` + mine), 404},
			{"to another", thePatient, "PUT", "/QuestionnaireResponse/" + mineID, answers(`,"id":"` + mineID + `"` + hers), 403},
			{"what is another's too", thePatient, "PUT", "/QuestionnaireResponse/ours", answers(`,"id":"ours"` + mine), 403},
			{"a deletion", thePatient, "DELETE", "/QuestionnaireResponse/" + mineID, "", 403},
			{"with a label", thePatient, "POST", "/QuestionnaireResponse", answers(mine + `,"meta":{"security":[{"code":"HIV"}]}`), 403},
			{"if none is there, about another", thePatient, "POST", "/QuestionnaireResponse?", answers(hers), 403},
			{"an update by criteria", thePatient, "PUT", "/QuestionnaireResponse?subject=Patient/hers", answers(hers), 403},
			{"a patch of hers by criteria", theProxy, "PATCH", "/QuestionnaireResponse?subject=Patient/hers", `[]`, 404},
			{"another's patient, by a clinician", thePanel, "POST", "/Observation", observation("hers", 1), 403},
			{"into one's own care", thePanel, "POST", "/Encounter", `{"resourceType":"Encounter","status":"finished","class":{"code":"AMB"},"subject":{"reference":"Patient/hers"},"participant":[{"individual":{"reference":"Practitioner/doc"}}]}`, 403},
			{"into one's own team", thePanel, "POST", "/CareTeam", `{"resourceType":"CareTeam","subject":{"reference":"Patient/hers"},"participant":[{"member":{"reference":"Practitioner/doc"}}]}`, 403},
			{"into one's own panel", thePanel, "POST", "/Group", `{"resourceType":"Group","type":"person","actual":true,"managingEntity":{"reference":"Practitioner/doc"},"member":[{"entity":{"reference":"Patient/hers"}},{"entity":{"reference":"Patient/mine"}}]}`, 403},
			{"a patient of one's own", thePanel, "POST", "/Observation", observation("mine", 1), 201},
			{"a newcomer", thePanel, "POST", "/Patient", patient(`"generalPractitioner":[{"reference":"Practitioner/doc"}]`), 201},
			{"a newcomer under a chosen id", thePanel, "PUT", "/Patient/new", patient(`"id":"new"`), 404},
			{"a newcomer, launched", theLaunched, "POST", "/Patient", patient(``), 403},
			{"what the scope does not name", theBackend, "POST", "/Observation", observation("mine", 1), 403},
			{"what the scope names", theBackend, "POST", "/Observation", strings.Replace(observation("mine", 1), `"status"`, `"category":[{"coding":[{"code":"laboratory"}]}],"status"`, 1), 201},
			{"a resource out of the scope", theBackend, "PATCH", "/Observation/o-mine", `[{"op":"remove","path":"/category"}]`, 403},
			{"a label one has no grant for", "clinician?person=Practitioner/doc&id=9", "PATCH", "/Observation/o-mine", `[{"op":"add","path":"/meta/security","value":[{"code":"R"}]}]`, 403},
			{"the log", "admin", "POST", "/AuditEvent", `{"resourceType":"AuditEvent"}`, 403},
			{"who works here", "clinician", "POST", "/Practitioner", `{"resourceType":"Practitioner"}`, 403},
		} {
			var headers []string
			if row.method == http.MethodPatch {
				headers = []string{"Content-Type", "application/json-patch+json"}
			}
			before := string(c.must(t, 200, "GET", "/_history?_count=5", "").body)
			r := c.as(row.who).do(t, row.method, row.path, row.body, headers...)
			if r.status != row.want {
				t.Errorf("%s: %d, want %d: %s", row.name, r.status, row.want, r.body)
			}
			if after := string(c.must(t, 200, "GET", "/_history?_count=5", "").body); row.want >= 400 && before != after {
				t.Errorf("%s: something was written", row.name)
			}
			if bytes.Contains(bytes.ToLower(r.body), []byte("secret")) {
				t.Errorf("%s says %s", row.name, r.body)
			}
			// The same as the one entry of a transaction and of a batch, where it has an id or is a creation.
			if row.want < 400 || row.method == http.MethodPatch || strings.Contains(row.path, "?") {
				continue
			}
			entry := `{"request":{"method":"` + row.method + `","url":"` + row.path[1:] + `"}`
			if row.body != "" {
				entry += `,"resource":` + row.body
			}
			bundle := `{"resourceType":"Bundle","type":"%s","entry":[` + entry + `}]}`
			if r := c.as(row.who).do(t, "POST", "", fmt.Sprintf(bundle, "transaction")); r.status != row.want {
				t.Errorf("%s in a transaction: %d, want %d: %s", row.name, r.status, row.want, r.body)
			}
			if r := c.as(row.who).do(t, "POST", "", fmt.Sprintf(bundle, "batch")); !strings.HasPrefix(r.text(t, "entry", 0, "response", "status"), fmt.Sprint(row.want)) {
				t.Errorf("%s in a batch: %s", row.name, r.body)
			}
		}
	})
}

// TestRights_ReferentialIntegrityTellsNothing: what is hidden is not there for references either.
func TestRights_ReferentialIntegrityTellsNothing(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		twoPatients(t, c)
		c.create(t, `{"resourceType":"Condition","id":"x","subject":{"reference":"Patient/mine"},"code":{"text":"x"}}`)
		c.s.settings = func(context.Context) (Settings, error) {
			return Settings{CareOnly: true, ReferentialIntegrity: true}, nil
		}
		body := `{"resourceType":"QuestionnaireResponse","status":"completed","subject":{"reference":"Patient/mine"},"encounter":{"reference":"Encounter/%s"}}`
		hidden := c.as(thePatient).do(t, "POST", "/QuestionnaireResponse", fmt.Sprintf(body, "e-hers"))
		absent := c.as(thePatient).do(t, "POST", "/QuestionnaireResponse", fmt.Sprintf(body, "e-nnnn"))
		hidden.refused(t, 422)
		if strings.ReplaceAll(string(hidden.body), "e-hers", "e-nnnn") != string(absent.body) {
			t.Errorf("hidden %s\nabsent %s", hidden.body, absent.body)
		}
		r := c.as(thePanel).do(t, "DELETE", "/Observation/o-mine", "")
		r.refused(t, 409)
		if bytes.Contains(r.body, []byte("o-hers")) {
			t.Errorf("who refers to it: %s", r.body)
		}
	})
}

// TestRights_HiddenCostsWhatAbsentCosts: the database is asked as often, so that the time tells nothing.
func TestRights_HiddenCostsWhatAbsentCosts(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		twoPatients(t, c)
		for _, who := range []string{thePatient, thePanel, "analyst?id=6"} {
			me := c.as(who)
			for _, path := range []string{"/Observation/{}", "/Observation/{}?_summary=true", "/Observation/{}/_history/1", "/Observation/{}/$meta", "/Observation?_id={}"} {
				cost := func(id string) int64 {
					at := strings.ReplaceAll(path, "{}", id)
					for range 2 { // what is kept is kept now
						c.must(t, 200, "GET", "/Observation/o-hers", "")
						me.get(t, at)
					}
					before := c.s.db.Stats().Reads
					me.get(t, at)
					return c.s.db.Stats().Reads - before
				}
				if hidden, absent := cost("o-hers"), cost("o-nnnn"); hidden != absent {
					t.Errorf("%s: %s is hidden after %d reads, absent after %d", who, path, hidden, absent)
				}
			}
		}
	})
}
