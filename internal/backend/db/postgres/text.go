package postgres

import (
	"slices"
	"strconv"
	"strings"

	"ward/internal/backend/db"
)

// arrayType is the type of a column's array parameter.
func arrayType(values any) string {
	switch values.(type) {
	case []int64:
		return "int8[]"
	case []int32:
		return "int4[]"
	case []string:
		return "text[]"
	case [][]byte:
		return "bytea[]"
	case []bool:
		return "boolean[]"
	default:
		return "float8[]"
	}
}

// unnestText is a table function of the rows that the parameters are: unnest($1::int8[], $2::bytea[]).
func unnestText(cols []db.Column) string {
	parts := make([]string, len(cols))
	for i, c := range cols {
		parts[i] = "$" + strconv.Itoa(i+1) + "::" + arrayType(c.Values)
	}
	return "unnest(" + strings.Join(parts, ", ") + ")"
}

func keyNames(n int) string {
	parts := make([]string, n)
	for i := range parts {
		parts[i] = "k" + strconv.Itoa(i)
	}
	return strings.Join(parts, ", ")
}

func matchText(keys []db.Column) string {
	parts := make([]string, len(keys))
	for i, k := range keys {
		parts[i] = "t." + k.Name + " = k.k" + strconv.Itoa(i)
	}
	return strings.Join(parts, " AND ")
}

// lookupText reads by keys in a loop over the keys: OFFSET 0 keeps the planner from turning it into a join, which would be a scan of
// the whole table when it was planned while that was small.
func lookupText(l *db.Lookup) string {
	names := make([]string, len(l.Want))
	for i, w := range l.Want {
		names[i] = "t." + w
	}
	lock := ""
	if l.ForUpdate {
		lock = " FOR UPDATE"
	}
	most := ""
	if l.Most > 0 {
		most = " LIMIT " + strconv.Itoa(l.Most)
	}
	return "SELECT k.i, r.* FROM " + unnestText(l.Keys) + " WITH ORDINALITY AS k(" + keyNames(len(l.Keys)) + ", i) CROSS JOIN LATERAL (SELECT " +
		strings.Join(names, ", ") + " FROM " + l.Table + " t WHERE " + matchText(l.Keys) + " OFFSET 0" + lock + ") r" + most
}

func insertText(table string, cols []db.Column) string {
	names := make([]string, len(cols))
	for i, c := range cols {
		names[i] = c.Name
	}
	return "INSERT INTO " + table + " (" + strings.Join(names, ", ") + ") SELECT * FROM " + unnestText(cols)
}

func upsertText(table string, tenants bool, key []string, cols []db.Column) string {
	var sets []string
	for _, c := range cols {
		if !slices.Contains(key, c.Name) {
			sets = append(sets, c.Name+" = excluded."+c.Name)
		}
	}
	target := strings.Join(key, ", ")
	if tenants {
		target = "tenant, " + target
	}
	conflict := " ON CONFLICT (" + target + ") DO "
	if len(sets) == 0 {
		return insertText(table, cols) + conflict + "NOTHING"
	}
	return insertText(table, cols) + conflict + "UPDATE SET " + strings.Join(sets, ", ")
}

func deleteText(table string, key []db.Column) string {
	return "DELETE FROM " + table + " t USING " + unnestText(key) + " AS k(" + keyNames(len(key)) + ") WHERE " + matchText(key)
}
