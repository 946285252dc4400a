package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"
)

type tokenCmd struct {
	Create tokenCreateCmd `cmd:"" help:"Mint a token. It is printed once, to standard output, and kept nowhere."`
	List   tokenListCmd   `cmd:"" help:"List a tenant's tokens, without their secrets."`
	Revoke tokenRevokeCmd `cmd:"" help:"End a token."`
}

type tokenCreateCmd struct {
	place    `embed:""`
	Tenant   string        `help:"The tenant's slug; without it the token is an operator's." placeholder:"SLUG"`
	Role     string        `help:"What the holder may do." placeholder:"ROLE" default:"operator"`
	Name     string        `help:"What it is for." placeholder:"NAME"`
	Lifetime time.Duration `help:"After which it is no longer good; 0 is never." default:"0s" placeholder:"DURATION"`
}

// Help is shown by --help.
func (tokenCreateCmd) Help() string {
	return `Roles of a tenant's tokens: patient, proxy, clinician, nurse, frontdesk, biller, analyst, admin, auditor, integration. Without --tenant the token is an operator's.

Examples:
  TOKEN=$(ward token create --tenant demo --role clinician)
  ward token create --tenant demo --role integration --name laboratory --lifetime 2160h`
}

// Run mints the token.
func (c *tokenCreateCmd) Run(ctx context.Context, w *world) error {
	return c.with(ctx, w, func(d desk) error {
		secret, token, err := d.CreateToken(ctx, c.Tenant, c.Role, c.Name, c.Lifetime)
		if err != nil {
			return err
		}
		fmt.Fprintf(w.err, "Token %s, role %s. Keep it: it is shown this once.\n", token.ID, token.Role)
		fmt.Fprintln(w.out, secret)
		return nil
	})
}

type tokenListCmd struct {
	place  `embed:""`
	Tenant string `help:"The tenant's slug; without it operators' tokens are listed." placeholder:"SLUG"`
}

// Help is shown by --help.
func (tokenListCmd) Help() string {
	return `Examples:
  ward token list --tenant demo
  ward token list`
}

// Run lists the tokens.
func (c *tokenListCmd) Run(ctx context.Context, w *world) error {
	return c.with(ctx, w, func(d desk) error {
		tokens, err := d.ListTokens(ctx, c.Tenant)
		if err != nil {
			return err
		}
		t := tabwriter.NewWriter(w.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "ID\tROLE\tNAME\tCREATED\tEXPIRES\tREVOKED")
		for _, x := range tokens {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", x.ID, x.Role, x.Name, moment(x.Created), moment(x.Expires), moment(x.Revoked))
		}
		return t.Flush()
	})
}

func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Format(time.RFC3339)
}

type tokenRevokeCmd struct {
	place `embed:""`
	ID    string `arg:"" help:"The token's id, as ward token list shows it."`
}

// Help is shown by --help.
func (tokenRevokeCmd) Help() string {
	return `Example:
  ward token revoke 0190c3a5-6c1e-7a52-9d0e-2f6d3c1b8a47`
}

// Run ends the token.
func (c *tokenRevokeCmd) Run(ctx context.Context, w *world) error {
	return c.with(ctx, w, func(d desk) error { return d.RevokeToken(ctx, c.ID) })
}
