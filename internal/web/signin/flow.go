package signin

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"ward/internal/base/fault"
	"ward/internal/kernel/identity/people"
)

func at(r *http.Request, rest string) string { return "/t/" + slug(r) + rest }

// goOn sends the browser to the next step.
func (p *Pages) goOn(w http.ResponseWriter, r *http.Request, next people.Next, back string) error {
	switch next {
	case people.Done:
		return p.arrive(w, r, back)
	case people.WaitForPasswd:
		return to(w, r, at(r, "/activation"))
	default:
		return to(w, r, at(r, "/second-factor"))
	}
}

// arrive sends the browser to where it wanted to go. An app that asked for the sign-in is elsewhere, and browsers don't let a form lead there (form-action): a page goes
// between.
func (p *Pages) arrive(w http.ResponseWriter, r *http.Request, back string) error {
	back = SafeReturn(slug(r), back)
	if strings.HasPrefix(back, at(r, "/oauth2/")) {
		return p.show(w, r, http.StatusOK, "arrived.html", view{Title: "You are signed in", Refresh: 1, To: back, Body: back})
	}
	return to(w, r, back)
}

// location is where a script sends the browser next.
func (p *Pages) location(r *http.Request, next people.Next, back string) string {
	switch next {
	case people.Done:
		return SafeReturn(slug(r), back)
	case people.WaitForPasswd:
		return at(r, "/activation")
	default:
		return at(r, "/second-factor")
	}
}

type signInForm struct {
	Return, Email, Provider string
	Recover                 string
}

func (p *Pages) showSignIn(w http.ResponseWriter, r *http.Request) error {
	back := SafeReturn(slug(r), r.URL.Query().Get("return"))
	if _, ok := p.deps.Sessions.FromRequest(r); ok && r.URL.Query().Get("again") == "" {
		return p.arrive(w, r, back)
	}
	return p.signInPage(w, r, http.StatusOK, back, "", "")
}

func (p *Pages) signInPage(w http.ResponseWriter, r *http.Request, status int, back, email, wrong string) error {
	provider, err := p.deps.People.ProviderName(r.Context())
	if err != nil {
		return err
	}
	v := view{Title: "Sign in", Script: true, Body: signInForm{Return: back, Email: email, Provider: provider}}
	if wrong != "" {
		v.Problems = []problem{{"email", wrong}}
	}
	return p.show(w, r, status, "signin.html", v)
}

func (p *Pages) signIn(w http.ResponseWriter, r *http.Request) error {
	if err := form(r); err != nil {
		return err
	}
	email, back := r.PostForm.Get("email"), SafeReturn(slug(r), r.PostForm.Get("return"))
	next, err := p.deps.People.Password(r.Context(), w, r, email, r.PostForm.Get("password"), back)
	if err != nil {
		if status, text, ok := formProblem(w, err); ok {
			return p.signInPage(w, r, status, back, email, text)
		}
		return err
	}
	return p.goOn(w, r, next, back)
}

func (p *Pages) toProvider(w http.ResponseWriter, r *http.Request) error {
	where, err := p.deps.People.AskProvider(r.Context(), w, r, SafeReturn(slug(r), r.URL.Query().Get("return")))
	if err != nil {
		return err
	}
	return to(w, r, where)
}

func (p *Pages) fromProvider(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	a, next, err := p.deps.People.FromProvider(r.Context(), w, r, q.Get("state"), q.Get("code"))
	if err != nil {
		return err
	}
	return p.goOn(w, r, next, a.Back)
}

func (p *Pages) askPasskey(w http.ResponseWriter, r *http.Request) error {
	options, err := p.deps.People.AskPasskey(r.Context(), w, r, SafeReturn(slug(r), r.URL.Query().Get("return")))
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, options)
}

type scriptNext struct {
	Location string   `json:"location"`
	Codes    []string `json:"codes,omitempty"`
}

func (p *Pages) showPasskey(w http.ResponseWriter, r *http.Request) error {
	text, err := body(r)
	if err != nil {
		return err
	}
	a, next, err := p.deps.People.ShowPasskey(r.Context(), w, r, text)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, scriptNext{Location: p.location(r, next, a.Back)})
}

// secondForm is what the page of the second factor offers.
type secondForm struct {
	App, Passkey, Password, SetUp, Mail bool
	Email                               string
	Secret, URL                         string
	Picture                             any
	StepUp                              bool
}

func (p *Pages) showSecond(w http.ResponseWriter, r *http.Request) error {
	// Somebody who is signed in and must show it again, for example before a break-glass.
	if back := r.URL.Query().Get("return"); back != "" {
		s, err := p.deps.Sessions.Find(r.Context(), r)
		if err != nil {
			return to(w, r, at(r, "/signin?return="+url.QueryEscape(SafeReturn(slug(r), back))))
		}
		if err := p.deps.People.AskAgain(r.Context(), w, r, s, SafeReturn(slug(r), back)); err != nil {
			return err
		}
		return to(w, r, at(r, "/second-factor"))
	}
	return p.secondPage(w, r, http.StatusOK, "")
}

func (p *Pages) secondPage(w http.ResponseWriter, r *http.Request, status int, wrong string) error {
	ctx := r.Context()
	a, who, next, err := p.deps.People.Step(ctx, w, r)
	if err != nil {
		return err
	}
	keys, err := p.deps.People.Passkeys(ctx, who.ID)
	if err != nil {
		return err
	}
	f := secondForm{App: who.Second, Passkey: len(keys) > 0, StepUp: a.SteppingUp()}
	v := view{Title: "Confirm that it is you", Script: true}
	if wrong != "" {
		v.Problems = []problem{{"code", wrong}}
	}
	setUp := next == people.SetUpSecond
	if a.SteppingUp() && r.URL.Query().Get("set-up") != "" {
		setUp = true
	}
	switch {
	case setUp:
		app, err := p.deps.People.SetUpApp(ctx, a, who)
		if err != nil {
			return err
		}
		v.Title = "Set up a second factor"
		f.SetUp, f.Secret, f.URL = true, app.Secret, app.URL
		if f.Picture, err = picture(app.URL); err != nil {
			return err
		}
	case next == people.ShowSecond:
	case next == people.ShowPassword:
		v.Title = "Your password, too"
		f.Password, f.Email = true, who.Email.Reveal()
	case next == people.FollowMail:
		v.Title = "One more step"
		f.Mail = true
		f.Email = who.Email.Reveal()
	default:
		return p.goOn(w, r, next, a.Back)
	}
	v.Body = f
	return p.show(w, r, status, "second.html", v)
}

func (p *Pages) second(w http.ResponseWriter, r *http.Request) error {
	if err := form(r); err != nil {
		return err
	}
	ctx := r.Context()
	a, err := p.deps.People.Attempt(ctx, r)
	if err != nil {
		return err
	}
	var next people.Next
	var codes []string
	code := r.PostForm.Get("code")
	switch r.PostForm.Get("kind") {
	case "app":
		next, err = p.deps.People.Code(ctx, w, r, code)
	case "recovery":
		next, err = p.deps.People.RecoveryCode(ctx, w, r, code)
	case "set-up":
		codes, next, err = p.deps.People.ConfirmApp(ctx, w, r, code)
	default:
		err = fault.Invalid("choose how to confirm")
	}
	if err != nil {
		if status, text, ok := formProblem(w, err); ok {
			if _, gone := p.deps.People.Attempt(ctx, r); gone == nil {
				if r.PostForm.Get("kind") == "set-up" {
					r.URL.RawQuery = "set-up=1"
				}
				return p.secondPage(w, r, status, text)
			}
		}
		return err
	}
	if codes != nil {
		return p.showCodes(w, r, codes, p.location(r, next, a.Back))
	}
	return p.goOn(w, r, next, a.Back)
}

type codesBody struct {
	Codes []string
	Next  string
}

func (p *Pages) showCodes(w http.ResponseWriter, r *http.Request, codes []string, next string) error {
	return p.show(w, r, http.StatusOK, "codes.html", view{Title: "Your recovery codes", Body: codesBody{codes, next}})
}

func (p *Pages) newPasskey(w http.ResponseWriter, r *http.Request) error {
	options, err := p.deps.People.NewPasskey(r.Context(), r)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, options)
}

func (p *Pages) addPasskey(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Name       string          `json:"name"`
		Credential json.RawMessage `json:"credential"`
	}
	if err := decode(r, &in); err != nil {
		return err
	}
	a, err := p.deps.People.Attempt(r.Context(), r)
	if err != nil {
		return err
	}
	codes, next, err := p.deps.People.AddPasskey(r.Context(), w, r, in.Name, in.Credential)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, scriptNext{Location: p.location(r, next, a.Back), Codes: codes})
}

func keyID(text string) ([]byte, error) {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil, fault.Invalid("this is no passkey's id")
	}
	return b, nil
}
