package app_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"ward/internal/app"
	"ward/internal/backend/db/dbtest"
	"ward/internal/base/scope"
	"ward/internal/kernel/access"
	"ward/internal/kernel/audit"
	"ward/internal/kernel/tenancy"
)

// hospital is a running Ward with a tenant.
type hospital struct {
	t      testing.TB
	app    *app.App
	tenant tenancy.Tenant
	ctx    context.Context // of the tenant, as the system
}

func eachHospital(t *testing.T, test func(t *testing.T, h *hospital)) {
	t.Helper()
	t.Parallel()
	for _, name := range []string{"sqlite", "postgres"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := embedded(t)
			if name == "postgres" {
				c.DB.URL, c.DB.Migrate = dbtest.PostgresURL(t), true
			}
			a := started(t, c)
			tenant, err := a.Tenants.Create(t.Context(), "general", "", tenancy.Settings{})
			if err != nil {
				t.Fatal(err)
			}
			test(t, &hospital{t: t, app: a, tenant: tenant, ctx: scope.WithTenant(t.Context(), tenant.Tenant)})
		})
	}
}

func (h *hospital) token(role string) string {
	h.t.Helper()
	secret, _, err := h.app.Tokens.Create(h.t.Context(), h.tenant.Tenant, role, "", 0)
	if err != nil {
		h.t.Fatal(err)
	}
	return secret
}

// send asks for a path below the tenant.
func (h *hospital) send(token, method, path, body string) (int, string) {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), method, "http://"+h.app.Addr()+"/t/general/"+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/fhir+json")
		switch {
		case strings.HasSuffix(path, "_search"):
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		case method == http.MethodPatch:
			r.Header.Set("Content-Type", "application/json-patch+json")
		}
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// events are those that the query finds, oldest first: action, type/id, and the patients.
func (h *hospital) events(q audit.Query) []string {
	h.t.Helper()
	page, err := h.app.Audit.Find(h.ctx, q)
	if err != nil {
		h.t.Fatal(err)
	}
	var out []string
	for _, e := range page.Entries {
		text := e.Action.String() + " " + e.Type + "/" + e.Event.ID
		if e.Detail != "" {
			text += " (" + e.Detail + ")"
		}
		if len(e.Patients) > 0 {
			slices.Sort(e.Patients)
			text += " of " + strings.Join(e.Patients, ",")
		}
		out = append(out, text)
	}
	slices.Reverse(out)
	return out
}

// TestAudit_EveryInteractionLeavesItsEvent walks through the interactions of FHIR and looks at what each left in the log.
func TestAudit_EveryInteractionLeavesItsEvent(t *testing.T) {
	eachHospital(t, func(t *testing.T, h *hospital) {
		clinician := h.token(access.Clinician)
		admin := h.token(access.Admin) // who may choose ids
		const observation = `{"resourceType":"Observation","id":"o1","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p1"}}`
		for _, row := range []struct {
			method, path, body string
			status             int
			want               []string
		}{
			{"PUT", "fhir/Patient/p1", `{"resourceType":"Patient","id":"p1"}`, 201, []string{"create Patient/p1 of p1"}},
			{"PUT", "fhir/Patient/p1", `{"resourceType":"Patient","id":"p1","active":true}`, 200, []string{"update Patient/p1 of p1"}},
			{"PATCH", "fhir/Patient/p1", `[{"op":"replace","path":"/active","value":false}]`, 200, []string{"patch Patient/p1 of p1"}},
			{"PUT", "fhir/Observation/o1", observation, 201, []string{"create Observation/o1 of p1"}},
			{"GET", "fhir/Observation/o1", "", 200, []string{"read Observation/o1 of p1"}},
			{"GET", "fhir/Observation/o1", "", 200, []string{"read Observation/o1 of p1"}}, // from the cache
			{"GET", "fhir/Observation/o1?_summary=true", "", 200, []string{"read Observation/o1 of p1"}},
			{"GET", "fhir/Patient/p1/_history/1", "", 200, []string{"vread Patient/p1 of p1"}},
			{"GET", "fhir/Patient/p1/_history", "", 200, []string{"history Patient/p1 of p1"}},
			{"GET", "fhir/Observation/_history", "", 200, []string{"history Observation/ of p1"}},
			{"GET", "fhir/Observation?status=final", "", 200, []string{"search Observation/ of p1"}},
			{"GET", "fhir/Observation?patient=p1", "", 200, []string{"search Observation/ of p1"}},
			{"GET", "fhir/Observation?patient=p1", "", 200, []string{"search Observation/ of p1"}}, // from the cache
			{"GET", "fhir/Observation?subject=Patient/nobody", "", 200, []string{"search Observation/ of nobody"}},
			{"POST", "fhir/Patient/_search", "active=false", 200, []string{"search Patient/ of p1"}},
			{"GET", "fhir/Patient/p1/Observation", "", 200, []string{"search Observation/ (compartment of Patient) of p1"}},
			{"GET", "fhir/Patient/p1/$everything", "", 200, []string{"operation Patient/p1 ($everything) of p1"}},
			{"POST", "fhir", `{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"Patient/p1"}},
				{"request":{"method":"DELETE","url":"Observation/none"}}]}`, 200, []string{"read Patient/p1 of p1"}},
			{
				"POST", "fhir", `{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"GET","url":"Observation/o2"}},
				{"resource":{"resourceType":"Observation","id":"o2","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p1"}},"request":{"method":"PUT","url":"Observation/o2"}}]}`,
				200,
				[]string{"create Observation/o2 of p1", "read Observation/o2 of p1"},
			},
			{
				"POST", "fhir", `{"resourceType":"Bundle","type":"transaction","entry":[{"resource":{"resourceType":"Patient"},"request":{"method":"POST","url":"Patient","ifNoneExist":"_id=p1"}},
				{"resource":{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Patient?birthdate=1970-01-01"}},"request":{"method":"POST","url":"Observation"}}]}`,
				412,
				[]string{"search Patient/ (conditional)", "search Patient/ (conditional) of p1"},
			},
			{
				"POST", "fhir", `{"resourceType":"Bundle","type":"transaction","entry":[{"resource":{"resourceType":"Patient"},"request":{"method":"POST","url":"Patient","ifNoneExist":"_id=p1"}}]}`,
				200,
				[]string{"read Patient/p1 (conditional create) of p1", "search Patient/ (conditional) of p1"},
			},
			{"PATCH", "fhir/Patient?_id=none", `[{"op":"replace","path":"/active","value":false}]`, 404, []string{"search Patient/ (conditional)"}},
			{"DELETE", "fhir/Patient?_id=none", "", 204, []string{"search Patient/ (conditional)"}},
			{"PUT", "fhir/Observation/o3", strings.Replace(observation, `o1`, "o3", 1), 201, []string{"create Observation/o3 of p1"}},
			{"PUT", "fhir/Observation/o3", strings.Replace(strings.Replace(observation, `o1`, "o3", 1), "Patient/p1", `P\u0061tient\/p1`, 1), 200, []string{"update Observation/o3 of p1"}},
			{"GET", "fhir/Observation/o3", "", 200, []string{"read Observation/o3 of p1"}},
			{"DELETE", "fhir/Observation/o1", "", 204, []string{"delete Observation/o1 of p1"}},
			{"GET", "fhir/metadata", "", 200, nil},
			{"GET", "fhir/Patient/none", "", 404, nil},
			{"PUT", "fhir/Patient/p2", `{"resourceType":"Patient","id":"p2","active":7}`, 400, nil},
		} {
			before := h.events(audit.Query{Count: 1000})
			if status, body := h.send(admin, row.method, row.path, row.body); status != row.status {
				t.Errorf("%s %s: %d %s", row.method, row.path, status, body)
			}
			after := h.events(audit.Query{Count: 1000})
			got := slices.Sorted(slices.Values(after[len(before):]))
			if !slices.Equal(got, row.want) {
				t.Errorf("%s %s left %q, want %q", row.method, row.path, got, row.want)
			}
		}
		// Who looked at me: over HTTP.
		status, body := h.send(admin, "GET", "audit/events?patient=nobody", "")
		if status != 200 || strings.Count(body, `"AuditEvent"`) != 2 || !strings.Contains(body, "Patient/nobody") { // the search, and this question itself
			t.Errorf("%d %s", status, body)
		}
		status, body = h.send(admin, "GET", "audit/export?action=create", "")
		if status != 200 || strings.Count(body, "\n") != 4 {
			t.Errorf("%d %s", status, body)
		}
		for line := range strings.Lines(body) {
			if !json.Valid([]byte(line)) {
				t.Errorf("a line that is no JSON: %s", line)
			}
		}
		for _, path := range []string{"audit/events", "audit/export", "audit/mine"} {
			if status, _ := h.send(clinician, "GET", path, ""); status != http.StatusForbidden {
				t.Errorf("%s for a clinician: %d", path, status)
			}
		}
		report, err := h.app.Audit.Verify(h.ctx)
		if err != nil || !report.Proven() || report.Unlinked != 0 {
			t.Errorf("%+v %v", report, err)
		}
	})
}

// TestAudit_EveryRefusalThatAnAttackGetsIsOnRecord sends what attackers send.
func TestAudit_EveryRefusalThatAnAttackGetsIsOnRecord(t *testing.T) {
	eachHospital(t, func(t *testing.T, h *hospital) {
		other, err := h.app.Tenants.Create(t.Context(), "north", "", tenancy.Settings{})
		if err != nil {
			t.Fatal(err)
		}
		foreign, _, err := h.app.Tokens.Create(t.Context(), other.Tenant, access.Clinician, "", 0)
		if err != nil {
			t.Fatal(err)
		}
		clinician, patient := h.token(access.Clinician), h.token(access.Patient)
		if status, body := h.send(h.token(access.Admin), "PUT", "fhir/Patient/p1", `{"resourceType":"Patient","id":"p1"}`); status != 201 {
			t.Fatal(status, body)
		}
		system := scope.WithSystem(t.Context())
		for _, row := range []struct {
			kind                string
			token, method, path string
			status              int
			system              bool // there is no tenant whose log it could be in
		}{
			{"bad-token", "ward_general_nonsense", "GET", "fhir/Patient/p1", 401, false},
			{"wrong-tenant", foreign, "GET", "fhir/Patient/p1", 403, false},
			{"denied", clinician, "GET", "audit/events", 403, false},
			{"denied", patient, "DELETE", "fhir/Patient/p1", 403, false},
			{"forged-cursor", clinician, "GET", "fhir/Patient?_cursor=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 400, false},
			{"malformed-path", clinician, "GET", "fhir/Patient/..%2f..%2fnorth", 400, true},
			{"too-much", clinician, "GET", "fhir/Patient?name=" + strings.Repeat("x", 9000), 414, true},
		} {
			ctx := h.ctx
			if row.system {
				ctx = system
			}
			count := func() (n int) {
				page, err := h.app.Audit.Find(ctx, audit.Query{Action: audit.Security})
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range page.Entries {
					if strings.HasPrefix(e.Detail, row.kind) {
						n++
					}
				}
				return n
			}
			before := count()
			for range 5 {
				if status, body := h.send(row.token, row.method, row.path, ""); status != row.status {
					t.Errorf("%s: %d %s", row.kind, status, body)
				}
			}
			if n := count() - before; n != 1 {
				t.Errorf("%s %s: %d events of five tries", row.kind, row.path, n)
			}
		}
		if status, _ := h.send("", "GET", "fhir/Patient/p1", ""); status != 401 {
			t.Error(status)
		}
	})
}
