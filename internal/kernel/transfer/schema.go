package transfer

import (
	"cmp"
	"context"
	"embed"
	"io/fs"
	"slices"
	"strings"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/kernel/module"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Module is the package's tables.
func Module() module.Module {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return module.Module{Name: "transfer", Migrations: files}
}

// Kind is what a column holds.
type Kind string

// The kinds. Bool and Int are one to a hash.
const (
	Int   Kind = "int"
	Bool  Kind = "bool"
	Float Kind = "float"
	Text  Kind = "text"
	Bytes Kind = "bytes"
)

// same says whether values of the one kind can be kept in a column of the other.
func (k Kind) same(other Kind) bool {
	return k == other || (k == Int || k == Bool) && (other == Int || other == Bool)
}

// Column is a column of a table.
type Column struct {
	Name    string `json:"name"`
	Kind    Kind   `json:"kind"`
	Default bool   `json:"-"` // has one
}

// Table is a tenant's table.
type Table struct {
	Name    string   `json:"name"`
	Columns []Column `json:"columns"` // by name; without the tenant
	Key     []string `json:"key"`     // the columns of its primary key, without the tenant
	Kept    bool     `json:"-"`       // rows are added and nothing else
}

// index is the place of a column, -1 when there is none.
func (t *Table) index(name string) int {
	return slices.IndexFunc(t.Columns, func(c Column) bool { return c.Name == name })
}

func (t *Table) keyColumns() []int {
	at := make([]int, len(t.Key))
	for i, k := range t.Key {
		at[i] = t.index(k)
	}
	return at
}

const postgresColumns = `SELECT c.relname::text, a.attname::text, t.typname::text, a.atthasdef OR a.attidentity <> '', coalesce(k.ord, 0), NOT has_table_privilege(c.oid, 'DELETE')
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type t ON t.oid = a.atttypid
	LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
	LEFT JOIN LATERAL (SELECT u.ord FROM unnest(i.indkey) WITH ORDINALITY u(att, ord) WHERE u.att = a.attnum) k ON true
	WHERE n.nspname = 'ward' AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''`

const sqliteColumns = `SELECT m.name, c.name, c.type, c.dflt_value IS NOT NULL, c.pk,
	EXISTS (SELECT 1 FROM sqlite_schema k WHERE k.type = 'trigger' AND k.tbl_name = m.name AND k.sql LIKE '%BEFORE DELETE%RAISE(ABORT%') FROM sqlite_schema m JOIN pragma_table_info(m.name) c
	WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%'`

// own says whether a table is no domain's.
func own(name string) bool {
	return name == "ward_migration" || strings.HasPrefix(name, "transfer_")
}

// Tables are all of the tenant's tables in the database that the scope picks, by name.
func Tables(ctx context.Context, d *db.DB) (all []*Table, err error) {
	defer fault.Op(&err, "transfer.Tables")
	type keyed struct {
		name string
		ord  int64
	}
	dialect, err := d.DialectOf(ctx)
	if err != nil {
		return nil, err
	}
	byName, keys := map[string]*Table{}, map[string][]keyed{}
	err = d.Read(ctx, func(ctx context.Context, q db.Querier) error {
		clear(byName)
		clear(keys)
		return q.Query(ctx, dialect.Pick(sqliteColumns, postgresColumns), func(r db.Row) error {
			table, column := r.Text(0), r.Text(1)
			if own(table) || column == "tenant" && dialect.Name == db.PostgreSQL {
				return nil
			}
			t := byName[table]
			if t == nil {
				t = &Table{Name: table, Kept: r.Bool(5)}
				byName[table] = t
			}
			kind, err := kindOf(r.Text(2))
			if err != nil {
				return fault.Internal("the column %s.%s can't be copied", table, column).With(err)
			}
			t.Columns = append(t.Columns, Column{Name: column, Kind: kind, Default: r.Bool(3)})
			if ord := r.Int64(4); ord > 0 {
				keys[table] = append(keys[table], keyed{column, ord})
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	for name, t := range byName {
		slices.SortFunc(t.Columns, func(a, b Column) int { return strings.Compare(a.Name, b.Name) })
		slices.SortFunc(keys[name], func(a, b keyed) int { return cmp.Compare(a.ord, b.ord) })
		for _, k := range keys[name] {
			t.Key = append(t.Key, k.name)
		}
		if len(t.Key) == 0 {
			return nil, fault.Internal("the table %s has no primary key, so its rows can't be followed", name)
		}
		all = append(all, t)
	}
	slices.SortFunc(all, func(a, b *Table) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// kindOf reads a type's name, SQLite's as it was declared.
func kindOf(declared string) (Kind, error) {
	name, _, _ := strings.Cut(strings.ToLower(declared), "(")
	switch strings.TrimSpace(name) {
	case "int2", "int4", "int8", "integer", "int", "bigint", "smallint":
		return Int, nil
	case "bool", "boolean":
		return Bool, nil
	case "float4", "float8", "real", "double precision", "double":
		return Float, nil
	case "text", "varchar":
		return Text, nil
	case "bytea", "blob":
		return Bytes, nil
	default:
		return "", fault.Internal("the type %q is none of those that both databases have", declared)
	}
}

// match pairs the tables of two databases. Both must have the same, with the same columns.
func match(from, to []*Table) (map[string]*Table, error) {
	other := map[string]*Table{}
	for _, t := range to {
		other[t.Name] = t
	}
	for _, t := range from {
		o := other[t.Name]
		if o == nil {
			return nil, fault.Internal("the table %s is missing at the other place: is it of another version of Ward?", t.Name)
		}
		if err := t.fits(o); err != nil {
			return nil, err
		}
	}
	if len(from) != len(to) {
		return nil, fault.Internal("one place has %d tables, the other %d: are they of different versions of Ward?", len(from), len(to))
	}
	return other, nil
}

// fits says why rows of t can't be kept in o.
func (t *Table) fits(o *Table) error {
	if len(t.Columns) != len(o.Columns) {
		return fault.Internal("the table %s has %d columns at one place and %d at the other", t.Name, len(t.Columns), len(o.Columns))
	}
	for i, c := range t.Columns {
		if p := o.Columns[i]; p.Name != c.Name || !p.Kind.same(c.Kind) {
			return fault.Internal("the table %s has the column %s (%s) at one place and %s (%s) at the other", t.Name, c.Name, c.Kind, p.Name, p.Kind)
		}
	}
	return nil
}
