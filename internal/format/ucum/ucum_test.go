package ucum_test

import (
	"math"
	"math/big"
	"strings"
	"testing"

	"ward/internal/format/ucum"
)

func rat(t testing.TB, s string) *big.Rat {
	t.Helper()
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		t.Fatalf("%q is no number", s)
	}
	return r
}

func TestConvert_ClinicalUnits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ value, unit, want, other string }{
		{"1", "kg", "1000", "g"},
		{"70", "kg", "70000000", "mg"},
		{"1", "[lb_av]", "453.59237", "g"},
		{"6", "[ft_i]", "182.88", "cm"},
		{"1", "[in_i]", "2.54", "cm"},
		{"98.6", "[degF]", "37", "Cel"},
		{"37", "Cel", "310.15", "K"},
		{"-40", "[degF]", "-40", "Cel"},
		{"100", "mg/dL", "1", "g/L"},
		{"100", "mg/dl", "1000", "ug/mL"},
		{"5.5", "mmol/L", "5500", "umol/L"},
		{"0.0000055", "mol/mL", "5.5", "mmol/L"},
		{"760", "mm[Hg]", "101324.72", "Pa"},
		{"1", "kPa", "1", "kN/m2"},
		{"72", "/min", "1.2", "Hz"},
		{"72", "{beats}/min", "72", "/min"},
		{"50", "%", "0.5", "1"},
		{"40", "U/L", "40", "mU/mL"},
		{"1", "kat", "60000000", "U"},
		{"4.5", "10*3/uL", "4500000000", "/L"},
		{"4.5", "10^3/uL", "4.5", "10*9/L"},
		{"1", "wk", "168", "h"},
		{"1", "a", "12", "mo"},
		{"1", "d", "86400", "s"},
		{"22", "kg/m2", "2.2", "g/cm2"},
		{"5", "mL/kg/min", "300", "mL/(kg.h)"},
		{"23", "mm/h", "0.023", "m/h"},
		{"1", "mL", "1", "cm3"},
		{"1", "[tsp_us]", "4.92892159375", "mL"},
		{"1", "kcal", "4184", "J"},
		{"90", "mL/min/{1.73_m2}", "5.4", "L/h"},
		{"1", "[IU]/mL", "1000", "[iU]/L"},
		{"1", "m[IU]/L", "1", "u[IU]/mL"},
		{"1", "g%", "10", "g/L"},
		{"3", "dag", "30", "g"},
	} {
		t.Run(c.value+" "+c.unit, func(t *testing.T) {
			t.Parallel()
			a, err := ucum.Parse(c.unit)
			if err != nil {
				t.Fatal(err)
			}
			b, err := ucum.Parse(c.other)
			if err != nil {
				t.Fatal(err)
			}
			if a.Dimension() != b.Dimension() || a.CanonicalCode() != b.CanonicalCode() {
				t.Fatalf("%s measures %s (%s), %s measures %s (%s)", c.unit, a.Dimension(), a.CanonicalCode(), c.other, b.Dimension(), b.CanonicalCode())
			}
			x, y := a.Canonical(rat(t, c.value)), b.Canonical(rat(t, c.want))
			if x.Cmp(y) != 0 {
				t.Errorf("%s %s is %s %s, want %s", c.value, c.unit, x.FloatString(12), a.CanonicalCode(), y.FloatString(12))
			}
			v, _ := rat(t, c.value).Float64()
			exact, _ := x.Float64()
			if got := a.Float(v); math.Abs(got-exact) > 1e-12*math.Max(math.Abs(exact), 1000) {
				t.Errorf("Float gives %v, exactly it is %v", got, exact)
			}
		})
	}
}

func TestParse_WhatMustNotConvert(t *testing.T) {
	t.Parallel()
	for _, c := range [][2]string{
		{"mmol/L", "meq/L"},
		{"mmol/L", "mosm/L"},
		{"mmol/L", "mg/dL"},
		{"[IU]/L", "U/L"},
		{"[IU]", "[arb'U]"},
		{"pH", "mol/L"},
		{"kg", "m"},
		{"mg", "mL"},
		{"/min", "1"},
	} {
		a, err := ucum.Parse(c[0])
		if err != nil {
			t.Fatal(err)
		}
		b, err := ucum.Parse(c[1])
		if err != nil {
			t.Fatal(err)
		}
		if a.Dimension() == b.Dimension() {
			t.Errorf("%s and %s are both %s", c[0], c[1], a.Dimension())
		}
	}
}

func TestParse_CanonicalUnitsNeedNoConversion(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"kg", "cm", "mm[Hg]", "Cel", "/min", "%", "mg/dL", "mmol/L", "U/L", "10*3/uL", "kg/m2", "mL"} {
		u, err := ucum.Parse(code)
		if err != nil {
			t.Fatal(err)
		}
		if !u.IsCanonical() || u.Canonical(rat(t, "120.5")).Cmp(rat(t, "120.5")) != 0 || u.Float(120.5) != 120.5 {
			t.Errorf("%s: canonical is %s, 120.5 becomes %v", code, u.CanonicalCode(), u.Float(120.5))
		}
	}
}

func TestParse_RefusesWithPosition(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]string{
		"":                       "it is empty",
		"mmHg":                   "unknown unit at character 1",
		"mg/":                    "a unit is missing at character 4",
		"mg//L":                  "a unit was expected at character 4",
		"mg)":                    "unexpected ')'",
		"(mg":                    "closing parenthesis",
		"mg{x":                   "closing brace",
		"m[Hg":                   "closing bracket",
		"Cel/min":                "can't be multiplied or divided",
		"Cel2":                   "can't have an exponent",
		"m25":                    "an exponent from 1 to 24",
		"m99999999999999999":     "an exponent from 1 to 24",
		"0":                      "a whole number above 0",
		"kmin":                   "unknown unit",
		"Years":                  "unknown unit",
		strings.Repeat("(", 100): "nest deeper",
		strings.Repeat("m.", 90): "at most 128 characters",
		"Ym24.Ym24":              "can't be multiplied",
	} {
		_, err := ucum.Parse(code)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", code, err, want)
		}
	}
}

func TestCache_HitsDoNotAllocate(t *testing.T) { //nolint:paralleltest // counts allocations
	var c ucum.Cache
	code, none := []byte("mm[Hg]"), []byte("mmHg")
	if c.Get(code) == nil || c.Get(none) != nil {
		t.Fatal("mm[Hg] is a unit, mmHg is none")
	}
	if n := testing.AllocsPerRun(100, func() { c.Get(code); c.Get(none) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"mg/dL", "10*3/uL", "{x}", "m[H2O]", "(a.b)/c-2", "[degF]", "dam3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, code string) {
		u, err := ucum.Parse(code)
		if err == nil && (u.Dimension() == "" || u.CanonicalCode() == "" || u.Canonical(big.NewRat(1, 1)) == nil) {
			t.Errorf("%q parses to an incomplete unit", code)
		}
	})
}

func BenchmarkCacheGet(b *testing.B) {
	var c ucum.Cache
	code := []byte("mm[Hg]")
	b.ReportAllocs()
	for b.Loop() {
		c.Get(code)
	}
}
