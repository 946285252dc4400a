package main

import (
	"context"
	"fmt"
	"text/tabwriter"
)

type deadletterCmd struct {
	List    deadletterListCmd    `cmd:"" help:"List events that a consumer could not handle, and why."`
	Replay  deadletterReplayCmd  `cmd:"" help:"Hand them to their consumer again."`
	Discard deadletterDiscardCmd `cmd:"" help:"Forget them."`
}

type deadletterListCmd struct {
	place    `embed:""`
	Tenant   string `help:"The tenant." required:"" placeholder:"SLUG"`
	Consumer string `help:"Only those of this consumer." placeholder:"NAME"`
	Limit    int    `help:"At most so many." default:"100"`
}

// Help is shown by --help.
func (deadletterListCmd) Help() string {
	return `Examples:
  ward deadletter list --tenant demo
  ward deadletter list --tenant demo --consumer exchange-webhooks --limit 1000`
}

// Run lists them.
func (c *deadletterListCmd) Run(ctx context.Context, w *world) error {
	return c.with(ctx, w, func(d desk) error {
		dead, err := d.DeadLetters(ctx, c.Tenant, c.Consumer, c.Limit)
		if err != nil {
			return err
		}
		t := tabwriter.NewWriter(w.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "ID\tCONSUMER\tSUBJECT\tANNOUNCED\tDIED\tATTEMPTS\tCAUSE")
		for _, x := range dead {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%d\t%s\n", x.ID, x.Consumer, x.Subject, moment(x.Time), moment(x.Died), x.Attempts, x.Cause)
		}
		return t.Flush()
	})
}

// chosen are the dead events that a command works on.
type chosen struct {
	Tenant   string   `help:"The tenant." required:"" placeholder:"SLUG"`
	Consumer string   `help:"The consumer." required:"" placeholder:"NAME"`
	IDs      []string `arg:"" optional:"" name:"id" help:"The events; all of the consumer's without any."`
}

type deadletterReplayCmd struct {
	place  `embed:""`
	chosen `embed:""`
}

// Help is shown by --help.
func (deadletterReplayCmd) Help() string {
	return `Examples:
  ward deadletter replay --tenant demo --consumer exchange-webhooks
  ward deadletter replay --tenant demo --consumer exchange-webhooks 0190c3a5-6c1e-7a52-9d0e-2f6d3c1b8a47`
}

// Run replays them.
func (c *deadletterReplayCmd) Run(ctx context.Context, w *world) error {
	return c.with(ctx, w, func(d desk) error {
		n, err := d.Replay(ctx, c.Tenant, c.Consumer, c.IDs)
		if err == nil {
			fmt.Fprintf(w.out, "%d events go to %s again.\n", n, c.Consumer)
		}
		return err
	})
}

type deadletterDiscardCmd struct {
	place  `embed:""`
	chosen `embed:""`
}

// Help is shown by --help.
func (deadletterDiscardCmd) Help() string {
	return `Example:
  ward deadletter discard --tenant demo --consumer exchange-webhooks 0190c3a5-6c1e-7a52-9d0e-2f6d3c1b8a47`
}

// Run forgets them.
func (c *deadletterDiscardCmd) Run(ctx context.Context, w *world) error {
	return c.with(ctx, w, func(d desk) error {
		n, err := d.Discard(ctx, c.Tenant, c.Consumer, c.IDs)
		if err == nil {
			fmt.Fprintf(w.out, "%d events are forgotten.\n", n)
		}
		return err
	})
}
