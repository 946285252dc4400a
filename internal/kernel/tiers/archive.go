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
	"slices"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"ward/internal/base/fault"
	"ward/internal/kernel/audit"
	"ward/internal/kernel/seal"
	"ward/internal/kernel/transfer"
)

// An archive is an age file of a zstd stream of a tar archive:
//
//	head.json            what this is, of which tenant, and the tables with their columns
//	rows/TABLE/NNNNNN    rows, each with its length before it, as package transfer encodes them
//	blobs/NNNNNN         a blob's content; its key and media type are in the manifest
//	manifest.json        the size and SHA-256 of each entry, counts and hashes of the rows by table
//
// The manifest comes last; an archive without one was cut off.
const (
	archiveFormat  = "ward-tenant"
	archiveVersion = 1
	headName       = "head.json"
	manifestName   = "manifest.json"
)

// Head is what an archive says about itself.
type Head struct {
	Format  string            `json:"format"`
	Version int               `json:"version"`
	Ward    string            `json:"ward"` // version of the program
	Slug    string            `json:"slug"`
	Name    string            `json:"name"`
	Made    time.Time         `json:"made"`
	Region  string            `json:"region,omitempty"`
	Plan    string            `json:"plan,omitempty"`
	Limits  map[string]int64  `json:"limits,omitempty"`
	Setting json.RawMessage   `json:"settings"`
	Tables  []*transfer.Table `json:"tables"`
	Keys    seal.Portable     `json:"keys"`            // that open what is sealed in the rows
	Audit   []byte            `json:"audit,omitempty"` // the public key that the audit log is signed with
}

// Entry is one file of an archive.
type Entry struct {
	Name      string `json:"name"`
	Size      int64  `json:"size"`
	SHA256    string `json:"sha256"`
	Key       string `json:"key,omitempty"`       // of a blob
	MediaType string `json:"mediaType,omitempty"` // of a blob
}

// Manifest is what an archive must hold.
type Manifest struct {
	Tables  map[string]transfer.Count `json:"tables"`
	Entries []Entry                   `json:"entries"`
}

// Rows is how many rows there are, of all tables.
func (m Manifest) Rows() (n int64) {
	for _, c := range m.Tables {
		n += c.Rows
	}
	return n
}

// Blobs is how many blobs there are.
func (m Manifest) Blobs() (n int) {
	for _, e := range m.Entries {
		if e.Key != "" {
			n++
		}
	}
	return n
}

// Recipients reads to whom an archive is encrypted: age's public keys (age1…), or else a passphrase.
func Recipients(keys []string, passphrase string) ([]age.Recipient, error) {
	var out []age.Recipient
	for _, k := range keys {
		parsed, err := age.ParseRecipients(strings.NewReader(k))
		if err != nil {
			return nil, fault.Invalid("a recipient is an age public key, such as age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p")
		}
		out = append(out, parsed...)
	}
	if passphrase != "" {
		if len(out) > 0 {
			return nil, fault.Invalid("an archive is for recipients or under a passphrase, not both")
		}
		r, err := age.NewScryptRecipient(passphrase)
		if err != nil {
			return nil, fault.Invalid("the passphrase can't be used: %s", err)
		}
		return []age.Recipient{r}, nil
	}
	if len(out) == 0 {
		return nil, fault.Invalid("say who may open the archive: a recipient's age key, or a passphrase")
	}
	return out, nil
}

// Identities reads who opens an archive: the text of age key files (AGE-SECRET-KEY-…), or a passphrase.
func Identities(keys, passphrase string) ([]age.Identity, error) {
	if passphrase != "" {
		i, err := age.NewScryptIdentity(passphrase)
		if err != nil {
			return nil, fault.Invalid("the passphrase can't be used: %s", err)
		}
		return []age.Identity{i}, nil
	}
	if keys == "" {
		return nil, fault.Invalid("say how the archive opens: an age key file, or the passphrase")
	}
	ids, err := age.ParseIdentities(strings.NewReader(keys))
	if err != nil {
		return nil, fault.Invalid("that is no age key file: it holds lines that begin with AGE-SECRET-KEY-")
	}
	return ids, nil
}

// archiver writes an archive.
type archiver struct {
	tar      *tar.Writer
	manifest Manifest
	made     time.Time
}

func (a *archiver) header(name string, size int64) error {
	return a.tar.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: size, ModTime: a.made, Format: tar.FormatPAX})
}

func (a *archiver) put(e Entry, body []byte) error {
	sum := sha256.Sum256(body)
	e.Size, e.SHA256 = int64(len(body)), hex.EncodeToString(sum[:])
	if err := a.header(e.Name, e.Size); err != nil {
		return err
	}
	_, err := a.tar.Write(body)
	a.manifest.Entries = append(a.manifest.Entries, e)
	return err
}

func (a *archiver) stream(e Entry, r io.Reader, size int64) error {
	if err := a.header(e.Name, size); err != nil {
		return err
	}
	h := sha256.New()
	if _, err := io.Copy(io.MultiWriter(a.tar, h), r); err != nil {
		return err
	}
	e.Size, e.SHA256 = size, hex.EncodeToString(h.Sum(nil))
	a.manifest.Entries = append(a.manifest.Entries, e)
	return nil
}

const packSize = 4 << 20

// mostPack bounds the part of an archive that is read into memory: a pack and one batch of rows more.
const mostPack = 256 << 20

// Export writes the tenant's archive: all its rows as one moment has them, and its blobs. progress may be nil.
func (s *Service) Export(ctx context.Context, slug string, w io.Writer, to []age.Recipient, progress func(Progress)) (m Manifest, err error) {
	defer fault.Op(&err, "tiers.Export", slug)
	t, err := s.deps.Directory.Get(ctx, slug)
	if err == nil {
		err = s.here(t)
	}
	if err != nil {
		return m, err
	}
	if progress == nil {
		progress = func(Progress) {}
	}
	if err := s.note(ctx, t.Tenant, audit.Event{Action: audit.Export, Detail: "archive"}); err != nil {
		return m, err
	}
	ctx = within(ctx, t.Tenant)
	if s.deps.Settle != nil {
		if err := s.deps.Settle(ctx); err != nil {
			return m, err
		}
	}
	tables, err := transfer.Tables(ctx, s.deps.DB)
	if err != nil {
		return m, err
	}
	tables = slices.DeleteFunc(tables, func(t *transfer.Table) bool { return slices.Contains(s.deps.LeaveOut, t.Name) })
	keys, err := s.deps.Keys.Take(ctx, t.ID)
	if err != nil {
		return m, err
	}
	sealed, err := age.Encrypt(w, to...)
	if err != nil {
		return m, fault.Internal("the archive can't be begun").With(err)
	}
	packed, err := zstd.NewWriter(sealed, zstd.WithEncoderConcurrency(2))
	if err != nil {
		return m, fault.Internal("the archive can't be begun").With(err)
	}
	a := &archiver{tar: tar.NewWriter(packed), made: s.deps.Clock.Now().UTC().Truncate(time.Second), manifest: Manifest{Tables: map[string]transfer.Count{}}}
	head, err := json.MarshalIndent(Head{
		Format: archiveFormat, Version: archiveVersion, Ward: s.deps.Version, Slug: t.Slug, Name: t.Name, Made: a.made, Region: t.Region, Plan: t.Plan, Limits: t.Limits,
		Setting: json.RawMessage(t.Settings.JSON()), Tables: tables, Keys: keys, Audit: s.deps.AuditKey,
	}, "", " ")
	if err != nil {
		return m, fault.Internal("the archive's head can't be written").With(err)
	}
	err = a.put(Entry{Name: headName}, head)
	if err == nil {
		err = s.exportRows(ctx, a, tables, progress)
	}
	if err == nil {
		err = s.exportBlobs(ctx, a, progress)
	}
	if err != nil {
		return m, err
	}
	text, err := json.MarshalIndent(a.manifest, "", " ")
	if err != nil {
		return m, fault.Internal("the manifest can't be written").With(err)
	}
	if err = a.header(manifestName, int64(len(text))); err == nil {
		_, err = a.tar.Write(text)
	}
	return a.manifest, errors.Join(err, a.tar.Close(), packed.Close(), sealed.Close())
}

func (s *Service) exportRows(ctx context.Context, a *archiver, tables []*transfer.Table, progress func(Progress)) error {
	var (
		pack  []byte
		table string
		parts int
		rows  int64
	)
	flush := func() error {
		if len(pack) == 0 {
			return nil
		}
		parts++
		err := a.put(Entry{Name: fmt.Sprintf("rows/%s/%06d", table, parts)}, pack)
		pack = pack[:0]
		return err
	}
	err := transfer.Export(ctx, s.deps.DB, tables, func(b *transfer.Batch) error {
		if b.Table.Name != table {
			if err := flush(); err != nil {
				return err
			}
			table, parts = b.Table.Name, 0
		}
		c := a.manifest.Tables[table]
		c.Add(b)
		a.manifest.Tables[table] = c
		rows += int64(b.Rows)
		progress(Progress{Phase: "exporting", Done: rows})
		if pack = transfer.Pack(pack, b); len(pack) >= packSize {
			return flush()
		}
		return nil
	})
	if err != nil {
		return err
	}
	return flush()
}

func (s *Service) exportBlobs(ctx context.Context, a *archiver, progress func(Progress)) error {
	n := 0
	for b, err := range s.deps.Blobs.List(ctx, "", "") {
		if err != nil {
			return err
		}
		r, info, err := s.deps.Blobs.Get(ctx, b.Key)
		if fault.Is(err, fault.CodeNotFound) { // it was deleted meanwhile
			continue
		}
		if err != nil {
			return err
		}
		n++
		err = a.stream(Entry{Name: fmt.Sprintf("blobs/%06d", n), Key: b.Key, MediaType: info.MediaType}, r, info.Size)
		if err = errors.Join(err, r.Close()); err != nil {
			return err
		}
		progress(Progress{Phase: "exporting blobs", Done: int64(n)})
	}
	return nil
}
