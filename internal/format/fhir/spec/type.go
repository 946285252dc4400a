package spec

import "encoding/binary"

// Kind is what sort of type a [Type] is.
type Kind uint8

// The kinds.
const (
	PrimitiveKind Kind = iota + 1 // dateTime, code, ...
	ComplexKind                   // Quantity, HumanName, ...
	BackboneKind                  // an element with elements of its own, defined inside another type
	ResourceKind                  // Patient, ...
)

// Primitive is the format of a primitive type's value, NotPrimitive for other types.
type Primitive uint8

// The primitive types of R4.
const (
	NotPrimitive Primitive = iota
	Base64Binary
	Boolean
	Canonical
	Code
	Date
	DateTime
	Decimal
	ID
	Instant
	Integer
	Markdown
	OID
	PositiveInt
	String
	Time
	UnsignedInt
	URI
	URL
	UUID
	XHTML
	primitives
)

//nolint:gochecknoglobals // constant table
var primitiveNames = [primitives]string{
	Base64Binary: "base64Binary", Boolean: "boolean", Canonical: "canonical", Code: "code", Date: "date",
	DateTime: "dateTime", Decimal: "decimal", ID: "id", Instant: "instant", Integer: "integer", Markdown: "markdown",
	OID: "oid", PositiveInt: "positiveInt", String: "string", Time: "time", UnsignedInt: "unsignedInt", URI: "uri",
	URL: "url", UUID: "uuid", XHTML: "xhtml",
}

// String is the name of the primitive type, such as "dateTime"; empty for [NotPrimitive].
func (p Primitive) String() string {
	if p >= primitives {
		return ""
	}
	return primitiveNames[p]
}

func primitiveOf(name string) Primitive {
	for p, n := range primitiveNames {
		if n == name && n != "" {
			return Primitive(p)
		}
	}
	return NotPrimitive
}

// Type is a resource, a data type or a backbone element.
type Type struct {
	Name      string // "Observation", "Observation.component", "Quantity", "dateTime"
	Base      string // "DomainResource", "BackboneElement", "Element", ...; empty for Element and Resource
	Index     int    // position in [Definitions.Types]
	Kind      Kind
	Abstract  bool
	Primitive Primitive // NotPrimitive unless Kind is PrimitiveKind
	Short     string    // what it is, in a few words; only resources have one
	Elements  []Element // in the order of the specification, inherited ones included; not a primitive's
	Fields    []Field   // the JSON properties: one for each element, for a choice one for each of its types
	Required  []uint8   // positions in Elements of those with Min > 0

	number int16   // see numbers.go
	slots  []uint8 // open addressing over Fields: position + 1, length a power of two
}

// Element is a named part of a type.
type Element struct {
	Name             string // "status"; for a choice without the "[x]": "value"
	Path             string // "Observation.status", "Observation.value[x]"
	Min              int
	Max              int       // -1 means any number
	Types            []TypeRef // one, for a choice several
	Choice           bool      // "value[x]": the JSON property carries the type's name
	Summary          bool
	Modifier         bool
	Binding          *Binding // nil when codes are not bound, or only by a strength other than required, extensible and preferred
	ContentReference string   // "Observation.referenceRange" when the content is defined there, else empty; Types is resolved already
}

// Repeats says whether JSON writes the element as an array.
func (e *Element) Repeats() bool { return e.Max != 1 }

// TypeRef is a type that an element may have.
type TypeRef struct {
	Code    string   // name for [Definitions.Type]: "Quantity", "dateTime", "Observation.component", "Resource"
	Targets []string // types that a Reference or canonical may point at; nil means any
	Simple  bool     // a SimpleQuantity: no comparator
}

// Strength says how binding a binding is.
type Strength uint8

// The strengths that matter to a server. "example" bindings are left out.
const (
	Required Strength = iota + 1
	Extensible
	Preferred
)

// Binding ties an element to a value set.
type Binding struct {
	Strength Strength
	ValueSet string   // canonical URL without version
	Codes    *CodeSet // the codes, for a required binding whose value set can be listed; else nil
}

// Field is one JSON property of a type. "Observation.value[x]" has eleven: valueQuantity, valueString, ...
type Field struct {
	Name      string // as in JSON
	Element   *Element
	Type      *Type    // of the value; the abstract Resource for contained and Bundle.entry.resource
	Ref       *TypeRef // the one of Element.Types
	Ordinal   uint8    // position of Element in the type's Elements
	Primitive Primitive
}

// Element is the element behind a JSON property, nil when the type has none of that name. "valueQuantity" gives value[x],
// "_status" gives status. See [Type.Field] for which type of a choice it is.
func (t *Type) Element(jsonName []byte) *Element {
	if len(jsonName) > 1 && jsonName[0] == '_' {
		if f := t.Field(jsonName[1:]); f != nil && f.Primitive != NotPrimitive {
			return f.Element
		}
		return nil
	}
	if f := t.Field(jsonName); f != nil {
		return f.Element
	}
	return nil
}

// Named is the element of that name, for a choice without its type: "value". nil when there is none.
func (t *Type) Named(name string) *Element {
	for i := range t.Elements {
		if t.Elements[i].Name == name {
			return &t.Elements[i]
		}
	}
	return nil
}

// Field is the JSON property of that name, nil when the type has none. It does not know the "_" of a primitive's
// extension object. It does not allocate.
func (t *Type) Field(jsonName []byte) *Field {
	if len(t.slots) == 0 {
		return nil
	}
	mask := uint32(len(t.slots) - 1) //nolint:gosec // the generator's own numbers are small
	for i := hash(jsonName) & mask; ; i = (i + 1) & mask {
		n := t.slots[i]
		if n == 0 {
			return nil
		}
		if f := &t.Fields[n-1]; f.Name == string(jsonName) {
			return f
		}
	}
}

// hash mixes the length, the first and the last eight bytes; names that agree in all of them are told apart by comparing.
func hash(b []byte) uint32 {
	n := len(b)
	var x, y uint64
	switch {
	case n >= 8:
		x, y = binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[n-8:])
	case n >= 4:
		x, y = uint64(binary.LittleEndian.Uint32(b)), uint64(binary.LittleEndian.Uint32(b[n-4:]))
	case n > 0:
		x, y = uint64(b[0]), uint64(b[n>>1])<<8|uint64(b[n-1])
	}
	h := (x^uint64(n))*0x9E3779B97F4A7C15 ^ y*0xC2B2AE3D27D4EB4F
	return uint32((h ^ h>>29) * 0xBF58476D1CE4E5B9 >> 32)
}
