package archive

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"ward/internal/base/fault"
)

// Document is one JSON document, or a line that is none.
type Document struct {
	Name string // of the file, with archive and member joined by !, such as "all.tar.zst!p1.json"
	Line int    // on which it begins, from 1
	Body []byte // the visitor's to keep
}

// Options bound the work. The zero value of a field is its default.
type Options struct {
	Document int64 // most bytes of one document; default 256 MB
	Depth    int   // archives and compressions inside each other; default 3
}

// Walk calls visit for each document in r, in order, and stops at its first error. It returns fault.Invalid, naming the place, for
// an archive that is damaged, and fault.TooLarge for a document beyond the bound.
func Walk(name string, r io.Reader, o Options, visit func(Document) error) error {
	if o.Document <= 0 {
		o.Document = 256 << 20
	}
	if o.Depth <= 0 {
		o.Depth = 3
	}
	return walk(name, r, o, visit)
}

// Wanted says whether a file of a folder or an archive is worth opening: JSON, NDJSON, and those compressed or packed. Hidden
// files are not.
func Wanted(name string) bool {
	base := strings.ToLower(path.Base(name))
	if strings.HasPrefix(base, ".") {
		return false
	}
	for _, packed := range []string{".gz", ".zst", ".bz2"} {
		base = strings.TrimSuffix(base, packed)
	}
	switch path.Ext(base) {
	case ".json", ".ndjson", ".jsonl", ".tar", ".tgz":
		return true
	default:
		return false
	}
}

// tarMagic stands at this offset of a tar archive.
const (
	tarOffset = 257
	tarMagic  = "ustar"
)

func walk(name string, r io.Reader, o Options, visit func(Document) error) error {
	in := bufio.NewReaderSize(r, 64<<10)
	head, err := in.Peek(tarOffset + len(tarMagic))
	if err != nil && !errors.Is(err, io.EOF) {
		return unreadable(name, err)
	}
	unpack := func(inner io.Reader, err error) error {
		if err != nil {
			return unreadable(name, err)
		}
		if o.Depth == 0 {
			return fault.Invalid("%s: archives are nested too deep: unpack it first", name)
		}
		deeper := o
		deeper.Depth--
		return walk(name, inner, deeper, visit)
	}
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return unpack(gzip.NewReader(in))
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(128<<20), zstd.WithDecoderLowmem(true))
		if err != nil {
			return unreadable(name, err)
		}
		defer z.Close()
		return unpack(z, nil)
	case len(head) > 3 && bytes.HasPrefix(head, []byte("BZh")) && head[3] >= '1' && head[3] <= '9':
		return unpack(bzip2.NewReader(in), nil)
	case len(head) == tarOffset+len(tarMagic) && string(head[tarOffset:]) == tarMagic:
		return members(name, in, o, visit)
	}
	return documents(name, in, o.Document, visit)
}

func members(name string, r io.Reader, o Options, visit func(Document) error) error {
	if o.Depth == 0 {
		return fault.Invalid("%s: archives are nested too deep: unpack it first", name)
	}
	o.Depth--
	for t := tar.NewReader(r); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return unreadable(name, err)
		}
		if h.Typeflag != tar.TypeReg || !Wanted(h.Name) {
			continue
		}
		if err := walk(name+"!"+strings.TrimPrefix(path.Clean("/"+h.Name), "/"), t, o, visit); err != nil {
			return err
		}
	}
}

func unreadable(name string, err error) error {
	if f, ok := fault.Of(err); ok {
		return f
	}
	return fault.Invalid("%s can't be read to its end: %s", name, err)
}

func tooLarge(name string, line int, most int64) error {
	return fault.TooLarge("%s", fmt.Sprintf("%s, line %d: one document is larger than %d MB", name, line, most>>20))
}
