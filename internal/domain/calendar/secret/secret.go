package secret

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"embed"
	"encoding/base32"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"ward/internal/backend/db"
	"ward/internal/base/clock"
	"ward/internal/base/fault"
	"ward/internal/base/id"
	"ward/internal/base/recent"
	"ward/internal/base/scope"
	"ward/internal/domain/calendar/events"
	"ward/internal/kernel/access"
	"ward/internal/kernel/audit"
	"ward/internal/kernel/seal"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// Migrations is the SQL of the secrets' table, for the tenants' databases.
func Migrations() fs.FS {
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		panic(err) // the folder is embedded above
	}
	return files
}

// Keys gives the key of the scope's tenant; kernel/seal's Keys is one.
type Keys interface {
	For(ctx context.Context) (*seal.Key, error)
}

// Audit is where it is recorded who made and ended secrets.
type Audit interface {
	RecordIn(ctx context.Context, tx db.Tx, list ...audit.Event) error
}

// Deps are what secrets are kept with; all are needed.
type Deps struct {
	DB     *db.DB
	Keys   Keys
	Clock  clock.Clock
	Audit  Audit
	Events *events.Service

	// Account is the account with this id as it is now, without scopes. It fails with NotFound when nobody may sign in with it.
	Account func(ctx context.Context, account string) (scope.Principal, error)
	// Fresh says whether whoever is signed in in the browser of a request may change how they sign in: the second factor was shown lately.
	Fresh func(r *http.Request) (bool, error)
}

// The kinds.
const (
	password = "password"
	feed     = "feed"
)

// The limits.
const (
	mostOfKind = 20 // of one account
	maxName    = 100
	staleness  = 2 * time.Second // of what this process knows
	usedEvery  = time.Hour
)

// Secret is what is known of one.
type Secret struct {
	ID         string
	Kind       string // password or feed
	Account    string
	Subscriber string // of a feed: whose calendar
	Titles     bool   // of a feed
	Name       string // what it is for, in its person's words
	Created    time.Time
	Used       time.Time // to the hour; zero: never

	hash [sha256.Size]byte
}

// known is a secret in the tenant that it is good in.
type known struct {
	tenant int32
	hash   [sha256.Size]byte
}

// holder is a secret and whom it speaks for.
type holder struct {
	Secret
	principal scope.Principal
}

// Secrets makes and verifies them, for all tenants. It is safe for use by many goroutines.
type Secrets struct {
	deps  Deps
	good  *recent.Cache[known, holder]
	wrong *recent.Cache[known, struct{}]
	pace  *pace
}

// New is the secrets of all tenants.
func New(d Deps) *Secrets {
	return &Secrets{
		deps:  d,
		good:  recent.New[known, holder](recent.Options{Clock: d.Clock, TTL: staleness, Max: 20_000}),
		wrong: recent.New[known, struct{}](recent.Options{Clock: d.Clock, TTL: staleness, Max: 10_000}),
		pace:  newPace(d.Clock),
	}
}

// alphabet is in lower case, without what looks alike (RFC 4648 §6).
//
//nolint:gochecknoglobals // constant
var alphabet = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

const length = 32 // of a secret, which is 160 bits

func mint() string {
	var random [20]byte
	_, _ = rand.Read(random[:]) // never fails: crypto/rand ends the program instead
	return alphabet.EncodeToString(random[:])
}

// grouped is a password as it is shown, to be copied by hand.
func grouped(secret string) string {
	var parts []string
	for i := 0; i < len(secret); i += 4 {
		parts = append(parts, secret[i:i+4])
	}
	return strings.Join(parts, "-")
}

// plain is a password as it was typed, without what is only there to be read; false when it can't be one.
func plain(typed string) (string, bool) {
	if len(typed) > 2*length {
		return "", false
	}
	s := strings.ToLower(strings.NewReplacer("-", "", " ", "").Replace(typed))
	_, err := alphabet.DecodeString(s)
	return s, err == nil && len(s) == length
}

// create keeps a new secret of the principal who asks.
func (s *Secrets) create(ctx context.Context, made *Secret) (secret string, err error) {
	defer fault.Op(&err, "secret.create", made.Kind)
	made.Name = strings.TrimSpace(made.Name)
	if made.Name == "" || len(made.Name) > maxName || strings.ContainsFunc(made.Name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", fault.Invalid("name must be 1 to %d bytes that say what the secret is for, such as the program and the device", maxName)
	}
	key, err := s.deps.Keys.For(ctx)
	if err != nil {
		return "", err
	}
	secret = mint()
	made.ID, made.Created, made.hash = id.New(), s.deps.Clock.Now().UTC().Truncate(time.Millisecond), sha256.Sum256([]byte(secret))
	name := key.Seal(nil, []byte(made.Name), associated(made.ID))
	err = s.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		if err := tx.Lock(ctx, "calendar.secret "+made.Account); err != nil {
			return err
		}
		n := int64(0)
		if err := tx.Query(ctx, "SELECT count(*) FROM calendar_secret WHERE account = $1 AND kind = $2", func(r db.Row) error { n = r.Int64(0); return nil }, made.Account, made.Kind); err != nil {
			return err
		}
		if n >= mostOfKind {
			return fault.Conflict("there are %d already: revoke one that is not used", mostOfKind)
		}
		if _, err := tx.Exec(ctx, "INSERT INTO calendar_secret (id, hash, kind, account, subscriber, titles, name, created, used) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0)",
			made.ID, made.hash[:], made.Kind, made.Account, made.Subscriber, made.Titles, name, made.Created.UnixMilli()); err != nil {
			return err
		}
		return s.deps.Audit.RecordIn(ctx, tx, audit.Event{Action: audit.Grant, Type: resourceType(made.Kind), ID: made.ID, Detail: "calendar " + made.Kind, Patients: patientOf(made.Subscriber)})
	})
	if err != nil {
		return "", err
	}
	s.wrong.Invalidate()
	return secret, nil
}

func associated(secretID string) []byte { return []byte("calendar_secret\x00" + secretID) }

func resourceType(kind string) string { return "calendar-" + kind }

func patientOf(subscriber string) []string {
	if id, ok := strings.CutPrefix(subscriber, "Patient/"); ok {
		return []string{id}
	}
	return nil
}

// list is an account's secrets of a kind, the oldest first.
func (s *Secrets) list(ctx context.Context, account, kind string) (found []Secret, err error) {
	defer fault.Op(&err, "secret.list", kind)
	key, err := s.deps.Keys.For(ctx)
	if err != nil {
		return nil, err
	}
	err = s.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) error {
		found, err = read(ctx, q, key, "WHERE account = $1 AND kind = $2 ORDER BY id", account, kind)
		return err
	})
	return found, err
}

func read(ctx context.Context, q db.Querier, key *seal.Key, rest string, args ...any) (found []Secret, err error) {
	err = q.Query(ctx, "SELECT id, hash, kind, account, subscriber, titles, name, created, used FROM calendar_secret "+rest, func(r db.Row) error {
		one := Secret{ID: r.Text(0), Kind: r.Text(2), Account: r.Text(3), Subscriber: r.Text(4), Titles: r.Bool(5), Created: moment(r.Int64(7)), Used: moment(r.Int64(8))}
		copy(one.hash[:], r.Bytes(1))
		name, err := key.Open(nil, r.Bytes(6), associated(one.ID))
		if err != nil {
			return err
		}
		one.Name = string(name)
		found = append(found, one)
		return nil
	}, args...)
	return found, err
}

func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// revoke ends an account's secret. It returns fault.NotFound when the account has none with the id.
func (s *Secrets) revoke(ctx context.Context, account, kind, secretID string) (err error) {
	defer fault.Op(&err, "secret.revoke", secretID)
	err = s.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		n, err := tx.Exec(ctx, "DELETE FROM calendar_secret WHERE id = $1 AND account = $2 AND kind = $3", secretID, account, kind)
		if err == nil && n == 0 {
			err = fault.NotFound("there is none with this id")
		}
		if err != nil {
			return err
		}
		return s.deps.Audit.RecordIn(ctx, tx, audit.Event{Action: audit.Revoke, Type: resourceType(kind), ID: secretID, Detail: "calendar " + kind})
	})
	s.good.Invalidate()
	return err
}

// notGood is the fault of every password that is refused: it does not say why.
func notGood() error {
	return fault.Unauthenticated("the calendar password is not good: it is mistyped, revoked or was never given")
}

// Verify says who a calendar password speaks for in the tenant of ctx's scope. It may use calendars and nothing else: the server takes it on
// the routes of calendar programs alone, and its scopes reach no further.
//
// Errors: Unauthenticated, without saying why.
func (s *Secrets) Verify(ctx context.Context, typed string) (scope.Principal, error) {
	secret, ok := plain(typed)
	if !ok {
		return scope.Principal{}, notGood()
	}
	h, err := s.find(ctx, secret, password)
	if fault.Is(err, fault.CodeNotFound) {
		err = notGood()
	}
	return h.principal, err
}

// find is who holds a secret of a kind. It returns fault.NotFound when nobody does.
func (s *Secrets) find(ctx context.Context, secret, kind string) (h holder, err error) {
	sc, _ := scope.From(ctx)
	missing := fault.NotFound("there is nothing at this path")
	k := known{sc.Tenant.ID, sha256.Sum256([]byte(secret))}
	h, ok := s.good.Peek(k)
	if !ok {
		if _, bad := s.wrong.Peek(k); bad {
			return holder{}, missing
		}
		// the tenant itself looks it up: nobody has asked yet
		system := scope.WithTenant(ctx, sc.Tenant)
		h, err = s.good.Get(system, k, func(ctx context.Context) (holder, error) { return s.load(ctx, k.hash) })
		if fault.Is(err, fault.CodeNotFound) {
			_, _ = s.wrong.Get(system, k, func(context.Context) (struct{}, error) { return struct{}{}, nil })
			return holder{}, missing
		}
		if err != nil {
			return holder{}, err
		}
	}
	if subtle.ConstantTimeCompare(h.hash[:], k.hash[:]) != 1 || h.Kind != kind {
		return holder{}, missing
	}
	return h, nil
}

// load reads a secret, and its account as it is now.
func (s *Secrets) load(ctx context.Context, hash [sha256.Size]byte) (h holder, err error) {
	defer fault.Op(&err, "secret.load")
	key, err := s.deps.Keys.For(ctx)
	if err != nil {
		return h, err
	}
	var found []Secret
	err = s.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) error {
		found, err = read(ctx, q, key, "WHERE hash = $1", hash[:])
		return err
	})
	if err != nil {
		return h, err
	}
	if len(found) == 0 {
		return h, fault.NotFound("there is no such secret")
	}
	h.Secret = found[0]
	if h.principal, err = s.deps.Account(ctx, h.Account); err != nil {
		return h, err
	}
	h.principal.Client, h.principal.Scopes = "calendar-"+h.Kind+"/"+h.ID, "user/Appointment.cruds user/Patient.r"
	if h.Kind == feed {
		h.principal.Scopes = "user/Appointment.rs user/Patient.r"
	}
	h.principal = access.WithRights(h.principal)
	return h, s.use(ctx, &h.Secret)
}

// use notes that a secret was used.
func (s *Secrets) use(ctx context.Context, one *Secret) error {
	now := s.deps.Clock.Now()
	if now.Sub(one.Used) < usedEvery {
		return nil
	}
	return s.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		_, err := tx.Exec(ctx, "UPDATE calendar_secret SET used = $1 WHERE id = $2", now.UTC().Truncate(usedEvery).UnixMilli(), one.ID)
		return err
	})
}
