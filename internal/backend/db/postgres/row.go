package postgres

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
)

// row is the current row: slices of the connection's read buffer.
type row struct {
	st     *statement
	values [][]byte
	from   int // columns before the first of the caller's
}

func (r *row) at(i int) ([]byte, uint32) {
	if i < 0 || i+r.from >= len(r.values) {
		panic(fmt.Sprintf("db: column %d of a row of %d", i, len(r.values)-r.from))
	}
	return r.values[i+r.from], r.st.fields[i+r.from]
}

func (r *row) IsNull(i int) bool {
	v, _ := r.at(i)
	return v == nil
}

func (r *row) Bytes(i int) []byte {
	v, oid := r.at(i)
	switch oid {
	case oidBytea, oidText, oidVarchar, oidName:
		return v
	}
	if v == nil {
		return nil
	}
	return []byte(r.Text(i))
}

func (r *row) Bool(i int) bool {
	v, oid := r.at(i)
	if oid == oidBool {
		return len(v) == 1 && v[0] != 0
	}
	return r.Int64(i) != 0
}

func (r *row) Int64(i int) int64 {
	v, oid := r.at(i)
	if v == nil {
		return 0
	}
	switch oid {
	case oidInt8:
		return int64(binary.BigEndian.Uint64(v)) //nolint:gosec // two's complement
	case oidInt4:
		return int64(int32(binary.BigEndian.Uint32(v))) //nolint:gosec // two's complement
	case oidInt2:
		return int64(int16(binary.BigEndian.Uint16(v))) //nolint:gosec // two's complement
	case oidBool:
		return int64(v[0])
	case oidFloat8, oidFloat4:
		return int64(r.Float64(i))
	default:
		if n, err := strconv.ParseInt(string(v), 10, 64); err == nil {
			return n
		}
		f, _ := strconv.ParseFloat(string(v), 64)
		return int64(f)
	}
}

func (r *row) Float64(i int) float64 {
	v, oid := r.at(i)
	if v == nil {
		return 0
	}
	switch oid {
	case oidFloat8:
		return math.Float64frombits(binary.BigEndian.Uint64(v))
	case oidFloat4:
		return float64(math.Float32frombits(binary.BigEndian.Uint32(v)))
	case oidInt8, oidInt4, oidInt2, oidBool:
		return float64(r.Int64(i))
	default:
		f, _ := strconv.ParseFloat(string(v), 64)
		return f
	}
}

func (r *row) Text(i int) string {
	v, oid := r.at(i)
	if v == nil {
		return ""
	}
	switch oid {
	case oidInt8, oidInt4, oidInt2, oidBool:
		return strconv.FormatInt(r.Int64(i), 10)
	case oidFloat8, oidFloat4:
		return strconv.FormatFloat(r.Float64(i), 'g', -1, 64)
	default:
		return string(v)
	}
}
