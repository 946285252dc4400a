package people

import (
	"slices"
	"time"

	"ward/internal/base/scope"
)

// The ways in which somebody showed who they are, as in the claim amr (RFC 8176).
const (
	ByPassword  = "pwd"
	ByCode      = "otp" // of an authenticator app
	ByPasskey   = "swk" // a passkey; that it is in hardware is not asked
	ByRecovery  = "rec" // a recovery code
	ByProvider  = "fed" // the hospital's own provider
	ByLink      = "mail"
	ByUserCheck = "user" // the passkey's device checked who holds it
	ByProvider2 = "mfa"  // the provider asked for a second factor
)

// Session is a browser in which somebody is signed in.
type Session struct {
	ID        string // for lists; no secret
	UserID    string // "user/" and the person's id
	Role      string
	Person    string   // FHIR reference of who it is
	Patients  []string // ids of the patients whose compartments a patient or proxy may see
	Sensitive []string // classes of sensitive records granted
	AuthTime  time.Time
	Seen      time.Time // the last request that is known of
	AMR       []string  // how: "pwd", "otp", "swk", ...
	ACR       string    // how well: "phr" by passkey, else the profiles of REFEDS for two factors and for one
	Agent     string    // the browser's own description, shortened; for the person's list of sessions

	SecondAt time.Time // when the second factor was last shown; zero: never

	account   Person
	principal scope.Principal // with its rights worked out
	hash      [32]byte
	now       func() time.Time
}

// FreshSecondFactor says whether the second factor was shown within that time, for what must not be done by whoever finds a browser open.
func (s Session) FreshSecondFactor(within time.Duration) bool {
	return !s.SecondAt.IsZero() && s.now != nil && s.now().Sub(s.SecondAt) <= within
}

// Account is whose session it is.
func (s Session) Account() Person { return s.account }

// Principal is who asks by this session.
func (s Session) Principal() scope.Principal { return s.principal }

// acr grades the methods.
func acr(methods []string) string {
	switch {
	case slices.Contains(methods, ByPasskey):
		return "phr"
	case twoFactors(methods):
		return "https://refeds.org/profile/mfa"
	default:
		return "https://refeds.org/profile/sfa"
	}
}

// twoFactors says whether the methods are two of what one knows, has or is. A passkey whose device checked its holder is two; a recovery code
// stands for the second factor that was lost.
func twoFactors(methods []string) bool {
	has := func(m string) bool { return slices.Contains(methods, m) }
	return (has(ByPassword) || has(ByProvider)) && (has(ByCode) || has(ByPasskey) || has(ByRecovery)) || has(ByPasskey) && has(ByUserCheck) || has(ByProvider) && has(ByProvider2)
}
