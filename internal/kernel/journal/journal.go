// Package journal remembers which pieces of a long work were done, by their content, so that the work goes on where it was stopped and
// may be given the same pieces again under other names.
//
// It owns the table journal_done in the system database. A piece is marked after it was done: when the process dies between
// the two it is done again, so the work itself must be repeatable.
package journal

import (
	"context"
	"crypto/sha256"
	"embed"
	"io/fs"
	"sync"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/kernel/module"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Hash names a piece: the first half of the SHA-256 of its content.
type Hash [16]byte

// HashOf is the hash of the parts, one after another.
func HashOf(parts ...[]byte) (h Hash) {
	sum := sha256.New()
	for _, p := range parts {
		sum.Write(p)
	}
	copy(h[:], sum.Sum(nil))
	return h
}

// Module is the journal's table.
func Module() module.Module {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return module.Module{Name: "journal", SystemMigrations: files}
}

// Journal is one tenant's work of one kind. It is safe for use by many goroutines.
type Journal struct {
	db     *db.DB
	tenant int32
	work   string

	mu   sync.Mutex
	done map[Hash]bool
	mark [][]byte // done, not yet written
}

// markEvery is how many pieces are written at once.
const markEvery = 64

// Open reads what was done.
func Open(ctx context.Context, d *db.DB, tenant scope.Tenant, work string) (j *Journal, err error) {
	defer fault.Op(&err, "journal.Open", tenant.ID, work)
	j = &Journal{db: d, tenant: tenant.ID, work: work, done: map[Hash]bool{}}
	err = d.Read(scope.WithSystem(ctx), func(ctx context.Context, q db.Querier) error {
		clear(j.done)
		return q.Query(ctx, "SELECT hash FROM journal_done WHERE tenant_id = $1 AND work = $2", func(r db.Row) error {
			var h Hash
			copy(h[:], r.Bytes(0))
			j.done[h] = true
			return nil
		}, j.tenant, j.work)
	})
	return j, err
}

// Done says whether the piece was done.
func (j *Journal) Done(h Hash) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.done[h]
}

// Mark notes that the piece was done. It is written with others, at the latest by [Journal.Flush].
func (j *Journal) Mark(ctx context.Context, h Hash) error {
	j.mu.Lock()
	j.done[h] = true
	j.mark = append(j.mark, h[:])
	due := len(j.mark) >= markEvery
	j.mu.Unlock()
	if due {
		return j.Flush(ctx)
	}
	return nil
}

// Flush writes what was marked.
func (j *Journal) Flush(ctx context.Context) (err error) {
	defer fault.Op(&err, "journal.Flush")
	j.mu.Lock()
	marks := j.mark
	j.mark = nil
	j.mu.Unlock()
	if len(marks) == 0 {
		return nil
	}
	tenants, works := make([]int32, len(marks)), make([]string, len(marks))
	for i := range marks {
		tenants[i], works[i] = j.tenant, j.work
	}
	return j.db.Write(scope.WithSystem(ctx), func(ctx context.Context, tx db.Tx) error {
		_, err := tx.InsertNew(ctx, "journal_done", db.Col("tenant_id", tenants), db.Col("work", works), db.Col("hash", marks))
		return err
	})
}

// All is every piece that was done.
func (j *Journal) All() []Hash {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := make([]Hash, 0, len(j.done))
	for h := range j.done {
		out = append(out, h)
	}
	return out
}

// Forget removes all marks of a tenant, which is being destroyed.
func Forget(ctx context.Context, d *db.DB, tenant scope.Tenant) (err error) {
	defer fault.Op(&err, "journal.Forget", tenant.ID)
	return d.Write(scope.WithSystem(ctx), func(ctx context.Context, tx db.Tx) error {
		_, err := tx.Exec(ctx, "DELETE FROM journal_done WHERE tenant_id = $1", tenant.ID)
		return err
	})
}
