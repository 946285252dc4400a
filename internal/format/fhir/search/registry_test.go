package search

import (
	"slices"
	"testing"

	"ward/internal/format/fhir/spec"
)

func TestStandard_Every1375ParameterCompiles(t *testing.T) {
	t.Parallel()
	defs := spec.R4()
	r, errs := compileAll(defs)
	for _, err := range errs {
		t.Error(err)
	}
	if len(r.byURL) != 1375 {
		t.Errorf("%d parameters, the standard has 1,375", len(r.byURL))
	}
	var refused []string
	for _, url := range sortedKeys(r.byURL) {
		p := r.byURL[url]
		if p.Unsupported != "" {
			refused = append(refused, p.ID)
			continue
		}
		types, err := r.resourceTypes(p.Base)
		if err != nil {
			t.Fatal(err)
		}
		for _, typ := range types {
			switch u := p.byType[typ]; {
			case u == nil:
				t.Errorf("%s says nothing about its base %s", p.ID, typ)
			case len(u.branches)+len(u.groups) == 0:
				t.Errorf("%s has no values on %s", p.ID, typ)
			case r.Param(typ, p.Code) != p:
				t.Errorf("%s: %s of %s is another parameter", p.ID, p.Code, typ)
			}
		}
	}
	want := []string{"DomainResource-text", "Location-near", "Resource-content", "Resource-query"}
	if !slices.Equal(refused, want) {
		t.Errorf("refused are %v, want %v", refused, want)
	}
}

func TestStandard_AtomsAreStable(t *testing.T) {
	t.Parallel()
	r := Standard()
	for _, c := range []struct {
		typ, code string
		paths     []string
		ids       []uint32
	}{
		{"Observation", "code", []string{"code"}, []uint32{}},
		{"Observation", "combo-code", []string{"code", "component.code"}, nil},
		{"Observation", "date", []string{"effective"}, nil},
		{"Observation", "value-quantity", []string{"value.as(Quantity)", "value.as(SampledData)"}, nil},
		{"Patient", "phone", []string{"telecom"}, nil},
		{"Patient", "telecom", []string{"telecom"}, nil},
		{"Bundle", "composition", []string{"entry[0].resource"}, nil},
		{"Observation", "code-value-quantity", nil, nil},
		{"Observation", "_id", nil, nil},
		{"Observation", "_lastUpdated", nil, nil},
	} {
		var paths []string
		for _, a := range r.Param(c.typ, c.code).Atoms(c.typ) {
			paths = append(paths, a.Path)
		}
		if !slices.Equal(paths, c.paths) {
			t.Errorf("%s %s reads %q, want %q", c.typ, c.code, paths, c.paths)
		}
	}
}
