package search

import (
	"time"

	"ward/internal/format/fhir/spec"
	"ward/internal/format/jsontape"
)

type (
	branch   struct{}
	part     struct{}
	hold     struct{}
	Value    struct{}
	Registry struct{}
	// Arena is memory for keys.
	Arena struct{}
)

// Standard is the registry of the standard parameters.
func Standard() *Registry { return nil }

// FromSpec is the definition of a standard parameter.
func FromSpec(p spec.SearchParameter) Definition { return Definition{} }

// ParseDefinition reads a SearchParameter resource.
func ParseDefinition(doc *jsontape.Doc) (Definition, error) { return Definition{}, nil }

// Compile makes a parameter of its definition.
func (r *Registry) Compile(def Definition) (*Param, error) { return nil, nil }

// With is a registry that has these parameters as well.
func (r *Registry) With(params ...*Param) *Registry { return nil }

// At is the registry of a server whose own base URL is base: absolute references below it are local.
func (r *Registry) At(base string) *Registry { return nil }

// Param is a parameter of a type.
func (r *Registry) Param(resourceType, code string) *Param { return nil }

// Params are all parameters of a type.
func (r *Registry) Params(resourceType string) []*Param { return nil }

// Postings are what an index holds of a resource.
func (r *Registry) Postings(dst []Posting, doc *jsontape.Doc, resourceType string) []Posting {
	return nil
}

// PostingsIn is Postings with keys in the arena.
func (r *Registry) PostingsIn(a *Arena, dst []Posting, doc *jsontape.Doc, resourceType string) []Posting {
	return nil
}

// Chart is what a patient's chart holds of a resource. For a Patient it has no patient: the store knows its id.
func (r *Registry) Chart(doc *jsontape.Doc, resourceType string) ChartEntry { return ChartEntry{} }

// ChartParams are the parameters that the chart answers.
func (r *Registry) ChartParams(resourceType string) (patient, code, date *Param) {
	return nil, nil, nil
}

// References gives the targets of a reference parameter.
func (p *Param) References(doc *jsontape.Doc, resourceType string, each func(ref string)) {}

// RangesTo is where the resources are that refer to target ("Patient/1") by this parameter.
func (p *Param) RangesTo(resourceType, target string) []Range { return nil }

// SortValue is the key to sort by.
func (p *Param) SortValue(doc *jsontape.Doc, resourceType string, desc bool) (key []byte, present bool) {
	return nil, false
}

// RefHash hashes "Type/id".
func RefHash(reference string) uint64 { return 0 }

// TokenHash hashes a code of a system.
func TokenHash(system, code string) uint64 { return 0 }

// Parse reads a query.
func Parse(r *Registry, resourceType string, pairs []Pair, opt Options) (*Query, error) {
	return nil, nil
}

// Ranges is where an index has the clause's candidates.
func (c *Clause) Ranges(resourceType string) (ranges []Range, exact bool) { return nil, false }

// Match decides a clause of KindValue.
func (c *Clause) Match(doc *jsontape.Doc, resourceType string) bool { return false }

// MatchUpdated decides a clause of KindUpdated.
func (c *Clause) MatchUpdated(at time.Time) bool { return false }

// ChartCodes are the codes of chart rows that hold the clause's candidates.
func (c *Clause) ChartCodes(resourceType string) (codes []uint64, exact, ok bool) { return nil, false, false }

// Holds is asked of each key in the range.
func (r *Range) Holds(key []byte) bool { return false }

// Wide says that the range is the whole atom or much of it.
func (r *Range) Wide() bool { return false }
