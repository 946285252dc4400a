package audit

import (
	"time"

	"ward/internal/base/scope"
)

// Action is what was done. The numbers are stored: a new action takes the next one.
type Action uint8

// The actions.
const (
	Read       Action = iota + 1 // one resource's current version
	VRead                        // one resource's earlier version
	History                      // versions of a resource, a type or all
	Search                       // by criteria
	Create                       // a resource
	Update                       // a resource
	Patch                        // a resource
	Delete                       // a resource
	Operation                    // a FHIR operation; Detail is its name
	Export                       // records left in bulk
	Import                       // records came in bulk
	SignIn                       // Detail is how: "password totp", "passkey", "oidc"
	SignOut                      //
	Token                        // a token was given: Detail is the kind of grant
	Grant                        // somebody was allowed something: a token, a role, a consent, operator access
	Revoke                       // that ended
	BreakGlass                   // a patient was opened in an emergency; Detail is "open", "end" or "review"
	Setting                      // something of the tenant's was set; Detail is its name
	AuditRead                    // this log was read
	Security                     // an attack, or what looks like one; Detail begins with its [Kind]
	Account                      // an account was made, changed or closed; Detail says which
)

// Outcome is how it ended (FHIR R4 valueset-audit-event-outcome). The numbers are stored.
type Outcome uint8

// The outcomes.
const (
	Success Outcome = 0
	Refused Outcome = 4  // the caller was in the wrong
	Failed  Outcome = 8  // the system was
	Serious Outcome = 12 // and may not go on
)

// Event is one thing that somebody did, or tried. Nothing in it is a patient's data: ids, words of ours and numbers only. The
// log replaces the values of Query by commitments before anything is kept.
type Event struct {
	Time     time.Time       // zero: now
	Action   Action          //
	Outcome  Outcome         //
	By       scope.Principal // who did it; without an ID the scope's
	Request  string          // the request's id; empty: the context's
	Address  string          // where it came from; empty: the context's. Only a commitment is kept
	Type, ID string          // the resource, or what it was done to: "Patient", "7"; empty where there is no one thing
	Version  int64           // of the resource; 0 where that says nothing
	Patients []string        // the ids of the patients whose data it was
	Query    string          // the criteria as they were sent: name=value&name=value
	Count    int64           // how many resources, or how often the same thing happened; 0 is one
	Detail   string          // a word of ours, at most 100 bytes; never what a client sent

	Emergency bool // it was possible because the patient was opened in an emergency
}

// Kind is what an attack tried, or what looked like one. It is the first word of a security event's detail.
type Kind string

// The kinds.
const (
	BadToken       Kind = "bad-token"       // a token that is mistyped, forged, expired or revoked
	WrongTenant    Kind = "wrong-tenant"    // a good token at another tenant's door
	Denied         Kind = "denied"          // a role, a scope or a compartment does not allow it
	LockoutSlowed  Kind = "lockout-slowed"  // sign-in is slowed after too many tries
	BadPassword    Kind = "bad-password"    // a password or second factor that is wrong
	ReplayedToken  Kind = "replayed-token"  // a jti, a code or a refresh token that was used before
	BadAssertion   Kind = "bad-assertion"   // a client's assertion: wrong key, algorithm, audience or time
	BadRedirect    Kind = "bad-redirect"    // a redirect to where none is registered
	ForgedCursor   Kind = "forged-cursor"   // a page cursor of another tenant, principal or query
	CrossSite      Kind = "cross-site"      // a request that another site made
	MalformedPath  Kind = "malformed-path"  // dot segments, encoded separators
	TooMuch        Kind = "too-much"        // a header, body, URL or depth beyond the limit
	ChainBroken    Kind = "chain-broken"    // the log itself does not prove
	SecondFactor   Kind = "second-factor"   // a second factor that is missing or stale where a fresh one is needed
	SessionUnknown Kind = "session-unknown" // a session cookie that nobody has
)
