// Package sealed encrypts what another blob driver keeps, under keys of the scope's tenant. It is a driver itself: offsets and sizes are those of
// what was put.
//
// What is kept is a head, then segments of 64 KB, each with AES-GCM under a key that is derived for this put, so that a span is read without what is before
// it and no two puts share a nonce. A segment's nonce holds its number and whether it is the last, and all are bound to the name: one that was changed, moved,
// left out or cut off does not open, and is fault.Internal.
//
// A read from the beginning is one request; one from elsewhere two, the first for the head.
package sealed

import (
	"context"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"iter"

	"ward/internal/backend/blob"
	"ward/internal/base/fault"
)

// Keys gives the cipher of one stream, under the key of the scope's tenant with that number (0: the newest) and the stream's salt; used is the number.
type Keys interface {
	Stream(ctx context.Context, number uint32, salt []byte) (aead cipher.AEAD, used uint32, err error)
}

// Driver is a blob.Driver over another.
type Driver struct {
	inner blob.Driver
	keys  Keys
}

// New is a driver that keeps in inner what it sealed with keys.
func New(inner blob.Driver, keys Keys) *Driver { return &Driver{inner, keys} }

const (
	magic    = "WARDSEA1"
	saltSize = 16
	headSize = len(magic) + 4 + saltSize // magic, number of the key, salt
	segment  = 64 << 10
	tagSize  = 16
	stored   = segment + tagSize // bytes of a whole segment as it is kept
	tries    = 5                 // of a span whose blob is replaced meanwhile
)

// segments is how many n bytes make: one for none, too.
func segments(n int64) int64 { return max(1, (n+segment-1)/segment) }

func sealedSize(n int64) int64 { return int64(headSize) + n + segments(n)*tagSize }

// plainSize is of what is kept in total bytes; false when nothing is.
func plainSize(total int64) (int64, bool) {
	body := total - int64(headSize)
	if body < tagSize {
		return 0, false
	}
	n := body - (body+stored-1)/stored*tagSize
	return n, n >= 0 && sealedSize(n) == total
}

// stream is the cipher of one blob.
type stream struct {
	aead cipher.AEAD
	name []byte
}

func (s *stream) nonce(number int64, last bool) []byte {
	nonce := make([]byte, s.aead.NonceSize())
	binary.BigEndian.PutUint64(nonce, uint64(number)) //nolint:gosec // not negative
	if last {
		nonce[len(nonce)-1] = 1
	}
	return nonce
}

// Put as blob.Driver.
func (d *Driver) Put(ctx context.Context, name string, r io.Reader, size int64) error {
	head := make([]byte, headSize)
	salt := head[headSize-saltSize:]
	_, _ = rand.Read(salt) // crypto/rand never fails since Go 1.24
	aead, number, err := d.keys.Stream(ctx, 0, salt)
	if err != nil {
		return err
	}
	copy(head, magic)
	binary.BigEndian.PutUint32(head[len(magic):], number)
	if size >= 0 {
		size = sealedSize(size)
	}
	return d.inner.Put(ctx, name, &sealing{content: r, stream: stream{aead, []byte(name)}, pending: head}, size)
}

// sealing reads content as it is kept.
type sealing struct {
	content io.Reader
	stream
	number  int64
	plain   []byte // of the next segment
	begun   bool
	ended   bool
	pending []byte
	room    []byte
	err     error
}

func (s *sealing) Read(p []byte) (int, error) {
	for len(s.pending) == 0 {
		if s.err != nil {
			return 0, s.err
		}
		s.err = s.next()
	}
	n := copy(p, s.pending)
	s.pending = s.pending[n:]
	return n, nil
}

// next seals one segment; it reads one ahead, to know the last.
func (s *sealing) next() (err error) {
	if s.ended {
		return io.EOF
	}
	if !s.begun {
		s.begun = true
		if s.plain, err = s.read(); err != nil {
			return err
		}
	}
	ahead, err := s.read()
	if err != nil {
		return err
	}
	s.ended = len(ahead) == 0
	s.room = s.aead.Seal(s.room[:0], s.nonce(s.number, s.ended), s.plain, s.name) //nolint:gosec // the number makes it another each time
	s.pending, s.plain = s.room, ahead
	s.number++
	return nil
}

// read gives up to a segment of the content, less only at its end.
func (s *sealing) read() ([]byte, error) {
	b := make([]byte, segment)
	n := 0
	for n < len(b) {
		m, err := s.content.Read(b[n:])
		n += m
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err //nolint:wrapcheck // the caller's own
		}
	}
	return b[:n], nil
}

// Open as blob.Driver.
func (d *Driver) Open(ctx context.Context, name string, want blob.Span) (blob.Opened, error) {
	for try := 1; ; try++ {
		o, err := d.open(ctx, name, want)
		if fault.Is(err, fault.CodePrecondition) && want.Version == "" && try < tries {
			continue // replaced between the head and the segments
		}
		return o, err
	}
}

func (d *Driver) open(ctx context.Context, name string, want blob.Span) (o blob.Opened, err error) {
	first := blob.Span{Length: int64(headSize), Version: want.Version}
	if want.Offset == 0 {
		first.Length = want.Length
		if want.Length >= 0 {
			first.Length = int64(headSize) + segments(want.Length)*stored
		}
	}
	o, err = d.inner.Open(ctx, name, first)
	if err != nil {
		return blob.Opened{}, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, o.Body.Close())
			o = blob.Opened{}
		}
	}()
	s, err := d.stream(ctx, name, o.Body)
	if err != nil {
		return o, err
	}
	size, ok := plainSize(o.Total)
	if !ok {
		return o, errDamaged()
	}
	offset := want.Offset
	if offset < 0 {
		offset = max(0, size+offset)
	}
	length := max(0, size-offset)
	if want.Length >= 0 {
		length = min(length, want.Length)
	}
	r := &opening{stream: s, body: o.Body, skip: offset % segment, left: length, number: offset / segment, size: size, whole: want.Offset == 0}
	if length > 0 && want.Offset != 0 {
		end := segments(offset + length)
		if err := o.Body.Close(); err != nil {
			return o, err //nolint:wrapcheck // the driver's own
		}
		again, err := d.inner.Open(ctx, name, blob.Span{Offset: int64(headSize) + r.number*stored, Length: (end - r.number) * stored, Version: o.Version})
		if err != nil {
			o.Body = io.NopCloser(nil)
			return o, err
		}
		o.Body, r.body = again.Body, again.Body
	}
	return blob.Opened{Body: r, Total: size, Version: o.Version}, nil
}

// stream reads the head.
func (d *Driver) stream(ctx context.Context, name string, r io.Reader) (stream, error) {
	head := make([]byte, headSize)
	if _, err := io.ReadFull(r, head); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errDamaged()
		}
		return stream{}, err
	}
	if string(head[:len(magic)]) != magic {
		return stream{}, errDamaged()
	}
	aead, _, err := d.keys.Stream(ctx, binary.BigEndian.Uint32(head[len(magic):]), head[headSize-saltSize:])
	if fault.Is(err, fault.CodeUnprocessable) {
		err = fault.Internal("a blob is sealed under a key that its tenant does not have").With(err)
	}
	return stream{aead, []byte(name)}, err
}

func errDamaged() error { return fault.Internal("a blob is damaged, or is not what it is taken for") }

// opening reads a span of the content.
type opening struct {
	stream
	body   io.ReadCloser
	skip   int64 // bytes of the next segment
	left   int64 // bytes of the span
	number int64 // of the next segment
	size   int64 // of the content
	whole  bool  // from the beginning
	plain  []byte
	room   []byte
	err    error
}

func (o *opening) Read(p []byte) (int, error) {
	for len(o.plain) == 0 {
		if o.err == nil && o.left == 0 {
			o.err = o.atEnd()
		}
		if o.err != nil {
			return 0, o.err
		}
		o.err = o.next()
	}
	n := copy(p, o.plain)
	o.plain = o.plain[n:]
	return n, nil
}

// atEnd verifies a blob without content, which has a segment nevertheless.
func (o *opening) atEnd() error {
	if o.size == 0 && o.number == 0 && o.whole {
		if err := o.next(); err != nil {
			return err
		}
	}
	return io.EOF
}

func (o *opening) next() error {
	count := segments(o.size)
	here := min(segment, o.size-o.number*segment)
	if o.room == nil {
		o.room = make([]byte, min(stored, o.size+tagSize))
	}
	sealed := o.room[:here+tagSize]
	if _, err := io.ReadFull(o.body, sealed); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return errDamaged()
		}
		return err //nolint:wrapcheck // the driver's own
	}
	plain, err := o.aead.Open(sealed[:0], o.nonce(o.number, o.number == count-1), sealed, o.name)
	if err != nil {
		return errDamaged()
	}
	o.number++
	plain = plain[o.skip:]
	o.skip = 0
	plain = plain[:min(int64(len(plain)), o.left)]
	o.left -= int64(len(plain))
	o.plain = plain
	return nil
}

func (o *opening) Close() error { return o.body.Close() } //nolint:wrapcheck // the driver's own

// Delete as blob.Driver.
func (d *Driver) Delete(ctx context.Context, name string) error { return d.inner.Delete(ctx, name) }

// List as blob.Driver.
func (d *Driver) List(ctx context.Context, prefix, after string) iter.Seq2[blob.Entry, error] {
	return func(yield func(blob.Entry, error) bool) {
		for e, err := range d.inner.List(ctx, prefix, after) {
			if err == nil {
				e.Size, _ = plainSize(e.Size) // 0 for what is damaged
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// Check as blob.Driver.
func (d *Driver) Check(ctx context.Context) error { return d.inner.Check(ctx) }
