package fhir_test

import (
	"strings"
	"testing"

	"ward/internal/format/fhir"
)

// FHIR R4 references.html#literal.
func TestParseReference(t *testing.T) {
	t.Parallel()
	const base = "https://ward.example/t/demo/fhir"
	for _, row := range []struct {
		text string
		want fhir.Ref
	}{
		{"", fhir.Ref{}},
		{"Patient/1", fhir.Ref{Kind: fhir.Local, Type: "Patient", ID: "1"}},
		{"Patient/1/_history/2", fhir.Ref{Kind: fhir.Local, Type: "Patient", ID: "1", Version: "2"}},
		{"Patient/1#p", fhir.Ref{Kind: fhir.Local, Type: "Patient", ID: "1", Fragment: "p"}},
		{base + "/Patient/1", fhir.Ref{Kind: fhir.Local, Type: "Patient", ID: "1"}},
		{"http" + strings.TrimPrefix(base, "https") + "/Patient/1", fhir.Ref{Kind: fhir.Local, Type: "Patient", ID: "1"}},
		{base + "/Patient/1/_history/a", fhir.Ref{Kind: fhir.Local, Type: "Patient", ID: "1", Version: "a"}},
		{base + "x/Patient/1", fhir.Ref{Kind: fhir.Remote, Base: base + "x", Type: "Patient", ID: "1"}},
		{"http://other.example/fhir/Patient/1", fhir.Ref{Kind: fhir.Remote, Base: "http://other.example/fhir", Type: "Patient", ID: "1"}},
		{"http://other.example/fhir/Patient/1/_history/3", fhir.Ref{Kind: fhir.Remote, Base: "http://other.example/fhir", Type: "Patient", ID: "1", Version: "3"}},
		{"#p1", fhir.Ref{Kind: fhir.Contained, ID: "p1"}},
		{"#", fhir.Ref{Kind: fhir.Contained}},
		{"urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a", fhir.Ref{Kind: fhir.URN, URL: "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"}},
		{"urn:oid:1.2.3", fhir.Ref{Kind: fhir.URN, URL: "urn:oid:1.2.3"}},
		{"http://hl7.org/fhir/ValueSet/x|4.0.1", fhir.Ref{Kind: fhir.Canonical, URL: "http://hl7.org/fhir/ValueSet/x", Version: "4.0.1"}},
		{"http://loinc.org/vs#part", fhir.Ref{Kind: fhir.Canonical, URL: "http://loinc.org/vs", Fragment: "part"}},
		{"http://example.org/Nothing/1", fhir.Ref{Kind: fhir.Canonical, URL: "http://example.org/Nothing/1"}},
		{"mailto:a@b", fhir.Ref{Kind: fhir.Canonical, URL: "mailto:a@b"}},
		{"Patient?identifier=a|b", fhir.Ref{Kind: fhir.Conditional, Type: "Patient", Query: "identifier=a|b"}},
		{base + "/Patient?identifier=a|b", fhir.Ref{Kind: fhir.Conditional, Type: "Patient", Query: "identifier=a|b"}},
		{"Nothing?identifier=a", fhir.Ref{}},
		{"Patient", fhir.Ref{}},
		{"Patient/", fhir.Ref{}},
		{"Patient/a b", fhir.Ref{}},
		{"Patient/1/2", fhir.Ref{}},
		{"/Patient/1", fhir.Ref{}},
		{"x/Patient/1", fhir.Ref{}},
		{"Nothing/1", fhir.Ref{}},
		{"Patient/1/_history/", fhir.Ref{}},
		{"_history/1", fhir.Ref{}},
		{"Resource/1", fhir.Ref{}},
	} {
		for _, b := range []string{base, base + "/"} {
			if got := fhir.ParseReference(row.text, b); got != row.want {
				t.Errorf("%s:\n got %+v\nwant %+v", row.text, got, row.want)
			}
		}
	}
	if r := fhir.ParseReference("https:///Patient/1", ""); r.Kind != fhir.Remote {
		t.Errorf("without a base nothing absolute is local, got %+v", r)
	}
}

func FuzzParseReference(f *testing.F) {
	for _, s := range []string{"Patient/1", "http://a/Patient/1/_history/2#x", "urn:uuid:1", "#a", "Patient?a=b", "http://a|1"} {
		f.Add(s, "http://a")
	}
	f.Fuzz(func(t *testing.T, s, base string) {
		r := fhir.ParseReference(s, base)
		if r.Kind == fhir.Local {
			if again := fhir.ParseReference(r.TypeID(), ""); again.Type != r.Type || again.ID != r.ID || again.Kind != fhir.Local {
				t.Fatalf("%q = %+v, but %q = %+v", s, r, r.TypeID(), again)
			}
		}
	})
}
