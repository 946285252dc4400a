package archive_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"

	"ward/internal/base/fault"
	"ward/internal/format/archive"
)

func packed(t testing.TB, kind string, content []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	switch kind {
	case "gz":
		z := gzip.NewWriter(&out)
		_, _ = z.Write(content)
		_ = z.Close()
	case "zst":
		z, err := zstd.NewWriter(&out)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = z.Write(content)
		_ = z.Close()
	}
	return out.Bytes()
}

func tarred(t testing.TB, files ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for i := 0; i < len(files); i += 2 {
		if err := w.WriteHeader(&tar.Header{Name: files[i], Mode: 0o600, Size: int64(len(files[i+1]))}); err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(w, files[i+1])
	}
	_ = w.Close()
	return out.Bytes()
}

func list(name string, content []byte, o archive.Options) (string, error) {
	var out []string
	err := archive.Walk(name, bytes.NewReader(content), o, func(d archive.Document) error {
		out = append(out, fmt.Sprintf("%s:%d:%s", d.Name, d.Line, d.Body))
		return nil
	})
	return strings.Join(out, "|"), err
}

func TestWalk(t *testing.T) {
	t.Parallel()
	// printf '{"a":1}\n' | bzip2 | base64
	bz2, err := base64.StdEncoding.DecodeString("QlpoOTFBWSZTWbrGTdsAAANZgAAQEAAgECAAAAogACIDZQhgEUofF3JFOFCQusZN2w==")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name    string
		content []byte
		want    string
	}{
		{"a.json", []byte(`{"a":1}`), `a.json:1:{"a":1}`},
		{"a.json", []byte("\xef\xbb\xbf{\"a\":1}\n"), `a.json:1:{"a":1}`},
		{"a.json", []byte("{\n \"a\": \"}{\\\"\"\n}\n"), "a.json:1:{\n \"a\": \"}{\\\"\"\n}"},
		{"a.json", []byte("\n\n{\n}\n\n{\n}"), "a.json:3:{\n}|a.json:6:{\n}"},
		{"a.json", []byte(`{"a":1}{"b":2}`), `a.json:1:{"a":1}|a.json:1:{"b":2}`},
		{"-", []byte("{\"a\":1}\n\n{\"b\":\n{\"c\":3}\r\n"), `-:1:{"a":1}|-:3:{"b":|-:4:{"c":3}`},
		{"a.ndjson", []byte("{\"a\":\n{\"b\":2}\n"), `a.ndjson:1:{"a":|a.ndjson:2:{"b":2}`},
		{"a.json", []byte("{\"a\":"), `a.json:1:{"a":`},
		{"a.json", []byte("nonsense"), `a.json:1:nonsense`},
		{"a.json", []byte("  \n "), ""},
		{"empty", nil, ""},
		{"a.gz", packed(t, "gz", []byte(`{"a":1}`)), `a.gz:1:{"a":1}`},
		{"a.zst", packed(t, "zst", []byte("{\"a\":1}\n{\"b\":2}\n")), `a.zst:1:{"a":1}|a.zst:2:{"b":2}`},
		{"a.tar", tarred(t, "x/p.json", `{"a":1}`, "README", "no", "x/.hidden.json", "{}", "../q.ndjson", "{}\n[]"), `a.tar!x/p.json:1:{"a":1}|a.tar!q.ndjson:1:{}|a.tar!q.ndjson:2:[]`},
		{"a.tar.zst", packed(t, "zst", tarred(t, "p.json.gz", string(packed(t, "gz", []byte(`{"a":1}`))))), `a.tar.zst!p.json.gz:1:{"a":1}`},
		{"a.bz2", bz2, `a.bz2:1:{"a":1}`},
	} {
		got, err := list(row.name, row.content, archive.Options{})
		if err != nil || got != row.want {
			t.Errorf("%s %.20q:\n got %s, %v\nwant %s", row.name, row.content, got, err, row.want)
		}
	}
}

func TestWalk_Refuses(t *testing.T) {
	t.Parallel()
	deep := []byte(`{"a":1}`)
	for range 5 {
		deep = packed(t, "gz", deep)
	}
	whole := packed(t, "gz", []byte(strings.Repeat(`{"a":1}`+"\n", 1000)))
	for name, row := range map[string]struct {
		content []byte
		code    fault.Code
	}{
		"deep.gz":      {deep, fault.CodeInvalid},
		"cut.gz":       {whole[:len(whole)-9], fault.CodeInvalid},
		"big.json":     {[]byte(`{"a":"` + strings.Repeat("x", 3000) + `"}`), fault.CodeTooLarge},
		"big2.json":    {[]byte("{\n\"a\":\"" + strings.Repeat("x", 300_000) + `"}`), fault.CodeTooLarge},
		"bomb.json.gz": {packed(t, "gz", []byte(`{"a":"`+strings.Repeat("x", 10_000_000)+`"}`)), fault.CodeTooLarge},
	} {
		if _, err := list(name, row.content, archive.Options{Document: 2000}); !fault.Is(err, row.code) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestWalk_ConcatenatedDocuments cuts any documents, written in any spacing, back into themselves.
func TestWalk_ConcatenatedDocuments(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		docs := rapid.SliceOfN(rapid.SampledFrom([]string{
			`{"a":1}`, `{"a":"\\"}`, `{"a":"}"}`, "{\n\"a\":[{},[\"]\"]]\n}", `{"long":"` + strings.Repeat("x", 70_000) + `"}`, `{"e":"\\\"{"}`,
		}), 1, 8).Draw(t, "documents")
		gap := rapid.SampledFrom([]string{"", "\n", "\r\n\n", " "}).Draw(t, "gap")
		var got []string
		// The leading line keeps it from being taken for one document a line.
		err := archive.Walk("x", strings.NewReader("\n"+strings.Join(docs, gap)), archive.Options{}, func(d archive.Document) error {
			got = append(got, string(d.Body))
			return nil
		})
		if err != nil || strings.Join(got, "§") != strings.Join(docs, "§") {
			t.Fatalf("%q became %q, %v", docs, got, err)
		}
	})
}

func FuzzWalk(f *testing.F) {
	f.Add([]byte("{\"a\":1}\n{\"b\":2}"))
	f.Add(packed(f, "gz", []byte("{}")))
	f.Add(tarred(f, "a.json", "{}"))
	f.Fuzz(func(t *testing.T, content []byte) {
		total := 0
		_ = archive.Walk("x", bytes.NewReader(content), archive.Options{Document: 1 << 20}, func(d archive.Document) error {
			total += len(d.Body)
			if d.Line < 1 || len(d.Body) == 0 {
				t.Errorf("%+v", d)
			}
			return nil
		})
		_ = total
	})
}
