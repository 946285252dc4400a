package dav

import (
	"math"
	"strings"
	"time"

	"ward/internal/base/fault"
	"ward/internal/domain/calendar/events"
	"ward/internal/format/ical"
)

// span is a time [from, to), in seconds since 1970.
type span struct{ from, to int64 }

// whole is all time that calendars have.
//
//nolint:gochecknoglobals // constant
var whole = span{math.MinInt64 / 4, math.MaxInt64 / 4}

// spanOf reads the attributes start and end of an element (RFC 4791 §9.9). open: one of them may be left out.
func spanOf(e *element, open bool) (s span, err error) {
	s = whole
	given := 0
	for _, end := range []struct {
		name string
		to   *int64
	}{{"start", &s.from}, {"end", &s.to}} {
		text := e.attribute(end.name)
		if text == "" {
			continue
		}
		t, err := time.Parse("20060102T150405Z", text)
		if err != nil {
			return s, fault.Invalid("%s of %s must be a time in UTC such as 20260103T090000Z", end.name, e.Local)
		}
		*end.to = t.Unix()
		given++
	}
	if given == 0 || given == 1 && !open || s.from >= s.to {
		return s, fault.Invalid("%s must have a start, and an end after it", e.Local)
	}
	return s, nil
}

// filter is a CALDAV:comp-filter (RFC 4791 §9.7.1).
type filter struct {
	name       string
	undefined  bool
	span       *span
	properties []propertyFilter
	components []filter
}

// propertyFilter is a CALDAV:prop-filter or, without those, a CALDAV:param-filter (§9.7.2, §9.7.3).
type propertyFilter struct {
	name       string
	undefined  bool
	match      *textMatch
	parameters []propertyFilter
}

type textMatch struct {
	text           string
	negate, folded bool
}

// unsupported is a filter that is known and not offered.
type unsupported struct{ precondition, what string }

func (u unsupported) Error() string { return u.what }

func readFilter(e *element) (f filter, err error) {
	f.name = strings.ToUpper(e.attribute("name"))
	for _, c := range e.children {
		if c.Space != nsCalDAV {
			continue
		}
		switch c.Local {
		case "is-not-defined":
			f.undefined = true
		case "time-range":
			s, err := spanOf(c, true)
			if err != nil {
				return f, err
			}
			f.span = &s
		case "prop-filter":
			p, err := readPropertyFilter(c)
			if err != nil {
				return f, err
			}
			f.properties = append(f.properties, p)
		case "comp-filter":
			sub, err := readFilter(c)
			if err != nil {
				return f, err
			}
			f.components = append(f.components, sub)
		}
	}
	if f.span != nil && f.name != "VEVENT" && f.name != "VALARM" {
		return f, unsupported{"supported-filter", "time-range is for VEVENT and VALARM"}
	}
	return f, nil
}

func readPropertyFilter(e *element) (p propertyFilter, err error) {
	p.name = strings.ToUpper(e.attribute("name"))
	for _, c := range e.children {
		if c.Space != nsCalDAV {
			continue
		}
		switch c.Local {
		case "is-not-defined":
			p.undefined = true
		case "time-range":
			return p, unsupported{"supported-filter", "time-range is for VEVENT and VALARM, not for properties"}
		case "text-match":
			p.match = &textMatch{text: c.text, negate: c.attribute("negate-condition") == "yes"}
			switch c.attribute("collation") {
			case "", "default", "i;ascii-casemap":
				p.match.folded = true
			case "i;octet":
			default:
				return p, unsupported{"supported-collation", "collation must be i;ascii-casemap or i;octet"}
			}
		case "param-filter":
			sub, err := readPropertyFilter(c)
			if err != nil {
				return p, err
			}
			p.parameters = append(p.parameters, sub)
		}
	}
	return p, nil
}

// ascii folds the letters of ASCII alone (RFC 4790 §9.2).
func ascii(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

func (m *textMatch) matches(text string) bool {
	want := m.text
	if m.folded {
		text, want = ascii(text), ascii(want)
	}
	return strings.Contains(text, want) != m.negate
}

func (p *propertyFilter) matches(c *ical.Component) bool {
	defined := false
	for _, have := range c.Properties {
		if have.Name != p.name {
			continue
		}
		defined = true
		if !p.undefined && (p.match == nil || p.match.matches(ical.Unescape(have.Value))) && p.parametersMatch(have.Params) {
			return true
		}
	}
	return p.undefined && !defined
}

func (p *propertyFilter) parametersMatch(params map[string]string) bool {
	for _, f := range p.parameters {
		value, defined := params[f.name]
		if defined == f.undefined || defined && f.match != nil && !f.match.matches(value) {
			return false
		}
	}
	return true
}

// matches says whether an event is among what the filter of a VCALENDAR lets through.
func (f *filter) matches(o *events.Object) bool {
	file := o.Calendar()
	return f.fits(o, file)
}

// fits holds the filter against one component.
func (f *filter) fits(o *events.Object, c *ical.Component) bool {
	if f.span != nil {
		if f.name == "VEVENT" && !o.Happens(f.span.from, f.span.to) || f.name == "VALARM" && !o.Rings(f.span.from, f.span.to) {
			return false
		}
	}
	for i := range f.properties {
		if !f.properties[i].matches(c) {
			return false
		}
	}
	for i := range f.components {
		sub := &f.components[i]
		defined, fits := false, false
		for _, below := range c.Components {
			if below.Name == sub.name {
				defined = true
				fits = fits || !sub.undefined && sub.fits(o, below)
			}
		}
		if sub.undefined == defined || !sub.undefined && !fits {
			return false
		}
	}
	return true
}

// bounds is a time outside of which no event fits.
func (f *filter) bounds() span {
	for i := range f.components {
		if c := &f.components[i]; c.name == "VEVENT" && c.span != nil {
			return *c.span
		}
	}
	return whole
}
