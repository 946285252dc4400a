package people

import (
	"embed"
	"io/fs"

	"ward/internal/kernel/module"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations are the tables of the accounts.
func Migrations() fs.FS {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return files
}

// Module is the accounts' tables and what goes on behind the scenes.
func (s *Sessions) Module() module.Module {
	return module.Module{Name: "people", Migrations: Migrations(), Runners: []module.Runner{{Name: "identity-sessions", Target: module.All, Run: s.Run}}}
}
