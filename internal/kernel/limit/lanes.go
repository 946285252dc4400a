package limit

import (
	"context"
	"slices"
	"sync"
	"time"

	"ward/internal/base/fault"
	"ward/internal/kernel/module"
)

// Options of [Lanes]. The zero value of a field is its default.
type Options struct {
	Ceiling int           // requests worked on at once, all lanes together; default 256
	Queue   int           // requests that may wait per lane; default 4 × Ceiling
	Wait    time.Duration // the longest a request waits for its place; default 5 s
}

// Lanes admits work. It is safe for use by many goroutines.
type Lanes struct {
	queue int
	wait  time.Duration

	mu      sync.Mutex
	ceiling int
	running int                     // all lanes
	lanes   [module.Lanes + 1]state // by module.Lane; 0 is not used
}

type state struct {
	running int
	most    int // of all lanes' running, beyond which this lane waits; for background, of its own running
	waiting []*waiter
	entered uint64
	refused uint64
}

type waiter struct{ ready chan struct{} }

// NewLanes makes the gates.
func NewLanes(o Options) *Lanes {
	if o.Ceiling <= 0 {
		o.Ceiling = 256
	}
	if o.Queue <= 0 {
		o.Queue = 4 * o.Ceiling
	}
	if o.Wait <= 0 {
		o.Wait = 5 * time.Second
	}
	l := &Lanes{ceiling: o.Ceiling, queue: o.Queue, wait: o.Wait}
	l.lanes[module.Urgent].most = o.Ceiling
	l.lanes[module.Interactive].most = max(1, o.Ceiling-o.Ceiling/8)
	l.lanes[module.Background].most = max(1, o.Ceiling/2)
	return l
}

// Enter takes a place in the lane and waits for one when there is none. Call [Lanes.Leave] when it returned nil. It returns
// fault.Exhausted when the lane's queue is full or the wait was too long, and the context's error when that ended first.
func (l *Lanes) Enter(ctx context.Context, lane module.Lane) error {
	l.mu.Lock()
	s := &l.lanes[lane]
	if len(s.waiting) == 0 && l.fits(lane) {
		l.running++
		s.running++
		s.entered++
		l.mu.Unlock()
		return nil
	}
	if len(s.waiting) >= l.queue {
		s.refused++
		l.mu.Unlock()
		return full(lane)
	}
	w := &waiter{ready: make(chan struct{})}
	s.waiting = append(s.waiting, w)
	l.mu.Unlock()

	timer := time.NewTimer(l.wait)
	defer timer.Stop()
	var err error
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-timer.C:
		err = full(lane)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-w.ready: // the place came at the last moment
		return nil
	default:
		s.waiting = slices.DeleteFunc(s.waiting, func(other *waiter) bool { return other == w })
		s.refused++
		return err
	}
}

// Leave gives the place back and lets the most urgent waiting work in.
func (l *Lanes) Leave(lane module.Lane) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running--
	l.lanes[lane].running--
	for next := module.Urgent; next <= module.Background; next++ {
		s := &l.lanes[next]
		for len(s.waiting) > 0 && l.fits(next) {
			w := s.waiting[0]
			s.waiting[0] = nil
			s.waiting = s.waiting[1:]
			l.running++
			s.running++
			s.entered++
			close(w.ready)
		}
	}
}

// Count is how much of a lane's work is running and waiting now, and how much was refused since the start.
func (l *Lanes) Count(lane module.Lane) (running, waiting int, refused uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &l.lanes[lane]
	return s.running, len(s.waiting), s.refused
}

// Entered is how much of a lane's work was let in since the start.
func (l *Lanes) Entered(lane module.Lane) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lanes[lane].entered
}

func (l *Lanes) fits(lane module.Lane) bool {
	s := &l.lanes[lane]
	if lane == module.Background && s.running >= s.most {
		return false
	}
	if lane == module.Background {
		return l.running < l.lanes[module.Interactive].most
	}
	return l.running < s.most
}

func full(lane module.Lane) error {
	return fault.Exhausted("the server is busy with other %s work: try again in a moment", lane).Retry(time.Second)
}
