package sqlite_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"ward/internal/backend/db"
	"ward/internal/backend/db/dbtest"
	"ward/internal/backend/db/sqlite"
	"ward/internal/base/fault"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	dbtest.Run(t, dbtest.SQLite)
}

func itemTables() fstest.MapFS {
	return fstest.MapFS{"0001_item.sql": {Data: []byte("CREATE TABLE lite_item (id INTEGER PRIMARY KEY, body BLOB)")}}
}

func openIn(t *testing.T, cfg sqlite.Config) *db.DB {
	t.Helper()
	d, err := sqlite.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close(context.Background()) })
	if err := d.RegisterTenant("lite", itemTables()); err != nil {
		t.Fatal(err)
	}
	return d
}

func put(ctx context.Context, d *db.DB, size int, ids ...int64) error {
	return d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		bodies := make([][]byte, len(ids))
		for i := range bodies {
			bodies[i] = make([]byte, size)
		}
		_, err := tx.Insert(ctx, "lite_item", db.Col("id", ids), db.Col("body", bodies))
		return err
	})
}

func count(ctx context.Context, t *testing.T, d *db.DB) (n int64) {
	t.Helper()
	err := d.Read(ctx, func(ctx context.Context, q db.Querier) error {
		return q.Query(ctx, "SELECT count(*) FROM lite_item", func(r db.Row) error { n = r.Int64(0); return nil })
	})
	if err != nil {
		t.Error(err)
	}
	return n
}

func TestOpen_RefusesAFolderThatAnotherProcessHas(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := openIn(t, sqlite.Config{Dir: dir})
	if _, err := sqlite.Open(t.Context(), sqlite.Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), "another Ward uses the folder "+dir) {
		t.Errorf("%v", err)
	}
	if err := d.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	openIn(t, sqlite.Config{Dir: dir})
}

// TestWrite_IsDurable copies the files while the database is open, as they would be found after a crash: everything that was
// acknowledged is in the copy.
func TestWrite_IsDurable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := openIn(t, sqlite.Config{Dir: dir, CheckpointPages: 20})
	ctx := dbtest.Tenant(t, 1)
	for id := range int64(100) {
		if err := put(ctx, d, 3000, id); err != nil {
			t.Fatal(err)
		}
	}
	// The copy must not meet a checkpoint half way: a crash would not either, as the WAL is kept until its pages are synced.
	for d.Stats().InFlight > 0 {
		time.Sleep(time.Millisecond)
	}
	copied := t.TempDir()
	if err := os.Mkdir(filepath.Join(copied, "tenants"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"-wal", ""} { // the WAL first: what it lacks is in the file then
		name := filepath.Join("tenants", "1.db"+suffix)
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(copied, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(ctx, t, openIn(t, sqlite.Config{Dir: copied})); n != 100 {
		t.Errorf("%d items, 100 were acknowledged", n)
	}
}

// TestFiles_AreBounded: more tenants than files may be open, used by many at once; none in use is closed.
func TestFiles_AreBounded(t *testing.T) {
	t.Parallel()
	d := openIn(t, sqlite.Config{Dir: t.TempDir(), MaxOpen: 3})
	const tenants, rounds = 8, 6
	var wg sync.WaitGroup
	for n := range int32(tenants) {
		wg.Go(func() {
			ctx := dbtest.Tenant(t, n+1)
			for i := range int64(rounds) {
				if err := put(ctx, d, 10, i); err != nil {
					t.Error(err)
				}
				if got := count(ctx, t, d); got != i+1 {
					t.Errorf("tenant %d has %d items after %d", n+1, got, i+1)
				}
			}
		})
	}
	wg.Wait()
	for d.Stats().OpenFiles > 3 {
		time.Sleep(time.Millisecond)
	}
	if s := d.Stats(); s.Closed < tenants-3 {
		t.Errorf("%+v", s)
	}
	if err := d.MigrateTenants(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestWAL_IsBounded: writes go on while the WAL is copied back, and it starts anew.
func TestWAL_IsBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := openIn(t, sqlite.Config{Dir: dir, CheckpointPages: 50})
	ctx := dbtest.Tenant(t, 1)
	var stop atomic.Bool
	var wg sync.WaitGroup
	for range 2 { // readers all the time
		wg.Go(func() {
			for !stop.Load() {
				count(ctx, t, d)
			}
		})
	}
	most := int64(0)
	for id := range int64(500) {
		if err := put(ctx, d, 3500, id); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(filepath.Join(dir, "tenants", "1.db-wal")); err == nil {
			most = max(most, info.Size())
		}
	}
	stop.Store(true)
	wg.Wait()
	if s := d.Stats(); s.Checkpoints < 3 {
		t.Errorf("%d checkpoints", s.Checkpoints)
	}
	if most > 2*8*50*4096 {
		t.Errorf("the WAL grew to %d KB, its bound is %d KB", most>>10, 8*50*4)
	}
	t.Logf("WAL up to %d KB for %d MB written, %d checkpoints", most>>10, 500*3500>>20, d.Stats().Checkpoints)
}

// TestSnapshot_EndsAfterItsLimit: it would hold the WAL for ever.
func TestSnapshot_EndsAfterItsLimit(t *testing.T) {
	t.Parallel()
	d := openIn(t, sqlite.Config{Dir: t.TempDir(), SnapshotLimit: 20 * time.Millisecond})
	err := d.Snapshot(dbtest.Tenant(t, 1), func(ctx context.Context, q db.Querier) error {
		<-ctx.Done()
		return q.Query(ctx, "SELECT 1", nil)
	})
	if !fault.Is(err, fault.CodeTimeout) {
		t.Errorf("%v", err)
	}
}

// fills until the disk is full, and says how many were acknowledged.
func fill(ctx context.Context, t *testing.T, d *db.DB, from int64) int64 {
	t.Helper()
	for id := from; ; id++ {
		err := put(ctx, d, 20_000, id)
		if fault.Is(err, fault.CodeFull) {
			return id - from
		}
		if err != nil {
			t.Fatal(err)
		}
		if id-from > 10_000 {
			t.Fatal("the disk is never full")
		}
	}
}

func checkFull(ctx context.Context, t *testing.T, d *db.DB, have int64) {
	t.Helper()
	if n := count(ctx, t, d); n != have {
		t.Errorf("%d items, %d were acknowledged", n, have)
	}
	var wg sync.WaitGroup
	for i := range int64(8) { // a group, of which none fits
		wg.Go(func() {
			if err := put(ctx, d, 3_000_000, 100_000+i); !fault.Is(err, fault.CodeFull) {
				t.Errorf("%v", err)
			}
		})
	}
	wg.Wait()
	if n := count(ctx, t, d); n != have {
		t.Errorf("%d items, %d were acknowledged", n, have)
	}
}

func TestFull_FileLimit(t *testing.T) {
	t.Parallel()
	d := openIn(t, sqlite.Config{Dir: t.TempDir(), MaxFileBytes: 2 << 20})
	ctx := dbtest.Tenant(t, 1)
	have := fill(ctx, t, d, 0)
	checkFull(ctx, t, d, have)
	err := d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		_, err := tx.Exec(ctx, "DELETE FROM lite_item WHERE id < 20")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := put(ctx, d, 20_000, 50_000); err != nil {
		t.Errorf("after room was made: %v", err)
	}
	if n := count(ctx, t, d); n != have-19 {
		t.Errorf("%d items, want %d", n, have-19)
	}
}

// TestFull_Disk uses a small disk of its own where the test may mount one.
func TestFull_Disk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=8m"); err != nil {
		t.Logf("no disk can be mounted (%v); TestFull_FileLimit shows the same", err)
		return
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 3<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	d := openIn(t, sqlite.Config{Dir: dir})
	ctx := dbtest.Tenant(t, 1)
	if err := put(ctx, d, 10, -1); err != nil {
		t.Fatal(err)
	}
	have := fill(ctx, t, d, 0) + 1
	checkFull(ctx, t, d, have)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := put(ctx, d, 20_000, 50_000); err != nil {
		t.Errorf("after room was made: %v", err)
	}
	if n := count(ctx, t, d); n != have+1 {
		t.Errorf("%d items, want %d", n, have+1)
	}
	if err := d.Check(ctx); err != nil {
		t.Error(err)
	}
}

// TestOpen_DamagedFile says so, and other tenants are not touched by it.
func TestOpen_DamagedFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := openIn(t, sqlite.Config{Dir: dir})
	if err := os.WriteFile(filepath.Join(dir, "tenants", "7.db"), []byte(strings.Repeat("this is no database ", 500)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := put(dbtest.Tenant(t, 7), d, 1, 1); !fault.Is(err, fault.CodeInternal) || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("%v", err)
	}
	if err := put(dbtest.Tenant(t, 8), d, 1, 1); err != nil {
		t.Error(err)
	}
}

// TestRegister_TooLate: a file that is open already would lack the tables.
func TestRegister_TooLate(t *testing.T) {
	t.Parallel()
	d := openIn(t, sqlite.Config{Dir: t.TempDir()})
	if err := put(dbtest.Tenant(t, 1), d, 1, 1); err != nil {
		t.Fatal(err)
	}
	if err := d.RegisterTenant("late", itemTables()); !fault.Is(err, fault.CodeInternal) {
		t.Errorf("%v", err)
	}
}
