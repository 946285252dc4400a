package sqlite

import (
	"slices"
	"strconv"
	"strings"

	"ward/internal/backend/db"
)

// The texts below are for one row: SQLite runs a prepared statement of one row as fast, row for row, as one of many
// (BenchmarkInsert), so a loop needs one text per shape instead of one per number of rows.

func lookupText(l *db.Lookup) string {
	return "SELECT " + strings.Join(l.Want, ", ") + " FROM " + l.Table + whereText(l.Keys)
}

func whereText(keys []db.Column) string {
	var b strings.Builder
	for i, k := range keys {
		if i == 0 {
			b.WriteString(" WHERE ")
		} else {
			b.WriteString(" AND ")
		}
		b.WriteString(k.Name + " = $" + strconv.Itoa(i+1))
	}
	return b.String()
}

func insertText(table string, cols []db.Column) string {
	var names, values strings.Builder
	for i, c := range cols {
		if i > 0 {
			names.WriteString(", ")
			values.WriteString(", ")
		}
		names.WriteString(c.Name)
		values.WriteString("$" + strconv.Itoa(i+1))
	}
	return "INSERT INTO " + table + " (" + names.String() + ") VALUES (" + values.String() + ")"
}

func upsertText(table string, key []string, cols []db.Column) string {
	var sets []string
	for _, c := range cols {
		if !slices.Contains(key, c.Name) {
			sets = append(sets, c.Name+" = excluded."+c.Name)
		}
	}
	conflict := " ON CONFLICT (" + strings.Join(key, ", ") + ") DO "
	if len(sets) == 0 {
		return insertText(table, cols) + conflict + "NOTHING"
	}
	return insertText(table, cols) + conflict + "UPDATE SET " + strings.Join(sets, ", ")
}
