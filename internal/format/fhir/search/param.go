package search

// ParamType is the type of a search parameter (search.html#ptypes).
type ParamType uint8

// The types of search parameters.
const (
	NoType ParamType = iota
	Number
	Date
	String
	Token
	Reference
	Composite
	Quantity
	URI
	Special
)

//nolint:gochecknoglobals // constant table
var paramTypeNames = [...]string{"", "number", "date", "string", "token", "reference", "composite", "quantity", "uri", "special"}

// String is the type's code in SearchParameter.type.
func (t ParamType) String() string {
	if int(t) < len(paramTypeNames) {
		return paramTypeNames[t]
	}
	return ""
}

// ParseParamType reads SearchParameter.type; NoType when it is none of the nine.
func ParseParamType(code string) ParamType {
	for i, name := range paramTypeNames {
		if i > 0 && name == code {
			return ParamType(i)
		}
	}
	return NoType
}

// Definition is what makes a search parameter: the elements of a SearchParameter resource that matter.
type Definition struct {
	ID         string // SearchParameter.id
	URL        string // canonical, without version
	Code       string
	Type       ParamType
	Base       []string // resource types; also Resource and DomainResource
	Expression string   // FHIRPath; empty for parameters without one
	Target     []string // resource types that a reference may name; empty: any that the element allows
	Components []ComponentDefinition
}

// ComponentDefinition is one part of a composite parameter.
type ComponentDefinition struct {
	Definition string // URL of the parameter that gives the part its type
	Expression string // relative to the composite's expression
}

// Param is a compiled search parameter. It is immutable.
type Param struct {
	ID         string
	URL        string
	Code       string
	Type       ParamType
	Base       []string
	Expression string
	Target     []string
	// Unsupported says why the parameter cannot be used, as a sentence; empty when it can.
	Unsupported string

	byType map[string]*typed
}

// typed is a parameter as it applies to one resource type.
type typed struct {
	branches []*branch
	atoms    []*Atom
	targets  []string
	groups   []group // of a composite
}

// Atom is one indexed branch of an expression. Its postings answer every parameter that reads this branch.
type Atom struct {
	ID           uint32 // hash of resource type, path, value type and flavour; never 0
	ResourceType string
	Type         ParamType
	Path         string // canonical: "component.value.as(Quantity)"
	Flavour      Flavour
	// Chart: references to patients at this branch are not in the postings; the chart's rows answer them.
	Chart bool

	siblings int // with Chart: how many atoms of the type the chart stands for
}

// Flavour tells apart the atoms that one branch can have.
type Flavour uint8

// Flavours of atoms.
const (
	Plain      Flavour = iota
	OfType             // Identifier with its type, for :of-type
	Identifier         // Reference.identifier, for :identifier
)

// Has says whether the parameter applies to the resource type.
func (p *Param) Has(resourceType string) bool { return p.byType[resourceType] != nil }

// Atoms are the indexed branches for the resource type, plain ones only; nil when the parameter does not apply or is not
// indexed (composites, _id, _lastUpdated).
func (p *Param) Atoms(resourceType string) []*Atom {
	if t := p.byType[resourceType]; t != nil {
		return t.atoms
	}
	return nil
}

// Targets are the resource types that a reference parameter can name on the resource type, sorted. Empty for other types.
func (p *Param) Targets(resourceType string) []string {
	if t := p.byType[resourceType]; t != nil {
		return t.targets
	}
	return nil
}
