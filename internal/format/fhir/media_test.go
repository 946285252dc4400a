package fhir_test

import (
	"testing"

	"ward/internal/base/fault"
	"ward/internal/format/fhir"
)

// FHIR R4 http.html#mime-type and #parameters (_format overrides Accept).
func TestNegotiate(t *testing.T) {
	t.Parallel()
	const plain, text, none = "application/json; charset=utf-8", "text/json; charset=utf-8", ""
	for _, row := range []struct{ accept, format, want string }{
		{"", "", fhir.ContentType},
		{"*/*", "", fhir.ContentType},
		{"application/*;q=0.1", "", fhir.ContentType},
		{"application/fhir+json", "", fhir.ContentType},
		{"application/fhir+json; fhirVersion=4.0", "", fhir.ContentType},
		{"application/fhir+json;fhirVersion=3.0", "", none},
		{"Application/JSON", "", plain},
		{"application/json;q=0.5, application/fhir+json", "", fhir.ContentType},
		{"application/json, application/fhir+json;q=0.9", "", plain},
		{"text/json", "", text},
		{"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "", fhir.ContentType},
		{"application/fhir+xml", "", none},
		{"application/fhir+xml, application/fhir+json;q=0.1", "", fhir.ContentType},
		{"application/fhir+json;q=0", "", none},
		{"text/turtle", "", none},
		{"application/fhir+xml", "json", fhir.ContentType},
		{"", "application/fhir+json", fhir.ContentType},
		{"", "application/fhir json", fhir.ContentType},
		{"", "application/json", plain},
		{"", "text/json", text},
		{"application/fhir+json", "xml", none},
		{"", "application/fhir+xml", none},
		{"", "ttl", none},
		{"", "html", none},
	} {
		got, err := fhir.Negotiate(row.accept, row.format)
		if got != row.want || (err != nil) != (row.want == none) || err != nil && !fault.Is(err, fault.CodeNotAcceptable) {
			t.Errorf("Accept %q, _format %q: %q, %v", row.accept, row.format, got, err)
		}
	}
}

func TestFormatOfBody(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		contentType string
		want        fhir.BodyFormat
	}{
		{"", fhir.ResourceBody},
		{"application/fhir+json", fhir.ResourceBody},
		{"application/fhir+json; charset=UTF-8; fhirVersion=4.0", fhir.ResourceBody},
		{"application/json", fhir.ResourceBody},
		{"text/json;charset=\"utf-8\"", fhir.ResourceBody},
		{"application/json-patch+json", fhir.JSONPatchBody},
		{"application/x-www-form-urlencoded", fhir.FormBody},
		{"application/fhir+json; charset=latin1", 0},
		{"application/fhir+json; fhirVersion=5.0", 0},
		{"application/fhir+xml", 0},
		{"text/turtle", 0},
		{"image/png", 0},
	} {
		got, err := fhir.FormatOfBody(row.contentType)
		if got != row.want || (err != nil) != (row.want == 0) || err != nil && !fault.Is(err, fault.CodeUnsupported) {
			t.Errorf("%q: %v, %v", row.contentType, got, err)
		}
	}
}
