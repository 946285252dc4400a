package patch_test

import (
	"bytes"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ward/internal/base/fault"
	"ward/internal/format/fhir/patch"
	"ward/internal/format/jsontape"
)

// RFC 6902 appendix A and §4; every byte that is not named stays.
func TestJSONPatch_RFC6902(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, doc, patch, want string }{
		{"A.1 adding a member", `{"foo":"bar"}`, `[{"op":"add","path":"/baz","value":"qux"}]`, `{"foo":"bar","baz":"qux"}`},
		{"A.2 adding an element", `{"foo":["bar","baz"]}`, `[{"op":"add","path":"/foo/1","value":"qux"}]`, `{"foo":["bar","qux","baz"]}`},
		{"A.3 removing a member", `{"baz":"qux","foo":"bar"}`, `[{"op":"remove","path":"/baz"}]`, `{"foo":"bar"}`},
		{"A.4 removing an element", `{"foo":["bar","qux","baz"]}`, `[{"op":"remove","path":"/foo/1"}]`, `{"foo":["bar","baz"]}`},
		{"A.5 replacing a value", `{"baz":"qux","foo":"bar"}`, `[{"op":"replace","path":"/baz","value":"boo"}]`, `{"baz":"boo","foo":"bar"}`},
		{
			"A.6 moving a value", `{"foo":{"bar":"baz","waldo":"fred"},"qux":{"corge":"grault"}}`, `[{"op":"move","from":"/foo/waldo","path":"/qux/thud"}]`,
			`{"foo":{"bar":"baz"},"qux":{"corge":"grault","thud":"fred"}}`,
		},
		{"A.7 moving an element", `{"foo":["all","grass","cows","eat"]}`, `[{"op":"move","from":"/foo/1","path":"/foo/3"}]`, `{"foo":["all","cows","eat","grass"]}`},
		{"A.8 testing a value: success", `{"baz":"qux","foo":["a",2,"c"]}`, `[{"op":"test","path":"/baz","value":"qux"},{"op":"test","path":"/foo/1","value":2.0}]`, `{"baz":"qux","foo":["a",2,"c"]}`},
		{"A.10 adding a nested member", `{"foo":"bar"}`, `[{"op":"add","path":"/child","value":{"grandchild":{}}}]`, `{"foo":"bar","child":{"grandchild":{}}}`},
		{"A.11 ignoring unrecognized elements", `{"foo":"bar"}`, `[{"op":"add","path":"/baz","value":"qux","xyz":123}]`, `{"foo":"bar","baz":"qux"}`},
		{"A.14 ~ escape ordering", `{"/":9,"~1":10}`, `[{"op":"test","path":"/~01","value":10}]`, `{"/":9,"~1":10}`},
		{"A.16 adding an array value", `{"foo":["bar"]}`, `[{"op":"add","path":"/foo/-","value":["abc","def"]}]`, `{"foo":["bar",["abc","def"]]}`},
		{"§4.1 the member exists", `{"a":1,"b":2}`, `[{"op":"add","path":"/a","value":null}]`, `{"a":null,"b":2}`},
		{"§4.1 at the end of an array", `[1]`, `[{"op":"add","path":"/1","value":2}]`, `[1,2]`},
		{"§4.1 into empty ones", `{"a":[ ],"b":{ }}`, `[{"op":"add","path":"/a/0","value":1},{"op":"add","path":"/b/x","value":2}]`, `{"a":[1],"b":{"x":2}}`},
		{"§4.1 the whole document", `{"a":1}`, `[{"op":"add","path":"","value":[1.50]}]`, `[1.50]`},
		{"§4.2 the only and the last one", `{"a":[1],"b":[1,2]}`, `[{"op":"remove","path":"/a/0"},{"op":"remove","path":"/b/1"}]`, `{"a":[],"b":[1]}`},
		{"§4.4 onto itself", `{"a":1}`, `[{"op":"move","from":"/a","path":"/a"}]`, `{"a":1}`},
		{"§4.5 copying", `{"a":{"x":1.50},"b":[]}`, `[{"op":"copy","from":"/a","path":"/b/-"}]`, `{"a":{"x":1.50},"b":[{"x":1.50}]}`},
		{"§4.6 objects in any order", `{"a":{"x":1,"y":[true]}}`, `[{"op":"test","path":"/a","value":{"y":[true],"x":1e0}}]`, `{"a":{"x":1,"y":[true]}}`},
		{"an empty patch", `{"a":1}`, `[]`, `{"a":1}`},
		{"the empty key", `{"":1}`, `[{"op":"replace","path":"/","value":2}]`, `{"":2}`},
		{
			"bytes stay", "{ \"d\" : 1.50, \"e\": \"\\u00e9\\/\",\n\"x\": [ 1 , 2 ] }", `[ { "op" : "add" , "path" : "/x/1" , "value" : { "q" : 1.0 } } , {"op":"remove","path":"/x/0"} ]`,
			"{ \"d\" : 1.50, \"e\": \"\\u00e9\\/\",\n\"x\": [ {\"q\":1.0},2 ] }",
		},
	} {
		got, err := patch.JSONPatch([]byte(row.doc), []byte(row.patch))
		if err != nil || string(got) != row.want {
			t.Errorf("%s\n got %s, %v\nwant %s", row.name, got, err, row.want)
		}
	}
}

func TestJSONPatch_Refuses(t *testing.T) {
	t.Parallel()
	const doc = `{"a":[1,2],"b":{"c":"x"},"Jane Doe":1}`
	for _, row := range []struct {
		patch, message string
		code           fault.Code
	}{
		{`{}`, "a JSON Patch is an array of operations, found an object", fault.CodeInvalid},
		{`[`, "the body is not valid JSON", fault.CodeInvalid},
		{`[1]`, "operation[0]: an operation is an object, found a number", fault.CodeInvalid},
		{`[{}]`, `operation[0]: the member "op" must be there and be a string`, fault.CodeInvalid},
		{`[{"op":"increment","path":""}]`, `operation[0]: "op" must be add, remove, replace, move, copy or test`, fault.CodeInvalid},
		{`[{"op":"remove"}]`, `operation[0] remove: the member "path" must be there and be a string`, fault.CodeInvalid},
		{`[{"op":"copy","path":"/a"}]`, `operation[0] copy: the member "from" must be there and be a string`, fault.CodeInvalid},
		{`[{"op":"add","path":"/a"}]`, `operation[0] add: the member "value" is missing`, fault.CodeInvalid},
		{`[{"op":"remove","path":"a"}]`, `operation[0] remove: "path" is no JSON Pointer: it must be empty or start with "/"`, fault.CodeInvalid},
		{`[{"op":"remove","path":"/~2"}]`, `operation[0] remove: "path" is no JSON Pointer: "~" is written "~0", and "~1" stands for "/"`, fault.CodeInvalid},
		{`[{"op":"test","path":"/a/0","value":1},{"op":"test","path":"/b/c","value":"y"}]`, "operation[1] test: the value at /b/c is not the one expected", fault.CodeUnprocessable},
		{`[{"op":"test","path":"/b/c","value":1}]`, "operation[0] test: the value at /b/c is not the one expected", fault.CodeUnprocessable},
		{`[{"op":"remove","path":"/z"}]`, "operation[0] remove: there is no /z", fault.CodeUnprocessable},
		{`[{"op":"replace","path":"/b/c/d","value":1}]`, "operation[0] replace: there is no /b/c/d: /b/c is a string", fault.CodeUnprocessable},
		{`[{"op":"remove","path":"/a/2"}]`, "operation[0] remove: there is no /a/2: the array has 2 elements", fault.CodeUnprocessable},
		{`[{"op":"remove","path":"/a/-"}]`, `operation[0] remove: there is no /a/-: "-" is the place after the last element`, fault.CodeUnprocessable},
		{`[{"op":"remove","path":"/a/01"}]`, "operation[0] remove: an element of an array is named by its index, counted from 0", fault.CodeUnprocessable},
		{`[{"op":"add","path":"/a/3","value":1}]`, "operation[0] add: /a has 2 elements, so an element can't be added at index 3", fault.CodeUnprocessable},
		{`[{"op":"add","path":"/b/c/d","value":1}]`, "operation[0] add: /b/c is a string, which nothing can be added to", fault.CodeUnprocessable},
		{`[{"op":"add","path":"/y/z","value":1}]`, "operation[0] add: there is no /y", fault.CodeUnprocessable},
		{`[{"op":"move","from":"/b","path":"/b/c"}]`, "operation[0] move: /b can't be moved into itself", fault.CodeUnprocessable},
		{`[{"op":"remove","path":""}]`, "operation[0] remove: the whole document can't be removed", fault.CodeUnprocessable},
		{`[{"op":"remove","path":"/John Smith"}]`, "operation[0] remove: there is no /…", fault.CodeUnprocessable},
	} {
		_, err := patch.JSONPatch([]byte(doc), []byte(row.patch))
		if !fault.Is(err, row.code) || fault.Message(err) != row.message {
			t.Errorf("%s\n got %v\nwant %s", row.patch, err, row.message)
		}
	}
	_, err := patch.JSONPatch([]byte(doc), []byte("[\n  {\"op\":\"remove\",\"path\":\"/z\"}]"))
	if d := fault.Details(err); len(d) != 1 || d[0].Line != 2 || d[0].Column != 3 || d[0].Severity != "error" {
		t.Errorf("details %+v", d)
	}
}

func TestJSONPatch_WorkAndSizeAreBounded(t *testing.T) {
	t.Parallel()
	doubling := `[{"op":"add","path":"/a","value":"` + strings.Repeat("x", 1000) + `"}`
	for i := range 20 {
		doubling += `,{"op":"copy","from":"","path":"/b` + strconv.Itoa(i) + `"}`
	}
	doubling += "]"
	if _, err := patch.JSONPatch([]byte(`{}`), []byte(doubling)); !fault.Is(err, fault.CodeTooLarge) {
		t.Errorf("doubling: %v", err)
	}
	large := []byte(`{"a":"` + strings.Repeat("x", 4<<20) + `","b":0}`)
	many := `[{"op":"test","path":"/b","value":0}` + strings.Repeat(`,{"op":"replace","path":"/b","value":1}`, 100) + `]`
	if _, err := patch.JSONPatch(large, []byte(many)); !fault.Is(err, fault.CodeTooCostly) {
		t.Errorf("many operations on a large document: %v", err)
	}
}

// TestJSONPatch_Properties holds that adding, replacing and removing a value anywhere in a random document does just that, and that
// what was not named has its bytes.
func TestJSONPatch_Properties(t *testing.T) {
	t.Parallel()
	scalar := rapid.SampledFrom([]string{`1.50`, `"\u00e9"`, `null`, `true`, `-0.0`, `"x\"y"`, `{}`, `[]`})
	var value func(depth int) *rapid.Generator[string]
	value = func(depth int) *rapid.Generator[string] {
		return rapid.Custom(func(t *rapid.T) string {
			if depth == 0 || rapid.Bool().Draw(t, "leaf") {
				return scalar.Draw(t, "scalar")
			}
			parts := rapid.SliceOfN(value(depth-1), 0, 4).Draw(t, "parts")
			if rapid.Bool().Draw(t, "array") {
				return "[" + strings.Join(parts, " , ") + "]"
			}
			for i := range parts {
				parts[i] = `"` + []string{"a", "b~", "c/d", "é"}[i] + `" : ` + parts[i]
			}
			return "{" + strings.Join(parts, ",") + "}"
		})
	}
	rapid.Check(t, func(t *rapid.T) {
		doc := value(3).Draw(t, "doc")
		var d jsontape.Doc
		if err := d.Parse([]byte(doc)); err != nil {
			t.Fatal(err)
		}
		var paths []string
		var walk func(n jsontape.Node, path string)
		walk = func(n jsontape.Node, path string) {
			i := 0
			for c := d.First(n); c >= 0; c = d.Next(c) {
				token := string(rune('0' + i))
				if d.Kind(n) == jsontape.Object {
					token = strings.NewReplacer("~", "~0", "/", "~1").Replace(string(d.Key(c)))
				}
				paths = append(paths, path+"/"+token)
				walk(c, path+"/"+token)
				i++
			}
		}
		walk(d.Root(), "")
		if len(paths) == 0 {
			return
		}
		path := rapid.SampledFrom(paths).Draw(t, "path")
		quoted := string(jsontape.AppendQuoted(nil, path))
		apply := func(doc []byte, operations string) []byte {
			out, err := patch.JSONPatch(doc, []byte(operations))
			if err != nil {
				t.Fatalf("%s on %s: %v", operations, doc, err)
			}
			return out
		}
		replaced := apply([]byte(doc), `[{"op":"replace","path":`+quoted+`,"value":"new"},{"op":"test","path":`+quoted+`,"value":"new"}]`)
		if bytes.Count(replaced, []byte(`"new"`)) != 1 {
			t.Fatalf("%s: %s", path, replaced)
		}
		// Replacing back by what was there gives the very same bytes, whitespace in the value apart.
		var old jsontape.Node
		for n := range jsontape.Node(d.Nodes()) { //nolint:gosec // small
			if bytes.HasPrefix(replaced, []byte(doc)[:d.Offset(n)]) && bytes.HasPrefix(replaced[d.Offset(n):], []byte(`"new"`)) {
				old = n
				break
			}
		}
		back := apply(replaced, `[{"op":"replace","path":`+quoted+`,"value":`+string(d.Raw(old))+`}]`)
		if !bytes.Equal(jsontape.AppendCompact(nil, back), jsontape.AppendCompact(nil, []byte(doc))) {
			t.Fatalf("%s: %s\n%s", path, doc, back)
		}
		removed := apply([]byte(doc), `[{"op":"remove","path":`+quoted+`}]`)
		var r jsontape.Doc
		if err := r.Parse(removed); err != nil || r.Nodes() >= d.Nodes() {
			t.Fatalf("%s: %s: %v", path, removed, err)
		}
	})
}

func FuzzJSONPatch(f *testing.F) {
	for _, s := range []string{
		`[{"op":"add","path":"/a/-","value":1}]`, `[{"op":"move","from":"/a","path":"/b/x"}]`, `[{"op":"copy","from":"","path":"/b/x"}]`, `[{"op":"test","path":"/~0","value":{}}]`,
		`[{"op":"remove","path":"/b/c"}]`, `[{"op":"replace","path":"","value":1}]`,
	} {
		f.Add(`{"a":[1,2],"b":{"c":"x"},"~":{}}`, s)
	}
	f.Fuzz(func(t *testing.T, doc, operations string) {
		out, err := patch.JSONPatch([]byte(doc), []byte(operations))
		if err != nil {
			if _, ok := fault.Of(err); !ok {
				t.Fatalf("%s on %s: %v", operations, doc, err)
			}
			return
		}
		var d jsontape.Doc
		if err := d.Parse(out); err != nil {
			t.Fatalf("%s on %s gives %s: %v", operations, doc, out, err)
		}
	})
}

func BenchmarkJSONPatch(b *testing.B) {
	doc := []byte(`{"resourceType":"Patient","id":"1","name":[{"family":"A","given":["B","C"]}],"birthDate":"1970-01-01","text":{"div":"` + strings.Repeat("x", 1000) + `"}}`)
	operations := []byte(`[{"op":"test","path":"/birthDate","value":"1970-01-01"},{"op":"replace","path":"/birthDate","value":"1970-01-02"},{"op":"add","path":"/name/0/given/-","value":"D"}]`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := patch.JSONPatch(doc, operations); err != nil {
			b.Fatal(err)
		}
	}
}
