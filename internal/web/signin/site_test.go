package signin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"ward/internal/backend/bus"
	"ward/internal/backend/bus/embedded"
	"ward/internal/backend/db"
	"ward/internal/backend/db/dbtest"
	"ward/internal/base/clock"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/kernel/access"
	"ward/internal/kernel/audit"
	"ward/internal/kernel/identity/argon"
	"ward/internal/kernel/identity/people"
	"ward/internal/kernel/limit"
	"ward/internal/kernel/module"
	"ward/internal/kernel/observe"
	"ward/internal/kernel/outbox"
	"ward/internal/kernel/seal/sealtest"
	"ward/internal/kernel/serve"
	"ward/internal/kernel/tenancy"
	"ward/internal/web/signin"
)

var (
	north = scope.Tenant{ID: 1, Slug: "north"}
	south = scope.Tenant{ID: 2, Slug: "south"}
)

// base is where the site is for browsers: passkeys need a name.
const base = "https://example.com"

// site is the pages behind a real server, with a database, a bus and a folder of mails.
type site struct {
	*testing.T
	db       *db.DB
	now      *clock.Manual
	people   *people.People
	sessions *people.Sessions
	server   *httptest.Server
	mails    string
	settings atomic.Pointer[tenancy.Settings]
	audit    *noted
	done     chan int // passwords hashed
	events   chan struct{}
	client   *http.Client // how providers are reached

	transport *http.Transport // of browsers
}

// noted keeps what would be in the audit log.
type noted struct {
	mu     sync.Mutex
	events []audit.Event
	kinds  []audit.Kind
}

func (n *noted) RecordIn(_ context.Context, _ db.Tx, events ...audit.Event) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.events = append(n.events, events...)
	return nil
}

func (n *noted) Record(ctx context.Context, e audit.Event) error { return n.RecordIn(ctx, nil, e) }

func (n *noted) Security(_ context.Context, kind audit.Kind, _ string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.kinds = append(n.kinds, kind)
}

func (n *noted) has(kind audit.Kind) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Contains(n.kinds, kind)
}

type tenants struct{}

func (tenants) Find(_ context.Context, slug string) (scope.Tenant, error) {
	for _, t := range []scope.Tenant{north, south} {
		if t.Slug == slug {
			return t, nil
		}
	}
	return scope.Tenant{}, fault.NotFound("there is no such tenant")
}

type tokens struct{}

func (tokens) Verify(_ context.Context, token string) (scope.Principal, int32, error) {
	if token == access.Admin || token == access.Clinician {
		return access.WithRights(scope.Principal{ID: "token/" + token, Role: token}), north.ID, nil
	}
	return scope.Principal{}, 0, fault.Unauthenticated("the token is not good")
}

// counted says when passwords were hashed.
type counted chan int

func (c counted) Activated(n int) { c <- n }

func onEach(t *testing.T, test func(s *site)) {
	t.Helper()
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) { test(newSite(t, d)) })
}

func newSite(t *testing.T, d *db.DB) *site {
	t.Helper()
	s := &site{
		T: t, db: d, now: clock.NewManual(time.Now().UTC().Truncate(time.Second)), mails: filepath.Join(t.TempDir(), "mail"), audit: &noted{}, done: make(chan int, 1000),
		client: &http.Client{},
	}
	s.settings.Store(&tenancy.Settings{})
	b, err := embedded.Open(t.Context(), embedded.Config{Dir: t.TempDir()}, bus.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close(context.Background()) })
	all := func(context.Context) ([]scope.Tenant, error) { return []scope.Tenant{north, south}, nil }
	log := slog.New(slog.DiscardHandler)
	s.sessions = people.NewSessions(people.SessionDeps{DB: d, Keys: sealtest.Keys(t, d), Clock: s.now, Log: log, Limits: func(context.Context) (people.Limits, error) {
		return people.Limits{Idle: 30 * time.Minute, Absolute: 12 * time.Hour}, nil
	}})
	pool := argon.New(argon.Options{Params: argon.Params{Memory: 64, Time: 1, Threads: 1}})
	t.Cleanup(pool.Close)
	var box *outbox.Outbox
	s.people, err = people.New(people.Deps{
		DB: d, Clock: s.now, Log: log, Sessions: s.sessions, Pool: pool, Tenants: all, Key: bytes.Repeat([]byte{7}, 32), Keys: sealtest.Keys(t, d), Audit: s.audit, Metrics: counted(s.done),
		Settings: func(context.Context) (tenancy.Settings, error) { return *s.settings.Load(), nil },
		Mailer:   people.Folder{Dir: s.mails, From: "ward@example.org", Clock: s.now}, Provider: s.client,
		BaseURL: func() string { return base },
		Enqueue: func(ctx context.Context, tx db.Tx, events ...module.Event) error {
			return box.Enqueue(ctx, tx, events...)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	m := s.people.Module()
	sent := make(chan struct{}, 100)
	s.events = sent
	for i := range m.Consumers {
		handle := m.Consumers[i].Handle
		m.Consumers[i].Handle = func(ctx context.Context, e module.Event) error {
			err := handle(ctx, e)
			if err == nil {
				sent <- struct{}{}
			}
			return err
		}
	}
	box, err = outbox.New(outbox.Config{Backoff: []time.Duration{time.Millisecond}}, outbox.Deps{DB: d, Bus: b, Keys: sealtest.Keys(t, d), Consumers: m.Consumers, Tenants: all})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []module.Module{m, box.Module()} {
		if err := d.RegisterTenant(x.Name, x.Migrations); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.MigrateTenants(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, r := range append(m.Runners, box.Module().Runners...) {
		running.Go(func() { _ = r.Run(ctx) })
	}
	t.Cleanup(func() { cancel(); running.Wait() })
	pages := signin.New(signin.Deps{People: s.people, Sessions: s.sessions, Clock: s.now, Log: log})
	server, err := serve.New(serve.Deps{
		Routes: pages.Module().Routes, Tenants: tenants{}, Tokens: tokens{}, Sessions: s.sessions, Lanes: limit.NewLanes(limit.Options{}), Metrics: observe.NewMetrics(), Log: log, Clock: clock.System(),
	}, serve.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.server = httptest.NewTLSServer(server.Handler())
	s.transport = s.server.Client().Transport.(*http.Transport).Clone()
	s.transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", s.server.Listener.Addr().String())
	}
	t.Cleanup(s.server.Close)
	return s
}

// browser is one that keeps cookies and follows redirects.
type browser struct {
	*site
	http *http.Client
}

func (s *site) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.Fatal(err)
	}
	return &browser{s, &http.Client{Jar: jar, Transport: s.transport}}
}

// page is what the browser shows after the redirects.
type page struct {
	status int
	path   string
	text   string
	header http.Header
}

func (p page) String() string { return fmt.Sprintf("%d %s\n%s", p.status, p.path, p.text) }

func (b *browser) do(r *http.Request) page {
	b.Helper()
	res, err := b.http.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.Fatal(err)
	}
	return page{res.StatusCode, res.Request.URL.Path, string(text), res.Header}
}

func (b *browser) get(path string) page {
	b.Helper()
	if !strings.HasPrefix(path, "https:") {
		path = base + path
	}
	r, err := http.NewRequestWithContext(b.Context(), "GET", path, nil)
	if err != nil {
		b.Fatal(err)
	}
	return b.do(r)
}

// post sends a form as a browser does from a page of the site.
func (b *browser) post(path string, fields ...string) page {
	b.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	r, err := http.NewRequestWithContext(b.Context(), "POST", base+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.do(r)
}

func (b *browser) json(method, path, token string, body any, into any) page {
	b.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		b.Fatal(err)
	}
	r, err := http.NewRequestWithContext(b.Context(), method, base+path, bytes.NewReader(text))
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	p := b.do(r)
	if into != nil && p.status < 300 {
		if err := json.Unmarshal([]byte(p.text), into); err != nil {
			b.Fatalf("%v: %s", err, p)
		}
	}
	return p
}

func (b *browser) want(p page, status int, path string, texts ...string) page {
	b.Helper()
	if p.status != status || p.path != path {
		b.Fatalf("%d %s, want %d %s\n%s", p.status, p.path, status, path, p.text)
	}
	for _, text := range texts {
		if !strings.Contains(p.text, text) {
			b.Errorf("%s lacks %q\n%s", path, text, p.text)
		}
	}
	return p
}

var linkIn = regexp.MustCompile(`https://\S+/t/\S+/activate/\S+`)

// mail waits for the next mail and gives the link in it.
func (s *site) mail(to string) string {
	s.Helper()
	<-s.events
	files, err := filepath.Glob(filepath.Join(s.mails, "*.eml"))
	if err != nil || len(files) == 0 {
		s.Fatal("no mail", err)
	}
	for _, f := range files {
		if info, err := os.Stat(f); err != nil || info.Mode().Perm() != 0o600 || strings.Contains(f, to) {
			s.Errorf("%s: %v %v", f, info, err)
		}
		text, err := os.ReadFile(f)
		if err != nil {
			s.Fatal(err)
		}
		if strings.Contains(string(text), "To: "+to+"\r\n") {
			if err := os.Remove(f); err != nil {
				s.Fatal(err)
			}
			return strings.TrimPrefix(linkIn.FindString(string(text)), base)
		}
	}
	s.Fatalf("no mail to %s", to)
	return ""
}

// hashed waits until a password was hashed.
func (s *site) hashed() { <-s.done }

func mustParse(text string) *url.URL {
	u, err := url.Parse(text)
	if err != nil {
		panic(err)
	}
	return u
}

func (s *site) ctx() context.Context { return scope.WithTenant(s.Context(), north) }

const (
	good   = "five wild geese"
	secret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
)

// plant adds somebody who can sign in at once.
func (s *site) plant(email, role string) people.Person {
	s.Helper()
	i := people.Invitation{Email: email, Role: role}
	if role == access.Patient {
		i.Patients = []string{"9"}
	}
	if err := s.people.Plant(s.ctx(), i, good, secret); err != nil {
		s.Fatal(err)
	}
	who, err := s.people.ByEmail(s.ctx(), email)
	if err != nil {
		s.Fatal(err)
	}
	return who
}

// code is what the app shows now; the clock goes on, so that the next code is another.
func (s *site) code(secret string) string {
	s.Helper()
	s.now.Advance(31 * time.Second)
	code, err := totp.GenerateCode(secret, s.now.Now())
	if err != nil {
		s.Fatal(err)
	}
	return code
}

// signIn signs a planted person in.
func (s *site) signIn(email string) *browser {
	s.Helper()
	b := s.browser()
	b.want(b.post("/t/north/signin", "email", email, "password", good), 200, "/t/north/second-factor")
	b.want(b.post("/t/north/second-factor", "kind", "app", "code", s.code(secret)), 200, "/t/north/account")
	return b
}
