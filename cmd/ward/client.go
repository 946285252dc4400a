package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"ward/internal/base/fault"
	"ward/internal/kernel/identity/oauth"
)

type clientCmd struct {
	Create clientCreateCmd `cmd:"" help:"Register an app or a backend service."`
	List   clientListCmd   `cmd:"" help:"List a tenant's clients."`
	Show   clientShowCmd   `cmd:"" help:"Show a client."`
	Delete clientDeleteCmd `cmd:"" help:"Take a client away, and with it all it was granted."`
}

type clientCreateCmd struct {
	place       `embed:""`
	Tenant      string   `help:"The tenant's slug." placeholder:"SLUG" required:""`
	Name        string   `help:"Its name, which people see when they are asked to consent." placeholder:"NAME" required:""`
	Redirect    []string `help:"Where it may be answered, exactly; may be given several times." placeholder:"URI" sep:"none"`
	LaunchURL   string   `help:"Where an EHR opens it." placeholder:"URL" name:"launch-url"`
	Scope       string   `help:"Scopes that it may be granted, separated by spaces." placeholder:"SCOPES" default:"openid fhirUser launch launch/patient offline_access patient/*.rs"`
	Secret      bool     `help:"It runs on a server and keeps a secret, which is printed once."`
	Backend     bool     `help:"It is a backend service: it acts for itself, with system/ scopes, and signs with a key."`
	JWKS        string   `help:"File with its public keys, as a JSON Web Key Set." placeholder:"FILE" name:"jwks"`
	JWKSURI     string   `help:"Where its public keys are." placeholder:"URL" name:"jwks-uri"`
	Trusted     bool     `help:"It is the tenant's own and proves who it is: people are not asked to consent."`
	Introspects bool     `help:"It is a resource server and may ask about all tokens."`
}

// Help is shown by --help.
func (clientCreateCmd) Help() string {
	return `Without --secret, --jwks or --jwks-uri it is a public client: an app in a browser or on a phone. PKCE is needed of all.

Examples:
  ward client create --tenant demo --name "Growth chart" --redirect https://growth.example.org/cb --launch-url https://growth.example.org/launch
  ward client create --tenant demo --name Portal --redirect https://portal.example.org/cb --secret --scope "openid fhirUser launch/patient patient/*.cruds offline_access"
  ward client create --tenant demo --name Laboratory --backend --jwks laboratory.jwks.json --scope "system/Observation.cruds system/Patient.rs"`
}

// Run registers the client.
func (c *clientCreateCmd) Run(ctx context.Context, w *world) error {
	r := oauth.Registration{
		Name: c.Name, RedirectURIs: c.Redirect, LaunchURL: c.LaunchURL, Scope: c.Scope, JWKSURI: c.JWKSURI, Trusted: c.Trusted, Introspect: c.Introspects,
	}
	if c.Backend {
		r.GrantTypes = []string{"client_credentials"}
	}
	switch {
	case c.JWKS != "" || c.JWKSURI != "":
		r.AuthMethod = "private_key_jwt"
	case c.Secret:
		r.AuthMethod = "client_secret_basic"
	}
	if c.Secret && r.AuthMethod != "client_secret_basic" {
		return fault.Invalid("--secret goes without keys")
	}
	if c.JWKS != "" {
		text, err := os.ReadFile(c.JWKS)
		if err != nil {
			return fault.Invalid("%s can't be read", c.JWKS).With(err)
		}
		if !json.Valid(text) {
			return fault.Invalid("%s holds no JSON", c.JWKS)
		}
		r.JWKS = text
	}
	return c.with(ctx, w, func(d desk) error {
		made, secret, err := d.CreateClient(ctx, c.Tenant, r)
		if err != nil {
			return err
		}
		fmt.Fprintln(w.out, made.ID)
		if secret != "" {
			fmt.Fprintln(w.err, "Its secret follows. Keep it: it is shown this once.")
			fmt.Fprintln(w.out, secret)
		}
		return nil
	})
}

type clientListCmd struct {
	place  `embed:""`
	Tenant string `help:"The tenant's slug." placeholder:"SLUG" required:""`
}

// Help is shown by --help.
func (clientListCmd) Help() string {
	return `Example:
  ward client list --tenant demo`
}

// Run lists the clients.
func (c *clientListCmd) Run(ctx context.Context, w *world) error {
	return c.with(ctx, w, func(d desk) error {
		clients, err := d.ListClients(ctx, c.Tenant)
		if err != nil {
			return err
		}
		t := tabwriter.NewWriter(w.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "ID\tNAME\tAUTHENTICATION\tGRANTS\tSCOPE\tCREATED\tBY ITSELF\tIN USE")
		for _, x := range clients {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%t\t%t\n", x.ID, x.Name, x.AuthMethod, strings.Join(x.GrantTypes, " "), x.Scope, moment(x.Created), x.Dynamic, x.Used)
		}
		return t.Flush()
	})
}

type clientShowCmd struct {
	place  `embed:""`
	Tenant string `help:"The tenant's slug." placeholder:"SLUG" required:""`
	ID     string `arg:"" help:"The client's id, as ward client list shows it."`
}

// Help is shown by --help.
func (clientShowCmd) Help() string {
	return `Example:
  ward client show --tenant demo 0190c3a5-6c1e-7a52-9d0e-2f6d3c1b8a47`
}

// Run shows the client's registration as JSON.
func (c *clientShowCmd) Run(ctx context.Context, w *world) error {
	return c.with(ctx, w, func(d desk) error {
		found, err := d.Client(ctx, c.Tenant, c.ID)
		if err != nil {
			return err
		}
		text, err := json.MarshalIndent(found.Registration, "", "  ")
		if err == nil {
			fmt.Fprintln(w.out, string(text))
		}
		return err
	})
}

type clientDeleteCmd struct {
	place  `embed:""`
	Tenant string `help:"The tenant's slug." placeholder:"SLUG" required:""`
	ID     string `arg:"" help:"The client's id, as ward client list shows it."`
}

// Help is shown by --help.
func (clientDeleteCmd) Help() string {
	return `Example:
  ward client delete --tenant demo 0190c3a5-6c1e-7a52-9d0e-2f6d3c1b8a47`
}

// Run deletes the client.
func (c *clientDeleteCmd) Run(ctx context.Context, w *world) error {
	return c.with(ctx, w, func(d desk) error { return d.DeleteClient(ctx, c.Tenant, c.ID) })
}
