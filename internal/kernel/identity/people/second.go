package people

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"net/http"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/kernel/audit"
)

// TOTP as authenticator apps know it (RFC 6238): six digits, thirty seconds, SHA-1; the step before and after count too.
const (
	secondPeriod = 30
	secondSkew   = 1
	secretSize   = 20
)

// matchStep is the time step whose code it is, after the last that was taken; false when it is none's.
func matchStep(secret, code string, now time.Time, last int64) (int64, bool) {
	code = strings.NewReplacer(" ", "", "-", "").Replace(code)
	if len(code) != 6 {
		return 0, false
	}
	step, found, ok := now.Unix()/secondPeriod, int64(0), false
	for s := step - secondSkew; s <= step+secondSkew; s++ {
		want, err := hotp.GenerateCodeCustom(secret, uint64(s), hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1}) //nolint:gosec // after 1970
		if err == nil && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 && s > last {
			found, ok = s, true
		}
	}
	return found, ok
}

// Code takes the code of the person's authenticator app as the second factor of the sign-in under way. A code counts once.
func (p *People) Code(ctx context.Context, w http.ResponseWriter, r *http.Request, code string) (next Next, err error) {
	defer fault.Op(&err, "people.Code")
	a, who, subjects, err := p.trySecond(ctx, r)
	if err != nil {
		return 0, err
	}
	if !who.Second {
		return 0, wrongSecond()
	}
	plain, err := p.open(ctx, "second "+who.ID, who.second)
	if err != nil {
		return 0, err
	}
	step, ok := matchStep(string(plain), code, p.now(), who.secondStep)
	if ok {
		err = p.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
			n, err := tx.Exec(ctx, "UPDATE identity_person SET second_step = $1 WHERE id = $2 AND second_step < $1", step, who.ID)
			ok = n == 1 // else somebody was faster with the same code
			return err
		})
	}
	if err != nil {
		return 0, err
	}
	if !ok {
		p.deps.Audit.Security(ctx, audit.BadPassword, "code")
		return 0, wrongSecond()
	}
	if err := p.forgive(ctx, subjects, subjects[0]); err != nil {
		return 0, err
	}
	return p.second(ctx, w, r, &a, who, ByCode)
}

// trySecond finds the sign-in under way and counts a try of its second factor.
func (p *People) trySecond(ctx context.Context, r *http.Request) (a Attempt, who Person, subjects []throttled, err error) {
	if a, err = p.Attempt(ctx, r); err != nil {
		return a, who, nil, err
	}
	if a.PersonID == "" || a.data.Ticket != "" {
		return a, who, nil, noAttempt()
	}
	if who, err = p.Get(ctx, a.PersonID); err != nil {
		return a, who, nil, err
	}
	if who.State != Active {
		return a, who, nil, noAttempt()
	}
	subjects = []throttled{{p.keyed(tenantOf(ctx), "second", who.ID), 5, time.Minute}}
	if device := p.device(ctx, r, who.Email.Reveal()); device != "" {
		subjects = []throttled{{p.keyed(tenantOf(ctx), "second", who.ID, device), 10, 30 * time.Second}}
	}
	if err := p.count(ctx, subjects); err != nil {
		return a, who, nil, err
	}
	return a, who, subjects, p.try(ctx, &a)
}

// RecoveryCode takes a recovery code in place of the second factor. Each counts once.
func (p *People) RecoveryCode(ctx context.Context, w http.ResponseWriter, r *http.Request, code string) (next Next, err error) {
	defer fault.Op(&err, "people.RecoveryCode")
	a, who, subjects, err := p.trySecond(ctx, r)
	if err != nil {
		return 0, err
	}
	hash := hashed(plainCode(code))
	good := false
	err = p.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		n, err := tx.Exec(ctx, "DELETE FROM identity_recovery WHERE person = $1 AND hash = $2", who.ID, hash)
		if good = n == 1; err != nil || !good {
			return err
		}
		return p.note(ctx, tx, audit.Account, who.ID, "recovery code used")
	})
	if err != nil {
		return 0, err
	}
	if !good {
		p.deps.Audit.Security(ctx, audit.BadPassword, "recovery code")
		return 0, wrongSecond()
	}
	if err := p.forgive(ctx, subjects, subjects[0]); err != nil {
		return 0, err
	}
	return p.second(ctx, w, r, &a, who, ByRecovery)
}

const recoveryCodes = 8

// newRecoveryCodes replaces the person's codes: 120 random bits each, in groups of four characters.
func (p *People) newRecoveryCodes(ctx context.Context, tx db.Tx, personID string) ([]string, error) {
	if _, err := tx.Exec(ctx, "DELETE FROM identity_recovery WHERE person = $1", personID); err != nil {
		return nil, err
	}
	var codes []string
	for range recoveryCodes {
		var random [15]byte
		_, _ = rand.Read(random[:]) // never fails: crypto/rand ends the program instead
		text := base32.StdEncoding.EncodeToString(random[:])
		if _, err := tx.Exec(ctx, "INSERT INTO identity_recovery (person, hash) VALUES ($1, $2)", personID, hashed(text)); err != nil {
			return nil, err
		}
		var groups []string
		for i := 0; i < len(text); i += 4 {
			groups = append(groups, text[i:i+4])
		}
		codes = append(codes, strings.Join(groups, "-"))
	}
	return codes, nil
}

func plainCode(code string) string {
	return strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(strings.TrimSpace(code)))
}

// RecoveryCodes gives somebody who is signed in new codes; earlier ones are no good any more.
func (p *People) RecoveryCodes(ctx context.Context, personID string) (codes []string, err error) {
	defer fault.Op(&err, "people.RecoveryCodes", personID)
	err = p.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) (err error) {
		if codes, err = p.newRecoveryCodes(ctx, tx, personID); err != nil {
			return err
		}
		return p.note(ctx, tx, audit.Account, personID, "recovery codes made")
	})
	return codes, err
}

// App is an authenticator app that is being set up.
type App struct {
	Secret string // base32, to be typed
	URL    string // otpauth://, to be scanned
}

// SetUpApp begins to set up an authenticator app in the sign-in under way, or goes on with the one begun.
func (p *People) SetUpApp(ctx context.Context, a Attempt, who Person) (app App, err error) {
	defer fault.Op(&err, "people.SetUpApp", who.ID)
	if a.data.Second == "" {
		var random [secretSize]byte
		_, _ = rand.Read(random[:]) // never fails: crypto/rand ends the program instead
		a.data.Second = base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(random[:])
		if err := p.keep(ctx, &a); err != nil {
			return app, err
		}
	}
	raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(a.data.Second)
	if err != nil {
		return app, fault.Internal("an app's secret can't be read").With(err)
	}
	key, err := totp.Generate(totp.GenerateOpts{Issuer: "Ward " + tenantOf(ctx).Slug, AccountName: who.Email.Reveal(), Secret: raw})
	if err != nil {
		return app, fault.Internal("an app's secret can't be made").With(err)
	}
	return App{Secret: a.data.Second, URL: key.URL()}, nil
}

// ConfirmApp ends setting up the app with a code of it, and returns the person's recovery codes, which are shown this once.
func (p *People) ConfirmApp(ctx context.Context, w http.ResponseWriter, r *http.Request, code string) (codes []string, next Next, err error) {
	defer fault.Op(&err, "people.ConfirmApp")
	a, who, subjects, err := p.trySecond(ctx, r)
	if err != nil {
		return nil, 0, err
	}
	if err := p.maySetUp(ctx, r, &a, who); err != nil {
		return nil, 0, err
	}
	step, ok := matchStep(a.data.Second, code, p.now(), 0)
	if a.data.Second == "" || !ok {
		return nil, 0, wrongSecond()
	}
	sealed, err := p.seal(ctx, "second "+who.ID, []byte(a.data.Second))
	if err != nil {
		return nil, 0, err
	}
	err = p.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) (err error) {
		if _, err := tx.Exec(ctx, "UPDATE identity_person SET second = $1, second_step = $2 WHERE id = $3", sealed, step, who.ID); err != nil {
			return err
		}
		if codes, err = p.newRecoveryCodes(ctx, tx, who.ID); err != nil {
			return err
		}
		return p.note(ctx, tx, audit.Account, who.ID, "authenticator app set up")
	})
	if err != nil {
		return nil, 0, err
	}
	p.deps.Sessions.forget()
	if err := p.forgive(ctx, subjects, subjects[0]); err != nil {
		return nil, 0, err
	}
	who.Second = true
	next, err = p.second(ctx, w, r, &a, who, ByCode)
	return codes, next, err
}

// maySetUp refuses to set up a second factor for somebody who has one and did not show it.
func (p *People) maySetUp(ctx context.Context, r *http.Request, a *Attempt, who Person) error {
	if a.data.StepUp {
		s, err := p.deps.Sessions.Find(ctx, r)
		fresh := false
		if err == nil {
			fresh, err = p.MayChange(ctx, s)
		}
		if err == nil && (s.account.ID != who.ID || !fresh) {
			err = fault.Denied("show your second factor first")
		}
		return err
	}
	next, err := p.next(ctx, a, who)
	if err == nil && next != SetUpSecond {
		err = fault.Denied("a second factor can't be set up now")
	}
	return err
}

// MayChange says whether whoever is signed in may change how they sign in: the second factor was shown lately, or, where there is none, the
// sign-in was lately.
func (p *People) MayChange(ctx context.Context, s Session) (bool, error) {
	if s.FreshSecondFactor(setUpWithin) {
		return true, nil
	}
	keys, err := p.Passkeys(ctx, s.account.ID)
	return len(keys) == 0 && !s.account.Second && p.now().Sub(s.AuthTime) <= setUpWithin, err
}

// setUpWithin is how fresh the second factor of somebody must be who changes how they sign in.
const setUpWithin = 10 * time.Minute

// Protect begins an attempt in which somebody who is signed in sets up another second factor. It returns fault.Denied when theirs was not shown lately.
func (p *People) Protect(ctx context.Context, w http.ResponseWriter, r *http.Request, s Session) (err error) {
	defer fault.Op(&err, "people.Protect", s.ID)
	fresh, err := p.MayChange(ctx, s)
	if err != nil {
		return err
	}
	if !fresh {
		return fault.Denied("show your second factor first")
	}
	return p.begin(ctx, w, r, &Attempt{PersonID: s.account.ID, Methods: s.AMR, data: attemptData{StepUp: true}})
}

// RemoveApp takes the authenticator app away. It returns fault.Conflict when nothing else would be left as a second factor, where one is needed.
func (p *People) RemoveApp(ctx context.Context, who Person) (err error) {
	defer fault.Op(&err, "people.RemoveApp", who.ID)
	keys, err := p.Passkeys(ctx, who.ID)
	if err != nil {
		return err
	}
	s, err := p.signIn(ctx)
	if err != nil {
		return err
	}
	if len(keys) == 0 && !s.passwordAlone(who.Role) {
		return fault.Conflict("this is your only second factor: set up another one first")
	}
	return p.change(ctx, who.ID, "authenticator app removed", func(ctx context.Context, tx db.Tx) (int64, error) {
		return tx.Exec(ctx, "UPDATE identity_person SET second = NULL WHERE id = $1", who.ID)
	})
}
