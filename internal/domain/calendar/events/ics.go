package events

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"ward/internal/base/fault"
	"ward/internal/format/ical"
)

// What one file may have.
const (
	maxImported = 5_000  // events
	maxEntries  = 20_000 // events in calendars: events × subscribers
	maxZones    = 500
)

// calendarOf is the events as an iCalendar object (RFC 5545), with the time zones that they use.
func calendarOf(list []*ready, stamp time.Time) *ical.Component {
	c := emptyCalendar()
	zones := map[string][2]int64{}
	for _, r := range list {
		if r.TZ == "" {
			continue
		}
		span, is := zones[r.TZ]
		if !is {
			span = [2]int64{r.earliest, math.MinInt64}
		}
		const years = 10 * 366 * 86400 // of a series without an end that are written out
		zones[r.TZ] = [2]int64{min(span[0], r.earliest), max(span[1], min(r.latest, max(stamp.Unix(), r.earliest)+years))}
	}
	names := make([]string, 0, len(zones))
	for name := range zones {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if zone, err := ical.LoadZone(name); err == nil && zone != ical.UTC {
			c.Components = append(c.Components, zone.Timezone(zones[name][0], zones[name][1]))
		}
	}
	for _, r := range list {
		c.Components = append(c.Components, r.components(stamp)...)
	}
	return c
}

func emptyCalendar() *ical.Component {
	c := &ical.Component{Name: "VCALENDAR"}
	c.Add("VERSION", "2.0")
	c.Add("PRODID", "-//Ward//Calendar//EN")
	return c
}

// components are the event's VEVENTs: the series, and one for each occurrence that is changed.
func (r *ready) components(stamp time.Time) []*ical.Component {
	d := r.series.Definition()
	if updated, err := time.Parse(time.RFC3339, r.Updated); err == nil {
		stamp = updated
	}
	at := stamp.UTC().Format("20060102T150405Z")
	uid := ical.Escape(r.uid())
	master := &ical.Component{Name: "VEVENT"}
	master.Add("UID", uid)
	master.Add("DTSTAMP", at)
	master.Add("SEQUENCE", strconv.FormatInt(r.Version-1, 10))
	r.addTime(master, "DTSTART", d.Start.Civil)
	r.addTime(master, "DTEND", d.Start.Civil+r.wallLength())
	if d.Rule != nil {
		rule := *d.Rule
		if u := rule.Until; u != nil && !u.UTC && !u.Date && r.TZ != "" { // RFC 5545 §3.3.10: in UTC when DTSTART has a zone
			rule.Until = &ical.Moment{Civil: ical.Civil(r.series.Zone().Instant(u.Civil)), UTC: true}
		}
		master.Add("RRULE", rule.String())
	}
	for i, list := range [][]ical.Moment{d.RDates, d.ExDates} {
		name := []string{"RDATE", "EXDATE"}[i]
		for _, m := range list {
			switch {
			case m.UTC:
				master.Add(name, m.String())
			case m.Date:
				master.Add(name, m.String(), "VALUE", "DATE")
			default:
				r.addTime(master, name, m.Civil)
			}
		}
	}
	r.describeIn(master, nil)
	list := []*ical.Component{master}
	for i := range r.Overrides {
		o := &r.Overrides[i]
		m, err := parseTime("overrides.recurrence", o.Recurrence)
		if err != nil {
			continue // it was checked
		}
		if o.Cancelled {
			r.addTime(master, "EXDATE", m.Civil)
			continue
		}
		changed := r.overrides[r.series.Zone().Instant(m.Civil)]
		c := &ical.Component{Name: "VEVENT"}
		c.Add("UID", uid)
		c.Add("DTSTAMP", at)
		c.Add("SEQUENCE", strconv.FormatInt(r.Version-1, 10))
		r.addTime(c, "RECURRENCE-ID", m.Civil)
		r.addTime(c, "DTSTART", changed.local)
		r.addTime(c, "DTEND", r.series.Zone().Civil(changed.end))
		r.describeIn(c, o)
		list = append(list, c)
	}
	return list
}

// uid is the event's UID; of what is hidden, that is too.
func (r *ready) uid() string { return cmp.Or(r.UID, r.ID) }

// describeIn adds to a VEVENT what the event, or one changed occurrence of it, is.
func (r *ready) describeIn(c *ical.Component, o *Override) {
	if o == nil {
		o = &Override{}
	}
	title, status := cmp.Or(o.Title, r.Title), cmp.Or(o.Status, r.Status)
	for _, p := range [][2]string{
		{"SUMMARY", title}, {"DESCRIPTION", cmp.Or(o.Description, r.Description)}, {"LOCATION", cmp.Or(o.Location, r.Location)}, {"CATEGORIES", r.Category},
	} {
		if p[1] != "" {
			c.Add(p[0], ical.Escape(p[1]))
		}
	}
	if status != "" {
		c.Add("STATUS", strings.ToUpper(status))
	}
	if r.Visibility == "private" {
		c.Add("CLASS", "PRIVATE")
	}
	if r.Free {
		c.Add("TRANSP", "TRANSPARENT")
	}
	for _, minutes := range r.Reminders {
		alarm := &ical.Component{Name: "VALARM"}
		alarm.Add("ACTION", "DISPLAY")
		alarm.Add("DESCRIPTION", ical.Escape(title))
		alarm.Add("TRIGGER", fmt.Sprintf("-PT%dM", minutes))
		c.Components = append(c.Components, alarm)
	}
}

// addTime adds a time of the event: a date, a time in its zone, in UTC, or a floating one.
func (r *ready) addTime(c *ical.Component, name string, at ical.Civil) {
	switch {
	case r.allDay:
		c.Add(name, ical.Moment{Civil: at, Date: true}.String(), "VALUE", "DATE")
	case r.series.Zone() == ical.UTC && r.TZ != "":
		c.Add(name, ical.Moment{Civil: at, UTC: true}.String())
	case r.TZ != "":
		c.Add(name, at.String(), "TZID", r.TZ)
	default:
		c.Add(name, at.String())
	}
}

// importer makes events of an iCalendar object.
type importer struct {
	zones        map[string]*ical.Zone
	organization string
	subscribers  []string
	events       map[string]*Event
	zoneOf       map[string]*ical.Zone
	uids         []string
	overrides    map[string][]*ical.Component
}

// eventsOf are the events of a calendar, for an organisation and subscribers. It fails with Invalid, which names the event by its place and
// the property, and gives all events or none.
func eventsOf(c *ical.Component, organization string, subscribers []string) ([]*ready, error) {
	zones := 0
	for _, sub := range c.Components {
		if sub.Name == "VTIMEZONE" {
			zones++
		}
	}
	if zones > maxZones {
		return nil, fault.Invalid("the calendar has more than %d VTIMEZONEs", maxZones)
	}
	m := &importer{zones: c.Zones(), organization: organization, subscribers: subscribers, events: map[string]*Event{}, zoneOf: map[string]*ical.Zone{}, overrides: map[string][]*ical.Component{}}
	n := 0
	for _, event := range c.Components {
		if event.Name != "VEVENT" {
			continue
		}
		n++
		if err := m.take(event); err != nil {
			return nil, place(n, err)
		}
	}
	var list []*ready
	for i, uid := range m.uids {
		e := m.events[uid]
		for _, o := range m.overrides[uid] {
			if err := m.override(e, m.zoneOf[uid], o); err != nil {
				return nil, place(i+1, err)
			}
		}
		r, err := compile(e)
		if err != nil {
			return nil, place(i+1, err)
		}
		list = append(list, r)
		delete(m.overrides, uid)
	}
	if len(m.overrides) > 0 {
		return nil, fault.Invalid("the calendar has a VEVENT with RECURRENCE-ID without the series that it changes: both must be there")
	}
	return list, nil
}

// place says which event an error is about.
func place(n int, err error) error {
	f, ok := fault.Of(err)
	if !ok || f.Code != fault.CodeInvalid {
		return err
	}
	field, rest, _ := strings.Cut(f.Message, " ")
	if name, ok := propertyOf[field]; ok {
		return fault.Invalid("event %d of the calendar: %s %s", n, name, rest)
	}
	return fault.Invalid("event %d of the calendar: %s", n, f.Message)
}

// propertyOf is from which property a field of an event comes.
//
//nolint:gochecknoglobals // constant table
var propertyOf = map[string]string{
	"uid": "UID", "title": "SUMMARY", "description": "DESCRIPTION", "location": "LOCATION", "category": "CATEGORIES", "status": "STATUS", "start": "DTSTART", "end": "DTEND",
	"rrule": "RRULE", "rdates": "RDATE", "exdates": "EXDATE", "overrides.recurrence": "RECURRENCE-ID", "overrides.start": "DTSTART beside RECURRENCE-ID",
	"overrides.end": "DTEND beside RECURRENCE-ID", "overrides.title": "SUMMARY beside RECURRENCE-ID", "overrides.description": "DESCRIPTION beside RECURRENCE-ID",
	"overrides.location": "LOCATION beside RECURRENCE-ID", "overrides.status": "STATUS beside RECURRENCE-ID",
}

// take reads a VEVENT.
func (m *importer) take(c *ical.Component) error {
	uid := c.Text("UID")
	if uid == "" {
		return fault.Invalid("UID must be there")
	}
	if _, is := c.Get("RECURRENCE-ID"); is {
		m.overrides[uid] = append(m.overrides[uid], c)
		return nil
	}
	if len(m.uids) == maxImported {
		return fault.Invalid("is one too many: import up to %d at once", maxImported)
	}
	if m.events[uid] != nil {
		return fault.Invalid("UID must be there once, but for VEVENTs with RECURRENCE-ID")
	}
	e := &Event{
		UID: uid, Organization: m.organization, Subscribers: slices.Clone(m.subscribers), Title: c.Text("SUMMARY"), Description: c.Text("DESCRIPTION"),
		Location: c.Text("LOCATION"), Category: c.Text("CATEGORIES"), Status: strings.ToLower(c.Text("STATUS")), Free: strings.EqualFold(c.Text("TRANSP"), "TRANSPARENT"),
	}
	if e.Title == "" {
		e.Title = "Untitled"
	}
	if class := strings.ToUpper(c.Text("CLASS")); class == "PRIVATE" || class == "CONFIDENTIAL" {
		e.Visibility = "private"
	}
	start, zone, err := m.time(c, "DTSTART")
	if err != nil {
		return err
	}
	if zone != nil {
		e.TZ = zone.Name()
	}
	end, err := m.end(c, start, zone)
	if err != nil {
		return err
	}
	e.Start, e.End = timeText(start.Civil, start.Date), timeText(end, start.Date)
	for _, p := range c.Properties {
		switch p.Name {
		case "RRULE":
			if e.RRule != "" {
				return fault.Invalid("RRULE may come once")
			}
			e.RRule = p.Value
		case "RDATE", "EXDATE":
			for value := range strings.SplitSeq(p.Value, ",") {
				at, from, err := m.moment(ical.Property{Name: p.Name, Params: p.Params, Value: value})
				if err != nil {
					return err
				}
				text := timeText(at.Civil, at.Date)
				if from != nil && from != zone && zone != nil {
					text = timeText(zone.Civil(from.Instant(at.Civil)), false)
				}
				if p.Name == "RDATE" {
					e.RDates = append(e.RDates, text)
				} else {
					e.ExDates = append(e.ExDates, text)
				}
			}
		case "EXRULE":
			return fault.Invalid("EXRULE is not supported (RFC 5545 has none): use EXDATE")
		}
	}
	for _, alarm := range c.Components {
		if minutes, ok := trigger(alarm); ok && len(e.Reminders) < maxReminders {
			e.Reminders = append(e.Reminders, minutes)
		}
	}
	m.events[uid], m.zoneOf[uid] = e, zone
	m.uids = append(m.uids, uid)
	return nil
}

// override adds a VEVENT with RECURRENCE-ID to its series.
func (m *importer) override(e *Event, zone *ical.Zone, c *ical.Component) error {
	in := func(name string) (string, ical.Moment, error) {
		at, from, err := m.time(c, name)
		if err != nil {
			return "", at, err
		}
		if from != nil && zone != nil && from != zone {
			at = ical.Moment{Civil: zone.Civil(from.Instant(at.Civil))}
		}
		return timeText(at.Civil, at.Date), at, nil
	}
	if p, _ := c.Get("RECURRENCE-ID"); p.Params["RANGE"] != "" {
		return fault.Invalid("RECURRENCE-ID may not have RANGE: split the series instead, with an event of its own for the later occurrences")
	}
	o := Override{Cancelled: strings.EqualFold(c.Text("STATUS"), "CANCELLED")}
	var err error
	if o.Recurrence, _, err = in("RECURRENCE-ID"); err != nil {
		return err
	}
	if !o.Cancelled {
		var start ical.Moment
		if o.Start, start, err = in("DTSTART"); err != nil {
			return err
		}
		own, from, err := m.time(c, "DTSTART")
		if err != nil {
			return err
		}
		end, err := m.end(c, own, from)
		if err != nil {
			return err
		}
		o.End = timeText(start.Civil+end-own.Civil, start.Date)
		if o.Title = c.Text("SUMMARY"); o.Title == e.Title {
			o.Title = ""
		}
		o.Location, o.Description, o.Status = c.Text("LOCATION"), c.Text("DESCRIPTION"), strings.ToLower(c.Text("STATUS"))
	}
	e.Overrides = append(e.Overrides, o)
	return nil
}

// time reads a property that is a date or time, with its zone: nil for dates and floating times.
func (m *importer) time(c *ical.Component, name string) (ical.Moment, *ical.Zone, error) {
	p, ok := c.Get(name)
	if !ok {
		return ical.Moment{}, nil, fault.Invalid("%s must be there", name)
	}
	return m.moment(p)
}

func (m *importer) moment(p ical.Property) (ical.Moment, *ical.Zone, error) {
	at, err := ical.ParseMoment(p.Name, p.Value)
	if err != nil {
		return at, nil, err
	}
	switch id := p.Params["TZID"]; {
	case at.Date:
		return at, nil, nil
	case at.UTC:
		return ical.Moment{Civil: at.Civil}, ical.UTC, nil
	case id != "":
		zone := m.zones[id]
		if zone == nil {
			zone, err = ical.ZoneOf(id)
		}
		return at, zone, err
	}
	return at, nil, nil
}

// end is when an event ends on the clocks of its start (RFC 5545 §3.6.1).
func (m *importer) end(c *ical.Component, start ical.Moment, zone *ical.Zone) (ical.Civil, error) {
	if _, is := c.Get("DTEND"); is {
		end, from, err := m.time(c, "DTEND")
		if err != nil {
			return 0, err
		}
		if end.Date != start.Date {
			return 0, fault.Invalid("DTEND must be a date when DTSTART is one, and a time when DTSTART is")
		}
		if from != nil && zone != nil && from != zone {
			return zone.Civil(from.Instant(end.Civil)), nil
		}
		return end.Civil, nil
	}
	if p, is := c.Get("DURATION"); is {
		seconds, ok := durationOf(p.Value)
		if !ok || seconds < 0 {
			return 0, fault.Invalid("DURATION must be a positive length of time such as PT30M, PT1H30M, P1D or P2W")
		}
		if zone != nil && seconds%86400 != 0 {
			return zone.Civil(zone.Instant(start.Civil) + seconds), nil
		}
		return start.Civil + ical.Civil(seconds), nil
	}
	if start.Date {
		return start.Civil + 86400, nil
	}
	return start.Civil, nil
}

var durationPattern = regexp.MustCompile(`^([+-]?)P(?:(\d{1,4})W)?(?:(\d{1,5})D)?(?:T(?:(\d{1,5})H)?(?:(\d{1,7})M)?(?:(\d{1,8})S)?)?$`)

// durationOf reads a DURATION (RFC 5545 §3.3.6), in seconds.
func durationOf(text string) (seconds int64, ok bool) {
	parts := durationPattern.FindStringSubmatch(text)
	if parts == nil || strings.Join(parts[2:], "") == "" {
		return 0, false
	}
	for i, unit := range []int64{7 * 86400, 86400, 3600, 60, 1} {
		if parts[i+2] != "" {
			n, err := strconv.ParseInt(parts[i+2], 10, 64)
			if err != nil {
				return 0, false
			}
			seconds += n * unit
		}
	}
	if parts[1] == "-" {
		seconds = -seconds
	}
	return seconds, true
}

// trigger is for how many minutes before the start an alarm goes off; false for alarms of another kind.
func trigger(alarm *ical.Component) (minutes int, ok bool) {
	p, is := alarm.Get("TRIGGER")
	if alarm.Name != "VALARM" || !is || strings.EqualFold(p.Params["RELATED"], "END") {
		return 0, false
	}
	seconds, ok := durationOf(p.Value)
	if !ok || seconds > 0 || -seconds > 60*24*3600 {
		return 0, false
	}
	return int(-seconds / 60), true
}
