package oauth_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"ward/internal/base/scope"
	"ward/internal/kernel/access"
	"ward/internal/kernel/audit"
	"ward/internal/kernel/identity/oauth"
)

func TestFlow_StandaloneLaunchOfAClinician(t *testing.T) {
	t.Parallel()
	each(t, func(s *site) {
		app := s.app()
		v := request(app.ID)

		// Nobody is signed in: the browser goes to sign in and comes back to the very same request.
		back := s.authorize("", v).query().Get("return")
		if !strings.HasPrefix(back, "/t/demo/oauth2/authorize?") || !strings.Contains(back, "a-state-of-its-own") {
			s.Fatalf("it comes back to %s", back)
		}
		// Signed in, the clinician chooses the patient.
		s.get(back, as("alice")...)
		if s.pages.pick == nil || !s.pages.pick.Search || s.pages.pick.Hidden["state"] != "a-state-of-its-own" {
			s.Fatalf("%+v", s.pages.pick)
		}
		v.Set(oauth.FieldText, "ada")
		s.authorize("alice", v)
		if len(s.pages.pick.Patients) != 2 {
			s.Fatalf("%+v", s.pages.pick)
		}
		v.Set(oauth.FieldPatient, "p2")
		s.authorize("alice", v)
		page := s.pages.consent
		if page == nil || page.Patient.ID != "p2" || !page.Unproven || page.AppHost != "app.example.org" || len(page.Scopes) != 5 {
			s.Fatalf("%+v", page)
		}
		got := s.consent("alice", "allow").query()
		if got.Get("state") != "a-state-of-its-own" || got.Get("iss") != issuer || !strings.HasPrefix(got.Get("code"), "wac_demo_") {
			s.Fatalf("%v", got)
		}

		a := s.token(exchange(app.ID, got.Get("code")))
		if a.Code != http.StatusOK || a.Header().Get("Cache-Control") != "no-store" {
			s.Fatalf("%d %s", a.Code, a.Body)
		}
		out := a.json()
		if out["token_type"] != "Bearer" || out["patient"] != "p2" || out["need_patient_banner"] != true || out["expires_in"] != 3600. ||
			out["scope"] != "openid fhirUser launch/patient patient/Observation.rs offline_access" || !strings.HasPrefix(a.text("access_token"), "wat_demo_") {
			s.Errorf("%v", out)
		}
		checkIDToken(s, a.text("id_token"), app.ID)

		principal := scope.Principal{}
		if err := json.Unmarshal(s.get("/t/demo/fhir/Patient", "Authorization", "Bearer "+a.text("access_token")).Body.Bytes(), &principal); err != nil {
			s.Fatal(err)
		}
		if principal.ID != "user/alice" || principal.Role != access.Clinician || principal.Person != "Practitioner/a1" || principal.Patient != "p2" ||
			principal.Client != app.ID || principal.Scopes != out["scope"] || principal.Session != "s-alice" {
			s.Errorf("%+v", principal)
		}
		if a := s.get("/t/demo/oauth2/userinfo", "Authorization", "Bearer "+a.text("access_token")); a.text("sub") != "alice" || a.text("fhirUser") != fhirBase+"/Practitioner/a1" {
			s.Errorf("%s", a.Body)
		}
		if a := s.get("/t/north/fhir/Patient", "Authorization", "Bearer "+a.text("access_token")); a.Code != http.StatusForbidden && a.Code != http.StatusUnauthorized {
			s.Errorf("another tenant answers %d", a.Code)
		}
	})
}

func checkIDToken(s *site, text, clientID string) {
	s.Helper()
	token, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		s.Fatal(err)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(s.get("/t/demo/oauth2/keys").Body.Bytes(), &set); err != nil {
		s.Fatal(err)
	}
	var std jwt.Claims
	var more struct {
		Nonce    string   `json:"nonce"`
		AuthTime int64    `json:"auth_time"`
		ACR      string   `json:"acr"`
		AMR      []string `json:"amr"`
		FHIRUser string   `json:"fhirUser"`
		AtHash   string   `json:"at_hash"`
	}
	keys := set.Key(token.Headers[0].KeyID)
	if len(keys) != 1 || !keys[0].IsPublic() {
		s.Fatalf("%+v", set)
	}
	if err := token.Claims(keys[0], &std, &more); err != nil {
		s.Fatal(err)
	}
	if err := std.ValidateWithLeeway(jwt.Expected{Issuer: issuer, Subject: "alice", AnyAudience: jwt.Audience{clientID}, Time: s.clock.Now()}, 0); err != nil {
		s.Error(err)
	}
	if more.Nonce != "n-1" || more.AuthTime != s.people.authTime.Unix() || more.ACR != "phr" || !slices.Equal(more.AMR, []string{"pwd", "otp"}) ||
		more.FHIRUser != fhirBase+"/Practitioner/a1" || more.AtHash == "" {
		s.Errorf("%+v", more)
	}
}

func TestFlow_APatientGetsThemselvesAndAProxyChooses(t *testing.T) {
	t.Parallel()
	each(t, func(s *site) {
		app := s.app()
		s.authorize("pat", request(app.ID))
		if s.pages.consent == nil || s.pages.consent.Patient.ID != "p1" {
			s.Fatalf("%+v", s.pages)
		}
		if a := s.token(exchange(app.ID, s.consent("pat", "allow").query().Get("code"))); a.text("patient") != "p1" {
			s.Errorf("%s", a.Body)
		}
		s.authorize("pat", request(app.ID, oauth.FieldPatient, "p2"))
		if s.pages.consent == nil || s.pages.consent.Patient.ID != "p1" {
			s.Errorf("a patient chose another: %+v", s.pages)
		}

		s.authorize("prox", request(app.ID))
		if s.pages.pick == nil || s.pages.pick.Search || len(s.pages.pick.Patients) != 2 {
			s.Fatalf("%+v", s.pages.pick)
		}
		s.authorize("prox", request(app.ID, oauth.FieldPatient, "p9"))
		if s.pages.consent != nil || s.pages.pick == nil {
			s.Errorf("a proxy chose whom they don't speak for")
		}
		s.authorize("prox", request(app.ID, oauth.FieldPatient, "p2"))
		if s.pages.consent == nil || s.pages.consent.Patient.ID != "p2" {
			s.Errorf("%+v", s.pages)
		}
	})
}

func TestFlow_EHRLaunch(t *testing.T) {
	t.Parallel()
	each(t, func(s *site) {
		app := s.app()
		body := `{"client_id":"` + app.ID + `","patient":"p1","encounter":"e1","intent":"reconcile","need_patient_banner":false}`
		made := s.json("/t/demo/oauth2/launch", body, as("alice")...)
		if made.Code != http.StatusCreated || made.text("iss") != fhirBase || made.json()["expires_in"] != 300. || !strings.HasPrefix(made.text("url"), "https://app.example.org/launch?iss=") {
			s.Fatalf("%d %s", made.Code, made.Body)
		}
		v := request(app.ID, "scope", "launch openid patient/*.read", "launch", made.text("launch"))
		if e := s.authorize("pat", v).query(); e.Get("error") != "invalid_request" || s.audit.last() != audit.Denied {
			s.Errorf("another user launched: %v", e)
		}
		a := s.token(exchange(app.ID, s.code("alice", v)))
		if out := a.json(); out["patient"] != "p1" || out["encounter"] != "e1" || out["intent"] != "reconcile" || out["need_patient_banner"] != false || out["refresh_token"] != nil {
			s.Errorf("%v", out)
		}
		if e := s.authorize("alice", v).query(); e.Get("error") != "invalid_request" {
			s.Errorf("launched twice: %v", e)
		}
		late := s.json("/t/demo/oauth2/launch", `{"patient":"p1"}`, as("alice")...).text("launch")
		s.clock.Advance(5 * time.Minute)
		if e := s.authorize("alice", request(app.ID, "scope", "launch", "launch", late)).query(); e.Get("error") != "invalid_request" {
			s.Errorf("launched late: %v", e)
		}
		if e := s.authorize("alice", request(app.ID, "scope", "launch")).query(); e.Get("error") != "invalid_request" {
			s.Errorf("launched without a context: %v", e)
		}

		other, _ := s.client(oauth.Registration{Name: "Other", RedirectURIs: []string{callback}, Scope: "launch openid"})
		own := s.json("/t/demo/oauth2/launch", body, as("alice")...).text("launch")
		if e := s.authorize("alice", request(other.ID, "scope", "launch", "launch", own)).query(); e.Get("error") != "invalid_request" {
			s.Errorf("another app took the launch: %v", e)
		}
		for name, row := range map[string]struct {
			body   string
			status int
		}{
			"a patient nobody sees":       {`{"patient":"p9"}`, 404},
			"no patient":                  {`{"encounter":"e1"}`, 400},
			"another patient's encounter": {`{"patient":"p2","encounter":"e1"}`, 404},
			"a style that is no https":    {`{"patient":"p1","smart_style_url":"http://x"}`, 400},
			"a member that is none":       {`{"patients":"p1"}`, 400},
			"no JSON":                     {`patient=p1`, 400},
			"no client":                   {`{"patient":"p1","client_id":"none"}`, 400},
		} {
			if a := s.json("/t/demo/oauth2/launch", row.body, as("alice")...); a.Code != row.status {
				s.Errorf("%s: %d %s", name, a.Code, a.Body)
			}
		}
		if a := s.json("/t/demo/oauth2/launch", `{"patient":"p1"}`, "Authorization", "Bearer admin"); a.Code != http.StatusForbidden {
			s.Errorf("a machine launched for nobody: %d", a.Code)
		}
		if a := s.json("/t/demo/oauth2/launch", `{"patient":"p1"}`, "Cookie", "user=alice", "Sec-Fetch-Site", "cross-site"); a.Code != http.StatusForbidden {
			s.Errorf("another site launched: %d", a.Code)
		}
	})
}

func (s *site) json(path, body string, header ...string) answer {
	s.Helper()
	r, err := http.NewRequestWithContext(s.Context(), http.MethodPost, path, strings.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	r.RequestURI = path
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return s.do(r)
}

func TestFlow_ConsentNarrowsIsKeptAndTakenBack(t *testing.T) {
	t.Parallel()
	each(t, func(s *site) {
		secretive, secret := s.client(oauth.Registration{
			Name: "Ward round", RedirectURIs: []string{callback}, AuthMethod: "client_secret_basic", Scope: "openid launch/patient patient/*.cruds offline_access",
		})
		basic := []string{"Authorization", basicAuth(secretive.ID, secret)}
		v := request(secretive.ID, "scope", "openid launch/patient patient/Observation.cruds patient/Condition.rs offline_access system/*.rs user/*.rs made/up")
		s.authorize("pat", v)
		if n := len(s.pages.consent.Scopes); n != 5 || s.pages.consent.Unproven {
			s.Fatalf("%+v", s.pages.consent)
		}
		a := s.token(exchange(secretive.ID, s.consent("pat", "allow", "openid", "launch/patient", "patient/Condition.rs", "patient/Observation.rs", "patient/Observation.cruds").query().Get("code"), "client_id", ""), basic...)
		if a.text("scope") != "openid launch/patient patient/Observation.rs patient/Condition.rs" || a.json()["refresh_token"] != nil {
			s.Errorf("%s", a.Body)
		}

		// What was agreed is not asked again; more is.
		again := request(secretive.ID, "scope", "openid launch/patient patient/Condition.r")
		code := s.authorize("pat", again).query().Get("code")
		second := s.token(exchange(secretive.ID, code, "client_id", ""), basic...)
		if second.text("scope") != "openid launch/patient patient/Condition.r" {
			s.Errorf("%s", second.Body)
		}
		s.authorize("pat", v)
		if s.pages.consent == nil || len(s.pages.consent.Scopes) != 5 || s.pages.consent.Scopes[4].Checked || !s.pages.consent.Scopes[0].Checked {
			s.Errorf("%+v", s.pages.consent)
		}
		if s.authorize("pat", request(secretive.ID, "scope", "openid", "prompt", "consent")); s.pages.consent == nil {
			s.Error("prompt=consent does not ask")
		}

		if s.get("/t/demo/oauth2/consents", append(as("pat"), "Accept", "text/html")...); s.pages.apps == nil || len(s.pages.apps.Apps) != 1 || s.pages.apps.Apps[0].Words[0] != "Know that it is you who signed in" {
			s.Errorf("%+v", s.pages.apps)
		}
		if a := s.get("/t/demo/oauth2/consents", "Accept", "text/html"); !a.query().Has("return") {
			s.Errorf("%d %s", a.Code, a.Body)
		}
		if a := s.post("/t/demo/oauth2/consents", values("client", secretive.ID), "Cookie", "user=pat", "Sec-Fetch-Site", "cross-site"); a.Code != http.StatusForbidden {
			s.Errorf("another site took a consent back: %d", a.Code)
		}
		if list := s.get("/t/demo/oauth2/consents", as("pat")...); !strings.Contains(list.Body.String(), "Ward round") {
			s.Errorf("%s", list.Body)
		}
		if !s.verifies(second.text("access_token")) {
			s.Error("the token is no good")
		}
		if a := s.delete("/t/demo/oauth2/consents/"+secretive.ID, "Cookie", "user=pat", "Sec-Fetch-Site", "cross-site"); a.Code != http.StatusForbidden {
			s.Errorf("another site took a consent back: %d", a.Code)
		}
		if a := s.post("/t/demo/oauth2/consents", values("client", secretive.ID), as("pat")...); a.Code != http.StatusSeeOther {
			s.Errorf("%d %s", a.Code, a.Body)
		}
		if a := s.delete("/t/demo/oauth2/consents/"+secretive.ID, as("pat")...); a.Code != http.StatusNotFound {
			s.Errorf("%d %s", a.Code, a.Body)
		}
		if s.verifies(a.text("access_token")) || s.verifies(second.text("access_token")) {
			s.Error("a token outlived the consent")
		}
		if s.authorize("pat", again); s.pages.consent == nil {
			s.Error("a consent that was taken back counts")
		}
		for name, row := range map[string]answer{
			"no": s.consent("pat", "deny"), "nothing": s.consent("pat", "allow", "none"), "neither": s.consent("pat", ""),
		} {
			if q := row.query(); q.Get("error") != "access_denied" || q.Get("iss") != issuer || q.Get("state") == "" {
				s.Errorf("%s: %v", name, q)
			}
		}
	})
}

func (s *site) verifies(token string) bool {
	s.Helper()
	_, _, err := s.p.Verify(s.Context(), token)
	return err == nil
}

func (s *site) delete(path string, header ...string) answer {
	s.Helper()
	return s.ask(http.MethodDelete, path, header...)
}

func TestFlow_PublicClientsAskEveryTimeAndTrustedOnesNever(t *testing.T) {
	t.Parallel()
	each(t, func(s *site) {
		app := s.app()
		s.code("pat", request(app.ID))
		s.authorize("pat", request(app.ID))
		if s.pages.consent == nil {
			s.Error("a client that nothing proves was not asked about")
		}
		own, _ := s.client(oauth.Registration{Name: "Portal", RedirectURIs: []string{callback}, Scope: "openid", Trusted: true, AuthMethod: "client_secret_basic"})
		if code := s.authorize("pat", request(own.ID, "scope", "openid", "aud", "")).query().Get("code"); code == "" {
			s.Error("the tenant's own app is asked about")
		}
	})
}

func TestFlow_Prompts(t *testing.T) {
	t.Parallel()
	each(t, func(s *site) {
		app := s.app()
		ask := func(user string, changes ...string) string {
			s.Helper()
			a := s.authorize(user, request(app.ID, append([]string{"scope", "openid", "aud", ""}, changes...)...))
			if a.Code == http.StatusOK {
				return "page"
			}
			q := a.query()
			if q.Has("return") {
				return "signin again=" + q.Get("again")
			}
			return q.Get("error")
		}
		for _, row := range []struct {
			user    string
			changes []string
			want    string
		}{
			{"", nil, "signin again="},
			{"", []string{"prompt", "none"}, "login_required"},
			{"alice", []string{"prompt", "none"}, "consent_required"},
			{"alice", []string{"prompt", "none", "scope", "launch/patient", "aud", fhirBase}, "interaction_required"},
			{"alice", []string{"prompt", "none login"}, "invalid_request"},
			{"alice", []string{"prompt", "login"}, "signin again=1"},
			{"alice", []string{"max_age", "60"}, "page"},
			{"alice", []string{"max_age", "-1"}, "invalid_request"},
		} {
			if got := ask(row.user, row.changes...); got != row.want {
				s.Errorf("%s %v: %s, want %s", row.user, row.changes, got, row.want)
			}
		}
		s.clock.Advance(2 * time.Minute)
		if got := ask("alice", "max_age", "60"); got != "signin again=1" {
			s.Error(got)
		}
		// A new sign-in is waited for, and only that.
		back := s.authorize("alice", request(app.ID, "scope", "openid", "aud", "", "prompt", "login")).query().Get("return")
		if q := s.get(back, as("alice")...).query(); q.Get("error") != "login_required" {
			s.Errorf("without a new sign-in: %v", q)
		}
		s.people.authTime = s.clock.Now()
		s.pages.clear()
		if s.get(back, as("alice")...); s.pages.consent == nil {
			s.Error("a new sign-in does not count")
		}
		s.clock.Advance(30*time.Minute + time.Millisecond)
		s.pages.clear()
		if q := s.get(back, as("alice")...).query(); !q.Has("return") || s.pages.consent != nil {
			s.Errorf("an old address stands for a new sign-in: %v", q)
		}
		forged := strings.Replace(back, "ward_after=", "ward_after=9", 1)
		if q := s.get(forged, as("alice")...).query(); !q.Has("return") {
			s.Errorf("a forged time counts: %v", q)
		}
	})
}

func TestFlow_RefreshRotatesNarrowsAndEnds(t *testing.T) {
	t.Parallel()
	each(t, func(s *site) {
		app := s.app()
		refresh := func(token string, more ...string) answer {
			v := exchange(app.ID, "", append([]string{"grant_type", "refresh_token", "refresh_token", token, "code", "", "redirect_uri", "", "code_verifier", ""}, more...)...)
			return s.token(v)
		}
		first := s.token(exchange(app.ID, s.code("pat", request(app.ID))))
		second := refresh(first.text("refresh_token"))
		if second.Code != 200 || second.text("patient") != "p1" || second.text("scope") != first.text("scope") || second.text("refresh_token") == first.text("refresh_token") || second.text("id_token") == "" {
			s.Fatalf("%d %s", second.Code, second.Body)
		}
		narrow := refresh(second.text("refresh_token"), "scope", "patient/Observation.r", "client_id", "") // the token says whose it is
		if narrow.text("scope") != "patient/Observation.r" || narrow.text("id_token") != "" {
			s.Errorf("%s", narrow.Body)
		}
		refresh(narrow.text("refresh_token"), "scope", "patient/Condition.rs").refused(400, "invalid_scope")
		wide := refresh(narrow.text("refresh_token"))
		if wide.text("scope") != first.text("scope") {
			s.Errorf("a narrower token made the grant narrower: %s", wide.Body)
		}
		other := s.app()
		refresh(wide.text("refresh_token"), "client_id", other.ID).refused(400, "invalid_grant")

		// A token that was rotated comes again: all of the family ends, here at once, elsewhere within two seconds.
		p2, _ := s.process()
		if _, _, err := p2.Verify(s.Context(), wide.text("access_token")); err != nil {
			s.Error(err)
		}
		refresh(first.text("refresh_token")).refused(400, "invalid_grant")
		if s.audit.last() != audit.ReplayedToken {
			s.Errorf("announced %v", s.audit.kinds)
		}
		if s.verifies(wide.text("access_token")) || s.verifies(first.text("access_token")) {
			s.Error("the family lives")
		}
		s.clock.Advance(2 * time.Second)
		if _, _, err := p2.Verify(s.Context(), wide.text("access_token")); err == nil {
			s.Error("the family lives elsewhere")
		}
		refresh(wide.text("refresh_token")).refused(400, "invalid_grant")

		// Unused for too long, and in the end whatever the use.
		old := s.token(exchange(app.ID, s.code("pat", request(app.ID))))
		s.clock.Advance(30*24*time.Hour + time.Second)
		refresh(old.text("refresh_token")).refused(400, "invalid_grant")
		token := s.token(exchange(app.ID, s.code("pat", request(app.ID)))).text("refresh_token")
		for range 6 {
			s.clock.Advance(29 * 24 * time.Hour)
			if token = refresh(token).text("refresh_token"); token == "" {
				s.Fatal("it ended early")
			}
		}
		s.clock.Advance(7 * 24 * time.Hour)
		refresh(token).refused(400, "invalid_grant")
	})
}

func TestFlow_OnlineAccessEndsWithTheSessionAndAllWithTheAccount(t *testing.T) {
	t.Parallel()
	each(t, func(s *site) {
		app := s.app()
		grant := func(scope string) (access, refresh string) {
			a := s.token(exchange(app.ID, s.code("pat", request(app.ID, "scope", scope))))
			return a.text("access_token"), a.text("refresh_token")
		}
		refresh := func(token string) answer {
			return s.token(exchange(app.ID, "", "grant_type", "refresh_token", "refresh_token", token, "code", "", "redirect_uri", "", "code_verifier", ""))
		}
		_, online := grant("patient/*.rs online_access")
		_, offline := grant("patient/*.rs offline_access")
		s.people.dead["s-pat"] = true
		refresh(online).refused(400, "invalid_grant")
		renewed := refresh(offline)
		if renewed.Code != 200 {
			s.Errorf("%s", renewed.Body)
		}
		token := renewed.text("access_token")
		if !s.verifies(token) {
			s.Error("no good")
		}
		delete(s.people.accounts, "pat")
		s.clock.Advance(2 * time.Second)
		if s.verifies(token) {
			s.Error("a closed account's token is good")
		}
		refresh(renewed.text("refresh_token")).refused(400, "invalid_grant")
	})
}

func TestFlow_ARoleThatChangedCounts(t *testing.T) {
	t.Parallel()
	each(t, func(s *site) {
		app := s.app()
		token := s.token(exchange(app.ID, s.code("alice", request(app.ID)))).text("access_token")
		if !s.works(token) {
			s.Fatal("it does not work")
		}
		a := s.people.accounts["alice"]
		a.Role = access.Auditor
		s.people.accounts["alice"] = a
		s.clock.Advance(2 * time.Second)
		p, _, err := s.p.Verify(s.Context(), token)
		if err != nil || p.Role != access.Auditor {
			s.Errorf("%+v %v", p, err)
		}
	})
}

func TestFlow_RevokeAndIntrospect(t *testing.T) {
	t.Parallel()
	each(t, func(s *site) {
		app := s.app()
		c, secret := s.client(oauth.Registration{Name: "Server", RedirectURIs: []string{callback}, AuthMethod: "client_secret_basic", Scope: "openid fhirUser launch/patient patient/*.rs offline_access"})
		all, allSecret := s.client(oauth.Registration{Name: "Gateway", RedirectURIs: []string{callback}, AuthMethod: "client_secret_basic", Scope: "openid", Introspect: true})
		ask := func(token, id, secret string) answer {
			return s.post("/t/demo/oauth2/introspect", values("token", token), "Authorization", basicAuth(id, secret))
		}
		mine := s.token(exchange(c.ID, s.code("pat", request(c.ID)), "client_id", ""), "Authorization", basicAuth(c.ID, secret))
		theirs := s.token(exchange(app.ID, s.code("pat", request(app.ID))))
		got := ask(mine.text("access_token"), c.ID, secret).json()
		if got["active"] != true || got["client_id"] != c.ID || got["sub"] != "pat" || got["patient"] != "p1" || got["scope"] != mine.text("scope") ||
			got["fhirUser"] != fhirBase+"/Patient/p1" || got["exp"] != float64(s.clock.Now().Add(time.Hour).Unix()) || got["iss"] != issuer {
			s.Errorf("%v", got)
		}
		if got := ask(mine.text("refresh_token"), c.ID, secret).json(); got["active"] != true || got["token_type"] != nil {
			s.Errorf("%v", got)
		}
		for name, a := range map[string]answer{"another's token": ask(theirs.text("access_token"), c.ID, secret), "no token": ask("x", c.ID, secret), "nothing": ask("", c.ID, secret)} {
			if got := a.json(); len(got) != 1 || got["active"] != false {
				s.Errorf("%s: %v", name, got)
			}
		}
		if got := ask(theirs.text("access_token"), all.ID, allSecret).json(); got["active"] != true {
			s.Errorf("%v", got)
		}
		ask(mine.text("access_token"), c.ID, "wrong").refused(401, "invalid_client")
		s.post("/t/demo/oauth2/introspect", values("token", "x", "client_id", app.ID)).refused(401, "invalid_client")

		revoke := func(token, id string) answer {
			return s.post("/t/demo/oauth2/revoke", values("token", token, "client_id", id))
		}
		if a := revoke("what is none", app.ID); a.Code != 200 {
			s.Errorf("%d %s", a.Code, a.Body)
		}
		revoke(mine.text("access_token"), app.ID).refused(400, "unauthorized_client")
		if !s.verifies(mine.text("access_token")) || !s.verifies(theirs.text("access_token")) {
			s.Error("another client revoked")
		}
		if a := revoke(theirs.text("refresh_token"), app.ID); a.Code != 200 || s.verifies(theirs.text("access_token")) {
			s.Errorf("%d: a revoked family lives", a.Code)
		}
		revoke("x", "none").refused(401, "invalid_client")
	})
}

func TestFlow_AConfidentialClientProvesItselfAtARefreshToo(t *testing.T) {
	t.Parallel()
	each(t, func(s *site) {
		c, secret := s.client(oauth.Registration{Name: "Server", RedirectURIs: []string{callback}, AuthMethod: "client_secret_basic", Scope: "launch/patient patient/*.rs offline_access"})
		first := s.token(exchange(c.ID, s.code("pat", request(c.ID)), "client_id", ""), "Authorization", basicAuth(c.ID, secret))
		v := values("grant_type", "refresh_token", "refresh_token", first.text("refresh_token"))
		s.token(v).refused(401, "invalid_client")
		v.Set("client_id", c.ID)
		s.token(v).refused(401, "invalid_client")
		s.token(v, "Authorization", basicAuth(c.ID, "wrong")).refused(401, "invalid_client")
		if a := s.token(v, "Authorization", basicAuth(c.ID, secret)); a.Code != 200 {
			s.Errorf("%d %s", a.Code, a.Body)
		}
	})
}
