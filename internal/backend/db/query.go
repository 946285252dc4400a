package db

import (
	"context"
	"errors"
)

// Stop is what a row function returns to end a query early without an error.
var Stop = errors.New("db: stop") //nolint:gochecknoglobals,errname,revive,staticcheck // a sentinel, like io.EOF

// Row is one row of an answer. Columns count from 0. It is valid until the row function returns.
type Row interface {
	Int64(i int) int64     // 0 for NULL
	Float64(i int) float64 // 0 for NULL
	Text(i int) string     // a copy; "" for NULL
	Bytes(i int) []byte    // valid until the row function returns; nil for NULL, not nil for an empty value
	Bool(i int) bool       // false for NULL
	IsNull(i int) bool
}

// Querier asks questions. It is used by one goroutine at a time, and no statement runs inside the row function of another.
type Querier interface {
	// Query runs one statement and calls each for every row; each may be nil, and may return [Stop] to end early.
	// Arguments are int, int64, int32, string, []byte (nil is NULL), bool, float64 or nil, for $1, $2, ...
	Query(ctx context.Context, sql string, each func(Row) error, args ...any) error
	// Lookup reads many rows by their keys in one round trip. each gets i, the index of the key, and the row; a key without
	// a row is not called, one with many is called for each. The order is not the keys'.
	Lookup(ctx context.Context, l Lookup, each func(i int, r Row) error) error
}

// Lookup names the rows that [Querier.Lookup] reads: those equal to a key on all its columns.
type Lookup struct {
	Table string
	Want  []string // columns of the answer, in order
	Keys  []Column // columns of the key; NULL equals nothing
	// ForUpdate locks the rows until the transaction ends, in the order of the keys, so that two who lock the same rows
	// don't block each other for ever. Only in a Tx.
	ForUpdate bool
	// Most ends the lookup after so many rows, of all keys together; 0: all are read. Choose few different numbers: each is a
	// statement of its own.
	Most int
}

// Tx is a transaction. On an error the whole transaction fails, whatever the caller does next.
type Tx interface {
	Querier
	// Exec runs one statement and says how many rows it changed.
	Exec(ctx context.Context, sql string, args ...any) (int64, error)
	// Insert adds rows. A row that is already there is Conflict with [ErrUnique]. The error of an Insert may come from a later call
	// or from Write itself: the driver may send it together with what follows.
	Insert(ctx context.Context, table string, cols ...Column) (int64, error)
	// InsertNew adds the rows that are not there yet, by any unique key, and says how many those were.
	InsertNew(ctx context.Context, table string, cols ...Column) (int64, error)
	// Upsert adds rows, or sets the other columns where a row with this key is there. Of two rows with the same key the
	// later one counts. The columns of key are a unique key of the table (without the tenant).
	Upsert(ctx context.Context, table string, key []string, cols ...Column) (int64, error)
	// Delete removes the rows equal to a key on all its columns, for many keys, and says how many those were.
	Delete(ctx context.Context, table string, key ...Column) (int64, error)
	// Lock waits until no other transaction of this tenant holds the name, and holds it until the end of this one.
	Lock(ctx context.Context, name string) error
}
