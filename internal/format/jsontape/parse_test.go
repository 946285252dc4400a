package jsontape_test

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"ward/internal/format/jsontape"
)

//nolint:gochecknoglobals // constant table
var accepted = []string{
	`null`, `true`, `false`, `0`, `-0`, `1.50`, `-12.5e-3`, `1E+2`, `""`, `"a"`, `[]`, `{}`, " [ ] ", "\t{\r\n}\n",
	`[1,"a",null,true,{"b":[]}]`, `{"a":1,"b":2,"c":{"a":1}}`, `{"a\u0062":1,"ac":2}`, `"😀 \ud83d\ude00 \/ \" \\ \b\f\n\r\t"`,
	`{"":1}`, `"\u0000"`, `{"resourceType":"Patient","id":"1","active":true}`, strings.Repeat("[", 199) + strings.Repeat("]", 199),
	`{"valueA":1,"valueB":2,"value":3,"valu":4}`, `{"12345678":1,"12345679":2,"22345678":3}`, `"a string of more than eight bytes"`,
}

//nolint:gochecknoglobals // constant table
var refused = []struct {
	src          string
	line, column int
	message      string
}{
	{"", 1, 1, "expected a value, but the document ends here"},
	{"  \n ", 2, 2, "expected a value, but the document ends here"},
	{`{"a":1,}`, 1, 8, "expected a key after the comma, found '}'; remove the comma"},
	{`[1,]`, 1, 4, "expected a value, found ']'"},
	{`[1 2]`, 1, 4, "expected ',' or ']' after an element, found a digit"},
	{`{"a" 1}`, 1, 6, "expected ':' after a key, found a digit"},
	{`{"a":1 "b":2}`, 1, 8, "expected ',' or '}' after a member, found a string"},
	{`{a:1}`, 1, 2, "expected a key in double quotes, found a letter outside a string"},
	{`{'a':1}`, 1, 2, "expected a key in double quotes, found a single quote; strings need double quotes"},
	{`{"a":}`, 1, 6, "expected a value, found '}'"},
	{"{\n  \"a\": 1,\n  \"a\": 2\n}", 3, 3, `the key "a" occurs twice in this object`},
	{`{"a":1,"\u0061":2}`, 1, 8, `the key "a" occurs twice in this object`},
	{`{"\u0061":1,"a":2}`, 1, 13, `the key "a" occurs twice in this object`},
	{`{"Jane Doe":1,"Jane Doe":2}`, 1, 15, `a key occurs twice in this object`},
	{`{"":1,"":2}`, 1, 7, `the empty key occurs twice in this object`},
	{`[1`, 1, 3, "expected ',' or ']', but the document ends here inside what starts at line 1, column 1"},
	{"{\n \"a\":[\n{\"b\":1}\n", 4, 1, "expected ',' or ']', but the document ends here inside what starts at line 2, column 6"},
	{`{"a":"b`, 1, 6, "the string that starts here has no closing quote"},
	{`{"a`, 1, 2, "the string that starts here has no closing quote"},
	{`{"a":1`, 1, 7, "expected ',' or '}', but the document ends here inside what starts at line 1, column 1"},
	{`{`, 1, 2, "expected a key in double quotes, but the document ends here"},
	{"\"a\tb\"", 1, 3, `a string may not contain the control character U+0009 as it is; write it as \u0009`},
	{"\"é\n\"", 1, 3, `a string may not contain the control character U+000A as it is; write it as \u000A`},
	{"\"ab\xffc\"", 1, 4, "the byte 0xFF is not valid UTF-8 here"},
	{"\"\xed\xa0\x80\"", 1, 2, "the byte 0xED is not valid UTF-8 here"},
	{"{\"\xff\":1}", 1, 3, "the byte 0xFF is not valid UTF-8 here"},
	{`"\x"`, 1, 2, `an escape must be one of \" \\ \/ \b \f \n \r \t \uXXXX`},
	{`"\u12"`, 1, 2, `\u needs four hexadecimal digits`},
	{`"é\ud800"`, 1, 3, `this \u escape is half of a surrogate pair; both halves must follow each other`},
	{`"\ud800\u0041"`, 1, 2, `this \u escape is half of a surrogate pair; both halves must follow each other`},
	{`"\udc00\ud800"`, 1, 2, `this \u escape is half of a surrogate pair; both halves must follow each other`},
	{`"\`, 1, 2, "the document ends inside an escape"},
	{`01`, 1, 1, "a number may not start with 0 and another digit"},
	{`-01`, 1, 3, "expected nothing after the end of the document, found a digit"},
	{`1.`, 1, 3, "expected a digit, but the document ends here"},
	{`[.5]`, 1, 2, "expected a value, found '.'"},
	{`[+1]`, 1, 2, "expected a value, found '+'"},
	{`[1e]`, 1, 4, "expected a digit, found ']'"},
	{`[-]`, 1, 3, "expected a digit, found ']'"},
	{`NaN`, 1, 1, "expected a value, found a letter outside a string"},
	{`tru`, 1, 1, "expected a value, found a letter outside a string"},
	{`[truee]`, 1, 6, "expected ',' or ']' after an element, found a letter outside a string"},
	{`{} {}`, 1, 4, "expected nothing after the end of the document, found '{'"},
	{"\ufeff{}", 1, 1, "expected a value, found a byte order mark, which JSON does not allow"},
	{"/* a */ 1", 1, 1, "expected a value, found '/'; JSON has no comments"},
	{"[\x00]", 1, 2, "expected a value, found the control character U+0000"},
	{"[\xff]", 1, 2, "expected a value, found the byte 0xFF, which is not UTF-8"},
	{"[\u00a01]", 1, 2, "expected a value, found a character outside a string"},
	{strings.Repeat("[", 10_000), 1, 201, "arrays and objects are nested too deeply here"},
	{strings.Repeat(`{"a":`, 201) + "1" + strings.Repeat("}", 201), 1, 1001, "arrays and objects are nested too deeply here"},
}

func refusedSources() []string {
	var out []string
	for _, r := range refused {
		out = append(out, r.src)
	}
	return out
}

func TestParse_Accepts(t *testing.T) {
	t.Parallel()
	for _, src := range accepted {
		checkAgainstJSONText(t, []byte(src))
	}
	for _, src := range examples(t) {
		checkAgainstJSONText(t, src)
	}
}

func TestParse_RefusesWithPlaceAndReason(t *testing.T) {
	t.Parallel()
	for _, row := range refused {
		var d jsontape.Doc
		err := d.Parse([]byte(row.src))
		var syntax *jsontape.SyntaxError
		if !errors.As(err, &syntax) {
			t.Errorf("%.40q: got %v, want a SyntaxError", row.src, err)
			continue
		}
		if syntax.Line != row.line || syntax.Column != row.column || syntax.Message != row.message {
			t.Errorf("%.40q:\n got %d:%d %s\nwant %d:%d %s", row.src, syntax.Line, syntax.Column, syntax.Message, row.line, row.column, row.message)
		}
		if d.Root() != jsontape.Invalid {
			t.Errorf("%.40q: a refused document has a root", row.src)
		}
	}
}

// TestParse_EveryPrefixAndByte holds equivalence with jsontext on all truncations of an example and on each
// single byte changed.
func TestParse_EveryPrefixAndByte(t *testing.T) {
	t.Parallel()
	src := observation(t)
	for i := range src {
		checkAgainstJSONText(t, src[:i:i])
		for _, c := range []byte{'"', '\\', '}', ',', 0x1f, 0x80, '0'} {
			changed := bytes.Clone(src)
			changed[i] = c
			var d jsontape.Doc
			if got, want := d.Parse(changed) == nil, validByJSONText(changed); got != want {
				t.Fatalf("%q: accepted %v, jsontext %v", changed, got, want)
			}
		}
	}
}

func TestParse_DuplicateKeysInObjectsOfAnySize(t *testing.T) {
	t.Parallel()
	for _, size := range []int{2, 3, 8, 47, 48, 49, 50, 64, 65, 1000} {
		var b strings.Builder
		for i := range size {
			fmt.Fprintf(&b, `,"key%d":%d`, i, i)
		}
		members := b.String()[1:]
		var d jsontape.Doc
		if err := d.Parse([]byte("{" + members + "}")); err != nil {
			t.Fatalf("%d members: %v", size, err)
		}
		for _, again := range []int{0, size / 2, size - 1} {
			src := fmt.Sprintf(`{%s,"key%d":0}`, members, again)
			err := d.Parse([]byte(src))
			var syntax *jsontape.SyntaxError
			if !errors.As(err, &syntax) || syntax.Offset != len(members)+2 ||
				syntax.Message != fmt.Sprintf(`the key "key%d" occurs twice in this object`, again) {
				t.Fatalf("%d members, key %d again: %v", size, again, err)
			}
		}
	}
}

// TestParse_HostileSizes holds that time and memory stay in proportion to the document.
func TestParse_HostileSizes(t *testing.T) {
	t.Parallel()
	var d jsontape.Doc
	zeros := []byte("[0" + strings.Repeat(",0", 1<<20) + "]")
	if err := d.Parse(zeros); err == nil || !strings.Contains(err.Error(), "too many values for its size") {
		t.Errorf("a million zeros: %v", err)
	}
	var b strings.Builder
	for i := range 200_000 {
		fmt.Fprintf(&b, `,"key%012d":{}`, i)
	}
	if err := d.Parse([]byte("{" + b.String()[1:] + "}")); err != nil {
		t.Errorf("200,000 keys: %v", err)
	}
}

func TestDoc_Accessors(t *testing.T) {
	t.Parallel()
	var d jsontape.Doc
	src := "{\"a\":1.50,\n \"b\\u0063\" : [\"x\\ny\",{\"c\":null}], \"d\":\"é\"}"
	if err := d.Parse([]byte(src)); err != nil {
		t.Fatal(err)
	}
	root := d.Root()
	bc := d.Get(root, "bc")
	if d.Text(d.Get(root, "a")) != "1.50" || d.Kind(bc) != jsontape.Array || d.Len(bc) != 2 || d.Len(root) != 3 {
		t.Errorf("a = %s, bc is %v of %d", d.Raw(d.Get(root, "a")), d.Kind(bc), d.Len(bc))
	}
	if got := d.Text(d.Index(bc, 0)); got != "x\ny" || !d.Escaped(d.Index(bc, 0)) || string(d.Raw(d.Index(bc, 0))) != `"x\ny"` {
		t.Errorf("bc[0] = %q", got)
	}
	if got := string(d.RawMember(bc)); got != `"b\u0063" : ["x\ny",{"c":null}]` {
		t.Errorf("RawMember = %q", got)
	}
	if line, column := d.Position(bc); line != 2 || column != 14 {
		t.Errorf("bc is at %d:%d", line, column)
	}
	if line, column := d.KeyPosition(bc); line != 2 || column != 2 {
		t.Errorf("bc's key is at %d:%d", line, column)
	}
	if d.Index(bc, 2) != jsontape.Invalid || d.Index(bc, -1) != jsontape.Invalid || d.Get(bc, "c") != jsontape.Invalid || d.Get(root, "x") != jsontape.Invalid {
		t.Error("what is absent must be Invalid")
	}
	none := jsontape.Invalid
	if d.Kind(none) != jsontape.None || d.First(none) != none || d.Next(none) != none || d.Len(none) != 0 || d.Key(none) != nil ||
		d.Raw(none) != nil || d.Bytes(none) != nil || d.Get(none, "a") != none || d.Text(none) != "" || d.Last(none) != none {
		t.Error("accessors of Invalid must answer with nothing")
	}
}

func TestDoc_ReuseAllocatesNothing(t *testing.T) {
	var d jsontape.Doc
	docs := examples(t)
	parse := func() {
		for _, src := range docs {
			if err := d.Parse(src); err != nil {
				t.Fatal(err)
			}
		}
	}
	parse()
	if n := testing.AllocsPerRun(10, parse); n != 0 {
		t.Errorf("%v allocations for %d documents", n, len(docs))
	}
}

func TestPool_LetsGoOfLargeTapes(t *testing.T) {
	t.Parallel()
	var p jsontape.Pool
	d := p.Get()
	if err := d.Parse([]byte("[" + strings.Repeat(`"0123456789",`, 100_000) + "1]")); err != nil {
		t.Fatal(err)
	}
	p.Put(d)
	if d.Src() != nil || d.Root() != jsontape.Invalid {
		t.Error("a Doc in the pool still holds its document")
	}
	runtime.KeepAlive(d)
}
