package ucum

import (
	"maps"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// Unit is a unit of measure. It never changes.
type Unit struct {
	code      string
	dimension string
	canonical string
	factor    *big.Rat // of the dimension's base unit
	offset    *big.Rat // added after multiplying; nil when 0
	toFactor  *big.Rat // of the canonical unit
	toOffset  *big.Rat
	fast      float64
	fastAdd   float64
}

// Code is the unit as it was written.
func (u *Unit) Code() string { return u.code }

// Dimension names what the unit measures by its base units: "g.m-3". Units of one dimension can be converted.
func (u *Unit) Dimension() string { return u.dimension }

// CanonicalCode is the unit that values of this dimension are converted to, such as "mg/dL".
func (u *Unit) CanonicalCode() string { return u.canonical }

// IsCanonical says whether the unit is written exactly as its dimension's canonical unit.
func (u *Unit) IsCanonical() bool { return u.code == u.canonical }

// Canonical is the value in the canonical unit, exactly.
func (u *Unit) Canonical(value *big.Rat) *big.Rat {
	v := new(big.Rat).Mul(value, u.toFactor)
	if u.toOffset != nil {
		v.Add(v, u.toOffset)
	}
	return v
}

// Float is the value in the canonical unit with a relative error below 1e-12 of the larger of the value and the unit's offset.
func (u *Unit) Float(value float64) float64 { return value*u.fast + u.fastAdd }

// preferred are the canonical units; the others are the base units themselves.
//
//nolint:gochecknoglobals // constant table
var preferred = []string{
	"kg", "cm", "m2", "mL", "s", "mm[Hg]", "Cel", "/min", "%", "mg/dL", "mmol/L", "meq/L", "mosm/L", "U/L", "10*3/uL",
	"kg/m2", "mL/min", "mmol", "mg/kg", "mg/h", "L/min/m2", "mL/min/{1.73_m2}", "kcal", "W", "mV", "mol/kg", "mmol/mol",
	"[IU]/L", "mosm/kg", "mg/mmol", "mm/h", "Gy",
}

// finish fills in what depends on the canonical unit, which is the unit itself when canon is nil.
func (u *Unit) finish(canon *Unit) {
	if canon == nil {
		u.canonical = u.dimension
		u.toFactor, u.toOffset = u.factor, u.offset
	} else {
		u.canonical = canon.code
		inverse := new(big.Rat).Inv(canon.factor)
		u.toFactor = new(big.Rat).Mul(u.factor, inverse)
		add := new(big.Rat)
		if u.offset != nil {
			add.Add(add, u.offset)
		}
		if canon.offset != nil {
			add.Sub(add, canon.offset)
		}
		if add.Sign() != 0 {
			u.toOffset = add.Mul(add, inverse)
		}
	}
	u.fast, _ = u.toFactor.Float64()
	if u.toOffset != nil {
		u.fastAdd, _ = u.toOffset.Float64()
	}
}

// measure is a unit being computed: factor × the product of the bases with their exponents.
type measure struct {
	factor *big.Rat
	offset *big.Rat
	dims   map[string]int
}

func one() measure { return measure{factor: big.NewRat(1, 1), dims: map[string]int{}} }

// times is m × o^exp. It fails for units with an offset, which only stand alone, and exponents out of bounds.
func (m measure) times(o measure, exp int) (measure, bool) {
	if m.offset != nil || o.offset != nil {
		return m, false
	}
	factor := o.factor
	if exp < 0 {
		factor = new(big.Rat).Inv(factor)
	}
	r := measure{factor: new(big.Rat).Set(m.factor), dims: map[string]int{}}
	for range max(exp, -exp) {
		r.factor.Mul(r.factor, factor)
		if r.factor.Num().BitLen() > 2048 || r.factor.Denom().BitLen() > 2048 {
			return m, false
		}
	}
	maps.Copy(r.dims, m.dims)
	for k, v := range o.dims {
		r.dims[k] += v * exp
		if n := r.dims[k]; n > maxExponent || n < -maxExponent {
			return m, false
		}
	}
	return r, true
}

// name writes the dimension: bases in alphabetical order with their exponents, "1" when there are none.
func (m measure) name() string {
	names := make([]string, 0, len(m.dims))
	for k, v := range m.dims {
		switch {
		case v == 1:
			names = append(names, k)
		case v != 0:
			names = append(names, k+strconv.Itoa(v))
		}
	}
	if len(names) == 0 {
		return "1"
	}
	slices.Sort(names)
	return strings.Join(names, ".")
}

// Slack is how far apart the Float of equal amounts in different units may be, near the canonical value. It is a generous bound.
func (u *Unit) Slack(canonical float64) float64 {
	slack := 1e-9 * math.Abs(canonical)
	if u.dimension == "K" { // the only one whose units have offsets, of some hundreds
		slack += 1e-6
	}
	return slack
}
