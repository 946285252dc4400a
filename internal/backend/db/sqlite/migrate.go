package sqlite

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strconv"
	"sync"

	zombiezen "zombiezen.com/go/sqlite"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
)

// lines are the migrations that every tenant's file has.
type lines struct {
	mu     sync.Mutex
	tenant []db.Line
	mark   int64 // of the newest steps of all lines: the user_version of a file that is current; 0 when there are none
	used   bool  // a tenant's file has been opened
}

func (d *driver) RegisterTenant(line db.Line) error {
	l := &d.lines
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.used {
		return fault.Internal("sqlite: migrations of %s are registered after a tenant's database was opened", line.Domain)
	}
	if slices.ContainsFunc(l.tenant, func(t db.Line) bool { return t.Domain == line.Domain }) {
		return fault.Internal("sqlite: migrations of %s are registered twice", line.Domain)
	}
	l.tenant = append(l.tenant, line)
	slices.SortFunc(l.tenant, func(a, b db.Line) int {
		if a.Domain < b.Domain {
			return -1
		}
		return 1
	})
	h := sha256.New()
	for _, t := range l.tenant {
		for _, s := range t.Steps {
			h.Write([]byte(t.Domain + "/" + s.Name + ":" + s.Sum + "\n"))
		}
	}
	l.mark = int64(binary.BigEndian.Uint32(h.Sum(nil))&0x7fffffff) | 1
	return nil
}

func (d *driver) MigrateSystem(ctx context.Context, line db.Line) error {
	f, err := d.files.acquire(ctx, db.Place{System: true})
	if err != nil {
		return err
	}
	defer d.files.release(f)
	return f.submit(ctx, &job{between: func(w *conn) error { return migrate(w, []db.Line{line}, 0) }})
}

// MigrateTenants opens every tenant's file that there is, which brings it up to date.
func (d *driver) MigrateTenants(ctx context.Context) error {
	all, err := d.files.tenants()
	if err != nil {
		return db.Unavailable(err)
	}
	for _, at := range all {
		f, err := d.files.acquire(ctx, at)
		if err != nil {
			return err
		}
		d.files.release(f)
	}
	return nil
}

// migrateFile brings a file up to date as it is opened.
func (d *driver) migrateFile(w *conn, at db.Place) error {
	if at.System {
		return nil
	}
	l := &d.lines
	l.mu.Lock()
	l.used = true
	tenant, mark := l.tenant, l.mark
	l.mu.Unlock()
	current, err := w.number("PRAGMA user_version")
	if err != nil || current == mark {
		return err
	}
	return migrate(w, tenant, mark)
}

// migrate applies what is missing in one transaction: all or nothing. mark becomes the file's user_version.
func migrate(w *conn, all []db.Line, mark int64) (err error) {
	if err := w.script("BEGIN IMMEDIATE; CREATE TABLE IF NOT EXISTS ward_migration (domain TEXT NOT NULL, version INTEGER NOT NULL, name TEXT NOT NULL, sum TEXT NOT NULL, PRIMARY KEY (domain, version)) WITHOUT ROWID"); err != nil {
		return err
	}
	defer func() {
		if err != nil && !w.c.AutocommitEnabled() {
			_ = w.script("ROLLBACK")
		}
	}()
	applied, err := w.applied()
	if err != nil {
		return err
	}
	for _, line := range all {
		steps, err := applied.Pending(line)
		if err != nil {
			return err
		}
		for _, s := range steps {
			if err := w.script(s.SQL); err != nil {
				if code := zombiezen.ErrCode(err).ToPrimary(); code == zombiezen.ResultFull {
					return db.Full(err)
				}
				return fault.Internal("migration %s/%s can't be applied", line.Domain, s.Name).With(err)
			}
			if err := w.record(line.Domain, s); err != nil {
				return err
			}
		}
	}
	if mark != 0 {
		if err := w.script("PRAGMA user_version=" + strconv.FormatInt(mark, 10)); err != nil {
			return err
		}
	}
	return w.script("COMMIT")
}

func (c *conn) applied() (db.Applied, error) {
	st, err := c.prepare("SELECT domain, sum FROM ward_migration ORDER BY domain, version")
	if err != nil {
		return nil, err
	}
	defer st.rest()
	applied := db.Applied{}
	for {
		more, err := st.Step()
		if err != nil || !more {
			return applied, err
		}
		domain := st.ColumnText(0)
		applied[domain] = append(applied[domain], st.ColumnText(1))
	}
}

func (c *conn) record(domain string, s db.Step) error {
	st, err := c.prepare("INSERT INTO ward_migration (domain, version, name, sum) VALUES ($1, $2, $3, $4)")
	if err != nil {
		return err
	}
	defer st.rest()
	st.BindText(1, domain)
	st.BindInt64(2, int64(s.Version))
	st.BindText(3, s.Name)
	st.BindText(4, s.Sum)
	_, err = st.Step()
	return err
}

// number is the only number that a statement gives.
func (c *conn) number(sql string) (int64, error) {
	st, err := c.prepare(sql)
	if err != nil {
		return 0, err
	}
	defer st.rest()
	if _, err := st.Step(); err != nil {
		return 0, err
	}
	return st.ColumnInt64(0), nil
}
