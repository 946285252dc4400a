package db

import (
	"context"
	"errors"
	"time"

	"ward/internal/base/fault"
)

// ErrUnique is in the chain of the Conflict that a second row with the same unique key is.
var ErrUnique = errors.New("db: there is already a row with this key")

// RetryAfter is what Unavailable errors of this package ask callers to wait.
const RetryAfter = 2 * time.Second

// Ended is the fault for a context that has ended, nil when it has not.
func Ended(ctx context.Context) error {
	err := ctx.Err()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return fault.Timeout("the database did not answer in time").With(err)
	default:
		return fault.Canceled("the work was given up").With(err)
	}
}

// Unavailable is the fault for a database that can't be reached.
func Unavailable(cause error) error {
	return fault.Unavailable("the database is not available").With(cause).Retry(RetryAfter)
}

// Unique is the fault for a row that is already there.
func Unique(cause error) error {
	return fault.Conflict("it is already there").With(errors.Join(ErrUnique, cause))
}

// Full is the fault for a disk without room.
func Full(cause error) error {
	return fault.Full("there is no room left to store it").With(cause)
}
