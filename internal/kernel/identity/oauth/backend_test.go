package oauth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"ward/internal/base/id"
	"ward/internal/kernel/access"
	"ward/internal/kernel/audit"
	"ward/internal/kernel/identity/oauth"
)

// service is a backend service with a key.
type service struct {
	id   string
	alg  jose.SignatureAlgorithm
	key  any
	kid  string
	site *site
}

func keySet(t *testing.T, keys ...jose.JSONWebKey) string {
	t.Helper()
	text, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func newEC(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (s *site) service(alg jose.SignatureAlgorithm, key, public any) service {
	s.Helper()
	jwk := jose.JSONWebKey{Key: public, KeyID: "k1", Algorithm: string(alg), Use: "sig"}
	c, _ := s.client(oauth.Registration{
		Name: "Laboratory", GrantTypes: []string{"client_credentials"}, AuthMethod: "private_key_jwt", Scope: "system/Observation.cruds system/Patient.rs",
		JWKS: json.RawMessage(keySet(s.T, jwk)),
	})
	return service{c.ID, alg, key, "k1", s}
}

// assertion is a good one, with claims changed; nil takes one out.
func (v service) assertion(changes map[string]any) string {
	v.site.Helper()
	now := v.site.clock.Now()
	claims := map[string]any{"iss": v.id, "sub": v.id, "aud": issuer + "/token", "exp": now.Add(4 * time.Minute).Unix(), "iat": now.Unix(), "jti": id.New()}
	for name, value := range changes {
		if claims[name] = value; value == nil {
			delete(claims, name)
		}
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: v.alg, Key: v.key}, (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", v.kid))
	if err != nil {
		v.site.Fatal(err)
	}
	text, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		v.site.Fatal(err)
	}
	return text
}

func ask(assertion string, more ...string) url.Values {
	v := values("grant_type", "client_credentials", "scope", "system/Observation.rs", "client_assertion", assertion,
		"client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	for i := 0; i < len(more); i += 2 {
		v.Set(more[i], more[i+1])
	}
	return v
}

func TestBackend_ServicesAuthenticateByKey(t *testing.T) {
	t.Parallel()
	each(t, func(s *site) {
		ec := newEC(s.T)
		rs, err := oneKey()
		if err != nil {
			s.Fatal(err)
		}
		for _, v := range []service{s.service(jose.ES384, ec, ec.Public()), s.service(jose.RS384, rs, rs.Public())} {
			a := s.token(ask(v.assertion(nil)))
			if a.Code != 200 || a.text("scope") != "system/Observation.rs" || a.json()["expires_in"] != 300. || a.json()["refresh_token"] != nil || a.json()["id_token"] != nil {
				s.Fatalf("%s: %d %s", v.alg, a.Code, a.Body)
			}
			p, tenant, err := s.p.Verify(s.Context(), a.text("access_token"))
			if err != nil || tenant != demo.ID || p.ID != "client/"+v.id || p.Role != access.Integration || p.Scopes != "system/Observation.rs" || p.Person != "" || p.Client != v.id {
				s.Errorf("%+v %v", p, err)
			}
			if a := s.token(ask(v.assertion(nil), "scope", "system/*.cruds system/Patient.cruds system/Observation.read user/*.rs openid")); a.text("scope") != "system/Patient.rs system/Observation.read" {
				s.Errorf("%s", a.Body)
			}
			s.token(ask(v.assertion(nil), "scope", "patient/*.rs")).refused(400, "invalid_scope")
			s.token(ask(v.assertion(nil), "scope", "")).refused(400, "invalid_scope")
			s.clock.Advance(5 * time.Minute)
			if s.verifies(a.text("access_token")) {
				s.Error("it does not expire")
			}
		}
	})
}

func TestBackend_AssertionsThatAreRefused(t *testing.T) {
	t.Parallel()
	each(t, func(s *site) {
		ec := newEC(s.T)
		v := s.service(jose.ES384, ec, ec.Public())
		rs, err := oneKey()
		if err != nil {
			s.Fatal(err)
		}
		rsa384 := s.service(jose.RS384, rs, rs.Public())
		now := s.clock.Now()
		der, err := x509.MarshalPKIXPublicKey(rs.Public())
		if err != nil {
			s.Fatal(err)
		}
		public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
		none := func(text string) string {
			parts := strings.Split(text, ".")
			return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + parts[1] + "."
		}
		with := func(v service, alg jose.SignatureAlgorithm, key any) string {
			v.alg, v.key = alg, key
			return v.assertion(nil)
		}
		p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			s.Fatal(err)
		}
		for name, text := range map[string]string{
			"alg none":                  none(v.assertion(nil)),
			"HS384 with the public key": with(rsa384, jose.HS384, public),
			"HS256 with the public key": with(rsa384, jose.HS256, public),
			"RS256":                     with(rsa384, jose.RS256, rs),
			"PS384":                     with(rsa384, jose.PS384, rs),
			"ES256":                     with(v, jose.ES256, p256),
			"another key":               with(v, jose.ES384, newEC(s.T)),
			"another client's key":      with(v, jose.RS384, rs),
			"another kid":               func() string { v := v; v.kid = "k2"; return v.assertion(nil) }(),
			"no signature":              strings.Join(strings.Split(v.assertion(nil), ".")[:2], ".") + ".",
			"garbage":                   "a.b.c",
			"empty":                     "",
			"another tenant's endpoint": v.assertion(map[string]any{"aud": host + "/t/north/oauth2/token"}),
			"another server's endpoint": v.assertion(map[string]any{"aud": "https://evil.example.org/token"}),
			"two endpoints":             v.assertion(map[string]any{"aud": []string{issuer + "/token", "https://evil.example.org/token"}}),
			"the issuer":                v.assertion(map[string]any{"aud": issuer}),
			"no audience":               v.assertion(map[string]any{"aud": nil}),
			"expired":                   v.assertion(map[string]any{"exp": now.Add(-31 * time.Second).Unix()}),
			"six minutes":               v.assertion(map[string]any{"exp": now.Add(6 * time.Minute).Unix()}),
			"for ever":                  v.assertion(map[string]any{"exp": nil}),
			"from the future":           v.assertion(map[string]any{"iat": now.Add(time.Minute).Unix()}),
			"not before later":          v.assertion(map[string]any{"nbf": now.Add(time.Minute).Unix()}),
			"no jti":                    v.assertion(map[string]any{"jti": nil}),
			"another issuer":            v.assertion(map[string]any{"iss": rsa384.id}),
			"another subject":           v.assertion(map[string]any{"sub": rsa384.id}),
			"nobody":                    v.assertion(map[string]any{"iss": "nobody", "sub": "nobody"}),
		} {
			a := s.token(ask(text))
			if a.Code != 401 || a.text("error") != "invalid_client" || a.json()["access_token"] != nil {
				s.Errorf("%s: %d %s", name, a.Code, a.Body)
			}
			if s.audit.last() != audit.BadAssertion {
				s.Errorf("%s: announced %v", name, s.audit.last())
			}
		}
		// Clocks may be off by half a minute.
		for name, text := range map[string]string{
			"a slow clock": v.assertion(map[string]any{"exp": now.Add(-20 * time.Second).Unix(), "iat": now.Add(-5 * time.Minute).Unix()}),
			"a fast clock": v.assertion(map[string]any{"exp": now.Add(5*time.Minute + 20*time.Second).Unix(), "iat": now.Add(20 * time.Second).Unix()}),
			"no iat":       v.assertion(map[string]any{"iat": nil}),
		} {
			if a := s.token(ask(text)); a.Code != 200 {
				s.Errorf("%s: %d %s", name, a.Code, a.Body)
			}
		}
		once := v.assertion(nil)
		if a := s.token(ask(once)); a.Code != 200 {
			s.Fatalf("%s", a.Body)
		}
		s.token(ask(once)).refused(401, "invalid_client")
		if s.audit.last() != audit.ReplayedToken {
			s.Errorf("announced %v", s.audit.last())
		}
		_, other := s.process()
		s.server = other
		s.token(ask(once)).refused(401, "invalid_client")
		s.token(ask(v.assertion(nil), "client_id", rsa384.id)).refused(401, "invalid_client")
		s.token(ask(v.assertion(nil)), "Authorization", basicAuth(v.id, "x")).refused(400, "invalid_request")
		s.token(ask(v.assertion(nil), "client_assertion_type", "urn:else")).refused(400, "invalid_request")
	})
}

func TestBackend_KeysAtTheirURL(t *testing.T) {
	t.Parallel()
	each(t, func(s *site) {
		const at = "https://lab.example.org/jwks"
		ec, next := newEC(s.T), newEC(s.T)
		c, _ := s.client(oauth.Registration{Name: "Lab", GrantTypes: []string{"client_credentials"}, AuthMethod: "private_key_jwt", Scope: "system/Observation.cruds", JWKSURI: at})
		v := service{c.ID, jose.ES384, ec, "k1", s}
		s.token(ask(v.assertion(nil))).refused(401, "invalid_client")
		s.fetched[at] = keySet(s.T, jose.JSONWebKey{Key: ec.Public(), KeyID: "k1"})
		if a := s.token(ask(v.assertion(nil))); a.Code != 200 {
			s.Fatalf("%s", a.Body)
		}
		// A new key is looked for at once, but not again and again.
		s.fetched[at] = keySet(s.T, jose.JSONWebKey{Key: ec.Public(), KeyID: "k1"}, jose.JSONWebKey{Key: next.Public(), KeyID: "k2"})
		v.key, v.kid = next, "k2"
		if a := s.token(ask(v.assertion(nil))); a.Code != 200 {
			s.Fatalf("%s", a.Body)
		}
		third := newEC(s.T)
		s.fetched[at] = keySet(s.T, jose.JSONWebKey{Key: third.Public(), KeyID: "k3"})
		v.key, v.kid = third, "k3"
		s.token(ask(v.assertion(nil))).refused(401, "invalid_client")
		s.clock.Advance(30 * time.Second)
		if a := s.token(ask(v.assertion(nil))); a.Code != 200 {
			s.Fatalf("%s", a.Body)
		}
	})
}

func TestClient_RegistrationsThatAreRefused(t *testing.T) {
	t.Parallel()
	each(t, func(s *site) {
		small, err := rsa.GenerateKey(rand.Reader, 1024)
		if err != nil {
			s.Fatal(err)
		}
		ec := newEC(s.T)
		private := keySet(s.T, jose.JSONWebKey{Key: ec, KeyID: "k"})
		tiny := keySet(s.T, jose.JSONWebKey{Key: small.Public(), KeyID: "k"})
		redirects := func(uris ...string) string {
			text, err := json.Marshal(map[string]any{"client_name": "x", "redirect_uris": uris})
			if err != nil {
				s.Fatal(err)
			}
			return string(text)
		}
		for name, body := range map[string]string{
			"no name":                 `{"redirect_uris":["` + callback + `"]}`,
			"no redirect URI":         `{"client_name":"x"}`,
			"http":                    redirects("http://app.example.org/cb"),
			"a fragment":              redirects(callback + "#x"),
			"a wildcard":              redirects("https://*.example.org/cb"),
			"a user":                  redirects("https://a@example.org/cb"),
			"a script":                redirects("javascript:alert(1)"),
			"data":                    redirects("data:text/html,x"),
			"relative":                redirects("/cb"),
			"many":                    redirects(strings.Split(strings.Repeat(callback+" ", 21)+callback, " ")...),
			"a password grant":        `{"client_name":"x","redirect_uris":["` + callback + `"],"grant_types":["password"]}`,
			"implicit":                `{"client_name":"x","redirect_uris":["` + callback + `"],"response_types":["token"]}`,
			"a scope that is none":    `{"client_name":"x","redirect_uris":["` + callback + `"],"scope":"everything"}`,
			"a backend without a key": `{"client_name":"x","grant_types":["client_credentials"],"scope":"system/*.rs"}`,
			"a backend with a secret": `{"client_name":"x","grant_types":["client_credentials"],"token_endpoint_auth_method":"client_secret_basic"}`,
			"a secret in the body":    `{"client_name":"x","redirect_uris":["` + callback + `"],"token_endpoint_auth_method":"client_secret_post"}`,
			"a private key":           `{"client_name":"x","grant_types":["client_credentials"],"token_endpoint_auth_method":"private_key_jwt","jwks":` + private + `}`,
			"a small key":             `{"client_name":"x","grant_types":["client_credentials"],"token_endpoint_auth_method":"private_key_jwt","jwks":` + tiny + `}`,
			"no keys":                 `{"client_name":"x","grant_types":["client_credentials"],"token_endpoint_auth_method":"private_key_jwt","jwks":{"keys":[]}}`,
			"keys by http":            `{"client_name":"x","grant_types":["client_credentials"],"token_endpoint_auth_method":"private_key_jwt","jwks_uri":"http://lab.example.org/k"}`,
			"no JSON":                 `client_name=x`,
		} {
			if a := s.json("/t/demo/oauth2/clients", body, "Authorization", "Bearer admin"); a.Code != 400 {
				s.Errorf("%s: %d %s", name, a.Code, a.Body)
			}
			s.open = true
			if a := s.json("/t/demo/oauth2/register", body); a.Code != 400 || !strings.HasPrefix(a.text("error"), "invalid_") {
				s.Errorf("%s, by itself: %d %s", name, a.Code, a.Body)
			}
		}
	})
}

func TestClient_API(t *testing.T) {
	t.Parallel()
	each(t, func(s *site) {
		body := `{"client_name":"App","redirect_uris":["` + callback + `","https://app.example.org/other"],"scope":"openid patient/*.rs","trusted":true,"token_endpoint_auth_method":"client_secret_basic"}`
		admin := []string{"Authorization", "Bearer admin"}
		if a := s.json("/t/demo/oauth2/clients", body, as("alice")...); a.Code != 403 {
			s.Errorf("a clinician registered a client: %d", a.Code)
		}
		if a := s.json("/t/demo/oauth2/clients", body); a.Code != 401 {
			s.Errorf("nobody registered a client: %d", a.Code)
		}
		made := s.json("/t/demo/oauth2/clients", body, admin...)
		if made.Code != 201 || made.json()["trusted"] != true || !strings.HasPrefix(made.text("client_secret"), "wcs_demo_") {
			s.Fatalf("%d %s", made.Code, made.Body)
		}
		one := "/t/demo/oauth2/clients/" + made.text("client_id")
		if a := s.get(one, admin...); a.text("client_name") != "App" {
			s.Errorf("%s", a.Body)
		}
		if a := s.get("/t/demo/oauth2/clients", admin...); !strings.Contains(a.Body.String(), made.text("client_id")) {
			s.Errorf("%s", a.Body)
		}
		if a := s.get(strings.Replace(one, "demo", "north", 1), admin...); a.Code != 403 && a.Code != 404 {
			s.Errorf("another tenant shows it: %d", a.Code)
		}
		token := s.token(exchange(made.text("client_id"), s.authorize("pat", request(made.text("client_id"), "scope", "openid patient/*.rs")).query().Get("code"), "client_id", ""), "Authorization", basicAuth(made.text("client_id"), made.text("client_secret"))).text("access_token")
		if !s.verifies(token) {
			s.Error("no good")
		}
		if a := s.delete(one, admin...); a.Code != 204 {
			s.Errorf("%d", a.Code)
		}
		if s.verifies(token) {
			s.Error("its tokens outlived the client")
		}
		if a := s.delete(one, admin...); a.Code != 404 {
			s.Errorf("%d", a.Code)
		}
		s.authorize("pat", request(made.text("client_id"))).refused(401, "invalid_client")
	})
}

func TestClient_RegistersItselfWhereTheTenantAllowsIt(t *testing.T) {
	t.Parallel()
	each(t, func(s *site) {
		body := `{"client_name":"App","redirect_uris":["` + callback + `"],"trusted":true,"introspect":true}`
		if a := s.json("/t/demo/oauth2/register", body); a.Code != 403 || a.text("error") != "access_denied" {
			s.Errorf("%d %s", a.Code, a.Body)
		}
		if a := s.get("/t/demo/oauth2/.well-known/openid-configuration"); a.json()["registration_endpoint"] != nil {
			s.Errorf("%s", a.Body)
		}
		s.open = true
		if a := s.get("/t/demo/fhir/.well-known/smart-configuration"); a.text("registration_endpoint") != issuer+"/register" {
			s.Errorf("%s", a.Body)
		}
		a := s.json("/t/demo/oauth2/register", body)
		if a.Code != 201 || a.json()["trusted"] != nil || a.json()["introspect"] != nil || a.json()["dynamic"] != true {
			s.Fatalf("%d %s", a.Code, a.Body)
		}
		s.authorize("pat", request(a.text("client_id")))
		if s.pages.consent == nil {
			s.Error("it is not asked about")
		}
		if a := s.json("/t/demo/oauth2/register", `{"client_name":"x","grant_types":["client_credentials"],"token_endpoint_auth_method":"private_key_jwt","scope":"system/*.rs","jwks":`+
			keySet(s.T, jose.JSONWebKey{Key: newEC(s.T).Public()})+`}`); a.Code != 400 {
			s.Errorf("a backend registered itself: %d %s", a.Code, a.Body)
		}
		if a := s.json("/t/demo/oauth2/clients", `{"client_name":"x","redirect_uris":["`+callback+`"],"trusted":true}`, "Authorization", "Bearer admin"); a.Code != 400 {
			s.Errorf("a public client is trusted: %d", a.Code)
		}
		// What was never used goes after a day.
		s.clock.Advance(25 * time.Hour)
		if err := s.p.Sweep(s.ctx()); err != nil {
			s.Fatal(err)
		}
		if _, err := s.p.Client(s.ctx(), a.text("client_id")); err == nil {
			s.Error("it stays")
		}
	})
}
