package events

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"slices"
	"strconv"
	"time"

	"ward/internal/backend/cache"
	"ward/internal/backend/db"
)

// The second tier has one sealed value for each month of a subscriber, kept as a chain (see cache.Chain): every change marks the months that it
// makes wrong before it commits, from the token that the database has to the one that it gets with the change. So
//
//   - a process asks the database for its token once for each tenant, and no more: from then on the tier's values are right for as long as the
//     generation of the tier's head is the one whose token was the database's;
//   - a change that could not be marked (the tier was out of reach) tells all processes to ask for the token again; who makes the next change finds the
//     tier's token to be another than the database's, and begins a new generation;
//   - a value that was read before a change can't be stored after it: the mark has a later number.
//
// The months of the tier are those around this one; others are read from the database.
const (
	chainName     = "calendar/2"  // the number is that of the shards' form
	markedMonths  = hotMonths + 1 // clocks differ
	mismatchLasts = time.Minute   // longer than a transaction: a head that is ahead of the database for so long is of a change that failed
)

func generationTag() cache.Tag { return cache.TagOf("calendar", "generation") }

// hot says whether the second tier keeps a month.
func (s *Service) hot(month int64, slack int64) bool {
	now := monthOf(s.deps.Clock.Now().Unix())
	return month >= now-hotMonths-slack && month <= now+hotMonths+slack
}

func farKey(subscriber string, month int64) []byte {
	b := append(make([]byte, 0, 24+len(subscriber)), "calendar/2/"...)
	return append(binary.BigEndian.AppendUint32(b, uint32(month)), subscriber...) //nolint:gosec // months of four-digit years
}

// marking is what a change did to the second tier before its commit.
type marking struct {
	chain      cache.Chain
	ok         bool // the tier knows of the change
	prev, next uint64
	head       cache.Head
	keys       [][]byte
	subscriber []string
	months     []int64
	old        [][]byte // what the months were, right up to this change; nil where that is not known
}

func newToken() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return binary.BigEndian.Uint64(b[:]) >> 1
}

// mark tells the second tier of a change that is about to be committed.
func (s *Service) mark(ctx context.Context, p *published, prev, next uint64) (*marking, error) {
	m := &marking{prev: prev, next: next}
	if s.deps.Cache == nil {
		return m, nil
	}
	chain, there, err := s.deps.Cache.Chain(ctx, chainName)
	if err != nil || !there {
		return m, err
	}
	m.chain = chain
	for subscriber, c := range p.of {
		for _, month := range s.touched(c) {
			m.keys, m.subscriber, m.months = append(m.keys, farKey(subscriber, month)), append(m.subscriber, subscriber), append(m.months, month)
		}
	}
	m.head, m.old, err = chain.Mark(ctx, prev, next, uint64(p.number), m.keys) //nolint:gosec // a count
	m.ok = err == nil                                                          // a tier that is out of reach stops nobody
	return m, nil
}

// touched are the months of the tier that a change makes wrong.
func (s *Service) touched(c *calendar) (list []int64) {
	now := monthOf(s.deps.Clock.Now().Unix())
	for m := now - markedMonths; m <= now+markedMonths; m++ {
		if c.months[m] || c.months[forever] {
			list = append(list, m)
		}
	}
	return list
}

// renew puts the marked months as they are now into the tier, where it had them.
func (s *Service) renew(ctx context.Context, p *published) {
	m := p.marking
	if m == nil || !m.ok {
		return
	}
	var keys, values [][]byte
	var numbers []uint64
	for i, old := range m.old {
		if len(old) < shardHead || len(keys) == publishedRenders {
			continue
		}
		now := p.current(m.subscriber[i], m.months[i], old)
		if now == nil {
			continue
		}
		keys, numbers = append(keys, m.keys[i]), append(numbers, uint64(p.number)) //nolint:gosec // a count
		values = append(values, now)
	}
	if len(keys) > 0 {
		_ = m.chain.Put(ctx, m.head.Generation, numbers, keys, values) // what it lacks is read from the database
	}
}

// unmark says that a marked change was not made. What is marked stays so: it is read anew.
func (s *Service) unmark(ctx context.Context, p *published) {
	m := p.marking
	if m == nil || !m.ok {
		return
	}
	back := m.head
	back.Token = m.prev
	_ = m.chain.Claim(context.WithoutCancel(ctx), back, &m.head) // else the next change begins a new generation
}

// generation is that of the second tier's values that can be trusted.
func (s *Service) generation(ctx context.Context, chain *cache.Chain) (uint64, bool) {
	key := strconv.AppendUint([]byte("calendar/generation/"), s.lost.Load(), 10)
	value, ok, err := s.deps.Cache.Get(ctx, key)
	if err != nil {
		return 0, false
	}
	if ok {
		return binary.BigEndian.Uint64(value), true
	}
	for range 3 {
		lease, err := s.deps.Cache.Begin(ctx, generationTag())
		if err != nil {
			return 0, false
		}
		token, number, err := s.token(ctx)
		if err != nil {
			return 0, false
		}
		head, there, err := chain.Head(ctx)
		if err != nil {
			return 0, false
		}
		if there && head.Token == token {
			s.mismatches.forget(head)
			lease.Store(key, binary.BigEndian.AppendUint64(nil, head.Generation))
			return head.Generation, true
		}
		fresh := cache.Head{Generation: newToken(), Token: token, Number: number}
		if !there {
			err = chain.Claim(ctx, fresh, nil) // and it is held against the database once more
		} else if s.mismatches.last(head, s.deps.Clock.Now()) {
			err = chain.Claim(ctx, fresh, &head)
		}
		if err != nil {
			return 0, false
		}
	}
	return 0, false // a change is under way, or was and failed
}

// token is the database's, and the number of the last change.
func (s *Service) token(ctx context.Context) (token, number uint64, err error) {
	s.queries.Add(1)
	err = s.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) error {
		token, number, err = counters(ctx, q)
		return err
	})
	return token, number, err
}

// counters are the tenant's: the token, and the number of the last change.
func counters(ctx context.Context, q db.Querier) (token, number uint64, err error) {
	err = q.Query(ctx, "SELECT name, value FROM calendar_counter WHERE name IN ('change', 'token')", func(r db.Row) error {
		if r.Text(0) == "token" {
			token = uint64(r.Int64(1)) //nolint:gosec // put in as such
		} else {
			number = uint64(r.Int64(1)) //nolint:gosec // a count
		}
		return nil
	})
	return token, number, err
}

// warm takes what it can of what is missing from the second tier, by one call. It says in which generation what is read from the database may be put.
func (s *Service) warm(ctx context.Context, w *window, list [][]shard, missing []int) (generation uint64, ok bool) {
	if s.deps.Cache == nil {
		return 0, false
	}
	chain, there, err := s.deps.Cache.Chain(ctx, chainName)
	if err != nil || !there {
		return 0, false
	}
	generation, ok = s.generation(ctx, &chain)
	if !ok {
		return 0, false
	}
	first := monthOf(w.from)
	var keys [][]byte
	var at [][2]int
	for _, i := range missing {
		for m, sh := range list[i] {
			if month := first + int64(m); sh == nil && s.hot(month, 0) {
				keys, at = append(keys, farKey(w.subscribers[i], month)), append(at, [2]int{i, m})
			}
		}
	}
	if len(keys) == 0 {
		return generation, true
	}
	head, values, err := chain.Get(ctx, keys)
	if err != nil || head.Generation != generation || head.Number < s.numbers.most(generation, head.Number) {
		s.lost.Add(1) // it may come back as it was before: ask the database for its token
		return 0, false
	}
	for k, value := range values {
		if len(value) >= shardHead {
			list[at[k][0]][at[k][1]] = value
		}
	}
	return generation, true
}

// put stores what was read from the database in the second tier.
func (s *Service) put(ctx context.Context, generation uint64, w *window, list [][]shard, missing []int, made []bool) {
	chain, there, err := s.deps.Cache.Chain(ctx, chainName)
	if err != nil || !there {
		return
	}
	first, n := monthOf(w.from), w.months()
	var keys, values [][]byte
	var numbers []uint64
	for k, i := range missing {
		for m := range n {
			if month := first + int64(m); made[k*n+m] && s.hot(month, 0) {
				keys, values = append(keys, farKey(w.subscribers[i], month)), append(values, list[i][m])
				numbers = append(numbers, uint64(list[i][m].version())) //nolint:gosec // a count
			}
		}
	}
	for len(keys) > 0 {
		some := min(len(keys), 500)
		chain.PutLater(ctx, generation, slices.Clip(numbers[:some]), keys[:some:some], values[:some:some])
		keys, values, numbers = keys[some:], values[some:], numbers[some:]
	}
}
