package fhir_test

import (
	"bytes"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ward/internal/format/fhir"
	"ward/internal/format/jsontape"
)

var stamped = time.Date(2026, 3, 4, 5, 6, 7, 89_999_999, time.UTC) //nolint:gochecknoglobals // constant

func stamp(t interface {
	Helper()
	Fatalf(format string, args ...any)
}, src []byte,
) []byte {
	t.Helper()
	var d jsontape.Doc
	if err := d.Parse(src); err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	return fhir.Stamp(nil, &d, "new", "7", stamped)
}

func TestStamp(t *testing.T) {
	t.Parallel()
	const meta = `"versionId":"7","lastUpdated":"2026-03-04T05:06:07.089Z"`
	for _, row := range []struct{ name, src, want string }{
		{"nothing there", `{"resourceType":"Patient"}`, `{"resourceType":"Patient","id":"new","meta":{` + meta + `}}`},
		{"id replaced in place", `{"resourceType":"Patient","active":true,"id":"old"}`, `{"resourceType":"Patient","active":true,"id":"new","meta":{` + meta + `}}`},
		{"meta kept, completed at its start", `{"resourceType":"Patient","id":"o","meta":{"tag":[{"code":"x"}]}}`, `{"resourceType":"Patient","id":"new","meta":{` + meta + `,"tag":[{"code":"x"}]}}`},
		{"client's version and time replaced in place", `{"resourceType":"P","meta":{"lastUpdated":"2001-01-01T00:00:00Z","x":1,"versionId":"1"},"id":"o","z":1}`, `{"resourceType":"P","meta":{"lastUpdated":"2026-03-04T05:06:07.089Z","x":1,"versionId":"7"},"id":"new","z":1}`},
		{"meta first, no id", `{"meta":{"versionId":9},"resourceType":"P","a":[]}`, `{"meta":{"lastUpdated":"2026-03-04T05:06:07.089Z","versionId":"7"},"resourceType":"P","id":"new","a":[]}`},
		{"empty meta", `{"resourceType":"P","meta":{}}`, `{"resourceType":"P","id":"new","meta":{` + meta + `}}`},
		{"meta of a wrong type", `{"resourceType":"P","meta":null}`, `{"resourceType":"P","id":"new","meta":{` + meta + `}}`},
		{"no resourceType", `{"a":1}`, `{"id":"new","meta":{` + meta + `},"a":1}`},
		{"no resourceType, meta", `{"meta":{"a":1}}`, `{"id":"new","meta":{` + meta + `,"a":1}}`},
		{"empty", `{}`, `{"id":"new","meta":{` + meta + `}}`},
		{"nested ids stay", `{"resourceType":"P","id":"o","contained":[{"id":"c","meta":{"versionId":"3"}}]}`, `{"resourceType":"P","id":"new","meta":{` + meta + `},"contained":[{"id":"c","meta":{"versionId":"3"}}]}`},
		{
			"whitespace dropped, decimals and escapes kept", "{ \"resourceType\" : \"P\",\n \"v\": [1.50, 1e5 , -0.0],\n\"s\":\"\\u00e9 \\/ \t\"\t}\n"[:len("{ \"resourceType\" : \"P\",\n \"v\": [1.50, 1e5 , -0.0],\n\"s\":\"\\u00e9 \\/ ")] + "\"\t}\n",
			`{"resourceType":"P","id":"new","meta":{` + meta + `},"v":[1.50,1e5,-0.0],"s":"\u00e9 \/ "}`,
		},
		{"escaped keys are recognised", `{"resourceType":"P","\u0069d":"o","m\u0065ta":{"version\u0049d":"1"}}`, `{"resourceType":"P","\u0069d":"new","m\u0065ta":{"lastUpdated":"2026-03-04T05:06:07.089Z","version\u0049d":"7"}}`},
	} {
		if got := string(stamp(t, []byte(row.src))); got != row.want {
			t.Errorf("%s:\n got %s\nwant %s", row.name, got, row.want)
		}
	}
}

// TestStamp_Examples holds on HL7's examples that all but id, versionId and lastUpdated stays byte for byte, with and
// without whitespace, and that stamping twice changes nothing more.
func TestStamp_Examples(t *testing.T) {
	t.Parallel()
	for _, src := range examples(t) {
		once := stamp(t, src)
		if indented := stamp(t, jsontape.AppendIndent(nil, src)); !bytes.Equal(once, indented) {
			t.Fatalf("whitespace matters:\n%s\n%s", once, indented)
		}
		if twice := stamp(t, once); !bytes.Equal(once, twice) {
			t.Fatalf("not idempotent:\n%s\n%s", once, twice)
		}
		var before, after jsontape.Doc
		if before.Parse(src) != nil || after.Parse(once) != nil {
			t.Fatalf("does not parse: %s", once)
		}
		m := after.First(after.Root())
		for n := before.First(before.Root()); n >= 0; n = before.Next(n) {
			for ; string(before.Key(n)) != string(after.Key(m)); m = after.Next(m) {
				if k := string(after.Key(m)); k != "id" && k != "meta" {
					t.Fatalf("%q was added", k)
				}
			}
			if k := string(after.Key(m)); k != "id" && k != "meta" && !bytes.Equal(before.Raw(n), after.Raw(m)) {
				t.Fatalf("%s changed:\n%s\n%s", k, before.Raw(n), after.Raw(m))
			}
			m = after.Next(m)
		}
	}
}

func TestStampNode_InsideABundle(t *testing.T) {
	t.Parallel()
	var d jsontape.Doc
	if err := d.Parse([]byte(`{"entry":[{"resource": {"resourceType":"P", "id":"1" } }]}`)); err != nil {
		t.Fatal(err)
	}
	resource := d.Get(d.First(d.Get(d.Root(), "entry")), "resource")
	want := `{"resourceType":"P","id":"new","meta":{"versionId":"7","lastUpdated":"2026-03-04T05:06:07.089Z"}}`
	if got := string(fhir.StampNode(nil, &d, resource, "new", "7", stamped)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestStamp_AlwaysReadsBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.Permutation([]string{`"resourceType":"P"`, `"id":"a"`, `"meta":{"tag":[]}`, `"meta2":1`, `"x": {"id":1}`, `"y":[ ]`}).Draw(t, "keys")
		keys = keys[:rapid.IntRange(0, len(keys)).Draw(t, "n")]
		src := []byte("{" + string(bytes.Join(toBytes(keys), []byte(rapid.SampledFrom([]string{",", " , ", "\n,"}).Draw(t, "sep")))) + "}")
		var d jsontape.Doc
		out := stamp(t, src)
		if err := d.Parse(out); err != nil || !d.Compact() {
			t.Fatalf("%s → %s: %v", src, out, err)
		}
		meta := d.Get(d.Root(), "meta")
		if d.Text(d.Get(d.Root(), "id")) != "new" || d.Text(d.Get(meta, "versionId")) != "7" || d.Get(meta, "lastUpdated") < 0 {
			t.Fatalf("%s → %s", src, out)
		}
	})
}

func toBytes(in []string) (out [][]byte) {
	for _, s := range in {
		out = append(out, []byte(s))
	}
	return out
}

func BenchmarkStamp(b *testing.B) {
	var d jsontape.Doc
	if err := d.Parse(jsontape.AppendCompact(nil, example(b, "Observation", "example"))); err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 0, 8192)
	b.SetBytes(int64(len(d.Src())))
	b.ReportAllocs()
	for b.Loop() {
		buf = fhir.Stamp(buf[:0], &d, "0196d2e4-8b1e-7cc3-98c4-dc0c0c07398f", "1", stamped)
	}
}
