package oauth_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"ward/internal/kernel/audit"
	"ward/internal/kernel/identity/oauth"
)

func basicAuth(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret)))
}

func values(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	return v
}

func TestAttack_RedirectsGoWhereTheyAreRegisteredAndNowhereElse(t *testing.T) {
	t.Parallel()
	each(t, func(s *site) {
		app, _ := s.client(oauth.Registration{Name: "App", RedirectURIs: []string{callback, "http://127.0.0.1:7777/cb"}, Scope: "openid"})
		for _, to := range []string{
			"", "https://evil.example.org/cb", callback + "/", callback + "?x=1", callback + "#f", "https://app.example.org/CB", "https://app.example.org/cb/../evil",
			"https://app.example.org@evil.example.org/cb", "https://app.example.org%2f@evil.example.org", "http://app.example.org/cb", "//app.example.org/cb",
			"javascript:alert(1)", "data:text/html,x", "http://127.0.0.1:7778/cb", "http://localhost:7777/cb", "http://[::1]:7777/cb", callback + " " + callback, callback + "\x00",
		} {
			v := request(app.ID, "scope", "openid", "aud", "")
			v.Set("redirect_uri", to)
			a := s.authorize("alice", v)
			if a.Header().Get("Location") != "" {
				s.Errorf("%q is redirected to %s", to, a.Header().Get("Location"))
			}
			a.refused(400, "invalid_request")
		}
		if s.audit.last() != audit.BadRedirect {
			s.Errorf("announced %v", s.audit.kinds)
		}
		v := request(app.ID, "scope", "openid", "aud", "")
		v.Add("redirect_uri", "https://evil.example.org/cb")
		s.authorize("alice", v).refused(400, "invalid_request")
		s.authorize("alice", request("nobody")).refused(401, "invalid_client")
		s.authorize("alice", request("")).refused(401, "invalid_client")
		// A browser gets a page instead.
		if a := s.get("/t/demo/oauth2/authorize?client_id=x", "Accept", "text/html"); a.Code != 401 || s.pages.failed == nil || s.pages.failed.Error != "invalid_client" {
			s.Errorf("%d %+v", a.Code, s.pages.failed)
		}
	})
}

func TestAttack_AuthorizationRequestsThatAreRefused(t *testing.T) {
	t.Parallel()
	each(t, func(s *site) {
		app := s.app()
		for name, row := range map[string]struct {
			change []string
			want   string
		}{
			"no PKCE":                         {[]string{"code_challenge", "", "code_challenge_method", ""}, "invalid_request"},
			"PKCE plain":                      {[]string{"code_challenge_method", "plain"}, "invalid_request"},
			"PKCE without a method":           {[]string{"code_challenge_method", ""}, "invalid_request"},
			"a short challenge":               {[]string{"code_challenge", "abc"}, "invalid_request"},
			"implicit":                        {[]string{"response_type", "token"}, "unsupported_response_type"},
			"hybrid":                          {[]string{"response_type", "code id_token"}, "unsupported_response_type"},
			"no response type":                {[]string{"response_type", ""}, "unsupported_response_type"},
			"fragment":                        {[]string{"response_mode", "fragment"}, "unsupported_response_mode"},
			"a form":                          {[]string{"response_mode", "form_post"}, "unsupported_response_mode"},
			"a request object with alg none":  {[]string{"request", "eyJhbGciOiJub25lIn0.eyJzY29wZSI6Im9wZW5pZCJ9."}, "request_not_supported"},
			"a request object from elsewhere": {[]string{"request_uri", "https://evil.example.org/r"}, "request_uri_not_supported"},
			"another audience":                {[]string{"aud", "https://evil.example.org/fhir"}, "invalid_request"},
			"another tenant's audience":       {[]string{"aud", host + "/t/north/fhir"}, "invalid_request"},
			"no audience":                     {[]string{"aud", ""}, "invalid_request"},
			"no state":                        {[]string{"state", ""}, "invalid_state"},
			"a state that can be guessed":     {[]string{"state", "1"}, "invalid_state"},
			"no scope":                        {[]string{"scope", ""}, "invalid_scope"},
			"a scope that is none":            {[]string{"scope", "everything"}, "invalid_scope"},
			"a backend's scope":               {[]string{"scope", "system/*.rs"}, "invalid_scope"},
		} {
			q := s.authorize("alice", request(app.ID, row.change...)).query()
			if q.Get("error") != row.want || q.Get("iss") != issuer || q.Has("code") {
				s.Errorf("%s: %v", name, q)
			}
		}
		if s.authorize("alice", request(app.ID, "aud", fhirBase+"/")); s.pages.pick == nil {
			s.Error("a slash at the end of aud is refused")
		}
	})
}

func TestAttack_Codes(t *testing.T) {
	t.Parallel()
	each(t, func(s *site) {
		app, other := s.app(), s.app()
		fresh := func() string { s.Helper(); return s.code("pat", request(app.ID)) }
		for name, row := range map[string]struct {
			change []string
			status int
			want   string
		}{
			"another verifier":                   {[]string{"code_verifier", strings.Repeat("x", 43)}, 400, "invalid_grant"},
			"no verifier":                        {[]string{"code_verifier", ""}, 400, "invalid_grant"},
			"a short verifier":                   {[]string{"code_verifier", "abc"}, 400, "invalid_grant"},
			"another redirect URI":               {[]string{"redirect_uri", "https://evil.example.org/cb"}, 400, "invalid_grant"},
			"no redirect URI":                    {[]string{"redirect_uri", ""}, 400, "invalid_grant"},
			"another client":                     {[]string{"client_id", other.ID}, 400, "invalid_grant"},
			"no client":                          {[]string{"client_id", ""}, 401, "invalid_client"},
			"a secret it has not":                {[]string{"client_secret", "x"}, 401, "invalid_client"},
			"no code":                            {[]string{"code", ""}, 400, "invalid_grant"},
			"a code that is none":                {[]string{"code", "wac_demo_x"}, 400, "invalid_grant"},
			"an access token":                    {[]string{"code", "wat_demo_" + strings.Repeat("0", 49)}, 400, "invalid_grant"},
			"the password grant":                 {[]string{"grant_type", "password"}, 400, "invalid_request"},
			"no grant":                           {[]string{"grant_type", ""}, 400, "invalid_request"},
			"its own access, as a public client": {[]string{"grant_type", "client_credentials"}, 400, "unauthorized_client"},
		} {
			a := s.token(exchange(app.ID, fresh(), row.change...))
			if name == "its own access, as a public client" {
				if a.Code != 400 || a.json()["access_token"] != nil {
					s.Errorf("%s: %d %s", name, a.Code, a.Body)
				}
				continue
			}
			if a.Code != row.status || a.text("error") != row.want {
				s.Errorf("%s: %d %s, want %d %s", name, a.Code, a.Body, row.status, row.want)
			}
		}

		code := fresh()
		s.clock.Advance(time.Minute)
		s.token(exchange(app.ID, code)).refused(400, "invalid_grant")

		// Used twice: what the first use gave ends.
		code = fresh()
		first := s.token(exchange(app.ID, code))
		if !s.verifies(first.text("access_token")) {
			s.Fatalf("%s", first.Body)
		}
		s.token(exchange(app.ID, code)).refused(400, "invalid_grant")
		if s.verifies(first.text("access_token")) || s.audit.last() != audit.ReplayedToken {
			s.Errorf("the tokens of a code that was used twice are good, or nobody was told: %v", s.audit.kinds)
		}
		s.token(exchange(app.ID, "", "grant_type", "refresh_token", "refresh_token", first.text("refresh_token"), "code", "", "redirect_uri", "", "code_verifier", "")).refused(400, "invalid_grant")

		// At another tenant it is nothing.
		s.post("/t/north/oauth2/token", exchange(app.ID, fresh())).refused(401, "invalid_client")
	})
}

func TestAttack_TheSameCodeOrRefreshTokenAtOnce(t *testing.T) {
	t.Parallel()
	each(t, func(s *site) {
		app := s.app()
		race := func(v url.Values) []answer {
			var wait sync.WaitGroup
			out := make([]answer, 8)
			for i := range out {
				wait.Go(func() { out[i] = s.token(v) })
			}
			wait.Wait()
			return out
		}
		good := func(all []answer) (token string, n int) {
			for _, a := range all {
				if a.Code == http.StatusOK {
					token, n = a.text("access_token"), n+1
				}
			}
			return token, n
		}
		token, n := good(race(exchange(app.ID, s.code("pat", request(app.ID)))))
		if n > 1 || n == 1 && s.verifies(token) {
			s.Errorf("%d got tokens for one code, and keep them", n)
		}
		first := s.token(exchange(app.ID, s.code("pat", request(app.ID))))
		token, n = good(race(exchange(app.ID, "", "grant_type", "refresh_token", "refresh_token", first.text("refresh_token"), "code", "", "redirect_uri", "", "code_verifier", "")))
		if n > 1 || n == 1 && s.verifies(token) || s.verifies(first.text("access_token")) {
			s.Errorf("%d got tokens for one refresh token, and keep them", n)
		}
	})
}

func TestAttack_FormsThatAreNone(t *testing.T) {
	t.Parallel()
	each(t, func(s *site) {
		app := s.app()
		s.json("/t/demo/oauth2/token", `{"grant_type":"authorization_code"}`).refused(400, "invalid_request")
		s.post("/t/demo/oauth2/token?client_id="+app.ID, exchange(app.ID, "x")).refused(400, "invalid_request")
		s.token(url.Values{"grant_type": {"authorization_code", "refresh_token"}}).refused(400, "invalid_request")
		s.token(url.Values{}).refused(400, "invalid_request")
		s.token(exchange(app.ID, "x"), "Authorization", basicAuth(app.ID, "x")).refused(401, "invalid_client")
		if a := s.token(values("a", strings.Repeat("x", 70<<10))); a.Code != http.StatusRequestEntityTooLarge {
			s.Errorf("%d", a.Code)
		}
		if a := s.get("/t/demo/oauth2/token"); a.Code != http.StatusMethodNotAllowed {
			s.Errorf("%d", a.Code)
		}
		if a := s.post("/t/nobody/oauth2/token", exchange(app.ID, "x")); a.Code != http.StatusNotFound {
			s.Errorf("%d", a.Code)
		}
	})
}

func TestAttack_ConsentsThatNobodyGave(t *testing.T) {
	t.Parallel()
	each(t, func(s *site) {
		app := s.app()
		refused := func(name, user string, change func(hidden map[string]string)) {
			s.Helper()
			s.authorize("pat", request(app.ID))
			change(s.pages.consent.Hidden)
			if a := s.consent(user, "allow"); a.Code != 400 || a.Header().Get("Location") != "" {
				s.Errorf("%s: %d %s %s", name, a.Code, a.Header().Get("Location"), a.Body)
			}
		}
		refused("a changed request", "pat", func(h map[string]string) {
			h["ward_request"] = strings.Replace(h["ward_request"], "Observation", "Condition", 1)
		})
		refused("a longer time", "pat", func(h map[string]string) { h["ward_until"] = "9" + h["ward_until"] })
		refused("no signature", "pat", func(h map[string]string) { delete(h, "ward_signed") })
		refused("another user's page", "prox", func(map[string]string) {})
		refused("nobody's", "nobody", func(map[string]string) {})
		refused("a page left open", "pat", func(map[string]string) { s.clock.Advance(31 * time.Minute) })
		// Scopes that were not on the page are not granted, whatever the form says.
		s.authorize("pat", request(app.ID, "scope", "patient/Observation.rs"))
		if a := s.token(exchange(app.ID, s.consent("pat", "allow", "patient/Observation.rs", "user/*.cruds", "patient/*.cruds").query().Get("code"))); a.text("scope") != "patient/Observation.rs" {
			s.Errorf("%s", a.Body)
		}
	})
}

func TestAttack_TokensThatAreNone(t *testing.T) {
	t.Parallel()
	each(t, func(s *site) {
		app := s.app()
		a := s.token(exchange(app.ID, s.code("alice", request(app.ID))))
		good := a.text("access_token")
		if !s.works(good) {
			s.Fatal("no good")
		}
		flipped := []byte(good)
		flipped[len(flipped)-20] ^= 1
		for name, token := range map[string]string{
			"flipped": string(flipped), "shorter": good[:len(good)-1], "longer": good + "0", "another tenant's": strings.Replace(good, "demo", "north", 1),
			"refresh": a.text("refresh_token"), "id token": a.text("id_token"), "none": "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.", "empty": "", "code": "wac_demo_1",
		} {
			if r := s.get("/t/demo/fhir/Patient", "Authorization", "Bearer "+token); r.Code != http.StatusUnauthorized || !strings.Contains(r.Body.String(), "OperationOutcome") {
				s.Errorf("%s: %d %s", name, r.Code, r.Body)
			}
		}
		s.clock.Advance(time.Hour)
		if s.works(good) {
			s.Error("it does not expire")
		}
		if r := s.get("/t/demo/oauth2/userinfo", "Authorization", "Bearer "+good); r.Code != 401 || !strings.Contains(r.Header().Get("WWW-Authenticate"), "invalid_token") {
			s.Errorf("%d %s", r.Code, r.Body)
		}
		narrow := s.token(exchange(app.ID, s.code("pat", request(app.ID, "scope", "patient/*.rs")))).text("access_token")
		if r := s.get("/t/demo/oauth2/userinfo", "Authorization", "Bearer "+narrow); r.Code != 403 || r.text("error") != "insufficient_scope" {
			s.Errorf("%d %s", r.Code, r.Body)
		}
	})
}

func TestAttack_OtherSitesPages(t *testing.T) {
	t.Parallel()
	each(t, func(s *site) {
		s.app()
		s.client(oauth.Registration{Name: "Server", RedirectURIs: []string{"https://server.example.org/cb"}, AuthMethod: "client_secret_basic", Scope: "openid"})
		for origin, want := range map[string]bool{
			"https://app.example.org": true, "https://server.example.org": false, "https://evil.example.org": false, "null": false,
			"https://app.example.org.evil.example.org": false, "http://app.example.org": false, "https://app.example.org:8443": false, "*": false,
		} {
			for _, path := range []string{"/t/demo/oauth2/token", "/t/demo/fhir/Patient"} {
				r := s.ask(http.MethodOptions, path, "Origin", origin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization")
				got := r.Header().Get("Access-Control-Allow-Origin")
				if r.Code != http.StatusNoContent || (got == origin) != want || got != "" && !want || r.Header().Get("Access-Control-Allow-Credentials") != "" {
					s.Errorf("%s %s: %d %v", origin, path, r.Code, r.Header())
				}
			}
		}
		if r := s.ask(http.MethodOptions, "/t/north/oauth2/token", "Origin", "https://app.example.org", "Access-Control-Request-Method", "POST"); r.Header().Get("Access-Control-Allow-Origin") != "" {
			s.Error("another tenant's app may call")
		}
		if r := s.ask(http.MethodOptions, "/t/demo/admin", "Origin", "https://app.example.org", "Access-Control-Request-Method", "POST"); r.Header().Get("Access-Control-Allow-Origin") != "" {
			s.Error("an app may call more than the API")
		}
		if r := s.get("/t/demo/fhir/Patient", "Origin", "https://app.example.org"); r.Code != 401 || r.Header().Get("Access-Control-Allow-Origin") == "" || r.Header().Get("Vary") != "Origin" {
			s.Errorf("a refusal can't be read by the app: %v", r.Header())
		}
		for _, path := range []string{"/t/demo/oauth2/.well-known/openid-configuration", "/t/demo/fhir/.well-known/smart-configuration", "/t/demo/oauth2/keys"} {
			if r := s.get(path, "Origin", "https://anybody.example.org"); r.Code != 200 || r.Header().Get("Access-Control-Allow-Origin") != "*" {
				s.Errorf("%s: %d %v", path, r.Code, r.Header())
			}
		}
	})
}

func (s *site) ask(method, path string, header ...string) answer {
	s.Helper()
	r, err := http.NewRequestWithContext(s.Context(), method, path, nil)
	if err != nil {
		s.Fatal(err)
	}
	r.RequestURI = path
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return s.do(r)
}
