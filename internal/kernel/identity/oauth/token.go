package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/ory/fosite"

	"ward/internal/base/fault"
	"ward/internal/base/id"
	"ward/internal/base/scope"
	"ward/internal/kernel/access"
	"ward/internal/kernel/audit"
)

// handleToken is the token endpoint (RFC 6749 §3.2).
func (p *Provider) handleToken(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	if err := p.onceEach(r); err != nil {
		return p.answerError(w, r, err)
	}
	b, err := p.base(ctx, r)
	if err != nil {
		return p.answerError(w, r, err)
	}
	request, err := p.protocol.NewAccessRequest(ctx, r, &session{})
	if err == nil {
		err = p.narrowed(ctx, request, b)
	}
	var response fosite.AccessResponder
	if err == nil {
		response, err = p.protocol.NewAccessResponse(ctx, request)
	}
	if err != nil {
		return p.answerError(w, r, p.afterReuse(ctx, request, err))
	}
	g := grantOf(request)
	if g == nil {
		return fault.Internal("a token without a grant")
	}
	by := scope.Principal{ID: "client/" + g.Client, Role: g.Role, Client: g.Client}
	if g.Account != "" {
		by = scope.Principal{ID: "user/" + g.Account, Role: g.Role, Client: g.Client, Session: g.Session}
	}
	if err := p.deps.Audit.Record(ctx, audit.Event{Action: audit.Token, By: by, Type: "client", ID: g.Client, Detail: strings.Join(request.GetGrantTypes(), " ")}); err != nil {
		return err
	}
	out := response.ToMap()
	out["scope"] = strings.Join(request.GetGrantedScopes(), " ")
	return writeJSON(w, http.StatusOK, out)
}

// narrowed settles what the request is granted where fosite leaves it open.
func (p *Provider) narrowed(ctx context.Context, request fosite.AccessRequester, b base) error {
	r, ok := request.(*fosite.AccessRequest)
	if !ok {
		return fault.Internal("a token request of another kind")
	}
	c, ok := r.GetClient().(registered)
	if !ok {
		return fault.Internal("a client of another kind")
	}
	switch {
	case r.GrantTypes.ExactOne(grantCredentials):
		return p.systemGrant(r, c.Client, b)
	case r.GrantTypes.ExactOne(grantRefresh):
		return p.refreshed(ctx, r)
	default:
		return nil
	}
}

// systemGrant is what a backend service gets: of the system scopes that it asks for those it is registered for.
func (p *Provider) systemGrant(r *fosite.AccessRequest, c *Client, b base) error {
	if c.AuthMethod != authKey {
		return fosite.ErrUnauthorizedClient.WithHint("A backend service authenticates with private_key_jwt.")
	}
	for _, want := range r.RequestedScope {
		if s, ok := parseScope(want); ok && s.context == contextSystem {
			if got, ok := narrow(c.scopes(), want); ok {
				r.GrantScope(got)
			}
		}
	}
	if len(r.GrantedScope) == 0 {
		return fosite.ErrInvalidScope.WithHint("None of the scopes is a system/ scope that the client is registered for.")
	}
	now := p.now()
	g := &grant{ID: id.New(), Client: c.ID, Created: now, Ends: now.Add(systemLife), detail: detail{
		Scope: strings.Join(r.GrantedScope, " "), Role: access.Integration, Issuer: b.issuer(),
	}}
	r.SetID(g.ID)
	r.SetSession(&session{g})
	return nil
}

// refreshed holds a refresh against what has changed since the grant: the account, the session of an online grant, a narrower scope.
func (p *Provider) refreshed(ctx context.Context, r *fosite.AccessRequest) error {
	g := grantOf(r)
	if g == nil {
		return fault.Internal("a refresh without a grant")
	}
	if _, err := p.deps.People.Account(ctx, g.Account); err != nil {
		if fault.Is(err, fault.CodeNotFound) {
			return errors.Join(fosite.ErrInvalidGrant.WithHint("The account is closed."), p.revoke(ctx, g.ID))
		}
		return err
	}
	if has := g.scopes(); covered(has, scopeOnline) && !covered(has, scopeOffline) {
		alive, err := p.deps.People.Alive(ctx, g.Account, g.Session)
		if err != nil {
			return err
		}
		if !alive {
			return errors.Join(fosite.ErrInvalidGrant.WithHint("The session has ended."), p.revoke(ctx, g.ID))
		}
	}
	asked := fields(r.Form.Get("scope"))
	if len(asked) == 0 {
		return nil
	}
	for _, s := range asked {
		if !covered(r.GrantedScope, s) {
			return fosite.ErrInvalidScope.WithHint("A refresh can't ask for more than was granted.")
		}
	}
	r.GrantedScope = asked // of the access token; the refresh token keeps all
	return nil
}

// afterReuse ends the family when two requests used the same code or refresh token at once and this is the one that came second.
func (p *Provider) afterReuse(ctx context.Context, r fosite.AccessRequester, err error) error {
	code, refresh := errors.Is(err, fosite.ErrInvalidatedAuthorizeCode), errors.Is(err, fosite.ErrInactiveToken)
	reused := code || refresh
	if e := (*fosite.RFC6749Error)(nil); errors.As(err, &e) {
		reused = reused || e.HintField == "The authorization code has already been used."
	}
	if !reused || r == nil {
		return err
	}
	what := "code"
	if refresh {
		what = "refresh token"
	}
	p.deps.Audit.Security(ctx, audit.ReplayedToken, what)
	if g := grantOf(r); g != nil {
		if err := p.revoke(ctx, g.ID); err != nil {
			return err
		}
	}
	return fosite.ErrInvalidGrant
}

// smart adds to a token response what OpenID Connect and SMART want there.
type smart struct{ p *Provider }

// HandleTokenEndpointRequest leaves every request to the others.
func (s smart) HandleTokenEndpointRequest(context.Context, fosite.AccessRequester) error {
	return fosite.ErrUnknownRequest
}

// CanSkipClientAuth says no.
func (s smart) CanSkipClientAuth(context.Context, fosite.AccessRequester) bool { return false }

// CanHandleTokenEndpointRequest says no: another handler must.
func (s smart) CanHandleTokenEndpointRequest(context.Context, fosite.AccessRequester) bool {
	return false
}

// PopulateTokenEndpointResponse adds the id token and the launch context (SMART App Launch 2.2, scopes and launch context).
func (s smart) PopulateTokenEndpointResponse(ctx context.Context, r fosite.AccessRequester, out fosite.AccessResponder) error {
	out.SetTokenType("Bearer")
	g := grantOf(r)
	if g == nil || g.Account == "" {
		return nil
	}
	if g.Patient != "" {
		out.SetExtra("patient", g.Patient)
	}
	if g.Encounter != "" {
		out.SetExtra("encounter", g.Encounter)
	}
	if len(g.FHIRContext) > 0 {
		out.SetExtra("fhirContext", g.FHIRContext)
	}
	if g.Intent != "" {
		out.SetExtra("intent", g.Intent)
	}
	if g.StyleURL != "" {
		out.SetExtra("smart_style_url", g.StyleURL)
	}
	banner := g.Banner == nil || *g.Banner
	out.SetExtra("need_patient_banner", banner)
	if !r.GetGrantedScopes().Has(scopeOpenID) {
		return nil
	}
	token, err := s.p.idToken(ctx, g, r.GetGrantedScopes(), out.GetAccessToken())
	if err == nil {
		out.SetExtra("id_token", token)
	}
	return err
}

// onceEach refuses a parameter that is there twice (RFC 6749 §3.1 and §3.2), and a body that is no form.
func (p *Provider) onceEach(r *http.Request) error {
	if r.Method == http.MethodPost && !strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		return fosite.ErrInvalidRequest.WithHint("The body must be a form: application/x-www-form-urlencoded.")
	}
	if err := r.ParseForm(); err != nil {
		if _, ok := fault.Of(err); ok {
			return err
		}
		return fosite.ErrInvalidRequest.WithHint("The form can't be read.")
	}
	if r.Method == http.MethodPost && r.URL.RawQuery != "" {
		return fosite.ErrInvalidRequest.WithHint("The parameters go into the body, not into the URL.")
	}
	return once(r.Form)
}

func once(form url.Values) error {
	for _, values := range form {
		if len(values) > 1 {
			return fosite.ErrInvalidRequest.WithHint("A parameter is there more than once.")
		}
	}
	return nil
}

// answerError answers with an OAuth error object (RFC 6749 §5.2). What broke on this side is returned, for the server to log and answer.
func (p *Provider) answerError(w http.ResponseWriter, r *http.Request, err error) error {
	if f, ok := fault.Of(err); ok {
		return f
	}
	e := (*fosite.RFC6749Error)(nil)
	if !errors.As(err, &e) || e.CodeField >= http.StatusInternalServerError {
		return err
	}
	if e.CodeField == http.StatusUnauthorized && r.Header.Get("Authorization") != "" {
		w.Header().Set("WWW-Authenticate", `Basic realm="ward"`)
	}
	return writeJSON(w, e.CodeField, map[string]string{"error": e.ErrorField, "error_description": e.GetDescription()})
}

// writeJSON answers with what no cache may keep.
func writeJSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fault.Internal("write an answer").With(err)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	w.WriteHeader(status)
	_, err = w.Write(body)
	return err
}
