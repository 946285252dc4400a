package jsontape_test

import (
	"fmt"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"ward/internal/format/jsontape"
)

func TestCompareNumbers(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		a, b string
		want int
	}{
		{"1", "1.0", 0},
		{"1.50", "1.5", 0},
		{"0", "-0.00e7", 0},
		{"100", "1e2", 0},
		{"0.001", "1E-3", 0},
		{"-1", "1", -1},
		{"-1", "-2", 1},
		{"10", "9", 1},
		{"0.1", "0.09", 1},
		{"1e400", "1e399", 1},
		{"1e-999999999999999999999", "0", 1},
		{"12.34e1", "123.4", 0},
		{"123456789012345678901234567890", "123456789012345678901234567891", -1},
	} {
		if got := jsontape.CompareNumbers([]byte(row.a), []byte(row.b)); got != row.want {
			t.Errorf("%s and %s: %d", row.a, row.b, got)
		}
	}
}

func TestCompareNumbers_LikeRationals(t *testing.T) {
	t.Parallel()
	number := rapid.StringMatching(`-?(0|[1-9][0-9]{0,3})(\.[0-9]{1,3})?([eE][+-]?[0-9])?`)
	rapid.Check(t, func(t *rapid.T) {
		a, b := number.Draw(t, "a"), number.Draw(t, "b")
		x, _ := new(big.Rat).SetString(a)
		y, _ := new(big.Rat).SetString(b)
		if got := jsontape.CompareNumbers([]byte(a), []byte(b)); got != x.Cmp(y) {
			t.Fatalf("%s and %s: %d", a, b, got)
		}
	})
}

func TestEqual(t *testing.T) {
	t.Parallel()
	large := func(from, to, step int) string {
		s := "{"
		for i := from; i != to; i += step {
			s += fmt.Sprintf(`"k%d":%d,`, i, i)
		}
		return s + `"z":0}`
	}
	for _, row := range []struct {
		a, b string
		want bool
	}{
		{`1`, `1.00`, true},
		{`"a\u0062"`, `"ab"`, true},
		{`[1,2]`, `[2,1]`, false},
		{`[1]`, `[1,2]`, false},
		{`{"a":1,"b":[null]}`, `{ "b" : [ null ], "\u0061" : 1.0 }`, true},
		{`{"a":1}`, `{"b":1}`, false},
		{`{"a":1}`, `{"a":1,"b":2}`, false},
		{`true`, `false`, false},
		{`null`, `null`, true},
		{`"1"`, `1`, false},
		{large(0, 100, 1), large(99, -1, -1), true},
		{large(0, 100, 1), large(100, 0, -1), false},
	} {
		var a, b jsontape.Doc
		if a.Parse([]byte(row.a)) != nil || b.Parse([]byte(row.b)) != nil {
			t.Fatal(row)
		}
		if got := jsontape.Equal(&a, a.Root(), &b, b.Root()); got != row.want {
			t.Errorf("%.60s and %.60s: %v", row.a, row.b, got)
		}
		if !jsontape.Equal(&a, a.Root(), &a, a.Root()) {
			t.Errorf("%.60s does not equal itself", row.a)
		}
	}
}
