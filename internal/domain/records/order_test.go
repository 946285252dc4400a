package records

import (
	"bytes"
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"ward/internal/backend/db"
	"ward/internal/format/fhir/search"
	"ward/internal/format/jsontape"
)

// dateOf is the text of an Observation's date, empty when it has none.
func dateOf(t *testing.T, v *Version) string {
	t.Helper()
	var doc jsontape.Doc
	if err := doc.Parse(v.JSON); err != nil {
		t.Fatal(err)
	}
	root := doc.Root()
	return doc.Text(doc.Get(root, "effectiveDateTime")) + doc.Text(doc.Get(doc.Get(root, "effectivePeriod"), "start"))
}

// TestSearch_Sort_OrderIsKeptAcrossPages: whichever way the answer is found, pages follow in the order asked for, and what has
// no value comes last in both directions.
func TestSearch_Sort_OrderIsKeptAcrossPages(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, s *Service, ctx context.Context) {
		sh := newShifting(t, s, ctx)
		r := rand.New(rand.NewPCG(1, 14)) //nolint:gosec // reproducible
		for range 60 {
			sh.step(t, r)
		}
		for _, criteria := range []string{"patient=one&_sort=", "patient=one&code=8867-4&_sort=", "category=vital-signs&_sort=", "_sort=", "patient.family=paged&_sort=", "status:not=x&_sort="} {
			for _, sort := range []string{"date", "-date"} {
				var dates []string
				for _, v := range walk(t, s, ctx, "Observation", criteria+sort, 13, nil) {
					dates = append(dates, dateOf(t, v))
				}
				undated := slices.Index(dates, "")
				if undated < 10 || strings.Join(dates[undated:], "") != "" {
					t.Fatalf("%s%s: undated ones are not last: %v", criteria, sort, dates)
				}
				dated := dates[:undated]
				if sort == "-date" {
					slices.Reverse(dated)
				}
				if !slices.IsSorted(dated) {
					t.Errorf("%s%s: %v", criteria, sort, dated)
				}
			}
		}
	})
}

// TestSearch_Sort_SeveralTypesAreOneOrder (FHIR R4 search.html#sort): the order is that of the whole answer, not of each type.
func TestSearch_Sort_SeveralTypesAreOneOrder(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, s *Service, ctx context.Context) {
		w := newWorld(s, ctx)
		r := rand.New(rand.NewPCG(2, 14)) //nolint:gosec // reproducible
		for range 120 {
			c := w.change(t, r)
			if err := s.commit(ctx, c); err != nil {
				t.Fatal(err)
			}
		}
		for _, criteria := range []string{"_type=Patient,Observation,Condition&_sort=-_lastUpdated", "_sort=-_lastUpdated", "_sort=_lastUpdated", "_tag=a&_sort=-_lastUpdated", "_sort=_id", "_sort=-_id,_lastUpdated"} {
			query, err := s.parse(ctx, "", criteria, search.Options{})
			if err != nil {
				t.Fatal(err)
			}
			e := &engine{s: s, req: Request{Query: query}}
			var positions [][]byte
			types := map[string]bool{}
			for _, v := range walk(t, s, ctx, "", criteria, 7, nil) {
				position, err := e.sortPosition(v)
				if err != nil {
					t.Fatal(err)
				}
				types[v.Type] = true
				positions = append(positions, position)
			}
			if len(types) < 2 || !slices.IsSortedFunc(positions, bytes.Compare) {
				t.Errorf("%s: %d types, not in order", criteria, len(types))
			}
		}
		ids := idsOf(walk(t, s, ctx, "", "_sort=_id", 7, nil))
		if !slices.IsSorted(ids) {
			t.Errorf("by id: %v", ids)
		}
		updated := walk(t, s, ctx, "", "_sort=-_lastUpdated", 7, nil)
		if !slices.IsSortedFunc(updated, func(a, b *Version) int { return cmp.Compare(b.Seq, a.Seq) }) {
			t.Error("by time: not in order")
		}
	})
}

// TestStore_RowsLeftBehindAreNoError: an index row that no version explains, as another version of Ward may have left it, does not
// keep a resource from being written.
func TestStore_RowsLeftBehindAreNoError(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, s *Service, ctx context.Context) {
		put(t, s, ctx, moving("x", 0))
		w := newWorld(s, ctx)
		before := group(t, s, ctx, strings.Replace(moving("x", 1), "final", "amended", 1))[0]
		v := put(t, s, ctx, moving("x", 0))
		err := s.write(ctx, func(ctx context.Context, tx db.Tx) ([]*Change, error) {
			rows := new(rowSet)
			rows.add(v.RID, s.entries("Observation", before.values))
			m, err := s.mask(ctx)
			if err != nil {
				return nil, err
			}
			postings, chart := rows.postings.columns(m), rows.chart.columns(m)
			if _, err := tx.InsertNew(ctx, "records_index", postings...); err != nil {
				return nil, err
			}
			_, err = tx.InsertNew(ctx, "records_chart", chart...)
			return nil, err
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.commit(ctx, before); err != nil {
			t.Fatal(err)
		}
		w.checkIndexes(t)
	})
}
