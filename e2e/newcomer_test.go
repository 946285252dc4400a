package e2e

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// demo is what `ward demo` writes to DIR/demo.json.
type demo struct {
	Tenants []struct {
		Slug   string            `json:"slug"`
		FHIR   string            `json:"fhir"`
		Tokens map[string]string `json:"tokens"`
	} `json:"tenants"`
}

func openDemo(t *testing.T, dir, listen string) (*process, demo, time.Duration) {
	t.Helper()
	file := filepath.Join(dir, "demo.json")
	started := time.Now()
	p := launch(t, nil, "demo", "--data", dir, "--listen", listen, "--ops-listen", "127.0.0.1:0")
	var d demo
	if err := p.await(60*time.Second, func() bool {
		info, err := os.Stat(file)
		if err != nil || info.ModTime().Before(started) {
			return false
		}
		text, err := os.ReadFile(file)
		return err == nil && json.Unmarshal(text, &d) == nil
	}); err != nil {
		t.Fatal(err)
	}
	return p, d, time.Since(started)
}

// TestNewcomer_DemoInTwoMinutes: the promises of the README's first page.
func TestNewcomer_DemoInTwoMinutes(t *testing.T) {
	dir, listen := filepath.Join(t.TempDir(), "data"), freeAddress(t)
	p, d, took := openDemo(t, dir, listen)
	if took > 20*time.Second {
		t.Errorf("the first start took %s, want less than 20 s", took)
	}
	t.Logf("first start: %s", took)
	info, err := os.Stat(filepath.Join(dir, "demo.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("demo.json: %v, mode %v; it holds tokens and must be 0600", err, info.Mode())
	}
	if len(d.Tenants) != 2 || d.Tenants[0].Slug != "demo" {
		t.Fatalf("tenants: %+v", d.Tenants)
	}
	f := newFHIR(d.Tenants[0].FHIR, d.Tenants[0].Tokens["clinician"])
	total, _ := f.want(t, 200, "GET", "/Patient?_summary=count", "").decode(t)["total"].(float64)
	if total < 80 || total > 150 {
		t.Errorf("%v patients, want about 100", total)
	}
	p.triesItsOwnCurlLines(t, f.token)

	other := newFHIR(d.Tenants[1].FHIR, d.Tenants[0].Tokens["clinician"])
	r, err := other.do(t.Context(), "GET", "/Patient", "")
	if err != nil || r.status < 400 {
		t.Errorf("a token of the first tenant opens the second: %v %d", err, r.status)
	}
	kept := f.token
	f.token = ""
	f.want(t, 401, "GET", "/Patient", "")
	f.want(t, 200, "GET", "/metadata", "")
	if code := p.stop(10 * time.Second); code != 0 {
		t.Errorf("Ctrl-C ends with exit code %d, want 0", code)
	}

	p, d, took = openDemo(t, dir, listen)
	if took > time.Second {
		t.Errorf("the second start took %s, want less than 1 s", took)
	}
	t.Logf("second start: %s", took)
	f = newFHIR(d.Tenants[0].FHIR, kept) // a token goes on being good
	if again := f.want(t, 200, "GET", "/Patient?_summary=count", "").decode(t)["total"]; again != total {
		t.Errorf("%v patients after the second start, want %v", again, total)
	}
	if code := p.stop(10 * time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	onlyOwners(t, dir)
}

// triesItsOwnCurlLines runs what the demo says is worth trying.
func (p *process) triesItsOwnCurlLines(t *testing.T, token string) {
	t.Helper()
	if err := p.await(5*time.Second, func() bool { return strings.Contains(p.log.String(), "Ctrl-C") }); err != nil {
		t.Error(err)
	}
	lines := regexp.MustCompile(`(?m)^\s*(curl .*)$`).FindAllStringSubmatch(p.log.String(), -1)
	if len(lines) < 3 {
		t.Errorf("%d curl lines, want 3: %s", len(lines), p.log.String())
	}
	for _, line := range lines {
		c := exec.CommandContext(t.Context(), "bash", "-c", strings.Replace(line[1], "curl ", "curl -S -f ", 1)) //nolint:gosec // what the demo printed
		c.Env = append(os.Environ(), "TOKEN="+token)
		out, err := c.CombinedOutput()
		if err != nil || !json.Valid(out) {
			t.Errorf("%s: %v: %.300s", line[1], err, out)
		}
	}
}

// onlyOwners: what lies in the data folder is not for other users of the machine.
func onlyOwners(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && path == dir && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s can be entered by others: %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
