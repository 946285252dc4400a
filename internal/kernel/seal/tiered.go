package seal

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
)

// Tiered seals what a cache's second tier keeps, each value under its tenant's key, for backend/cache.
type Tiered struct {
	keys   *Keys
	secret []byte
}

// NewTiered takes the secret of the names, the same in all processes.
func NewTiered(keys *Keys, secret []byte) *Tiered { return &Tiered{keys, secret} }

// Name is a keyed hash (HMAC-SHA-256) of the tenant and the key.
func (t *Tiered) Name(tenant int32, key []byte) string {
	h := hmac.New(sha256.New, t.secret)
	var number [4]byte
	binary.BigEndian.PutUint32(number[:], uint32(tenant)) //nolint:gosec // the bits on purpose
	h.Write(number[:])
	h.Write(key)
	return "ward:" + base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// Seal encrypts plain for a name, under the tenant's key.
func (t *Tiered) Seal(ctx context.Context, tenant int32, name string, plain []byte) ([]byte, error) {
	key, err := t.keys.Of(ctx, tenant)
	if err != nil {
		return nil, err
	}
	return key.Seal(make([]byte, 0, len(plain)+Overhead), plain, []byte("cache/"+name)), nil
}

// Open decrypts what Seal made for the tenant and name.
func (t *Tiered) Open(ctx context.Context, tenant int32, name string, sealed []byte) ([]byte, error) {
	key, err := t.keys.Of(ctx, tenant)
	if err != nil {
		return nil, err
	}
	return key.Open([]byte{}, sealed, []byte("cache/"+name))
}
