package transfer

import (
	"context"
	"maps"
	"slices"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
)

// Copier brings a tenant's rows from one database to another while they change. Make it with [NewCopier] after [Track].
type Copier struct {
	from, to *db.DB
	tables   []*Table
	others   map[string]*Table

	// Backlog is told how many notes of changes were found at a time, and brought over; it may be nil.
	Backlog func(notes int)
	// Progress is told how many rows were copied, and later compared; it may be nil.
	Progress func(rows int64)
	rows     int64
	changes  int64
}

// NewCopier reads what tables there are. The scope in ctx, and in those of the methods, is the tenant's.
func NewCopier(ctx context.Context, from, to *db.DB) (c *Copier, err error) {
	defer fault.Op(&err, "transfer.NewCopier")
	c = &Copier{from: from, to: to}
	if c.tables, err = Tables(ctx, from); err != nil {
		return nil, err
	}
	others, err := Tables(ctx, to)
	if err != nil {
		return nil, err
	}
	c.others, err = match(c.tables, others)
	return c, err
}

// Size is how many rows there are to copy.
func (c *Copier) Size(ctx context.Context) (n int64, err error) {
	err = c.from.Read(ctx, func(ctx context.Context, q db.Querier) error {
		counts, err := Rows(ctx, q, c.tables)
		n = 0
		for _, rows := range counts {
			n += rows
		}
		return err
	})
	return n, err
}

// Changes is how many notes of changes were brought over so far.
func (c *Copier) Changes() int64 { return c.changes }

func (c *Copier) progress(n int) {
	c.rows += int64(n)
	if c.Progress != nil {
		c.Progress(c.rows)
	}
}

// Copy copies all rows as they are when they are read.
func (c *Copier) Copy(ctx context.Context) (err error) {
	defer fault.Op(&err, "transfer.Copy")
	for _, t := range c.tables {
		var at position
		for {
			var b *Batch
			err := c.from.Read(ctx, func(ctx context.Context, q db.Querier) (err error) {
				before := at
				before.key = slices.Clone(at.key)
				b, err = next(ctx, q, t, &before)
				if err == nil {
					at = before
				}
				return err
			})
			if err != nil {
				return err
			}
			if b.Rows == 0 {
				break
			}
			// A row that one at the new place is in the way of has been noted, or the other one has.
			if err := c.to.Write(ctx, func(ctx context.Context, tx db.Tx) error { return Load(ctx, tx, c.others[t.Name], b, true) }); err != nil {
				return err
			}
			c.progress(b.Rows)
		}
	}
	return nil
}

// Compare holds every row of the source against the copy's, and brings over what was noted meanwhile. It returns fault.Internal naming the table where they
// differ.
func (c *Copier) Compare(ctx context.Context) (err error) {
	defer fault.Op(&err, "transfer.Compare")
	for _, t := range c.tables {
		var at position
		for {
			var b *Batch
			err := c.caughtUp(ctx, func(ctx context.Context, q db.Querier) (err error) {
				b, err = next(ctx, q, t, &at)
				return err
			})
			if err != nil {
				return err
			}
			if b.Rows == 0 {
				break
			}
			keys := make([]string, b.Rows)
			for i := range keys {
				keys[i] = b.keyOf(i)
			}
			if err := c.equal(ctx, t, keys, b); err != nil {
				return err
			}
			c.progress(b.Rows)
		}
	}
	return c.CompareCounts(ctx)
}

// CompareCounts holds the numbers of rows against each other, after what was noted was brought over.
func (c *Copier) CompareCounts(ctx context.Context) (err error) {
	defer fault.Op(&err, "transfer.CompareCounts")
	var from, to map[string]int64
	err = c.caughtUp(ctx, func(ctx context.Context, q db.Querier) (err error) {
		from, err = Rows(ctx, q, c.tables)
		return err
	})
	if err != nil {
		return err
	}
	err = c.to.Read(ctx, func(ctx context.Context, q db.Querier) (err error) {
		to, err = Rows(ctx, q, c.tables)
		return err
	})
	if err != nil {
		return err
	}
	for name, n := range from {
		if to[name] != n {
			return fault.Internal("the table %s has %d rows, its copy %d", name, n, to[name])
		}
	}
	return nil
}

// CatchUp brings over what was noted, compares it, and says how many notes there were.
func (c *Copier) CatchUp(ctx context.Context) (notes int, err error) {
	defer fault.Op(&err, "transfer.CatchUp")
	before := c.changes
	err = c.caughtUp(ctx, func(context.Context, db.Querier) error { return nil })
	return int(c.changes - before), err
}

// change is the rows of a table whose keys were noted.
type change struct {
	table *Table
	keys  []string
}

const keysAtOnce = 1000

// caughtUp gives fn a snapshot of the source whose notes have all been brought over to the copy.
func (c *Copier) caughtUp(ctx context.Context, fn func(ctx context.Context, q db.Querier) error) error {
	var notes []int64
	err := c.from.Snapshot(ctx, func(ctx context.Context, q db.Querier) error {
		notes = notes[:0]
		seen := map[string]map[string]bool{}
		err := q.Query(ctx, "SELECT n, tab, key FROM transfer_change ORDER BY n", func(r db.Row) error {
			notes = append(notes, r.Int64(0))
			tab := r.Text(1)
			if seen[tab] == nil {
				seen[tab] = map[string]bool{}
			}
			seen[tab][r.Text(2)] = true
			return nil
		})
		if err != nil {
			return err
		}
		if len(notes) > 0 {
			if err := c.bring(ctx, q, seen); err != nil {
				return err
			}
		}
		return fn(ctx, q)
	})
	if err != nil || len(notes) == 0 {
		return err
	}
	c.changes += int64(len(notes))
	if c.Backlog != nil {
		c.Backlog(len(notes))
	}
	return c.from.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		_, err := tx.Delete(ctx, "transfer_change", db.Col("n", notes))
		return err
	})
}

// bring makes the copy's rows with these keys those of the snapshot, and compares them. All go before the first is put in, so that none is in
// another's way.
func (c *Copier) bring(ctx context.Context, q db.Querier, noted map[string]map[string]bool) error {
	var changes []change
	for _, t := range c.tables {
		keys := slices.Sorted(maps.Keys(noted[t.Name]))
		for part := range slices.Chunk(keys, keysAtOnce) {
			changes = append(changes, change{t, part})
		}
	}
	keys, rows := make([][]db.Column, len(changes)), make([]*Batch, len(changes))
	for i, ch := range changes {
		var err error
		if keys[i], err = keysOf(ch.table, ch.keys); err != nil {
			return err
		}
		if rows[i], err = lookup(ctx, q, ch.table, keys[i]); err != nil {
			return err
		}
	}
	// In one transaction: where the disk is slow, it is its commits that take the time.
	err := c.to.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		for i, ch := range changes {
			if c.kept(ch.table) { // what is there stays as it is
				continue
			}
			if _, err := tx.Delete(ctx, ch.table.Name, converted(keys[i], c.others[ch.table.Name])...); err != nil {
				return err
			}
		}
		for i, ch := range changes {
			if err := Load(ctx, tx, c.others[ch.table.Name], rows[i], c.kept(ch.table)); err != nil {
				return err
			}
		}
		return nil
	})
	for i, ch := range changes {
		if err == nil {
			err = c.equal(ctx, ch.table, ch.keys, rows[i])
		}
	}
	return err
}

// kept says whether rows of the table are never changed or deleted.
func (c *Copier) kept(t *Table) bool { return t.Kept || c.others[t.Name].Kept }

// converted are keys with the types of the other database's columns.
func converted(keys []db.Column, other *Table) []db.Column {
	out := make([]db.Column, len(keys))
	for i, k := range keys {
		out[i] = k
		at := other.index(k.Name)
		switch values := k.Values.(type) {
		case []int64:
			v := vector{ints: values}
			out[i] = v.column(k.Name, other.Columns[at].Kind, nil)
		case []bool:
			if other.Columns[at].Kind == Int {
				ints := make([]int64, len(values))
				for n, b := range values {
					if b {
						ints[n] = 1
					}
				}
				out[i] = db.Col(k.Name, ints)
			}
		}
	}
	return out
}

// equal says whether the copy's rows with these keys are those of b, by the hash of each.
func (c *Copier) equal(ctx context.Context, t *Table, noted []string, b *Batch) error {
	keys, err := keysOf(t, noted)
	if err != nil {
		return err
	}
	other := c.others[t.Name]
	var copied *Batch
	err = c.to.Read(ctx, func(ctx context.Context, q db.Querier) (err error) {
		copied, err = lookup(ctx, q, other, converted(keys, other))
		return err
	})
	if err != nil {
		return err
	}
	if copied.Rows != b.Rows {
		return fault.Internal("of %d rows of the table %s the copy has %d", b.Rows, t.Name, copied.Rows)
	}
	var h hasher
	want := make(map[Sum]bool, b.Rows)
	for i := range b.Rows {
		want[h.row(b, i)] = true
	}
	for i := range copied.Rows {
		if !want[h.row(copied, i)] {
			return fault.Internal("a row of the table %s differs from its copy", t.Name)
		}
	}
	return nil
}
