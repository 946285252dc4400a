package app

import (
	"context"

	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/domain/calendar/alarm"
	"ward/internal/domain/calendar/booking"
	"ward/internal/domain/calendar/dav"
	"ward/internal/domain/records"
	"ward/internal/format/fhir/search"
	"ward/internal/format/fhir/spec"
	"ward/internal/format/fhir/validate"
	"ward/internal/kernel/identity"
	"ward/internal/kernel/identity/oauth"
	"ward/internal/kernel/journal"
	"ward/internal/kernel/limit"
	"ward/internal/kernel/module"
	"ward/internal/kernel/operators"
	"ward/internal/kernel/tenancy"
	"ward/internal/kernel/tiers"
	"ward/internal/kernel/transfer"
)

// modules is the table of contents of the product: what each process is built of, whatever it starts.
func (a *App) modules() []module.Module {
	return []module.Module{
		a.Backends.Seal.Module(),   // the keys of each tenant
		a.Tenants.Module(),         // the directory of tenants
		transfer.Module(),          // what is noted while a tenant is on the move
		a.Tiers.Module(),           // moves, archives and the end of tenants
		a.Tokens.Module(),          // who is asking
		a.People.Module(),          // people, and where they are signed in
		a.signIn.Module(),          // the pages to sign in
		a.OAuth.Module(),           // apps, and what people let them do
		a.Audit.Module(),           // who did what
		a.Glass.Module(),           // patients opened in an emergency
		a.Operators.Module(),       // who of those that run Ward a tenant let in
		journal.Module(),           // where long work goes on
		a.Records.Module(),         // clinical records: FHIR R4
		alarm.Module(),             // when reminders of events are due
		a.Events.Module(),          // calendars: events and their windows
		dav.New(a.Events).Module(), // calendars for programs that speak CalDAV
		a.Secrets.Module(),         // what such programs show in place of a sign-in, and feeds
		a.Booking.Module(),         // who can be seen when, and visits that are booked
	}
}

// build makes the services, each from those above it.
func (a *App) build() (err error) {
	b := a.Backends
	sealer, err := tenancy.NewAESGCM(b.keys.directory)
	if err != nil {
		return err
	}
	a.Tenants = tenancy.New(tenancy.Deps{DB: b.DB, Clock: a.clock, Sealer: sealer, Cell: a.Config.Cell})
	b.directory = a.Tenants
	if err := a.buildAudit(); err != nil {
		return err
	}
	a.Tiers = tiers.New(tiers.Deps{
		Directory: a.Tenants, Router: b.Router, DB: b.DB, Blobs: b.Blobs, Keys: b.Seal, Clock: a.clock, Log: a.log, Version: a.options.Version,
		Alone:    a.Config.Embedded()[0],
		LeaveOut: identity.OwnTables(), Audit: a.Audit, Homes: a.Config.mayHome,
		Consent: func(ctx context.Context, t scope.Tenant, grant string) (string, error) {
			g, err := a.Operators.Consent(ctx, t, grant)
			return g.By, err
		},
		Settle: func(ctx context.Context) error {
			if err := a.People.Settle(ctx); err != nil {
				return err
			}
			if err := a.OAuth.Settle(ctx); err != nil {
				return err
			}
			return a.Audit.Flush(ctx) // so that all is in the chain
		},
		AuditKey: a.Audit.PublicKey(),
		Inherit:  func(ctx context.Context, key []byte) error { return a.Audit.Inherit(ctx, key) },
		Shred:    a.shred(),
	})
	if !a.Config.Embedded()[0] { // nobody else is there
		if a.deafen, err = a.hearOfDestroyed(); err != nil {
			return err
		}
	}
	a.Tokens = identity.New(identity.Deps{DB: b.DB, Clock: a.clock})
	a.lanes = limit.NewLanes(limit.Options{Ceiling: a.Config.HTTP.Concurrency, Queue: a.Config.HTTP.Queue, Wait: a.Config.HTTP.QueueWait})
	if err := a.buildPeople(); err != nil {
		return err
	}
	if err := a.buildOAuth(); err != nil {
		return err
	}
	a.buildEmergency()
	a.Verifier = identity.NewVerifier(a.Tokens, identity.Kind{Prefix: oauth.AccessPrefix, Minter: a.OAuth}, identity.Kind{Prefix: operators.TokenPrefix, Minter: a.Operators})
	a.asked = a.Verifier
	a.Records, err = records.New(records.Deps{
		DB: b.DB, Cache: b.Cache, Keys: b.Seal, Definitions: spec.R4(), Validator: validate.New(spec.R4()), Standard: search.Standard(), Clock: a.clock, Log: a.log,
		CursorKey: b.keys.cursor, Version: a.options.Version, BaseURL: a.Config.HTTP.PublicURL, Security: oauth.Security,
		Operations: map[string][][2]string{"Appointment": booking.Operations()},
		Tenants:    a.allTenants, Audit: a.recorder(), Opened: a.Glass.Opened,
		Settings: func(ctx context.Context) (records.Settings, error) {
			s, err := a.Tenants.Settings(ctx)
			if err != nil {
				return records.Settings{}, err
			}
			sc, _ := scope.From(ctx)
			most, err := a.Tenants.Limit(ctx, sc.Tenant.ID, tenancy.LimitResources)
			if fault.Is(err, fault.CodeNotFound) {
				err = nil // as for the settings: no entry, no limits
			}
			return records.Settings{ReferentialIntegrity: s.ReferentialIntegrity, CareOnly: s.ClinicianAccess == tenancy.ChartsInCare, MostResources: most}, err
		},
	})
	if err != nil {
		return err
	}
	a.Events = a.calendarEvents()
	a.Secrets = a.calendarSecrets()
	a.buildBooking()
	return nil
}
