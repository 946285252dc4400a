package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"ward/internal/app"
	"ward/internal/backend/bus/bustest"
	"ward/internal/backend/db/dbtest"
	"ward/internal/base/testenv"
	"ward/internal/kernel/access"
	"ward/internal/kernel/tenancy"
)

// cable is a way to a server that a test cuts and mends.
type cable struct {
	t       *testing.T
	to      string
	address string

	mu    sync.Mutex
	l     net.Listener
	conns []net.Conn
}

func newCable(t *testing.T, to string) *cable {
	t.Helper()
	c := &cable{t: t, to: to, address: "127.0.0.1:0"}
	c.mend()
	t.Cleanup(c.cut)
	return c
}

func (c *cable) mend() {
	c.t.Helper()
	l, err := net.Listen("tcp", c.address) //nolint:noctx // a test's
	if err != nil {
		c.t.Fatal(err)
	}
	c.address = l.Addr().String()
	c.mu.Lock()
	c.l = l
	c.mu.Unlock()
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", c.to) //nolint:noctx // a test's
			if err != nil {
				_ = in.Close()
				continue
			}
			c.mu.Lock()
			c.conns = append(c.conns, in, out)
			c.mu.Unlock()
			go func() { _, _ = io.Copy(out, in); _ = out.Close() }()
			go func() { _, _ = io.Copy(in, out); _ = in.Close() }()
		}
	}()
}

// cut ends all connections; further ones are refused, as by a machine whose server is gone.
func (c *cable) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.l != nil {
		_ = c.l.Close()
	}
	for _, conn := range c.conns {
		_ = conn.Close()
	}
	c.l, c.conns = nil, nil
}

// ownRedis is a server of the test's own, with nothing on the disk.
func ownRedis(t *testing.T) (url string, start, kill func()) {
	t.Helper()
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		testenv.Missing(t, "redis-server is not installed")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test's
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	_ = l.Close()
	var server *exec.Cmd
	dir := t.TempDir()
	kill = func() {
		if server != nil {
			_ = server.Process.Kill()
			_ = server.Wait()
			server = nil
		}
	}
	t.Cleanup(kill)
	start = func() {
		server = exec.CommandContext(context.WithoutCancel(t.Context()), binary, "--bind", "127.0.0.1", "--port", port, "--save", "", "--dir", dir) //nolint:gosec // a test's
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
	}
	return "redis://127.0.0.1:" + port, start, kill
}

// clinicians is two processes on one PostgreSQL, Redis and NATS, each of which the test stops.
type clinicians struct {
	t          *testing.T
	a, b       *app.App
	token      string
	slug       string
	postgres   *cable
	bus        *bustest.Server
	start, end func() // of Redis
}

func newClinicians(t *testing.T) *clinicians {
	t.Helper()
	const secret = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="
	c := &clinicians{t: t, slug: "st-marys"}
	whole := dbtest.PostgresURL(t)
	before, rest, _ := strings.Cut(whole, "@")
	host, path, _ := strings.Cut(rest, "/")
	c.postgres = newCable(t, host)
	url := before + "@" + c.postgres.address + "/" + path
	c.bus = bustest.NewServer(t)
	c.bus.Start()
	redisURL, start, end := ownRedis(t)
	c.start, c.end = start, end
	start()
	configure := func() app.Config {
		config := scaled(t, "all", secret)
		config.DB.URL, config.Cache.URL, config.Bus.URL = url, redisURL, c.bus.URL()
		return config
	}
	awaited(t, "the bus", func() bool {
		conn, err := net.Dial("tcp", strings.TrimPrefix(c.bus.URL(), "nats://")) //nolint:noctx // a test's
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	c.a, c.b = started(t, configure()), started(t, configure())
	made, err := c.a.Tenants.Create(t.Context(), c.slug, "", tenancy.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	if c.token, _, err = c.a.Tokens.Create(t.Context(), made.Tenant, access.Admin, "", 0); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"1", "back", "never-asked"} {
		if status, text, _ := c.ask(c.a, "PUT", "fhir/Patient/"+id, `{"resourceType":"Patient","id":"`+id+`"}`); status != 201 {
			t.Fatal(status, text)
		}
	}
	return c
}

func (c *clinicians) ask(at *app.App, method, path, body string) (int, string, http.Header) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.t.Context()), 20*time.Second)
	defer cancel()
	if !strings.HasPrefix(path, "fhir/") {
		path = "calendar/" + path
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://"+at.Addr()+"/t/"+c.slug+"/"+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+c.token)
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return res.StatusCode, string(text), res.Header
}

// put makes or replaces the event of the test with a title, at a process, and gives how long until the other process shows it.
func (c *clinicians) put(at *app.App, id *string, title string) time.Duration {
	c.t.Helper()
	method, path, want := "POST", "events", 201
	if *id != "" {
		method, path, want = "PUT", "events/"+*id, 200
	}
	status, text, _ := c.ask(at, method, path, fmt.Sprintf(`{"organization":"Organization/1","subscribers":["Patient/1"],"title":%q,"start":%q,"end":%q}`, title, c.day(10), c.day(11)))
	if status != want {
		c.t.Fatalf("%s %s: %d %s", method, path, status, text)
	}
	var made struct{ ID string }
	if err := json.Unmarshal([]byte(text), &made); err != nil {
		c.t.Fatal(err)
	}
	*id = made.ID
	began := time.Now()
	for _, other := range []*app.App{c.a, c.b} {
		awaited(c.t, title+" is shown", func() bool {
			status, text, _ := c.ask(other, "GET", c.window("Patient/1"), "")
			return status == 200 && strings.Contains(text, title)
		})
	}
	return time.Since(began)
}

func (c *clinicians) day(n int) string {
	now := time.Now().UTC()
	return time.Date(now.Year(), now.Month(), n, 0, 0, 0, 0, time.UTC).Format(time.DateOnly)
}

func (c *clinicians) window(subscriber string) string {
	return "events?from=" + c.day(1) + "&to=" + c.day(28) + "&subscriber=" + subscriber
}

// TestCalendar_Faults stops Redis, the bus and the database under two processes, one after another.
func TestCalendar_Faults(t *testing.T) {
	t.Parallel()
	c := newClinicians(t)
	id := ""
	const bound = time.Second
	shown := func(what string, took time.Duration) {
		t.Helper()
		t.Logf("%s: shown at both after %v", what, took.Round(time.Millisecond))
		if took > bound {
			t.Errorf("%s: shown after %v", what, took)
		}
	}
	c.put(c.a, &id, "first")
	shown("all is well", max(c.put(c.a, &id, "second"), c.put(c.b, &id, "third")))

	c.end()
	shown("without Redis", max(c.put(c.a, &id, "fourth"), c.put(c.b, &id, "fifth")))
	c.start()
	shown("with Redis again", max(c.put(c.a, &id, "sixth"), c.put(c.b, &id, "seventh")))

	c.bus.Kill()
	shown("without the bus", max(c.put(c.a, &id, "eighth"), c.put(c.b, &id, "ninth")))
	c.end()
	shown("without the bus and Redis", max(c.put(c.a, &id, "tenth"), c.put(c.b, &id, "eleventh")))
	c.start()
	c.bus.Start()
	shown("with both again", max(c.put(c.a, &id, "twelfth"), c.put(c.b, &id, "thirteenth")))

	// What is cached is answered without the database; it is marked, nothing else is answered, and it is in the log afterwards.
	awaited(t, "the processes serve from memory", func() bool {
		hits := func(at *app.App) int64 { return at.Backends.Cache.Stats().Hits }
		a, b := hits(c.a), hits(c.b)
		c.ask(c.a, "GET", c.window("Patient/1"), "")
		c.ask(c.b, "GET", c.window("Patient/1"), "")
		return hits(c.a) > a && hits(c.b) > b && c.a.Backends.Cache.Stats().Peers == 1
	})
	c.postgres.cut()
	away := time.Now()
	answered := 0
	pace := time.NewTicker(5 * time.Millisecond)
	defer pace.Stop()
	for time.Since(away) < 4*time.Second {
		<-pace.C
		for _, at := range []*app.App{c.a, c.b} {
			status, text, h := c.ask(at, "GET", c.window("Patient/1"), "")
			marked := h.Get("Warning") == `110 - "Response is Stale"` && h.Get("Age") != ""
			if status != 200 || !strings.Contains(text, "thirteenth") || time.Since(away) > 3*time.Second && !marked {
				t.Fatalf("after %v without the database: %d %s, %v", time.Since(away), status, text, h)
			}
			answered++
		}
	}
	for _, q := range []struct{ method, path, body string }{
		{"GET", c.window("Patient/never-asked"), ""},
		{"POST", "events", fmt.Sprintf(`{"organization":"Organization/1","subscribers":["Patient/1"],"title":"no","start":%q,"end":%q}`, c.day(10), c.day(11))},
	} {
		if status, text, _ := c.ask(c.a, q.method, q.path, q.body); status != 503 {
			t.Errorf("%s %s without the database: %d %s", q.method, q.path, status, text)
		}
	}
	c.postgres.mend()
	awaited(t, "the database is back", func() bool {
		status, text, h := c.ask(c.a, "GET", c.window("Patient/back"), "")
		return status == 200 && !strings.Contains(text, "title") && h.Get("Warning") == ""
	})
	shown("with the database again", max(c.put(c.a, &id, "fourteenth"), c.put(c.b, &id, "fifteenth")))
	t.Logf("%d answers without the database", answered)
}
