package search

import (
	"math"
	"math/big"
	"strconv"
)

// decimal is coef × 10^exp, exactly. Numbers with more than 18 digits use big.
type decimal struct {
	coef int64
	big  *big.Int
	exp  int
}

const (
	maxDigits   = 400
	maxExponent = 1000 // of the first digit; beyond, nothing that is measured can be meant
)

// parseDecimal reads a JSON number; a sign and leading zeros are taken as well. ok is false for anything else, and for numbers
// beyond the limits. text tells how it was written.
func parseDecimal(b []byte) (d decimal, written notation, ok bool) {
	i, n := 0, len(b)
	negative := false
	if i < n && (b[i] == '-' || b[i] == '+') {
		negative = b[i] == '-'
		i++
	}
	start, digits, point := i, 0, -1
	for ; i < n; i++ {
		c := b[i]
		if c == '.' && point < 0 {
			point = i
			continue
		}
		if c < '0' || c > '9' {
			break
		}
		if digits > 0 || c != '0' {
			digits++
		}
		if digits <= 18 {
			d.coef = d.coef*10 + int64(c-'0')
		}
		if point >= 0 {
			d.exp--
		}
	}
	end := i
	if end == start || point == start && end == start+1 || point == end-1 || digits > maxDigits {
		return decimal{}, notation{}, false
	}
	written.point = point >= 0
	if i < n && (b[i] == 'e' || b[i] == 'E') {
		written.exponent = true
		exp, err := strconv.Atoi(string(b[i+1:]))
		if err != nil || exp > 2*maxExponent || exp < -2*maxExponent {
			return decimal{}, notation{}, false
		}
		d.exp += exp
		i = n
	}
	if i != n {
		return decimal{}, notation{}, false
	}
	if digits > 18 {
		text := make([]byte, 0, end-start)
		for _, c := range b[start:end] {
			if c != '.' {
				text = append(text, c)
			}
		}
		d.big, _ = new(big.Int).SetString(string(text), 10)
		d.coef = 0
	}
	if top := d.exp + digits; digits > 0 && (top > maxExponent || top < -maxExponent) || d.exp < -2*maxExponent || d.exp > maxExponent && digits > 0 {
		return decimal{}, notation{}, false
	}
	if digits == 0 && d.exp > 0 {
		d.exp = 0
	}
	if negative {
		d.coef = -d.coef
		if d.big != nil {
			d.big.Neg(d.big)
		}
	}
	return d, written, true
}

// notation is how a number was written.
type notation struct{ point, exponent bool }

func (d decimal) int() *big.Int {
	if d.big != nil {
		return d.big
	}
	return big.NewInt(d.coef)
}

// rat is the number as a fraction.
func (d decimal) rat() *big.Rat {
	r := new(big.Rat).SetInt(d.int())
	if d.exp == 0 {
		return r
	}
	scale := new(big.Rat).SetInt(pow10(max(d.exp, -d.exp)))
	if d.exp < 0 {
		return r.Quo(r, scale)
	}
	return r.Mul(r, scale)
}

func pow10(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

//nolint:gochecknoglobals // constant table
var pow10s = [...]int64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18}

// cmp compares exactly: -1, 0 or 1.
func (d decimal) cmp(o decimal) int {
	if d.big == nil && o.big == nil {
		a, b, ok := aligned(d, o)
		if ok {
			switch {
			case a < b:
				return -1
			case a > b:
				return 1
			}
			return 0
		}
	}
	a, b := d.int(), o.int()
	switch {
	case d.exp > o.exp:
		a = new(big.Int).Mul(a, pow10(d.exp-o.exp))
	case o.exp > d.exp:
		b = new(big.Int).Mul(b, pow10(o.exp-d.exp))
	}
	return a.Cmp(b)
}

// aligned brings two small decimals to one exponent, if both still fit.
func aligned(d, o decimal) (a, b int64, ok bool) {
	a, b = d.coef, o.coef
	diff := d.exp - o.exp
	switch {
	case diff == 0 || a == 0 && b == 0:
		return a, b, true
	case diff > 0:
		if a == 0 {
			return a, b, true
		}
		a, ok = scaled(a, diff)
	default:
		if b == 0 {
			return a, b, true
		}
		b, ok = scaled(b, -diff)
	}
	return a, b, ok
}

func scaled(v int64, by int) (int64, bool) {
	if by >= len(pow10s) {
		return 0, false
	}
	if p := pow10s[by]; v <= math.MaxInt64/p && v >= math.MinInt64/p {
		return v * p, true
	}
	return 0, false
}

func (d decimal) add(o decimal) decimal {
	low := min(d.exp, o.exp)
	a := new(big.Int).Mul(d.int(), pow10(d.exp-low))
	a.Add(a, new(big.Int).Mul(o.int(), pow10(o.exp-low)))
	if a.IsInt64() {
		return decimal{coef: a.Int64(), exp: low}
	}
	return decimal{big: a, exp: low}
}

func (d decimal) sub(o decimal) decimal {
	if o.big != nil {
		return d.add(decimal{big: new(big.Int).Neg(o.big), exp: o.exp})
	}
	return d.add(decimal{coef: -o.coef, exp: o.exp})
}

// tenth is |d| / 10.
func (d decimal) tenth() decimal {
	if d.big != nil {
		return decimal{big: new(big.Int).Abs(d.big), exp: d.exp - 1}
	}
	return decimal{coef: max(d.coef, -d.coef), exp: d.exp - 1}
}

// float is the nearest float64; it never decreases when d increases.
func (d decimal) float() float64 {
	if d.big == nil && d.coef < 1<<53 && d.coef > -1<<53 {
		switch {
		case d.exp == 0 || d.coef == 0:
			return float64(d.coef)
		case d.exp < 0 && d.exp >= -18: // both exact: the division rounds once (Clinger's fast path)
			return float64(d.coef) / float64(pow10s[-d.exp])
		case d.exp > 0 && d.exp <= 18:
			return float64(d.coef) * float64(pow10s[d.exp])
		}
	}
	f, err := strconv.ParseFloat(d.int().String()+"e"+strconv.Itoa(d.exp), 64)
	if err != nil && !math.IsInf(f, 0) {
		return 0
	}
	return f
}

// precision is the range that a number in a query stands for (search.html#number): half a unit of the last digit written to either
// side; for a whole number with an exponent half a tenth of its unit, as the specification's example "1e2" has it.
func (d decimal) precision(written notation) (low, high decimal) {
	half := decimal{coef: 5, exp: d.exp - 1}
	if written.exponent && !written.point {
		half.exp--
	}
	return d.sub(half), d.add(half)
}
