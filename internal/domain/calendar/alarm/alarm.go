package alarm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"ward/internal/backend/db"
	"ward/internal/base/clock"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/domain/calendar/events"
	"ward/internal/domain/calendar/part"
	"ward/internal/domain/calendar/reminder"
	"ward/internal/format/ical"
)

// Service works out reminders of events, of all tenants: the scope in each call's context says whose.
type Service struct{ deps Deps }

// Deps are what it is built on.
type Deps struct {
	DB      *db.DB
	Clock   clock.Clock
	Events  *events.Service
	Records Records
}

// Records is the record store, as far as reminders need it.
type Records interface {
	// Read is a resource's current version. Errors: NotFound, Gone.
	Read(ctx context.Context, typ, id string) ([]byte, error)
}

// New makes it.
func New(d Deps) *Service { return &Service{d} }

const (
	batch   = 100
	takeDue = `SELECT event, since FROM calendar_alarm WHERE due <= $1 ORDER BY due, event LIMIT 100`
	advance = `UPDATE calendar_alarm SET due = $1, since = $2 WHERE event = $3`
	drop    = `DELETE FROM calendar_alarm WHERE event = $1`
	nextDue = `SELECT MIN(due) FROM calendar_alarm`
	// earlier are events that were stored before their reminders were.
	earlier   = `INSERT INTO calendar_alarm (event, due, since) SELECT id, 0, $1 FROM calendar_event WHERE body IS NOT NULL ON CONFLICT DO NOTHING`
	isEarlier = `SELECT 1 FROM calendar_checked WHERE name = 'alarms'`
	wasDone   = `INSERT INTO calendar_checked (name, at) VALUES ('alarms', $1) ON CONFLICT DO NOTHING`
)

// Turn makes rows of the scope's tenant's reminders that are due, and says when the next is; zero when none is.
func (s *Service) Turn(ctx context.Context) (next time.Time, err error) {
	defer fault.Op(&err, "alarm.Turn")
	if err := s.carry(ctx); err != nil {
		return next, err
	}
	for n := batch; n == batch; {
		if n, err = s.some(ctx); err != nil {
			return next, err
		}
	}
	err = s.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) error {
		return q.Query(ctx, nextDue, func(r db.Row) error {
			if next = (time.Time{}); !r.IsNull(0) {
				next = time.Unix(r.Int64(0), 0)
			}
			return nil
		})
	})
	return next, err
}

// carry takes events in that were stored before there was this table, once; booking's calendar_checked notes that.
func (s *Service) carry(ctx context.Context) error {
	done := false
	if err := s.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) error {
		done = false
		return q.Query(ctx, isEarlier, func(db.Row) error { done = true; return nil })
	}); err != nil || done {
		return err
	}
	return s.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		if _, err := tx.Exec(ctx, earlier, s.deps.Clock.Now().Unix()); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, wasDone, s.deps.Clock.Now().Unix())
		return err
	})
}

// some works out the reminders of events that are due, and says how many those were. Rows that another process works on are left to it.
func (s *Service) some(ctx context.Context) (n int, err error) {
	now := s.deps.Clock.Now().Unix()
	take := takeDue + s.deps.DB.Dialect().Pick("", " FOR UPDATE SKIP LOCKED")
	err = s.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		var ids []string
		var since []int64
		if err := tx.Query(ctx, take, func(r db.Row) error {
			ids, since = append(ids, r.Text(0)), append(since, r.Int64(1))
			return nil
		}, now); err != nil {
			return err
		}
		n = len(ids)
		if n == 0 {
			return nil
		}
		due, next, err := s.deps.Events.AlarmsOf(ctx, tx, ids, since, now)
		if err != nil {
			return err
		}
		var rows reminder.Rows
		for i, id := range ids {
			for _, a := range due[i] {
				plan(&rows, a, now)
			}
			if next[i] == 0 {
				_, err = tx.Exec(ctx, drop, id)
			} else {
				_, err = tx.Exec(ctx, advance, next[i], now, id)
			}
			if err != nil {
				return err
			}
		}
		return rows.Write(ctx, tx, nil)
	})
	return n, err
}

// reached are the types of subscribers who are somebody that can be told.
//
//nolint:gochecknoglobals // constant table
var reached = []string{"Patient", "Practitioner", "RelatedPerson"}

// plan adds a reminder for each of the people.
func plan(rows *reminder.Rows, a events.Alarm, now int64) {
	channel := "push"
	switch {
	case a.Minutes >= 24*60:
		channel = "email"
	case a.Minutes >= 2*60:
		channel = "sms"
	}
	for _, who := range a.Subscribers {
		if typ, _, _ := strings.Cut(who, "/"); !slices.Contains(reached, typ) {
			continue
		}
		subject := prefix + a.Event + ":" + strconv.FormatInt(a.Start, 36) + ":" + who
		sum := sha256.Sum256([]byte(subject + ":" + strconv.Itoa(a.Minutes)))
		rows.AddOnce(hex.EncodeToString(sum[:16]), subject, channel, now)
	}
}

const prefix = "event:"

// Ours says whether a reminder is one of an event.
func Ours(d reminder.Due) bool { return strings.HasPrefix(d.Subject, prefix) }

// Message is what a reminder of an event says; nil when the occurrence is not there any more, or is not the person's, or nobody is to be told.
func (s *Service) Message(ctx context.Context, d reminder.Due, now int64) (*reminder.Message, error) {
	id, rest, _ := strings.Cut(strings.TrimPrefix(d.Subject, prefix), ":")
	at, who, ok := strings.Cut(rest, ":")
	start, err := strconv.ParseInt(at, 36, 64)
	if !ok || err != nil {
		return nil, fault.Internal("a reminder's subject can't be read").With(err)
	}
	a, ok, err := s.deps.Events.Occurs(ctx, id, who, start)
	if err != nil || !ok || now >= max(a.End, a.Start+600) {
		return nil, err
	}
	typ, key, _ := strings.Cut(who, "/")
	sc, _ := scope.From(ctx)
	text, err := s.deps.Records.Read(scope.WithTenant(ctx, sc.Tenant), typ, key)
	if fault.Is(err, fault.CodeNotFound) || fault.Is(err, fault.CodeGone) {
		return nil, nil //nolint:nilnil // who is gone is told nothing
	}
	if err != nil {
		return nil, err
	}
	var person struct {
		Telecom []part.Contact `json:"telecom"`
	}
	if err := json.Unmarshal(text, &person); err != nil {
		return nil, fault.Internal("a stored %s can't be read", typ).With(err)
	}
	m := &reminder.Message{ID: d.ID, Channel: d.Channel, Subject: "A reminder from your calendar"}
	if d.Channel != "push" {
		m.To = part.Reached(person.Telecom, d.Channel, time.Unix(now, 0).UTC().Format(time.DateOnly))
	}
	if m.To == "" {
		m.Channel, m.To = "push", who
	}
	m.Text, err = says(a)
	return m, err
}

// says tells when, not what.
func says(a events.Alarm) (string, error) {
	zone := ical.UTC
	layout := "Monday 2 January 2006 at 15:04 MST"
	switch {
	case a.AllDay:
		layout = "Monday 2 January 2006"
	case a.TZ == "":
		layout = "Monday 2 January 2006 at 15:04" // on whatever clock
	default:
		var err error
		if zone, err = ical.LoadZone(a.TZ); err != nil {
			return "", err
		}
	}
	return "There is an event in your calendar on " + time.Unix(a.Start, 0).In(zone.Location()).Format(layout) + ".", nil
}
