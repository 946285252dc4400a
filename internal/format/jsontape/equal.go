package jsontape

import (
	"bytes"
	"cmp"
)

// Equal says whether two values mean the same: strings by their characters, numbers by their value (1.0 equals 1.00),
// arrays element by element, objects regardless of the order of their members (RFC 6902 §4.6).
func Equal(a *Doc, n Node, b *Doc, m Node) bool {
	kind := a.Kind(n)
	if kind != b.Kind(m) {
		return false
	}
	switch kind {
	case Number:
		return CompareNumbers(a.Bytes(n), b.Bytes(m)) == 0
	case String:
		return bytes.Equal(a.Bytes(n), b.Bytes(m))
	case Array:
		x, y := a.First(n), b.First(m)
		for ; x >= 0 && y >= 0; x, y = a.Next(x), b.Next(y) {
			if !Equal(a, x, b, y) {
				return false
			}
		}
		return x < 0 && y < 0
	case Object:
		return equalObjects(a, n, b, m)
	case None, Null, False, True:
	}
	return true
}

func equalObjects(a *Doc, n Node, b *Doc, m Node) bool {
	if a.Len(n) != b.Len(m) {
		return false
	}
	var byKey map[string]Node
	if b.Len(m) > smallObject {
		byKey = make(map[string]Node, b.Len(m))
		for y := b.First(m); y >= 0; y = b.Next(y) {
			byKey[string(b.Key(y))] = y
		}
	}
	guess := b.First(m) // members mostly stand in the same order
	for x := a.First(n); x >= 0; x, guess = a.Next(x), b.Next(guess) {
		y := guess
		if !bytes.Equal(a.Key(x), b.Key(guess)) {
			if byKey == nil {
				y = b.Get(m, string(a.Key(x)))
			} else if found, ok := byKey[string(a.Key(x))]; ok {
				y = found
			} else {
				y = Invalid
			}
		}
		if y < 0 || !Equal(a, x, b, y) {
			return false
		}
	}
	return true
}

// CompareNumbers compares two numbers as JSON writes them by their exact value: -1, 0 or 1. It takes time in proportion
// to their length, whatever their exponents. Exponents beyond ±10¹⁵ count as that.
func CompareNumbers(a, b []byte) int {
	x, y := readDecimal(a), readDecimal(b)
	if x.sign != y.sign {
		return cmp.Compare(x.sign, y.sign)
	}
	if x.sign == 0 {
		return 0
	}
	if c := cmp.Compare(x.exponent, y.exponent); c != 0 {
		return c * x.sign
	}
	for i := 0; ; i++ {
		p, okX := x.digit(i)
		q, okY := y.digit(i)
		if !okX && !okY {
			return 0
		}
		if c := cmp.Compare(p, q); c != 0 {
			return c * x.sign
		}
	}
}

// decimal is 0.d₁d₂d₃… × 10^exponent with d₁ > 0, or zero with sign 0.
type decimal struct {
	sign     int
	exponent int64
	whole    []byte // digits before the point from d₁ on, or what follows the point when there are none
	fraction []byte
}

func (d *decimal) digit(i int) (byte, bool) {
	if i < len(d.whole) {
		return d.whole[i], true
	}
	if i -= len(d.whole); i < len(d.fraction) {
		return d.fraction[i], true
	}
	return '0', false
}

func readDecimal(text []byte) decimal {
	d := decimal{sign: 1}
	if len(text) > 0 && text[0] == '-' {
		d.sign = -1
		text = text[1:]
	}
	if e := bytes.IndexAny(text, "eE"); e >= 0 {
		d.exponent = readExponent(text[e+1:])
		text = text[:e]
	}
	whole, fraction, _ := bytes.Cut(text, []byte{'.'})
	whole = bytes.TrimLeft(whole, "0")
	if len(whole) > 0 {
		d.exponent += int64(len(whole))
		d.whole, d.fraction = whole, fraction
		return d
	}
	d.fraction = bytes.TrimLeft(fraction, "0")
	d.exponent -= int64(len(fraction) - len(d.fraction))
	if len(d.fraction) == 0 {
		return decimal{}
	}
	return d
}

func readExponent(text []byte) int64 {
	sign := int64(1)
	if len(text) > 0 && (text[0] == '-' || text[0] == '+') {
		if text[0] == '-' {
			sign = -1
		}
		text = text[1:]
	}
	n := int64(0)
	for _, c := range text {
		if n = n*10 + int64(c-'0'); n > 1e15 {
			n = 1e15
		}
	}
	return n * sign
}
