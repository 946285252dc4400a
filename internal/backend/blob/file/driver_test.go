package file_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"ward/internal/backend/blob"
	"ward/internal/backend/blob/blobtest"
	"ward/internal/backend/blob/file"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
)

func open(t testing.TB, dir string) *file.Driver {
	t.Helper()
	d, err := file.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func TestDriver(t *testing.T) {
	t.Parallel()
	d := open(t, t.TempDir())
	blobtest.Run(t, func(*testing.T) blob.Driver { return d })
}

func TestPut_LeavesNothingBehind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := blob.New(blob.Deps{Driver: open(t, dir)})
	ctx := scope.WithTenant(t.Context(), scope.Tenant{ID: 7, Slug: "t"})
	for range 3 {
		if _, err := s.Put(ctx, "a/b", "", strings.NewReader("x"), 1); err != nil {
			t.Fatal(err)
		}
		_, _ = s.Put(ctx, "a/b", "", io.MultiReader(strings.NewReader("x"), broken{}), -1)
	}
	if _, err := s.Put(ctx, "a", "", strings.NewReader("beside the folder of its name"), -1); err != nil {
		t.Fatal(err)
	}
	var files []string
	err := filepath.WalkDir(dir, func(p string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			files = append(files, strings.TrimPrefix(p, dir))
			info, _ := e.Info()
			if info.Mode().Perm() != 0o600 {
				t.Errorf("%s may be read by %v", p, info.Mode())
			}
		}
		return err
	})
	if err != nil || strings.Join(files, " ") != "/t/7/a/b~ /t/7/a~" {
		t.Errorf("files %v, %v", files, err)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("broken") }

func TestOpen_ClearsWhatACrashLeft(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.MkdirAll(dir+"/tmp", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/tmp/half", []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
	if left, err := os.ReadDir(dir + "/tmp"); err != nil || len(left) != 0 {
		t.Errorf("%v %v", left, err)
	}
}

func TestOpen_RefusesWhatItCannotUse(t *testing.T) {
	t.Parallel()
	f := t.TempDir() + "/file"
	if err := os.WriteFile(f, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"", f, f + "/below"} {
		if _, err := file.Open(dir); !fault.Is(err, fault.CodeInvalid) {
			t.Errorf("%q: %v", dir, err)
		}
	}
}

func TestGet_FollowsNoLinkOut(t *testing.T) {
	t.Parallel()
	dir, outside := t.TempDir(), t.TempDir()
	d := open(t, dir)
	if err := os.WriteFile(outside+"/secret~", []byte(strings.Repeat("secret", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir+"/t", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, dir+"/t/1"); err != nil {
		t.Fatal(err)
	}
	if o, err := d.Open(t.Context(), "t/1/secret", blob.Span{Length: -1}); err == nil {
		all, _ := io.ReadAll(o.Body)
		t.Errorf("read %q through a link", all)
	}
	if err := d.Put(t.Context(), "t/1/new", strings.NewReader("x"), 1); err == nil {
		t.Error("wrote through a link")
	}
}

// What a full disk answers is Full; the end of a context passes.
func TestErrors_HaveTheirCodes(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Fatal(err)
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	_, err = full.WriteString("x")
	if !errors.Is(err, syscall.ENOSPC) || !fault.Is(file.Failed(err), fault.CodeFull) {
		t.Errorf("%v is %v", err, file.Failed(err))
	}
	if err := file.Failed(context.Canceled); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func BenchmarkPut100KB(b *testing.B) {
	s := blob.New(blob.Deps{Driver: open(b, b.TempDir())})
	ctx := scope.WithTenant(b.Context(), scope.Tenant{ID: 7, Slug: "t"})
	content := strings.Repeat("x", 100_000)
	b.SetBytes(int64(len(content)))
	for b.Loop() {
		if _, err := s.Put(ctx, "a/b", "", strings.NewReader(content), int64(len(content))); err != nil {
			b.Fatal(err)
		}
	}
}
