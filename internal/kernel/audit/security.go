package audit

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"ward/internal/base/scope"
	"ward/internal/kernel/observe"
)

// repeatWindow is how long the same thing is only counted after its first event.
const repeatWindow = time.Minute

// Most of what is told apart in one window. Beyond it a tenant's tries of a kind are counted together, so that who tries from many addresses
// does not fill the disk.
const (
	mostRepeats          = 5_000
	mostRepeatsPerTenant = 200
)

// repeat is what is counted together.
type repeat struct {
	tenant            int32
	kind              Kind
	who, from, detail string
}

// repeats counts security events that come again.
type repeats struct {
	mu      sync.Mutex
	known   map[repeat]*counted
	tenants map[int32]int // how many of known are the tenant's
}

type counted struct {
	scope scope.Scope
	since time.Time
	count int64 // since the event
}

func (r *repeats) start() { r.known, r.tenants = map[repeat]*counted{}, map[int32]int{} }

// first says whether the thing has not happened in the window before, and counts it otherwise.
func (r *repeats) first(key *repeat, s scope.Scope, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.known[*key]
	if c == nil && (len(r.known) >= mostRepeats || r.tenants[key.tenant] >= mostRepeatsPerTenant) {
		*key = repeat{tenant: key.tenant, kind: key.kind, detail: "and others"}
		c = r.known[*key]
		s.Principal = scope.Principal{}
	}
	if c != nil {
		c.count++
		return false
	}
	r.known[*key] = &counted{scope: s, since: now}
	r.tenants[key.tenant]++
	return true
}

// report records what was counted in windows that are over, or in all.
func (r *repeats) report(ctx context.Context, l *Log, all bool) {
	now := l.deps.Clock.Now()
	type due struct {
		repeat
		counted
	}
	var list []due
	r.mu.Lock()
	for key, c := range r.known {
		if !all && now.Sub(c.since) < repeatWindow {
			continue
		}
		if c.count > 0 {
			list = append(list, due{key, *c})
		}
		delete(r.known, key)
		if r.tenants[key.tenant]--; r.tenants[key.tenant] == 0 {
			delete(r.tenants, key.tenant)
		}
	}
	r.mu.Unlock()
	for _, d := range list {
		l.alarm(scope.With(ctx, d.scope), d.repeat, d.count)
	}
}

// Security takes note of an attack, or what looks like one. detail is a word or two of ours, such as a route's pattern. The same kind from the
// same address and principal, about the same, is one event and within the next minute a second one that counts the others. It never fails: a refusal does not wait for
// its record. A context without a scope is the system's.
func (l *Log) Security(ctx context.Context, kind Kind, detail string) {
	s, ok := scope.From(ctx)
	if !ok || !s.Valid() {
		s = scope.Scope{System: true, Principal: s.Principal}
		ctx = scope.With(ctx, s)
	}
	q, _ := observe.RequestFrom(ctx)
	key := repeat{tenant: s.Tenant.ID, kind: kind, who: s.Principal.ID, from: q.Address, detail: detail}
	if l.repeats.first(&key, s, l.deps.Clock.Now()) {
		l.alarm(ctx, key, 1)
	}
}

func (l *Log) alarm(ctx context.Context, key repeat, count int64) {
	detail := string(key.kind)
	if key.detail != "" {
		detail += " " + key.detail
	}
	e := Event{Action: Security, Outcome: Refused, Address: key.from, Count: count, Detail: detail}
	if _, _, err := l.note(ctx, e); err != nil {
		l.deps.Log.ErrorContext(ctx, "a security event was not recorded", slog.String("kind", string(key.kind)), slog.Any("error", err))
	}
}
