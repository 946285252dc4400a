package people

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"embed"
	"encoding/binary"
	"io/fs"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"ward/internal/backend/db"
	"ward/internal/base/clock"
	"ward/internal/base/fault"
	"ward/internal/base/proxies"
	"ward/internal/base/scope"
	"ward/internal/kernel/audit"
	"ward/internal/kernel/identity/argon"
	"ward/internal/kernel/module"
	"ward/internal/kernel/tenancy"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations are the tables of the accounts.
func Migrations() fs.FS {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return files
}

// Audit takes note of who did what.
type Audit interface {
	RecordIn(ctx context.Context, tx db.Tx, events ...audit.Event) error
	Record(ctx context.Context, e audit.Event) error
	Security(ctx context.Context, kind audit.Kind, detail string)
}

// Apps are what people let apps do in their name.
type Apps interface {
	// RevokeAccountIn ends all that the person with the id let apps do, with the transaction; the caller calls forget after its commit.
	RevokeAccountIn(ctx context.Context, tx db.Tx, personID string) (forget func(), err error)
}

// Deps are what accounts work with; all are needed but Apps, Metrics and Proxies.
type Deps struct {
	DB       *db.DB
	Clock    clock.Clock
	Log      *slog.Logger
	Sessions *Sessions
	Pool     *argon.Pool
	Settings func(ctx context.Context) (tenancy.Settings, error) // of the scope's tenant
	Tenants  func(ctx context.Context) ([]scope.Tenant, error)   // all of them, for what an earlier process left
	Key      []byte                                              // 32 bytes, the same in all processes
	Keys     Keys                                                // of tenants: addresses, names and second factors are sealed with them
	Mailer   Mailer
	Enqueue  func(ctx context.Context, tx db.Tx, events ...module.Event) error
	Audit    Audit
	Apps     Apps                          // what people let apps do; nil: there are no apps
	BaseURL  func() string                 // by which browsers come, without a closing slash
	Entered  func() uint64                 // requests of people let in so far; nil: nobody else uses the machine
	Share    float64                       // of one core's time that queued passwords may take while people work; 0 is 0.25
	Proxies  proxies.List                  // whose X-Forwarded-For is believed
	Gather   time.Duration                 // activations that arrive within it are written together; 0: each at once
	Provider *http.Client                  // how tenants' own providers are reached; see ProviderClient
	Metrics  interface{ Activated(n int) } // nil for none
}

// People knows the accounts of all tenants and signs them in. It is safe for use by many goroutines.
type People struct {
	deps    Deps
	aead    cipher.AEAD // opens what was sealed before tenants had keys
	queue   *queue
	settled sync.Map // numbers of the tenants that Settle has done

	providers *providers
}

// New makes the accounts. It returns fault.Invalid for a key that is not 32 bytes long.
func New(d Deps) (*People, error) {
	block, err := aes.NewCipher(d.Key)
	if err != nil || len(d.Key) != 32 {
		return nil, fault.Invalid("the key of the accounts must have 32 bytes")
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fault.Internal("no AES-GCM").With(err)
	}
	if d.Share <= 0 {
		d.Share = 0.25
	}
	p := &People{deps: d, aead: aead, providers: &providers{client: d.Provider, known: map[string]knownProvider{}}}
	p.queue = newQueue(p)
	return p, nil
}

// Module is the accounts' tables and what goes on behind the scenes.
func (p *People) Module() module.Module {
	return module.Module{
		Name: "people", Migrations: Migrations(),
		Runners: []module.Runner{
			{Name: "identity-sessions", Target: module.All, Run: p.deps.Sessions.Run},
			{Name: "identity-activations", Target: module.Web, Run: p.queue.run},
			{Name: "identity-settle", Target: module.Worker, Run: p.settleAll},
		},
		Consumers: []module.Consumer{{Name: "identity-mail", Subject: mailSubject, Handle: p.sendMail}},
	}
}

func bound(tenant scope.Tenant, of string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(tenant.ID)), of...) //nolint:gosec // positive
}

// keyed is a hash that nobody without the key can make.
func (p *People) keyed(tenant scope.Tenant, parts ...string) []byte {
	mac := hmac.New(sha256.New, p.deps.Key)
	mac.Write(bound(tenant, "keyed"))
	for _, part := range parts {
		mac.Write([]byte{0})
		mac.Write([]byte(part))
	}
	return mac.Sum(nil)
}

// secret is a new one, and how it is kept.
func secret() (text string, hash [sha256.Size]byte) {
	text = rand.Text() + rand.Text()
	return text, sha256.Sum256([]byte(text))
}

func hashed(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

func tenantOf(ctx context.Context) scope.Tenant {
	s, _ := scope.From(ctx)
	return s.Tenant
}

// now is the time to the millisecond, as it is kept.
func (p *People) now() time.Time { return p.deps.Clock.Now().UTC().Truncate(time.Millisecond) }
