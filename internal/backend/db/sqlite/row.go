package sqlite

import "fmt"

// row is the current row of a statement. Bytes are copied into a buffer that lives as long as the row.
type row struct {
	st    *statement
	bytes []byte
}

// keepBytes is the largest buffer that is kept for the next statement.
const keepBytes = 256 << 10

func (r *row) check(i int) {
	if uint(i) >= uint(r.st.cols) {
		panic(fmt.Sprintf("db: column %d of a row of %d", i, r.st.cols))
	}
}

func (r *row) Int64(i int) int64     { r.check(i); return r.st.ColumnInt64(i) }
func (r *row) Float64(i int) float64 { r.check(i); return r.st.ColumnFloat(i) }
func (r *row) Text(i int) string     { r.check(i); return r.st.ColumnText(i) }
func (r *row) Bool(i int) bool       { r.check(i); return r.st.ColumnBool(i) }
func (r *row) IsNull(i int) bool     { r.check(i); return r.st.ColumnIsNull(i) }

func (r *row) Bytes(i int) []byte {
	r.check(i)
	n := r.st.ColumnLen(i)
	if n == 0 {
		if r.st.ColumnIsNull(i) {
			return nil
		}
		return []byte{}
	}
	at := len(r.bytes)
	if cap(r.bytes)-at < n {
		// What was handed out before keeps the old buffer.
		r.bytes, at = make([]byte, 0, max(n, 2*cap(r.bytes), 1024)), 0
	}
	r.bytes = r.bytes[:at+n]
	out := r.bytes[at : at+n : at+n]
	r.st.ColumnBytes(i, out)
	return out
}

func (r *row) next() { r.bytes = r.bytes[:0] }

func (r *row) rest() {
	r.st = nil
	if cap(r.bytes) > keepBytes {
		r.bytes = nil
	}
	r.bytes = r.bytes[:0]
}
