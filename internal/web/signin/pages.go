package signin

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"html/template"
	"io"
	"io/fs"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"ward/internal/base/clock"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/kernel/access"
	"ward/internal/kernel/identity/people"
	"ward/internal/kernel/module"
)

//go:embed templates/*.html assets/*
var files embed.FS

// Deps are what the pages work with; all are needed.
type Deps struct {
	People   *people.People
	Sessions *people.Sessions
	Clock    clock.Clock
	Log      *slog.Logger
}

// Pages are the pages.
type Pages struct {
	deps      Deps
	templates *template.Template
	assets    map[string]asset
	origins   *http.CrossOriginProtection
}

type asset struct {
	content []byte
	kind    string
	version string
}

// New makes the pages.
func New(d Deps) *Pages {
	p := &Pages{deps: d, assets: map[string]asset{}, origins: http.NewCrossOriginProtection()}
	entries, err := fs.ReadDir(files, "assets")
	if err != nil {
		panic(err) // the folder is embedded
	}
	for _, e := range entries {
		content, err := fs.ReadFile(files, "assets/"+e.Name())
		if err != nil {
			panic(err) // as above
		}
		sum := sha256.Sum256(content)
		p.assets[e.Name()] = asset{content, mime.TypeByExtension(path.Ext(e.Name())), hex.EncodeToString(sum[:6])}
	}
	p.templates = template.Must(template.New("").Funcs(template.FuncMap{
		"asset": func(name string) string { return "/assets/signin/" + name + "?v=" + p.assets[name].version },
	}).ParseFS(files, "templates/*.html"))
	return p
}

// Module is the pages' routes.
func (p *Pages) Module() module.Module {
	signIn := func(method, pattern, summary string, h func(w http.ResponseWriter, r *http.Request) error) module.Route {
		return module.Route{
			Method: method, Pattern: pattern, Target: module.Web, Lane: module.Urgent, Public: true, BodyLimit: 256 << 10, Timeout: 15 * time.Second,
			Objective: module.Objective{Percentile: 0.95, Latency: time.Second}, Summary: summary, Handler: p.guarded(h),
		}
	}
	// Activations come in surges and hash nothing while the browser waits: charts go first.
	surge := func(method, pattern, summary string, h func(w http.ResponseWriter, r *http.Request) error) module.Route {
		r := signIn(method, pattern, summary, h)
		r.Lane, r.Timeout = module.Background, 30*time.Second
		return r
	}
	account := func(method, pattern, summary string, h func(w http.ResponseWriter, r *http.Request) error) module.Route {
		r := signIn(method, pattern, summary, h)
		r.Lane = module.Interactive
		return r
	}
	manage := func(method, pattern, summary string, h func(w http.ResponseWriter, r *http.Request) error) module.Route {
		return module.Route{
			Method: method, Pattern: pattern, Target: module.API, Lane: module.Interactive, Permission: access.TenantManage, BodyLimit: 256 << 10,
			Objective: module.Objective{Percentile: 0.95, Latency: time.Second}, Summary: summary, Handler: h,
		}
	}
	css := signIn("GET", "/assets/signin/{file}", "Styles and scripts of the sign-in pages", p.asset)
	css.Lane = module.Interactive
	return module.Module{Name: "signin", Routes: []module.Route{
		css,
		signIn("GET", "/t/{tenant}/signin", "Page: sign in", p.showSignIn),
		signIn("POST", "/t/{tenant}/signin", "Sign in with a password", p.signIn),
		signIn("GET", "/t/{tenant}/signin/provider", "Sign in through the tenant's own provider", p.toProvider),
		signIn("GET", "/t/{tenant}/signin/callback", "Come back from the tenant's own provider", p.fromProvider),
		signIn("POST", "/t/{tenant}/signin/passkey/ask", "Ask the browser for a passkey", p.askPasskey),
		signIn("POST", "/t/{tenant}/signin/passkey", "Show a passkey", p.showPasskey),
		signIn("GET", "/t/{tenant}/second-factor", "Page: show or set up a second factor", p.showSecond),
		signIn("POST", "/t/{tenant}/second-factor", "Show or set up a second factor by a code", p.second),
		signIn("POST", "/t/{tenant}/second-factor/passkey/ask", "Have the browser make a passkey", p.newPasskey),
		signIn("POST", "/t/{tenant}/second-factor/passkey", "Add the passkey", p.addPasskey),
		surge("GET", "/t/{tenant}/activate/{token}", "Page: choose a password", p.showActivate),
		surge("POST", "/t/{tenant}/activate/{token}", "Choose a password, which is hashed in turn", p.activate),
		surge("GET", "/t/{tenant}/activation", "Page: wait until the password is hashed", p.showWaiting),
		surge("GET", "/t/{tenant}/activation/{ticket}", "How far the password is, as JSON", p.progress),
		signIn("GET", "/t/{tenant}/recover", "Page: ask for a new password", p.showRecover),
		signIn("POST", "/t/{tenant}/recover", "Ask for a new password", p.recover),
		account("GET", "/t/{tenant}/account", "Page: one's account", p.showAccount),
		account("POST", "/t/{tenant}/account/session", "End one of one's sessions", p.endSession),
		account("POST", "/t/{tenant}/account/passkey", "Remove a passkey", p.removePasskey),
		account("POST", "/t/{tenant}/account/app", "Remove the authenticator app", p.removeApp),
		account("POST", "/t/{tenant}/account/codes", "Make new recovery codes", p.newCodes),
		account("POST", "/t/{tenant}/account/password", "Change one's password", p.newPassword),
		account("POST", "/t/{tenant}/account/protect", "Set up another second factor", p.protect),
		signIn("GET", "/t/{tenant}/signout", "Page: sign out", p.showSignOut),
		signIn("POST", "/t/{tenant}/signout", "Sign out", p.signOut),
		manage("GET", "/t/{tenant}/people", "List people", p.listPeople),
		manage("POST", "/t/{tenant}/people", "Invite somebody", p.invite),
		manage("GET", "/t/{tenant}/people/{id}", "Read an account", p.getPerson),
		manage("POST", "/t/{tenant}/people/{id}/{act}", "Invite again, reset, disable or enable an account, or end its sessions", p.actOnPerson),
		manage("GET", "/t/{tenant}/people/{id}/sessions", "List where somebody is signed in", p.listSessions),
	}}
}

// policy is the pages' Content-Security-Policy.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// guarded gives every answer the headers of a page that shows secrets, and refuses changes that other sites ask for.
func (p *Pages) guarded(h func(w http.ResponseWriter, r *http.Request) error) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		header := w.Header()
		header.Set("Content-Security-Policy", policy)
		header.Set("Cache-Control", "no-store")
		header.Set("Referrer-Policy", "same-origin")
		header.Set("X-Frame-Options", "DENY")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Permissions-Policy", "publickey-credentials-get=(self), publickey-credentials-create=(self), camera=(), microphone=(), geolocation=()")
		if err := p.origins.Check(r); err != nil {
			return p.problem(w, r, fault.Denied("this request comes from another site").With(err))
		}
		if err := h(w, r); err != nil {
			return p.problem(w, r, err)
		}
		return nil
	}
}

// view is what every page shows.
type view struct {
	Tenant   string
	Title    string
	Problems []problem
	Notice   string
	Refresh  int    // seconds after which the page comes again; 0: never
	To       string // where it then goes; "": to itself
	Script   bool   // needs the script of passkeys
	Body     any
}

// problem is what is wrong with a field, or with the whole form where Field is empty.
type problem struct{ Field, Text string }

func slug(r *http.Request) string {
	s, _ := scope.From(r.Context())
	return s.Tenant.Slug
}

func (p *Pages) show(w http.ResponseWriter, r *http.Request, status int, page string, v view) error {
	v.Tenant = slug(r)
	var b bytes.Buffer
	if err := p.templates.ExecuteTemplate(&b, page, v); err != nil {
		return fault.Internal("a page can't be made").With(err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, err := b.WriteTo(w)
	return err
}

// problem answers with a fault: as a page where the browser wants one. What is the server's own fault is answered and logged by the server.
func (p *Pages) problem(w http.ResponseWriter, r *http.Request, err error) error {
	code := fault.CodeOf(err)
	if code.Status() >= http.StatusInternalServerError && code != fault.CodeUnavailable || wantsJSON(r) {
		return err
	}
	if code == fault.CodeUnauthenticated {
		return p.show(w, r, http.StatusUnauthorized, "problem.html", view{Title: "Sign in again", Problems: []problem{{Text: fault.Message(err)}}, Body: true})
	}
	retryAfter(w, err)
	return p.show(w, r, code.Status(), "problem.html", view{Title: "There is a problem", Problems: []problem{{Text: fault.Message(err)}}})
}

func retryAfter(w http.ResponseWriter, err error) {
	if after := fault.RetryAfter(err); after > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(after.Seconds())+1))
	}
}

// again shows a form once more with what was wrong with it. Faults that are not about the form are returned.
func formProblem(w http.ResponseWriter, err error) (status int, text string, ok bool) {
	switch code := fault.CodeOf(err); code {
	case fault.CodeUnauthenticated, fault.CodeUnprocessable, fault.CodeInvalid, fault.CodeExhausted, fault.CodeConflict:
		retryAfter(w, err)
		return code.Status(), fault.Message(err), true
	default:
		return 0, "", false
	}
}

func wantsJSON(r *http.Request) bool {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return kind == "application/json" || strings.HasPrefix(r.Header.Get("Accept"), "application/json")
}

// form reads the body as a browser sends a form.
func form(r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		if _, coded := fault.Of(err); coded {
			return err
		}
		return fault.Invalid("the form can't be read")
	}
	return nil
}

// body reads the whole body of a script's request.
func body(r *http.Request) ([]byte, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return nil, fault.Unsupported("the body must be application/json")
	}
	return io.ReadAll(r.Body)
}

func decode(r *http.Request, into any) error {
	text, err := body(r)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err = d.Decode(into)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("more than one value")
		}
	}
	if err != nil {
		return fault.Invalid("the body is not the JSON that is wanted here")
	}
	return nil
}

func answer(w http.ResponseWriter, status int, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return fault.Internal("an answer can't be made").With(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, err = w.Write(append(text, '\n'))
	return err
}

// SafeReturn is where the browser goes after a sign-in: the path, where it is one of the tenant, else the account's page.
func SafeReturn(tenant, to string) string {
	home := "/t/" + tenant + "/account"
	if len(to) > 4096 || !strings.HasPrefix(to, "/t/"+tenant+"/") || strings.ContainsAny(to, "\\\r\n\t\x00") {
		return home
	}
	for _, c := range to {
		if c < ' ' || c == 0x7f {
			return home
		}
	}
	u, err := url.Parse(to)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" || path.Clean(u.Path) != strings.TrimSuffix(u.Path, "/") || !strings.HasPrefix(u.Path, "/t/"+tenant+"/") {
		return home
	}
	return to
}

// asset answers a style or a script, which browsers keep by its version.
func (p *Pages) asset(w http.ResponseWriter, r *http.Request) error {
	a, ok := p.assets[r.PathValue("file")]
	if !ok {
		return fault.NotFound("there is nothing at this path")
	}
	h := w.Header()
	h.Set("Content-Type", a.kind)
	h.Set("Cache-Control", "no-cache")
	if r.URL.Query().Get("v") == a.version {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	_, err := w.Write(a.content)
	return err
}

func to(w http.ResponseWriter, r *http.Request, where string) error {
	http.Redirect(w, r, where, http.StatusSeeOther) //nolint:gosec // our own path, SafeReturn's, or the tenant's provider
	return nil
}
