package search

import (
	"errors"

	"ward/internal/base/fault"
	"ward/internal/format/fhir/spec"
)

// published is the terminology that the specification publishes.
type published struct{ defs *spec.Definitions }

// Published is the terminology of the specification itself: the value sets and code systems of R4.
func Published() Terminology { return published{spec.R4()} }

func (p published) Expand(valueSet string) ([]spec.Coding, error) {
	set := p.defs.ValueSet(valueSet)
	if set == nil {
		return nil, fault.Invalid("the value set is not known here; use one of FHIR R4 or store it as a ValueSet first")
	}
	list, err := set.Expand()
	if err != nil {
		if why, ok := errors.AsType[*spec.NotExpandableError](err); ok {
			return nil, fault.NotImplemented("%s; list the codes instead", why.Error())
		}
		return nil, err
	}
	return list, nil
}

func (p published) Below(system, code string) ([]string, error) {
	s, err := p.system(system)
	if err != nil {
		return nil, err
	}
	return s.Below(code), nil
}

func (p published) Above(system, code string) ([]string, error) {
	s, err := p.system(system)
	if err != nil {
		return nil, err
	}
	return s.Above(code), nil
}

func (p published) system(url string) (*spec.CodeSystem, error) {
	s := p.defs.CodeSystem(url)
	if s == nil {
		return nil, fault.NotImplemented("the hierarchy of this code system is not known here; list the codes instead")
	}
	return s, nil
}
