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
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"ward/internal/app"
	"ward/internal/backend/blob"
	"ward/internal/backend/db"
	"ward/internal/backend/db/dbtest"
	"ward/internal/base/scope"
	"ward/internal/kernel/access"
	"ward/internal/kernel/audit"
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

// paths are asked for as each tenant.
func paths() []string {
	return []string{
		"fhir/Patient/p0", "fhir/Patient/p0/_history", "fhir/Patient/p0/_history/1", "fhir/Patient?identifier=http://x|same", "fhir/Patient?name=word",
		"fhir/Observation?patient=p0&_count=5", "fhir/Observation?patient=p0&code=8867-4", "fhir/Observation?_count=5", "fhir/Observation?patient=p0&_include=Observation:patient",
		"fhir/Patient?_revinclude=Observation:patient&_count=3", "fhir/Observation/_history?_count=5", "fhir/_history?_count=5", "fhir/Patient/p0/$everything?_count=5", "fhir/Patient/p0/Observation",
		"fhir/Observation?patient.name=wordofother", "fhir/Patient?_has:Observation:patient:code=8867-4",
		"calendar/events?subscriber=Patient/p0&from=2026-03-01&to=2026-04-01", "calendar/events.ics?subscriber=Patient/p0", "calendar/sync?subscriber=Patient/p0",
	}
}

// records asks for everything as each tenant, at every process, and hands the cursors of one to the other.
func (s *street) records() {
	t := s.t
	t.Helper()
	for range 2 { // from the database, then from the cache
		for _, n := range s.both {
			seen, cursors := false, 0
			for i, path := range paths() {
				a := s.apps[i%len(s.apps)]
				status, body := s.ask(a, n.slug, n.token, http.MethodGet, path, "")
				if status != 200 {
					t.Errorf("%s %s: %d %s", n.slug, path, status, body)
				}
				if strings.Contains(body, n.other.word) {
					t.Errorf("%s %s: it has %s's word", n.slug, path, n.other.slug)
				}
				if !strings.Contains(body, n.word) && path != "fhir/Observation?patient.name=wordofother" && !strings.HasPrefix(path, "calendar/sync") {
					t.Errorf("%s %s: it has not its own word", n.slug, path)
				}
				seen = seen || strings.Contains(body, n.word)
				next := nextLink(body)
				if next == "" {
					continue
				}
				cursors++
				stolen := strings.Replace(next[strings.Index(next, "fhir"):], "/t/"+n.slug+"/", "/t/"+n.other.slug+"/", 1)
				status, body = s.ask(a, n.other.slug, n.other.token, http.MethodGet, stolen, "")
				if status == 200 || strings.Contains(body, n.word) {
					t.Errorf("%s takes a cursor of %s (%s): %d", n.other.slug, n.slug, path, status)
				}
				if status, body = s.ask(a, n.slug, n.token, http.MethodGet, next[strings.Index(next, "fhir"):], ""); status != 200 || strings.Contains(body, n.other.word) {
					t.Errorf("%s: the next page of %s: %d", n.slug, path, status)
				}
			}
			if !seen || cursors < 3 {
				t.Errorf("%s does not see its own (%v), or has %d cursors", n.slug, seen, cursors)
			}
			if status, body := s.ask(s.apps[0], n.slug, n.other.token, http.MethodGet, paths()[0], ""); status == 200 || strings.Contains(body, n.word) {
				t.Errorf("%s is read with a token of %s: %d", n.slug, n.other.slug, status)
			}
		}
	}
}

// accounts of the same address are two.
func (s *street) accounts() {
	for _, n := range s.both {
		who, err := s.apps[0].People.ByEmail(n.ctx, "same@example.org")
		if err != nil || who.Name.Reveal() != n.word {
			s.t.Errorf("%s: the account of the address is another's: %v", n.slug, err)
		}
		if _, err := s.apps[0].People.Get(n.other.ctx, who.ID); err == nil {
			s.t.Errorf("%s has the account of %s", n.other.slug, n.slug)
		}
	}
}

// cached values under the same key are two, in every process and in the second tier.
func (s *street) cached() {
	t := s.t
	t.Helper()
	for _, n := range s.both {
		if err := s.apps[0].Backends.Cache.SetFixed(n.ctx, []byte("same"), []byte(n.word), time.Hour); err != nil {
			t.Fatal(err)
		}
		awaited(t, "answers are kept", func() bool {
			lease, err := s.apps[0].Backends.Cache.Begin(n.ctx)
			if err != nil {
				t.Fatal(err)
			}
			lease.Store([]byte("same"), []byte(n.word))
			_, ok, err := s.apps[0].Backends.Cache.Get(n.ctx, []byte("same"))
			return ok && err == nil
		})
	}
	for _, a := range s.apps {
		for _, n := range s.both {
			for name, get := range map[string]func(context.Context, []byte) ([]byte, bool, error){"tagged": a.Backends.Cache.Get, "fixed": a.Backends.Cache.GetFixed} {
				value, ok, err := get(n.ctx, []byte("same"))
				if err != nil || ok && string(value) != n.word || !ok && a == s.apps[0] {
					t.Errorf("%s: the %s value is %q (%v) %v", n.slug, name, value, ok, err)
				}
			}
		}
	}
}

// heard: events come to consumers in the scope of their tenant, and messages on the bus show no word.
func (s *street) heard() {
	t := s.t
	t.Helper()
	awaited(t, "both events are heard", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.seen[s.both[0].tenant.ID]) > 0 && len(s.seen[s.both[1].tenant.ID]) > 0
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.both {
		for _, data := range s.seen[n.tenant.ID] {
			if data != `"`+n.word+`"` {
				t.Errorf("%s was told %s", n.slug, data)
			}
		}
	}
	if len(s.seen) != 2 || len(s.raw) == 0 {
		t.Errorf("%d tenants were told, %d messages seen", len(s.seen), len(s.raw))
	}
	for _, m := range s.raw {
		if strings.Contains(m, "Wordof") {
			t.Errorf("a message shows what it says: %.60q", m)
		}
	}
}

// blobs under the same key are two; what one tenant stored does not open in the place of the other's.
func (s *street) blobs() {
	t := s.t
	t.Helper()
	read := func(a *app.App, n *neighbour) (string, error) {
		r, _, err := a.Backends.Blobs.Get(n.ctx, "same/blob")
		if err != nil {
			return "", err
		}
		defer r.Close()
		text, err := io.ReadAll(r)
		return string(text), err
	}
	stored := func(n *neighbour) string { return fmt.Sprintf("t/%d/same/blob", n.tenant.ID) }
	bare := bareBlobs(t, &s.config)
	kept := map[*neighbour][]byte{}
	for _, n := range s.both {
		for _, a := range s.apps {
			if text, err := read(a, n); err != nil || text != n.word {
				t.Errorf("%s reads %q %v", n.slug, text, err)
			}
		}
		for b, err := range s.apps[0].Backends.Blobs.List(n.ctx, "same", "") {
			if err != nil || b.Key != "same/blob" {
				t.Errorf("%s lists %q %v", n.slug, b.Key, err)
			}
		}
		o, err := bare.Open(t.Context(), stored(n), blob.Span{Length: -1})
		if err != nil {
			t.Fatal(err)
		}
		kept[n], err = io.ReadAll(o.Body)
		if _ = o.Body.Close(); err != nil || bytes.Contains(kept[n], []byte("Wordof")) {
			t.Errorf("%s: it shows what it holds, or %v", stored(n), err)
		}
	}
	put := func(n *neighbour, content []byte) {
		if err := bare.Put(t.Context(), stored(n), bytes.NewReader(content), int64(len(content))); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range s.both {
		put(n, kept[n.other])
		if text, err := read(s.apps[0], n); err == nil || strings.Contains(text, n.other.word) {
			t.Errorf("%s reads what %s stored: %q", n.slug, n.other.slug, text)
		}
		put(n, kept[n])
	}
}

// exports hold nothing of the other, opened as far as they open.
func (s *street) exports() {
	t := s.t
	t.Helper()
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range s.both {
		var archive bytes.Buffer
		if _, err := s.apps[0].Tiers.Export(t.Context(), n.slug, &archive, []age.Recipient{key.Recipient()}, nil); err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(bytes.ToLower(archive.Bytes()), []byte("wordof")) {
			t.Errorf("the archive of %s can be read", n.slug)
		}
		opened, err := age.Decrypt(&archive, key)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := zstd.NewReader(opened)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(plain)
		plain.Close()
		if err != nil {
			t.Fatal(err)
		}
		text = bytes.ToLower(text) // names are in the index, folded
		if bytes.Contains(text, []byte(strings.ToLower(n.other.word))) || !bytes.Contains(text, []byte(strings.ToLower(n.word))) || bytes.Contains(text, []byte(n.other.id)) {
			t.Errorf("the archive of %s has what is %s's, or not its own", n.slug, n.other.slug)
		}
	}
}

// trails tell of what was done in their own tenant, by its own.
func (s *street) trails() {
	t := s.t
	t.Helper()
	for _, n := range s.both {
		for _, path := range []string{"audit/events?_count=200", "audit/events?patient=Patient/p0&_count=200", "audit/export"} {
			status, body := s.ask(s.apps[0], n.slug, n.auditor, http.MethodGet, path, "")
			if status != 200 || strings.Contains(body, "Wordof") || strings.Contains(body, n.other.id) || !strings.Contains(body, n.id) {
				t.Errorf("%s %s: %d, of the other %v, of its own %v", n.slug, path, status, strings.Contains(body, n.other.id), strings.Contains(body, n.id))
			}
		}
		ctx := scope.WithTenant(t.Context(), n.tenant.Tenant)
		page, err := s.apps[0].Audit.Find(ctx, audit.Query{Patient: "p0", Count: 500})
		if err != nil || len(page.Entries) == 0 || slices.ContainsFunc(page.Entries, func(e audit.Entry) bool { return e.By.ID == n.other.id }) {
			t.Errorf("%s finds %d events %v", n.slug, len(page.Entries), err)
		}
		if status, body := s.ask(s.apps[0], n.slug, n.other.auditor, http.MethodGet, "audit/export", ""); status == 200 {
			t.Errorf("%s reads the log of %s: %.100s", n.other.slug, n.slug, body)
		}
	}
}

// outside are the metrics and the lines that were logged.
func (s *street) outside() {
	for _, a := range s.apps {
		_, metrics := do(s.t, "http://"+a.OpsAddr()+"/metrics", "")
		for _, n := range s.both {
			if strings.Contains(metrics, n.word) || strings.Contains(metrics, `"`+n.slug+`"`) || strings.Contains(metrics, n.id) {
				s.t.Errorf("the metrics tell of %s", n.slug)
			}
		}
	}
	if text := s.log.String(); strings.Contains(strings.ToLower(text), "wordof") || strings.Contains(text, "same@example.org") {
		s.t.Error("the log shows what was written")
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
