package app_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"ward/internal/app"
	"ward/internal/base/testenv"
	"ward/internal/kernel/access"
	"ward/internal/kernel/module"
	"ward/internal/kernel/tenancy"
)

// scaled is the configuration of one process among several on the real servers.
func scaled(t *testing.T, target, secret string) app.Config {
	t.Helper()
	c, err := app.Load("", []string{
		"WARD_HTTP_LISTEN=127.0.0.1:0", "WARD_HTTP_OPS_LISTEN=127.0.0.1:0", "WARD_HTTP_DRAIN_WAIT=0s", "WARD_DB_MIGRATE=true", "WARD_BUS_REPLICAS=1",
		"WARD_TARGET=" + target, "WARD_KEY_SECRET=" + secret, "WARD_DB_URL=" + testenv.URL(t, "WARD_TEST_POSTGRES"), "WARD_BUS_URL=" + testenv.URL(t, "WARD_TEST_NATS"),
		"WARD_CACHE_URL=" + testenv.URL(t, "WARD_TEST_REDIS"), "WARD_BLOB_URL=" + testenv.URL(t, "WARD_TEST_S3"),
	}, map[string]string{"data": t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestScaledOut runs two processes for requests and one for the background work on PostgreSQL, Redis, NATS and S3: what one
// writes, the other answers, at once.
func TestScaledOut(t *testing.T) {
	t.Parallel()
	const secret = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="
	one := started(t, scaled(t, "api", secret))
	two := started(t, scaled(t, "api,web", secret))
	worker := started(t, scaled(t, "worker", secret))
	slug := "t" + strings.ToLower(rand.Text()[:12])
	tenant, err := one.Tenants.Create(t.Context(), slug, "", tenancy.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	token, _, err := two.Tokens.Create(t.Context(), tenant.Tenant, access.Integration, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	send := func(a *app.App, method, path, body string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+a.Addr()+"/t/"+slug+"/fhir/"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/fhir+json")
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(text)
	}
	for _, family := range []string{"Chalmers", "Windsor", "Levin"} {
		if status, body := send(one, "PUT", "Patient/p1", `{"resourceType":"Patient","id":"p1","name":[{"family":"`+family+`"}]}`); status != 200 && status != 201 {
			t.Fatal(status, body)
		}
		for range 2 { // the second time from a cache
			if status, body := send(two, "GET", "Patient/p1", ""); status != 200 || !strings.Contains(body, family) {
				t.Errorf("the other process answers %d %s after %s was written", status, body, family)
			}
		}
		if status, body := send(two, "GET", "Patient?family="+family, ""); status != 200 || !strings.Contains(body, `"p1"`) {
			t.Errorf("the other process finds %d %s", status, body)
		}
	}
	if status, _ := send(worker, "GET", "Patient/p1", ""); status != 404 {
		t.Errorf("the worker answers requests: %d", status)
	}
	for _, a := range []*app.App{one, two, worker} {
		if status, body := do(t, "http://"+a.OpsAddr()+"/readyz", ""); status != 200 || strings.Count(body, `"ok"`) < 3 {
			t.Error(status, body)
		}
	}
}

func TestExamine_ScaledOut(t *testing.T) {
	t.Parallel()
	c := scaled(t, "all", "")
	a, err := app.Open(t.Context(), c, app.Options{Log: slog.New(slog.DiscardHandler), Extra: []module.Module{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Error(err)
	}
	var parts []string
	app.Examine(t.Context(), c, func(f app.Finding) {
		text, _ := json.Marshal(f)
		if f.Wrong || bytes.Contains(text, []byte("wardtestsecret")) {
			t.Errorf("%s", text)
		}
		parts = append(parts, f.Part)
	})
	if got := strings.Join(parts, " "); got != "config database bus cache blobs" {
		t.Error(got)
	}
}
