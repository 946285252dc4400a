package ical

import (
	"math"
	"sort"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // the zones are part of the program

	"ward/internal/base/fault"
)

// Zone is an IANA time zone as a table of its transitions. It is immutable and shared.
type Zone struct {
	name     string
	location *time.Location
	starts   []int64 // instants at which each stretch of constant offset begins; the first is the begin of time
	offsets  []int64 // seconds east of UTC in each stretch
	bounds   []int64 // civil times before which each stretch's offset applies: see segment
	index    []int16 // the stretch in which each bucket of about half a year begins
}

// The buckets of the index: 2^24 seconds each, from the year 1800 on.
const (
	indexBegin = -5364662400
	indexBits  = 24
)

// The table ends with this instant (2500-01-01). What comes later repeats every 400 years, in which the Gregorian calendar
// repeats with its weekdays.
const (
	tableEnd  = 16725225600
	cycleDays = 146097
	cycle     = cycleDays * daySeconds
)

// UTC is the zone of times that have none: floating ones, and days.
//
//nolint:gochecknoglobals // constant
var UTC = &Zone{name: "UTC", location: time.UTC, starts: []int64{math.MinInt64}, offsets: []int64{0}, bounds: []int64{math.MaxInt64}}

//nolint:gochecknoglobals // zones are constants that are made when they are first asked for; their number is that of the zone data
var zones sync.Map

// LoadZone gives the zone of an IANA name such as "America/New_York". It fails with Invalid for a name that the zone data
// does not have.
func LoadZone(name string) (*Zone, error) {
	if name == "UTC" || name == "Etc/UTC" || name == "Z" {
		return UTC, nil
	}
	if z, ok := zones.Load(name); ok {
		return z.(*Zone), nil
	}
	unknown := fault.New(fault.CodeInvalid, "unknown time zone: it must be a name of the IANA time zone database such as America/New_York or Europe/London")
	if name == "Local" || !plainName(name) {
		return nil, unknown
	}
	location, err := time.LoadLocation(name)
	if err != nil {
		return nil, unknown.With(err)
	}
	z, _ := zones.LoadOrStore(name, newZone(name, location))
	return z.(*Zone), nil
}

// plainName says whether a zone may have the name: words of letters, digits, - + and _ with / between them. What is none must not reach the
// file system, in which ./UTC and .//UTC are zones too.
func plainName(name string) bool {
	if len(name) > 64 {
		return false
	}
	for word := range strings.SplitSeq(name, "/") {
		if word == "" || strings.ContainsFunc(word, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '+' && r != '_'
		}) {
			return false
		}
	}
	return true
}

func newZone(name string, location *time.Location) *Zone {
	z := &Zone{name: name, location: location}
	at := time.Unix(-1<<40, 0).In(location)
	for {
		_, offset := at.Zone()
		start, end := at.ZoneBounds()
		from := int64(math.MinInt64)
		if len(z.starts) > 0 {
			from = start.Unix()
		}
		if n := len(z.offsets); n == 0 || z.offsets[n-1] != int64(offset) { // changes of the name alone don't matter here
			z.starts, z.offsets = append(z.starts, from), append(z.offsets, int64(offset))
		}
		if end.IsZero() || end.Unix() >= tableEnd {
			break
		}
		if !end.After(at) { // ends of years are given as bounds too
			end = at.Add(time.Hour)
		}
		at = end
	}
	for i := range z.starts {
		if i+1 == len(z.starts) {
			z.bounds = append(z.bounds, math.MaxInt64)
			break
		}
		z.bounds = append(z.bounds, z.starts[i+1]+max(z.offsets[i], z.offsets[i+1]))
	}
	i := 0
	for at := int64(indexBegin); at < tableEnd; at += 1 << indexBits {
		for i+1 < len(z.starts) && z.starts[i+1] <= at {
			i++
		}
		z.index = append(z.index, int16(i))
	}
	return z
}

// near is a stretch that is not after an instant of the table, and not long before it.
func (z *Zone) near(instant int64) int {
	b := (instant - indexBegin) >> indexBits
	if b < 0 || b >= int64(len(z.index)) {
		return 0
	}
	return int(z.index[b])
}

// Name is the IANA name.
func (z *Zone) Name() string { return z.name }

// Location is the zone for package time.
func (z *Zone) Location() *time.Location { return z.location }

// Instant is when the clocks of the zone show c, in seconds since 1970 in UTC. A time that is skipped moves forward by the gap;
// of an ambiguous one it is the first.
func (z *Zone) Instant(c Civil) int64 {
	at, shift := int64(c), int64(0)
	if at >= tableEnd-daySeconds && len(z.starts) > 1 {
		shift = ceilDiv(at-(tableEnd-daySeconds)+1, cycle) * cycle
		at -= shift
	}
	return at - z.offsets[z.segment(at)] + shift
}

// Offset is how many seconds the zone's clocks are ahead of UTC at an instant.
func (z *Zone) Offset(instant int64) int64 {
	return z.offsets[z.stretch(instant)]
}

// Civil is what the zone's clocks show at an instant.
func (z *Zone) Civil(instant int64) Civil { return Civil(instant + z.Offset(instant)) }

// stretch finds the stretch of constant offset around an instant, in the table that later instants are moved into.
func (z *Zone) stretch(instant int64) int {
	if len(z.starts) == 1 {
		return 0
	}
	if instant >= tableEnd-daySeconds {
		instant -= ceilDiv(instant-(tableEnd-daySeconds)+1, cycle) * cycle
	}
	i := z.near(instant)
	for i+1 < len(z.starts) && z.starts[i+1] <= instant {
		i++
	}
	return i
}

// segment finds the stretch whose offset a civil time takes: the first with at < bounds. A skipped time takes the offset before
// the gap, which moves it forward by the gap; an ambiguous one takes the earlier stretch.
func (z *Zone) segment(at int64) int {
	i := z.near(at - 2*daySeconds)
	for z.bounds[i] <= at {
		i++
	}
	return i
}

// stretchOf gives the offset that civil times from c on take, the civil time from which that is no longer so, and the one from
// which they are skipped ones (until when they are in the gap).
func (z *Zone) stretchOf(c Civil) (offset int64, until, gap Civil) {
	at, shift := int64(c), int64(0)
	if len(z.starts) == 1 {
		return z.offsets[0], math.MaxInt64, math.MaxInt64
	}
	if at >= tableEnd-daySeconds {
		shift = ceilDiv(at-(tableEnd-daySeconds)+1, cycle) * cycle
		at -= shift
	}
	i, end := z.segment(at), Civil(tableEnd-daySeconds+shift)
	if z.bounds[i] == math.MaxInt64 {
		return z.offsets[i], end, end
	}
	until = min(Civil(z.bounds[i]+shift), end)
	return z.offsets[i], until, min(Civil(z.starts[i+1]+z.offsets[i]+shift), until)
}

// Changes lists the instants in [from, to) at which the zone's offset changes.
func (z *Zone) Changes(from, to int64) []int64 {
	var out []int64
	i := sort.Search(len(z.starts), func(i int) bool { return z.starts[i] >= from })
	for ; i < len(z.starts) && z.starts[i] < to; i++ {
		if i > 0 {
			out = append(out, z.starts[i])
		}
	}
	return out
}
