package events

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/format/ical"
)

// Condition is what must hold of an event before it is changed (RFC 9110 §13.1). The zero Condition always holds.
type Condition struct {
	Match     []string // ETags, one of which it must have, or "*": it must be there
	NoneMatch []string // ETags that it must not have, or "*": it must not be there
}

// holds fails with Precondition unless the condition holds of what is there; nil: nothing.
func (c Condition) holds(was *Event) error {
	tag := ""
	if was != nil {
		o := Object{Event: was.ID, Version: was.Version}
		tag = o.ETag()
	}
	in := func(list []string) bool {
		return was != nil && (slices.Contains(list, "*") || slices.Contains(list, tag))
	}
	if len(c.Match) > 0 && !in(c.Match) {
		return fault.Precondition("the event has changed, or is not there: it does not have the ETag of If-Match")
	}
	if in(c.NoneMatch) {
		return fault.Precondition("the event is there already: it has the ETag of If-None-Match")
	}
	return nil
}

// RefusalError is why a file can't be an event of a calendar, in the words of RFC 4791 §5.3.2.1: the name of a precondition.
type RefusalError struct {
	Precondition string
	cause        error
}

// Error is that of the cause.
func (r *RefusalError) Error() string { return r.cause.Error() }

// Unwrap gives the cause, a fault.
func (r *RefusalError) Unwrap() error { return r.cause }

// maxName is how long a file's name may be, in bytes.
const maxName = 200

// maxSource is how large a file may be that is kept as it was sent, in bytes. What a larger one says beyond what events have is not kept.
const maxSource = 64 << 10

// Put stores a file of iCalendar as an event of the calendar, under a name: a new one, or in place of the one that has it.
//
// Errors: a [RefusalError] for what the file says; Invalid for a name that can't be one; Denied; Precondition for the condition.
func (c *Calendar) Put(ctx context.Context, name string, text []byte, when Condition) (made Object, created bool, err error) {
	defer fault.Op(&err, "events.Put")
	if err := c.changes(ctx); err != nil {
		return made, false, err
	}
	if name == "" || len(name) > maxName || !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == '/' || r == 0x7f }) {
		return made, false, fault.Invalid("the name of an event's file must be 1 to %d bytes, without control characters", maxName)
	}
	r, err := c.read(ctx, text)
	if err != nil {
		return made, false, err
	}
	scoped := c.Subscriber + " " + r.UID
	may := c.s.guard(ctx, &c.v)
	target := ""
	_, err = c.s.apply(ctx, edit{
		uids: []string{r.UID, scoped},
		find: func(ctx context.Context, q db.Querier) ([]string, error) {
			ids, err := c.resolve(ctx, q, []string{name})
			if err != nil {
				return nil, err
			}
			target = ids[0]
			return ids, nil
		},
		change: func(have map[string]stored, known map[string]string) ([]*ready, []string, error) {
			was := have[target].Event
			if was != nil && !slices.Contains(was.Subscribers, c.Subscriber) {
				was = nil
			}
			if err := when.holds(was); err != nil {
				return nil, nil, err
			}
			created = was == nil
			if was != nil {
				if err := may(was); err != nil {
					return nil, nil, err
				}
				return []*ready{r}, nil, r.replace(was)
			}
			return []*ready{r}, nil, c.place(r, have, known, scoped)
		},
		also: func(ctx context.Context, tx db.Tx, written []*ready) error {
			if !created || name == written[0].ID+ending {
				return nil
			}
			subscriber, id := db.Col("subscriber", []string{c.Subscriber}), db.Col("event", []string{written[0].ID})
			if _, err := tx.Delete(ctx, "calendar_name", subscriber, id); err != nil {
				return err
			}
			_, err := tx.Upsert(ctx, "calendar_name", []string{"subscriber", "name"}, subscriber, db.Col("name", []string{name}), id)
			return err
		},
	})
	if err != nil {
		return made, false, err
	}
	return Object{Name: name, Event: r.ID, Version: r.Version, ready: r}, created, nil
}

// changes fails unless the calendar may be written.
func (c *Calendar) changes(ctx context.Context) error {
	if c.Writable {
		return nil
	}
	if err := c.s.may(ctx, &c.v, []string{c.Subscriber}, true); err != nil {
		return err
	}
	return fault.Denied("this calendar can be read only")
}

// read understands a file: one event, with its changed occurrences.
func (c *Calendar) read(ctx context.Context, text []byte) (*ready, error) {
	file, err := ical.Parse(text)
	if err != nil {
		return nil, &RefusalError{"valid-calendar-data", err}
	}
	if _, is := file.Get("METHOD"); is {
		return nil, &RefusalError{"valid-calendar-object-resource", fault.Invalid("METHOD must not be there: the file is an event, not a message about one")}
	}
	uids := map[string]bool{}
	for _, sub := range file.Components {
		switch sub.Name {
		case "VEVENT":
			uids[sub.Text("UID")] = true
		case "VTIMEZONE":
		default:
			return nil, &RefusalError{"supported-calendar-component", fault.Invalid("the file must have VEVENTs and their VTIMEZONEs alone")}
		}
	}
	if len(uids) != 1 {
		return nil, &RefusalError{"valid-calendar-object-resource", fault.Invalid("the file must have one event: VEVENTs with the same UID")}
	}
	organization, err := c.s.organization(ctx, c.Subscriber)
	if err != nil {
		return nil, err
	}
	list, err := eventsOf(file, organization, []string{c.Subscriber})
	if err != nil {
		return nil, &RefusalError{"valid-calendar-data", err}
	}
	if len(text) <= maxSource {
		list[0].source = string(text)
	}
	return list[0], nil
}

// organization is whose a new event in a calendar is.
func (s *Service) organization(ctx context.Context, subscriber string) (string, error) {
	if s.deps.Organization == nil {
		return "", fault.Internal("nobody knows whose new events are")
	}
	return s.deps.Organization(ctx, subscriber)
}

// replace puts the event in the place of one: what a file does not tell stays.
func (r *ready) replace(was *Event) error {
	if r.UID != was.UID {
		return &RefusalError{"no-uid-conflict", fault.Invalid("UID can't be changed: this file has another")}
	}
	r.ID, r.Subscribers, r.Organization, r.Appointment, r.Visit = was.ID, was.Subscribers, was.Organization, was.Appointment, was.Visit
	return nil
}

// place finds a place for a new event: its UID must be the calendar's only one. Where another calendar has it, it is kept apart.
func (c *Calendar) place(r *ready, have map[string]stored, known map[string]string, scoped string) error {
	r.ID, r.key = "", ""
	for _, key := range []string{r.UID, scoped} {
		id, is := known[key]
		was := have[id].Event
		switch {
		case !is || was == nil: // also one that was deleted
			r.ID, r.key = id, key
			return nil
		case slices.Contains(was.Subscribers, c.Subscriber):
			return &RefusalError{"no-uid-conflict", fault.Conflict("the calendar has an event with this UID under another name")}
		}
	}
	return &RefusalError{"no-uid-conflict", fault.Conflict("another event has this UID")}
}

// Delete removes the event of a name.
//
// Errors: NotFound, Denied, Precondition for the condition.
func (c *Calendar) Delete(ctx context.Context, name string, when Condition) (err error) {
	defer fault.Op(&err, "events.Delete")
	if err := c.changes(ctx); err != nil {
		return err
	}
	may := c.s.guard(ctx, &c.v)
	target := ""
	_, err = c.s.apply(ctx, edit{
		find: func(ctx context.Context, q db.Querier) ([]string, error) {
			ids, err := c.resolve(ctx, q, []string{name})
			if err != nil {
				return nil, err
			}
			target = ids[0]
			return ids, nil
		},
		change: func(have map[string]stored, _ map[string]string) ([]*ready, []string, error) {
			was := have[target].Event
			if was == nil || !slices.Contains(was.Subscribers, c.Subscriber) {
				if len(when.Match) > 0 {
					return nil, nil, when.holds(nil)
				}
				return nil, nil, fault.NotFound("there is no event of this name in the calendar")
			}
			if err := when.holds(was); err != nil {
				return nil, nil, err
			}
			if err := may(was); err != nil {
				return nil, nil, err
			}
			return nil, []string{was.ID}, nil
		},
	})
	return err
}
