package limit

import (
	"sync"
	"sync/atomic"
	"time"

	"ward/internal/base/clock"
	"ward/internal/base/fault"
)

// Rates holds tenants to a number of requests a second each. Half a second's worth, at least one, may come at once. What one process
// counts no other knows: with several of them a tenant has as many times its rate. It is safe for use by many goroutines.
type Rates struct {
	clock clock.Clock
	began time.Time
	mu    sync.RWMutex
	due   map[int32]*atomic.Int64 // when the tenant's next request is due, in nanoseconds since began, were they all evenly apart
}

// NewRates counts nothing yet.
func NewRates(c clock.Clock) *Rates {
	return &Rates{clock: c, began: c.Now(), due: map[int32]*atomic.Int64{}}
}

// Take counts a request of the tenant, which may have so many a second. It returns fault.Exhausted, with when to come again, for one too many.
func (r *Rates) Take(tenant int32, perSecond int64) error {
	due := r.of(tenant)
	apart := int64(time.Second) / perSecond
	ahead := max(int64(time.Second)/2-apart, 0)
	now := int64(r.clock.Now().Sub(r.began))
	for {
		old := due.Load()
		next := max(old, now)
		if wait := next - now - ahead; wait > 0 {
			return fault.Exhausted("this tenant may ask %d times a second (its limit requestsPerSecond), and does", perSecond).Retry(time.Duration(wait))
		}
		if due.CompareAndSwap(old, next+apart) {
			return nil
		}
	}
}

func (r *Rates) of(tenant int32) *atomic.Int64 {
	r.mu.RLock()
	due := r.due[tenant]
	r.mu.RUnlock()
	if due != nil {
		return due
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if due = r.due[tenant]; due == nil {
		due = &atomic.Int64{}
		r.due[tenant] = due
	}
	return due
}
