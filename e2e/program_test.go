package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binary is the program under test.
var binary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if binary = os.Getenv("WARD_BINARY"); binary == "" {
		dir, err := os.MkdirTemp("", "ward-e2e-*")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = os.RemoveAll(dir) }()
		binary = filepath.Join(dir, "ward")
		build := exec.CommandContext(context.Background(), "go", "build", "-o", binary, "ward/cmd/ward")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
			return 1
		}
	}
	path, err := filepath.Abs(binary)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	binary = path
	return m.Run()
}

// process is one running Ward.
type process struct {
	*exec.Cmd
	log  lockedBuffer
	done chan struct{} // closed when it has ended
	err  error         // why, valid after done
}

// launch starts Ward. It is killed when the test ends, unless it has ended before.
func launch(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.CommandContext(context.Background(), binary, args...), done: make(chan struct{})} //nolint:gosec // the program under test
	p.Env = append(withoutWard(os.Environ()), env...)
	p.Dir = t.TempDir()
	p.Stdout, p.Stderr = &p.log, &p.log
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.err = p.Wait(); close(p.done) }()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("the end of what ward %s said:\n%s", strings.Join(args, " "), p.log.tail(4000))
		}
	})
	return p
}

// withoutWard drops WARD_* variables, so that the tests' own surroundings configure nothing.
func withoutWard(env []string) []string {
	var out []string
	for _, v := range env {
		if !strings.HasPrefix(v, "WARD_") {
			out = append(out, v)
		}
	}
	return out
}

func (p *process) kill() {
	_ = p.Process.Kill()
	<-p.done
}

// stop interrupts it as Ctrl-C does and returns its exit code, -1 when it did not end within the time.
func (p *process) stop(within time.Duration) int {
	_ = p.Process.Signal(syscall.SIGINT)
	select {
	case <-p.done:
		return p.ProcessState.ExitCode()
	case <-time.After(within):
		p.kill()
		return -1
	}
}

// await polls until ok, the process ends or the time is over.
func (p *process) await(within time.Duration, ok func() bool) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	late := time.After(within)
	for {
		if ok() {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("it ended: %w", errors.Join(p.err, errors.New(p.log.tail(2000))))
		case <-late:
			return fmt.Errorf("not ready in %s: %s", within, p.log.tail(2000))
		case <-tick.C:
		}
	}
}

// command runs Ward to its end and returns what it printed.
func command(t *testing.T, env []string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, binary, args...) //nolint:gosec // the program under test
	c.Env = append(withoutWard(os.Environ()), env...)
	c.Dir = t.TempDir()
	var out, problems bytes.Buffer
	c.Stdout, c.Stderr = &out, &problems
	if err := c.Run(); err != nil {
		return out.String(), fmt.Errorf("ward %s: %w: %s", strings.Join(args, " "), err, problems.String())
	}
	return out.String(), nil
}

// lockedBuffer is written by the process and read by the test.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (b *lockedBuffer) tail(n int) string {
	text := b.String()
	return text[max(0, len(text)-n):]
}

// freeAddress is an address of this machine that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// fhir is one FHIR endpoint and a caller's token.
type fhir struct {
	base   string
	token  string
	client *http.Client
}

func newFHIR(base, token string) *fhir {
	return &fhir{base: base, token: token, client: &http.Client{
		Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 32},
	}}
}

// reply is an answer, read whole.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func (r reply) decode(t *testing.T) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(r.body, &v); err != nil {
		t.Fatalf("status %d, not JSON: %v: %.300s", r.status, err, r.body)
	}
	return v
}

// do sends one request below the base. The header's lines are "Name: value".
func (f *fhir) do(ctx context.Context, method, path, body string, header ...string) (reply, error) {
	req, err := http.NewRequestWithContext(ctx, method, f.base+path, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	if f.token != "" {
		req.Header.Set("Authorization", "Bearer "+f.token)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/fhir+json")
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Set(name, value)
	}
	res, err := f.client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	return reply{res.StatusCode, res.Header, b}, err
}

// want sends one request and fails the test unless it is answered with the status.
func (f *fhir) want(t *testing.T, status int, method, path, body string, header ...string) reply {
	t.Helper()
	r, err := f.do(t.Context(), method, path, body, header...)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	if r.status != status {
		t.Fatalf("%s %s: status %d, want %d: %.500s", method, path, r.status, status, r.body)
	}
	return r
}
