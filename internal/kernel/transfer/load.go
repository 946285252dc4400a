package transfer

import (
	"context"
	"strconv"
	"strings"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
)

// Load inserts the rows of b, which may be of another database, into the table to. With skip, rows that are in the way of one that is there stay away;
// else they are Conflict with [db.ErrUnique].
func Load(ctx context.Context, tx db.Tx, to *Table, b *Batch, skip bool) (err error) {
	defer fault.Op(&err, "transfer.Load", to.Name)
	if b.Rows == 0 {
		return nil
	}
	insert := tx.Insert
	if skip {
		insert = tx.InsertNew
	}
	for mask, rows := range b.byNulls() {
		if cols, whole := b.columns(to, mask, rows); whole {
			if _, err := insert(ctx, to.Name, cols...); err != nil {
				return err
			}
			continue
		}
		// A column with a default must be told that it is NULL, which columns of values can't say.
		for row := range b.Rows {
			if rows != nil {
				if row >= len(rows) {
					break
				}
				row = rows[row]
			}
			if err := b.insertOne(ctx, tx, to, row, skip); err != nil {
				return err
			}
		}
	}
	return nil
}

// byNulls groups the rows by which of their columns are NULL, of those whose values can't say it themselves; nil rows are all.
func (b *Batch) byNulls() map[string][]int {
	some := false
	for i, c := range b.Table.Columns {
		some = some || c.Kind != Bytes && b.cols[i].null != nil
	}
	if !some {
		return map[string][]int{"": nil}
	}
	groups := map[string][]int{}
	mask := make([]byte, len(b.cols))
	for row := range b.Rows {
		for i, c := range b.Table.Columns {
			mask[i] = 0
			if c.Kind != Bytes && b.cols[i].isNull(row) {
				mask[i] = 1
			}
		}
		groups[string(mask)] = append(groups[string(mask)], row)
	}
	return groups
}

// columns are the rows' values without those that are NULL; false when leaving these out would set a default.
func (b *Batch) columns(to *Table, mask string, rows []int) (cols []db.Column, whole bool) {
	for i, c := range to.Columns {
		if mask != "" && mask[i] != 0 {
			if c.Default {
				return nil, false
			}
			continue
		}
		if c.Kind == Bytes && c.Default && b.cols[i].null != nil {
			return nil, false
		}
		cols = append(cols, b.cols[i].column(c.Name, c.Kind, rows))
	}
	return cols, true
}

func (b *Batch) insertOne(ctx context.Context, tx db.Tx, to *Table, row int, skip bool) error {
	marks, args := make([]string, len(to.Columns)), make([]any, len(to.Columns))
	for i, c := range to.Columns {
		marks[i], args[i] = "$"+strconv.Itoa(i+1), b.cols[i].value(c.Kind, row)
	}
	sql := "INSERT INTO " + to.Name + " (" + columnList(to) + ") VALUES (" + strings.Join(marks, ", ") + ")"
	if skip {
		sql += " ON CONFLICT DO NOTHING"
	}
	_, err := tx.Exec(ctx, sql, args...)
	return err
}

// Clear deletes all rows of the tenant that the scope picks, as the owner of the tables: some are append-only to everybody else. On SQLite, where a tenant's file is
// removed as a whole, see [db.DB.Discard].
func Clear(ctx context.Context, d *db.DB) (err error) {
	defer fault.Op(&err, "transfer.Clear")
	tables, dialect, tenant, err := tracked(ctx, d)
	if err != nil {
		return err
	}
	names := []string{"transfer_change", "transfer_fence"}
	for _, t := range tables {
		names = append(names, t.Name)
	}
	if dialect.Name == db.SQLite {
		return d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
			for _, name := range names {
				if _, err := tx.Exec(ctx, "DELETE FROM "+name); err != nil {
					return err
				}
			}
			return nil
		})
	}
	id := strconv.Itoa(int(tenant))
	for _, name := range names {
		if err := d.Alter(ctx, "SELECT set_config('ward.tenant', '"+id+"', true); DELETE FROM "+name+" WHERE tenant = "+id); err != nil {
			return err
		}
	}
	return nil
}

// Empty says whether the tenant has no row at all.
func Empty(ctx context.Context, d *db.DB) (empty bool, err error) {
	defer fault.Op(&err, "transfer.Empty")
	tables, err := Tables(ctx, d)
	if err != nil {
		return false, err
	}
	err = d.Read(ctx, func(ctx context.Context, q db.Querier) error {
		empty = true
		for _, t := range tables {
			if err := q.Query(ctx, "SELECT 1 FROM "+t.Name+" LIMIT 1", func(db.Row) error { empty = false; return db.Stop }); err != nil || !empty {
				return err
			}
		}
		return nil
	})
	return empty, err
}
