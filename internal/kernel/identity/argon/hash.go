package argon

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"

	"ward/internal/base/fault"
)

// Params are what a hash costs.
type Params struct {
	Memory  uint32 // KiB
	Time    uint32 // passes
	Threads uint8
}

// Default is OWASP's minimum (Password Storage Cheat Sheet): 19 MiB, two passes, one thread.
func Default() Params { return Params{Memory: 19 * 1024, Time: 2, Threads: 1} }

const (
	saltSize = 16
	keySize  = 32
	// What a stored hash may ask for at most: nobody but this program writes them, and it must not be made to take all memory.
	mostMemory, mostTime, mostThreads = 1 << 20, 16, 16
)

// Hash is a password's hash.
type Hash struct {
	Params
	salt, key []byte
}

// Parse reads a hash in PHC form. It returns fault.Internal for anything else.
func Parse(phc string) (Hash, error) {
	var h Hash
	var version int
	parts := strings.Split(phc, "$")
	wrong := fault.Internal("a stored password hash can't be read")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" {
		return h, wrong
	}
	if _, err := fmt.Sscanf(parts[2]+" "+parts[3], "v=%d m=%d,t=%d,p=%d", &version, &h.Memory, &h.Time, &h.Threads); err != nil || version != argon2.Version {
		return h, wrong
	}
	if h.Memory < 8 || h.Memory > mostMemory || h.Time < 1 || h.Time > mostTime || h.Threads < 1 || h.Threads > mostThreads {
		return h, wrong
	}
	var err error
	if h.salt, err = base64.RawStdEncoding.DecodeString(parts[4]); err != nil || len(h.salt) < 8 || len(h.salt) > 64 {
		return h, wrong
	}
	if h.key, err = base64.RawStdEncoding.DecodeString(parts[5]); err != nil || len(h.key) != keySize {
		return h, wrong
	}
	return h, nil
}

// String is the hash in PHC form.
func (h Hash) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.Memory, h.Time, h.Threads,
		base64.RawStdEncoding.EncodeToString(h.salt), base64.RawStdEncoding.EncodeToString(h.key))
}

// Stale says whether the hash was made with less than the parameters.
func (h Hash) Stale(p Params) bool {
	return h.Memory < p.Memory || h.Time < p.Time
}

// fresh is a hash to be computed.
func fresh(p Params) Hash {
	h := Hash{Params: p, salt: make([]byte, saltSize)}
	_, _ = rand.Read(h.salt) // never fails: crypto/rand ends the program instead
	return h
}

// derive computes the key in this process.
func (h Hash) derive(password string) []byte {
	return argon2.IDKey([]byte(password), h.salt, h.Time, h.Memory, h.Threads, keySize)
}

func (h Hash) equal(key []byte) bool { return subtle.ConstantTimeCompare(h.key, key) == 1 }
