package fhirpath

import (
	"bytes"
	"strings"

	"ward/internal/format/fhir"
	"ward/internal/format/fhir/spec"
	"ward/internal/format/jsontape"
)

// Item is one element of the result: a value in the resource, or one that the expression made (Literal).
type Item struct {
	Node   jsontape.Node // the value; Invalid for a literal and for a primitive with extensions only
	Ext    jsontape.Node // of a primitive: the object with its id and extensions ("_birthDate"); Invalid when there is none
	Parent jsontape.Node // the object that has it as a member; Invalid for the root and literals
	Key    string        // name of the member, "valueQuantity", also when only "_valueDate" is there
	Index  int           // in the member's array, -1 when the member is no array
	Owner  *spec.Type    // type of Parent; nil for the root and literals
	Field  *spec.Field   // definition of the member; nil for the root, literals and contained resources' resourceType
	Type   *spec.Type    // type of the value; nil for literals
	lit    literal
}

// Literal says whether the item is not part of the resource.
func (i *Item) Literal() bool { return i.lit.kind != noScalar }

// String is the text of a literal, "" for other items: what is in a resource is not for logs.
func (i *Item) String() string { return i.lit.text }

// literal is a value that an expression made.
type literal struct {
	kind scalarKind
	text string
}

func (l literal) scalar() scalar { return scalar{kind: l.kind, text: []byte(l.text)} }

func boolean(b bool) Item {
	text := "false"
	if b {
		text = "true"
	}
	return literalItem(boolScalar, text)
}

func literalItem(kind scalarKind, text string) Item {
	return Item{
		Node: jsontape.Invalid, Ext: jsontape.Invalid, Parent: jsontape.Invalid, Index: -1,
		lit: literal{kind: kind, text: text},
	}
}

// scalarKind is the kind of a primitive value.
type scalarKind uint8

const (
	noScalar scalarKind = iota
	boolScalar
	stringScalar
	numberScalar
	dateScalar // date, dateTime and instant
	timeScalar
)

func kindOf(t tokenKind) scalarKind {
	switch t {
	case tokenString:
		return stringScalar
	case tokenNumber:
		return numberScalar
	case tokenDate:
		return dateScalar
	case tokenTime:
		return timeScalar
	case tokenEnd, tokenName, tokenSymbol, tokenVariable, tokenConstant:
	}
	return noScalar
}

type scalar struct {
	kind scalarKind
	text []byte
}

// scalar is the primitive value of an item; its kind is noScalar for complex values and primitives without a value.
func (e *evaluator) scalar(i *Item) scalar {
	if i.Literal() {
		return i.lit.scalar()
	}
	switch e.doc.Kind(i.Node) {
	case jsontape.True, jsontape.False:
		return scalar{boolScalar, e.doc.Bytes(i.Node)}
	case jsontape.Number:
		return scalar{numberScalar, e.doc.Bytes(i.Node)}
	case jsontape.String:
		kind := stringScalar
		if i.Type != nil {
			switch i.Type.Primitive { //nolint:exhaustive // the others are strings
			case spec.Date, spec.DateTime, spec.Instant:
				kind = dateScalar
			case spec.Time:
				kind = timeScalar
			}
		}
		return scalar{kind, e.doc.Bytes(i.Node)}
	case jsontape.None, jsontape.Null, jsontape.Array, jsontape.Object:
	}
	return scalar{}
}

// interval is the time that a date or time of day may mean, [low, high).
type interval struct {
	low, high int64
	precision fhir.Precision
}

func (s scalar) interval() (v interval, ok bool) {
	var err error
	if s.kind == timeScalar {
		v.low, v.high, err = fhir.ParseTime(s.text)
		v.precision = fhir.Second
		if err != nil { // FHIRPath also knows @T14 and @T14:30
			switch len(s.text) {
			case 2:
				v.low, v.high, v.precision, err = onDay(string(s.text) + ":00")
				v.high, v.precision = v.low+3600e6, fhir.Day
			case 5:
				v.low, v.high, v.precision, err = onDay(string(s.text))
			}
		}
	} else {
		v.low, v.high, v.precision, err = fhir.ParseDateTime(s.text)
	}
	if v.precision == fhir.Fraction { // seconds have one precision, whatever their digits (FHIRPath N1 §6.1.1)
		v.precision = fhir.Second
	}
	return v, err == nil
}

func onDay(clock string) (low, high int64, precision fhir.Precision, err error) {
	return fhir.ParseDateTime("1970-01-01T" + clock)
}

// order compares two primitives. known is false when their precisions leave it open, ordered is false when no
// order is defined between them.
func order(a, b scalar) (c int, known, ordered bool) {
	switch {
	case a.kind == numberScalar && b.kind == numberScalar:
		return jsontape.CompareNumbers(a.text, b.text), true, true
	case a.kind == stringScalar && b.kind == stringScalar:
		return bytes.Compare(a.text, b.text), true, true
	case (a.kind == timeScalar) != (b.kind == timeScalar) || a.kind < stringScalar || b.kind < stringScalar,
		a.kind == numberScalar || b.kind == numberScalar:
		return 0, false, false
	}
	x, okX := a.interval()
	y, okY := b.interval()
	switch {
	case !okX || !okY:
		return bytes.Compare(a.text, b.text), true, true
	case x.precision == y.precision && x.low != y.low, x.high <= y.low, y.high <= x.low:
		if x.low < y.low {
			return -1, true, true
		}
		return 1, true, true
	case x.precision == y.precision:
		return 0, true, true
	}
	return 0, false, true
}

// equal compares two items. known is false when the precision of dates leaves it open.
func (e *evaluator) equal(a, b *Item) (same, known bool) {
	x, y := e.scalar(a), e.scalar(b)
	if x.kind == noScalar || y.kind == noScalar {
		if x.kind != y.kind || a.Node < 0 || b.Node < 0 {
			return false, true
		}
		return jsontape.Equal(e.doc, a.Node, e.doc, b.Node), true
	}
	if x.kind == boolScalar && y.kind == boolScalar {
		return bytes.Equal(x.text, y.text), true
	}
	c, known, ordered := order(x, y)
	if !ordered {
		return false, true
	}
	return c == 0, known
}

// isType says whether an item has the type of that name or one derived from it.
func (e *evaluator) isType(i *Item, name string) bool {
	if system, ok := strings.CutPrefix(name, "System."); ok {
		return e.isSystemType(e.scalar(i), system)
	}
	for t := i.Type; t != nil; t = spec.R4().Type(t.Base) {
		if t.Name == name {
			return true
		}
	}
	return false
}

func (e *evaluator) isSystemType(s scalar, name string) bool {
	switch s.kind {
	case boolScalar:
		return name == "Boolean"
	case stringScalar:
		return name == "String"
	case numberScalar:
		return name == "Decimal" || name == "Integer" && !bytes.ContainsAny(s.text, ".eE")
	case dateScalar:
		if bytes.IndexByte(s.text, 'T') < 0 {
			return name == "Date"
		}
		return name == "DateTime"
	case timeScalar:
		return name == "Time"
	case noScalar:
	}
	return false
}
