package load

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"ward/internal/base/testenv"
)

const brief = 60 * time.Millisecond

// statement is SQL with its arguments, in the spelling that both databases run.
type statement struct {
	text string
	args []any
}

// rows are ten patients with twelve results each, as Ward's own tables hold them.
func rows() []statement {
	var out []statement
	r := rand.New(rand.NewPCG(1, 1))
	add := func(text string, args ...any) { out = append(out, statement{text, args}) }
	for patient := int64(1); patient <= 10; patient++ {
		add(`INSERT INTO records_resource (rid, type, id, version, seq, op, body) VALUES ($1, $2, $3, 1, $4, 1, $5)`, patient, patientType(), newID(r), patient, []byte("{}"))
		for atom := int64(1); atom < 4; atom++ {
			add(`INSERT INTO records_index (atom, key, rid) VALUES ($1, $2, $3)`, atom, binary.BigEndian.AppendUint64(nil, uint64(patient/atom)), patient)
		}
		for n := range int64(12) {
			rid := patient*100 + n
			add(`INSERT INTO records_resource (rid, type, id, version, seq, op, body) VALUES ($1, $2, $3, 1, $4, 1, $5)`, rid, observationType(), newID(r), rid, []byte(`{"resourceType":"Observation"}`))
			for _, code := range []int64{0, 99} {
				add(`INSERT INTO records_chart (patient, type, code, at, rid) VALUES ($1, $2, $3, $4, $5)`, patient, observationType(), code, -n, rid)
			}
			add(`INSERT INTO records_index (atom, key, rid) VALUES ($1, $2, $3)`, int64(9), []byte("final"), rid)
		}
	}
	return out
}

func schema(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../domain/records/migrations", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func measured(t *testing.T, s SQLLimits) map[string]Limit {
	t.Helper()
	limits := map[string]Limit{}
	if err := s.Measure(t.Context(), func(l Limit) { limits[l.Name] = l }); err != nil {
		t.Fatal(err)
	}
	for name, l := range limits {
		if l.Failure != "" || l.PerSecond <= 0 || l.P99 < l.P50 {
			t.Errorf("%s: %+v", name, l)
		}
	}
	return limits
}

func TestSQLite_AsksAndWritesAsWardDoes(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tenant.db")
	c, err := openSQLite(file, sqlite.OpenReadWrite|sqlite.OpenCreate)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := sqlitex.ExecuteScript(c, schema(t, "0001_records.sql"), nil); err != nil {
		t.Fatal(err)
	}
	for _, s := range rows() {
		if err := runSQLite(c, s.text, s.args); err != nil {
			t.Fatal(err)
		}
	}
	limits := measured(t, SQLLimits{SQLite: file, Scratch: t.TempDir(), Group: 8, Duration: brief})
	if len(limits) != 4 {
		t.Errorf("%d limits: %v", len(limits), limits)
	}
	var n int64
	if err := querySQLite(c, "SELECT count(*) FROM records_resource", func(r *sqlite.Stmt) { n = r.ColumnInt64(0) }); err != nil || n != 130 {
		t.Errorf("the measured database has %d rows, want its own 130: %v", n, err)
	}
	if err := (SQLLimits{SQLite: filepath.Join(t.TempDir(), "none.db"), Duration: brief}).Measure(t.Context(), func(Limit) {}); err == nil {
		t.Error("a file that is not there was measured")
	}
}

func databaseURL(t *testing.T, server, name string) string {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

func TestPostgres_AsksAndWritesAsWardDoes(t *testing.T) {
	t.Parallel()
	ctx, at := t.Context(), testenv.URL(t, "WARD_TEST_POSTGRES")
	name := fmt.Sprintf("load_test_%d", os.Getpid())
	owner, err := pgx.Connect(ctx, at)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = owner.Close(ctx) }()
	if _, err := owner.Exec(ctx, "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = owner.Exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)") }()
	s := SQLLimits{Postgres: databaseURL(t, at, name), Tenant: 7, Group: 8, Duration: brief}
	c, err := s.connect(ctx, 7)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(ctx) }()
	script := schema(t, "0001_records.postgres.sql")
	for _, table := range []string{"resource", "chart", "index"} {
		script += fmt.Sprintf("ALTER TABLE records_%s ENABLE ROW LEVEL SECURITY; ALTER TABLE records_%[1]s FORCE ROW LEVEL SECURITY; CREATE POLICY own ON records_%[1]s USING (tenant = current_setting('ward.tenant')::int4);", table)
	}
	if _, err := c.Exec(ctx, script); err != nil {
		t.Fatal(err)
	}
	for _, s := range rows() {
		if _, err := c.Exec(ctx, s.text, s.args...); err != nil {
			t.Fatal(err)
		}
	}
	if limits := measured(t, s); len(limits) != 4 {
		t.Errorf("%d limits: %v", len(limits), limits)
	}
	var left int
	other, err := s.connect(ctx, limitTenant)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close(ctx) }()
	if err := other.QueryRow(ctx, "SELECT count(*) FROM records_resource").Scan(&left); err != nil || left != 0 {
		t.Errorf("%d rows were left behind: %v", left, err)
	}
}

func TestLimits_OfTheMachine(t *testing.T) {
	t.Parallel()
	l, err := LimitSync(t.Context(), t.TempDir(), brief)
	if err != nil || l.PerSecond <= 0 {
		t.Errorf("%v: %+v", err, l)
	}
	_, target := prepared(t)
	n := 0
	err = HTTPLimits(t.Context(), target, few, 2, brief, func(l Limit) {
		if n++; l.PerSecond <= 0 || l.Failure != "" {
			t.Errorf("%+v", l)
		}
	})
	if err != nil || n != 2 {
		t.Errorf("%d limits: %v", n, err)
	}
	if m := ThisMachine(); m.Cores < 1 || m.Memory == 0 {
		t.Errorf("%+v", m)
	}
}
