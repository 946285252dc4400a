package people

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/id"
	"ward/internal/kernel/access"
	"ward/internal/kernel/audit"
	"ward/internal/kernel/tenancy"
)

// Next is what somebody who signs in has to do next.
type Next int

// The steps.
const (
	Done          Next = iota // signed in
	ShowSecond                // show the second factor
	SetUpSecond               // set up a second factor
	ShowPassword              // give the password: a passkey alone is not enough for the role
	FollowMail                // follow a link that is mailed, to set up a second factor
	WaitForPasswd             // wait until the password is hashed
)

// rules are how the tenant's people sign in, with the defaults filled in.
type rules struct{ tenancy.SignIn }

func (p *People) signIn(ctx context.Context) (rules, error) {
	s, err := p.deps.Settings(ctx)
	if err != nil || s.SignIn == nil {
		return rules{}, err
	}
	return rules{*s.SignIn}, nil
}

func (r rules) passwordAlone(role string) bool { return slices.Contains(r.PasswordAlone, role) }

func (r rules) passkeyAlone(role string) bool {
	if len(r.PasskeyAlone) == 0 {
		return role == access.Patient || role == access.Proxy
	}
	return slices.Contains(r.PasskeyAlone, role)
}

func wrong() error {
	return fault.Unauthenticated("the e-mail address or the password is wrong")
}

func wrongSecond() error {
	return fault.Unauthenticated("the code is wrong, too old, or was used before")
}

// Password takes the first step of a sign-in by password. It takes the same time and answers the same whether there is an account or not. It returns
// fault.Unauthenticated for a wrong address or password, and fault.Exhausted after too many tries or when too many people sign in at once.
func (p *People) Password(ctx context.Context, w http.ResponseWriter, r *http.Request, email, password, back string) (next Next, err error) {
	defer fault.Op(&err, "people.Password")
	if len(email) > 320 || len(password) > longestPassword {
		return 0, wrong()
	}
	account := strings.ToLower(strings.TrimSpace(email))
	subjects := p.throttles(ctx, r, account)
	first := subjects[0]
	if err := p.count(ctx, subjects); err != nil {
		return 0, err
	}
	var who Person
	err = p.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) (err error) {
		who, err = p.findAddress(ctx, q, account)
		return err
	})
	if err != nil && !fault.Is(err, fault.CodeNotFound) {
		return 0, err
	}
	phc := who.password
	if who.State != Active {
		phc = ""
	}
	ok, stale, err := p.deps.Pool.Verify(ctx, phc, password)
	if err != nil {
		return 0, err
	}
	if !ok {
		p.deps.Audit.Security(ctx, audit.BadPassword, "password")
		return 0, wrong()
	}
	if err := p.forgive(ctx, subjects, first); err != nil {
		return 0, err
	}
	if stale {
		p.rehash(ctx, who, password)
	}
	a := Attempt{PersonID: who.ID, Methods: []string{ByPassword}, Back: back}
	if old, err := p.Attempt(ctx, r); err == nil && !old.data.StepUp && old.PersonID == who.ID && slices.Contains(old.Methods, ByPasskey) {
		a.Methods, a.Back = append(a.Methods, old.Methods...), old.Back // the passkey came first
	}
	if err := p.begin(ctx, w, r, &a); err != nil {
		return 0, err
	}
	return p.goOn(ctx, w, r, &a, who)
}

// rehash replaces a hash that was made with less than new ones are, behind the back of the person.
func (p *People) rehash(ctx context.Context, who Person, password string) {
	ctx = context.WithoutCancel(ctx)
	go func() {
		phc, _, err := p.deps.Pool.HashGently(ctx, password)
		if err != nil {
			return
		}
		_ = p.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error { // the next sign-in tries again
			_, err := tx.Exec(ctx, "UPDATE identity_person SET password = $1 WHERE id = $2 AND password = $3", phc, who.ID, who.password)
			return err
		})
	}()
}

// next is what the attempt's person has to do next.
func (p *People) next(ctx context.Context, a *Attempt, who Person) (Next, error) {
	s, err := p.signIn(ctx)
	if err != nil {
		return 0, err
	}
	has := func(m string) bool { return slices.Contains(a.Methods, m) }
	keys, err := p.Passkeys(ctx, who.ID)
	if err != nil {
		return 0, err
	}
	enrolled := who.Second || len(keys) > 0
	switch {
	case a.data.Ticket != "":
		return WaitForPasswd, nil
	case has(ByPasskey) && !has(ByPassword) && !has(ByProvider):
		if s.passkeyAlone(who.Role) && has(ByUserCheck) || who.password == "" {
			return Done, nil
		}
		return ShowPassword, nil
	case !has(ByPassword) && !has(ByProvider):
		return 0, noAttempt()
	case twoFactors(a.Methods):
		return Done, nil
	case enrolled:
		return ShowSecond, nil
	case s.passwordAlone(who.Role):
		return Done, nil
	case has(ByLink) || has(ByProvider):
		return SetUpSecond, nil
	default:
		return FollowMail, nil
	}
}

// goOn signs the attempt's person in when nothing is missing, and says what is otherwise.
func (p *People) goOn(ctx context.Context, w http.ResponseWriter, r *http.Request, a *Attempt, who Person) (Next, error) {
	next, err := p.next(ctx, a, who)
	if err != nil || next != Done {
		return next, err
	}
	if err := p.drop(ctx, w, r, a); err != nil {
		return 0, err
	}
	methods := slices.DeleteFunc(slices.Clone(a.Methods), func(m string) bool { return m == ByLink })
	if err := p.deps.Sessions.Begin(ctx, w, r, who.ID, methods); err != nil {
		return 0, err
	}
	p.remember(ctx, w, r, who.Email.Reveal())
	return Done, p.deps.Audit.Record(ctx, audit.Event{
		Action: audit.SignIn, By: who.principal(), Detail: strings.Join(methods, " "), Type: "Person", ID: who.ID,
	})
}

// Step is where the sign-in under way in the request's browser stands.
func (p *People) Step(ctx context.Context, w http.ResponseWriter, r *http.Request) (a Attempt, who Person, next Next, err error) {
	defer fault.Op(&err, "people.Step")
	if a, err = p.Attempt(ctx, r); err != nil {
		return a, who, 0, err
	}
	if a.PersonID == "" {
		return a, who, 0, noAttempt()
	}
	if who, err = p.Get(ctx, a.PersonID); err != nil {
		return a, who, 0, err
	}
	if a.data.Ticket != "" {
		progress, err := p.Progress(ctx, a.data.Ticket)
		if err != nil {
			return a, who, 0, err
		}
		if !progress.Done {
			return a, who, WaitForPasswd, nil
		}
		a.data.Ticket = ""
		a.showed(ByPassword)
		if err := p.keep(ctx, &a); err != nil {
			return a, who, 0, err
		}
	}
	if who.State != Active {
		return a, who, 0, noAttempt()
	}
	if a.data.StepUp {
		return a, who, ShowSecond, nil
	}
	next, err = p.goOn(ctx, w, r, &a, who)
	return a, who, next, err
}

// Wait begins an attempt that waits for the password which the ticket was given for.
func (p *People) Wait(ctx context.Context, w http.ResponseWriter, r *http.Request, who Person, ticket string) (err error) {
	defer fault.Op(&err, "people.Wait", who.ID)
	p.gather(ctx)
	return p.begin(ctx, w, r, &Attempt{PersonID: who.ID, Methods: []string{ByLink}, data: attemptData{Ticket: ticket}})
}

// AskAgain begins an attempt in which somebody who is signed in shows the second factor again.
func (p *People) AskAgain(ctx context.Context, w http.ResponseWriter, r *http.Request, s Session, back string) (err error) {
	defer fault.Op(&err, "people.AskAgain", s.ID)
	return p.begin(ctx, w, r, &Attempt{PersonID: s.account.ID, Methods: s.AMR, Back: back, data: attemptData{StepUp: true}})
}

// second takes a second factor that was shown as good.
func (p *People) second(ctx context.Context, w http.ResponseWriter, r *http.Request, a *Attempt, who Person, methods ...string) (Next, error) {
	a.showed(methods...)
	if !a.data.StepUp {
		if err := p.keep(ctx, a); err != nil {
			return 0, err
		}
		return p.goOn(ctx, w, r, a, who)
	}
	s, err := p.deps.Sessions.Find(ctx, r)
	if err == nil && s.account.ID != who.ID {
		err = noAttempt()
	}
	if err == nil {
		err = p.drop(ctx, w, r, a)
	}
	if err == nil {
		err = p.deps.Sessions.StepUp(ctx, w, r, s, methods...)
	}
	return Done, err
}

// Recover mails a link to the address's person, if there is one who may sign in. The answer and its time do not tell: an event is committed in any case,
// and who it is for is found out when it is handled.
func (p *People) Recover(ctx context.Context, r *http.Request, email string) (err error) {
	defer fault.Op(&err, "people.Recover")
	account := strings.ToLower(strings.TrimSpace(email))
	subjects := []throttled{{p.keyed(tenantOf(ctx), "recover", account), 3, 10 * time.Minute}}
	if address, ok := p.Address(r); ok {
		subjects = append(subjects, throttled{p.keyed(tenantOf(ctx), "recover from", address.String()), 50, time.Minute})
	}
	if err := p.count(ctx, subjects); err != nil {
		return err
	}
	return p.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		who, err := p.findAddress(ctx, tx, account)
		switch {
		case fault.Is(err, fault.CodeNotFound):
			who.ID = id.New() // nobody's: the same is written, and whoever handles it finds nobody to write to
		case err != nil:
			return err
		case who.State == Invited:
			return p.mailLater(ctx, tx, who.ID, activation)
		}
		return p.mailLater(ctx, tx, who.ID, recovery)
	})
}

// Noted records something that whoever is signed in did.
func (p *People) Noted(ctx context.Context, action audit.Action, s Session) error {
	return p.deps.Audit.Record(ctx, audit.Event{Action: action, By: s.Principal(), Type: "Person", ID: s.account.ID})
}

// ChangePassword replaces the password of somebody who is signed in and gives the one they have, and ends their other sessions and what they let apps do. It returns fault.Unauthenticated for a wrong
// one, and fault.Unprocessable for a new one that is too easy to guess.
func (p *People) ChangePassword(ctx context.Context, r *http.Request, s Session, current, password string) (err error) {
	defer fault.Op(&err, "people.ChangePassword", s.account.ID)
	subjects := p.throttles(ctx, r, s.account.Email.Reveal())
	first := subjects[0]
	if err := p.count(ctx, subjects); err != nil {
		return err
	}
	who, err := p.Get(ctx, s.account.ID)
	if err != nil {
		return err
	}
	ok, _, err := p.deps.Pool.Verify(ctx, who.password, current)
	if err != nil {
		return err
	}
	if !ok {
		p.deps.Audit.Security(ctx, audit.BadPassword, "password")
		return fault.Unauthenticated("the password that you have now is wrong")
	}
	if err := p.forgive(ctx, subjects, first); err != nil {
		return err
	}
	if err := p.CheckPassword(ctx, who, password); err != nil {
		return err
	}
	phc, err := p.deps.Pool.Hash(ctx, password)
	if err != nil {
		return err
	}
	var gone revoked
	defer func() { gone.forget() }()
	return p.change(ctx, who.ID, "password changed", func(ctx context.Context, tx db.Tx) (int64, error) {
		gone = nil
		if err := p.revokeApps(ctx, tx, &gone, who.ID); err != nil {
			return 0, err
		}
		if _, err := tx.Exec(ctx, "DELETE FROM identity_session WHERE person = $1 AND id <> $2", who.ID, s.ID); err != nil {
			return 0, err
		}
		return tx.Exec(ctx, "UPDATE identity_person SET password = $1 WHERE id = $2 AND password = $3", phc, who.ID, who.password)
	})
}
