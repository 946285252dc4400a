package audit

import (
	"embed"
	"io/fs"
	"time"

	"ward/internal/kernel/access"
	"ward/internal/kernel/module"
)

//go:embed migrations/*.sql
var migrations embed.FS

//go:embed system/*.sql
var systemMigrations embed.FS

func sub(files embed.FS, folder string) fs.FS {
	f, err := fs.Sub(files, folder)
	if err != nil {
		panic(err) // the folder is embedded
	}
	return f
}

// Module is the log's tables, what writes them, and the routes that read them.
func (l *Log) Module() module.Module {
	route := func(path, permission, summary string, lane module.Lane, latency time.Duration, h handler) module.Route {
		return module.Route{
			Method: "GET", Pattern: module.TenantPrefix + "audit/" + path, Target: module.API, Lane: lane, Permission: permission,
			Objective: module.Objective{Percentile: 0.95, Latency: latency}, Summary: summary, Handler: h,
		}
	}
	return module.Module{
		Name: "audit", Migrations: sub(migrations, "migrations"), SystemMigrations: sub(systemMigrations, "system"),
		Runners: []module.Runner{
			{Name: "audit-write", Target: module.All, Run: l.Write},
			{Name: "audit-checkpoints", Target: module.Worker, Run: l.Checkpoints},
		},
		Routes: []module.Route{
			route("events", access.AuditRead, "Audit events by patient, user, time", module.Interactive, time.Second, l.handleEvents),
			route("mine", access.AuditOwn, "Who looked at me", module.Interactive, time.Second, l.handleMine),
			route("export", access.AuditRead, "Audit events as NDJSON", module.Background, time.Minute, l.handleExport),
		},
	}
}
