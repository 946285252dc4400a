package app_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ward/internal/app"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ward.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoad_Precedence(t *testing.T) {
	t.Parallel()
	file := write(t, "data: from-file\nhttp:\n  listen: 127.0.0.1:1\n  ops-listen: 127.0.0.1:2\n  read-timeout: 7s\ncache:\n  size: 32MB\n")
	c, err := app.Load(file, []string{"WARD_HTTP_OPS_LISTEN=127.0.0.1:3", "WARD_DATA=from-env", "WARD_TEST_POSTGRES=x", "HOME=/"}, map[string]string{"data": "from-flag"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Data != "from-flag" || c.HTTP.OpsListen != "127.0.0.1:3" || c.HTTP.Listen != "127.0.0.1:1" || c.HTTP.ReadTimeout != 7*time.Second ||
		c.Cache.Size != 32<<20 || c.HTTP.WriteTimeout != 2*time.Minute {
		t.Errorf("%+v", c)
	}
	if c.DBURL() != "sqlite:from-flag" || c.BlobURL() != filepath.Join("file:from-flag", "blobs") {
		t.Error(c.DBURL(), c.BlobURL())
	}
}

func TestLoad_ASentenceThatNamesTheKeyAndTheRemedy(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, yaml string
		env        []string
		want       []string
	}{
		{"unknown key", "http:\n  lisen: x", nil, []string{"no setting http.lisen", "did you mean http.listen?"}},
		{"unknown section", "nonsense: 1", nil, []string{"no setting nonsense", "ward config check"}},
		{"flat key", "listen: x", nil, []string{"did you mean http.listen?"}},
		{"no YAML", "a: [", nil, []string{"is no YAML"}},
		{"duration", "http:\n  read-timeout: 10", nil, []string{"http.read-timeout", `"10" is no duration`, "30s"}},
		{"size", "cache:\n  size: big", nil, []string{"cache.size", "64MB"}},
		{"number", "http:\n  concurrency: many", nil, []string{"http.concurrency", "whole number"}},
		{"bool", "db:\n  migrate: perhaps", nil, []string{"db.migrate", "true nor false"}},
		{"variable", "", []string{"WARD_HTTP_READ_TIMEOUT=soon"}, []string{"WARD_HTTP_READ_TIMEOUT", "http.read-timeout", "no duration"}},
		{"zero", "http:\n  concurrency: 0", nil, []string{"http.concurrency", "1 or more"}},
		{"address", "", []string{"WARD_HTTP_LISTEN=8080"}, []string{"http.listen", "host:port"}},
		{"target", "target: [web, front]", nil, []string{"target", `"front" is no target`}},
		{"database", "db:\n  url: mysql://root:hunter2@x/y", nil, []string{"db.url", "postgres://"}},
		{"bus", "bus:\n  url: kafka://x", nil, []string{"bus.url", "nats:embedded"}},
		{"key", "key:\n  secret: short", nil, []string{"key.secret", "openssl rand"}},
		{"half of TLS", "http:\n  certificate: x.pem", nil, []string{"http.key"}},
		{"level", "log:\n  level: loud", nil, []string{"log.level", "debug, info, warn or error"}},
		{"ratio", "trace:\n  ratio: 3", nil, []string{"trace.ratio", "0 to 1"}},
		{"split target, embedded backends", "target: api", nil, []string{"db.url to postgres://", "bus.url to nats://", "blob.url to s3://", "target to all"}},
		{
			"split target, no key", "target: worker\ndb: {url: 'postgres://a:b@c/d'}\nbus: {url: 'nats://x'}\nblob: {url: 's3://k:s@h/b'}", nil,
			[]string{"key.secret"},
		},
	} {
		_, err := app.Load(write(t, row.yaml), row.env, nil)
		if err == nil {
			t.Errorf("%s: taken", row.name)
			continue
		}
		for _, want := range row.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q lacks %q", row.name, err, want)
			}
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: tells the password: %s", row.name, err)
		}
	}
	if _, err := app.Load("/no/such/file.yaml", nil, nil); err == nil || !strings.Contains(err.Error(), "can't be opened") {
		t.Error(err)
	}
}

func TestSettings_AreDescribedAndMasked(t *testing.T) {
	t.Parallel()
	c, err := app.Load("", []string{
		"WARD_DB_URL=postgres://ward_app:hunter2@db/ward?sslmode=disable&sslpassword=hunter2", "WARD_BUS_URL=nats://hunter2@a:4222,nats://u:hunter2@b:4222",
		"WARD_KEY_SECRET=aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMmh1bnQ=",
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, s := range c.Settings() {
		if s.Help == "" || !strings.HasSuffix(s.Help, ".") && !strings.HasSuffix(s.Help, "for people.") {
			t.Errorf("%s has no help", s.Key)
		}
		if seen[s.Env] || seen[s.Flag] {
			t.Errorf("%s is there twice", s.Key)
		}
		seen[s.Env], seen[s.Flag] = true, true
		if strings.Contains(s.Value, "hunter2") || strings.Contains(s.Value, "aHVudGVy") {
			t.Errorf("%s shows its secret: %s", s.Key, s.Value)
		}
		if s.Key == "db.url" && s.Value != "postgres://ward_app:xxxxx@db/ward?sslmode=disable&sslpassword=xxxxx" {
			t.Error(s.Value)
		}
	}
	if !seen["http-public-url"] || !seen["WARD_HTTP_OPS_LISTEN"] || !seen["db-owner-url"] || len(seen) < 60 {
		t.Errorf("settings %v", seen)
	}
}

func TestSources_UnknownVariablesAreNamed(t *testing.T) {
	t.Parallel()
	s, err := app.NewSources("", []string{"WARD_PORT=tcp://10.0.0.1:80", "WARD_CONFIG=x", "WARD_TEST_S3=y"})
	if err != nil || len(s.Unknown) != 1 || s.Unknown[0] != "WARD_PORT" {
		t.Errorf("%v %v", s, err)
	}
}

func TestSize(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]app.Size{"0": 0, "64MB": 64 << 20, "1.5 GB": 3 << 29, "512kb": 512 << 10, "64MiB": 64 << 20, "7": 7, "7B": 7} {
		var s app.Size
		if err := s.UnmarshalText([]byte(in)); err != nil || s != want {
			t.Errorf("%q: %d %v", in, s, err)
		}
	}
	for _, in := range []string{"", "MB", "-1MB", "1XB", "999999999TB"} {
		var s app.Size
		if err := s.UnmarshalText([]byte(in)); err == nil {
			t.Errorf("%q: %d", in, s)
		}
	}
	if got := app.Size(64<<20).String() + " " + app.Size(1025).String() + " " + app.Size(0).String(); got != "64MB 1025B 0" {
		t.Error(got)
	}
}
