package ical

import "math/bits"

// within walks the periods of HOURLY, MINUTELY and SECONDLY rules. What a limit refuses is stepped over as a whole: the day, the
// hour, the minute.
func (c *cursor) within(begin Civil, e *emitter) {
	p, s := c.s.pattern, c.s
	step := s.unit * p.interval
	base := int64(s.start.Local) - floorRem(int64(s.start.Local), s.unit)
	// the period that begin lies in may have times at or after it
	u := base
	if target := int64(begin) - floorRem(int64(begin), s.unit); target > base {
		u += ceilDiv(target-base, step) * step
	}
	allowed := -1 << 62 // the day last found allowed
	for Civil(u) < c.end {
		day := int(floorDiv(u, daySeconds))
		if day != allowed {
			if !p.dayAllowed(day) {
				u = base + ceilDiv(int64(p.nextDay(day))*daySeconds-base, step)*step
				continue
			}
			allowed = day
		}
		if skip := p.refused(int(u - int64(day)*daySeconds)); skip > 0 {
			u = base + ceilDiv(int64(day)*daySeconds+int64(skip)-base, step)*step
			continue
		}
		if !c.unit(Civil(u), begin, e) {
			return
		}
		u += step
	}
}

// unit emits the times of an hour, minute or second.
func (c *cursor) unit(u, begin Civil, e *emitter) bool {
	p := c.s.pattern
	previous := -1
	for {
		k := previous + 1
		if len(p.positions) > 0 {
			k = p.pick(len(p.times), previous)
		}
		if k < 0 || k >= len(p.times) {
			return true
		}
		previous = k
		at := u + Civil(p.times[k])
		if at < begin {
			continue
		}
		if at >= c.end || !e.emit(at) {
			return false
		}
	}
}

// nextDay is the next day after one that is not allowed which may be: the next month's first when the month is not.
func (p *pattern) nextDay(day int) int {
	if p.months == 0 {
		return day + 1
	}
	year, month, _ := dateOf(day)
	if p.months>>month&1 != 0 {
		return day + 1
	}
	for p.months>>month&1 == 0 {
		month++
		if month > 12 {
			year, month = year+1, 1
		}
	}
	return dayNumber(year, month)
}

// refused says which second of the day is the next that the limits on the clock may allow; 0 when they allow t.
func (p *pattern) refused(t int) (next int) {
	hour := t / hourSeconds
	if p.hours != 0 && p.hours>>hour&1 == 0 {
		return bitAfter(uint64(p.hours), hour, 24) * hourSeconds
	}
	if p.freq < Minutely || p.minutes == 0 && p.seconds == 0 {
		return 0
	}
	minute := t / 60 % 60
	if p.minutes != 0 && p.minutes>>minute&1 == 0 {
		return hour*hourSeconds + bitAfter(p.minutes, minute, 60)*60
	}
	if p.freq < Secondly || p.seconds == 0 {
		return 0
	}
	if second := t % 60; p.seconds>>second&1 == 0 {
		return t - second + bitAfter(p.seconds, second, 60)
	}
	return 0
}

// bitAfter is the first bit of set above n; top when there is none.
func bitAfter(set uint64, n, top int) int {
	if rest := set >> n >> 1; rest != 0 {
		return n + 1 + bits.TrailingZeros64(rest)
	}
	return top
}

// reachable says whether the steps of a rule below DAILY ever fall on a time of day that its limits allow. Steps of a length
// that shares a factor with the day keep to the times that DTSTART's shares.
func (s *Series) reachable() bool {
	p := s.pattern
	if s.unit == 0 {
		return true
	}
	g := int64(daySeconds)
	for a := s.unit * p.interval; a != 0; {
		g, a = a, g%a
	}
	base := int64(s.start.Local.second())
	base -= base % s.unit
	for t := base % g; t < daySeconds; t += g {
		if p.refused(int(t)) == 0 {
			return len(p.positions) == 0 || p.pick(len(p.times), -1) >= 0
		}
	}
	return false
}

func floorRem(a, b int64) int64 { return a - floorDiv(a, b)*b }
