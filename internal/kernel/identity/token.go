package identity

import (
	"crypto/rand"
	"hash/crc32"
	"strings"

	"ward/internal/base/fault"
)

const (
	prefix      = "ward_"  // of the tokens in identity_token
	systemSlug  = "system" // in tokens of operators; no tenant may have it
	secretSize  = 43       // of 62 characters: 256 bits
	sumSize     = 6
	base62      = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	maxSize     = 128
	unbiasedTop = 256 - 256%len(base62)
)

// Mint is a new secret of the kind that the prefix names, such as "ward_", for the tenant's slug: 256 random bits and a checksum.
func Mint(prefix, slug string) string {
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

// Slug is the tenant's slug in a secret that [Mint] may have made; false when it can't be one of that kind.
func Slug(prefix, token string) (string, bool) {
	if len(token) > maxSize || !strings.HasPrefix(token, prefix) {
		return "", false
	}
	rest := token[len(prefix):]
	i := strings.IndexByte(rest, '_')
	if i < 1 || len(rest)-i-1 != secretSize+sumSize {
		return "", false
	}
	sum := checksum(token[:len(token)-sumSize])
	return rest[:i], token[len(token)-sumSize:] == string(sum[:])
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

// NotGood is the fault for every token that is refused: it does not say why.
func NotGood() error {
	return fault.Unauthenticated("the token is not good: it is mistyped, expired, revoked or was never given")
}
