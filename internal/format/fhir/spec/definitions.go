package spec

import (
	"sort"
	"sync"
)

// R4 is the specification, FHIR 4.0.1. The first call reads it (tens of milliseconds), later ones cost nothing.
func R4() *Definitions { return r4() }

//nolint:gochecknoglobals // constant: the embedded definitions, read once
var r4 = sync.OnceValue(loadCore)

// Definitions is the content of one FHIR version. It never changes.
type Definitions struct {
	types        []Type
	byName       map[string]*Type
	resources    []string
	parameters   []SearchParameter
	compartments []Compartment
	operations   []Operation
	codeSets     []CodeSet
	terminology  func() *terminology
}

// ResourceTypes are the 146 concrete resource types in alphabetical order. The slice must not be changed.
func (d *Definitions) ResourceTypes() []string { return d.resources }

// IsResource says whether name is a concrete resource type.
func (d *Definitions) IsResource(name string) bool {
	t := d.byName[name]
	return t != nil && t.Kind == ResourceKind && !t.Abstract
}

// Resource is the concrete resource type of that name, nil when there is none.
func (d *Definitions) Resource(name []byte) *Type {
	if t := d.byName[string(name)]; t != nil && t.Kind == ResourceKind && !t.Abstract {
		return t
	}
	return nil
}

// Type is the type of that name: a resource ("Observation", also the abstract "Resource" and "DomainResource"),
// a data type ("Quantity", "dateTime") or a backbone element by its path ("Observation.component"). nil when there is none.
func (d *Definitions) Type(name string) *Type { return d.byName[name] }

// Types are all types, each backbone element after the type that holds it. The slice must not be changed.
func (d *Definitions) Types() []Type { return d.types }

// SearchParameters are the 1,375 standard parameters in the order of their URLs. The slice must not be changed.
func (d *Definitions) SearchParameters() []SearchParameter { return d.parameters }

// SearchParameter is the standard parameter with that canonical URL, nil when there is none.
func (d *Definitions) SearchParameter(url string) *SearchParameter {
	i := sort.Search(len(d.parameters), func(i int) bool { return d.parameters[i].URL >= url })
	if i < len(d.parameters) && d.parameters[i].URL == url {
		return &d.parameters[i]
	}
	return nil
}

// Compartments are the five compartments of R4 in alphabetical order. The slice must not be changed.
func (d *Definitions) Compartments() []Compartment { return d.compartments }

// Compartment is the compartment of that name ("Patient", "Encounter", ...). The zero Compartment, whose Name is empty
// and which holds nothing, answers for a name that is none.
func (d *Definitions) Compartment(name string) Compartment {
	for i := range d.compartments {
		if d.compartments[i].Name == name {
			return d.compartments[i]
		}
	}
	return Compartment{}
}

// Operations are the standard operations in the order of their URLs. The slice must not be changed.
func (d *Definitions) Operations() []Operation { return d.operations }

// SearchParameter is a search parameter as the specification defines it.
type SearchParameter struct {
	URL         string // canonical
	Name        string
	Code        string   // what is written in the query: "birthdate"
	Type        string   // "token", "reference", "string", "date", "composite", "uri", "quantity", "number" or "special"
	Base        []string // resource types, or "Resource" or "DomainResource"
	Expression  string   // FHIRPath; empty for _text, _content and _query
	Target      []string // resource types that a reference parameter may point at; empty for other types
	Components  []Component
	Description string
	XPathUsage  string // "normal", "phonetic", "nearby", "distance" or "other"
}

// Component is one part of a composite parameter.
type Component struct {
	Definition string // canonical URL of the parameter
	Expression string // FHIRPath, relative to what the composite's own expression yields
}

// Compartment says which resources belong to the compartment of one instance of its type.
type Compartment struct {
	Name    string // resource type: "Patient"
	Entries []CompartmentEntry
}

// CompartmentEntry names the parameters by which resources of a type enter a compartment.
type CompartmentEntry struct {
	ResourceType string
	Params       []string // codes of search parameters; "{def}" stands for the resource itself
}

// Params are the codes of the search parameters by which resources of the type belong to the compartment, nil when none do.
// "{def}" stands for the instance itself.
func (c Compartment) Params(resourceType string) []string {
	i := sort.Search(len(c.Entries), func(i int) bool { return c.Entries[i].ResourceType >= resourceType })
	if i < len(c.Entries) && c.Entries[i].ResourceType == resourceType {
		return c.Entries[i].Params
	}
	return nil
}

// Operation is an operation that the specification defines.
type Operation struct {
	URL       string // canonical
	Name      string
	Code      string   // without the dollar sign: "everything"
	Resource  []string // types it applies to
	System    bool
	Type      bool
	Instance  bool
	Affects   bool // changes the server's state
	Title     string
	FirstLine string // first sentence of the description
}
