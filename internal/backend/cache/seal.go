package cache

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"sync"

	"ward/internal/base/fault"
)

// AESGCM seals with AES-256-GCM under keys derived from a configured one. Every process derives a key of its own by a random salt, and
// another one after 2^30 values, so that random nonces stay far from repeating (NIST SP 800-38D §8.3).
//
// A sealed value is: 1 byte format, 16 salt, 12 nonce, ciphertext, 16 tag. The name is authenticated with it.
type AESGCM struct {
	keys  [][]byte // the first seals, all open
	names []byte   // key of the names, derived from the first

	mu    sync.Mutex
	salt  [saltSize]byte
	used  int
	ready map[derived]cipher.AEAD
}

type derived struct {
	key  int
	salt [saltSize]byte
}

const (
	sealFormat   = 1
	saltSize     = 16
	perSalt      = 1 << 30 // values
	derivedLimit = 1024    // derived keys kept
)

// NewAESGCM makes a sealer. Every key has 32 bytes; the first seals, the others still open what was sealed before a rotation.
//
// Errors: Invalid when a key has another length.
func NewAESGCM(keys ...[]byte) (*AESGCM, error) {
	if len(keys) == 0 {
		return nil, fault.Invalid("sealing needs a key of 32 bytes")
	}
	for i, k := range keys {
		if len(k) != 32 {
			return nil, fault.Invalid("sealing key %d has %d bytes: give 32 random ones", i+1, len(k))
		}
	}
	names, err := hkdf.Key(sha256.New, keys[0], nil, "ward cache names", 32)
	if err != nil {
		return nil, fault.Internal("derive a sealing key").With(err)
	}
	s := &AESGCM{keys: keys, names: names, ready: map[derived]cipher.AEAD{}}
	_, _ = rand.Read(s.salt[:]) // crypto/rand never fails since Go 1.24
	return s, nil
}

// Name is a keyed hash (HMAC-SHA-256) of the tenant and the key.
func (s *AESGCM) Name(tenant int32, key []byte) string {
	h := hmac.New(sha256.New, s.names)
	var t [4]byte
	binary.BigEndian.PutUint32(t[:], uint32(tenant)) //nolint:gosec // same bits
	h.Write(t[:])
	h.Write(key)
	return "ward:" + base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// Seal encrypts plain for name.
func (s *AESGCM) Seal(_ context.Context, name string, plain []byte) ([]byte, error) {
	s.mu.Lock()
	if s.used++; s.used > perSalt {
		s.used = 1
		_, _ = rand.Read(s.salt[:])
	}
	salt := s.salt
	aead, err := s.derive(derived{0, salt})
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	sealed := make([]byte, 1+saltSize, 1+saltSize+len(plain)+aead.Overhead())
	sealed[0] = sealFormat
	copy(sealed[1:], salt[:])
	return aead.Seal(sealed, nil, plain, []byte(name)), nil //nolint:gosec // it draws the nonce itself
}

// Open decrypts what Seal made for name.
//
// Errors: Unprocessable when sealed was made for another name, by another key, or was changed.
func (s *AESGCM) Open(_ context.Context, name string, sealed []byte) ([]byte, error) {
	if len(sealed) < 1+saltSize || sealed[0] != sealFormat {
		return nil, fault.Unprocessable("not a sealed value")
	}
	d := derived{salt: [saltSize]byte(sealed[1 : 1+saltSize])}
	for d.key = range s.keys {
		s.mu.Lock()
		aead, err := s.derive(d)
		s.mu.Unlock()
		if err != nil {
			return nil, err
		}
		if plain, err := aead.Open(nil, nil, sealed[1+saltSize:], []byte(name)); err == nil {
			if plain == nil {
				plain = []byte{}
			}
			return plain, nil
		}
	}
	return nil, fault.Unprocessable("the sealed value does not open under any key")
}

func (s *AESGCM) derive(d derived) (cipher.AEAD, error) {
	if aead, ok := s.ready[d]; ok {
		return aead, nil
	}
	key, err := hkdf.Key(sha256.New, s.keys[d.key], d.salt[:], "ward cache", 32)
	if err != nil {
		return nil, fault.Internal("derive a sealing key").With(err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fault.Internal("make a cipher").With(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fault.Internal("make a cipher").With(err)
	}
	if len(s.ready) >= derivedLimit {
		clear(s.ready)
	}
	s.ready[d] = aead
	return aead, nil
}
