package app

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ward/internal/base/fault"
	"ward/internal/format/archive"
)

// ImportSource is one file, or standard input, to import.
type ImportSource struct {
	Name string
	Size int64 // bytes as they lie there; -1 when not known
	Open func() (io.ReadCloser, error)
}

// ImportSources finds the files that the paths name: files as they are, folders with all JSON, NDJSON and archives below them in
// the order of their names, and "-" for standard input. It returns fault.Invalid for a path that is not there.
func ImportSources(paths []string, stdin io.Reader) ([]ImportSource, error) {
	var out []ImportSource
	for _, p := range paths {
		if p == "-" {
			out = append(out, ImportSource{Name: "-", Size: -1, Open: func() (io.ReadCloser, error) { return io.NopCloser(stdin), nil }})
			continue
		}
		info, err := os.Stat(p)
		if err != nil {
			return nil, fault.Invalid("%s can't be opened: %s", p, plain(err))
		}
		if !info.IsDir() {
			out = append(out, fileSource(p, info.Size()))
			continue
		}
		below, err := folder(p)
		if err != nil {
			return nil, fault.Invalid("%s can't be read: %s", p, plain(err))
		}
		if len(below) == 0 {
			return nil, fault.Invalid("%s holds no .json, .ndjson or .tar file, packed or not", p)
		}
		out = append(out, below...)
	}
	if len(out) == 0 {
		return nil, fault.Invalid("there is nothing to import: name files or folders, or - for standard input")
	}
	return out, nil
}

func folder(path string) (out []ImportSource, err error) {
	err = filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if p != path && strings.HasPrefix(d.Name(), ".") {
				return filepath.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() || !archive.Wanted(d.Name()) {
			return nil
		}
		info, err := d.Info()
		if err == nil {
			out = append(out, fileSource(p, info.Size()))
		}
		return err
	})
	// Organizations and practitioners first, where names say so: patients refer to them.
	slices.SortStableFunc(out, func(a, b ImportSource) int { return rank(a.Name) - rank(b.Name) })
	return out, err
}

func rank(name string) int {
	base := strings.ToLower(filepath.Base(name))
	for i, start := range []string{"hospitalinformation", "organization", "location", "practitionerinformation", "practitioner"} {
		if strings.HasPrefix(base, start) {
			return i
		}
	}
	return 5
}

func fileSource(path string, size int64) ImportSource {
	return ImportSource{Name: path, Size: size, Open: func() (io.ReadCloser, error) {
		f, err := os.Open(path)
		if err != nil {
			return nil, fault.Invalid("%s can't be opened: %s", path, plain(err))
		}
		return f, nil
	}}
}

// errStopped ends a walk whose work was given up.
var errStopped = errors.New("stopped")
