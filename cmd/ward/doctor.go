package main

import (
	"context"
	"fmt"

	"ward/internal/app"
)

type doctorCmd struct {
	place `embed:""`
}

// Help is shown by --help.
func (doctorCmd) Help() string {
	return `Opens every backend of the configuration, writes and reads a probe, and says what is wrong and what to do. Ends with 1 when
something is.

Examples:
  ward doctor
  ward doctor --config /etc/ward.yaml`
}

// Run examines.
func (c *doctorCmd) Run(ctx context.Context, w *world) error {
	config, err := c.load(w)
	if err != nil {
		return err
	}
	sick := false
	app.Examine(ctx, config, func(f app.Finding) {
		mark := "ok  "
		if f.Wrong {
			mark, sick = "FAIL", true
		} else if f.Warning {
			mark = "warn"
		}
		fmt.Fprintf(w.out, "%s  %-9s %s\n", mark, f.Part, f.Says)
		if f.Remedy != "" {
			fmt.Fprintf(w.out, "      %-9s → %s\n", "", f.Remedy)
		}
	})
	if sick {
		return errSilent
	}
	return nil
}
