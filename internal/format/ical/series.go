package ical

import (
	"math"
	"slices"
	"strings"

	"ward/internal/base/fault"
)

// Occurrence is one time at which a series happens.
type Occurrence struct {
	Start int64 // the instant, in seconds since 1970 in UTC
	Local Civil // as the rule gives it; where that is skipped by a clock change, Start is later by the gap
}

// Definition is what a series is made of (RFC 5545 §3.8.2.4, §3.8.5).
type Definition struct {
	Start   Moment // DTSTART; a DATE makes a series of whole days
	Zone    *Zone  // of the wall clock; nil for floating times and days, which count as UTC
	Rule    *Rule  // nil for none
	RDates  []Moment
	ExDates []Moment // a DATE excludes the whole day
}

// maxDates is how many RDATEs, and how many EXDATEs, a series may have.
const maxDates = 10_000

// Series is when something happens: immutable, and cheap to ask for any window. Make one with [NewSeries].
type Series struct {
	definition Definition
	zone       *Zone
	start      Occurrence
	pattern    *pattern // nil without a rule
	last       Civil    // no occurrence of the rule is later on the wall clock
	until      int64    // nor later than this instant
	unit       int64    // seconds of a period below DAILY
	rdates     []Occurrence
	exdates    []int64
	exdays     []int // days
}

// NewSeries checks a definition and prepares it. It fails with Invalid, which names the part: for an UNTIL before DTSTART,
// a rule that never yields anything, too many dates.
func NewSeries(d Definition) (*Series, error) {
	s := &Series{definition: d, zone: d.Zone, last: lastCivil, until: math.MaxInt64}
	if s.zone == nil || d.Start.Date || d.Start.UTC {
		s.zone = UTC
	}
	s.start = Occurrence{Start: s.zone.Instant(d.Start.Civil), Local: d.Start.Civil}
	if len(d.RDates) > maxDates || len(d.ExDates) > maxDates {
		return nil, fault.New(fault.CodeInvalid, "a series may have up to %d RDATEs and as many EXDATEs", maxDates)
	}
	for _, m := range d.RDates {
		at := m.In(s.zone)
		local := m.Civil
		if m.UTC {
			local = s.zone.Civil(at)
		}
		if m.Date && !d.Start.Date { // a day of a timed series: at its time
			local = m.Civil + d.Start.Civil - d.Start.Civil.Midnight()
			at = s.zone.Instant(local)
		}
		s.rdates = append(s.rdates, Occurrence{Start: at, Local: local})
	}
	sortOccurrences(s.rdates)
	s.rdates = slices.CompactFunc(s.rdates, sameInstant)
	for _, m := range d.ExDates {
		switch {
		case m.Date && !d.Start.Date:
			s.exdays = append(s.exdays, m.Civil.day())
		case d.Start.Date:
			s.exdates = append(s.exdates, int64(m.Civil.Midnight()))
		default:
			s.exdates = append(s.exdates, m.In(s.zone))
		}
	}
	slices.Sort(s.exdates)
	slices.Sort(s.exdays)
	if d.Rule == nil {
		return s, nil
	}
	return s, s.rule(d.Rule)
}

func (s *Series) rule(r *Rule) error {
	if s.definition.Start.Date && len(r.ByHour)+len(r.ByMinute)+len(r.BySecond) > 0 {
		return fault.New(fault.CodeInvalid, "BYHOUR, BYMINUTE and BYSECOND have no meaning for whole days: they may come only when the start has a time")
	}
	if s.definition.Start.Date && r.Freq > Daily {
		return fault.New(fault.CodeInvalid, "FREQ must be YEARLY, MONTHLY, WEEKLY or DAILY for whole days")
	}
	s.pattern = newPattern(r, s.start.Local)
	switch r.Freq {
	case Hourly:
		s.unit = hourSeconds
	case Minutely:
		s.unit = 60
	case Secondly:
		s.unit = 1
	default:
	}
	if u := r.Until; u != nil {
		switch {
		case u.Date:
			s.last = u.Civil + daySeconds - 1
		case u.UTC && s.definition.Zone != nil:
			s.until = int64(u.Civil)
			s.last = u.Civil + 2*daySeconds
		default:
			s.last = u.Civil
		}
		if s.last < s.start.Local || s.until < s.start.Start {
			return fault.New(fault.CodeInvalid, "UNTIL is before the start of the series: it must be the start or later")
		}
		s.last = min(s.last, lastCivil)
	}
	if s.start.Local > lastCivil {
		return fault.New(fault.CodeInvalid, "the start is after the year %d", lastYear)
	}
	return s.count(r)
}

// count makes COUNT the last occurrence, and refuses rules without any.
func (s *Series) count(r *Rule) error {
	p := s.pattern
	if !s.reachable() {
		return barren(r)
	}
	c := cursor{s: s, end: lastCivil + 1}
	if !p.sure() {
		if _, left := c.seek(s.start.Local, 1); left > 0 {
			return barren(r)
		}
	}
	if r.Count == 0 {
		return nil
	}
	if r.Count > maxCounted && s.unit > 0 && !c.uniform() {
		return fault.New(fault.CodeInvalid, "COUNT must be from 1 to %d for a rule below DAILY with BY parts", maxCounted)
	}
	s.last = s.start.Local
	if r.Count > 1 {
		s.last = c.nth(r.Count - 1)
	}
	return nil
}

// sure says that the rule certainly yields something.
func (p *pattern) sure() bool {
	return p.plain && len(p.positions) == 0 && p.freq <= Daily
}

func barren(r *Rule) error {
	var parts []string
	for part := range strings.SplitSeq(r.String(), ";") {
		if strings.HasPrefix(part, "BY") || strings.HasPrefix(part, "INTERVAL") {
			parts = append(parts, part)
		}
	}
	return fault.New(fault.CodeInvalid, "RRULE yields nothing before the year %d: no time satisfies %s together", lastYear+1, strings.Join(parts, ";"))
}

// Definition is what the series was made of.
func (s *Series) Definition() Definition { return s.definition }

// Zone is the zone of the series' wall clock, UTC for floating times and days.
func (s *Series) Zone() *Zone { return s.zone }

// First is DTSTART: the first occurrence, unless an EXDATE excludes it or an RDATE is earlier.
func (s *Series) First() Occurrence { return s.start }

// Earliest is an instant before which nothing happens.
func (s *Series) Earliest() int64 {
	if len(s.rdates) > 0 {
		return min(s.start.Start, s.rdates[0].Start)
	}
	return s.start.Start
}

// Latest is an instant after which nothing begins; false when the series has no end.
func (s *Series) Latest() (int64, bool) {
	at := s.start.Start
	if s.pattern != nil {
		if r := s.definition.Rule; r.Count == 0 && r.Until == nil {
			return 0, false
		}
		at = min(s.zone.Instant(s.last), s.until)
	}
	if n := len(s.rdates); n > 0 {
		at = max(at, s.rdates[n-1].Start)
	}
	return at, true
}

// Between appends to dst the occurrences that begin in [from, to), in order, each instant once, up to limit of them (0 means
// no limit). It allocates only what dst lacks. The cost is that of the occurrences in the window and of the periods without
// any; it does not depend on how long ago the series began.
func (s *Series) Between(dst []Occurrence, from, to int64, limit int) []Occurrence {
	if limit <= 0 {
		limit = math.MaxInt
	}
	e := emitter{s: s, out: dst, base: len(dst), from: from, to: to, limit: limit}
	if s.until != math.MaxInt64 {
		e.to = min(e.to, s.until+1)
	}
	if s.start.Start >= e.from && s.start.Start < to && (!s.excluding() || !s.excluded(s.start)) {
		e.out = append(e.out, s.start)
	}
	if s.pattern != nil && e.from < e.to {
		e.rule()
	}
	if len(s.rdates) > 0 {
		for _, o := range s.rdates {
			if o.Start >= from && o.Start < to && !s.excluded(o) {
				e.out = append(e.out, o)
				e.disorder = true
			}
		}
	}
	if e.disorder {
		e.settle()
	}
	if len(e.out)-e.base > limit {
		e.out = e.out[:e.base+limit]
	}
	return e.out
}

// At gives the occurrence that begins at an instant, if there is one.
func (s *Series) At(instant int64) (Occurrence, bool) {
	var room [1]Occurrence
	if found := s.Between(room[:0], instant, instant+1, 1); len(found) == 1 {
		return found[0], true
	}
	return Occurrence{}, false
}

// excluding says whether any occurrence may be excluded.
func (s *Series) excluding() bool { return len(s.exdates)+len(s.exdays) > 0 }

func (s *Series) excluded(o Occurrence) bool {
	if _, found := slices.BinarySearch(s.exdates, o.Start); found {
		return true
	}
	_, found := slices.BinarySearch(s.exdays, o.Local.day())
	return found
}

// sortOccurrences orders by instant. Of those on the same one, the time that the wall clock really shows comes first: the later.
func sortOccurrences(list []Occurrence) {
	slices.SortFunc(list, func(a, b Occurrence) int {
		switch {
		case a.Start != b.Start:
			if a.Start < b.Start {
				return -1
			}
			return 1
		case a.Local > b.Local:
			return -1
		case a.Local < b.Local:
			return 1
		}
		return 0
	})
}

func sameInstant(a, b Occurrence) bool { return a.Start == b.Start }
