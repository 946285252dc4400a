package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// backend is one way to run Ward.
type backend struct {
	name string
	env  func(t *testing.T) []string // the settings
}

// backends are the ways that every test of the running product goes through.
func backends(t *testing.T) []backend {
	t.Helper()
	return []backend{
		{"embedded", func(t *testing.T) []string { t.Helper(); return []string{"WARD_DATA=" + t.TempDir()} }},
		{"scaled out", scaledOut},
	}
}

// server is the URL in the variable. Without it the test is skipped, and in CI it fails: there the servers are there.
func server(t *testing.T, name string) string {
	t.Helper()
	text := os.Getenv(name)
	switch {
	case text != "":
	case os.Getenv("CI") == "true":
		t.Fatalf("%s is not set, and CI=true", name)
	default:
		t.Skipf("%s is not set: run `scripts/services up DIR` and `. DIR/env`, or make e2e", name)
	}
	return text
}

// scaledOut makes a database of the test's own and points every backend at a real server.
func scaledOut(t *testing.T) []string {
	t.Helper()
	owner, err := url.Parse(server(t, "WARD_TEST_POSTGRES"))
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("e2e_%d_%d", os.Getpid(), time.Now().UnixNano()%1e9)
	maintenance := owner.String()
	psql(t, maintenance, "CREATE DATABASE "+name)
	t.Cleanup(func() { psql(t, maintenance, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)") })
	owner.Path = "/" + name
	return []string{
		"WARD_DATA=" + t.TempDir(),
		"WARD_DB_URL=" + owner.String(), "WARD_DB_OWNER_URL=" + owner.String(),
		"WARD_BUS_URL=" + server(t, "WARD_TEST_NATS"), "WARD_BUS_REPLICAS=1",
		"WARD_CACHE_URL=" + server(t, "WARD_TEST_REDIS"),
		"WARD_BLOB_URL=" + server(t, "WARD_TEST_S3"),
		"WARD_KEY_SECRET=MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
	}
}

// psql runs one statement as an operator would; PostgreSQL's own client comes with the server.
func psql(t *testing.T, to, statement string) {
	t.Helper()
	out, err := exec.CommandContext(context.Background(), psqlPath(), "-q", "-v", "ON_ERROR_STOP=1", "-c", statement, to).CombinedOutput() //nolint:gosec // the test's own words
	if err != nil {
		t.Fatalf("psql: %v: %s", err, out)
	}
}

func psqlPath() string {
	if path, err := exec.LookPath("psql"); err == nil {
		return path
	}
	return "/usr/lib/postgresql/15/bin/psql"
}

// site is one installation: its data stays while its processes come and go.
type site struct {
	env   []string
	base  string // of the tenant demo
	ops   string
	token string
}

// site sets up an installation with one tenant.
func (b backend) site(t *testing.T) *site {
	t.Helper()
	listen, ops := freeAddress(t), freeAddress(t)
	s := &site{env: b.env(t), base: "http://" + listen + "/t/demo/fhir", ops: "http://" + ops}
	s.env = append(s.env, "WARD_HTTP_LISTEN="+listen, "WARD_HTTP_OPS_LISTEN="+ops, "WARD_HTTP_DRAIN_WAIT=0s", "WARD_LOG_FORMAT=text")
	if b.name != "embedded" {
		s.command(t, "migrate")
	}
	s.command(t, "tenant", "create", "demo", "--name", "Demo Hospital")
	s.token = s.mint(t, "demo", "admin")
	return s
}

func (s *site) mint(t *testing.T, tenant, role string) string {
	t.Helper()
	return strings.TrimSpace(s.command(t, "token", "create", "--tenant", tenant, "--role", role))
}

func (s *site) command(t *testing.T, args ...string) string {
	t.Helper()
	out, err := command(t, s.env, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// start starts `ward serve` and returns when it is ready.
func (s *site) start(t *testing.T, args ...string) *process {
	t.Helper()
	p := launch(t, s.env, append([]string{"serve"}, args...)...)
	if err := p.await(20*time.Second, func() bool { return ready(t.Context(), s.ops) }); err != nil {
		t.Fatal(err)
	}
	return p
}

func ready(ctx context.Context, ops string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, ops+"/readyz", nil)
	if err != nil {
		return false
	}
	res, err := (&http.Client{Timeout: 2 * time.Second}).Do(req)
	if err != nil {
		return false
	}
	_ = res.Body.Close()
	return res.StatusCode == http.StatusOK
}

func (s *site) fhir(t *testing.T) *fhir {
	t.Helper()
	f := newFHIR(s.base, s.token)
	t.Cleanup(f.client.CloseIdleConnections)
	return f
}
