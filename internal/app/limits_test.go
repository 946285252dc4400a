package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"ward/internal/app"
	"ward/internal/backend/db/dbtest"
	"ward/internal/base/fault"
	"ward/internal/base/testenv"
	"ward/internal/kernel/access"
	"ward/internal/kernel/audit"
	"ward/internal/kernel/tenancy"
)

// limited is a Ward whose tenant demo has limits, and one without beside it.
type limited struct {
	app    *app.App
	tokens map[string]string // by tenant
}

func openLimited(t *testing.T, c app.Config, limits map[string]int64) *limited {
	t.Helper()
	l := &limited{app: started(t, c), tokens: map[string]string{}}
	for slug, terms := range map[string]tenancy.Terms{"demo": {Limits: limits}, "free": {}} {
		tenant, err := l.app.Tenants.Add(t.Context(), slug, terms)
		if err != nil {
			t.Fatal(err)
		}
		if l.tokens[slug], _, err = l.app.Tokens.Create(t.Context(), tenant.Tenant, access.Integration, "", 0); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// send answers the status, what the body says, and when to come again.
func (l *limited) send(t *testing.T, method, slug, path, body string) (status int, text, after string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+l.app.Addr()+"/t/"+slug+"/fhir"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+l.tokens[slug])
	r.Header.Set("Content-Type", "application/fhir+json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(res.Body); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, b.String(), res.Header.Get("Retry-After")
}

func eachDatabase(t *testing.T, fn func(t *testing.T, c app.Config)) {
	t.Helper()
	configs := map[string]app.Config{"SQLite": embedded(t)}
	if testenv.Has("WARD_TEST_POSTGRES") {
		c := embedded(t)
		c.DB.URL, c.DB.Migrate = dbtest.PostgresURL(t), true
		configs["PostgreSQL"] = c
	}
	for name, c := range configs {
		t.Run(name, func(t *testing.T) { fn(t, c) })
	}
}

func TestLimits_Resources(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, c app.Config) {
		l := openLimited(t, c, map[string]int64{tenancy.LimitResources: 3})
		const patient = `{"resourceType":"Patient","active":true}`
		for i := range 3 {
			if status, text, _ := l.send(t, "PUT", "demo", fmt.Sprintf("/Patient/p%d", i), strings.Replace(patient, "Patient\"", fmt.Sprintf("Patient\",\"id\":\"p%d\"", i), 1)); status != http.StatusCreated {
				t.Fatal(status, text)
			}
		}
		status, text, _ := l.send(t, "POST", "demo", "/Patient", patient)
		if status != http.StatusInsufficientStorage || !strings.Contains(text, "3 resources (its limit resources)") || !strings.Contains(text, "OperationOutcome") {
			t.Errorf("the fourth: %d %s", status, text)
		}
		if status, text, _ = l.send(t, "PUT", "demo", "/Patient/p1", `{"resourceType":"Patient","id":"p1","active":false}`); status != http.StatusOK {
			t.Errorf("an update of one that is there: %d %s", status, text)
		}
		bundle := `{"resourceType":"Bundle","type":"transaction","entry":[{"resource":` + patient + `,"request":{"method":"POST","url":"Patient"}}]}`
		if status, text, _ = l.send(t, "POST", "demo", "", bundle); status != http.StatusInsufficientStorage {
			t.Errorf("a transaction: %d %s", status, text)
		}
		if status, text, _ = l.send(t, "POST", "free", "/Patient", patient); status != http.StatusCreated {
			t.Errorf("another tenant: %d %s", status, text)
		}
		if err := l.app.Desk().SetTenantLimits(t.Context(), "demo", map[string]int64{tenancy.LimitResources: 4}); err != nil {
			t.Fatal(err)
		}
		if status, text, _ = l.send(t, "POST", "demo", "/Patient", patient); status != http.StatusCreated {
			t.Errorf("the fourth, after the limit was raised: %d %s", status, text)
		}
		page, err := l.app.Desk().AuditQuery(t.Context(), "demo", audit.Query{})
		if err != nil {
			t.Fatal(err)
		}
		if b, _ := json.Marshal(page.Entries); !bytes.Contains(b, []byte(`"Detail":"limits"`)) { //nolint:errchkjson // texts
			t.Errorf("that the limit was raised is not on record: %s", b)
		}
	})
}

func TestLimits_RequestsPerSecond(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, c app.Config) {
		l := openLimited(t, c, map[string]int64{tenancy.LimitRequests: 1})
		refused := 0
		for range 20 {
			status, text, after := l.send(t, "GET", "demo", "/Patient", "")
			switch {
			case status == http.StatusTooManyRequests && after == "1" && strings.Contains(text, "1 times a second (its limit requestsPerSecond)"):
				refused++
			case status != http.StatusOK:
				t.Fatalf("%d %s, again after %q", status, text, after)
			}
			if status, text, _ := l.send(t, "GET", "free", "/Patient", ""); status != http.StatusOK {
				t.Fatalf("another tenant: %d %s", status, text)
			}
		}
		if refused == 0 {
			t.Error("twenty requests in a row were one a second")
		}
	})
}

func TestLimits_ThatNobodyIsHeldToAreRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`{"beds":3}`, `{"resources":0}`, `{"requestsPerSecond":-1}`, `{"resources":1.5}`, `[]`} {
		if _, err := tenancy.ParseLimits(text); !fault.Is(err, fault.CodeInvalid) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if l, err := tenancy.ParseLimits(`{"resources":10,"requestsPerSecond":5}`); err != nil || len(l) != 2 {
		t.Errorf("%v, %v", l, err)
	}
}
