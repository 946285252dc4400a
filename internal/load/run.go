package load

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Options say what Records measures.
type Options struct {
	Population
	Workloads   []Workload
	Connections []int         // one closed loop for each
	Rate        float64       // operations a second of an open loop after the closed ones; 0: none
	OpenConns   int           // connections of the open loop
	Duration    time.Duration // of each run
	Warmup      time.Duration // before each run, not counted
	PID         int           // the server's process, 0 when unknown
	DatabasePID int           // the database's process, 0 when there is none of its own
	IDs         int           // how many stored results the reading workloads know
	Seed        uint64        // different seeds create different resources
}

// Run is the outcome of one workload in one loop. Times are milliseconds.
type Run struct {
	Workload           string  `json:"workload"`
	Loop               string  `json:"loop"` // closed, open
	Connections        int     `json:"connections"`
	Rate               float64 `json:"rate,omitempty"` // asked for, operations a second
	Seconds            float64 `json:"seconds"`
	Requests           int     `json:"requests"`
	PerSecond          float64 `json:"perSecond"`          // requests
	ResourcesPerSecond float64 `json:"resourcesPerSecond"` // read, found (at most), or written
	Errors             int     `json:"errors"`
	FirstError         string  `json:"firstError,omitempty"`
	Mean               float64 `json:"mean"`
	P50                float64 `json:"p50"`
	P95                float64 `json:"p95"`
	P99                float64 `json:"p99"`
	P999               float64 `json:"p999"`
	Max                float64 `json:"max"`
	ServerCPU          float64 `json:"serverCPU"`   // cores
	DatabaseCPU        float64 `json:"databaseCPU"` // cores
	ClientCPU          float64 `json:"clientCPU"`   // cores
	ServerRSS          int64   `json:"serverRSS"`   // bytes at the end of the run
	ServerPeakRSS      int64   `json:"serverPeakRSS"`
}

// Records runs the workloads one after another and calls each with the outcome of each.
func Records(ctx context.Context, target Target, opt Options, each func(Run)) error {
	env := &environment{Population: opt.Population}
	if opt.Patients < 1 {
		return errors.New("there must be at least one patient")
	}
	for _, w := range opt.Workloads {
		if w.ids && env.ids == nil {
			if err := env.collectIDs(ctx, target, max(opt.IDs, 1)); err != nil {
				return err
			}
		}
		for _, n := range opt.Connections {
			r, err := measureRun(ctx, target, env, w, loop{connections: n}, opt)
			if err != nil {
				return err
			}
			each(r)
		}
		if opt.Rate > 0 && !w.cold {
			r, err := measureRun(ctx, target, env, w, loop{connections: opt.OpenConns, rate: opt.Rate}, opt)
			if err != nil {
				return err
			}
			each(r)
		}
	}
	return ctx.Err()
}

// loop is how operations follow each other: rate 0 is a closed loop.
type loop struct {
	connections int
	rate        float64
}

func measureRun(ctx context.Context, target Target, env *environment, work Workload, l loop, opt Options) (Run, error) {
	workers := make([]*worker, l.connections)
	for i := range workers {
		workers[i] = &worker{conn: newConn(target), env: env, rand: random(opt.Seed+4, uint64(i)), open: l.rate > 0}
		defer workers[i].close()
	}
	if opt.Warmup > 0 {
		first := work
		if first.warm != nil {
			first.do = first.warm
		}
		l.drive(ctx, workers, first, opt.Warmup)
		for _, w := range workers {
			w.latency, w.tally = histogram{}, tally{}
		}
	}
	server, database, client := usageOf(opt.PID), usageOf(opt.DatabasePID), usageOf(os.Getpid())
	started := time.Now()
	l.drive(ctx, workers, work, opt.Duration)
	took := time.Since(started)
	if ctx.Err() != nil {
		return Run{}, ctx.Err()
	}
	r := summary(workers, took)
	r.Workload, r.Loop, r.Connections, r.Rate = work.Name, "closed", l.connections, l.rate
	if l.rate > 0 {
		r.Loop = "open"
	}
	after := usageOf(opt.PID)
	r.ServerCPU = cores(after.cpu-server.cpu, took)
	r.ServerRSS, r.ServerPeakRSS = after.rss, after.peakRSS
	r.DatabaseCPU = cores(usageOf(opt.DatabasePID).cpu-database.cpu, took)
	r.ClientCPU = cores(usageOf(os.Getpid()).cpu-client.cpu, took)
	if r.Requests == 0 || r.Errors == r.Requests {
		return r, fmt.Errorf("%s: not one request succeeded: %s", work.Name, r.FirstError)
	}
	return r, nil
}

func cores(used, took time.Duration) float64 { return used.Seconds() / took.Seconds() }

func summary(workers []*worker, took time.Duration) Run {
	var all tally
	h := &histogram{}
	for _, w := range workers {
		all.add(w.tally)
		h.add(&w.latency)
	}
	r := Run{
		Seconds: took.Seconds(), Requests: all.requests, Errors: all.errors, FirstError: all.first,
		PerSecond: float64(all.requests-all.errors) / took.Seconds(), ResourcesPerSecond: float64(all.resources) / took.Seconds(),
		P50: ms(h.quantile(0.5)), P95: ms(h.quantile(0.95)), P99: ms(h.quantile(0.99)), P999: ms(h.quantile(0.999)), Max: ms(h.max),
	}
	if h.n > 0 {
		r.Mean = ms(h.sum) / float64(h.n)
	}
	return r
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// drive lets all workers work for the given time, and waits for the requests under way.
func (l loop) drive(ctx context.Context, workers []*worker, work Workload, d time.Duration) {
	var all sync.WaitGroup
	var tickets atomic.Int64
	started := time.Now()
	end := started.Add(d)
	for _, w := range workers {
		all.Go(func() {
			if l.rate > 0 {
				w.keepRate(ctx, work, &tickets, started, end, l.rate)
			} else {
				w.keepBusy(ctx, work, end)
			}
		})
	}
	all.Wait()
}

func (w *worker) keepBusy(ctx context.Context, work Workload, end time.Time) {
	for ctx.Err() == nil && time.Now().Before(end) {
		if w.stop(ctx, work.do(ctx, w)) {
			return
		}
	}
}

// keepRate takes operations in the order in which they are due. One that is taken late counts from when it was due;
// one for which the worker waited counts from when the worker woke, so that this machine's timers are not blamed on
// the server.
func (w *worker) keepRate(ctx context.Context, work Workload, tickets *atomic.Int64, started, end time.Time, rate float64) {
	for ctx.Err() == nil {
		ticket := tickets.Add(1) - 1
		due := started.Add(time.Duration(float64(ticket) / rate * float64(time.Second)))
		if !due.Before(end) {
			return
		}
		from := due
		if wait := time.Until(due); wait > 0 {
			time.Sleep(wait)
			from = time.Now()
		}
		err := work.do(ctx, w)
		w.latency.record(time.Since(from))
		if w.stop(ctx, err) {
			return
		}
	}
}

// stop says whether the worker's run is over. After a failure it waits a little, so that a server that refuses is not
// overrun.
func (w *worker) stop(ctx context.Context, err error) bool {
	switch {
	case err == nil:
		return false
	case errors.Is(err, errExhausted) || ctx.Err() != nil:
		return true
	}
	w.close()
	select {
	case <-ctx.Done():
	case <-time.After(10 * time.Millisecond):
	}
	return false
}
