package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"ward/internal/kernel/tenancy"
)

type tenantCmd struct {
	Create  tenantCreateCmd  `cmd:"" help:"Create a tenant."`
	List    tenantListCmd    `cmd:"" help:"List the tenants."`
	Show    tenantShowCmd    `cmd:"" help:"Show a tenant: where it is, its settings, the work on it."`
	Set     tenantSetCmd     `cmd:"" help:"Change a tenant's settings."`
	Limit   tenantLimitCmd   `cmd:"" help:"Change what a tenant may use."`
	Suspend tenantSuspendCmd `cmd:"" help:"Refuse everybody; the data stays."`
	Resume  tenantResumeCmd  `cmd:"" help:"Let everybody in again."`
	Move    tenantMoveCmd    `cmd:"" help:"Move a tenant to another database while it is in use."`
	Export  tenantExportCmd  `cmd:"" help:"Write all that a tenant has into one encrypted archive."`
	Import  tenantImportCmd  `cmd:"" help:"Make a tenant of an archive."`
	Delete  tenantDeleteCmd  `cmd:"" help:"Make a tenant unreachable at once, and have it destroyed later."`
	Restore tenantRestoreCmd `cmd:"" help:"Bring a deleted tenant back."`
}

type tenantCreateCmd struct {
	place    `embed:""`
	Slug     string `arg:"" help:"Its name in paths, /t/SLUG/: 3 to 40 of a-z, 0-9 and -."`
	Name     string `help:"Its name for people." placeholder:"NAME"`
	Settings string `help:"Its settings, as JSON." default:"{}" placeholder:"JSON"`
	Tier     string `help:"How far it is apart: pooled, database or cell." enum:"pooled,database,cell" default:"pooled" placeholder:"TIER"`
	Database string `help:"URL of its own database, of the tier database." placeholder:"URL"`
	Cell     string `help:"Cell that serves it, of the tier cell." placeholder:"NAME"`
	Region   string `help:"Where it is, for people." placeholder:"REGION"`
	Plan     string `help:"What it pays for, for people." placeholder:"PLAN"`
	Limits   string `help:"Limits, as a JSON object of numbers." default:"{}" placeholder:"JSON"`
	KMS      string `help:"KMS key around its own key; default the general one." name:"kms" placeholder:"KEY"`
}

// Help is shown by --help.
func (tenantCreateCmd) Help() string {
	return `Example:
  ward tenant create st-marys --name "St Mary's Hospital" --settings '{"referentialIntegrity":true}'
  ward tenant create st-marys --tier database --database postgres://ward:secret@db:5432/st_marys
  ward tenant create st-marys --tier cell --cell eu`
}

// Run creates the tenant.
func (c *tenantCreateCmd) Run(ctx context.Context, w *world) error {
	terms, err := c.terms()
	if err != nil {
		return err
	}
	return c.with(ctx, w, func(d desk) error {
		t, err := d.AddTenant(ctx, c.Slug, terms)
		if err == nil {
			fmt.Fprintf(w.out, "Created the tenant %s (%s). Next: ward token create --tenant %s --role clinician\n", t.Slug, t.Name, t.Slug)
		}
		return err
	})
}

type tenantListCmd struct {
	place `embed:""`
}

// Help is shown by --help.
func (tenantListCmd) Help() string {
	return `Example:
  ward tenant list`
}

// Run lists the tenants.
func (c *tenantListCmd) Run(ctx context.Context, w *world) error {
	return c.with(ctx, w, func(d desk) error {
		tenants, err := d.ListTenants(ctx)
		if err != nil {
			return err
		}
		t := tabwriter.NewWriter(w.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "SLUG\tNAME\tSTATUS\tTIER\tCELL\tCREATED\tSETTINGS")
		for _, x := range tenants {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", x.Slug, x.Name, x.Status, x.Tier, orNone(x.Cell), x.Created.Format(time.RFC3339), x.Settings.Shown().JSON())
		}
		return t.Flush()
	})
}

type tenantLimitCmd struct {
	place  `embed:""`
	Slug   string `arg:"" help:"The tenant."`
	Limits string `arg:"" help:"All its limits, as a JSON object of numbers; what is left out has none."`
}

// Help is shown by --help.
func (tenantLimitCmd) Help() string {
	return `The limits are requestsPerSecond, of each process, and resources. Beyond the one requests are answered 429, beyond the other what would store something new 507.

Example:
  ward tenant limit st-marys '{"requestsPerSecond":200,"resources":1000000}'`
}

// Run changes the limits.
func (c *tenantLimitCmd) Run(ctx context.Context, w *world) error {
	limits, err := tenancy.ParseLimits(c.Limits)
	if err != nil {
		return err
	}
	return c.with(ctx, w, func(d desk) error { return d.SetTenantLimits(ctx, c.Slug, limits) })
}

type tenantSetCmd struct {
	place    `embed:""`
	Slug     string `arg:"" help:"The tenant."`
	Settings string `arg:"" help:"All its settings, as JSON; what is left out has its default."`
}

// Help is shown by --help.
func (tenantSetCmd) Help() string {
	return `Example:
  ward tenant set st-marys '{"referentialIntegrity":true}'`
}

// Run changes the settings.
func (c *tenantSetCmd) Run(ctx context.Context, w *world) error {
	settings, err := tenancy.ParseSettings(c.Settings)
	if err != nil {
		return err
	}
	return c.with(ctx, w, func(d desk) error { return d.SetTenantSettings(ctx, c.Slug, settings) })
}

type tenantSuspendCmd struct {
	place `embed:""`
	Slug  string `arg:"" help:"The tenant."`
}

// Help is shown by --help.
func (tenantSuspendCmd) Help() string {
	return `Example:
  ward tenant suspend st-marys`
}

// Run suspends the tenant.
func (c *tenantSuspendCmd) Run(ctx context.Context, w *world) error {
	return c.with(ctx, w, func(d desk) error { return d.SetTenantStatus(ctx, c.Slug, tenancy.Suspended) })
}

type tenantResumeCmd struct {
	place `embed:""`
	Slug  string `arg:"" help:"The tenant."`
}

// Help is shown by --help.
func (tenantResumeCmd) Help() string {
	return `Example:
  ward tenant resume st-marys`
}

// Run resumes the tenant.
func (c *tenantResumeCmd) Run(ctx context.Context, w *world) error {
	return c.with(ctx, w, func(d desk) error { return d.SetTenantStatus(ctx, c.Slug, tenancy.Active) })
}
