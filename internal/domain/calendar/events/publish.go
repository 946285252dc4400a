package events

import (
	"context"
	"maps"
	"slices"
	"sync"

	"ward/internal/backend/cache"
	"ward/internal/base/fault"
)

// A change is published after its commit and before it is acknowledged: every process forgets the touched calendars as they were, and the
// process that made the change puts them as they are now in their place, so that whoever reads next asks no database.
const (
	hotMonths        = 13 // before this month and after it: those that are kept up to date
	publishedAtOnce  = 64 // subscribers; of changes to more, the calendars are read anew
	publishedRenders = 4_000
)

// published is what a change touched.
type published struct {
	telling sync.Mutex
	told    bool

	number int64
	events map[string]bool      // ids
	of     map[string]*calendar // by subscriber

	leases  map[string]cache.Lease // by subscriber: begun inside the transaction, so that no later change is older than they are; nil when nothing is brought up to date
	marking *marking
}

// calendar is what changed in a subscriber's.
type calendar struct {
	months map[int64]bool // those that change; forever: all
	now    []*ready       // what the changed events are now, those that are the subscriber's
}

func (w *writer) published() *published {
	p := &published{number: w.change, events: map[string]bool{}, of: map[string]*calendar{}}
	for _, id := range w.ids {
		p.events[id] = true
	}
	for _, subscriber := range w.subscribers {
		if p.of[subscriber] == nil {
			p.of[subscriber] = &calendar{months: map[int64]bool{}}
		}
	}
	for i, subscriber := range w.months.subscriber {
		p.of[subscriber].months[w.months.month[i]] = true
	}
	for i, subscriber := range w.unmonths.subscriber {
		p.of[subscriber].months[w.unmonths.month[i]] = true
	}
	for _, r := range w.puts {
		for _, subscriber := range r.Subscribers {
			p.of[subscriber].now = append(p.of[subscriber].now, r)
		}
	}
	return p
}

// candidates are the months that may be kept.
func (s *Service) candidates(c *calendar) []int64 {
	now := monthOf(s.deps.Clock.Now().Unix())
	list := make([]int64, 0, 2*hotMonths+1+len(c.months))
	for m := now - hotMonths; m <= now+hotMonths; m++ {
		list = append(list, m)
	}
	for m := range c.months {
		if m != forever && (m < now-hotMonths || m > now+hotMonths) {
			list = append(list, m)
		}
	}
	return list
}

// current is a month as the change leaves it; nil when it is more than a shard holds.
func (p *published) current(subscriber string, month int64, was shard) shard {
	c := p.of[subscriber]
	if !c.months[month] && !c.months[forever] {
		return was
	}
	return was.patched(p.number, subscriber, p.events, c.now, month)
}

// lease begins what is to be stored after the commit.
func (s *Service) lease(ctx context.Context, p *published) (map[string]cache.Lease, error) {
	if s.deps.Cache == nil || len(p.of) > publishedAtOnce || len(p.events)*len(p.of) > publishedRenders {
		return nil, nil //nolint:nilnil // nothing is brought up to date
	}
	leases := make(map[string]cache.Lease, len(p.of))
	for subscriber := range p.of {
		lease, err := s.deps.Cache.Begin(ctx, subscriberTag(subscriber))
		if err != nil {
			return nil, err
		}
		leases[subscriber] = lease
	}
	return leases, nil
}

// ended publishes a change after its transaction, which ended with err, and gives that.
//
// Errors: err; Unavailable when the change is committed but not all processes could be told.
func (s *Service) ended(ctx context.Context, p *published, err error) error {
	if p == nil {
		return err
	}
	p.telling.Lock() // of several who share a transaction the first tells, and the others wait until all know
	defer p.telling.Unlock()
	if p.told {
		return err
	}
	unknown := fault.Is(err, fault.CodeUnavailable) // whether it was committed: caches must not keep what may be gone
	if err != nil && !unknown {
		p.told = true
		s.unmark(ctx, p)
		return err
	}
	if s.deps.Cache == nil {
		return err
	}
	if told := s.publish(ctx, p, err == nil); told != nil {
		if err == nil {
			err = fault.Unavailable("the change may be committed, but not all processes could be told in time: read before you repeat it").With(told)
		}
		return err
	}
	p.told = true
	return err
}

// publish tells all processes of a change. done: it is committed for sure, and what is kept is brought up to date.
func (s *Service) publish(ctx context.Context, p *published, done bool) error {
	subscribers := slices.Sorted(maps.Keys(p.of))
	tags := make([]cache.Tag, len(subscribers), len(subscribers)+1)
	for i, subscriber := range subscribers {
		tags[i] = subscriberTag(subscriber)
	}
	if !p.marking.ok {
		tags = append(tags, generationTag())
	}
	var now []keptMonth
	if done {
		s.renew(ctx, p)
		var err error
		if now, err = s.months(ctx, p); err != nil {
			return err
		}
	}
	if err := s.deps.Cache.Invalidate(ctx, tags...); err != nil {
		return err
	}
	var buffer [128]byte
	for i := range now {
		k := &now[i]
		// The lease is from before, and this change is the one that came since: if there was another, nothing is kept.
		k.lease.Advance()
		k.lease.Store(nearKey(buffer[:], k.subscriber, k.month), k.now)
	}
	return nil
}

// keptMonth is a month of a calendar as the change leaves it.
type keptMonth struct {
	lease      cache.Lease
	subscriber string
	month      int64
	now        shard
}

// months are those of the touched calendars that are known, as the change leaves them.
func (s *Service) months(ctx context.Context, p *published) (list []keptMonth, err error) {
	known := map[string]shard{} // what the second tier had
	var buffer [128]byte
	for i, old := range p.marking.old {
		if len(old) >= shardHead {
			known[string(nearKey(buffer[:], p.marking.subscriber[i], p.marking.months[i]))] = old
		}
	}
	for subscriber, lease := range p.leases {
		for _, m := range s.candidates(p.of[subscriber]) {
			key := nearKey(buffer[:], subscriber, m)
			value, ok, err := s.deps.Cache.Get(ctx, key)
			if err != nil {
				return nil, err
			}
			was := shard(value)
			if !ok {
				was, ok = known[string(key)]
			}
			// what has a later number may lack this change
			if ok && was.version() <= p.number {
				if now := p.current(subscriber, m, was); now != nil {
					list = append(list, keptMonth{lease, subscriber, m, now})
				}
			}
		}
	}
	return list, nil
}
