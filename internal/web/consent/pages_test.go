package consent_test

import (
	"flag"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ward/internal/kernel/identity/oauth"
	"ward/internal/web/consent"
)

var update = flag.Bool("update", false, "write the golden files")

func TestPages_Golden(t *testing.T) {
	t.Parallel()
	pages, err := consent.New()
	if err != nil {
		t.Fatal(err)
	}
	hostile := `"><script>alert(1)</script>`
	patient := oauth.Patient{ID: "p1", Name: "Ada " + hostile, Born: "1950-12-10", Identifier: "MRN 7"}
	for name, draw := range map[string]func(w *httptest.ResponseRecorder) error{
		"consent": func(w *httptest.ResponseRecorder) error {
			return pages.Consent(w, oauth.ConsentPage{
				App: "Growth " + hostile, AppHost: "app.example.org", Origin: "https://app.example.org", Unproven: true, User: "Dr Who" + hostile, Patient: &patient,
				Action: "/t/demo/oauth2/consent", Hidden: map[string]string{"ward_request": "a=b&c=" + hostile},
				Lasts: "one hour", Scopes: []oauth.ConsentScope{
					{Scope: "openid", Words: "Know that it is you who signed in", Checked: true},
					{Scope: "patient/Observation.cud", Words: "Add, change and delete measurements", Sensitive: true},
				},
			})
		},
		"pick": func(w *httptest.ResponseRecorder) error {
			return pages.Pick(w, oauth.PickPage{
				App: hostile, User: "Dr Who", Search: true, Text: hostile, Patients: []oauth.Patient{patient}, Action: "/t/demo/oauth2/authorize",
				Hidden: map[string]string{"state": hostile},
			})
		},
		"consents": func(w *httptest.ResponseRecorder) error {
			return pages.Consents(w, oauth.ConsentsPage{User: "Dr Who", Action: "/t/demo/oauth2/consents", Apps: []oauth.ConsentsApp{
				{Client: "c1", Name: hostile, Given: "2026-05-01", Words: []string{"Know that it is you who signed in"}},
			}})
		},
		"failed": func(w *httptest.ResponseRecorder) error {
			return pages.Failed(w, 400, oauth.FailedPage{Error: "invalid_request", Description: "Not so: " + hostile})
		},
		"onward": func(w *httptest.ResponseRecorder) error {
			return pages.Onward(w, "https://app.example.org/cb?code=1&state="+hostile, "App")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			if err := draw(w); err != nil {
				t.Fatal(err)
			}
			got := "Content-Security-Policy: " + w.Header().Get("Content-Security-Policy") + "\n\n" + w.Body.String()
			file := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil || got != string(want) {
				t.Errorf("%v: it differs from %s (-update writes it): %s", err, file, got)
			}
			if strings.Contains(got, "<script") {
				t.Error("what somebody wrote became a script")
			}
		})
	}
}

func TestPages_LeadNowhereElse(t *testing.T) {
	t.Parallel()
	pages, err := consent.New()
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"javascript:alert(1)", "data:text/html,x", "vbscript:x", "//evil.example.org"} {
		if err := pages.Onward(httptest.NewRecorder(), to, "App"); err == nil {
			t.Errorf("it leads to %s", to)
		}
	}
	w := httptest.NewRecorder()
	if err := pages.Consent(w, oauth.ConsentPage{Origin: "https://app.example.org; script-src *"}); err != nil {
		t.Fatal(err)
	}
	if csp := w.Header().Get("Content-Security-Policy"); strings.Contains(csp, "script-src") {
		t.Errorf("an origin became a policy: %s", csp)
	}
}
