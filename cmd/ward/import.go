package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"ward/internal/app"
)

type importCmd struct {
	place   `embed:""`
	Tenant  string   `help:"The tenant that gets the resources." required:"" placeholder:"SLUG"`
	Refused string   `help:"File for what is refused and why, one JSON object a line." default:"refused.ndjson" placeholder:"FILE"`
	Paths   []string `arg:"" help:"Files, folders, or - for standard input." name:"path"`
}

// Help is shown by --help.
func (importCmd) Help() string {
	return `Takes FHIR R4 in JSON: transaction, batch and other bundles, single resources, NDJSON; packed by gzip, zstd or bzip2, in tar
archives, in folders. What a thing is, is seen from its content.

Resources keep their ids, so an import may be repeated: what is there already stays as it is. An import that was stopped goes on
where it was. What is wrong with a resource is written to the file of --refused, with the place, and the rest is imported.

Works on the data itself, and through the running Ward where that has it open.

Examples:
  ward import --tenant demo bundles/ patients.ndjson.gz
  ward import --tenant demo --refused /tmp/why.ndjson synthea.tar.zst
  zcat export/*.ndjson.gz | ward import --tenant demo -`
}

// Run imports.
func (c *importCmd) Run(ctx context.Context, w *world) error {
	sources, err := app.ImportSources(c.Paths, w.in)
	if err != nil {
		return err
	}
	total := int64(0)
	for _, s := range sources {
		if s.Size < 0 {
			total = -1
			break
		}
		total += s.Size
	}
	refused := &refusals{path: c.Refused}
	progress := newBar(w, "Importing", total)
	var report app.ImportReport
	began := time.Now()
	err = c.with(ctx, w, func(d desk) error {
		var err error
		report, err = d.Import(ctx, c.Tenant, sources, app.ImportOptions{
			Progress: func(read int64, r app.ImportReport) { progress.show(read, "Importing", r) },
			Refused:  refused.write,
		})
		return err
	})
	progress.finish()
	err = errors.Join(err, refused.close())
	took := time.Since(began)
	fmt.Fprintf(w.out, "%d created, %d updated, %d unchanged, %d refused in %.1f s (%.0f resources/s)\n",
		report.Created, report.Updated, report.Unchanged, report.Refused, took.Seconds(), float64(report.Resources())/took.Seconds())
	if report.Skipped > 0 {
		fmt.Fprintf(w.out, "%d files or parts of files were skipped: an earlier import had them.\n", report.Skipped)
	}
	if err != nil {
		if ctx.Err() != nil {
			return errors.New("stopped; the same command goes on from here")
		}
		return err
	}
	if report.Refused > 0 {
		fmt.Fprintf(w.out, "What was refused, and why, is in %s.\n", c.Refused)
		return errSilent
	}
	return nil
}

// refusals writes the report, which is there only when something was refused.
type refusals struct {
	path string
	file *os.File
}

func (r *refusals) write(x app.ImportRefusal) error {
	if r.file == nil {
		f, err := os.OpenFile(r.path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
		if err != nil {
			return fmt.Errorf("the report of refusals can't be written, name another with --refused: %w", err)
		}
		r.file = f
	}
	return json.NewEncoder(r.file).Encode(x)
}

func (r *refusals) close() error {
	if r.file == nil {
		return nil
	}
	return r.file.Close()
}
