package availability

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"ward/internal/base/fault"
	"ward/internal/base/id"
	"ward/internal/format/ical"
)

// Availability is when somebody or something can be booked, as rules: slots are computed from it, never stored. It has the id of a FHIR Schedule,
// which the calendar keeps true to it. All times of day are the wall clock's in its zone.
type Availability struct {
	ID     string `json:"id,omitempty"`
	Actor  string `json:"actor"`          // FHIR reference, such as "Practitioner/7" or "Location/3"
	Name   string `json:"name,omitempty"` // shown in the Schedule
	Zone   string `json:"zone"`           // IANA name
	Active *bool  `json:"active,omitempty"`

	Hours   []Hours `json:"hours"`
	Breaks  []Hours `json:"breaks,omitempty"`
	TimeOff []Off   `json:"timeOff,omitempty"`

	Services     []Offer  `json:"services"`
	Location     string   `json:"location,omitempty"`     // FHIR reference of where the visits are; empty for telehealth
	Organization string   `json:"organization,omitempty"` // FHIR reference of whose visits they are; empty: the tenant's first
	Specialties  []string `json:"specialty,omitempty"`    // codes, such as "394814009" or "http://snomed.info/sct|394814009"
	Step         int      `json:"step,omitempty"`         // minutes from one start to the next; 0 is the service's length
	Capacity     int      `json:"capacity,omitempty"`     // visits at one time; 0 is 1

	BufferBefore   int `json:"bufferBefore,omitempty"`   // minutes kept free before each visit
	BufferAfter    int `json:"bufferAfter,omitempty"`    // minutes kept free after it
	MinimumNotice  int `json:"minimumNotice,omitempty"`  // minutes from now to the first start that can be booked
	MaximumAdvance int `json:"maximumAdvance,omitempty"` // days from now to the last; 0 is 365

	Publish bool `json:"publish,omitempty"` // free slots are published as SMART Scheduling Links, for everybody to see

	zone          *ical.Zone
	hours, breaks []recurring
	off           [][2]int64
}

// Hours recur: by an RRULE (RFC 5545 §3.3.10) of FREQ=DAILY or longer, from one time of day to another. An end that is not after the start
// is on the next day.
type Hours struct {
	Rule  string `json:"rrule"`
	Start string `json:"start"`          // "09:00"
	End   string `json:"end"`            // "17:00", up to "24:00"
	From  string `json:"from,omitempty"` // first day, "2026-01-05"; INTERVAL and COUNT begin there
}

// Off is time away, from one local time to another.
type Off struct {
	Start string `json:"start"` // "2026-07-01T00:00"
	End   string `json:"end"`
}

// Offer is a service that can be booked.
type Offer struct {
	Service string `json:"service"`
	Minutes int    `json:"minutes,omitempty"` // 0: as the service says
}

// recurring is Hours, ready to be asked.
type recurring struct {
	series     *ical.Series
	start, end ical.Civil // seconds of the day; end is later
}

// Limits of what an availability may hold.
const (
	CellMinutes    = CellSeconds / 60
	maxHours       = 50
	maxOff         = 500
	maxCapacity    = 500
	maxAdvanceDays = 730
	DayMinutes     = 24 * 60
)

// Problems gathers what is wrong with a body, each with its part.
type Problems []fault.Detail

// Add notes what is wrong with a part, and what it may be.
func (p *Problems) Add(part, format string, args ...any) {
	*p = append(*p, fault.Detail{Severity: "error", Kind: "value", Expression: part, Message: part + ": " + fmt.Sprintf(format, args...)})
}

// From notes an error about a part; nil is none.
func (p *Problems) From(part string, err error) {
	if err != nil {
		p.Add(part, "%s", fault.Message(err))
	}
}

// Minutes checks a number of minutes, which must fill cells.
func (p *Problems) Minutes(part string, n, low int) {
	if n < low || n > DayMinutes || n%CellMinutes != 0 {
		p.Add(part, "must be %d to %d minutes, in steps of %d", low, DayMinutes, CellMinutes)
	}
}

// Err is Invalid with all of them; nil when there are none.
func (p Problems) Err(what string) error {
	if len(p) == 0 {
		return nil
	}
	texts := make([]string, len(p))
	for i, d := range p {
		texts[i] = d.Message
	}
	return fault.Invalid("%s: %s", what, strings.Join(texts, "; ")).Detail(p...)
}

// Compile checks the rules and makes them ready.
//
// Errors: Invalid, naming each part that is wrong and what it may be.
func (a *Availability) Compile() error {
	var p Problems
	if typ, rest, ok := strings.Cut(a.Actor, "/"); !ok || !id.Valid(rest) || !slices.Contains(Parties, typ) || typ == "Patient" {
		p.Add("actor", "must be a reference to a %s", strings.Join(Parties[1:], ", "))
	}
	if a.Location != "" && !IsReference(a.Location, "Location") {
		p.Add("location", "must be a reference such as Location/3")
	}
	if a.Organization != "" && !IsReference(a.Organization, "Organization") {
		p.Add("organization", "must be a reference such as Organization/3")
	}
	for i, text := range a.Specialties {
		if _, code := SplitCode(text); code == "" || len(text) > 200 || i >= maxHours {
			p.Add("specialty["+strconv.Itoa(i)+"]", "must be a code, or system|code, and %d at most", maxHours)
		}
	}
	zone, err := ical.LoadZone(a.Zone)
	p.From("zone", err)
	if a.zone = zone; zone == nil {
		a.zone = ical.UTC
	}
	if len(a.Hours) == 0 || len(a.Hours) > maxHours || len(a.Breaks) > maxHours {
		p.Add("hours", "must be 1 to %d, and at most as many breaks", maxHours)
	} else {
		a.hours = a.recurring(&p, "hours", a.Hours)
		a.breaks = a.recurring(&p, "breaks", a.Breaks)
	}
	a.timeOff(&p)
	if len(a.Services) == 0 || len(a.Services) > maxHours {
		p.Add("services", "must name 1 to %d services", maxHours)
	}
	for i, s := range a.Services {
		part := "services[" + strconv.Itoa(i) + "]"
		if !ValidKey(s.Service, MaxServiceID) {
			p.Add(part+".service", "must be a service's id")
		}
		if s.Minutes != 0 {
			p.Minutes(part+".minutes", s.Minutes, CellMinutes)
		}
	}
	if a.Capacity < 0 || a.Capacity > maxCapacity {
		p.Add("capacity", "must be 1 to %d", maxCapacity)
	}
	if a.Step != 0 {
		p.Minutes("step", a.Step, CellMinutes)
	}
	p.Minutes("bufferBefore", a.BufferBefore, 0)
	p.Minutes("bufferAfter", a.BufferAfter, 0)
	if a.MinimumNotice < 0 || a.MinimumNotice > maxAdvanceDays*DayMinutes {
		p.Add("minimumNotice", "must be 0 to %d minutes", maxAdvanceDays*DayMinutes)
	}
	if a.MaximumAdvance < 0 || a.MaximumAdvance > maxAdvanceDays {
		p.Add("maximumAdvance", "must be 1 to %d days", maxAdvanceDays)
	}
	return p.Err("the availability can't be used")
}

func (a *Availability) recurring(p *Problems, part string, list []Hours) []recurring {
	made := make([]recurring, 0, len(list))
	for i, h := range list {
		at := part + "[" + strconv.Itoa(i) + "]"
		start, okStart := timeOfDay(h.Start)
		end, okEnd := timeOfDay(h.End)
		if !okStart || start == DayMinutes {
			p.Add(at+".start", "must be a time of day from 00:00 to 23:55, in steps of %d minutes", CellMinutes)
		}
		if !okEnd {
			p.Add(at+".end", "must be a time of day from 00:00 to 24:00, in steps of %d minutes", CellMinutes)
		}
		if end <= start {
			end += DayMinutes
		}
		series, err := h.series(a.zone, start)
		p.From(at+".rrule", err)
		if err == nil {
			made = append(made, recurring{series, ical.Civil(start * 60), ical.Civil(end * 60)})
		}
	}
	return made
}

// series is the days on which the hours are, at their start.
func (h *Hours) series(zone *ical.Zone, start int) (*ical.Series, error) {
	rule, err := ical.ParseRule(h.Rule)
	if err != nil {
		return nil, err
	}
	if rule.Freq > ical.Daily || len(rule.ByHour)+len(rule.ByMinute)+len(rule.BySecond) > 0 {
		return nil, fault.Invalid("hours recur by days: FREQ must be DAILY, WEEKLY, MONTHLY or YEARLY, without BYHOUR, BYMINUTE and BYSECOND")
	}
	day := ical.MakeCivil(2020, 1, 6, 0, 0, 0) // a Monday, long ago
	if h.From != "" {
		t, err := time.Parse(time.DateOnly, h.From)
		if err != nil {
			return nil, fault.Invalid("from must be a day such as 2026-01-05")
		}
		day = ical.CivilOf(t)
	} else if rule.Count > 0 || rule.Interval > 1 {
		return nil, fault.Invalid("COUNT and INTERVAL begin on a day: name it in from")
	}
	d := ical.Definition{Start: ical.Moment{Civil: day + ical.Civil(start*60)}, Zone: zone, Rule: &rule}
	if h.From != "" && !onDay(&rule, day.Weekday()) {
		// A DTSTART counts even where it does not match its rule; a day that is none of BYDAY is not meant.
		d.ExDates = []ical.Moment{{Civil: day, Date: true}}
	}
	return ical.NewSeries(d)
}

// onDay says whether BYDAY allows a weekday, as far as it speaks of weekdays alone.
func onDay(r *ical.Rule, day time.Weekday) bool {
	for _, d := range r.ByDay {
		if d.Nth != 0 || (d.Day+1)%7 == int(day) {
			return true
		}
	}
	return len(r.ByDay) == 0
}

func (a *Availability) timeOff(p *Problems) {
	if len(a.TimeOff) > maxOff {
		p.Add("timeOff", "must be at most %d", maxOff)
		return
	}
	for i, o := range a.TimeOff {
		part := "timeOff[" + strconv.Itoa(i) + "]"
		start, errStart := localTime(o.Start)
		end, errEnd := localTime(o.End)
		if errStart != nil || errEnd != nil {
			p.Add(part, "start and end must be local times such as 2026-07-01T00:00")
			continue
		}
		if end <= start {
			p.Add(part, "must end after it starts")
			continue
		}
		a.off = append(a.off, [2]int64{a.zone.Instant(start), a.zone.Instant(end)})
	}
}

// localTime reads a local time, with seconds or without.
func localTime(s string) (ical.Civil, error) {
	t, err := time.Parse("2006-01-02T15:04", s)
	if err != nil {
		t, err = time.Parse("2006-01-02T15:04:05", s)
	}
	return ical.CivilOf(t), err
}

// timeOfDay reads "09:00" as minutes of the day.
func timeOfDay(s string) (int, bool) {
	if s == "24:00" {
		return DayMinutes, true
	}
	t, err := time.Parse("15:04", s)
	if err != nil || t.Minute()%CellMinutes != 0 {
		return 0, false
	}
	return t.Hour()*60 + t.Minute(), true
}

// Parties are the types of parties that a visit may have (FHIR R4 Appointment.participant.actor).
//
//nolint:gochecknoglobals // constant table
var Parties = []string{"Patient", "Practitioner", "PractitionerRole", "Location", "Device", "RelatedPerson", "HealthcareService"}

// IsReference says whether s is a FHIR reference to one of the types.
func IsReference(s string, types ...string) bool {
	typ, rest, ok := strings.Cut(s, "/")
	return ok && id.Valid(rest) && slices.Contains(types, typ)
}

// Ids of availabilities and services are short enough that a proposal's id holds both (see proposal).
const (
	MaxID        = 36
	MaxServiceID = 20
)

// ValidKey says whether s is 1 to most of A-Z a-z 0-9 and -.
func ValidKey(s string, most int) bool {
	return len(s) <= most && id.Valid(s) && !strings.Contains(s, ".")
}

// Bookable says whether the rules are in use.
func (a *Availability) Bookable() bool { return a.Active == nil || *a.Active }

// Seats is how many visits there may be at one time.
func (a *Availability) Seats() int32 { return int32(max(a.Capacity, 1)) } //nolint:gosec // at most maxCapacity

// Offers gives the minutes of a service, 0 when it is not offered.
func (a *Availability) Offers(s *Service) int {
	for _, o := range a.Services {
		if o.Service == s.ID {
			if o.Minutes != 0 {
				return o.Minutes
			}
			return s.Minutes
		}
	}
	return 0
}

// step is how far starts are apart, in seconds.
func (a *Availability) step(minutes int) int64 {
	if a.Step != 0 {
		minutes = a.Step
	}
	return int64(minutes) * 60
}

// bounds are the first and last start that can be booked now.
func (a *Availability) bounds(now int64) (first, last int64) {
	days := a.MaximumAdvance
	if days == 0 {
		days = 365
	}
	return now + int64(a.MinimumNotice)*60, now + int64(days)*86400
}

// Claimed are the cells that a visit takes, with its buffers.
func (a *Availability) Claimed(starts, ends int64) (from, to int32) {
	return CellOf(starts - int64(a.BufferBefore)*60), CellOf(ends + int64(a.BufferAfter)*60 + CellSeconds - 1)
}

// Place is the Location of an availability; empty without one.
func (a *Availability) Place() string {
	if strings.HasPrefix(a.Actor, "Location/") {
		return a.Actor
	}
	return a.Location
}

// SplitCode takes a token apart: system|code, or a code alone.
func SplitCode(token string) (system, code string) {
	if system, code, ok := strings.Cut(token, "|"); ok {
		return system, code
	}
	return "", token
}

// Treats says whether the rules name one of the specialties; a token without a system fits any.
func (a *Availability) Treats(tokens []string) bool {
	for _, own := range a.Specialties {
		system, code := SplitCode(own)
		for _, token := range tokens {
			if wanted, c := SplitCode(token); c == code && (wanted == "" || wanted == system) {
				return true
			}
		}
	}
	return false
}

// Clocks is the zone of the rules.
func (a *Availability) Clocks() *ical.Zone { return a.zone }
