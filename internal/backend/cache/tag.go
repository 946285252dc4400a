package cache

import (
	"sync/atomic"

	"github.com/zeebo/xxh3"
)

// Tag names something that answers depend on: a patient's compartment, a resource, a token. It is a hash, so that it costs
// nothing to carry and tells nothing about the patient on the wire; two tags that collide only invalidate each other.
type Tag uint64

// TagOf is the tag of one thing of a kind, such as TagOf("Patient", id). Tags of different tenants never meet: the scope is added
// where a tag is used.
func TagOf(kind, id string) Tag { return Tag(xxh3.HashStringSeed(id, xxh3.HashString(kind))) }

// TagOfBytes is TagOf for an id in a buffer.
func TagOfBytes(kind string, id []byte) Tag { return Tag(xxh3.HashSeed(id, xxh3.HashString(kind))) }

// generations counts the invalidations of tags. A tag falls into one of a fixed number of slots; tags that share a slot share
// their invalidations, which can cost a miss and never serves what is stale. So memory is bounded and nothing is ever
// registered or released.
type generations struct {
	slots []atomic.Uint64
	mask  uint64
}

func newGenerations(slots int) *generations {
	n := 1
	for n < slots {
		n <<= 1
	}
	return &generations{slots: make([]atomic.Uint64, n), mask: uint64(n - 1)} //nolint:gosec // positive; pages that are never touched are never resident
}

func (g *generations) slot(tenant int32, tag Tag) uint32 {
	h := (uint64(tag) ^ uint64(uint32(tenant))*0x9e3779b97f4a7c15) * 0xff51afd7ed558ccd //nolint:gosec // mixing bits
	return uint32((h ^ h>>32) & g.mask)                                                 //nolint:gosec // masked
}

func (g *generations) read(slot uint32) stamp { return stamp{slot, g.slots[slot].Load()} }

func (g *generations) bump(tenant int32, tag Tag) { g.slots[g.slot(tenant, tag)].Add(1) }

func (g *generations) stands(s stamp) bool { return g.slots[s.slot].Load() == s.generation }

// stamp is the generation that a slot had when an answer's reading began.
type stamp struct {
	slot       uint32
	generation uint64
}
