package postgres

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
)

// serverError is what is kept of PostgreSQL's error: names, never its message or detail, which may quote values.
type serverError struct {
	code, table, constraint, routine string
	fatal                            bool
	position                         int32
}

func (e *serverError) Error() string {
	var b strings.Builder
	b.WriteString("postgres: SQLSTATE " + e.code)
	for _, part := range [][2]string{{" table ", e.table}, {" constraint ", e.constraint}, {" in ", e.routine}} {
		if part[1] != "" {
			b.WriteString(part[0] + part[1])
		}
	}
	return b.String()
}

func newServerError(m *pgproto3.ErrorResponse) *serverError {
	return &serverError{
		code: m.Code, table: m.TableName, constraint: m.ConstraintName, routine: m.Routine, position: m.Position,
		fatal: m.SeverityUnlocalized == "FATAL" || m.SeverityUnlocalized == "PANIC" || m.Severity == "FATAL",
	}
}

// lostError is a connection that broke.
type lostError struct{ cause error }

func (e *lostError) Error() string { return "postgres: the connection was lost: " + e.cause.Error() }
func (e *lostError) Unwrap() error { return e.cause }

func isLost(err error) bool {
	if _, ok := errors.AsType[*lostError](err); ok {
		return true
	}
	var se *serverError
	return errors.As(err, &se) && (se.fatal || strings.HasPrefix(se.code, "08") || strings.HasPrefix(se.code, "57P"))
}

// again says whether a transaction that failed so may succeed when it is run again.
func again(err error) bool {
	var se *serverError
	if !errors.As(err, &se) {
		return false
	}
	switch se.code {
	case "40001", "40P01": // serialisation failure, deadlock
		return true
	}
	return stale(err)
}

// stale says whether a prepared statement is older than its tables.
func stale(err error) bool {
	var se *serverError
	return errors.As(err, &se) && (se.code == "0A000" && se.routine == "RevalidateCachedQuery" || se.code == "26000")
}

// mapped is the fault for an error of the server or the connection. writing is true in a Write.
func mapped(ctx context.Context, err error, writing bool) error {
	if err == nil {
		return nil
	}
	if _, ok := fault.Of(err); ok {
		return err
	}
	if ended := db.Ended(ctx); ended != nil {
		return ended
	}
	if isLost(err) {
		return db.Unavailable(err)
	}
	var se *serverError
	if !errors.As(err, &se) {
		return db.Unavailable(err)
	}
	switch se.code {
	case "23505":
		return db.Unique(err)
	case "53100":
		return db.Full(err)
	case "57014": // cancelled: statement_timeout, as our context has not ended
		return fault.Timeout("the database did not answer in time").With(err)
	case "22021", "22P05":
		return fault.Invalid("a text has a character that can't be stored").With(err)
	case "54000", "54023":
		return fault.TooLarge("more than the database can take at once").With(err)
	case "WM001": // raised by the trigger that notes changes of a tenant which is being moved
		return fault.Unavailable("the tenant is being moved").With(errors.Join(db.ErrMoved, err)).Retry(db.RetryAfter)
	case "25006":
		if writing { // a standby after a failover
			return db.Unavailable(err)
		}
	case "40001", "40P01", "55P03":
		return db.Unavailable(err)
	}
	switch se.code[:2] {
	case "23":
		return fault.Internal("db: a row breaks a rule of its table").With(err)
	case "53": // out of memory, too many connections
		return db.Unavailable(err)
	}
	return fault.Internal("db: the statement can't be run").With(err)
}
