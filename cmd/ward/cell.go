package main

import (
	"context"
	"fmt"
	"text/tabwriter"

	"ward/internal/kernel/tenancy"
)

type cellCmd struct {
	Set  cellSetCmd  `cmd:"" help:"Add a cell or change it."`
	List cellListCmd `cmd:"" help:"List the cells."`
}

type cellSetCmd struct {
	place  `embed:""`
	Name   string `arg:"" help:"Its name, as its own setting cell has it."`
	URL    string `help:"Address by which clients reach it." required:"" placeholder:"URL"`
	Region string `help:"Where it is." placeholder:"REGION"`
}

// Help is shown by --help.
func (cellSetCmd) Help() string {
	return `A cell is a Ward of its own, with its own processes and backends. Tenants of another cell are referred there.

Example:
  ward cell set eu --url https://eu.ward.example.org --region eu-central`
}

// Run adds the cell or changes it.
func (c *cellSetCmd) Run(ctx context.Context, w *world) error {
	return c.with(ctx, w, func(d desk) error {
		return d.SetCell(ctx, tenancy.Cell{Name: c.Name, Region: c.Region, URL: c.URL})
	})
}

type cellListCmd struct {
	place `embed:""`
}

// Help is shown by --help.
func (cellListCmd) Help() string {
	return `Example:
  ward cell list`
}

// Run lists the cells.
func (c *cellListCmd) Run(ctx context.Context, w *world) error {
	return c.with(ctx, w, func(d desk) error {
		all, err := d.ListCells(ctx)
		if err != nil {
			return err
		}
		t := tabwriter.NewWriter(w.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "NAME\tREGION\tURL")
		for _, x := range all {
			fmt.Fprintf(t, "%s\t%s\t%s\n", x.Name, x.Region, x.URL)
		}
		return t.Flush()
	})
}
