package main

import (
	"context"
	"fmt"
	"text/tabwriter"
)

type sealCmd struct {
	List   sealListCmd   `cmd:"" help:"List the keys of all tenants: when they were made, rotated and renewed."`
	Rotate sealRotateCmd `cmd:"" help:"Give a tenant another key. Its data are not rewritten."`
	Renew  sealRenewCmd  `cmd:"" help:"Give a tenant another data key, for what is written from now on."`
	Rewrap sealRewrapCmd `cmd:"" help:"Have the key service of seal.kms wrap the keys that the one of seal.old wrapped."`
}

type sealListCmd struct {
	place `embed:""`
}

// Help is shown by --help.
func (sealListCmd) Help() string {
	return `Example:
  ward seal list`
}

// Run lists them.
func (c *sealListCmd) Run(ctx context.Context, w *world) error {
	return c.with(ctx, w, func(d desk) error {
		keys, err := d.ListKeys(ctx)
		if err != nil {
			return err
		}
		t := tabwriter.NewWriter(w.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "NUMBER\tTENANT\tKEY SERVICE\tMADE\tROTATED\tRENEWED\tDESTROYED")
		for _, k := range keys {
			destroyed := "-"
			if !k.Destroyed.IsZero() {
				destroyed = moment(k.Destroyed)
			}
			slug := k.Slug
			if k.Tenant == 0 {
				slug = "(system)"
			}
			fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n", k.Tenant, slug, k.Service, moment(k.Created), moment(k.Rotated), moment(k.Renewed), destroyed)
		}
		return t.Flush()
	})
}

type sealRotateCmd struct {
	place  `embed:""`
	Tenant string `arg:"" help:"The tenant." placeholder:"SLUG"`
}

// Help is shown by --help.
func (sealRotateCmd) Help() string {
	return `Example:
  ward seal rotate demo`
}

// Run rotates it.
func (c *sealRotateCmd) Run(ctx context.Context, w *world) error {
	return actOnKeys(ctx, w, c.place, "rotate", c.Tenant)
}

type sealRenewCmd struct {
	place  `embed:""`
	Tenant string `arg:"" help:"The tenant." placeholder:"SLUG"`
}

// Help is shown by --help.
func (sealRenewCmd) Help() string {
	return `Example:
  ward seal renew demo`
}

// Run renews it.
func (c *sealRenewCmd) Run(ctx context.Context, w *world) error {
	return actOnKeys(ctx, w, c.place, "renew", c.Tenant)
}

type sealRewrapCmd struct {
	place `embed:""`
}

// Help is shown by --help.
func (sealRewrapCmd) Help() string {
	return `Example, from files to a server:
  WARD_SEAL_OLD=file:data/keys WARD_SEAL_KMS=vault://TOKEN@vault:8200/transit/ward- ward seal rewrap

Run it with the Wards that serve configured alike. When it is done, seal.old is needed no more.`
}

// Run rewraps them.
func (c *sealRewrapCmd) Run(ctx context.Context, w *world) error {
	return actOnKeys(ctx, w, c.place, "rewrap", "")
}

func actOnKeys(ctx context.Context, w *world, p place, act, tenant string) error {
	return p.with(ctx, w, func(d desk) error {
		n, err := d.ActOnKeys(ctx, act, tenant)
		if err == nil {
			fmt.Fprintf(w.out, "Done, for the keys of %d tenants.\n", n)
		}
		return err
	})
}
