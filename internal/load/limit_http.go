package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// ServeBytes is the bare server: net/http answering every request with the same bytes, as little as a Go server can do.
// It prints its address on out and serves until ctx is done.
func ServeBytes(ctx context.Context, body []byte, out io.Writer) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	length := strconv.Itoa(len(body))
	server := &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			h := w.Header()
			h.Set("Content-Type", "application/fhir+json; charset=utf-8")
			h.Set("Content-Length", length)
			h.Set("Etag", `W/"1"`)
			h.Set("Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT")
			_, _ = w.Write(body)
		}),
	}
	fmt.Fprintln(out, listener.Addr())
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// LimitHTTP starts the bare server in a process of its own, as `ward load limit-http`, and drives it with the same
// client over as many connections as Ward was driven.
func LimitHTTP(ctx context.Context, name, title string, body []byte, connections int, d time.Duration) (Limit, error) {
	l := Limit{Name: name, Title: title}
	self, err := os.Executable()
	if err != nil {
		return l, err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	child := exec.CommandContext(ctx, self, "load", "limit-http") //nolint:gosec // this program
	child.Stdin = strings.NewReader(string(body))
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		return l, err
	}
	if err := child.Start(); err != nil {
		return l, err
	}
	defer func() { stop(); _ = child.Wait() }()
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return l, fmt.Errorf("the bare server did not start: %w", err)
	}
	return drive(ctx, l, Target{Address: strings.TrimSpace(address), Base: "/t/demo/fhir", Token: strings.Repeat("x", 43)}, connections, d)
}

func drive(ctx context.Context, l Limit, target Target, connections int, d time.Duration) (Limit, error) {
	work := Workload{Name: l.Name, do: func(ctx context.Context, w *worker) error {
		_, err := w.to("/Observation/0198c0de-0000-7000-8000-000000000000").send(ctx, "GET", nil, 1)
		return err
	}}
	r, err := measureRun(ctx, target, &environment{}, work, loop{connections: connections}, Options{Duration: d, Warmup: d / 5})
	l.PerSecond, l.P50, l.P99 = r.PerSecond, r.P50, r.P99
	return l, err
}

// AnswerTo returns the body that the server answers a path below the FHIR base with.
func AnswerTo(ctx context.Context, target Target, path string) ([]byte, error) {
	c := newConn(target)
	defer c.close()
	a, err := c.do(ctx, "GET", []byte(path), nil)
	if err != nil {
		return nil, err
	}
	if a.Status != http.StatusOK {
		return nil, fmt.Errorf("GET %s: status %d: %.300s", path, a.Status, a.Body)
	}
	return a.Body, nil
}

// HTTPLimits measures net/http with the bytes of Ward's own answer to a read and to a chart.
func HTTPLimits(ctx context.Context, target Target, p Population, connections int, d time.Duration, each func(Limit)) error {
	env := &environment{Population: p}
	if err := env.collectIDs(ctx, target, 1); err != nil {
		return err
	}
	questions := []struct{ name, title, path string }{
		{"http-read", "net/http answering the bytes of a read", "/Observation/" + string(env.ids[0])},
		{"http-chart", "net/http answering the bytes of a chart", fmt.Sprintf("/Observation?patient=%s&code=%s&_sort=-date&_count=20", patientID(0), measureOf(0, 0).loinc)},
	}
	for _, q := range questions {
		body, err := AnswerTo(ctx, target, q.path)
		if err != nil {
			return err
		}
		l, err := LimitHTTP(ctx, q.name, q.title, body, connections, d)
		report(l, err, each)
	}
	return ctx.Err()
}
