package tenancy

import (
	"encoding/json"
	"net/url"
	"time"

	"ward/internal/base/fault"
	"ward/internal/base/scope"
)

// The states of a tenant.
const (
	Active    = "active"
	Suspended = "suspended" // its data is kept and nobody reaches it
	Deleting  = "deleting"  // nobody reaches its data; it can be restored until it is due, then it is destroyed
	Destroyed = "destroyed" // its data is gone; the entry keeps the number from being given again
)

// The tiers: how far a tenant's data is apart from others'.
const (
	Pooled   = "pooled"   // a database shared with others
	Database = "database" // a database of its own
	InCell   = "cell"     // processes and backends of its own
)

// Tenant is an entry of the directory.
type Tenant struct {
	scope.Tenant

	Name     string // for people
	Status   string // Active, Suspended, Deleting or Destroyed
	Settings Settings
	Created  time.Time

	Tier   string           // Pooled, Database or InCell
	Home   string           `json:"-"` // URL of its database, which may hold a password; "" is the system's own
	At     string           // Home without the password
	Cell   string           // that serves it; "" is the one that asks
	Region string           // for people: where it is
	Plan   string           // for people: what it pays for
	Limits map[string]int64 // by name: LimitRequests, LimitResources
	KMS    string           // the KMS key around its own key; "" is the default one
	Due    time.Time        // its data may be destroyed from then on; zero is never
	Move   *Move            // under way; nil is none
}

// The phases of a move.
const (
	Copying   = "copying"   // the tenant is served from where it was
	Switching = "switching" // its writes wait
	Moved     = "moved"     // it is served from the new place; the old one is being cleared
)

// Move is a tenant's way from one database to another.
type Move struct {
	Phase    string
	Tier     string // of the new place
	To       string `json:"-"` // the other home: the new one, and once Moved the old one
	ToAt     string // To without the password
	Sealed   string // To, as it is kept
	ID       string // of this attempt
	Started  time.Time
	Beat     time.Time // when the process that moves it was last heard of
	Switched time.Time // when the new place took over
}

// Terms are what a new tenant gets.
type Terms struct {
	Name     string
	Settings Settings
	Tier     string // "" is Pooled
	Home     string
	Cell     string
	Region   string
	Plan     string
	Limits   map[string]int64
	KMS      string
	// Due makes the tenant one that is being deleted, which is destroyed then unless somebody restores it; zero makes it Active.
	Due time.Time
}

// The limits that a tenant can have. Without one it is held to none.
const (
	LimitRequests  = "requestsPerSecond" // requests of those who are signed in, but for urgent ones; of each process
	LimitResources = "resources"         // resources that are there, without what is deleted
)

// CheckLimits returns fault.Invalid for a limit that nobody is held to, or one that is not above 0.
func CheckLimits(limits map[string]int64) error {
	for name, n := range limits {
		if name != LimitRequests && name != LimitResources {
			return fault.Invalid("there is no limit of that name: there are %s and %s", LimitRequests, LimitResources)
		}
		if n < 1 {
			return fault.Invalid("the limit %s is a number above 0; leave it out for none", name)
		}
	}
	return nil
}

func (t *Terms) check() error {
	if err := CheckLimits(t.Limits); err != nil {
		return err
	}
	if t.Tier == "" {
		t.Tier = Pooled
	}
	switch {
	case len(t.Name) > 200:
		return fault.Invalid("a tenant's name has at most 200 bytes")
	case t.Tier == Database && t.Home == "":
		return fault.Invalid("a tenant in the tier database needs one: name its URL")
	case t.Tier == InCell && t.Cell == "":
		return fault.Invalid("a tenant in the tier cell needs one: name it")
	case t.Tier != InCell && t.Cell != "":
		return fault.Invalid("only a tenant in the tier cell has a cell")
	case t.Tier != Pooled && t.Tier != Database && t.Tier != InCell:
		return fault.Invalid("the tier %q is none: choose %s, %s or %s", t.Tier, Pooled, Database, InCell)
	}
	return nil
}

// Shown is a URL without its password.
func Shown(home string) string {
	u, err := url.Parse(home)
	if err != nil {
		return "xxxxx"
	}
	return u.Redacted()
}

func limitsText(l map[string]int64) string {
	if len(l) == 0 {
		return "{}"
	}
	b, err := json.Marshal(l)
	if err != nil {
		return "{}"
	}
	return string(b)
}

// ParseLimits reads limits from JSON: an object of whole numbers by name. It returns fault.Invalid for anything else.
func ParseLimits(text string) (map[string]int64, error) {
	var l map[string]int64
	if err := json.Unmarshal([]byte(text), &l); err != nil {
		return nil, fault.Invalid("limits are a JSON object of whole numbers, such as {\"resources\":100000}")
	}
	return l, CheckLimits(l)
}
