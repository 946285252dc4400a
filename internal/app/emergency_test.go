package app_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/kernel/access"
	"ward/internal/kernel/audit"
	"ward/internal/kernel/identity"
	"ward/internal/kernel/identity/people"
	"ward/internal/kernel/tenancy"
)

// TestBreakGlass_APatientOutOfCare: a clinician who is kept to the charts in care opens another one's, sees it, and not a second longer than they may.
func TestBreakGlass_APatientOutOfCare(t *testing.T) {
	eachHospital(t, func(t *testing.T, h *hospital) {
		if err := h.app.Tenants.SetSettings(t.Context(), "general", tenancy.Settings{ClinicianAccess: tenancy.ChartsInCare}); err != nil {
			t.Fatal(err)
		}
		admin, clinician, auditor := h.token(access.Admin), h.token(access.Clinician), h.token(access.Auditor)
		for _, p := range []string{"p1", "p2"} {
			if status, body := h.send(admin, "PUT", "fhir/Patient/"+p, `{"resourceType":"Patient","id":"`+p+`"}`); status != 201 {
				t.Fatal(status, body)
			}
		}
		sees := func(patient string) bool {
			t.Helper()
			status, _ := h.send(clinician, "GET", "fhir/Patient/"+patient, "")
			return status == http.StatusOK
		}
		if sees("p1") || sees("p2") {
			t.Fatal("a clinician sees who is not in their care")
		}
		if events := h.events(audit.Query{Action: audit.Security}); len(events) != 1 || !strings.Contains(events[0], "denied hidden Patient") {
			t.Errorf("what was hidden left %q", events)
		}
		// A token has shown no second factor.
		if status, body := h.send(clinician, "POST", "break-glass", `{"patient":"p1","reason":"unconscious in the emergency room"}`); status != http.StatusForbidden || !strings.Contains(body, "second-factor") {
			t.Errorf("without a second factor: %d %s", status, body)
		}
		if events := h.events(audit.Query{Action: audit.Security}); !strings.Contains(strings.Join(events, "; "), "second-factor break-glass") {
			t.Errorf("that left %q", events)
		}
		who, _, err := h.app.Verifier.Verify(t.Context(), clinician)
		if err != nil {
			t.Fatal(err)
		}
		ctx := scope.With(t.Context(), scope.Scope{Tenant: h.tenant.Tenant, Principal: who})
		for name, row := range map[string]struct {
			patient, reason string
			length          time.Duration
		}{
			"no reason": {"p1", " ", time.Hour}, "too long": {"p1", "unconscious in the emergency room", 61 * time.Minute}, "no patient": {"../x", "unconscious in the emergency room", time.Hour},
			"no time": {"p1", "unconscious in the emergency room", 0},
		} {
			if _, err := h.app.Glass.Open(ctx, row.patient, row.reason, row.length); !fault.Is(err, fault.CodeInvalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
		opening, err := h.app.Glass.Open(ctx, "p1", "unconscious in the emergency room", time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if !sees("p1") || sees("p2") {
			t.Error("the opened patient is not seen, or another one is")
		}
		page, err := h.app.Audit.Find(h.ctx, audit.Query{Patient: "p1", Action: audit.Read})
		if err != nil || len(page.Entries) == 0 || !page.Entries[0].Emergency {
			t.Errorf("the read is not marked as by emergency: %+v %v", page.Entries, err)
		}
		// The list, for those who review.
		if status, _ := h.send(clinician, "GET", "break-glass", ""); status != http.StatusForbidden {
			t.Errorf("a clinician gets the list: %d", status)
		}
		status, body := h.send(auditor, "GET", "break-glass", "")
		if status != 200 || !strings.Contains(body, "unconscious") || !strings.Contains(body, opening.ID) {
			t.Errorf("%d %s", status, body)
		}
		if status, body := h.send(auditor, "POST", "break-glass/"+opening.ID+"/review", `{"verdict":"justified"}`); status != 204 {
			t.Errorf("%d %s", status, body)
		}
		if status, _ := h.send(auditor, "POST", "break-glass/"+opening.ID+"/review", `{"verdict":"again"}`); status != http.StatusConflict {
			t.Errorf("signed off twice: %d", status)
		}
		if _, body := h.send(auditor, "GET", "break-glass", ""); strings.Contains(body, opening.ID) {
			t.Errorf("still on the list: %s", body)
		}
		if _, body := h.send(auditor, "GET", "break-glass?all=true", ""); !strings.Contains(body, "justified") {
			t.Errorf("not among all: %s", body)
		}
		if status, body := h.send(clinician, "DELETE", "break-glass/"+opening.ID, ""); status != 204 {
			t.Errorf("%d %s", status, body)
		}
		if sees("p1") {
			t.Error("seen after the end")
		}
		if status, _ := h.send(h.token(access.Nurse), "DELETE", "break-glass/"+opening.ID, ""); status != 404 {
			t.Errorf("somebody else's opening: %d", status)
		}
		want := []string{"break-glass opening/" + opening.ID + " (open) of p1", "break-glass opening/" + opening.ID + " (review) of p1", "break-glass opening/" + opening.ID + " (end) of p1"}
		if got := h.events(audit.Query{Action: audit.BreakGlass}); strings.Join(got, "; ") != strings.Join(want, "; ") {
			t.Errorf("%q", got)
		}
	})
}

// TestOperators_ATenantLetsOneIn: nothing without a grant, reading with one, nothing after it.
func TestOperators_ATenantLetsOneIn(t *testing.T) {
	eachHospital(t, func(t *testing.T, h *hospital) {
		admin, clinician := h.token(access.Admin), h.token(access.Clinician)
		if status, body := h.send(admin, "PUT", "fhir/Patient/p1", `{"resourceType":"Patient","id":"p1"}`); status != 201 {
			t.Fatal(status, body)
		}
		operator, made, err := h.app.Tokens.Create(t.Context(), scope.Tenant{}, access.Operator, "", 0)
		if err != nil {
			t.Fatal(err)
		}
		stranger, _, err := h.app.Tokens.Create(t.Context(), scope.Tenant{}, access.Operator, "", 0)
		if err != nil {
			t.Fatal(err)
		}
		enter := func(token, grant string) (int, string) {
			t.Helper()
			r, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+h.app.Addr()+"/admin/operator-access", strings.NewReader(`{"tenant":"general","grant":"`+grant+`"}`))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer "+token)
			res, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			var out struct{ Token string }
			_ = json.NewDecoder(res.Body).Decode(&out)
			return res.StatusCode, out.Token
		}
		if status, _ := h.send(operator, "GET", "fhir/Patient/p1", ""); status != http.StatusForbidden {
			t.Errorf("an operator without a grant: %d", status)
		}
		if status, _ := enter(operator, "none"); status != http.StatusForbidden {
			t.Errorf("a grant that is none: %d", status)
		}
		if status, _ := h.send(clinician, "POST", "operator-access", `{"reason":"a slow search"}`); status != http.StatusForbidden {
			t.Errorf("a clinician lets an operator in: %d", status)
		}
		for _, bad := range []string{`{"reason":"x","minutes":241}`, `{"reason":"x","minutes":-1}`, `{"reason":""}`, `{"reasons":"x"}`, `[]`} {
			if status, _ := h.send(admin, "POST", "operator-access", bad); status != http.StatusBadRequest {
				t.Errorf("%s: %d", bad, status)
			}
		}
		status, body := h.send(admin, "POST", "operator-access", `{"operator":"`+made.ID+`","reason":"a slow search","minutes":240}`)
		var grant struct{ ID string }
		if err := json.Unmarshal([]byte(body), &grant); status != 201 || err != nil {
			t.Fatal(status, body, err)
		}
		if status, _ := enter(stranger, grant.ID); status != http.StatusForbidden {
			t.Errorf("another operator: %d", status)
		}
		status, token := enter(operator, grant.ID)
		if status != 201 || token == "" {
			t.Fatal(status, token)
		}
		if status, body := h.send(token, "GET", "fhir/Patient/p1", ""); status != 200 {
			t.Errorf("let in: %d %s", status, body)
		}
		for _, row := range [][2]string{{"PUT", "fhir/Patient/p1"}, {"DELETE", "fhir/Patient/p1"}, {"GET", "audit/events"}, {"POST", "operator-access"}} {
			if status, _ := h.send(token, row[0], row[1], `{"resourceType":"Patient","id":"p1"}`); status != http.StatusForbidden {
				t.Errorf("%v by an operator who was let in to read: %d", row, status)
			}
		}
		page, err := h.app.Audit.Find(h.ctx, audit.Query{Patient: "p1", Action: audit.Read})
		if err != nil || len(page.Entries) != 1 {
			t.Fatal(page, err)
		}
		adminIs, _, err := h.app.Verifier.Verify(t.Context(), admin)
		if err != nil {
			t.Fatal(err)
		}
		if e := page.Entries[0]; e.By.ID != made.ID || e.By.Role != access.Operator || e.By.OnBehalfOf != adminIs.ID {
			t.Errorf("the read is on record as by %+v", e.By)
		}
		if status, _ := h.send(admin, "DELETE", "operator-access/"+grant.ID, ""); status != 204 {
			t.Error(status)
		}
		if status, _ := h.send(token, "GET", "fhir/Patient/p1", ""); status != http.StatusUnauthorized {
			t.Errorf("after the end: %d", status)
		}
		if status, _ := enter(operator, grant.ID); status != http.StatusForbidden {
			t.Errorf("a grant that ended: %d", status)
		}
		if _, _, err := h.app.Operators.Verify(t.Context(), identity.Mint("wardop_", "general")); !fault.Is(err, fault.CodeUnauthenticated) {
			t.Errorf("a token that nobody gave: %v", err)
		}
		got := strings.Join(append(h.events(audit.Query{Action: audit.Grant}), append(h.events(audit.Query{Action: audit.Token}), h.events(audit.Query{Action: audit.Revoke})...)...), "; ")
		for _, want := range []string{"grant operator-access/" + grant.ID, "token operator-access/" + grant.ID, "revoke operator-access/" + grant.ID} {
			if !strings.Contains(got, want) {
				t.Errorf("%s is not in %s", want, got)
			}
		}
	})
}

// TestBreakGlass_TheSecondFactorIsWhoAsks: a token does not borrow the second factor of the cookie beside it.
func TestBreakGlass_TheSecondFactorIsWhoAsks(t *testing.T) {
	t.Parallel()
	a := started(t, embedded(t))
	tenant, err := a.Tenants.Create(t.Context(), "general", "", tenancy.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	ctx := scope.WithTenant(t.Context(), tenant.Tenant)
	if err := a.People.Plant(ctx, people.Invitation{Email: "ada@example.org", Role: access.Clinician}, "a long enough passphrase", "JBSWY3DPEHPK3PXP"); err != nil {
		t.Fatal(err)
	}
	ada, err := a.People.ByEmail(ctx, "ada@example.org")
	if err != nil {
		t.Fatal(err)
	}
	token, _, err := a.Tokens.Create(t.Context(), tenant.Tenant, access.Clinician, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	opens := func(token string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+a.Addr()+"/t/general/break-glass", strings.NewReader(`{"patient":"p1","reason":"found unconscious in the hall"}`))
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		if err := a.Sessions.Begin(ctx, w, r, ada.ID, []string{people.ByPassword, people.ByCode}); err != nil {
			t.Fatal(err)
		}
		for _, c := range w.Result().Cookies() {
			r.AddCookie(c)
		}
		r.Header.Set("Content-Type", "application/json")
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		return answer.StatusCode
	}
	if status := opens(""); status != http.StatusCreated {
		t.Errorf("who has shown the second factor: %d", status)
	}
	if status := opens(token); status != http.StatusForbidden {
		t.Errorf("a token beside the cookie of somebody who has: %d", status)
	}
}

// TestBreakGlass_ThePrivacyOfficerHearsAtOnce waits for the mail.
func TestBreakGlass_ThePrivacyOfficerHearsAtOnce(t *testing.T) {
	t.Parallel()
	c := embedded(t)
	a := started(t, c)
	tenant, err := a.Tenants.Create(t.Context(), "general", "", tenancy.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	ctx := scope.WithTenant(t.Context(), tenant.Tenant)
	for _, i := range []people.Invitation{{Email: "privacy@example.org", Role: access.Auditor}, {Email: "admin@example.org", Role: access.Admin}} {
		if err := a.People.Plant(ctx, i, "a long enough passphrase", "JBSWY3DPEHPK3PXP"); err != nil {
			t.Fatal(err)
		}
	}
	grey := scope.With(t.Context(), scope.Scope{Tenant: tenant.Tenant, Principal: scope.Principal{ID: "user/1", Role: access.Clinician}})
	o, err := a.Glass.Open(grey, "p1", "found unconscious in the hall", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); ; <-tick.C {
		var mails []string
		files, _ := filepath.Glob(filepath.Join(c.Data, "mail", "*"))
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			mails = append(mails, string(b))
		}
		if len(mails) > 0 {
			all := strings.Join(mails, "\n")
			if len(mails) != 1 || !strings.Contains(all, "privacy@example.org") || strings.Contains(all, "p1") || strings.Contains(all, "unconscious") ||
				!strings.Contains(strings.ReplaceAll(all, "=\r\n", ""), o.ID) {
				t.Errorf("%d mails: %s", len(mails), all)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("no mail in 20 s")
		}
	}
}
