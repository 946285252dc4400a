package oauth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/ory/fosite"

	"ward/internal/backend/db"
	"ward/internal/kernel/audit"
)

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// authenticate finds the client of a request to the token, revocation or introspection endpoint and has it prove itself in the one way that
// it is registered for. It replaces fosite's own strategy, which takes other algorithms, longer lives and the process's clock.
func (p *Provider) authenticate(ctx context.Context, r *http.Request, form url.Values) (fosite.Client, error) {
	if form.Has("client_assertion") || form.Has("client_assertion_type") {
		if r.Header.Get("Authorization") != "" || form.Has("client_secret") {
			return nil, fosite.ErrInvalidRequest.WithHint("The client authenticates in more than one way.")
		}
		c, err := p.byAssertion(ctx, r, form)
		return c, p.refused(ctx, audit.BadAssertion, err)
	}
	id, secret, basic := r.BasicAuth()
	if basic {
		var err1, err2 error
		id, err1 = url.QueryUnescape(id) // RFC 6749 §2.3.1
		secret, err2 = url.QueryUnescape(secret)
		if err1 != nil || err2 != nil || form.Has("client_id") && form.Get("client_id") != id || form.Has("client_secret") {
			return nil, fosite.ErrInvalidRequest.WithHint("The client's id and secret go into the Authorization header, form-encoded, and nowhere else.")
		}
	} else {
		id = form.Get("client_id")
	}
	if !basic && id == "" && form.Get("grant_type") == grantRefresh { // RFC 6749 §6: a public client need not say who it is
		t, ok, err := p.lookup(ctx, hashOf(form.Get("refresh_token")), kindRefresh)
		if err != nil {
			return nil, err
		}
		if ok {
			id = t.Client
		}
	}
	c, err := p.client(ctx, id)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(secret))
	switch {
	case c.ID == "":
		err = fosite.ErrInvalidClient
	case basic && c.AuthMethod == authSecret && subtle.ConstantTimeCompare(sum[:], c.secret) == 1:
	case !basic && c.AuthMethod == authNone && !form.Has("client_secret"):
	default:
		err = fosite.ErrInvalidClient
	}
	if err != nil {
		return nil, p.refused(ctx, audit.BadAssertion, err)
	}
	return registered{&c}, nil
}

// refused announces that a client could not prove itself.
func (p *Provider) refused(ctx context.Context, kind audit.Kind, err error) error {
	if e := (*fosite.RFC6749Error)(nil); errors.As(err, &e) {
		if errors.Is(err, errReplayed) {
			kind = audit.ReplayedToken
		}
		p.deps.Audit.Security(ctx, kind, "client authentication")
	}
	return err
}

var errReplayed = errors.New("a jti that was used before")

// byAssertion authenticates by private_key_jwt (RFC 7523 §3, SMART App Launch 2.2 asymmetric authentication).
func (p *Provider) byAssertion(ctx context.Context, r *http.Request, form url.Values) (fosite.Client, error) {
	no := func(why string) error { return fosite.ErrInvalidClient.WithHint(why) }
	if form.Get("client_assertion_type") != assertionType {
		return nil, fosite.ErrInvalidRequest.WithHintf("client_assertion_type must be %s.", assertionType)
	}
	text := form.Get("client_assertion")
	if len(text) > 8<<10 {
		return nil, no("The assertion is longer than 8 KB.")
	}
	token, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.RS384, jose.ES384})
	if err != nil || len(token.Headers) != 1 {
		return nil, no("The assertion can't be read, or is not signed with RS384 or ES384.")
	}
	var claims jwt.Claims
	if err := token.UnsafeClaimsWithoutVerification(&claims); err != nil {
		return nil, no("The assertion's claims can't be read.")
	}
	c, err := p.client(ctx, claims.Subject)
	if err != nil {
		return nil, err
	}
	header := token.Headers[0]
	if c.ID == "" || c.AuthMethod != authKey || claims.Issuer != c.ID || form.Has("client_id") && form.Get("client_id") != c.ID {
		return nil, no("The assertion's iss and sub must be the id of a client that is registered for private_key_jwt.")
	}
	if jku, ok := header.ExtraHeaders["jku"]; ok && jku != c.JWKSURI {
		return nil, no("The assertion's jku is not the registered jwks_uri.")
	}
	if ok, err := p.verified(ctx, &c, token, header); err != nil || !ok {
		return nil, errors.Join(err, no("The assertion is not signed by a key of the client."))
	}
	base, err := p.base(ctx, r)
	if err != nil {
		return nil, err
	}
	now := p.deps.Clock.Now()
	switch {
	case !slices.Equal(claims.Audience, []string{base.token()}):
		return nil, no("The assertion's aud must be the token endpoint.")
	case claims.Expiry == nil || !now.Before(claims.Expiry.Time().Add(skew)):
		return nil, no("The assertion has expired.")
	case claims.Expiry.Time().After(now.Add(assertionMax + skew)):
		return nil, no("The assertion expires more than five minutes from now.")
	case claims.IssuedAt != nil && claims.IssuedAt.Time().After(now.Add(skew)), claims.NotBefore != nil && claims.NotBefore.Time().After(now.Add(skew)):
		return nil, no("The assertion is not yet good: is the client's clock right?")
	case claims.ID == "" || len(claims.ID) > 512:
		return nil, no("The assertion needs a jti.")
	}
	fresh := false
	sum := sha256.Sum256([]byte(claims.ID))
	err = p.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		n, err := tx.InsertNew(ctx, "identity_oauth_jti", db.Col("client", []string{c.ID}), db.Col("hash", [][]byte{sum[:]}),
			db.Col("expires", []int64{claims.Expiry.Time().Add(skew).UnixMilli()}))
		fresh = n == 1
		return err
	})
	if err != nil {
		return nil, err
	}
	if !fresh {
		return nil, fosite.ErrInvalidClient.WithHint("The assertion's jti was used before.").WithWrap(errReplayed)
	}
	return registered{&c}, nil
}

// verified says whether one of the client's keys signed the token. A key that is not known yet is looked for at jwks_uri again.
func (p *Provider) verified(ctx context.Context, c *Client, token *jwt.JSONWebToken, header jose.Header) (bool, error) {
	try := func(keys keySet) bool {
		for _, k := range keys {
			if (header.KeyID == "" || k.KeyID == header.KeyID) && string(algorithm(k.Key)) == header.Algorithm && token.Claims(k.Key) == nil {
				return true
			}
		}
		return false
	}
	if c.JWKSURI == "" {
		keys, err := parseKeys(c.JWKS)
		return err == nil && try(keys), nil
	}
	load := func(ctx context.Context) (keySet, error) {
		text, err := p.deps.Fetch(ctx, c.JWKSURI)
		if err != nil {
			return nil, err
		}
		return parseKeys(text)
	}
	keys, err := p.fetched.Get(ctx, c.JWKSURI, load)
	if err != nil {
		p.deps.Log.WarnContext(ctx, "oauth: a client's key set can't be had", slog.String("client", c.ID), slog.Any("error", err))
		return false, fosite.ErrInvalidClient.WithHint("The key set at jwks_uri can't be had.")
	}
	if try(keys) {
		return true, nil
	}
	if _, lately := p.refetch.Peek(c.JWKSURI); lately {
		return false, nil
	}
	_, _ = p.refetch.Get(ctx, c.JWKSURI, func(context.Context) (struct{}, error) { return struct{}{}, nil })
	p.fetched.Drop(c.JWKSURI)
	keys, err = p.fetched.Get(ctx, c.JWKSURI, load)
	return err == nil && try(keys), nil
}
