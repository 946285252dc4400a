package records

import (
	"context"
	"sync"
	"time"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
)

// quotas remember how many resources tenants have that may have so many only.
type quotas struct {
	mu sync.Mutex
	of map[int32]*quota
}

// quota is a count of a tenant's resources. What other processes store, and what is deleted, it learns when it counts anew.
type quota struct {
	mu      sync.Mutex
	count   int64
	counted time.Time
	took    time.Duration
}

const (
	quotaAge  = 10 * time.Second // a count is good for so long, or for quotaCost times as long as it took
	fullAge   = time.Second      // and where it says that there is no room, for so long
	quotaCost = 20
)

// room is how many resources a transaction may create; nil is any number.
type room struct {
	left int64
	most int64
}

func (r *room) take() bool {
	if r == nil {
		return true
	}
	r.left--
	return r.left >= 0
}

func (r *room) refusal() error {
	return fault.Full("this tenant may have %d resources (its limit resources), and has them: nothing new can be stored until some are deleted or the limit is raised", r.most)
}

// creates says whether the change would make a resource that is not there.
func creates(c *Change, sl *slot) bool {
	return c.Op != OpDelete && (sl.current == nil || sl.current.Op == OpDelete)
}

// room looks how many of the creations the tenant's limit lets in, and counts them.
func (s *Service) room(ctx context.Context, tx db.Tx, cs []*Change, slots []*slot) (*room, error) {
	var most, wanted int64
	for i, c := range cs {
		if c.most > 0 && creates(c, slots[i]) {
			most = c.most
			wanted++
		}
	}
	if wanted == 0 {
		return nil, nil //nolint:nilnil // any number
	}
	sc, _ := scope.From(ctx)
	q := s.quotas.tenant(sc.Tenant.ID)
	q.mu.Lock()
	defer q.mu.Unlock()
	now := s.clock.Now()
	age := now.Sub(q.counted)
	if q.counted.IsZero() || age > max(quotaAge, quotaCost*q.took) || q.count+wanted > most && age > max(fullAge, quotaCost*q.took) {
		err := tx.Query(ctx, "SELECT count(*) FROM records_resource WHERE op <> 4", func(r db.Row) error { q.count = r.Int64(0); return nil }) // 4 is OpDelete
		if err != nil {
			return nil, err
		}
		q.counted = s.clock.Now()
		q.took = q.counted.Sub(now)
	}
	r := &room{left: max(most-q.count, 0), most: most}
	q.count += min(wanted, r.left) // one that fails for another reason is given back at the next count
	return r, nil
}

func (q *quotas) tenant(id int32) *quota {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.of == nil {
		q.of = map[int32]*quota{}
	}
	t := q.of[id]
	if t == nil {
		t = &quota{}
		q.of[id] = t
	}
	return t
}
