// Package secret derives keys from one secret that all processes share, for those who keep no key service: nothing to store, nothing to share. One key
// alone can be neither rotated nor destroyed: what was wrapped stays readable to who has the secret and the wrapped key.
package secret

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"

	"ward/internal/backend/kms"
	"ward/internal/base/fault"
)

// Driver wraps under keys derived from a secret by HKDF-SHA-256.
type Driver struct {
	secret []byte
	name   string
}

const format = 1

// New takes a secret of at least 32 random bytes.
//
// Errors: Invalid for a shorter one.
func New(secret []byte) (*Driver, error) {
	if len(secret) < kms.KeySize {
		return nil, fault.Invalid("the secret of keys has %d bytes: give 32 random ones", len(secret))
	}
	d := &Driver{secret: secret}
	mark, err := d.key("ward kms name")
	if err != nil {
		return nil, err
	}
	d.name = "secret:" + hex.EncodeToString(mark[:4])
	return d, nil
}

func (d *Driver) key(purpose string) ([]byte, error) {
	k, err := hkdf.Key(sha256.New, d.secret, nil, purpose, kms.KeySize)
	if err != nil {
		return nil, fault.Internal("derive a key").With(err)
	}
	return k, nil
}

// Name tells secrets apart without telling them.
func (d *Driver) Name() string { return d.name }

// Wrap as kms.Driver.
func (d *Driver) Wrap(_ context.Context, key string, plain, associated []byte) ([]byte, error) {
	if err := kms.CheckKey(key); err != nil {
		return nil, err
	}
	if err := kms.CheckPlain(plain); err != nil {
		return nil, err
	}
	k, err := d.key("ward kms key " + key)
	if err != nil {
		return nil, err
	}
	return kms.Box([]byte{format}, k, plain, associated)
}

// Unwrap as kms.Driver.
func (d *Driver) Unwrap(_ context.Context, key string, wrapped, associated []byte) ([]byte, error) {
	if err := kms.CheckKey(key); err != nil {
		return nil, err
	}
	if len(wrapped) < 1 || wrapped[0] != format {
		return nil, fault.Unprocessable("not a wrapped key")
	}
	k, err := d.key("ward kms key " + key)
	if err != nil {
		return nil, err
	}
	return kms.Unbox(k, wrapped[1:], associated)
}

// Rotate is NotImplemented.
func (d *Driver) Rotate(context.Context, string) error {
	return fault.NotImplemented("keys derived from key.secret can't be rotated one by one: set seal.kms to another key service, seal.old to the present one, and run `ward seal rewrap`")
}

// Destroy is NotImplemented.
func (d *Driver) Destroy(context.Context, string) error {
	return fault.NotImplemented("keys derived from key.secret can't be destroyed one by one")
}

// Check as kms.Driver.
func (d *Driver) Check(context.Context) error { return nil }
