package jsontape

import (
	"hash/maphash"
	"math/bits"
)

// hashSet is an open-addressed set of the members of one object, by key. Its hash is seeded per Doc, so that
// keys that collide can't be prepared.
type hashSet struct {
	seed   maphash.Seed
	seeded bool
	slots  []int32 // node + 1, 0 when free
}

// duplicate gives the first member of obj whose key has occurred before in it, -1 when there is none.
//
//nolint:gosec // sizes and indexes fit: a tape has fewer than 2³¹ nodes
func (d *Doc) duplicate(tape []node, obj int32) int32 {
	s := &d.seen
	if !s.seeded {
		s.seed, s.seeded = maphash.MakeSeed(), true
	}
	size := 1 << bits.Len(uint(tape[obj].aux)*3/2)
	if cap(s.slots) < size {
		s.slots = make([]int32, size)
	}
	s.slots = s.slots[:size]
	clear(s.slots)
	mask := uint64(size - 1)
	for n := obj + 1; n >= 0; n = tape[n].next {
		key := d.keyOf(tape[n].key, tape[n].meta)
		at := maphash.Bytes(s.seed, key) & mask
		for s.slots[at] != 0 {
			m := tape[s.slots[at]-1]
			if string(d.keyOf(m.key, m.meta)) == string(key) {
				return n
			}
			at = (at + 1) & mask
		}
		s.slots[at] = n + 1
	}
	return -1
}
