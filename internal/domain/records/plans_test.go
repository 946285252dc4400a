package records

import (
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"ward/internal/backend/db"
	"ward/internal/backend/db/dbtest"
	"ward/internal/backend/db/postgres"
	"ward/internal/format/fhir/search"
)

// statements are the texts of the store with arguments as they are used.
func statements(s *Service) map[string][]any {
	observation := s.number("Observation")
	patient, code := int64(search.RefHash("Patient/p1")), int64(search.CodeHash("8867-4")) //nolint:gosec // a hash's bits
	const low = int64(1) << 60
	key := make([]byte, 12)
	chart := []any{patient, observation, code, 20, int64(math.MinInt64), int64(math.MinInt64)}
	list := map[string][]any{
		selectByID:      {observation, encodeID("x")},
		selectHistoric:  {low, 2},
		selectFirstSeen: {low, low},
		versionsDown:    {low, 20},
		chartAfter:      chart,
		chartBefore:     chart,
		selectType:      {observation, []byte{}, 20},
		selectOldest:    {observation, 0, low, 20},
		selectNewest:    {observation, 0, low, 20},
		selectRange:     {int32(1), key, low, highestKey, 20},
		selectAtOnce:    {int32(1), key, highestKey, 20},
		selectRecent:    {observation, low, 20},
		selectBefore:    {low, low},
		changedOldest:   {observation, 0, low, low, 20},
		changedNewest:   {observation, 0, low, low, 20},
		changedChart:    {patient, observation, code, low, low},
		countChart:      {patient, observation, code},
		countType:       {observation},
		countDeleted:    {observation},
		countSmall:      {observation, 20},
		nextID:          {observation, []byte{}},
		currentOfType:   {observation, low, 0, 20},
		historyOfOne:    {low, low, 0, 20},
		historyOfType:   {observation, low, 0, 20},
		historyOfAll:    {low, 0, 20},
		historyOfOneAt:  {low, low, 0, 20, low},
		historyOfTypeAt: {observation, low, 0, 20, low},
		historyOfAllAt:  {low, 0, 20, low},
		nextKey:         {int32(1), key},
		nextRIDs:        {low, 20},
	}
	equal, counts := []any{int32(1), key, low, 20}, []any{int32(1), key}
	for n := range maxProbes + 1 {
		list[equalTexts[n]] = append([]any(nil), equal...)
		list[countTexts[n]] = append([]any(nil), counts...)
		equal, counts = append(equal, int32(2), key), append(counts, int32(2), key)
	}
	return list
}

// filled loads resources, some of them in several versions, a few deleted.
func filled(t *testing.T, s *Service, ctx context.Context, n int) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 13)) //nolint:gosec // reproducible
	for round := range 3 {
		var all [][]byte
		for i := range n >> (2 * round) {
			json := modelObservation(r, 50)
			all = append(all, append(fmt.Appendf(nil, `{"id":"o%d",`, i), json[1:]...))
		}
		load(t, s, ctx, all)
	}
	for i := range 20 {
		c, err := s.prepare(ctx, "Observation", fmt.Sprintf("o%d", i), OpDelete, nil)
		if err == nil {
			err = s.commit(ctx, c)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestPlans_SQLite: every statement is a search by an index that is in order already.
func TestPlans_SQLite(t *testing.T) {
	t.Parallel()
	s, ctx := newStore(t, onSQLite(t))
	filled(t, s, ctx, 500)
	err := s.db.Read(ctx, func(ctx context.Context, q db.Querier) error {
		for text, args := range statements(s) {
			var plan []string
			err := q.Query(ctx, "EXPLAIN QUERY PLAN "+text, func(r db.Row) error {
				plan = append(plan, r.Text(3))
				return nil
			}, args...)
			if err != nil {
				return fmt.Errorf("%s: %w", text, err)
			}
			for _, line := range plan {
				if strings.HasPrefix(line, "SCAN ") && line != "SCAN few" || strings.Contains(line, "TEMP B-TREE") || strings.Contains(line, "AUTOMATIC") {
					t.Errorf("%s\n%s", text, strings.Join(plan, "\n"))
					break
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestPlans_PostgreSQL is the same for the generic plans under the application's role and row-level security, whatever the
// tables held when they were analysed: a plan stays with its connection while a tenant grows.
func TestPlans_PostgreSQL(t *testing.T) {
	t.Parallel()
	for name, fill := range map[string]string{
		"nothing":            ``,
		"one small tenant":   `SELECT pg_temp.fill(1, 10); ANALYZE`,
		"one large tenant":   `SELECT pg_temp.fill(1, 20000); ANALYZE`,
		"many small ones":    `SELECT pg_temp.fill(t, 10) FROM generate_series(1, 300) t; ANALYZE`,
		"a large among many": `SELECT pg_temp.fill(t, 10) FROM generate_series(2, 200) t; SELECT pg_temp.fill(1, 10000); ANALYZE`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := dbtest.PostgresURL(t)
			d, err := postgres.Open(t.Context(), postgres.Config{URL: at, MaxConns: 2})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = d.Close(context.WithoutCancel(t.Context())) })
			s, ctx := newStore(t, d)
			c, err := pgconn.Connect(ctx, at)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close(context.WithoutCancel(ctx)) }()
			run := func(sql string) (lines []string) {
				t.Helper()
				results, err := c.Exec(ctx, sql).ReadAll()
				if err != nil {
					t.Fatalf("%s: %v", sql, err)
				}
				for _, row := range results[len(results)-1].Rows {
					lines = append(lines, string(row[0]))
				}
				return lines
			}
			if run("SET search_path = ward"); fill != "" {
				run(fillTables)
				run(fill)
			}
			run(`SET ROLE ward_app; SET plan_cache_mode = force_generic_plan; SET jit = off; SET enable_seqscan = off; SET enable_hashjoin = off;
				SET enable_mergejoin = off; SET enable_bitmapscan = off; SELECT set_config('ward.tenant', '1', false)`)
			texts := statements(s)
			maps.Copy(texts, lookups)
			for text, args := range texts {
				plan := run("DEALLOCATE ALL; PREPARE plan AS " + text + "; EXPLAIN EXECUTE plan(" + literals(args) + ")")
				if !good(plan) {
					t.Errorf("%s\n%s", text, strings.Join(plan, "\n"))
				}
			}
		})
	}
}

// lookups are db.Lookup's texts on PostgreSQL, for the keys that the store looks up.
//
//nolint:gochecknoglobals // constant table
var lookups = map[string][]any{
	lookup(`$1::int4[], $2::bytea[]`, `k0, k1`, `records_resource t WHERE t.type = k.k0 AND t.id = k.k1 OFFSET 0`):                                         {"'{}'", "'{}'"},
	lookup(`$1::int4[], $2::bytea[]`, `k0, k1`, `records_resource t WHERE t.type = k.k0 AND t.id = k.k1 OFFSET 0 FOR UPDATE`):                              {"'{}'", "'{}'"},
	lookup(`$1::int8[]`, `k0`, `records_resource t WHERE t.rid = k.k0 OFFSET 0`):                                                                           {"'{}'"},
	lookup(`$1::int4[], $2::bytea[]`, `k0, k1`, `records_index t WHERE t.atom = k.k0 AND t.key = k.k1 OFFSET 0`):                                           {"'{}'", "'{}'"},
	lookup(`$1::int8[], $2::int4[], $3::int8[]`, `k0, k1, k2`, `records_chart t WHERE t.patient = k.k0 AND t.type = k.k1 AND t.code = k.k2 OFFSET 0`):      {"'{}'", "'{}'", "'{}'"},
	`DELETE FROM records_index t USING unnest($1::int4[], $2::bytea[], $3::int8[]) AS k(k0, k1, k2) WHERE t.atom = k.k0 AND t.key = k.k1 AND t.rid = k.k2`: {"'{}'", "'{}'", "'{}'"},
}

func lookup(arrays, names, from string) string {
	return "SELECT k.i, r.* FROM unnest(" + arrays + ") WITH ORDINALITY AS k(" + names + ", i) CROSS JOIN LATERAL (SELECT t.rid FROM " + from + ") r LIMIT 129"
}

// fillTables makes a function that gives a tenant so many resources of 20 types, half of them with two versions.
const fillTables = `CREATE FUNCTION pg_temp.fill(t int, n int) RETURNS void AS $$
BEGIN
	PERFORM set_config('ward.tenant', t::text, true);
	INSERT INTO records_resource (type, op, rid, version, seq, id, body)
	SELECT i % 20, 1, i, 1 + i % 2, i * 1000, decode(md5(i::text), 'hex'), decode(repeat('00', 500), 'hex') FROM generate_series(1, n) i;
	INSERT INTO records_history (type, op, seq, rid, version) SELECT i % 20, 1, i, i, 1 FROM generate_series(1, n) i WHERE i % 2 = 1;
	INSERT INTO records_chart (type, patient, code, at, rid) SELECT i % 20, i % (1 + n / 50), c * (i % 7), i, i FROM generate_series(1, n) i, generate_series(0, 1) c ON CONFLICT DO NOTHING;
	INSERT INTO records_index (atom, rid, key) SELECT a, i, decode(md5((i % (1 + a * a))::text), 'hex') FROM generate_series(1, n) i, generate_series(1, 10) a;
END $$ LANGUAGE plpgsql`

// good says whether a plan reads by indexes only, each narrowed by more than the tenant, in order, and looks rows of other tables
// up by rid.
func good(plan []string) bool {
	whole := strings.Join(plan, "\n")
	if strings.Contains(whole, "Seq Scan") || strings.Contains(whole, "Sort") || strings.Contains(whole, "Hash") || !strings.Contains(whole, "Index") {
		return false
	}
	wanted := map[string][]string{
		"records_resource_seq": {"type ="}, "records_history_seq": {"type ="}, "records_resource_id": {"type ="}, "records_chart_pkey": {"patient =", "type =", "code ="},
		"records_index_pkey": {"atom =", "key"}, "records_resource_pkey": {"rid"}, "records_history_rid": {"rid"},
	}
	for i, line := range plan {
		cond, ok := strings.CutPrefix(strings.TrimSpace(line), "Index Cond: ")
		if !ok {
			continue
		}
		table := plan[max(i-1, 0)]
		if !strings.Contains(cond, "AND") || inner.MatchString(table) && !strings.Contains(cond, "rid =") {
			return false
		}
		for index, columns := range wanted {
			for _, column := range columns {
				if strings.Contains(table, index) && !strings.Contains(cond, column) {
					return false
				}
			}
		}
	}
	// Of one resource's versions only its own are read.
	return !strings.Contains(whole, "Filter: (rid =") && !strings.Contains(whole, "Filter: ((rid =")
}

// inner are the tables that are asked for each row of another.
//
//nolint:gochecknoglobals // constant
var inner = regexp.MustCompile(`on records_(index [abc]|history n) `)

func literals(args []any) string {
	list := make([]string, len(args))
	for i, a := range args {
		if b, ok := a.([]byte); ok {
			list[i] = `'\x` + hex.EncodeToString(b) + `'`
		} else {
			list[i] = fmt.Sprint(a)
		}
	}
	return strings.Join(list, ", ")
}
