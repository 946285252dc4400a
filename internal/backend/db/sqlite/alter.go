package sqlite

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
)

// Alter runs the script on the writer's connection, between two transactions.
func (d *driver) Alter(ctx context.Context, at db.Place, script string) error {
	f, err := d.files.acquire(ctx, at)
	if err != nil {
		return err
	}
	defer d.files.release(f)
	return f.submit(ctx, &job{between: func(w *conn) error {
		err := w.script("BEGIN IMMEDIATE; " + script + "; COMMIT")
		if err != nil && !w.c.AutocommitEnabled() {
			_ = w.script("ROLLBACK")
		}
		if err != nil {
			return fault.Internal("sqlite: the tables can't be altered").With(err)
		}
		return nil
	}})
}

// Discard removes the tenant's file. It returns Unavailable while somebody uses it.
func (d *driver) Discard(ctx context.Context, at db.Place) (bool, error) {
	f, err := d.files.acquire(ctx, at)
	if err != nil {
		return false, err
	}
	s := &d.files
	s.mu.Lock()
	if f.refs > 1 || f.closing {
		f.refs--
		s.mu.Unlock()
		return false, fault.Unavailable("sqlite: the file is still in use").Retry(db.RetryAfter)
	}
	f.closing = true
	f.refs = 0
	s.drop(f)
	s.mu.Unlock()
	err = f.close()
	for _, end := range []string{"", "-wal", "-shm"} {
		if e := os.Remove(f.path + end); e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	err = errors.Join(err, syncFolder(f.folder()))
	s.mu.Lock()
	delete(s.open, f.at)
	s.mu.Unlock()
	close(f.gone)
	if err != nil {
		return false, fault.Internal("sqlite: the file %s can't be removed", f.name).With(err)
	}
	return true, nil
}
