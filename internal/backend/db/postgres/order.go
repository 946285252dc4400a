package postgres

import (
	"bytes"
	"cmp"
	"slices"

	"ward/internal/backend/db"
)

// sorted is the order of the rows by the key's columns, so that all who lock rows of a table lock them in the same order. Of rows with
// the same key only the last stays when last is set.
func sorted(keys []db.Column, n int, last bool) []int32 {
	order := make([]int32, n)
	for i := range order {
		order[i] = int32(i)
	}
	by := func(a, b int32) int { return compare(keys, a, b) }
	slices.SortStableFunc(order, by)
	if !last {
		return order
	}
	kept := order[:0]
	for i, o := range order {
		if i+1 == len(order) || by(o, order[i+1]) != 0 {
			kept = append(kept, o)
		}
	}
	return kept
}

func compare(keys []db.Column, a, b int32) int {
	for _, k := range keys {
		c := 0
		switch v := k.Values.(type) {
		case []int64:
			c = cmp.Compare(v[a], v[b])
		case []int32:
			c = cmp.Compare(v[a], v[b])
		case []string:
			c = cmp.Compare(v[a], v[b])
		case [][]byte:
			c = bytes.Compare(v[a], v[b])
		case []bool:
			if v[a] != v[b] {
				c = 1
				if v[b] {
					c = -1
				}
			}
		case []float64:
			c = cmp.Compare(v[a], v[b])
		}
		if c != 0 {
			return c
		}
	}
	return 0
}

// keyColumns are the columns of cols that a key names.
func keyColumns(key []string, cols []db.Column) []db.Column {
	var out []db.Column
	for _, k := range key {
		for _, c := range cols {
			if c.Name == k {
				out = append(out, c)
			}
		}
	}
	return out
}
