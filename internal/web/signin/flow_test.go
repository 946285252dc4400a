package signin_test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"ward/internal/base/fault"
	"ward/internal/kernel/access"
	"ward/internal/kernel/audit"
	"ward/internal/kernel/tenancy"
	"ward/internal/web/signin"
)

// TestActivation_FromInvitationToSignOut goes the way of somebody new.
func TestActivation_FromInvitationToSignOut(t *testing.T) {
	onEach(t, func(s *site) {
		admin := s.browser()
		var made struct{ ID, State, Link string }
		invitation := map[string]any{"email": "Ada@Example.org", "name": "Ada", "role": access.Clinician, "person": "Practitioner/7"}
		if p := admin.json("POST", "/t/north/people", access.Admin, invitation, &made); p.status != 201 || made.State != "invited" || made.Link != "" {
			t := s.T
			t.Fatal(p)
		}
		if p := admin.json("POST", "/t/north/people", access.Admin, invitation, nil); p.status != 409 {
			s.Errorf("invited twice: %s", p)
		}
		if p := admin.json("POST", "/t/north/people", access.Clinician, invitation, nil); p.status != 403 {
			s.Errorf("invited by a clinician: %s", p)
		}
		link := s.mail("ada@example.org")

		b := s.browser()
		p := b.want(b.get(link), 200, link, "ada@example.org", `autocomplete="new-password"`)
		for name, want := range map[string]string{"Cache-Control": "no-store", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin"} {
			if got := p.header.Get(name); got != want {
				s.Errorf("%s is %q", name, got)
			}
		}
		if c := p.header.Get("Content-Security-Policy"); !strings.Contains(c, "default-src 'none'") || strings.Contains(c, "unsafe") {
			s.Errorf("the policy is %s", c)
		}
		b.want(b.post(link, "password", good, "again", "other"), 422, link, "the two passwords differ", `href="#again"`)
		b.want(b.post(link, "password", "Password1!", "again", "Password1!"), 422, link, "tried first")
		b.want(b.post(link, "password", "short", "again", "short"), 422, link, "at least 8")
		b.want(b.post(link, "password", "ada@example", "again", "ada@example"), 422, link, "your address")

		p = b.post(link, "password", good, "again", good)
		s.hashed()
		p = b.want(b.get("/t/north/activation"), 200, "/t/north/second-factor", "Set up a second factor", "data:image/png;base64,")
		other := s.browser()
		other.want(other.get(link), 404, link, "no good any more")
		other.want(other.post(link, "password", good, "again", good), 404, link)
		other.want(other.get("/t/north/second-factor"), 401, "/t/north/second-factor")

		appSecret := regexp.MustCompile(`class="secret">([A-Z2-7]+)<`).FindStringSubmatch(p.text)[1]
		b.want(b.post("/t/north/second-factor", "kind", "set-up", "code", "000000"), 401, "/t/north/second-factor", appSecret)
		p = b.want(b.post("/t/north/second-factor", "kind", "set-up", "code", s.code(appSecret)), 200, "/t/north/second-factor", "Your recovery codes")
		codes := regexp.MustCompile(`<code>([A-Z2-7-]+)</code>`).FindAllStringSubmatch(p.text, -1)
		if len(codes) != 8 || len(codes[0][1]) != 29 {
			s.Fatalf("%d codes: %s", len(codes), p)
		}
		b.want(b.get("/t/north/account"), 200, "/t/north/account", "ada@example.org", "Authenticator app", "This browser")
		b.want(b.post("/t/north/signout"), 200, "/t/north/signout")
		b.want(b.get("/t/north/account"), 200, "/t/north/signin")

		// The next time: password and code, and the code counts once.
		b.want(b.post("/t/north/signin", "email", " ADA@example.org", "password", good, "return", "/t/north/account?x=1"), 200, "/t/north/second-factor", "Six digits")
		code := s.code(appSecret)
		b.want(b.post("/t/north/second-factor", "kind", "app", "code", code), 200, "/t/north/account")
		again := s.browser()
		again.want(again.post("/t/north/signin", "email", "ada@example.org", "password", good), 200, "/t/north/second-factor")
		again.want(again.post("/t/north/second-factor", "kind", "app", "code", code), 401, "/t/north/second-factor", "was used before")
		// A recovery code in its place, once.
		again.want(again.post("/t/north/second-factor", "kind", "recovery", "code", strings.ToLower(codes[3][1])), 200, "/t/north/account")
		third := s.browser()
		third.want(third.post("/t/north/signin", "email", "ada@example.org", "password", good), 200, "/t/north/second-factor")
		third.want(third.post("/t/north/second-factor", "kind", "recovery", "code", codes[3][1]), 401, "/t/north/second-factor")
		if !s.audit.has(audit.BadPassword) {
			s.Error("wrong codes are no security event")
		}
		var acts []string
		for _, e := range s.audit.events {
			acts = append(acts, e.Detail)
			if strings.Contains(e.Detail, "@") {
				s.Errorf("the audit log has an address: %+v", e)
			}
		}
		for _, want := range []string{"invited as clinician", "link used", "password set", "authenticator app set up", "pwd otp", "recovery code used", "pwd rec"} {
			if !slices.Contains(acts, want) {
				s.Errorf("the audit log lacks %q: %q", want, acts)
			}
		}
	})
}

// TestSignIn_TellsNothingAndSlowsDown: an address without an account answers as one with a wrong password; after some tries each waits, and the person's own browser doesn't.
func TestSignIn_TellsNothingAndSlowsDown(t *testing.T) {
	onEach(t, func(s *site) {
		s.plant("ada@example.org", access.Clinician)
		known := s.signIn("ada@example.org")
		known.want(known.post("/t/north/signout"), 200, "/t/north/signout")

		b := s.browser()
		strip := regexp.MustCompile(`value="[^"]*"`)
		same := func(when string, a, z page) {
			s.Helper()
			if a.status != z.status || strip.ReplaceAllString(a.text, "") != strip.ReplaceAllString(z.text, "") {
				s.Errorf("%s: the answers differ:\n%s\n%s", when, a, z)
			}
		}
		for range 5 {
			same("wrong password", b.post("/t/north/signin", "email", "ada@example.org", "password", "wrong"), b.post("/t/north/signin", "email", "nobody@example.org", "password", "wrong"))
		}
		one, two := b.post("/t/north/signin", "email", "ada@example.org", "password", good), b.post("/t/north/signin", "email", "nobody@example.org", "password", good)
		same("too many", one, two)
		if one.status != http.StatusTooManyRequests || one.header.Get("Retry-After") == "" {
			s.Errorf("after five wrong passwords: %s", one)
		}
		if !s.audit.has(audit.LockoutSlowed) {
			s.Error("that it was slowed is no security event")
		}
		known.want(known.post("/t/north/signin", "email", "ada@example.org", "password", good), 200, "/t/north/second-factor")

		// It never takes more than a minute, however many tries there were.
		for range 20 {
			s.now.Advance(time.Minute)
			if p := b.post("/t/north/signin", "email", "ada@example.org", "password", "wrong"); p.status != 401 {
				s.Fatalf("after a minute: %s", p)
			}
		}
		if p := b.post("/t/north/signin", "email", "ada@example.org", "password", good); p.status != 429 {
			s.Errorf("at once: %s", p)
		}
		s.now.Advance(time.Minute)
		b.want(b.post("/t/north/signin", "email", "ada@example.org", "password", good), 200, "/t/north/second-factor")
		// Success forgives.
		b.want(b.post("/t/north/signin", "email", "ada@example.org", "password", "wrong"), 401, "/t/north/signin")
		b.want(b.post("/t/north/signin", "email", "ada@example.org", "password", good), 200, "/t/north/second-factor")
		// Another tenant has other people.
		b.want(b.post("/t/south/signin", "email", "ada@example.org", "password", good), 401, "/t/south/signin")
	})
}

// TestSecondFactor_IsNotGuessed: ten tries in one sign-in, and each slower than the last.
func TestSecondFactor_IsNotGuessed(t *testing.T) {
	onEach(t, func(s *site) {
		s.plant("ada@example.org", access.Clinician)
		b := s.browser()
		b.want(b.post("/t/north/signin", "email", "ada@example.org", "password", good), 200, "/t/north/second-factor")
		slowed := 0
		for range 10 {
			p := b.post("/t/north/second-factor", "kind", "app", "code", "000000")
			if p.status == 429 {
				slowed++
				s.now.Advance(time.Minute)
				p = b.post("/t/north/second-factor", "kind", "app", "code", "000000")
			}
			if p.status != 401 {
				s.Fatal(p)
			}
		}
		if slowed != 5 {
			s.Errorf("%d of ten tries were slowed", slowed)
		}
		s.now.Advance(time.Minute)
		b.want(b.post("/t/north/second-factor", "kind", "app", "code", s.code(secret)), 401, "/t/north/second-factor", "begin again")
	})
}

// TestRecover_DoesNotPassTheSecondFactor: a new password by mail signs out everywhere and is not enough to sign in.
func TestRecover_DoesNotPassTheSecondFactor(t *testing.T) {
	onEach(t, func(s *site) {
		s.plant("ada@example.org", access.Clinician)
		old := s.signIn("ada@example.org")
		b := s.browser()
		unknown := b.want(b.post("/t/north/recover", "email", "nobody@example.org"), 200, "/t/north/recover")
		<-s.events // of the address that nobody has, which is handled as any other
		known := b.want(b.post("/t/north/recover", "email", "ada@example.org"), 200, "/t/north/recover")
		if unknown.text != known.text {
			s.Error("the answers tell which address has an account")
		}
		link := s.mail("ada@example.org")
		s.now.Advance(31 * time.Minute)
		b.want(b.get(link), 404, link)
		b.want(b.post("/t/north/recover", "email", "ada@example.org"), 200, "/t/north/recover")
		link = s.mail("ada@example.org")
		old.want(old.post("/t/north/signin", "email", "ada@example.org", "password", good), 200, "/t/north/second-factor")
		old = s.signIn("ada@example.org")
		b.post(link, "password", "six tame ducks", "again", "six tame ducks")
		s.hashed()
		old.want(old.get("/t/north/account"), 200, "/t/north/signin")
		b.want(b.get("/t/north/activation"), 200, "/t/north/second-factor", "Six digits")
		b.want(b.get("/t/north/account"), 200, "/t/north/signin")
		b.want(b.post("/t/north/second-factor", "kind", "set-up", "code", s.code(secret)), 403, "/t/north/second-factor")
		b.want(b.post("/t/north/second-factor", "kind", "app", "code", s.code(secret)), 200, "/t/north/account")
		old.want(old.post("/t/north/signin", "email", "ada@example.org", "password", good), 401, "/t/north/signin")
	})
}

// TestSecondFactor_Rules: who may do without, by the tenant's choice.
func TestSecondFactor_Rules(t *testing.T) {
	onEach(t, func(s *site) {
		ctx := s.ctx()
		who := s.plant("rosa@example.org", access.Patient)
		if err := s.people.RemoveApp(ctx, who); !fault.Is(err, fault.CodeConflict) {
			s.Errorf("the only second factor was taken away: %v", err)
		}
		s.settings.Store(&tenancy.Settings{SignIn: &tenancy.SignIn{PasswordAlone: []string{access.Patient}}})
		b := s.browser()
		b.want(b.post("/t/north/signin", "email", "rosa@example.org", "password", good), 200, "/t/north/second-factor", "Six digits")
		if err := s.people.RemoveApp(ctx, who); err != nil {
			s.Fatal(err)
		}
		b.want(b.post("/t/north/signin", "email", "rosa@example.org", "password", good), 200, "/t/north/account")
		s.settings.Store(&tenancy.Settings{})
		b = s.browser()
		b.want(b.post("/t/north/signin", "email", "rosa@example.org", "password", good), 200, "/t/north/second-factor", "we send a link to")
		b.want(b.post("/t/north/second-factor", "kind", "set-up", "code", "000000"), 403, "/t/north/second-factor")
	})
}

// TestAccount_SessionsAndStepUp: changing how one signs in takes a fresh second factor; sessions are listed and ended.
func TestAccount_SessionsAndStepUp(t *testing.T) {
	onEach(t, func(s *site) {
		s.plant("ada@example.org", access.Clinician)
		one := s.signIn("ada@example.org")
		two := s.signIn("ada@example.org")
		p := one.want(one.get("/t/north/account"), 200, "/t/north/account")
		ids := regexp.MustCompile(`name="id" value="([0-9a-f-]{36})"`).FindAllStringSubmatch(p.text, -1)
		if len(ids) != 1 {
			s.Fatalf("%d other sessions: %s", len(ids), p)
		}
		one.want(one.post("/t/north/account/session", "id", ids[0][1]), 200, "/t/north/account")
		two.want(two.get("/t/north/account"), 200, "/t/north/signin")

		one.want(one.post("/t/north/account/codes"), 200, "/t/north/account/codes", "Your recovery codes")
		s.now.Advance(11 * time.Minute)
		one.want(one.post("/t/north/account/codes"), 200, "/t/north/second-factor", "Six digits")
		cookies := func() string {
			var v []string
			for _, c := range one.http.Jar.Cookies(mustParse(base)) {
				if strings.Contains(c.Name, "session") {
					v = append(v, c.Name+"="+c.Value)
				}
			}
			return strings.Join(v, ";")
		}
		before := cookies()
		one.want(one.post("/t/north/second-factor", "kind", "app", "code", s.code(secret)), 200, "/t/north/account")
		if after := cookies(); before == after || !strings.HasPrefix(after, "__Host-ward-session-north=") {
			s.Errorf("the session is not renewed where trust grows: %s", after)
		}
		one.want(one.post("/t/north/account/codes"), 200, "/t/north/account/codes")
		one.want(one.post("/t/north/account/protect"), 200, "/t/north/second-factor", "Set up a second factor")
		// Before a break-glass: the page comes back to where it was asked from.
		one.want(one.get("/t/north/second-factor?return=%2Ft%2Fnorth%2Faccount%3Fglass"), 200, "/t/north/second-factor", "Six digits")

		// The password, by the one that is there.
		two = s.signIn("ada@example.org")
		one.want(one.post("/t/north/account/password", "current", "wrong", "password", "six tame ducks", "again", "six tame ducks"), 401, "/t/north/account/password", "is wrong")
		one.want(one.post("/t/north/account/password", "current", good, "password", "password", "again", "password"), 422, "/t/north/account/password")
		one.want(one.post("/t/north/account/password", "current", good, "password", "six tame ducks", "again", "six tame ducks"), 200, "/t/north/account")
		two.want(two.get("/t/north/account"), 200, "/t/north/signin")
		one.want(one.post("/t/north/account/password", "current", "six tame ducks", "password", good, "again", good), 200, "/t/north/account")

		// An administrator ends what is left, and closes the account.
		admin := s.browser()
		who, err := s.people.ByEmail(s.ctx(), "ada@example.org")
		if err != nil {
			s.Fatal(err)
		}
		var list struct{ Sessions []struct{ ID string } }
		if admin.json("GET", "/t/north/people/"+who.ID+"/sessions", access.Admin, nil, &list); len(list.Sessions) != 1 {
			s.Errorf("%+v", list)
		}
		if p := admin.json("POST", "/t/north/people/"+who.ID+"/sign-out", access.Admin, map[string]any{}, nil); p.status != 200 {
			s.Error(p)
		}
		one.want(one.get("/t/north/account"), 200, "/t/north/signin")
		one = s.signIn("ada@example.org")
		if p := admin.json("POST", "/t/north/people/"+who.ID+"/disable", access.Admin, map[string]any{}, nil); p.status != 200 || !strings.Contains(p.text, `"state":"disabled"`) {
			s.Error(p)
		}
		one.want(one.get("/t/north/account"), 200, "/t/north/signin")
		one.want(one.post("/t/north/signin", "email", "ada@example.org", "password", good), 401, "/t/north/signin")
		if p := admin.json("POST", "/t/north/people/"+who.ID+"/enable", access.Admin, map[string]any{}, nil); p.status != 200 {
			s.Error(p)
		}
		one = s.signIn("ada@example.org")

		// Whoever lost the second factor begins anew.
		var reset struct{ Link string }
		if p := admin.json("POST", "/t/north/people/"+who.ID+"/reset", access.Admin, map[string]any{"byHand": true}, &reset); p.status != 200 || reset.Link == "" {
			s.Error(p)
		}
		one.want(one.get("/t/north/account"), 200, "/t/north/signin")
		one.want(one.post("/t/north/signin", "email", "ada@example.org", "password", good), 401, "/t/north/signin")
		one.want(one.get(reset.Link), 200, strings.TrimPrefix(reset.Link, base), "Choose a password")
	})
}

// TestPages_RefuseOtherSites: what changes something must come from a page of the site.
func TestPages_RefuseOtherSites(t *testing.T) {
	onEach(t, func(s *site) {
		s.plant("ada@example.org", access.Clinician)
		b := s.signIn("ada@example.org")
		for _, row := range []struct{ header, value string }{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"}} {
			for _, path := range []string{"/t/north/signin", "/t/north/signout", "/t/north/account/codes", "/t/north/recover", "/t/north/second-factor", "/t/north/signin/passkey/ask"} {
				r, err := http.NewRequestWithContext(s.Context(), "POST", base+path, strings.NewReader("email=ada@example.org&password=x"))
				if err != nil {
					s.Fatal(err)
				}
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				r.Header.Set(row.header, row.value)
				if p := b.do(r); p.status != 403 {
					s.Errorf("%s with %s: %s: %d", path, row.header, row.value, p.status)
				}
			}
		}
		b.want(b.get("/t/north/account"), 200, "/t/north/account")
	})
}

func TestSafeReturn(t *testing.T) {
	t.Parallel()
	const home = "/t/north/account"
	for in, want := range map[string]string{
		"/t/north/oauth2/authorize?a=b&c=https://x": "/t/north/oauth2/authorize?a=b&c=https://x",
		"/t/north/": "/t/north/", "": home, "/": home, "https://evil.example": home, "//evil.example": home, "/\\evil.example": home, "/t/south/account": home, "/t/north": home,
		"/t/north/../south/x": home, "/t/north/%2e%2e/south": home, "/t/north//evil.example": home, "javascript:alert(1)": home, "/t/north/\r\nSet-Cookie: a=b": home,
		"/t/north/a\tb": home, "/t/north\\@evil": home, " /t/north/x": home, "http:/t/north/x": home, "/t/north/x\x00": home, "/t/northern/x": home,
		"/t/north/%zz": home, "/t/north/" + strings.Repeat("a", 5000): home, "/t/north/ok#part": "/t/north/ok#part",
	} {
		if got := signin.SafeReturn("north", in); got != want {
			t.Errorf("%q leads to %q, want %q", in, got, want)
		}
	}
}
