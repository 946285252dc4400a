package jsontape_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"os"
	"testing"
)

// examples are some 300 of HL7's R4 example resources, one document each, as published.
func examples(tb testing.TB) [][]byte {
	tb.Helper()
	f, err := os.Open("testdata/examples.ndjson.gz")
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

// example is the first document that contains all of these texts.
func example(tb testing.TB, texts ...string) []byte {
	tb.Helper()
next:
	for _, e := range examples(tb) {
		for _, text := range texts {
			if !bytes.Contains(e, []byte(text)) {
				continue next
			}
		}
		return e
	}
	tb.Fatalf("no example contains %q", texts)
	return nil
}
