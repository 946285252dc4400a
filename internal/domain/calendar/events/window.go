package events

import (
	"context"
	"encoding/binary"
	"slices"

	"ward/internal/backend/cache"
	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/kernel/seal"
)

// The limits of a window.
const (
	maxWindow = 400 * 86400 // seconds
	maxCohort = 10_000      // subscribers
	maxShards = 60_000      // subscribers × months

	maxWindowBytes = 512 << 20 // of months that one window makes
)

// window is what somebody asks for.
type window struct {
	subscribers []string // sorted
	from, to    int64
}

func (w *window) check() error {
	if w.to <= w.from || w.to-w.from > maxWindow {
		return fault.Invalid("to must be after from, by %d days at most", maxWindow/86400)
	}
	if w.from < monthBegin(0) || w.to > monthBegin(12*9999) {
		return fault.Invalid("from and to must be in the years 0001 to 9998")
	}
	if len(w.subscribers) > maxCohort || len(w.subscribers)*w.months() > maxShards {
		return fault.TooCostly("this is more than %d subscribers, or more than %d months of subscribers: ask for fewer, or for a shorter time", maxCohort, maxShards)
	}
	return nil
}

func (w *window) months() int { return int(monthOf(w.to-1)-monthOf(w.from)) + 1 }

func subscriberTag(subscriber string) cache.Tag { return cache.TagOf("calendar", subscriber) }

func nearKey(b []byte, subscriber string, month int64) []byte {
	b = append(b[:0], "calendar/"...)
	b = binary.BigEndian.AppendUint32(b, uint32(month)) //nolint:gosec // months of four-digit years
	return append(b, subscriber...)
}

// shards are those of the window: for each subscriber, its months.
func (s *Service) shards(ctx context.Context, w *window) (list [][]shard, err error) {
	defer fault.Op(&err, "events.shards", len(w.subscribers))
	first, n := monthOf(w.from), w.months()
	room := make([]shard, len(w.subscribers)*n)
	list = make([][]shard, len(w.subscribers))
	var missing []int // subscribers of which a month is missing
	var buffer [128]byte
	for i, subscriber := range w.subscribers {
		list[i] = room[i*n : (i+1)*n]
		lacks := s.deps.Cache == nil
		for m := 0; m < n && s.deps.Cache != nil; m++ {
			value, ok, err := s.deps.Cache.Get(ctx, nearKey(buffer[:], subscriber, first+int64(m)))
			if err != nil {
				return nil, err
			}
			if ok {
				list[i][m] = value
			} else {
				lacks = true
			}
		}
		if lacks {
			missing = append(missing, i)
		}
	}
	if len(missing) == 0 {
		return list, nil
	}
	return list, s.fill(ctx, w, list, missing)
}

// fill reads what the process does not have: from the second tier when that has it as it is now, else from the database.
func (s *Service) fill(ctx context.Context, w *window, list [][]shard, missing []int) error {
	first, n := monthOf(w.from), w.months()
	leases := make([]cache.Lease, len(missing))
	names := make([]string, len(missing))
	place := make(map[string]int, len(missing)) // in missing
	for k, i := range missing {
		names[k] = w.subscribers[i]
		place[names[k]] = k
		if s.deps.Cache != nil {
			var err error
			if leases[k], err = s.deps.Cache.Begin(ctx, subscriberTag(names[k])); err != nil {
				return err
			}
		}
	}
	key, err := s.deps.Keys.For(ctx)
	if err != nil {
		return err
	}
	generation, trusted := s.warm(ctx, w, list, missing)
	versions := make([]int64, len(missing))
	var made []bool
	if lacking(list, missing) {
		err = s.deps.DB.Snapshot(ctx, func(ctx context.Context, q db.Querier) error {
			clear(versions)
			for k, i := range missing { // it may run again
				for m := range n {
					if made != nil && made[k*n+m] {
						list[i][m] = nil
					}
				}
			}
			made = make([]bool, len(missing)*n)
			return s.build(ctx, q, list, missing, place, names, versions, made, key, first)
		})
		if err != nil {
			return err
		}
		if trusted {
			s.put(ctx, generation, w, list, missing, made)
		}
	}
	if s.deps.Cache == nil {
		return nil
	}
	var buffer [128]byte
	for k, i := range missing {
		for m := range n {
			leases[k].Store(nearKey(buffer[:], names[k], first+int64(m)), list[i][m])
		}
	}
	return nil
}

// lacking says whether a month is missing.
func lacking(list [][]shard, missing []int) bool {
	for _, i := range missing {
		if slices.ContainsFunc(list[i], func(sh shard) bool { return sh == nil }) {
			return true
		}
	}
	return false
}

// build makes what is missing from the database: three look-ups, however much it is.
func (s *Service) build(ctx context.Context, q db.Querier, list [][]shard, missing []int, place map[string]int, names []string, versions []int64, made []bool, key *seal.Key, first int64) error {
	s.queries.Add(1)
	err := q.Lookup(ctx, db.Lookup{Table: "calendar_subscriber", Want: []string{"version"}, Keys: []db.Column{db.Col("subscriber", names)}}, func(k int, r db.Row) error {
		versions[k] = r.Int64(0)
		return nil
	})
	if err != nil {
		return err
	}
	var subscribers []string
	var months []int64
	for k, i := range missing {
		lacks := false
		for m := range list[i] {
			if list[i][m] != nil {
				continue
			}
			made[k*len(list[i])+m] = true
			if versions[k] == 0 { // nothing was ever there
				list[i][m] = encode(0, first+int64(m), nil)
				continue
			}
			lacks = true
			subscribers, months = append(subscribers, names[k]), append(months, first+int64(m))
		}
		if lacks {
			subscribers, months = append(subscribers, names[k]), append(months, forever)
		}
	}
	return s.read(ctx, q, list, missing, place, subscribers, months, versions, key, first)
}

// read makes shards from the database: two look-ups, however many they are.
func (s *Service) read(ctx context.Context, q db.Querier, list [][]shard, missing []int, place map[string]int, subscribers []string, months, versions []int64, key *seal.Key, first int64) error {
	if len(subscribers) == 0 {
		return nil
	}
	s.queries.Add(2)
	listed := make([][]string, len(subscribers))
	all := map[string]bool{}
	err := q.Lookup(ctx, db.Lookup{Table: "calendar_month", Want: []string{"event"}, Keys: []db.Column{db.Col("subscriber", subscribers), db.Col("month", months)}},
		func(i int, r db.Row) error {
			event := r.Text(0)
			listed[i], all[event] = append(listed[i], event), true
			return nil
		})
	if err != nil {
		return err
	}
	ids := make([]string, 0, len(all))
	for event := range all {
		ids = append(ids, event)
	}
	slices.Sort(ids)
	have, err := s.load(ctx, q, key, ids)
	if err != nil {
		return err
	}
	compiled := make(map[string]*ready, len(have))
	for event, e := range have {
		if e.Event == nil {
			continue
		}
		r, err := compile(e.Event)
		if err != nil {
			return fault.Internal("a stored event can't be understood").With(err)
		}
		compiled[event] = r
	}
	long := map[string][]*ready{}
	gather := func(i int) (events []*ready) {
		for _, event := range listed[i] {
			if r := compiled[event]; r != nil {
				events = append(events, r)
			}
		}
		return events
	}
	for i, m := range months {
		if m == forever {
			long[subscribers[i]] = gather(i)
		}
	}
	total := 0
	for i, m := range months {
		if m != forever {
			k := place[subscribers[i]]
			sh, err := newShard(versions[k], subscribers[i], append(gather(i), long[subscribers[i]]...), m)
			if err != nil {
				return err
			}
			if total += len(sh); total > maxWindowBytes {
				return fault.TooCostly("this is more than %d MB of occurrences: ask for fewer subscribers, or for a shorter time", maxWindowBytes>>20)
			}
			list[missing[k]][m-first] = sh
		}
	}
	return nil
}
