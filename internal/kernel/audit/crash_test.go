package audit_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"ward/internal/backend/db"
	"ward/internal/backend/db/dbtest"
	"ward/internal/backend/db/postgres"
	"ward/internal/backend/db/sqlite"
	"ward/internal/base/scope"
	"ward/internal/kernel/audit"
)

// TestCrash_LosesNoWriteAndAtMostASecondOfReads kills a process that records, and looks for what it had acknowledged.
func TestCrash_LosesNoWriteAndAtMostASecondOfReads(t *testing.T) {
	if at := os.Getenv("WARD_AUDIT_CHILD"); at != "" {
		crashChild(t, at)
		return
	}
	t.Parallel()
	t.Run(db.SQLite, func(t *testing.T) {
		t.Parallel()
		crash(t, t.TempDir())
	})
	t.Run(db.PostgreSQL, func(t *testing.T) {
		t.Parallel()
		crash(t, dbtest.PostgresURL(t))
	})
}

func openAt(t *testing.T, at string) (*db.DB, *audit.Log) {
	t.Helper()
	var d *db.DB
	var err error
	if strings.HasPrefix(at, "postgres") {
		d, err = postgres.Open(t.Context(), postgres.Config{URL: at, MaxConns: 4})
	} else {
		d, err = sqlite.Open(t.Context(), sqlite.Config{Dir: at})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close(context.WithoutCancel(t.Context())) })
	l, err := audit.New(audit.Deps{DB: d, Secret: []byte("the secret of this installation")})
	if err != nil {
		t.Fatal(err)
	}
	dbtest.Migrate(t, d, "audit", l.Module().Migrations)
	return d, l
}

// crashChild records until it is killed, and says what it did and when.
func crashChild(t *testing.T, at string) {
	t.Helper()
	d, l := openAt(t, at)
	go func() { _ = l.Write(t.Context()) }()
	ctx := scope.WithTenant(t.Context(), scope.Tenant{ID: 1})
	for i := 0; ; i++ {
		id := fmt.Sprint("e", i)
		if err := l.Record(ctx, audit.Event{Action: audit.Read, Type: "Patient", ID: id, Patients: []string{"p"}}); err != nil {
			t.Fatal(err)
		}
		fmt.Println("READ", id, time.Now().UnixMilli())
		err := d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
			return l.RecordIn(ctx, tx, audit.Event{Action: audit.Create, Type: "Patient", ID: id, Patients: []string{"p"}})
		})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println("WROTE", id, time.Now().UnixMilli())
	}
}

func crash(t *testing.T, at string) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestCrash_LosesNoWriteAndAtMostASecondOfReads$") //nolint:gosec // itself
	child.Env = append(os.Environ(), "WARD_AUDIT_CHILD="+at)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	read, wrote := map[string]int64{}, map[string]int64{}
	first, last := int64(0), int64(0)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var what, id string
		var ms int64
		if n, _ := fmt.Sscan(lines.Text(), &what, &id, &ms); n != 3 {
			continue
		}
		if first == 0 {
			first = ms
		}
		last = max(last, ms)
		switch what {
		case "READ":
			read[id] = ms
		case "WROTE":
			wrote[id] = ms
		}
		if last-first > 2500 {
			_ = child.Process.Kill()
		}
	}
	_ = child.Wait()
	if len(wrote) < 10 || last-first < 2000 {
		t.Fatalf("%d writes in %d ms", len(wrote), last-first)
	}
	_, l := openAt(t, at)
	ctx := scope.WithTenant(t.Context(), scope.Tenant{ID: 1})
	err = l.Export(ctx, audit.Query{}, func(e audit.Entry) error {
		switch e.Action { //nolint:exhaustive // the two that the child records
		case audit.Read:
			delete(read, e.Event.ID)
		case audit.Create:
			delete(wrote, e.Event.ID)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(wrote) > 0 {
		t.Errorf("%d writes have no event", len(wrote))
	}
	oldest := int64(0)
	for _, ms := range read {
		oldest = max(oldest, last-ms)
	}
	t.Logf("%d reads of the last %d ms are lost", len(read), oldest)
	if oldest > 1000 {
		t.Errorf("a read of %d ms before the kill is lost", oldest)
	}
	r, err := l.Verify(ctx)
	if err != nil || !r.Proven() {
		t.Errorf("%+v %v", r, err)
	}
}
