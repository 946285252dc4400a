package postgres_test

import (
	"testing"

	"ward/internal/backend/db/dbtest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	dbtest.Run(t, dbtest.Postgres)
}
