package db

import (
	"context"
	"time"
)

// Place is the database that a scope picks.
type Place struct {
	System bool
	Tenant int32 // positive, unless System
}

// Driver is what db/sqlite and db/postgres implement. Callers use [DB].
type Driver interface {
	Dialect() Dialect
	Read(ctx context.Context, at Place, fn func(ctx context.Context, q Querier) error) error
	Snapshot(ctx context.Context, at Place, fn func(ctx context.Context, q Querier) error) error
	Write(ctx context.Context, at Place, fn func(ctx context.Context, tx Tx) error) error
	// MigrateSystem brings the domain's tables in the system database up to date.
	MigrateSystem(ctx context.Context, line Line) error
	// RegisterTenant adds a line to those that every tenant's database has.
	RegisterTenant(line Line) error
	// MigrateTenants brings every tenant's database that exists up to date.
	MigrateTenants(ctx context.Context) error
	// Alter runs a script as the owner of the place's tables, all or nothing. It waits for the place's writes, not for its readers.
	Alter(ctx context.Context, at Place, script string) error
	// Discard removes a tenant's database where it is one of its own, and says whether it is. It must not be in use.
	Discard(ctx context.Context, at Place) (bool, error)
	Check(ctx context.Context) error
	Stats() Stats
	Close(ctx context.Context) error
}

// Names of the dialects.
const (
	SQLite     = "sqlite"
	PostgreSQL = "postgres"
)

// Dialect says which SQL the database speaks, for the few places where the text must differ.
type Dialect struct {
	Name string // SQLite or PostgreSQL
}

// Pick is the text for this dialect.
func (d Dialect) Pick(sqlite, postgres string) string {
	if d.Name == PostgreSQL {
		return postgres
	}
	return sqlite
}

// Stats counts what a database did since it was opened. Gauges say so.
type Stats struct {
	Reads, Writes     int64         // calls of Read and Snapshot, and of Write, that ended
	Queries           int64         // statements and lookups of Read and Snapshot
	Commits           int64         // transactions committed; on SQLite one carries a group of writes
	Retries           int64         // writes run again after a serialisation failure or a deadlock
	Failures          int64         // calls that ended in Unavailable, Full, Timeout or Internal
	InFlight          int64         // gauge: calls under way
	Connections, Idle int64         // gauge: open connections, and those at rest
	Waits             int64         // calls that had to wait for a connection
	Waited            time.Duration // how long they waited, together
	OpenFiles         int64         // gauge, SQLite: open databases
	Closed            int64         // SQLite: databases closed to make room for others
	Checkpoints       int64         // SQLite: WAL checkpoints run
	WALPages          int64         // gauge, SQLite: pages in the largest WAL at its last look
}
