package jsontape_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"ward/internal/format/jsontape"
)

// BenchmarkParse compares one pass into the tape with the two libraries, on an Observation of about 1.5 KB as
// clients send it, compacted. The limit is encoding/json.Valid's and jsontext's pace over the same bytes.
func BenchmarkParse(b *testing.B) {
	src := observation(b)
	b.Run("jsontape", func(b *testing.B) {
		var d jsontape.Doc
		b.SetBytes(int64(len(src)))
		b.ReportAllocs()
		for b.Loop() {
			if err := d.Parse(src); err != nil {
				b.Fatal(err)
			}
		}
	})
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, src, "", "  "); err != nil {
		b.Fatal(err)
	}
	b.Run("jsontape-indented", func(b *testing.B) {
		var d jsontape.Doc
		b.SetBytes(int64(pretty.Len()))
		b.ReportAllocs()
		for b.Loop() {
			if err := d.Parse(pretty.Bytes()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("jsontext-tokens", func(b *testing.B) {
		b.SetBytes(int64(len(src)))
		b.ReportAllocs()
		r := bytes.NewReader(src)
		dec := jsontext.NewDecoder(r)
		for b.Loop() {
			r.Reset(src)
			dec.Reset(r)
			for {
				if _, err := dec.ReadToken(); err != nil {
					if errors.Is(err, io.EOF) {
						break
					}
					b.Fatal(err)
				}
			}
		}
	})
	b.Run("jsontext-valid", func(b *testing.B) {
		b.SetBytes(int64(len(src)))
		b.ReportAllocs()
		for b.Loop() {
			if !jsontext.Value(src).IsValid() {
				b.Fatal("invalid")
			}
		}
	})
	b.Run("encoding-json-valid", func(b *testing.B) {
		b.SetBytes(int64(len(src)))
		b.ReportAllocs()
		for b.Loop() {
			if !json.Valid(src) {
				b.Fatal("invalid")
			}
		}
	})
	b.Run("encoding-json-map", func(b *testing.B) {
		b.SetBytes(int64(len(src)))
		b.ReportAllocs()
		for b.Loop() {
			var m map[string]any
			if err := json.Unmarshal(src, &m); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func observation(tb testing.TB) []byte {
	tb.Helper()
	var out bytes.Buffer
	if err := json.Compact(&out, example(tb, `"resourceType":"Observation"`, `"id":"example"`)); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

// BenchmarkExamples parses all examples in turn.
func BenchmarkExamples(b *testing.B) {
	docs, size := examples(b), 0
	for _, e := range docs {
		size += len(e)
	}
	var d jsontape.Doc
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		for _, e := range docs {
			if err := d.Parse(e); err != nil {
				b.Fatal(err)
			}
		}
	}
}
