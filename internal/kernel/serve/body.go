package serve

import (
	"io"
	"strings"

	"ward/internal/base/fault"
	"ward/internal/kernel/audit"
)

// limitedBody lets a handler read at most its route's limit, as it streams. What is beyond answers fault.TooLarge. JSON that is nested deeper than maxDepth answers
// fault.Invalid, unless the route's parser has a bound of its own. beyond hears of either at once: a handler may give the error in words of its own.
type limitedBody struct {
	io.ReadCloser
	left, limit int64
	depth       *depth // nil: not looked at
	failed      error
	beyond      func(err error)
}

// maxDepth is how deep JSON may nest. No request of this server needs ten.
const maxDepth = 100

func (b *limitedBody) Read(p []byte) (int, error) {
	if b.failed != nil {
		return 0, b.failed
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1] // one more byte tells whether there is more
	}
	n, err := b.ReadCloser.Read(p)
	if int64(n) > b.left {
		return int(b.left), b.fail(tooLarge(b.limit))
	}
	b.left -= int64(n)
	if b.depth != nil && b.depth.beyond(p[:n]) {
		return 0, b.fail(suspicious(audit.TooMuch, fault.Invalid("arrays and objects are nested deeper than %d in the body", maxDepth)))
	}
	return n, err
}

func (b *limitedBody) fail(err error) error {
	b.failed = err
	b.beyond(err)
	return err
}

func tooLarge(limit int64) error {
	if limit >= 1<<20 {
		return fault.TooLarge("the body is larger than the %d MB that this route takes: send it in parts", limit>>20)
	}
	return fault.TooLarge("the body is larger than the %d bytes that this route takes", limit)
}

// depth follows how deep JSON nests, byte by byte.
type depth struct {
	deep             int
	quoted, backward bool // in a string; after a backslash in one
}

// beyond reads on and says whether it is too deep.
func (d *depth) beyond(p []byte) bool {
	for _, c := range p {
		switch {
		case d.backward:
			d.backward = false
		case d.quoted:
			d.backward, d.quoted = c == '\\', c != '"'
		case c == '"':
			d.quoted = true
		case c == '{', c == '[':
			if d.deep++; d.deep > maxDepth {
				return true
			}
		case c == '}', c == ']':
			d.deep--
		}
	}
	return false
}

// boundsItself says whether the records read the route's bodies: they bound how deep these nest as they parse them.
func boundsItself(permission string) bool { return strings.HasPrefix(permission, "records.") }
