// Package sealtest gives tests keys.
package sealtest

import (
	"testing"

	"ward/internal/backend/db"
	"ward/internal/backend/kms/kmstest"
	"ward/internal/kernel/seal"
)

// Keys are keys kept in d, under a secret that is always the same.
func Keys(t testing.TB, d *db.DB) *seal.Keys {
	t.Helper()
	return keys(t, d, false)
}

// Off are the same keys with sealing off.
func Off(t testing.TB, d *db.DB) *seal.Keys {
	t.Helper()
	return keys(t, d, true)
}

func keys(t testing.TB, d *db.DB, off bool) *seal.Keys {
	t.Helper()
	k := seal.New(seal.Deps{DB: d, Service: kmstest.Service(t), Off: off})
	if err := d.Migrate(t.Context(), "seal", k.Module().SystemMigrations); err != nil {
		t.Fatal(err)
	}
	return k
}
