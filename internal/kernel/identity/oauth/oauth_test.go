package oauth_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"ward/internal/backend/db"
	"ward/internal/backend/db/dbtest"
	"ward/internal/base/clock"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/kernel/access"
	"ward/internal/kernel/audit"
	"ward/internal/kernel/identity"
	"ward/internal/kernel/identity/oauth"
	"ward/internal/kernel/limit"
	"ward/internal/kernel/module"
	"ward/internal/kernel/observe"
	"ward/internal/kernel/seal/sealtest"
	"ward/internal/kernel/serve"
)

const (
	host     = "https://ward.example.org"
	issuer   = host + "/t/demo/oauth2"
	fhirBase = host + "/t/demo/fhir"
	callback = "https://app.example.org/cb"
	verifier = "0123456789012345678901234567890123456789abc"
)

var (
	demo  = scope.Tenant{ID: 1, Slug: "demo"}
	north = scope.Tenant{ID: 2, Slug: "north"}

	// oneKey is made once: making RSA keys is slow.
	oneKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })
)

func challenge(v string) string {
	sum := sha256.Sum256([]byte(v))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// site is a provider behind the real server, with people, patients and pages that the test plays.
type site struct {
	*testing.T
	p       *oauth.Provider
	deps    oauth.Deps
	server  http.Handler
	clock   *clock.Manual
	people  *people
	pages   *pages
	audit   *trail
	open    bool // clients may register themselves
	fetched map[string]string
}

// each runs the test on both databases.
func each(t *testing.T, test func(s *site)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, d *db.DB) { test(newSite(t, d)) })
}

func newSite(t *testing.T, d *db.DB) *site {
	t.Helper()
	s := &site{T: t, clock: clock.NewManual(time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)), pages: &pages{}, audit: &trail{}, fetched: map[string]string{}}
	s.people = &people{accounts: map[string]oauth.Account{
		"alice": {User: "alice", Name: "Dr Alice", Role: access.Clinician, Person: "Practitioner/a1"},
		"pat":   {User: "pat", Name: "Pat", Role: access.Patient, Person: "Patient/p1", Patients: []string{"p1"}},
		"prox":  {User: "prox", Name: "Prox", Role: access.Proxy, Person: "RelatedPerson/r1", Patients: []string{"p1", "p2"}},
	}, authTime: s.clock.Now(), dead: map[string]bool{}}
	s.deps = oauth.Deps{
		DB: d, Clock: s.clock, Log: slog.New(slog.DiscardHandler), Tenants: tenants{}, All: func(context.Context) ([]scope.Tenant, error) { return []scope.Tenant{demo, north}, nil },
		People: s.people, Patients: patients{}, Pages: s.pages, Audit: s.audit, Secret: make([]byte, 32), Keys: sealtest.Keys(t, d), BaseURL: host,
		MayRegister: func(context.Context) (bool, error) { return s.open, nil }, NewKey: oneKey,
		Fetch: func(_ context.Context, url string) ([]byte, error) {
			if text, ok := s.fetched[url]; ok {
				return []byte(text), nil
			}
			return nil, fault.Unavailable("nobody answers")
		},
	}
	s.p, s.server = s.process()
	dbtest.Migrate(t, d, "oauth", s.p.Module().Migrations)
	return s
}

// process is another process on the same database.
func (s *site) process() (*oauth.Provider, http.Handler) {
	s.Helper()
	p, err := oauth.New(s.deps)
	if err != nil {
		s.Fatal(err)
	}
	routes := append(p.Module().Routes, module.Route{
		Method: "GET", Pattern: "/t/{tenant}/fhir/Patient", Target: module.API, Lane: module.Interactive, Permission: access.RecordsRead,
		Objective: module.Objective{Percentile: 0.95, Latency: time.Second}, Summary: "stands for the records",
		Handler: func(w http.ResponseWriter, r *http.Request) error {
			sc, _ := scope.From(r.Context())
			return json.NewEncoder(w).Encode(sc.Principal)
		},
	})
	if err := module.Check([]module.Module{{Name: "oauth", Routes: routes}}); err != nil {
		s.Fatal(err)
	}
	server, err := serve.New(serve.Deps{
		Routes: routes, Tenants: tenants{}, Tokens: tokens{p}, Sessions: s.people, Origins: p, Metrics: observe.NewMetrics(), Log: s.deps.Log, Clock: s.clock,
		Lanes: limit.NewLanes(limit.Options{Ceiling: 10, Queue: 10, Wait: time.Second}),
	}, serve.Options{})
	if err != nil {
		s.Fatal(err)
	}
	return p, server.Handler()
}

func (s *site) ctx() context.Context { return scope.WithTenant(s.Context(), demo) }

// client registers a client.
func (s *site) client(r oauth.Registration) (oauth.Client, string) {
	s.Helper()
	c, secret, err := s.p.CreateClient(s.ctx(), r)
	if err != nil {
		s.Fatal(err)
	}
	return c, secret
}

// app is a public client that may ask for much.
func (s *site) app() oauth.Client {
	s.Helper()
	c, _ := s.client(oauth.Registration{
		Name: "Growth chart", RedirectURIs: []string{callback}, LaunchURL: "https://app.example.org/launch",
		Scope: "openid fhirUser profile launch launch/patient offline_access online_access patient/*.cruds user/*.rs",
	})
	return c
}

// answer is what the server said.
type answer struct {
	*httptest.ResponseRecorder
	t *testing.T
}

func (a answer) json() map[string]any {
	a.t.Helper()
	out := map[string]any{}
	if err := json.Unmarshal(a.Body.Bytes(), &out); err != nil {
		a.t.Fatalf("status %d, no JSON: %s", a.Code, a.Body)
	}
	return out
}

// text is a member of the answer's JSON.
func (a answer) text(name string) string {
	a.t.Helper()
	s, _ := a.json()[name].(string)
	return s
}

// refused expects an OAuth error object.
func (a answer) refused(status int, word string) {
	a.t.Helper()
	if a.Code != status || a.text("error") != word || a.text("error_description") == "" {
		a.t.Errorf("status %d %s, want %d %s", a.Code, a.Body, status, word)
	}
}

// query is the parameters of the redirect.
func (a answer) query() url.Values {
	a.t.Helper()
	to := a.Header().Get("Onward") // from the sign-in page, by a page of its own
	if a.Code == http.StatusSeeOther {
		to = a.Header().Get("Location")
	}
	u, err := url.Parse(to)
	if err != nil || to == "" {
		a.t.Fatalf("no redirect: status %d %s", a.Code, a.Body)
	}
	return u.Query()
}

func (s *site) do(r *http.Request) answer {
	s.Helper()
	w := httptest.NewRecorder()
	s.server.ServeHTTP(w, r.WithContext(s.Context()))
	return answer{w, s.T}
}

func (s *site) get(path string, header ...string) answer {
	s.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return s.do(r)
}

func (s *site) post(path string, form url.Values, header ...string) answer {
	s.Helper()
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return s.do(r)
}

// request is a good authorization request of the client, with changes: name, value, ...; an empty value takes the parameter out.
func request(clientID string, changes ...string) url.Values {
	v := url.Values{
		"response_type": {"code"}, "client_id": {clientID}, "redirect_uri": {callback}, "state": {"a-state-of-its-own"}, "aud": {fhirBase}, "nonce": {"n-1"},
		"scope": {"openid fhirUser launch/patient patient/Observation.rs offline_access"}, "code_challenge": {challenge(verifier)}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(changes); i += 2 {
		if changes[i+1] == "" {
			v.Del(changes[i])
		} else {
			v.Set(changes[i], changes[i+1])
		}
	}
	return v
}

// as is the header of a browser in which somebody is signed in.
func as(user string) []string { return []string{"Cookie", "user=" + user} }

func (s *site) authorize(user string, v url.Values) answer {
	s.Helper()
	s.pages.clear()
	var header []string
	if user != "" {
		header = as(user)
	}
	return s.get("/t/demo/oauth2/authorize?"+v.Encode(), header...)
}

// consent answers the consent page that was drawn last: with all scopes, or with these.
func (s *site) consent(user, decision string, scopes ...string) answer {
	s.Helper()
	page := s.pages.consent
	if page == nil {
		s.Fatal("there is no consent page")
	}
	form := url.Values{oauth.FieldDecision: {decision}}
	for name, value := range page.Hidden {
		form.Set(name, value)
	}
	for _, sc := range page.Scopes {
		if len(scopes) == 0 {
			form.Add(oauth.FieldScope, sc.Scope)
		}
	}
	for _, sc := range scopes {
		form.Add(oauth.FieldScope, sc)
	}
	return s.post(page.Action, form, as(user)...)
}

// code signs in, picks patient p1 and consents.
func (s *site) code(user string, v url.Values) string {
	s.Helper()
	if a := s.authorize(user, v); s.pages.pick != nil {
		v.Set(oauth.FieldPatient, "p1")
		s.authorize(user, v)
	} else if s.pages.consent == nil {
		s.Fatalf("status %d %s %s", a.Code, a.Header().Get("Location"), a.Body)
	}
	code := s.consent(user, "allow").query().Get("code")
	if code == "" {
		s.Fatal("no code")
	}
	return code
}

func exchange(clientID, code string, changes ...string) url.Values {
	v := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "client_id": {clientID}, "code_verifier": {verifier}}
	for i := 0; i < len(changes); i += 2 {
		if changes[i+1] == "" {
			v.Del(changes[i])
		} else {
			v.Set(changes[i], changes[i+1])
		}
	}
	return v
}

func (s *site) token(v url.Values, header ...string) answer {
	s.Helper()
	return s.post("/t/demo/oauth2/token", v, header...)
}

// works says whether the access token opens the records.
func (s *site) works(token string) bool {
	s.Helper()
	return s.get("/t/demo/fhir/Patient", "Authorization", "Bearer "+token).Code == http.StatusOK
}

type tenants struct{}

func (tenants) Find(_ context.Context, slug string) (scope.Tenant, error) {
	for _, t := range []scope.Tenant{demo, north} {
		if t.Slug == slug {
			return t, nil
		}
	}
	return scope.Tenant{}, fault.NotFound("there is no such tenant")
}

// tokens are the provider's and an administrator's of demo.
type tokens struct{ p *oauth.Provider }

func (t tokens) Verify(ctx context.Context, token string) (scope.Principal, int32, error) {
	if token == "admin" {
		return scope.Principal{ID: "token/1", Role: access.Admin}, demo.ID, nil
	}
	if strings.HasPrefix(token, oauth.AccessPrefix) {
		return t.p.Verify(ctx, token)
	}
	return scope.Principal{}, 0, identity.NotGood()
}

// people are signed in by the cookie user.
type people struct {
	mu       sync.Mutex
	accounts map[string]oauth.Account
	authTime time.Time
	dead     map[string]bool // sessions that ended
}

func (p *people) of(r *http.Request) (oauth.Account, bool) {
	c, err := r.Cookie("user")
	if err != nil {
		return oauth.Account{}, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	a, ok := p.accounts[c.Value]
	return a, ok
}

func (p *people) SignedIn(r *http.Request) (oauth.SignedIn, bool) {
	a, ok := p.of(r)
	return oauth.SignedIn{Account: a, Session: "s-" + a.User, AuthTime: p.authTime, AMR: []string{"pwd", "otp"}, ACR: "phr"}, ok
}

func (p *people) Account(_ context.Context, user string) (oauth.Account, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a, ok := p.accounts[user]; ok {
		return a, nil
	}
	return oauth.Account{}, fault.NotFound("no such account")
}

func (p *people) Alive(_ context.Context, _, session string) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.dead[session], nil
}

func (p *people) SignInPath(t scope.Tenant, back string, again bool) string {
	v := url.Values{"return": {back}}
	if again {
		v.Set("again", "1")
	}
	return "/t/" + t.Slug + "/signin?" + v.Encode()
}

func (p *people) Has(_ scope.Tenant, r *http.Request) bool {
	_, ok := p.of(r)
	return ok
}

func (p *people) Principal(_ context.Context, r *http.Request) (scope.Principal, error) {
	a, ok := p.of(r)
	if !ok {
		return scope.Principal{}, fault.Unauthenticated("nobody is signed in")
	}
	return scope.Principal{ID: "user/" + a.User, Role: a.Role, Person: a.Person, Patients: a.Patients}, nil
}

// patients are p1 and p2; p9 is nobody's to see.
type patients struct{}

func (patients) Find(_ context.Context, text string) ([]oauth.Patient, error) {
	if strings.EqualFold(text, "ada") {
		return []oauth.Patient{{ID: "p1", Name: "Ada"}, {ID: "p2", Name: "Ada Two"}}, nil
	}
	return nil, nil
}

func (patients) Get(ctx context.Context, id string) (oauth.Patient, error) {
	s, _ := scope.From(ctx)
	if !strings.HasPrefix(s.Principal.ID, "user/") {
		return oauth.Patient{}, fault.Internal("patients are looked at without the user")
	}
	if id == "p1" || id == "p2" {
		return oauth.Patient{ID: id, Name: "Ada"}, nil
	}
	return oauth.Patient{}, fault.NotFound("no such patient")
}

func (patients) HasEncounter(_ context.Context, id, patient string) (bool, error) {
	return id == "e1" && patient == "p1", nil
}

// pages keep what was to be drawn.
type pages struct {
	consent *oauth.ConsentPage
	pick    *oauth.PickPage
	failed  *oauth.FailedPage
	apps    *oauth.ConsentsPage
}

func (p *pages) clear() { *p = pages{} }

func (p *pages) Consent(w http.ResponseWriter, v oauth.ConsentPage) error {
	p.consent = &v
	w.WriteHeader(http.StatusOK)
	return nil
}

func (p *pages) Pick(w http.ResponseWriter, v oauth.PickPage) error {
	p.pick = &v
	w.WriteHeader(http.StatusOK)
	return nil
}

func (p *pages) Consents(w http.ResponseWriter, v oauth.ConsentsPage) error {
	p.apps = &v
	w.WriteHeader(http.StatusOK)
	return nil
}

func (p *pages) Failed(w http.ResponseWriter, status int, v oauth.FailedPage) error {
	p.failed = &v
	w.WriteHeader(status)
	return nil
}

func (p *pages) Onward(w http.ResponseWriter, to, _ string) error {
	w.Header().Set("Onward", to)
	w.WriteHeader(http.StatusOK)
	return nil
}

// trail keeps what was announced.
type trail struct {
	mu     sync.Mutex
	kinds  []audit.Kind
	events []audit.Event
}

func (a *trail) Record(_ context.Context, e audit.Event) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.events = append(a.events, e)
	return nil
}

func (a *trail) Security(_ context.Context, kind audit.Kind, _ string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.kinds = append(a.kinds, kind)
}

// last is the security event announced last.
func (a *trail) last() audit.Kind {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.kinds) == 0 {
		return ""
	}
	return a.kinds[len(a.kinds)-1]
}
