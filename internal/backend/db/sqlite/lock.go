package sqlite

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"ward/internal/base/fault"
)

// lockFolder takes the folder for this process. The system gives the lock back when the process ends, however it ends.
func lockFolder(dir string) (*os.File, error) {
	name := filepath.Join(dir, "ward.lock")
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fault.Internal("sqlite: %s can't be opened: choose a folder that this user may write to", name).With(err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fault.Unavailable("sqlite: another Ward uses the folder %s: stop it, or choose another folder", dir).With(err)
		}
		return nil, fault.Internal("sqlite: %s can't be locked", name).With(err)
	}
	return f, nil
}

// syncFolder makes the names of new files durable.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
