package load

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTenants_EachIsVisited: all are stored the same, and a run goes to each of them.
func TestTenants_EachIsVisited(t *testing.T) {
	t.Parallel()
	const n = 3
	share := Share(600, n)
	if want := (Population{Patients: 4, Practitioners: 4, Observations: 188}); share != want {
		t.Fatalf("a third of 600 is %+v, not %+v", share, want)
	}
	shelves := map[string]*shelf{}
	var targets []Target
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		slug, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/t/"), "/")
		shelves[slug].ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	for i := range n {
		slug := fmt.Sprintf("load-%d", i)
		shelves[slug] = &shelf{docs: map[string]string{}, seen: map[string]int{}, base: "/t/" + slug + "/fhir"}
		target, err := ParseTarget(server.URL+"/t/"+slug+"/fhir", "secret")
		if err != nil {
			t.Fatal(err)
		}
		targets = append(targets, target)
	}
	made, err := PrepareTenants(t.Context(), targets, share, 2, io.Discard)
	if err != nil || made.Resources != 600 {
		t.Fatalf("%+v, %v", made, err)
	}
	work, err := Select([]string{"mixed"})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range shelves {
		s.mu.Lock()
		clear(s.seen)
		s.mu.Unlock()
	}
	var runs []Run
	opt := Options{Population: share, Workloads: work, Connections: []int{1}, Rate: 200, OpenConns: 2, Duration: 300 * time.Millisecond, IDs: 30}
	if err := Tenants(t.Context(), targets, opt, func(r Run) { runs = append(runs, r) }); err != nil {
		t.Fatal(err)
	}
	if len(runs) != 2 {
		t.Fatalf("%d runs", len(runs))
	}
	for i, r := range runs {
		if r.Errors > 0 || r.Requests == 0 {
			t.Errorf("run %d: %+v", i, r)
		}
	}
	for slug, s := range shelves {
		s.mu.Lock()
		if s.seen["GET Observation"] < 2 || s.seen["POST Observation"] == 0 {
			t.Errorf("nobody came to %s: %v", slug, s.seen)
		}
		s.mu.Unlock()
	}
}

func TestTargets_AreKept(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "targets")
	want := []Target{{Address: "127.0.0.1:1", Base: "/t/a/fhir", Token: "x"}, {Address: "127.0.0.1:1", Base: "/t/b/fhir", Token: "y"}}
	if err := WriteTargets(name, want); err != nil {
		t.Fatal(err)
	}
	got, err := ReadTargets(name)
	if err != nil || len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestCompareTenants(t *testing.T) {
	t.Parallel()
	report := func(tenants string, rss int64, p99 float64) Report {
		return Report{
			Facts: map[string]string{FactBackend: "embedded", FactTenants: tenants},
			Runs:  []Run{{Workload: "mixed", Loop: "closed", Connections: 16, PerSecond: 100, P99: p99, ServerRSS: rss << 20, ServerPeakRSS: rss << 20}},
		}
	}
	var out strings.Builder
	if err := CompareTenants(&out, []Report{report("1", 100, 2), report("1000", 140, 8)}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| embedded | mixed, 16 connections | memory at the end, MB | 100.00 | 140.00 | 1.40 | ≤ 1.5 | met |",
		"| embedded | mixed, 16 connections | p99, ms | 2.00 | 8.00 | 4.00 | ≤ 1.5 | **not met** |",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s\nis not in\n%s", want, out.String())
		}
	}
}
