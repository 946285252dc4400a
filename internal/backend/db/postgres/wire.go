package postgres

import (
	"encoding/binary"
	"math"
	"strconv"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
)

// The frontend's messages are written straight into a connection's buffer: values are copied once, and nothing is allocated.

// OIDs of the types that are sent and received in binary.
const (
	oidBool    = 16
	oidBytea   = 17
	oidName    = 19
	oidInt8    = 20
	oidInt2    = 21
	oidInt4    = 23
	oidText    = 25
	oidFloat4  = 700
	oidFloat8  = 701
	oidVarchar = 1043
)

// isBinary says whether results of the type are asked for in binary. The rest comes as text.
func isBinary(oid uint32) bool {
	switch oid {
	case oidBool, oidBytea, oidName, oidInt8, oidInt2, oidInt4, oidText, oidFloat4, oidFloat8, oidVarchar:
		return true
	default:
		return false
	}
}

const (
	formatText   = 0
	formatBinary = 1
)

func put16(b []byte, v int) []byte { return binary.BigEndian.AppendUint16(b, uint16(v)) } //nolint:gosec // counts and formats
func put32(b []byte, v int) []byte { return binary.BigEndian.AppendUint32(b, uint32(v)) } //nolint:gosec // lengths below 1 GB; -1 is NULL
func put64(b []byte, v int64) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(v)) //nolint:gosec // two's complement
}

// open begins a message or a value and gives where its length goes.
func open(b []byte) ([]byte, int) { return append(b, 0, 0, 0, 0), len(b) }

// shut writes the length of a message, which counts itself.
func shut(b []byte, at int) []byte {
	binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at)) //nolint:gosec // below 1 GB
	return b
}

// done writes the length of a value, which does not count itself.
func done(b []byte, at int) []byte {
	binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at-4)) //nolint:gosec // below 1 GB
	return b
}

// beginBind writes a Bind up to its parameters: formats has one per parameter.
func beginBind(b []byte, st *statement) ([]byte, int) {
	b = append(b, 'B')
	b, at := open(b)
	b = append(b, 0) // the unnamed portal
	b = append(b, st.name...)
	return append(b, 0), at
}

// endBind writes what follows the parameters, and an Execute of all rows.
func endBind(b []byte, at int, st *statement) []byte {
	b = append(b, st.results...)
	b = shut(b, at)
	return append(b, 'E', 0, 0, 0, 9, 0, 0, 0, 0, 0)
}

func putSync(b []byte) []byte { return append(b, 'S', 0, 0, 0, 4) }

func putParse(b []byte, name, sql string) []byte {
	b = append(b, 'P')
	b, at := open(b)
	b = append(append(b, name...), 0)
	b = append(append(b, sql...), 0)
	b = shut(put16(b, 0), at)
	b = append(b, 'D')
	b, at = open(b)
	b = append(append(append(b, 'S'), name...), 0)
	return shut(b, at)
}

func putClose(b []byte, name string) []byte {
	b = append(b, 'C')
	b, at := open(b)
	b = append(append(append(b, 'S'), name...), 0)
	return shut(b, at)
}

// putRun binds and executes a statement without parameters.
func putRun(b []byte, st *statement) []byte {
	b, at := beginBind(b, st)
	return endBind(append(b, 0, 0, 0, 0), at, st)
}

// putCall binds and executes a statement with arguments. On an error the buffer is as before.
func putCall(b []byte, st *statement, args []any) ([]byte, error) {
	before := b
	if len(args) != len(st.params) {
		return before, fault.Internal("db: the statement has %d parameters, %d arguments were given", len(st.params), len(args))
	}
	b, at := beginBind(b, st)
	b = put16(b, len(args))
	for i, a := range args {
		b = put16(b, format(st.params[i], a))
	}
	b = put16(b, len(args))
	for i, a := range args {
		var err error
		if b, err = putValue(b, st.params[i], a); err != nil {
			return before, fault.Internal("db: argument %d: %s", i+1, err.Error())
		}
	}
	return endBind(b, at, st), nil
}

func format(oid uint32, arg any) int {
	switch arg.(type) {
	case int64, int, int32, bool, float64:
		switch oid {
		case oidInt8, oidInt4, oidInt2, oidBool, oidFloat8, oidFloat4:
			return formatBinary
		}
	case []byte, string:
		if oid == oidBytea {
			return formatBinary
		}
	}
	return formatText
}

type valueError string

func (e valueError) Error() string { return string(e) }

func putValue(b []byte, oid uint32, arg any) ([]byte, error) {
	switch v := arg.(type) {
	case nil:
		return put32(b, -1), nil
	case int64:
		return putInt(b, oid, v)
	case int:
		return putInt(b, oid, int64(v))
	case int32:
		return putInt(b, oid, int64(v))
	case string:
		return append(put32(b, len(v)), v...), nil
	case []byte:
		if v == nil {
			return put32(b, -1), nil
		}
		return append(put32(b, len(v)), v...), nil
	case bool:
		n := int64(0)
		if v {
			n = 1
		}
		return putInt(b, oid, n)
	case float64:
		return putFloat(b, oid, v)
	default:
		return b, valueError("it is none of int, int64, int32, string, []byte, bool, float64 and nil")
	}
}

func putInt(b []byte, oid uint32, v int64) ([]byte, error) {
	switch oid {
	case oidInt8:
		return put64(put32(b, 8), v), nil
	case oidInt4:
		if v != int64(int32(v)) { //nolint:gosec // the check
			return b, valueError("the number is larger than an int4")
		}
		return put32(put32(b, 4), int(v)), nil
	case oidInt2:
		if v != int64(int16(v)) { //nolint:gosec // the check
			return b, valueError("the number is larger than an int2")
		}
		return put16(put32(b, 2), int(v)), nil
	case oidBool:
		on := byte(0)
		if v != 0 {
			on = 1
		}
		return append(put32(b, 1), on), nil
	case oidFloat8, oidFloat4:
		return putFloat(b, oid, float64(v))
	default:
		b, at := open(b)
		return done(strconv.AppendInt(b, v, 10), at), nil
	}
}

func putFloat(b []byte, oid uint32, v float64) ([]byte, error) {
	switch oid {
	case oidFloat8:
		return put64(put32(b, 8), int64(math.Float64bits(v))), nil //nolint:gosec // bits
	case oidFloat4:
		return binary.BigEndian.AppendUint32(put32(b, 4), math.Float32bits(float32(v))), nil
	case oidInt8, oidInt4, oidInt2, oidBool:
		if v != math.Trunc(v) || math.Abs(v) > 1<<53 {
			return b, valueError("the number is a fraction where an integer is wanted")
		}
		return putInt(b, oid, int64(v))
	default:
		b, at := open(b)
		return done(strconv.AppendFloat(b, v, 'g', -1, 64), at), nil
	}
}

// putColumns binds and executes a statement whose parameters are arrays: the rows of cols in the order given, or all as they are.
func putColumns(b []byte, st *statement, cols []db.Column, n int, order []int32) []byte {
	b, at := beginBind(b, st)
	b = put16(put16(b, 1), formatBinary) // one format for all
	b = put16(b, len(cols))
	for _, c := range cols {
		b = putArray(b, c.Values, n, order)
	}
	return endBind(b, at, st)
}

// arrayHeader begins an array of one dimension.
func arrayHeader(b []byte, oid, n int, nulls bool) []byte {
	has := 0
	if nulls {
		has = 1
	}
	return put32(put32(put32(put32(put32(b, 1), has), oid), n), 1)
}

func putArray(b []byte, values any, n int, order []int32) []byte {
	if order != nil {
		n = len(order)
	}
	row := func(i int) int {
		if order != nil {
			return int(order[i])
		}
		return i
	}
	b, at := open(b)
	switch v := values.(type) {
	case []int64:
		b = arrayHeader(b, oidInt8, n, false)
		for i := range n {
			b = put64(append(b, 0, 0, 0, 8), v[row(i)])
		}
	case []int32:
		b = arrayHeader(b, oidInt4, n, false)
		for i := range n {
			b = put32(append(b, 0, 0, 0, 4), int(v[row(i)]))
		}
	case []string:
		b = arrayHeader(b, oidText, n, false)
		for i := range n {
			s := v[row(i)]
			b = append(put32(b, len(s)), s...)
		}
	case [][]byte:
		b = arrayHeader(b, oidBytea, n, true)
		for i := range n {
			s := v[row(i)]
			if s == nil {
				b = put32(b, -1)
				continue
			}
			b = append(put32(b, len(s)), s...)
		}
	case []bool:
		b = arrayHeader(b, oidBool, n, false)
		for i := range n {
			on := byte(0)
			if v[row(i)] {
				on = 1
			}
			b = append(b, 0, 0, 0, 1, on)
		}
	case []float64:
		b = arrayHeader(b, oidFloat8, n, false)
		for i := range n {
			b = put64(append(b, 0, 0, 0, 8), int64(math.Float64bits(v[row(i)]))) //nolint:gosec // bits
		}
	}
	return done(b, at)
}
