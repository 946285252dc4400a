package events

import (
	"context"
	"maps"
	"slices"
	"sync"

	"ward/internal/backend/cache"
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

// current is a month as the change leaves it.
func (p *published) current(subscriber string, month int64, was shard) shard {
	c := p.of[subscriber]
	if !c.months[month] && !c.months[forever] {
		return was
	}
	return was.patched(p.number, subscriber, p.events, c.now, month)
}

// publish tells all processes of a change. done: it is committed for sure, and what is kept here may be brought up to date.
func (s *Service) publish(ctx context.Context, p *published, done bool) error {
	if s.deps.Cache == nil || len(p.of) == 0 {
		return nil
	}
	p.telling.Lock() // of several who share a transaction the first tells, and the others wait until all know
	defer p.telling.Unlock()
	if p.told {
		return nil
	}
	subscribers := slices.Sorted(maps.Keys(p.of))
	tags := make([]cache.Tag, len(subscribers))
	for i, subscriber := range subscribers {
		tags[i] = subscriberTag(subscriber)
	}
	type kept struct {
		subscriber string
		lease      cache.Lease
		months     []int64
		was        []shard
	}
	var before []kept
	if done && len(subscribers) <= publishedAtOnce && len(p.events)*len(subscribers) <= publishedRenders {
		var buffer [128]byte
		for i, subscriber := range subscribers {
			k := kept{subscriber: subscriber}
			var err error
			if k.lease, err = s.deps.Cache.Begin(ctx, tags[i]); err != nil {
				return err
			}
			for _, m := range s.candidates(p.of[subscriber]) {
				value, ok, err := s.deps.Cache.Get(ctx, nearKey(buffer[:], subscriber, m))
				if err != nil {
					return err
				}
				// what has a later number may lack this change
				if ok && shard(value).version() <= p.number {
					k.months, k.was = append(k.months, m), append(k.was, value)
				}
			}
			before = append(before, k)
		}
	}
	if err := s.deps.Cache.Invalidate(ctx, tags...); err != nil {
		return err
	}
	p.told = true
	var buffer [128]byte
	for _, k := range before {
		// The lease is from before, and this change is the one that came since: if there was another, nothing is kept.
		k.lease.Advance()
		for i, m := range k.months {
			k.lease.Store(nearKey(buffer[:], k.subscriber, m), p.current(k.subscriber, m, k.was[i]))
		}
	}
	return nil
}
