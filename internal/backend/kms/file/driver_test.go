package file_test

import (
	"os"
	"path/filepath"
	"testing"

	"ward/internal/backend/kms"
	"ward/internal/backend/kms/file"
	"ward/internal/backend/kms/kmstest"
	"ward/internal/base/fault"
)

func TestFile(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "keys")
	kmstest.Run(t, kmstest.Options{}, func(t *testing.T) kms.Driver {
		t.Helper()
		d, err := file.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		return d
	})
}

func TestFile_IsItsOwnersAlone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "keys")
	d, err := file.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Wrap(t.Context(), "tenant-1", []byte("x"), nil); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, "tenant-1.key"): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v %v", path, info.Mode(), err)
		}
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 2 {
		t.Errorf("%v %v", files, err)
	}
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // on purpose
		t.Fatal(err)
	}
	if _, err := file.Open(dir); !fault.Is(err, fault.CodeInvalid) {
		t.Errorf("a folder that others may read was taken: %v", err)
	}
}
