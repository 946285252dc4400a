package db

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"ward/internal/base/fault"
)

// Line is the migrations of one domain, oldest first: versions 1, 2, 3, ... without a gap.
type Line struct {
	Domain string
	Steps  []Step
}

// Step is one migration. It is never changed after it was applied anywhere.
type Step struct {
	Version int
	Name    string // such as "0001_records"
	SQL     string
	Sum     string // of SQL, to see that an applied step was changed
}

// Migrate brings the domain's tables in the system database up to date. files are NNNN_name.sql, from 0001 without a gap, at the
// root or in the only folder; NNNN_name.postgres.sql or NNNN_name.sqlite.sql is used instead where it is there. Several processes may do it at once.
func (d *DB) Migrate(ctx context.Context, domain string, files fs.FS) error {
	line, err := ParseLine(d.Dialect(), domain, files)
	if err != nil {
		return err
	}
	return d.driver.MigrateSystem(ctx, line)
}

// RegisterTenant adds the domain's tables to those that every tenant's database has, with files as for [DB.Migrate]. It is called before the first tenant's
// work and before [DB.MigrateTenants]. On SQLite a tenant's file is brought up to date when it is opened.
func (d *DB) RegisterTenant(domain string, files fs.FS) error {
	if r, ok := d.driver.(*Router); ok {
		return r.register(domain, files)
	}
	line, err := ParseLine(d.Dialect(), domain, files)
	if err != nil {
		return err
	}
	return d.driver.RegisterTenant(line)
}

// MigrateTenants brings every tenant's database up to date with the registered lines: the one schema on PostgreSQL, every file that exists on
// SQLite. Several processes may do it at once.
func (d *DB) MigrateTenants(ctx context.Context) error { return d.driver.MigrateTenants(ctx) }

// ParseLine reads a domain's migrations for a dialect.
func ParseLine(dialect Dialect, domain string, files fs.FS) (Line, error) {
	line := Line{Domain: domain}
	if err := CheckName(domain); err != nil {
		return line, err
	}
	texts := map[string]string{} // name without endings → file
	err := fs.WalkDir(files, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || path.Ext(name) != ".sql" {
			return err
		}
		base := strings.TrimSuffix(path.Base(name), ".sql")
		plain, only, special := strings.Cut(base, ".")
		switch {
		case special && only != SQLite && only != PostgreSQL:
			return fault.Internal("migration %s/%s: %q is no dialect: use .sqlite.sql or .postgres.sql", domain, name, only)
		case special && only == dialect.Name, !special && texts[plain] == "":
			texts[plain] = name
		}
		return nil
	})
	if err != nil {
		return line, fault.Internal("migrations of %s can't be read", domain).With(err)
	}
	for plain, file := range texts {
		number, _, ok := strings.Cut(plain, "_")
		version, err := strconv.Atoi(number)
		if !ok || err != nil || len(number) != 4 || version < 1 {
			return line, fault.Internal("migration %s/%s: a file is named NNNN_name.sql, such as 0001_%s.sql", domain, file, domain)
		}
		text, err := fs.ReadFile(files, file)
		if err != nil {
			return line, fault.Internal("migration %s/%s can't be read", domain, file).With(err)
		}
		sum := sha256.Sum256(text)
		line.Steps = append(line.Steps, Step{Version: version, Name: plain, SQL: string(text), Sum: hex.EncodeToString(sum[:12])})
	}
	slices.SortFunc(line.Steps, func(a, b Step) int { return a.Version - b.Version })
	for i, s := range line.Steps {
		if s.Version != i+1 {
			return line, fault.Internal("migrations of %s: %s is number %d, but number %d is missing or there twice", domain, s.Name, s.Version, i+1)
		}
	}
	return line, nil
}

// Applied is what a database says was done to it: for each domain, the sums of its steps from version 1 on.
type Applied map[string][]string

// Pending is the steps of line that are not applied yet. It refuses a database that is newer than the line, and one where an
// applied step differs from the line's.
func (a Applied) Pending(line Line) ([]Step, error) {
	done := a[line.Domain]
	if len(done) > len(line.Steps) {
		return nil, fault.Internal("the database is newer than this Ward: %s is at %d, this Ward knows %d: run the newer version", line.Domain, len(done), len(line.Steps))
	}
	for i, sum := range done {
		if line.Steps[i].Sum != sum {
			return nil, fault.Internal("migration %s/%s was changed after it was applied: restore its text and add a new step", line.Domain, line.Steps[i].Name)
		}
	}
	return line.Steps[len(done):], nil
}
