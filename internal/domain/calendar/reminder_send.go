package calendar

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/format/ical"
)

// Message is what a patient is told. Its text says when, not what for: it travels over channels that others read.
type Message struct {
	ID      string // of the reminder; a sender that has sent it before does nothing
	Channel string // "email", "sms" or "push"
	To      string // an address, a number; for push the patient's reference
	Subject string
	Text    string
}

// Sender brings messages to people. It is called again with the same message when the process stopped between sending and noting that: a sender
// keeps by the id whatever it needs so that each goes out once.
type Sender interface {
	Send(ctx context.Context, m Message) error
}

const (
	remindBatch    = 100
	remindLease    = 120 // seconds in which a message is sent or given back
	remindAttempts = 5
)

// takeDue marks due reminders as being sent, for this process alone. Those of a process that died come again after their lease.
const takeDue = `UPDATE calendar_reminder SET state = 2, lease = $1, attempts = attempts + 1 WHERE id IN (
	SELECT id FROM calendar_reminder WHERE state = 1 AND due <= $2 OR state = 2 AND lease <= $2 ORDER BY due LIMIT 100`

// reminder is one that is being sent.
type reminder struct {
	id, booking, channel string
	attempts             int64
}

// sendDue sends the reminders of the scope's tenant that are due, and says whether there may be more.
func (b *Booking) sendDue(ctx context.Context) (more bool, err error) {
	var list []reminder
	now := b.deps.Clock.Now().Unix()
	take := takeDue + b.deps.DB.Dialect().Pick("", " FOR UPDATE SKIP LOCKED") + ") RETURNING id, booking, channel, attempts"
	err = b.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		list = nil
		return tx.Query(ctx, take, func(r db.Row) error {
			list = append(list, reminder{r.Text(0), r.Text(1), r.Text(2), r.Int64(3)})
			return nil
		}, now+remindLease, now)
	})
	if err != nil || len(list) == 0 {
		return false, err
	}
	bookings := map[string]*booking{}
	ids := make([]string, len(list))
	for i, r := range list {
		ids[i] = r.booking
	}
	slices.Sort(ids)
	if err := b.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) error {
		return b.loadBookings(ctx, q, slices.Compact(ids), false, func(b *booking) { bookings[b.id] = b })
	}); err != nil {
		return false, err
	}
	for _, r := range list {
		if err := b.sendOne(ctx, r, bookings[r.booking], now); err != nil {
			return false, err
		}
	}
	return len(list) == remindBatch, nil
}

const settle = `UPDATE calendar_reminder SET state = $1, due = $2 WHERE id = $3 AND state = 2`

// sendOne sends a reminder and notes what came of it.
func (b *Booking) sendOne(ctx context.Context, r reminder, v *booking, now int64) error {
	outcome, due := remindSent, now
	m, err := b.message(ctx, r, v, now)
	sender := b.deps.Senders[r.channel]
	switch {
	case err != nil:
	case m == nil || sender == nil:
		outcome = remindWithdrawn
	default:
		err = sender.Send(ctx, *m)
	}
	if err != nil {
		b.deps.Log.WarnContext(ctx, "a reminder was not sent", slog.String("reminder", r.id), slog.String("channel", r.channel), slog.Any("error", err))
		outcome, due = remindDue, now+60<<min(r.attempts, 6)
		if r.attempts >= remindAttempts {
			outcome = remindFailed
		}
	}
	return b.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		_, err := tx.Exec(ctx, settle, int64(outcome), due, r.id)
		return err
	})
}

// message is what a reminder says; nil when there is nothing to say any more, or nobody to say it to.
func (b *Booking) message(ctx context.Context, r reminder, v *booking, now int64) (*Message, error) {
	if v == nil || v.Patient == "" || v.starts <= now || v.state == held && (v.Waiting == "" || v.expires <= now) || v.state != held && v.state != booked {
		return nil, nil //nolint:nilnil // nothing to say
	}
	var p fhirPatient
	if err := b.readAs(asSystem(ctx), v.Patient, &p); err != nil {
		if fault.Is(err, fault.CodeUnprocessable) {
			return nil, nil //nolint:nilnil // the patient is gone
		}
		return nil, err
	}
	to := p.address(r.channel, time.Unix(now, 0).UTC().Format(time.DateOnly))
	if r.channel == "push" {
		to = v.Patient
	}
	if to == "" {
		return nil, nil //nolint:nilnil // nobody to say it to
	}
	zone, err := ical.LoadZone(v.Zone)
	if err != nil {
		return nil, err
	}
	when := func(at int64) string {
		return time.Unix(at, 0).In(zone.Location()).Format("Monday 2 January 2006 at 15:04 MST")
	}
	m := &Message{ID: r.id, Channel: r.channel, To: to, Subject: "Your appointment", Text: "You have an appointment on " + when(v.starts) + "."}
	if v.state == held {
		m.Subject = "An appointment has become free"
		m.Text = "An appointment on " + when(v.starts) + " has become free. It is kept for you until " + when(v.expires) + "."
	}
	return m, nil
}

// address is where a patient is reached by a channel: of several, the one with the first rank.
func (p *fhirPatient) address(channel, day string) string {
	best, rank := "", 0
	for _, t := range p.Telecom {
		fits := channel == "email" && t.System == "email" || channel == "sms" && (t.System == "sms" || t.System == "phone")
		if !fits || t.Value == "" || !t.Period.covers(day) {
			continue
		}
		if n := t.Rank; best == "" || n != 0 && (rank == 0 || n < rank) {
			best, rank = strings.TrimSpace(t.Value), n
		}
	}
	return best
}
