package fhir

import (
	"math"
	"time"

	"ward/internal/base/fault"
)

// Precision is how exactly a date or time is given.
type Precision uint8

// The precisions, coarsest first.
const (
	Year Precision = iota + 1
	Month
	Day
	Minute
	Second
	Fraction // of a second
)

// String is the precision's name, such as "day".
func (p Precision) String() string {
	switch p {
	case Year:
		return "year"
	case Month:
		return "month"
	case Day:
		return "day"
	case Minute:
		return "minute"
	case Second:
		return "second"
	case Fraction:
		return "fraction"
	}
	return "none"
}

const (
	microsecond = int64(1)
	second      = 1_000_000 * microsecond
	minute      = 60 * second
	day         = 24 * 60 * minute
)

// text is what the parsers read.
type text interface{ ~string | ~[]byte }

// stamp is a parsed date or time: the interval [low, high) in µs since 1970-01-01T00:00:00Z.
type stamp struct {
	low, high int64
	precision Precision
	zoned     bool
}

// ParseDateTime reads a date or dateTime as the interval [low, high) of µs since 1970 that it may stand for: "2013" is
// a year, "2013-01-14T10:00:05.5Z" a tenth of a second. It takes the forms of search values, a superset of those
// that resources may hold (search.html#date): seconds may be left out, and so may the time zone, which then is UTC.
// Errors are fault.Invalid and don't repeat the value.
func ParseDateTime[T text](s T) (low, high int64, precision Precision, err error) {
	v, reason := parseDateTime(s)
	if reason != "" {
		return 0, 0, 0, fault.Invalid("%s", reason)
	}
	return v.low, v.high, v.precision, nil
}

// ParseInstant reads an instant, which needs seconds and a time zone (datatypes.html#instant).
func ParseInstant[T text](s T) (low, high int64, err error) {
	v, reason := parseDateTime(s)
	if reason == "" && (v.precision < Second || !v.zoned) {
		reason = "an instant needs a time with seconds and a time zone, like 2015-02-07T13:28:17.239+02:00"
	}
	if reason != "" {
		return 0, 0, fault.Invalid("%s", reason)
	}
	return v.low, v.high, nil
}

// ParseDate reads a date: YYYY, YYYY-MM or YYYY-MM-DD (datatypes.html#date).
func ParseDate[T text](s T) (low, high int64, precision Precision, err error) {
	v, reason := parseDateTime(s)
	if reason == "" && v.precision > Day {
		reason = "a date has no time: YYYY, YYYY-MM or YYYY-MM-DD"
	}
	if reason != "" {
		return 0, 0, 0, fault.Invalid("%s", reason)
	}
	return v.low, v.high, v.precision, nil
}

// CheckDateTime says what is wrong with a dateTime inside a resource, nil when nothing: a time needs seconds and a time
// zone there (datatypes.html#dateTime).
func CheckDateTime[T text](s T) error {
	v, reason := parseDateTime(s)
	if reason == "" && v.precision > Day && (v.precision < Second || !v.zoned) {
		reason = "a dateTime with a time needs seconds and a time zone, like 2015-02-07T13:28:17+02:00"
	}
	if reason != "" {
		return fault.Invalid("%s", reason)
	}
	return nil
}

// ParseTime reads a time of day, hh:mm:ss with or without a fraction, as the interval [low, high) of µs since
// midnight (datatypes.html#time).
func ParseTime[T text](s T) (low, high int64, err error) {
	v := stamp{}
	c := cursor[T]{s: s}
	if reason := c.clock(&v); reason != "" {
		return 0, 0, fault.Invalid("%s", reason)
	}
	if v.precision < Second || c.i != len(s) {
		return 0, 0, fault.Invalid("a time is hh:mm:ss or hh:mm:ss.fff, without a time zone")
	}
	return v.low, v.high, nil
}

const dateForm = "a date is YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss with a time zone, Z or +hh:mm"

func parseDateTime[T text](s T) (v stamp, reason string) {
	c := cursor[T]{s: s}
	year, ok := c.digits(4)
	if !ok {
		return v, dateForm
	}
	if year == 0 {
		return v, "there is no year 0000"
	}
	if c.end() {
		return stamp{low: midnight(year, 1, 1), high: midnight(year+1, 1, 1), precision: Year}, ""
	}
	month, ok := c.after('-')
	if !ok {
		return v, dateForm
	}
	if month < 1 || month > 12 {
		return v, "a month is 01 to 12"
	}
	if c.end() {
		return stamp{low: midnight(year, month, 1), high: midnight(year, month+1, 1), precision: Month}, ""
	}
	dom, ok := c.after('-')
	if !ok {
		return v, dateForm
	}
	if dom < 1 || dom > daysIn(year, month) {
		return v, "this month has no such day"
	}
	date := midnight(year, month, dom)
	if c.end() {
		return stamp{low: date, high: date + day, precision: Day}, ""
	}
	if c.s[c.i] != 'T' {
		return v, dateForm
	}
	c.i++
	if reason := c.clock(&v); reason != "" {
		return v, reason
	}
	offset, reason := c.zone(&v)
	if reason != "" {
		return v, reason
	}
	v.low += date - offset
	v.high += date - offset
	return v, ""
}

// cursor reads digits and separators.
type cursor[T text] struct {
	s T
	i int
}

func (c *cursor[T]) end() bool { return c.i == len(c.s) }

func (c *cursor[T]) digits(n int) (value int, ok bool) {
	if len(c.s)-c.i < n {
		return 0, false
	}
	for range n {
		d := c.s[c.i] - '0'
		if d > 9 {
			return 0, false
		}
		value = value*10 + int(d)
		c.i++
	}
	return value, true
}

// after reads a separator and two digits.
func (c *cursor[T]) after(separator byte) (value int, ok bool) {
	if c.end() || c.s[c.i] != separator {
		return 0, false
	}
	c.i++
	return c.digits(2)
}

// clock reads hh:mm[:ss[.fraction]] into v, as µs since midnight.
func (c *cursor[T]) clock(v *stamp) (reason string) {
	const form = "a time is hh:mm:ss or hh:mm:ss.fff"
	hour, ok := c.digits(2)
	if !ok {
		return form
	}
	minutes, ok := c.after(':')
	if !ok {
		return form
	}
	if hour > 23 || minutes > 59 {
		return "an hour is 00 to 23 and a minute 00 to 59"
	}
	v.low = int64(hour*60+minutes) * minute
	v.precision, v.high = Minute, v.low+minute
	if c.end() || c.s[c.i] != ':' {
		return ""
	}
	seconds, ok := c.after(':')
	if !ok {
		return form
	}
	if seconds > 60 {
		return "a second is 00 to 60"
	}
	v.low += int64(seconds) * second
	v.precision, v.high = Second, v.low+second
	if c.end() || c.s[c.i] != '.' {
		return ""
	}
	c.i++
	from, unit := c.i, second
	for ; !c.end() && c.s[c.i]-'0' < 10; c.i++ {
		if unit /= 10; unit > 0 { // finer than a µs is cut off
			v.low += int64(c.s[c.i]-'0') * unit
		}
	}
	if c.i == from {
		return form
	}
	v.precision, v.high = Fraction, v.low+max(unit, microsecond)
	return ""
}

// zone reads Z, ±hh:mm or nothing, to the end.
func (c *cursor[T]) zone(v *stamp) (offset int64, reason string) {
	const form = "a time zone is Z, +hh:mm or -hh:mm (in a URL the + is written %2B)"
	if c.end() {
		return 0, ""
	}
	v.zoned = true
	sign := int64(1)
	switch c.s[c.i] {
	case 'Z':
		if c.i++; !c.end() {
			return 0, form
		}
		return 0, ""
	case '-':
		sign = -1
	case '+':
	default:
		return 0, form
	}
	c.i++
	hours, ok := c.digits(2)
	if !ok {
		return 0, form
	}
	minutes, ok := c.after(':')
	if !ok || !c.end() {
		return 0, form
	}
	if hours > 14 || minutes > 59 || hours == 14 && minutes > 0 {
		return 0, "a time zone is at most 14 hours from UTC"
	}
	return sign * int64(hours*60+minutes) * minute, ""
}

// midnight is the start of a day in µs since 1970; month 13 is January of the next year. (H. Hinnant, days_from_civil.)
func midnight(year, month, dom int) int64 {
	if month > 12 {
		year, month = year+1, month-12
	}
	if month <= 2 {
		year--
		month += 12
	}
	era := year / 400
	yoe := year - era*400
	doy := (153*(month-3)+2)/5 + dom - 1
	doe := yoe*365 + yoe/4 - yoe/100 + doy
	return int64(era*146097+doe-719468) * day
}

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// MaxTime is later than the high end of any date, in µs since 1970. Periods without an end reach to it.
const MaxTime = math.MaxInt64

// AppendInstant appends t as an instant in UTC with milliseconds: 2015-02-07T13:28:17.239Z.
func AppendInstant(dst []byte, t time.Time) []byte {
	return t.UTC().AppendFormat(dst, "2006-01-02T15:04:05.000Z")
}

// FormatInstant is AppendInstant as a string.
func FormatInstant(t time.Time) string { return string(AppendInstant(nil, t)) }
