package signin

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"time"

	"ward/internal/base/fault"
	"ward/internal/kernel/audit"
	"ward/internal/kernel/identity/people"
)

type accountBody struct {
	Email, Name, Role string
	App               bool
	Passkeys          []passkeyView
	Sessions          []sessionView
	Fresh             bool
}

type passkeyView struct{ ID, Name, Created, Used string }

type sessionView struct {
	ID, Agent, Began, Seen string
	This                   bool
}

// session is who is signed in; the browser is sent to sign in when nobody is.
func (p *Pages) session(w http.ResponseWriter, r *http.Request) (people.Session, bool, error) {
	s, err := p.deps.Sessions.Find(r.Context(), r)
	if fault.Is(err, fault.CodeUnauthenticated) {
		return s, false, to(w, r, at(r, "/signin?return="+url.QueryEscape(at(r, "/account"))))
	}
	return s, err == nil, err
}

func (p *Pages) showAccount(w http.ResponseWriter, r *http.Request) error {
	s, ok, err := p.session(w, r)
	if !ok {
		return err
	}
	return p.accountPage(w, r, http.StatusOK, s, "")
}

func (p *Pages) accountPage(w http.ResponseWriter, r *http.Request, status int, s people.Session, wrong string) error {
	ctx := r.Context()
	who, err := p.deps.People.Get(ctx, s.Account().ID)
	if err != nil {
		return err
	}
	keys, err := p.deps.People.Passkeys(ctx, who.ID)
	if err != nil {
		return err
	}
	sessions, err := p.deps.Sessions.List(ctx, who.ID)
	if err != nil {
		return err
	}
	b := accountBody{Email: who.Email.Reveal(), Name: who.Name.Reveal(), Role: who.Role, App: who.Second}
	for _, k := range keys {
		b.Passkeys = append(b.Passkeys, passkeyView{base64.RawURLEncoding.EncodeToString(k.ID), k.Name, day(k.Created), day(k.Used)})
	}
	for _, x := range sessions {
		b.Sessions = append(b.Sessions, sessionView{x.ID, x.Agent, minute(x.AuthTime), minute(x.Seen), x.ID == s.ID})
	}
	v := view{Title: "Your account", Body: b}
	if wrong != "" {
		v.Problems = []problem{{Text: wrong}}
	}
	return p.show(w, r, status, "account.html", v)
}

func day(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Format("2 January 2006")
}

func minute(t time.Time) string { return t.Format("2 January 2006, 15:04 UTC") }

// change does something to the account of whoever is signed in, once the second factor was shown lately.
func (p *Pages) change(w http.ResponseWriter, r *http.Request, do func(s people.Session) error) error {
	s, ok, err := p.session(w, r)
	if !ok {
		return err
	}
	if err := form(r); err != nil {
		return err
	}
	may, err := p.deps.People.MayChange(r.Context(), s)
	if err != nil {
		return err
	}
	if !may {
		if err := p.deps.People.AskAgain(r.Context(), w, r, s, at(r, "/account")); err != nil {
			return err
		}
		return to(w, r, at(r, "/second-factor"))
	}
	if err := do(s); err != nil {
		if status, text, ok := formProblem(w, err); ok {
			return p.accountPage(w, r, status, s, text)
		}
		return err
	}
	return nil
}

func (p *Pages) endSession(w http.ResponseWriter, r *http.Request) error {
	return p.change(w, r, func(s people.Session) error {
		var err error
		if which := r.PostForm.Get("id"); which == "others" {
			err = p.deps.Sessions.RevokeAll(r.Context(), s.Account().ID, s.ID)
		} else {
			err = p.deps.Sessions.Revoke(r.Context(), s.Account().ID, which)
		}
		if err != nil && !fault.Is(err, fault.CodeNotFound) {
			return err
		}
		return to(w, r, at(r, "/account"))
	})
}

func (p *Pages) removePasskey(w http.ResponseWriter, r *http.Request) error {
	return p.change(w, r, func(s people.Session) error {
		id, err := keyID(r.PostForm.Get("id"))
		if err == nil {
			err = p.deps.People.RemovePasskey(r.Context(), s.Account(), id)
		}
		if err != nil {
			return err
		}
		return to(w, r, at(r, "/account"))
	})
}

func (p *Pages) removeApp(w http.ResponseWriter, r *http.Request) error {
	return p.change(w, r, func(s people.Session) error {
		if err := p.deps.People.RemoveApp(r.Context(), s.Account()); err != nil {
			return err
		}
		return to(w, r, at(r, "/account"))
	})
}

func (p *Pages) newCodes(w http.ResponseWriter, r *http.Request) error {
	return p.change(w, r, func(s people.Session) error {
		codes, err := p.deps.People.RecoveryCodes(r.Context(), s.Account().ID)
		if err != nil {
			return err
		}
		return p.showCodes(w, r, codes, at(r, "/account"))
	})
}

func (p *Pages) newPassword(w http.ResponseWriter, r *http.Request) error {
	return p.change(w, r, func(s people.Session) error {
		if r.PostForm.Get("password") != r.PostForm.Get("again") {
			return fault.Unprocessable("the two new passwords differ")
		}
		if err := p.deps.People.ChangePassword(r.Context(), r, s, r.PostForm.Get("current"), r.PostForm.Get("password")); err != nil {
			return err
		}
		return to(w, r, at(r, "/account"))
	})
}

func (p *Pages) protect(w http.ResponseWriter, r *http.Request) error {
	return p.change(w, r, func(s people.Session) error {
		if err := p.deps.People.Protect(r.Context(), w, r, s); err != nil {
			return err
		}
		return to(w, r, at(r, "/second-factor?set-up=1"))
	})
}

func (p *Pages) showSignOut(w http.ResponseWriter, r *http.Request) error {
	return p.show(w, r, http.StatusOK, "signout.html", view{Title: "Sign out"})
}

func (p *Pages) signOut(w http.ResponseWriter, r *http.Request) error {
	s, ok := p.deps.Sessions.FromRequest(r)
	if err := p.deps.Sessions.End(r.Context(), w, r); err != nil && !fault.Is(err, fault.CodeNotFound) {
		return err
	}
	if ok {
		if err := p.deps.People.Noted(r.Context(), audit.SignOut, s); err != nil {
			return err
		}
	}
	w.Header().Set("Clear-Site-Data", `"cache", "storage"`)
	return p.show(w, r, http.StatusOK, "signedout.html", view{Title: "You are signed out"})
}
