package postgres

import (
	"context"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
)

// alterWait is how long a change of a table waits for the transactions that use it, in ms: those that come meanwhile wait behind it.
const alterWait = "1500"

// Alter runs the script as the owner, in the schema of the place.
func (d *driver) Alter(ctx context.Context, at db.Place, script string) error {
	s := tenantSide
	if at.System {
		s = systemSide
	}
	o, err := d.owner(ctx)
	if err != nil {
		return err
	}
	defer o.Close(d.base) //nolint:errcheck // nothing is lost
	err = o.run(ctx, "BEGIN; SET LOCAL lock_timeout = "+alterWait+"; SET LOCAL search_path = "+s.schema+"; "+script+"; COMMIT")
	switch code(err) {
	case "":
	case "55P03", "40P01", "40001":
		return db.Unavailable(err)
	default:
		return fault.Internal("postgres: the tables can't be altered").With(err)
	}
	if err != nil {
		return db.Unavailable(err)
	}
	return nil
}

// Discard has nothing of its own to remove: the tables are shared.
func (d *driver) Discard(context.Context, db.Place) (bool, error) { return false, nil }
