package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"time"
)

// worker is one connection's client during one run.
type worker struct {
	*conn
	rand *rand.Rand
	env  *environment
	path []byte
	doc  []byte
	ids  map[string]string // what this cycle has created: type → id

	open    bool // the runner records the latency of whole operations, from when they were due
	latency histogram
	tally
}

// tally is what a worker has done.
type tally struct {
	requests  int
	resources int
	errors    int
	first     string // what the first error said
}

func (t *tally) add(o tally) {
	t.requests += o.requests
	t.resources += o.resources
	t.errors += o.errors
	if t.first == "" {
		t.first = o.first
	}
}

// environment is what the workers of all runs share.
type environment struct {
	Population
	unseen atomic.Int64 // the next chart nobody asked for
	unread atomic.Int64 // the next result nobody read
	ids    [][]byte     // logical ids of stored results
}

// errExhausted ends a run before its time: there is nothing left that was not asked before.
var errExhausted = errors.New("all charts have been asked for")

// send makes one request and counts it. Anything but a status below 400 is an error of the run.
func (w *worker) send(ctx context.Context, method string, body []byte, resources int) (Answer, error) {
	started := time.Now()
	a, err := w.do(ctx, method, w.path, body)
	if !w.open {
		w.latency.record(time.Since(started))
	}
	w.requests++
	switch {
	case err != nil:
		if ctx.Err() != nil {
			return a, ctx.Err()
		}
		w.failed(fmt.Sprintf("%s %s: %v", method, w.path, err))
	case a.Status >= 400:
		err = fmt.Errorf("status %d", a.Status)
		w.failed(fmt.Sprintf("%s %s: %d %.300s", method, w.path, a.Status, a.Body))
	default:
		w.resources += resources
	}
	return a, err
}

func (w *worker) failed(what string) {
	w.errors++
	if w.first == "" {
		w.first = what
	}
}

func (w *worker) to(path string) *worker {
	w.path = append(w.path[:0], path...)
	return w
}

func (w *worker) and(text string) *worker {
	w.path = append(w.path, text...)
	return w
}

func (w *worker) number(n int) *worker {
	w.path = strconv.AppendInt(w.path, int64(n), 10)
	return w
}
