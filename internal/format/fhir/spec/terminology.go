package spec

import (
	_ "embed" // the compiled terminology
	"sort"
	"strings"
)

//go:embed terminology.bin
var terminologyFile []byte

type terminology struct {
	systems []CodeSystem // by URL
	sets    []ValueSet   // by URL
}

// loadTerminology reads terminology.bin in the order in which gen/terminology.go writes it.
func loadTerminology() *terminology {
	r := open(terminologyFile)
	t := &terminology{systems: make([]CodeSystem, r.num())}
	for i := range t.systems {
		t.systems[i] = readCodeSystem(r)
	}
	t.sets = make([]ValueSet, r.num())
	for i := range t.sets {
		t.sets[i] = ValueSet{URL: r.str(), terms: t}
		t.sets[i].include = readClauses(r)
		t.sets[i].exclude = readClauses(r)
	}
	return t
}

func (t *terminology) system(url string) *CodeSystem {
	url = bare(url)
	i := sort.Search(len(t.systems), func(i int) bool { return t.systems[i].URL >= url })
	if i < len(t.systems) && t.systems[i].URL == url {
		return &t.systems[i]
	}
	return nil
}

func (t *terminology) set(url string) *ValueSet {
	url = bare(url)
	i := sort.Search(len(t.sets), func(i int) bool { return t.sets[i].URL >= url })
	if i < len(t.sets) && t.sets[i].URL == url {
		return &t.sets[i]
	}
	return nil
}

// bare is a canonical URL without its version.
func bare(canonical string) string {
	url, _, _ := strings.Cut(canonical, "|")
	return url
}

// CodeSystem is the code system with that canonical URL, of which the version is ignored; nil when the specification
// does not publish its codes (SNOMED CT, LOINC, UCUM, ...). The first call reads the terminology (tens of milliseconds).
func (d *Definitions) CodeSystem(url string) *CodeSystem { return d.terminology().system(url) }

// ValueSet is the value set with that canonical URL, of which the version is ignored; nil when the specification has none.
// The first call reads the terminology (tens of milliseconds).
func (d *Definitions) ValueSet(url string) *ValueSet { return d.terminology().set(url) }

// ValueSets are all value sets in the order of their URLs. The slice must not be changed.
func (d *Definitions) ValueSets() []ValueSet { return d.terminology().sets }

// Subsumes says whether, in that system, code is ancestor or lies below it. known is false when the system's hierarchy
// is not in the specification; then only equality is answered.
func (d *Definitions) Subsumes(system, ancestor, code string) (subsumes, known bool) {
	s := d.CodeSystem(system)
	if s == nil {
		return ancestor == code, false
	}
	return s.Subsumes(ancestor, code), true
}

// CodeSystem is a code system with all its codes.
type CodeSystem struct {
	URL      string   // canonical, without version
	Complete bool     // false when HL7 publishes only a part of the codes
	Codes    []string // in the order of the system, parents before their children

	parents []uint16    // position + 1 in Codes, 0 for a root
	sorted  []uint16    // positions in the order of the codes
	more    [][2]uint16 // further (child, parent) positions, where a code has several parents
}

func readCodeSystem(r *reader) CodeSystem {
	s := CodeSystem{URL: r.str(), Complete: r.flag(), Codes: r.strs()}
	n := len(s.Codes)
	s.parents, s.sorted = make([]uint16, n), make([]uint16, n)
	if r.flag() {
		for i := range s.parents {
			s.parents[i] = uint16(r.num()) //nolint:gosec // the generator's own numbers are small
		}
	} else {
		s.parents = nil
	}
	for i := range s.sorted {
		s.sorted[i] = uint16(i)
	}
	sort.Slice(s.sorted, func(a, b int) bool { return s.Codes[s.sorted[a]] < s.Codes[s.sorted[b]] })
	if m := r.num(); m > 0 {
		s.more = make([][2]uint16, m)
		for i := range s.more {
			s.more[i] = [2]uint16{uint16(r.num()), uint16(r.num())} //nolint:gosec // the generator's own numbers are small
		}
	}
	return s
}

func (s *CodeSystem) find(code string) (int, bool) {
	i := sort.Search(len(s.sorted), func(i int) bool { return s.Codes[s.sorted[i]] >= code })
	if i < len(s.sorted) && s.Codes[s.sorted[i]] == code {
		return int(s.sorted[i]), true
	}
	return 0, false
}

// Has says whether the system has the code. Codes are compared exactly.
func (s *CodeSystem) Has(code string) bool {
	_, ok := s.find(code)
	return ok
}

// Subsumes says whether code is ancestor or lies below it.
func (s *CodeSystem) Subsumes(ancestor, code string) bool {
	if ancestor == code {
		return true
	}
	a, ok := s.find(ancestor)
	if !ok {
		return false
	}
	c, ok := s.find(code)
	return ok && s.below(c, a)
}

// below says whether the code at c lies strictly below the one at a.
func (s *CodeSystem) below(c, a int) bool {
	if s.parents == nil {
		return false
	}
	for at := c; ; {
		for _, edge := range s.more {
			if int(edge[0]) == at && (int(edge[1]) == a || s.below(int(edge[1]), a)) {
				return true
			}
		}
		p := int(s.parents[at])
		if p == 0 {
			return false
		}
		if at = p - 1; at == a {
			return true
		}
	}
}

// Below lists the code and everything below it, in the order of the system; only the code itself when the system does not have it.
func (s *CodeSystem) Below(code string) []string {
	a, ok := s.find(code)
	if !ok {
		return []string{code}
	}
	list := []string{code}
	for c := range s.Codes {
		if c != a && s.below(c, a) {
			list = append(list, s.Codes[c])
		}
	}
	return list
}

// Above lists the code and everything that it lies below; only the code itself when the system does not have it.
func (s *CodeSystem) Above(code string) []string {
	c, ok := s.find(code)
	if !ok {
		return []string{code}
	}
	list := []string{code}
	for a := range s.Codes {
		if a != c && s.below(c, a) {
			list = append(list, s.Codes[a])
		}
	}
	return list
}
