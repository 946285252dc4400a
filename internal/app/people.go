package app

import (
	"context"
	"path/filepath"
	"strings"
	"time"

	"ward/internal/backend/db"
	"ward/internal/base/proxies"
	"ward/internal/kernel/identity/argon"
	"ward/internal/kernel/identity/people"
	"ward/internal/kernel/module"
	"ward/internal/web/signin"
)

// buildPeople makes the accounts, the sessions and the pages to sign in.
func (a *App) buildPeople() (err error) {
	b := a.Backends
	secure := strings.HasPrefix(a.Config.HTTP.PublicURL, "https:")
	a.Sessions = people.NewSessions(people.SessionDeps{DB: b.DB, Keys: b.Seal, Clock: a.clock, Log: a.log, Secure: secure, Limits: a.sessionLimits})
	mailer, err := a.mailer()
	if err != nil {
		return err
	}
	behind, err := proxies.Parse(a.Config.HTTP.Proxies)
	if err != nil {
		return err
	}
	a.hashes = argon.New(argon.Options{
		Workers: a.Config.SignIn.HashWorkers, Clock: a.clock, Command: hashCommand(a.options.HashCommand), Gentle: hashCommand(a.options.HashCommand, "--gentle"),
	})
	a.People, err = people.New(people.Deps{
		DB: b.DB, Clock: a.clock, Log: a.log, Sessions: a.Sessions, Pool: a.hashes, Settings: a.Tenants.Settings, Tenants: a.allTenants, Key: b.keys.people, Keys: b.Seal,
		Mailer: mailer, Audit: a.Audit, BaseURL: a.publicURL, Proxies: behind, Provider: people.ProviderClient(a.Config.SignIn.PrivateProviders),
		Metrics: newPeopleMeter(a.metrics), Apps: letDo{a},
		Enqueue: func(ctx context.Context, tx db.Tx, events ...module.Event) error {
			return a.Outbox.Enqueue(ctx, tx, events...)
		},
		Entered: func() uint64 { return a.lanes.Entered(module.Interactive) }, Share: a.Config.SignIn.SurgeShare, Gather: 500 * time.Millisecond,
	})
	if err == nil {
		a.signIn = signin.New(signin.Deps{People: a.People, Sessions: a.Sessions, Clock: a.clock, Log: a.log})
	}
	return err
}

// letDo is the OAuth provider as the accounts, which are made before it, ask for it.
type letDo struct{ app *App }

func (l letDo) RevokeAccountIn(ctx context.Context, tx db.Tx, personID string) (forget func(), err error) {
	return l.app.OAuth.RevokeAccountIn(ctx, tx, personID)
}

func hashCommand(command []string, more ...string) []string {
	if len(command) == 0 {
		return nil
	}
	return append(append([]string(nil), command...), more...)
}

// publicURL is by which browsers come.
func (a *App) publicURL() string {
	if u := a.Config.HTTP.PublicURL; u != "" {
		return strings.TrimSuffix(u, "/")
	}
	scheme := "http://"
	if a.Config.TLS() {
		scheme = "https://"
	}
	if at := a.listening.Load(); at != nil {
		return scheme + reachable(*at)
	}
	return scheme + reachable(a.Config.HTTP.Listen)
}

// mailer sends mails, or keeps them in the data folder where no server is set.
func (a *App) mailer() (people.Mailer, error) {
	if a.Config.Mail.URL == "" {
		return people.Folder{Dir: filepath.Join(a.Config.Data, "mail"), From: a.Config.Mail.From, Clock: a.clock}, nil
	}
	return people.NewSMTP(a.Config.Mail.URL, a.Config.Mail.From, a.clock, nil)
}

// sessionLimits are how long sessions of the scope's tenant last.
func (a *App) sessionLimits(ctx context.Context) (people.Limits, error) {
	l := people.Limits{Idle: 30 * time.Minute, Absolute: 12 * time.Hour}
	settings, err := a.Tenants.Settings(ctx)
	if err == nil && settings.SignIn != nil {
		if m := settings.SignIn.IdleMinutes; m > 0 {
			l.Idle = time.Duration(m) * time.Minute
		}
		if h := settings.SignIn.AbsoluteHours; h > 0 {
			l.Absolute = time.Duration(h) * time.Hour
		}
	}
	return l, err
}
