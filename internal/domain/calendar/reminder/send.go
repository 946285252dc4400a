package reminder

import (
	"context"
	"log/slog"
	"time"

	"ward/internal/backend/db"
	"ward/internal/base/clock"
)

// Message is what somebody is told. Its text says when, not what for: it travels over channels that others read.
type Message struct {
	ID      string // of the reminder; a sender that has sent it before does nothing
	Channel string // "email", "sms" or "push"
	To      string // an address, a number; for push the person's reference
	Subject string
	Text    string
}

// Sender brings messages to people. It is called again with the same message when the process stopped between sending and noting that: a sender
// keeps by the id whatever it needs so that each goes out once.
type Sender interface {
	Send(ctx context.Context, m Message) error
}

// Queue sends reminders that are due, of the scope's tenant.
type Queue struct {
	DB      *db.DB
	Clock   clock.Clock
	Log     *slog.Logger
	Senders map[string]Sender // by channel: "email", "sms", "push"
}

// Due is a reminder that is being sent.
type Due struct {
	ID, Subject, Channel string
	attempts             int64
}

const (
	batch    = 25
	lease    = 30 // seconds in which a message is sent or given back
	attempts = 5
)

// takeDue marks due reminders as being sent, for this process alone. Those of a process that died come again after their lease.
const takeDue = `UPDATE calendar_reminder SET state = 2, lease = $1, attempts = attempts + 1 WHERE id IN (
	SELECT id FROM calendar_reminder WHERE state = 1 AND due <= $2 OR state = 2 AND lease <= $2 ORDER BY due LIMIT 25`

// Send sends some of the reminders that are due, and says whether there may be more. compose gives what a reminder says; nil when there is nothing to
// say any more, or nobody to say it to.
func (q *Queue) Send(ctx context.Context, compose func(ctx context.Context, d Due, now int64) (*Message, error)) (more bool, err error) {
	var list []Due
	now := q.Clock.Now().Unix()
	take := takeDue + q.DB.Dialect().Pick("", " FOR UPDATE SKIP LOCKED") + ") RETURNING id, booking, channel, attempts"
	err = q.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		list = nil
		return tx.Query(ctx, take, func(r db.Row) error {
			list = append(list, Due{r.Text(0), r.Text(1), r.Text(2), r.Int64(3)})
			return nil
		}, now+lease, now)
	})
	if err != nil || len(list) == 0 {
		return false, err
	}
	for _, d := range list {
		m, err := compose(ctx, d, now)
		if err := q.settle(ctx, d, m, err, now); err != nil {
			return false, err
		}
	}
	return len(list) == batch, nil
}

const settle = `UPDATE calendar_reminder SET state = $1, due = $2 WHERE id = $3 AND state = 2`

// settle sends a reminder and notes what came of it.
func (q *Queue) settle(ctx context.Context, d Due, m *Message, err error, now int64) error {
	outcome, due := stateSent, now
	switch {
	case err != nil:
	case m == nil || q.Senders[m.Channel] == nil:
		outcome = stateWithdrawn
	default:
		err = q.Senders[m.Channel].Send(ctx, *m)
	}
	if err != nil {
		q.Log.WarnContext(ctx, "a reminder was not sent", slog.String("reminder", d.ID), slog.String("channel", d.Channel), slog.Any("error", err))
		outcome, due = stateDue, now+60<<min(d.attempts, 6)
		if d.attempts >= attempts {
			outcome = stateFailed
		}
	}
	return q.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		_, err := tx.Exec(ctx, settle, int64(outcome), due, d.ID)
		return err
	})
}

const (
	anyOld  = `SELECT 1 FROM calendar_reminder WHERE state IN (3, 4, 5) AND due < $1 LIMIT 1`
	dropOld = `DELETE FROM calendar_reminder WHERE state IN (3, 4, 5) AND due < $1`
	// keptFor is how long it is kept what became of a reminder.
	keptFor = 35 * 24 * time.Hour
)

// Forget removes reminders that were settled long ago.
func (q *Queue) Forget(ctx context.Context) error {
	before := q.Clock.Now().Add(-keptFor).Unix()
	some := false
	err := q.DB.Read(ctx, func(ctx context.Context, r db.Querier) error {
		some = false
		return r.Query(ctx, anyOld, func(db.Row) error {
			some = true
			return nil
		}, before)
	})
	if err != nil || !some {
		return err
	}
	return q.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		_, err := tx.Exec(ctx, dropOld, before)
		return err
	})
}
