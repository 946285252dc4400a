package ical

import "math/bits"

// pattern is a rule made ready for arithmetic: the dates and times that it allows, as bits, with what it leaves to DTSTART filled
// in.
type pattern struct {
	freq     Frequency
	interval int64
	wkst     int

	months    uint16 // bit m; 0 allows all
	monthDays uint32 // bit d
	lastDays  uint32 // bit d counts from the month's end; bit 1 is the last day
	anyDays   bool   // neither monthDays nor lastDays limit
	weekdays  uint8  // bit 0 is Monday; 0 allows all, when there are no nth
	nth       []WeekdayNum
	yearDays  *[2]dayset // from the year's begin (bit 1 is January 1st), and from its end
	weekNos   uint64     // bit n
	lastWeeks uint64     // bit n counts from the year's end
	positions []int

	hours   uint32
	minutes uint64
	seconds uint64
	times   []int32 // seconds within the day, hour or minute at which a period's days, hours or minutes have occurrences
	plain   bool    // a period is one day without conditions, or has conditions of the weekday alone
}

// dayset is a set of days of a period that has up to 384.
type dayset [6]uint64

func (s *dayset) add(day int)      { s[day>>6] |= 1 << (day & 63) }
func (s *dayset) has(day int) bool { return s[day>>6]>>(day&63)&1 != 0 }

func (s *dayset) and(t *dayset) {
	for i := range s {
		s[i] &= t[i]
	}
}

func (s *dayset) count() (n int) {
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

// at is the k-th day of the set, from 0. k must be less than its count.
func (s *dayset) at(k int) int {
	for i, w := range s {
		n := bits.OnesCount64(w)
		if k >= n {
			k -= n
			continue
		}
		for ; k > 0; k-- {
			w &= w - 1
		}
		return i<<6 + bits.TrailingZeros64(w)
	}
	return 0
}

// next is the first day of the set that is not before day; -1 when there is none.
func (s *dayset) next(day int) int {
	if day < 0 {
		day = 0
	}
	for i := day >> 6; i < len(s); i++ {
		w := s[i]
		if i == day>>6 {
			w &= ^uint64(0) << (day & 63)
		}
		if w != 0 {
			return i<<6 + bits.TrailingZeros64(w)
		}
	}
	return -1
}

// newPattern prepares a rule that was checked, for a series that begins at start.
func newPattern(r *Rule, start Civil) *pattern {
	p := &pattern{freq: r.Freq, interval: int64(r.Interval), wkst: r.WeekStart, positions: r.BySetPos}
	for _, m := range r.ByMonth {
		p.months |= 1 << m
	}
	for _, d := range r.ByMonthDay {
		if d > 0 {
			p.monthDays |= 1 << d
		} else {
			p.lastDays |= 1 << -d
		}
	}
	for _, d := range r.ByDay {
		if d.Nth == 0 {
			p.weekdays |= 1 << d.Day
		} else {
			p.nth = append(p.nth, d)
		}
	}
	for _, d := range r.ByYearDay {
		if p.yearDays == nil {
			p.yearDays = new([2]dayset)
		}
		if d > 0 {
			p.yearDays[0].add(d)
		} else {
			p.yearDays[1].add(-d)
		}
	}
	for _, n := range r.ByWeekNo {
		if n > 0 {
			p.weekNos |= 1 << n
		} else {
			p.lastWeeks |= 1 << -n
		}
	}
	p.days(r, start)
	p.clock(r, start)
	p.plain = p.months == 0 && p.anyDays && len(p.nth) == 0 && p.yearDays == nil && p.weekNos|p.lastWeeks == 0
	return p
}

// days takes from DTSTART what the rule does not say about days (RFC 5545 §3.3.10: "Information, not contained in the rule").
func (p *pattern) days(r *Rule, start Civil) {
	_, month, day := start.Date()
	if r.Freq <= Weekly && len(r.ByDay)+len(r.ByMonthDay)+len(r.ByYearDay) == 0 {
		switch {
		case r.Freq == Weekly || len(r.ByWeekNo) > 0:
			p.weekdays = 1 << weekday(start.day())
		default:
			p.monthDays = 1 << day
			if r.Freq == Yearly && p.months == 0 {
				p.months = 1 << month
			}
		}
	}
	p.anyDays = p.monthDays|p.lastDays == 0
}

// clock prepares the times of day, from DTSTART where the rule does not say them.
func (p *pattern) clock(r *Rule, start Civil) {
	h, m, s := start.Clock()
	implied := func(list []int, from Frequency, value int) (set uint64) {
		for _, n := range list {
			set |= 1 << min(n, 59)
		}
		if set == 0 && r.Freq < from {
			set = 1 << value
		}
		return set
	}
	p.hours = uint32(implied(r.ByHour, Hourly, h)) //nolint:gosec // 24 bits
	p.minutes = implied(r.ByMinute, Minutely, m)
	p.seconds = implied(r.BySecond, Secondly, s)
	hours, minutes, seconds := uint64(p.hours), p.minutes, p.seconds
	if r.Freq >= Hourly { // the period is within an hour: these limit it instead
		hours = 1
	}
	if r.Freq >= Minutely {
		minutes = 1
	}
	if r.Freq == Secondly {
		seconds = 1
	}
	p.times = make([]int32, 0, bits.OnesCount64(hours)*bits.OnesCount64(minutes)*bits.OnesCount64(seconds))
	for hh := hours; hh != 0; hh &= hh - 1 {
		for mm := minutes; mm != 0; mm &= mm - 1 {
			for ss := seconds; ss != 0; ss &= ss - 1 {
				p.times = append(p.times, int32(bits.TrailingZeros64(hh)*hourSeconds+bits.TrailingZeros64(mm)*60+bits.TrailingZeros64(ss))) //nolint:gosec // less than a day
			}
		}
	}
}

// dayAllowed says whether a day passes every BY part about days. It is the meaning of the parts as limits (RFC 5545 §3.3.10, table
// of BYxxx); numbers of BYDAY are counted in the month, or in the year when there is no BYMONTH.
func (p *pattern) dayAllowed(day int) bool {
	if len(p.nth) == 0 && p.weekdays != 0 && p.weekdays>>weekday(day)&1 == 0 {
		return false
	}
	if p.plain {
		return true
	}
	year, month, dom := dateOf(day)
	if p.months != 0 && p.months>>month&1 == 0 {
		return false
	}
	if !p.anyDays {
		if p.monthDays>>dom&1 == 0 && p.lastDays>>(monthLength(year, month)-dom+1)&1 == 0 {
			return false
		}
	}
	if p.yearDays != nil {
		yd := day - dayNumber(year, 1) + 1
		if !p.yearDays[0].has(yd) && !p.yearDays[1].has(yearLength(year)-yd+1) {
			return false
		}
	}
	if p.weekNos|p.lastWeeks != 0 {
		wy := weekYear(day, p.wkst)
		first, end := weekOne(wy, p.wkst), weekOne(wy+1, p.wkst)
		if p.weekNos>>((day-first)/7+1)&1 == 0 && p.lastWeeks>>((end-1-day)/7+1)&1 == 0 {
			return false
		}
	}
	return len(p.nth) == 0 || p.nthAllowed(year, month, dom, day)
}

func (p *pattern) nthAllowed(year, month, dom, day int) bool {
	wd := weekday(day)
	if p.weekdays>>wd&1 != 0 {
		return true
	}
	index, length := dom, monthLength(year, month)
	if p.freq == Yearly && p.months == 0 {
		index, length = day-dayNumber(year, 1)+1, yearLength(year)
	}
	fromBegin, fromEnd := (index-1)/7+1, (length-index)/7+1
	for _, n := range p.nth {
		if n.Day == wd && (n.Nth == fromBegin || n.Nth == -fromEnd) {
			return true
		}
	}
	return false
}

// span is the days of a period of YEARLY to DAILY: the first, and how many.
func (p *pattern) span(period int64) (first, length int) {
	switch p.freq {
	case Yearly:
		year := int(period)
		if p.weekNos|p.lastWeeks != 0 {
			first = weekOne(year, p.wkst)
			return first, weekOne(year+1, p.wkst) - first
		}
		return dayNumber(year, 1), yearLength(year)
	case Monthly:
		year, month := int(floorDiv(period, 12)), floorMod(int(period), 12)+1
		return dayNumber(year, month), monthLength(year, month)
	case Weekly:
		return int(period)*7 + p.wkst - 3, 7
	default:
		return int(period), 1
	}
}

// period is the period of YEARLY to DAILY that a day lies in: the number of the year, month, week or day.
func (p *pattern) period(day int) int64 {
	switch p.freq {
	case Yearly:
		if p.weekNos|p.lastWeeks != 0 {
			return int64(weekYear(day, p.wkst))
		}
		year, _, _ := dateOf(day)
		return int64(year)
	case Monthly:
		year, month, _ := dateOf(day)
		return int64(year)*12 + int64(month) - 1
	case Weekly:
		return floorDiv(int64(day+3-p.wkst), 7)
	default:
		return int64(day)
	}
}

// set is the days of a period that the rule allows, counted from the period's first day.
func (p *pattern) set(period int64, set *dayset) (first int) {
	*set = dayset{}
	if p.freq != Yearly {
		first, set[0] = p.word(period)
		return first
	}
	first, length := p.span(period)
	if p.weekNos|p.lastWeeks == 0 {
		p.year(int(period), first, set)
		return first
	}
	for i := range length {
		if p.dayAllowed(first + i) {
			set.add(i)
		}
	}
	return first
}

// word is set for months, weeks and days, which fit in one word.
func (p *pattern) word(period int64) (first int, set uint64) {
	first, length := p.span(period)
	switch {
	case p.freq == Weekly && p.plain:
		return first, uint64(p.weekdays>>p.wkst|p.weekdays<<(7-p.wkst)) & 0x7f
	case p.freq == Monthly && p.yearDays == nil && p.weekNos|p.lastWeeks == 0:
		if p.months == 0 || p.months>>(floorMod(int(period), 12)+1)&1 != 0 {
			set = p.month(first, length)
		}
		return first, set
	}
	for i := range length {
		if p.dayAllowed(first + i) {
			set |= 1 << i
		}
	}
	return first, set
}

// month is the days of a month that BYMONTHDAY and BYDAY allow; bit 0 is the first.
func (p *pattern) month(first, length int) uint64 {
	all := uint64(1)<<length - 1
	set := all
	if !p.anyDays {
		set = uint64(p.monthDays) >> 1
		for last := p.lastDays; last != 0; last &= last - 1 {
			if d := length - bits.TrailingZeros32(last); d >= 0 {
				set |= 1 << d
			}
		}
		set &= all
	}
	if p.weekdays == 0 && len(p.nth) == 0 {
		return set
	}
	return set & (p.everyWeekday(weekday(first)) | p.nthWeekdays(weekday(first), length)) & all
}

// everyWeekday is the days of BYDAY without numbers in a month that begins on a weekday.
func (p *pattern) everyWeekday(begins int) (set uint64) {
	const sevenths = 1 | 1<<7 | 1<<14 | 1<<21 | 1<<28
	for w := p.weekdays; w != 0; w &= w - 1 {
		set |= sevenths << floorMod(bits.TrailingZeros8(w)-begins, 7)
	}
	return set
}

// nthWeekdays is the days of BYDAY with numbers in a month.
func (p *pattern) nthWeekdays(begins, length int) (set uint64) {
	for _, n := range p.nth {
		if d := nthDay(n, begins, length); d >= 0 {
			set |= 1 << d
		}
	}
	return set
}

// nthDay is the day, from 0, that is n's weekday for the n-th time in a stretch of days that begins on a weekday; -1 when it has
// none.
func nthDay(n WeekdayNum, begins, length int) int {
	d := floorMod(n.Day-begins, 7)
	if n.Nth > 0 {
		d += 7 * (n.Nth - 1)
	} else {
		d += 7 * ((length-1-d)/7 + 1 + n.Nth)
	}
	if d < 0 || d >= length {
		return -1
	}
	return d
}

// year is the days of a calendar year that the rule allows.
func (p *pattern) year(year, first int, set *dayset) {
	inYear := len(p.nth) > 0 && p.months == 0 // numbers of BYDAY count in the year
	at := 0
	for m := 1; m <= 12; m++ {
		length := monthLength(year, m)
		if p.months == 0 || p.months>>m&1 != 0 {
			w := uint64(1)<<length - 1
			if inYear {
				if !p.anyDays {
					q := pattern{monthDays: p.monthDays, lastDays: p.lastDays}
					w = q.month(first+at, length)
				}
			} else {
				w = p.month(first+at, length)
			}
			set[at>>6] |= w << (at & 63)
			if at&63+length > 64 {
				set[at>>6+1] |= w >> (64 - at&63)
			}
		}
		at += length
	}
	if inYear {
		var days dayset
		begins := weekday(first)
		for _, n := range p.nth {
			if d := nthDay(n, begins, at); d >= 0 {
				days.add(d)
			}
		}
		for d := range at {
			if p.weekdays>>((begins+d)%7)&1 != 0 {
				days.add(d)
			}
		}
		set.and(&days)
	}
	if p.yearDays != nil {
		var days dayset
		for d := range at {
			if p.yearDays[0].has(d+1) || p.yearDays[1].has(at-d) {
				days.add(d)
			}
		}
		set.and(&days)
	}
}
