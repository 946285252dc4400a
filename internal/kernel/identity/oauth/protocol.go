package oauth

import (
	"context"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/handler/pkce"

	"ward/internal/kernel/identity"
)

// compose puts fosite together: the grants that are offered, on this package's storage, tokens, client authentication and scopes.
func (p *Provider) compose() *fosite.Fosite {
	store, tokens := storage{p}, strategy{p}
	config := &fosite.Config{
		AccessTokenLifespan: accessLife, RefreshTokenLifespan: refreshLife, AuthorizeCodeLifespan: codeLife,
		// Scopes are narrowed before fosite sees them granted, so it need not refuse any.
		ScopeStrategy:            func([]string, string) bool { return true },
		AudienceMatchingStrategy: func([]string, []string) error { return nil },
		EnforcePKCE:              true, EnablePKCEPlainChallengeMethod: false,
		ClientAuthenticationStrategy: p.authenticate,
		RefreshTokenScopes:           []string{scopeOffline, scopeOnline},
		OmitRedirectScopeParam:       true,
		SanitationWhiteList:          []string{"redirect_uri"},
	}
	code := &oauth2.AuthorizeExplicitGrantHandler{
		AccessTokenStrategy: tokens, RefreshTokenStrategy: tokens, AuthorizeCodeStrategy: tokens, CoreStorage: store, TokenRevocationStorage: store, Config: config,
	}
	proof := &pkce.Handler{AuthorizeCodeStrategy: tokens, Storage: store, Config: config}
	config.AuthorizeEndpointHandlers = fosite.AuthorizeEndpointHandlers{code, proof}
	config.TokenEndpointHandlers = fosite.TokenEndpointHandlers{
		code, proof,
		&oauth2.RefreshTokenGrantHandler{AccessTokenStrategy: tokens, RefreshTokenStrategy: tokens, TokenRevocationStorage: store, Config: config},
		&oauth2.ClientCredentialsGrantHandler{
			HandleHelper: &oauth2.HandleHelper{AccessTokenStrategy: tokens, AccessTokenStorage: store, Config: config}, Config: config,
		},
		smart{p},
	}
	config.RevocationHandlers = fosite.RevocationHandlers{
		&oauth2.TokenRevocationHandler{TokenRevocationStorage: store, RefreshTokenStrategy: tokens, AccessTokenStrategy: tokens},
	}
	return fosite.NewOAuth2Provider(store, config)
}

// strategy mints codes and tokens. What is good is decided by the rows, which storage reads.
type strategy struct{ p *Provider }

func (s strategy) mint(ctx context.Context, prefix string) (token, signature string, err error) {
	tenant, err := tenantOf(ctx)
	if err != nil {
		return "", "", err
	}
	token = identity.Mint(prefix, tenant.Slug)
	return token, signatureOf(token), nil
}

func (s strategy) AccessTokenSignature(_ context.Context, token string) string {
	return signatureOf(token)
}

func (s strategy) RefreshTokenSignature(_ context.Context, token string) string {
	return signatureOf(token)
}

func (s strategy) AuthorizeCodeSignature(_ context.Context, code string) string {
	return signatureOf(code)
}

func (s strategy) GenerateAccessToken(ctx context.Context, _ fosite.Requester) (token, signature string, err error) {
	return s.mint(ctx, AccessPrefix)
}

func (s strategy) GenerateRefreshToken(ctx context.Context, _ fosite.Requester) (token, signature string, err error) {
	return s.mint(ctx, refreshPrefix)
}

func (s strategy) GenerateAuthorizeCode(ctx context.Context, _ fosite.Requester) (token, signature string, err error) {
	return s.mint(ctx, codePrefix)
}

func (s strategy) ValidateAccessToken(context.Context, fosite.Requester, string) error { return nil }

func (s strategy) ValidateRefreshToken(context.Context, fosite.Requester, string) error { return nil }

func (s strategy) ValidateAuthorizeCode(context.Context, fosite.Requester, string) error { return nil }
