package search

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"math"

	"github.com/cespare/xxhash/v2"
)

// Keys preserve the order of what they stand for. The first byte of keys for dates, numbers and quantities is a class.
//
//	token      hash of the code (8) and, if there is one, of the system (4)
//	           of type: hash of type's system and code (8) and of the value (8)
//	reference  hash of "Type/id" or of the absolute URL without version (8)
//	uri        the text up to 56 bytes; longer ones 48 bytes and a hash (8)
//	string     the folded text up to 32 bytes
//	date       class 0: spans up to 32 days, class 1: longer ones; low (8), high (8) in µs
//	number     class 0: value (8); class 2: a range, low (8), high (8)
//	quantity   class 0: value as written (8), hash of the unit (4); class 1: value in the canonical unit (8), hash of
//	           the dimension (4); class 2: a range as written, low (8), high (8)
const (
	keptString = 32
	keptURI    = 56
	headURI    = 48

	classPoint     byte = 0
	classShort     byte = 0
	classCanonical byte = 1
	classLong      byte = 1
	classRange     byte = 2

	longSpan = 32 * day
)

// RefHash is the key of a reference: "Patient/1", or an absolute or canonical URL without version. It is the beginning of SHA-256, so
// that nobody can choose an id that is taken for another patient's.
func RefHash(reference string) uint64 {
	var buf [128]byte
	return refHash(append(buf[:0], reference...))
}

func refHash(reference []byte) uint64 {
	sum := sha256.Sum256(reference)
	return binary.BigEndian.Uint64(sum[:8])
}

// CodeHash is the hash of a code without regard to its case, never 0. It is what charts and token keys hold.
func CodeHash(code string) uint64 {
	var buf [64]byte
	return codeHash(append(buf[:0], code...))
}

func codeHash(code []byte) uint64 {
	var buf [64]byte
	h := xxhash.Sum64(foldCode(buf[:0], code))
	if h == 0 {
		h = 1
	}
	return h
}

func shortHash(b []byte) uint32 { return uint32(xxhash.Sum64(b)) } //nolint:gosec // the lower half on purpose

func tokenKey(dst, system, code []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, codeHash(code))
	if len(system) > 0 {
		dst = binary.BigEndian.AppendUint32(dst, shortHash(system))
	}
	return dst
}

func ofTypeKey(dst, system, code, value []byte) []byte {
	var buf [128]byte
	typ := append(append(buf[:0], system...), '|')
	dst = binary.BigEndian.AppendUint64(dst, xxhash.Sum64(foldCode(typ, code)))
	return binary.BigEndian.AppendUint64(dst, codeHash(value))
}

func uriKey(dst, uri []byte) []byte {
	if len(uri) <= keptURI {
		return append(dst, uri...)
	}
	dst = append(dst, uri[:headURI]...)
	return binary.BigEndian.AppendUint64(dst, xxhash.Sum64(uri))
}

func stringKey(dst, folded []byte) []byte {
	return append(dst, folded[:min(len(folded), keptString)]...)
}

func appendInt(dst []byte, v int64) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(v)^1<<63) //nolint:gosec // the bits on purpose
}

func intAt(b []byte) int64 {
	return int64(binary.BigEndian.Uint64(b) ^ 1<<63) //nolint:gosec // the bits on purpose
}

// appendFloat appends eight bytes in the order of the numbers, -0 as 0.
func appendFloat(dst []byte, f float64) []byte {
	bits := math.Float64bits(f + 0)
	if f == 0 {
		bits = 0
	}
	if bits>>63 == 0 {
		bits |= 1 << 63
	} else {
		bits = ^bits
	}
	return binary.BigEndian.AppendUint64(dst, bits)
}

func dateKey(dst []byte, low, high int64) []byte {
	class := classShort
	if low == openLow || high == openHigh || high-low > longSpan {
		class = classLong
	}
	return appendInt(appendInt(append(dst, class), low), high)
}

// Successor is the least key that is larger than all that begin with prefix; nil when there is none.
func Successor(prefix []byte) []byte { return successor(prefix) }

// successor is the least key that is larger than all that begin with prefix; nil when there is none.
func successor(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xff {
			s := bytes.Clone(prefix[:i+1])
			s[i]++
			return s
		}
	}
	return nil
}
