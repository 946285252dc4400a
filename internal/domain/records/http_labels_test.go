package records

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
)

const restrictedMeta = `"meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}]}`

// TestLabels_OfWhatIsInside: a label of a resource that is inside another one hides the whole, in every answer and every count, by whatever way it
// came; where FHIR allows none (dom-5), it does not come in.
func TestLabels_OfWhatIsInside(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		inside := func(contained string) string {
			return `{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"},"contained":[` + contained + `],"focus":[{"reference":"#in"}]}`
		}
		for name, body := range map[string]string{
			"contained":                        inside(`{"resourceType":"Observation","id":"in",` + restrictedMeta + `,"status":"final","code":{"text":"secret"}}`),
			"in a contained Bundle":            inside(`{"resourceType":"Bundle","id":"in","type":"collection","entry":[{"resource":{"resourceType":"Observation",` + restrictedMeta + `,"status":"final","code":{"text":"secret"}}}]}`),
			"in contained Parameters":          inside(`{"resourceType":"Parameters","id":"in","parameter":[{"name":"x","resource":{"resourceType":"Observation",` + restrictedMeta + `,"status":"final","code":{"text":"secret"}}}]}`),
			"in parts of contained Parameters": inside(`{"resourceType":"Parameters","id":"in","parameter":[{"name":"x","part":[{"name":"y","resource":{"resourceType":"Patient",` + restrictedMeta + `}}]}]}`),
		} {
			c.do(t, "PUT", "/Observation/o", body).refused(t, 400, "dom-5")
			report, err := c.s.ImportResources(c.ctx, [][]byte{[]byte(body)})
			if err != nil || len(report.Refused) != 1 {
				t.Errorf("%s: the import took it: %+v %v", name, report, err)
			}
			report, err = c.s.ImportBundle(c.ctx, []byte(`{"resourceType":"Bundle","type":"collection","entry":[{"resource":`+body+`}]}`))
			if err != nil || len(report.Refused) != 1 {
				t.Errorf("%s: the import of a Bundle took it: %+v %v", name, report, err)
			}
		}
		bundle := `{"resourceType":"Bundle","id":"b","type":"collection","entry":[{"resource":{"resourceType":"Observation",` + restrictedMeta + `,"status":"final","code":{"text":"secret"}}}]}`
		if report, err := c.s.ImportResources(c.ctx, [][]byte{[]byte(bundle)}); err != nil || report.Created != 1 {
			t.Fatal(report, err)
		}
		analyst, cleared := c.as("analyst"), c.as("analyst?sensitive=restricted")
		analyst.get(t, "/Bundle/b").refused(t, 404)
		analyst.get(t, "/Bundle/b/_history").refused(t, 404)
		cleared.must(t, 200, "GET", "/Bundle/b", "")
		for query, want := range map[string]string{"": "0", "?_summary=count": "0", "?_total=accurate": "0", "?_id=b&_summary=count": "0"} {
			equal(t, "counted by the analyst: "+query, analyst.must(t, 200, "GET", "/Bundle"+query, "").text(t, "total"), want)
			equal(t, "counted by who is cleared: "+query, cleared.must(t, 200, "GET", "/Bundle"+query, "").text(t, "total"), "1")
		}
		c.as("admin").do(t, "PUT", "/Bundle/b2", strings.Replace(bundle, `"b"`, `"b2"`, 1)).refused(t, 403, "restricted")
	})
}

// TestHistory_CountsWhatIsSeen: a version that is hidden is not counted.
func TestHistory_CountsWhatIsSeen(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		put := func(more string) {
			c.do(t, "PUT", "/Patient/p", patient(`"id":"p"`+more))
		}
		put("")
		put("," + restrictedMeta)
		put(`,"active":true`)
		put(`,"active":false`)
		c.must(t, 200, "GET", "/Patient/p/_history", "")
		for _, row := range []struct{ who, query, total, ids string }{
			{"analyst", "", "3", "4 3 1"},
			{"analyst", "?_count=0", "3", ""},
			{"analyst", "?_count=3", "", "4 3 1"},
			{"analyst", "?_count=1", "", "4"},
			{"analyst", "?_count=2", "", "4 3"},
			{"analyst?sensitive=restricted", "", "4", "4 3 2 1"},
			{"patient?patients=p", "", "3", "4 3 1"},
			{"system", "", "4", "4 3 2 1"},
			{"system", "?_count=1", "4", "4"},
		} {
			r := c.as(row.who).must(t, 200, "GET", "/Patient/p/_history"+row.query, "")
			if total := r.text(t, "total"); total != row.total && (row.total != "" || total != "3") {
				t.Errorf("%s %s: total %q, want %q", row.who, row.query, total, row.total)
			}
			var versions []string
			for i := range r.count(t, "entry") {
				versions = append(versions, strings.Trim(r.text(t, "entry", i, "response", "etag"), `W/"`))
			}
			equal(t, row.who+" "+row.query, strings.Join(versions, " "), row.ids)
		}
		// Page by page, hidden ones between.
		var versions []string
		for next := "/Patient/p/_history?_count=1"; next != ""; {
			r := c.as("analyst").must(t, 200, "GET", next, "")
			for i := range r.count(t, "entry") {
				versions = append(versions, strings.Trim(r.text(t, "entry", i, "response", "etag"), `W/"`))
			}
			next = r.link(t, "next")
		}
		if !slices.Equal(versions, []string{"4", "3", "1"}) {
			t.Errorf("page by page: %v", versions)
		}
	})
}

// TestScopes_EveryOperation: an operation asks what the token's scopes are about, whatever its user's role may do.
func TestScopes_EveryOperation(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		c.s.settings = func(context.Context) (Settings, error) { return Settings{}, nil }
		c.must(t, 201, "PUT", "/Patient/p", patient(`"id":"p"`))
		c.must(t, 201, "PUT", "/Observation/o", `{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p"}}`)
		c.must(t, 201, "PUT", "/Encounter/e", `{"resourceType":"Encounter","id":"e","status":"finished","class":{"code":"AMB"},"subject":{"reference":"Patient/p"}}`)
		const parameter = `{"resourceType":"SearchParameter","id":"sp","url":"urn:test:sp","name":"sp","status":"active","description":"x","code":"sp","base":["Patient"],"type":"string","expression":"Patient.language"}`
		const tag = `{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":{"tag":[{"code":"x"}]}}]}`
		const entry = `{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"SearchParameter/$index-status"}}]}`
		for _, row := range []struct {
			scopes, method, path, body string
			want                       int
		}{
			{"user/Observation.rs", "GET", "/SearchParameter/$index-status", "", 403},
			{"user/SearchParameter.rs", "GET", "/SearchParameter/$index-status", "", 200},
			{"user/Observation.rs", "POST", "/Patient/$validate", patient(""), 403},
			{"user/Patient.c", "POST", "/Patient/$validate", patient(""), 200},
			{"user/Observation.rs", "POST", "/Patient/p/$validate", patient(`"id":"p"`), 403},
			{"user/Observation.rs", "GET", "/Patient/p/$everything", "", 403},
			{"user/Patient.r", "GET", "/Patient/p/$everything", "", 200},
			{"user/Patient.r", "GET", "/Patient/$everything", "", 403},
			{"user/Patient.rs", "GET", "/Patient/$everything", "", 200},
			{"user/Patient.rs", "GET", "/Encounter/e/$everything", "", 403},
			{"user/Observation.rs", "GET", "/Patient/p/$meta", "", 403},
			{"user/Observation.r", "GET", "/Observation/$meta", "", 403},
			{"user/Observation.rs", "GET", "/Observation/$meta", "", 200},
			{"openid", "GET", "/$meta", "", 403},
			{"user/Observation.r", "GET", "/$meta", "", 403},
			{"user/Observation.rs", "GET", "/$meta", "", 200},
			{"user/Patient.rs", "POST", "/Patient/p/$meta-add", tag, 403},
			{"user/Patient.rs", "POST", "/Patient/p/$meta-delete", tag, 403},
			{"user/Patient.ru", "POST", "/Patient/p/$meta-add", tag, 200},
			{"user/Patient.cruds", "PUT", "/SearchParameter/sp", parameter, 403},
			{"user/SearchParameter.rs", "PUT", "/SearchParameter/sp", parameter, 403},
			{"user/SearchParameter.cruds", "PUT", "/SearchParameter/sp", parameter, 201},
			{"user/SearchParameter.cruds?url=urn:x", "DELETE", "/SearchParameter/sp", "", 403},
			{"user/SearchParameter.rs", "DELETE", "/SearchParameter/sp", "", 403},
			{"user/Observation.rs", "GET", "/_history", "", 200},
			{"user/Observation.rs", "GET", "/Patient/_history", "", 403},
			{"openid", "GET", "/Patient/p", "", 403},
			{"openid", "GET", "/Patient", "", 403},
		} {
			who := c.as("admin?id=1&scopes=" + url.QueryEscape(row.scopes))
			if r := who.do(t, row.method, row.path, row.body); r.status != row.want {
				t.Errorf("%s %s with %s: %d, want %d: %s", row.method, row.path, row.scopes, r.status, row.want, r.body)
			}
		}
		r := c.as("admin?id=1&scopes=user/Observation.rs").must(t, 200, "POST", "", entry)
		if status := r.text(t, "entry", 0, "response", "status"); !strings.HasPrefix(status, "403") {
			t.Errorf("in a batch: %s", fmt.Sprint(status))
		}
	})
}
