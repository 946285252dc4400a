package seal

import (
	"context"
	"embed"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"ward/internal/backend/db"
	"ward/internal/backend/kms"
	"ward/internal/base/clock"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/kernel/module"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Deps are what keys are kept with.
type Deps struct {
	DB      *db.DB
	Service kms.Driver // wraps and opens
	Old     kms.Driver // opens what was wrapped by it; nil when there was no other
	Clock   clock.Clock
	Log     *slog.Logger
	Off     bool // new values are stored in the clear, for measurements, and such values open
	Clear   bool // values that were stored in the clear open
}

const (
	rememberFor  = 5 * time.Minute // unwrapped keys
	refreshAfter = 4 * time.Minute // asked anew in the background
	retryAfter   = time.Second     // a tenant whose keys could not be had is not asked for again
	loadTime     = 10 * time.Second
	most         = 20_000  // tenants whose keys are remembered
	renewAfter   = 1 << 31 // values sealed
)

// Keys are the keys of all tenants. It is safe for use by many goroutines.
type Keys struct {
	deps    Deps
	tenants sync.Map // int32 → *held
	count   atomic.Int64
}

// held is what is remembered of a tenant.
type held struct {
	now atomic.Pointer[known]

	mu      sync.Mutex
	loading *load
	wrong   error // of the last load
	until   time.Time
}

type known struct {
	key     *Key
	at      time.Time
	asked   atomic.Bool // for a fresh one
	renewed atomic.Bool
}

type load struct {
	done chan struct{}
	key  *Key
	err  error
}

// New is the keys of all tenants. It asks nobody yet.
func New(d Deps) *Keys {
	if d.Clock == nil {
		d.Clock = clock.System()
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	return &Keys{deps: d}
}

// Module is the table of keys.
func (k *Keys) Module() module.Module {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return module.Module{Name: "seal", SystemMigrations: files}
}

// For is the key of the scope's tenant, or the system's. A tenant that has none yet is given one.
//
// Errors: Gone when the tenant's keys were destroyed, Unavailable, Internal without a scope.
func (k *Keys) For(ctx context.Context) (*Key, error) {
	s, ok := scope.From(ctx)
	if !ok || !s.Valid() {
		return nil, fault.Internal("a key was asked for without a scope")
	}
	return k.Of(ctx, s.Tenant.ID) // 0 when s.System
}

// Of is the key of the tenant with that number, 0 for the system's; otherwise as For.
func (k *Keys) Of(ctx context.Context, tenant int32) (*Key, error) {
	var h *held
	if v, ok := k.tenants.Load(tenant); ok {
		h = v.(*held) //nolint:forcetypeassert // only held are stored
		if n := h.now.Load(); n != nil {
			switch age := k.deps.Clock.Now().Sub(n.at); {
			case age < refreshAfter:
				if n.key.used.Load() >= renewAfter && !n.renewed.Swap(true) {
					go k.renew(context.WithoutCancel(ctx), tenant)
				}
				return n.key, nil
			case age < rememberFor:
				if !n.asked.Swap(true) {
					_, _ = k.begin(ctx, tenant, h) // the present key is good still
				}
				return n.key, nil
			}
		}
	} else {
		h = k.hold(tenant)
	}
	l, err := k.begin(ctx, tenant, h)
	if err != nil {
		return nil, err
	}
	select {
	case <-l.done:
		return l.key, l.err
	case <-ctx.Done():
		return nil, db.Ended(ctx)
	}
}

// Warm has the scope's key in memory, so that whoever asks next, perhaps inside a transaction, need not wait. It is what db.DB.Before is given; what is
// wrong with the key, For says.
func (k *Keys) Warm(ctx context.Context) { _, _ = k.For(ctx) }

func (k *Keys) hold(tenant int32) *held {
	v, there := k.tenants.LoadOrStore(tenant, &held{})
	if !there && k.count.Add(1) > most {
		k.tenants.Range(func(other, _ any) bool { // any one: it is asked for again
			if other == tenant {
				return true
			}
			k.tenants.Delete(other)
			k.count.Add(-1)
			return false
		})
	}
	return v.(*held) //nolint:forcetypeassert // only held are stored
}

// begin starts a load unless one is under way.
func (k *Keys) begin(ctx context.Context, tenant int32, h *held) (*load, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.loading != nil {
		return h.loading, nil
	}
	if h.wrong != nil && k.deps.Clock.Now().Before(h.until) {
		return nil, h.wrong
	}
	l := &load{done: make(chan struct{})}
	h.loading = l
	began := k.deps.Clock.Now()
	go func() {
		ctx, cancel := context.WithTimeout(scope.WithSystem(db.Apart(context.WithoutCancel(ctx))), loadTime)
		defer cancel()
		l.key, l.err = k.load(ctx, tenant)
		if l.err == nil {
			l.key.off, l.key.clear = k.deps.Off, k.deps.Off || k.deps.Clear
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		defer close(l.done)
		if h.loading != l { // forgotten meanwhile
			return
		}
		h.loading, h.wrong = nil, l.err
		if l.err != nil {
			h.until = k.deps.Clock.Now().Add(retryAfter)
			if fault.Is(l.err, fault.CodeGone) {
				h.now.Store(nil)
			} else {
				k.deps.Log.ErrorContext(ctx, "the keys of a tenant can't be had", slog.Int("tenant", int(tenant)), slog.Any("error", l.err))
			}
			if n := h.now.Load(); n != nil {
				n.asked.Store(false)
			}
		} else {
			h.now.Store(&known{key: l.key, at: began})
		}
	}()
	return l, nil
}

// Forget has the tenant's keys asked for anew, because another process changed or destroyed them.
func (k *Keys) Forget(tenant int32) { k.forget(tenant) }

// forget has the tenant's keys read anew.
func (k *Keys) forget(tenant int32) {
	if v, ok := k.tenants.Load(tenant); ok {
		h := v.(*held) //nolint:forcetypeassert // only held are stored
		h.mu.Lock()
		defer h.mu.Unlock()
		h.now.Store(nil)
		h.loading, h.wrong = nil, nil
	}
}

func (k *Keys) renew(ctx context.Context, tenant int32) {
	ctx, cancel := context.WithTimeout(ctx, loadTime)
	defer cancel()
	if err := k.Renew(ctx, tenant); err != nil {
		k.deps.Log.ErrorContext(ctx, "a tenant's data key can't be renewed", slog.Int("tenant", int(tenant)), slog.Any("error", err))
	}
}
