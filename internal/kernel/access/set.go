package access

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"ward/internal/format/fhir/search"
)

// Set is a set of patients' ids. It does not change. A nil Set is empty.
type Set struct {
	ids    map[string]struct{}
	hashes map[uint64]struct{}
	list   []string
	print  string
}

// NewSet is a set of these ids, each once.
func NewSet(ids []string) *Set {
	s := &Set{ids: make(map[string]struct{}, len(ids)), hashes: make(map[uint64]struct{}, len(ids)), list: slices.Clone(ids)}
	slices.Sort(s.list)
	s.list = slices.Compact(s.list)
	sum := sha256.New()
	for _, id := range s.list {
		s.ids[id], s.hashes[search.RefHash("Patient/"+id)] = struct{}{}, struct{}{}
		sum.Write(append([]byte(id), 0))
	}
	s.print = hex.EncodeToString(sum.Sum(nil)[:12])
	return s
}

// Has says whether the patient is in the set.
func (s *Set) Has(id string) bool {
	if s == nil {
		return false
	}
	_, ok := s.ids[id]
	return ok
}

// HasBytes is Has without a copy.
func (s *Set) HasBytes(id []byte) bool {
	if s == nil {
		return false
	}
	_, ok := s.ids[string(id)]
	return ok
}

// HasHash says whether search.RefHash of "Patient/id" is that of a patient in the set.
func (s *Set) HasHash(hash uint64) bool {
	if s == nil {
		return false
	}
	_, ok := s.hashes[hash]
	return ok
}

// Len is how many there are.
func (s *Set) Len() int {
	if s == nil {
		return 0
	}
	return len(s.list)
}

// List is the ids in order. It must not be changed.
func (s *Set) List() []string {
	if s == nil {
		return nil
	}
	return s.list
}

// Print is the same for equal sets, and for no others.
func (s *Set) Print() string { return s.print }
