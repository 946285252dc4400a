package argon

import (
	"context"
	"runtime"
	"sync"
	"time"

	"ward/internal/base/clock"
	"ward/internal/base/fault"
)

// Options of a pool. The zero value of a field is its default.
type Options struct {
	Params  Params        // default [Default]
	Workers int           // hashes computed at once; default half of the CPUs, at least 1
	Queue   int           // sign-ins that may wait; default 256
	Wait    time.Duration // the longest a sign-in waits; default 5 s

	// Command is the program whose loop is [Serve], with its arguments, and Gentle the same for what nobody waits for; without one this process computes.
	Command, Gentle []string
	Clock           clock.Clock // default: the machine's
}

// Pool computes hashes within bounds. It is safe for use by many goroutines.
type Pool struct {
	options Options
	free    chan *process // those of sign-ins; nil processes where there is no command
	gentle  *process
	decoy   Hash

	mu      sync.Mutex
	waiting int           // sign-ins, also those being computed
	calm    chan struct{} // closed while no sign-in waits
}

// New makes a pool.
func New(o Options) *Pool {
	if o.Params == (Params{}) {
		o.Params = Default()
	}
	if o.Workers <= 0 {
		o.Workers = max(1, runtime.NumCPU()/2)
	}
	if o.Queue <= 0 {
		o.Queue = 256
	}
	if o.Wait <= 0 {
		o.Wait = 5 * time.Second
	}
	if o.Clock == nil {
		o.Clock = clock.System()
	}
	p := &Pool{options: o, free: make(chan *process, o.Workers), calm: make(chan struct{}), decoy: fresh(o.Params)}
	p.decoy.key = make([]byte, keySize)
	close(p.calm)
	for range o.Workers {
		var own *process
		if len(o.Command) > 0 {
			own = &process{command: o.Command}
		}
		p.free <- own
	}
	if len(o.Gentle) > 0 {
		p.gentle = &process{command: o.Gentle}
	}
	return p
}

// Close ends the processes. Hashes under way are finished.
func (p *Pool) Close() {
	for range p.options.Workers {
		if own := <-p.free; own != nil {
			own.close()
		}
		defer func() { p.free <- nil }()
	}
	if p.gentle != nil {
		p.gentle.close()
	}
}

// Verify says whether the hash is the password's, and whether it was made with less than what the pool makes hashes with now. An empty hash takes the same time and is
// nobody's. It returns fault.Exhausted when too many wait already.
func (p *Pool) Verify(ctx context.Context, phc, password string) (ok, stale bool, err error) {
	h, somebody := p.decoy, phc != ""
	if somebody {
		if h, err = Parse(phc); err != nil {
			return false, false, err
		}
	}
	key, err := p.urgent(ctx, h, password)
	if err != nil {
		return false, false, err
	}
	ok = h.equal(key) && somebody
	return ok, ok && h.Stale(p.options.Params), nil
}

// Hash is a new hash of the password, for somebody who waits. It returns fault.Exhausted when too many do.
func (p *Pool) Hash(ctx context.Context, password string) (phc string, err error) {
	h := fresh(p.options.Params)
	if h.key, err = p.urgent(ctx, h, password); err != nil {
		return "", err
	}
	return h.String(), nil
}

// HashGently is a new hash of the password, when nobody who waits needs one and nobody else the CPU. It says how long that took.
func (p *Pool) HashGently(ctx context.Context, password string) (phc string, took time.Duration, err error) {
	p.mu.Lock()
	calm := p.calm
	p.mu.Unlock()
	select {
	case <-calm:
	case <-ctx.Done():
		return "", 0, ctx.Err()
	}
	began := p.options.Clock.Now()
	h := fresh(p.options.Params)
	h.key = compute(p.gentle, h, password)
	return h.String(), p.options.Clock.Now().Sub(began), nil
}

// urgent computes a key for somebody who waits.
func (p *Pool) urgent(ctx context.Context, h Hash, password string) ([]byte, error) {
	p.mu.Lock()
	if p.waiting >= p.options.Queue {
		p.mu.Unlock()
		return nil, busy()
	}
	if p.waiting++; p.waiting == 1 {
		p.calm = make(chan struct{})
	}
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.waiting--; p.waiting == 0 {
			close(p.calm)
		}
	}()
	timer := time.NewTimer(p.options.Wait)
	defer timer.Stop()
	select {
	case own := <-p.free:
		defer func() { p.free <- own }()
		return compute(own, h, password), nil
	case <-timer.C:
		return nil, busy()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func compute(own *process, h Hash, password string) []byte {
	if own != nil {
		if key, ok := own.derive(h, password); ok {
			return key
		}
	}
	return h.derive(password)
}

func busy() error {
	return fault.Exhausted("many people are signing in at this moment: try again in a few seconds").Retry(5 * time.Second)
}
