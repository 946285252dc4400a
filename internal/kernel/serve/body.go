package serve

import (
	"io"

	"ward/internal/base/fault"
)

// limitedBody lets a handler read at most its route's limit, as it streams. What is beyond answers fault.TooLarge.
type limitedBody struct {
	io.ReadCloser
	left, limit int64
}

func (b *limitedBody) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, tooLarge(b.limit)
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1] // one more byte tells whether there is more
	}
	n, err := b.ReadCloser.Read(p)
	if int64(n) <= b.left {
		b.left -= int64(n)
		return n, err
	}
	n = int(b.left)
	b.left = -1
	return n, tooLarge(b.limit)
}

func tooLarge(limit int64) error {
	if limit >= 1<<20 {
		return fault.TooLarge("the body is larger than the %d MB that this route takes: send it in parts", limit>>20)
	}
	return fault.TooLarge("the body is larger than the %d bytes that this route takes", limit)
}
