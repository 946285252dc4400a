package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"

	"github.com/jackc/pgx/v5"
)

// postgresReaders is how many connections ask at the same time: two cores are busy with fewer than a pool would open,
// and more only wait for each other.
const postgresReaders = 8

// postgresWriters is how many groups are under way at the same time, as in Ward.
const postgresWriters = 2

// limitTenant is the tenant in whose name the writing loop writes: nobody's, and emptied afterwards.
const limitTenant = 2_000_000_001

func (s SQLLimits) connect(ctx context.Context, tenant int) (*pgx.Conn, error) {
	c, err := pgx.Connect(ctx, s.Postgres)
	if err != nil {
		return nil, err
	}
	// As Ward connects: in its schema, as the role that row-level security binds.
	_, err = c.Exec(ctx, `SELECT set_config('ward.tenant', $1, false), set_config('plan_cache_mode', 'force_generic_plan', false),
set_config('search_path', 'ward, public', false), CASE WHEN to_regclass('ward.records_resource') IS NOT NULL THEN set_config('role', 'ward_app', false) END`, strconv.Itoa(tenant))
	if err != nil {
		_ = c.Close(ctx)
		return nil, err
	}
	return c, nil
}

func (s SQLLimits) postgres(ctx context.Context, each func(Limit)) error {
	conns := make([]*pgx.Conn, postgresReaders)
	for i := range conns {
		c, err := s.connect(ctx, s.Tenant)
		if err != nil {
			return err
		}
		defer func() { _ = c.Close(ctx) }()
		conns[i] = c
	}
	taken, err := samplePostgres(ctx, conns[0])
	if err != nil {
		return err
	}
	for _, q := range taken.questions("postgres") {
		next := s.rand(0).IntN(max(q.n, 1))
		l, err := repeatQuestion(ctx, q, len(conns), s.Duration, next, func(g, i int) error {
			rows, err := conns[g].Query(ctx, q.text, q.args(i)...)
			if err != nil {
				return err
			}
			for rows.Next() {
				rows.RawValues()
			}
			return rows.Err()
		})
		report(l, err, each)
	}
	l, err := s.postgresWrites(ctx, taken)
	report(l, err, each)
	return nil
}

func samplePostgres(ctx context.Context, c *pgx.Conn) (*sample, error) {
	t, typ := &sample{}, observationType()
	byRID := map[int64]int{}
	err := queryPostgres(ctx, c, sqlSomeRows, func(rows pgx.Rows) error {
		var k rowKey
		var body []byte
		if err := rows.Scan(&k.typ, &k.id, &k.rid, &body); err != nil {
			return err
		}
		if len(t.reads) < samples {
			byRID[k.rid] = len(t.rows)
			t.rows = append(t.rows, writtenRow{typ: typ, body: body})
		}
		t.reads = append(t.reads, k)
		return nil
	}, typ)
	if err != nil {
		return nil, err
	}
	err = queryPostgres(ctx, c, sqlSomeCharts, func(rows pgx.Rows) error {
		var k chartKey
		var n int64
		err := rows.Scan(&k.patient, &k.typ, &k.code, &n)
		t.charts = append(t.charts, k)
		return err
	}, typ)
	if err != nil {
		return nil, err
	}
	shuffle(t.charts)
	err = queryPostgres(ctx, c, `SELECT patient, code, at, rid FROM records_chart WHERE type = $1`, func(rows pgx.Rows) error {
		var chart chartRow
		var rid int64
		err := rows.Scan(&chart.patient, &chart.code, &chart.at, &rid)
		if i, ok := byRID[rid]; ok {
			t.rows[i].charts = append(t.rows[i].charts, chart)
		}
		return err
	}, typ)
	if err != nil {
		return nil, err
	}
	patients, err := patientsOf(ctx, c)
	if err != nil {
		return nil, err
	}
	return t, t.postings(byRID, patients, func(each func(atom, rid int64, key []byte)) error {
		return queryPostgres(ctx, c, `SELECT atom, rid, key FROM records_index`, func(rows pgx.Rows) error {
			var atom, rid int64
			var key []byte
			err := rows.Scan(&atom, &rid, &key)
			each(atom, rid, key)
			return err
		})
	})
}

func patientsOf(ctx context.Context, c *pgx.Conn) ([]int64, error) {
	rows, err := c.Query(ctx, sqlSomePatients, patientType())
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}

func queryPostgres(ctx context.Context, c *pgx.Conn, text string, each func(pgx.Rows) error, args ...any) error {
	rows, err := c.Query(ctx, text, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

const (
	unnestResources = `INSERT INTO records_resource (rid, type, id, version, seq, op, body)
SELECT rid, type, id, 1, rid, 1, body FROM unnest($1::int8[], $2::int2[], $3::bytea[], $4::bytea[]) AS u(rid, type, id, body)`
	unnestCharts = `INSERT INTO records_chart (patient, type, code, at, rid) SELECT * FROM unnest($1::int8[], $2::int2[], $3::int8[], $4::int8[], $5::int8[])`
	unnestIndex  = `INSERT INTO records_index (atom, key, rid) SELECT * FROM unnest($1::int4[], $2::bytea[], $3::int8[])`
)

// postgresWrites writes the sample's Observations anew in groups, each one transaction in one round trip, under a tenant
// of its own in the very tables that Ward uses, and removes them.
func (s SQLLimits) postgresWrites(ctx context.Context, t *sample) (l Limit, err error) {
	group := max(s.Group/postgresWriters, 1)
	l = Limit{Name: "postgres-create", Title: fmt.Sprintf("the rows of an Observation, %d in a commit, %d commits at a time", group, postgresWriters)}
	if len(t.rows) == 0 {
		return l, fmt.Errorf("the database has no rows to copy")
	}
	conns := make([]*pgx.Conn, postgresWriters)
	randoms := make([]*rand.Rand, postgresWriters)
	for i := range conns {
		if conns[i], err = s.connect(ctx, limitTenant); err != nil {
			return l, err
		}
		defer func() { _ = conns[i].Close(ctx) }()
		randoms[i] = s.rand(i + 1)
	}
	defer func() {
		for _, table := range []string{"records_index", "records_chart", "records_resource"} {
			if _, gone := conns[0].Exec(ctx, "DELETE FROM "+table+" WHERE tenant = "+strconv.Itoa(limitTenant)); gone != nil && err == nil {
				err = gone
			}
		}
	}()
	counts := make([]int, postgresWriters)
	return repeat(ctx, l, postgresWriters, s.Duration, func(ctx context.Context, g int) (int, error) {
		var b copied
		for range group {
			row := &t.rows[(counts[g]*postgresWriters+g)%len(t.rows)]
			counts[g]++
			b.add(row, int64(1)<<62+int64(g)<<48+int64(counts[g]), newID(randoms[g]))
		}
		return group, conns[g].SendBatch(ctx, b.batch()).Close()
	})
}

// copied is one group, column by column.
type copied struct {
	rids      []int64
	types     []int16
	ids       [][]byte
	bodies    [][]byte
	charts    [4][]int64 // patient, code, at, rid
	chartType []int16
	atoms     []int32
	keys      [][]byte
	indexRID  []int64
}

func (b *copied) add(row *writtenRow, rid int64, id []byte) {
	b.rids = append(b.rids, rid)
	b.types = append(b.types, int16(row.typ))
	b.ids = append(b.ids, id)
	b.bodies = append(b.bodies, row.body)
	for _, c := range row.charts {
		for i, v := range [4]int64{c.patient, c.code, c.at, rid} {
			b.charts[i] = append(b.charts[i], v)
		}
		b.chartType = append(b.chartType, int16(row.typ))
	}
	for i, key := range row.keys {
		b.atoms = append(b.atoms, int32(row.atoms[i]))
		b.keys = append(b.keys, key)
		b.indexRID = append(b.indexRID, rid)
	}
}

func (b *copied) batch() *pgx.Batch {
	batch := &pgx.Batch{}
	batch.Queue(unnestResources, b.rids, b.types, b.ids, b.bodies)
	batch.Queue(unnestCharts, b.charts[0], b.chartType, b.charts[1], b.charts[2], b.charts[3])
	batch.Queue(unnestIndex, b.atoms, b.keys, b.indexRID)
	return batch
}
