package records

import (
	"net/http"
	"strings"

	"ward/internal/base/fault"
	"ward/internal/format/fhir"
)

const (
	typeFHIR      = "application/fhir+json"
	typeJSONPatch = "application/json-patch+json"
)

// Header values that answers share, so that setting them allocates nothing. They are not to be changed.
//
//nolint:gochecknoglobals // constant table
var contentFHIR = []string{fhir.ContentType}

// negotiate finds the Content-Type to answer with, in the form that a header map holds.
func negotiate(h http.Header, format string) ([]string, error) {
	accept := h["Accept"]
	if format == "" {
		if len(accept) == 0 || len(accept) == 1 && (accept[0] == typeFHIR || accept[0] == "*/*") {
			return contentFHIR, nil
		}
	}
	content, err := fhir.Negotiate(strings.Join(accept, ","), format)
	if err != nil {
		return nil, err
	}
	return []string{content}, nil
}

// bodyFormat checks that a request's body is written in one of the formats that the interaction takes.
func bodyFormat(h http.Header, takes ...fhir.BodyFormat) (fhir.BodyFormat, error) {
	format, err := fhir.FormatOfBody(h.Get("Content-Type"))
	if err != nil {
		return 0, err
	}
	for _, f := range takes {
		if f == format {
			return f, nil
		}
	}
	switch format {
	case fhir.JSONPatchBody:
		return 0, fault.Unsupported("a JSON Patch is sent by PATCH; this interaction takes application/fhir+json")
	case fhir.FormBody:
		return 0, fault.Unsupported("a form is sent to _search; this interaction takes application/fhir+json")
	case fhir.ResourceBody:
	}
	return 0, fault.Unsupported("_search takes a form: Content-Type: application/x-www-form-urlencoded")
}
