package dbtest

import (
	"testing"

	"ward/internal/backend/db"
)

// Open gives an empty database without migrations, which it closes with the test.
type Open func(t testing.TB) *db.DB

// Run is the conformance suite: what db promises, shown on a driver.
func Run(t *testing.T, open Open) {
	t.Helper()
	for _, part := range []struct {
		name  string
		cases map[string]func(s *suite)
	}{
		{"Scope", scopeCases()},
		{"Read", readCases()},
		{"Lookup", lookupCases()},
		{"Write", writeCases()},
		{"Many", manyCases()},
		{"Together", togetherCases()},
		{"Batcher", batcherCases()},
	} {
		t.Run(part.name, func(t *testing.T) {
			t.Parallel()
			// The cases of a part share a database, each with tenants of its own.
			d := open(t)
			Migrate(t, d, "dbtest", tables())
			base := int32(0)
			for name, run := range part.cases {
				base += 10
				first := base
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					run(newSuite(t, d, first))
				})
			}
		})
	}
	t.Run("Life", func(t *testing.T) {
		t.Parallel()
		for name, run := range lifeCases() {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				d := open(t)
				Migrate(t, d, "dbtest", tables())
				run(newSuite(t, d, 0))
			})
		}
	})
	t.Run("Migrate", func(t *testing.T) {
		t.Parallel()
		for name, run := range migrateCases() {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				run(t, open)
			})
		}
	})
}
