package kms

import (
	"context"

	"ward/internal/base/fault"
)

// Driver is one key service. It is safe for use by many goroutines.
type Driver interface {
	// Name is kept beside what is wrapped, so that another service is not asked for it. It holds no secret.
	Name() string
	// Wrap encrypts a secret of at most MaxPlain bytes under the newest version of the key, which is made when it is not there.
	Wrap(ctx context.Context, key string, plain, associated []byte) ([]byte, error)
	// Unwrap opens what Wrap made under the key with the same associated data, whatever version of the key it was.
	Unwrap(ctx context.Context, key string, wrapped, associated []byte) ([]byte, error)
	// Rotate adds a version of the key.
	Rotate(ctx context.Context, key string) error
	// Destroy erases all versions of the key; one that is not there is fine.
	Destroy(ctx context.Context, key string) error
	// Check says whether the service works.
	Check(ctx context.Context) error
}

// MaxPlain is the most bytes that Wrap takes.
const MaxPlain = 16 << 10

// CheckKey returns fault.Invalid for what can't be a key's name: 1 to 64 of a-z, 0-9 and -.
func CheckKey(key string) error {
	if key == "" || len(key) > 64 {
		return fault.Invalid("a key's name has 1 to 64 characters")
	}
	for i := range len(key) {
		if c := key[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return fault.Invalid("a key's name is made of a-z, 0-9 and -")
		}
	}
	return nil
}

// CheckPlain returns fault.Invalid for a secret that is empty or too long.
func CheckPlain(plain []byte) error {
	if len(plain) == 0 || len(plain) > MaxPlain {
		return fault.Invalid("a secret to wrap has 1 to %d bytes", MaxPlain)
	}
	return nil
}
