package kms

import (
	"crypto/aes"
	"crypto/cipher"

	"ward/internal/base/fault"
)

// KeySize is the length in bytes of the keys of Box.
const KeySize = 32

// Box encrypts plain with AES-256-GCM under a key of KeySize bytes, for drivers that hold their keys themselves: a random nonce, the ciphertext, the tag.
func Box(dst, key, plain, associated []byte) ([]byte, error) {
	aead, err := box(key)
	if err != nil {
		return nil, err
	}
	return aead.Seal(dst, nil, plain, associated), nil //nolint:gosec // it draws the nonce itself
}

// Unbox opens what Box made.
//
// Errors: Unprocessable when it was made under another key or with other associated data, or was changed.
func Unbox(key, boxed, associated []byte) ([]byte, error) {
	aead, err := box(key)
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, nil, boxed, associated)
	if err != nil {
		return nil, fault.Unprocessable("a wrapped key does not open")
	}
	return plain, nil
}

func box(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fault.Internal("a key of another length").With(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fault.Internal("make a cipher").With(err)
	}
	return aead, nil
}
