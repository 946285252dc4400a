package app

import (
	"context"
	"errors"
	"io"
	"runtime"
	"sync"
	"sync/atomic"

	"ward/internal/base/fault"
	"ward/internal/format/archive"
	"ward/internal/format/fhir"
	"ward/internal/format/jsontape"
	"ward/internal/kernel/journal"
)

// importTarget stores documents and remembers which it has: the records of this process, or those of a running one.
type importTarget interface {
	bundle(ctx context.Context, body []byte) (imported, error)
	resources(ctx context.Context, bodies [][]byte) (imported, error)
	done(h journal.Hash) bool
	mark(ctx context.Context, h journal.Hash) error
	flush(ctx context.Context) error
}

// imported is what became of a chunk.
type imported struct {
	Created   int            `json:"created"`
	Updated   int            `json:"updated"`
	Unchanged int            `json:"unchanged"`
	Refused   []refusedEntry `json:"refused,omitempty"`
}

type refusedEntry struct {
	Index int         `json:"index"`
	Type  string      `json:"type,omitempty"`
	Fault *wireFailed `json:"fault"`
}

// ImportRefusal is one line of the report of what was refused.
type ImportRefusal struct {
	File    string         `json:"file"`
	Line    int            `json:"line"`
	Entry   *int           `json:"entry,omitempty"` // of the bundle, from 0
	Type    string         `json:"type,omitempty"`
	Code    string         `json:"code"`
	Message string         `json:"message"`
	Details []fault.Detail `json:"details,omitempty"`
}

// ImportReport counts resources, except Skipped.
type ImportReport struct {
	Created, Updated, Unchanged, Refused int
	Skipped                              int // chunks that an earlier import did
}

// Resources is how many there are in the store because of the import, or were there already.
func (r ImportReport) Resources() int { return r.Created + r.Updated + r.Unchanged }

// ImportOptions are how an import reports. Its functions are called by one goroutine at a time.
type ImportOptions struct {
	Progress func(read int64, r ImportReport) // bytes read of the sources
	Refused  func(ImportRefusal) error
}

const (
	chunkResources = 500
	chunkBytes     = 4 << 20
	// bundlesKept bounds the memory of bundles that are tried again at the end, when what they refer to is there.
	bundlesKept = 64 << 20
)

// chunk is a bundle, or some resources of one file.
type chunk struct {
	file   string
	lines  []int
	bodies [][]byte
	bundle bool
	again  bool // the last try
	hash   journal.Hash
}

// importer is one import under way.
type importer struct {
	target  importTarget
	options ImportOptions
	read    atomic.Int64

	mu     sync.Mutex
	report ImportReport
	failed error
	later  []chunk
	kept   int
}

// runImport stores everything that the sources hold. What is wrong with a document goes to the report and the import goes on; it stops
// when the store can't go on, and may then be started again: what was done is skipped.
func runImport(ctx context.Context, target importTarget, sources []ImportSource, o ImportOptions) (ImportReport, error) {
	m := &importer{target: target, options: o}
	err := m.pass(ctx, func(give func(chunk) error) error {
		for _, s := range sources {
			if err := m.source(s, give); err != nil {
				return err
			}
		}
		return nil
	})
	if again := m.later; err == nil && len(again) > 0 {
		m.later = nil
		err = m.pass(ctx, func(give func(chunk) error) error {
			for _, c := range again {
				c.again = true
				if err := give(c); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err = errors.Join(err, target.flush(context.WithoutCancel(ctx)))
	m.progress()
	return m.report, err
}

// pass gives chunks to the workers and waits for them.
func (m *importer) pass(ctx context.Context, feed func(give func(chunk) error) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	chunks := make(chan chunk)
	var wait sync.WaitGroup
	for range 2 * runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for c := range chunks {
				if err := m.store(ctx, c); err != nil {
					m.mu.Lock()
					m.failed = cmpError(m.failed, err)
					m.mu.Unlock()
					cancel()
				}
			}
		})
	}
	err := feed(func(c chunk) error {
		select {
		case chunks <- c:
			return nil
		case <-ctx.Done():
			return errStopped
		}
	})
	close(chunks)
	wait.Wait()
	if m.failed != nil {
		return m.failed
	}
	if errors.Is(err, errStopped) {
		return ctx.Err()
	}
	return err
}

func cmpError(first, second error) error {
	if first != nil {
		return first
	}
	return second
}

// source cuts one file into chunks. What can't be read to its end is refused from there on.
func (m *importer) source(s ImportSource, give func(chunk) error) error {
	in, err := s.Open()
	if err != nil {
		return m.refuse(ImportRefusal{File: s.Name}, err)
	}
	defer in.Close()
	var open chunk
	size := 0
	flush := func() error {
		if len(open.bodies) == 0 {
			return nil
		}
		open.hash = journal.HashOf(open.bodies...)
		c := open
		open, size = chunk{}, 0
		return give(c)
	}
	var doc jsontape.Doc
	var stopped error
	err = archive.Walk(s.Name, &counting{in, &m.read}, archive.Options{}, func(d archive.Document) error {
		if typ, err := fhir.Parse(&doc, d.Body); err == nil && typ == "Bundle" {
			if stopped = flush(); stopped == nil {
				stopped = give(chunk{file: d.Name, lines: []int{d.Line}, bodies: [][]byte{d.Body}, bundle: true, hash: journal.HashOf(d.Body)})
			}
			return stopped
		}
		if open.file != d.Name {
			if stopped = flush(); stopped != nil {
				return stopped
			}
			open.file = d.Name
		}
		open.lines, open.bodies = append(open.lines, d.Line), append(open.bodies, d.Body)
		if size += len(d.Body); size >= chunkBytes || len(open.bodies) >= chunkResources {
			stopped = flush()
		}
		return stopped
	})
	if stopped != nil {
		return stopped
	}
	if flushed := flush(); flushed != nil {
		return flushed
	}
	if err != nil {
		return m.refuse(ImportRefusal{File: s.Name}, err)
	}
	return nil
}

type counting struct {
	io.Reader
	n *atomic.Int64
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// store does one chunk. It returns an error only when there is no use in going on.
func (m *importer) store(ctx context.Context, c chunk) error {
	if m.target.done(c.hash) {
		m.add(imported{}, 1)
		return nil
	}
	var got imported
	var err error
	if c.bundle {
		got, err = m.target.bundle(ctx, c.bodies[0])
	} else {
		got, err = m.target.resources(ctx, c.bodies)
	}
	if err != nil {
		if !c.bundle || hopeless(err) {
			return err
		}
		if !c.again && m.keep(c) {
			return nil
		}
		return m.refuse(ImportRefusal{File: c.file, Line: c.lines[0], Type: "Bundle"}, err)
	}
	m.add(got, 0)
	for _, r := range got.Refused {
		line := ImportRefusal{File: c.file, Line: c.lines[0], Type: r.Type}
		if c.bundle {
			line.Entry = &r.Index
		} else if r.Index < len(c.lines) {
			line.Line = c.lines[r.Index]
		}
		if err := m.refuse(line, r.Fault.fault()); err != nil {
			return err
		}
	}
	if len(got.Refused) > 0 {
		return nil // tried again by the next import
	}
	return m.target.mark(ctx, c.hash)
}

// hopeless says whether the store itself can't go on.
func hopeless(err error) bool {
	switch fault.CodeOf(err) {
	case fault.CodeUnavailable, fault.CodeFull, fault.CodeTimeout, fault.CodeCanceled, fault.CodeInternal, fault.CodeUnauthenticated, fault.CodeExhausted:
		return true
	default:
		return false
	}
}

// keep puts a refused bundle aside for a second try, when what it refers to may have come.
func (m *importer) keep(c chunk) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kept+len(c.bodies[0]) > bundlesKept {
		return false
	}
	m.kept += len(c.bodies[0])
	m.later = append(m.later, c)
	return true
}

func (m *importer) add(got imported, skipped int) {
	m.mu.Lock()
	m.report.Created += got.Created
	m.report.Updated += got.Updated
	m.report.Unchanged += got.Unchanged
	m.report.Skipped += skipped
	m.mu.Unlock()
	m.progress()
}

func (m *importer) progress() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.options.Progress != nil {
		m.options.Progress(m.read.Load(), m.report)
	}
}

func (m *importer) refuse(r ImportRefusal, err error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.report.Refused++
	if m.options.Refused == nil {
		return nil
	}
	r.Code, r.Message, r.Details = fault.CodeOf(err).String(), fault.Message(err), fault.Details(err)
	return m.options.Refused(r)
}
