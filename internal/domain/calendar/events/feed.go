package events

import (
	"context"

	"ward/internal/base/fault"
	"ward/internal/kernel/audit"
)

// maxFeed is how many events a feed has.
const maxFeed = 5_000

// Feed is the calendar as iCalendar for whoever has its address: the events that have occurrences in [from, to), seconds since 1970. They
// say when the subscriber is busy; with titles also what and where it is, unless it is private. Who else is there, descriptions,
// reminders and the UIDs of other systems it never tells. It is recorded as an export.
//
// Errors: TooCostly for too many events.
func (c *Calendar) Feed(ctx context.Context, from, to int64, titles bool) (text []byte, err error) {
	defer fault.Op(&err, "events.Feed")
	found, err := c.Between(ctx, from, to)
	if err != nil {
		return nil, err
	}
	var list []*ready
	for i := range found {
		if !found[i].Happens(from, to) {
			continue
		}
		r, err := compile(found[i].ready.veiled(titles))
		if err != nil {
			return nil, fault.Internal("a stored event can't be understood").With(err)
		}
		list = append(list, r)
	}
	if len(list) > maxFeed {
		return nil, fault.TooCostly("this feed has more than %d events", maxFeed)
	}
	if err := c.s.seen(ctx, audit.Export, "", []string{c.Subscriber}, ""); err != nil {
		return nil, err
	}
	file := calendarOf(list, c.s.deps.Clock.Now())
	file.Add("REFRESH-INTERVAL", "PT1H", "VALUE", "DURATION") // RFC 7986 §5.7
	return file.Append(nil), nil
}

// veiled is what a feed tells of an event.
func (r *ready) veiled(titles bool) *Event {
	titles = titles && r.Visibility != "private"
	e := &Event{
		ID: r.ID, Version: r.Version, Updated: r.Updated, Organization: r.Organization, Subscribers: r.Subscribers, Title: "Busy", Status: r.Status, Free: r.Free,
		Start: r.Start, End: r.End, TZ: r.TZ, RRule: r.RRule, RDates: r.RDates, ExDates: r.ExDates,
	}
	if titles {
		e.Title, e.Location = r.Title, r.Location
	}
	for _, o := range r.Overrides {
		kept := Override{Recurrence: o.Recurrence, Cancelled: o.Cancelled, Start: o.Start, End: o.End, Status: o.Status}
		if titles {
			kept.Title, kept.Location = o.Title, o.Location
		}
		e.Overrides = append(e.Overrides, kept)
	}
	return e
}
