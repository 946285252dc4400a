package oauth

import (
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"embed"
	"io/fs"
	"log/slog"
	"net/http"
	"time"

	"github.com/ory/fosite"

	"ward/internal/backend/db"
	"ward/internal/base/clock"
	"ward/internal/base/fault"
	"ward/internal/base/recent"
	"ward/internal/base/scope"
	"ward/internal/kernel/audit"
)

//go:embed migrations/*.sql
var migrations embed.FS

// The prefixes of what is minted here. Scanners of leaked secrets know a token by them.
const (
	AccessPrefix  = "wat_" // access tokens
	refreshPrefix = "wrt_"
	codePrefix    = "wac_"
	secretPrefix  = "wcs_" // clients' secrets
	launchPrefix  = "wlc_" // launch contexts
)

// How long things are good.
const (
	codeLife     = time.Minute
	accessLife   = time.Hour
	systemLife   = 5 * time.Minute // of a backend service's token (SMART 2.2, backend services)
	idTokenLife  = 10 * time.Minute
	refreshLife  = 30 * 24 * time.Hour  // from its last use
	familyLife   = 180 * 24 * time.Hour // of all tokens of a grant
	launchLife   = 5 * time.Minute
	consentWait  = 30 * time.Minute // for a person to read the consent page
	signInWait   = 30 * time.Minute // for a person to sign in
	skew         = 30 * time.Second // that another machine's clock may be off
	assertionMax = 5 * time.Minute
	memory       = 2 * time.Second // that something is believed without asking the database
)

// Account is a user as people know them.
type Account struct {
	User      string // stable id, without "user/"
	Name      string // for the pages and the profile scope
	Role      string
	Person    string // FHIR reference, such as "Practitioner/7"; empty without one
	Patients  []string
	Sensitive []string
}

// SignedIn is who a browser's session belongs to.
type SignedIn struct {
	Account
	Session  string // the session's id
	AuthTime time.Time
	AMR      []string // how they signed in (RFC 8176)
	ACR      string
}

// People knows who is signed in. It is implemented where people sign in.
type People interface {
	// SignedIn says whose session the request carries; false without a good one. The request's context has the tenant.
	SignedIn(r *http.Request) (SignedIn, bool)
	// Account is a user as they are now. It returns fault.NotFound for one that is gone or closed.
	Account(ctx context.Context, user string) (Account, error)
	// Alive says whether a user's session still is.
	Alive(ctx context.Context, user, session string) (bool, error)
	// SignInPath is the local path of the page to sign in on, from where the browser is sent back to the local path; again asks for a
	// new sign-in although there is a session.
	SignInPath(t scope.Tenant, back string, again bool) string
}

// Patient is a patient as the picker and the consent page show them.
type Patient struct {
	ID, Name, Born, Identifier string
}

// Patients finds patients, within what the context's principal may see.
type Patients interface {
	Find(ctx context.Context, text string) ([]Patient, error)
	// Get returns fault.NotFound for one that is not there or not for this principal.
	Get(ctx context.Context, id string) (Patient, error)
	// HasEncounter says whether the encounter is there and is the patient's.
	HasEncounter(ctx context.Context, id, patient string) (bool, error)
}

// Audit takes what happens to clients, consents and tokens, and what looks like an attack.
type Audit interface {
	Record(ctx context.Context, e audit.Event) error
	Security(ctx context.Context, kind audit.Kind, detail string)
}

// Tenants finds the tenant of a token.
type Tenants interface {
	Find(ctx context.Context, slug string) (scope.Tenant, error)
}

// Deps are what the provider works with. All are needed but NewKey and Fetch.
type Deps struct {
	DB       *db.DB
	Clock    clock.Clock
	Log      *slog.Logger
	Tenants  Tenants
	All      func(ctx context.Context) ([]scope.Tenant, error) // for work behind the scenes
	People   People
	Patients Patients
	Pages    Pages
	Audit    Audit
	Secret   []byte // 32 bytes, the same in every process: signs what goes through browsers
	Keys     Keys   // of tenants: private keys and registrations are sealed with them
	BaseURL  string // by which clients reach this; empty takes it from requests, on loopback only
	// MayRegister says whether clients of the context's tenant may register themselves.
	MayRegister func(ctx context.Context) (bool, error)
	// Rights is the principal with what access works out for it beforehand.
	Rights func(p scope.Principal) scope.Principal

	NewKey func() (*rsa.PrivateKey, error)                       // default: 3072 bits
	Fetch  func(ctx context.Context, url string) ([]byte, error) // a client's key set; default: HTTPS, public addresses only
}

// Provider is every tenant's OAuth2 and OpenID Connect provider. It is safe for use by many goroutines.
type Provider struct {
	deps     Deps
	protocol *fosite.Fosite
	sealer   sealer
	known    *recent.Cache[[sha256.Size]byte, bearer]
	unknown  *recent.Cache[[sha256.Size]byte, struct{}]
	clients  *recent.Cache[clientKey, Client]
	origins  *recent.Cache[int32, map[string]bool]
	keys     *recent.Cache[int32, []signingKey]
	fetched  *recent.Cache[string, keySet]
	refetch  *recent.Cache[string, struct{}]
}

type clientKey struct {
	tenant int32
	id     string
}

// New is the provider of all tenants. It returns fault.Invalid for a secret that is not 32 bytes.
func New(d Deps) (*Provider, error) {
	s, err := newSealer(d.Secret)
	if err != nil {
		return nil, err
	}
	if d.NewKey == nil {
		d.NewKey = newRSA
	}
	if d.Fetch == nil {
		d.Fetch = newFetcher().fetch
	}
	p := &Provider{
		deps: d, sealer: s,
		known:   recent.New[[sha256.Size]byte, bearer](recent.Options{Clock: d.Clock, TTL: memory, Max: 50_000}),
		unknown: recent.New[[sha256.Size]byte, struct{}](recent.Options{Clock: d.Clock, TTL: memory, Max: 10_000}),
		clients: recent.New[clientKey, Client](recent.Options{Clock: d.Clock, TTL: memory, Max: 10_000}),
		origins: recent.New[int32, map[string]bool](recent.Options{Clock: d.Clock, TTL: memory, Max: 10_000}),
		keys:    recent.New[int32, []signingKey](recent.Options{Clock: d.Clock, TTL: memory, Max: 10_000}),
		fetched: recent.New[string, keySet](recent.Options{Clock: d.Clock, TTL: 5 * time.Minute, Max: 1_000}),
		refetch: recent.New[string, struct{}](recent.Options{Clock: d.Clock, TTL: 30 * time.Second, Max: 1_000}),
	}
	p.protocol = p.compose()
	return p, nil
}

func migrationFiles() fs.FS {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return files
}

// now is the time in whole milliseconds, as it is stored.
func (p *Provider) now() time.Time { return p.deps.Clock.Now().Truncate(time.Millisecond).UTC() }

// tenantOf is the tenant of the request's scope.
func tenantOf(ctx context.Context) (scope.Tenant, error) {
	s, ok := scope.From(ctx)
	if !ok || s.Tenant.ID == 0 {
		return scope.Tenant{}, fault.Internal("oauth without a tenant")
	}
	return s.Tenant, nil
}

func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
