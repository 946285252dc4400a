package sqlite

import (
	"context"
	"errors"
	"fmt"

	zombiezen "zombiezen.com/go/sqlite"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
)

// mapped is the fault for an error of SQLite. SQLite's messages name tables and columns, never values.
func mapped(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := fault.Of(err); ok {
		return err
	}
	switch code := zombiezen.ErrCode(err); code.ToPrimary() {
	case zombiezen.ResultConstraint:
		switch code { //nolint:exhaustive // the others are one case
		case zombiezen.ResultConstraintUnique, zombiezen.ResultConstraintPrimaryKey, zombiezen.ResultConstraintRowID:
			return db.Unique(err)
		}
		return fault.Internal("db: a row breaks a rule of its table").With(err)
	case zombiezen.ResultFull:
		return db.Full(err)
	case zombiezen.ResultInterrupt:
		if ended := db.Ended(ctx); ended != nil {
			return ended
		}
		return db.Unavailable(err)
	case zombiezen.ResultBusy, zombiezen.ResultLocked, zombiezen.ResultCantOpen, zombiezen.ResultIOErr, zombiezen.ResultNoMem:
		return db.Unavailable(err)
	case zombiezen.ResultCorrupt, zombiezen.ResultNotADB:
		return fault.Internal("db: a database file is damaged: restore it from a backup").With(err)
	case zombiezen.ResultTooBig:
		return fault.TooLarge("a value is larger than the database can store").With(err)
	default:
		return fault.Internal("db: the statement can't be run").With(err)
	}
}

// panicError carries a panic of a function from the writer's goroutine to its caller's.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string {
	return fmt.Sprintf("panic in the function of Write: %v\n%s", e.value, e.stack)
}

// rethrow panics again in the caller's goroutine.
func rethrow(err error) error {
	if p, ok := errors.AsType[*panicError](err); ok {
		panic(p)
	}
	return err
}
