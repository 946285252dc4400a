package oauth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"ward/internal/base/fault"
)

// The grant types and ways to authenticate that a client may have.
const (
	grantCode        = "authorization_code"
	grantRefresh     = "refresh_token"
	grantCredentials = "client_credentials"

	authNone   = "none"                // public: an app that can't keep a secret
	authKey    = "private_key_jwt"     // signs assertions with RS384 or ES384
	authSecret = "client_secret_basic" // an app with a server that holds a secret
)

// Registration is what a client says of itself, with the names of RFC 7591 §2.
type Registration struct {
	Name          string          `json:"client_name"`
	RedirectURIs  []string        `json:"redirect_uris,omitempty"`
	LaunchURL     string          `json:"launch_url,omitempty"` // where an EHR opens the app
	GrantTypes    []string        `json:"grant_types,omitempty"`
	ResponseTypes []string        `json:"response_types,omitempty"`
	AuthMethod    string          `json:"token_endpoint_auth_method,omitempty"`
	Scope         string          `json:"scope,omitempty"`
	JWKS          json.RawMessage `json:"jwks,omitempty"`
	JWKSURI       string          `json:"jwks_uri,omitempty"`

	// What only the tenant's admin may say.
	Trusted    bool `json:"trusted,omitempty"`    // the tenant's own app: people are not asked to consent
	Introspect bool `json:"introspect,omitempty"` // may introspect the tokens of others, as a resource server does
}

// Client is a registered client.
type Client struct {
	Registration
	ID      string
	Dynamic bool // it registered itself
	Created time.Time
	Used    bool

	secret []byte // SHA-256; empty without one
}

// Public says that the client can't prove who it is.
func (c *Client) Public() bool { return c.AuthMethod == authNone }

// unproven says that nothing but its address speaks for the client: then people are asked each time.
func (c *Client) unproven() bool { return c.Public() || c.Dynamic }

func (c *Client) scopes() []string { return fields(c.Scope) }

func (c *Client) may(grant string) bool { return slices.Contains(c.GrantTypes, grant) }

const (
	maxURIs    = 20
	maxURI     = 500
	maxScope   = 4000
	maxKeys    = 20
	maxKeyText = 64 << 10
)

// complete fills in the defaults of RFC 7591 §2 and checks all of it. It returns fault.Invalid with what is wrong; word, when not
// empty, is the error code of RFC 7591 §3.2.2 for it.
func (r *Registration) complete() (word string, err error) {
	if r.AuthMethod == "" {
		r.AuthMethod = authNone
	}
	if len(r.GrantTypes) == 0 {
		r.GrantTypes = []string{grantCode, grantRefresh}
	}
	const metadata = "invalid_client_metadata"
	if r.Name == "" || len(r.Name) > 200 || strings.ContainsFunc(r.Name, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		return metadata, fault.Invalid("client_name must have 1 to 200 bytes, none of them a control character")
	}
	if !slices.Contains([]string{authNone, authKey, authSecret}, r.AuthMethod) {
		return metadata, fault.Invalid("token_endpoint_auth_method is %s, %s or %s", authNone, authKey, authSecret)
	}
	for _, g := range r.GrantTypes {
		if !slices.Contains([]string{grantCode, grantRefresh, grantCredentials}, g) {
			return metadata, fault.Invalid("grant_types are of %s, %s and %s", grantCode, grantRefresh, grantCredentials)
		}
	}
	if slices.Contains(r.GrantTypes, grantRefresh) && !slices.Contains(r.GrantTypes, grantCode) {
		return metadata, fault.Invalid("the grant %s needs %s besides", grantRefresh, grantCode)
	}
	if slices.Contains(r.GrantTypes, grantCredentials) && r.AuthMethod != authKey {
		return metadata, fault.Invalid("the grant %s needs %s", grantCredentials, authKey)
	}
	if len(r.ResponseTypes) > 0 && !slices.Equal(r.ResponseTypes, []string{"code"}) {
		return metadata, fault.Invalid("response_types is code alone")
	}
	if err := r.checkScope(); err != nil {
		return metadata, err
	}
	if err := r.checkURIs(); err != nil {
		return "invalid_redirect_uri", err
	}
	if r.Trusted && r.AuthMethod == authNone {
		return metadata, fault.Invalid("a client can only be trusted when it proves who it is: register it with a secret or keys")
	}
	return metadata, r.checkKeys()
}

func (r *Registration) checkScope() error {
	if len(r.Scope) > maxScope {
		return fault.Invalid("scope has at most %d bytes", maxScope)
	}
	for _, s := range fields(r.Scope) {
		if !known(s) {
			return fault.Invalid("%q is no scope: write such as openid, fhirUser, launch/patient, patient/Observation.rs, user/*.read or system/*.rs", s)
		}
	}
	return nil
}

func (r *Registration) checkURIs() error {
	if slices.Contains(r.GrantTypes, grantCode) == (len(r.RedirectURIs) == 0) {
		return fault.Invalid("redirect_uris are needed with the grant %s, and only then", grantCode)
	}
	if len(r.RedirectURIs) > maxURIs {
		return fault.Invalid("there are at most %d redirect_uris", maxURIs)
	}
	for _, u := range r.RedirectURIs {
		if err := checkRedirect(u, r.AuthMethod == authNone); err != nil {
			return err
		}
	}
	if r.LaunchURL != "" {
		return checkRedirect(r.LaunchURL, r.AuthMethod == authNone)
	}
	return nil
}

// checkRedirect says what is wrong with a redirect URI: it is absolute, without a fragment, and HTTPS, or HTTP on loopback, or, for an app
// on a device, of a private-use scheme, which has a dot (RFC 8252 §7.1).
func checkRedirect(text string, public bool) error {
	bad := func(why string) error { return fault.Invalid("the redirect URI %q %s", text, why) }
	u, err := url.Parse(text)
	switch {
	case err != nil || len(text) > maxURI || !u.IsAbs() || strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c >= 0x7f }):
		return bad("must be an absolute URI of at most 500 ASCII characters")
	case u.Fragment != "" || strings.Contains(text, "#"):
		return bad("must have no fragment")
	case u.User != nil:
		return bad("must not name a user")
	case strings.Contains(text, "*"):
		return bad("must be exact: there are no wildcards")
	}
	switch u.Scheme {
	case "https":
		if u.Host == "" {
			return bad("names no host")
		}
	case "http":
		if !loopback(u.Hostname()) {
			return bad("must be https, or http on loopback")
		}
	default:
		if !public || !strings.Contains(u.Scheme, ".") {
			return bad("must be https, http on loopback or, for a public client, of a scheme such as org.example.app")
		}
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (r *Registration) checkKeys() error {
	if r.AuthMethod != authKey {
		if len(r.JWKS) > 0 || r.JWKSURI != "" {
			return fault.Invalid("jwks and jwks_uri go with %s", authKey)
		}
		return nil
	}
	if len(r.JWKS) > 0 == (r.JWKSURI != "") {
		return fault.Invalid("%s needs one of jwks and jwks_uri", authKey)
	}
	if r.JWKSURI != "" {
		u, err := url.Parse(r.JWKSURI)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || len(r.JWKSURI) > maxURI {
			return fault.Invalid("jwks_uri must be an https URL")
		}
		return nil
	}
	_, err := parseKeys(r.JWKS)
	return err
}

// keySet are the public keys of a client.
type keySet []jose.JSONWebKey

// parseKeys reads a key set and keeps what can sign here: RSA of 2048 bits or more, and P-384. It returns fault.Invalid for a set that can't be
// read, holds a private key, or has no key of these.
func parseKeys(text []byte) (keySet, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if len(text) > maxKeyText || json.Unmarshal(text, &set) != nil || len(set.Keys) > maxKeys {
		return nil, fault.Invalid(`the key set can't be read: write {"keys":[…]} with at most %d keys`, maxKeys)
	}
	var out keySet
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if json.Unmarshal(raw, &key) != nil {
			continue // of a kind that is not known here
		}
		if !key.IsPublic() {
			return nil, fault.Invalid("the key set holds a private or symmetric key: whoever has seen it may have it; make another")
		}
		if key.Valid() && (key.Use == "" || key.Use == "sig") && algorithm(key.Key) != "" && (key.Algorithm == "" || key.Algorithm == string(algorithm(key.Key))) {
			out = append(out, key)
		}
	}
	if len(out) == 0 {
		return nil, fault.Invalid("the key set has no key that can sign here: RSA of 2048 bits or more (RS384), or P-384 (ES384)")
	}
	return out, nil
}

// algorithm is what assertions with the key are signed with; empty for keys that are not taken.
func algorithm(key any) jose.SignatureAlgorithm {
	switch k := key.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() >= 2048 {
			return jose.RS384
		}
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P384() {
			return jose.ES384
		}
	}
	return ""
}
