package load

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

func openSQLite(file string, flags sqlite.OpenFlags) (*sqlite.Conn, error) {
	c, err := sqlite.OpenConn(file, flags)
	if err != nil {
		return nil, err
	}
	pragmas := []string{"mmap_size = 268435456", "cache_size = -16000", "busy_timeout = 10000"}
	if flags&sqlite.OpenReadOnly == 0 {
		pragmas = append(pragmas, "journal_mode = WAL", "synchronous = FULL", "wal_autocheckpoint = 4000")
	}
	for _, pragma := range pragmas {
		if err := sqlitex.ExecuteTransient(c, "PRAGMA "+pragma, nil); err != nil {
			_ = c.Close()
			return nil, err
		}
	}
	return c, nil
}

func (s SQLLimits) sqlite(ctx context.Context, each func(Limit)) error {
	conns := make([]*sqlite.Conn, runtime.GOMAXPROCS(0))
	for i := range conns {
		c, err := openSQLite(s.SQLite, sqlite.OpenReadOnly)
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		conns[i] = c
	}
	taken, err := sampleSQLite(conns[0])
	if err != nil {
		return err
	}
	for _, q := range taken.questions("sqlite") {
		next := s.rand(0).IntN(max(q.n, 1))
		l, err := repeatQuestion(ctx, q, len(conns), s.Duration, next, func(g, i int) error {
			return runSQLite(conns[g], q.text, q.args(i))
		})
		report(l, err, each)
	}
	l, err := s.sqliteWrites(ctx, taken)
	report(l, err, each)
	return nil
}

// question is one statement with as many arguments as the sample has.
type question struct {
	name, title, text string
	n                 int
	args              func(i int) []any
}

func (t *sample) questions(dialect string) []question {
	return []question{
		{dialect + "-read", "prepared SELECT of one row by id", sqlRead, len(t.reads), func(i int) []any {
			return []any{t.reads[i].typ, t.reads[i].id}
		}},
		{dialect + "-chart", "the chart's SQL, bare", sqlChart, len(t.charts), func(i int) []any {
			return []any{t.charts[i].patient, t.charts[i].typ, t.charts[i].code}
		}},
		{dialect + "-patient", "two postings and the row, bare", sqlPatient, len(t.patients), func(i int) []any {
			p := &t.patients[i]
			return []any{p.atoms[0], p.keys[0], int64(0), p.atoms[1], p.keys[1]}
		}},
	}
}

func repeatQuestion(ctx context.Context, q question, goroutines int, d time.Duration, first int, do func(g, i int) error) (Limit, error) {
	l := Limit{Name: q.name, Title: q.title}
	if q.n == 0 {
		return l, fmt.Errorf("the database has nothing to ask for")
	}
	counts := make([]int, goroutines)
	return repeat(ctx, l, goroutines, d, func(_ context.Context, g int) (int, error) {
		i := (first + counts[g]*goroutines*7919 + g) % q.n
		counts[g]++
		return 1, do(g, i)
	})
}

// runSQLite steps through all rows and touches every column, as a server must to answer with them.
func runSQLite(c *sqlite.Conn, text string, args []any) error {
	stmt, err := c.Prepare(text)
	if err != nil {
		return err
	}
	bindSQLite(stmt, 1, args)
	var buf [8 << 10]byte
	for {
		more, err := stmt.Step()
		if err != nil {
			return err
		}
		if !more {
			return stmt.Reset()
		}
		for i := range stmt.ColumnCount() {
			if stmt.ColumnType(i) == sqlite.TypeBlob {
				stmt.ColumnBytes(i, buf[:])
			} else {
				stmt.ColumnInt64(i)
			}
		}
	}
}

func bindSQLite(stmt *sqlite.Stmt, from int, args []any) {
	for i, arg := range args {
		switch v := arg.(type) {
		case int64:
			stmt.BindInt64(from+i, v)
		case []byte:
			stmt.BindBytes(from+i, v)
		}
	}
}

func querySQLite(c *sqlite.Conn, text string, each func(*sqlite.Stmt), args ...any) error {
	return sqlitex.Execute(c, text, &sqlitex.ExecOptions{Args: args, ResultFunc: func(stmt *sqlite.Stmt) error {
		each(stmt)
		return nil
	}})
}

func blob(stmt *sqlite.Stmt, i int) []byte {
	b := make([]byte, stmt.ColumnLen(i))
	stmt.ColumnBytes(i, b)
	return b
}

func sampleSQLite(c *sqlite.Conn) (*sample, error) {
	t, typ := &sample{}, observationType()
	var bodies [][]byte
	err := querySQLite(c, sqlSomeRows, func(r *sqlite.Stmt) {
		t.reads = append(t.reads, rowKey{r.ColumnInt64(0), blob(r, 1), r.ColumnInt64(2)})
		if len(bodies) < samples {
			bodies = append(bodies, blob(r, 3))
		}
	}, typ)
	if err != nil {
		return nil, err
	}
	err = querySQLite(c, sqlSomeCharts, func(r *sqlite.Stmt) {
		t.charts = append(t.charts, chartKey{r.ColumnInt64(0), r.ColumnInt64(1), r.ColumnInt64(2)})
	}, typ)
	if err != nil {
		return nil, err
	}
	shuffle(t.charts)
	// The chart's rows have no index by rid: one pass over the charts of the type gathers those of the sample.
	byRID := map[int64]int{}
	for i := range bodies {
		byRID[t.reads[i].rid] = i
		t.rows = append(t.rows, writtenRow{typ: typ, body: bodies[i]})
	}
	err = querySQLite(c, `SELECT patient, code, at, rid FROM records_chart WHERE type = $1`, func(r *sqlite.Stmt) {
		if i, ok := byRID[r.ColumnInt64(3)]; ok {
			t.rows[i].charts = append(t.rows[i].charts, chartRow{r.ColumnInt64(0), r.ColumnInt64(1), r.ColumnInt64(2)})
		}
	}, typ)
	if err != nil {
		return nil, err
	}
	var patients []int64
	if err := querySQLite(c, sqlSomePatients, func(r *sqlite.Stmt) { patients = append(patients, r.ColumnInt64(0)) }, patientType()); err != nil {
		return nil, err
	}
	return t, t.postings(byRID, patients, func(each func(atom, rid int64, key []byte)) error {
		return querySQLite(c, `SELECT atom, rid, key FROM records_index`, func(r *sqlite.Stmt) {
			each(r.ColumnInt64(0), r.ColumnInt64(1), blob(r, 2))
		})
	})
}

// sqliteWrites writes the sample's Observations anew, in groups, into a copy of the file: resource, chart and postings,
// each row as Ward writes it, one commit and one sync a group.
func (s SQLLimits) sqliteWrites(ctx context.Context, t *sample) (Limit, error) {
	l := Limit{Name: "sqlite-create", Title: fmt.Sprintf("the rows of an Observation, %d in a commit", s.Group)}
	if len(t.rows) == 0 {
		return l, fmt.Errorf("the database has no rows to copy")
	}
	dir, err := os.MkdirTemp(s.Scratch, "ward-limit-*")
	if err != nil {
		return l, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "copy.db")
	if err := copyFile(file, s.SQLite); err != nil {
		return l, err
	}
	c, err := openSQLite(file, sqlite.OpenReadWrite)
	if err != nil {
		return l, err
	}
	defer func() { _ = c.Close() }()
	n, r := 0, s.rand(1)
	return repeat(ctx, l, 1, s.Duration, func(context.Context, int) (int, error) {
		if err := runSQLite(c, "BEGIN IMMEDIATE", nil); err != nil {
			return 0, err
		}
		for range s.Group {
			row := &t.rows[n%len(t.rows)]
			n++
			if err := row.insertSQLite(c, int64(1)<<62+int64(n), newID(r)); err != nil {
				return 0, err
			}
		}
		return s.Group, runSQLite(c, "COMMIT", nil)
	})
}

func (row *writtenRow) insertSQLite(c *sqlite.Conn, rid int64, id []byte) error {
	if err := runSQLite(c, `INSERT INTO records_resource (rid, type, id, version, seq, op, body) VALUES ($1, $2, $3, 1, $4, 1, $5)`,
		[]any{rid, row.typ, id, rid, row.body}); err != nil {
		return err
	}
	for _, chart := range row.charts {
		if err := runSQLite(c, `INSERT INTO records_chart (patient, type, code, at, rid) VALUES ($1, $2, $3, $4, $5)`,
			[]any{chart.patient, row.typ, chart.code, chart.at, rid}); err != nil {
			return err
		}
	}
	for i, key := range row.keys {
		if err := runSQLite(c, `INSERT INTO records_index (atom, key, rid) VALUES ($1, $2, $3)`, []any{row.atoms[i], key, rid}); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(to, from string) error {
	for _, end := range []string{"", "-wal"} {
		in, err := os.Open(from + end)
		if os.IsNotExist(err) && end != "" {
			return nil
		}
		if err != nil {
			return err
		}
		out, err := os.Create(to + end)
		if err == nil {
			_, err = io.Copy(out, in)
			if closed := out.Close(); err == nil {
				err = closed
			}
		}
		_ = in.Close()
		if err != nil {
			return err
		}
	}
	return nil
}
