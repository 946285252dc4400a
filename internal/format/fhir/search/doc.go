// Package search gives meaning to FHIR R4 search (search.html): it compiles the expressions of search parameters,
// extracts what an index must hold of a resource, parses queries, says which index ranges hold a query's
// candidates, and decides on a resource's bytes whether a clause matches. It does no I/O.
//
// An [Atom] is one branch of a parameter's expression for one resource type and one kind of value:
// Observation.code as a token. Parameters share atoms (combo-code is the atoms of code and component-code), and
// filters (where(system='phone'), where(resolve() is Patient)) are not part of an atom, so a resource has one
// [Posting] per distinct value of each atom, and few of them. Atom numbers are hashes of the atom's name: the same in
// every process, build and tenant.
//
// It promises:
//   - [Clause.Match] is the full meaning of a clause on one resource, chains, _has, _id, _lastUpdated and _list apart,
//     which need other resources or the store's own columns;
//   - the postings of a resource that matches are within [Clause.Ranges] (a superset), and when Ranges says exact, a posting
//     within a range whose [Range.Holds] agrees means that the resource matches;
//   - work is bounded: values in an OR, parameters, chain depth and links have limits, and hostile input costs at most
//     its length times a small constant.
//
// Choices where R4 leaves room, each with a test: dates without a zone are UTC; tokens compare without case; strings
// compare without case, accents and punctuation; periods without an end reach beyond every date; quantities with
// UCUM units that can be converted compare by value in base units; "ap" is 10 % of the value, or of the time between
// now and the date.
package search
