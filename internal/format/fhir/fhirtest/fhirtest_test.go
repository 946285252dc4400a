package fhirtest_test

import (
	"testing"

	"ward/internal/format/fhir/fhirtest"
)

func TestExamples(t *testing.T) {
	t.Parallel()
	n, types := 0, map[string]bool{}
	for _, e := range fhirtest.Examples(t) {
		if e.Type == "" || len(e.JSON) == 0 {
			t.Errorf("example %d has no type", n)
		}
		types[e.Type] = true
		n++
	}
	if n != 738 || len(types) != 137 {
		t.Errorf("%d examples of %d types, want 738 of 137", n, len(types))
	}
}
