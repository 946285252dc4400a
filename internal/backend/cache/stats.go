package cache

import (
	"crypto/rand"
	"encoding/binary"
	"sync/atomic"
)

// Stats are totals since the start, except Bytes, Entries and Peers, which are as of now.
type Stats struct {
	Hits, Misses int64
	Stale        int64 // found, but invalidated since
	Bypassed     int64 // not looked up, because peers could not be heard
	Late         int64 // not stored, because it was invalidated while it was read
	Bytes        uint64
	Entries      int
	Peers        int
	FarHits      int64 // answers of the second tier
	FarMisses    int64
	FarFailures  int64 // calls of the second tier that failed or were refused by its guard
	FarDropped   int64 // values not written to the second tier because too many were waiting
}

const countStripes = 16

type counts struct {
	hit, missed, stale, bypassed, late atomic.Int64
	_                                  [88]byte // stripes don't share a cache line
}

// Stats gives the totals.
func (c *Cache) Stats() Stats {
	s := Stats{Bytes: c.kept.WeightedSize(), Entries: c.kept.EstimatedSize()}
	for i := range c.counts {
		n := &c.counts[i]
		s.Hits += n.hit.Load()
		s.Misses += n.missed.Load()
		s.Stale += n.stale.Load()
		s.Bypassed += n.bypassed.Load()
		s.Late += n.late.Load()
	}
	if c.peers != nil {
		s.Peers = c.peers.count()
	}
	if c.far != nil {
		s.FarHits, s.FarMisses = c.far.hits.Load(), c.far.misses.Load()
		s.FarFailures, s.FarDropped = c.far.failures.Load(), c.far.dropped.Load()
	}
	return s
}

func randomUint64() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // crypto/rand never fails since Go 1.24
	return binary.LittleEndian.Uint64(b[:])
}
