package validate

import "time"

// moment is the time that a valid dateTime with a time of day names.
func moment(b []byte) time.Time {
	year := two(b)*100 + two(b[2:])
	t := time.Date(year, time.Month(two(b[5:])), two(b[8:]), two(b[11:]), two(b[14:]), two(b[17:]), 0, time.UTC)
	rest := b[19:]
	if rest[0] == '.' {
		unit := time.Second
		for rest = rest[1:]; digit(rest[0]); rest = rest[1:] {
			unit /= 10
			t = t.Add(time.Duration(rest[0]-'0') * unit)
		}
	}
	if rest[0] == 'Z' {
		return t
	}
	offset := time.Duration(two(rest[1:]))*time.Hour + time.Duration(two(rest[4:]))*time.Minute
	if rest[0] == '-' {
		offset = -offset
	}
	return t.Add(-offset)
}
