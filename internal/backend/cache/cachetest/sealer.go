package cachetest

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"testing"

	"ward/internal/base/fault"
)

// Sealed is a sealer with a key of its own for each tenant, derived from a text.
type Sealed struct{ text string }

// Sealer is a sealer with keys that every test shares.
func Sealer(t testing.TB) Sealed {
	t.Helper()
	return Sealed{"shared"}
}

// SealerOf is a sealer whose keys are the text's.
func SealerOf(text string) Sealed { return Sealed{text} }

// Name as cache.Sealer.
func (s Sealed) Name(tenant int32, key []byte) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "name %s %d %s", s.text, tenant, key))
	return "ward:" + base64.RawURLEncoding.EncodeToString(sum[:])
}

func (s Sealed) aead(tenant int32) (cipher.AEAD, error) {
	key := sha256.Sum256(fmt.Appendf(nil, "key %s %d", s.text, tenant))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// Seal as cache.Sealer.
func (s Sealed) Seal(_ context.Context, tenant int32, name string, plain []byte) ([]byte, error) {
	aead, err := s.aead(tenant)
	if err != nil {
		return nil, err
	}
	return aead.Seal(nil, nil, plain, []byte(name)), nil //nolint:gosec // it draws the nonce itself
}

// Open as cache.Sealer.
func (s Sealed) Open(_ context.Context, tenant int32, name string, sealed []byte) ([]byte, error) {
	aead, err := s.aead(tenant)
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open([]byte{}, nil, sealed, []byte(name))
	if err != nil {
		return nil, fault.Unprocessable("the sealed value does not open")
	}
	return plain, nil
}
