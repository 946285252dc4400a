package events

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/zeebo/xxh3"

	"ward/internal/base/fault"
	"ward/internal/format/ical"
)

// A shard is what happens to one subscriber in one month, sorted, ready to be sent. It is immutable and shared:
//
//	8 the number of the change that it was made at, 8 a hash of what follows, 4 how many entries, 4 bits
//	then, unless there are none:
//	33 × 4 the first entry of each day (UTC); the first of them is of what began before the month, the last is how many there are
//	32 × 4 how many of each day's entries are the subscriber's alone, among subscribers of its type
//	entries × 48: 8 start, 8 end, 8 the start that the rule gives, 4 where its text begins, 4 + 4 + 4 lengths of three pieces of JSON
//	       (when it is; what it is; who is there), 1 flags, 1 length of the event's id, 2 unused, 4 where it says when it is
//	texts: the id, what it is and who is there, once for all occurrences that say the same; when each is
//
// So a day is found without looking at others, and counting touches no text.
type shard []byte

const (
	shardHead  = 24
	dayTable   = shardHead
	countTable = dayTable + 33*4
	entryTable = countTable + 32*4
	entrySize  = 48
)

// Bits of a shard.
const (
	hasPrivate = 1 << iota
	hasJoint
)

// Flags of an entry.
const (
	flagFree    = 1 << iota // it takes nobody's time
	flagPrivate             // what it is, its subscribers alone may see
	flagGone                // cancelled
	flagMany                // it has other subscribers
	flagJoint               // among them one of the type of the shard's
)

func (s shard) version() int64 { return int64(binary.LittleEndian.Uint64(s)) } //nolint:gosec // a count
func (s shard) hash() uint64   { return binary.LittleEndian.Uint64(s[8:]) }
func (s shard) len() int       { return int(binary.LittleEndian.Uint32(s[16:])) }
func (s shard) has(bit byte) bool {
	return s[20]&bit != 0
}

// day is the number of the first entry that begins on a day of the month or later; 0: before the month.
func (s shard) day(d int) int {
	if s.len() == 0 {
		return 0
	}
	return int(binary.LittleEndian.Uint32(s[dayTable+4*d:]))
}

// alone is how many entries begin on a day that are the subscriber's alone.
func (s shard) alone(d int) int {
	if s.len() == 0 {
		return 0
	}
	return int(binary.LittleEndian.Uint32(s[countTable+4*d:]))
}

func (s shard) row(i int) []byte   { return s[entryTable+i*entrySize:] }
func (s shard) start(i int) int64  { return int64(binary.LittleEndian.Uint64(s.row(i))) }      //nolint:gosec // its bits
func (s shard) end(i int) int64    { return int64(binary.LittleEndian.Uint64(s.row(i)[8:])) }  //nolint:gosec // its bits
func (s shard) recurs(i int) int64 { return int64(binary.LittleEndian.Uint64(s.row(i)[16:])) } //nolint:gosec // its bits
func (s shard) flags(i int) byte   { return s.row(i)[40] }
func (s shard) id(i int) []byte {
	r := s.row(i)
	at := int(binary.LittleEndian.Uint32(r[24:]))
	return s[at : at+int(r[41])]
}

// entry is an occurrence in a shard.
type entry struct {
	start, end, recurrence int64
	flags                  byte
	id                     []byte
	when, what, who        []byte
}

func (s shard) entry(i int, e *entry) {
	r, le := s.row(i), binary.LittleEndian
	e.start, e.end, e.recurrence, e.flags = s.start(i), s.end(i), s.recurs(i), r[40]
	n, when, what, who := int(r[41]), int(le.Uint32(r[28:])), int(le.Uint32(r[32:])), int(le.Uint32(r[36:]))
	b := s[le.Uint32(r[24:]):]
	e.id, b = b[:n:n], b[n:]
	e.what, b = b[:what:what], b[what:]
	e.who = b[:who:who]
	b = s[le.Uint32(r[44:]):]
	e.when = b[:when:when]
}

// first is the number of the first entry that begins at an instant of the month, or later.
func (s shard) first(month, instant int64) int {
	begin := monthBegin(month)
	if instant <= begin {
		return s.day(1)
	}
	i := s.day(min(int((instant-begin)/86400)+1, 32))
	for i < s.len() && s.start(i) < instant {
		i++
	}
	return i
}

// compare is the order of occurrences.
func compare(a, b *entry) int {
	return cmp.Or(cmp.Compare(a.start, b.start), bytes.Compare(a.id, b.id), cmp.Compare(a.recurrence, b.recurrence))
}

// The most that a shard holds: whoever has more in a month is told so, and nobody's memory is full of it.
const (
	maxInMonth    = 50_000
	maxShardBytes = 32 << 20
)

func tooFull() error {
	return fault.TooCostly("a calendar has more than %d occurrences in a month, or %d MB of them: end or thin out its series", maxInMonth, maxShardBytes>>20)
}

// said is the text that entries have in common: that of one event, by where it lies.
type said struct{ what, who *byte }

func (e *entry) said() said { return said{begin(e.what), begin(e.who)} }

func begin(b []byte) *byte {
	if len(b) == 0 {
		return nil
	}
	return &b[0]
}

// encode makes the shard of a month out of its entries, which are sorted.
func encode(version, month int64, entries []entry) shard {
	size := shardHead
	if len(entries) > 0 {
		size = entryTable + entrySize*len(entries)
	}
	texts := make(map[said]int, 16) // where they begin
	for i := range entries {
		e := &entries[i]
		size += len(e.when)
		if _, there := texts[e.said()]; !there {
			texts[e.said()] = 0
			size += len(e.id) + len(e.what) + len(e.who)
		}
	}
	s, le := make(shard, size), binary.LittleEndian
	le.PutUint64(s, uint64(version))           //nolint:gosec // a count
	le.PutUint32(s[16:], uint32(len(entries))) //nolint:gosec // bounded by what an event may have
	defer func() { le.PutUint64(s[8:], xxh3.Hash(s[16:])) }()
	if len(entries) == 0 {
		return s
	}
	begin := monthBegin(month)
	at, day := entryTable+entrySize*len(entries), 0
	for i := range entries {
		e := &entries[i]
		d := 0
		if e.start >= begin {
			d = int((e.start-begin)/86400) + 1
		}
		for day < d {
			day++
			le.PutUint32(s[dayTable+4*day:], uint32(i))
		}
		if e.flags&flagJoint == 0 {
			le.PutUint32(s[countTable+4*d:], le.Uint32(s[countTable+4*d:])+1)
		} else {
			s[20] |= hasJoint
		}
		if e.flags&flagPrivate != 0 {
			s[20] |= hasPrivate
		}
		r := s.row(i)
		le.PutUint64(r, uint64(e.start))           //nolint:gosec // its bits
		le.PutUint64(r[8:], uint64(e.end))         //nolint:gosec // its bits
		le.PutUint64(r[16:], uint64(e.recurrence)) //nolint:gosec // its bits
		r[40], r[41] = e.flags, byte(len(e.id))    //nolint:gosec // ids have at most 64 bytes
		text := texts[e.said()]
		if text == 0 {
			text = at
			texts[e.said()] = at
			for _, piece := range [][]byte{e.id, e.what, e.who} {
				at += copy(s[at:], piece)
			}
		}
		for k, n := range []int{text, len(e.when), len(e.what), len(e.who)} {
			le.PutUint32(r[24+4*k:], uint32(n)) //nolint:gosec // bounded by maxShardBytes
		}
		le.PutUint32(r[44:], uint32(at)) //nolint:gosec // bounded by maxShardBytes
		at += copy(s[at:], e.when)
	}
	for day < 32 {
		day++
		le.PutUint32(s[dayTable+4*day:], uint32(len(entries))) //nolint:gosec // bounded above
	}
	return s
}

// newShard makes the shard of what happens to a subscriber in a month.
//
// Errors: TooCostly for more than a shard holds.
func newShard(version int64, subscriber string, events []*ready, month int64) (shard, error) {
	entries, ok := render(nil, subscriber, events, month)
	if !ok {
		return nil, tooFull()
	}
	slices.SortFunc(entries, func(a, b entry) int { return compare(&a, &b) })
	sh := encode(version, month, entries)
	if len(sh) > maxShardBytes {
		return nil, tooFull()
	}
	return sh, nil
}

// patched is the shard after a change: without what it had of the events that the change touched, and with what happens of them now; nil when that is
// more than a shard holds.
func (s shard) patched(version int64, subscriber string, touched map[string]bool, events []*ready, month int64) shard {
	entries := make([]entry, 0, s.len()+8)
	for i := range s.len() {
		if !touched[string(s.id(i))] {
			entries = append(entries, entry{})
			s.entry(i, &entries[len(entries)-1])
		}
	}
	entries, ok := render(entries, subscriber, events, month)
	if !ok {
		return nil
	}
	slices.SortFunc(entries, func(a, b entry) int { return compare(&a, &b) })
	if sh := encode(version, month, entries); len(sh) <= maxShardBytes {
		return sh
	}
	return nil
}

// happening is an occurrence on its way into a shard.
type happening struct {
	*ready
	start, end, recurrence int64
	local                  ical.Civil
	changed                *Override
}

// most is how many occurrences of one series are looked at: one more than a shard holds.
const most = maxInMonth + 1

// occurrences are those that overlap [from, to).
func (r *ready) occurrences(list []happening, from, to int64) []happening {
	if r.Status == "cancelled" && len(r.Overrides) == 0 && r.RRule != "" {
		return list
	}
	for _, o := range r.series.Between(nil, from-r.length, to, most) {
		if _, is := r.overrides[o.Start]; is {
			continue
		}
		if end := o.Start + r.length; end > from || o.Start >= from {
			list = append(list, happening{ready: r, start: o.Start, end: end, recurrence: o.Start, local: o.Local})
		}
	}
	for at, c := range r.overrides {
		if !c.Cancelled && c.start < to && (c.end > from || c.start >= from) {
			list = append(list, happening{ready: r, start: c.start, end: c.end, recurrence: at, local: c.local, changed: c.Override})
		}
	}
	return list
}
