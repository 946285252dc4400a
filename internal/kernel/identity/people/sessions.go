package people

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"ward/internal/backend/db"
	"ward/internal/base/clock"
	"ward/internal/base/fault"
	"ward/internal/base/id"
	"ward/internal/base/recent"
	"ward/internal/base/scope"
	"ward/internal/kernel/access"
)

// Limits are how long sessions of a tenant last.
type Limits struct {
	Idle     time.Duration // without a request
	Absolute time.Duration // since the sign-in
}

// SessionDeps are what the sessions work with; all are needed.
type SessionDeps struct {
	DB     *db.DB
	Clock  clock.Clock
	Log    *slog.Logger
	Keys   Keys                                      // of tenants: accounts are sealed with them
	Limits func(ctx context.Context) (Limits, error) // of the scope's tenant
	Secure bool                                      // browsers come by https, whatever this process sees
}

// Sessions knows the signed-in browsers of all tenants. It is safe for use by many goroutines.
type Sessions struct {
	deps    SessionDeps
	known   *recent.Cache[sessionKey, Session]
	unknown *recent.Cache[sessionKey, struct{}]

	mu     sync.Mutex
	active map[sessionKey]activity // requests since the last Flush
}

type sessionKey struct {
	tenant scope.Tenant
	hash   [sha256.Size]byte
}

type activity struct{ seen, kept time.Time }

// keepEvery is how old the kept time of the last request may get, so that a busy session does not write all the time.
const keepEvery = 10 * time.Second

const maxAgent = 160

// mostSessions is in how many browsers somebody may be signed in; one more ends the oldest.
const mostSessions = 20

// staleTime is how long those who were known when the database went away are known: nobody can end a token or a session there meanwhile, but
// who still reaches it could.
const staleTime = 5 * time.Minute

// NewSessions makes the sessions.
func NewSessions(d SessionDeps) *Sessions {
	return &Sessions{
		deps:    d,
		known:   recent.New[sessionKey, Session](recent.Options{Clock: d.Clock, TTL: 2 * time.Second, Max: 50_000, Stale: staleTime}),
		unknown: recent.New[sessionKey, struct{}](recent.Options{Clock: d.Clock, TTL: 2 * time.Second, Max: 10_000}),
		active:  map[sessionKey]activity{},
	}
}

func noSession() error { return fault.Unauthenticated("nobody is signed in") }

// FromRequest is the session of the request's cookie, in the tenant of its context's scope.
func (s *Sessions) FromRequest(r *http.Request) (Session, bool) {
	found, err := s.Find(r.Context(), r)
	return found, err == nil
}

// Has says whether the request carries a session's cookie of the tenant, good or not.
func (s *Sessions) Has(tenant scope.Tenant, r *http.Request) bool {
	_, ok := s.secret(tenant, r)
	return ok
}

// Find is the session of the request's cookie, in the tenant of ctx's scope. It returns fault.Unauthenticated when there is none, or it
// ended, was not used for too long, or its person may no longer sign in; and does not say which.
func (s *Sessions) Find(ctx context.Context, r *http.Request) (Session, error) {
	sc, ok := scope.From(ctx)
	if !ok || sc.Tenant.ID == 0 {
		return Session{}, fault.Internal("a session is asked for without a tenant")
	}
	secret, ok := s.secret(sc.Tenant, r)
	if !ok {
		return Session{}, noSession()
	}
	key := sessionKey{sc.Tenant, sha256.Sum256([]byte(secret))}
	found, ok := s.known.Peek(key)
	if !ok {
		if _, bad := s.unknown.Peek(key); bad {
			return Session{}, noSession()
		}
		var err error
		if found, err = s.known.Get(ctx, key, func(ctx context.Context) (Session, error) { return s.load(ctx, key) }); err != nil {
			return Session{}, err
		}
	}
	limits, err := s.deps.Limits(ctx)
	if err != nil {
		return Session{}, err
	}
	if !s.use(key, &found, limits) {
		return Session{}, noSession()
	}
	return found, nil
}

// Principal is who is signed in in the browser that the request comes from, as [Sessions.Find].
func (s *Sessions) Principal(ctx context.Context, r *http.Request) (scope.Principal, error) {
	found, err := s.Find(ctx, r)
	if err != nil {
		return scope.Principal{}, err
	}
	return found.Principal(), nil
}

// use says whether the session is still good, and notes that it was used.
func (s *Sessions) use(key sessionKey, found *Session, l Limits) bool {
	now := s.deps.Clock.Now()
	if found.account.State != Active || now.Sub(found.AuthTime) >= l.Absolute {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a, used := s.active[key]
	if used && a.seen.After(found.Seen) {
		found.Seen = a.seen
	}
	if now.Sub(found.Seen) >= l.Idle {
		return false
	}
	if !used {
		a.kept = found.Seen
	}
	a.seen = now
	s.active[key] = a
	return true
}

func (s *Sessions) load(ctx context.Context, key sessionKey) (Session, error) {
	var found []Session
	err := s.deps.DB.Read(scope.WithTenant(ctx, key.tenant), func(ctx context.Context, q db.Querier) (err error) {
		found, err = s.query(ctx, q, "s.hash = $1", key.hash[:])
		return err
	})
	if err != nil {
		return Session{}, err
	}
	if len(found) == 0 {
		_, _ = s.unknown.Get(ctx, key, func(context.Context) (struct{}, error) { return struct{}{}, nil })
		return Session{}, noSession()
	}
	return found[0], nil
}

func (s *Sessions) query(ctx context.Context, q db.Querier, where string, args ...any) (found []Session, err error) {
	key, err := keyOf(ctx, s.deps.Keys)
	if err != nil {
		return nil, err
	}
	err = q.Query(ctx, "SELECT s.id, s.created, s.seen, s.second_at, s.methods, s.agent, s.hash, "+personColumns+
		" FROM identity_session s JOIN identity_person p ON p.id = s.person WHERE "+where+" ORDER BY s.created DESC, s.id", func(r db.Row) error {
		account, err := scanPerson(key, r, 7)
		if err != nil {
			return err
		}
		x := Session{
			ID: r.Text(0), AuthTime: moment(r.Int64(1)), Seen: moment(r.Int64(2)), SecondAt: moment(r.Int64(3)), AMR: strings.Fields(r.Text(4)), Agent: r.Text(5),
			account: account, now: s.deps.Clock.Now,
		}
		copy(x.hash[:], r.Bytes(6))
		x.ACR = acr(x.AMR)
		x.UserID, x.Role, x.Person, x.Patients, x.Sensitive = x.account.UserID(), x.account.Role, x.account.Reference, x.account.Patients, x.account.Sensitive
		x.principal = x.account.principal()
		x.principal.Session = x.ID
		x.principal = access.WithRights(x.principal)
		found = append(found, x)
		return nil
	}, args...)
	return found, err
}

// Begin signs the person in: a new session with a new cookie, whatever the browser had before is ended.
func (s *Sessions) Begin(ctx context.Context, w http.ResponseWriter, r *http.Request, personID string, methods []string) (err error) {
	defer fault.Op(&err, "people.Begin", personID)
	var second time.Time
	if now := s.deps.Clock.Now(); twoFactors(methods) {
		second = now
	}
	return s.replace(ctx, w, r, personID, id.New(), s.deps.Clock.Now(), second, methods)
}

// StepUp notes that the second factor was shown again, under a new cookie. The session stays the one that it was: what apps were let do in it goes on.
func (s *Sessions) StepUp(ctx context.Context, w http.ResponseWriter, r *http.Request, old Session, method ...string) (err error) {
	defer fault.Op(&err, "people.StepUp", old.ID)
	methods := append([]string(nil), old.AMR...)
	for _, m := range method {
		if !strings.Contains(" "+strings.Join(methods, " ")+" ", " "+m+" ") {
			methods = append(methods, m)
		}
	}
	return s.replace(ctx, w, r, old.account.ID, old.ID, old.AuthTime, s.deps.Clock.Now(), methods)
}

func (s *Sessions) replace(ctx context.Context, w http.ResponseWriter, r *http.Request, personID, sessionID string, began, second time.Time, methods []string) error {
	sc, _ := scope.From(ctx)
	secret := rand.Text() + rand.Text()
	hash := sha256.Sum256([]byte(secret))
	var old sessionKey
	if had, ok := s.secret(sc.Tenant, r); ok {
		old = sessionKey{sc.Tenant, sha256.Sum256([]byte(had))}
	}
	agent := strings.ToValidUTF8(strings.ReplaceAll(r.UserAgent(), "\x00", ""), "")
	if len(agent) > maxAgent {
		agent = strings.ToValidUTF8(agent[:maxAgent], "")
	}
	now := s.deps.Clock.Now()
	limits, err := s.deps.Limits(ctx)
	if err != nil {
		return err
	}
	err = s.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		if _, err := tx.Exec(ctx, "DELETE FROM identity_session WHERE person = $1 AND (created <= $2 OR seen <= $3)", personID,
			now.Add(-limits.Absolute).UnixMilli(), now.Add(-limits.Idle).UnixMilli()); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "DELETE FROM identity_session WHERE id IN (SELECT x.id FROM identity_session x WHERE x.person = $1 ORDER BY x.created DESC, x.id LIMIT 1000 OFFSET $2)",
			personID, mostSessions-1); err != nil {
			return err
		}
		if old.tenant.ID != 0 {
			if _, err := tx.Exec(ctx, "DELETE FROM identity_session WHERE hash = $1", old.hash[:]); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, "DELETE FROM identity_session WHERE id = $1", sessionID); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "INSERT INTO identity_session (hash, id, person, created, seen, second_at, methods, agent) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
			hash[:], sessionID, personID, began.UnixMilli(), now.UnixMilli(), millis(second), strings.Join(methods, " "), agent); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "UPDATE identity_person SET signed_in = $1 WHERE id = $2", now.UnixMilli(), personID)
		return err
	})
	if err != nil {
		return err
	}
	if old.tenant.ID != 0 {
		s.forget()
	}
	http.SetCookie(w, s.cookie(sc.Tenant, r, secret))
	return nil
}

// End signs the browser out.
func (s *Sessions) End(ctx context.Context, w http.ResponseWriter, r *http.Request) (err error) {
	defer fault.Op(&err, "people.End")
	sc, _ := scope.From(ctx)
	secret, ok := s.secret(sc.Tenant, r)
	if !ok {
		return nil
	}
	hash := sha256.Sum256([]byte(secret))
	if err := s.remove(ctx, "hash = $1", hash[:]); err != nil {
		return err
	}
	gone := s.cookie(sc.Tenant, r, "") //nolint:gosec // as newCookie makes it
	gone.MaxAge = -1
	http.SetCookie(w, gone)
	return nil
}

// List is the person's sessions that may still be good, latest first.
func (s *Sessions) List(ctx context.Context, personID string) (found []Session, err error) {
	defer fault.Op(&err, "people.ListSessions", personID)
	limits, err := s.deps.Limits(ctx)
	if err != nil {
		return nil, err
	}
	now := s.deps.Clock.Now()
	err = s.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) (err error) {
		found, err = s.query(ctx, q, "s.person = $1 AND s.created > $2 AND s.seen > $3", personID, now.Add(-limits.Absolute).UnixMilli(), now.Add(-limits.Idle).UnixMilli())
		return err
	})
	return found, err
}

// Alive says whether the session with the id still is.
func (s *Sessions) Alive(ctx context.Context, sessionID string) (alive bool, err error) {
	defer fault.Op(&err, "people.Alive", sessionID)
	limits, err := s.deps.Limits(ctx)
	if err != nil {
		return false, err
	}
	now := s.deps.Clock.Now()
	err = s.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) error {
		found, err := s.query(ctx, q, "s.id = $1 AND s.created > $2 AND s.seen > $3", sessionID, now.Add(-limits.Absolute).UnixMilli(), now.Add(-limits.Idle).UnixMilli())
		alive = len(found) == 1 && found[0].account.State == Active
		return err
	})
	return alive, err
}

// Revoke ends one of the person's sessions. It returns fault.NotFound when they have none with the id.
func (s *Sessions) Revoke(ctx context.Context, personID, sessionID string) (err error) {
	defer fault.Op(&err, "people.RevokeSession", personID, sessionID)
	return s.remove(ctx, "person = $1 AND id = $2", personID, sessionID)
}

// RevokeAll ends all sessions of the person but one, "" for all.
func (s *Sessions) RevokeAll(ctx context.Context, personID, but string) (err error) {
	defer fault.Op(&err, "people.RevokeSessions", personID)
	err = s.remove(ctx, "person = $1 AND id <> $2", personID, but)
	if fault.Is(err, fault.CodeNotFound) {
		return nil
	}
	return err
}

func (s *Sessions) remove(ctx context.Context, where string, args ...any) error {
	err := s.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		n, err := tx.Exec(ctx, "DELETE FROM identity_session WHERE "+where, args...)
		if err == nil && n == 0 {
			err = fault.NotFound("there is no such session")
		}
		return err
	})
	s.forget()
	return err
}

// forget has all sessions looked up again: what this process changed counts at once.
func (s *Sessions) forget() { s.known.Invalidate() }

// Flush keeps when sessions were last used.
func (s *Sessions) Flush(ctx context.Context) (err error) {
	defer fault.Op(&err, "people.Flush")
	now := s.deps.Clock.Now()
	due := map[scope.Tenant][]sessionKey{}
	s.mu.Lock()
	for key, a := range s.active {
		switch {
		case a.seen.After(a.kept):
			due[key.tenant] = append(due[key.tenant], key)
			s.active[key] = activity{a.seen, a.seen}
		case now.Sub(a.seen) > 2*keepEvery:
			delete(s.active, key)
		}
	}
	seen := make(map[sessionKey]int64, len(due))
	for _, keys := range due {
		for _, key := range keys {
			seen[key] = s.active[key].seen.UnixMilli()
		}
	}
	s.mu.Unlock()
	for tenant, keys := range due {
		err := s.deps.DB.Write(scope.WithTenant(ctx, tenant), func(ctx context.Context, tx db.Tx) error {
			for _, key := range keys {
				if _, err := tx.Exec(ctx, "UPDATE identity_session SET seen = $1 WHERE hash = $2 AND seen < $1", seen[key], key.hash[:]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Run flushes from time to time until ctx ends.
func (s *Sessions) Run(ctx context.Context) error {
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := s.Flush(ctx); err != nil {
				s.deps.Log.WarnContext(ctx, "when sessions were last used could not be kept", slog.Any("error", err))
			}
		case <-ctx.Done():
			return s.Flush(context.WithoutCancel(ctx))
		}
	}
}

// secret is what the request's cookie for the tenant holds.
func (s *Sessions) secret(tenant scope.Tenant, r *http.Request) (string, bool) {
	c, err := r.Cookie(cookieName(SecureFrom(r, s.deps.Secure), "session", tenant))
	if err != nil || len(c.Value) < 26 || len(c.Value) > 64 {
		return "", false
	}
	return c.Value, true
}

func (s *Sessions) cookie(tenant scope.Tenant, r *http.Request, value string) *http.Cookie {
	return newCookie(SecureFrom(r, s.deps.Secure), "session", tenant, value)
}

// newCookie is a cookie that scripts don't see and other sites' forms don't send.
func newCookie(secure bool, kind string, tenant scope.Tenant, value string) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // without Secure only on this very machine
		Name: cookieName(secure, kind, tenant), Value: value, Path: "/", Secure: secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

// cookieName names the tenant, so that one browser can be signed in to several. The prefix __Host- has browsers take it from this host
// alone, by https (RFC 6265bis §4.1.3.2).
func cookieName(secure bool, kind string, tenant scope.Tenant) string {
	if secure {
		return "__Host-ward-" + kind + "-" + tenant.Slug
	}
	return "ward-" + kind + "-" + tenant.Slug
}

// SecureFrom says whether the browser's connection is an encrypted one; configured says that all are, by a proxy. Only a browser on this very machine is
// served without.
func SecureFrom(r *http.Request, configured bool) bool {
	if r.TLS != nil || configured {
		return true
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if host == "localhost" {
		return false
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err != nil || !ip.IsLoopback()
}
