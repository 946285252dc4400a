package records

import (
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"time"

	"ward/internal/backend/db"
)

// Op is the interaction that made a version of a resource.
type Op uint8

// The interactions that make versions. Their numbers are stored.
const (
	OpCreate Op = 1
	OpUpdate Op = 2
	OpPatch  Op = 3
	OpDelete Op = 4
)

// opAt reads a column that holds an Op.
func opAt(r db.Row, column int) Op { return Op(r.Int64(column)) } //nolint:gosec // only Ops are stored

// Version is one version of one resource as it is stored.
type Version struct {
	Type   string
	ID     string
	RID    int64 // the sequence of the resource's first version, its key in every index
	Seq    int64 // the sequence of this version; it carries the time of the write
	Number int64 // meta.versionId, from 1
	Op     Op
	JSON   []byte // compact, with id and meta; nil when the version is a deletion. Not to be changed.
}

// Deleted tells whether this version records a deletion.
func (v *Version) Deleted() bool { return v.Op == OpDelete }

// Updated is meta.lastUpdated, in UTC with milliseconds.
func (v *Version) Updated() time.Time { return seqTime(v.Seq) }

// ETag is the weak validator of this version (FHIR R4 http.html#concurrency).
func (v *Version) ETag() string { return `W/"` + strconv.FormatInt(v.Number, 10) + `"` }

// A resource's id is stored in 17 bytes when it is a UUID in its usual spelling, else as its own text after a zero
// byte. Both forms sort among themselves as their texts do.
const (
	idText byte = 0
	idUUID byte = 1
)

func encodeID(id string) []byte {
	if key, ok := encodeUUID(id); ok {
		return key
	}
	return append([]byte{idText}, id...)
}

func encodeUUID(id string) ([]byte, bool) {
	if len(id) != 36 || id[8] != '-' || id[13] != '-' || id[18] != '-' || id[23] != '-' {
		return nil, false
	}
	key := make([]byte, 1, 17)
	key[0] = idUUID
	for i := 0; i < 36; {
		if id[i] == '-' {
			i++
			continue
		}
		high, ok1 := nibble(id[i])
		low, ok2 := nibble(id[i+1])
		if !ok1 || !ok2 {
			return nil, false
		}
		key = append(key, high<<4|low)
		i += 2
	}
	return key, true
}

// nibble reads a lower-case hexadecimal digit: an upper-case UUID is another id and keeps its own text.
func nibble(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}

func decodeID(key []byte) string {
	if len(key) == 17 && key[0] == idUUID {
		var b [36]byte
		hex.Encode(b[0:8], key[1:5])
		b[8] = '-'
		hex.Encode(b[9:13], key[5:7])
		b[13] = '-'
		hex.Encode(b[14:18], key[7:9])
		b[18] = '-'
		hex.Encode(b[19:23], key[9:11])
		b[23] = '-'
		hex.Encode(b[24:36], key[11:17])
		return string(b[:])
	}
	if len(key) == 0 {
		return ""
	}
	return string(key[1:])
}

// sortableInt64 spells n in 8 bytes that sort as n does.
func sortableInt64(dst []byte, n int64) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(n)^1<<63) //nolint:gosec // the sign bit is flipped on purpose
}

func fromSortableInt64(b []byte) int64 {
	return int64(binary.BigEndian.Uint64(b) ^ 1<<63) //nolint:gosec // the sign bit is flipped back
}
