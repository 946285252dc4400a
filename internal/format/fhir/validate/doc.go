// Package validate checks a FHIR R4 resource against the specification before it is stored.
//
// It works on the tape of a parsed document, allocates nothing for a valid resource, and reports every problem that it finds
// (the first 100) as a [fault.Detail] with FHIRPath expression, line, column, issue type, and a sentence that says what
// would be right. The sentences name fields, types and codes of the specification, never a value from the document: values
// are patients' data.
//
// Checked, at any depth, in contained resources, in entries of a Bundle and in Parameters:
//
//   - the resource type and every property are known; JSON types fit; arrays stand where elements repeat and only there
//   - elements occur as often as they must and may; nothing is empty; null stands only for a gap in an array of primitives whose
//     "_" array fills it
//   - primitives have their format; days exist in their month; integers fit 32 bits
//   - one type of a choice at most
//   - codes of required bindings whose value set can be listed (not those drawn from UCUM, BCP 13, ISO 4217, LOINC)
//   - literal references name a type that the element may point at, and agree with their "type"
//   - "#id" names a contained resource; contained resources are referred to (dom-3), have an id of their own, are not nested (dom-2),
//     carry no version, time of update (dom-4) or security label (dom-5)
//   - extensions have a url and either a value or extensions (ext-1); elements have a value or children (ele-1)
//   - narrative is well-formed XHTML in the elements and attributes that FHIR allows (txt-1)
//   - the invariants of R4 that compare which elements are present, and a few that look at codes and dates: see [Invariants]
//
// Not checked: profiles, bindings other than required, other invariants, displays, what a reference points at, uniqueness across resources.
package validate
