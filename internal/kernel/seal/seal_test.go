package seal_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ward/internal/backend/db"
	"ward/internal/backend/db/dbtest"
	"ward/internal/backend/kms"
	"ward/internal/backend/kms/file"
	"ward/internal/backend/kms/kmstest"
	"ward/internal/base/clock"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/kernel/seal"
)

// counted is a key service that counts its calls and fails when it is told to.
type counted struct {
	kms.Driver
	unwraps atomic.Int64
	down    atomic.Bool
}

func (c *counted) Unwrap(ctx context.Context, key string, wrapped, associated []byte) ([]byte, error) {
	c.unwraps.Add(1)
	if c.down.Load() {
		return nil, fault.Unavailable("the key service is down")
	}
	return c.Driver.Unwrap(ctx, key, wrapped, associated)
}

func (c *counted) Wrap(ctx context.Context, key string, plain, associated []byte) ([]byte, error) {
	if c.down.Load() {
		return nil, fault.Unavailable("the key service is down")
	}
	return c.Driver.Wrap(ctx, key, plain, associated)
}

type house struct {
	t       *testing.T
	db      *db.DB
	service *counted
	clock   *clock.Manual
}

func each(t *testing.T, test func(t *testing.T, h *house)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		t.Helper()
		files, err := file.Open(filepath.Join(t.TempDir(), "keys"))
		if err != nil {
			t.Fatal(err)
		}
		h := &house{t, d, &counted{Driver: files}, clock.NewManual(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))}
		if err := d.Migrate(t.Context(), "seal", h.keys().Module().SystemMigrations); err != nil {
			t.Fatal(err)
		}
		test(t, h)
	})
}

// keys are those of one more process.
func (h *house) keys() *seal.Keys {
	return seal.New(seal.Deps{DB: h.db, Service: h.service, Clock: h.clock})
}

func (h *house) key(k *seal.Keys, tenant int32) *seal.Key {
	h.t.Helper()
	key, err := k.Of(h.t.Context(), tenant)
	if err != nil {
		h.t.Fatal(err)
	}
	return key
}

func (h *house) opens(key *seal.Key, sealed []byte, want string) {
	h.t.Helper()
	plain, err := key.Open([]byte("head "), sealed, []byte("table 1"))
	if err != nil || string(plain) != "head "+want {
		h.t.Errorf("opened %q %v, want %q", plain, err, want)
	}
}

func sealed(key *seal.Key, plain string) []byte {
	return key.Seal(nil, []byte(plain), []byte("table 1"))
}

func TestKeys_SealAndOpen(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house) {
		one, other := h.keys(), h.keys()
		key := h.key(one, 1)
		for _, plain := range []string{"", "x", string(bytes.Repeat([]byte("a chart "), 10_000))} {
			s := sealed(key, plain)
			if len(s) != len(plain)+seal.Overhead || s[0] != seal.Sealed || len(plain) > 1 && bytes.Contains(s, []byte(plain)) {
				t.Errorf("%d bytes sealed in %d", len(plain), len(s))
			}
			h.opens(key, s, plain)
			h.opens(h.key(other, 1), s, plain)
			for name, open := range map[string]func() ([]byte, error){
				"another tenant": func() ([]byte, error) { return h.key(one, 2).Open(nil, s, []byte("table 1")) },
				"the system":     func() ([]byte, error) { return h.key(one, 0).Open(nil, s, []byte("table 1")) },
				"another row":    func() ([]byte, error) { return key.Open(nil, s, []byte("table 2")) },
				"a changed byte": func() ([]byte, error) {
					s := bytes.Clone(s)
					s[len(s)-1] ^= 1
					return key.Open(nil, s, []byte("table 1"))
				},
				"a changed nonce":  func() ([]byte, error) { s := bytes.Clone(s); s[6] ^= 1; return key.Open(nil, s, []byte("table 1")) },
				"another data key": func() ([]byte, error) { s := bytes.Clone(s); s[1] ^= 1; return key.Open(nil, s, []byte("table 1")) },
				"a cut value":      func() ([]byte, error) { return key.Open(nil, s[:seal.Overhead-1], []byte("table 1")) },
				"nothing":          func() ([]byte, error) { return key.Open(nil, nil, []byte("table 1")) },
				"what is not sealed": func() ([]byte, error) {
					return key.Open(nil, []byte(`{"resourceType":"Patient","id":"0123456789"}`), []byte("table 1"))
				},
			} {
				if got, err := open(); !fault.Is(err, fault.CodeUnprocessable) {
					t.Errorf("%s: %q %v", name, got, err)
				}
			}
		}
		if bytes.Equal(sealed(key, "same"), sealed(key, "same")) {
			t.Error("a nonce came twice")
		}
	})
}

func TestKeys_NeedAScope(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house) {
		k := h.keys()
		if _, err := k.For(t.Context()); !fault.Is(err, fault.CodeInternal) {
			t.Error(err)
		}
		if key, err := k.For(dbtest.Tenant(t, 7)); err != nil || key != h.key(k, 7) {
			t.Error(key, err)
		}
		if key, err := k.For(scope.WithSystem(t.Context())); err != nil || key != h.key(k, 0) {
			t.Error(key, err)
		}
	})
}

func TestKeys_AreMadeOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house) {
		values := make(chan []byte, 16)
		var all sync.WaitGroup
		for range cap(values) {
			k := h.keys()
			all.Go(func() { values <- sealed(h.key(k, 3), "mine") })
		}
		all.Wait()
		close(values)
		for v := range values {
			h.opens(h.key(h.keys(), 3), v, "mine")
		}
	})
}

func TestKeys_RotationRewritesNoData(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house) {
		k, ctx := h.keys(), t.Context()
		before := sealed(h.key(k, 1), "before")
		mask := h.key(k, 1).Mask().Uint64(1, 2)
		if err := k.Rotate(ctx, 1); err != nil {
			t.Fatal(err)
		}
		rotated := sealed(h.key(k, 1), "rotated")
		if !bytes.Equal(before[:5], rotated[:5]) {
			t.Error("rotating the tenant's key changed its data key")
		}
		if err := k.Renew(ctx, 1); err != nil {
			t.Fatal(err)
		}
		after := sealed(h.key(k, 1), "after")
		if bytes.Equal(before[:5], after[:5]) {
			t.Error("new values go under the old data key")
		}
		for _, k := range []*seal.Keys{k, h.keys()} {
			h.opens(h.key(k, 1), before, "before")
			h.opens(h.key(k, 1), rotated, "rotated")
			h.opens(h.key(k, 1), after, "after")
			if h.key(k, 1).Mask().Uint64(1, 2) != mask {
				t.Error("the index is masked otherwise after a rotation")
			}
		}
		states, err := k.List(ctx)
		if err != nil || len(states) != 1 || states[0].Tenant != 1 || !states[0].Destroyed.IsZero() {
			t.Errorf("%+v %v", states, err)
		}
	})
}

func TestKeys_DestroyedForEver(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house) {
		k, other, ctx := h.keys(), h.keys(), t.Context()
		value := sealed(h.key(k, 1), "gone")
		kept := sealed(h.key(k, 2), "kept")
		h.opens(h.key(other, 1), value, "gone")
		for range 2 {
			if whole, err := k.Destroy(ctx, 1); err != nil || !whole {
				t.Fatal(whole, err)
			}
		}
		for range 2 {
			if _, err := k.Of(ctx, 1); !fault.Is(err, fault.CodeGone) {
				t.Errorf("after it was destroyed: %v", err)
			}
		}
		h.clock.Advance(5 * time.Minute)
		for name, k := range map[string]*seal.Keys{"one that had it": other, "one that starts": h.keys()} {
			if _, err := k.Of(ctx, 1); !fault.Is(err, fault.CodeGone) {
				t.Errorf("%s: %v", name, err)
			}
		}
		for name, change := range map[string]func() error{
			"rotate": func() error { return k.Rotate(ctx, 1) }, "renew": func() error { return k.Renew(ctx, 1) },
		} {
			if err := change(); !fault.Is(err, fault.CodeGone) {
				t.Errorf("%s: %v", name, err)
			}
		}
		h.opens(h.key(k, 2), kept, "kept")
		if _, err := k.Destroy(ctx, 0); !fault.Is(err, fault.CodeInvalid) {
			t.Errorf("the system's keys: %v", err)
		}
		if whole, err := k.Destroy(ctx, 9); err != nil || !whole { // one that never had any
			t.Error(err)
		}
		if _, err := k.Of(ctx, 9); !fault.Is(err, fault.CodeGone) {
			t.Error(err)
		}
	})
}

// TestKeys_ACopyOfTheDatabaseIsNoUse destroys a tenant's keys and puts the row back that a copy of the database still has.
func TestKeys_ACopyOfTheDatabaseIsNoUse(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house) {
		k, system := h.keys(), scope.WithSystem(t.Context())
		h.key(k, 1)
		var tenantKey, dataKeys []byte
		err := h.db.Read(system, func(ctx context.Context, q db.Querier) error {
			return q.Query(ctx, "SELECT tenant_key, data_keys FROM seal_key WHERE tenant = 1", func(r db.Row) error {
				tenantKey, dataKeys = bytes.Clone(r.Bytes(0)), bytes.Clone(r.Bytes(1))
				return nil
			})
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := k.Destroy(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		err = h.db.Write(system, func(ctx context.Context, tx db.Tx) error {
			_, err := tx.Exec(ctx, "UPDATE seal_key SET tenant_key = $1, data_keys = $2, destroyed = 0 WHERE tenant = 1", tenantKey, dataKeys)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.keys().Of(t.Context(), 1); err == nil {
			t.Error("the tenant's keys were opened again")
		}
	})
}

func TestKeys_AreRememberedFiveMinutes(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house) {
		k := h.keys()
		first := h.key(k, 1)
		for range 10 {
			if h.key(k, 1) != first {
				t.Error("asked twice")
			}
		}
		if n := h.service.unwraps.Load(); n != 1 {
			t.Errorf("the key service was asked %d times", n)
		}
		h.clock.Advance(4*time.Minute + time.Second) // the old one is given while it is asked again
		if h.key(k, 1) != first {
			t.Error("a caller waited for the key service")
		}
		for h.key(k, 1) == first { //nolint:revive // until the new one is there
		}
		h.service.down.Store(true)
		h.clock.Advance(4*time.Minute + 59*time.Second)
		second := h.key(k, 1)
		if second == first {
			t.Error("the first came back")
		}
		h.clock.Advance(2 * time.Second)
		if _, err := k.Of(t.Context(), 1); !fault.Is(err, fault.CodeUnavailable) {
			t.Errorf("after five minutes without the key service: %v", err)
		}
		h.service.down.Store(false)
		h.clock.Advance(2 * time.Second)
		h.key(k, 1)
	})
}

func TestKeys_RewrapForAnotherService(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		values := map[int32][]byte{}
		for tenant := range int32(5) {
			values[tenant] = sealed(h.key(h.keys(), tenant), fmt.Sprint("of ", tenant))
		}
		fresh := seal.New(seal.Deps{DB: h.db, Service: kmstest.Service(t), Clock: h.clock})
		if _, err := fresh.Of(ctx, 1); !fault.Is(err, fault.CodeUnavailable) {
			t.Errorf("a process with another key service: %v", err)
		}
		both := seal.New(seal.Deps{DB: h.db, Service: kmstest.Service(t), Old: h.service.Driver, Clock: h.clock})
		h.opens(h.key(both, 1), values[1], "of 1")
		for _, want := range []int{5, 0} {
			if n, err := both.Rewrap(ctx); err != nil || n != want {
				t.Errorf("%d %v", n, err)
			}
		}
		h.clock.Advance(time.Minute)
		for tenant, value := range values {
			h.opens(h.key(fresh, tenant), value, fmt.Sprint("of ", tenant))
		}
		if whole, err := fresh.Destroy(ctx, 1); err != nil || whole {
			t.Errorf("a service that can't destroy says it has: %v %v", whole, err)
		}
	})
}

func TestKeys_OffIsInTheClearAndStillOpens(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house) {
		value := sealed(h.key(h.keys(), 1), "sealed")
		off := seal.New(seal.Deps{DB: h.db, Service: h.service, Clock: h.clock, Off: true})
		key := h.key(off, 1)
		h.opens(key, value, "sealed")
		if s := sealed(key, "plain"); string(s) != "\xe0plain" || !key.Off() || key.Mask().Uint64(1, 2) != h.key(h.keys(), 1).Mask().Uint64(1, 2) {
			t.Errorf("%q", s)
		}
		again := seal.New(seal.Deps{DB: h.db, Service: h.service, Clock: h.clock, Clear: true})
		h.opens(h.key(again, 1), sealed(key, "plain"), "plain")
		// Where nothing was ever in the clear, nobody can put something there.
		for name, k := range map[string]*seal.Key{"with sealing on": h.key(h.keys(), 1), "a secret": key.Strict()} {
			if _, err := k.Open(nil, sealed(key, "plain"), []byte("a")); !fault.Is(err, fault.CodeUnprocessable) {
				t.Errorf("%s: what is in the clear opens: %v", name, err)
			}
		}
		if s := sealed(key.Strict(), "plain"); s[0] != seal.Sealed {
			t.Errorf("a secret is kept as %q", s)
		}
	})
}

func TestMask(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house) {
		k := h.keys()
		one, two := h.key(k, 1).Mask(), h.key(k, 2).Mask()
		again := h.key(h.keys(), 1).Mask()
		if one.Uint64(1, 2) != again.Uint64(1, 2) || one.Uint32(1, 2) != again.Uint32(1, 2) {
			t.Error("a mask is not a function")
		}
		seen := map[uint64]string{2: "the value itself"}
		for name, v := range map[string]uint64{
			"tenant 1": one.Uint64(1, 2), "tenant 2": two.Uint64(1, 2), "another use": one.Uint64(2, 2), "another value": one.Uint64(1, 3),
			"short": uint64(one.Uint32(1, 2)), "another short": uint64(one.Uint32(1, 3)), "short of tenant 2": uint64(two.Uint32(1, 2)),
		} {
			if other, there := seen[v]; there {
				t.Errorf("%s is as %s", name, other)
			}
			seen[v] = name
		}
	})
}

func TestStream(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house) {
		k := h.keys()
		aead, number, err := h.key(k, 1).Stream(0, []byte("salt of 16 bytes"))
		if err != nil {
			t.Fatal(err)
		}
		nonce := make([]byte, aead.NonceSize())
		segment := aead.Seal(nil, nonce, []byte("segment"), nil)
		if err := k.Renew(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		for _, row := range []struct {
			tenant int32
			salt   string
			opens  bool
		}{{1, "salt of 16 bytes", true}, {1, "another salt    ", false}, {2, "salt of 16 bytes", false}} {
			again, _, err := h.key(k, row.tenant).Stream(number, []byte(row.salt))
			if err == nil {
				_, err = again.Open(nil, nonce, segment, nil)
			}
			if (err == nil) != row.opens {
				t.Errorf("%+v: %v", row, err)
			}
		}
	})
}

func TestKeys_WithoutTheirTableNothingIsMade(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "keys")
	d, err := file.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	k := seal.New(seal.Deps{DB: dbtest.SQLite(t), Service: d})
	if _, err := k.Of(t.Context(), 1); err == nil {
		t.Error("keys were made without their table")
	}
	if _, err := os.Stat(filepath.Join(dir, "tenant-1.key")); err == nil {
		t.Error("a key of the service was made for keys that could not be kept")
	}
}

func BenchmarkKey(b *testing.B) {
	d := dbtest.SQLite(b)
	k := seal.New(seal.Deps{DB: d, Service: kmstest.Service(b)})
	if err := d.Migrate(b.Context(), "seal", k.Module().SystemMigrations); err != nil {
		b.Fatal(err)
	}
	ctx := scope.WithTenant(b.Context(), scope.Tenant{ID: 1})
	key, err := k.For(ctx)
	if err != nil {
		b.Fatal(err)
	}
	plain, table := bytes.Repeat([]byte("a"), 600), []byte("records_version 123456")
	value := key.Seal(nil, plain, table)
	b.Run("For", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := k.For(ctx); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Seal600", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			value = key.Seal(value[:0], plain, table)
		}
	})
	b.Run("Open600", func(b *testing.B) {
		b.ReportAllocs()
		buf := make([]byte, 0, 1024)
		for b.Loop() {
			if _, err := key.Open(buf, value, table); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Mask", func(b *testing.B) {
		for b.Loop() {
			key.Mask().Uint64(1, 2)
		}
	})
}

// TestKeys_InsideATransaction: a key that is not in memory can be had inside of a transaction of the system's database, where its row is.
func TestKeys_InsideATransaction(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house) {
		h.key(h.keys(), 0)
		fresh := h.keys()
		err := h.db.Write(scope.WithSystem(t.Context()), func(ctx context.Context, _ db.Tx) error {
			_, err := fresh.For(ctx)
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
}
