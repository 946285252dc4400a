package load

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestMain is also the bare server's process, and that of a Ward: LimitHTTP and BenchmarkPair start this program again.
func TestMain(m *testing.M) {
	if slices.Equal(os.Args[1:], []string{"load", "limit-http"}) {
		body, err := io.ReadAll(os.Stdin)
		if err == nil {
			err = ServeBytes(context.Background(), body, os.Stdout)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if len(os.Args) == 3 && os.Args[1] == pairProcess {
		if err := servePair(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// shelf is the least that the workloads need of a FHIR server: it keeps JSON by path and answers searches with all.
type shelf struct {
	mu    sync.Mutex
	docs  map[string]string
	base  string         // "": /t/demo/fhir
	seen  map[string]int // requests by method and first path element
	next  int
	fails atomic.Int64 // so many requests are answered 503
}

func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	base := cmp.Or(s.base, "/t/demo/fhir")
	path := strings.TrimPrefix(r.URL.Path, base)
	typ, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	s.seen[r.Method+" "+typ]++
	if s.fails.Add(-1) >= 0 || r.Header.Get("Authorization") != "Bearer secret" {
		http.Error(w, "busy", http.StatusServiceUnavailable)
		return
	}
	if len(body) > 0 && !json.Valid(body) {
		http.Error(w, "not JSON: "+string(body), http.StatusBadRequest)
		return
	}
	switch {
	case path == "" || path == "/":
		s.transaction(w, body)
	case r.Method == "POST":
		s.next++
		s.docs[fmt.Sprintf("/%s/%d", typ, s.next)] = string(body)
		w.Header().Set("Location", fmt.Sprintf("http://%s%s/%d/_history/1", r.Host, r.URL.Path, s.next))
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(body)
	case r.Method == "PUT":
		s.docs[path] = string(body)
	case r.Method == "DELETE":
		delete(s.docs, path)
		w.WriteHeader(http.StatusNoContent)
	case strings.Count(path, "/") == 2:
		doc, ok := s.docs[path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, doc)
	default:
		s.search(w, r, base, typ)
	}
}

func (s *shelf) transaction(w io.Writer, body []byte) {
	var bundle struct {
		Entry []struct {
			Resource json.RawMessage
			Request  struct{ Method, URL string }
		}
	}
	if err := json.Unmarshal(body, &bundle); err != nil {
		panic(err)
	}
	for _, e := range bundle.Entry {
		s.next++
		path := "/" + e.Request.URL
		if e.Request.Method == "POST" {
			path += fmt.Sprintf("/%d", s.next)
		}
		s.docs[path] = string(e.Resource)
	}
	_, _ = io.WriteString(w, `{"resourceType":"Bundle","type":"transaction-response"}`)
}

// search answers in two pages, to make the client follow the link.
func (s *shelf) search(w io.Writer, r *http.Request, base, typ string) {
	var entries []string
	for path := range s.docs {
		if strings.HasPrefix(path, "/"+typ+"/") {
			entries = append(entries, fmt.Sprintf(`{"fullUrl":"http://%s%s%s"}`, r.Host, base, path))
		}
	}
	slices.Sort(entries)
	half := len(entries) / 2
	link := ""
	if r.URL.Query().Get("page") == "2" {
		entries = entries[half:]
	} else {
		entries = entries[:half]
		link = fmt.Sprintf(`{"relation":"next","url":"http://%s%s/%s?page=2"}`, r.Host, base, typ)
	}
	fmt.Fprintf(w, `{"resourceType":"Bundle","link":[%s],"entry":[%s]}`, link, strings.Join(entries, ","))
}

func start(t *testing.T) (*shelf, Target) {
	t.Helper()
	s := &shelf{docs: map[string]string{}, seen: map[string]int{}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	target, err := ParseTarget(server.URL+"/t/demo/fhir/", "secret")
	if err != nil {
		t.Fatal(err)
	}
	return s, target
}

var few = Population{Patients: 8, Observations: 1300}

func prepared(t *testing.T) (*shelf, Target) {
	t.Helper()
	s, target := start(t)
	done, err := Prepare(t.Context(), target, few, 2, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if want := usualPractitioners + 2*few.Patients + few.Observations; done.Resources != want || len(s.docs) != want {
		t.Fatalf("stored %d and said %d, want %d", len(s.docs), done.Resources, want)
	}
	return s, target
}

func TestRecords_EveryWorkloadInBothLoops(t *testing.T) {
	t.Parallel()
	s, target := prepared(t)
	var runs []Run
	err := Records(t.Context(), target, Options{
		Population: few, Workloads: Workloads(), Connections: []int{2}, Rate: 300, OpenConns: 4,
		Duration: 30 * time.Millisecond, Warmup: time.Millisecond, PID: os.Getpid(), IDs: few.Observations,
	}, func(r Run) { runs = append(runs, r) })
	if err != nil {
		t.Fatal(err)
	}
	if want := 2*len(Workloads()) - 2; len(runs) != want { // those that ask for what was not asked for have no open loop
		t.Errorf("%d runs, want %d", len(runs), want)
	}
	for _, r := range runs {
		if r.Errors != 0 || r.Requests == 0 || r.P50 <= 0 || r.P999 < r.P50 || r.Max < r.P999 || r.ServerRSS == 0 {
			t.Errorf("%+v", r)
		}
	}
	for _, step := range steps {
		if s.seen["DELETE "+step.typ] == 0 {
			t.Errorf("no %s was deleted", step.typ)
		}
	}
	var table bytes.Buffer
	if err := (&Report{Runs: runs, Limits: []Limit{{Name: "fsync"}}}).Table(&table); err != nil || strings.Count(table.String(), "\n") != len(runs)+3 {
		t.Errorf("%v: %s", err, table.String())
	}
}

func TestRecords_CountsErrorsAndKeepsTheFirst(t *testing.T) {
	t.Parallel()
	s, target := prepared(t)
	s.fails.Store(1)
	work, err := Select([]string{"create"})
	if err != nil {
		t.Fatal(err)
	}
	err = Records(t.Context(), target, Options{Population: few, Workloads: work, Connections: []int{1}, Duration: 50 * time.Millisecond}, func(r Run) {
		if r.Errors != 1 || !strings.Contains(r.FirstError, "503 busy") {
			t.Errorf("%+v", r)
		}
	})
	if err != nil {
		t.Error(err)
	}
	if _, err := Select([]string{"creat"}); err == nil || !strings.Contains(err.Error(), "there are read,") {
		t.Errorf("a wrong name: %v", err)
	}
}

// TestOpenLoop_StallIsSeenByAllWhoWereDue: one request takes a second, and those due meanwhile wait for it.
func TestOpenLoop_StallIsSeenByAllWhoWereDue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := 0
		work := Workload{do: func(context.Context, *worker) error {
			if n++; n == 1 {
				time.Sleep(time.Second)
			}
			return nil
		}}
		w := &worker{conn: newConn(Target{}), open: true}
		loop{connections: 1, rate: 10}.drive(t.Context(), []*worker{w}, work, 2*time.Second)
		// Due at 0, 0.1, ... 0.9: 1 s, 0.9 s, ... 0.1 s late. The ten after them are on time.
		if w.latency.n != 20 {
			t.Fatalf("%d operations, want 20", w.latency.n)
		}
		for q, want := range map[float64]time.Duration{0.5: 0, 0.55: 100 * time.Millisecond, 0.75: 500 * time.Millisecond, 1: time.Second} {
			if got := w.latency.quantile(q); got < want*99/100 || got > want+want/50+time.Millisecond {
				t.Errorf("quantile %v is %v, want %v", q, got, want)
			}
		}
	})
}

func TestClient_ReadsWhatServersSend(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		want    Answer
	}{
		"a length": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://x/t/demo/fhir/Patient/7/_history/1")
			w.WriteHeader(201)
			_, _ = io.WriteString(w, "abc")
		}, Answer{Status: 201, Location: []byte("http://x/t/demo/fhir/Patient/7/_history/1"), Body: []byte("abc")}},
		"chunks": {func(w http.ResponseWriter, _ *http.Request) {
			for range 3 {
				_, _ = io.WriteString(w, strings.Repeat("x", 100_000))
				w.(http.Flusher).Flush()
			}
		}, Answer{Status: 200, Body: []byte(strings.Repeat("x", 300_000))}},
		"nothing": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, Answer{Status: 204}},
		"a goodbye": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Connection", "close")
			_, _ = io.WriteString(w, "abc")
		}, Answer{Status: 200, Body: []byte("abc")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(test.handler)
			defer server.Close()
			target, err := ParseTarget(server.URL+"/t/demo/fhir", "")
			if err != nil {
				t.Fatal(err)
			}
			c := newConn(target)
			defer c.close()
			for range 2 {
				a, err := c.do(t.Context(), "GET", []byte("/x"), nil)
				if err != nil || a.Status != test.want.Status || !bytes.Equal(a.Body, test.want.Body) || !bytes.Equal(a.Location, test.want.Location) {
					t.Errorf("%v: %d %q %d bytes", err, a.Status, a.Location, len(a.Body))
				}
			}
		})
	}
	if id := idOf([]byte("http://x/t/demo/fhir/Patient/7/_history/1"), "Patient"); id != "7" {
		t.Errorf("id %q", id)
	}
	if _, err := ParseTarget("127.0.0.1:8080", ""); err == nil || !strings.Contains(err.Error(), "must look like") {
		t.Errorf("a URL without a scheme: %v", err)
	}
}

func TestObservation_IsJSONOfTheModelsSize(t *testing.T) {
	t.Parallel()
	total := 0
	for i := range 200 {
		doc := appendObservation(nil, random(3, uint64(i)), i, usualPractitioners, measureOf(i, i%codesPerPatient))
		if !json.Valid(doc) {
			t.Fatalf("%s", doc)
		}
		total += len(doc)
	}
	if mean := total / 200; mean < 1400 || mean > 1600 {
		t.Errorf("%d bytes, want about 1,500", mean)
	}
	for i := range 20 {
		kinds := map[*measure]bool{}
		for n := range codesPerPatient {
			kinds[measureOf(i, n)] = true
		}
		if len(kinds) != codesPerPatient {
			t.Errorf("patient %d has %d kinds of results", i, len(kinds))
		}
	}
}

func TestHistogram_QuantilesAreWithinOnePercent(t *testing.T) {
	t.Parallel()
	h, r := &histogram{}, random(1, 1)
	var all []time.Duration
	for range 20_000 {
		d := time.Duration(1 + r.ExpFloat64()*float64(3*time.Millisecond))
		all = append(all, d)
		h.record(d)
	}
	slices.Sort(all)
	for _, q := range []float64{0.001, 0.5, 0.95, 0.999, 1} {
		want := all[max(int(q*float64(len(all))+0.5), 1)-1]
		if got := h.quantile(q); got < want*99/100 || got > want*101/100 {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
	for b := range 58 * fine {
		if got := bucket(low(b)); got != b {
			t.Fatalf("bucket(low(%d)) = %d", b, got)
		}
	}
}

func TestWrite_IsTransactionsOnePerLine(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := Write(&out, few); err != nil {
		t.Fatal(err)
	}
	entries := 0
	for line := range bytes.Lines(out.Bytes()) {
		var bundle struct{ Entry []json.RawMessage }
		if err := json.Unmarshal(line, &bundle); err != nil {
			t.Fatal(err)
		}
		entries += len(bundle.Entry)
	}
	if want := usualPractitioners + 2*few.Patients + few.Observations; entries != want {
		t.Errorf("%d resources, want %d", entries, want)
	}
}

func TestResults_PutWardBesideTheLimit(t *testing.T) {
	t.Parallel()
	var reports []Report
	for round, rate := range []float64{900, 1000, 5000} {
		facts := map[string]string{FactBackend: "embedded", FactRound: fmt.Sprint(round), FactCommit: "abc"}
		reports = append(reports,
			Report{Facts: facts, Runs: []Run{{Workload: "read", Loop: "closed", Connections: 64, PerSecond: rate}, {Workload: "create", Loop: "closed", Connections: 64, PerSecond: 2000}}},
			Report{Facts: facts, Limits: []Limit{{Name: "http-read", PerSecond: 1250}, {Name: "sqlite-create", PerSecond: 2500}}, Figures: map[string]float64{FigureDisk: 1536}},
			Report{Facts: map[string]string{FactBackend: "embedded", FactSize: "small"}, Runs: []Run{{Workload: "create", Loop: "closed", Connections: 64, PerSecond: 3000}}},
		)
	}
	var out strings.Builder
	if err := Results(&out, reports); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"| read by id, warm | 1000 | 1250 | 0.80 | ≥ 0.60 | met |",
		"| create Observation, durable | 2000 | 2500 | 0.80 | ≥ 0.60, ≥ 3500/s | **not met** |",
		"| disk per 1.5 KB Observation | 1.50 KB | | | ≤ 1 KB | **not met** |",
		"| growth: create with 10 × the resources | 1.50 × the time | | | ≤ 1.25 | **not met** |",
	} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("no line %q in\n%s", line, out.String())
		}
	}
}
