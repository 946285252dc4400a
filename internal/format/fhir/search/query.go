package search

import (
	"time"

	"ward/internal/format/fhir/spec"
)

// Pair is one parameter of a query as it came: percent-decoded, otherwise untouched.
type Pair struct{ Name, Value string }

// Options is what a query is parsed with.
type Options struct {
	Lenient      bool        // Prefer: handling=lenient: parameters that are not known or not supported are ignored
	Base         string      // the tenant's own base URL, without a slash at the end; references below it are local
	Now          time.Time   // for the prefix ap on dates
	DefaultCount int         // page size when the query names none; 0: 20
	MaxCount     int         // the largest page, larger ones are cut down to it; 0: 1,000
	Terminology  Terminology // for :in, :not-in, :above and :below on tokens; nil: the specification's own
}

// Terminology lists codes. The methods answer an error with a safe message when they cannot.
type Terminology interface {
	// Expand lists a value set's codes.
	Expand(valueSet string) ([]spec.Coding, error)
	// Below lists the code and everything that it subsumes.
	Below(system, code string) ([]string, error)
	// Above lists the code and everything that subsumes it.
	Above(system, code string) ([]string, error)
}

// Query is a search, understood and checked.
type Query struct {
	Types      []string // the types to search; empty: all
	Clauses    []*Clause
	Sort       []SortKey
	Count      int // the page size; 0: only count
	HasCount   bool
	Total      Total
	Include    []Include
	RevInclude []Include
	Summary    string   // "", "true", "text", "data", "count" or "false"
	Elements   []string // names of root elements
	Format     string
	Pretty     bool
	Contained  string   // "" or "false"
	Ignored    []string // sentences about what was ignored, with Options.Lenient
	Cursor     string   // _cursor, not checked
	// Canonical is the query in a normal form: percent-encoded, parameters sorted, without _cursor and what was ignored. Equal
	// texts mean equal queries; it serves for self links, cache keys and to bind a cursor.
	Canonical string
}

// Total says how exact Bundle.total must be.
type Total uint8

// The values of _total.
const (
	TotalUnset Total = iota
	TotalNone
	TotalEstimate
	TotalAccurate
)

// SortKey is one rule of _sort. Code may be _id or _lastUpdated, which the store knows; Param is then nil.
type SortKey struct {
	Code  string
	Desc  bool
	Param *Param // of the first of Query.Types; ParamFor gives that of any type

	registry *Registry
}

// ParamFor is the parameter to sort resources of the type by; nil for _id and _lastUpdated, and when the type does not have it.
func (k *SortKey) ParamFor(resourceType string) *Param {
	if k.Param == nil {
		return nil
	}
	return k.registry.Param(resourceType, k.Code)
}

// Include is one _include or _revinclude.
type Include struct {
	SourceType string // "": every type (of "*")
	Code       string // "*": every reference parameter
	Param      *Param // nil when Code is "*"
	Target     string // "": any
	Iterate    bool
}

// Kind says who can decide a clause.
type Kind uint8

// The kinds of clauses.
const (
	KindValue   Kind = iota // Match decides it on the resource's bytes
	KindID                  // _id: the store compares IDs
	KindUpdated             // _lastUpdated: the store compares Spans
	KindList                // _list: the store reads the lists
	KindChain               // the store follows the references of Param
	KindHas                 // the store looks for resources that refer to this one
)

// Clause is one condition. All clauses of a query must hold.
type Clause struct {
	Kind     Kind
	Code     string // the parameter's code; "_has" and "_list" for those
	Param    *Param // nil for KindHas and KindList; with several types that of the first, see ParamFor
	Modifier Modifier
	Not      bool // the clause holds when no value matches (:not, :not-in)
	Missing  bool // with ModMissing: the value must be missing
	Values   []Value
	Chain    []Link
	Has      *Has
	IDs      []string // of KindID, and of KindList the ids of the lists
	Spans    []Span   // of KindUpdated: any of these

	registry *Registry
}

// ParamFor is the clause's parameter on resources of the type, nil when they do not have it.
func (c *Clause) ParamFor(resourceType string) *Param {
	if c.Param == nil || c.Param.Has(resourceType) {
		return c.Param
	}
	return c.registry.Param(resourceType, c.Code)
}

// Link is one way that a chain can go: to resources of type Target that match Clause. A chain holds when any link does.
type Link struct {
	Target string
	Clause *Clause
}

// Has is a reverse chain: a resource of type Type whose parameter Param refers to this resource, and which matches Clause.
type Has struct {
	Type   string
	Param  *Param
	Clause *Clause
}

// Span is the time from Low up to but not including High, in µs since 1970. math.MinInt64 and math.MaxInt64 are open ends.
type Span struct{ Low, High int64 }

// Modifier changes how a clause compares (search.html#modifiers).
type Modifier uint8

// The modifiers. A resource type as modifier (subject:Patient) becomes part of the values.
const (
	ModNone Modifier = iota
	ModMissing
	ModExact
	ModContains
	ModText
	ModNot
	ModIn
	ModNotIn
	ModBelow
	ModAbove
	ModIdentifier
	ModOfType
)
