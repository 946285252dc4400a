package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"ward/internal/base/fault"
	"ward/internal/load"
)

type loadCalendarCmd struct {
	server   `embed:""`
	Prepare  bool              `help:"Store the patients, their Group and their visits first: eight a month for each, once."`
	Patients int               `default:"5000" help:"Of the cohort." placeholder:"N"`
	Month    string            `help:"Which month, such as 2027-03; the next one without it." placeholder:"YYYY-MM"`
	Conns    int               `default:"64" help:"Connections of the loops." placeholder:"N"`
	Duration time.Duration     `default:"10s" help:"Of each loop."`
	Warmup   time.Duration     `default:"2s" help:"Before each loop, not counted."`
	Repeats  int               `default:"15" help:"How often each question about the whole cohort is asked." placeholder:"N"`
	Growth   int               `default:"20" help:"Patients who get a hundred times the events at the end; 0: none." placeholder:"N"`
	Ops      string            `help:"The listener for operators, such as http://127.0.0.1:9090: its metrics count the database's queries." placeholder:"URL"`
	PID      int               `name:"pid" help:"The server's process, to report its CPU and memory." placeholder:"PID"`
	JSON     string            `name:"json" help:"Write the report as JSON too." placeholder:"FILE"`
	Facts    map[string]string `name:"fact" help:"Something to keep with the report." placeholder:"NAME=TEXT"`
	Seed     uint64            `default:"0" help:"Another seed asks in another order."`
}

// Help is shown by --help.
func (loadCalendarCmd) Help() string {
	return `The token must be an administrator's: the cohort is a Group of all patients. Growth is measured once for a month: the events that it adds stay.

Examples:
  ward load calendar --url http://127.0.0.1:8080/t/demo/fhir --token "$ADMIN" --ops http://127.0.0.1:9090 --prepare
  ward load calendar --url … --token … --patients 500 --duration 3s --growth 0 --json run.json`
}

// Run prepares when it is told to, measures and prints.
func (c *loadCalendarCmd) Run(ctx context.Context, w *world) error {
	target, err := c.target()
	if err != nil {
		return err
	}
	if c.Patients < 1 || c.Patients > 10_000 || c.Conns < 1 || c.Repeats < 1 || c.Duration < time.Second/10 {
		return fault.Invalid("--patients must be 1 to 10000, --conns and --repeats at least 1, --duration at least 100ms")
	}
	now := time.Now().UTC()
	clinic := load.Clinic{Patients: c.Patients, Month: time.Date(now.Year(), now.Month()+1, 1, 0, 0, 0, 0, time.UTC)}
	if c.Month != "" {
		if clinic.Month, err = time.Parse("2006-01", c.Month); err != nil {
			return fault.Invalid("--month must be such as 2027-03")
		}
	}
	if c.Prepare {
		done, err := load.PrepareClinic(ctx, target, clinic, 4, w.err)
		if err != nil {
			return failed(err)
		}
		fmt.Fprintf(w.err, "%d patients and visits in %.1f s\n", done.Resources, done.Took.Seconds())
	}
	r, err := load.Calendar(ctx, target, load.CalendarOptions{
		Clinic: clinic, Conns: c.Conns, Duration: c.Duration, Warmup: c.Warmup, Repeats: c.Repeats, Ops: c.Ops, PID: c.PID, Growth: c.Growth, Seed: c.Seed,
	}, func(text string) { fmt.Fprintln(w.err, text) })
	if r == nil {
		return failed(err)
	}
	r.Facts = c.Facts
	err = errors.Join(failed(err), r.Table(w.out))
	if c.JSON != "" {
		text, jsonErr := json.MarshalIndent(r, "", "\t")
		if jsonErr != nil {
			return errors.Join(err, jsonErr)
		}
		err = errors.Join(err, os.WriteFile(c.JSON, append(text, '\n'), 0o600))
	}
	return err
}
