package spec

// CodeSet is a complete list of codes: the expansion of a value set that a required binding names.
type CodeSet struct {
	ValueSet string   // canonical URL without version
	Systems  []string // canonical URLs of the code systems
	Codes    []string // in the order of the code systems; the same code may come from two systems

	ends  []uint16 // for each system, where its codes end in Codes
	slots []uint16 // open addressing over Codes: position + 1, length a power of two
}

func readCodeSet(r *reader) CodeSet {
	s := CodeSet{ValueSet: r.str()}
	n := r.num()
	s.Systems, s.ends = make([]string, n), make([]uint16, n)
	for i := range s.Systems {
		s.Systems[i] = r.str()
		s.Codes = append(s.Codes, r.strs()...)
		s.ends[i] = uint16(len(s.Codes)) //nolint:gosec // the generator's own numbers are small
	}
	size := 4
	for size < 2*len(s.Codes) {
		size *= 2
	}
	s.slots = make([]uint16, size)
	for k, code := range s.Codes {
		at := int(hash([]byte(code))) & (size - 1)
		for s.slots[at] != 0 {
			at = (at + 1) & (size - 1)
		}
		s.slots[at] = uint16(k + 1)
	}
	return s
}

// Has says whether the code is in the set, whatever its system. It does not allocate.
func (s *CodeSet) Has(code []byte) bool {
	_, ok := s.find(code, hash(code))
	return ok
}

// HasCoding says whether that system's code is in the set. It does not allocate.
func (s *CodeSet) HasCoding(system, code []byte) bool {
	mask := uint32(len(s.slots) - 1) //nolint:gosec // the generator's own numbers are small
	for at := hash(code) & mask; s.slots[at] != 0; at = (at + 1) & mask {
		k := int(s.slots[at] - 1)
		if s.Codes[k] == string(code) && s.systemOf(k) == string(system) {
			return true
		}
	}
	return false
}

func (s *CodeSet) find(code []byte, h uint32) (int, bool) {
	mask := uint32(len(s.slots) - 1) //nolint:gosec // the generator's own numbers are small
	for at := h & mask; s.slots[at] != 0; at = (at + 1) & mask {
		if k := int(s.slots[at] - 1); s.Codes[k] == string(code) {
			return k, true
		}
	}
	return 0, false
}

func (s *CodeSet) systemOf(k int) string {
	for i, end := range s.ends {
		if k < int(end) {
			return s.Systems[i]
		}
	}
	return ""
}
