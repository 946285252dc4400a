package spec

import (
	"fmt"
	"slices"
)

// ValueSet is a value set by its rules. Nothing is expanded until somebody asks.
type ValueSet struct {
	URL string // canonical, without version

	include, exclude []clause
	terms            *terminology
}

// Coding is a code of a system.
type Coding struct{ System, Code string }

// clause is one include or exclude of a compose: what all its parts have in common.
type clause struct {
	system string
	codes  []string // the listed ones, sorted; empty for all of the system
	filter []filter
	sets   []string // value sets that the code must be in as well
}

type filter struct{ property, op, value string }

func readClauses(r *reader) []clause {
	n := r.num()
	if n == 0 {
		return nil
	}
	list := make([]clause, n)
	for i := range list {
		c := &list[i]
		c.system, c.codes = r.str(), r.strs()
		if m := r.num(); m > 0 {
			c.filter = make([]filter, m)
			for k := range c.filter {
				c.filter[k] = filter{r.str(), r.str(), r.str()}
			}
		}
		c.sets = r.strs()
	}
	return list
}

// maxSetDepth bounds value sets that include each other; the specification's own nest three deep.
const maxSetDepth = 16

// Contains says whether the code is in the set. known is false when that can't be told, because a rule needs codes or
// properties that the specification does not publish (a filter over SNOMED CT, say); contains is then false.
// With an empty system the code of any system counts.
func (v *ValueSet) Contains(system, code string) (contains, known bool) {
	return v.contains(system, code, maxSetDepth)
}

func (v *ValueSet) contains(system, code string, depth int) (contains, known bool) {
	if depth == 0 {
		return false, false
	}
	if system == "" {
		return v.containsBare(code, depth)
	}
	known = true
	for i := range v.include {
		in, ok := v.include[i].matches(v.terms, system, code, depth)
		if in {
			contains = true
			break
		}
		known = known && ok
	}
	if !contains {
		return false, known
	}
	for i := range v.exclude {
		out, ok := v.exclude[i].matches(v.terms, system, code, depth)
		if out {
			return false, true
		}
		if !ok {
			return false, false
		}
	}
	return true, true
}

func (v *ValueSet) containsBare(code string, depth int) (contains, known bool) {
	known = true
	for _, system := range v.Systems() {
		in, ok := v.contains(system, code, depth-1)
		if in {
			return true, true
		}
		known = known && ok
	}
	return false, known
}

// matches says whether a coding meets every part of the clause.
func (c *clause) matches(t *terminology, system, code string, depth int) (in, known bool) {
	known = true
	if c.system != "" {
		if c.system != system {
			return false, true
		}
		if in, known = c.matchesSystem(t, code); !in && known {
			return false, true
		}
	}
	for _, url := range c.sets {
		set := t.set(url)
		if set == nil {
			known = false
			continue
		}
		ok, sure := set.contains(system, code, depth-1)
		if !ok && sure {
			return false, true
		}
		known = known && sure
	}
	return known, known
}

func (c *clause) matchesSystem(t *terminology, code string) (in, known bool) {
	if len(c.codes) > 0 {
		_, found := slices.BinarySearch(c.codes, code)
		return found, true
	}
	s := t.system(c.system)
	if s == nil {
		return false, false
	}
	at, found := s.find(code)
	if !found {
		return false, s.Complete
	}
	for _, f := range c.filter {
		ok, sure := f.matches(s, at)
		if !sure || !ok {
			return false, sure
		}
	}
	return true, true
}

func (f filter) matches(s *CodeSystem, at int) (in, known bool) {
	if f.property != "concept" && f.property != "code" {
		return false, false
	}
	root, found := s.find(f.value)
	switch f.op {
	case "is-a":
		return found && (at == root || s.below(at, root)), true
	case "descendent-of":
		return found && s.below(at, root), true
	case "is-not-a":
		return !found || at != root && !s.below(at, root), true
	case "=":
		return s.Codes[at] == f.value, true
	default:
		return false, false
	}
}

// Systems are the code systems that the set draws on, those of the value sets it includes too, each once.
func (v *ValueSet) Systems() []string {
	return v.systems(nil, maxSetDepth)
}

func (v *ValueSet) systems(list []string, depth int) []string {
	if depth == 0 {
		return list
	}
	for i := range v.include {
		c := &v.include[i]
		if c.system != "" {
			if !slices.Contains(list, c.system) {
				list = append(list, c.system)
			}
			continue
		}
		for _, url := range c.sets {
			if set := v.terms.set(url); set != nil {
				list = set.systems(list, depth-1)
			}
		}
	}
	return list
}

// Expand lists the set's codes, each once. The error, which is nil when the list is complete, says which rule needs codes that the
// specification does not publish; the list then holds the codes that are certain.
func (v *ValueSet) Expand() ([]Coding, error) {
	var list []Coding
	seen := map[Coding]bool{}
	err := v.expand(maxSetDepth, func(c Coding) {
		if seen[c] {
			return
		}
		seen[c] = true
		if in, _ := v.Contains(c.System, c.Code); in {
			list = append(list, c)
		}
	})
	return list, err
}

// expand offers every code that an include may bring; v.Contains has the last word on each.
func (v *ValueSet) expand(depth int, offer func(Coding)) error {
	if depth == 0 {
		return &NotExpandableError{ValueSet: v.URL, Reason: "its value sets include each other"}
	}
	var failed error
	for i := range v.include {
		c := &v.include[i]
		if err := c.expand(v, depth, offer); err != nil && failed == nil {
			failed = err
		}
	}
	for i := range v.exclude {
		if _, known := v.exclude[i].matches(v.terms, v.exclude[i].system, "", depth); !known && failed == nil {
			failed = &NotExpandableError{ValueSet: v.URL, Reason: "what it excludes is not published with FHIR"}
		}
	}
	return failed
}

func (c *clause) expand(v *ValueSet, depth int, offer func(Coding)) error {
	switch {
	case len(c.codes) > 0:
		for _, code := range c.codes {
			offer(Coding{c.system, code})
		}
	case c.system != "":
		s := v.terms.system(c.system)
		if s == nil {
			return &NotExpandableError{ValueSet: v.URL, Reason: "the codes of " + c.system + " are not published with FHIR"}
		}
		for _, code := range s.Codes {
			offer(Coding{c.system, code})
		}
		if !s.Complete {
			return &NotExpandableError{ValueSet: v.URL, Reason: "only a part of the codes of " + c.system + " is published with FHIR"}
		}
		for _, f := range c.filter {
			if f.property != "concept" && f.property != "code" || f.op == "regex" {
				return &NotExpandableError{ValueSet: v.URL, Reason: fmt.Sprintf("its filter on %s of %s can't be evaluated", f.property, c.system)}
			}
		}
	}
	var failed error
	for _, url := range c.sets {
		set := v.terms.set(url)
		if set == nil {
			failed = &NotExpandableError{ValueSet: v.URL, Reason: "it includes " + url + ", which is not published with FHIR"}
			continue
		}
		if c.system == "" {
			if err := set.expand(depth-1, offer); err != nil && failed == nil {
				failed = err
			}
		}
	}
	return failed
}

// NotExpandableError says why a value set's codes can't be listed completely.
type NotExpandableError struct {
	ValueSet string // canonical URL
	Reason   string
}

// Error is a sentence.
func (e *NotExpandableError) Error() string {
	return "the value set " + e.ValueSet + " can't be listed completely: " + e.Reason
}
