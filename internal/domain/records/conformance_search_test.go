package records

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// The tests of this file follow FHIR R4 (4.0.1) search.html and http.html#search and #paging over HTTP; what each type of
// parameter matches is in internal/format/fhir/search.

func TestConformance_Search_GetAndPostAreTheSame(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		p := c.create(t, patient(`"gender":"female","name":[{"family":"A B+C&D","given":["é"]}]`))
		o := c.create(t, observation(p, 1))
		for _, row := range []struct{ path, form string }{
			{"/Patient", "gender=female"},
			{"/Patient", "family=" + url.QueryEscape("A B+C&D")},
			{"/Patient", "given=" + url.QueryEscape("é")},
			{"/Patient", "_has:Observation:patient:code=8867-4"},
			{"/Observation", "patient.family=a&_include=Observation:patient&_sort=-date&_count=5"},
			{"/Patient/" + p + "/Observation", "code=8867-4"},
			{"", "_id=" + o},
		} {
			get, post := c.must(t, 200, "GET", row.path+"?"+row.form, ""), c.form(t, row.path+"/_search", row.form)
			post.want(t, 200)
			equal(t, row.path+" "+row.form, string(post.body), string(get.body))
			if get.count(t, "entry") == 0 {
				t.Errorf("%s?%s finds nothing", row.path, row.form)
			}
		}
	})
}

func TestConformance_Search_EntriesAreUniqueAndSayWhyTheyAreThere(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		p := c.create(t, patient(`"link":[{"type":"seealso","other":{"reference":"Patient/self"}}]`))
		c.must(t, 201, "PUT", "/Patient/self", patient(`"id":"self","link":[{"type":"seealso","other":{"reference":"Patient/self"}}]`))
		for n := range 3 {
			c.create(t, observation(p, n))
		}
		c.create(t, observation("not-stored", 9))
		modes := func(path string) map[string]int {
			r := c.must(t, 200, "GET", path, "")
			count, seen := map[string]int{}, map[string]bool{}
			for i := range r.count(t, "entry") {
				full := r.text(t, "entry", i, "fullUrl")
				if seen[full] {
					t.Errorf("%s: %s twice", path, full)
				}
				seen[full] = true
				equal(t, "fullUrl", full, testBase+"/"+r.text(t, "entry", i, "resource", "resourceType")+"/"+r.text(t, "entry", i, "resource", "id"))
				count[r.text(t, "entry", i, "search", "mode")]++
			}
			return count
		}
		// Three refer to the same patient; one refers to nothing that is here.
		equal(t, "include", fmt.Sprint(modes("/Observation?_include=Observation:patient")), "map[include:1 match:4]")
		// One that both matches and is included is a match.
		equal(t, "match goes before include", fmt.Sprint(modes("/Patient?_include=Patient:link")), "map[match:2]")
		equal(t, "revinclude", fmt.Sprint(modes("/Patient?_id="+p+"&_revinclude=Observation:patient")), "map[include:3 match:1]")
		equal(t, "iterate", fmt.Sprint(modes("/Observation?_include=Observation:patient&_include:iterate=Patient:link")), "map[include:2 match:4]")
		equal(t, "wildcard", fmt.Sprint(modes("/Observation?_include=*")), "map[include:1 match:4]")
		// Total and _count are about matches.
		r := c.must(t, 200, "GET", "/Observation?_include=Observation:patient&_count=2&_total=accurate", "")
		equal(t, "total", r.text(t, "total"), "4")
		matches := 0
		for i := range r.count(t, "entry") {
			if r.text(t, "entry", i, "search", "mode") == "match" {
				matches++
			}
		}
		equal(t, "matches of a page", matches, 2)
		c.get(t, "/Observation?_include=Patient").refused(t, 400)
	})
}

func TestConformance_Search_IncludesComeWithTheirPage(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		of := map[string]string{}
		for n := range 4 {
			p := c.create(t, patient(""))
			of["Observation/"+c.create(t, observation(p, n))] = "Patient/" + p
		}
		pages := 0
		for page := "/Observation?_include=Observation:subject&_count=2"; page != ""; pages++ {
			r := c.must(t, 200, "GET", page, "")
			ids := r.ids(t)
			for _, id := range ids {
				if p := of[id]; p != "" && !slices.Contains(ids, p) {
					t.Errorf("%s comes without its %s", id, p)
				}
			}
			equal(t, "entries", len(ids), 4)
			page = r.link(t, "next")
		}
		equal(t, "pages", pages, 2)
	})
}

func TestConformance_Search_SelfLinkSaysWhatWasSearchedFor(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		c.create(t, patient(`"gender":"male"`))
		for _, r := range []*reply{
			c.must(t, 200, "GET", "/Patient?gender=male&_sort=-birthdate&_count=5&colour=red", "", "Prefer", "handling=lenient"),
			c.form(t, "/Patient/_search?gender=male", "_sort=-birthdate&_count=5&colour=red", "Prefer", "handling=lenient"),
		} {
			u, err := url.Parse(r.link(t, "self"))
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "self", u.Query().Encode(), url.Values{"gender": {"male"}, "_sort": {"-birthdate"}, "_count": {"5"}}.Encode())
			again := c.must(t, 200, "GET", r.link(t, "self"), "")
			equal(t, "asked again", again.count(t, "entry"), 1)
			// What is told about the search is no match, no error, and does not count.
			last := r.count(t, "entry") - 1
			equal(t, "mode", r.text(t, "entry", last, "search", "mode"), "outcome")
			for i := range r.count(t, "entry", last, "resource", "issue") {
				if s := r.text(t, "entry", last, "resource", "issue", i, "severity"); s == "error" || s == "fatal" {
					t.Errorf("severity %s", s)
				}
			}
		}
	})
}

func TestConformance_Search_ErrorsAndEmptyAnswers(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		p := c.create(t, patient(`"gender":"male"`))
		c.create(t, observation(p, 1))
		// What can't be satisfied finds nothing, and is no error.
		for _, path := range []string{
			"/Observation?subject=101", "/Observation?subject=Patient/101", "/Observation?code=http://loinc.org|0-0", "/Observation?code=urn:unknown|x",
			"/Observation?date=lt1900", "/Observation?patient.identifier=urn:x|1", "/Patient?_id=none", "/Patient?_has:Observation:patient:code=none",
			"/Patient?gender=nonsense", "/Patient/none/Observation",
		} {
			r := c.must(t, 200, "GET", path, "")
			equal(t, path, r.count(t, "entry"), 0)
			equal(t, path, r.text(t, "type"), "searchset")
		}
		// What is written wrongly is refused.
		for _, path := range []string{
			"/Observation?date=23%20May%202009", "/Observation?date:text=2000", "/Patient?birthdate=2020-13", "/RiskAssessment?probability=many",
			"/Observation?value-quantity=5.4|a|b|c", "/Patient?gender:above-all=x", "/Patient?active:missing=maybe", "/Observation?subject:Pasient=1",
			"/Patient?_has:Observation=x", "/Observation?patient.colour=x", "/Observation?code.text=x", "/Patient?_lastUpdated=soon", "/Patient?_sort=gender,-colour",
			"/Patient?_summary=most", "/Patient?_elements=", "/Patient?_contained=maybe", "/Patient?_query=x", "/Patient?_filter=name%20eq%20x", "/Patient?_text=x", "/Patient?_content=x",
		} {
			if r := c.get(t, path); r.status == 200 && path != "/Patient?_elements=" {
				t.Errorf("%s: %d", path, r.status)
			} else if r.status >= 500 && r.status != 501 {
				t.Errorf("%s: %d %s", path, r.status, r.body)
			}
		}
		// An empty parameter is passed over where the client asks for leniency; else it is refused rather than answered
		// with more than was meant.
		for _, path := range []string{"/Patient?gender=", "/Patient?gender=&active=", "/Patient?birthdate=&gender=male"} {
			equal(t, path, c.must(t, 200, "GET", path, "", "Prefer", "handling=lenient").text(t, "entry", 0, "resource", "id"), p)
			c.get(t, path).refused(t, 400)
		}
	})
}

func TestConformance_Search_NamesAreCaseSensitive(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		c.get(t, "/Patient?Gender=male").refused(t, 400, "Gender")
		c.get(t, "/Patient?_ID=1").refused(t, 400)
	})
}

func TestConformance_Search_StandardParameters(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		a := c.create(t, patient(`"meta":{"tag":[{"system":"urn:t","code":"x"}],"security":[{"system":"urn:s","code":"R"}],"profile":["http://example.org/p|1"],"source":"urn:src#1"}`))
		b := c.create(t, patient(""))
		at := c.get(t, "/Patient/"+a).text(t, "meta", "lastUpdated")
		for query, want := range map[string][]string{
			"_id=" + a:                                            {a},
			"_id=" + a + "," + b:                                  {a, b},
			"_id=" + a + "&_id=" + b:                              {},
			"_tag=urn:t|x":                                        {a},
			"_tag=x":                                              {a},
			"_tag:not=urn:t|x":                                    {b},
			"_security=urn:s|R":                                   {a},
			"_profile=http://example.org/p|1":                     {a},
			"_profile=http://example.org/p":                       {a},
			"_source=" + url.QueryEscape("urn:src#1"):             {a},
			"_lastUpdated=ge" + url.QueryEscape(at):               {a, b},
			"_lastUpdated=lt" + url.QueryEscape(at):               {},
			"_lastUpdated=gt2000-01-01&_lastUpdated=lt2001-01-01": {},
			"_has:Observation:patient:code=x":                     {},
		} {
			got := c.must(t, 200, "GET", "/Patient?"+query, "").ids(t)
			var ids []string
			for _, id := range want {
				ids = append(ids, "Patient/"+id)
			}
			slices.Sort(got)
			slices.Sort(ids)
			if !slices.Equal(got, ids) {
				t.Errorf("%s: %v, want %v", query, got, ids)
			}
		}
		// They are there for every type, and for all types at once.
		for _, path := range []string{"", "/Patient", "/Basic", "/Bundle", "/Binary"} {
			for _, query := range []string{"_id=x", "_lastUpdated=gt2000", "_tag=x", "_profile=http://example.org/x", "_security=x", "_source=urn:x"} {
				c.must(t, 200, "GET", path+"?"+query, "")
			}
		}
	})
}

func TestConformance_Search_ContainedResourcesAreNoMatches(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		o := c.create(t, `{"resourceType":"Observation","status":"final","code":{"text":"x"},"contained":[{"resourceType":"Patient","id":"p","gender":"female"}],"subject":{"reference":"#p"}}`)
		equal(t, "contained", c.get(t, "/Patient?gender=female").count(t, "entry"), 0)
		equal(t, "container", c.get(t, "/Observation?_id="+o).count(t, "entry"), 1)
		equal(t, "false", c.must(t, 200, "GET", "/Patient?gender=female&_contained=false", "").count(t, "entry"), 0)
		if r := c.get(t, "/Patient?gender=female&_contained=true"); r.status == 200 {
			t.Error("_contained=true was passed over in silence")
		}
	})
}

func TestConformance_Search_EscapedSeparators(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		for _, value := range []string{"a,b", "a|b", "a$b", `a\b`} {
			c.create(t, patient(`"identifier":[{"system":"urn:e","value":"`+strings.ReplaceAll(value, `\`, `\\`)+`"}]`))
		}
		c.create(t, patient(`"identifier":[{"system":"urn:e","value":"a"}]`))
		c.create(t, patient(`"identifier":[{"system":"urn:e","value":"b"}]`))
		for query, want := range map[string]int{`urn:e|a\,b`: 1, `urn:e|a,urn:e|b`: 2, `urn:e|a\|b`: 1, `urn:e|a\$b`: 1, `urn:e|a\\b`: 1} {
			equal(t, query, c.must(t, 200, "GET", "/Patient?identifier="+url.QueryEscape(query), "").count(t, "entry"), want)
		}
	})
}

func TestConformance_Search_SortAndCount(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		for _, fields := range []string{`"birthDate":"1990-01-01","gender":"male"`, `"birthDate":"1980-01-01","gender":"male"`, `"birthDate":"1985-01-01","gender":"female"`, `"gender":"female"`} {
			c.create(t, patient(fields))
		}
		years := func(query string) string {
			r := c.must(t, 200, "GET", "/Patient?"+query, "")
			var list []string
			for i := range r.count(t, "entry") {
				list = append(list, strings.TrimSuffix(r.text(t, "entry", i, "resource", "birthDate"), "-01-01"))
			}
			return strings.Join(list, " ")
		}
		equal(t, "ascending", years("_sort=birthdate&birthdate:missing=false"), "1980 1985 1990")
		equal(t, "descending", years("_sort=-birthdate&birthdate:missing=false"), "1990 1985 1980")
		equal(t, "by two", years("_sort=gender,-birthdate&birthdate:missing=false"), "1985 1990 1980")
		equal(t, "all are there", len(strings.Split(years("_sort=birthdate"), " ")), 4)
		for _, n := range []int{1, 2, 3} {
			equal(t, "page", c.get(t, fmt.Sprint("/Patient?_count=", n)).count(t, "entry"), n)
		}
		zero, count := c.must(t, 200, "GET", "/Patient?_count=0", ""), c.must(t, 200, "GET", "/Patient?_summary=count", "")
		equal(t, "_count=0", zero.text(t, "total"), count.text(t, "total"))
		equal(t, "entries", zero.count(t, "entry")+count.count(t, "entry"), 0)
		equal(t, "next of _count=0", zero.link(t, "next"), "")
	})
}

func TestConformance_Search_PagesOfAPost(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		for range 5 {
			c.create(t, patient(`"gender":"male"`))
		}
		seen := map[string]bool{}
		r := c.form(t, "/Patient/_search", "gender=male&_count=2")
		for pages := 1; ; pages++ {
			r.want(t, 200)
			for _, id := range r.ids(t) {
				seen[id] = true
			}
			if r.link(t, "self") == "" {
				t.Error("no self link")
			}
			if pages > 1 && r.link(t, "first") == "" {
				t.Error("no first link")
			}
			next := r.link(t, "next")
			if next == "" {
				equal(t, "pages", pages, 3)
				break
			}
			// The links are for GET; a client may turn one into a POST.
			if pages == 1 {
				r = c.get(t, next)
			} else {
				_, query, _ := strings.Cut(next, "?")
				r = c.form(t, "/Patient/_search", query)
			}
		}
		equal(t, "found", len(seen), 5)
	})
}

func TestConformance_Search_SummariesAndElements(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		p := c.create(t, patient(""))
		c.create(t, `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/`+p+`"},"note":[{"text":"n"}],"modifierExtension":[{"url":"http://example.org/m","valueCode":"c"}],`+
			`"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">t</div>"}}`)
		has := func(query string) string {
			r := c.must(t, 200, "GET", "/Observation?"+query, "")
			resource, _ := r.at(t, "entry", 0, "resource").(map[string]any)
			var names []string
			for name := range resource {
				names = append(names, name)
			}
			slices.Sort(names)
			if subset := r.text(t, "entry", 0, "resource", "meta", "tag", 0, "code"); (subset == "SUBSETTED") != (query != "_summary=false") {
				t.Errorf("%s: tag %q", query, subset)
			}
			return strings.Join(names, " ")
		}
		// Mandatory elements and modifiers are always there.
		equal(t, "_elements", has("_elements=subject"), "code id meta modifierExtension resourceType status subject")
		if got := has("_summary=text"); !strings.Contains(got, "code") || !strings.Contains(got, "text") || strings.Contains(got, "note") {
			t.Errorf("_summary=text: %s", got)
		}
		if got := has("_summary=data"); strings.Contains(got, "text") || !strings.Contains(got, "note") {
			t.Errorf("_summary=data: %s", got)
		}
		if got := has("_summary=true"); strings.Contains(got, "note") || !strings.Contains(got, "status") {
			t.Errorf("_summary=true: %s", got)
		}
		if got := has("_summary=false"); !strings.Contains(got, "note") || !strings.Contains(got, "text") {
			t.Errorf("_summary=false: %s", got)
		}
	})
}

func TestConformance_Search_AWriteIsFoundAtOnce(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		id := c.create(t, patient(`"gender":"male"`))
		found := func(query string) int { return c.must(t, 200, "GET", "/Patient?"+query, "").count(t, "entry") }
		equal(t, "created", found("gender=male"), 1)
		c.must(t, 200, "PUT", "/Patient/"+id, patient(`"id":"`+id+`","gender":"female"`))
		equal(t, "updated, old", found("gender=male"), 0)
		equal(t, "updated, new", found("gender=female"), 1)
		c.must(t, 200, "POST", "", bundleOfType("transaction", entryOf("", "PUT", "Patient/"+id, patient(`"id":"`+id+`","gender":"other"`))))
		equal(t, "in a transaction", found("gender=other"), 1)
		c.must(t, 204, "DELETE", "/Patient/"+id, "")
		equal(t, "deleted", found("gender=other"), 0)
		c.must(t, 201, "PUT", "/Patient/"+id, patient(`"id":"`+id+`","gender":"male"`))
		equal(t, "back", found("gender=male"), 1)
	})
}

func TestConformance_Search_IncludesAreNotForTextSummaries(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		c.get(t, "/Observation?_summary=text&_include=Observation:subject").refused(t, 400, "_include")
		c.get(t, "/Patient?_summary=text&_revinclude=Observation:subject").refused(t, 400, "_revinclude")
		c.must(t, 200, "GET", "/Observation?_summary=true&_include=Observation:subject", "")
	})
}
