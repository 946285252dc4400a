package oauth

import (
	"context"
	"net/http"
	"strings"

	"github.com/ory/fosite"

	"ward/internal/base/fault"
	"ward/internal/kernel/identity"
)

// introspection is the answer about a token (RFC 7662 §2.2, SMART App Launch 2.2 token introspection).
type introspection struct {
	Active    bool     `json:"active"`
	Scope     string   `json:"scope,omitempty"`
	ClientID  string   `json:"client_id,omitempty"`
	TokenType string   `json:"token_type,omitempty"`
	Expires   int64    `json:"exp,omitempty"`
	IssuedAt  int64    `json:"iat,omitempty"`
	Subject   string   `json:"sub,omitempty"`
	Issuer    string   `json:"iss,omitempty"`
	Audience  string   `json:"aud,omitempty"`
	Patient   string   `json:"patient,omitempty"`
	Encounter string   `json:"encounter,omitempty"`
	Intent    string   `json:"intent,omitempty"`
	FHIRUser  string   `json:"fhirUser,omitempty"`
	ACR       string   `json:"acr,omitempty"`
	AMR       []string `json:"amr,omitempty"`
	AuthTime  int64    `json:"auth_time,omitempty"`
}

// handleIntrospect tells a confidential client about its own tokens, and a client registered as resource server about all.
func (p *Provider) handleIntrospect(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	if err := p.onceEach(r); err != nil {
		return p.answerError(w, r, err)
	}
	who, err := p.authenticate(ctx, r, r.PostForm)
	if err != nil {
		return p.answerError(w, r, err)
	}
	c, ok := who.(registered)
	if !ok || c.Public() {
		return p.answerError(w, r, fosite.ErrInvalidClient.WithHint("A public client can't introspect."))
	}
	out, err := p.introspection(ctx, r.PostForm.Get("token"), c.Client)
	if err != nil {
		return p.answerError(w, r, err)
	}
	return writeJSON(w, http.StatusOK, out)
}

func (p *Provider) introspection(ctx context.Context, token string, asks *Client) (out introspection, err error) {
	tenant, err := tenantOf(ctx)
	if err != nil {
		return out, err
	}
	var g grant
	if _, access := identity.Slug(AccessPrefix, token); access {
		b, err := p.bearer(ctx, token)
		if fault.Is(err, fault.CodeUnauthenticated) || err == nil && b.tenant != tenant.ID {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		g = b.grant
		out = introspection{Scope: b.scope, TokenType: "Bearer", Expires: b.expires.Unix(), IssuedAt: b.created.Unix()}
	} else {
		t, ok, err := p.lookup(ctx, hashOf(token), kindRefresh)
		if err != nil || !ok || !t.used.IsZero() || !t.good(p.now()) || !p.now().Before(t.expires) {
			return out, err
		}
		g = t.grant
		out = introspection{Scope: g.Scope, Expires: t.expires.Unix(), IssuedAt: t.created.Unix()}
	}
	if g.Client != asks.ID && !asks.Introspect {
		return introspection{}, nil
	}
	out.Active, out.ClientID, out.Issuer, out.Audience = true, g.Client, g.Issuer, baseOf(g.Issuer).fhir()
	out.Subject = g.Account
	if g.Account == "" {
		out.Subject = g.Client
		return out, nil
	}
	out.Patient, out.Encounter, out.Intent = g.Patient, g.Encounter, g.Intent
	out.ACR, out.AMR, out.AuthTime = g.ACR, g.AMR, g.AuthTime
	who, err := p.personOf(ctx, &g, fields(out.Scope))
	if fault.Is(err, fault.CodeNotFound) {
		return introspection{}, nil
	}
	out.FHIRUser = who.FHIRUser
	return out, err
}

// handleRevoke ends the grant of a token (RFC 7009).
func (p *Provider) handleRevoke(w http.ResponseWriter, r *http.Request) error {
	if err := p.onceEach(r); err != nil {
		return p.answerError(w, r, err)
	}
	if err := p.protocol.NewRevocationRequest(r.Context(), r); err != nil {
		return p.answerError(w, r, err)
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	return nil
}

// handleUserinfo tells about the user of an access token with openid (OpenID Connect Core §5.3).
func (p *Provider) handleUserinfo(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	tenant, err := tenantOf(ctx)
	if err != nil {
		return err
	}
	kind, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	b, err := bearer{}, identity.NotGood()
	if strings.EqualFold(kind, "Bearer") {
		b, err = p.bearer(ctx, strings.TrimSpace(token))
	}
	if err == nil && (b.tenant != tenant.ID || b.grant.Account == "") {
		err = identity.NotGood()
	}
	switch {
	case fault.Is(err, fault.CodeUnauthenticated):
		w.Header().Set("WWW-Authenticate", `Bearer realm="ward", error="invalid_token"`)
		return writeJSON(w, http.StatusUnauthorized, map[string]string{"error": "invalid_token", "error_description": fault.Message(err)})
	case err != nil:
		return err
	case !covered(fields(b.scope), scopeOpenID):
		w.Header().Set("WWW-Authenticate", `Bearer realm="ward", error="insufficient_scope", scope="openid"`)
		return writeJSON(w, http.StatusForbidden, map[string]string{"error": "insufficient_scope", "error_description": "the token needs the scope openid"})
	}
	who, err := p.personOf(ctx, &b.grant, fields(b.scope))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, struct {
		Subject string `json:"sub"`
		person
	}{b.grant.Account, who})
}
