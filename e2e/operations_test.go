package e2e

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestRestart_IsQuickAndDrains: a stop under load breaks no request, exits 0, and the next start takes less than a second.
func TestRestart_IsQuickAndDrains(t *testing.T) {
	for _, b := range backends(t) {
		t.Run(b.name, func(t *testing.T) {
			s := b.site(t)
			p := s.start(t)
			var written, broken atomic.Int64
			var clients sync.WaitGroup
			for n := range 8 {
				clients.Go(func() {
					f := s.fhir(t)
					for i := 0; ; i++ {
						r, err := f.do(t.Context(), "POST", "/Basic", document("Basic", "x", fmt.Sprintf("%d.%d", n, i)))
						switch {
						case err != nil && refused(err), err == nil && r.status == 503:
							return
						case err != nil:
							// A connection at rest may be closed while a request is being sent on it: nothing was
							// answered, and HTTP lets the server do that.
							if !strings.Contains(err.Error(), "EOF") && !strings.Contains(err.Error(), "reset") {
								broken.Add(1)
							}
							return
						case r.status != 201:
							broken.Add(1)
							return
						}
						written.Add(1)
					}
				})
			}
			for written.Load() < 200 {
				time.Sleep(time.Millisecond)
			}
			if code := p.stop(20 * time.Second); code != 0 {
				t.Errorf("exit code %d: %s", code, p.log.tail(2000))
			}
			clients.Wait()
			if broken.Load() != 0 {
				t.Errorf("%d requests were broken by the stop", broken.Load())
			}
			started := time.Now()
			p = s.start(t)
			if took := time.Since(started); took > time.Second {
				t.Errorf("the restart took %s, want less than 1 s", took)
			}
			total := s.fhir(t).want(t, 200, "GET", "/Basic?_summary=count", "").decode(t)["total"].(float64) //nolint:forcetypeassert // fails the test
			if int64(total) < written.Load() {
				t.Errorf("%v resources, %d were acknowledged", total, written.Load())
			}
			if code := p.stop(20 * time.Second); code != 0 {
				t.Errorf("exit code %d", code)
			}
		})
	}
}

func refused(err error) bool { return strings.Contains(err.Error(), "connection refused") }

// TestScaledOut_ProcessesShareEverything: what one process writes, another answers with, at once.
func TestScaledOut_ProcessesShareEverything(t *testing.T) {
	first := backend{"scaled out", scaledOut}.site(t)
	first.start(t, "--target", "api")
	second := *first
	listen, ops := freeAddress(t), freeAddress(t)
	second.base, second.ops = "http://"+listen+"/t/demo/fhir", "http://"+ops
	second.env = append(append([]string{}, first.env...), "WARD_HTTP_LISTEN="+listen, "WARD_HTTP_OPS_LISTEN="+ops)
	second.start(t, "--target", "api")
	worker := *first
	ops = freeAddress(t)
	worker.ops = "http://" + ops
	worker.env = append(append([]string{}, first.env...), "WARD_HTTP_LISTEN="+freeAddress(t), "WARD_HTTP_OPS_LISTEN="+ops)
	worker.start(t, "--target", "worker")

	one, two := first.fhir(t), second.fhir(t)
	one.want(t, 201, "PUT", "/Patient/p1", `{"resourceType":"Patient","id":"p1","birthDate":"1980-01-01"}`)
	for i := range 50 {
		code := fmt.Sprintf("c%d", i)
		writes, reads := one, two
		if i%2 == 1 {
			writes, reads = two, one
		}
		body := fmt.Sprintf(`{"resourceType":"Observation","status":"final","code":{"text":%q},"subject":{"reference":"Patient/p1"},"effectiveDateTime":"2024-01-01"}`, code)
		before := reads.want(t, 200, "GET", "/Observation?patient=p1&_summary=count", "").decode(t)["total"]
		if before != float64(i) {
			t.Fatalf("%v results before write %d", before, i)
		}
		writes.want(t, 201, "POST", "/Observation", body)
		// Answers are kept in each process; the other one's must be dropped before this write's answer can be asked for
		// again, or very soon after, as the announcement travels.
		deadline := time.Now().Add(5 * time.Second)
		for reads.want(t, 200, "GET", "/Observation?patient=p1&_summary=count", "").decode(t)["total"] != float64(i+1) {
			if time.Now().After(deadline) {
				t.Fatalf("write %d is not seen by the other process", i)
			}
		}
	}
}

// TestCommands_SayWhatIsWrong: an operator's first tools.
func TestCommands_SayWhatIsWrong(t *testing.T) {
	data := "WARD_DATA=" + t.TempDir()
	for name, test := range map[string]struct {
		env  []string
		args []string
		want []string
	}{
		"a wrong setting":                {[]string{data, "WARD_HTTP_QUEUE=many"}, []string{"serve"}, []string{"WARD_HTTP_QUEUE", "http.queue", "many"}},
		"a target that is not there":     {[]string{data}, []string{"serve", "--target", "moon"}, []string{"target", "moon", "worker"}},
		"split, but an embedded backend": {[]string{data}, []string{"serve", "--target", "worker"}, []string{"db"}},
		"a command that is not there":    {nil, []string{"sevre"}, []string{"sevre"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := command(t, test.env, test.args...)
			if err == nil {
				t.Fatal("it went well")
			}
			for _, word := range test.want {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("no word of %q: %v", word, err)
				}
			}
		})
	}
	out, err := command(t, nil, "version")
	if err != nil || out == "" {
		t.Errorf("ward version: %v %q", err, out)
	}
	out, err = command(t, nil, "routes", "--json")
	if err != nil || !strings.Contains(out, "/t/{tenant}/fhir") {
		t.Errorf("ward routes: %v %.300s", err, out)
	}
	out, err = command(t, []string{data, "WARD_DB_URL=postgres://ward_app:hunter2@db/ward"}, "config", "check")
	if strings.Contains(out, "hunter2") || err != nil && strings.Contains(err.Error(), "hunter2") {
		t.Errorf("ward config check shows a secret: %v %s", err, out)
	}
}
