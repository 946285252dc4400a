package sqlite

import (
	"time"
)

// wal is what a checkpoint says of the file's WAL, in pages.
type wal struct {
	busy   bool
	pages  int64 // written since its beginning
	copied int64 // of those, copied back into the file
}

// checkpoint runs a WAL checkpoint: NOOP (only looks), PASSIVE (waits for nobody), RESTART (waits for readers, so that the WAL starts
// again) or TRUNCATE (and cuts it).
func (c *conn) checkpoint(mode string) (w wal, err error) {
	st, err := c.prepare("PRAGMA wal_checkpoint(" + mode + ")")
	if err != nil {
		return w, err
	}
	defer st.rest()
	more, err := st.Step()
	if err != nil || !more {
		return w, err
	}
	return wal{busy: st.ColumnBool(0), pages: max(st.ColumnInt64(1), 0), copied: max(st.ColumnInt64(2), 0)}, nil
}

// watchWAL runs after each group, on the writer: it asks for a checkpoint when much waits to be copied.
func (f *file) watchWAL() {
	w, err := f.writer.checkpoint("NOOP")
	if err != nil {
		return
	}
	f.walPages.Store(w.pages)
	if w.pages-w.copied < int64(f.d.cfg.CheckpointPages) && w.pages < hardBound*int64(f.d.cfg.CheckpointPages) {
		return
	}
	if f.checkpointing.CompareAndSwap(false, true) {
		f.d.files.hold(f)
		f.d.upkeep.Go(func() {
			defer f.d.files.release(f)
			defer f.checkpointing.Store(false)
			f.d.oneCheckpoint.Lock()
			defer f.d.oneCheckpoint.Unlock()
			if err := f.copyBack(); err != nil {
				f.d.cfg.Log.Warn("sqlite: checkpoint failed; the WAL grows until one succeeds", "file", f.name, "error", err)
			}
		})
	}
}

// copyBack copies the WAL back while writes go on, then lets the writer copy the rest, which is short, so that its next commit
// begins the WAL anew.
func (f *file) copyBack() error {
	f.d.checkpoints.Add(1)
	if f.copier == nil {
		c, err := openConn(f.path, &f.d.cfg, false, 0, smallCache)
		if err != nil {
			return err
		}
		f.copier = c
	}
	if err := f.copier.script("PRAGMA query_only=off"); err != nil {
		return err
	}
	if _, err := f.copier.checkpoint("PASSIVE"); err != nil {
		return err
	}
	return f.between(func(w *conn) error {
		wait := readersWait
		if f.walPages.Load() >= hardBound*int64(f.d.cfg.CheckpointPages) {
			wait = hardBoundWait
		}
		w.c.SetBusyTimeout(wait)
		defer w.c.SetBusyTimeout(lockWait)
		s, err := w.checkpoint("RESTART")
		if s.busy && wait == hardBoundWait {
			f.d.cfg.Log.Warn("sqlite: a long read holds the WAL", "file", f.name, "pages", s.pages)
		}
		return err
	})
}

// between runs fn on the writer, between two groups.
func (f *file) between(fn func(w *conn) error) error {
	return f.submit(f.d.base, &job{between: fn})
}

// keepUp looks after the open files until the driver is closed.
func (d *driver) keepUp() {
	tick := time.NewTicker(upkeepEvery)
	defer tick.Stop()
	for {
		select {
		case <-d.stop:
			return
		case <-tick.C:
		}
		for _, f := range d.files.holdAll() {
			f.tidy(d.cfg.Clock.Now())
			d.files.release(f)
		}
	}
}

// tidy cuts the WAL of a file without writes and closes read connections without work.
func (f *file) tidy(now time.Time) {
	f.weigh()
	rest := idleWAL
	if f.frugal() && f.walPages.Load() < fewPages {
		rest = idleFew
	}
	if f.walPages.Load() > 0 && now.Sub(time.Unix(0, f.lastWrite.Load())) > rest {
		_ = f.between(func(w *conn) error {
			w.c.SetBusyTimeout(0)
			defer w.c.SetBusyTimeout(lockWait)
			s, err := w.checkpoint("TRUNCATE")
			if err == nil && !s.busy {
				f.walPages.Store(s.pages)
			}
			return nil
		})
	}
	rest = idleReader
	if f.frugal() {
		rest = idleSpare
	}
	f.closeIdle(now, rest)
}
