package oauth

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/kernel/access"
	"ward/internal/kernel/module"
)

// Module is what the provider brings to the product.
func (p *Provider) Module() module.Module {
	const at = module.TenantPrefix + "oauth2"
	quick, fair := 250*time.Millisecond, time.Second
	form, small := int64(64<<10), int64(128<<10)
	type handler = func(w http.ResponseWriter, r *http.Request) error
	public := func(method, pattern string, lane module.Lane, limit int64, latency time.Duration, summary string, h handler) module.Route {
		return module.Route{
			Method: method, Pattern: pattern, Target: module.API, Lane: lane, Public: true, BodyLimit: limit,
			Objective: module.Objective{Percentile: 0.95, Latency: latency}, Summary: summary, Handler: h,
		}
	}
	guarded := func(method, pattern, permission string, limit int64, summary string, h handler) module.Route {
		r := public(method, pattern, module.Interactive, limit, fair, summary, h)
		r.Public, r.Permission = false, permission
		return r
	}
	const urgent, people = module.Urgent, module.Interactive
	return module.Module{
		Name: "oauth", Migrations: migrationFiles(),
		Routes: []module.Route{
			public("GET", at+"/authorize", urgent, form, fair, "OAuth2: authorization request of an app", p.handleAuthorize),
			public("POST", at+"/authorize", urgent, form, fair, "OAuth2: authorization request as a form", p.handleAuthorizePost),
			public("POST", at+"/consent", urgent, form, fair, "OAuth2: answer of the consent page", p.handleConsent),
			public("POST", at+"/token", urgent, form, quick, "OAuth2: tokens for codes, refresh tokens and assertions", p.handleToken),
			public("POST", at+"/revoke", urgent, form, quick, "OAuth2: revoke a token and its family", p.handleRevoke),
			public("POST", at+"/introspect", urgent, form, quick, "OAuth2: what a token is good for", p.handleIntrospect),
			public("GET", at+"/userinfo", urgent, form, quick, "OpenID Connect: who the token's user is", p.handleUserinfo),
			public("POST", at+"/userinfo", urgent, form, quick, "OpenID Connect: who the token's user is", p.handleUserinfo),
			public("GET", at+"/keys", urgent, form, quick, "OpenID Connect: keys that sign id tokens", p.handleKeys),
			public("GET", at+"/.well-known/openid-configuration", urgent, form, quick, "OpenID Connect: discovery", p.handleDiscovery),
			public("GET", at+"/.well-known/oauth-authorization-server", urgent, form, quick, "OAuth2: discovery", p.handleDiscovery),
			public("GET", module.FHIRPrefix+"/.well-known/smart-configuration", urgent, form, quick, "SMART App Launch: discovery", p.handleSMART),
			public("POST", at+"/register", people, small, fair, "OAuth2: a client registers itself", p.handleRegister),
			public("GET", at+"/consents", people, form, fair, "What the user agreed that apps may do", p.handleConsents),
			public("POST", at+"/consents", people, form, fair, "Take back what the user agreed to, from the page", p.handleRevokeConsentForm),
			public("DELETE", at+"/consents/{client}", people, form, fair, "Take back what the user agreed to", p.handleRevokeConsent),
			guarded("POST", at+"/launch", access.RecordsRead, form, "SMART: a launch context for an app", p.handleLaunch),
			guarded("GET", at+"/clients", access.TenantManage, form, "List the tenant's clients", p.handleListClients),
			guarded("POST", at+"/clients", access.TenantManage, small, "Register a client", p.handleCreateClient),
			guarded("GET", at+"/clients/{id}", access.TenantManage, form, "Show a client", p.handleShowClient),
			guarded("DELETE", at+"/clients/{id}", access.TenantManage, form, "Delete a client and all it was granted", p.handleDeleteClient),
			guarded("POST", at+"/keys", access.TenantManage, form, "Sign id tokens with a new key from now on", p.handleRotateKeys),
		},
		Runners: []module.Runner{
			{Name: "oauth-sweep", Target: module.Worker, Run: p.sweep},
			{Name: "oauth-settle", Target: module.Worker, Run: p.settleAll},
		},
	}
}

const sweepEvery = time.Hour

// sweep deletes what has expired, and rotates keys when they are due.
func (p *Provider) sweep(ctx context.Context) error {
	for {
		tenants, err := p.deps.All(ctx)
		if err != nil {
			return err
		}
		for _, t := range tenants {
			if err := p.Sweep(scope.WithTenant(ctx, t)); err != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				p.deps.Log.WarnContext(ctx, "oauth: sweep", slog.Int("tenant", int(t.ID)), slog.Any("error", err))
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(sweepEvery):
		}
	}
}

// Sweep does so for the context's tenant, once. Used codes and refresh tokens stay until they would have expired, so that a second use is known.
func (p *Provider) Sweep(ctx context.Context) (err error) {
	defer fault.Op(&err, "oauth.Sweep")
	now := p.now()
	err = p.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		for _, s := range []struct {
			sql string
			at  time.Time
		}{
			{"DELETE FROM identity_oauth_token WHERE expires < $1", now.Add(-time.Hour)},
			{"DELETE FROM identity_oauth_grant WHERE ends < $1", now.Add(-time.Hour)},
			{"DELETE FROM identity_oauth_launch WHERE expires < $1", now},
			{"DELETE FROM identity_oauth_jti WHERE expires < $1", now.Add(-time.Hour)},
			{"DELETE FROM identity_oauth_key WHERE ends > 0 AND ends < $1", now},
			{"DELETE FROM identity_oauth_client WHERE dynamic = 1 AND used = 0 AND created < $1", now.Add(-24 * time.Hour)},
		} {
			if _, err := tx.Exec(ctx, s.sql, s.at.UnixMilli()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return p.rotateWhenDue(ctx)
}
