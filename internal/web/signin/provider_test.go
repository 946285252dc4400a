package signin_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"ward/internal/kernel/access"
	"ward/internal/kernel/tenancy"
)

// hospital is an OpenID Connect provider, as hospitals have them.
type hospital struct {
	*httptest.Server
	site *site
	key  *rsa.PrivateKey

	mu     sync.Mutex
	claims map[string]any // of whoever signs in next
	forge  func(claims map[string]any) (key any, alg jose.SignatureAlgorithm)
	codes  map[string]url.Values // the request of each code
}

func (s *site) hospital() *hospital {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		s.Fatal(err)
	}
	h := &hospital{site: s, key: key, codes: map[string]url.Values{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{
			"issuer": h.URL, "authorization_endpoint": h.URL + "/authorize", "token_endpoint": h.URL + "/token", "jwks_uri": h.URL + "/keys",
			"id_token_signing_alg_values_supported": []string{"RS256"}, "response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &key.PublicKey, KeyID: "1", Algorithm: "RS256", Use: "sig"}}})
	})
	mux.HandleFunc("GET /authorize", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		h.mu.Lock()
		code := "code-" + rand.Text()
		h.codes[code] = q
		h.mu.Unlock()
		http.Redirect(w, r, q.Get("redirect_uri")+"?"+url.Values{"code": {code}, "state": {q.Get("state")}}.Encode(), http.StatusFound)
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		h.mu.Lock()
		defer h.mu.Unlock()
		q, ok := h.codes[r.PostForm.Get("code")]
		delete(h.codes, r.PostForm.Get("code"))
		sum := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
		id, password, _ := r.BasicAuth()
		if !ok || q.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(sum[:]) || q.Get("code_challenge_method") != "S256" || id != "ward" || password != "s3cret" {
			http.Error(w, `{"error":"invalid_grant"}`, http.StatusBadRequest)
			return
		}
		claims := map[string]any{
			"iss": h.URL, "aud": "ward", "nonce": q.Get("nonce"), "exp": s.now.Now().Add(time.Minute).Unix(), "iat": s.now.Now().Unix(),
		}
		maps.Copy(claims, h.claims)
		var signWith any = h.key
		alg := jose.RS256
		if h.forge != nil {
			signWith, alg = h.forge(claims)
		}
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: signWith}, (&jose.SignerOptions{}).WithHeader("kid", "1"))
		if err != nil {
			http.Error(w, err.Error(), 500)
			return
		}
		token, err := jwt.Signed(signer).Claims(claims).Serialize()
		if err != nil {
			http.Error(w, err.Error(), 500)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": "x", "token_type": "Bearer", "id_token": token})
	})
	h.Server = httptest.NewTLSServer(mux)
	s.Cleanup(h.Close)
	s.client.Transport = h.Client().Transport
	return h
}

func (h *hospital) says(claims map[string]any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.claims, h.forge = claims, nil
}

// federated is a browser that knows both servers.
func (s *site) federated(h *hospital) *browser {
	b := s.browser()
	b.http.Transport = both{s.transport, h.Client().Transport, strings.TrimPrefix(h.URL, "https://")}
	return b
}

type both struct {
	ward, hospital http.RoundTripper
	host           string
}

func (b both) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host == b.host {
		return b.hospital.RoundTrip(r)
	}
	return b.ward.RoundTrip(r)
}

// TestProvider_SignsIn: by the hospital's word, with a role by its groups, into an account of one's own.
func TestProvider_SignsIn(t *testing.T) {
	onEach(t, func(s *site) {
		h := s.hospital()
		setting := tenancy.Provider{
			Name: "St Mary's", Issuer: h.URL, ClientID: "ward", ClientSecret: "s3cret", Roles: map[string]string{"doctors": access.Clinician, "it": access.Admin, "all": access.Patient},
			SecondFactor: true,
		}
		s.settings.Store(&tenancy.Settings{SignIn: &tenancy.SignIn{Provider: &setting}})
		b := s.federated(h)
		b.want(b.get("/t/north/signin"), 200, "/t/north/signin", "Sign in through St Mary&#39;s")

		h.says(map[string]any{"sub": "u1", "email": "ada@hospital.example", "email_verified": true, "name": "Ada", "groups": []string{"staff", "doctors"}, "amr": []string{"pwd", "otp"}, "fhirUser": "https://fhir.example/Practitioner/7"})
		b.want(b.get("/t/north/signin/provider?return=%2Ft%2Fnorth%2Faccount%3Fx"), 200, "/t/north/account", "ada@hospital.example", "clinician")
		who, err := s.people.ByEmail(s.ctx(), "ada@hospital.example")
		if err != nil || who.Reference != "Practitioner/7" || who.Role != access.Clinician || who.Password {
			t := s.T
			t.Errorf("%+v %v", who, err)
		}
		h.says(map[string]any{"sub": "u1", "groups": "it", "acr": "https://refeds.org/profile/mfa"})
		b.want(b.get("/t/north/signin/provider"), 200, "/t/north/account", "ada@hospital.example", "admin")
		// A provider that says that it asked for a password only is not believed to have asked for two factors.
		h.says(map[string]any{"sub": "u1", "groups": "it", "amr": []string{"pwd"}})
		weak := s.federated(h)
		weak.want(weak.get("/t/north/signin/provider"), 200, "/t/north/second-factor", "Set up a second factor")
		h.says(map[string]any{"sub": "u1", "groups": "it"})
		weak.want(weak.get("/t/north/signin/provider"), 200, "/t/north/second-factor", "Set up a second factor")
		h.says(map[string]any{"sub": "u1", "groups": "it", "amr": []string{"pwd", "mfa"}})
		weak.want(weak.get("/t/north/signin/provider"), 200, "/t/north/account", "admin")
		for name, claims := range map[string]map[string]any{
			"no role":                 {"sub": "u1", "groups": []string{"kitchen"}},
			"a patient's role":        {"sub": "u2", "email": "p@hospital.example", "email_verified": true, "groups": "all"},
			"an address not verified": {"sub": "u3", "email": "eve@hospital.example", "groups": "doctors"},
			"somebody else's address": {"sub": "u4", "email": "ada@hospital.example", "email_verified": true, "groups": "doctors"},
		} {
			h.says(claims)
			other := s.federated(h)
			if p := other.get("/t/north/signin/provider"); p.status != 403 {
				s.Errorf("%s: %s", name, p)
			}
			other.want(other.get("/t/north/account"), 200, "/t/north/signin")
		}
		if err := s.people.Disable(s.ctx(), who.ID); err != nil {
			s.Fatal(err)
		}
		h.says(map[string]any{"sub": "u1", "groups": "it"})
		if p := s.federated(h).get("/t/north/signin/provider"); p.status != 403 {
			s.Errorf("a disabled account: %s", p)
		}

		// An account that is there already is joined where the tenant allows it; its second factor is asked for where the provider asks for none.
		s.plant("joe@hospital.example", access.Nurse)
		setting.Roles, setting.JoinByEmail, setting.SecondFactor = nil, true, false
		s.settings.Store(&tenancy.Settings{SignIn: &tenancy.SignIn{Provider: &setting}})
		h.says(map[string]any{"sub": "u9", "email": "Joe@hospital.example", "email_verified": true})
		b = s.federated(h)
		b.want(b.get("/t/north/signin/provider"), 200, "/t/north/second-factor", "Six digits")
		b.want(b.post("/t/north/second-factor", "kind", "app", "code", s.code(secret)), 200, "/t/north/account", "joe@hospital.example")
	})
}

// TestProvider_Refused: what an attacker may try with the provider.
func TestProvider_Refused(t *testing.T) {
	onEach(t, func(s *site) {
		h := s.hospital()
		s.settings.Store(&tenancy.Settings{SignIn: &tenancy.SignIn{Provider: &tenancy.Provider{Issuer: h.URL, ClientID: "ward", ClientSecret: "s3cret", JoinByEmail: true, SecondFactor: true}}})
		s.plant("ada@example.org", access.Clinician)
		ada := map[string]any{"sub": "u1", "email": "ada@example.org", "email_verified": true, "amr": []string{"mfa"}}
		other, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			s.Fatal(err)
		}
		for name, forge := range map[string]func(claims map[string]any) (any, jose.SignatureAlgorithm){
			"another key": func(map[string]any) (any, jose.SignatureAlgorithm) { return other, jose.RS256 },
			"HS256 with the client's secret": func(map[string]any) (any, jose.SignatureAlgorithm) {
				return []byte("s3cret-s3cret-s3cret-s3cret-s3cret"), jose.HS256
			},
			"for another client": func(c map[string]any) (any, jose.SignatureAlgorithm) { c["aud"] = "other"; return h.key, jose.RS256 },
			"of another issuer": func(c map[string]any) (any, jose.SignatureAlgorithm) {
				c["iss"] = "https://evil.example"
				return h.key, jose.RS256
			},
			"too old": func(c map[string]any) (any, jose.SignatureAlgorithm) {
				c["exp"] = s.now.Now().Add(-time.Hour).Unix()
				return h.key, jose.RS256
			},
			"another nonce": func(c map[string]any) (any, jose.SignatureAlgorithm) { c["nonce"] = "x"; return h.key, jose.RS256 },
			"no nonce":      func(c map[string]any) (any, jose.SignatureAlgorithm) { delete(c, "nonce"); return h.key, jose.RS256 },
		} {
			h.says(ada)
			h.forge = forge
			b := s.federated(h)
			if p := b.get("/t/north/signin/provider"); p.status != 401 {
				s.Errorf("%s: %s", name, p)
			}
			b.want(b.get("/t/north/account"), 200, "/t/north/signin")
		}
		h.says(ada)
		// A link that somebody else's sign-in made (login CSRF), and a state that was used.
		if p := s.federated(h).get("/t/north/signin/callback?code=code-x&state=x"); p.status != 401 {
			s.Errorf("a callback out of nowhere: %s", p)
		}
		stop := s.federated(h)
		stop.http.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
			if strings.Contains(r.URL.Path, "callback") {
				return http.ErrUseLastResponse
			}
			return nil
		}
		r, err := http.NewRequestWithContext(s.Context(), "GET", base+"/t/north/signin/provider", nil)
		if err != nil {
			s.Fatal(err)
		}
		res, err := stop.http.Do(r)
		if err != nil {
			s.Fatal(err)
		}
		_ = res.Body.Close()
		callback := res.Header.Get("Location")
		victim := s.federated(h)
		victim.get("/t/north/signin/provider?return=%2Ft%2Fnorth%2Fsignout")
		if p := s.federated(h).get(callback); p.status != 401 {
			s.Errorf("a callback in another browser: %s", p)
		}
		if p := stop.get(callback); p.status != 200 && p.status != 303 {
			s.Errorf("in its own browser: %s", p)
		}
		if p := stop.get(callback); p.status != 401 {
			s.Errorf("a second time: %s", p)
		}
	})
}
