package search

// Posting says that a resource has a value at an atom. Key preserves the order of the values, see keys.go; at most 64 bytes.
type Posting struct {
	Atom uint32
	Key  []byte
}

// ChartEntry is what a patient's chart holds of one resource.
type ChartEntry struct {
	Patients []uint64 // RefHash of "Patient/id" for each patient that the resource is about, without repeats
	Codes    []uint64 // TokenHash of each coding of the type's main code, without repeats
	At       int64    // the low end of the type's main date, µs since 1970; math.MinInt64 when it has none
}

// Range is a part of an atom's postings: the keys Lo ≤ key < Hi, or the one key Lo when Eq.
type Range struct {
	Atom uint32
	Lo   []byte
	Hi   []byte // nil: to the end of the atom
	Eq   bool
	// Chart: the values are not in the postings but in the chart: Lo is the RefHash of the patient, 8 bytes big-endian. Eq is set.
	Chart bool

	// Suffix, when not empty, is what a key must end with.
	Suffix []byte

	hold hold
}
