// Package file keeps blobs as files in a folder.
//
// A put writes to a temporary file in the folder "tmp", syncs it, renames it to its name and syncs the folders, so that after an acknowledged put the
// blob is there whatever happens, and before that nothing of it is. What a crash left in "tmp" goes at the next start. All access goes through
// [os.Root]: no name leads out of the folder, not through a link either. A file is called as its blob with a "~" behind, which no key has, so that
// "a" and "a/b" can both be there.
package file

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"ward/internal/backend/blob"
	"ward/internal/base/fault"
)

// Driver implements blob.Driver. It is safe for use by many goroutines.
type Driver struct {
	root *os.Root
}

const (
	temporary = "tmp"
	mark      = "~"
)

// Open uses a folder, which it creates when it is missing. One process at a time.
//
// Errors: Invalid when it can't be used.
func Open(dir string) (*Driver, error) {
	if dir == "" {
		return nil, fault.Invalid("the blob store needs a folder")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fault.Invalid("the blob store's folder %s can't be made", dir).With(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fault.Invalid("the blob store's folder %s can't be opened", dir).With(err)
	}
	d := &Driver{root: root}
	if err = root.RemoveAll(temporary); err == nil {
		err = root.Mkdir(temporary, 0o700)
	}
	if err != nil {
		_ = root.Close()
		return nil, fault.Invalid("the blob store's folder %s can't be written", dir).With(err)
	}
	return d, nil
}

// Close gives the folder back.
func (d *Driver) Close() error { return d.root.Close() }

// Put implements blob.Driver.
func (d *Driver) Put(ctx context.Context, name string, r io.Reader, _ int64) (err error) {
	scratch := temporary + "/" + rand.Text()
	f, err := d.root.OpenFile(scratch, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return failed(err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = d.root.Remove(scratch)
		}
	}()
	if _, err = io.Copy(f, &until{ctx, r}); err != nil {
		return failed(err)
	}
	if err = f.Sync(); err != nil {
		return failed(err)
	}
	if err = f.Close(); err != nil {
		return failed(err)
	}
	fresh, err := d.makeFolders(path.Dir(name))
	if err != nil {
		return failed(err)
	}
	if err = d.root.Rename(scratch, name+mark); err != nil {
		return failed(err)
	}
	for _, folder := range append(fresh, path.Dir(name)) {
		if err = d.syncFolder(folder); err != nil {
			return failed(err)
		}
	}
	return nil
}

// makeFolders makes the folders of a path that are missing, and gives those in which it made one.
func (d *Driver) makeFolders(folder string) (changed []string, err error) {
	if _, err := d.root.Stat(folder); err == nil {
		return nil, nil
	}
	parent := path.Dir(folder)
	if parent != folder {
		if changed, err = d.makeFolders(parent); err != nil {
			return nil, err
		}
	}
	if err := d.root.Mkdir(folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return append(changed, parent), nil
}

func (d *Driver) syncFolder(folder string) error {
	f, err := d.root.Open(folder)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// Open implements blob.Driver.
func (d *Driver) Open(ctx context.Context, name string, s blob.Span) (blob.Opened, error) {
	if err := ctx.Err(); err != nil {
		return blob.Opened{}, err
	}
	f, err := d.root.Open(name + mark)
	if err != nil {
		return blob.Opened{}, failed(err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		_ = f.Close()
		return blob.Opened{}, failed(err)
	}
	total, version := info.Size(), versionOf(info)
	if s.Version != "" && s.Version != version {
		_ = f.Close()
		return blob.Opened{}, fault.Precondition("the blob was replaced")
	}
	if s.Offset < 0 {
		s.Offset = max(total+s.Offset, 0)
	}
	if s.Length < 0 {
		s.Length = max(total-s.Offset, 0)
	}
	return blob.Opened{Body: section{io.NewSectionReader(f, s.Offset, s.Length), f}, Total: total, Version: version}, nil
}

// versionOf is the file's number and time: every put makes a new file.
func versionOf(info fs.FileInfo) string {
	var number uint64
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		number = s.Ino
	}
	return strconv.FormatUint(number, 36) + "." + strconv.FormatInt(info.ModTime().UnixNano(), 36)
}

type section struct {
	*io.SectionReader
	file *os.File
}

func (s section) Close() error { return s.file.Close() }

// Delete implements blob.Driver. Folders that it leaves empty stay.
func (d *Driver) Delete(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := d.root.Remove(name + mark)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	if err != nil {
		return failed(err)
	}
	if err := d.syncFolder(path.Dir(name)); err != nil {
		return failed(err)
	}
	return nil
}

// List implements blob.Driver.
func (d *Driver) List(ctx context.Context, prefix, after string) iter.Seq2[blob.Entry, error] {
	return func(yield func(blob.Entry, error) bool) {
		d.walk(ctx, strings.TrimSuffix(prefix, "/"), after, yield)
	}
}

// walk lists a folder in the order of full names, in which a folder stands where its name with a slash does.
func (d *Driver) walk(ctx context.Context, folder, after string, yield func(blob.Entry, error) bool) bool {
	if err := ctx.Err(); err != nil {
		yield(blob.Entry{}, err)
		return false
	}
	f, err := d.root.Open(folder)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return true
	}
	if err != nil {
		yield(blob.Entry{}, failed(err))
		return false
	}
	entries, err := f.ReadDir(-1)
	_ = f.Close()
	if errors.Is(err, syscall.ENOTDIR) {
		return true
	}
	if err != nil {
		yield(blob.Entry{}, failed(err))
		return false
	}
	sortName := func(e fs.DirEntry) string {
		if e.IsDir() {
			return e.Name() + "/"
		}
		return strings.TrimSuffix(e.Name(), mark)
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(sortName(a), sortName(b)) })
	for _, e := range entries {
		full := folder + "/" + sortName(e)
		if e.IsDir() {
			if full <= after && !strings.HasPrefix(after, full) {
				continue // all of it comes before after
			}
			if !d.walk(ctx, folder+"/"+e.Name(), after, yield) {
				return false
			}
			continue
		}
		if full <= after || !e.Type().IsRegular() || !strings.HasSuffix(e.Name(), mark) {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted meanwhile
		}
		if err != nil {
			yield(blob.Entry{}, failed(err))
			return false
		}
		if !yield(blob.Entry{Name: full, Size: info.Size()}, nil) {
			return false
		}
	}
	return true
}

// Check implements blob.Driver: it writes and removes a small file.
func (d *Driver) Check(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	scratch := temporary + "/" + rand.Text()
	if err := d.root.WriteFile(scratch, []byte("check"), 0o600); err != nil {
		_ = d.root.Remove(scratch)
		return failed(err)
	}
	return failed(d.root.Remove(scratch))
}

// failed gives an error of the file system its code. A fault and an end of the context pass.
func failed(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := fault.Of(err); ok || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return fault.NotFound("no such blob").With(err)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fault.Full("no room for blobs").With(err)
	default:
		return fault.Internal("blob file").With(err)
	}
}

// until reads until ctx ends.
type until struct {
	ctx context.Context //nolint:containedctx // of one call
	r   io.Reader
}

func (u *until) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(p)
}
