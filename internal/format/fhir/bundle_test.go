package fhir_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"ward/internal/format/fhir"
	"ward/internal/format/jsontape"
)

func TestBundle_Searchset(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	b := fhir.NewBundle(&out, fhir.BundleHead{
		Type: fhir.Searchset, ID: "b1", Updated: stamped, Total: 7,
		Links: []fhir.Link{{Relation: "self", URL: `http://a/Patient?name="x"`}, {Relation: "next", URL: "http://a?_cursor=z"}},
	}, fhir.View{})
	for _, e := range []*fhir.BundleEntry{
		{FullURL: "http://a/Patient/1", Resource: []byte(`{"resourceType":"Patient","v":1.50}`), Mode: fhir.Match},
		{Resource: []byte(`{"resourceType":"OperationOutcome"}`), Mode: fhir.Outcome},
	} {
		if err := b.Entry(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Close(fhir.Link{Relation: "late", URL: "ignored, the head had links"}); err != nil {
		t.Fatal(err)
	}
	want := `{"resourceType":"Bundle","id":"b1","meta":{"lastUpdated":"2026-03-04T05:06:07.089Z"},"type":"searchset","total":7,` +
		`"link":[{"relation":"self","url":"http://a/Patient?name=\"x\""},{"relation":"next","url":"http://a?_cursor=z"}],` +
		`"entry":[{"fullUrl":"http://a/Patient/1","resource":{"resourceType":"Patient","v":1.50},"search":{"mode":"match"}},` +
		`{"resource":{"resourceType":"OperationOutcome"},"search":{"mode":"outcome"}}]}`
	if out.String() != want {
		t.Errorf("got  %s\nwant %s", out.String(), want)
	}
}

func TestBundle_EmptyHasNoEntryAndLateLinks(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	b := fhir.NewBundle(&out, fhir.BundleHead{Type: fhir.Searchset, Total: fhir.NoTotal}, fhir.View{})
	if err := b.Close(fhir.Link{Relation: "self", URL: "u"}); err != nil {
		t.Fatal(err)
	}
	if want := `{"resourceType":"Bundle","type":"searchset","link":[{"relation":"self","url":"u"}]}`; out.String() != want {
		t.Errorf("got %s", out.String())
	}
}

func TestBundle_HistoryAndTransactionResponse(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	b := fhir.NewBundle(&out, fhir.BundleHead{Type: fhir.HistoryBundle, Total: 1}, fhir.View{})
	_ = b.Entry(&fhir.BundleEntry{
		FullURL: "u", Request: &fhir.EntryRequest{Method: "DELETE", URL: "Patient/1"},
		Response: &fhir.EntryResponse{Status: "204 No Content", LastModified: stamped},
	})
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if want := `{"resourceType":"Bundle","type":"history","total":1,"entry":[{"fullUrl":"u","request":{"method":"DELETE","url":"Patient/1"},"response":{"status":"204 No Content","lastModified":"2026-03-04T05:06:07.089Z"}}]}`; out.String() != want {
		t.Errorf("got %s", out.String())
	}
	out.Reset()
	b = fhir.NewBundle(&out, fhir.BundleHead{Type: fhir.TransactionResponse, Total: 3}, fhir.View{})
	_ = b.Entry(&fhir.BundleEntry{Response: &fhir.EntryResponse{Status: "201 Created", Location: "Patient/1/_history/1", ETag: `W/"1"`, Outcome: []byte(`{"resourceType":"OperationOutcome"}`)}})
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if want := `{"resourceType":"Bundle","type":"transaction-response","entry":[{"response":{"status":"201 Created","location":"Patient/1/_history/1","etag":"W/\"1\"","outcome":{"resourceType":"OperationOutcome"}}}]}`; out.String() != want {
		t.Errorf("got %s", out.String())
	}
}

// TestBundle_StreamsAllExamples writes all examples through the writer, with each view, and reads them back.
func TestBundle_StreamsAllExamples(t *testing.T) {
	t.Parallel()
	docs := examples(t)
	for _, v := range []fhir.View{{}, {Pretty: true}, {Summary: fhir.SummaryTrue}, {Summary: fhir.SummaryData, Pretty: true}} {
		var out countingWriter
		b := fhir.NewBundle(&out, fhir.BundleHead{Type: fhir.Searchset, Total: fhir.NoTotal}, v)
		for _, src := range docs {
			if err := b.Entry(&fhir.BundleEntry{Resource: src, Mode: fhir.Match}); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		if v.Pretty != (out.writes == 1) {
			t.Errorf("%+v: %d writes of %d bytes", v, out.writes, out.Len())
		}
		var d jsontape.Doc
		if err := d.Parse(out.Bytes()); err != nil {
			t.Fatal(err)
		}
		entries := d.Get(d.Root(), "entry")
		if d.Len(entries) != len(docs) || b.Entries() != len(docs) || d.Compact() == v.Pretty {
			t.Errorf("%+v: %d entries of %d", v, d.Len(entries), len(docs))
		}
		i := 0
		for e := d.First(entries); e >= 0; e = d.Next(e) {
			if v.Whole() && !v.Pretty && !bytes.Equal(d.Raw(d.Get(e, "resource")), docs[i]) {
				t.Fatalf("entry %d changed", i)
			}
			i++
		}
	}
}

type countingWriter struct {
	bytes.Buffer
	writes int
}

func (w *countingWriter) Write(p []byte) (int, error) {
	w.writes++
	return w.Buffer.Write(p)
}

type brokenWriter struct{}

var errBroken = errors.New("broken pipe")

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }

func TestBundle_WriterFails(t *testing.T) {
	t.Parallel()
	b := fhir.NewBundle(brokenWriter{}, fhir.BundleHead{Type: fhir.Searchset}, fhir.View{})
	large := []byte(`{"a":"` + strings.Repeat("x", 40_000) + `"}`)
	if err := b.Entry(&fhir.BundleEntry{Resource: large}); !errors.Is(err, errBroken) {
		t.Errorf("Entry: %v", err)
	}
	if err := b.Entry(&fhir.BundleEntry{Resource: large}); !errors.Is(err, errBroken) {
		t.Errorf("Entry after the failure: %v", err)
	}
	if err := b.Close(); !errors.Is(err, errBroken) {
		t.Errorf("Close: %v", err)
	}
}

func BenchmarkBundle_Page(b *testing.B) {
	src := jsontape.AppendCompact(nil, example(b, "Observation", "example"))
	entry := &fhir.BundleEntry{FullURL: "http://localhost:8080/t/demo/fhir/Observation/example", Resource: src, Mode: fhir.Match}
	head := fhir.BundleHead{Type: fhir.Searchset, Total: fhir.NoTotal, Links: []fhir.Link{{Relation: "self", URL: "http://localhost:8080/t/demo/fhir/Observation?patient=1"}}}
	b.SetBytes(20 * int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		w := fhir.NewBundle(io.Discard, head, fhir.View{})
		for range 20 {
			_ = w.Entry(entry)
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
