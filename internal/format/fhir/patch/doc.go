// Package patch applies JSON Patch (RFC 6902) and FHIRPath Patch (FHIR R4 fhirpatch.html) to a resource's bytes.
//
// It owns the two languages of changes, not what may be changed: the caller compares id and type, validates the result and
// gives it its version. It promises that everything a patch does not touch keeps its bytes: order of members, decimals,
// escapes. A patch is applied as a whole or not at all, and its operations in order, each to the result of the last.
//
// A patch that can't be read is fault.Invalid, one that can't be applied fault.Unprocessable, both with the number of the
// operation, counted from 0, its line and column, and what would be right. A patch whose work or result is out of all
// proportion is fault.TooCostly or fault.TooLarge.
package patch
