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
	Set     tenantSetCmd     `cmd:"" help:"Change a tenant's settings."`
	Suspend tenantSuspendCmd `cmd:"" help:"Refuse everybody; the data stays."`
	Resume  tenantResumeCmd  `cmd:"" help:"Let everybody in again."`
}

type tenantCreateCmd struct {
	place    `embed:""`
	Slug     string `arg:"" help:"Its name in paths, /t/SLUG/: 3 to 40 of a-z, 0-9 and -."`
	Name     string `help:"Its name for people." placeholder:"NAME"`
	Settings string `help:"Its settings, as JSON." default:"{}" placeholder:"JSON"`
}

// Help is shown by --help.
func (tenantCreateCmd) Help() string {
	return `Example:
  ward tenant create st-marys --name "St Mary's Hospital" --settings '{"referentialIntegrity":true}'`
}

// Run creates the tenant.
func (c *tenantCreateCmd) Run(ctx context.Context, w *world) error {
	settings, err := tenancy.ParseSettings(c.Settings)
	if err != nil {
		return err
	}
	return c.with(ctx, w, func(d desk) error {
		t, err := d.CreateTenant(ctx, c.Slug, c.Name, settings)
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
		fmt.Fprintln(t, "SLUG\tNAME\tSTATUS\tCREATED\tSETTINGS")
		for _, x := range tenants {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", x.Slug, x.Name, x.Status, x.Created.Format(time.RFC3339), x.Settings.Shown().JSON())
		}
		return t.Flush()
	})
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
