package events

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"ward/internal/backend/cache"
	"ward/internal/backend/cache/cachetest"
	"ward/internal/backend/cache/redis"
	"ward/internal/backend/db"
	"ward/internal/backend/db/dbtest"
	"ward/internal/base/clock"
	"ward/internal/base/testenv"
)

// eachTiered runs a test on both databases, each with a second tier in memory that can fail and with Redis.
func eachTiered(t *testing.T, test func(t *testing.T, w *world, tier *switched)) {
	t.Helper()
	for _, kind := range []string{"memory", "redis"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			dbtest.Each(t, func(t *testing.T, d *db.DB) {
				tier := &switched{Chainer: cachetest.NewTier()}
				if kind == "redis" {
					r, err := redis.New(testenv.URL(t, "WARD_TEST_REDIS"))
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(r.Close)
					if err := r.Check(t.Context()); err != nil {
						t.Fatal(err)
					}
					tier.Chainer = r
				}
				w := newWorld(t, d, nil)
				tier.sealer = cachetest.SealerOf(fmt.Sprint(t.Name(), time.Now().UnixNano()))
				test(t, w, tier)
			})
		})
	}
}

// switched is a tier that several processes share, and that can be out of reach.
type switched struct {
	cache.Chainer

	down   bool
	calls  int // of GetMany
	sealer cachetest.Sealed
}

var errDown = errors.New("out of reach")

func (s *switched) GetMany(ctx context.Context, names []string) ([][]byte, error) {
	if s.down {
		return nil, errDown
	}
	s.calls++
	return s.Chainer.GetMany(ctx, names)
}

func (s *switched) Mark(ctx context.Context, m cache.Mark) (cache.Head, [][]byte, error) {
	if s.down {
		return cache.Head{}, nil, errDown
	}
	return s.Chainer.Mark(ctx, m)
}

func (s *switched) Put(ctx context.Context, head string, generation uint64, names []string, values []cache.Numbered, ttl time.Duration) error {
	if s.down {
		return errDown
	}
	return s.Chainer.Put(ctx, head, generation, names, values, ttl)
}

func (s *switched) Claim(ctx context.Context, name string, head cache.Head, instead *cache.Head, ttl time.Duration) error {
	if s.down {
		return errDown
	}
	return s.Chainer.Claim(ctx, name, head, instead, ttl)
}

func (s *switched) Close() {}

// process starts another process on the same database and tier, with nothing in its memory.
func (w *world) process(tier *switched) {
	w.t.Helper()
	w.stop()
	deps := cache.Deps{Clock: clock.System(), Tier: tier, Sealer: tier.sealer, Guard: cachetest.Unguarded{}}
	c, err := cache.New(w.t.Context(), cache.Config{TagSlots: 1 << 12}, deps)
	if err != nil {
		w.t.Fatal(err)
	}
	d := w.deps
	d.Cache = c
	w.Service = New(d)
	w.route()
}

// stop ends the process: what it still had to write is written.
func (w *world) stop() {
	if w.deps.Cache != nil {
		if err := w.deps.Cache.Close(context.WithoutCancel(w.t.Context())); err != nil {
			w.t.Error(err)
		}
	}
}

// asks counts the queries that a window costs.
func (w *world) asks(query, want string) int64 {
	w.t.Helper()
	before := w.Stats().Queries
	w.want(query, want)
	return w.Stats().Queries - before
}

// thisMonth is the window of the month that the tier has in the middle, and a day of it.
func thisMonth() (from, to, day string) {
	now := time.Now().UTC()
	first := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	return first.Format(time.DateOnly), first.AddDate(0, 1, 0).Format(time.DateOnly), first.AddDate(0, 0, 11).Format(time.DateOnly)
}

func TestTier_ColdProcessAsksForTheTokenAlone(t *testing.T) {
	t.Parallel()
	eachTiered(t, func(t *testing.T, w *world, tier *switched) {
		from, to, day := thisMonth()
		query := "count=5000&from=" + from + "&to=" + to + "&subscriber="
		w.process(tier)
		for i := range 40 {
			w.event(day+"T09:00:00", day+"T09:30:00", "UTC", fmt.Sprintf(`"title":"T%d","subscribers":["Patient/c%d"]`, i, i))
			query += fmt.Sprintf("Patient/c%d,", i)
		}
		query = strings.TrimSuffix(query, ",")
		answer := w.do(200, "GET", "events?"+query, "")
		if strings.Count(answer, `"start"`) != 40 {
			t.Fatal(answer)
		}
		for _, again := range []string{"a process", "another"} {
			w.process(tier)
			calls := tier.calls
			if got := w.do(200, "GET", "events?"+query, ""); got != answer {
				t.Errorf("%s answers something else", again)
			}
			if n := w.Stats().Queries; n != 1 {
				t.Errorf("%s: %d queries, want the token's alone", again, n)
			}
			if n := tier.calls - calls; n != 2 {
				t.Errorf("%s: %d calls of the tier, want one for the head and one for all months", again, n)
			}
			w.do(200, "GET", "events?shape=days&"+query, "")
			if n := w.Stats().Queries; n != 1 {
				t.Errorf("%s: %d queries after a second look", again, n)
			}
		}
	})
}

func TestTier_ChangesAreInItBeforeTheyAreAcknowledged(t *testing.T) {
	t.Parallel()
	eachTiered(t, func(t *testing.T, w *world, tier *switched) {
		from, to, day := thisMonth()
		window := "subscriber=Patient/1&from=" + from + "&to=" + to
		w.process(tier)
		w.want(window, "")
		w.process(tier) // what the first put into the tier is there
		w.want(window, "")
		id := w.event(day+"T09:00:00", day+"T09:30:00", "UTC", "")
		if n := w.asks(window, day+"T09:00:00"); n != 0 {
			t.Errorf("the process that wrote asks %d times", n)
		}
		w.process(tier)
		if n := w.asks(window, day+"T09:00:00"); n != 1 {
			t.Errorf("a cold process asks %d times", n)
		}
		w.event(day+"T08:00:00", day+"T08:30:00", "UTC", `"title":"Early","rrule":"FREQ=YEARLY"`)
		w.do(204, "DELETE", "events/"+id, "")
		if n := w.asks(window, day+"T08:00:00=Early"); n != 0 {
			t.Errorf("the process that wrote asks %d times", n)
		}
		w.process(tier)
		if n := w.asks(window, day+"T08:00:00=Early"); n != 1 {
			t.Errorf("a cold process asks %d times", n)
		}
	})
}

// TestTier_OutOfReach has a change made without the tier, which then comes back with what it had.
func TestTier_OutOfReach(t *testing.T) {
	t.Parallel()
	eachTiered(t, func(t *testing.T, w *world, tier *switched) {
		from, to, day := thisMonth()
		window := "subscriber=Patient/1&from=" + from + "&to=" + to
		w.process(tier)
		w.event(day+"T09:00:00", day+"T09:30:00", "UTC", "")
		w.want(window, day+"T09:00:00")
		w.process(tier)
		w.want(window, day+"T09:00:00")
		tier.down = true
		w.event(day+"T10:00:00", day+"T10:30:00", "UTC", "")
		w.want(window, day+"T09:00:00 "+day+"T10:00:00")
		tier.down = false
		w.process(tier)
		w.want(window, day+"T09:00:00 "+day+"T10:00:00")
		w.want(window, day+"T09:00:00 "+day+"T10:00:00")
		// The next change begins a new generation, and from then on the tier is of use again.
		w.event(day+"T11:00:00", day+"T11:30:00", "UTC", "")
		w.process(tier)
		w.want(window, day+"T09:00:00 "+day+"T10:00:00 "+day+"T11:00:00")
		w.process(tier)
		if n := w.asks(window, day+"T09:00:00 "+day+"T10:00:00 "+day+"T11:00:00"); n != 1 {
			t.Errorf("a cold process asks %d times", n)
		}
	})
}

// TestTier_ChangesThatFail are marked and not committed.
func TestTier_ChangesThatFail(t *testing.T) {
	t.Parallel()
	eachTiered(t, func(t *testing.T, w *world, tier *switched) {
		from, to, day := thisMonth()
		window := "subscriber=Patient/1&from=" + from + "&to=" + to
		w.process(tier)
		w.event(day+"T09:00:00", day+"T09:30:00", "UTC", "")
		w.want(window, day+"T09:00:00")
		gone := errors.New("the caller gives up")
		if err := w.joint(gone, []*Event{visit(day+"T12:00:00", day+"T12:30:00")}); !errors.Is(err, gone) {
			t.Fatal(err)
		}
		w.want(window, day+"T09:00:00")
		w.process(tier)
		w.want(window, day+"T09:00:00")
		if err := w.joint(nil, []*Event{visit(day+"T12:00:00", day+"T12:30:00")}); err != nil {
			t.Fatal(err)
		}
		w.process(tier)
		w.want(window, day+"T09:00:00 "+day+"T12:00:00")
	})
}

// TestTier_AnyHistory has processes come and go, the tier come and go, and changes succeed and fail: what a process answers is what the
// database has.
func TestTier_AnyHistory(t *testing.T) {
	t.Parallel()
	eachTiered(t, func(t *testing.T, w *world, tier *switched) {
		from, to, day := thisMonth()
		r := rand.New(rand.NewPCG(5, uint64(len(t.Name())))) //nolint:gosec // a test's
		truth := w.deps
		w.process(tier)
		ids := []string{}
		for step := range 120 {
			subscriber := fmt.Sprintf("Patient/h%d", r.IntN(3))
			switch r.IntN(8) {
			case 0:
				w.process(tier)
			case 1:
				tier.down = !tier.down
			case 2, 3:
				hour := 8 + r.IntN(10)
				ids = append(ids, w.event(fmt.Sprintf("%sT%02d:00:00", day, hour), fmt.Sprintf("%sT%02d:30:00", day, hour), "UTC", fmt.Sprintf(`"subscribers":[%q],"title":"S%d"`, subscriber, step)))
			case 4:
				if len(ids) > 0 {
					w.do(204, "DELETE", "events/"+ids[0], "")
					ids = ids[1:]
				}
			case 5:
				if len(ids) > 0 {
					w.do(200, "PUT", "events/"+ids[0], fmt.Sprintf(`{"organization":"Organization/1","subscribers":[%q],"title":"P%d","start":%q,"end":%q,"rrule":"FREQ=DAILY;COUNT=3"}`, subscriber, step, day+"T07:00:00", day+"T07:30:00"))
				}
			case 6:
				e := visit(day+"T12:00:00", day+"T12:30:00")
				e.Subscribers, e.Title = []string{subscriber}, fmt.Sprint("V", step)
				if gone := errors.New("gives up"); !errors.Is(w.joint(gone, []*Event{e}), gone) {
					t.Fatal("a change that fails succeeded")
				}
			}
			window := "subscriber=" + subscriber + "&from=" + from + "&to=" + to
			got := w.starts(window)
			service := w.Service
			w.Service = New(truth)
			w.route()
			want := w.starts(window)
			w.Service = service
			w.route()
			if got != want {
				t.Fatalf("step %d: got %s, want %s", step, got, want)
			}
		}
	})
}
