package jsontape_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"ward/internal/format/jsontape"
)

// FuzzParse holds that the tape accepts exactly what jsontext accepts with duplicate names and invalid UTF-8
// refused, and that both read the same tokens.
func FuzzParse(f *testing.F) {
	for _, e := range examples(f) {
		if len(e) < 3000 {
			f.Add(e)
		}
	}
	for _, s := range append(append([]string{}, accepted...), refusedSources()...) {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		checkAgainstJSONText(t, src)
	})
}

func checkAgainstJSONText(t *testing.T, src []byte) {
	t.Helper()
	var d jsontape.Doc
	d.MaxDepth = 10_000
	err := d.Parse(src)
	want := validByJSONText(src)
	if err != nil {
		var syntax *jsontape.SyntaxError
		if !errors.As(err, &syntax) || syntax.Line < 1 || syntax.Column < 1 || syntax.Offset < 0 || syntax.Offset > len(src) {
			t.Fatalf("%q: error without a place: %#v", src, err)
		}
		if want && !strings.Contains(err.Error(), "too deeply") && !strings.Contains(err.Error(), "too many values") {
			t.Fatalf("%q: refused (%v), jsontext accepts", src, err)
		}
		return
	}
	if !want {
		t.Fatalf("%q: accepted, jsontext refuses", src)
	}
	compare(t, &d, src)
	checkNodes(t, &d)
	checkWriters(t, &d, src)
}

func validByJSONText(src []byte) bool {
	dec := jsontext.NewDecoder(bytes.NewReader(src))
	if _, err := dec.ReadValue(); err != nil {
		return false
	}
	_, err := dec.ReadValue()
	return errors.Is(err, io.EOF)
}

// compare walks the tape beside jsontext's tokens.
func compare(t *testing.T, d *jsontape.Doc, src []byte) {
	t.Helper()
	dec := jsontext.NewDecoder(bytes.NewReader(src))
	var walk func(n jsontape.Node)
	token := func() jsontext.Token {
		tok, err := dec.ReadToken()
		if err != nil {
			t.Fatalf("%q: jsontext ends early: %v", src, err)
		}
		return tok
	}
	walk = func(n jsontape.Node) {
		tok := token()
		switch d.Kind(n) {
		case jsontape.Object, jsontape.Array:
			object := d.Kind(n) == jsontape.Object
			if tok.Kind() != map[bool]jsontext.Kind{true: '{', false: '['}[object] {
				t.Fatalf("%q: got %v, want %v", src, d.Kind(n), tok.Kind())
			}
			count := 0
			for c := d.First(n); c >= 0; c = d.Next(c) {
				count++
				if object {
					if key := token().String(); key != string(d.Key(c)) {
						t.Fatalf("%q: key %q, want %q", src, d.Key(c), key)
					}
				}
				walk(c)
			}
			if k := token().Kind(); k != '}' && k != ']' || count != d.Len(n) {
				t.Fatalf("%q: %d children, Len says %d, then %v", src, count, d.Len(n), k)
			}
		default:
			if tok.String() != d.Text(n) {
				t.Fatalf("%q: got %q, want %q", src, d.Text(n), tok.String())
			}
		}
	}
	walk(d.Root())
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		t.Fatalf("%q: the tape ends early", src)
	}
}

// checkNodes holds the accessors against each other.
func checkNodes(t *testing.T, d *jsontape.Doc) {
	t.Helper()
	for n := range jsontape.Node(d.Nodes()) { //nolint:gosec // small
		raw := d.Raw(n)
		var again jsontape.Doc
		again.MaxDepth = 10_000
		if len(raw) < 200 {
			if err := again.Parse(raw); err != nil || again.Text(again.Root()) != d.Text(n) {
				t.Fatalf("%q: Raw of node %d is %q: %v", d.Src(), n, raw, err)
			}
		}
		if !bytes.Equal(raw, d.Src()[d.Offset(n):d.End(n)]) {
			t.Fatalf("%q: Raw, Offset and End of node %d differ", d.Src(), n)
		}
		if d.Key(n) != nil && d.Src()[d.KeyOffset(n)] != '"' {
			t.Fatalf("%q: KeyOffset of node %d is %d", d.Src(), n, d.KeyOffset(n))
		}
		last := jsontape.Invalid
		for c := d.First(n); c >= 0; c = d.Next(c) {
			if d.Kind(n) == jsontape.Object && d.Len(n) < 50 && d.Get(n, string(d.Key(c))) != c {
				t.Fatalf("%q: Get(%q) is not its member", d.Src(), d.Key(c))
			}
			if last >= 0 && d.After(last) != c {
				t.Fatalf("%q: After(%d) = %d, want %d", d.Src(), last, d.After(last), c)
			}
			last = c
		}
		if d.Last(n) != last {
			t.Fatalf("%q: Last(%d) = %d, want %d", d.Src(), n, d.Last(n), last)
		}
	}
}

// checkWriters holds compaction and indentation against encoding/json, which also keeps tokens as written.
func checkWriters(t *testing.T, d *jsontape.Doc, src []byte) {
	t.Helper()
	var want bytes.Buffer
	if err := json.Compact(&want, src); err != nil {
		return
	}
	got := jsontape.AppendCompact(nil, src)
	if !bytes.Equal(got, want.Bytes()) {
		t.Fatalf("%q: compacted to %q, want %q", src, got, want.Bytes())
	}
	if d.Compact() != bytes.Equal(got, src) {
		t.Fatalf("%q: Compact says %v", src, d.Compact())
	}
	want.Reset()
	if err := json.Indent(&want, bytes.TrimSpace(src), "", "  "); err != nil {
		return
	}
	if got := jsontape.AppendIndent(nil, src); !bytes.Equal(got, want.Bytes()) {
		t.Fatalf("%q: indented to %q, want %q", src, got, want.Bytes())
	}
}

// FuzzAppendQuoted holds that any text can be written and read back.
func FuzzAppendQuoted(f *testing.F) {
	for _, s := range []string{"", "plain", "\"\\\n\t\x00", "Grüße 😀", "\xff\xfe", "a\xc3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		quoted := jsontape.AppendQuoted(nil, s)
		if other := jsontape.AppendQuoted(nil, []byte(s)); !bytes.Equal(quoted, other) {
			t.Fatalf("%q as bytes: %q, as a string: %q", s, other, quoted)
		}
		var d jsontape.Doc
		if err := d.Parse(quoted); err != nil {
			t.Fatalf("%q written as %q: %v", s, quoted, err)
		}
		if got, want := d.Text(d.Root()), strings.ToValidUTF8(s, ""); strings.ReplaceAll(got, "\ufffd", "") != strings.ReplaceAll(want, "\ufffd", "") {
			t.Fatalf("%q came back as %q", s, got)
		}
	})
}
