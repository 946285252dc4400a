package db

import (
	"slices"
	"strings"

	"ward/internal/base/fault"
)

// Column is one column of many rows.
type Column struct {
	Name   string
	Values any // []int64, []int32, []string, [][]byte (nil is NULL), []bool or []float64
}

// Col is a column of values, one per row: []int64, []int32, []string, [][]byte (nil is NULL), []bool or []float64.
func Col(name string, values any) Column { return Column{Name: name, Values: values} }

// Len is how many values the column has, -1 when they are of a type that is not a column's.
func (c Column) Len() int {
	switch v := c.Values.(type) {
	case []int64:
		return len(v)
	case []int32:
		return len(v)
	case []string:
		return len(v)
	case [][]byte:
		return len(v)
	case []bool:
		return len(v)
	case []float64:
		return len(v)
	default:
		return -1
	}
}

// Rows is how many rows the columns of table make: all must have the same length. For drivers.
func Rows(table string, cols []Column) (int, error) {
	if table == "" || len(cols) == 0 {
		return 0, fault.Internal("db: no table or no columns (table %q)", table)
	}
	n := cols[0].Len()
	for _, c := range cols {
		switch l := c.Len(); {
		case l < 0:
			return 0, fault.Internal("db: column %s.%s has values of type %T: use []int64, []int32, []string, [][]byte, []bool or []float64", table, c.Name, c.Values)
		case l != n:
			return 0, fault.Internal("db: column %s.%s has %d values, %s has %d", table, c.Name, l, cols[0].Name, n)
		}
	}
	return n, nil
}

// CheckLookup says what is wrong with a lookup and how many keys it has. For drivers.
func CheckLookup(l *Lookup, inTx bool) (int, error) {
	if len(l.Want) == 0 {
		return 0, fault.Internal("db: lookup in %s wants no column", l.Table)
	}
	if l.ForUpdate && !inTx {
		return 0, fault.Internal("db: lookup in %s for update outside a Write", l.Table)
	}
	return Rows(l.Table, l.Keys)
}

// Shape is a key for caches of statements: what is done, the table, and the columns with their types. For drivers.
func Shape(b []byte, verb byte, table string, names []string, cols []Column) []byte {
	b = append(append(b, verb), table...)
	for _, n := range names {
		b = append(append(b, ','), n...)
	}
	for _, c := range cols {
		b = append(append(append(b, ':'), c.Name...), kind(c.Values))
	}
	return b
}

func kind(values any) byte {
	switch values.(type) {
	case []int64:
		return 'l'
	case []int32:
		return 'i'
	case []string:
		return 's'
	case [][]byte:
		return 'b'
	case []bool:
		return 't'
	default:
		return 'd'
	}
}

// CheckName refuses names of tables and columns that are not plain: they go into SQL texts. For drivers, on a path that is
// taken once per shape.
func CheckName(names ...string) error {
	for _, n := range names {
		plain := n != "" && strings.IndexFunc(n, func(r rune) bool {
			return r != '_' && (r < 'a' || r > 'z') && (r < '0' || r > '9')
		}) < 0
		if !plain {
			return fault.Internal("db: %q is not a plain name (a-z, 0-9, _)", n)
		}
	}
	return nil
}

// CheckUpsert says whether the columns of the key are among cols. For drivers.
func CheckUpsert(table string, key []string, cols []Column) error {
	if len(key) == 0 {
		return fault.Internal("db: upsert into %s without a key", table)
	}
	for _, k := range key {
		if !slices.ContainsFunc(cols, func(c Column) bool { return c.Name == k }) {
			return fault.Internal("db: upsert into %s: no values for column %s of the key", table, k)
		}
	}
	return nil
}
