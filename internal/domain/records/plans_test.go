package records

import (
	"context"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"ward/internal/backend/db"
	"ward/internal/base/scope"
	"ward/internal/base/testenv"
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
		selectFirstSeen: {low},
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

// TestPlans_PostgreSQL is the same for the generic plans under the application's role and row-level security.
func TestPlans_PostgreSQL(t *testing.T) {
	t.Parallel()
	server := testenv.URL(t, "WARD_TEST_POSTGRES")
	s, ctx := newStore(t, onPostgres(t))
	filled(t, s, ctx, 2000)
	sc, _ := scope.From(ctx)
	c, err := pgconn.Connect(ctx, server)
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
	// As the driver's connections are (decision 6).
	run("SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_bitmapscan = off")
	run(fmt.Sprintf("SET ROLE ward_app; SET search_path = ward; SET plan_cache_mode = force_generic_plan; SET jit = off; SELECT set_config('ward.tenant', '%d', false)", sc.Tenant.ID))
	for text, args := range statements(s) {
		plan := run("DEALLOCATE ALL; PREPARE plan AS " + text + "; EXPLAIN EXECUTE plan(" + literals(args) + ")")
		whole := strings.Join(plan, "\n")
		if strings.Contains(whole, "Seq Scan") || strings.Contains(whole, "Sort") || strings.Contains(whole, "Hash") || !strings.Contains(whole, "Index") {
			t.Errorf("%s\n%s", text, whole)
			continue
		}
		for i, line := range plan {
			// An index that is narrowed by the tenant alone is read as a whole; one that is asked for each row of another table
			// gives few.
			cond, ok := strings.CutPrefix(strings.TrimSpace(line), "Index Cond: ")
			table := plan[max(i-1, 0)]
			if ok && (!strings.Contains(cond, "AND") || inner.MatchString(table) && !strings.Contains(cond, "rid =")) {
				t.Errorf("%s\n%s", text, whole)
				break
			}
		}
	}
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
