package records

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"ward/internal/base/clock"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/kernel/access"
	"ward/internal/kernel/limit"
	"ward/internal/kernel/observe"
	"ward/internal/kernel/serve"
)

// client sends requests through the real server to the records of one tenant.
type client struct {
	s       *Service
	ctx     context.Context //nolint:containedctx // the tenant's, for what a test does beside HTTP
	handler http.Handler
	role    string
}

const testBase = "http://example.com/t/test/fhir"

// oneTenant stands for the directory and the tokens: the token is the role, and what else there is to say of a principal as a query after
// it, such as patient?patients=a,b&sensitive=hiv.
type oneTenant struct{ tenant scope.Tenant }

func (o oneTenant) Find(_ context.Context, slug string) (scope.Tenant, error) {
	if slug != "test" {
		return scope.Tenant{}, fault.NotFound("there is no such tenant")
	}
	return o.tenant, nil
}

func (o oneTenant) Verify(_ context.Context, token string) (scope.Principal, int32, error) {
	role, more, _ := strings.Cut(token, "?")
	p := scope.Principal{ID: "test", Role: role}
	if more != "" {
		q, err := url.ParseQuery(more)
		if err != nil {
			return p, 0, err
		}
		p.ID, p.Person, p.Patient, p.Scopes = "test "+q.Get("id"), q.Get("person"), q.Get("patient"), q.Get("scopes")
		if text := q.Get("patients"); text != "" {
			p.Patients = strings.Split(text, ",")
		}
		if text := q.Get("sensitive"); text != "" {
			p.Sensitive = strings.Split(text, ",")
		}
		p = access.WithRights(p)
	}
	return p, o.tenant.ID, nil
}

// overHTTP runs a test on each database, over HTTP.
func overHTTP(t *testing.T, test func(t *testing.T, c *client)) {
	t.Helper()
	eachDatabase(t, func(t *testing.T, s *Service, ctx context.Context) {
		test(t, newClient(ctx, t, s))
	})
}

func newClient(ctx context.Context, t testing.TB, s *Service) *client { //nolint:thelper // the context comes first
	t.Helper()
	sc, _ := scope.From(ctx)
	here := oneTenant{sc.Tenant}
	server, err := serve.New(serve.Deps{
		Routes: s.Module().Routes, Tenants: here, Tokens: here, Lanes: limit.NewLanes(limit.Options{}),
		Metrics: observe.NewMetrics(), Log: slog.New(slog.DiscardHandler), Clock: clock.System(),
	}, serve.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &client{s: s, ctx: ctx, handler: server.Handler(), role: access.System}
}

// as is the client with another role.
func (c *client) as(role string) *client {
	other := *c
	other.role = role
	return &other
}

func (c *client) tenant() scope.Tenant {
	sc, _ := scope.From(c.ctx)
	return sc.Tenant
}

// reply is what the server answered.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// do sends a request; headers come in pairs. The path is below the base, or absolute.
func (c *client) do(t testing.TB, method, path, body string, headers ...string) *reply {
	t.Helper()
	path = strings.TrimPrefix(path, testBase)
	r := httptest.NewRequestWithContext(t.Context(), method, testBase+path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/fhir+json")
	}
	if c.role != "" {
		r.Header.Set("Authorization", "Bearer "+c.role)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	c.handler.ServeHTTP(w, r)
	return &reply{w.Code, w.Header(), w.Body.Bytes()}
}

// get sends a GET.
func (c *client) get(t testing.TB, path string, headers ...string) *reply {
	t.Helper()
	return c.do(t, http.MethodGet, path, "", headers...)
}

// must sends a request that has to be answered with the status.
func (c *client) must(t testing.TB, status int, method, path, body string, headers ...string) *reply {
	t.Helper()
	r := c.do(t, method, path, body, headers...)
	r.want(t, status)
	return r
}

// create stores a resource and gives its id.
func (c *client) create(t testing.TB, body string) string {
	t.Helper()
	var head struct{ ResourceType string }
	if err := json.Unmarshal([]byte(body), &head); err != nil {
		t.Fatal(err)
	}
	return c.must(t, http.StatusCreated, http.MethodPost, "/"+head.ResourceType, body).text(t, "id")
}

// want demands a status.
func (r *reply) want(t testing.TB, status int) {
	t.Helper()
	if r.status != status {
		t.Fatalf("answered %d, want %d: %s", r.status, status, r.body)
	}
}

// refused demands a status with an OperationOutcome that says something.
func (r *reply) refused(t testing.TB, status int, says ...string) {
	t.Helper()
	r.want(t, status)
	if r.text(t, "resourceType") != "OperationOutcome" || r.text(t, "issue", 0, "severity") == "" || r.text(t, "issue", 0, "code") == "" {
		t.Fatalf("no OperationOutcome: %s", r.body)
	}
	for _, s := range says {
		if !bytes.Contains(r.body, []byte(s)) {
			t.Errorf("the outcome does not say %q: %s", s, r.body)
		}
	}
}

// at gives the value at a path of keys and indexes, nil when there is none.
func (r *reply) at(t testing.TB, path ...any) any {
	t.Helper()
	var v any
	d := json.NewDecoder(bytes.NewReader(r.body))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("no JSON (%v): %s", err, r.body)
	}
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[p]
		case int:
			a, _ := v.([]any)
			if p >= len(a) {
				return nil
			}
			v = a[p]
		}
	}
	return v
}

// text is at as a string, empty when there is nothing.
func (r *reply) text(t testing.TB, path ...any) string {
	t.Helper()
	switch v := r.at(t, path...).(type) {
	case nil:
		return ""
	case string:
		return v
	default:
		return fmt.Sprint(v)
	}
}

// count is the number of elements of the array at a path.
func (r *reply) count(t testing.TB, path ...any) int {
	t.Helper()
	a, _ := r.at(t, path...).([]any)
	return len(a)
}

// ids are the ids of a bundle's resources, "Type/id", in order.
func (r *reply) ids(t testing.TB) []string {
	t.Helper()
	var list []string
	for i := range r.count(t, "entry") {
		if typ := r.text(t, "entry", i, "resource", "resourceType"); typ != "" {
			list = append(list, typ+"/"+r.text(t, "entry", i, "resource", "id"))
		}
	}
	return list
}

// link is the URL of a bundle's link, empty when there is none.
func (r *reply) link(t testing.TB, relation string) string {
	t.Helper()
	for i := range r.count(t, "link") {
		if r.text(t, "link", i, "relation") == relation {
			return r.text(t, "link", i, "url")
		}
	}
	return ""
}

func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func patient(fields string) string {
	if fields != "" {
		fields = "," + fields
	}
	return `{"resourceType":"Patient"` + fields + `}`
}

// observation is one about a patient, with a number to tell it from others.
func observation(patientID string, n int) string {
	return `{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8867-4"}]},` +
		`"subject":{"reference":"Patient/` + patientID + `"},"effectiveDateTime":"2026-01-02T03:04:05Z","valueInteger":` + strconv.Itoa(n) + `}`
}
