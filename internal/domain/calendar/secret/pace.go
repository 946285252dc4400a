package secret

import (
	"sync"
	"time"

	"ward/internal/base/clock"
	"ward/internal/base/fault"
)

// How often one feed may be asked for: programs ask every few minutes at most.
const (
	paceWindow = time.Minute
	paceMost   = 30
	paceKept   = 20_000 // feeds that are counted at once
)

// pace counts how often each feed is asked for in this process.
type pace struct {
	clock clock.Clock

	mu    sync.Mutex
	began time.Time
	asked map[string]int
}

func newPace(c clock.Clock) *pace { return &pace{clock: c, asked: map[string]int{}} }

// take counts one. It returns fault.Exhausted when there were too many in this minute.
func (p *pace) take(feedID string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.clock.Now()
	if now.Sub(p.began) >= paceWindow || len(p.asked) >= paceKept {
		p.began = now
		clear(p.asked)
	}
	if p.asked[feedID]++; p.asked[feedID] > paceMost {
		return fault.Exhausted("this feed is asked for more than %d times a minute", paceMost).Retry(p.began.Add(paceWindow).Sub(now))
	}
	return nil
}
