package seal

import (
	"bytes"
	"context"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
)

// Portable is a tenant's data keys as they leave with its archive: in the clear, so it is never kept but in what is encrypted itself.
type Portable struct {
	Bound int32  `json:"bound"` // number of the tenant that sealed values are bound to
	Keys  []byte `json:"keys"`  // tink keyset
}

// Take gives the tenant's data keys. Errors are those of [Keys.Of].
func (k *Keys) Take(ctx context.Context, tenant int32) (p Portable, err error) {
	defer fault.Op(&err, "seal.Take", tenant)
	if _, err := k.Of(ctx, tenant); err != nil { // it has some now
		return p, err
	}
	r, err := k.row(ctx, tenant)
	if err != nil {
		return p, err
	}
	_, dataKeys, err := k.unwrap(ctx, r)
	if err != nil {
		return p, err
	}
	var b bytes.Buffer
	if err := insecurecleartextkeyset.Write(dataKeys, keyset.NewBinaryWriter(&b)); err != nil {
		return p, fault.Internal("data keys can't be written").With(err)
	}
	p = Portable{Bound: r.bound, Keys: b.Bytes()}
	if p.Bound == 0 {
		p.Bound = tenant
	}
	return p, nil
}

// Give gives a tenant that has no keys yet those of an archive, wrapped by a new key of its own.
//
// Errors: Conflict when it has keys, Unprocessable when these are none.
func (k *Keys) Give(ctx context.Context, tenant int32, p Portable) (err error) {
	defer fault.Op(&err, "seal.Give", tenant)
	if tenant <= 0 || p.Bound <= 0 {
		return fault.Unprocessable("keys for no tenant")
	}
	dataKeys, err := insecurecleartextkeyset.Read(keyset.NewBinaryReader(bytes.NewReader(p.Keys)))
	if err == nil {
		_, err = newKey(p.Bound, dataKeys)
	}
	if err != nil {
		return fault.Unprocessable("that are no data keys").With(err)
	}
	now := k.deps.Clock.Now().UnixMilli()
	r := &row{tenant: tenant}
	tenantKey, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return fault.Internal("make a tenant's key").With(err)
	}
	if err := wrapDataKeys(r, tenantKey, dataKeys); err != nil {
		return err
	}
	if err := k.wrapTenantKey(ctx, r, tenantKey); err != nil {
		return err
	}
	defer k.forget(tenant)
	return k.deps.DB.Write(scope.WithSystem(ctx), func(ctx context.Context, tx db.Tx) error {
		n, err := tx.Exec(ctx, `INSERT INTO seal_key (tenant, service, tenant_key, data_keys, version, created, rotated, renewed, destroyed, bound)
VALUES ($1, $2, $3, $4, 1, $5, $5, $5, 0, $6) ON CONFLICT (tenant) DO NOTHING`, tenant, r.service, r.tenantKey, r.dataKeys, now, p.Bound)
		if err == nil && n == 0 {
			err = fault.Conflict("the tenant has keys already")
		}
		return err
	})
}
