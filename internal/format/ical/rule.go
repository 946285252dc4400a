package ical

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"ward/internal/base/fault"
)

// Frequency is how often a rule's periods come (FREQ).
type Frequency uint8

// The frequencies, from the longest period to the shortest.
const (
	Yearly Frequency = iota + 1
	Monthly
	Weekly
	Daily
	Hourly
	Minutely
	Secondly
)

//nolint:gochecknoglobals // constant table
var frequencies = []string{"", "YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY"}

//nolint:gochecknoglobals // constant table
var weekdays = []string{"MO", "TU", "WE", "TH", "FR", "SA", "SU"}

// String is the name that FREQ has.
func (f Frequency) String() string {
	if int(f) < len(frequencies) {
		return frequencies[f]
	}
	return ""
}

// WeekdayNum is a day of BYDAY: the weekday (0 is Monday), and which one of the month or year it is: 1 the first, -1 the last, 0
// each.
type WeekdayNum struct {
	Nth int
	Day int
}

// Rule is an RRULE (RFC 5545 §3.3.10). Lists are sorted and hold each value once.
type Rule struct {
	Freq       Frequency
	Interval   int     // at least 1
	Count      int     // 0 when there is none
	Until      *Moment // nil when there is none
	BySecond   []int
	ByMinute   []int
	ByHour     []int
	ByDay      []WeekdayNum
	ByMonthDay []int
	ByYearDay  []int
	ByWeekNo   []int
	ByMonth    []int
	BySetPos   []int
	WeekStart  int // 0 is Monday
}

// maxRule is the length of a rule's text in bytes, above which it is refused unread.
const maxRule = 4096

// numbers are the parts that are lists of numbers, with what they allow.
type numbers struct {
	name     string
	low, top int
	negative bool // also -top to -low
	list     func(r *Rule) *[]int
}

//nolint:gochecknoglobals // constant table
var numberParts = []numbers{
	{"BYSECOND", 0, 60, false, func(r *Rule) *[]int { return &r.BySecond }},
	{"BYMINUTE", 0, 59, false, func(r *Rule) *[]int { return &r.ByMinute }},
	{"BYHOUR", 0, 23, false, func(r *Rule) *[]int { return &r.ByHour }},
	{"BYMONTHDAY", 1, 31, true, func(r *Rule) *[]int { return &r.ByMonthDay }},
	{"BYYEARDAY", 1, 366, true, func(r *Rule) *[]int { return &r.ByYearDay }},
	{"BYWEEKNO", 1, 53, true, func(r *Rule) *[]int { return &r.ByWeekNo }},
	{"BYMONTH", 1, 12, false, func(r *Rule) *[]int { return &r.ByMonth }},
	{"BYSETPOS", 1, 366, true, func(r *Rule) *[]int { return &r.BySetPos }},
}

func (n numbers) allowed() string {
	text := strconv.Itoa(n.low) + " to " + strconv.Itoa(n.top)
	if n.negative {
		text += " and -" + strconv.Itoa(n.top) + " to -" + strconv.Itoa(n.low)
	}
	return text
}

// ParseRule reads an RRULE's value, such as "FREQ=WEEKLY;BYDAY=MO,WE;COUNT=10". Case and the order of the parts don't matter.
// It fails with Invalid, which names the part and what it may be.
func ParseRule(text string) (Rule, error) {
	r := Rule{Interval: 1}
	text = strings.TrimPrefix(strings.TrimSpace(text), "RRULE:")
	if len(text) > maxRule {
		return r, fault.New(fault.CodeInvalid, "RRULE is longer than %d characters", maxRule)
	}
	seen := map[string]bool{}
	for part := range strings.SplitSeq(text, ";") {
		if part == "" {
			continue
		}
		name, value, ok := strings.Cut(part, "=")
		name, value = strings.ToUpper(strings.TrimSpace(name)), strings.ToUpper(strings.TrimSpace(value))
		if !ok || value == "" {
			return r, fault.New(fault.CodeInvalid, "RRULE must be parts of the form NAME=VALUE with semicolons between them, such as FREQ=WEEKLY;BYDAY=MO")
		}
		if seen[name] {
			return r, fault.New(fault.CodeInvalid, "RRULE has %s twice: each part may come once", known(name))
		}
		seen[name] = true
		if err := r.part(name, value); err != nil {
			return r, err
		}
	}
	return r, r.check()
}

// known is a part's name when it is one, so that errors don't repeat what was sent.
func known(name string) string {
	if slices.Contains([]string{"FREQ", "UNTIL", "COUNT", "INTERVAL", "BYDAY", "WKST"}, name) {
		return name
	}
	for _, n := range numberParts {
		if n.name == name {
			return name
		}
	}
	return "a part"
}

func (r *Rule) part(name, value string) error {
	for _, n := range numberParts {
		if n.name == name {
			return r.numbers(n, value)
		}
	}
	switch name {
	case "FREQ":
		i := slices.Index(frequencies, value)
		if i < 1 {
			return fault.New(fault.CodeInvalid, "FREQ must be one of %s", strings.Join(frequencies[1:], ", "))
		}
		r.Freq = Frequency(i) //nolint:gosec // one of eight
	case "INTERVAL", "COUNT":
		n, err := strconv.ParseInt(value, 10, 32)
		if err != nil || n < 1 {
			return fault.New(fault.CodeInvalid, "%s must be a whole number from 1 to %d", name, math.MaxInt32)
		}
		if name == "COUNT" {
			r.Count = int(n)
		} else {
			r.Interval = int(n)
		}
	case "UNTIL":
		m, err := ParseMoment("UNTIL", value)
		if err != nil {
			return err
		}
		r.Until = &m
	case "WKST":
		r.WeekStart = slices.Index(weekdays, value)
		if r.WeekStart < 0 {
			return fault.New(fault.CodeInvalid, "WKST must be one of %s", strings.Join(weekdays, ", "))
		}
	case "BYDAY":
		return r.days(value)
	default:
		return fault.New(fault.CodeInvalid, "RRULE has a part that is not known: the parts are FREQ, UNTIL, COUNT, INTERVAL, BYSECOND, BYMINUTE, BYHOUR, BYDAY, BYMONTHDAY, BYYEARDAY, BYWEEKNO, BYMONTH, BYSETPOS and WKST")
	}
	return nil
}

func (r *Rule) numbers(n numbers, value string) error {
	list := n.list(r)
	for item := range strings.SplitSeq(value, ",") {
		v, err := strconv.Atoi(item)
		size := v
		if n.negative && v < 0 {
			size = -v
		}
		if err != nil || size < n.low || size > n.top {
			return fault.New(fault.CodeInvalid, "%s must be numbers from %s, with commas between them", n.name, n.allowed())
		}
		*list = append(*list, v)
	}
	slices.Sort(*list)
	*list = slices.Compact(*list)
	return nil
}

func (r *Rule) days(value string) error {
	for item := range strings.SplitSeq(value, ",") {
		bad := fault.New(fault.CodeInvalid, "BYDAY must be days from %s, with commas between them; in a MONTHLY or YEARLY rule with a number from 1 to 53 or -53 to -1 before them, such as 2MO or -1FR",
			strings.Join(weekdays, ", "))
		if len(item) < 2 {
			return bad
		}
		d := WeekdayNum{Day: slices.Index(weekdays, item[len(item)-2:])}
		if d.Day < 0 {
			return bad
		}
		if nth := item[:len(item)-2]; nth != "" {
			n, err := strconv.Atoi(nth)
			if err != nil || n == 0 || n > 53 || n < -53 {
				return bad
			}
			d.Nth = n
		}
		r.ByDay = append(r.ByDay, d)
	}
	slices.SortFunc(r.ByDay, func(a, b WeekdayNum) int {
		if a.Nth != b.Nth {
			return a.Nth - b.Nth
		}
		return a.Day - b.Day
	})
	r.ByDay = slices.Compact(r.ByDay)
	return nil
}

// check holds the rules between the parts (RFC 5545 §3.3.10).
func (r *Rule) check() error {
	if r.Freq == 0 {
		return fault.New(fault.CodeInvalid, "RRULE must have FREQ, one of %s", strings.Join(frequencies[1:], ", "))
	}
	if r.Count > 0 && r.Until != nil {
		return fault.New(fault.CodeInvalid, "RRULE may have COUNT or UNTIL, not both")
	}
	for _, d := range r.ByDay {
		if d.Nth == 0 {
			continue
		}
		if r.Freq > Monthly {
			return fault.New(fault.CodeInvalid, "BYDAY may have numbers, such as 2MO, only when FREQ is MONTHLY or YEARLY: here it must be days alone, such as MO")
		}
		if len(r.ByWeekNo) > 0 {
			return fault.New(fault.CodeInvalid, "BYDAY may not have numbers beside BYWEEKNO: it must be days alone, such as MO")
		}
		if (r.Freq == Monthly || len(r.ByMonth) > 0) && (d.Nth > 5 || d.Nth < -5) {
			return fault.New(fault.CodeInvalid, "BYDAY counts the weekdays of a month here: its numbers are 1 to 5 and -5 to -1")
		}
	}
	if len(r.BySetPos) > 0 && len(r.BySecond)+len(r.ByMinute)+len(r.ByHour)+len(r.ByDay)+len(r.ByMonthDay)+len(r.ByYearDay)+len(r.ByWeekNo)+len(r.ByMonth) == 0 {
		return fault.New(fault.CodeInvalid, "BYSETPOS picks from what another BY part makes: add one, such as BYDAY")
	}
	return nil
}

// String writes the rule as the value of an RRULE.
func (r Rule) String() string {
	b := append(make([]byte, 0, 64), "FREQ="...)
	b = append(b, r.Freq.String()...)
	if r.Interval > 1 {
		b = strconv.AppendInt(append(b, ";INTERVAL="...), int64(r.Interval), 10)
	}
	for _, n := range []int{6, 5, 4, 3} { // months first: the order in which they apply
		b = appendNumbers(b, numberParts[n].name, *numberParts[n].list(&r))
	}
	for i, d := range r.ByDay {
		if i == 0 {
			b = append(b, ";BYDAY="...)
		} else {
			b = append(b, ',')
		}
		if d.Nth != 0 {
			b = strconv.AppendInt(b, int64(d.Nth), 10)
		}
		b = append(b, weekdays[d.Day]...)
	}
	for _, n := range []int{2, 1, 0, 7} {
		b = appendNumbers(b, numberParts[n].name, *numberParts[n].list(&r))
	}
	if r.WeekStart != 0 {
		b = append(append(b, ";WKST="...), weekdays[r.WeekStart]...)
	}
	if r.Count > 0 {
		b = strconv.AppendInt(append(b, ";COUNT="...), int64(r.Count), 10)
	}
	if r.Until != nil {
		b = append(append(b, ";UNTIL="...), r.Until.String()...)
	}
	return string(b)
}

func appendNumbers(b []byte, name string, list []int) []byte {
	for i, n := range list {
		if i == 0 {
			b = append(append(append(b, ';'), name...), '=')
		} else {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(n), 10)
	}
	return b
}
