package sqlite

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"ward/internal/backend/db"
)

const tenantFolder = "tenants"

// files are the open files, in the order of their last use.
type files struct {
	d      *driver
	mu     sync.Mutex
	open   map[db.Place]*file // also those being opened or closed
	count  int                // of those in the order
	newest *file
	oldest *file
	closed int64
}

func (s *files) init(d *driver) {
	s.d, s.open = d, map[db.Place]*file{}
}

func (f *file) folder() string { return filepath.Dir(f.path) }

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

func (d *driver) fileName(at db.Place) string {
	if at.System {
		return "system.db"
	}
	return filepath.Join(tenantFolder, strconv.Itoa(int(at.Tenant))+".db")
}

// acquire gives the file of a place, opened, until release.
func (s *files) acquire(ctx context.Context, at db.Place) (*file, error) {
	for {
		s.mu.Lock()
		f := s.open[at]
		switch {
		case f == nil:
			f = &file{d: s.d, at: at, name: s.d.fileName(at), refs: 1, ready: make(chan struct{}), gone: make(chan struct{})}
			f.path = filepath.Join(s.d.cfg.Dir, f.name)
			s.open[at] = f
			s.push(f)
			f.many.Store(s.count > s.d.cfg.Many)
			s.mu.Unlock()
			return s.opened(f)
		case f.closing:
			s.mu.Unlock()
			select {
			case <-f.gone:
			case <-ctx.Done():
				return nil, db.Ended(ctx)
			}
			continue
		}
		f.refs++
		if s.newest != f {
			s.drop(f)
			s.push(f)
			f.many.Store(s.count > s.d.cfg.Many)
		}
		s.mu.Unlock()
		select {
		case <-f.ready:
		case <-ctx.Done():
			s.release(f)
			return nil, db.Ended(ctx)
		}
		if f.err != nil {
			s.release(f)
			return nil, f.err
		}
		return f, nil
	}
}

// opened opens a file that acquire has added, and closes others when there are too many.
func (s *files) opened(f *file) (*file, error) {
	f.err = f.open()
	close(f.ready)
	if f.err == nil {
		s.makeRoom()
		return f, nil
	}
	s.mu.Lock()
	s.drop(f)
	delete(s.open, f.at)
	f.closing = true
	s.mu.Unlock()
	return nil, f.err
}

// hold keeps an acquired file open for one release more.
func (s *files) hold(f *file) {
	s.mu.Lock()
	f.refs++
	s.mu.Unlock()
}

// holdAll keeps all files open that are ready, without making them look used.
func (s *files) holdAll() []*file {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*file
	for _, f := range s.open {
		select {
		case <-f.ready:
			if !f.closing && f.err == nil {
				f.refs++
				all = append(all, f)
			}
		default:
		}
	}
	return all
}

func (s *files) release(f *file) {
	s.mu.Lock()
	f.refs--
	room := f.refs == 0 && s.count > s.d.cfg.MaxOpen
	s.mu.Unlock()
	if room {
		s.makeRoom()
	}
}

// makeRoom closes the files unused for longest until there are few enough. Those in use stay.
func (s *files) makeRoom() {
	s.mu.Lock()
	var out []*file
	for f := s.oldest; f != nil && s.count > s.d.cfg.MaxOpen; {
		next := f.newer
		if f.refs == 0 {
			f.closing = true
			s.drop(f)
			s.closed++
			out = append(out, f)
		}
		f = next
	}
	s.mu.Unlock()
	for _, f := range out {
		s.d.upkeep.Go(func() { s.finish(f) })
	}
}

// finish closes a file that is out of the order.
func (s *files) finish(f *file) {
	if err := f.close(); err != nil {
		s.d.cfg.Log.Error("sqlite: a file can't be closed", "file", f.name, "error", err)
	}
	s.mu.Lock()
	delete(s.open, f.at)
	s.mu.Unlock()
	close(f.gone)
}

// closeAll closes the files that nobody uses and says how many are left.
func (s *files) closeAll() int {
	s.mu.Lock()
	var out []*file
	left := 0
	for _, f := range s.open {
		switch {
		case f.closing:
		case f.refs > 0:
			left++
		default:
			f.closing = true
			s.drop(f)
			out = append(out, f)
		}
	}
	s.mu.Unlock()
	for _, f := range out {
		s.finish(f)
	}
	return left
}

// tenants are those that have a file.
func (s *files) tenants() ([]db.Place, error) {
	entries, err := os.ReadDir(filepath.Join(s.d.cfg.Dir, tenantFolder))
	if err != nil {
		return nil, err
	}
	var all []db.Place
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".db")
		if id, err := strconv.ParseInt(name, 10, 32); ok && err == nil && id > 0 {
			all = append(all, db.Place{Tenant: int32(id)})
		}
	}
	return all, nil
}

func (s *files) push(f *file) {
	f.older, f.newer = s.newest, nil
	if s.newest != nil {
		s.newest.newer = f
	} else {
		s.oldest = f
	}
	s.newest = f
	s.count++
}

func (s *files) drop(f *file) {
	if f.newer != nil {
		f.newer.older = f.older
	} else {
		s.newest = f.older
	}
	if f.older != nil {
		f.older.newer = f.newer
	} else {
		s.oldest = f.newer
	}
	f.newer, f.older = nil, nil
	s.count--
}
