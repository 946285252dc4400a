package app_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"ward/internal/app"
	"ward/internal/backend/db"
	"ward/internal/backend/db/dbtest"
	"ward/internal/base/scope"
	"ward/internal/kernel/access"
	"ward/internal/kernel/identity/people"
	"ward/internal/kernel/module"
	"ward/internal/kernel/tenancy"
	"ward/internal/kernel/tiers"
)

// neighbour is one of two tenants that have everything under the same ids, keys and addresses, each with a word of its own in it.
type neighbour struct {
	slug, word string
	tenant     tenancy.Tenant
	ctx        context.Context //nolint:containedctx // the tenant's, as the system
	token, id  string          // of a program, and its id in the audit log
	auditor    string
	other      *neighbour
}

// street is the two tenants in one Ward of one or two processes.
type street struct {
	t      *testing.T
	config app.Config
	apps   []*app.App
	both   []*neighbour
	log    *lines

	mu   sync.Mutex
	seen map[int32][]string // data of events that consumers were given, by the tenant in whose scope
	raw  []string           // messages on the bus: subject and bytes
}

// lines keeps what is logged.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// eachStreet runs a test in an embedded Ward, and in two processes on PostgreSQL, Redis, NATS and S3.
func eachStreet(t *testing.T, test func(t *testing.T, s *street)) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		test(t, newStreet(t, embedded(t), 1))
	})
	t.Run("scaled out", func(t *testing.T) {
		t.Parallel()
		test(t, newStreet(t, ownServers(t), 2))
	})
}

func newStreet(t *testing.T, c app.Config, processes int) *street {
	t.Helper()
	s := &street{t: t, config: c, log: &lines{}, seen: map[int32][]string{}}
	listener := module.Module{Name: "listener", Consumers: []module.Consumer{{Name: "listener", Subject: "test.heard", Handle: func(ctx context.Context, e module.Event) error {
		sc, _ := scope.From(ctx)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.seen[sc.Tenant.ID] = append(s.seen[sc.Tenant.ID], string(e.Data))
		return nil
	}}}}
	for range processes {
		a, err := app.Open(t.Context(), c, app.Options{
			Version: "test", Log: slog.New(slog.NewJSONHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})), Extra: []module.Module{listener},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = a.Stop(context.WithoutCancel(t.Context())) })
		if err := a.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.apps = append(s.apps, a)
	}
	stop, err := s.apps[0].Backends.Bus.Listen([]string{"ward.>"}, func(subject string, data []byte) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.raw = append(s.raw, subject+" "+string(data))
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	for _, slug := range []string{"general", "other"} {
		n := &neighbour{slug: slug, word: "Wordof" + slug}
		if n.tenant, err = s.apps[0].Tenants.Create(t.Context(), slug, "", tenancy.Settings{}); err != nil {
			t.Fatal(err)
		}
		n.ctx = scope.With(t.Context(), scope.Scope{Tenant: n.tenant.Tenant, Principal: scope.Principal{ID: "system", Role: "system"}})
		token, made, err := s.apps[0].Tokens.Create(t.Context(), n.tenant.Tenant, access.Integration, "", 0)
		if err != nil {
			t.Fatal(err)
		}
		n.token, n.id = token, made.ID
		if n.auditor, _, err = s.apps[0].Tokens.Create(t.Context(), n.tenant.Tenant, access.Auditor, "", 0); err != nil {
			t.Fatal(err)
		}
		s.both = append(s.both, n)
	}
	s.both[0].other, s.both[1].other = s.both[1], s.both[0]
	for _, n := range s.both {
		s.furnish(n)
	}
	return s
}

func (s *street) ask(a *app.App, slug, token, method, path, body string) (int, string) {
	s.t.Helper()
	return asked(s.t, a, slug, token, method, path, body)
}

// asked asks a process as somebody of a tenant.
func asked(t *testing.T, a *app.App, slug, token, method, path, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+a.Addr()+"/t/"+slug+"/"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		r.Header.Set("Content-Type", "application/fhir+json")
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// furnish fills a tenant: resources in two versions, an event in a calendar, an account, a blob, cached values, an event in the outbox.
func (s *street) furnish(n *neighbour) {
	s.t.Helper()
	one := s.apps[0]
	for i := range 12 {
		for path, json := range map[string]string{
			fmt.Sprint("Patient/p", i):     fmt.Sprintf(`{"resourceType":"Patient","id":"p%d","name":[{"family":"%s"}],"identifier":[{"system":"http://x","value":"same"}]}`, i, n.word),
			fmt.Sprint("Observation/o", i): fmt.Sprintf(`{"resourceType":"Observation","id":"o%d","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8867-4"}],"text":"%s"},"subject":{"reference":"Patient/p0"},"valueString":"%s"}`, i, n.word, n.word),
		} {
			for range 2 {
				if status, body := s.ask(one, n.slug, n.token, http.MethodPut, "fhir/"+path, json); status != 200 && status != 201 {
					s.t.Fatalf("%d %s", status, body)
				}
			}
		}
	}
	desk, _, err := one.Tokens.Create(s.t.Context(), n.tenant.Tenant, access.FrontDesk, "", 0)
	if err != nil {
		s.t.Fatal(err)
	}
	event := fmt.Sprintf(`{"organization":"Organization/1","subscribers":["Patient/p0"],"title":"%s","start":"2026-03-12T09:00:00","end":"2026-03-12T10:00:00","tz":"UTC"}`, n.word)
	if status, body := s.ask(one, n.slug, desk, http.MethodPost, "calendar/events", event); status != 201 {
		s.t.Fatalf("%d %s", status, body)
	}
	if err := one.People.Plant(n.ctx, people.Invitation{Email: "same@example.org", Name: n.word, Role: access.Admin}, "a long enough password 7", "JBSWY3DPEHPK3PXP"); err != nil {
		s.t.Fatal(err)
	}
	if _, err := one.Backends.Blobs.Put(n.ctx, "same/blob", "text/plain", strings.NewReader(n.word), int64(len(n.word))); err != nil {
		s.t.Fatal(err)
	}
	err = one.Backends.DB.Write(n.ctx, func(ctx context.Context, tx db.Tx) error {
		return one.Outbox.Enqueue(ctx, tx, module.Event{Subject: "test.heard", Data: []byte(`"` + n.word + `"`)})
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// busy asks for both tenants at every process until the function that it returns is called.
func (s *street) busy() (calm func()) {
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for _, a := range s.apps {
		for _, n := range s.both {
			clients.Go(func() {
				l := &load{t: s.t, slug: n.slug, token: n.token}
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					for _, path := range []string{"Patient/p0", "Observation?patient=p0&_count=5", "Patient?name=word"} {
						if status, body := l.send(a, "GET", path, ""); status != 200 || strings.Contains(body, n.other.word) || !strings.Contains(body, n.word) {
							l.fail("GET", path, status, body)
						}
					}
					body := fmt.Sprintf(`{"resourceType":"Patient","id":"p0","name":[{"family":"%s"}],"multipleBirthInteger":%d}`, n.word, i)
					if status, text := l.send(a, "PUT", "Patient/p0", body); status != 200 || strings.Contains(text, n.other.word) {
						l.fail("PUT", "Patient/p0", status, text)
					}
				}
			})
		}
	}
	return func() { close(stop); clients.Wait() }
}

// TestLeak_NeighboursSeeNothingOfEachOther: two tenants with the same ids, keys and addresses for everything; each seam gives each its own, before one of them is moved to a database of its
// own, while it is, and after.
func TestLeak_NeighboursSeeNothingOfEachOther(t *testing.T) {
	t.Parallel()
	eachStreet(t, func(t *testing.T, s *street) {
		seams := func(when string) {
			t.Helper()
			for _, seam := range []struct {
				name string
				look func()
			}{
				{"records and cursors", s.records},
				{"accounts", s.accounts},
				{"cache", s.cached},
				{"bus", s.heard},
				{"blobs", s.blobs},
				{"exports", s.exports},
				{"audit", s.trails},
				{"metrics and log", s.outside},
			} {
				failed := t.Failed()
				seam.look()
				if t.Failed() && !failed {
					t.Errorf("the first that leaked: %s, %s", seam.name, when)
				}
			}
		}
		seams("at first")
		to := tiers.Place{Home: "sqlite:" + t.TempDir()}
		if len(s.apps) > 1 {
			to.Home = dbtest.PostgresURL(t)
		}
		calm := s.busy()
		mustMove(t, s.apps[0], "general", to)
		s.exports() // while the old place is still there
		calm()
		for _, n := range s.both { // what the load changed is made new
			s.furnish(n)
		}
		seams("after the move")
		if len(s.apps) == 1 {
			shown(t, s.config.Data)
		}
	})
}

// nextLink is the address of the next page of a Bundle.
func nextLink(body string) string {
	for part := range strings.SplitSeq(body, `{"relation":"next","url":"`) {
		if part != body && !strings.HasPrefix(body, part) {
			address, _, _ := strings.Cut(part, `"`)
			return strings.ReplaceAll(address, `\u0026`, "&")
		}
	}
	return ""
}

// shown looks for words of bodies in the files of the data folder. Names are in the index as they are, folded, so the words keep their capital.
func shown(t *testing.T, dir string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !d.Type().IsRegular() {
			return err
		}
		files++
		content, err := os.ReadFile(path)
		if bytes.Contains(content, []byte("Wordof")) {
			t.Errorf("%s shows what was written", filepath.Base(path))
		}
		return err
	})
	if err != nil || files == 0 {
		t.Error(files, err)
	}
}
