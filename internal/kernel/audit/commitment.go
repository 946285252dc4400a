package audit

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"strconv"
	"strings"
)

// commitmentSize is how many bytes of a commitment are kept: enough that two values don't share one.
const commitmentSize = 12

// salt is a tenant's: the same value has different commitments in two tenants, and none can be found out by trying without the
// installation's secret.
type salt []byte

func newSalt(secret []byte, tenant int32) (salt, error) {
	return hkdf.Key(sha256.New, secret, nil, "ward audit salt "+strconv.Itoa(int(tenant)), sha256.Size)
}

// commit is what is kept of a value: who knows the value can show that it was this one. about keeps the values of different parameters apart.
func (s salt) commit(about, value string) string {
	if value == "" {
		return ""
	}
	h := hmac.New(sha256.New, s)
	h.Write([]byte(about))
	h.Write([]byte{0})
	h.Write([]byte(value))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:commitmentSize])
}

// Most of what is kept of a query.
const (
	mostParameters  = 40
	mostName        = 60
	mostCountDigits = 6
)

// commitQuery replaces the values of criteria by commitments: name=~commitment. A name that is none of ours is committed to as well: it
// may be a value in the wrong place.
func (s salt) commitQuery(query string, known func(name string) bool) string {
	if query == "" {
		return ""
	}
	var b strings.Builder
	n := 0
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		if n++; n > mostParameters {
			b.WriteString("&…")
			break
		}
		name, value, _ := strings.Cut(pair, "=")
		if decoded, err := url.QueryUnescape(name); err == nil {
			name = decoded
		}
		if decoded, err := url.QueryUnescape(value); err == nil {
			value = decoded
		}
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		if name == "_cursor" {
			b.WriteString("_cursor")
			continue
		}
		if isName(name, known) {
			b.WriteString(name)
		} else {
			b.WriteString("~" + s.commit("name", name))
		}
		b.WriteByte('=')
		if name == "_count" && len(value) <= mostCountDigits && strings.Trim(value, "0123456789") == "" {
			b.WriteString(value)
		} else if value != "" {
			base, _, _ := strings.Cut(name, ":")
			b.WriteString("~" + s.commit(base, value))
		}
	}
	return b.String()
}

// isName says whether a parameter's name is one: what is none may be a value in the wrong place.
func isName(name string, known func(name string) bool) bool {
	if name == "" || len(name) > mostName {
		return false
	}
	end := len(name)
	for i := range len(name) {
		c := name[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '_' && c != '.' && c != ':' {
			return false
		}
		if (c == '.' || c == ':') && i < end {
			end = i
		}
	}
	return known != nil && known(name[:end])
}
