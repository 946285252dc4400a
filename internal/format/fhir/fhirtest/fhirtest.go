// Package fhirtest gives tests the 738 example resources that HL7 published with FHIR R4 (4.0.1, CC0). Only tests import it.
package fhirtest

import (
	"bytes"
	"encoding/json"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// Example is one of HL7's examples.
type Example struct {
	Type, ID string // ID is empty for the few that have none
	JSON     []byte // as published, without line breaks; must not be changed
}

// Name is "Type/id", or "Type/" with the position among the examples when the resource has no id.
func (e Example) Name(position int) string {
	if e.ID == "" {
		return e.Type + "/#" + strconv.Itoa(position)
	}
	return e.Type + "/" + e.ID
}

// Examples yields the examples in the order of the file, with their position from 0.
func Examples(t testing.TB) iter.Seq2[int, Example] {
	t.Helper()
	list, err := examples()
	if err != nil {
		t.Fatalf("reading HL7's examples: %v", err)
	}
	return func(yield func(int, Example) bool) {
		for i := range list {
			if !yield(i, list[i]) {
				return
			}
		}
	}
}

//nolint:gochecknoglobals // read once for all tests of a package
var examples = sync.OnceValues(func() ([]Example, error) {
	data, err := Lines("internal/format/fhir/testdata/examples.ndjson.zst")
	if err != nil {
		return nil, err
	}
	list := make([]Example, len(data))
	for i, line := range data {
		var head struct{ ResourceType, ID string }
		if err := json.Unmarshal(line, &head); err != nil {
			return nil, err
		}
		list[i] = Example{Type: head.ResourceType, ID: head.ID, JSON: line}
	}
	return list, nil
})

// Lines reads a zstd-compressed file of lines by its path from the root of the module. A byte slice must not be changed.
func Lines(path string) ([][]byte, error) {
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	packed, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		return nil, err
	}
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	all, err := z.DecodeAll(packed, nil)
	if err != nil {
		return nil, err
	}
	lines := bytes.Split(bytes.TrimSuffix(all, []byte{'\n'}), []byte{'\n'})
	for i, l := range lines {
		lines[i] = slices.Clip(l)
	}
	return lines, nil
}

// moduleRoot is the folder of go.mod, above the folder that the test runs in.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if mod, err := os.ReadFile(filepath.Join(dir, "go.mod")); err == nil && strings.HasPrefix(string(mod), "module ward\n") {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", os.ErrNotExist
		}
		dir = parent
	}
}
