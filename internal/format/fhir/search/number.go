package search

import (
	"ward/internal/format/jsontape"
	"ward/internal/format/ucum"
)

const ucumSystem = "http://unitsofmeasure.org"

// amount is a number or quantity in a resource: a point, or a range between two. A Range and a Quantity with a comparator
// are ranges.
type amount struct {
	low, high         decimal
	noLow, noHigh     bool // open to that side
	lowOpen, highOpen bool // the end itself is outside
	system, code      []byte
	unit              []byte
}

func (a *amount) point() bool {
	return !a.noLow && !a.noHigh && !a.lowOpen && !a.highOpen && a.low.cmp(a.high) == 0
}

// readAmount reads the value at a leaf of a number or quantity parameter.
func readAmount(doc *jsontape.Doc, n jsontape.Node, dt datatype) (a amount, ok bool) {
	switch dt { //nolint:exhaustive // the datatypes of number and quantity parameters
	case dtNumber:
		if doc.Kind(n) != jsontape.Number {
			return a, false
		}
		a.low, _, ok = parseDecimal(doc.Bytes(n))
		a.high = a.low
		return a, ok
	case dtMoney:
		if a, ok = readAmount(doc, doc.Get(n, "value"), dtNumber); ok {
			a.system, a.code = []byte("urn:iso:std:iso:4217"), doc.Bytes(doc.Get(n, "currency"))
		}
		return a, ok
	case dtSampledData:
		return readAmount(doc, doc.Get(n, "origin"), dtQuantity)
	case dtRange:
		return readRange(doc, n)
	}
	if a, ok = readAmount(doc, doc.Get(n, "value"), dtNumber); !ok {
		return a, false
	}
	a.system, a.code, a.unit = doc.Bytes(doc.Get(n, "system")), doc.Bytes(doc.Get(n, "code")), doc.Bytes(doc.Get(n, "unit"))
	switch string(doc.Bytes(doc.Get(n, "comparator"))) {
	case "<":
		a.noLow, a.highOpen = true, true
	case "<=":
		a.noLow = true
	case ">":
		a.noHigh, a.lowOpen = true, true
	case ">=":
		a.noHigh = true
	}
	return a, true
}

func readRange(doc *jsontape.Doc, n jsontape.Node) (a amount, ok bool) {
	low, okLow := readAmount(doc, doc.Get(n, "low"), dtQuantity)
	high, okHigh := readAmount(doc, doc.Get(n, "high"), dtQuantity)
	switch {
	case okLow && okHigh:
		a = low
		a.high = high.high
	case okLow:
		a = low
		a.noHigh = true
	case okHigh:
		a = high
		a.noLow = true
	default:
		return a, false
	}
	return a, true
}

// amountKey appends the key of a value as it is written.
func amountKey(dst []byte, a *amount, quantity bool) []byte {
	if !a.point() {
		dst = append(dst, classRange)
		if a.noLow {
			dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 0)
		} else {
			dst = appendFloat(dst, a.low.float())
		}
		if a.noHigh {
			return append(dst, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
		}
		return appendFloat(dst, a.high.float())
	}
	dst = appendFloat(append(dst, classPoint), a.low.float())
	if quantity {
		dst = appendShort(dst, a.code)
	}
	return dst
}

func appendShort(dst, text []byte) []byte {
	h := shortHash(text)
	return append(dst, byte(h>>24), byte(h>>16), byte(h>>8), byte(h)) //nolint:gosec // the bytes on purpose
}

// conversion is the unit of a value that must be converted before it can be compared, nil when it needs none: not UCUM's, or written
// in the canonical unit.
func conversion(units *ucum.Cache, system, code []byte) *ucum.Unit {
	if string(system) != ucumSystem || len(code) == 0 {
		return nil
	}
	u := units.Get(code)
	if u == nil || u.IsCanonical() {
		return nil
	}
	return u
}
