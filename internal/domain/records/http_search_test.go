package records

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// The tests of this file follow FHIR R4 http.html#search, #vsearch, #paging and search.html.

func (c *client) form(t testing.TB, path, form string, headers ...string) *reply {
	t.Helper()
	return c.do(t, "POST", path, form, append([]string{"Content-Type", "application/x-www-form-urlencoded"}, headers...)...)
}

func TestSearch_AnswersWithASearchset(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		id := c.create(t, patient(`"gender":"female"`))
		c.create(t, patient(`"gender":"male"`))
		r := c.must(t, 200, "GET", "/Patient?gender=female", "")
		equal(t, "type", r.text(t, "type"), "searchset")
		equal(t, "fullUrl", r.text(t, "entry", 0, "fullUrl"), testBase+"/Patient/"+id)
		equal(t, "mode", r.text(t, "entry", 0, "search", "mode"), "match")
		equal(t, "entries", r.count(t, "entry"), 1)
		equal(t, "self", r.link(t, "self"), testBase+"/Patient?gender=female")
		none := c.must(t, 200, "GET", "/Patient?gender=other", "")
		equal(t, "none", none.count(t, "entry"), 0)
		equal(t, "Content-Type", r.header.Get("Content-Type"), "application/fhir+json; charset=utf-8")
	})
}

func TestSearch_PostIsTheSameAsGet(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		id := c.create(t, patient(`"gender":"female","active":true`))
		c.create(t, patient(`"gender":"female","active":false`))
		for path, form := range map[string]string{
			"/Patient/_search":                           "gender=female&active=true",
			"/Patient/_search?gender=female":             "active=true",
			"/Patient/_search?gender=female&active=true": "",
			"/_search?_type=Patient&_id=" + id:           "",
			"/_search":                                   "_type=Patient&_id=" + id,
		} {
			r := c.form(t, path, form)
			r.want(t, 200)
			if got := r.ids(t); !slices.Equal(got, []string{"Patient/" + id}) {
				t.Errorf("%s %s: %v", path, form, got)
			}
		}
		c.do(t, "POST", "/Patient/_search", `{}`).refused(t, 415, "form")
		c.form(t, "/Patient/_search", "gender=%zz").refused(t, 400)
		c.form(t, "/Patient/_search", "_format=xml").refused(t, 406)
		c.form(t, "/Patient/_search", "_format=json", "Accept", "application/fhir+xml").want(t, 200)
	})
}

func TestSearch_UnknownParametersStrictAndLenient(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		c.create(t, patient(""))
		c.get(t, "/Patient?colour=red").refused(t, 400, "colour", "birthdate")
		c.get(t, "/Patient?colour=red", "Prefer", "handling=strict").refused(t, 400)
		r := c.must(t, 200, "GET", "/Patient?colour=red", "", "Prefer", "handling=lenient")
		equal(t, "entries", r.count(t, "entry"), 2)
		equal(t, "mode", r.text(t, "entry", 1, "search", "mode"), "outcome")
		equal(t, "severity", r.text(t, "entry", 1, "resource", "issue", 0, "severity"), "warning")
		if strings.Contains(r.link(t, "self"), "colour") {
			t.Errorf("the self link has what was ignored: %s", r.link(t, "self"))
		}
	})
}

func TestSearch_Paging(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		var want []string
		for range 7 {
			want = append(want, "Patient/"+c.create(t, patient(`"active":true`)))
		}
		for _, query := range []string{"active=true", "active=true&_sort=-_lastUpdated", "", "_sort=_id"} {
			var got []string
			pages := 0
			for page := "/Patient?_count=3&" + query; page != ""; pages++ {
				r := c.must(t, 200, "GET", page, "")
				got = append(got, r.ids(t)...)
				page = r.link(t, "next")
				if r.link(t, "self") == "" {
					t.Error("no self link")
				}
			}
			equal(t, query+": pages", pages, 3)
			slices.Sort(got)
			if sorted := slices.Sorted(slices.Values(want)); !slices.Equal(got, sorted) {
				t.Errorf("%s: %v, want %v", query, got, sorted)
			}
		}
	})
}

func TestSearch_PagingIsStableWhileDataChanges(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		there := map[string]bool{}
		var ids []string
		for range 12 {
			id := c.create(t, patient(`"active":true`))
			there["Patient/"+id] = true
			ids = append(ids, id)
		}
		seen := map[string]int{}
		for page := "/Patient?active=true&_count=2"; page != ""; {
			r := c.must(t, 200, "GET", page, "")
			for _, id := range r.ids(t) {
				seen[id]++
			}
			page = r.link(t, "next")
			c.create(t, patient(`"active":true`))
			c.must(t, 200, "PUT", "/Patient/"+ids[11], patient(`"id":"`+ids[11]+`","active":true`))
			c.must(t, 200, "PUT", "/Patient/"+ids[0], patient(`"id":"`+ids[0]+`","active":true`))
		}
		for id := range there {
			if seen[id] != 1 {
				t.Errorf("%s %d times", id, seen[id])
			}
		}
		for id, n := range seen {
			if n > 1 {
				t.Errorf("%s %d times", id, n)
			}
		}
	})
}

func TestSearch_Cursors(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		for range 3 {
			c.create(t, patient(`"active":true`))
		}
		next := c.get(t, "/Patient?active=true&_count=1").link(t, "next")
		u, err := url.Parse(next)
		if err != nil {
			t.Fatal(err)
		}
		cursor := u.Query().Get("_cursor")
		at := func(cursor string) string { return "/Patient?active=true&_count=1&_cursor=" + url.QueryEscape(cursor) }
		c.must(t, 200, "GET", at(cursor), "")
		flipped := []byte(cursor)
		flipped[len(flipped)/2] ^= 1
		for name, path := range map[string]string{
			"cut":           at(cursor[:len(cursor)-4]),
			"forged":        at(string(flipped)),
			"empty":         at("AAAA"),
			"not base64":    at("!!!"),
			"another query": "/Patient?active=false&_count=1&_cursor=" + url.QueryEscape(cursor),
			"another type":  "/Practitioner?active=true&_count=1&_cursor=" + url.QueryEscape(cursor),
		} {
			if r := c.get(t, path); r.status != 400 {
				t.Errorf("%s: %d: %s", name, r.status, r.body)
			}
		}
	})
}

func TestSearch_CountAndTotal(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		for range 3 {
			c.create(t, patient(`"active":true`))
		}
		for query, want := range map[string]struct {
			entries int
			total   string
		}{
			"_count=1000000000":            {3, ""},
			"_count=2&_total=accurate":     {2, "3"},
			"_count=0":                     {0, "3"},
			"_summary=count":               {0, "3"},
			"active=true&_summary=count":   {0, "3"},
			"active=false&_total=accurate": {0, "0"},
			"_total=none&_count=1":         {1, ""},
		} {
			r := c.must(t, 200, "GET", "/Patient?"+query, "")
			equal(t, query+" entries", r.count(t, "entry"), want.entries)
			if want.total != "" {
				equal(t, query+" total", r.text(t, "total"), want.total)
			}
		}
		c.get(t, "/Patient?_count=x").refused(t, 400)
		c.get(t, "/Patient?_count=-1").refused(t, 400)
		c.get(t, "/Patient?_total=all").refused(t, 400)
	})
}

func TestSearch_SummaryAndElements(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		c.create(t, patient(`"name":[{"family":"Chalmers"}],"maritalStatus":{"text":"m"}`))
		r := c.must(t, 200, "GET", "/Patient?_summary=true", "")
		equal(t, "maritalStatus", r.text(t, "entry", 0, "resource", "maritalStatus", "text"), "")
		equal(t, "tag", r.text(t, "entry", 0, "resource", "meta", "tag", 0, "code"), "SUBSETTED")
		r = c.must(t, 200, "GET", "/Patient?_elements=maritalStatus", "")
		equal(t, "name", r.text(t, "entry", 0, "resource", "name", 0, "family"), "")
		equal(t, "maritalStatus", r.text(t, "entry", 0, "resource", "maritalStatus", "text"), "m")
	})
}

func TestSearch_Compartment(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		p, other := c.create(t, patient("")), c.create(t, patient(""))
		mine := []string{"Observation/" + c.create(t, observation(p, 1)), "Observation/" + c.create(t, observation(p, 2))}
		performed := `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/` + other + `"},"performer":[{"reference":"Patient/` + p + `"}]}`
		mine = append(mine, "Observation/"+c.create(t, performed))
		c.create(t, observation(other, 3))
		condition := "Condition/" + c.create(t, `{"resourceType":"Condition","subject":{"reference":"Patient/`+p+`"}}`)
		got := c.must(t, 200, "GET", "/Patient/"+p+"/Observation", "").ids(t)
		slices.Sort(got)
		slices.Sort(mine)
		if !slices.Equal(got, mine) {
			t.Errorf("%v, want %v", got, mine)
		}
		got = c.must(t, 200, "GET", "/Patient/"+p+"/Observation?code="+url.QueryEscape("http://loinc.org|8867-4"), "").ids(t)
		equal(t, "with a code", len(got), 2)
		all := c.must(t, 200, "GET", "/Patient/"+p+"/*", "").ids(t)
		if !slices.Contains(all, condition) || !slices.Contains(all, mine[0]) {
			t.Errorf("all: %v", all)
		}
		equal(t, "narrowed", len(c.must(t, 200, "GET", "/Patient/"+p+"/*?_type=Condition", "").ids(t)), 1)
		equal(t, "by form", len(c.form(t, "/Patient/"+p+"/Observation/_search", "code=8867-4").ids(t)), 2)
		var paged []string
		for page := "/Patient/" + p + "/*?_count=1"; page != ""; {
			r := c.must(t, 200, "GET", page, "")
			paged = append(paged, r.ids(t)...)
			page = r.link(t, "next")
		}
		equal(t, "paged", len(paged), len(all))
		c.get(t, "/Location/1/Observation").refused(t, 404, "compartment")
		c.get(t, "/Patient/"+p+"/Library").refused(t, 404)
	})
}

func TestSearch_AllTypes(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		p := c.create(t, patient(""))
		o := c.create(t, observation(p, 1))
		got := c.must(t, 200, "GET", "?_type=Patient,Observation", "").ids(t)
		slices.Sort(got)
		if !slices.Equal(got, []string{"Observation/" + o, "Patient/" + p}) {
			t.Errorf("%v", got)
		}
		equal(t, "by id", len(c.must(t, 200, "GET", "/?_id="+p, "").ids(t)), 1)
		c.get(t, "?_type=Patient,Observation&gender=male").refused(t, 400, "gender")
		c.get(t, "?_type=Pasient").refused(t, 400, "_type")
	})
}

func TestSearch_HostileInput(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		c.create(t, patient(`"name":[{"family":"Chalmers"}]`))
		for name, form := range map[string]string{
			"a 10,000-value OR": "name=" + strings.TrimSuffix(strings.Repeat("a,", 10_000), ","),
			"a 50-deep chain":   strings.Repeat("general-practitioner:Patient.", 50) + "name=x",
			"bad date":          "birthdate=yesterday",
			"bad modifier":      "name:nearly=x",
			"bad prefix":        "birthdate=zz2020",
			"sort by nothing":   "_sort=colour",
			"include nothing":   "_include=Patient:colour",
		} {
			r := c.form(t, "/Patient/_search", form)
			if r.status != 400 && r.status != 403 {
				t.Errorf("%s: %d: %.300s", name, r.status, r.body)
				continue
			}
			r.refused(t, r.status)
		}
		for _, value := range []string{"'; DROP TABLE records_resource; --", "%", "_", "\\", "\x00", strings.Repeat("x", 5000), "${jndi}", "💊"} {
			if r := c.form(t, "/Patient/_search", "name="+url.QueryEscape(value)); r.status >= 500 {
				t.Errorf("%q: %d: %s", value, r.status, r.body)
			}
		}
		equal(t, "still there", c.get(t, "/Patient").count(t, "entry"), 1)
	})
}

func TestSearch_AnAnswerIsNeverStale(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		p := c.create(t, patient(""))
		for n := range 10 {
			path := "/Observation?patient=" + p + "&code=8867-4&_sort=-date&_count=20"
			equal(t, fmt.Sprint("before ", n), c.get(t, path).count(t, "entry"), n)
			equal(t, fmt.Sprint("again ", n), c.get(t, path).count(t, "entry"), n)
			c.create(t, observation(p, n))
		}
	})
}
