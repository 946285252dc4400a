package records

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/format/fhir/search"
)

// shifting is a set of resources that all match pagedQuestions throughout, while what they are sorted by changes and others
// come and go.
type shifting struct {
	s      *Service
	ctx    context.Context //nolint:containedctx // the tenant's
	steady int
	fresh  atomic.Int64
}

const shiftingSteady = 150

func newShifting(t *testing.T, s *Service, ctx context.Context) *shifting {
	t.Helper()
	put(t, s, ctx, `{"resourceType":"Patient","id":"one","name":[{"family":"Paged"}]}`)
	put(t, s, ctx, `{"resourceType":"Patient","id":"two","name":[{"family":"Other"}]}`)
	sh := &shifting{s: s, ctx: ctx, steady: shiftingSteady}
	r := rand.New(rand.NewPCG(3, 3)) //nolint:gosec // reproducible
	var all [][]byte
	for i := range sh.steady {
		all = append(all, sh.observation(r, fmt.Sprintf("steady-%d", i)))
	}
	load(t, s, ctx, all)
	return sh
}

func (sh *shifting) observation(r *rand.Rand, id string) []byte {
	date := ""
	if r.IntN(8) > 0 {
		date = fmt.Sprintf(`"effectiveDateTime":"2020-%02d-%02d",`, 1+r.IntN(12), 1+r.IntN(28))
	}
	return fmt.Appendf(nil, `{"resourceType":"Observation","id":"%s","meta":{"tag":[{"code":"paged"}]},"status":"%s","category":[{"coding":[{"code":"vital-signs"}]}],`+
		`"code":{"coding":[{"system":"http://loinc.org","code":"8867-4"}]},"subject":{"reference":"Patient/one"},%s"valueQuantity":{"value":%d}}`,
		id, pick(r, "final", "amended", "preliminary"), date, r.IntN(20))
}

// step is one write: mostly of a steady resource's sort keys, else of one that comes or goes.
func (sh *shifting) step(t *testing.T, r *rand.Rand) {
	t.Helper()
	var (
		c   *Change
		err error
	)
	switch n := r.IntN(12); {
	case n < 8:
		id := fmt.Sprintf("steady-%d", r.IntN(sh.steady))
		c, err = sh.s.prepare(sh.ctx, "Observation", id, OpUpdate, sh.observation(r, id))
	case n < 9:
		id := fmt.Sprintf("new-%d", sh.fresh.Add(1))
		c, err = sh.s.prepare(sh.ctx, "Observation", id, OpUpdate, sh.observation(r, id))
	case n < 11: // one that comes and goes
		id := fmt.Sprintf("churn-%d", r.IntN(10))
		if r.IntN(2) == 0 {
			c, err = sh.s.prepare(sh.ctx, "Observation", id, OpDelete, nil)
		} else {
			c, err = sh.s.prepare(sh.ctx, "Observation", id, OpUpdate, sh.observation(r, id))
		}
	default: // a second patient comes to meet the chain, and goes
		c, err = sh.s.prepare(sh.ctx, "Patient", "two", OpUpdate,
			[]byte(`{"resourceType":"Patient","id":"two","name":[{"family":"`+pick(r, "Paged", "Other")+`"}]}`))
	}
	if err == nil {
		err = sh.s.commit(sh.ctx, c)
	}
	if err != nil {
		t.Errorf("step: %v", err)
	}
}

//nolint:gochecknoglobals // constant table
var pagedQuestions = []string{
	// by the chart
	"Observation?patient=one", "Observation?patient=one&_sort=-date", "Observation?patient=one&_sort=date", "Observation?patient=one&code=8867-4",
	"Observation?patient=one&category=vital-signs&_sort=-date",
	// by one posting, and several
	"Observation?category=vital-signs", "Observation?category=vital-signs&_tag=paged", "Observation?value-quantity=lt100",
	// by type
	"Observation?", "Observation?status:not=cancelled",
	// by time of the last write
	"Observation?_sort=_lastUpdated", "Observation?_sort=-_lastUpdated", "Observation?_lastUpdated=gt2000-01-01", "Observation?_lastUpdated=gt2000-01-01&_sort=-_lastUpdated",
	"Observation?category=vital-signs&_sort=-_lastUpdated",
	// gathered
	"Observation?patient=one,two", "Observation?patient.family=paged", "Observation?subject:Patient.family=paged,other&category=vital-signs",
	// sorted
	"Observation?_sort=status,-date", "Observation?_sort=-value-quantity", "Observation?patient=one&_sort=value-quantity,-status", "Observation?category=vital-signs&_sort=-date",
	"Observation?patient.family=paged&_sort=status", "Observation?patient.family=paged&_sort=-date", "Observation?_lastUpdated=gt2000-01-01&_sort=status",
	// several types
	"?_type=Observation,Patient&_tag=paged", "?_type=Patient,Observation,Condition", "?_type=Observation,Patient&_sort=_lastUpdated", "?_type=Patient,Observation&_sort=-_lastUpdated",
	"?_tag=paged", "?_type=Observation,Patient&_sort=_tag",
}

// TestSearch_Paging_StableWhileDataChanges: nobody twice, and nobody left out who was there throughout.
func TestSearch_Paging_StableWhileDataChanges(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, s *Service, ctx context.Context) {
		sh := newShifting(t, s, ctx)
		r := rand.New(rand.NewPCG(4, 4)) //nolint:gosec // reproducible
		for _, question := range pagedQuestions {
			sh.walk(t, question, func(int) {
				for range 3 {
					sh.step(t, r)
				}
			})
		}
	})
}

// TestSearch_Paging_StableWhileDataChanges_Concurrently is the same with writers that wait for nobody.
func TestSearch_Paging_StableWhileDataChanges_Concurrently(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, s *Service, ctx context.Context) {
		sh := newShifting(t, s, ctx)
		var (
			wg   sync.WaitGroup
			done atomic.Bool
		)
		for n := range uint64(4) {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(n, 5)) //nolint:gosec // reproducible
				for !done.Load() {
					sh.step(t, r)
				}
			})
		}
		for _, question := range pagedQuestions {
			sh.walk(t, question, nil)
		}
		done.Store(true)
		wg.Wait()
	})
}

func (sh *shifting) walk(t *testing.T, question string, between func(page int)) {
	t.Helper()
	typ, criteria := cutQuestion(question)
	seen := map[string]int{}
	for _, v := range walk(t, sh.s, sh.ctx, typ, criteria, 23, between) {
		seen[v.ID]++
	}
	twice, missing := 0, 0
	for _, n := range seen {
		if n > 1 {
			twice++
		}
	}
	for i := range sh.steady {
		if seen[fmt.Sprintf("steady-%d", i)] == 0 {
			missing++
		}
	}
	if twice+missing > 0 {
		t.Errorf("%s: %d came twice, %d of %d steady ones were left out", question, twice, missing, sh.steady)
	}
}

// TestSearch_Cursor_ForgedCutOrStrange: whatever the server did not give for this tenant and search is Invalid.
func TestSearch_Cursor_ForgedCutOrStrange(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, s *Service, ctx context.Context) {
		sh := newShifting(t, s, ctx)
		other := freshTenant(ctx)
		for _, question := range []string{"Observation?patient=one", "Observation?category=vital-signs", "Observation?_sort=status", "Observation?_sort=_lastUpdated"} {
			typ, criteria := cutQuestion(question)
			next := sh.page(t, ctx, typ, criteria, "").Next
			if next == "" {
				t.Fatalf("%s has one page", question)
			}
			sh.page(t, ctx, typ, criteria, next)
			refused := func(what string, ctx context.Context, typ, criteria, cursor string) {
				t.Helper()
				query, err := s.parse(ctx, typ, criteria, search.Options{})
				if err != nil {
					t.Fatal(err)
				}
				query.Count, query.Cursor = 10, cursor
				if page, err := s.Search(ctx, Request{Query: query}); !fault.Is(err, fault.CodeInvalid) {
					t.Errorf("%s: %s: %v %v, want Invalid", question, what, page, err)
				}
			}
			for i := range len(next) {
				c := byte('A')
				if next[i] == c {
					c = 'B'
				}
				if i == len(next)-1 { // its last bits may carry nothing
					break
				}
				refused("a letter changed", ctx, typ, criteria, next[:i]+string(c)+next[i+1:])
				refused("cut", ctx, typ, criteria, next[:max(1, i)])
			}
			refused("longer", ctx, typ, criteria, next+"AAAA")
			refused("no cursor at all", ctx, typ, criteria, "%%%")
			refused("of another tenant", other, typ, criteria, next)
			refused("of another type", ctx, "Condition", strings.Replace(criteria, "status", "_id", 1), next)
			refused("of another search", ctx, typ, criteria+"&status=final", next)
			in := Request{CompartmentType: "Patient", CompartmentID: "one"}
			in.Query, _ = s.parse(ctx, typ, criteria, search.Options{})
			in.Count, in.Cursor = 10, next
			if _, err := s.Search(ctx, in); !fault.Is(err, fault.CodeInvalid) {
				t.Errorf("%s: in a compartment: %v, want Invalid", question, err)
			}
		}
		if sc, ok := scope.From(other); !ok || sc.Tenant.ID == 0 {
			t.Error("the other tenant is none")
		}
	})
}

func (sh *shifting) page(t *testing.T, ctx context.Context, typ, criteria, cursor string) *Page {
	t.Helper()
	query, err := sh.s.parse(ctx, typ, criteria, search.Options{})
	if err != nil {
		t.Fatal(err)
	}
	query.Count, query.Cursor = 10, cursor
	page, err := sh.s.Search(ctx, Request{Query: query})
	if err != nil {
		t.Fatal(err)
	}
	return page
}
