package ical

import (
	"time"

	"ward/internal/base/fault"
)

const (
	daySeconds  = 86400
	hourSeconds = 3600
	// lastYear is the last year that a DATE can name (RFC 5545 §3.3.4).
	lastYear = 9999
)

// Civil is a time on the clock on the wall: seconds since 1970-01-01T00:00:00 there, in whatever zone.
type Civil int64

// lastCivil is the last second of the last year.
const lastCivil Civil = 253402300799

// CivilOf is the wall-clock time that t shows in its own location.
func CivilOf(t time.Time) Civil {
	_, offset := t.Zone()
	return Civil(t.Unix() + int64(offset))
}

// MakeCivil is the wall-clock time of a date and a time of day. Days beyond a month's end run on into the next.
func MakeCivil(year, month, day, hour, minute, second int) Civil {
	return Civil(int64(dayNumber(year, month)+day-1)*daySeconds + int64(hour*hourSeconds+minute*60+second))
}

// Date is the calendar date of c.
func (c Civil) Date() (year, month, day int) { return dateOf(c.day()) }

// Clock is the time of day of c.
func (c Civil) Clock() (hour, minute, second int) {
	t := c.second()
	return t / hourSeconds, t / 60 % 60, t % 60
}

// Midnight is the begin of c's day.
func (c Civil) Midnight() Civil { return Civil(int64(c.day()) * daySeconds) }

// Weekday is c's day of the week.
func (c Civil) Weekday() time.Weekday { return time.Weekday((weekday(c.day()) + 1) % 7) }

// day is the number of c's day; 0 is 1970-01-01.
func (c Civil) day() int { return int(floorDiv(int64(c), daySeconds)) }

// second is c's second of the day.
func (c Civil) second() int { return int(int64(c) - floorDiv(int64(c), daySeconds)*daySeconds) }

// AppendDate writes c's date as a DATE (RFC 5545 §3.3.4), 20260103.
func (c Civil) AppendDate(b []byte) []byte {
	y, m, d := c.Date()
	return append(b, digit(y/1000), digit(y/100), digit(y/10), digit(y), digit(m/10), digit(m), digit(d/10), digit(d))
}

// Append writes c as a local DATE-TIME (RFC 5545 §3.3.5), 20260103T090000.
func (c Civil) Append(b []byte) []byte {
	h, m, s := c.Clock()
	return append(c.AppendDate(b), 'T', digit(h/10), digit(h), digit(m/10), digit(m), digit(s/10), digit(s))
}

// String is c as a local DATE-TIME.
func (c Civil) String() string { return string(c.Append(make([]byte, 0, 15))) }

func digit(n int) byte { return byte('0' + n%10) }

// Moment is a DATE or DATE-TIME as it was written (RFC 5545 §3.3.4, §3.3.5).
type Moment struct {
	Civil Civil
	Date  bool // a DATE: the day, without a time
	UTC   bool // written with Z
}

// String writes m in its own form.
func (m Moment) String() string {
	b := make([]byte, 0, 16)
	switch {
	case m.Date:
		return string(m.Civil.AppendDate(b))
	case m.UTC:
		return string(append(m.Civil.Append(b), 'Z'))
	}
	return string(m.Civil.Append(b))
}

// In is the instant of m, in seconds since 1970 in UTC: zone is asked unless m says UTC.
func (m Moment) In(zone *Zone) int64 {
	if m.UTC {
		return int64(m.Civil)
	}
	return zone.Instant(m.Civil)
}

// ParseMoment reads 20260103, 20260103T090000 or 20260103T090000Z. Errors name part, the property or field.
func ParseMoment(part, s string) (Moment, error) {
	var m Moment
	bad := func() (Moment, error) {
		return m, fault.New(fault.CodeInvalid, "%s must be a date such as 20260103, or a date and time such as 20260103T090000 or 20260103T090000Z", part)
	}
	number := func(from, to int) int {
		n := 0
		for _, c := range []byte(s[from:to]) {
			if c < '0' || c > '9' {
				return -1
			}
			n = n*10 + int(c-'0')
		}
		return n
	}
	if len(s) == 16 && s[15] == 'Z' {
		m.UTC = true
	} else if len(s) != 8 && len(s) != 15 {
		return bad()
	}
	year, month, day := number(0, 4), number(4, 6), number(6, 8)
	if year < 0 || month < 0 || day < 0 {
		return bad()
	}
	if month < 1 || month > 12 || day < 1 || day > monthLength(year, month) {
		return m, fault.New(fault.CodeInvalid, "%s names a day that the calendar does not have: months are 01 to 12, days 01 to the month's last", part)
	}
	if len(s) == 8 {
		return Moment{Civil: MakeCivil(year, month, day, 0, 0, 0), Date: true}, nil
	}
	hour, minute, second := number(9, 11), number(11, 13), number(13, 15)
	if s[8] != 'T' || hour < 0 || minute < 0 || second < 0 {
		return bad()
	}
	if hour > 23 || minute > 59 || second > 60 {
		return m, fault.New(fault.CodeInvalid, "%s names a time that no clock shows: hours are 00 to 23, minutes 00 to 59, seconds 00 to 60", part)
	}
	m.Civil = MakeCivil(year, month, day, hour, minute, min(second, 59))
	return m, nil
}

// dayNumber counts the days from 1970-01-01 to a month's first in the proleptic Gregorian calendar.
func dayNumber(year, month int) int {
	if month <= 2 {
		year--
	}
	era := year / 400
	if year < 0 {
		era = (year - 399) / 400
	}
	yoe := year - era*400
	mp := (month + 9) % 12
	doy := (153*mp + 2) / 5
	return era*146097 + yoe*365 + yoe/4 - yoe/100 + doy - 719468
}

// dateOf is the date of a day number.
func dateOf(n int) (year, month, day int) {
	n += 719468
	era := n / 146097
	if n < 0 {
		era = (n - 146096) / 146097
	}
	doe := n - era*146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	year = yoe + era*400
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	day = doy - (153*mp+2)/5 + 1
	month = mp + 3
	if month > 12 {
		month -= 12
	}
	if month <= 2 {
		year++
	}
	return year, month, day
}

// weekday is a day's place in the week that begins on Monday: 0 to 6.
func weekday(day int) int { return floorMod(day+3, 7) }

func leap(year int) bool { return year%4 == 0 && (year%100 != 0 || year%400 == 0) }

func yearLength(year int) int {
	if leap(year) {
		return 366
	}
	return 365
}

func monthLength(year, month int) int {
	switch month {
	case 2:
		if leap(year) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// weekOne is the first day of the week-numbering year: of the first week with at least four days in the year (RFC 5545
// §3.3.10, BYWEEKNO), when weeks begin on wkst.
func weekOne(year, wkst int) int {
	jan1 := dayNumber(year, 1)
	back := floorMod(weekday(jan1)-wkst, 7)
	if back <= 3 {
		return jan1 - back
	}
	return jan1 + 7 - back
}

// weekYear is the week-numbering year of a day.
func weekYear(day, wkst int) int {
	year, _, _ := dateOf(day)
	switch {
	case day < weekOne(year, wkst):
		return year - 1
	case day >= weekOne(year+1, wkst):
		return year + 1
	}
	return year
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func floorMod(a, b int) int {
	m := a % b
	if m < 0 {
		m += b
	}
	return m
}

func ceilDiv(a, b int64) int64 { return -floorDiv(-a, b) }
