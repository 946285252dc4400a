package oauth

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"ward/internal/base/fault"
)

// base is the addresses of a tenant.
type base string // scheme://host/t/tenant

func (b base) issuer() string     { return string(b) + "/oauth2" }
func (b base) fhir() string       { return string(b) + "/fhir" }
func (b base) authorize() string  { return b.issuer() + "/authorize" }
func (b base) token() string      { return b.issuer() + "/token" }
func (b base) revoke() string     { return b.issuer() + "/revoke" }
func (b base) introspect() string { return b.issuer() + "/introspect" }
func (b base) userinfo() string   { return b.issuer() + "/userinfo" }
func (b base) register() string   { return b.issuer() + "/register" }
func (b base) keys() string       { return b.issuer() + "/keys" }

// base is where the request's tenant is reached. Tokens and assertions name it, so without a public URL, which only the operator
// sets, it is taken from requests on loopback alone: the Host header is the caller's to choose.
func (p *Provider) base(ctx context.Context, r *http.Request) (base, error) {
	tenant, err := tenantOf(ctx)
	if err != nil {
		return "", err
	}
	root := strings.TrimSuffix(p.deps.BaseURL, "/")
	if root == "" {
		u := url.URL{Scheme: "http", Host: r.Host}
		if !loopback(u.Hostname()) {
			return "", fault.Unavailable("the tenant's address is not known: set http.public-url")
		}
		if r.TLS != nil {
			u.Scheme = "https"
		}
		root = u.String()
	}
	return base(root + "/t/" + tenant.Slug), nil
}

// path is the base without scheme and host.
func (b base) path() string {
	u, err := url.Parse(string(b))
	if err != nil {
		return ""
	}
	return u.Path
}
