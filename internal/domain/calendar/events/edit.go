package events

import (
	"context"
	"slices"

	"ward/internal/base/fault"
	"ward/internal/format/ical"
)

// Create stores a new event and gives it with its id and version.
//
// Errors: Invalid, Conflict when an event has its UID.
func (s *Service) Create(ctx context.Context, e *Event) (_ *Event, err error) {
	defer fault.Op(&err, "events.Create")
	e.ID, e.Version = "", 0
	r, err := compile(e)
	if err != nil {
		return nil, err
	}
	var uids []string
	if e.UID != "" {
		uids = []string{e.UID}
	}
	_, err = s.apply(ctx, edit{uids: uids, change: func(have map[string]stored, known map[string]string) ([]*ready, []string, error) {
		if id, is := known[e.UID]; is && have[id].Event != nil {
			return nil, nil, fault.Conflict("there is an event with this uid already")
		} else if is {
			e.ID = id
		}
		return []*ready{r}, nil, nil
	}})
	return e, err
}

// Read gives an event.
//
// Errors: NotFound, Gone.
func (s *Service) Read(ctx context.Context, id string) (_ *Event, err error) {
	defer fault.Op(&err, "events.Read", id)
	have, err := s.events(ctx, []string{id})
	if err != nil {
		return nil, err
	}
	return existing(have, id, 0)
}

// existing is an event that is there, in the version that the caller knows; 0 is any.
func existing(have map[string]stored, id string, version int64) (*Event, error) {
	e, ok := have[id]
	switch {
	case !ok:
		return nil, fault.NotFound("there is no event with this id")
	case e.Event == nil:
		return nil, fault.Gone("the event was deleted")
	case version != 0 && version != e.ver:
		return nil, fault.Precondition("the event has changed: its version is %d", e.ver)
	}
	return e.Event, nil
}

// guard says whether the caller may change an event.
type guard func(was *Event) error

// Update replaces an event. version is the one that the caller knows; 0 is any.
//
// Errors: Invalid, NotFound, Gone, Precondition, the guard's.
func (s *Service) Update(ctx context.Context, id string, version int64, e *Event, may guard) (_ *Event, err error) {
	defer fault.Op(&err, "events.Update", id)
	e.ID = id
	r, err := compile(e)
	if err != nil {
		return nil, err
	}
	_, err = s.apply(ctx, edit{ids: []string{id}, change: func(have map[string]stored, _ map[string]string) ([]*ready, []string, error) {
		was, err := existing(have, id, version)
		if err == nil {
			err = may(was)
		}
		if err != nil {
			return nil, nil, err
		}
		if e.UID != "" && e.UID != was.UID {
			return nil, nil, fault.Invalid("uid can't be changed")
		}
		e.UID = was.UID
		return []*ready{r}, nil, nil
	}})
	return e, err
}

// Delete removes an event.
//
// Errors: NotFound, Gone, Precondition, the guard's.
func (s *Service) Delete(ctx context.Context, id string, version int64, may guard) (err error) {
	defer fault.Op(&err, "events.Delete", id)
	_, err = s.apply(ctx, edit{ids: []string{id}, change: func(have map[string]stored, _ map[string]string) ([]*ready, []string, error) {
		was, err := existing(have, id, version)
		if err == nil {
			err = may(was)
		}
		return nil, []string{id}, err
	}})
	return err
}

// Change is what an edit of a series does to some of its occurrences. Empty fields stay.
type Change struct {
	Scope      string `json:"scope"`      // this, following or all
	Recurrence string `json:"recurrence"` // the start that the rule gives the occurrence, on the clocks of tz
	Cancel     bool   `json:"cancel,omitempty"`

	Start       string `json:"start,omitempty"` // of this occurrence; following ones and all move by as much
	End         string `json:"end,omitempty"`
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
	Location    string `json:"location,omitempty"`
	Status      string `json:"status,omitempty"`
}

// Edit changes one occurrence, it and those after it, or all. It gives the events that the series is now: none when it was
// cancelled as a whole, two when it was split.
//
// Errors: Invalid, NotFound for an occurrence that is not one, Gone, Precondition, the guard's.
func (s *Service) Edit(ctx context.Context, id string, version int64, c *Change, may guard) (list []*Event, err error) {
	defer fault.Op(&err, "events.Edit", id)
	if !slices.Contains([]string{"this", "following", "all"}, c.Scope) {
		return nil, fault.Invalid("scope must be one of this, following, all")
	}
	written, err := s.apply(ctx, edit{ids: []string{id}, change: func(have map[string]stored, _ map[string]string) ([]*ready, []string, error) {
		was, err := existing(have, id, version)
		if err == nil {
			err = may(was)
		}
		if err != nil {
			return nil, nil, err
		}
		r, err := compile(was)
		if err != nil {
			return nil, nil, err
		}
		return r.edit(c)
	}})
	for _, r := range written {
		list = append(list, r.Event)
	}
	return list, err
}

func (r *ready) edit(c *Change) (puts []*ready, drops []string, err error) {
	m, err := parseTime("recurrence", c.Recurrence)
	if err != nil {
		return nil, nil, err
	}
	at, ok := r.series.At(r.series.Zone().Instant(m.Civil))
	if !ok || m.Date != r.allDay {
		return nil, nil, fault.NotFound("the series has no occurrence that starts at recurrence")
	}
	scope := c.Scope
	if scope == "following" && at.Start <= r.earliest {
		scope = "all"
	}
	if scope == "all" && c.Cancel {
		return nil, []string{r.ID}, nil
	}
	var next []*Event
	switch scope {
	case "this":
		next = []*Event{r.one(c, at)}
	case "all":
		e := r.clone()
		if err := shift(e, r, c, at); err != nil {
			return nil, nil, err
		}
		next = []*Event{e}
	default:
		if next, err = r.split(c, at); err != nil {
			return nil, nil, err
		}
	}
	for _, e := range next {
		p, err := compile(e)
		if err != nil {
			return nil, nil, err
		}
		puts = append(puts, p)
	}
	return puts, nil, nil
}

func (r *ready) clone() *Event {
	e := *r.Event
	e.source = ""
	e.Subscribers, e.Overrides, e.RDates, e.ExDates = slices.Clone(e.Subscribers), slices.Clone(e.Overrides), slices.Clone(e.RDates), slices.Clone(e.ExDates)
	return &e
}

// one is the event with one occurrence changed.
func (r *ready) one(c *Change, at ical.Occurrence) *Event {
	e := r.clone()
	o := Override{Recurrence: timeText(at.Local, r.allDay)}
	i := -1
	if was, is := r.overrides[at.Start]; is {
		i = slices.IndexFunc(e.Overrides, func(o Override) bool { return o.Recurrence == was.Recurrence })
		o = e.Overrides[i]
	}
	o.Cancelled = c.Cancel
	for _, f := range []struct {
		to   *string
		from string
	}{{&o.Start, c.Start}, {&o.End, c.End}, {&o.Title, c.Title}, {&o.Description, c.Description}, {&o.Location, c.Location}, {&o.Status, c.Status}} {
		if f.from != "" {
			*f.to = f.from
		}
	}
	if i >= 0 {
		e.Overrides[i] = o
	} else {
		e.Overrides = append(e.Overrides, o)
	}
	return e
}

// split is the series up to an occurrence, and the one that begins with it, changed.
func (r *ready) split(c *Change, at ical.Occurrence) ([]*Event, error) {
	before, after, err := r.series.Split(at.Start)
	if err != nil {
		return nil, err
	}
	first, second := r.clone(), r.clone()
	r.describe(first, before, func(start int64) bool { return start < at.Start })
	if c.Cancel {
		return []*Event{first}, nil
	}
	r.describe(second, after, func(start int64) bool { return start >= at.Start })
	second.ID, second.UID, second.Version = "", "", 0
	half, err := compile(second)
	if err != nil {
		return nil, err
	}
	if err := shift(second, half, c, at); err != nil {
		return nil, err
	}
	return []*Event{first, second}, nil
}

// describe writes a part of the series into an event, with the overrides that belong to it.
func (r *ready) describe(e *Event, s *ical.Series, belongs func(start int64) bool) {
	d := s.Definition()
	length := r.wallLength()
	e.Start, e.End = timeText(d.Start.Civil, r.allDay), timeText(d.Start.Civil+length, r.allDay)
	e.RRule = ""
	if d.Rule != nil {
		e.RRule = d.Rule.String()
	}
	texts := func(list []ical.Moment) (out []string) {
		for _, m := range list {
			text := timeText(m.Civil, m.Date)
			if m.UTC {
				text += "Z"
			}
			out = append(out, text)
		}
		return out
	}
	e.RDates, e.ExDates = texts(d.RDates), texts(d.ExDates)
	e.Overrides = slices.DeleteFunc(e.Overrides, func(o Override) bool {
		m, err := parseTime("overrides.recurrence", o.Recurrence)
		return err != nil || !belongs(r.series.Zone().Instant(m.Civil))
	})
}

// wallLength is the length of the first occurrence on the wall clock.
func (r *ready) wallLength() ical.Civil {
	from, err := parseTime("start", r.Start)
	to, err2 := parseTime("end", r.End)
	if err != nil || err2 != nil {
		return 0
	}
	return to.Civil - from.Civil
}

// shift makes a change to a whole series: an occurrence's new time moves all by as much on the wall clock.
func shift(e *Event, r *ready, c *Change, at ical.Occurrence) error {
	for _, f := range []struct {
		to   *string
		from string
	}{{&e.Title, c.Title}, {&e.Description, c.Description}, {&e.Location, c.Location}, {&e.Status, c.Status}} {
		if f.from != "" {
			*f.to = f.from
		}
	}
	length := r.wallLength()
	local := at.Local
	if c.Start != "" {
		m, err := parseTime("start", c.Start)
		if err != nil {
			return err
		}
		local = m.Civil
	}
	if c.End != "" {
		m, err := parseTime("end", c.End)
		if err != nil {
			return err
		}
		length = m.Civil - local
	}
	by := local - at.Local
	rule := r.series.Definition().Rule
	if rule != nil && by != 0 {
		moved, err := moveRule(*rule, r, by, int((local.Midnight()-at.Local.Midnight())/86400))
		if err != nil {
			return err
		}
		e.RRule = moved.String()
	}
	move(e, r, by)
	start := r.series.First().Local + by
	e.Start, e.End = timeText(start, r.allDay), timeText(start+length, r.allDay)
	return nil
}

// moveRule is a rule whose occurrences are later by so much on the wall clock, and on other days when they are.
func moveRule(rule ical.Rule, r *ready, by ical.Civil, days int) (ical.Rule, error) {
	named := len(rule.ByMonth)+len(rule.ByWeekNo)+len(rule.ByYearDay)+len(rule.ByMonthDay)+len(rule.BySetPos) > 0
	if len(rule.ByHour)+len(rule.ByMinute)+len(rule.BySecond) > 0 || days != 0 && (named || len(rule.ByDay) > 0 && rule.Freq != ical.Weekly) {
		return rule, fault.Invalid("the series can't move like this, because its rrule names days or times: replace the event with another rrule instead")
	}
	if days != 0 {
		rule.ByDay = slices.Clone(rule.ByDay)
		for i := range rule.ByDay {
			rule.ByDay[i].Day = ((rule.ByDay[i].Day+days)%7 + 7) % 7
		}
	}
	if rule.Until != nil {
		until := *rule.Until
		if until.UTC && r.TZ != "" {
			until = ical.Moment{Civil: r.series.Zone().Civil(int64(until.Civil))}
		}
		until.Civil += by
		rule.Until = &until
	}
	return rule, nil
}

// move moves what names occurrences along with a series.
func move(e *Event, r *ready, by ical.Civil) {
	if by == 0 {
		return
	}
	text := func(s string) string {
		m, err := parseTime("", s)
		if err != nil || m.Date && !r.allDay {
			return s
		}
		if m.UTC {
			return timeText(r.series.Zone().Civil(int64(m.Civil))+by, false)
		}
		return timeText(m.Civil+by, m.Date)
	}
	for i := range e.RDates {
		e.RDates[i] = text(e.RDates[i])
	}
	for i := range e.ExDates {
		e.ExDates[i] = text(e.ExDates[i])
	}
	for i := range e.Overrides {
		e.Overrides[i].Recurrence = text(e.Overrides[i].Recurrence)
	}
}
