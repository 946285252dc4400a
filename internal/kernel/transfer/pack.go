package transfer

import (
	"context"
	"encoding/binary"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
)

// Pack appends the rows of b: for each its length and its encoding, which is the same on all databases.
func Pack(dst []byte, b *Batch) []byte {
	var row []byte
	for i := range b.Rows {
		row = b.appendRow(row[:0], i)
		dst = append(binary.AppendUvarint(dst, uint64(len(row))), row...)
	}
	return dst
}

// Unpack reads what Pack wrote, of a table with these columns. It returns fault.Unprocessable for what is damaged.
func Unpack(t *Table, src []byte) (*Batch, error) {
	b := newBatch(t)
	for len(src) > 0 {
		n, size := binary.Uvarint(src)
		if size <= 0 || n > uint64(len(src)-size) { //nolint:gosec // not negative
			return nil, errRow(t)
		}
		row := src[size : size+int(n)] //nolint:gosec // at most len(src)
		src = src[size+int(n):]        //nolint:gosec // at most len(src)
		rest, err := b.readRow(row)
		if err != nil {
			return nil, err
		}
		if len(rest) > 0 {
			return nil, errRow(t)
		}
	}
	return b, nil
}

// Add counts and hashes the rows of b too.
func (c *Count) Add(b *Batch) {
	var h hasher
	c.add(&h, b)
}

// Export gives all rows of the tables, as one snapshot sees them, in batches by table.
func Export(ctx context.Context, d *db.DB, tables []*Table, each func(b *Batch) error) (err error) {
	defer fault.Op(&err, "transfer.Export")
	return d.Snapshot(ctx, func(ctx context.Context, q db.Querier) error {
		for _, t := range tables {
			if err := Scan(ctx, q, t, each); err != nil {
				return err
			}
		}
		return nil
	})
}

// Fits pairs tables of elsewhere with those of the database that the scope picks, which may have more tables. It returns fault.Unprocessable naming one that is missing, or
// whose columns differ.
func Fits(ctx context.Context, d *db.DB, tables []*Table) (map[string]*Table, error) {
	here, err := Tables(ctx, d)
	if err != nil {
		return nil, err
	}
	all := map[string]*Table{}
	for _, h := range here {
		all[h.Name] = h
	}
	for _, t := range tables {
		h := all[t.Name]
		if h == nil {
			return nil, fault.Unprocessable("the archive has the table %s, which this Ward has not: use the version that wrote the archive, or a later one", t.Name)
		}
		if err := t.fits(h); err != nil {
			return nil, fault.Unprocessable("%s: use the version of Ward that wrote the archive, then bring it up to date", differs(err))
		}
	}
	return all, nil
}

// differs is the message of an internal fault, which is about tables and shows nothing of theirs.
func differs(err error) string {
	f, ok := fault.Of(err)
	if !ok {
		return "the tables differ"
	}
	return f.Message
}
