package serve

import (
	"net/http"
	"strings"

	"ward/internal/base/fault"
)

// maxURL is the longest request target, in bytes, that is looked at. Longer searches go by POST to _search.
const maxURL = 8 << 10

// maxHeader is the largest header, in bytes of names and values, that is looked at. Up to maxRead it is read to be refused in the words of who asks; beyond,
// net/http refuses it in its own, also with 431.
const (
	maxHeader = 64 << 10
	maxRead   = 256 << 10
)

// guard refuses headers and URLs that are too large, and request targets that could mean two things to two readers: dot segments, encoded or empty segments,
// backslashes and control characters.
func guard(r *http.Request) error {
	if len(r.RequestURI) > maxURL {
		return fault.TooLong("the URL is longer than %d bytes: send a long search by POST to _search", maxURL)
	}
	size := 0
	for name, values := range r.Header {
		for _, v := range values {
			size += len(name) + len(v)
		}
	}
	if size > maxHeader {
		return fault.HeaderTooLarge("the header is larger than %d KB", maxHeader>>10)
	}
	p := r.URL.Path
	if p == "" || p[0] != '/' {
		return fault.Invalid("the path must begin with /")
	}
	start := 1
	for i := 1; i <= len(p); i++ {
		if i < len(p) && p[i] != '/' {
			if c := p[i]; c < ' ' || c == 0x7f || c == '\\' {
				return fault.Invalid("the path holds a character that no path of this server has")
			}
			continue
		}
		switch segment := p[start:i]; {
		case segment == "." || segment == "..":
			return fault.Invalid("the path holds a dot segment: write the path it means")
		case segment == "" && i < len(p):
			return fault.Invalid("the path holds an empty segment")
		}
		start = i + 1
	}
	// RawPath is set only when the path was written in another way than its own encoding.
	if raw := r.URL.RawPath; raw != "" {
		if i := strings.IndexByte(raw, '%'); i >= 0 {
			lower := strings.ToLower(raw[i:])
			if strings.Contains(lower, "%2f") || strings.Contains(lower, "%5c") || strings.Contains(lower, "%2e") || strings.Contains(lower, "%25") {
				return fault.Invalid("the path holds an encoded separator")
			}
		}
	}
	return nil
}
