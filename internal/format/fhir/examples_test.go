package fhir_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"os"
	"testing"
)

// examples are some 230 of HL7's R4 example resources, as published.
func examples(tb testing.TB) [][]byte {
	tb.Helper()
	f, err := os.Open("../jsontape/testdata/examples.ndjson.gz")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	r, err := gzip.NewReader(f)
	if err != nil {
		tb.Fatal(err)
	}
	var out [][]byte
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		out = append(out, bytes.Clone(lines.Bytes()))
	}
	if err := lines.Err(); err != nil {
		tb.Fatal(err)
	}
	return out
}

// example is the one example of that type and id.
func example(tb testing.TB, resourceType, id string) []byte {
	tb.Helper()
	start := []byte(`{"resourceType":"` + resourceType + `","id":"` + id + `"`)
	for _, e := range examples(tb) {
		if bytes.HasPrefix(e, start) {
			return e
		}
	}
	tb.Fatalf("no example %s/%s", resourceType, id)
	return nil
}
