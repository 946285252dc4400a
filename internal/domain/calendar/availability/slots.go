package availability

import (
	"cmp"
	"slices"

	"ward/internal/format/ical"
)

// span is a stretch of time, in seconds.
type span struct{ from, to int64 }

// open are the stretches of working hours around [from, to), whole ones, in order and apart: hours less breaks and time off. Times of day are
// the wall clock's: a day on which the clocks go forward has an hour less in it.
func (a *Availability) open(from, to int64) []span {
	hours := union(spansOf(a.hours, from, to))
	taken := spansOf(a.breaks, from, to)
	for _, o := range a.off {
		if o[1] > from-2*86400 && o[0] < to+2*86400 {
			taken = append(taken, span{o[0], o[1]})
		}
	}
	return less(hours, union(taken))
}

func spansOf(list []recurring, from, to int64) []span {
	const margin = 2 * 86400 // hours that began on the day before, in any zone
	var spans []span
	var found []ical.Occurrence
	for _, r := range list {
		found = r.series.Between(found[:0], from-margin, to+margin, 0)
		for _, o := range found {
			zone := r.series.Zone()
			// What a clock change skips moves forward by the gap; an end that is ambiguous is the first of both.
			s := span{o.Start, zone.Instant(o.Local - r.start + r.end)}
			if s.to > s.from {
				spans = append(spans, s)
			}
		}
	}
	return spans
}

func union(spans []span) []span {
	slices.SortFunc(spans, func(a, b span) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to)) })
	out := spans[:0]
	for _, s := range spans {
		if n := len(out); n > 0 && s.from <= out[n-1].to {
			out[n-1].to = max(out[n-1].to, s.to)
			continue
		}
		out = append(out, s)
	}
	return out
}

// less is spans without what is taken; both are in order and apart.
func less(spans, taken []span) []span {
	var out []span
	for _, s := range spans {
		for _, t := range taken {
			if t.to <= s.from || t.from >= s.to {
				continue
			}
			if t.from > s.from {
				out = append(out, span{s.from, t.from})
			}
			s.from = max(s.from, t.to)
		}
		if s.from < s.to {
			out = append(out, s)
		}
	}
	return out
}

// Starts calls each for every start of a visit of so many minutes in [from, to) that the rules allow now, taken or not, until it says no. Starts
// count from the beginning of each open stretch.
func (a *Availability) Starts(minutes int, from, to, now int64, each func(start, end int64) bool) {
	first, last := a.bounds(now)
	length, step := int64(minutes)*60, a.step(minutes)
	for _, s := range a.open(from, to) {
		at := s.from
		if low := max(from, first); at < low {
			at += (low - at + step - 1) / step * step
		}
		for ; at+length <= s.to && at < to && at <= last; at += step {
			if !each(at, at+length) {
				return
			}
		}
	}
}

// Starting says whether a visit may start then, by the rules: it must be one of the starts. Else why not.
func (a *Availability) Starting(at int64, minutes int, now int64) string {
	first, last := a.bounds(now)
	switch {
	case at < first:
		return "it is booked at the latest " + duration(a.MinimumNotice) + " before"
	case at > last:
		return "it is too far ahead to be booked yet"
	}
	found := false
	a.Starts(minutes, at, at+1, now, func(int64, int64) bool {
		found = true
		return false
	})
	if !found {
		return "no visit of this service starts then"
	}
	return ""
}

// Within says whether the whole visit is in open hours.
func (a *Availability) Within(starts, ends int64) bool {
	for _, s := range a.open(starts, ends) {
		if s.from <= starts && ends <= s.to {
			return true
		}
	}
	return false
}

// SeatMap is which seats of a resource are taken in a stretch of cells.
type SeatMap struct {
	from  int32
	seats [][]bool // by seat, then by cell
}

// NewSeatMap is a stretch of cells in which all seats are free.
func NewSeatMap(from, to, seats int32) *SeatMap {
	m := &SeatMap{from: from, seats: make([][]bool, seats)}
	for i := range m.seats {
		m.seats[i] = make([]bool, max(to-from, 0))
	}
	return m
}

// Take marks a seat in a cell.
func (m *SeatMap) Take(cell, seat int32) {
	if i := cell - m.from; seat >= 1 && int(seat) <= len(m.seats) && i >= 0 && int(i) < len(m.seats[seat-1]) {
		m.seats[seat-1][i] = true
	}
}

// Free counts the seats that are free for all of the cells.
func (m *SeatMap) Free(from, to int32) int {
	n := 0
	for _, s := range m.seats {
		low, high := max(from-m.from, 0), min(int(to-m.from), len(s))
		if int(low) >= high || !slices.Contains(s[low:high], true) {
			n++
		}
	}
	return n
}

func duration(minutes int) string {
	switch {
	case minutes >= 2*DayMinutes && minutes%DayMinutes == 0:
		return Plural(minutes/DayMinutes, "day")
	case minutes >= 60 && minutes%60 == 0:
		return Plural(minutes/60, "hour")
	}
	return Plural(minutes, "minute")
}
