package fhir_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"ward/internal/base/fault"
	"ward/internal/format/fhir"
	"ward/internal/format/jsontape"
)

const (
	subsetted = `{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}`
	tagged    = `"meta":{"tag":[` + subsetted + `]}`
)

func view(t *testing.T, summary, elements string) fhir.View {
	t.Helper()
	v, err := fhir.ParseView(summary, elements, "")
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// FHIR R4 search.html#summary and #elements.
func TestView_SummaryAndElements(t *testing.T) {
	t.Parallel()
	const patient = `{"resourceType":"Patient","id":"1","meta":{"versionId":"3"},"text":{"status":"generated","div":"<div/>"},` +
		`"extension":[{"url":"u","valueCode":"c"}],"modifierExtension":[{"url":"m","valueDecimal":1.50}],"active":true,"_active":{"id":"a"},` +
		`"name":[{"family":"F","extension":[{"url":"x"}]}],"birthDate":"2000","_birthDate":{"id":"b"},"maritalStatus":{"text":"s"},"photo":[{"data":"AA==","title":"t"}]}`
	const meta = `"meta":{"versionId":"3","tag":[` + subsetted + `]}`
	for _, row := range []struct{ name, src, summary, elements, want string }{
		{"all of it", patient, "false", "", patient},
		{"count shows nothing less", patient, "count", "", patient},
		{
			"true: the elements marked as summary, and modifiers", patient, "true", "",
			`{"resourceType":"Patient","id":"1",` + meta + `,"modifierExtension":[{"url":"m","valueDecimal":1.50}],"active":true,"_active":{"id":"a"},"name":[{"family":"F"}],"birthDate":"2000","_birthDate":{"id":"b"}}`,
		},
		{
			"text: text, id, meta and what is mandatory or modifies", patient, "text", "",
			`{"resourceType":"Patient","id":"1",` + meta + `,"text":{"status":"generated","div":"<div/>"},"modifierExtension":[{"url":"m","valueDecimal":1.50}],"active":true,"_active":{"id":"a"}}`,
		},
		{
			"data: all but text", patient, "data", "",
			strings.Replace(strings.Replace(patient, `"text":{"status":"generated","div":"<div/>"},`, "", 1), `"meta":{"versionId":"3"}`, meta, 1),
		},
		{
			"elements: those, what is mandatory or modifies, and the extension object", patient, "", "birthDate,nothing",
			`{"resourceType":"Patient","id":"1",` + meta + `,"modifierExtension":[{"url":"m","valueDecimal":1.50}],"active":true,"_active":{"id":"a"},"birthDate":"2000","_birthDate":{"id":"b"}}`,
		},
		{
			"elements of another type don't count", patient, "", "Observation.birthDate,Patient.name",
			`{"resourceType":"Patient","id":"1",` + meta + `,"modifierExtension":[{"url":"m","valueDecimal":1.50}],"active":true,"_active":{"id":"a"},"name":[{"family":"F","extension":[{"url":"x"}]}]}`,
		},
		{
			"nested mandatory elements and choices", `{"resourceType":"Observation","status":"final","code":{"text":"c"},"valueQuantity":{"value":1.50},"component":[{"code":{"text":"k"},"valueString":"v","interpretation":[{}]}]}`, "true", "",
			`{"resourceType":"Observation",` + tagged + `,"status":"final","code":{"text":"c"},"valueQuantity":{"value":1.50},"component":[{"code":{"text":"k"},"valueString":"v"}]}`,
		},
		{
			"a choice by its name with and without type", `{"resourceType":"Observation","id":"o","status":"final","code":{},"valueQuantity":{"value":1.50},"effectiveDateTime":"2020"}`, "", "value[x],effectiveDateTime",
			`{"resourceType":"Observation","id":"o",` + tagged + `,"status":"final","code":{},"valueQuantity":{"value":1.50},"effectiveDateTime":"2020"}`,
		},
		{"what is left empty goes", `{"resourceType":"Patient","link":[{"extension":[]}],"name":[{"extension":[{"url":"x"}]},{"text":"n"}]}`, "true", "", `{"resourceType":"Patient",` + tagged + `,"name":[{"text":"n"}]}`},
		{"tag is not repeated", `{"resourceType":"Patient","meta":{"tag":[` + subsetted + `]},"language":"en"}`, "true", "", `{"resourceType":"Patient","meta":{"tag":[` + subsetted + `]}}`},
		{"tag joins others", `{"resourceType":"Patient","meta":{"tag":[{"code":"SUBSETTED"}],"source":"s"}}`, "data", "", `{"resourceType":"Patient","meta":{"tag":[{"code":"SUBSETTED"},` + subsetted + `],"source":"s"}}`},
		{"empty meta", `{"resourceType":"Patient","meta":{}}`, "data", "", `{"resourceType":"Patient",` + tagged + `}`},
		{
			"resources inside a bundle by their own type", `{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"u","resource":{"resourceType":"Patient","text":{},"gender":"male"}}]}`, "true", "",
			`{"resourceType":"Bundle",` + tagged + `,"type":"collection","entry":[{"fullUrl":"u","resource":{"resourceType":"Patient","gender":"male"}}]}`,
		},
		{"unknown types are shown whole", `{"resourceType":"Zebra","stripes":9}`, "true", "", `{"resourceType":"Zebra","stripes":9}`},
	} {
		v := view(t, row.summary, row.elements)
		if got := string(v.AppendBytes(nil, []byte(row.src))); got != row.want {
			t.Errorf("%s:\n got %s\nwant %s", row.name, got, row.want)
		}
		var d jsontape.Doc
		if err := d.Parse(jsontape.AppendIndent(nil, []byte(row.src))); err != nil {
			t.Fatal(err)
		}
		if got := string(v.Append(nil, &d, d.Root())); got != row.want {
			t.Errorf("%s, from indented bytes:\n got %s\nwant %s", row.name, got, row.want)
		}
		v.Pretty = true
		if got := v.AppendBytes(nil, []byte(row.src)); string(jsontape.AppendCompact(nil, got)) != row.want || !bytes.HasPrefix(got, []byte("{\n  \"")) {
			t.Errorf("%s, pretty:\n%s", row.name, got)
		}
	}
}

// TestView_Examples holds on HL7's examples that each view is valid, has the tag once, and adds nothing else.
func TestView_Examples(t *testing.T) {
	t.Parallel()
	for _, src := range examples(t) {
		for _, summary := range []string{"true", "text", "data"} {
			out := view(t, summary, "").AppendBytes(nil, src)
			var was, is map[string]json.RawMessage
			if err := json.Unmarshal(src, &was); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(out, &is); err != nil {
				t.Fatalf("%s: %v\n%s", summary, err, out)
			}
			if n := bytes.Count(is["meta"], []byte("SUBSETTED")); n != 1 || is["resourceType"] == nil || is["id"] == nil {
				t.Fatalf("%s: %d tags in %s", summary, n, out)
			}
			for key := range is {
				if was[key] == nil && key != "meta" {
					t.Fatalf("%s: %s was added", summary, key)
				}
			}
			if len(out) > len(src)+len(tagged)+1 {
				t.Fatalf("%s: grew from %d to %d bytes", summary, len(src), len(out))
			}
		}
	}
}

func TestParseView_Refuses(t *testing.T) {
	t.Parallel()
	for _, row := range [][3]string{{"yes", "", ""}, {"", "", "1"}, {"true", "id", ""}, {"data", "id", ""}} {
		if _, err := fhir.ParseView(row[0], row[1], row[2]); !fault.Is(err, fault.CodeInvalid) {
			t.Errorf("%v: %v", row, err)
		}
	}
	v := view(t, "", "name, Observation.code,value[x],valueQuantity")
	if got := v.Unknown("Observation"); got != "name" {
		t.Errorf("Observation lacks %q", got)
	}
	if got := v.Unknown("Patient"); got != "value" {
		t.Errorf("Patient lacks %q", got)
	}
	if got := view(t, "", "status,value,valueQuantity,Observation.code,Patient.x").Unknown("Observation"); got != "" {
		t.Errorf("Observation lacks %q", got)
	}
}

func BenchmarkView_Summary(b *testing.B) {
	src := jsontape.AppendCompact(nil, example(b, "Observation", "example"))
	var d jsontape.Doc
	if err := d.Parse(src); err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 0, 8192)
	v := fhir.View{Summary: fhir.SummaryTrue}
	b.ReportAllocs()
	for b.Loop() {
		buf = v.Append(buf[:0], &d, d.Root())
	}
}
