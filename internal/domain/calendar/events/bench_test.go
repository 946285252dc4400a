package events

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"ward/internal/backend/cache"
	"ward/internal/backend/db/dbtest"
	"ward/internal/base/clock"
	"ward/internal/base/scope"
	"ward/internal/base/testenv"
)

// The calendars of the benchmarks: 5,000 patients with eight visits each in one month.
const (
	benchPatients = 5_000
	benchVisits   = 8
	benchSpan     = "from=2027-03-01&to=2027-04-01"
)

func benchEvent(patient, n int, month time.Time) *Event {
	day := month.AddDate(0, 0, (patient+n*3)%28)
	start := day.Add(time.Duration(8+n) * time.Hour)
	return &Event{
		UID: fmt.Sprintf("bench-%s-%d-%d", month.Format("200601"), patient, n), Organization: "Organization/1",
		Subscribers: []string{fmt.Sprintf("Patient/p%d", patient), fmt.Sprintf("Practitioner/d%d", patient/20)},
		Title:       "Follow-up visit", Location: "Room 7", Category: "visit", TZ: "UTC",
		Start: start.Format("2006-01-02T15:04:05"), End: start.Add(30 * time.Minute).Format("2006-01-02T15:04:05"),
	}
}

// benchWorld is a tenant on SQLite with so many patients' visits in March 2027, and in so many further months before.
func benchWorld(b *testing.B, c *cache.Cache, patients, history int) *world {
	b.Helper()
	w := newWorld(b, dbtest.SQLite(b), c)
	march := time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC)
	var list []*ready
	flush := func() {
		if _, err := w.Import(w.ctx, list, func(*Event) error { return nil }); err != nil {
			b.Fatal(err)
		}
		list = nil
	}
	for m := range history + 1 {
		for p := range patients {
			for n := range benchVisits {
				r, err := compile(benchEvent(p, n, march.AddDate(0, -m, 0)))
				if err != nil {
					b.Fatal(err)
				}
				if list = append(list, r); len(list) == 4000 {
					flush()
				}
			}
		}
	}
	if len(list) > 0 {
		flush()
	}
	return w
}

func benchCache(b *testing.B) *cache.Cache {
	b.Helper()
	c, err := cache.New(b.Context(), cache.Config{Bytes: 256 << 20}, cache.Deps{Clock: clock.System()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close(context.WithoutCancel(b.Context())) })
	return c
}

// nobody takes an answer and counts its bytes.
type nobody struct {
	h http.Header
	n int
}

func (n *nobody) Header() http.Header         { return n.h }
func (n *nobody) WriteHeader(int)             {}
func (n *nobody) Write(b []byte) (int, error) { n.n += len(b); return len(b), nil }

// window answers a window in the process, as a route's handler does.
func (w *world) window(b *testing.B, query string) int {
	b.Helper()
	sc, _ := scope.From(w.ctx)
	sc.Principal = w.who
	r := (&http.Request{Method: "GET", URL: &url.URL{Path: "/t/test/calendar/events", RawQuery: query}, Header: http.Header{}}).WithContext(scope.With(w.ctx, sc))
	to := &nobody{h: http.Header{}}
	if err := w.handleWindow(to, r); err != nil {
		b.Fatal(err)
	}
	return to.n
}

// article is calendars as articles about caches lay them out in Redis: a sorted set of events by their starts for each subscriber, and a hash for
// each event, read in two pipelines.
type article struct {
	client rueidis.Client
	prefix string
}

func newArticle(b *testing.B, patients int) *article {
	b.Helper()
	option, err := rueidis.ParseURL(testenv.URL(b, "WARD_TEST_REDIS"))
	if err != nil {
		b.Fatal(err)
	}
	option.DisableCache = true
	client, err := rueidis.NewClient(option)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(client.Close)
	a := &article{client, "ward:bench:" + strconv.FormatInt(time.Now().UnixNano(), 36) + ":"}
	march := time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC)
	const ttl = 600
	for p := range patients {
		var commands rueidis.Commands
		set := client.B().Zadd().Key(a.prefix + "Patient/p" + strconv.Itoa(p)).ScoreMember()
		for n := range benchVisits {
			e := benchEvent(p, n, march)
			start, _ := time.Parse("2006-01-02T15:04:05", e.Start)
			set = set.ScoreMember(float64(start.Unix()), e.UID)
			commands = append(commands, client.B().Hset().Key(a.prefix+e.UID).FieldValue().FieldValue("event", e.UID).FieldValue("start", e.Start).FieldValue("end", e.End).
				FieldValue("tz", e.TZ).FieldValue("title", e.Title).FieldValue("location", e.Location).FieldValue("category", e.Category).
				FieldValue("organization", e.Organization).FieldValue("subscribers", strings.Join(e.Subscribers, ",")).Build(),
				client.B().Expire().Key(a.prefix+e.UID).Seconds(ttl).Build())
		}
		commands = append(commands, set.Build(), client.B().Expire().Key(a.prefix+"Patient/p"+strconv.Itoa(p)).Seconds(ttl).Build())
		for _, r := range client.DoMulti(b.Context(), commands...) {
			if err := r.Error(); err != nil {
				b.Fatal(err)
			}
		}
	}
	return a
}

// window answers the month of patients as JSON.
func (a *article) window(b *testing.B, from, to int) int {
	b.Helper()
	var first rueidis.Commands
	for p := from; p < to; p++ {
		first = append(first, a.client.B().Zrangebyscore().Key(a.prefix+"Patient/p"+strconv.Itoa(p)).Min("1803859200").Max("(1806537600").Build())
	}
	var second rueidis.Commands
	for _, r := range a.client.DoMulti(b.Context(), first...) {
		ids, err := r.AsStrSlice()
		if err != nil {
			b.Fatal(err)
		}
		for _, id := range ids {
			second = append(second, a.client.B().Hgetall().Key(a.prefix+id).Build())
		}
	}
	if len(second) != (to-from)*benchVisits {
		b.Fatalf("%d events", len(second))
	}
	out := []byte(`{"occurrences":[`)
	for _, r := range a.client.DoMulti(b.Context(), second...) {
		m, err := r.AsStrMap()
		if err != nil {
			b.Fatal(err)
		}
		out = append(out, '{')
		for name, value := range m {
			out = append(strconv.AppendQuote(append(strconv.AppendQuote(out, name), ':'), value), ',')
		}
		out = append(out, '}')
	}
	return len(out)
}

// inTurns measures two things and gives how many nanoseconds each takes.
func inTurns(b *testing.B, one, other func()) (of [2]float64) {
	b.Helper()
	n := 0.0
	for b.Loop() {
		for i, do := range []func(){one, other} {
			began := time.Now()
			do()
			of[i] += float64(time.Since(began))
		}
		n++
	}
	return [2]float64{of[0] / n, of[1] / n}
}

// beside reports how many times as long as Ward the article's layout takes.
func beside(b *testing.B, article, ward func()) {
	b.Helper()
	of := inTurns(b, article, ward)
	b.ReportMetric(of[0], "article-ns/op")
	b.ReportMetric(of[1], "ward-ns/op")
	b.ReportMetric(of[0]/of[1], "ratio")
}

// BenchmarkWindow_BesideTheArticle: the bar is a ratio of 20.
func BenchmarkWindow_BesideTheArticle(b *testing.B) {
	var members []string
	for p := range benchPatients {
		members = append(members, "Patient/p"+strconv.Itoa(p))
	}
	c := benchCache(b)
	var before, after runtime.MemStats
	w := benchWorld(b, c, benchPatients, 0)
	w.deps.Cohort = func(context.Context, string, string, int) ([]string, error) { return members, nil }
	a := newArticle(b, benchPatients)
	runtime.GC()
	runtime.ReadMemStats(&before)
	w.window(b, "group=all&count=50000&"+benchSpan)
	runtime.GC()
	runtime.ReadMemStats(&after)
	events := float64(benchPatients*benchVisits) / 1000
	b.Run("subscriber", func(b *testing.B) {
		n := 0
		beside(b, func() { a.window(b, n%500, n%500+1) }, func() {
			w.window(b, "subscriber=Patient/p"+strconv.Itoa(n%500)+"&"+benchSpan)
			n++
		})
	})
	for _, shape := range []string{"occurrences", "days"} {
		b.Run("cohort/"+shape, func(b *testing.B) {
			beside(b, func() { a.window(b, 0, benchPatients) }, func() { w.window(b, "group=all&count=50000&shape="+shape+"&"+benchSpan) })
			b.ReportMetric(float64(c.Stats().Bytes)/events, "cache-B/1000events")
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/events, "heap-B/1000events")
		})
	}
}

// BenchmarkWindow_Growth reads the month of 20 patients with 160 events and with a hundred times as many, from memory and from the
// database: the bar is 1.3 × the time.
func BenchmarkWindow_Growth(b *testing.B) {
	const patients = 20
	var list []string
	for p := range patients {
		list = append(list, "Patient/p"+strconv.Itoa(p))
	}
	query := "count=5000&" + benchSpan + "&subscriber=" + strings.Join(list, ",")
	for _, kind := range []string{"memory", "database"} {
		b.Run(kind, func(b *testing.B) {
			var c *cache.Cache
			if kind == "memory" {
				c = benchCache(b)
			}
			few, many := benchWorld(b, c, patients, 0), benchWorld(b, c, patients, 99)
			many.window(b, query)
			few.window(b, query)
			of := inTurns(b, func() { few.window(b, query) }, func() { many.window(b, query) })
			b.ReportMetric(of[0], "few-ns/op")
			b.ReportMetric(of[1], "many-ns/op")
			b.ReportMetric(of[1]/of[0], "growth")
		})
	}
}
