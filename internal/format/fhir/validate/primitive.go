package validate

import (
	"ward/internal/format/fhir/spec"
	"ward/internal/format/jsontape"
)

// maxString is the longest string in bytes, datatypes.html#string (1 MB).
const maxString = 1 << 20

// primitive checks the JSON type and the format of a primitive, and its code.
func (r *run) primitive(n jsontape.Node, f *spec.Field) {
	want := jsontape.String
	switch f.Primitive {
	case spec.Boolean:
		if k := r.doc.Kind(n); k != jsontape.True && k != jsontape.False {
			r.report(n, kindStructure, f.Name+" must be true or false without quotes, not "+k.String())
		}
		return
	case spec.Decimal, spec.Integer, spec.PositiveInt, spec.UnsignedInt:
		want = jsontape.Number
	default:
	}
	if k := r.doc.Kind(n); k != want {
		message := f.Name + " must be " + want.String() + ", not " + k.String()
		switch {
		case k == jsontape.Null:
			message = "null is not a value; leave " + f.Name + " out instead"
		case want == jsontape.Number && k == jsontape.String:
			message += "; leave the quotes away"
		}
		r.report(n, kindStructure, message)
		return
	}
	b := r.doc.Bytes(n)
	if len(b) == 0 {
		r.report(n, kindValue, "a string must not be empty; leave "+f.Name+" out instead")
		return
	}
	if !valid(f.Primitive, b) {
		r.report(n, kindValue, f.Name+" must be "+formats[f.Primitive])
		return
	}
	switch f.Primitive {
	case spec.Code:
		r.code(n, b, f)
	case spec.URI, spec.Canonical, spec.URL:
		if b[0] == '#' && len(b) > 1 {
			r.scope.refer(r.doc, b[1:])
		}
	case spec.XHTML:
		r.narrative(n, b)
	default:
	}
}

// valid says whether the text of a primitive has its format. b is not empty.
func valid(p spec.Primitive, b []byte) bool {
	switch p {
	case spec.Code:
		return isCode(b)
	case spec.URI, spec.URL, spec.Canonical:
		return isURI(b)
	case spec.DateTime:
		return isDateTime(b)
	case spec.Date:
		return isDate(b)
	case spec.Instant:
		return isInstant(b)
	case spec.Time:
		return isTime(b)
	case spec.ID:
		return isID(b)
	case spec.Integer:
		return isInteger(b, leastInteger)
	case spec.PositiveInt:
		return isInteger(b, 1)
	case spec.UnsignedInt:
		return isInteger(b, 0)
	case spec.OID:
		return isOID(b)
	case spec.UUID:
		return isUUID(b)
	case spec.Base64Binary:
		return isBase64(b)
	case spec.String, spec.Markdown:
		return len(b) <= maxString
	case spec.Decimal, spec.Boolean, spec.XHTML, spec.NotPrimitive:
		return true
	default:
		return true
	}
}

// formats finish the sentence "x must be ...".
//
//nolint:gochecknoglobals // constant table
var formats = map[spec.Primitive]string{
	spec.Code:         "a code: no white space before, after, or twice in a row",
	spec.URI:          "a URI without white space",
	spec.URL:          "a URL without white space",
	spec.Canonical:    "a canonical URL without white space",
	spec.DateTime:     "a date or time that exists: YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss followed by Z or an offset such as +02:00",
	spec.Date:         "a date that exists: YYYY, YYYY-MM or YYYY-MM-DD",
	spec.Instant:      "a time that exists: YYYY-MM-DDThh:mm:ss, with or without a fraction, followed by Z or an offset such as +02:00",
	spec.Time:         "a time of day: hh:mm:ss, with or without a fraction, without a zone",
	spec.ID:           "an id: 1 to 64 of the letters A-Z and a-z, the digits, '-' and '.'",
	spec.Integer:      "a whole number from -2147483648 to 2147483647, written without fraction or exponent",
	spec.PositiveInt:  "a whole number from 1 to 2147483647, written without fraction or exponent",
	spec.UnsignedInt:  "a whole number from 0 to 2147483647, written without fraction or exponent",
	spec.OID:          "an OID written as urn:oid:1.2.3",
	spec.UUID:         "a UUID in lower case written as urn:uuid:c757873d-ec9a-4326-a141-556f43239520",
	spec.Base64Binary: "base64: groups of four characters, padded with '='",
	spec.String:       "no longer than 1 MB",
	spec.Markdown:     "no longer than 1 MB",
}
