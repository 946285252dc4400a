// Command gen picks the demo's data from a folder or archive of Synthea bundles: the bundles of organizations and those of the
// smallest hundred patients, without white space and otherwise as they are.
//
//	go run ./internal/app/demo/gen ../shared/data/synthea/bundles-310.tar.zst internal/app/demo/patients.tar.zst
package main

import (
	"archive/tar"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
)

const patients = 100

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: gen bundles.tar.zst patients.tar.zst")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type bundle struct {
	name string
	body []byte
}

func run(from, to string) error {
	bundles, err := read(from)
	if err != nil {
		return err
	}
	people := func(b bundle) bool { return bytes.Contains(b.body, []byte(`"resourceType":"Patient"`)) }
	slices.SortFunc(bundles, func(a, b bundle) int {
		if people(a) != people(b) {
			return map[bool]int{true: 1, false: -1}[people(a)]
		}
		return cmp.Or(cmp.Compare(len(a.body), len(b.body)), strings.Compare(a.name, b.name))
	})
	n := slices.IndexFunc(bundles, people)
	bundles = bundles[:min(len(bundles), n+patients)]
	return write(to, bundles)
}

func read(from string) ([]bundle, error) {
	f, err := os.Open(from)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		return nil, err
	}
	defer z.Close()
	var out []bundle
	for t := tar.NewReader(z); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		if h.Typeflag != tar.TypeReg || path.Ext(h.Name) != ".json" {
			continue
		}
		text, err := io.ReadAll(t)
		if err != nil {
			return nil, err
		}
		var small bytes.Buffer
		if err := json.Compact(&small, text); err != nil {
			return nil, fmt.Errorf("%s: %w", h.Name, err)
		}
		out = append(out, bundle{path.Base(h.Name), small.Bytes()})
	}
}

func write(to string, bundles []bundle) error {
	var out bytes.Buffer
	z, err := zstd.NewWriter(&out, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(8<<20))
	if err != nil {
		return err
	}
	t := tar.NewWriter(z)
	for _, b := range bundles {
		if err := t.WriteHeader(&tar.Header{Name: b.name, Mode: 0o644, Size: int64(len(b.body)), Format: tar.FormatPAX}); err != nil {
			return err
		}
		if _, err := t.Write(b.body); err != nil {
			return err
		}
	}
	if err := errors.Join(t.Close(), z.Close()); err != nil {
		return err
	}
	fmt.Printf("%d bundles, %d bytes\n", len(bundles), out.Len())
	return os.WriteFile(to, out.Bytes(), 0o644)
}
