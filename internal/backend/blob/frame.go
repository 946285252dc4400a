package blob

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
	"io"
	"time"

	"ward/internal/base/fault"
)

// What is stored of a blob is a head, the content and a tail. Numbers are big-endian.
//
//	head: 8 bytes "WARDBLB1", 8 milliseconds since 1970 when it was stored, 1 length of the media type, 111 media type padded with zeros
//	tail: 8 size of the content, 32 SHA-256 of the content, 8 "WARDBEND"
const (
	headSize     = 128
	tailSize     = 48
	frameSize    = headSize + tailSize
	headMagic    = "WARDBLB1"
	tailMagic    = "WARDBEND"
	maxMediaType = headSize - 8 - 8 - 1
)

func encodeHead(i Info) []byte {
	b := make([]byte, 0, headSize)
	b = append(b, headMagic...)
	b = binary.BigEndian.AppendUint64(b, uint64(i.Stored.UnixMilli()))
	b = append(b, byte(len(i.MediaType))) //nolint:gosec // maxMediaType at most
	b = append(b, i.MediaType...)
	return b[:headSize] // make gave zeros
}

func decodeHead(b []byte, i *Info) bool {
	if len(b) != headSize || string(b[:8]) != headMagic || int(b[16]) > maxMediaType {
		return false
	}
	i.Stored = time.UnixMilli(int64(binary.BigEndian.Uint64(b[8:]))).UTC() //nolint:gosec // any time will do
	i.MediaType = string(b[17 : 17+int(b[16])])
	return true
}

func encodeTail(i Info) []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, tailSize), uint64(i.Size)) //nolint:gosec // not negative
	b = append(b, i.SHA256[:]...)
	return append(b, tailMagic...)
}

// decodeTail reads the tail of a content of i.Size bytes.
func decodeTail(b []byte, i *Info) bool {
	if len(b) != tailSize || string(b[8+sha256.Size:]) != tailMagic || binary.BigEndian.Uint64(b) != uint64(i.Size) { //nolint:gosec // not negative
		return false
	}
	i.SHA256 = [sha256.Size]byte(b[8:])
	return true
}

// errBroken is what drivers see of a stream that broke. It never is io.ErrUnexpectedEOF, which clients may take for a short last part.
var errBroken = errors.New("the stream that is being put broke")

// framing reads a blob as it is stored, while the content passes.
type framing struct {
	content  io.Reader
	hash     hash.Hash
	declared int64
	info     Info
	pending  []byte // of the head or the tail
	ended    bool   // the content
	failed   error
}

func newFraming(content io.Reader, declared int64, info Info) *framing {
	return &framing{content: content, hash: sha256.New(), declared: declared, info: info, pending: encodeHead(info)}
}

// done says whether all of it was read.
func (f *framing) done() bool { return f.ended && len(f.pending) == 0 }

func (f *framing) Read(p []byte) (int, error) {
	if f.failed != nil {
		return 0, errBroken
	}
	if len(f.pending) > 0 {
		n := copy(p, f.pending)
		f.pending = f.pending[n:]
		return n, nil
	}
	if f.ended {
		return 0, io.EOF
	}
	n, err := f.content.Read(p)
	f.hash.Write(p[:n])
	f.info.Size += int64(n)
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		f.failed = err
	case f.declared >= 0 && (f.info.Size > f.declared || err != nil && f.info.Size < f.declared):
		f.failed = fault.Invalid("the content has not the %d bytes that were announced", f.declared)
	case err != nil:
		f.ended = true
		f.hash.Sum(f.info.SHA256[:0])
		f.pending = encodeTail(f.info)
	}
	if f.failed != nil {
		return 0, errBroken
	}
	return n, nil
}

// verifying reads the content from what follows the head, and gives an error at the end of one that is not what was put.
type verifying struct {
	body io.ReadCloser
	hash hash.Hash
	info Info
	left int64
	err  error
}

func (v *verifying) Read(p []byte) (int, error) {
	if v.err != nil {
		return 0, v.err
	}
	if v.left > 0 {
		n, err := v.body.Read(p[:min(int64(len(p)), v.left)])
		v.hash.Write(p[:n])
		v.left -= int64(n)
		if err != nil && (v.left > 0 || !errors.Is(err, io.EOF)) {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				err = errDamaged(v.info.Key)
			}
			v.err = err
			return n, err
		}
		return n, nil
	}
	var tail [tailSize]byte
	_, err := io.ReadFull(v.body, tail[:])
	switch {
	case err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		v.err = err
	case err != nil || !decodeTail(tail[:], &v.info) || [sha256.Size]byte(v.hash.Sum(nil)) != v.info.SHA256:
		v.err = errDamaged(v.info.Key)
	default:
		v.err = io.EOF
	}
	return 0, v.err
}

func (v *verifying) Close() error { return v.body.Close() } //nolint:wrapcheck // the driver's own
