package oauth

import (
	"context"
	"encoding/base64"
	"net/url"
	"strings"
	"time"

	"github.com/ory/fosite"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
)

// storage is what fosite keeps in identity_oauth_*. Between BeginTX and Commit its changes gather, and Commit makes them in one
// transaction, in which each still holds what it was decided on.
type storage struct{ p *Provider }

// registered is a client as fosite sees it.
type registered struct{ *Client }

func (c registered) GetID() string                      { return c.ID }
func (c registered) GetHashedSecret() []byte            { return nil }
func (c registered) GetRedirectURIs() []string          { return c.RedirectURIs }
func (c registered) GetGrantTypes() fosite.Arguments    { return c.GrantTypes }
func (c registered) GetResponseTypes() fosite.Arguments { return fosite.Arguments{"code"} }
func (c registered) GetScopes() fosite.Arguments        { return c.scopes() }
func (c registered) IsPublic() bool                     { return c.Public() }
func (c registered) GetAudience() fosite.Arguments      { return nil }

// GetResponseModes lets clients ask for what they get anyway.
func (c registered) GetResponseModes() []fosite.ResponseModeType {
	return []fosite.ResponseModeType{fosite.ResponseModeQuery}
}

// GetEffectiveLifespan shortens what a backend service gets.
func (c registered) GetEffectiveLifespan(gt fosite.GrantType, tt fosite.TokenType, fallback time.Duration) time.Duration {
	if gt == fosite.GrantTypeClientCredentials && tt == fosite.AccessToken {
		return systemLife
	}
	return fallback
}

// session carries the grant through fosite. What is good until when stands in the database, by this package's clock, so fosite is told nothing of it.
type session struct{ grant *grant }

func (s *session) SetExpiresAt(fosite.TokenType, time.Time)    {}
func (s *session) GetExpiresAt(fosite.TokenType) (t time.Time) { return t }
func (s *session) GetUsername() string                         { return "" }
func (s *session) GetSubject() string {
	if s.grant == nil {
		return ""
	}
	return s.grant.Account
}

func (s *session) Clone() fosite.Session {
	if s.grant == nil {
		return &session{}
	}
	g := *s.grant
	return &session{&g}
}

func grantOf(r fosite.Requester) *grant {
	if s, ok := r.GetSession().(*session); ok && s.grant != nil {
		return s.grant
	}
	return nil
}

// unit is the changes between BeginTX and Commit.
type unit struct{ changes []change }

type change func(ctx context.Context, tx db.Tx) error

type unitKey struct{}

// BeginTX begins a unit.
func (s storage) BeginTX(ctx context.Context) (context.Context, error) {
	return context.WithValue(ctx, unitKey{}, &unit{}), nil
}

// Commit makes the unit's changes.
func (s storage) Commit(ctx context.Context) error {
	u, ok := ctx.Value(unitKey{}).(*unit)
	if !ok {
		return fault.Internal("a commit without a beginning")
	}
	return s.p.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		for _, c := range u.changes {
			if err := c(ctx, tx); err != nil {
				return err
			}
		}
		return nil
	})
}

// Rollback forgets the unit's changes.
func (s storage) Rollback(context.Context) error { return nil }

func (s storage) do(ctx context.Context, c change) error {
	if u, ok := ctx.Value(unitKey{}).(*unit); ok {
		u.changes = append(u.changes, c)
		return nil
	}
	return s.p.deps.DB.Write(ctx, c)
}

// GetClient is for authorization requests; the other endpoints authenticate.
func (s storage) GetClient(ctx context.Context, id string) (fosite.Client, error) {
	c, err := s.p.client(ctx, id)
	if err != nil {
		return nil, err
	}
	if c.ID == "" {
		return nil, fosite.ErrNotFound
	}
	return registered{&c}, nil
}

// ClientAssertionJWTValid is not asked: authenticate replaces what would.
func (s storage) ClientAssertionJWTValid(context.Context, string) error { return fosite.ErrJTIKnown }

// SetClientAssertionJWT is not asked either.
func (s storage) SetClientAssertionJWT(context.Context, string, time.Time) error {
	return fosite.ErrJTIKnown
}

// CreateAuthorizeCodeSession keeps a new grant and its code, and uses up the launch that it came from.
func (s storage) CreateAuthorizeCodeSession(ctx context.Context, signature string, r fosite.Requester) error {
	h, err := hashFrom(signature)
	if err != nil {
		return err
	}
	g := grantOf(r)
	now := s.p.now()
	return s.do(ctx, func(ctx context.Context, tx db.Tx) error {
		if err := insertGrant(ctx, tx, g); err != nil {
			return err
		}
		return insertToken(ctx, tx, h, kindCode, g.ID, "", now, now.Add(codeLife))
	})
}

// GetAuthorizeCodeSession is the request that a code answered; with ErrInvalidatedAuthorizeCode when it was exchanged before.
func (s storage) GetAuthorizeCodeSession(ctx context.Context, signature string, _ fosite.Session) (fosite.Requester, error) {
	t, r, err := s.request(ctx, signature, kindCode)
	switch {
	case err != nil:
		return nil, err
	case !t.used.IsZero():
		return r, fosite.ErrInvalidatedAuthorizeCode
	case !t.good(s.p.now()) || !s.p.now().Before(t.expires):
		return nil, fosite.ErrNotFound
	}
	return r, nil
}

// InvalidateAuthorizeCodeSession marks the code as exchanged; ErrInvalidatedAuthorizeCode when somebody was faster.
func (s storage) InvalidateAuthorizeCodeSession(ctx context.Context, signature string) error {
	return s.use(ctx, signature, kindCode, fosite.ErrInvalidatedAuthorizeCode)
}

func (s storage) use(ctx context.Context, signature, kind string, again error) error {
	h, err := hashFrom(signature)
	if err != nil {
		return err
	}
	return s.do(ctx, func(ctx context.Context, tx db.Tx) error {
		n, err := tx.Exec(ctx, "UPDATE identity_oauth_token SET used = $1 WHERE hash = $2 AND kind = $3 AND used = 0", s.p.now().UnixMilli(), h[:], kind)
		if err == nil && n == 0 {
			err = again
		}
		return err
	})
}

// The PKCE challenge stands with the code.

// CreatePKCERequestSession has nothing to do.
func (s storage) CreatePKCERequestSession(context.Context, string, fosite.Requester) error {
	return nil
}

// GetPKCERequestSession is the request with the challenge.
func (s storage) GetPKCERequestSession(ctx context.Context, signature string, _ fosite.Session) (fosite.Requester, error) {
	_, r, err := s.request(ctx, signature, kindCode)
	return r, err
}

// DeletePKCERequestSession has nothing to do.
func (s storage) DeletePKCERequestSession(context.Context, string) error { return nil }

// CreateAccessTokenSession keeps an access token, and for a client of its own account the grant.
func (s storage) CreateAccessTokenSession(ctx context.Context, signature string, r fosite.Requester) error {
	h, err := hashFrom(signature)
	if err != nil {
		return err
	}
	g, now, life := grantOf(r), s.p.now(), accessLife
	if g.Account == "" {
		life = systemLife
	}
	expires := now.Add(life)
	if expires.After(g.Ends) {
		expires = g.Ends
	}
	granted := strings.Join(r.GetGrantedScopes(), " ")
	return s.do(ctx, func(ctx context.Context, tx db.Tx) error {
		if g.Account == "" {
			if err := insertGrant(ctx, tx, g); err != nil {
				return err
			}
		}
		return insertToken(ctx, tx, h, kindAccess, g.ID, granted, now, expires)
	})
}

// GetAccessTokenSession is the request of an access token.
func (s storage) GetAccessTokenSession(ctx context.Context, signature string, _ fosite.Session) (fosite.Requester, error) {
	_, r, err := s.request(ctx, signature, kindAccess)
	return r, err
}

// DeleteAccessTokenSession is for grants that are not offered.
func (s storage) DeleteAccessTokenSession(context.Context, string) error { return nil }

// CreateRefreshTokenSession keeps a refresh token.
func (s storage) CreateRefreshTokenSession(ctx context.Context, signature, _ string, r fosite.Requester) error {
	h, err := hashFrom(signature)
	if err != nil {
		return err
	}
	g, now := grantOf(r), s.p.now()
	expires := now.Add(refreshLife)
	if expires.After(g.Ends) {
		expires = g.Ends
	}
	return s.do(ctx, func(ctx context.Context, tx db.Tx) error {
		return insertToken(ctx, tx, h, kindRefresh, g.ID, "", now, expires)
	})
}

// GetRefreshTokenSession is the request of a refresh token; with ErrInactiveToken when it was rotated.
func (s storage) GetRefreshTokenSession(ctx context.Context, signature string, _ fosite.Session) (fosite.Requester, error) {
	t, r, err := s.request(ctx, signature, kindRefresh)
	switch {
	case err != nil:
		return nil, err
	case !t.used.IsZero():
		return r, fosite.ErrInactiveToken
	case !t.good(s.p.now()) || !s.p.now().Before(t.expires):
		return nil, fosite.ErrNotFound
	}
	return r, nil
}

// DeleteRefreshTokenSession has nothing to do: what was rotated stays, to be known when it comes again.
func (s storage) DeleteRefreshTokenSession(context.Context, string) error { return nil }

// RotateRefreshToken marks the refresh token as used; ErrInactiveToken when somebody was faster.
func (s storage) RotateRefreshToken(ctx context.Context, _, signature string) error {
	return s.use(ctx, signature, kindRefresh, fosite.ErrInactiveToken)
}

// RevokeRefreshToken ends the whole grant, at once.
func (s storage) RevokeRefreshToken(ctx context.Context, requestID string) error {
	return s.p.revoke(ctx, requestID)
}

// RevokeAccessToken ends the whole grant, at once.
func (s storage) RevokeAccessToken(ctx context.Context, requestID string) error {
	return s.p.revoke(ctx, requestID)
}

// request makes of a row what fosite worked on when it was written. It returns fosite.ErrNotFound without a row, and for one whose client
// is gone.
func (s storage) request(ctx context.Context, signature, kind string) (stored, fosite.Requester, error) {
	h, err := hashFrom(signature)
	if err != nil {
		return stored{}, nil, fosite.ErrNotFound
	}
	t, ok, err := s.p.lookup(ctx, h, kind)
	if err != nil {
		return t, nil, err
	}
	if !ok {
		return t, nil, fosite.ErrNotFound
	}
	c, err := s.p.client(ctx, t.Client)
	if err != nil {
		return t, nil, err
	}
	if c.ID == "" {
		return t, nil, fosite.ErrNotFound
	}
	granted := t.scopes()
	if kind == kindAccess {
		granted = fields(t.scope)
	}
	return t, &fosite.Request{
		ID: t.ID, RequestedAt: t.created, Client: registered{&c}, RequestedScope: granted, GrantedScope: granted, Session: &session{&t.grant},
		Form: url.Values{"redirect_uri": {t.RedirectURI}, "code_challenge": {t.Challenge}, "code_challenge_method": {"S256"}},
	}, nil
}

// signatureOf is how fosite names a secret: its SHA-256.
func signatureOf(secret string) string {
	h := hashOf(secret)
	return base64.RawURLEncoding.EncodeToString(h[:])
}

func hashFrom(signature string) (h hash, err error) {
	b, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil || len(b) != len(h) {
		return h, fault.Internal("this is no signature")
	}
	copy(h[:], b)
	return h, nil
}
