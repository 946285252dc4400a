package sqlite_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"

	"ward/internal/backend/db"
	"ward/internal/backend/db/dbtest"
	"ward/internal/backend/db/sqlite"
)

const crashFolder = "WARD_TEST_CRASH_FOLDER"

// TestCrash_KeepsWhatWasAcknowledged kills a writing process again and again: every write that it acknowledged is there, and no write of two rows is there
// by half.
func TestCrash_KeepsWhatWasAcknowledged(t *testing.T) {
	if dir := os.Getenv(crashFolder); dir != "" {
		writeUntilKilled(t, dir)
		return
	}
	t.Parallel()
	dir := t.TempDir()
	acknowledged := map[int64]bool{}
	next := int64(1)
	for range 5 {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCrash_KeepsWhatWasAcknowledged$") //nolint:gosec // this test
		cmd.Env = append(os.Environ(), crashFolder+"="+dir, "WARD_TEST_CRASH_FROM="+strconv.FormatInt(next, 10))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		n := 0
		for lines := bufio.NewScanner(out); lines.Scan(); {
			id, err := strconv.ParseInt(lines.Text(), 10, 64)
			if err != nil {
				continue // of the test framework
			}
			acknowledged[id], next = true, max(next, id+1000)
			if n++; n == 200 {
				_ = cmd.Process.Kill()
			}
		}
		_ = cmd.Wait()
		if n < 200 {
			t.Fatalf("the writer ended by itself after %d", n)
		}
	}
	d := openIn(t, sqlite.Config{Dir: dir})
	found := map[int64]bool{}
	err := d.Read(dbtest.Tenant(t, 1), func(ctx context.Context, q db.Querier) error {
		return q.Query(ctx, "SELECT id FROM lite_item", func(r db.Row) error { found[r.Int64(0)] = true; return nil })
	})
	if err != nil {
		t.Fatal(err)
	}
	for id := range acknowledged {
		if !found[id] {
			t.Errorf("item %d was acknowledged and is lost", id)
		}
	}
	for id := range found {
		if !found[-id] {
			t.Errorf("item %d is there without its other half", id)
		}
	}
}

func writeUntilKilled(t *testing.T, dir string) {
	t.Helper()
	d := openIn(t, sqlite.Config{Dir: dir, CheckpointPages: 100})
	ctx := dbtest.Tenant(t, 1)
	from, err := strconv.ParseInt(os.Getenv("WARD_TEST_CRASH_FROM"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for w := range int64(4) {
		wg.Go(func() {
			for id := from + w; ; id += 4 {
				if err := put(ctx, d, 2000, id, -id); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				fmt.Println(id)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}
