package events

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"ward/internal/base/scope"
)

// outages remembers since when the tenants' databases have been away.
type outages struct {
	mu    sync.Mutex
	since map[int32]time.Time
}

// begun is when the tenant's database was first found to be away.
func (o *outages) begun(tenant int32, now time.Time) time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.since == nil {
		o.since = map[int32]time.Time{}
	}
	since, known := o.since[tenant]
	if !known {
		since = now
		o.since[tenant] = since
	}
	return since
}

func (o *outages) over(tenant int32) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.since, tenant)
}

// aged marks an answer that is given although the database is away: it is as of when that was last reached (RFC 9111 §5.1, RFC 7234 §5.5.1). Nobody can
// have changed anything there through Ward since; somebody else may have.
func (s *Service) aged(ctx context.Context, h http.Header) {
	sc, _ := scope.From(ctx)
	if !s.deps.DB.Away(ctx) {
		if s.away.Load() {
			s.outages.over(sc.Tenant.ID)
		}
		return
	}
	s.away.Store(true)
	now := s.deps.Clock.Now()
	h.Set("Age", strconv.Itoa(int(now.Sub(s.outages.begun(sc.Tenant.ID, now)).Seconds())))
	h.Set("Warning", `110 - "Response is Stale"`)
}
