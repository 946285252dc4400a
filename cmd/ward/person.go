package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"github.com/pquerna/otp/totp"

	"ward/internal/app"
	"ward/internal/base/fault"
)

type personCmd struct {
	Invite   personInviteCmd   `cmd:"" help:"Make an account and send its link."`
	List     personListCmd     `cmd:"" help:"List a tenant's people."`
	Again    personAgainCmd    `cmd:"" help:"Send a new link to somebody who has not used the first."`
	Reset    personResetCmd    `cmd:"" help:"Have somebody choose password and second factor anew."`
	Disable  personDisableCmd  `cmd:"" help:"Keep somebody from signing in and end their sessions."`
	Enable   personEnableCmd   `cmd:"" help:"Let somebody sign in again."`
	Sessions personSessionsCmd `cmd:"" help:"List where somebody is signed in, or end it."`
	Code     personCodeCmd     `cmd:"" help:"Print the code that the authenticator app of somebody in the demo shows now."`
}

type personInviteCmd struct {
	place    `embed:""`
	Tenant   string   `required:"" help:"The tenant's slug." placeholder:"SLUG"`
	Role     string   `required:"" help:"What they may do: patient, proxy, clinician, nurse, frontdesk, biller, analyst, admin or auditor." placeholder:"ROLE"`
	Name     string   `help:"Their name, for greetings." placeholder:"NAME"`
	Person   string   `help:"The FHIR reference of who it is, such as Practitioner/7 or Patient/9." placeholder:"REFERENCE"`
	Patients []string `help:"Ids of the patients whose records a patient or proxy may see." placeholder:"ID,…"`
	ByHand   bool     `help:"Print the link instead of mailing it."`
	Email    string   `arg:"" help:"Their e-mail address."`
}

// Help is shown by --help.
func (personInviteCmd) Help() string {
	return `The link is good for seven days and works once. Without a mail server (mail.url) mails are kept as files in mail of the data folder.

Examples:
  ward person invite --tenant demo --role clinician --person Practitioner/7 ada@example.org
  ward person invite --tenant demo --role patient --person Patient/9 --by-hand rosa@example.org`
}

// Run invites.
func (c *personInviteCmd) Run(ctx context.Context, w *world) error {
	return c.with(ctx, w, func(d desk) error {
		p, err := d.InvitePerson(ctx, c.Tenant, app.PersonInvitation{
			Email: c.Email, Name: c.Name, Role: c.Role, Person: c.Person, Patients: c.Patients, ByHand: c.ByHand,
		})
		if err != nil {
			return err
		}
		fmt.Fprintf(w.err, "Invited %s as %s.\n", p.ID, p.Role)
		if p.Link != "" {
			fmt.Fprintln(w.out, p.Link)
		}
		return nil
	})
}

type personListCmd struct {
	place  `embed:""`
	Tenant string `required:"" help:"The tenant's slug." placeholder:"SLUG"`
}

// Help is shown by --help.
func (personListCmd) Help() string {
	return `Example:
  ward person list --tenant demo`
}

// Run lists.
func (c *personListCmd) Run(ctx context.Context, w *world) error {
	return c.with(ctx, w, func(d desk) error {
		list, err := d.ListPeople(ctx, c.Tenant)
		if err != nil {
			return err
		}
		t := tabwriter.NewWriter(w.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "ID\tE-MAIL\tROLE\tPERSON\tSTATE\tSIGNED IN")
		for _, p := range list {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", p.ID, p.Email, p.Role, orDash(p.Person), p.State, moment(p.SignedIn))
		}
		return t.Flush()
	})
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// onePerson names somebody of a tenant.
type onePerson struct {
	place  `embed:""`
	Tenant string `required:"" help:"The tenant's slug." placeholder:"SLUG"`
	Person string `arg:"" help:"The id, as ward person list shows it, or the e-mail address."`
}

type personAgainCmd struct {
	onePerson `embed:""`
	ByHand    bool `help:"Print the link instead of mailing it."`
}

// Help is shown by --help.
func (personAgainCmd) Help() string {
	return `Example:
  ward person again --tenant demo ada@example.org`
}

// Run sends a new link.
func (c *personAgainCmd) Run(ctx context.Context, w *world) error {
	return c.act(ctx, w, "invite", c.ByHand, "A new link for")
}

func (c *onePerson) act(ctx context.Context, w *world, act string, byHand bool, done string) error {
	return c.with(ctx, w, func(d desk) error {
		p, err := d.ActOnPerson(ctx, c.Tenant, c.Person, act, byHand)
		if err != nil {
			return err
		}
		fmt.Fprintf(w.err, "%s %s (%s).\n", done, p.ID, p.State)
		if p.Link != "" {
			fmt.Fprintln(w.out, p.Link)
		}
		return nil
	})
}

type personResetCmd struct {
	onePerson `embed:""`
	ByHand    bool `help:"Print the link instead of mailing it."`
}

// Help is shown by --help.
func (personResetCmd) Help() string {
	return `For somebody who lost their second factor, after you have made sure of who they are. Password, passkeys, authenticator app and recovery codes are gone,
their sessions end, and a new link leads to choosing them anew.

Example:
  ward person reset --tenant demo ada@example.org`
}

// Run resets.
func (c *personResetCmd) Run(ctx context.Context, w *world) error {
	return c.act(ctx, w, "reset", c.ByHand, "Reset")
}

type personDisableCmd struct {
	onePerson `embed:""`
}

// Help is shown by --help.
func (personDisableCmd) Help() string {
	return `Example:
  ward person disable --tenant demo ada@example.org`
}

// Run disables.
func (c *personDisableCmd) Run(ctx context.Context, w *world) error {
	return c.act(ctx, w, "disable", false, "Disabled")
}

type personEnableCmd struct {
	onePerson `embed:""`
}

// Help is shown by --help.
func (personEnableCmd) Help() string {
	return `Example:
  ward person enable --tenant demo ada@example.org`
}

// Run enables.
func (c *personEnableCmd) Run(ctx context.Context, w *world) error {
	return c.act(ctx, w, "enable", false, "Enabled")
}

type personSessionsCmd struct {
	onePerson `embed:""`
	End       bool `help:"End them all."`
}

// Help is shown by --help.
func (personSessionsCmd) Help() string {
	return `Examples:
  ward person sessions --tenant demo ada@example.org
  ward person sessions --tenant demo --end ada@example.org`
}

// Run lists or ends the sessions.
func (c *personSessionsCmd) Run(ctx context.Context, w *world) error {
	if c.End {
		return c.act(ctx, w, "sign-out", false, "Signed out everywhere:")
	}
	return c.with(ctx, w, func(d desk) error {
		list, err := d.PersonSessions(ctx, c.Tenant, c.Person)
		if err != nil {
			return err
		}
		t := tabwriter.NewWriter(w.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "ID\tBEGAN\tLAST USED\tHOW")
		for _, s := range list {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", s.ID, moment(s.Began), moment(s.Seen), s.Methods)
		}
		return t.Flush()
	})
}

type personCodeCmd struct {
	place `embed:""`
	Email string `arg:"" help:"The e-mail address, as ward demo prints it."`
}

// Help is shown by --help.
func (personCodeCmd) Help() string {
	return `Example:
  ward person code clinician@demo.example`
}

// Run reads the demo's file.
func (c *personCodeCmd) Run(w *world) error {
	text, err := os.ReadFile(app.DemoFile(c.Data))
	if err != nil {
		return fault.NotFound("there is no demo in %s: ward demo makes one", c.Data)
	}
	var d app.Demo
	if err := json.Unmarshal(text, &d); err != nil {
		return fault.Invalid("%s can't be read", app.DemoFile(c.Data))
	}
	for _, p := range d.People {
		if p.Email == c.Email {
			code, err := totp.GenerateCode(p.Secret, time.Now())
			if err != nil {
				return fault.Internal("the code can't be made").With(err)
			}
			fmt.Fprintln(w.out, code)
			return nil
		}
	}
	return fault.NotFound("the demo has nobody of this address")
}
