package booking

import (
	"embed"
	"io/fs"
	"net/http"
	"time"

	"ward/internal/kernel/access"
	"ward/internal/kernel/module"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// Migrations is the SQL of booking's tables, for the tenants' databases.
func Migrations() fs.FS {
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		panic(err) // the folder is embedded above
	}
	return files
}

// Operations are the operations of booking on Appointment, by name, with the canonical URLs of their definitions.
func Operations() [][2]string {
	const ihe = "https://profiles.ihe.net/ITI/Scheduling/OperationDefinition/appointment-"
	return [][2]string{
		{"find", ihe + "find"}, {"hold", ihe + "hold"}, {"book", ihe + "book"}, {"cancel", "urn:ward:operation:appointment-cancel"}, {"reschedule", "urn:ward:operation:appointment-reschedule"},
	}
}

// Module is what booking brings to the product.
func (b *Service) Module() module.Module {
	m := module.Module{
		Name: "booking", Migrations: Migrations(),
		Runners: []module.Runner{{Name: "booking.clockwork", Target: module.Worker, Run: b.Run}},
	}
	const (
		fhir     = module.FHIRPrefix + "/Appointment/"
		calendar = module.TenantPrefix + "calendar/"
		find     = access.CalendarFind
		book     = access.CalendarBook
		manage   = access.CalendarManage
	)
	quick, fair := 250*time.Millisecond, time.Second
	for _, r := range []struct {
		method, pattern, permission string
		latency                     time.Duration
		summary                     string
		handle                      func(w http.ResponseWriter, r *http.Request) error
	}{
		{"GET", fhir + "$find", find, fair, "Free times for a visit", b.handleFind},
		{"POST", fhir + "$find", find, fair, "Free times for a visit", b.handleFind},
		{"POST", fhir + "$hold", book, quick, "Hold a time", b.handleHold},
		{"POST", fhir + "$book", book, quick, "Book a visit", b.handleBook},
		{"POST", fhir + "$cancel", book, quick, "Cancel a visit, or let a hold go", b.handleCancel},
		{"POST", fhir + "$reschedule", book, quick, "Move a visit", b.handleReschedule},

		{"GET", calendar + "availability", find, fair, "Rules of who can be booked when", b.handleAvailabilities},
		{"GET", calendar + "availability/{id}", find, quick, "Rules of one schedule", b.handleAvailability},
		{"PUT", calendar + "availability/{id}", manage, quick, "Set the rules of a schedule", b.handlePutAvailability},
		{"DELETE", calendar + "availability/{id}", manage, quick, "End a schedule", b.handleDropAvailability},
		{"GET", calendar + "services", find, quick, "Services that can be booked", b.handleServices},
		{"PUT", calendar + "services/{id}", manage, quick, "Set a service and what must hold for it", b.handlePutService},
		{"DELETE", calendar + "services/{id}", manage, quick, "End a service", b.handleDropService},

		{"POST", calendar + "waitlist", book, quick, "Join the waitlist of a service", b.handleJoin},
		{"GET", calendar + "waitlist", find, quick, "Who waits for a service, in order", b.handleWaitlist},
		{"DELETE", calendar + "waitlist/{id}", book, quick, "Leave the waitlist", b.handleLeave},
		{"POST", calendar + "waitlist/{id}/decline", book, quick, "Decline an offer", b.handleDecline},

		{"GET", calendar + "lapses", manage, fair, "Booked visits that a rule no longer allows", b.handleLapses},
	} {
		m.Routes = append(m.Routes, module.Route{
			Method: r.method, Pattern: r.pattern, Target: module.API, Lane: module.Interactive, Permission: r.permission, BodyLimit: 1 << 20,
			Objective: module.Objective{Percentile: 0.95, Latency: r.latency}, Summary: r.summary, Handler: r.handle,
		})
	}
	for _, r := range []struct {
		pattern, summary string
		handle           func(w http.ResponseWriter, r *http.Request) error
	}{
		{"slots/$bulk-publish", "SMART Scheduling Links: what is published", b.handleManifest},
		{"slots/{file}", "SMART Scheduling Links: locations, schedules, free slots", b.handlePublished},
	} {
		m.Routes = append(m.Routes, module.Route{
			Method: "GET", Pattern: calendar + r.pattern, Target: module.API, Lane: module.Background, Public: true,
			Objective: module.Objective{Percentile: 0.95, Latency: fair}, Summary: r.summary, Handler: r.handle,
		})
	}
	return m
}
