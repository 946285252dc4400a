package app_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"ward/internal/kernel/access"
	"ward/internal/kernel/identity/oauth"
	"ward/internal/kernel/identity/people"
	"ward/internal/kernel/tenancy"
)

const appCallback = "https://app.example.org/cb"

// portal is an app that the tenant trusts: nobody is asked to consent.
type portal struct {
	h          *hospital
	id, secret string
}

func (h *hospital) portal(scopes string) portal {
	h.t.Helper()
	c, secret, err := h.app.OAuth.CreateClient(h.ctx, oauth.Registration{
		Name: "Portal", RedirectURIs: []string{appCallback}, Scope: scopes, Trusted: true, AuthMethod: "client_secret_basic",
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return portal{h, c.ID, secret}
}

// request is one below the tenant, with a browser's cookies.
func (h *hospital) request(method, path, body string, cookies ...*http.Cookie) *http.Request {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.ctx, method, "http://"+h.app.Addr()+"/t/general/"+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	for _, c := range cookies {
		r.AddCookie(c)
	}
	return r
}

// staff plants an account and gives its id.
func (h *hospital) staff(i people.Invitation) people.Person {
	h.t.Helper()
	if err := h.app.People.Plant(h.ctx, i, "a long enough passphrase", "JBSWY3DPEHPK3PXP"); err != nil {
		h.t.Fatal(err)
	}
	who, err := h.app.People.ByEmail(h.ctx, i.Email)
	if err != nil {
		h.t.Fatal(err)
	}
	return who
}

// signIn signs somebody in in a new browser, with two factors.
func (h *hospital) signIn(who people.Person) *http.Cookie {
	h.t.Helper()
	w := httptest.NewRecorder()
	if err := h.app.Sessions.Begin(h.ctx, w, h.request("GET", "", ""), who.ID, []string{people.ByPassword, people.ByCode}); err != nil {
		h.t.Fatal(err)
	}
	return w.Result().Cookies()[0]
}

func (h *hospital) session(c *http.Cookie) people.Session {
	h.t.Helper()
	s, ok := h.app.Sessions.FromRequest(h.request("GET", "", "", c))
	if !ok {
		h.t.Fatal("nobody is signed in")
	}
	return s
}

type appTokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}

// let has the app opened in a browser in which somebody is signed in, and gives its tokens.
func (p portal) let(c *http.Cookie, scopes string) appTokens {
	p.h.t.Helper()
	const verifier = "0123456789012345678901234567890123456789abc"
	sum := sha256.Sum256([]byte(verifier))
	v := url.Values{
		"response_type": {"code"}, "client_id": {p.id}, "redirect_uri": {appCallback}, "state": {"a-state-of-its-own"}, "scope": {scopes},
		"aud":            {"http://" + p.h.app.Addr() + "/t/general/fhir"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(p.h.request("GET", "oauth2/authorize?"+v.Encode(), "", c))
	if err != nil {
		p.h.t.Fatal(err)
	}
	_ = res.Body.Close()
	to, err := url.Parse(res.Header.Get("Location"))
	if err != nil || to.Query().Get("code") == "" {
		p.h.t.Fatalf("%d, sent to %s: %v", res.StatusCode, to, err)
	}
	status, t := p.token(url.Values{"grant_type": {"authorization_code"}, "code": {to.Query().Get("code")}, "redirect_uri": {appCallback}, "code_verifier": {verifier}})
	if status != http.StatusOK || t.Access == "" {
		p.h.t.Fatal(status, t)
	}
	return t
}

func (p portal) token(form url.Values) (status int, t appTokens) {
	p.h.t.Helper()
	r := p.h.request("POST", "oauth2/token", form.Encode())
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(p.id, p.secret)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		p.h.t.Fatal(err)
	}
	defer res.Body.Close()
	_ = json.NewDecoder(res.Body).Decode(&t)
	return res.StatusCode, t
}

func (p portal) refresh(token string) int {
	p.h.t.Helper()
	status, _ := p.token(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
	return status
}

// TestApps_EndWithThePassword: what somebody let apps do ends when the password changes, by whatever way, and when the account is reset or disabled; it does not
// come back with the account, and other people's stays.
func TestApps_EndWithThePassword(t *testing.T) {
	eachHospital(t, func(t *testing.T, h *hospital) {
		app := h.portal("openid user/*.rs offline_access")
		other := h.staff(people.Invitation{Email: "other@example.org", Role: access.Clinician})
		others := app.let(h.signIn(other), "openid user/*.rs offline_access")
		for _, row := range []struct {
			name string
			do   func(who people.Person, c *http.Cookie) error
			ends bool
		}{
			{"a changed password", func(_ people.Person, c *http.Cookie) error {
				return h.app.People.ChangePassword(h.ctx, h.request("POST", "", "", c), h.session(c), "a long enough passphrase", "another that is long enough")
			}, true},
			{"a wrong password", func(_ people.Person, c *http.Cookie) error {
				if err := h.app.People.ChangePassword(h.ctx, h.request("POST", "", "", c), h.session(c), "a wrong passphrase", "another that is long enough"); err == nil {
					t.Error("a wrong password is taken")
				}
				return nil
			}, false},
			{"a reset", func(who people.Person, _ *http.Cookie) error {
				_, err := h.app.People.Reset(h.ctx, who.ID, true)
				return err
			}, true},
			{"an account that was disabled, and enabled again", func(who people.Person, _ *http.Cookie) error {
				if err := h.app.People.Disable(h.ctx, who.ID); err != nil {
					return err
				}
				return h.app.People.Enable(h.ctx, who.ID)
			}, true},
			{"a new password by a link that was mailed", func(who people.Person, c *http.Cookie) error {
				if err := h.app.People.Recover(h.ctx, h.request("POST", "", "", c), who.Email.Reveal()); err != nil {
					return err
				}
				ticket, _, err := h.app.People.Activate(h.ctx, h.mailed(), "another that is long enough")
				if err != nil {
					return err
				}
				tick := time.NewTicker(10 * time.Millisecond)
				defer tick.Stop()
				for range tick.C {
					if p, err := h.app.People.Progress(h.ctx, ticket); err != nil || p.Done {
						return err
					}
				}
				return nil
			}, true},
		} {
			who := h.staff(people.Invitation{Email: strings.ReplaceAll(strings.ReplaceAll(row.name, " ", "."), ",", "") + "@example.org", Role: access.Clinician})
			c := h.signIn(who)
			tokens := app.let(c, "openid user/*.rs offline_access")
			if status, body := h.send(tokens.Access, "GET", "fhir/Practitioner", ""); status != http.StatusOK {
				t.Fatal(status, body)
			}
			if err := row.do(who, c); err != nil {
				t.Fatalf("%s: %v", row.name, err)
			}
			want := map[bool][2]int{true: {401, 400}, false: {200, 200}}[row.ends]
			// The queue may have told that it is done a moment before this process forgets the tokens.
			for ends := time.Now().Add(5 * time.Second); row.ends && time.Now().Before(ends); {
				if status, _ := h.send(tokens.Access, "GET", "fhir/Practitioner", ""); status == want[0] {
					break
				}
			}
			if status, _ := h.send(tokens.Access, "GET", "fhir/Practitioner", ""); status != want[0] {
				t.Errorf("%s: the token is answered %d", row.name, status)
			}
			if status := app.refresh(tokens.Refresh); status != want[1] {
				t.Errorf("%s: the refresh token is answered %d", row.name, status)
			}
		}
		if status, _ := h.send(others.Access, "GET", "fhir/Practitioner", ""); status != http.StatusOK || app.refresh(others.Refresh) != http.StatusOK {
			t.Errorf("somebody else's app: %d", status)
		}
	})
}

// TestBreakGlass_CountsInTheSessionThatOpened: and in the apps that were opened in it; not in another browser of the same person, nor in its apps.
func TestBreakGlass_CountsInTheSessionThatOpened(t *testing.T) {
	eachHospital(t, func(t *testing.T, h *hospital) {
		if err := h.app.Tenants.SetSettings(t.Context(), "general", tenancy.Settings{ClinicianAccess: tenancy.ChartsInCare}); err != nil {
			t.Fatal(err)
		}
		if status, body := h.send(h.token(access.Admin), "PUT", "fhir/Patient/p1", `{"resourceType":"Patient","id":"p1"}`); status != 201 {
			t.Fatal(status, body)
		}
		ada := h.staff(people.Invitation{Email: "ada@example.org", Role: access.Clinician, Reference: "Practitioner/ada"})
		app := h.portal("openid user/*.rs offline_access online_access")
		here, elsewhere := h.signIn(ada), h.signIn(ada)
		hereApp, elsewhereApp := app.let(here, "user/*.rs online_access"), app.let(elsewhere, "user/*.rs offline_access")
		by := func(c *http.Cookie) int {
			r := h.request("GET", "fhir/Patient/p1", "", c)
			res, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			return res.StatusCode
		}
		sees := func(want ...int) {
			t.Helper()
			mine, _ := h.send(hereApp.Access, "GET", "fhir/Patient/p1", "")
			other, _ := h.send(elsewhereApp.Access, "GET", "fhir/Patient/p1", "")
			for i, got := range []int{by(here), mine, by(elsewhere), other} {
				if got != want[i] {
					t.Errorf("%s is answered %d, want %d", []string{"the session", "its app", "another session", "the other's app"}[i], got, want[i])
				}
			}
		}
		sees(404, 404, 404, 404)
		// The second factor is shown once more: the session stays the same one.
		before := h.session(here)
		w := httptest.NewRecorder()
		if err := h.app.Sessions.StepUp(h.ctx, w, h.request("POST", "", "", here), before, people.ByCode); err != nil {
			t.Fatal(err)
		}
		if here = w.Result().Cookies()[0]; h.session(here).ID != before.ID {
			t.Error("the session is another one")
		}
		r := h.request("POST", "break-glass", `{"patient":"p1","reason":"found unconscious in the hall"}`, here)
		r.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusCreated {
			t.Fatal(res.StatusCode)
		}
		sees(200, 200, 404, 404)
		if status, _ := h.send(hereApp.Access, "POST", "break-glass", `{"patient":"p1","reason":"found unconscious in the hall"}`); status != http.StatusForbidden {
			t.Errorf("an app breaks the glass: %d", status)
		}
		if status := app.refresh(hereApp.Refresh); status != http.StatusOK {
			t.Errorf("online_access ends with a second factor: %d", status)
		}
	})
}

// mailed waits for the link in the mail that was sent last.
func (h *hospital) mailed() string {
	h.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	ctx, cancel := context.WithTimeout(h.ctx, 20*time.Second)
	defer cancel()
	for ; ctx.Err() == nil; <-tick.C {
		files, _ := filepath.Glob(filepath.Join(h.app.Config.Data, "mail", "*.eml"))
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				h.t.Fatal(err)
			}
			text := strings.ReplaceAll(strings.ReplaceAll(string(b), "=\r\n", ""), "=3D", "=")
			if _, link, ok := strings.Cut(text, "/activate/"); ok {
				return strings.FieldsFunc(link, unicode.IsSpace)[0]
			}
		}
	}
	h.t.Fatal("no mail in 20 s")
	return ""
}
