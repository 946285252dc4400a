package main

import (
	"context"
	"fmt"

	"ward/internal/app"
)

type migrateCmd struct {
	place `embed:""`
}

// Help is shown by --help.
func (migrateCmd) Help() string {
	return `Embedded databases are migrated when they are opened; on PostgreSQL this command does it, as the role of
db.owner-url. It may run while Ward serves, and from several places at once.

Examples:
  ward migrate
  WARD_DB_URL=postgres://ward_app:…@db/ward WARD_DB_OWNER_URL=postgres://ward_owner:…@db/ward ward migrate`
}

// Run migrates the system's and the tenants' databases.
func (c *migrateCmd) Run(ctx context.Context, w *world) (err error) {
	config, err := c.load(w)
	if err != nil {
		return err
	}
	a, err := app.Open(ctx, config, app.Options{Version: version})
	if err != nil {
		return err
	}
	defer func() { _ = a.Close(context.WithoutCancel(ctx)) }()
	if err := a.Migrate(ctx); err != nil {
		return err
	}
	fmt.Fprintln(w.out, "The databases are up to date.")
	return nil
}
