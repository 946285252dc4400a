package sqlite

import (
	"strconv"
	"strings"

	zombiezen "zombiezen.com/go/sqlite"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
)

// statement is a prepared statement in a connection's cache.
type statement struct {
	*zombiezen.Stmt
	params  []int // for each parameter of SQLite's, in its order, the argument ($2 → 1)
	args    int   // how many arguments the text needs
	cols    int
	dml     bool  // sqlite3_changes is about it; SELECT and CREATE leave the count of the one before
	bound   int   // bytes of values that the statement holds
	refused error // the text is not a caller's to run
	reads   bool  // nothing but reads
	used    int64 // when, in the connection's count of statements
}

// maxStatements bounds a connection's cache: some searches are texts that don't come again.
const maxStatements = 256

// fewStatements bounds that of a connection that does with little memory: a statement takes some ten kilobytes.
const fewStatements = 24

// keepBound is how many bytes of values a statement may keep after it ran.
const keepBound = 64 << 10

func newStatement(s *zombiezen.Stmt, sql string) (*statement, error) {
	st := &statement{Stmt: s, cols: s.ColumnCount(), refused: db.CheckStatement(sql)}
	switch db.FirstWord(sql) {
	case "INSERT", "UPDATE", "DELETE", "REPLACE", "WITH":
		st.dml = true
	}
	st.reads = onlyReads(sql)
	for i := 1; i <= s.BindParamCount(); i++ {
		name := s.BindParamName(i)
		n := i // ? counts by itself
		if name != "" {
			var err error
			if n, err = strconv.Atoi(name[1:]); err != nil || n < 1 {
				return nil, fault.Internal("db: parameter %s: parameters are $1, $2, ...", name)
			}
		}
		st.params = append(st.params, n-1)
		st.args = max(st.args, n)
	}
	return st, nil
}

// onlyReads says whether a text can't write. One that is not sure to read is taken to write: WITH may end in either.
func onlyReads(sql string) bool {
	switch db.FirstWord(sql) {
	case "SELECT", "VALUES", "EXPLAIN":
		return true
	case "WITH":
		for word := range strings.FieldsFuncSeq(strings.ToUpper(sql), func(r rune) bool { return (r < 'A' || r > 'Z') && r != '_' }) {
			switch word {
			case "INSERT", "UPDATE", "DELETE", "REPLACE":
				return false
			}
		}
		return true
	default:
		return false
	}
}

func (st *statement) bind(args []any) error {
	if len(args) != st.args {
		return fault.Internal("db: the statement has %d parameters, %d arguments were given", st.args, len(args))
	}
	for i, a := range st.params {
		p := i + 1
		switch v := args[a].(type) {
		case nil:
			st.BindNull(p)
		case int64:
			st.BindInt64(p, v)
		case int:
			st.BindInt64(p, int64(v))
		case int32:
			st.BindInt64(p, int64(v))
		case string:
			st.text(p, v)
		case []byte:
			st.blob(p, v)
		case bool:
			st.BindBool(p, v)
		case float64:
			st.BindFloat(p, v)
		default:
			return fault.Internal("db: argument %d has the type %T: use int, int64, int32, string, []byte, bool, float64 or nil", a+1, v)
		}
	}
	return nil
}

func (st *statement) blob(p int, v []byte) {
	if v == nil {
		st.BindNull(p)
		return
	}
	st.bound += len(v)
	st.BindBytes(p, v)
}

func (st *statement) text(p int, v string) {
	st.bound += len(v)
	st.BindText(p, v)
}

// value binds the value of one row of a column.
func (st *statement) value(p int, values any, row int) {
	switch v := values.(type) {
	case []int64:
		st.BindInt64(p, v[row])
	case []int32:
		st.BindInt64(p, int64(v[row]))
	case [][]byte:
		st.blob(p, v[row])
	case []string:
		st.text(p, v[row])
	case []bool:
		st.BindBool(p, v[row])
	case []float64:
		st.BindFloat(p, v[row])
	}
}

// rest ends a run: the statement's read of the database and the memory of large values are let go.
func (st *statement) rest() {
	_ = st.Reset()
	if st.bound > keepBound {
		_ = st.ClearBindings()
	}
	st.bound = 0
}
