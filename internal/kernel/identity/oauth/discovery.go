package oauth

import (
	"net/http"

	"github.com/go-jose/go-jose/v4"
)

// discovery is a tenant's metadata (OpenID Connect Discovery §3, RFC 8414 §2).
type discovery struct {
	Issuer                string   `json:"issuer"`
	Authorization         string   `json:"authorization_endpoint"`
	Token                 string   `json:"token_endpoint"`
	JWKS                  string   `json:"jwks_uri"`
	Userinfo              string   `json:"userinfo_endpoint"`
	Revocation            string   `json:"revocation_endpoint"`
	Introspection         string   `json:"introspection_endpoint"`
	Registration          string   `json:"registration_endpoint,omitempty"`
	Scopes                []string `json:"scopes_supported"`
	ResponseTypes         []string `json:"response_types_supported"`
	ResponseModes         []string `json:"response_modes_supported"`
	GrantTypes            []string `json:"grant_types_supported"`
	AuthMethods           []string `json:"token_endpoint_auth_methods_supported"`
	AuthAlgorithms        []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	RevocationMethods     []string `json:"revocation_endpoint_auth_methods_supported"`
	IntrospectionMethods  []string `json:"introspection_endpoint_auth_methods_supported"`
	CodeChallenge         []string `json:"code_challenge_methods_supported"`
	SubjectTypes          []string `json:"subject_types_supported"`
	IDTokenAlgorithms     []string `json:"id_token_signing_alg_values_supported"`
	Claims                []string `json:"claims_supported"`
	ClaimsParameter       bool     `json:"claims_parameter_supported"`
	RequestParameter      bool     `json:"request_parameter_supported"`
	RequestURIParameter   bool     `json:"request_uri_parameter_supported"`
	IssuerInAuthorization bool     `json:"authorization_response_iss_parameter_supported"`
	PromptValues          []string `json:"prompt_values_supported"`
}

// smartConfiguration is what SMART App Launch 2.2 wants at .well-known/smart-configuration.
type smartConfiguration struct {
	Issuer         string   `json:"issuer"`
	JWKS           string   `json:"jwks_uri"`
	Authorization  string   `json:"authorization_endpoint"`
	Token          string   `json:"token_endpoint"`
	Userinfo       string   `json:"userinfo_endpoint"`
	Revocation     string   `json:"revocation_endpoint"`
	Introspection  string   `json:"introspection_endpoint"`
	Registration   string   `json:"registration_endpoint,omitempty"`
	GrantTypes     []string `json:"grant_types_supported"`
	AuthMethods    []string `json:"token_endpoint_auth_methods_supported"`
	AuthAlgorithms []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	Scopes         []string `json:"scopes_supported"`
	ResponseTypes  []string `json:"response_types_supported"`
	CodeChallenge  []string `json:"code_challenge_methods_supported"`
	Capabilities   []string `json:"capabilities"`
}

func scopesSupported() []string {
	return append(plainScopes()[:len(plainScopes())-1:len(plainScopes())-1], // launch/encounter comes with an EHR's launch only
		"patient/*.cruds", "patient/*.read", "patient/*.write", "patient/*.*", "user/*.cruds", "user/*.read", "user/*.write", "user/*.*",
		"system/*.cruds", "system/*.read", "system/*.write", "system/*.*")
}

func (p *Provider) handleDiscovery(w http.ResponseWriter, r *http.Request) error {
	b, err := p.base(r.Context(), r)
	if err != nil {
		return err
	}
	open, err := p.deps.MayRegister(r.Context())
	if err != nil {
		return err
	}
	d := discovery{
		Issuer: b.issuer(), Authorization: b.authorize(), Token: b.token(), JWKS: b.keys(), Userinfo: b.userinfo(), Revocation: b.revoke(),
		Introspection: b.introspect(), Scopes: scopesSupported(), ResponseTypes: []string{"code"}, ResponseModes: []string{"query"},
		GrantTypes:  []string{grantCode, grantRefresh, grantCredentials},
		AuthMethods: []string{authKey, authSecret, authNone}, AuthAlgorithms: []string{string(jose.RS384), string(jose.ES384)},
		RevocationMethods: []string{authKey, authSecret, authNone}, IntrospectionMethods: []string{authKey, authSecret},
		CodeChallenge: []string{"S256"}, SubjectTypes: []string{"public"}, IDTokenAlgorithms: []string{string(idTokenAlgorithm)},
		Claims:                []string{"iss", "sub", "aud", "exp", "iat", "jti", "nonce", "auth_time", "acr", "amr", "at_hash", "fhirUser", "profile", "name"},
		IssuerInAuthorization: true, PromptValues: []string{"none", "login", "consent", "select_account"},
	}
	if open {
		d.Registration = b.register()
	}
	return writePublic(w, d)
}

func (p *Provider) handleSMART(w http.ResponseWriter, r *http.Request) error {
	b, err := p.base(r.Context(), r)
	if err != nil {
		return err
	}
	open, err := p.deps.MayRegister(r.Context())
	if err != nil {
		return err
	}
	c := smartConfiguration{
		Issuer: b.issuer(), JWKS: b.keys(), Authorization: b.authorize(), Token: b.token(), Userinfo: b.userinfo(), Revocation: b.revoke(), Introspection: b.introspect(),
		GrantTypes:  []string{grantCode, grantRefresh, grantCredentials},
		AuthMethods: []string{authKey, authSecret, authNone}, AuthAlgorithms: []string{string(jose.RS384), string(jose.ES384)},
		Scopes: scopesSupported(), ResponseTypes: []string{"code"}, CodeChallenge: []string{"S256"},
		Capabilities: []string{
			"launch-ehr", "launch-standalone", "authorize-post", "client-public", "client-confidential-symmetric", "client-confidential-asymmetric",
			"sso-openid-connect", "context-banner", "context-style", "context-ehr-patient", "context-ehr-encounter", "context-standalone-patient",
			"permission-offline", "permission-online", "permission-patient", "permission-user", "permission-v1", "permission-v2",
		},
	}
	if open {
		c.Registration = b.register()
	}
	return writePublic(w, c)
}

// handleKeys is the tenant's key set (RFC 7517 §5).
func (p *Provider) handleKeys(w http.ResponseWriter, r *http.Request) error {
	keys, err := p.shown(r.Context())
	if err != nil {
		return err
	}
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, k := range keys {
		set.Keys = append(set.Keys, k.public)
	}
	return writePublic(w, set)
}

// writePublic answers with what is anybody's to read, from any page.
func writePublic(w http.ResponseWriter, v any) error {
	w.Header().Set("Access-Control-Allow-Origin", "*")
	err := writeJSON(w, http.StatusOK, v)
	return err
}

// Security is what the capability statement says of this, for the tenant's FHIR base (FHIR R4 capabilitystatement, SMART App Launch 2.2
// conformance): the addresses of the extension oauth-uris, by name.
func Security(fhirBase string) map[string]string {
	b := base(fhirBase[:max(0, len(fhirBase)-len("/fhir"))])
	return map[string]string{
		"authorize": b.authorize(), "token": b.token(), "revoke": b.revoke(), "introspect": b.introspect(), "register": b.register(),
	}
}
