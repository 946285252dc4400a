package identity

import (
	"crypto/rand"
	"hash/crc32"
	"strings"

	"ward/internal/base/fault"
)

const (
	prefix      = "ward_"
	systemSlug  = "system" // in tokens of operators; no tenant may have it
	secretSize  = 43       // of 62 characters: 256 bits
	sumSize     = 6
	base62      = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	maxSize     = 128
	unbiasedTop = 256 - 256%len(base62)
)

// mint is a new token for the tenant's slug.
func mint(slug string) string {
	var b strings.Builder
	b.WriteString(prefix + slug + "_")
	var random [64]byte
	for n := 0; n < secretSize; {
		_, _ = rand.Read(random[:]) // never fails: crypto/rand ends the program instead
		for _, c := range random {
			if int(c) < unbiasedTop && n < secretSize {
				b.WriteByte(base62[int(c)%len(base62)])
				n++
			}
		}
	}
	sum := checksum(b.String())
	b.Write(sum[:])
	return b.String()
}

// wellFormed says whether the text can be a token at all.
func wellFormed(token string) bool {
	if len(token) > maxSize || !strings.HasPrefix(token, prefix) {
		return false
	}
	rest := token[len(prefix):]
	i := strings.IndexByte(rest, '_')
	if i < 1 || len(rest)-i-1 != secretSize+sumSize {
		return false
	}
	sum := checksum(token[:len(token)-sumSize])
	return token[len(token)-sumSize:] == string(sum[:])
}

// checksum finds typing errors. It is no secret.
func checksum(s string) (out [sumSize]byte) {
	n := crc32.ChecksumIEEE([]byte(s))
	for i := range out {
		out[sumSize-1-i] = base62[n%uint32(len(base62))]
		n /= uint32(len(base62))
	}
	return out
}

func notGood() error {
	return fault.Unauthenticated("the token is not good: it is mistyped, expired, revoked or was never given")
}
