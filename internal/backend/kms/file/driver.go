// Package file keeps keys in a folder, one file for each, readable by its owner alone (mode 0600, the folder 0700). A file holds the key's versions in
// base64, a line for each, newest last. A destroyed key's file is overwritten and removed: what the medium or a copy of the folder
// still has of it is beyond Ward, so keep no backups of this folder with those of the data.
package file

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"ward/internal/backend/kms"
	"ward/internal/base/fault"
)

// Driver wraps under keys in files. Several processes may share the folder.
type Driver struct {
	dir, id string
	mu      sync.Mutex // of changes by this process
}

const (
	format   = 1
	maxLines = 255
)

// Open takes the folder, which is made when it is not there.
//
// Errors: Internal when it can't be made, Invalid when others may read it.
func Open(dir string) (*Driver, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fault.Internal("the folder of keys %s can't be made", dir).With(err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fault.Internal("the folder of keys %s can't be read", dir).With(err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fault.Invalid("others than its owner may use the folder of keys %s: run chmod 700 on it", dir)
	}
	d := &Driver{dir: dir}
	return d, d.identify()
}

// identify reads what the folder is called in Name, or calls it something.
func (d *Driver) identify() error {
	path := filepath.Join(d.dir, "folder.id")
	for range 2 {
		text, err := os.ReadFile(path)
		switch {
		case err == nil:
			d.id = strings.TrimSpace(string(text))
			return nil
		case !errors.Is(err, fs.ErrNotExist):
			return fault.Internal("%s can't be read", path).With(err)
		}
		if err := d.place(hex.EncodeToString(random()[:4])+"\n", linked(path)); err != nil {
			return fault.Internal("the folder of keys %s can't be written", d.dir).With(err)
		}
	}
	return fault.Internal("%s comes and goes", path)
}

// Name as kms.Driver: a folder keeps its name when it is moved.
func (d *Driver) Name() string { return "file:" + d.id }

func (d *Driver) path(key string) (string, error) {
	if err := kms.CheckKey(key); err != nil {
		return "", err
	}
	return filepath.Join(d.dir, key+".key"), nil
}

// versions are the key's, oldest first.
func (d *Driver) versions(key string) ([][]byte, error) {
	path, err := d.path(key)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.NotFound("the key file %s is not there: restore it; without it nothing under this key opens", path)
	}
	if err != nil {
		return nil, fault.Unavailable("the key file %s can't be read", path).With(err)
	}
	var all [][]byte
	for line := range strings.Lines(string(text)) {
		k, err := base64.StdEncoding.DecodeString(strings.TrimSpace(line))
		if err != nil || len(k) != kms.KeySize {
			return nil, fault.Internal("the key file %s is damaged: each line must hold 32 bytes in base64; restore it", path)
		}
		all = append(all, k)
	}
	if len(all) == 0 {
		return nil, fault.Internal("the key file %s is empty: restore it", path)
	}
	return all, nil
}

// make creates the key unless somebody else has.
func (d *Driver) make(key string) ([][]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	path, err := d.path(key)
	if err != nil {
		return nil, err
	}
	if err := d.place(lines(random()), linked(path)); err != nil {
		return nil, fault.Unavailable("the key file %s can't be made", path).With(err)
	}
	return d.versions(key)
}

func lines(versions ...[]byte) string {
	var b strings.Builder
	for _, k := range versions {
		b.WriteString(base64.StdEncoding.EncodeToString(k) + "\n")
	}
	return b.String()
}

// linked gives a file its name unless there is one: who comes second takes the first's.
func linked(path string) func(temporary string) error {
	return func(temporary string) error {
		if err := os.Link(temporary, path); !errors.Is(err, fs.ErrExist) {
			return err
		}
		return nil
	}
}

// place writes a file durably and has put give it its name.
func (d *Driver) place(content string, put func(temporary string) error) (err error) {
	f, err := os.CreateTemp(d.dir, ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	if _, err = f.WriteString(content); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := put(f.Name()); err != nil {
		return err
	}
	return d.sync()
}

func (d *Driver) sync() error {
	f, err := os.Open(d.dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func random() []byte {
	k := make([]byte, kms.KeySize)
	_, _ = rand.Read(k) // crypto/rand never fails since Go 1.24
	return k
}

// Wrap as kms.Driver.
func (d *Driver) Wrap(_ context.Context, key string, plain, associated []byte) ([]byte, error) {
	if err := kms.CheckPlain(plain); err != nil {
		return nil, err
	}
	versions, err := d.versions(key)
	if fault.Is(err, fault.CodeNotFound) {
		versions, err = d.make(key)
	}
	if err != nil {
		return nil, err
	}
	n := len(versions) - 1
	return kms.Box([]byte{format, byte(n)}, versions[n], plain, associated) //nolint:gosec // maxLines
}

// Unwrap as kms.Driver.
func (d *Driver) Unwrap(_ context.Context, key string, wrapped, associated []byte) ([]byte, error) {
	versions, err := d.versions(key)
	if err != nil {
		return nil, err
	}
	if len(wrapped) < 2 || wrapped[0] != format || int(wrapped[1]) >= len(versions) {
		return nil, fault.Unprocessable("not wrapped under the key in this folder")
	}
	return kms.Unbox(versions[wrapped[1]], wrapped[2:], associated)
}

// Rotate as kms.Driver.
func (d *Driver) Rotate(_ context.Context, key string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	versions, err := d.versions(key)
	if err != nil {
		return err
	}
	if len(versions) >= maxLines {
		return fault.Invalid("the key %s has %d versions already: make another", key, len(versions))
	}
	path, err := d.path(key)
	if err != nil {
		return err
	}
	if err := d.place(lines(append(versions, random())...), func(temporary string) error { return os.Rename(temporary, path) }); err != nil {
		return fault.Unavailable("the key file %s can't be written", path).With(err)
	}
	return nil
}

// Destroy as kms.Driver.
func (d *Driver) Destroy(_ context.Context, key string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	path, err := d.path(key)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		var info fs.FileInfo
		if info, err = f.Stat(); err == nil {
			noise := make([]byte, info.Size())
			_, _ = rand.Read(noise)
			_, err = f.Write(noise)
		}
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if err = errors.Join(err, os.Remove(path)); err == nil {
		err = d.sync()
	}
	if err != nil {
		return fault.Unavailable("the key file %s can't be destroyed", path).With(err)
	}
	return nil
}

// Check as kms.Driver.
func (d *Driver) Check(context.Context) error {
	if _, err := os.ReadDir(d.dir); err != nil {
		return fault.Unavailable("the folder of keys %s can't be read", d.dir).With(err)
	}
	return nil
}
