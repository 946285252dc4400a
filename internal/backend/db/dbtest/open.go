package dbtest

import (
	"context"
	"io/fs"
	"testing"

	"ward/internal/backend/db"
	"ward/internal/backend/db/sqlite"
	"ward/internal/base/scope"
)

// SQLite is an empty database in a temporary folder, closed with the test.
func SQLite(t testing.TB) *db.DB {
	t.Helper()
	d, err := sqlite.Open(t.Context(), sqlite.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return d
}

// Tenant is t's context with the scope of the tenant.
func Tenant(t testing.TB, id int32) context.Context {
	t.Helper()
	return scope.WithTenant(t.Context(), scope.Tenant{ID: id})
}

// Migrate registers a domain's tenant migrations and applies them.
func Migrate(t testing.TB, d *db.DB, domain string, files fs.FS) {
	t.Helper()
	if err := d.RegisterTenant(domain, files); err != nil {
		t.Fatal(err)
	}
	if err := d.MigrateTenants(t.Context()); err != nil {
		t.Fatal(err)
	}
}
