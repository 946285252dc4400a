// Package spec is the FHIR R4 (4.0.1) specification as data: the types and their elements, the standard search
// parameters, the compartments, the operations, and the terminology that HL7 publishes with them.
//
// The definitions are compiled by gen into three compressed files that are embedded in the binary:
//
//	core.bin         types, elements, required bindings' codes, parameters, compartments, operations; read by [R4]
//	terminology.bin  code systems and value sets; read when first asked for
//	parameters.bin   the search parameters as JSON resources; read only by [Definitions.EachParameterResource]
//
// Everything that [R4] returns is immutable and safe for many goroutines. Strings share one block of memory.
// The package does no I/O and cannot fail at run time: damaged embedded files are a broken build and panic.
package spec

//go:generate go run ./gen -in ../../../../../shared/data/fhir-r4 -out .
