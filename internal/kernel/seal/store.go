package seal

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"

	"ward/internal/backend/db"
	"ward/internal/backend/kms"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
)

// row is a row of seal_key.
type row struct {
	tenant              int32
	service             string
	tenantKey, dataKeys []byte
	version             int64
	created, rotated    int64
	renewed, destroyed  int64
	bound               int32 // number that sealed values are bound to; the tenant's own, or that of the tenant whose archive it was made of
}

const selectRows = `SELECT tenant, service, tenant_key, data_keys, version, created, rotated, renewed, destroyed, bound FROM seal_key`

func (k *Keys) rows(ctx context.Context, rest string, args ...any) (found []row, err error) {
	err = k.deps.DB.Read(scope.WithSystem(ctx), func(ctx context.Context, q db.Querier) error {
		found = nil
		return q.Query(ctx, selectRows+rest, func(r db.Row) error {
			found = append(found, row{
				tenant: int32(r.Int64(0)), service: r.Text(1), tenantKey: bytes.Clone(r.Bytes(2)), dataKeys: bytes.Clone(r.Bytes(3)), //nolint:gosec // an int4
				version: r.Int64(4), created: r.Int64(5), rotated: r.Int64(6), renewed: r.Int64(7), destroyed: r.Int64(8),
				bound: int32(r.Int64(9)), //nolint:gosec // an int4
			})
			return nil
		}, args...)
	})
	return found, err
}

// row is a tenant's; nil when there is none.
func (k *Keys) row(ctx context.Context, tenant int32) (*row, error) {
	found, err := k.rows(ctx, ` WHERE tenant = $1`, tenant)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	if found[0].destroyed != 0 {
		return nil, errDestroyed()
	}
	return &found[0], nil
}

func errDestroyed() error {
	return fault.Gone("the keys of this tenant were destroyed: nothing of it can be read")
}

// keyName is a tenant's key in the key service.
func keyName(tenant int32) string {
	if tenant == 0 {
		return "system"
	}
	return "tenant-" + strconv.Itoa(int(tenant))
}

// wrapping is the key service as tink's keysets call it.
type wrapping struct {
	service kms.Driver
	key     string
}

func (w wrapping) EncryptWithContext(ctx context.Context, plain, associated []byte) ([]byte, error) {
	return w.service.Wrap(ctx, w.key, plain, associated)
}

func (w wrapping) DecryptWithContext(ctx context.Context, wrapped, associated []byte) ([]byte, error) {
	return w.service.Unwrap(ctx, w.key, wrapped, associated)
}

// associated binds a wrapped keyset to its tenant and column.
func associated(tenant int32, column string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte("seal_key"), uint32(tenant)), column...) //nolint:gosec // the bits on purpose
}

func (k *Keys) wrapTenantKey(ctx context.Context, r *row, h *keyset.Handle) error {
	var b bytes.Buffer
	if err := h.WriteWithContext(ctx, keyset.NewBinaryWriter(&b), wrapping{k.deps.Service, keyName(r.tenant)}, associated(r.tenant, "tenant_key")); err != nil {
		return k.failed(r, "wrap", err)
	}
	r.service, r.tenantKey = k.deps.Service.Name(), b.Bytes()
	return nil
}

func wrapDataKeys(r *row, tenantKey, h *keyset.Handle) error {
	primitive, err := aead.New(tenantKey)
	var b bytes.Buffer
	if err == nil {
		err = h.WriteWithAssociatedData(keyset.NewBinaryWriter(&b), primitive, associated(r.tenant, "data_keys"))
	}
	if err != nil {
		return fault.Internal("wrap data keys").With(err)
	}
	r.dataKeys = b.Bytes()
	return nil
}

// unwrap opens a row's keysets.
func (k *Keys) unwrap(ctx context.Context, r *row) (tenantKey, dataKeys *keyset.Handle, err error) {
	service := k.deps.Service
	if old := k.deps.Old; old != nil && r.service == old.Name() {
		service = old
	}
	if r.service != service.Name() {
		return nil, nil, fault.Unavailable("the keys of tenant %d are wrapped by the key service %q and this process has %q: set seal.kms, or seal.old, to the former",
			r.tenant, r.service, service.Name())
	}
	tenantKey, err = keyset.ReadWithContext(ctx, keyset.NewBinaryReader(bytes.NewReader(r.tenantKey)), wrapping{service, keyName(r.tenant)}, associated(r.tenant, "tenant_key"))
	if err != nil {
		return nil, nil, k.failed(r, "open", err)
	}
	primitive, err := aead.New(tenantKey)
	if err == nil {
		dataKeys, err = keyset.ReadWithAssociatedData(keyset.NewBinaryReader(bytes.NewReader(r.dataKeys)), primitive, associated(r.tenant, "data_keys"))
	}
	if err != nil {
		return nil, nil, fault.Internal("the data keys of tenant %d don't open under its key", r.tenant).With(err)
	}
	return tenantKey, dataKeys, nil
}

// failed makes the key service's error a fault that says what to do.
func (k *Keys) failed(r *row, verb string, err error) error {
	var f *fault.Error
	if errors.As(err, &f) && (f.Code == fault.CodeUnavailable || f.Code == fault.CodeDenied) {
		return fault.Unavailable("the key service can't %s the keys of tenant %d: %s", verb, r.tenant, f.Message).Retry(time.Second).With(err)
	}
	return fault.Unavailable("the key service does not %s the keys of tenant %d: restore the key service's keys, or set seal.kms to the one that has them", verb, r.tenant).With(err)
}

// load reads a tenant's keys, and makes them when there are none.
func (k *Keys) load(ctx context.Context, tenant int32) (_ *Key, err error) {
	defer fault.Op(&err, "seal.load", tenant)
	r, err := k.row(ctx, tenant)
	if err == nil && r == nil {
		r, err = k.create(ctx, tenant)
	}
	if err != nil {
		return nil, err
	}
	_, dataKeys, err := k.unwrap(ctx, r)
	if err != nil {
		return nil, err
	}
	if r.bound != 0 {
		tenant = r.bound
	}
	return newKey(tenant, dataKeys)
}

// create gives a tenant keys, unless another process has meanwhile.
func (k *Keys) create(ctx context.Context, tenant int32) (*row, error) {
	now := k.deps.Clock.Now().UnixMilli()
	r := &row{tenant: tenant, version: 1, created: now, rotated: now, renewed: now}
	tenantKey, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fault.Internal("make a tenant's key").With(err)
	}
	dataKeys, err := keyset.NewHandle(aead.AES256GCMNoPrefixKeyTemplate())
	if err != nil {
		return nil, fault.Internal("make a data key").With(err)
	}
	if err := wrapDataKeys(r, tenantKey, dataKeys); err != nil {
		return nil, err
	}
	if err := k.wrapTenantKey(ctx, r, tenantKey); err != nil {
		return nil, err
	}
	var n int64
	err = k.deps.DB.Write(scope.WithSystem(ctx), func(ctx context.Context, tx db.Tx) (err error) {
		n, err = tx.Exec(ctx, `INSERT INTO seal_key (tenant, service, tenant_key, data_keys, version, created, rotated, renewed, destroyed)
VALUES ($1, $2, $3, $4, 1, $5, $5, $5, 0) ON CONFLICT (tenant) DO NOTHING`, tenant, r.service, r.tenantKey, r.dataKeys, now)
		return err
	})
	if err != nil || n == 1 {
		return r, err
	}
	if r, err = k.row(ctx, tenant); err == nil && r == nil {
		err = fault.Internal("the keys of tenant %d come and go", tenant)
	}
	return r, err
}

// change rewrites a tenant's row by fn, again when another process was faster, and has the keys read anew.
func (k *Keys) change(ctx context.Context, tenant int32, fn func(r *row, tenantKey, dataKeys *keyset.Handle) error) error {
	defer k.forget(tenant)
	for range 5 {
		r, err := k.row(ctx, tenant)
		if err == nil && r == nil {
			r, err = k.create(ctx, tenant)
		}
		if err != nil {
			return err
		}
		tenantKey, dataKeys, err := k.unwrap(ctx, r)
		if err != nil {
			return err
		}
		if err := fn(r, tenantKey, dataKeys); err != nil {
			return err
		}
		var n int64
		err = k.deps.DB.Write(scope.WithSystem(ctx), func(ctx context.Context, tx db.Tx) (err error) {
			n, err = tx.Exec(ctx, `UPDATE seal_key SET service = $3, tenant_key = $4, data_keys = $5, rotated = $6, renewed = $7, version = version + 1
WHERE tenant = $1 AND version = $2 AND destroyed = 0`, tenant, r.version, r.service, r.tenantKey, r.dataKeys, r.rotated, r.renewed)
			return err
		})
		if err != nil || n == 1 {
			return err
		}
	}
	return fault.Conflict("the keys of tenant %d are being changed by others: try again", tenant)
}

// Rotate gives the tenant (0: the system) another key and the key service another version of the one that wraps it, where it can. No data are rewritten.
func (k *Keys) Rotate(ctx context.Context, tenant int32) (err error) {
	defer fault.Op(&err, "seal.Rotate", tenant)
	if _, err := k.Of(ctx, tenant); err != nil {
		return err
	}
	if err := k.deps.Service.Rotate(ctx, keyName(tenant)); err != nil && !fault.Is(err, fault.CodeNotImplemented) && !fault.Is(err, fault.CodeNotFound) {
		return err
	}
	return k.change(ctx, tenant, func(r *row, _, dataKeys *keyset.Handle) error {
		fresh, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
		if err != nil {
			return fault.Internal("make a tenant's key").With(err)
		}
		if err := wrapDataKeys(r, fresh, dataKeys); err != nil {
			return err
		}
		r.rotated = k.deps.Clock.Now().UnixMilli()
		return k.wrapTenantKey(ctx, r, fresh)
	})
}

// Renew adds a data key, under which new values go, also in other processes after at most five minutes. What older ones sealed opens as before.
func (k *Keys) Renew(ctx context.Context, tenant int32) (err error) {
	defer fault.Op(&err, "seal.Renew", tenant)
	return k.change(ctx, tenant, func(r *row, tenantKey, dataKeys *keyset.Handle) error {
		m := keyset.NewManagerFromHandle(dataKeys)
		id, err := m.Add(aead.AES256GCMNoPrefixKeyTemplate())
		if err == nil {
			err = m.SetPrimary(id)
		}
		var h *keyset.Handle
		if err == nil {
			h, err = m.Handle()
		}
		if err != nil {
			return fault.Internal("add a data key").With(err)
		}
		r.renewed = k.deps.Clock.Now().UnixMilli()
		return wrapDataKeys(r, tenantKey, h)
	})
}

// Rewrap has the configured key service wrap what the old one wrapped, and says for how many tenants. Once it is done the old one is needed no more.
func (k *Keys) Rewrap(ctx context.Context) (n int, err error) {
	defer fault.Op(&err, "seal.Rewrap")
	rows, err := k.rows(ctx, ` WHERE destroyed = 0 ORDER BY tenant`)
	if err != nil {
		return 0, err
	}
	for _, r := range rows {
		if r.service == k.deps.Service.Name() {
			continue
		}
		if err := k.change(ctx, r.tenant, func(r *row, tenantKey, _ *keyset.Handle) error { return k.wrapTenantKey(ctx, r, tenantKey) }); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// Destroy destroys the tenant's keys for ever, in the database and in the key service where that can: nothing that was sealed with them opens again. Repeating it
// is fine. whole is false when the key service can't destroy one tenant's key, so that an older copy of the system database still holds what it opens.
func (k *Keys) Destroy(ctx context.Context, tenant int32) (whole bool, err error) {
	defer fault.Op(&err, "seal.Destroy", tenant)
	if tenant <= 0 {
		return false, fault.Invalid("only a tenant's keys can be destroyed")
	}
	defer k.forget(tenant)
	now := k.deps.Clock.Now().UnixMilli()
	err = k.deps.DB.Write(scope.WithSystem(ctx), func(ctx context.Context, tx db.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO seal_key (tenant, service, version, created, rotated, renewed, destroyed) VALUES ($1, $2, 1, $3, $3, $3, $3)
ON CONFLICT (tenant) DO UPDATE SET tenant_key = NULL, data_keys = NULL, version = seal_key.version + 1,
destroyed = CASE WHEN seal_key.destroyed = 0 THEN excluded.destroyed ELSE seal_key.destroyed END`, tenant, k.deps.Service.Name(), now)
		return err
	})
	if err != nil {
		return false, err
	}
	whole = true
	for _, service := range []kms.Driver{k.deps.Service, k.deps.Old} {
		if service == nil {
			continue
		}
		switch err := service.Destroy(ctx, keyName(tenant)); {
		case fault.Is(err, fault.CodeNotImplemented):
			whole = false
		case err != nil:
			return false, err
		}
	}
	return whole, nil
}

// State is what can be told of a tenant's keys.
type State struct {
	Tenant    int32 // 0 for the system
	Service   string
	Created   time.Time
	Rotated   time.Time // the tenant's key
	Renewed   time.Time // its newest data key
	Destroyed time.Time // zero when it is not
}

// List is the state of all tenants' keys, by number.
func (k *Keys) List(ctx context.Context) (states []State, err error) {
	defer fault.Op(&err, "seal.List")
	rows, err := k.rows(ctx, ` ORDER BY tenant`)
	for _, r := range rows {
		s := State{Tenant: r.tenant, Service: r.service, Created: at(r.created), Rotated: at(r.rotated), Renewed: at(r.renewed)}
		if r.destroyed != 0 {
			s.Destroyed = at(r.destroyed)
		}
		states = append(states, s)
	}
	return slices.Clip(states), err
}

func at(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
