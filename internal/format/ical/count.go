package ical

// maxCounted is the highest COUNT that is found by going through the times one by one.
const maxCounted = 5_000_000

// seek walks n times from begin. It gives the last one met, and how many were missing to n.
func (c *cursor) seek(begin Civil, n int) (last Civil, missing int) {
	e := emitter{counting: true, left: n}
	c.walk(begin, &e)
	return e.at, e.left
}

// uniform says that each period of the rule has as many times as any other.
func (c *cursor) uniform() bool {
	p := c.s.pattern
	if !p.plain || len(p.positions) > 0 {
		return false
	}
	if c.s.unit > 0 {
		return p.weekdays == 0 && p.hours == 0 && (p.freq < Minutely || p.minutes == 0) && (p.freq < Secondly || p.seconds == 0)
	}
	return p.freq == Weekly || p.freq == Daily && p.weekdays == 0
}

// nth is the n-th time of the rule after DTSTART, from 1; the end of the calendar when it has fewer.
func (c *cursor) nth(n int) Civil {
	begin := c.s.start.Local + 1
	if c.s.unit > 0 {
		return c.nthUnit(begin, n)
	}
	p := c.s.pattern
	var set dayset
	for period := c.aligned(p.period(c.s.start.Local.day())); ; period += p.interval {
		first, length := p.span(period)
		if first > lastCivil.day() {
			return lastCivil
		}
		one := cursor{s: c.s, end: min(c.end, Civil((first+length)*daySeconds))}
		begin = max(begin, Civil(first*daySeconds))
		if begin <= c.s.start.Local+1 { // the period that DTSTART lies in
			last, missing := one.seek(begin, n)
			if missing == 0 {
				return last
			}
			n = missing
			begin = one.end
			if c.uniform() {
				p.set(period, &set)
				per := set.count() * len(p.times)
				if per > 0 {
					skip := int64((n - 1) / per)
					n -= int(skip) * per
					period += skip * p.interval
				}
			}
			continue
		}
		p.set(period, &set)
		k := set.count() * len(p.times)
		if len(p.positions) > 0 {
			k = p.picked(k)
		}
		if k < n {
			n -= k
			continue
		}
		last, missing := one.seek(begin, n)
		if missing > 0 {
			return lastCivil
		}
		return last
	}
}

// nthUnit is nth for rules below DAILY.
func (c *cursor) nthUnit(begin Civil, n int) Civil {
	s, p := c.s, c.s.pattern
	if c.uniform() {
		base := int64(s.start.Local) - floorRem(int64(s.start.Local), s.unit)
		one := cursor{s: s, end: min(c.end, Civil(base+s.unit))}
		last, missing := one.seek(begin, n)
		if missing == 0 {
			return last
		}
		skip := int64((missing - 1) / len(p.times))
		n = missing - int(skip)*len(p.times)
		at := base + (skip+1)*s.unit*p.interval
		if skip > int64(lastCivil) || at > int64(lastCivil) {
			return lastCivil
		}
		begin = Civil(at)
	}
	last, missing := c.seek(begin, n)
	if missing > 0 {
		return lastCivil
	}
	return last
}

// picked is how many of a set of n BYSETPOS picks.
func (p *pattern) picked(n int) (k int) {
	for previous := p.pick(n, -1); previous >= 0; previous = p.pick(n, previous) {
		k++
	}
	return k
}

// Before is how many occurrences the rule has before c on the wall clock, DTSTART among them and whatever EXDATE excludes.
func (s *Series) before(c Civil) int {
	if c <= s.start.Local {
		return 0
	}
	n := 1
	if s.pattern != nil {
		const most = 1 << 40
		walk := cursor{s: s, end: min(c, s.last+1)}
		_, missing := walk.seek(s.start.Local+1, most)
		n += most - missing
	}
	return n
}
