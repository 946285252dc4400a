package ical

import (
	"math"
	"math/bits"
	"slices"
)

// emitter gathers the occurrences of a window. It keeps the stretch of constant offset that the last one was in.
type emitter struct {
	s        *Series
	out      []Occurrence
	base     int
	from, to int64
	limit    int
	end      Civil // no occurrence of the window is at or after this, on the wall clock

	offset   int64
	until    Civil // of the stretch
	gap      Civil // from here to until, times are skipped
	hold     Civil // those up to here may have to change places with one that is out
	disorder bool

	counting bool // only count, down to 0
	left     int
	at       Civil // the last one counted
}

// around gives the lowest and the highest offset by which clocks may show what happens at an instant: skipped and ambiguous times
// make it two near a clock change, which may be by as much as a day (Samoa, 2011).
func (z *Zone) around(instant int64) (low, high int64) {
	i := z.stretch(instant)
	low = z.offsets[i]
	high = low
	if i > 0 {
		shifted := instant
		if shifted >= tableEnd-daySeconds {
			shifted -= ceilDiv(shifted-(tableEnd-daySeconds)+1, cycle) * cycle
		}
		if shifted-z.starts[i] < 2*daySeconds {
			low, high = min(low, z.offsets[i-1]), max(high, z.offsets[i-1])
		}
	}
	return low, high
}

// rule emits what the rule gives in the window, after DTSTART.
func (e *emitter) rule() {
	s := e.s
	low, _ := s.zone.around(max(e.from, math.MinInt64+daySeconds))
	begin := max(Civil(max(e.from, -1<<45)+low), s.start.Local+1)
	to := min(e.to, 1<<45)
	_, high := s.zone.around(to)
	e.end = min(Civil(to+high), s.last+1, lastCivil+1)
	e.until, e.hold = math.MinInt64, math.MinInt64
	c := cursor{s: s, end: e.end}
	c.walk(begin, e)
}

// emit takes the next time of the rule, later on the wall clock than all before, and says whether to go on.
func (e *emitter) emit(c Civil) bool {
	if e.counting {
		e.at = c
		e.left--
		return e.left > 0
	}
	if c >= e.until {
		e.offset, e.until, e.gap = e.s.zone.stretchOf(c)
	}
	at := int64(c) - e.offset
	if at < e.from {
		return true
	}
	if at >= e.to {
		return c < e.end
	}
	o := Occurrence{Start: at, Local: c}
	if e.s.excluding() && e.s.excluded(o) {
		return true
	}
	if c >= e.gap { // moved forward by the gap, where others may be
		e.disorder = true
		e.hold = max(e.hold, e.until+(e.until-e.gap))
	} else if e.disorder && c >= e.hold {
		e.settle()
	}
	if len(e.out)-e.base >= e.limit && c >= e.hold {
		return false
	}
	e.out = append(e.out, o)
	return true
}

// settle puts what is out in order, each instant once.
func (e *emitter) settle() {
	own := e.out[e.base:]
	sortOccurrences(own)
	own = slices.CompactFunc(own, sameInstant)
	e.out, e.disorder = e.out[:e.base+len(own)], false
}

// cursor walks a rule's times on the wall clock up to end.
type cursor struct {
	s   *Series
	end Civil
}

// walk gives e the rule's times from begin to before the cursor's end, until it has enough.
func (c *cursor) walk(begin Civil, e *emitter) {
	p := c.s.pattern
	switch {
	case begin >= c.end:
	case c.s.unit > 0:
		c.within(begin, e)
	case len(p.positions) > 0:
		c.positions(begin, e)
	case p.freq == Daily && p.plain && p.weekdays == 0:
		c.daily(begin, e)
	default:
		c.periods(begin, e)
	}
}

// aligned is the first period not before at that the interval hits, counted from DTSTART's.
func (c *cursor) aligned(at int64) int64 {
	p := c.s.pattern
	first := p.period(c.s.start.Local.day())
	if at <= first {
		return first
	}
	if p.interval == 1 {
		return at
	}
	return first + ceilDiv(at-first, p.interval)*p.interval
}

// daily walks days without conditions.
func (c *cursor) daily(begin Civil, e *emitter) {
	p := c.s.pattern
	step := Civil(p.interval * daySeconds)
	if len(p.times) == 1 {
		t := Civil(p.times[0])
		day := c.aligned(int64((begin - t + daySeconds - 1).day()))
		for at := Civil(day*daySeconds) + t; at < c.end; at += step {
			if !e.emit(at) {
				return
			}
		}
		return
	}
	for day := Civil(c.aligned(int64(begin.day())) * daySeconds); day < c.end; day += step {
		if !c.clock(int(day/daySeconds), begin, e) {
			return
		}
	}
}

// clock emits the times of a day.
func (c *cursor) clock(day int, begin Civil, e *emitter) bool {
	midnight := Civil(day * daySeconds)
	for _, t := range c.s.pattern.times {
		at := midnight + Civil(t)
		if at < begin {
			continue
		}
		if at >= c.end || !e.emit(at) {
			return false
		}
	}
	return true
}

// periods walks years, months, weeks and days with their conditions.
func (c *cursor) periods(begin Civil, e *emitter) {
	p := c.s.pattern
	if p.freq != Yearly {
		c.short(begin, e)
		return
	}
	beginDay, lastDay := begin.day(), (c.end - 1).day()
	var set dayset
	for period := c.aligned(p.period(beginDay)); ; period += p.interval {
		first := p.set(period, &set)
		if first > lastDay {
			return
		}
		for i := set.next(beginDay - first); i >= 0; i = set.next(i + 1) {
			if !c.clock(first+i, begin, e) {
				return
			}
		}
	}
}

// short walks months, weeks and days, whose sets fit in one word.
func (c *cursor) short(begin Civil, e *emitter) {
	p := c.s.pattern
	beginDay, lastDay := begin.day(), (c.end - 1).day()
	single := len(p.times) == 1
	for period := c.aligned(p.period(beginDay)); ; period += p.interval {
		first, set := p.word(period)
		if first > lastDay {
			return
		}
		if first < beginDay {
			set &^= 1<<min(beginDay-first, 63) - 1
		}
		for ; set != 0; set &= set - 1 {
			day := first + bits.TrailingZeros64(set)
			if !single {
				if !c.clock(day, begin, e) {
					return
				}
				continue
			}
			at := Civil(day*daySeconds) + Civil(p.times[0])
			if at >= begin && (at >= c.end || !e.emit(at)) {
				return
			}
		}
	}
}

// positions walks periods of which BYSETPOS picks.
func (c *cursor) positions(begin Civil, e *emitter) {
	p := c.s.pattern
	lastDay := (c.end - 1).day()
	var set dayset
	for period := c.aligned(p.period(begin.day())); ; period += p.interval {
		first := p.set(period, &set)
		if first > lastDay {
			return
		}
		n := set.count() * len(p.times)
		previous := -1
		for {
			k := p.pick(n, previous)
			if k < 0 {
				break
			}
			previous = k
			at := Civil((first+set.at(k/len(p.times)))*daySeconds) + Civil(p.times[k%len(p.times)])
			if at < begin {
				continue
			}
			if at >= c.end || !e.emit(at) {
				return
			}
		}
	}
}

// pick is the smallest index above previous, from 0, that BYSETPOS names in a set of n; -1 when there is none.
func (p *pattern) pick(n, previous int) int {
	best := -1
	for _, pos := range p.positions {
		k := pos - 1
		if pos < 0 {
			k = n + pos
		}
		if k > previous && k < n && (best < 0 || k < best) {
			best = k
		}
	}
	return best
}
