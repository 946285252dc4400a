package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"ward/internal/base/fault"
	"ward/internal/kernel/tenancy"
	"ward/internal/load"
)

type loadTenantsCmd struct {
	Prepare loadTenantsPrepareCmd `cmd:"" help:"Create tenants and store the same made-up data in each."`
	Measure loadTenantsMeasureCmd `cmd:"" help:"Measure the work over all of them."`
	Compare loadTenantsCompareCmd `cmd:"" help:"Make a table of reports: one tenant and many side by side."`
}

// Help is shown by --help.
func (loadTenantsCmd) Help() string {
	return `Many small tenants beside one that holds the same data: bench/tenants runs both and compares.

Examples:
  ward load tenants prepare --url http://127.0.0.1:8080 --tenants 1000 --resources 100000 --targets targets
  ward load tenants measure --targets targets --resources 100000 --conns 16 --rate 500 --duration 20s --pid "$PID"`
}

type loadTenantsCompareCmd struct {
	Reports []string `arg:"" help:"Files that measure --json wrote, with --fact backend=… and --fact tenants=…." placeholder:"FILE"`
}

// Run reads the reports and prints Markdown.
func (c *loadTenantsCompareCmd) Run(w *world) error {
	reports, err := readReports(c.Reports)
	if err != nil {
		return err
	}
	return failed(load.CompareTenants(w.out, reports))
}

type loadTenantsPrepareCmd struct {
	place       `embed:""`
	URL         string `required:"" help:"The running server, such as http://127.0.0.1:8080." placeholder:"URL"`
	Tenants     int    `default:"1000" help:"Tenants." placeholder:"N"`
	Resources   int    `default:"100000" help:"Resources of all tenants together." placeholder:"N"`
	Prefix      string `default:"load" help:"Their slugs are this and a number." placeholder:"TEXT"`
	Targets     string `required:"" help:"File to keep the tenants' addresses and tokens in." placeholder:"FILE"`
	Connections int    `default:"4" help:"Connections that store." placeholder:"N"`
}

// Run creates and stores.
func (c *loadTenantsPrepareCmd) Run(ctx context.Context, w *world) error {
	if c.Tenants < 1 || c.Tenants > 100_000 || c.Connections < 1 {
		return fault.Invalid("--tenants is a number from 1 to 100,000, --connections at least 1")
	}
	targets := make([]load.Target, c.Tenants)
	return c.with(ctx, w, func(d desk) error {
		began := time.Now()
		err := atOnce(c.Connections, c.Tenants, func(i int) error {
			slug := fmt.Sprintf("%s-%d", c.Prefix, i)
			if _, err := d.CreateTenant(ctx, slug, "", tenancy.Settings{}); err != nil {
				return err
			}
			secret, _, err := d.CreateToken(ctx, slug, "admin", "load", 24*time.Hour)
			if err != nil {
				return err
			}
			targets[i], err = load.ParseTarget(strings.TrimSuffix(c.URL, "/")+"/t/"+slug+"/fhir", secret)
			return err
		})
		if err != nil {
			return err
		}
		took := time.Since(began)
		fmt.Fprintf(w.out, "%d tenants in %.1f s, %.0f/s\n", c.Tenants, took.Seconds(), float64(c.Tenants)/took.Seconds())
		done, err := load.PrepareTenants(ctx, targets, load.Share(c.Resources, c.Tenants), c.Connections, w.err)
		if err != nil {
			return failed(err)
		}
		fmt.Fprintf(w.out, "%d resources in %.1f s, %.0f/s\n", done.Resources, done.Took.Seconds(), float64(done.Resources)/done.Took.Seconds())
		return load.WriteTargets(c.Targets, targets)
	})
}

// atOnce does things numbered from 0, so many at a time, until one fails.
func atOnce(workers, n int, do func(i int) error) error {
	var (
		all    sync.WaitGroup
		next   atomic.Int64
		mu     sync.Mutex
		failed error
	)
	for range workers {
		all.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				mu.Lock()
				over := i >= n || failed != nil
				mu.Unlock()
				if over {
					return
				}
				if err := do(i); err != nil {
					mu.Lock()
					failed = errors.Join(failed, err)
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	return failed
}

type loadTenantsMeasureCmd struct {
	output      `embed:""`
	Targets     string        `required:"" help:"File that prepare wrote." placeholder:"FILE"`
	Resources   int           `default:"100000" help:"Resources of all tenants together, as they were prepared." placeholder:"N"`
	Conns       []int         `default:"16" help:"Connections of the closed loops." placeholder:"N,…"`
	Rate        float64       `default:"500" help:"Operations a second of an open loop after the closed ones; 0 is none." placeholder:"N"`
	RateConns   int           `default:"64" help:"Connections of the open loop." placeholder:"N"`
	Workload    []string      `default:"mixed" help:"Which workloads." placeholder:"NAME,…"`
	Duration    time.Duration `default:"20s" help:"Of each loop."`
	Warmup      time.Duration `default:"3s" help:"Before each loop, not counted."`
	PID         int           `name:"pid" help:"The server's process, to report its CPU and memory." placeholder:"PID"`
	DatabasePID int           `name:"database-pid" help:"The database server's process." placeholder:"PID"`
}

// Run measures and prints each loop as it ends.
func (c *loadTenantsMeasureCmd) Run(ctx context.Context, w *world) error {
	targets, err := load.ReadTargets(c.Targets)
	if err != nil {
		return fault.Invalid("--targets: %s", err)
	}
	work, err := load.Select(c.Workload)
	if err != nil {
		return fault.Invalid("--workload: %s", err)
	}
	report := c.report()
	err = load.Tenants(ctx, targets, load.Options{
		Population: load.Share(c.Resources, len(targets)), Workloads: work, Connections: c.Conns, Rate: c.Rate, OpenConns: max(c.RateConns, 1), Duration: c.Duration,
		Warmup: c.Warmup, PID: c.PID, DatabasePID: c.DatabasePID, IDs: c.Resources,
	}, func(r load.Run) {
		fmt.Fprintf(w.err, "%s, %s %d: %.0f/s\n", r.Workload, r.Loop, r.Connections, r.PerSecond)
		report.Runs = append(report.Runs, r)
	})
	return errors.Join(failed(err), c.write(w, report))
}
