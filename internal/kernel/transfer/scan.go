package transfer

import (
	"context"
	"strconv"
	"strings"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
)

const (
	batchRows  = 2000
	batchBytes = 4 << 20
)

func columnList(t *Table) string {
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = c.Name
	}
	return strings.Join(names, ", ")
}

func columnNames(t *Table) []string { return strings.Split(columnList(t), ", ") }

// position is where a scan is: the key of its last row.
type position struct {
	begun bool
	key   []any
}

// next reads the batch of rows after the position and moves it. A batch without rows is the end.
func next(ctx context.Context, q db.Querier, t *Table, at *position) (*Batch, error) {
	keys := strings.Join(t.Key, ", ")
	sql := "SELECT " + columnList(t) + " FROM " + t.Name
	if at.begun {
		marks := make([]string, len(t.Key))
		for i := range marks {
			marks[i] = "$" + strconv.Itoa(i+1)
		}
		sql += " WHERE (" + keys + ") > (" + strings.Join(marks, ", ") + ")"
	}
	sql += " ORDER BY " + keys + " LIMIT " + strconv.Itoa(batchRows)
	b := newBatch(t)
	err := q.Query(ctx, sql, func(r db.Row) error {
		b.add(r, 0)
		if b.bytes >= batchBytes {
			return db.Stop
		}
		return nil
	}, at.key...)
	if err != nil {
		return nil, err
	}
	if b.Rows > 0 {
		at.begun, at.key = true, at.key[:0]
		for _, i := range t.keyColumns() {
			at.key = append(at.key, b.cols[i].value(t.Columns[i].Kind, b.Rows-1))
		}
	}
	return b, nil
}

// Scan gives the rows of a table in the order of its key, as q sees them.
func Scan(ctx context.Context, q db.Querier, t *Table, each func(b *Batch) error) (err error) {
	defer fault.Op(&err, "transfer.Scan", t.Name)
	var at position
	for {
		b, err := next(ctx, q, t, &at)
		if err != nil {
			return err
		}
		if b.Rows == 0 {
			return nil
		}
		if err := each(b); err != nil {
			return err
		}
	}
}

// lookup reads the rows with these keys.
func lookup(ctx context.Context, q db.Querier, t *Table, keys []db.Column) (*Batch, error) {
	b := newBatch(t)
	if len(keys) == 0 || keys[0].Len() == 0 {
		return b, nil
	}
	err := q.Lookup(ctx, db.Lookup{Table: t.Name, Want: columnNames(t), Keys: keys}, func(_ int, r db.Row) error {
		b.add(r, 0)
		return nil
	})
	return b, err
}

// Count is how many rows a table has, and the sum of their hashes.
type Count struct {
	Rows int64 `json:"rows"`
	Sum  Sum   `json:"sum"`
}

func (c *Count) add(h *hasher, b *Batch) {
	for i := range b.Rows {
		s := h.row(b, i)
		c.Sum.add(&s)
	}
	c.Rows += int64(b.Rows)
}

// Digest counts and hashes all rows that the tenant has, by table. Two databases with the same rows have the same, whatever their kind.
func Digest(ctx context.Context, d *db.DB) (all map[string]Count, err error) {
	defer fault.Op(&err, "transfer.Digest")
	tables, err := Tables(ctx, d)
	if err != nil {
		return nil, err
	}
	err = d.Snapshot(ctx, func(ctx context.Context, q db.Querier) error {
		all = map[string]Count{}
		var h hasher
		for _, t := range tables {
			var c Count
			if err := Scan(ctx, q, t, func(b *Batch) error { c.add(&h, b); return nil }); err != nil {
				return err
			}
			all[t.Name] = c
		}
		return nil
	})
	return all, err
}

// Rows counts all rows that the tenant has.
func Rows(ctx context.Context, q db.Querier, tables []*Table) (map[string]int64, error) {
	all := map[string]int64{}
	for _, t := range tables {
		err := q.Query(ctx, "SELECT count(*) FROM "+t.Name, func(r db.Row) error { all[t.Name] = r.Int64(0); return nil })
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}
