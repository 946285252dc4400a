package journal_test

import (
	"testing"

	"ward/internal/backend/db/sqlite"
	"ward/internal/base/scope"
	"ward/internal/kernel/journal"
)

func TestJournal_RemembersByContentAndTenant(t *testing.T) {
	t.Parallel()
	d, err := sqlite.Open(t.Context(), sqlite.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close(t.Context()) })
	if err := d.Migrate(t.Context(), "journal", journal.Module().SystemMigrations); err != nil {
		t.Fatal(err)
	}
	open := func(id int32, work string) *journal.Journal {
		t.Helper()
		j, err := journal.Open(t.Context(), d, scope.Tenant{ID: id}, work)
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	a, b := journal.HashOf([]byte("a")), journal.HashOf([]byte("b"))
	j := open(1, "import")
	for range 2 {
		if err := j.Mark(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	if open(1, "import").Done(a) {
		t.Error("marked before it was flushed")
	}
	if err := j.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := j.Mark(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if err := j.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	again := open(1, "import")
	if !again.Done(a) || again.Done(b) || open(2, "import").Done(a) || open(1, "other").Done(a) {
		t.Error("it remembers something else")
	}
}
