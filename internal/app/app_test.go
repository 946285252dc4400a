package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ward/internal/app"
	"ward/internal/base/scope"
	"ward/internal/kernel/access"
	"ward/internal/kernel/module"
	"ward/internal/kernel/tenancy"
)

var update = flag.Bool("update", false, "write the golden files anew")

// embedded is a configuration on free ports in a folder of its own.
func embedded(t testing.TB) app.Config {
	t.Helper()
	c, err := app.Load("", []string{"WARD_HTTP_LISTEN=127.0.0.1:0", "WARD_HTTP_OPS_LISTEN=127.0.0.1:0", "WARD_HTTP_DRAIN_WAIT=0s"}, map[string]string{"data": t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// tiny is a module that counts how its runner was started and answers who asks.
func tiny(starts *atomic.Int64, hold <-chan struct{}) module.Module {
	return module.Module{
		Name: "tiny",
		Routes: []module.Route{{
			Method: "GET", Pattern: "/t/{tenant}/tiny", Target: module.API, Lane: module.Interactive, Permission: access.RecordsRead,
			Objective: module.Objective{Percentile: 0.95, Latency: time.Second}, Summary: "A test's route",
			Handler: func(w http.ResponseWriter, r *http.Request) error {
				if hold != nil {
					<-hold
				}
				s, _ := scope.From(r.Context())
				return json.NewEncoder(w).Encode(map[string]string{"tenant": s.Tenant.Slug, "role": s.Principal.Role})
			},
		}},
		Runners: []module.Runner{{Name: "tiny", Target: module.Worker, Run: func(ctx context.Context) error {
			if starts.Add(1) == 1 {
				return errors.New("it fails the first time")
			}
			<-ctx.Done()
			return nil
		}}},
	}
}

func do(t testing.TB, target, token string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", target, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func TestRun_EmbeddedFromStartToDrain(t *testing.T) {
	t.Parallel()
	var starts atomic.Int64
	hold := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	ready, ended := make(chan *app.App), make(chan error, 1)
	go func() {
		ended <- app.Run(ctx, embedded(t), app.Options{Version: "test", Log: slog.New(slog.DiscardHandler), Extra: []module.Module{tiny(&starts, hold)}, Ready: func(_ context.Context, a *app.App) error {
			ready <- a
			return nil
		}})
	}()
	var a *app.App
	select {
	case a = <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	base, ops := "http://"+a.Addr(), "http://"+a.OpsAddr()
	demo, err := a.Tenants.Create(ctx, "demo", "", tenancy.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Tenants.Create(ctx, "north", "", tenancy.Settings{}); err != nil {
		t.Fatal(err)
	}
	token, _, err := a.Tokens.Create(ctx, demo.Tenant, access.Clinician, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	if status, body := do(t, ops+"/healthz", ""); status != 200 || body != "ok\n" {
		t.Error(status, body)
	}
	if status, body := do(t, ops+"/readyz", ""); status != 200 || !strings.Contains(body, `"database":"ok"`) || !strings.Contains(body, `"bus":"ok"`) {
		t.Error(status, body)
	}
	if status, body := do(t, ops+"/metrics", ""); status != 200 || !strings.Contains(body, "ward_db_commits") || !strings.Contains(body, "ward_lane_running") {
		t.Error(status, body)
	}
	for _, row := range []struct {
		path, token string
		status      int
	}{
		{"/t/demo/tiny", "", 401},
		{"/t/demo/tiny", token + "x", 401},
		{"/t/north/tiny", token, 403},
		{"/t/nowhere/tiny", token, 404},
		{"/t/demo/other", token, 404},
		{"/", "", 404},
	} {
		if status, body := do(t, base+row.path, row.token); status != row.status {
			t.Errorf("%s: %d %s", row.path, status, body)
		}
	}

	answered := make(chan string)
	go func() {
		_, body := do(t, base+"/t/demo/tiny", token)
		answered <- body
	}()
	for !strings.Contains(metric(t, ops, `ward_lane_running{lane="interactive"}`), " 1") { //nolint:revive // until the request is in
	}
	for starts.Load() < 2 { //nolint:revive // until the runner is back
		time.Sleep(time.Millisecond)
	}
	cancel()
	for status, _ := do(t, ops+"/readyz", ""); status != 503; status, _ = do(t, ops+"/readyz", "") { //nolint:revive // until it drains
	}
	close(hold)
	if got := <-answered; !strings.Contains(got, `"role":"clinician"`) {
		t.Errorf("the request in flight got %s", got)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if status, _ := do(t, ops+"/healthz", ""); status != 0 {
		t.Error("the ops listener is still open")
	}
}

func metric(t *testing.T, ops, name string) string {
	t.Helper()
	_, body := do(t, ops+"/metrics", "")
	for line := range strings.SplitSeq(body, "\n") {
		if value, ok := strings.CutPrefix(line, name); ok {
			return value
		}
	}
	return ""
}

func TestOpen_DataSurvives(t *testing.T) {
	t.Parallel()
	c := embedded(t)
	for i, want := range []int{1, 2} {
		a, err := app.Open(t.Context(), c, app.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Tenants.Create(t.Context(), []string{"demo", "north"}[i], "", tenancy.Settings{}); err != nil {
			t.Error(err)
		}
		if list, err := a.Tenants.List(t.Context()); err != nil || len(list) != want {
			t.Errorf("%v %v", list, err)
		}
		if _, err := app.Open(t.Context(), c, app.Options{}); err == nil || !strings.Contains(err.Error(), "another Ward uses the folder") {
			t.Errorf("opened twice: %v", err)
		}
		if err := a.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	info, err := os.Stat(filepath.Join(c.Data, "ward.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
}

// TestRoutes_Golden shows the whole surface in review: go test ./internal/app -run Golden -update writes it anew.
func TestRoutes_Golden(t *testing.T) {
	t.Parallel()
	a, err := app.Open(t.Context(), embedded(t), app.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close(context.Background()) })
	got := app.RouteTable(a.Routes())
	path := filepath.Join("testdata", "routes.golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the routes changed; if that is meant, run: go test ./internal/app -run Golden -update\n%s", got)
	}
}

// TestRoutes_AreComplete holds what design.md demands of every route, and who may do without a token.
func TestRoutes_AreComplete(t *testing.T) {
	t.Parallel()
	a, err := app.Open(t.Context(), embedded(t), app.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close(context.Background()) })
	known := map[string]bool{}
	for _, p := range access.Permissions() {
		known[p] = true
	}
	for _, r := range a.Routes() {
		name := r.Method + " " + r.Pattern
		if r.Lane == 0 || r.Objective.Latency <= 0 || r.Objective.Percentile <= 0 || r.Summary == "" {
			t.Errorf("%s lacks a lane, an objective or a summary", name)
		}
		if r.Public {
			if r.Target != module.Ops && !public[name] {
				t.Errorf("%s is reachable without a token", name)
			}
		} else if !known[r.Permission] {
			t.Errorf("%s demands %q, which is not in the access table", name, r.Permission)
		}
	}
}
