package people

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/webauthn"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
)

// Attempt is a sign-in under way in a browser: who it is so far, and how that was shown. It is nobody's right to anything.
type Attempt struct {
	PersonID string // "" while nobody is known
	Methods  []string
	Back     string // local path to go to after the sign-in

	secret string
	tries  int64
	data   attemptData
}

// attemptData is what only the server may know of an attempt.
type attemptData struct {
	Ticket   string                `json:"ticket,omitempty"`   // of the password on its way
	Second   string                `json:"second,omitempty"`   // secret of an authenticator app that is being set up
	Passkey  *webauthn.SessionData `json:"passkey,omitempty"`  // of a passkey that is asked for or made
	State    string                `json:"state,omitempty"`    // of the request to the provider
	Nonce    string                `json:"nonce,omitempty"`    //
	Verifier string                `json:"verifier,omitempty"` // PKCE
	StepUp   bool                  `json:"stepUp,omitempty"`   // of somebody who is signed in
}

const (
	attemptLife    = 15 * time.Minute
	activationWait = 24 * time.Hour // for the browser that waits for its password
	mostTries      = 10             // of second factors in one attempt
)

// Activation is the ticket of the password that the attempt waits for; "" when it waits for none.
func (a *Attempt) Activation() string { return a.data.Ticket }

// SteppingUp says whether somebody who is signed in shows the second factor again or sets up another.
func (a *Attempt) SteppingUp() bool { return a.data.StepUp }

func noAttempt() error {
	return fault.Unauthenticated("the sign-in took too long or was begun elsewhere: begin again")
}

func (p *People) attemptCookie(ctx context.Context, r *http.Request, value string) *http.Cookie {
	return newCookie(SecureFrom(r, p.deps.Sessions.deps.Secure), "attempt", tenantOf(ctx), value)
}

// begin starts an attempt in the browser, in place of any other.
func (p *People) begin(ctx context.Context, w http.ResponseWriter, r *http.Request, a *Attempt) error {
	text, hash := secret()
	life := attemptLife
	if a.data.Ticket != "" {
		life = activationWait
	}
	a.secret = text
	data, err := p.sealed(ctx, a)
	if err != nil {
		return err
	}
	now := p.now()
	err = p.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		if _, err := tx.Exec(ctx, "DELETE FROM identity_attempt WHERE expires < $1", now.UnixMilli()); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "INSERT INTO identity_attempt (hash, person, methods, back, data, tries, expires) VALUES ($1, $2, $3, $4, $5, 0, $6)",
			hash[:], a.PersonID, strings.Join(a.Methods, " "), a.Back, data, now.Add(life).UnixMilli())
		return err
	})
	if err == nil {
		http.SetCookie(w, p.attemptCookie(ctx, r, text))
	}
	return err
}

func (p *People) sealed(ctx context.Context, a *Attempt) ([]byte, error) {
	text, err := json.Marshal(a.data)
	if err != nil {
		return nil, fault.Internal("an attempt can't be kept").With(err)
	}
	return p.seal(ctx, "attempt "+a.secret, text)
}

// Attempt is the sign-in under way in the request's browser. It returns fault.Unauthenticated when there is none.
func (p *People) Attempt(ctx context.Context, r *http.Request) (a Attempt, err error) {
	defer fault.Op(&err, "people.Attempt")
	c, err := r.Cookie(p.attemptCookie(ctx, r, "").Name)
	if err != nil || len(c.Value) < 26 || len(c.Value) > 64 {
		return a, noAttempt()
	}
	var data []byte
	err = p.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) error {
		data = nil
		return q.Query(ctx, "SELECT person, methods, back, data, tries FROM identity_attempt WHERE hash = $1 AND expires > $2", func(r db.Row) error {
			a = Attempt{PersonID: r.Text(0), Methods: strings.Fields(r.Text(1)), Back: r.Text(2), secret: c.Value, tries: r.Int64(4)}
			data = append([]byte(nil), r.Bytes(3)...)
			return nil
		}, hashed(c.Value), p.now().UnixMilli())
	})
	if err != nil {
		return a, err
	}
	if data == nil || a.tries >= mostTries {
		return Attempt{}, noAttempt()
	}
	text, err := p.open(ctx, "attempt "+a.secret, data)
	if err == nil {
		err = json.Unmarshal(text, &a.data)
	}
	return a, err
}

// keep writes what was learned in the attempt.
func (p *People) keep(ctx context.Context, a *Attempt) error {
	data, err := p.sealed(ctx, a)
	if err != nil {
		return err
	}
	return p.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		n, err := tx.Exec(ctx, "UPDATE identity_attempt SET person = $1, methods = $2, data = $3 WHERE hash = $4", a.PersonID, strings.Join(a.Methods, " "), data, hashed(a.secret))
		if err == nil && n == 0 {
			err = noAttempt()
		}
		return err
	})
}

// drop ends the attempt. It returns fault.Unauthenticated when it has ended already, so that it is used once.
func (p *People) drop(ctx context.Context, w http.ResponseWriter, r *http.Request, a *Attempt) error {
	err := p.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		n, err := tx.Exec(ctx, "DELETE FROM identity_attempt WHERE hash = $1", hashed(a.secret))
		if err == nil && n == 0 {
			err = noAttempt()
		}
		return err
	})
	gone := p.attemptCookie(ctx, r, "") //nolint:gosec // as newCookie makes it
	gone.MaxAge = -1
	http.SetCookie(w, gone)
	return err
}

// try counts a try of a second factor against the attempt.
func (p *People) try(ctx context.Context, a *Attempt) error {
	return p.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		n, err := tx.Exec(ctx, "UPDATE identity_attempt SET tries = tries + 1 WHERE hash = $1 AND tries < $2", hashed(a.secret), mostTries)
		if err == nil && n == 0 {
			err = noAttempt()
		}
		return err
	})
}

// showed adds the methods to those by which the attempt's person showed who they are.
func (a *Attempt) showed(methods ...string) {
	for _, m := range methods {
		if !slices.Contains(a.Methods, m) {
			a.Methods = append(a.Methods, m)
		}
	}
}
