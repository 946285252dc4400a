package id_test

import (
	"strings"
	"testing"

	"ward/internal/base/id"
)

func TestNew_ValidOrderedAndDistinct(t *testing.T) {
	t.Parallel()
	last := ""
	for range 1000 {
		s := id.New()
		if !id.Valid(s) || !id.IsUUID(s) || s[14] != '7' {
			t.Fatalf("%q is no UUIDv7", s)
		}
		if s <= last {
			t.Fatalf("%q does not come after %q", s, last)
		}
		last = s
	}
}

func TestValid(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{
		"":                      false,
		"a":                     true,
		"A-1.b":                 true,
		strings.Repeat("a", 64): true,
		strings.Repeat("a", 65): false,
		"a_b":                   false,
		"a/b":                   false,
		"a b":                   false,
		"é":                     false,
		"a\x00":                 false,
	} {
		if id.Valid(s) != want {
			t.Errorf("Valid(%q) = %v", s, !want)
		}
	}
}
