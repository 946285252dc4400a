package postgres

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
)

// policyOf is the condition of every tenant table: no tenant, no rows. The setting is read in a subquery because the
// planner would else look up, when it makes a generic plan, how many rows the tenant of that moment has: a plan made for a
// new tenant takes all of the tenant's rows for one and reads them all in a join, 1,000 times slower once there are many.
const policyOf = "tenant = (SELECT nullif(current_setting('ward.tenant', true), '')::int4)"

const declaration = "-- ward:tenant-table "

func (d *driver) MigrateSystem(ctx context.Context, line db.Line) error {
	return d.migrate(ctx, systemSide, []db.Line{line})
}

func (d *driver) RegisterTenant(line db.Line) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if slices.ContainsFunc(d.lines, func(l db.Line) bool { return l.Domain == line.Domain }) {
		return fault.Internal("postgres: migrations of %s are registered twice", line.Domain)
	}
	d.lines = append(d.lines, line)
	return nil
}

func (d *driver) MigrateTenants(ctx context.Context) error {
	d.mu.Lock()
	lines := slices.Clone(d.lines)
	d.mu.Unlock()
	return d.migrate(ctx, tenantSide, lines)
}

// migrate applies what is missing, each step in a transaction, one process at a time.
func (d *driver) migrate(ctx context.Context, s side, lines []db.Line) error {
	o, err := d.owner(ctx)
	if err != nil {
		return err
	}
	defer o.Close(d.base) //nolint:errcheck // the end of the session lets the lock go
	if pending, err := o.pending(ctx, s, lines); err != nil || pending == 0 {
		return err
	}
	if err := o.run(ctx, "SET lock_timeout = 0; SELECT pg_advisory_lock("+lockNumber+"); SET lock_timeout = 60000; SET search_path = "+s.schema); err != nil {
		return db.Unavailable(err)
	}
	applied, err := o.applied(ctx, s)
	if err != nil {
		return err
	}
	for _, line := range lines {
		steps, err := applied.Pending(line)
		if err != nil {
			return err
		}
		for _, step := range steps {
			if err := o.apply(ctx, s, line.Domain, step); err != nil {
				_ = o.run(d.base, "ROLLBACK")
				if code(err) == "53100" {
					return db.Full(err)
				}
				if _, ok := fault.Of(err); ok {
					return err
				}
				return fault.Internal("migration %s/%s can't be applied", line.Domain, step.Name).With(err)
			}
		}
	}
	return nil
}

// pending counts the steps that are missing.
func (o *owner) pending(ctx context.Context, s side, lines []db.Line) (int, error) {
	applied, err := o.applied(ctx, s)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, line := range lines {
		steps, err := applied.Pending(line)
		if err != nil {
			return 0, err
		}
		n += len(steps)
	}
	return n, nil
}

func (o *owner) applied(ctx context.Context, s side) (db.Applied, error) {
	rows, err := o.rows(ctx, "SELECT domain, sum FROM "+s.schema+".ward_migration ORDER BY domain, version")
	if err != nil {
		return nil, db.Unavailable(err)
	}
	applied := db.Applied{}
	for _, r := range rows {
		applied[r[0]] = append(applied[r[0]], r[1])
	}
	return applied, nil
}

// apply runs one step, secures the tables that it declares, and lets the application's role work with them.
func (o *owner) apply(ctx context.Context, s side, domain string, step db.Step) error {
	tables, err := declared(step.SQL)
	if err != nil {
		return err
	}
	if s == systemSide && len(tables) > 0 {
		return fault.Internal("migration %s/%s: the system database has no tenant tables", domain, step.Name)
	}
	if err := o.run(ctx, "BEGIN"); err != nil {
		return err
	}
	if err := o.run(ctx, step.SQL); err != nil {
		return err
	}
	for _, t := range tables {
		if err := o.run(ctx, "ALTER TABLE "+t+" ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; CREATE POLICY ward_tenant ON "+t+
			" USING ("+policyOf+") WITH CHECK ("+policyOf+"); GRANT SELECT, INSERT, UPDATE, DELETE ON "+t+" TO "+s.role); err != nil {
			return err
		}
	}
	if s == systemSide {
		if err := o.run(ctx, "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "+s.schema+" TO "+s.role+"; REVOKE ALL ON "+s.schema+".ward_migration FROM "+s.role); err != nil {
			return err
		}
	} else if err := o.secured(ctx, domain, step); err != nil {
		return err
	}
	if err := o.run(ctx, "GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA "+s.schema+" TO "+s.role); err != nil {
		return err
	}
	if _, err := o.rows(ctx, "INSERT INTO "+s.schema+".ward_migration (domain, version, name, sum) VALUES ($1, $2::int4, $3, $4)",
		domain, strconv.Itoa(step.Version), step.Name, step.Sum); err != nil {
		return err
	}
	return o.run(ctx, "COMMIT")
}

// declared are the tables that a step names as tenants'.
func declared(sql string) ([]string, error) {
	var tables []string
	for line := range strings.Lines(sql) {
		name, ok := strings.CutPrefix(strings.TrimSpace(line), declaration)
		if !ok {
			continue
		}
		name = strings.TrimSpace(name)
		if err := db.CheckName(name); err != nil {
			return nil, err
		}
		tables = append(tables, name)
	}
	return tables, nil
}

// secured refuses a step that leaves a table in the tenants' schema without what keeps tenants apart.
func (o *owner) secured(ctx context.Context, domain string, step db.Step) error {
	const open = `SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = 'ward' AND c.relkind IN ('r', 'p', 'f', 'm', 'v') AND c.relname <> 'ward_migration' AND NOT (
			c.relrowsecurity AND c.relforcerowsecurity
			AND EXISTS (SELECT 1 FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'ward_tenant')
			AND NOT EXISTS (SELECT 1 FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname <> 'ward_tenant')
			AND EXISTS (SELECT 1 FROM pg_attribute a JOIN pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
				WHERE a.attrelid = c.oid AND a.attname = 'tenant' AND a.atttypid = 'int4'::regtype AND a.attnotnull)
			AND NOT EXISTS (SELECT 1 FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
				WHERE i.indrelid = c.oid AND i.indisunique AND a.attname <> 'tenant'))
		ORDER BY 1`
	rows, err := o.rows(ctx, open)
	if err != nil {
		return err
	}
	if len(rows) > 0 {
		t := rows[0][0]
		return fault.Internal("migration %s/%s: table %s does not keep tenants apart: write %q in the file, and give the table the column "+
			"tenant int4 NOT NULL DEFAULT current_setting('ward.tenant')::int4, first in its primary key and in every unique index", domain, step.Name, t, declaration+t)
	}
	return nil
}
