package alarm

import (
	"context"
	"embed"
	"io/fs"

	"ward/internal/backend/db"
	"ward/internal/base/clock"
	"ward/internal/base/scope"
	"ward/internal/kernel/module"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// Migrations is the SQL of the package's table, for the tenants' databases.
func Migrations() fs.FS {
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		panic(err) // the folder is embedded above
	}
	return files
}

// Module is what the package brings to the product: its table. Turns are had by booking's clockwork.
func Module() module.Module { return module.Module{Name: "alarm", Migrations: Migrations()} }

// Rows notes which events have reminders to be worked out. It is the events' [events.Alarms].
type Rows struct {
	Clock clock.Clock
	Wake  func(t scope.Tenant) // called when a change of this process is committed; nil: for nobody
}

// Changed notes events in the transaction that changes them.
func (r Rows) Changed(ctx context.Context, tx db.Tx, ids []string) error {
	now, none := make([]int64, len(ids)), make([]int64, len(ids))
	for i := range now {
		now[i] = r.Clock.Now().Unix()
	}
	if _, err := tx.InsertNew(ctx, "calendar_alarm", db.Col("event", ids), db.Col("due", none), db.Col("since", now)); err != nil {
		return err
	}
	if _, err := tx.Upsert(ctx, "calendar_alarm", []string{"event"}, db.Col("event", ids), db.Col("due", none)); err != nil {
		return err
	}
	if sc, ok := scope.From(ctx); ok && r.Wake != nil {
		db.AfterCommit(ctx, func() { r.Wake(sc.Tenant) })
	}
	return nil
}
