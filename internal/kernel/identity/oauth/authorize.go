package oauth

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ory/fosite"

	"ward/internal/base/fault"
	"ward/internal/base/id"
	"ward/internal/base/scope"
	"ward/internal/kernel/access"
	"ward/internal/kernel/audit"
)

// authorization is an authorization request that is good so far, on its way through sign-in, patient and consent.
type authorization struct {
	p       *Provider
	r       *http.Request
	ctx     context.Context //nolint:containedctx // of the request; with the user as principal once they are known
	form    url.Values
	base    base
	client  *Client
	request *fosite.AuthorizeRequest

	who     SignedIn
	launch  *launch // nil without one
	patient *Patient
	picked  bool // the user chose the patient in this very flow
	scopes  []string
}

// The parameters that this endpoint adds for its own use while it sends the browser about. They are not the client's: what they say
// is signed or checked again.
const (
	fieldAfter   = "ward_after" // from when on a sign-in counts as new, for signInWait; signed
	fieldSigned  = "ward_signed"
	fieldRequest = "ward_request"
	fieldUntil   = "ward_until"
)

// handleAuthorize is the authorization endpoint (RFC 6749 §3.1, OpenID Connect Core §3.1.2, SMART App Launch 2.2 authorize).
func (p *Provider) handleAuthorize(w http.ResponseWriter, r *http.Request) error {
	a, err := p.authorization(r, r.URL.Query())
	if err != nil {
		return p.failAuthorize(w, r, a, err)
	}
	return a.proceed(w)
}

// handleAuthorizePost takes the request as a form (SMART's authorize-post) and has the browser come back by GET: a cookie of this site does
// not come with another site's form.
func (p *Provider) handleAuthorizePost(w http.ResponseWriter, r *http.Request) error {
	if err := p.onceEach(r); err != nil {
		return p.failAuthorize(w, r, nil, err)
	}
	b, err := p.base(r.Context(), r)
	if err != nil {
		return err
	}
	redirect(w, b.authorize()+"?"+r.PostForm.Encode())
	return nil
}

// authorization reads and checks the request as far as that goes without the user. A is not nil in an error's company when the client may
// be told.
func (p *Provider) authorization(r *http.Request, form url.Values) (a *authorization, err error) {
	ctx := r.Context()
	b, err := p.base(ctx, r)
	if err != nil {
		return nil, err
	}
	if err := once(form); err != nil {
		return nil, err
	}
	c, err := p.client(ctx, form.Get("client_id"))
	if err != nil {
		return nil, err
	}
	if c.ID == "" {
		return nil, fosite.ErrInvalidClient.WithHint("There is no such client here.")
	}
	if !c.may(grantCode) || !slices.Contains(c.RedirectURIs, form.Get("redirect_uri")) {
		p.deps.Audit.Security(ctx, audit.BadRedirect, "redirect_uri")
		return nil, fosite.ErrInvalidRequest.WithHint("The redirect_uri is not one of those that the client registered, letter by letter.")
	}
	a = &authorization{p: p, r: r, ctx: ctx, form: form, base: b, client: &c}
	own := r.Clone(ctx)
	own.Method, own.Form, own.PostForm, own.MultipartForm, own.Body = http.MethodGet, clone(form), nil, nil, http.NoBody
	own.URL = &url.URL{Path: r.URL.Path, RawQuery: form.Encode()}
	own.Header = http.Header{}
	switch { // fosite would read these, and take alg none
	case form.Has("request"):
		return a, fosite.ErrRequestNotSupported
	case form.Has("request_uri"):
		return a, fosite.ErrRequestURINotSupported
	}
	request, err := p.protocol.NewAuthorizeRequest(ctx, own)
	var ok bool
	if a.request, ok = request.(*fosite.AuthorizeRequest); !ok && err == nil {
		err = fault.Internal("an authorization request of another kind")
	}
	if err == nil {
		err = a.check()
	}
	return a, err
}

func clone(v url.Values) url.Values {
	out := make(url.Values, len(v))
	for k, list := range v {
		out[k] = slices.Clone(list)
	}
	return out
}

// check holds the request against what fosite does not know.
func (a *authorization) check() error {
	bad := func(why string) error { return fosite.ErrInvalidRequest.WithHint(why) }
	if challenge := a.form.Get("code_challenge"); a.form.Get("code_challenge_method") != "S256" || len(challenge) != 43 || strings.ContainsFunc(challenge, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_'
	}) {
		return bad("PKCE is needed: a code_challenge of 43 characters with code_challenge_method=S256.")
	}
	if len(a.form.Get("nonce")) > 512 || len(a.form.Get("state")) > 2048 {
		return bad("The nonce or the state is too long.")
	}
	asked := fields(a.form.Get("scope"))
	resources := false
	for _, s := range asked {
		got, ok := narrow(a.client.scopes(), s)
		parsed, resource := parseScope(s)
		if !ok || !known(s) || resource && parsed.context == contextSystem {
			continue
		}
		resources = resources || resource || strings.HasPrefix(s, scopeLaunch)
		a.scopes = append(a.scopes, got)
	}
	if len(a.scopes) == 0 {
		return fosite.ErrInvalidScope.WithHint("None of the scopes is one that the client is registered for.")
	}
	aud := a.form.Get("aud")
	if aud == "" && !resources {
		aud = a.base.fhir() // a plain OpenID Connect client does not know of it
	}
	if strings.TrimSuffix(aud, "/") != a.base.fhir() {
		return bad("The parameter aud must be the FHIR endpoint: " + a.base.fhir())
	}
	return nil
}

// proceed sends the browser to sign in, asks for the patient, asks for consent, or answers.
func (a *authorization) proceed(w http.ResponseWriter) error {
	onward, err := a.signIn(w)
	if err != nil || onward {
		return a.failed(w, err)
	}
	onward, err = a.context(w)
	if err != nil || onward {
		return a.failed(w, err)
	}
	prompt := strings.Fields(a.form.Get("prompt"))
	agreed, err := a.agreed()
	if err != nil {
		return a.failed(w, err)
	}
	if !slices.Contains(prompt, "consent") && !a.picked && (a.client.Trusted || agreed && !a.client.unproven()) {
		return a.failed(w, a.grant(w, a.scopes))
	}
	if slices.Contains(prompt, "none") {
		return a.failed(w, fosite.ErrConsentRequired)
	}
	return a.failed(w, a.askConsent(w))
}

// failed sends an error to the client.
func (a *authorization) failed(w http.ResponseWriter, err error) error {
	if err == nil {
		return nil
	}
	return a.p.failAuthorize(w, a.r, a, err)
}

// signIn finds who is signed in. onward says that the browser has been sent to sign in.
func (a *authorization) signIn(w http.ResponseWriter) (onward bool, err error) {
	prompt := strings.Fields(a.form.Get("prompt"))
	none := slices.Contains(prompt, "none")
	if none && len(prompt) > 1 {
		return false, fosite.ErrInvalidRequest.WithHint("prompt=none goes with nothing else.")
	}
	who, ok := a.p.deps.People.SignedIn(a.r)
	now := a.p.now()
	after, asked := a.after()
	again := slices.Contains(prompt, "login") || slices.Contains(prompt, "select_account")
	if text := a.form.Get("max_age"); ok && text != "" {
		seconds, err := strconv.ParseInt(text, 10, 32)
		if err != nil || seconds < 0 {
			return false, fosite.ErrInvalidRequest.WithHint("max_age is a number of seconds.")
		}
		again = again || now.Sub(who.AuthTime) > time.Duration(seconds)*time.Second
	}
	if asked && ok && !who.AuthTime.Before(after.Truncate(time.Second)) {
		again = false // they just did
	}
	if ok && !again {
		a.who = who
		s, _ := scope.From(a.ctx)
		s.Principal = scope.Principal{
			ID: "user/" + who.User, Role: who.Role, Person: who.Person, Patients: who.Patients, Sensitive: who.Sensitive, Session: who.Session,
		}
		if a.p.deps.Rights != nil {
			s.Principal = a.p.deps.Rights(s.Principal)
		}
		a.ctx = scope.With(a.ctx, s)
		return false, a.narrowToRole()
	}
	if none || asked && ok {
		return false, fosite.ErrLoginRequired
	}
	tenant, err := tenantOf(a.ctx)
	if err != nil {
		return false, err
	}
	back := clone(a.form)
	at := strconv.FormatInt(now.UnixMilli(), 10)
	back.Set(fieldAfter, at)
	back.Set(fieldSigned, a.p.sealer.sign("after", at, a.client.ID, a.form.Get("state")))
	redirect(w, a.p.deps.People.SignInPath(tenant, a.base.path()+"/oauth2/authorize?"+back.Encode(), again))
	return true, nil
}

// narrowToRole takes out of the scopes what the user's role allows on nothing at all. What it allows on which records is held against every
// request later.
func (a *authorization) narrowToRole() error {
	var left []string
	for _, text := range a.scopes {
		if s, resource := parseScope(text); resource {
			got, ok := s.forRole(a.who.Role)
			if !ok {
				continue
			}
			text = got.text
		}
		left = append(left, text)
	}
	if a.scopes = left; len(left) == 0 {
		return fosite.ErrInvalidScope.WithHint("The user's role allows none of it.")
	}
	return nil
}

// after is when the browser was sent to sign in, if it was and not too long ago: a link that is kept must not stand for a sign-in for ever.
func (a *authorization) after() (time.Time, bool) {
	at := a.form.Get(fieldAfter)
	ms, err := strconv.ParseInt(at, 10, 64)
	if err != nil || !a.p.sealer.signed(a.form.Get(fieldSigned), "after", at, a.client.ID, a.form.Get("state")) {
		return time.Time{}, false
	}
	if at := moment(ms); a.p.now().Sub(at) <= signInWait {
		return at, true
	}
	return time.Time{}, false
}

// context finds the patient and the launch. onward says that the browser shows the page to choose a patient on.
func (a *authorization) context(w http.ResponseWriter) (onward bool, err error) {
	if covered(a.scopes, scopeLaunch) {
		if a.launch, err = a.p.findLaunch(a.ctx, a.form.Get("launch"), a.who.User, a.client.ID); err != nil {
			return false, err
		}
	}
	need := covered(a.scopes, scopePatient) || slices.ContainsFunc(a.scopes, func(s string) bool { return strings.HasPrefix(s, contextPatient+"/") })
	if !need && (a.launch == nil || a.launch.Patient == "") {
		return false, nil
	}
	chosen := a.form.Get(FieldPatient)
	own := a.who.Role == access.Patient || a.who.Role == access.Proxy
	switch {
	case a.launch != nil && a.launch.Patient != "":
		chosen = a.launch.Patient
	case own && len(a.who.Patients) == 1:
		chosen = a.who.Patients[0]
	case own && !slices.Contains(a.who.Patients, chosen):
		chosen = ""
	default:
		a.picked = chosen != ""
	}
	if chosen != "" {
		patient, err := a.p.deps.Patients.Get(a.ctx, chosen)
		if err == nil {
			a.patient = &patient
			return false, nil
		}
		if !fault.Is(err, fault.CodeNotFound) && !fault.Is(err, fault.CodeDenied) && !fault.Is(err, fault.CodeGone) && !fault.Is(err, fault.CodeInvalid) {
			return false, err
		}
		if !a.picked {
			return false, fosite.ErrAccessDenied.WithHint("The patient is not there for this user.")
		}
	}
	if slices.Contains(strings.Fields(a.form.Get("prompt")), "none") {
		return false, fosite.ErrInteractionRequired
	}
	if own && len(a.who.Patients) == 0 {
		return false, fosite.ErrAccessDenied.WithHint("The user has no patient.")
	}
	return true, a.askPatient(w, own)
}

func (a *authorization) askPatient(w http.ResponseWriter, own bool) error {
	page := PickPage{App: a.client.Name, User: a.who.Name, Search: !own, Text: strings.TrimSpace(a.form.Get(FieldText)), Action: a.base.path() + "/oauth2/authorize", Hidden: map[string]string{}}
	for name := range a.form {
		if name != FieldText && name != FieldPatient {
			page.Hidden[name] = a.form.Get(name)
		}
	}
	if own {
		for _, one := range a.who.Patients {
			p, err := a.p.deps.Patients.Get(a.ctx, one)
			if err != nil {
				if fault.Is(err, fault.CodeNotFound) || fault.Is(err, fault.CodeGone) || fault.Is(err, fault.CodeDenied) {
					continue
				}
				return err
			}
			page.Patients = append(page.Patients, p)
		}
		return a.p.deps.Pages.Pick(w, page)
	}
	if page.Text != "" {
		found, err := a.p.deps.Patients.Find(a.ctx, page.Text)
		if err != nil {
			return err
		}
		page.Patients = found
	}
	return a.p.deps.Pages.Pick(w, page)
}

// grant makes the grant with these scopes and answers the client with a code.
func (a *authorization) grant(w http.ResponseWriter, scopes []string) error {
	now := a.p.now()
	g := &grant{ID: id.New(), Client: a.client.ID, Account: a.who.User, Created: now, Ends: now.Add(familyLife), detail: detail{
		Scope: strings.Join(scopes, " "), Role: a.who.Role, Session: a.who.Session, AuthTime: a.who.AuthTime.Unix(), ACR: a.who.ACR, AMR: a.who.AMR,
		Nonce: a.form.Get("nonce"), RedirectURI: a.form.Get("redirect_uri"), Challenge: a.form.Get("code_challenge"), Issuer: a.base.issuer(),
	}}
	if a.launch != nil {
		g.launched = a.launch.launched
		if err := a.p.useLaunch(a.ctx, a.launch); err != nil {
			return err
		}
	}
	if a.patient != nil {
		g.Patient = a.patient.ID
	}
	a.request.SetID(g.ID)
	for _, s := range scopes {
		a.request.GrantScope(s)
	}
	response, err := a.p.protocol.NewAuthorizeResponse(a.ctx, a.request, &session{g})
	if err != nil {
		return err
	}
	return a.send(w, response.GetParameters())
}

// send answers the client through the browser, with the issuer (RFC 9207).
func (a *authorization) send(w http.ResponseWriter, parameters url.Values) error {
	to, err := url.Parse(a.form.Get("redirect_uri"))
	if err != nil {
		return fault.Internal("a registered redirect URI can't be read").With(err)
	}
	query := to.Query()
	maps.Copy(query, parameters)
	if state := a.form.Get("state"); state != "" {
		query.Set("state", state)
	}
	query.Set("iss", a.base.issuer())
	to.RawQuery = query.Encode()
	if _, signedIn := a.after(); signedIn && a.r.Method == http.MethodGet {
		// The browser comes from the form of the sign-in page, whose policy lets it lead nowhere but here.
		return a.p.deps.Pages.Onward(w, to.String(), a.client.Name)
	}
	redirect(w, to.String())
	return nil
}

// failAuthorize tells the client what is wrong, or the person when the client can't be told.
func (p *Provider) failAuthorize(w http.ResponseWriter, r *http.Request, a *authorization, err error) error {
	e := (*fosite.RFC6749Error)(nil)
	if f, ok := fault.Of(err); ok {
		if a == nil || f.Code == fault.CodeInternal {
			return f
		}
		e = fosite.ErrTemporarilyUnavailable.WithHint(fault.Message(f))
		if f.Code != fault.CodeUnavailable && f.Code != fault.CodeTimeout {
			e = fosite.ErrAccessDenied.WithHint(fault.Message(f))
		}
	} else if !errors.As(err, &e) || e.CodeField >= http.StatusInternalServerError && e.ErrorField == fosite.ErrServerError.ErrorField {
		return err
	}
	if a != nil {
		return a.send(w, url.Values{"error": {e.ErrorField}, "error_description": {e.GetDescription()}})
	}
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		return p.deps.Pages.Failed(w, e.CodeField, FailedPage{Error: e.ErrorField, Description: e.GetDescription()})
	}
	return p.answerError(w, r, e)
}

func redirect(w http.ResponseWriter, to string) {
	h := w.Header()
	h.Set("Location", to)
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(http.StatusSeeOther)
}
