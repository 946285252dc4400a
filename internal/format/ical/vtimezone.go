package ical

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"ward/internal/base/fault"
)

func sortedNames(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// Timezone is the zone as a VTIMEZONE (RFC 5545 §3.6.5) that holds between two instants: each clock change is written out.
func (z *Zone) Timezone(from, to int64) *Component {
	c := &Component{Name: "VTIMEZONE"}
	c.Add("TZID", z.name)
	add := func(at, before, after int64) {
		name := "STANDARD"
		if after > before {
			name = "DAYLIGHT"
		}
		o := &Component{Name: name}
		o.Add("DTSTART", Civil(at+before).String())
		o.Add("TZOFFSETFROM", offsetText(before))
		o.Add("TZOFFSETTO", offsetText(after))
		c.Components = append(c.Components, o)
	}
	first := z.Offset(from)
	add(from, first, first)
	for _, at := range z.Changes(from+1, to) {
		add(at, z.Offset(at-1), z.Offset(at))
	}
	return c
}

// offsetText is a UTC-OFFSET (RFC 5545 §3.3.14).
func offsetText(seconds int64) string {
	sign := '+'
	if seconds < 0 {
		sign, seconds = '-', -seconds
	}
	text := fmt.Sprintf("%c%02d%02d", sign, seconds/hourSeconds, seconds/60%60)
	if seconds%60 != 0 {
		text += fmt.Sprintf("%02d", seconds%60)
	}
	return text
}

// Zones finds the zones that a calendar's TZIDs mean: by the IANA name itself, one at the TZID's end, or the VTIMEZONE's X-LIC-LOCATION.
func (c *Component) Zones() map[string]*Zone {
	found := map[string]*Zone{}
	for _, sub := range c.Components {
		if sub.Name != "VTIMEZONE" {
			continue
		}
		id := sub.Text("TZID")
		for _, name := range []string{id, sub.Text("X-LIC-LOCATION")} {
			if z, err := ZoneOf(name); err == nil {
				found[id] = z
				break
			}
		}
	}
	return found
}

// ZoneOf is the zone that a TZID means: an IANA name, or anything that ends in one, such as /example.org/Europe/London.
func ZoneOf(id string) (*Zone, error) {
	if z, err := LoadZone(id); err == nil {
		return z, nil
	}
	parts := strings.Split(id, "/")
	for n := 3; n >= 2; n-- {
		if len(parts) > n {
			if z, err := LoadZone(strings.Join(parts[len(parts)-n:], "/")); err == nil {
				return z, nil
			}
		}
	}
	return nil, fault.New(fault.CodeInvalid, "TZID names an unknown time zone: it must be a name of the IANA time zone database such as America/New_York, or its VTIMEZONE must give one as X-LIC-LOCATION")
}
