package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"ward/internal/base/fault"
	"ward/internal/load"
)

type loadCmd struct {
	Prepare    loadPrepareCmd    `cmd:"" help:"Store made-up patients and results through a running server."`
	Records    loadRecordsCmd    `cmd:"" help:"Measure the work with clinical records."`
	Activation loadActivationCmd `cmd:"" help:"Measure what a surge of account activations does to charts."`
	Calendar   loadCalendarCmd   `cmd:"" help:"Measure windows of calendars."`
	Tenants    loadTenantsCmd    `cmd:"" help:"Measure many small tenants, or one that holds the same data."`
	Limits     loadLimitsCmd     `cmd:"" help:"Measure what this machine and its database do at best."`
	Write      loadWriteCmd      `cmd:"" help:"Write the made-up patients and results as bundles, for ward import."`
	Results    loadResultsCmd    `cmd:"" help:"Make a table of reports: Ward and the limits side by side."`
	LimitHTTP  loadLimitHTTPCmd  `cmd:"" name:"limit-http" hidden:"" help:"Answer every request with the bytes of standard input."`
}

// Help is shown by --help.
func (loadCmd) Help() string {
	return `Examples:
  ward load prepare --url http://127.0.0.1:8080/t/demo/fhir --token "$TOKEN" --observations 200000 --patients 2000
  ward load records --url http://127.0.0.1:8080/t/demo/fhir --token "$TOKEN" --conns 1,16,64 --duration 10s --json run.json
  ward load records --url … --token … --workload chart-cold,create --conns 64 --rate 2000
  ward load activation --url … --token … --admin "$ADMIN" --rate 20 --duration 60s
  ward load calendar --url … --token "$ADMIN" --ops http://127.0.0.1:9090 --prepare
  ward load limits --url … --token … --sqlite data/tenants/demo.db --dir data`
}

// population is the data that all of the subcommands agree on.
type population struct {
	Patients     int `default:"2000" help:"Made-up patients." placeholder:"N"`
	Observations int `default:"200000" help:"Results, a hundred for each patient by default." placeholder:"N"`
}

func (p population) load() (load.Population, error) {
	if p.Patients < 1 || p.Observations < 0 {
		return load.Population{}, fault.Invalid("--patients must be at least 1 and --observations at least 0")
	}
	return load.Population{Patients: p.Patients, Observations: p.Observations}, nil
}

// server is the FHIR endpoint to load. Only a server on this machine is one's own to load.
type server struct {
	URL   string `required:"" help:"The FHIR base, such as http://127.0.0.1:8080/t/demo/fhir." placeholder:"URL"`
	Token string `help:"Bearer token." placeholder:"TOKEN"`
}

func (s server) target() (load.Target, error) {
	t, err := load.ParseTarget(s.URL, s.Token)
	if err != nil {
		return t, fault.Invalid("%s", err)
	}
	return t, nil
}

type loadPrepareCmd struct {
	server      `embed:""`
	population  `embed:""`
	Connections int `default:"4" help:"Connections that send transactions of 200." placeholder:"N"`
}

// Run stores the population.
func (c *loadPrepareCmd) Run(ctx context.Context, w *world) error {
	target, err := c.target()
	if err != nil {
		return err
	}
	p, err := c.load()
	if err != nil {
		return err
	}
	done, err := load.Prepare(ctx, target, p, max(c.Connections, 1), w.err)
	if err != nil {
		return failed(err)
	}
	fmt.Fprintf(w.out, "%d resources in %.1f s, %.0f/s\n", done.Resources, done.Took.Seconds(), float64(done.Resources)/done.Took.Seconds())
	return nil
}

type loadRecordsCmd struct {
	server      `embed:""`
	population  `embed:""`
	output      `embed:""`
	Conns       []int         `default:"1,16,64" help:"Connections of the closed loops, one loop after another." placeholder:"N,…"`
	Rate        float64       `default:"0" help:"Operations a second of an open loop after the closed ones; 0 is none." placeholder:"N"`
	RateConns   int           `default:"256" help:"Connections of the open loop." placeholder:"N"`
	Workload    []string      `help:"Which: read, read-cold, chart-cold, chart-warm, patient, create-patient, create, transaction, cycle, mixed; all without it." placeholder:"NAME,…"`
	Duration    time.Duration `default:"10s" help:"Of each loop."`
	Warmup      time.Duration `default:"1s" help:"Before each loop, not counted."`
	IDs         int           `name:"ids" default:"20000" help:"Stored results whose ids are listed first, to be read." placeholder:"N"`
	PID         int           `name:"pid" help:"The server's process, to report its CPU and memory." placeholder:"PID"`
	DatabasePID int           `name:"database-pid" help:"The database server's process." placeholder:"PID"`
	Seed        uint64        `default:"0" help:"Another seed creates other resources."`
}

// Run measures and prints each loop as it ends.
func (c *loadRecordsCmd) Run(ctx context.Context, w *world) error {
	target, err := c.target()
	if err != nil {
		return err
	}
	p, err := c.load()
	if err != nil {
		return err
	}
	work, err := load.Select(c.Workload)
	if err != nil {
		return fault.Invalid("--workload: %s", err)
	}
	for _, n := range c.Conns {
		if n < 1 || n > 10_000 {
			return fault.Invalid("--conns %d: give numbers from 1 to 10,000", n)
		}
	}
	report := c.report()
	err = load.Records(ctx, target, load.Options{
		Population: p, Workloads: work, Connections: c.Conns, Rate: c.Rate, OpenConns: max(c.RateConns, 1), Duration: c.Duration, Warmup: c.Warmup,
		PID: c.PID, DatabasePID: c.DatabasePID, IDs: c.IDs, Seed: c.Seed,
	}, func(r load.Run) {
		fmt.Fprintf(w.err, "%s, %s %d: %.0f/s\n", r.Workload, r.Loop, r.Connections, r.PerSecond)
		report.Runs = append(report.Runs, r)
	})
	return errors.Join(failed(err), c.write(w, report))
}

type loadLimitsCmd struct {
	population `embed:""`
	output     `embed:""`
	URL        string        `help:"The FHIR base of a running server: net/http is measured with the bytes of its answers." placeholder:"URL"`
	Token      string        `help:"Bearer token." placeholder:"TOKEN"`
	Dir        string        `help:"Folder on the disk to measure." placeholder:"DIR"`
	SQLite     string        `name:"sqlite" help:"A tenant's file of the embedded database; it is read, and a copy in --dir is written." placeholder:"FILE"`
	Postgres   string        `help:"PostgreSQL, as the role that Ward serves with." placeholder:"URL"`
	Tenant     int           `default:"1" help:"Number of the tenant on PostgreSQL."`
	Conns      int           `default:"64" help:"Connections that net/http is measured with." placeholder:"N"`
	Group      int           `default:"64" help:"Observations that the bare writing loop puts in one commit." placeholder:"N"`
	Duration   time.Duration `default:"3s" help:"Of each loop."`
	Seed       uint64        `default:"0" help:"Another seed asks for other rows."`
}

// Run measures what it was told of.
func (c *loadLimitsCmd) Run(ctx context.Context, w *world) error {
	p, err := c.load()
	if err != nil {
		return err
	}
	report := c.report()
	each := func(l load.Limit) {
		fmt.Fprintf(w.err, "%s: %.0f/s %s\n", l.Name, l.PerSecond, l.Failure)
		report.Limits = append(report.Limits, l)
	}
	if c.Dir != "" {
		l, err := load.LimitSync(ctx, c.Dir, c.Duration)
		if err != nil {
			return failed(err)
		}
		each(l)
	}
	if c.URL != "" {
		target, err := (server{URL: c.URL, Token: c.Token}).target()
		if err != nil {
			return err
		}
		if err := load.HTTPLimits(ctx, target, p, c.Conns, c.Duration, each); err != nil {
			return failed(err)
		}
	}
	sql := load.SQLLimits{
		SQLite: c.SQLite, Scratch: c.Dir, Postgres: c.Postgres, Tenant: c.Tenant, Group: max(c.Group, 1), Duration: c.Duration, Seed: c.Seed,
	}
	err = sql.Measure(ctx, each)
	return errors.Join(failed(err), c.write(w, report))
}

type loadWriteCmd struct {
	population `embed:""`
}

// Run writes the bundles to standard output.
func (c *loadWriteCmd) Run(w *world) error {
	p, err := c.load()
	if err != nil {
		return err
	}
	return load.Write(w.out, p)
}

type loadResultsCmd struct {
	Reports []string `arg:"" help:"Files that --json wrote." placeholder:"FILE"`
}

// Run reads the reports and prints Markdown.
func (c *loadResultsCmd) Run(w *world) error {
	reports, err := readReports(c.Reports)
	if err != nil {
		return err
	}
	return load.Results(w.out, reports)
}

func readReports(names []string) ([]load.Report, error) {
	var reports []load.Report
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, fault.Invalid("%s", err)
		}
		var r load.Report
		if err := json.Unmarshal(text, &r); err != nil {
			return nil, fault.Invalid("%s is no report of ward load: %s", name, err)
		}
		reports = append(reports, r)
	}
	return reports, nil
}

type loadLimitHTTPCmd struct{}

// Run serves until the parent ends it.
func (loadLimitHTTPCmd) Run(ctx context.Context, w *world) error {
	body, err := io.ReadAll(w.in)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	return load.ServeBytes(ctx, body, w.out)
}

// output is where a report goes: a table to standard output, and JSON to a file.
type output struct {
	JSON  string             `name:"json" help:"Write the report as JSON too." placeholder:"FILE"`
	Facts map[string]string  `name:"fact" help:"Something to keep with the report." placeholder:"NAME=TEXT"`
	Known map[string]float64 `name:"figure" help:"A figure that was measured otherwise, to keep with the report." placeholder:"NAME=NUMBER"`
}

func (o output) report() *load.Report {
	return &load.Report{Started: time.Now(), Machine: load.ThisMachine(), Facts: o.Facts, Figures: o.Known}
}

func (o output) write(w *world, r *load.Report) error {
	if err := r.Table(w.out); err != nil {
		return err
	}
	if o.JSON == "" {
		return nil
	}
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(o.JSON, append(text, '\n'), 0o600)
}

// failed makes a failure of the load one that is told with its reason: it is the operator's own server.
func failed(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	return fault.Unavailable("the load failed: %s", strings.TrimSpace(err.Error()))
}

type loadActivationCmd struct {
	server     `embed:""`
	population `embed:""`
	Admin      string        `required:"" help:"Bearer token of an administrator, who invites." placeholder:"TOKEN"`
	Rate       float64       `default:"20" help:"Activations a second." placeholder:"N"`
	Duration   time.Duration `default:"60s" help:"Of the surge, and of the runs before and after it."`
	Rounds     int           `default:"1" help:"How often: alone, surge, and alone at the end." placeholder:"N"`
	Charts     float64       `default:"200" help:"Charts a second, all the time." placeholder:"N"`
	Conns      int           `default:"16" help:"Connections that ask for charts." placeholder:"N"`
	Patience   time.Duration `default:"30m" help:"For the last password to be hashed."`
	PID        int           `name:"pid" help:"The server's process, to report its CPU and memory." placeholder:"PID"`
	JSON       string        `name:"json" help:"Write the report as JSON too." placeholder:"FILE"`
}

// Help is shown by --help.
func (loadActivationCmd) Help() string {
	return `Charts are asked for at a steady rate: alone, beside the surge, beside the queue that it left, and alone again. The charts must be there: see ward load prepare.

Examples:
  ward load activation --url http://127.0.0.1:8080/t/demo/fhir --token "$TOKEN" --admin "$ADMIN" --rate 20 --duration 60s
  ward load activation --url … --token … --admin … --rate 100 --duration 60s --patients 2000 --json surge.json`
}

// Run measures and prints.
func (c *loadActivationCmd) Run(ctx context.Context, w *world) error {
	target, err := c.target()
	if err != nil {
		return err
	}
	p, err := c.load()
	if err != nil {
		return err
	}
	if c.Rate <= 0 || c.Charts <= 0 || c.Conns < 1 || c.Duration < time.Second {
		return fault.Invalid("--rate, --charts and --conns must be above 0, --duration at least 1s")
	}
	r, err := load.Activation(ctx, target, load.ActivationOptions{
		Population: p, Admin: c.Admin, Rate: c.Rate, Duration: c.Duration, Charts: c.Charts, Conns: c.Conns, Patience: c.Patience, PID: c.PID,
		Rounds: c.Rounds, Prefix: fmt.Sprintf("load-%d", time.Now().UnixNano()), FirstAwake: 3 * time.Second,
	}, func(text string) { fmt.Fprintln(w.err, text) })
	if err != nil {
		return failed(err)
	}
	surge, drain := r.Moved()
	fmt.Fprintf(w.out, "activations: %.0f/s, %d sent, %d accepted (p50 %.1f ms, p95 %.1f ms), %d done, %d failed %s, %d told to come again\n", r.Rate, r.Sent, r.Accepted, r.AcceptP50, r.AcceptP95, r.Done, r.Failed, r.First, r.Busy)
	fmt.Fprintf(w.out, "queue: empty %.1f s after the surge; the longest wait promised was %.1f s\n", r.Drain, r.Promised)
	fmt.Fprintf(w.out, "charts at %.0f/s, p50/p95/p99 ms: alone %s, surge %s, queue %s; p95 of each run alone %.2f, beside a surge %.2f\n", c.Charts, three(r.Alone), three(r.During), three(r.Drained), r.EachAlone, r.EachDuring)
	fmt.Fprintf(w.out, "p95 moved by %+.0f %% beside the surge, %+.0f %% beside the queue\n", surge*100, drain*100)
	if c.JSON == "" {
		return nil
	}
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(c.JSON, append(text, '\n'), 0o600)
}

func three(r load.Run) string {
	if r.Requests == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f/%.2f/%.2f", r.P50, r.P95, r.P99)
}
