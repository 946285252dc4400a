package records

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/format/fhir/search"
)

// charted answers a search as the HTTP handler does, from the cache where the answer stands: the versions by id.
func charted(t *testing.T, s *Service, ctx context.Context, typ, criteria string) map[string]int64 {
	t.Helper()
	key := []byte(typ + "?" + criteria)
	text, ok := s.answers.kept(ctx, key)
	if !ok {
		query, err := s.parse(ctx, typ, criteria+"&_count=1000", search.Options{})
		if err != nil {
			t.Fatal(err)
		}
		req := Request{Query: query}
		tags := s.cacheTags(ctx, req)
		if len(tags) == 0 {
			t.Fatalf("%s?%s is not kept", typ, criteria)
		}
		text, err = s.answers.answer(ctx, key, tags, func() ([]byte, error) {
			page, err := s.Search(ctx, req)
			if err != nil {
				return nil, err
			}
			var b []byte
			for _, v := range page.Matches {
				b = fmt.Appendf(b, "%s %d\n", v.ID, v.Number)
			}
			return b, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	found := map[string]int64{}
	for line := range bytes.Lines(text) {
		id, number, _ := bytes.Cut(bytes.TrimSpace(line), []byte(" "))
		found[string(id)], _ = strconv.ParseInt(string(number), 10, 64)
	}
	return found
}

const coherencePatients = 3

// chartsOf are the cached answers about all patients, asked for in two ways.
func chartsOf(t *testing.T, s *Service, ctx context.Context) [2 * coherencePatients]map[string]int64 {
	t.Helper()
	var charts [2 * coherencePatients]map[string]int64
	for p := range coherencePatients {
		charts[p] = charted(t, s, ctx, "Observation", fmt.Sprintf("patient=p%d", p))
		charts[coherencePatients+p] = charted(t, s, ctx, "Observation", fmt.Sprintf("subject=Patient/p%d&code=8867-4&_sort=-date", p))
	}
	return charts
}

func moving(id string, patient int) string {
	return fmt.Sprintf(`{"resourceType":"Observation","id":"%s","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8867-4"}]},`+
		`"subject":{"reference":"Patient/p%d"}}`, id, patient)
}

// TestCache_NothingStaleAfterAnAcknowledgedWrite: each writer moves a resource of its own between patients, deletes it and makes
// it again; after each acknowledgement every cached answer shows exactly that.
func TestCache_NothingStaleAfterAnAcknowledgedWrite(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, s *Service, ctx context.Context) {
		var wg sync.WaitGroup
		for n := range uint64(8) {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(n, 6)) //nolint:gosec // reproducible
				id := fmt.Sprintf("o%d", n)
				for range 40 {
					patient := r.IntN(coherencePatients+1) - 1 // -1: deleted
					op, json := OpUpdate, []byte(moving(id, max(patient, 0)))
					if patient < 0 {
						op, json = OpDelete, nil
					}
					c, err := s.prepare(ctx, "Observation", id, op, json)
					if err == nil {
						err = s.commit(ctx, c)
					}
					if err != nil {
						t.Errorf("commit: %v", err)
						return
					}
					v, err := s.Read(ctx, "Observation", id)
					switch {
					case patient < 0 && c.Version == nil:
					case patient < 0:
						if !fault.Is(err, fault.CodeGone) {
							t.Errorf("read after the deletion: %v %v", v, err)
						}
					case err != nil || v.Number != c.Version.Number || !bytes.Equal(v.JSON, c.Version.JSON):
						t.Errorf("read %v %v after version %d", v, err, c.Version.Number)
					}
					for p, chart := range chartsOf(t, s, ctx) {
						want := int64(0)
						if p%coherencePatients == patient {
							want = c.Version.Number
						}
						if chart[id] != want {
							t.Errorf("patient %d's chart has version %d, want %d", p, chart[id], want)
						}
					}
				}
			})
		}
		wg.Wait()
	})
}

// TestCache_NothingStaleAfterAnAcknowledgedWrite_OneResource: many writers move and delete one resource, often several in one
// group; nobody sees it, or an answer about it, older than what was acknowledged to them.
func TestCache_NothingStaleAfterAnAcknowledgedWrite_OneResource(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, s *Service, ctx context.Context) {
		var wg sync.WaitGroup
		for n := range uint64(12) {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(n, 7)) //nolint:gosec // reproducible
				for range 25 {
					op, json := OpUpdate, []byte(moving("x", r.IntN(coherencePatients)))
					if r.IntN(3) == 0 {
						op, json = OpDelete, nil
					}
					c, err := s.prepare(ctx, "Observation", "x", op, json)
					if err == nil {
						err = s.commit(ctx, c)
					}
					if err != nil {
						t.Errorf("commit: %v", err)
						return
					}
					if c.Version == nil {
						continue
					}
					least := c.Version.Number
					if v, err := s.Read(ctx, "Observation", "x"); err == nil && v.Number < least || err != nil && !fault.Is(err, fault.CodeGone) {
						t.Errorf("read %v %v after version %d (%d)", v, err, least, op)
					}
					if c.Version.Deleted() {
						least++
					}
					for p, chart := range chartsOf(t, s, ctx) {
						if chart["x"] != 0 && chart["x"] < least {
							t.Errorf("patient %d's chart has version %d, want at least %d", p, chart["x"], least)
						}
					}
				}
			})
		}
		wg.Wait()
	})
}

// TestCache_SeveralChangesOfOneResourceInAGroup: the first change of a group is acknowledged although only the last is kept as
// current; the chart that the resource left must not be answered from the cache then.
func TestCache_SeveralChangesOfOneResourceInAGroup(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, s *Service, ctx context.Context) {
		put(t, s, ctx, moving("x", 0))
		if _, err := s.Read(ctx, "Observation", "x"); err != nil || chartsOf(t, s, ctx)[0]["x"] != 1 {
			t.Fatal("the chart does not have it")
		}
		var cs []*Change
		for _, p := range []int{1, 2} {
			c, err := s.prepare(ctx, "Observation", "x", OpUpdate, []byte(moving("x", p)))
			if err != nil {
				t.Fatal(err)
			}
			cs = append(cs, c)
		}
		for range 2 { // the second deletion has nothing to do
			c, err := s.prepare(ctx, "Observation", "x", OpDelete, nil)
			if err != nil {
				t.Fatal(err)
			}
			cs = append(cs, c)
		}
		for i, c := range cs {
			fresh := freshTenant(ctx)
			put(t, s, fresh, moving("x", 0))
			_, _ = s.Read(fresh, "Observation", "x")
			chartsOf(t, s, fresh)
			err := s.db.Write(fresh, func(ctx context.Context, tx db.Tx) error {
				_, err := s.apply(ctx, tx, cs)
				return err
			})
			if err == nil {
				err = s.announce(fresh, []*Change{c}) // the others have not come so far
			}
			if err != nil {
				t.Fatal(err)
			}
			if v, err := s.Read(fresh, "Observation", "x"); !fault.Is(err, fault.CodeGone) {
				t.Errorf("change %d was announced: read %v %v", i, v, err)
			}
			if chart := chartsOf(t, s, fresh); chart[0]["x"] != 0 {
				t.Errorf("change %d was announced: the chart has version %d", i, chart[0]["x"])
			}
		}
	})
}
