package tiers

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/kernel/audit"
	"ward/internal/kernel/tenancy"
	"ward/internal/kernel/transfer"
)

// Admission is how an archive's tenant comes in.
type Admission struct {
	Slug string // "" is the archive's
	Tier string // "" is pooled
	Home string // URL of its database; "" is the system's own
}

const mostHead = 64 << 20 // bytes of the head, or of the manifest

// Import makes a tenant of an archive. The archive is read twice: it is verified whole before the first row is written, and the rows are counted and hashed again where they
// are then. Until all is well the tenant is one that is being deleted, so that an import that fails or dies leaves nothing. progress may be nil.
//
// Errors: Unprocessable for an archive that is damaged, cut off, of another version, or does not open; Conflict when the slug is taken.
func (s *Service) Import(ctx context.Context, archive io.ReadSeeker, by []age.Identity, as Admission, progress func(Progress)) (t tenancy.Tenant, m Manifest, err error) {
	defer fault.Op(&err, "tiers.Import", as.Slug)
	if progress == nil {
		progress = func(Progress) {}
	}
	head, m, err := s.verify(ctx, archive, by, progress)
	if err != nil {
		return t, m, err
	}
	if as.Slug == "" {
		as.Slug = head.Slug
	}
	settings, err := tenancy.ParseSettings(string(head.Setting))
	if err != nil {
		return t, m, fault.Unprocessable("the archive's settings are of another version of Ward").With(err)
	}
	if as.Home != "" && as.Tier == "" {
		as.Tier = tenancy.Database
	}
	t, err = s.deps.Directory.Add(ctx, as.Slug, tenancy.Terms{
		Name: head.Name, Settings: settings, Region: head.Region, Plan: head.Plan, Limits: head.Limits, Tier: as.Tier, Home: as.Home,
		Due: s.deps.Clock.Now().Add(importMost),
	})
	if err != nil {
		return t, m, err
	}
	inside := within(ctx, t.Tenant)
	err = s.fill(inside, archive, by, head, m, progress)
	if err == nil {
		err = s.deps.Directory.Change(ctx, t.Slug, func(t *tenancy.Tenant) error {
			t.Status, t.Due = tenancy.Active, time.Time{}
			return nil
		})
	}
	if err != nil {
		settled := context.WithoutCancel(ctx)
		undo := s.deps.Directory.Change(settled, t.Slug, func(t *tenancy.Tenant) error { t.Due = s.deps.Clock.Now(); return nil })
		if undo == nil {
			undo = s.Destroy(settled, t.Slug)
		}
		return tenancy.Tenant{}, m, errors.Join(err, undo)
	}
	t.Status, t.Due = tenancy.Active, time.Time{}
	return t, m, s.note(ctx, t.Tenant, audit.Event{Action: audit.Import, Detail: "archive", Count: m.Rows()})
}

// importMost is the longest import: a tenant that is not whole by then is destroyed.
const importMost = 24 * time.Hour

func damaged(format string, args ...any) error {
	return fault.Unprocessable("the archive is damaged: %s", fmt.Sprintf(format, args...))
}

// read gives the entries of an archive, in order.
func read(archive io.ReadSeeker, by []age.Identity, each func(name string, size int64, r io.Reader) error) error {
	if _, err := archive.Seek(0, io.SeekStart); err != nil {
		return fault.Internal("the archive can't be read from its beginning").With(err)
	}
	opened, err := age.Decrypt(archive, by...)
	if none, ok := errors.AsType[*age.NoIdentityMatchError](err); ok {
		return fault.Unprocessable("the archive does not open by this key or passphrase").With(none)
	}
	if err != nil {
		return fault.Unprocessable("this is no archive of a tenant, or its beginning is damaged").With(err)
	}
	unpacked, err := zstd.NewReader(opened, zstd.WithDecoderMaxWindow(64<<20))
	if err != nil {
		return damaged("it can't be unpacked")
	}
	defer unpacked.Close()
	files := tar.NewReader(unpacked)
	for {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			// All of it must be authentic, also what nobody looks at.
			if _, err := io.Copy(io.Discard, unpacked); err != nil {
				return damaged("its end is not as it was written")
			}
			return nil
		}
		if err != nil {
			return damaged("it is not as it was written, or it was cut off")
		}
		if err := each(h.Name, h.Size, files); err != nil {
			return err
		}
	}
}

// verify reads an archive whole, and holds it against its manifest.
func (s *Service) verify(ctx context.Context, archive io.ReadSeeker, by []age.Identity, progress func(Progress)) (head Head, m Manifest, err error) {
	var found []Entry
	whole, begun := false, false
	err = read(archive, by, func(name string, size int64, r io.Reader) error {
		if err := ctx.Err(); err != nil {
			return fault.Canceled("the import was given up").With(err)
		}
		if whole {
			return damaged("something follows its manifest")
		}
		if name == headName || name == manifestName {
			text, err := io.ReadAll(io.LimitReader(r, mostHead))
			if err != nil {
				return damaged("%s is not as it was written", name)
			}
			if name == manifestName {
				whole = true
				if json.Unmarshal(text, &m) != nil {
					return damaged("its manifest can't be read")
				}
				return nil
			}
			begun = true
			if json.Unmarshal(text, &head) != nil || head.Format != archiveFormat {
				return fault.Unprocessable("this is no archive of a tenant")
			}
			if head.Version != archiveVersion {
				return fault.Unprocessable("the archive has the version %d, this Ward reads %d", head.Version, archiveVersion)
			}
			sum := sha256.Sum256(text)
			found = append(found, Entry{Name: name, Size: int64(len(text)), SHA256: hex.EncodeToString(sum[:])})
			return nil
		}
		if !begun {
			return fault.Unprocessable("this is no archive of a tenant")
		}
		h := sha256.New()
		n, err := io.Copy(h, r)
		if err != nil || n != size {
			return damaged("%s is not as it was written", name)
		}
		found = append(found, Entry{Name: name, Size: n, SHA256: hex.EncodeToString(h.Sum(nil))})
		progress(Progress{Phase: "verifying", Done: int64(len(found))})
		return nil
	})
	switch {
	case err != nil:
		return head, m, err
	case !whole:
		return head, m, damaged("it has no manifest, so it was cut off")
	case len(found) != len(m.Entries):
		return head, m, damaged("it has %d entries, its manifest %d", len(found), len(m.Entries))
	}
	for i, e := range m.Entries {
		if f := found[i]; f.Name != e.Name || f.Size != e.Size || f.SHA256 != e.SHA256 {
			return head, m, damaged("%s is not what its manifest says", e.Name)
		}
	}
	return head, m, nil
}

// fill puts an archive's rows and blobs into a tenant that has none, and compares.
func (s *Service) fill(ctx context.Context, archive io.ReadSeeker, by []age.Identity, head Head, m Manifest, progress func(Progress)) error {
	sc, _ := scope.From(ctx)
	// First: who asks for a tenant's database finds it keys, or makes some.
	if err := s.deps.Keys.Give(ctx, sc.Tenant.ID, head.Keys); err != nil {
		return err
	}
	here, err := transfer.Fits(ctx, s.deps.DB, head.Tables)
	if err != nil {
		return err
	}
	empty, err := transfer.Empty(ctx, s.deps.DB)
	if err == nil && !empty {
		err = fault.Conflict("that database holds a tenant of the same number, which may be another Ward's: name another database")
	}
	if err != nil {
		return err
	}
	tables, blobs := map[string]*transfer.Table{}, map[string]Entry{}
	for _, t := range head.Tables {
		tables[t.Name] = t
	}
	for _, e := range m.Entries {
		if e.Key != "" {
			blobs[e.Name] = e
		}
	}
	rows, total := int64(0), m.Rows()
	err = read(archive, by, func(name string, size int64, r io.Reader) error {
		kind, rest, _ := strings.Cut(name, "/")
		switch kind {
		case "rows":
			table, _, _ := strings.Cut(rest, "/")
			t := tables[table]
			if t == nil {
				return damaged("it has rows of a table that its head does not name")
			}
			if size > mostPack {
				return damaged("%s has %d MB, and rows come in packs of a few", name, size>>20)
			}
			text, err := io.ReadAll(r)
			if err != nil {
				return damaged("%s is not as it was written", name)
			}
			b, err := transfer.Unpack(t, text)
			if err != nil {
				return err
			}
			rows += int64(b.Rows)
			progress(Progress{"importing", rows, total})
			return s.load(ctx, here[table], b)
		case "blobs":
			_, err := s.deps.Blobs.Put(ctx, blobs[name].Key, blobs[name].MediaType, r, size)
			return err
		}
		return nil
	})
	if err != nil {
		return err
	}
	progress(Progress{"comparing", total, total})
	counts, err := transfer.Digest(ctx, s.deps.DB)
	if err != nil {
		return err
	}
	for name, c := range counts {
		if m.Tables[name] != c {
			return fault.Internal("the table %s has %d rows after the import, the archive %d, or they differ", name, c.Rows, m.Tables[name].Rows)
		}
	}
	if len(head.Audit) == 0 || s.deps.Inherit == nil {
		return nil
	}
	return s.deps.Inherit(ctx, head.Audit)
}

// load inserts a batch in one transaction.
func (s *Service) load(ctx context.Context, to *transfer.Table, b *transfer.Batch) error {
	return s.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error { return transfer.Load(ctx, tx, to, b, false) })
}
