package sqlite

import (
	"context"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
)

// tx is the transaction that one function of Write sees: its part of the writer's group.
type tx struct {
	c      *conn
	failed error // the first error, which fails the whole Write
	over   bool  // the function has returned
}

func (t *tx) ready() error {
	if t.over {
		return fault.Internal("db: a transaction was used after its function returned")
	}
	return t.failed
}

// keep remembers the first error of a statement. An error of the caller's own row function is not one.
func (t *tx) keep(err error) error {
	if err != nil && t.failed == nil && !t.c.theirs {
		t.failed = err
	}
	return err
}

func (t *tx) Query(ctx context.Context, sql string, each func(db.Row) error, args ...any) error {
	if err := t.ready(); err != nil {
		return err
	}
	return t.keep(t.c.Query(ctx, sql, each, args...))
}

func (t *tx) Lookup(ctx context.Context, l db.Lookup, each func(i int, r db.Row) error) error {
	if err := t.ready(); err != nil {
		return err
	}
	return t.keep(t.c.Lookup(ctx, l, each))
}

func (t *tx) Exec(ctx context.Context, sql string, args ...any) (int64, error) {
	if err := t.ready(); err != nil {
		return 0, err
	}
	n, err := t.c.exec(ctx, sql, args)
	return n, t.keep(err)
}

func (t *tx) Insert(ctx context.Context, table string, cols ...db.Column) (int64, error) {
	return t.many(ctx, '+', table, nil, cols, func() (string, error) { return insertText(table, cols), nil })
}

func (t *tx) InsertNew(ctx context.Context, table string, cols ...db.Column) (int64, error) {
	return t.many(ctx, '~', table, nil, cols, func() (string, error) {
		return insertText(table, cols) + " ON CONFLICT DO NOTHING", nil
	})
}

func (t *tx) Upsert(ctx context.Context, table string, key []string, cols ...db.Column) (int64, error) {
	return t.many(ctx, '=', table, key, cols, func() (string, error) {
		if err := db.CheckUpsert(table, key, cols); err != nil {
			return "", err
		}
		return upsertText(table, key, cols), nil
	})
}

func (t *tx) Delete(ctx context.Context, table string, key ...db.Column) (int64, error) {
	return t.many(ctx, '-', table, nil, key, func() (string, error) {
		return "DELETE FROM " + table + whereText(key), nil
	})
}

// Lock has nothing to do: a file has one writer.
func (t *tx) Lock(ctx context.Context, _ string) error {
	if err := t.ready(); err != nil {
		return err
	}
	return t.keep(db.Ended(ctx))
}

func (t *tx) many(ctx context.Context, verb byte, table string, names []string, cols []db.Column, text func() (string, error)) (int64, error) {
	if err := t.ready(); err != nil {
		return 0, err
	}
	n, err := db.Rows(table, cols)
	if err != nil || n == 0 {
		return 0, t.keep(err)
	}
	count, err := t.c.many(ctx, verb, table, names, cols, n, text)
	return count, t.keep(err)
}

func (c *conn) exec(ctx context.Context, sql string, args []any) (int64, error) {
	if err := c.Query(ctx, sql, nil, args...); err != nil {
		return 0, err
	}
	if st := c.stmts[sql]; st == nil || !st.dml {
		return 0, nil
	}
	return int64(c.c.Changes()), nil
}

// many runs a statement of one row for every row of the columns.
func (c *conn) many(ctx context.Context, verb byte, table string, names []string, cols []db.Column, n int, text func() (string, error)) (int64, error) {
	if err := c.begin(ctx); err != nil {
		return 0, err
	}
	defer c.end()
	st, err := c.shaped(verb, table, names, cols, text)
	if err != nil {
		return 0, mapped(ctx, err)
	}
	defer st.rest()
	var count int64
	for i := range n {
		for k := range cols {
			st.value(k+1, cols[k].Values, i)
		}
		if _, err := st.Step(); err != nil {
			return count, mapped(ctx, err)
		}
		count += int64(c.c.Changes())
		if err := st.Reset(); err != nil {
			return count, mapped(ctx, err)
		}
		if (i+1)%checkRows == 0 {
			if err := db.Ended(ctx); err != nil {
				return count, err
			}
		}
	}
	return count, nil
}
