package postgres

import (
	"context"
	"hash/fnv"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
)

func errOver() error { return fault.Internal("db: a transaction was used after its function returned") }

// tx is a transaction of Write.
type tx struct{ begun }

func (t *tx) Exec(ctx context.Context, sql string, args ...any) (int64, error) {
	done, err := t.query(ctx, sql, nil, args)
	return done.rows, err
}

// Insert waits for nobody: it is sent with what follows it, if only the commit.
func (t *tx) Insert(ctx context.Context, table string, cols ...db.Column) (int64, error) {
	_, n, err := t.many(ctx, '+', table, nil, cols, many{queue: true, text: func() string { return insertText(table, cols) }})
	return n, err
}

func (t *tx) InsertNew(ctx context.Context, table string, cols ...db.Column) (int64, error) {
	done, _, err := t.many(ctx, '~', table, nil, cols, many{text: func() string { return insertText(table, cols) + " ON CONFLICT DO NOTHING" }})
	return done.rows, err
}

func (t *tx) Upsert(ctx context.Context, table string, key []string, cols ...db.Column) (int64, error) {
	if n, err := db.Rows(table, cols); err == nil && n > 0 {
		if err := db.CheckUpsert(table, key, cols); err != nil {
			return 0, t.keep(ctx, nil, err)
		}
	}
	done, _, err := t.many(ctx, '=', table, key, cols, many{
		keys: keyColumns(key, cols), last: true,
		text: func() string { return upsertText(table, !t.at.System, key, cols) },
	})
	return done.rows, err
}

func (t *tx) Delete(ctx context.Context, table string, key ...db.Column) (int64, error) {
	done, _, err := t.many(ctx, '-', table, nil, key, many{keys: key, text: func() string { return deleteText(table, key) }})
	return done.rows, err
}

// Lock takes an advisory lock that the end of the transaction lets go. Two names may share a number: then they wait for each other
// without need.
func (t *tx) Lock(ctx context.Context, name string) error {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	id := t.at.Tenant                                                                                            // 0 for the system: no tenant has it
	_, err := t.query(ctx, "SELECT pg_advisory_xact_lock($1::int4, $2::int4)", nil, []any{id, int32(h.Sum32())}) //nolint:gosec // two's complement
	return err
}

// many says how a statement of many rows is run.
type many struct {
	queue bool        // nobody waits for its answer
	keys  []db.Column // the rows are sent in the order of these
	last  bool        // of rows with the same keys, only the last is sent
	text  func() string
}

func (t *tx) many(ctx context.Context, verb byte, table string, names []string, cols []db.Column, how many) (done tag, n int64, err error) {
	rows, err := db.Rows(table, cols)
	if err != nil || rows == 0 {
		return done, 0, t.keep(ctx, nil, err)
	}
	c, err := t.ready(ctx)
	if err != nil {
		return done, 0, err
	}
	if err := c.enter(ctx); err != nil {
		return done, 0, t.keep(ctx, nil, err)
	}
	defer c.leave()
	st, err := c.shaped(ctx, verb, table, names, cols, how.text)
	if err != nil {
		return done, 0, t.keep(ctx, nil, err)
	}
	var order []int32
	if how.keys != nil && rows > 1 {
		order = sorted(how.keys, rows, how.last)
	}
	c.out = putColumns(c.out, st, cols, rows, order)
	if how.queue && len(c.out) < mostQueued {
		c.queued++
		return done, int64(rows), nil
	}
	done, err = c.round(ctx, st, nil)
	return done, int64(rows), t.keep(ctx, c, err)
}

// mostQueued is how many bytes wait for the next statement.
const mostQueued = 256 << 10
