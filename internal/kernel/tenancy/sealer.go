package tenancy

import (
	"context"
	"crypto/aes"
	"crypto/cipher"

	"ward/internal/base/fault"
)

// AESGCM is a Sealer under one key, which all processes have.
type AESGCM struct{ aead cipher.AEAD }

// NewAESGCM is a sealer under a key of 32 bytes. It returns fault.Invalid for one of another length.
func NewAESGCM(key []byte) (*AESGCM, error) {
	if len(key) != 32 {
		return nil, fault.Invalid("the directory's key has %d bytes: it needs 32", len(key))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fault.Internal("make a cipher").With(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fault.Internal("make a cipher").With(err)
	}
	return &AESGCM{aead}, nil
}

// Seal encrypts plain, bound to the name.
func (s *AESGCM) Seal(_ context.Context, name string, plain []byte) ([]byte, error) {
	return s.aead.Seal(nil, nil, plain, []byte(name)), nil //nolint:gosec // the cipher draws and prepends a random nonce
}

// Open decrypts what Seal made for the name. It returns fault.Unprocessable for anything else.
func (s *AESGCM) Open(_ context.Context, name string, sealed []byte) ([]byte, error) {
	plain, err := s.aead.Open(nil, nil, sealed, []byte(name))
	if err != nil {
		return nil, fault.Unprocessable("it does not open under this key").With(err)
	}
	return plain, nil
}
