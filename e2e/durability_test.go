package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// ledger is what the clients were promised: for each resource the last answer they got, and what was under way since.
type ledger struct {
	mu           sync.Mutex
	entries      map[string]*entry // by Type/id
	acknowledged int               // answers so far
}

// entry is one resource. Only one client writes to it, one request at a time.
type entry struct {
	version int    // acknowledged
	text    string // acknowledged; empty: deleted
	pending bool   // a request had no answer: it may or may not have happened
	next    string // what that request wanted; empty: to delete it
}

func (l *ledger) begin(path, text string) *entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[path]
	if e == nil {
		e = &entry{}
		l.entries[path] = e
	}
	e.pending, e.next = true, text
	return e
}

func (l *ledger) acknowledge(e *entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.version++
	e.text, e.pending = e.next, false
	l.acknowledged++
}

func (l *ledger) answers() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acknowledged
}

// writer is one client that creates, updates and deletes, and writes transactions, until the server dies under it.
type writer struct {
	n    int
	rand *rand.Rand
	to   *fhir
	all  *ledger
	own  []string // ids of its Basic resources that are not deleted
	made int
}

func document(typ, id, text string) string {
	return fmt.Sprintf(`{"resourceType":%q,"id":%q,"code":{"text":%q},"identifier":[{"system":"urn:test","value":%q}]}`, typ, id, text, id)
}

// work goes on until a request fails for want of a server. A refusal is a failure of the test.
func (w *writer) work(ctx context.Context) error {
	for ctx.Err() == nil {
		w.made++
		text := fmt.Sprintf("%d.%d", w.n, w.made)
		var err error
		switch kind := w.rand.IntN(10); {
		case kind < 4 || len(w.own) == 0:
			id := "w" + strings.ReplaceAll(text, ".", "-")
			w.own = append(w.own, id)
			err = w.put(ctx, id, text)
		case kind < 7:
			err = w.put(ctx, w.own[w.rand.IntN(len(w.own))], text)
		case kind < 8:
			err = w.remove(ctx)
		default:
			err = w.transaction(ctx, text)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) put(ctx context.Context, id, text string) error {
	e := w.all.begin("Basic/"+id, text)
	r, err := w.to.do(ctx, "PUT", "/Basic/"+id, document("Basic", id, text))
	return w.settle(r, err, e)
}

func (w *writer) remove(ctx context.Context) error {
	i := w.rand.IntN(len(w.own))
	id := w.own[i]
	w.own = append(w.own[:i], w.own[i+1:]...)
	e := w.all.begin("Basic/"+id, "")
	r, err := w.to.do(ctx, "DELETE", "/Basic/"+id, "")
	return w.settle(r, err, e)
}

const transactionSize = 5

// transaction writes five resources that must be there together or not at all.
func (w *writer) transaction(ctx context.Context, text string) error {
	var entries []*entry
	var parts []string
	for i := range transactionSize {
		id := fmt.Sprintf("t%s-%d", strings.ReplaceAll(text, ".", "-"), i)
		entries = append(entries, w.all.begin("Basic/"+id, text))
		parts = append(parts, fmt.Sprintf(`{"resource":%s,"request":{"method":"PUT","url":"Basic/%s"}}`, document("Basic", id, text), id))
	}
	r, err := w.to.do(ctx, "POST", "", `{"resourceType":"Bundle","type":"transaction","entry":[`+strings.Join(parts, ",")+`]}`)
	return w.settle(r, err, entries...)
}

func (w *writer) settle(r reply, err error, entries ...*entry) error {
	switch {
	case err != nil:
		return errServerGone
	case r.status == 503:
		// It is stopping or starting; nothing was acknowledged.
		return errServerGone
	case r.status >= 300:
		return fmt.Errorf("status %d: %.300s", r.status, r.body)
	}
	for _, e := range entries {
		w.all.acknowledge(e)
	}
	return nil
}

var errServerGone = errors.New("the server is gone")

// verify reads what was promised and returns what is missing. Pending writes that turn out to have happened are
// promised from then on.
func (l *ledger) verify(ctx context.Context, from *fhir, paths []string) []string {
	var missing []string
	var mu sync.Mutex
	var all sync.WaitGroup
	work := make(chan string)
	for range 8 {
		all.Go(func() {
			for path := range work {
				if complaint := l.check(ctx, from, path); complaint != "" {
					mu.Lock()
					missing = append(missing, path+": "+complaint)
					mu.Unlock()
				}
			}
		})
	}
	for _, path := range paths {
		work <- path
	}
	close(work)
	all.Wait()
	return missing
}

// check compares one resource. Nobody writes meanwhile.
func (l *ledger) check(ctx context.Context, from *fhir, path string) string {
	e := l.entries[path]
	r, err := from.do(ctx, "GET", "/"+path, "")
	if err != nil {
		return err.Error()
	}
	version, text := 0, ""
	switch r.status {
	case 200:
		var doc struct {
			Meta struct{ VersionID string }
			Code struct{ Text string }
		}
		if err := json.Unmarshal(r.body, &doc); err != nil {
			return err.Error()
		}
		version, _ = strconv.Atoi(doc.Meta.VersionID)
		text = doc.Code.Text
	case 404, 410:
	default:
		return fmt.Sprintf("status %d: %.200s", r.status, r.body)
	}
	switch {
	case text == e.text && (version == e.version || r.status != 200):
		e.pending = false // it did not happen, or changed nothing
	case e.pending && text == e.next && (version == e.version+1 || r.status != 200):
		e.version++
		e.text, e.pending = e.next, false
	default:
		return fmt.Sprintf("has version %d %q; version %d %q was acknowledged, pending %v %q", version, text, e.version, e.text, e.pending, e.next)
	}
	return ""
}

// torn returns the transactions of which only a part is there.
func (l *ledger) torn() []string {
	there := map[string]int{}
	for path, e := range l.entries {
		if id, ok := strings.CutPrefix(path, "Basic/t"); ok && e.text != "" {
			there[id[:strings.LastIndexByte(id, '-')]]++
		}
	}
	var out []string
	for transaction, n := range there {
		if n != transactionSize {
			out = append(out, fmt.Sprintf("%s: %d of %d", transaction, n, transactionSize))
		}
	}
	return out
}

func (l *ledger) paths() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]string, 0, len(l.entries))
	for path := range l.entries {
		out = append(out, path)
	}
	return out
}

// kills is how often the process is killed.
func kills(t *testing.T) int {
	t.Helper()
	if text := os.Getenv("WARD_E2E_KILLS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return 50
}

func TestDurability_EveryAcknowledgedWriteSurvivesKill9(t *testing.T) {
	for _, b := range backends(t) {
		t.Run(b.name, func(t *testing.T) {
			site := b.site(t)
			all := &ledger{entries: map[string]*entry{}}
			r := rand.New(rand.NewPCG(1, uint64(len(b.name))))
			acknowledged, made := 0, make([]int, 8)
			for round := range kills(t) {
				p := site.start(t)
				to := site.fhir(t)
				if round%10 == 9 {
					if missing := all.verify(t.Context(), to, all.paths()); len(missing) > 0 {
						t.Fatalf("after %d kills %d writes are not as acknowledged: %s", round, len(missing), strings.Join(missing[:min(5, len(missing))], "\n"))
					}
				}
				failures := storm(t, p, to, all, made, round, time.Duration(30+r.IntN(120))*time.Millisecond)
				if len(failures) > 0 {
					t.Fatalf("refused: %v", failures)
				}
			}
			p := site.start(t)
			to := site.fhir(t)
			paths := all.paths()
			if missing := all.verify(t.Context(), to, paths); len(missing) > 0 {
				t.Fatalf("%d of %d writes are not as acknowledged: %s", len(missing), len(paths), strings.Join(missing[:min(5, len(missing))], "\n"))
			}
			for _, path := range paths {
				acknowledged += all.entries[path].version
			}
			if torn := all.torn(); len(torn) > 0 {
				t.Errorf("transactions are there in part: %v", torn)
			}
			all.searchable(t, to, paths)
			if code := p.stop(20 * time.Second); code != 0 {
				t.Errorf("exit code %d", code)
			}
			t.Logf("%d kills, %d resources, %d acknowledged versions", kills(t), len(paths), acknowledged)
		})
	}
}

// storm lets eight clients write until the process is killed in the midst of it, some time after the first answer.
func storm(t *testing.T, p *process, to *fhir, all *ledger, made []int, round int, after time.Duration) []error {
	t.Helper()
	var mu sync.Mutex
	var failures []error
	var clients sync.WaitGroup
	for n := range made {
		clients.Go(func() {
			w := &writer{n: n, rand: rand.New(rand.NewPCG(uint64(round), uint64(n))), to: to, all: all, made: made[n]}
			if err := w.work(t.Context()); err != nil && !errors.Is(err, errServerGone) {
				mu.Lock()
				failures = append(failures, err)
				mu.Unlock()
			}
			made[n] = w.made
		})
	}
	before := all.answers()
	if err := p.await(20*time.Second, func() bool { return all.answers() > before }); err != nil {
		mu.Lock()
		failures = append(failures, err)
		mu.Unlock()
	}
	time.Sleep(after)
	p.kill()
	clients.Wait()
	to.client.CloseIdleConnections()
	return failures
}

// searchable: the index was written with the resources, so that a search by identifier finds exactly those that exist.
func (l *ledger) searchable(t *testing.T, to *fhir, paths []string) {
	t.Helper()
	for i, path := range paths {
		if i >= 300 {
			return
		}
		_, id, _ := strings.Cut(path, "/")
		bundle := to.want(t, 200, "GET", "/Basic?identifier=urn:test%7C"+id+"&_total=accurate", "").decode(t)
		want := 1.0
		if l.entries[path].text == "" {
			want = 0
		}
		if bundle["total"] != want {
			t.Errorf("a search for %s finds %v, want %v", path, bundle["total"], want)
		}
	}
}
