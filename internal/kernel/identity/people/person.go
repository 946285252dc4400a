package people

import (
	"strings"
	"time"

	"ward/internal/base/phi"
	"ward/internal/base/scope"
	"ward/internal/kernel/seal"
)

// The states of an account.
const (
	Invited  = "invited"  // the link was sent and not yet used
	Active   = "active"   // may sign in
	Disabled = "disabled" // may not, until an administrator says otherwise
)

// Person is an account of a tenant. What tells who it is prints itself redacted.
type Person struct {
	ID        string   // UUIDv7
	Email     phi.Text // in lower case; one account each
	Name      phi.Text // for greetings and passkeys; may be empty
	Role      string   // a tenant's role of the access table
	Reference string   // FHIR reference of who it is, such as "Practitioner/7", "Patient/9" or "RelatedPerson/3"
	Patients  []string // ids of the patients whose compartments a patient or proxy may see
	Sensitive []string // classes of sensitive records granted
	State     string   // Invited, Active or Disabled
	Password  bool     // has one
	Second    bool     // has an authenticator app
	Created   time.Time
	Activated time.Time // zero: not yet
	SignedIn  time.Time // the last time; zero: never

	password   string // PHC form
	second     []byte // sealed
	secondStep int64
}

// UserID is the person's id among all principals.
func (p *Person) UserID() string { return userPrefix + p.ID }

const userPrefix = "user/"

// personColumns are what scanPerson reads.
const personColumns = "p.id, p.email, p.name, p.role, p.person, p.patients, p.sensitive, p.state, p.password, p.second, p.second_step, p.created, p.activated, p.signed_in, p.private"

type row interface {
	Int64(i int) int64
	Text(i int) string
	Bytes(i int) []byte
}

// scanPerson reads a row of personColumns that begin at column i, of the tenant whose key it is.
func scanPerson(key *seal.Key, r row, i int) (Person, error) {
	p := Person{
		ID: r.Text(i), Email: phi.Of(r.Text(i + 1)), Name: phi.Of(r.Text(i + 2)), Role: r.Text(i + 3), Reference: r.Text(i + 4),
		Patients: strings.Fields(r.Text(i + 5)), Sensitive: strings.Fields(r.Text(i + 6)), State: r.Text(i + 7),
		password: r.Text(i + 8), second: append([]byte(nil), r.Bytes(i+9)...), secondStep: r.Int64(i + 10),
		Created: moment(r.Int64(i + 11)), Activated: moment(r.Int64(i + 12)), SignedIn: moment(r.Int64(i + 13)),
	}
	p.Password, p.Second = p.password != "", len(p.second) > 0
	return p, p.reveal(key, r.Bytes(i+14))
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func (p *Person) principal() scope.Principal {
	return scope.Principal{ID: p.UserID(), Role: p.Role, Person: p.Reference, Patients: p.Patients, Sensitive: p.Sensitive}
}
