package oauth

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"

	"ward/internal/base/fault"
)

// sealer lets what goes through a browser come back unchanged, and opens private keys that were sealed before tenants had keys.
type sealer struct {
	aead cipher.AEAD
	mac  []byte
}

func newSealer(secret []byte) (sealer, error) {
	if len(secret) != 32 {
		return sealer{}, fault.Invalid("the secret of the OAuth provider has %d bytes: it needs 32", len(secret))
	}
	sealing, err := hkdf.Key(sha256.New, secret, nil, "ward oauth private keys", 32)
	if err != nil {
		return sealer{}, fault.Internal("derive a key").With(err)
	}
	mac, err := hkdf.Key(sha256.New, secret, nil, "ward oauth forms", 32)
	if err != nil {
		return sealer{}, fault.Internal("derive a key").With(err)
	}
	block, err := aes.NewCipher(sealing)
	if err != nil {
		return sealer{}, fault.Internal("make a cipher").With(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return sealer{aead, mac}, err
}

// open gives what was sealed before tenants had keys.
func (s sealer) open(sealed []byte, about string) ([]byte, error) {
	plain, err := s.aead.Open(nil, nil, sealed, []byte(about))
	if err != nil {
		return nil, fault.Internal("a sealed value can't be opened: is key.secret another one than it was?").With(err)
	}
	return plain, nil
}

// sign is a text that only the holder of the secret can make of the parts.
func (s sealer) sign(parts ...string) string {
	m := hmac.New(sha256.New, s.mac)
	for _, part := range parts {
		var length [8]byte
		for i := range length {
			length[i] = byte(uint64(len(part)) >> (8 * i)) //nolint:gosec // its bytes, one by one
		}
		m.Write(length[:])
		m.Write([]byte(part))
	}
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

func (s sealer) signed(signature string, parts ...string) bool {
	return hmac.Equal([]byte(signature), []byte(s.sign(parts...)))
}
