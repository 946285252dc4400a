package tiers

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"ward/internal/base/fault"
	"ward/internal/kernel/tenancy"
)

// The kinds of long work.
const (
	MoveJob   = "move"
	ExportJob = "export"
	ImportJob = "import"
)

// Order is a long work that somebody asks for.
type Order struct {
	Kind   string
	Tenant string // for an import, the new slug; "" is the archive's
	Place  Place  // to move to, or to import into
	Path   string // of the archive

	Recipients []string // age public keys, of an export
	Identities string   // text of an age key file, of an import
	Passphrase string
}

// Job is a long work in this process.
type Job struct {
	Name     string // by which it is asked for: the tenant's slug, or the archive's path of an import
	Kind     string
	Progress Progress
	Started  time.Time
	Ended    time.Time // zero while it is under way
	Failure  string    // why it failed; "" when it did not
	Code     fault.Code
	Tenant   string          // slug that an import made
	Result   json.RawMessage // a Report, or Totals
}

// Totals are what an archive holds.
type Totals struct {
	Rows  int64
	Blobs int
	Bytes int64 // of the archive; 0 when it is not known
}

// Err is the fault that the work failed with, nil when it did not.
func (j Job) Err() error {
	if j.Failure == "" {
		return nil
	}
	return fault.New(j.Code, "%s", j.Failure)
}

type job struct {
	Job

	cancel context.CancelFunc
}

// Start begins a long work, which goes on after ctx has ended. It gives the name under which [Service.Job] knows it. It returns fault.Conflict when there is one under
// way of the same name.
func (s *Service) Start(ctx context.Context, o Order) (name string, err error) {
	name = o.Tenant
	if o.Kind == ImportJob {
		name = "import " + o.Path
	}
	do, err := s.task(o)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	j := &job{Job: Job{Name: name, Kind: o.Kind, Started: s.deps.Clock.Now()}, cancel: cancel}
	s.mu.Lock()
	defer s.mu.Unlock()
	if was := s.jobs[name]; was != nil && was.Ended.IsZero() {
		cancel()
		return "", fault.Conflict("there is work under way on %s already", name)
	}
	s.jobs[name] = j
	s.work.Go(func() {
		defer cancel()
		result, err := do(ctx, j)
		s.mu.Lock()
		defer s.mu.Unlock()
		j.Ended = s.deps.Clock.Now()
		if err != nil {
			j.Failure, j.Code = told(err), fault.CodeOf(err)
			s.deps.Log.WarnContext(ctx, "work on a tenant failed", slog.String("kind", o.Kind), slog.Any("error", err))
			return
		}
		j.Result, _ = json.Marshal(result) //nolint:errchkjson // plain values
	})
	return name, nil
}

// told is what operators may read: also of internal faults, which are about tables and never about their content.
func told(err error) string {
	if f, ok := fault.Of(err); ok {
		return f.Message
	}
	return "internal error"
}

func (s *Service) task(o Order) (func(ctx context.Context, j *job) (any, error), error) {
	progress := func(j *job) func(Progress) {
		return func(p Progress) {
			s.mu.Lock()
			j.Progress = p
			s.mu.Unlock()
		}
	}
	switch o.Kind {
	case MoveJob:
		return func(ctx context.Context, j *job) (any, error) { return s.Move(ctx, o.Tenant, o.Place, progress(j)) }, nil
	case ExportJob:
		to, err := Recipients(o.Recipients, o.Passphrase)
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context, j *job) (any, error) {
			return writeArchive(o.Path, func(f *os.File) (Manifest, error) { return s.Export(ctx, o.Tenant, f, to, progress(j)) })
		}, nil
	case ImportJob:
		by, err := Identities(o.Identities, o.Passphrase)
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context, j *job) (any, error) {
			f, err := os.Open(o.Path)
			if err != nil {
				return nil, fault.Invalid("the archive %s can't be opened", o.Path).With(err)
			}
			t, m, err := s.Import(ctx, f, by, Admission{Slug: o.Tenant, Tier: o.Place.Tier, Home: o.Place.Home}, progress(j))
			s.mu.Lock()
			j.Tenant = t.Slug
			s.mu.Unlock()
			return Totals{Rows: m.Rows(), Blobs: m.Blobs()}, errors.Join(err, f.Close())
		}, nil
	default:
		return nil, fault.Invalid("there is no work of the kind %q", o.Kind)
	}
}

// writeArchive writes a file that is there whole or not at all, readable by its owner alone.
func writeArchive(path string, write func(f *os.File) (Manifest, error)) (t Totals, err error) {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return t, fault.Conflict("the file %s is there already", path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".ward-archive-*")
	if err != nil {
		return t, fault.Invalid("the archive can't be written to %s", filepath.Dir(path)).With(err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	m, err := write(f)
	if err == nil {
		err = f.Sync()
	}
	if info, look := f.Stat(); look == nil {
		t = Totals{Rows: m.Rows(), Blobs: m.Blobs(), Bytes: info.Size()}
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return t, err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return t, fault.Internal("the archive %s can't be put in its place", path).With(err)
	}
	return t, nil
}

// Job is the last work of a name. It returns fault.NotFound when there was none in this process.
func (s *Service) Job(name string) (Job, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.jobs[name]
	if j == nil {
		return Job{}, fault.NotFound("there was no work on %s since this process started", name)
	}
	return j.Job, nil
}

// Cancel asks the work of a name to end; it is undone.
func (s *Service) Cancel(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if j := s.jobs[name]; j != nil {
		j.cancel()
	}
}

// stopJobs ends all work, and waits for it.
func (s *Service) stopJobs() {
	s.mu.Lock()
	for _, j := range s.jobs {
		j.cancel()
	}
	s.mu.Unlock()
	s.work.Wait()
}

// Standing is a tenant and the work on it.
type Standing struct {
	Tenant tenancy.Tenant
	Job    *Job // nil when there was none in this process
}

// Show is a tenant and the work on it. It returns fault.NotFound for a slug that no tenant has.
func (s *Service) Show(ctx context.Context, slug string) (Standing, error) {
	t, err := s.deps.Directory.Get(ctx, slug)
	if err != nil {
		return Standing{}, err
	}
	st := Standing{Tenant: t}
	if j, err := s.Job(slug); err == nil {
		st.Job = &j
	}
	return st, nil
}
