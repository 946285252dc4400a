package events

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/format/ical"
	"ward/internal/kernel/audit"
)

const (
	importLimit = 10 << 20 // bytes of an .ics
	maxExported = 20_000   // events
)

// handleExport writes a subscriber's calendar as iCalendar.
func (s *Service) handleExport(w http.ResponseWriter, r *http.Request) error {
	subscriber := r.URL.Query().Get("subscriber")
	if !referencePattern.MatchString(subscriber) {
		return fault.Invalid("subscriber must be a reference such as Patient/1")
	}
	v := viewerOf(r.Context())
	if err := s.may(r.Context(), &v, []string{subscriber}, false); err != nil {
		return err
	}
	list, err := s.all(r.Context(), subscriber)
	if err != nil {
		return err
	}
	if list, err = s.shown(r.Context(), &v, list...); err != nil {
		return err
	}
	var shown []*ready
	for _, e := range list {
		c, err := compile(e)
		if err != nil {
			return fault.Internal("a stored event can't be understood").With(err)
		}
		shown = append(shown, c)
	}
	if err := s.seen(r.Context(), audit.Export, "", []string{subscriber}, r.URL.RawQuery); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/calendar; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="calendar.ics"`)
	h.Set("Cache-Control", "private, no-cache")
	_, _ = w.Write(calendarOf(shown, s.deps.Clock.Now()).Append(nil))
	return nil
}

// all is the events of a subscriber, in the order of their last changes.
func (s *Service) all(ctx context.Context, subscriber string) (list []*Event, err error) {
	key, err := s.deps.Keys.For(ctx)
	if err != nil {
		return nil, err
	}
	err = s.deps.DB.Snapshot(ctx, func(ctx context.Context, q db.Querier) error {
		list = nil
		var ids []string
		err := q.Query(ctx, "SELECT event FROM calendar_subscription WHERE subscriber = $1 AND NOT gone ORDER BY changed, event LIMIT $2", func(r db.Row) error {
			ids = append(ids, r.Text(0))
			return nil
		}, subscriber, maxExported+1)
		if err != nil {
			return err
		}
		if len(ids) > maxExported {
			return tooMany()
		}
		list, err = s.listed(ctx, q, key, ids)
		return err
	})
	return list, err
}

// handleImport stores the events of an iCalendar object, all or none. Events that are there already, by their UIDs, are replaced.
func (s *Service) handleImport(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	var subscribers []string
	for _, list := range q["subscriber"] {
		subscribers = append(subscribers, strings.Split(list, ",")...)
	}
	for _, subscriber := range subscribers {
		if !referencePattern.MatchString(subscriber) {
			return fault.Invalid("subscriber must be references such as Patient/1")
		}
	}
	if len(subscribers) == 0 || !referencePattern.MatchString(q.Get("organization")) {
		return fault.Invalid("organization and subscriber must be there: references such as Organization/1 and Patient/1")
	}
	v := viewerOf(r.Context())
	if err := s.may(r.Context(), &v, subscribers, true); err != nil {
		return err
	}
	text, err := io.ReadAll(r.Body)
	if err != nil {
		if tooLarge, is := errors.AsType[*http.MaxBytesError](err); is {
			return fault.TooLarge("the calendar is larger than %d bytes", tooLarge.Limit)
		}
		if _, known := fault.Of(err); known {
			return err
		}
		return fault.Invalid("the body could not be read").With(err)
	}
	c, err := ical.Parse(text)
	if err != nil {
		return err
	}
	list, err := eventsOf(c, q.Get("organization"), subscribers)
	if err != nil {
		return err
	}
	if len(list)*len(subscribers) > maxEntries {
		return fault.Invalid("subscriber: %d events for %d subscribers are more than %d entries: import them in parts", len(list), len(subscribers), maxEntries)
	}
	made, err := s.Import(r.Context(), list, s.guarded(r, &v))
	if err != nil {
		return err
	}
	return send(w, http.StatusOK, made)
}

// Imported says what an import did.
type Imported struct {
	Created  int `json:"created"`
	Replaced int `json:"replaced"`
}

// Import stores events in one transaction, and replaces those that have their UIDs.
//
// Errors: the guard's, for one that it would replace.
func (s *Service) Import(ctx context.Context, list []*ready, may guard) (out *Imported, err error) {
	defer fault.Op(&err, "events.Import")
	uids := make([]string, len(list))
	for i, r := range list {
		uids[i] = r.UID
	}
	_, err = s.apply(ctx, edit{uids: uids, change: func(have map[string]stored, known map[string]string) ([]*ready, []string, error) {
		out = &Imported{}
		for _, r := range list {
			r.ID = known[r.UID]
			was := have[r.ID]
			if was.Event == nil {
				out.Created++
				continue
			}
			if err := may(was.Event); err != nil {
				return nil, nil, err
			}
			out.Replaced++
		}
		return list, nil, nil
	}})
	return out, err
}
