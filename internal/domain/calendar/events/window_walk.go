package events

import (
	"bytes"
	"cmp"
	"math"
	"math/bits"
	"slices"
	"strconv"

	"github.com/zeebo/xxh3"
)

// pick is an entry of a shard of the window.
type pick struct {
	start int64
	key   uint64 // of the event, so that what begins at the same time is put in order without looking at texts
	sh    shard
	i     int
}

func pickOf(sh shard, i int) pick { return pick{sh.start(i), xxh3.Hash(sh.id(i)), sh, i} }

// order is that of occurrences in an answer: by start, then by event, in an order of events that is the same everywhere.
func order(a, b *pick) int {
	if a.start != b.start {
		return cmp.Compare(a.start, b.start)
	}
	if a.key != b.key {
		return cmp.Compare(a.key, b.key)
	}
	return cmp.Or(bytes.Compare(a.sh.id(a.i), b.sh.id(b.i)), cmp.Compare(a.sh.recurs(a.i), b.sh.recurs(b.i)))
}

// inOrder calls take for what overlaps the window, sorted, day by day, until it returns false; after is where the page before ended, nil
// for none. An occurrence comes once, whoever of the subscribers it is for.
func (w *window) inOrder(list [][]shard, after *entry, take func(day []pick) bool) {
	first := monthOf(w.from)
	from := w.from
	var day []pick
	give := func() bool {
		if len(day) == 0 {
			return true
		}
		slices.SortFunc(day, func(a, b pick) int { return order(&a, &b) })
		if len(list) > 1 {
			day = slices.CompactFunc(day, func(a, b pick) bool { return a.key == b.key && order(&a, &b) == 0 })
		}
		some := day
		if after != nil {
			some = some[past(some, after):]
		}
		ok := len(some) == 0 || take(some)
		day = day[:0]
		return ok
	}
	if after != nil && after.start >= from {
		from = after.start
	} else {
		// what began before the window: it is listed in its first month
		for _, months := range list {
			sh := months[0]
			for i := range sh.first(first, w.from) {
				if sh.end(i) > w.from {
					day = append(day, pickOf(sh, i))
				}
			}
		}
		if !give() {
			return
		}
	}
	for m := monthOf(from) - first; m < int64(w.months()); m++ {
		begin := monthBegin(first + m)
		d := 1
		if from > begin {
			d = int((from-begin)/86400) + 1
		}
		for ; d <= 31 && begin+int64(d-1)*86400 < w.to; d++ {
			for _, months := range list {
				sh := months[m]
				for i := sh.day(d); i < sh.day(d+1); i++ {
					if start := sh.start(i); start >= from && start < w.to {
						day = append(day, pickOf(sh, i))
					}
				}
			}
			if !give() {
				return
			}
		}
	}
}

// past is how many of the picks are not after the last occurrence of a page.
func past(list []pick, last *entry) int {
	key := xxh3.Hash(last.id)
	at, exact := slices.BinarySearchFunc(list, last, func(p pick, last *entry) int {
		return cmp.Or(cmp.Compare(p.start, last.start), cmp.Compare(p.key, key), bytes.Compare(p.sh.id(p.i), last.id), cmp.Compare(p.sh.recurs(p.i), last.recurrence))
	})
	if exact {
		at++
	}
	return at
}

// each calls take for all that overlaps the window of one subscriber, in the order of its starts.
func (w *window) each(months []shard, take func(sh shard, i int)) {
	for m, sh := range months {
		i := 0
		if m > 0 {
			i = sh.day(1)
		}
		for n := sh.len(); i < n; i++ {
			start := sh.start(i)
			if start >= w.to {
				return
			}
			if start >= w.from || m == 0 && sh.end(i) > w.from {
				take(sh, i)
			}
		}
	}
}

// has says whether a shard of the window has a bit.
func has(list [][]shard, bit byte) bool {
	for _, months := range list {
		for _, sh := range months {
			if sh.has(bit) {
				return true
			}
		}
	}
	return false
}

// tag is the ETag of a window's answer: of what it is made from, the same in every process.
func (w *window) tag(list [][]shard, variant string) string {
	h := xxh3.HashString(variant)
	for i, months := range list {
		h = bits.RotateLeft64(h, 5)*0x9e3779b97f4a7c15 ^ xxh3.HashString(w.subscribers[i])
		for _, sh := range months {
			h = bits.RotateLeft64(h, 5)*0x9e3779b97f4a7c15 ^ sh.hash()
		}
	}
	return `W/"` + strconv.FormatUint(h&math.MaxInt64, 36) + `"`
}
