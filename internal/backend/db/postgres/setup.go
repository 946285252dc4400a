package postgres

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
)

// side is one of the two halves of the database: a schema, and the only role that works in it.
type side struct{ schema, role string }

var (
	tenantSide = side{schema: "ward", role: "ward_app"}      //nolint:gochecknoglobals // a constant
	systemSide = side{schema: "system", role: "ward_system"} //nolint:gochecknoglobals // a constant
)

// lockNumber is the advisory lock of those who set up or migrate.
const lockNumber = "7237469"

// owner is a connection as the owner of the tables, for setting up and migrating.
type owner struct{ *pgconn.PgConn }

func (d *driver) owner(ctx context.Context) (*owner, error) {
	config, err := parse(d.cfg.OwnerURL, "owner's URL")
	if err != nil {
		return nil, err
	}
	config.RuntimeParams["application_name"] = "ward migrate"
	config.RuntimeParams["client_encoding"] = "UTF8"
	config.RuntimeParams["lock_timeout"] = "60000"
	ctx, cancel := context.WithTimeout(ctx, d.cfg.ConnectTimeout)
	defer cancel()
	pg, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fault.Unavailable("the database is not available").With(redacted(err)).Retry(db.RetryAfter)
	}
	return &owner{pg}, nil
}

// run runs a script.
func (o *owner) run(ctx context.Context, sql string) error {
	_, err := o.Exec(ctx, sql).ReadAll()
	return ownerError(err)
}

// rows runs a query and gives its rows as text.
func (o *owner) rows(ctx context.Context, sql string, args ...string) ([][]string, error) {
	params := make([][]byte, len(args))
	for i, a := range args {
		params[i] = []byte(a)
	}
	res := o.ExecParams(ctx, sql, params, nil, nil, nil).Read()
	if res.Err != nil {
		return nil, ownerError(res.Err)
	}
	var out [][]string
	for _, r := range res.Rows {
		row := make([]string, len(r))
		for i, v := range r {
			row[i] = string(v)
		}
		out = append(out, row)
	}
	return out, nil
}

// ownerError keeps the message: nothing that the owner runs has patients' values in it.
func ownerError(err error) error {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return errors.Join(&serverError{code: pg.Code, table: pg.TableName, constraint: pg.ConstraintName, routine: pg.Routine}, errors.New(pg.Message))
	}
	return err
}

func code(err error) string {
	if se, ok := errors.AsType[*serverError](err); ok {
		return se.code
	}
	return ""
}

// prepare makes the roles and the schemas that are missing.
func (d *driver) prepare(ctx context.Context) error {
	login, err := parse(d.cfg.URL, "URL")
	if err != nil {
		return err
	}
	o, err := d.owner(ctx)
	if err != nil {
		return err
	}
	defer o.Close(d.base) //nolint:errcheck // nothing is lost
	for try := 1; ; try++ {
		err := o.setUp(ctx, login.User)
		if err == nil {
			return nil
		}
		// Roles belong to the whole server: others may make them at this moment, for another database.
		if c := code(err); try < 10 && (c == "XX000" || c == "42710" || c == "23505" || c == "40001" || c == "40P01") {
			timer := time.NewTimer(10*time.Millisecond + rand.N(50*time.Millisecond)) //nolint:gosec // not a secret
			select {
			case <-timer.C:
				continue
			case <-ctx.Done():
				timer.Stop()
			}
		}
		return fault.Internal("postgres: the roles ward_app and ward_system can't be made: let an administrator run CREATE ROLE ward_app NOLOGIN; "+
			"CREATE ROLE ward_system NOLOGIN; GRANT ward_app, ward_system TO %s; and give the owner CREATE on the database", login.User).With(err)
	}
}

func (o *owner) setUp(ctx context.Context, login string) error {
	for _, s := range []side{tenantSide, systemSide} {
		known, err := o.rows(ctx, "SELECT pg_has_role($1, oid, 'MEMBER') FROM pg_roles WHERE rolname = $2", login, s.role)
		if err != nil {
			return err
		}
		if len(known) == 0 {
			if err := o.run(ctx, "CREATE ROLE "+s.role+" NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE"); err != nil {
				return err
			}
			known = [][]string{{"f"}}
		}
		if known[0][0] != "t" {
			if err := o.run(ctx, "GRANT "+s.role+" TO "+quoted(login)); err != nil {
				return err
			}
		}
		there, err := o.rows(ctx, "SELECT to_regclass($1) IS NOT NULL", s.schema+".ward_migration")
		if err != nil {
			return err
		}
		if there[0][0] == "t" {
			continue
		}
		err = o.run(ctx, "BEGIN; SELECT pg_advisory_xact_lock("+lockNumber+"); CREATE SCHEMA IF NOT EXISTS "+s.schema+"; GRANT USAGE ON SCHEMA "+s.schema+" TO "+s.role+
			"; CREATE TABLE IF NOT EXISTS "+s.schema+".ward_migration (domain text NOT NULL, version int4 NOT NULL, name text NOT NULL, sum text NOT NULL, "+
			"applied timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (domain, version)); COMMIT")
		if err != nil {
			_ = o.run(ctx, "ROLLBACK")
			return err
		}
	}
	return nil
}

// verify refuses an application role that row-level security would not hold.
func (d *driver) verify(ctx context.Context) error {
	const facts = `SELECT current_user, r.rolsuper OR r.rolbypassrls,
		EXISTS (SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE n.nspname IN ('ward', 'system') AND c.relkind IN ('r', 'p') AND pg_has_role(current_user, c.relowner, 'MEMBER')),
		current_setting('server_version_num')::int4
		FROM pg_roles r WHERE r.rolname = current_user`
	for _, part := range []struct {
		at db.Place
		s  side
	}{{db.Place{Tenant: 1}, tenantSide}, {db.Place{System: true}, systemSide}} {
		err := d.Read(ctx, part.at, func(ctx context.Context, q db.Querier) error {
			return q.Query(ctx, facts, func(r db.Row) error {
				switch {
				case r.Text(0) != part.s.role:
					return fault.Internal("postgres: the application works as the role %s instead of %s", r.Text(0), part.s.role)
				case r.Bool(1):
					return fault.Internal("postgres: the role %s is a superuser or bypasses row-level security, so tenants could see each other: run ALTER ROLE %s NOSUPERUSER NOBYPASSRLS", part.s.role, part.s.role)
				case r.Bool(2):
					return fault.Internal("postgres: the role %s owns Ward's tables, or is a member of the role that does, so it could switch row-level security off: let another role own them", part.s.role)
				case r.Int64(3) < 150000:
					return fault.Internal("postgres: the server has version %d, 15 or later is needed", r.Int64(3)/10000)
				}
				return nil
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}
