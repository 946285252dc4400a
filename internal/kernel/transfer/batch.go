package transfer

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"math"
	"strconv"
	"strings"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
)

// Batch is rows of a table, by columns.
type Batch struct {
	Table *Table
	Rows  int
	bytes int
	cols  []vector
}

// vector is the values of one column.
type vector struct {
	ints   []int64 // of Int and Bool
	floats []float64
	texts  []string
	blobs  [][]byte
	null   []bool // nil when no value is
}

func newBatch(t *Table) *Batch { return &Batch{Table: t, cols: make([]vector, len(t.Columns))} }

// add takes over a row whose columns are those of the table, from the column first on.
func (b *Batch) add(r db.Row, first int) {
	for i, c := range b.Table.Columns {
		v, at := &b.cols[i], i+first
		null := r.IsNull(at)
		switch c.Kind {
		case Int, Bool:
			v.ints = append(v.ints, integer(r, at, c.Kind, null))
			b.bytes += 8
		case Float:
			v.floats = append(v.floats, r.Float64(at))
			b.bytes += 8
		case Text:
			s := r.Text(at)
			v.texts = append(v.texts, s)
			b.bytes += len(s)
		case Bytes:
			var p []byte
			if !null {
				p = append([]byte{}, r.Bytes(at)...)
			}
			v.blobs = append(v.blobs, p)
			b.bytes += len(p)
		}
		b.mark(v, null)
	}
	b.Rows++
}

func integer(r db.Row, at int, k Kind, null bool) int64 {
	switch {
	case null:
		return 0
	case k == Bool && r.Bool(at):
		return 1
	case k == Bool:
		return 0
	default:
		return r.Int64(at)
	}
}

// mark notes whether the value that was just added is NULL; b.Rows is still the number before it.
func (b *Batch) mark(v *vector, null bool) {
	if null && v.null == nil {
		v.null = make([]bool, b.Rows)
	}
	if v.null != nil {
		v.null = append(v.null, null)
	}
}

func (v *vector) isNull(i int) bool { return v.null != nil && v.null[i] }

// The tags of values in a row's encoding.
const (
	tagNull byte = iota
	tagInt
	tagFloat
	tagText
	tagBytes
)

// appendRow appends the row's encoding: for each column, in the order of the names, a tag and the value. It is the same on all databases.
func (b *Batch) appendRow(dst []byte, row int) []byte {
	for i, c := range b.Table.Columns {
		v := &b.cols[i]
		if v.isNull(row) {
			dst = append(dst, tagNull)
			continue
		}
		switch c.Kind {
		case Int, Bool:
			dst = binary.BigEndian.AppendUint64(append(dst, tagInt), uint64(v.ints[row])) //nolint:gosec // same bits
		case Float:
			dst = binary.BigEndian.AppendUint64(append(dst, tagFloat), math.Float64bits(v.floats[row]))
		case Text:
			dst = binary.AppendUvarint(append(dst, tagText), uint64(len(v.texts[row])))
			dst = append(dst, v.texts[row]...)
		case Bytes:
			dst = binary.AppendUvarint(append(dst, tagBytes), uint64(len(v.blobs[row])))
			dst = append(dst, v.blobs[row]...)
		}
	}
	return dst
}

// readRow adds the row that begins src and gives what follows it.
func (b *Batch) readRow(src []byte) ([]byte, error) {
	for i, c := range b.Table.Columns {
		if len(src) == 0 {
			return nil, errRow(b.Table)
		}
		v, tag := &b.cols[i], src[0]
		src = src[1:]
		var word uint64
		var part []byte
		switch tag {
		case tagNull:
		case tagInt, tagFloat:
			if len(src) < 8 {
				return nil, errRow(b.Table)
			}
			word, src = binary.BigEndian.Uint64(src), src[8:]
		case tagText, tagBytes:
			n, size := binary.Uvarint(src)
			if size <= 0 || n > uint64(len(src)-size) { //nolint:gosec // not negative
				return nil, errRow(b.Table)
			}
			part, src = src[size:size+int(n)], src[size+int(n):] //nolint:gosec // at most len(src)
		default:
			return nil, errRow(b.Table)
		}
		switch c.Kind {
		case Int, Bool:
			if tag != tagInt && tag != tagNull {
				return nil, errRow(b.Table)
			}
			v.ints = append(v.ints, int64(word))
		case Float:
			if tag != tagFloat && tag != tagNull {
				return nil, errRow(b.Table)
			}
			v.floats = append(v.floats, math.Float64frombits(word))
		case Text:
			if tag != tagText && tag != tagNull {
				return nil, errRow(b.Table)
			}
			v.texts = append(v.texts, string(part))
		case Bytes:
			if tag != tagBytes && tag != tagNull {
				return nil, errRow(b.Table)
			}
			if tag == tagBytes {
				part = append([]byte{}, part...)
			}
			v.blobs = append(v.blobs, part)
		}
		b.mark(v, tag == tagNull)
	}
	b.Rows++
	return src, nil
}

func errRow(t *Table) error {
	return fault.Unprocessable("a row of the table %s can't be read: the archive is damaged", t.Name)
}

// Sum is the hash of a row, or the sum of many rows' hashes, which does not depend on their order.
type Sum [sha256.Size]byte

// add adds another sum, modulo 2^256.
func (s *Sum) add(o *Sum) {
	carry := uint16(0)
	for i := len(s) - 1; i >= 0; i-- {
		carry += uint16(s[i]) + uint16(o[i])
		s[i] = byte(carry) //nolint:gosec // the low bits
		carry >>= 8
	}
}

// String is the sum in hexadecimal.
func (s Sum) String() string { return hex.EncodeToString(s[:]) }

// MarshalText is String.
func (s Sum) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (s *Sum) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	if err != nil || len(b) != len(s) {
		return fault.Unprocessable("a sum is not one")
	}
	copy(s[:], b)
	return nil
}

// hasher hashes rows, keeping its memory.
type hasher struct {
	buf []byte
	h   hash.Hash
}

func (h *hasher) row(b *Batch, row int) (s Sum) {
	h.buf = b.appendRow(h.buf[:0], row)
	if h.h == nil {
		h.h = sha256.New()
	}
	h.h.Reset()
	h.h.Write(h.buf)
	h.h.Sum(s[:0])
	return s
}

// keyOf is a row's key as the triggers note it.
func (b *Batch) keyOf(row int) string {
	var s strings.Builder
	for n, i := range b.Table.keyColumns() {
		if n > 0 {
			s.WriteByte(',')
		}
		v := &b.cols[i]
		switch b.Table.Columns[i].Kind {
		case Int, Bool:
			s.WriteString(strconv.FormatInt(v.ints[row], 10))
		case Text:
			s.WriteString(strings.ToUpper(hex.EncodeToString([]byte(v.texts[row]))))
		case Bytes:
			s.WriteString(strings.ToUpper(hex.EncodeToString(v.blobs[row])))
		case Float: // no key is
		}
	}
	return s.String()
}

// keysOf turns noted keys into columns for a lookup.
func keysOf(t *Table, noted []string) ([]db.Column, error) {
	at := t.keyColumns()
	cols := make([]vector, len(at))
	for _, key := range noted {
		parts := strings.Split(key, ",")
		if len(parts) != len(at) {
			return nil, fault.Internal("a noted key of %s has %d parts", t.Name, len(parts))
		}
		for n, i := range at {
			switch t.Columns[i].Kind {
			case Int, Bool:
				v, err := strconv.ParseInt(parts[n], 10, 64)
				if err != nil {
					return nil, fault.Internal("a noted key of %s is no number", t.Name)
				}
				cols[n].ints = append(cols[n].ints, v)
			case Text, Bytes:
				v, err := hex.DecodeString(parts[n])
				if err != nil {
					return nil, fault.Internal("a noted key of %s is not in hexadecimal", t.Name)
				}
				if t.Columns[i].Kind == Text {
					cols[n].texts = append(cols[n].texts, string(v))
				} else {
					cols[n].blobs = append(cols[n].blobs, v)
				}
			case Float:
				return nil, fault.Internal("the key of %s has a fraction", t.Name)
			}
		}
	}
	out := make([]db.Column, len(at))
	for n, i := range at {
		out[n] = cols[n].column(t.Columns[i].Name, t.Columns[i].Kind, nil)
	}
	return out, nil
}

// column is the values for a column of the kind; rows picks some, nil is all.
func (v *vector) column(name string, as Kind, rows []int) db.Column {
	switch as {
	case Int:
		return db.Col(name, pick(v.ints, rows))
	case Bool:
		ints := pick(v.ints, rows)
		flags := make([]bool, len(ints))
		for i, n := range ints {
			flags[i] = n != 0
		}
		return db.Col(name, flags)
	case Float:
		return db.Col(name, pick(v.floats, rows))
	case Text:
		return db.Col(name, pick(v.texts, rows))
	default:
		return db.Col(name, pick(v.blobs, rows))
	}
}

func pick[T any](all []T, rows []int) []T {
	if rows == nil {
		return all
	}
	out := make([]T, len(rows))
	for i, r := range rows {
		out[i] = all[r]
	}
	return out
}

// value is one value as an argument of a statement.
func (v *vector) value(as Kind, row int) any {
	if v.isNull(row) {
		return nil
	}
	switch as {
	case Int:
		return v.ints[row]
	case Bool:
		return v.ints[row] != 0
	case Float:
		return v.floats[row]
	case Text:
		return v.texts[row]
	default:
		return v.blobs[row]
	}
}
