package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// ward runs the program and gives its exit code and what it said.
func ward(t *testing.T, environ []string, args ...string) (code int, out, problems string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), &world{out: &o, err: &e, in: strings.NewReader(""), environ: environ}, args)
	return code, o.String(), e.String()
}

func TestRun_SaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	bad := filepath.Join(t.TempDir(), "ward.yaml")
	if err := os.WriteFile(bad, []byte("http:\n  lisen: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	data := "--data=" + t.TempDir()
	for _, row := range []struct {
		environ []string
		args    []string
		code    int
		want    string
	}{
		{nil, []string{"srve"}, 2, "serve"},
		{nil, []string{"serve", "--http-read-timeout=soon"}, 2, "http-read-timeout"},
		{nil, []string{"serve", "--target=front"}, 2, "no target"},
		{nil, []string{"serve", "--target=api"}, 2, "db.url to postgres://"},
		{nil, []string{"serve", "--config", bad}, 2, "did you mean http.listen?"},
		{[]string{"WARD_CONFIG=" + bad}, []string{"token", "list"}, 2, "did you mean http.listen?"},
		{[]string{"WARD_HTTP_LISTEN=8080"}, []string{"config", "check"}, 2, "http.listen"},
		{[]string{"WARD_HTTP_READ_TIMEOUT=soon"}, []string{"version"}, 2, "WARD_HTTP_READ_TIMEOUT"},
		{[]string{"WARD_PORT=tcp://1.2.3.4"}, []string{"version"}, 0, "WARD_PORT is no setting"},
		{nil, []string{"tenant", "create", "x", data}, 2, "3 to 40 characters"},
		{nil, []string{"tenant", "create", "abc", "--settings={\"x\":1}", data}, 2, "referentialIntegrity"},
		{nil, []string{"token", "create", "--tenant=nobody", "--role=admin", data}, 1, "ward tenant list"},
		{nil, []string{"token", "create", "--role=clinician", data}, 2, "choose operator"},
		{nil, []string{"client", "create", "--tenant=nobody", "--name=x", "--redirect=http://x.example.org/cb", data}, 1, "ward tenant list"},
		{nil, []string{"client", "create", "--tenant=nobody", "--name=x", "--jwks=/no/such/file", data}, 2, "/no/such/file can't be read"},
		{nil, []string{"import", "--tenant=nobody", "/no/such/file", data}, 2, "/no/such/file can't be opened"},
	} {
		code, _, problems := ward(t, row.environ, row.args...)
		if code != row.code || !strings.Contains(problems, row.want) {
			t.Errorf("%v: %d %q, want %d and %q", row.args, code, problems, row.code, row.want)
		}
	}
}

func TestRun_TenantTokenAndImport(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data, refused := "--data="+filepath.Join(dir, "data"), filepath.Join(dir, "refused.ndjson")
	must := func(want string, args ...string) string {
		t.Helper()
		code, out, problems := ward(t, nil, append(args, data)...)
		if code != 0 || !strings.Contains(out, want) {
			t.Fatalf("%v: %d %s %s", args, code, out, problems)
		}
		return out
	}
	must("Created the tenant demo", "tenant", "create", "demo", "--name=Demo Clinic")
	must("Demo Clinic", "tenant", "list")
	must("", "tenant", "set", "demo", `{"referentialIntegrity":true}`)
	must(`{"referentialIntegrity":true}`, "tenant", "list")
	secret := strings.TrimSpace(must("ward_demo_", "token", "create", "--tenant=demo", "--role=clinician", "--lifetime=1h"))
	if strings.ContainsAny(secret, " \n") {
		t.Errorf("standard output is more than the token: %q", secret)
	}
	list := must("clinician", "token", "list", "--tenant=demo")
	if strings.Contains(list, secret) {
		t.Error("the list shows the secret")
	}
	must("", "token", "revoke", strings.Fields(strings.Split(list, "\n")[1])[0])
	must("up to date", "migrate")
	lines := strings.Fields(must("", "client", "create", "--tenant=demo", "--name=Portal", "--redirect=https://portal.example.org/cb?a=1,2", "--secret"))
	if len(lines) != 2 || !strings.HasPrefix(lines[1], "wcs_demo_") {
		t.Errorf("standard output is more than the id and the secret: %q", lines)
	}
	must("client_secret_basic", "client", "list", "--tenant=demo")
	must("https://portal.example.org/cb?a=1,2", "client", "show", "--tenant=demo", lines[0])
	must("", "client", "delete", "--tenant=demo", lines[0])
	if list := must("NAME", "client", "list", "--tenant=demo"); strings.Contains(list, "Portal") {
		t.Errorf("a deleted client is listed: %s", list)
	}

	file := filepath.Join(dir, "p.ndjson")
	if err := os.WriteFile(file, []byte(`{"resourceType":"Patient","id":"a"}`+"\n"+`{"resourceType":"Patient","id":"b","nonsense":1}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, problems := ward(t, nil, "import", "--tenant=demo", "--refused="+refused, file, data)
	if code != 1 || !strings.Contains(out, "1 created, 0 updated, 0 unchanged, 1 refused") {
		t.Errorf("%d %s %s", code, out, problems)
	}
	text, err := os.ReadFile(refused)
	var line struct {
		File, Type, Code, Message string
		Line                      int
	}
	if err != nil || json.Unmarshal(text, &line) != nil || line.Line != 2 || line.Type != "Patient" || line.File != file || line.Code == "" {
		t.Errorf("%s %v", text, err)
	}
}

func TestRun_AuditLog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data := "--data=" + filepath.Join(dir, "data")
	must := func(want string, args ...string) string {
		t.Helper()
		code, out, problems := ward(t, nil, append(args, data)...)
		if code != 0 || !strings.Contains(out, want) {
			t.Fatalf("%v: %d %s %s", args, code, out, problems)
		}
		return out
	}
	must("", "tenant", "create", "demo")
	file := filepath.Join(dir, "p.ndjson")
	if err := os.WriteFile(file, []byte(`{"resourceType":"Patient","id":"a"}`+"\n"+`{"resourceType":"Observation","id":"b","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/a"}}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	must("2 created", "import", "--tenant=demo", file)
	for _, want := range []string{"Observation/b", "Patient/a"} {
		must(want, "audit", "query", "--tenant=demo", "--patient=a", "--action=create")
	}
	must("", "tenant", "set", "demo", `{"referentialIntegrity":true}`)
	must("", "tenant", "suspend", "demo")
	token := strings.TrimSpace(must("ward_demo_", "token", "create", "--tenant=demo", "--role=clinician"))
	if said := must("token clinician", "audit", "query", "--tenant=demo"); !strings.Contains(said, "settings") || !strings.Contains(said, "status suspended") || strings.Contains(said, token) {
		t.Errorf("the log says %s", said)
	}
	must("", "token", "revoke", strings.Fields(strings.Split(must("clinician", "token", "list", "--tenant=demo"), "\n")[1])[0])
	must("revoke", "audit", "query", "--action=revoke")
	must("The chain proves.", "audit", "verify", "--tenant=demo")
	must("The chain proves.", "audit", "verify")
	out := filepath.Join(dir, "a.ndjson")
	must("", "audit", "export", "--tenant=demo", "--patient=a", "--action=create", "--out="+out)
	text, err := os.ReadFile(out)
	if lines := strings.Split(strings.TrimSpace(string(text)), "\n"); err != nil || len(lines) != 2 || !json.Valid([]byte(lines[0])) || !strings.Contains(lines[1], `"AuditEvent"`) {
		t.Errorf("%s %v", text, err)
	}
	for _, row := range []struct {
		args []string
		want string
	}{
		{[]string{"audit", "query", "--tenant=demo", "--action=look"}, "an action is one of read"},
		{[]string{"audit", "query", "--tenant=demo", "--from=yesterday"}, "--from is a date"},
		{[]string{"audit", "verify", "--tenant=demo", "--key=x"}, "in base64"},
		{[]string{"audit", "export", "--tenant=demo", "--out=" + out}, "can't be made"},
	} {
		if code, _, problems := ward(t, nil, append(row.args, data)...); code != 2 || !strings.Contains(problems, row.want) {
			t.Errorf("%v: %d %s", row.args, code, problems)
		}
	}
}

func TestRun_ConfigCheckAndHelp(t *testing.T) {
	t.Parallel()
	environ := []string{"WARD_DB_URL=postgres://ward:hunter2@db/ward", "WARD_HTTP_LISTEN=:9"}
	code, out, problems := ward(t, environ, "config", "check", "--http-listen=:10")
	if code != 0 || !strings.Contains(out, "listen: ':10'") || !strings.Contains(out, "postgres://ward:xxxxx@db/ward") || strings.Contains(out, "hunter2") {
		t.Errorf("%d %s %s", code, out, problems)
	}
	// What it prints is a configuration again, but for the secrets.
	file := filepath.Join(t.TempDir(), "ward.yaml")
	if err := os.WriteFile(file, []byte(out), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, again, problems := ward(t, nil, "config", "check", "--config", file); code != 0 || again != out {
		t.Errorf("%d %s\n%s", code, problems, again)
	}
	_, help, _ := ward(t, nil, "serve", "--help")
	for _, want := range []string{"--http-ops-listen", "WARD_DB_OWNER_URL", "default 256", "Examples:"} {
		if !strings.Contains(strings.Join(strings.Fields(help), " "), want) {
			t.Errorf("the help lacks %s", want)
		}
	}
	for _, command := range [][]string{
		{"demo"},
		{"serve"},
		{"import"},
		{"audit", "query"},
		{"audit", "verify"},
		{"audit", "export"},
		{"tenant", "create"},
		{"tenant", "list"},
		{"tenant", "set"},
		{"tenant", "suspend"},
		{"tenant", "resume"},
		{"token", "create"},
		{"token", "list"},
		{"token", "revoke"},
		{"routes"},
		{"config", "check"},
		{"migrate"},
		{"doctor"},
		{"deadletter", "list"},
		{"deadletter", "replay"},
		{"deadletter", "discard"},
		{"version"},
	} {
		if code, help, _ := ward(t, nil, append(command, "--help")...); code != 0 || !strings.Contains(help, "Example") {
			t.Errorf("%v --help has no example", command)
		}
	}
	if code, out, _ := ward(t, nil, "version"); code != 0 || !strings.HasPrefix(out, "ward dev") {
		t.Error(out)
	}
}

func TestRun_Routes(t *testing.T) {
	t.Parallel()
	code, out, problems := ward(t, nil, "routes", "--json")
	var routes []struct {
		Method, Pattern, Target, Lane, Permission string
		Public                                    bool
		ObjectiveMilliseconds                     int64
	}
	if err := json.Unmarshal([]byte(out), &routes); code != 0 || err != nil || len(routes) < 20 {
		t.Fatalf("%d %v %s", code, err, problems)
	}
	for _, r := range routes {
		if r.Lane == "" || r.ObjectiveMilliseconds == 0 || (r.Permission == "") != r.Public {
			t.Errorf("%+v", r)
		}
	}
}

func TestRun_Doctor(t *testing.T) {
	t.Parallel()
	code, out, problems := ward(t, nil, "doctor", "--data="+t.TempDir())
	if code != 0 || !strings.Contains(out, "SQLite 3.") {
		t.Errorf("%d %s %s", code, out, problems)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, _ = ward(t, nil, "doctor", "--data="+file)
	if code != 1 || !strings.Contains(out, "FAIL") || !strings.Contains(out, "→") {
		t.Errorf("%d %s", code, out)
	}
}

func TestRun_ServeStopsWhenTold(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	said := &signalling{at: `"msg":"ready"`, then: cancel}
	code := run(ctx, &world{out: said, err: said, environ: []string{"WARD_HTTP_DRAIN_WAIT=0s"}}, []string{
		"serve", "--data", t.TempDir(), "--http-listen=127.0.0.1:0", "--http-ops-listen=127.0.0.1:0",
	})
	if code != 0 || !strings.Contains(said.text.String(), `"msg":"stopped"`) {
		t.Errorf("%d %s", code, said.text.String())
	}
}

// signalling does something when a text has been written.
type signalling struct {
	text bytes.Buffer
	at   string
	then func()
}

func (s *signalling) Write(p []byte) (int, error) {
	n, err := s.text.Write(p)
	if strings.Contains(s.text.String(), s.at) {
		s.then()
	}
	return n, err
}
