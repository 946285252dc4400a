package search

import "bytes"

// Posting says that a resource has a value at an atom. Key preserves the order of the values, see keys.go; at most 64 bytes.
type Posting struct {
	Atom uint32
	Form Form
	Key  []byte
}

// Form says what a key is made of, for a store that does not keep hashes as they are. All keys of an atom have the same form.
type Form uint8

// The forms. Hashes are of eight bytes; only equal ones are looked for.
const (
	FormOrdered   Form = iota // values in their order: texts, URIs, dates, numbers, quantities
	FormToken                 // the hash of a code, and of its system where there is one (4 bytes). A range may be all keys of a code, or have a system's hash as Suffix
	FormTyped                 // the hash of an identifier's type, and of its value
	FormReference             // the hash of a reference
)

// ChartEntry is what a patient's chart holds of one resource.
type ChartEntry struct {
	Patients []uint64 // RefHash of "Patient/id" for each patient that the resource is about, without repeats
	Codes    []uint64 // TokenHash of each coding of the type's main code, without repeats
	At       int64    // the low end of the type's main date, µs since 1970; math.MinInt64 when it has none
}

// Range is a part of an atom's postings: the keys Lo ≤ key < Hi, or the one key Lo when Eq. Of those, the keys for which Holds is true
// belong to it.
type Range struct {
	Atom uint32
	Lo   []byte
	Hi   []byte // nil: to the end of the atom
	Eq   bool
	// Chart: what is looked for is not in the postings but in the chart: Lo is the RefHash of the patient in 8 bytes, big-endian, and Eq
	// is set.
	Chart bool
	// Suffix, when not empty, is what a key ends with. Holds checks it too.
	Suffix []byte
	Form   Form // of the keys

	breadth breadth
	hold    *Value // what a key must agree with
	typ     ParamType
}

type breadth uint8

const (
	few   breadth = iota // one key or few
	half                 // everything on one side of a value
	whole                // all of the atom
)

// Wide says that the range is all of an atom, a poor place to begin a search.
func (r *Range) Wide() bool { return r.breadth == whole }

// Half says that the range is open to one side, such as all dates after a day.
func (r *Range) Half() bool { return r.breadth == half }

// Holds says whether a key between Lo and Hi belongs to the range.
func (r *Range) Holds(key []byte) bool {
	if len(r.Suffix) > 0 && !bytes.HasSuffix(key, r.Suffix) {
		return false
	}
	if r.hold == nil {
		return true
	}
	switch r.typ { //nolint:exhaustive // the others need no more than their bounds
	case Date:
		return len(key) == 17 && r.hold.compare.compareSpans(intAt(key[1:]), intAt(key[9:]), r.hold.low, r.hold.high)
	case String: // :contains
		return len(key) >= keptString || bytes.Contains(key, r.hold.folded)
	}
	return true
}
