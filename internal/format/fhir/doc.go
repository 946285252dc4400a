// Package fhir reads and writes FHIR R4 (4.0.1) JSON at the level of whole resources, without a model in Go structs.
//
// It owns the things that every FHIR route needs: outcomes of faults (AppendOutcome), the id, version and time that
// the server puts into a client's resource (Stamp), reduced views (_summary, _elements, _pretty), bundles (BundleWriter),
// references (ParseReference), dates with their precision (ParseDateTime), media types (Negotiate, BodyFormat).
// Definitions are in spec, search in search, validation in validate, patches in patch, paths in fhirpath.
//
// It promises that a client's bytes are kept: order of fields, decimals and escapes stay as they were written, only
// whitespace between tokens is dropped. It does no I/O of its own; times are UTC.
//
// It fails with fault values, whose details carry line and column or a FHIRPath expression, and never a value.
package fhir
