// Package fhirpath parses and evaluates the part of FHIRPath that paths of patches and simple checks need, on the bytes
// of a resource.
//
// It owns paths with indexers; where exists empty not all select count first last single tail skip take ofType as is
// extension hasValue getValue children resolve (of contained resources only) startsWith endsWith contains length lower
// upper; = != < > <= >= and or xor implies in contains | is as; literals; %resource, %context, $this and $index.
// Arithmetic, quantities, regular expressions and everything else of FHIRPath N1 is refused when it is parsed, by name.
//
// It promises that an [Item] says where it is written: which member of which object, at which index. Choices are named
// as the specification says (Observation.value, not valueQuantity), and primitives carry their extensions with them.
// Work is bounded: an expression that takes too many steps fails as too costly.
//
// Errors are fault values with the position in the expression; they name elements and functions, never values.
package fhirpath
