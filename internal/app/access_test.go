package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ward/internal/app"
	"ward/internal/backend/db/dbtest"
	"ward/internal/base/clock"
	"ward/internal/base/scope"
	"ward/internal/kernel/access"
	"ward/internal/kernel/identity"
	"ward/internal/kernel/limit"
	"ward/internal/kernel/module"
	"ward/internal/kernel/observe"
	"ward/internal/kernel/serve"
	"ward/internal/kernel/tenancy"
)

// everybody verifies tokens that say who somebody is: tenant, role, and what else there is to say, as a query.
type everybody struct{ tenants map[string]int32 }

func (e everybody) Verify(_ context.Context, token string) (scope.Principal, int32, error) {
	q, err := url.ParseQuery(token)
	if err != nil || q.Get("role") == "" {
		return scope.Principal{}, 0, identity.NotGood()
	}
	p := scope.Principal{ID: "test " + q.Get("role"), Role: q.Get("role"), Person: q.Get("person"), Scopes: q.Get("scopes"), Patient: q.Get("patient"), OnBehalfOf: q.Get("for")}
	if text := q.Get("patients"); text != "" {
		p.Patients = strings.Split(text, ",")
	}
	return access.WithRights(p), e.tenants[q.Get("tenant")], nil
}

// house is the whole product with two tenants, "demo" and "north", in which the same things are hidden from everybody.
type house struct {
	handler http.Handler
	routes  []module.Route
}

// eachHouse runs a test on both databases.
func eachHouse(t *testing.T, test func(t *testing.T, h *house)) {
	t.Helper()
	t.Parallel()
	for _, name := range []string{"sqlite", "postgres"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := embedded(t)
			if name == "postgres" {
				config.DB.URL, config.DB.Migrate = dbtest.PostgresURL(t), true
			}
			test(t, openHouse(t, config))
		})
	}
}

func openHouse(t *testing.T, config app.Config) *house {
	t.Helper()
	config.HTTP.PublicURL = "http://example.com"
	a, err := app.Open(t.Context(), config, app.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close(context.WithoutCancel(t.Context())) })
	who := everybody{map[string]int32{}}
	for _, slug := range []string{"demo", "north"} {
		made, err := a.Tenants.Create(t.Context(), slug, "", tenancy.Settings{ClinicianAccess: tenancy.ChartsInCare})
		if err != nil {
			t.Fatal(err)
		}
		who.tenants[slug] = made.ID
	}
	routes := slices.DeleteFunc(a.Routes(), func(r module.Route) bool { return r.Target == module.Ops })
	server, err := serve.New(serve.Deps{
		Routes: routes, Tenants: a.Tenants, Tokens: who, Lanes: limit.NewLanes(limit.Options{}), Metrics: observe.NewMetrics(), Log: slog.New(slog.DiscardHandler), Clock: clock.System(),
	}, serve.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &house{server.Handler(), routes}
}

type said struct {
	status int
	header http.Header
	body   string
}

func (h *house) ask(t *testing.T, token, method, path, body string, headers ...string) said {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "http://example.com/", strings.NewReader(body))
	r.RequestURI = path
	if u, err := url.ParseRequestURI(path); err == nil {
		u.Scheme, u.Host = "http", "example.com"
		r.URL = u
	} else {
		return said{status: http.StatusBadRequest} // no server reads on after such a request line
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	kind := "application/json"
	if strings.Contains(path, "/fhir") {
		kind = "application/fhir+json"
	}
	if strings.HasSuffix(strings.SplitN(path, "?", 2)[0], "/_search") {
		kind, r.Body = "application/x-www-form-urlencoded", http.NoBody
	}
	r.Header.Set("Content-Type", kind)
	r.Header.Set("X-Request-Id", "the-same-each-time")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.handler.ServeHTTP(w, r)
	return said{w.Code, w.Header(), w.Body.String()}
}

// must asks as the tenant's system and wants a status below 300.
func (h *house) must(t *testing.T, tenant, method, path, body string) said {
	t.Helper()
	s := h.ask(t, "role=system&tenant="+tenant, method, "/t/"+tenant+path, body)
	if s.status >= 300 {
		t.Fatalf("%s %s: %d %s", method, path, s.status, s.body)
	}
	return s
}

const (
	hiddenID  = "hidden-0001" // in the own tenant, about somebody else and labelled
	foreignID = "foreign-001" // in another tenant
)

// furnish stores what is hidden: a resource of each type that a route names.
func (h *house) furnish(t *testing.T) (people, clients map[string]string) {
	t.Helper()
	const label = `"meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"V"}]}`
	people, clients = map[string]string{}, map[string]string{}
	for tenant, id := range map[string]string{"demo": hiddenID, "north": foreignID} {
		for typ, rest := range map[string]string{
			"Patient":     `"name":[{"family":"Unsaid"}]`,
			"Encounter":   `"status":"finished","class":{"code":"AMB"},"subject":{"reference":"Patient/` + id + `"}`,
			"Observation": `"status":"final","code":{"text":"unsaid"},"subject":{"reference":"Patient/` + id + `"}`,
			"Appointment": `"status":"booked","participant":[{"status":"accepted","actor":{"reference":"Patient/` + id + `"}}]`,
		} {
			h.must(t, tenant, "PUT", "/fhir/"+typ+"/"+id, `{"resourceType":"`+typ+`","id":"`+id+`",`+label+`,`+rest+`}`)
		}
		h.must(t, tenant, "PUT", "/fhir/Patient/mine-000001", `{"resourceType":"Patient","id":"mine-000001"}`)
		called := map[string]string{"demo": "ordinary", "north": "unsaid"}[tenant]
		made := h.ask(t, "role=admin&tenant="+tenant, "POST", "/t/"+tenant+"/people", `{"email":"`+called+`@example.org","name":"`+called+`","role":"nurse"}`)
		client := h.ask(t, "role=admin&tenant="+tenant, "POST", "/t/"+tenant+"/oauth2/clients", `{"client_name":"`+called+`","redirect_uris":["https://example.org/cb"],"token_endpoint_auth_method":"none","scope":"launch/patient patient/*.rs"}`)
		people[tenant], clients[tenant] = field(t, made, "id"), field(t, client, "client_id")
	}
	return people, clients
}

func field(t *testing.T, s said, name string) string {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(s.body), &m); err != nil || s.status >= 300 {
		t.Fatalf("%d %s", s.status, s.body)
	}
	text, _ := m[name].(string)
	if text == "" {
		t.Fatalf("no %s: %s", name, s.body)
	}
	return text
}

// principals are one of each role, none of whom may see what is hidden, by name.
func principals() map[string]string {
	list := map[string]string{"nobody": "", "no good token": "x"}
	for _, role := range access.Roles() {
		if role != access.System {
			list[role] = "role=" + role + "&tenant=demo&patients=mine-000001&person=Practitioner/doc"
		}
	}
	list["operator who was let in"] = "role=operator&tenant=demo&for=user/1"
	list["launched app"] = "role=clinician&tenant=demo&person=Practitioner/doc&patient=mine-000001&scopes=patient/*.cruds"
	list["another tenant's admin"] = "role=admin&tenant=north"
	list["another tenant's clinician"] = "role=clinician&tenant=north"
	return list
}

// fill puts an id and ordinary values into a route's pattern.
func fill(pattern, id string) string {
	values := strings.NewReplacer("{tenant}", "demo", "{type}", "Observation", "{vid}", "1", "{members}", "Observation", "{act}", "disable", "{$}", "", "{file}", "app.css")
	return regexp.MustCompile(`\{[a-z]+\}`).ReplaceAllString(values.Replace(pattern), id)
}

// TestAccess_EveryRouteEveryRole walks every route as every role with ids that are hidden in the own tenant, that are another tenant's, and that
// nobody has. The answers must not differ in a byte.
func TestAccess_EveryRouteEveryRole(t *testing.T) { eachHouse(t, everyRouteEveryRole) }

func everyRouteEveryRole(t *testing.T, h *house) { //nolint:thelper // it is the test
	people, clients := h.furnish(t)
	asked := 0
	for _, rt := range h.routes {
		if !rt.OfTenant() {
			continue
		}
		name := rt.Method + " " + rt.Pattern
		for who, token := range principals() {
			ids := []string{"absent-%04d", hiddenID, foreignID}
			switch {
			case strings.Contains(rt.Pattern, "/people/"):
				ids = []string{"0192f0c1-0000-7000-8000-%012d", people["north"]}
			case strings.Contains(rt.Pattern, "/clients/"), strings.Contains(rt.Pattern, "{client}"):
				ids = []string{strings.Repeat("0", len(clients["north"])-4) + "%04d", clients["north"]}
			}
			asked++
			ids[0] = fmt.Sprintf(ids[0], asked)
			role := strings.TrimPrefix(strings.SplitN(token, "&", 2)[0], "role=")
			of := func(id string) string {
				body := `{"resourceType":"Observation","id":"` + id + `","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/` + id + `"}}`
				switch {
				case strings.HasSuffix(rt.Pattern, "/fhir") || strings.HasSuffix(rt.Pattern, "/fhir/{$}"):
					body = `{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"Patient/` + id + `"}},{"request":{"method":"GET","url":"Observation/` + id + `/_history/1"}}]}`
				case strings.Contains(rt.Pattern, "$meta-"):
					body = `{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":{"tag":[{"code":"x"}]}}]}`
				case strings.Contains(rt.Pattern, "/$"):
					body = ""
				case !rt.OfFHIR():
					body = `{"patient":"` + id + `"}`
				}
				if rt.Method == "GET" {
					body = ""
				}
				kind := []string{}
				if rt.Method == "PATCH" {
					body, kind = `[{"op":"test","path":"/status","value":"x"}]`, []string{"Content-Type", "application/json-patch+json"}
				}
				s := h.ask(t, token, rt.Method, fill(rt.Pattern, id), body, kind...)
				h.plausible(t, name+" as "+who, rt, token, s)
				if strings.Contains(strings.ToLower(s.body), "unsaid") {
					t.Errorf("%s as %s says %s", name, who, s.body)
				}
				return strings.ReplaceAll(fmt.Sprint(s.status, " ", s.header.Get("Content-Type"), s.header.Get("Etag"), s.header.Get("Location"), " ", s.body), id, "{}")
			}
			want := of(ids[0])
			makes := rt.OfFHIR() && (rt.Method == "PUT" || rt.Method == "POST" && strings.HasSuffix(rt.Pattern, "{type}") || rt.Method == "POST" && strings.HasSuffix(rt.Pattern, "{type}/{$}"))
			if makes && (role == access.Admin || role == access.Integration) || !strings.Contains(rt.Pattern, "{id}") && !strings.Contains(rt.Pattern, "{client}") && !rt.OfFHIR() {
				continue // who brings ids of its own learns which are taken, and a page's secrets differ each time
			}
			for _, id := range ids[1:] {
				if got := of(id); got != want {
					t.Errorf("%s as %s, %s\n got %.700s\nwant %.700s", name, who, id, got, want)
				}
			}
		}
	}
	if asked < 500 {
		t.Errorf("only %d questions were asked", asked)
	}
}

// plausible holds what every answer must be.
func (h *house) plausible(t *testing.T, name string, rt module.Route, token string, s said) {
	t.Helper()
	q, _ := url.ParseQuery(token)
	p := scope.Principal{Role: q.Get("role"), OnBehalfOf: q.Get("for")}
	switch {
	case s.status >= 500:
		t.Errorf("%s: %d %s", name, s.status, s.body)
	case rt.Public:
	case q.Get("role") == "" && s.status != http.StatusUnauthorized:
		t.Errorf("%s: %d, want 401", name, s.status)
	case q.Get("role") != "" && (q.Get("tenant") != "demo" || !access.Permits(&p, rt.Permission)) && s.status != http.StatusForbidden:
		t.Errorf("%s: %d, want 403", name, s.status)
	}
	if s.status >= 400 && rt.OfFHIR() && rt.Method != "HEAD" && !strings.Contains(s.body, `"resourceType":"OperationOutcome"`) {
		t.Errorf("%s: no OperationOutcome: %s", name, s.body)
	}
	if s.status >= 400 && !rt.OfFHIR() && !rt.Public && !strings.Contains(s.header.Get("Content-Type"), "json") {
		t.Errorf("%s: an error in %s: %s", name, s.header.Get("Content-Type"), s.body)
	}
}

// TestAccess_BadInput sends what attackers send. Every answer is an error that says what is wrong, or an ordinary one, and the data stays.
func TestAccess_BadInput(t *testing.T) { eachHouse(t, badInput) }

func badInput(t *testing.T, h *house) { //nolint:thelper // it is the test
	h.furnish(t)
	const doctor = "role=analyst&tenant=demo"
	before := h.must(t, "demo", "GET", "/fhir/_history?_count=100", "").body

	hostile := []string{
		"' OR '1'='1", "1; DROP TABLE records_resource;--", `"; DELETE FROM records_resource; --`, "' UNION SELECT body FROM records_resource --", "1) OR (1=1", "%' --", "\\'; --", "$1", "${jndi:ldap://x}",
		"{{7*7}}", "<script>alert(1)</script>", "../../../etc/passwd", "\x00", "\xff\xfe", "Patient/" + hiddenID + "' --", strings.Repeat("a,", 500), "ne", "%00", "*", "_id", "😀\u202e", "1e309", "-1", "0x7fffffff", "9999999999999999999999",
	}
	names := []string{
		"_id", "_lastUpdated", "_tag", "_profile", "_security", "_source", "_sort", "_count", "_include", "_revinclude", "_has:Observation:patient:code", "_total", "_summary", "_elements", "_cursor", "_list", "_type", "_contained", "_format",
		"_pretty", "name", "identifier", "birthdate", "code", "patient", "patient.name", "subject:Patient.identifier", "date", "value-quantity", "status:not", "code:in", "code:text", "name:exact", "name:contains", "' OR 1=1 --", "code:' --",
	}
	for _, path := range []string{"/fhir/Observation", "/fhir/Patient", "/fhir", "/fhir/_history", "/fhir/Patient/mine-000001/Observation", "/fhir/Patient/mine-000001/$everything"} {
		for _, name := range names {
			for _, value := range hostile {
				at := "/t/demo" + path + "?" + url.QueryEscape(name) + "=" + url.QueryEscape(value)
				s := h.ask(t, doctor, "GET", at, "")
				if s.status != 200 && s.status != 501 && (s.status < 400 || s.status >= 500) || strings.Contains(strings.ToLower(s.body), "sql") || strings.Contains(s.body, `"Unsaid"`) {
					t.Errorf("%s: %d %.300s", at, s.status, s.body)
				}
				if s.status >= 400 && !strings.Contains(s.body, `"OperationOutcome"`) {
					t.Errorf("%s: %d %.300s", at, s.status, s.body)
				}
			}
		}
	}
	for _, value := range hostile {
		for _, path := range []string{"/t/demo/fhir/{}", "/t/demo/fhir/Patient/{}", "/t/demo/fhir/Patient/mine-000001/_history/{}", "/t/demo/fhir/Patient/mine-000001/{}", "/t/{}/fhir/Patient", "/t/demo/oauth2/clients/{}", "/t/demo/people/{}"} {
			at := strings.ReplaceAll(path, "{}", url.PathEscape(value))
			for _, token := range []string{doctor, "role=admin&tenant=demo", ""} {
				if s := h.ask(t, token, "GET", at, ""); s.status < 300 && value != "*" || s.status >= 500 || s.status >= 300 && s.status < 400 && value != "../../../etc/passwd" {
					t.Errorf("%s: %d %.300s", at, s.status, s.body)
				}
			}
		}
		for _, header := range []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-None-Exist", "Prefer", "Accept", "X-Request-Id", "X-Forwarded-Proto", "Traceparent", "Content-Type"} {
			if strings.ContainsAny(value, "\x00\r\n") {
				continue // net/http refuses them
			}
			if s := h.ask(t, doctor, "GET", "/t/demo/fhir/Patient/mine-000001", "", header, value); s.status >= 500 {
				t.Errorf("%s: %q: %d %.300s", header, value, s.status, s.body)
			}
		}
	}

	for name, row := range map[string]struct {
		path, body string
		want       []int
	}{
		"another's slug in another case": {"/t/DEMO/fhir/Patient", "", []int{404}},
		"a slug with an encoded slash":   {"/t/demo%2f..%2fnorth/fhir/Patient", "", []int{400, 404}},
		"a slug with dots":               {"/t/demo/../north/fhir/Patient", "", []int{301, 307, 308, 400, 403, 404}},
		"encoded dots":                   {"/t/demo/%2e%2e/north/fhir/Patient", "", []int{301, 307, 308, 400, 403, 404}},
		"a slug with a NUL":              {"/t/demo%00/fhir/Patient", "", []int{400, 404}},
		"a slug with a parameter":        {"/t/demo;x/fhir/Patient", "", []int{404}},
		"a slug with a blank":            {"/t/demo%20/fhir/Patient", "", []int{404}},
		"an empty slug":                  {"/t//fhir/Patient", "", []int{301, 307, 308, 400, 404}},
		"two slashes":                    {"//t/north/fhir/Patient", "", []int{301, 307, 308, 400, 403, 404}},
		"backslashes":                    {"/t/demo%5c..%5cnorth/fhir/Patient", "", []int{400, 404}},
		"another tenant":                 {"/t/north/fhir/Patient", "", []int{403}},
		"a long URL":                     {"/t/demo/fhir/Patient?name=" + strings.Repeat("a", 20_000), "", []int{414}},
		"a deep body":                    {"/t/demo/fhir/Observation", strings.Repeat(`{"a":[`, 100_000), []int{400}},
		"a large body":                   {"/t/demo/fhir/Observation", `{"resourceType":"Observation","id":"` + strings.Repeat("a", 17<<20), []int{413}},
		"a body that is no JSON":         {"/t/demo/fhir/Observation", "\x00\x01", []int{400}},
		"a bundle that is too deep":      {"/t/demo/fhir", strings.Repeat("[", 1_000_000), []int{400, 413}},
	} {
		method, token := "GET", doctor
		if row.body != "" {
			method, token = "POST", "role=integration&tenant=demo"
		}
		s := h.ask(t, token, method, row.path, row.body)
		if !slices.Contains(row.want, s.status) {
			t.Errorf("%s: %d %.300s", name, s.status, s.body)
		}
		if strings.Contains(s.header.Get("Location"), "//") {
			t.Errorf("%s: sent on to %s", name, s.header.Get("Location"))
		}
	}

	first := h.must(t, "demo", "GET", "/fhir/_history?_count=1", "")
	_, cursor, _ := strings.Cut(first.body, "_cursor=")
	cursor, _, _ = strings.Cut(cursor, `"`)
	for name, s := range map[string]said{
		"another tenant's cursor":    h.ask(t, "role=system&tenant=north", "GET", "/t/north/fhir/_history?_count=1&_cursor="+cursor, ""),
		"another query's cursor":     h.ask(t, "role=system&tenant=demo", "GET", "/t/demo/fhir/_history?_count=2&_cursor="+cursor, ""),
		"a search by such a cursor":  h.ask(t, "role=system&tenant=demo", "GET", "/t/demo/fhir/Patient?_count=1&_cursor="+cursor, ""),
		"another principal's cursor": h.ask(t, "role=analyst&tenant=demo", "GET", "/t/demo/fhir/_history?_count=1&_cursor="+cursor, ""),
		"a forged cursor":            h.ask(t, "role=system&tenant=demo", "GET", "/t/demo/fhir/_history?_count=1&_cursor=A"+cursor[1:], ""),
	} {
		if s.status != 400 || !strings.Contains(s.body, "begin again") {
			t.Errorf("%s: %d %.300s", name, s.status, s.body)
		}
	}
	if s := h.ask(t, "role=system&tenant=demo", "GET", "/t/demo/fhir/_history?_count=1&_cursor="+cursor, ""); s.status != 200 {
		t.Errorf("the own cursor: %d %s", s.status, s.body)
	}
	if after := h.must(t, "demo", "GET", "/fhir/_history?_count=100", "").body; after != before {
		t.Error("something was written")
	}
}
