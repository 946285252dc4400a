package records

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"ward/internal/backend/db"
	"ward/internal/backend/db/sqlite"
	"ward/internal/base/fault"
)

func openSQLite(t *testing.T, cfg sqlite.Config) *db.DB {
	t.Helper()
	d, err := sqlite.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close(context.WithoutCancel(t.Context())) })
	return d
}

// TestFaults_ReopenedFolderHasEveryAcknowledgedWrite closes the database under writers that go on writing, opens it anew and
// compares all tables with what was acknowledged.
func TestFaults_ReopenedFolderHasEveryAcknowledgedWrite(t *testing.T) {
	t.Parallel()
	cfg := sqlite.Config{Dir: t.TempDir()}
	d := openSQLite(t, cfg)
	s, ctx := newStore(t, d)
	w := newWorld(s, ctx)
	var (
		wg      sync.WaitGroup
		written atomic.Int64
		enough  = make(chan struct{})
		unsure  atomic.Int64
	)
	for n := range uint64(8) {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(n, 10)) //nolint:gosec // reproducible
			for {
				c := w.change(t, r)
				if err := s.commit(ctx, c); err != nil {
					if fault.Is(err, fault.CodeUnavailable) {
						unsure.Add(1) // it may have been written
					}
					return
				}
				w.ack(t, c)
				if written.Add(1) == 300 {
					close(enough)
				}
			}
		})
	}
	<-enough
	if err := d.Close(context.WithoutCancel(ctx)); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	// What was not acknowledged and may have been written is allowed to be there: it is taken for acknowledged.
	again, err := New(depsOf(t, openSQLite(t, cfg)))
	if err != nil {
		t.Fatal(err)
	}
	w.s = again
	w.forgive(t)
	w.check(t)
	w.checkSearches(t)
	t.Logf("%d acknowledged, %d not known", written.Load(), unsure.Load())
}

// forgive takes versions that follow the last acknowledged one of their resource for acknowledged.
func (w *world) forgive(t *testing.T) {
	t.Helper()
	for key, current := range w.checkIndexes(t) {
		if w.acked[key] == nil {
			w.acked[key] = map[int64]*Version{}
		}
		if w.acked[key][current.Number] == nil && len(w.acked[key]) == int(current.Number)-1 {
			w.acked[key][current.Number] = current
		}
	}
}

// TestFaults_FullDisk: writes are refused with Full and leave no trace, reads go on, and with room again so do writes.
func TestFaults_FullDisk(t *testing.T) {
	t.Parallel()
	cfg := sqlite.Config{Dir: t.TempDir(), MaxFileBytes: 3 << 20}
	d := openSQLite(t, cfg)
	s, ctx := newStore(t, d)
	w := newWorld(s, ctx)
	var (
		wg   sync.WaitGroup
		full atomic.Int64
	)
	for n := range uint64(8) {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(n, 11)) //nolint:gosec // reproducible
			for full.Load() < 40 {
				c := w.change(t, r)
				if c.Op != OpDelete {
					c = noted(t, s, ctx, r)
				}
				switch err := s.commit(ctx, c); {
				case err == nil:
					w.ack(t, c)
				case fault.Is(err, fault.CodeFull):
					full.Add(1)
					if _, err := s.Read(ctx, "Basic", "none"); !fault.Is(err, fault.CodeNotFound) {
						t.Errorf("a read on the full disk: %v", err)
					}
				default:
					t.Errorf("a write on the full disk: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	w.check(t)
	w.checkSearches(t)
	if err := d.Close(context.WithoutCancel(ctx)); err != nil {
		t.Fatal(err)
	}
	cfg.MaxFileBytes = 0
	again, err := New(depsOf(t, openSQLite(t, cfg)))
	if err != nil {
		t.Fatal(err)
	}
	w.s = again
	c := noted(t, again, ctx, rand.New(rand.NewPCG(1, 12))) //nolint:gosec // reproducible
	if err := again.commit(ctx, c); err != nil {
		t.Fatalf("a write after there is room: %v", err)
	}
	w.ack(t, c)
	w.check(t)
}

// noted is a new resource of some size that does not compress.
func noted(t *testing.T, s *Service, ctx context.Context, r *rand.Rand) *Change {
	t.Helper()
	text := make([]byte, 6000)
	for i := range text {
		text[i] = 'a' + byte(r.IntN(26)) //nolint:gosec // a letter
	}
	c, err := s.prepare(ctx, "Basic", "", OpCreate, fmt.Appendf(nil, `{"resourceType":"Basic","code":{"text":"%s"}}`, text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestFaults_OneBadItemFailsAlone: among changes that share transactions, those that can't be made fail, and only those.
func TestFaults_OneBadItemFailsAlone(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, s *Service, ctx context.Context) {
		parameter := func(id string) []byte {
			return fmt.Appendf(nil, `{"resourceType":"SearchParameter","id":"%s","url":"urn:one","name":"x","status":"active","description":"x","code":"x",`+
				`"base":["Basic"],"type":"date","expression":"Basic.created"}`, id)
		}
		put(t, s, ctx, string(parameter("first")))
		var wg sync.WaitGroup
		for n := range int64(40) {
			id := fmt.Sprintf("b%d", n)
			c, err := s.prepare(ctx, "Basic", id, OpUpdate, numbered(id, n))
			want := fault.Code(0)
			switch n % 8 {
			case 3:
				c.IfMatch, want = 5, fault.CodePrecondition
			case 6: // refused inside the transaction, after rows were written
				id = fmt.Sprintf("again%d", n)
				c, err = s.prepare(ctx, "SearchParameter", id, OpUpdate, parameter(id))
				want = fault.CodeConflict
			}
			if err != nil {
				t.Fatal(err)
			}
			wg.Go(func() {
				err := s.commit(ctx, c)
				if want == 0 && err != nil || want != 0 && !fault.Is(err, want) {
					t.Errorf("%s/%s: %v, want %v", c.Type, c.ID, err, want)
				}
				_, err = s.Read(ctx, c.Type, c.ID)
				if there := err == nil; there != (want == 0) {
					t.Errorf("%s/%s is there: %v", c.Type, c.ID, there)
				}
			})
		}
		wg.Wait()
		newWorld(s, ctx).checkIndexes(t)
	})
}

// TestFaults_AnErrorOfTheTransactionLeavesNothing: what apply did is undone with the transaction that it was part of.
func TestFaults_AnErrorOfTheTransactionLeavesNothing(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, s *Service, ctx context.Context) {
		put(t, s, ctx, moving("x", 0))
		cs := group(t, s, ctx, moving("x", 1), moving("y", 1), "-Observation/x")
		given := errors.New("given up")
		err := s.write(ctx, func(ctx context.Context, tx db.Tx) ([]*Change, error) {
			errs, err := s.apply(ctx, tx, cs)
			if err != nil || errs[0] != nil {
				t.Error(err, errs)
			}
			return cs, given
		})
		if !errors.Is(err, given) {
			t.Fatal(err)
		}
		if v, err := s.Read(ctx, "Observation", "x"); err != nil || v.Number != 1 || !strings.Contains(string(v.JSON), "Patient/p0") {
			t.Errorf("%v %v", v, err)
		}
		if len(newWorld(s, ctx).checkIndexes(t)) != 1 {
			t.Error("another resource is there")
		}
	})
}
