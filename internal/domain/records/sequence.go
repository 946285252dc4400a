package records

import (
	"crypto/rand"
	"encoding/binary"
	"sync"
	"time"

	"ward/internal/base/clock"
)

// A sequence orders all versions of a tenant and carries the time of the write: milliseconds since 1970 in the upper
// 43 bits, the process in 10, a counter in 10. Where two processes drew the same number of their own and write in the
// same millisecond, the primary key refuses the second, which is written again under a new number.
const (
	seqNodeBits    = 10
	seqCounterBits = 10
	seqTimeShift   = seqNodeBits + seqCounterBits
)

// sequencer hands out sequences, each greater than the one before.
type sequencer struct {
	clock clock.Clock
	node  int64

	mu      sync.Mutex
	ms      int64
	counter int64
}

func newSequencer(c clock.Clock) *sequencer {
	return &sequencer{clock: c, node: drawNode()}
}

func drawNode() int64 {
	var b [2]byte
	_, _ = rand.Read(b[:]) // crypto/rand never fails since Go 1.24
	return int64(binary.BigEndian.Uint16(b[:]) & (1<<seqNodeBits - 1))
}

// maxAhead is how far, in milliseconds, sequences may run ahead of the clock so that no two versions of a resource have the
// same time.
const maxAhead = 1_000

// after returns the next sequence, later than floor, the resource's version before: by a millisecond at least, unless that
// version is too far ahead of the clock. The clock of another process may be.
func (s *sequencer) after(floor int64) int64 {
	now := s.clock.Now().UnixMilli()
	if least := floor>>seqTimeShift + 1; floor > 0 && now < least && least <= now+maxAhead {
		now = least
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if now > s.ms {
		s.ms, s.counter = now, 0
	} else if s.counter++; s.counter == 1<<seqCounterBits {
		s.ms, s.counter = s.ms+1, 0
	}
	if s.last() <= floor {
		s.ms, s.counter = floor>>seqTimeShift+1, 0
	}
	return s.last()
}

// redraw takes another number for this process: its own may be that of another.
func (s *sequencer) redraw() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.node = drawNode()
	s.ms, s.counter = s.ms+1, 0 // the new number may be less than the old
}

// next is a lower bound of all sequences that after will return from now on.
func (s *sequencer) next() int64 {
	now := s.clock.Now().UnixMilli() << seqTimeShift
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(now, s.last()+1)
}

func (s *sequencer) last() int64 { return s.ms<<seqTimeShift | s.node<<seqCounterBits | s.counter }

func seqTime(seq int64) time.Time { return time.UnixMilli(seq >> seqTimeShift).UTC() }
