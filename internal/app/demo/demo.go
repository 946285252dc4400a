// Package demo holds the made-up patients that `ward demo` shows: see NOTICE for where they come from.
package demo

import (
	"bytes"
	_ "embed"
	"io"
)

//go:embed patients.tar.zst
var patients []byte

// Size of the archive in bytes.
func Size() int64 { return int64(len(patients)) }

// Open reads the archive: tar, zstd, one transaction bundle a file.
func Open() io.ReadCloser { return io.NopCloser(bytes.NewReader(patients)) }
