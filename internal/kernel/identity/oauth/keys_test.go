package oauth_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"ward/internal/backend/db"
	"ward/internal/backend/db/dbtest"
	"ward/internal/kernel/audit"
	"ward/internal/kernel/identity/oauth"
)

func (s *site) keys() []string {
	s.Helper()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(s.get("/t/demo/oauth2/keys").Body.Bytes(), &set); err != nil {
		s.Fatal(err)
	}
	var out []string
	for _, k := range set.Keys {
		if !k.IsPublic() || k.Algorithm != "RS256" || k.Use != "sig" {
			s.Errorf("%+v", k)
		}
		out = append(out, k.KeyID)
	}
	return out
}

// signedBy is the key of a new id token, which must be in the key set.
func (s *site) signedBy(app oauth.Client) string {
	s.Helper()
	text := s.token(exchange(app.ID, s.code("pat", request(app.ID, "scope", "openid launch/patient")))).text("id_token")
	token, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		s.Fatal(err)
	}
	for _, k := range s.keys() {
		if k == token.Headers[0].KeyID {
			return k
		}
	}
	s.Error("the key that signed is not in the key set")
	return ""
}

func TestKeys_Rotate(t *testing.T) {
	t.Parallel()
	each(t, func(s *site) {
		s.deps.NewKey = func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 1024) } // quick
		s.p, s.server = s.process()
		app := s.app()
		if n := len(s.keys()); n != 0 {
			s.Fatalf("%d keys before any was wanted", n)
		}
		first := s.signedBy(app)
		if again := s.signedBy(app); again != first {
			s.Error("a key for each token")
		}
		// When it is due, a new key is shown for a day before it signs.
		s.clock.Advance(90 * 24 * time.Hour)
		if err := s.p.Sweep(s.ctx()); err != nil {
			s.Fatal(err)
		}
		if err := s.p.Sweep(s.ctx()); err != nil {
			s.Fatal(err)
		}
		if got := s.signedBy(app); got != first || len(s.keys()) != 2 {
			s.Errorf("%d keys, signed by the first: %v", len(s.keys()), got == first)
		}
		s.clock.Advance(25 * time.Hour)
		second := s.signedBy(app)
		if second == first || len(s.keys()) != 2 {
			s.Errorf("%d keys", len(s.keys()))
		}
		s.clock.Advance(7 * 24 * time.Hour)
		if err := s.p.Sweep(s.ctx()); err != nil || len(s.keys()) != 1 {
			s.Errorf("%d keys %v", len(s.keys()), err)
		}
		// An administrator rotates at once, and what was signed before can still be verified.
		if a := s.json("/t/demo/oauth2/keys", "", "Authorization", "Bearer admin"); a.Code != http.StatusNoContent {
			s.Errorf("%d %s", a.Code, a.Body)
		}
		if third := s.signedBy(app); third == second || len(s.keys()) != 2 {
			s.Errorf("%d keys", len(s.keys()))
		}
		// One that was changed in the database does not sign.
		if err := s.deps.DB.Write(s.ctx(), func(ctx context.Context, tx db.Tx) error {
			_, err := tx.Exec(ctx, "UPDATE identity_oauth_key SET private = $1", []byte("another key, or the same one from another tenant's row"))
			return err
		}); err != nil {
			s.Fatal(err)
		}
		_, other := s.process() // which has nothing in memory
		s.server = other
		s.authorize("pat", request(app.ID, "scope", "openid launch/patient"))
		code := s.consent("pat", "allow").query().Get("code")
		if a := s.token(exchange(app.ID, code)); a.Code != http.StatusInternalServerError || strings.Contains(a.Body.String(), "sealed") {
			s.Errorf("%d %s", a.Code, a.Body)
		}
	})
}

func TestSweep_ForgetsWhatIsOver(t *testing.T) {
	t.Parallel()
	each(t, func(s *site) {
		app := s.app()
		ec := newEC(s.T)
		service := s.service(jose.ES384, ec, ec.Public())
		refresh := s.token(exchange(app.ID, s.code("pat", request(app.ID)))).text("refresh_token")
		s.token(ask(service.assertion(nil)))
		s.clock.Advance(20 * 24 * time.Hour)
		if err := s.p.Sweep(s.ctx()); err != nil {
			s.Fatal(err)
		}
		a := s.token(exchange(app.ID, "", "grant_type", "refresh_token", "refresh_token", refresh, "code", "", "redirect_uri", "", "code_verifier", ""))
		if a.Code != 200 {
			s.Fatalf("what is good was forgotten: %s", a.Body)
		}
		s.token(exchange(app.ID, "", "grant_type", "refresh_token", "refresh_token", refresh, "code", "", "redirect_uri", "", "code_verifier", "")).refused(400, "invalid_grant")
		if s.audit.last() != audit.ReplayedToken {
			s.Error("a used refresh token was forgotten while it would have been good")
		}
	})
}

func TestDiscovery(t *testing.T) {
	t.Parallel()
	each(t, func(s *site) {
		d := s.get("/t/demo/oauth2/.well-known/openid-configuration").json()
		for name, want := range map[string]string{
			"issuer": issuer, "authorization_endpoint": issuer + "/authorize", "token_endpoint": issuer + "/token", "jwks_uri": issuer + "/keys",
			"userinfo_endpoint": issuer + "/userinfo", "revocation_endpoint": issuer + "/revoke", "introspection_endpoint": issuer + "/introspect",
		} {
			if d[name] != want {
				s.Errorf("%s: %v", name, d[name])
			}
		}
		list := func(v any) string { text, _ := json.Marshal(v); return string(text) } //nolint:errchkjson // decoded from JSON
		for name, want := range map[string]string{
			"response_types_supported": `["code"]`, "grant_types_supported": `["authorization_code","refresh_token","client_credentials"]`,
			"code_challenge_methods_supported": `["S256"]`, "id_token_signing_alg_values_supported": `["RS256"]`,
			"token_endpoint_auth_signing_alg_values_supported": `["RS384","ES384"]`, "authorization_response_iss_parameter_supported": `true`,
		} {
			if list(d[name]) != want {
				s.Errorf("%s: %v", name, d[name])
			}
		}
		smart := s.get("/t/demo/fhir/.well-known/smart-configuration").json()
		for _, want := range []string{"launch-ehr", "launch-standalone", "client-public", "client-confidential-asymmetric", "sso-openid-connect", "permission-v1", "permission-v2", "context-standalone-patient"} {
			if !strings.Contains(list(smart["capabilities"]), `"`+want+`"`) {
				s.Errorf("%s is not offered", want)
			}
		}
		if a := s.get("/t/nobody/fhir/.well-known/smart-configuration"); a.Code != 404 || !strings.Contains(a.Body.String(), "OperationOutcome") {
			s.Errorf("%d %s", a.Code, a.Body)
		}
		if got := oauth.Security(fhirBase); got["token"] != issuer+"/token" || got["authorize"] != issuer+"/authorize" {
			s.Errorf("%v", got)
		}
	})
}

func TestBase_IsTakenFromTheHostOnLoopbackOnly(t *testing.T) {
	t.Parallel()
	s := newSite(t, dbtest.SQLite(t))
	s.deps.BaseURL = ""
	_, s.server = s.process()
	for host, want := range map[string]string{"127.0.0.1:8080": "http://127.0.0.1:8080", "localhost:1": "http://localhost:1", "[::1]:2": "http://[::1]:2", "evil.example.org": "", "127.0.0.1.evil.example.org": ""} {
		r := httptest.NewRequest(http.MethodGet, "/t/demo/oauth2/.well-known/openid-configuration", nil)
		r.Host = host
		a := s.do(r)
		if want == "" && (a.Code != http.StatusServiceUnavailable || a.text("error") != "temporarily_unavailable") || want != "" && a.text("issuer") != want+"/t/demo/oauth2" {
			t.Errorf("%s: %d %s", host, a.Code, a.Body)
		}
	}
}

func TestVerify_AnswersFromMemory(t *testing.T) {
	t.Parallel()
	each(t, func(s *site) {
		app := s.app()
		token := s.token(exchange(app.ID, s.code("alice", request(app.ID)))).text("access_token")
		if !s.verifies(token) {
			s.Fatal("no good")
		}
		reads := s.deps.DB.Stats().Reads
		for range 100 {
			if !s.verifies(token) {
				s.Fatal("no good")
			}
		}
		stranger := "wat_demo_" + strings.Repeat("0", 43)
		for _, bad := range []string{stranger + "000000", "wat_demo_x", token[:len(token)-1] + "!"} {
			if s.verifies(bad) {
				s.Error(bad)
			}
		}
		if now := s.deps.DB.Stats().Reads; now != reads {
			s.Errorf("the database was asked %d times", now-reads)
		}
	})
}

func TestRegister_IsBounded(t *testing.T) {
	t.Parallel()
	s := newSite(t, dbtest.SQLite(t))
	s.open = true
	body := `{"client_name":"App","redirect_uris":["` + callback + `"]}`
	for range 1000 {
		if a := s.json("/t/demo/oauth2/register", body); a.Code != http.StatusCreated {
			t.Fatalf("%d %s", a.Code, a.Body)
		}
	}
	if a := s.json("/t/demo/oauth2/register", body); a.Code != http.StatusTooManyRequests {
		t.Errorf("%d %s", a.Code, a.Body)
	}
}
