package events

import (
	"sync"
	"time"

	"ward/internal/backend/cache"
)

// watched is how many heads or generations are remembered: as many as there are busy tenants.
const watched = 4_096

// mismatches remembers since when heads have had a token that is not the database's.
type mismatches struct {
	mu    sync.Mutex
	since map[cache.Head]time.Time
}

// last says whether a head has been like this for long.
func (m *mismatches) last(h cache.Head, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	since, known := m.since[h]
	if known {
		return now.Sub(since) > mismatchLasts
	}
	if m.since == nil || len(m.since) >= watched {
		m.since = map[cache.Head]time.Time{}
	}
	m.since[h] = now
	return false
}

func (m *mismatches) forget(h cache.Head) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.since, h)
}

// numbers remembers the highest number that was seen of each generation: a tier that has a lower one has lost what came last.
type numbers struct {
	mu  sync.Mutex
	max map[uint64]uint64
}

// most is the highest number of a generation so far, with this one.
func (n *numbers) most(generation, number uint64) uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.max == nil || len(n.max) >= watched {
		n.max = map[uint64]uint64{}
	}
	n.max[generation] = max(n.max[generation], number)
	return n.max[generation]
}
