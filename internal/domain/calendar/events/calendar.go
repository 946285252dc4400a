package events

import (
	"context"
	"slices"
	"strings"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/kernel/access"
	"ward/internal/kernel/audit"
	"ward/internal/kernel/seal"
)

// Calendar is one subscriber's calendar as files, for programs that speak CalDAV, as far as the scope's principal may use it.
type Calendar struct {
	Subscriber string // a reference, such as "Practitioner/2"
	Writable   bool   // the principal may change events in it

	s *Service
	v viewer
}

// Calendar opens the calendar of a subscriber for the principal of the scope.
//
// Errors: NotFound when it is no reference, or not there for the caller; Denied for somebody else's.
func (s *Service) Calendar(ctx context.Context, subscriber string) (*Calendar, error) {
	if !referencePattern.MatchString(subscriber) {
		return nil, fault.NotFound("there is no such calendar")
	}
	v := viewerOf(ctx)
	if err := s.may(ctx, &v, []string{subscriber}, false); err != nil {
		return nil, err
	}
	writable := access.Permits(&v.Principal, access.CalendarWrite) && s.may(ctx, &v, []string{subscriber}, true) == nil
	return &Calendar{Subscriber: subscriber, Writable: writable, s: s, v: v}, nil
}

// State is the sync token of the calendar as it is now. It changes with every change of an event in it.
func (c *Calendar) State(ctx context.Context) (token string, err error) {
	defer fault.Op(&err, "events.State")
	err = c.s.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) error {
		token = tokenText(0, "")
		return q.Query(ctx, "SELECT changed, event FROM calendar_subscription WHERE subscriber = $1 ORDER BY changed DESC, event DESC LIMIT 1", func(r db.Row) error {
			token = tokenText(r.Int64(0), r.Text(1))
			return nil
		}, c.Subscriber)
	})
	return token, err
}

// List is all events of the calendar.
//
// Errors: TooCostly for more than can be given at once.
func (c *Calendar) List(ctx context.Context) ([]Object, error) {
	list, err := c.s.all(ctx, c.Subscriber)
	if err != nil {
		return nil, err
	}
	return c.objects(ctx, list)
}

// mostMonths is up to how many months of a time that is asked for are looked up one by one.
const mostMonths = 1_200

// Between is the events of the calendar that may have occurrences in [from, to), seconds since 1970: all that do are among them.
//
// Errors: as [Calendar.List].
func (c *Calendar) Between(ctx context.Context, from, to int64) (found []Object, err error) {
	defer fault.Op(&err, "events.Between")
	first, last := monthOf(max(from, monthBegin(0))), monthOf(min(to, monthBegin(12*9999))-1)
	if from >= to || last < first {
		return nil, nil
	}
	if last-first > mostMonths {
		return c.List(ctx)
	}
	key, err := c.s.deps.Keys.For(ctx)
	if err != nil {
		return nil, err
	}
	months := []int64{forever}
	for m := first; m <= last; m++ {
		months = append(months, m)
	}
	var list []*Event
	err = c.s.deps.DB.Snapshot(ctx, func(ctx context.Context, q db.Querier) error {
		list = nil
		var ids []string
		subscribers := slices.Repeat([]string{c.Subscriber}, len(months))
		err := q.Lookup(ctx, db.Lookup{Table: "calendar_month", Want: []string{"event"}, Keys: []db.Column{db.Col("subscriber", subscribers), db.Col("month", months)}}, func(_ int, r db.Row) error {
			ids = append(ids, r.Text(0))
			return nil
		})
		if err != nil {
			return err
		}
		slices.Sort(ids)
		ids = slices.Compact(ids)
		if len(ids) > maxExported {
			return tooMany()
		}
		list, err = c.s.listed(ctx, q, key, ids)
		return err
	})
	if err != nil {
		return nil, err
	}
	return c.objects(ctx, list)
}

// Get is the events of these names, in their order; those that are not there are not [Object.There].
func (c *Calendar) Get(ctx context.Context, names []string) (found []Object, err error) {
	defer fault.Op(&err, "events.Get")
	key, err := c.s.deps.Keys.For(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]*Event, len(names))
	err = c.s.deps.DB.Snapshot(ctx, func(ctx context.Context, q db.Querier) error {
		ids, err := c.resolve(ctx, q, names)
		if err != nil {
			return err
		}
		have, err := c.s.load(ctx, q, key, slices.Compact(slices.Sorted(slices.Values(ids))))
		if err != nil {
			return err
		}
		for i, id := range ids {
			list[i] = nil
			if e := have[id].Event; e != nil && slices.Contains(e.Subscribers, c.Subscriber) {
				list[i] = e
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i, e := range list {
		o := Object{}
		if e != nil {
			if o, err = c.object(ctx, e); err != nil {
				return nil, err
			}
		}
		o.Name = names[i]
		found = append(found, o)
	}
	return found, nil
}

// Changes is what changed since a token was given, at most so many, with the token that stands for that. Without a token it is all that
// is there.
//
// Errors: Invalid for a token that was not given.
func (c *Calendar) Changes(ctx context.Context, token string, most int) (list []Object, next string, more bool, err error) {
	defer fault.Op(&err, "events.Changes")
	next = token
	for {
		page, err := c.s.sync(ctx, c.Subscriber, next)
		if err != nil {
			return nil, "", false, err
		}
		var ids []string
		for _, change := range page.Changes {
			ids = append(ids, change.ID)
		}
		names, err := c.names(ctx, ids)
		if err != nil {
			return nil, "", false, err
		}
		for i, change := range page.Changes {
			if len(list) == most {
				return list, next, true, nil
			}
			next = change.token
			o := Object{Name: names[ids[i]]}
			if change.Event == nil && token == "" {
				continue // whoever begins knows of nothing that could be gone
			}
			if change.Event != nil {
				if o, err = c.object(ctx, change.Event); err != nil {
					return nil, "", false, err
				}
				o.Name = names[ids[i]]
			}
			list = append(list, o)
		}
		if next = page.Token; !page.More {
			return list, next, false, nil
		}
	}
}

// Seen records that the caller was shown events of the calendar: one, or those that it asked for. What can't be recorded must not be shown.
func (c *Calendar) Seen(ctx context.Context, one string) error {
	if one != "" {
		return c.s.seen(ctx, audit.Read, one, []string{c.Subscriber}, "")
	}
	return c.s.seen(ctx, audit.Search, "", []string{c.Subscriber}, "")
}

// object is an event as the viewer may see it.
func (c *Calendar) object(ctx context.Context, e *Event) (Object, error) {
	shown, err := c.s.shown(ctx, &c.v, e)
	if err != nil {
		return Object{}, err
	}
	r, err := compile(shown[0])
	if err != nil {
		return Object{}, fault.Internal("a stored event can't be understood").With(err)
	}
	return Object{Event: e.ID, Version: e.Version, ready: r}, nil
}

func (c *Calendar) objects(ctx context.Context, list []*Event) ([]Object, error) {
	ids := make([]string, len(list))
	for i, e := range list {
		ids[i] = e.ID
	}
	names, err := c.names(ctx, ids)
	if err != nil {
		return nil, err
	}
	found := make([]Object, len(list))
	for i, e := range list {
		if found[i], err = c.object(ctx, e); err != nil {
			return nil, err
		}
		found[i].Name = names[e.ID]
	}
	return found, nil
}

// ending is of the names of events that no program has named.
const ending = ".ics"

// names are the names of events in the calendar, by their ids.
func (c *Calendar) names(ctx context.Context, ids []string) (names map[string]string, err error) {
	err = c.s.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) error {
		names = make(map[string]string, len(ids))
		for _, id := range ids {
			names[id] = id + ending
		}
		if len(ids) == 0 {
			return nil
		}
		keys := []db.Column{db.Col("subscriber", slices.Repeat([]string{c.Subscriber}, len(ids))), db.Col("event", ids)}
		return q.Lookup(ctx, db.Lookup{Table: "calendar_name", Want: []string{"name"}, Keys: keys}, func(i int, r db.Row) error {
			names[ids[i]] = r.Text(0)
			return nil
		})
	})
	return names, err
}

// resolve gives the ids of the events that names stand for, or that they would stand for: "" for a name that no event can have.
func (c *Calendar) resolve(ctx context.Context, q db.Querier, names []string) (ids []string, err error) {
	ids = make([]string, len(names))
	if len(names) == 0 {
		return ids, nil
	}
	keys := []db.Column{db.Col("subscriber", slices.Repeat([]string{c.Subscriber}, len(names))), db.Col("name", names)}
	err = q.Lookup(ctx, db.Lookup{Table: "calendar_name", Want: []string{"event"}, Keys: keys}, func(i int, r db.Row) error {
		ids[i] = r.Text(0)
		return nil
	})
	if err != nil {
		return nil, err
	}
	var own []string // ids that are names themselves, unless the event has another
	var at []int
	for i, name := range names {
		if id, ok := strings.CutSuffix(name, ending); ok && ids[i] == "" {
			own, at = append(own, id), append(at, i)
			ids[i] = id
		}
	}
	if len(own) == 0 {
		return ids, nil
	}
	keys = []db.Column{db.Col("subscriber", slices.Repeat([]string{c.Subscriber}, len(own))), db.Col("event", own)}
	err = q.Lookup(ctx, db.Lookup{Table: "calendar_name", Want: []string{"name"}, Keys: keys}, func(i int, _ db.Row) error {
		ids[at[i]] = ""
		return nil
	})
	return ids, err
}

// listed is events by their ids, without those that are deleted.
func (s *Service) listed(ctx context.Context, q db.Querier, key *seal.Key, ids []string) (list []*Event, err error) {
	have, err := s.load(ctx, q, key, ids)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if e := have[id].Event; e != nil {
			list = append(list, e)
		}
	}
	return list, nil
}

func tooMany() error {
	return fault.TooCostly("the calendar has more than %d events: ask for a shorter time, or by sync", maxExported)
}
