package ical

import (
	"slices"

	"ward/internal/base/fault"
)

// Split divides a series at one of its occurrences: what was before it, nil when that is nothing, and a series that begins with
// it. Together they have the occurrences of s. It fails with NotFound when nothing begins at the instant.
//
// COUNT is shared out, UNTIL, RDATEs and EXDATEs go where they belong, and what the rule took from DTSTART is written into it.
func (s *Series) Split(instant int64) (before, after *Series, err error) {
	at, ok := s.At(instant)
	if !ok {
		return nil, nil, fault.New(fault.CodeNotFound, "the series has no occurrence at this time")
	}
	d := s.definition
	first, second := Definition{Start: d.Start, Zone: d.Zone}, Definition{Start: Moment{Civil: at.Local, Date: d.Start.Date, UTC: d.Start.UTC}, Zone: d.Zone}
	for i, m := range d.RDates {
		one, err := NewSeries(Definition{Start: d.Start, Zone: d.Zone, RDates: d.RDates[i : i+1]})
		if err != nil {
			return nil, nil, err
		}
		switch o := one.rdates[0]; {
		case o.Start < instant:
			first.RDates = append(first.RDates, m)
		case o.Start > instant:
			second.RDates = append(second.RDates, m)
		}
	}
	first.ExDates, second.ExDates = d.ExDates, slices.Clone(d.ExDates)
	if s.start.Start >= instant { // DTSTART is excluded, or an RDATE is before it
		first.ExDates = append(slices.Clone(first.ExDates), Moment{Civil: d.Start.Civil, Date: d.Start.Date, UTC: d.Start.UTC})
	}
	if d.Rule != nil {
		s.splitRule(at, &first, &second)
	}
	if s.Earliest() < instant {
		if before, err = NewSeries(first); err != nil {
			return nil, nil, err
		}
	}
	after, err = NewSeries(second)
	return before, after, err
}

// splitRule gives the rule to the parts of a series: up to the time before at, and from at on.
func (s *Series) splitRule(at Occurrence, first, second *Definition) {
	d := s.definition
	if s.start.Local < at.Local {
		r := *d.Rule
		until := Moment{Civil: at.Local - 1}
		if d.Start.Date {
			until = Moment{Civil: at.Local - daySeconds, Date: true}
		}
		if !s.over(at) {
			r.Count, r.Until = 0, &until
		}
		first.Rule = &r
	}
	r := d.Rule.explicit(d.Start.Civil)
	r.Until = d.Rule.Until
	if d.Rule.Count > 0 {
		done := s.before(at.Local)
		if r.Count = d.Rule.Count - done; r.Count <= 0 {
			return // at is an RDATE after the rule's end
		}
	}
	if at.Local > s.last || s.over(at) {
		return
	}
	if !s.ruled(at) { // at is an RDATE: the rule goes on from its own next time, on the days that it had
		c := cursor{s: s, end: s.last + 1}
		next, missing := c.seek(max(at.Local, s.start.Local), 1)
		if missing > 0 || s.zone.Instant(next) > s.until {
			return
		}
		second.Start.Civil = next
		second.RDates = append(second.RDates, Moment{Civil: at.Local, Date: d.Start.Date, UTC: d.Start.UTC})
	}
	second.Rule = &r
}

// over says whether the rule ended before an occurrence, which an RDATE gives then.
func (s *Series) over(at Occurrence) bool {
	switch u := s.definition.Rule.Until; {
	case u == nil:
		return s.last < at.Local // COUNT, or never
	case u.UTC:
		return int64(u.Civil) < at.Start
	case u.Date:
		return u.Civil+daySeconds <= at.Local
	default:
		return u.Civil < at.Local
	}
}

// ruled says whether the rule itself, or DTSTART, gives an occurrence.
func (s *Series) ruled(o Occurrence) bool {
	if o.Local == s.start.Local {
		return true
	}
	if o.Local < s.start.Local {
		return false
	}
	c := cursor{s: s, end: min(o.Local, s.last) + 1}
	_, missing := c.seek(o.Local, 1)
	return missing == 0
}

// explicit is the rule with everything written out that it takes from DTSTART.
func (r Rule) explicit(start Civil) Rule {
	_, month, day := start.Date()
	if r.Freq <= Weekly && len(r.ByDay)+len(r.ByMonthDay)+len(r.ByYearDay) == 0 {
		switch {
		case r.Freq == Weekly || len(r.ByWeekNo) > 0:
			r.ByDay = []WeekdayNum{{Day: weekday(start.day())}}
		default:
			r.ByMonthDay = []int{day}
			if r.Freq == Yearly && len(r.ByMonth) == 0 {
				r.ByMonth = []int{month}
			}
		}
	}
	return r
}
