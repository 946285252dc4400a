package validate

import "slices"

// Scanners for the primitive formats of FHIR R4, datatypes.html#primitive. Each says whether all of b has the format.

func digit(c byte) bool { return c-'0' <= 9 }

// two is the number that two digits make, -1 when they are none.
func two(b []byte) int {
	if !digit(b[0]) || !digit(b[1]) {
		return -1
	}
	return int(b[0]-'0')*10 + int(b[1]-'0')
}

// scanDay takes YYYY, YYYY-MM or YYYY-MM-DD from the front of b: how many bytes it is long, 0 when it is none. The day
// must exist in that month.
func scanDay(b []byte) int {
	if len(b) < 4 {
		return 0
	}
	century, rest := two(b), two(b[2:])
	year := century*100 + rest
	if century < 0 || rest < 0 || year == 0 {
		return 0
	}
	if len(b) < 7 || b[4] != '-' {
		return 4
	}
	month := two(b[5:])
	if month < 1 || month > 12 {
		return 0
	}
	if len(b) < 10 || b[7] != '-' {
		return 7
	}
	if day := two(b[8:]); day < 1 || day > daysIn(year, month) {
		return 0
	}
	return 10
}

func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	default:
		return 31
	}
}

// scanClock takes hh:mm:ss with an optional fraction from the front of b: how many bytes it is long, 0 when it is none. A second
// may be 60.
func scanClock(b []byte) int {
	if len(b) < 8 || b[2] != ':' || b[5] != ':' {
		return 0
	}
	if h, m, s := two(b), two(b[3:]), two(b[6:]); h < 0 || h > 23 || m < 0 || m > 59 || s < 0 || s > 60 {
		return 0
	}
	if len(b) == 8 || b[8] != '.' {
		return 8
	}
	n := 9
	for n < len(b) && digit(b[n]) {
		n++
	}
	if n == 9 {
		return 0
	}
	return n
}

// isZone says whether b is Z or an offset between -14:00 and +14:00.
func isZone(b []byte) bool {
	if len(b) == 1 {
		return b[0] == 'Z'
	}
	if len(b) != 6 || b[0] != '+' && b[0] != '-' || b[3] != ':' {
		return false
	}
	h, m := two(b[1:]), two(b[4:])
	return h >= 0 && m >= 0 && m <= 59 && (h <= 13 || h == 14 && m == 0)
}

func isDate(b []byte) bool {
	n := scanDay(b)
	return n > 0 && n == len(b)
}

func isDateTime(b []byte) bool {
	n := scanDay(b)
	if n == 0 {
		return false
	}
	return n == len(b) || n == 10 && isMoment(b[10:])
}

func isInstant(b []byte) bool { return scanDay(b) == 10 && isMoment(b[10:]) }

// isMoment is the part of a dateTime after the day: T, the time, the zone.
func isMoment(b []byte) bool {
	if len(b) == 0 || b[0] != 'T' {
		return false
	}
	n := scanClock(b[1:])
	return n > 0 && isZone(b[1+n:])
}

func isTime(b []byte) bool {
	n := scanClock(b)
	return n > 0 && n == len(b)
}

func isID(b []byte) bool {
	if len(b) == 0 || len(b) > 64 {
		return false
	}
	for _, c := range b {
		if !digit(c) && c|0x20-'a' > 25 && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

func space(c byte) bool { return c == ' ' || c-'\t' <= '\r'-'\t' }

// isCode allows single spaces inside.
func isCode(b []byte) bool {
	if len(b) == 0 || space(b[0]) || space(b[len(b)-1]) {
		return false
	}
	for i := 1; i < len(b); i++ {
		if space(b[i]) && space(b[i-1]) {
			return false
		}
	}
	return true
}

// isURI is what R4's pattern asks for: no white space. url and canonical have the same pattern.
func isURI(b []byte) bool { return len(b) > 0 && !slices.ContainsFunc(b, space) }

const (
	oidPrefix  = "urn:oid:"
	uuidPrefix = "urn:uuid:"
)

func isOID(b []byte) bool {
	if len(b) < len(oidPrefix)+3 || string(b[:len(oidPrefix)]) != oidPrefix {
		return false
	}
	b = b[len(oidPrefix):]
	if b[0]-'0' > 2 {
		return false
	}
	b = b[1:]
	for len(b) > 0 {
		if b[0] != '.' {
			return false
		}
		n := 1
		for n < len(b) && digit(b[n]) {
			n++
		}
		if n == 1 || n > 2 && b[1] == '0' {
			return false
		}
		b = b[n:]
	}
	return true
}

func isUUID(b []byte) bool {
	if len(b) != len(uuidPrefix)+36 || string(b[:len(uuidPrefix)]) != uuidPrefix {
		return false
	}
	for i, c := range b[len(uuidPrefix):] {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return false
			}
		} else if !digit(c) && c-'a' > 'f'-'a' {
			return false
		}
	}
	return true
}

// isInteger is for a JSON number as it is written: no fraction, no exponent, 32 bits with sign, and at least least.
func isInteger(b []byte, least int64) bool {
	negative := b[0] == '-'
	if negative {
		b = b[1:]
	}
	if len(b) > 10 {
		return false
	}
	var n int64
	for _, c := range b {
		if !digit(c) {
			return false
		}
		n = n*10 + int64(c-'0')
	}
	if negative {
		n = -n
	}
	return n >= least && n <= 1<<31-1
}

const leastInteger = -1 << 31

// isBase64 allows white space between groups of four, as R4's pattern does.
func isBase64(b []byte) bool {
	count, padding := 0, 0
	for _, c := range b {
		switch {
		case space(c):
		case c == '=':
			padding++
			count++
		case padding > 0 || !digit(c) && c|0x20-'a' > 25 && c != '+' && c != '/':
			return false
		default:
			count++
		}
	}
	return count > 0 && count%4 == 0 && padding <= 2
}
