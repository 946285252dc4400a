package signin

import (
	"net/http"
	"strconv"
	"time"

	"ward/internal/base/fault"
	"ward/internal/kernel/identity/people"
)

type activateForm struct {
	Token, Email string
	Recover      bool
}

func (p *Pages) showActivate(w http.ResponseWriter, r *http.Request) error {
	return p.activatePage(w, r, http.StatusOK, problem{})
}

func (p *Pages) activatePage(w http.ResponseWriter, r *http.Request, status int, wrong problem) error {
	token := r.PathValue("token")
	l, err := p.deps.People.FollowLink(r.Context(), token)
	if err != nil {
		return err
	}
	v := view{Title: "Choose a password", Body: activateForm{token, l.Person.Email.Reveal(), l.Recover}}
	if wrong.Text != "" {
		v.Problems = []problem{wrong}
	}
	return p.show(w, r, status, "activate.html", v)
}

func (p *Pages) activate(w http.ResponseWriter, r *http.Request) error {
	ctx, token := r.Context(), r.PathValue("token")
	if wantsJSON(r) {
		var in struct {
			Password string `json:"password"`
		}
		if err := decode(r, &in); err != nil {
			return err
		}
		ticket, _, err := p.deps.People.Activate(ctx, token, in.Password)
		if err != nil {
			return err
		}
		progress, err := p.deps.People.Progress(ctx, ticket)
		if err != nil {
			return err
		}
		w.Header().Set("Location", at(r, "/activation/"+ticket))
		return p.answerProgress(w, http.StatusAccepted, progress)
	}
	if err := form(r); err != nil {
		return err
	}
	password := r.PostForm.Get("password")
	if password != r.PostForm.Get("again") {
		return p.activatePage(w, r, http.StatusUnprocessableEntity, problem{"again", "the two passwords differ"})
	}
	ticket, who, err := p.deps.People.Activate(ctx, token, password)
	if err != nil {
		if fault.Is(err, fault.CodeUnprocessable) {
			return p.activatePage(w, r, http.StatusUnprocessableEntity, problem{"password", fault.Message(err)})
		}
		return err
	}
	if err := p.deps.People.Wait(ctx, w, r, who, ticket); err != nil {
		return err
	}
	return to(w, r, at(r, "/activation"))
}

type waitingBody struct {
	Ahead int
	Wait  string
}

// showWaiting shows how long it will take and comes again by itself until it is done.
func (p *Pages) showWaiting(w http.ResponseWriter, r *http.Request) error {
	a, err := p.deps.People.Attempt(r.Context(), r)
	if err != nil {
		return err
	}
	if a.Activation() == "" {
		return to(w, r, at(r, "/second-factor"))
	}
	progress, err := p.deps.People.Progress(r.Context(), a.Activation())
	if err != nil {
		return err
	}
	if progress.Done {
		return to(w, r, at(r, "/second-factor"))
	}
	again := comeAgain(progress)
	w.Header().Set("Retry-After", strconv.Itoa(again))
	return p.show(w, r, http.StatusOK, "waiting.html", view{Title: "Your account is being made ready", Refresh: again, Body: waitingBody{progress.Ahead, human(progress.Wait)}})
}

// comeAgain is after how many seconds it is worth asking again.
func comeAgain(x people.Progress) int {
	return int(min(max(x.Wait/2, time.Second), 30*time.Second).Seconds())
}

func human(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return "a few seconds"
	case d < 2*time.Minute:
		return "about " + strconv.Itoa(int(d.Seconds()+5)/10*10) + " seconds"
	case d < 2*time.Hour:
		return "about " + strconv.Itoa(int(d.Minutes()+1)) + " minutes"
	default:
		return "about " + strconv.Itoa(int(d.Hours()+1)) + " hours"
	}
}

type progressWire struct {
	State   string  `json:"state"` // waiting or done
	Ahead   int     `json:"ahead"`
	Seconds float64 `json:"seconds"` // until it is done, as things go
}

func (p *Pages) progress(w http.ResponseWriter, r *http.Request) error {
	progress, err := p.deps.People.Progress(r.Context(), r.PathValue("ticket"))
	if err != nil {
		return err
	}
	return p.answerProgress(w, http.StatusOK, progress)
}

func (p *Pages) answerProgress(w http.ResponseWriter, status int, x people.Progress) error {
	out := progressWire{"done", 0, 0}
	if !x.Done {
		out = progressWire{"waiting", x.Ahead, x.Wait.Seconds()}
		w.Header().Set("Retry-After", strconv.Itoa(comeAgain(x)))
	}
	return answer(w, status, out)
}

func (p *Pages) showRecover(w http.ResponseWriter, r *http.Request) error {
	return p.show(w, r, http.StatusOK, "recover.html", view{Title: "Ask for a new password", Body: ""})
}

func (p *Pages) recover(w http.ResponseWriter, r *http.Request) error {
	if err := form(r); err != nil {
		return err
	}
	if err := p.deps.People.Recover(r.Context(), r, r.PostForm.Get("email")); err != nil {
		if status, text, ok := formProblem(w, err); ok {
			return p.show(w, r, status, "recover.html", view{Title: "Ask for a new password", Problems: []problem{{"email", text}}, Body: r.PostForm.Get("email")})
		}
		return err
	}
	return p.show(w, r, http.StatusOK, "sent.html", view{Title: "Look into your mail"})
}
