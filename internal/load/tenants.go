package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Share is the population of one of n tenants, so that all of them together hold so many resources, and the same ones whatever n is: for each
// hundred two people who sign, two patients with an encounter each, and 94 results.
func Share(resources, n int) Population {
	hundreds := max(resources/100/max(n, 1), 1)
	return Population{Patients: 2 * hundreds, Practitioners: 2 * hundreds, Observations: 94 * hundreds}
}

// PrepareTenants stores the population in each of the tenants, several of them at once.
func PrepareTenants(ctx context.Context, targets []Target, p Population, connections int, progress io.Writer) (Prepared, error) {
	started := time.Now()
	if len(targets) == 1 {
		return Prepare(ctx, targets[0], p, connections, progress)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next, done atomic.Int64
	var all sync.WaitGroup
	for range connections {
		all.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(targets) {
					return
				}
				n, err := Prepare(ctx, targets[i], p, 1, io.Discard)
				done.Add(int64(n.Resources))
				if err != nil {
					cancel(fmt.Errorf("%s: %w", targets[i].Base, err))
					return
				}
			}
		})
	}
	all.Wait()
	made := Prepared{int(done.Load()), time.Since(started)}
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return made, err
	}
	return made, ctx.Err()
}

// tenant is one of several that the workers of a run visit.
type tenant struct {
	target Target
	common []byte
	env    *environment
}

// visit makes the worker one of the tenant's.
func (w *worker) visit(t *tenant) {
	w.target, w.common, w.env = t.target, t.common, t.env
}

// Tenants runs the workload over tenants that hold the same population, each operation at one of them that chance picks, and calls each with
// the outcome of each loop. Before, all are asked for the ids of their results.
func Tenants(ctx context.Context, targets []Target, opt Options, each func(Run)) error {
	visited, err := collectAll(ctx, targets, opt)
	if err != nil {
		return err
	}
	for _, w := range opt.Workloads {
		if w.cold {
			return fmt.Errorf("%s asks for what was not asked for before: it is measured with one tenant", w.Name)
		}
		do := w.do
		w.do = func(ctx context.Context, w *worker) error {
			w.visit(visited[w.rand.IntN(len(visited))])
			return do(ctx, w)
		}
		loops := make([]loop, 0, len(opt.Connections)+1)
		for _, n := range opt.Connections {
			loops = append(loops, loop{connections: n})
		}
		if opt.Rate > 0 {
			loops = append(loops, loop{connections: opt.OpenConns, rate: opt.Rate})
		}
		for _, l := range loops {
			r, err := measureRun(ctx, targets[0], visited[0].env, w, l, opt)
			if err != nil {
				return err
			}
			each(r)
		}
	}
	return ctx.Err()
}

// collectAll lists the ids of every tenant's results.
func collectAll(ctx context.Context, targets []Target, opt Options) ([]*tenant, error) {
	visited := make([]*tenant, len(targets))
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var all sync.WaitGroup
	for range min(4, len(targets)) {
		all.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(targets) {
					return
				}
				t := &tenant{target: targets[i], common: targets[i].head(nil), env: &environment{Population: opt.Population}}
				if err := t.env.collectIDs(ctx, targets[i], max(opt.IDs/len(targets), 1)); err != nil {
					cancel(fmt.Errorf("%s: %w", targets[i].Base, err))
					return
				}
				visited[i] = t
			}
		})
	}
	all.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return visited, nil
}

// WriteTargets keeps the tenants and their tokens in a file that its owner alone may read: a FHIR base and a token a line.
func WriteTargets(name string, targets []Target) error {
	var b strings.Builder
	for _, t := range targets {
		fmt.Fprintf(&b, "http://%s%s %s\n", t.Address, t.Base, t.Token)
	}
	return os.WriteFile(name, []byte(b.String()), 0o600)
}

// ReadTargets reads what WriteTargets wrote.
func ReadTargets(name string) ([]Target, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var targets []Target
	for line := range strings.Lines(string(text)) {
		base, token, _ := strings.Cut(strings.TrimSpace(line), " ")
		t, err := ParseTarget(base, token)
		if err != nil {
			return nil, err
		}
		targets = append(targets, t)
	}
	if len(targets) == 0 {
		return nil, fmt.Errorf("%s names no tenant", name)
	}
	return targets, nil
}
