package fhir

import (
	"strconv"
	"strings"

	"ward/internal/base/fault"
)

// ContentType is the media type of what the server sends (http.html#mime-type).
const ContentType = "application/fhir+json; charset=utf-8"

// BodyFormat is how a request's body is written.
type BodyFormat uint8

// The formats of bodies.
const (
	ResourceBody  BodyFormat = iota + 1 // a resource in JSON
	JSONPatchBody                       // application/json-patch+json
	FormBody                            // application/x-www-form-urlencoded, for _search
)

// Negotiate finds the Content-Type to answer with, from the _format parameter ("" when absent; it wins) and the Accept header.
// It fails with fault.NotAcceptable when JSON of FHIR 4.0 is not among what the client takes (http.html#mime-type).
func Negotiate(accept, format string) (contentType string, err error) {
	if format != "" {
		// An unescaped + in a URL arrives as a space.
		if t, ok := jsonType(strings.ReplaceAll(strings.TrimSpace(format), " ", "+")); ok {
			return t, nil
		}
		return "", fault.NotAcceptable("the format asked for by _format is not offered: use _format=json (application/fhir+json)")
	}
	if strings.TrimSpace(accept) == "" {
		return ContentType, nil
	}
	best, found := 0.0, ""
	for item := range strings.SplitSeq(accept, ",") {
		t, ok := jsonType(item)
		if q := quality(item); ok && q > best {
			best, found = q, t
		}
	}
	if found == "" {
		return "", fault.NotAcceptable("none of the media types in Accept is offered: use application/fhir+json")
	}
	return found, nil
}

// jsonType gives the Content-Type that satisfies one media range or value of _format.
func jsonType(item string) (contentType string, ok bool) {
	name, parameters, _ := strings.Cut(item, ";")
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "json", "application/fhir+json", "application/*", "*/*":
		contentType = ContentType
	case "application/json", "application/json+fhir":
		contentType = "application/json; charset=utf-8"
	case "text/json":
		contentType = "text/json; charset=utf-8"
	default:
		return "", false
	}
	return contentType, ourVersion(parameters)
}

// ourVersion says whether the fhirVersion parameter, if there is one, is 4.0 (http.html#version-parameter).
func ourVersion(parameters string) bool {
	v, ok := parameter(parameters, "fhirversion")
	return !ok || v == "4.0" || v == "4.0.1"
}

func parameter(parameters, name string) (value string, ok bool) {
	for p := range strings.SplitSeq(parameters, ";") {
		if k, v, ok := strings.Cut(p, "="); ok && strings.EqualFold(strings.TrimSpace(k), name) {
			return strings.Trim(strings.TrimSpace(v), `"`), true
		}
	}
	return "", false
}

func quality(item string) float64 {
	_, parameters, _ := strings.Cut(item, ";")
	v, ok := parameter(parameters, "q")
	if !ok {
		return 1
	}
	q, err := strconv.ParseFloat(v, 64)
	if err != nil || q < 0 || q > 1 {
		return 0
	}
	return q
}

// FormatOfBody says how a body is written by its Content-Type. An absent one means a resource. It fails with
// fault.Unsupported for anything but JSON of FHIR 4.0 in UTF-8, JSON Patch and forms.
func FormatOfBody(contentType string) (BodyFormat, error) {
	name, parameters, _ := strings.Cut(contentType, ";")
	name = strings.ToLower(strings.TrimSpace(name))
	if charset, ok := parameter(parameters, "charset"); ok && !strings.EqualFold(charset, "utf-8") && !strings.EqualFold(charset, "us-ascii") {
		return 0, fault.Unsupported("the body's charset must be UTF-8")
	}
	if !ourVersion(parameters) {
		return 0, fault.Unsupported("this server speaks FHIR 4.0: the body's fhirVersion must be 4.0")
	}
	switch name {
	case "", "application/fhir+json", "application/json", "application/json+fhir", "text/json":
		return ResourceBody, nil
	case "application/json-patch+json":
		return JSONPatchBody, nil
	case "application/x-www-form-urlencoded":
		return FormBody, nil
	case "application/fhir+xml", "application/xml", "text/xml", "application/xml+fhir":
		return 0, fault.Unsupported("XML is not supported: send application/fhir+json")
	case "application/fhir+turtle", "text/turtle":
		return 0, fault.Unsupported("Turtle is not supported: send application/fhir+json")
	}
	return 0, fault.Unsupported("this Content-Type is not supported: send application/fhir+json")
}
