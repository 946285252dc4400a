package calendar

import (
	"context"
	"slices"

	"ward/internal/backend/db"
	"ward/internal/base/id"
	"ward/internal/format/ical"
)

// Reminders are rows with a state. They are planned with the visit, in its transaction, withdrawn when it moves or is cancelled, and sent by
// whichever process finds them due first (reminder_send.go).

// remindState is what a reminder is. The numbers are stored.
type remindState int32

const (
	remindDue       remindState = 1
	remindSending   remindState = 2
	remindSent      remindState = 3
	remindWithdrawn remindState = 4
	remindFailed    remindState = 5
)

// reminderPlan is when a reminder is due: days before the visit, at a time of day where the visit is, or minutes before it.
type reminderPlan struct {
	channel string
	days    int
	at      int // minutes of the day, on the clock of the visit's zone
	minutes int // before the visit, when days is 0
}

// reminderPlans are the reminders of every visit.
//
//nolint:gochecknoglobals // constant table
var reminderPlans = []reminderPlan{
	{channel: "email", days: 7, at: 9 * 60},
	{channel: "sms", days: 1, at: 17 * 60},
	{channel: "push", minutes: 60},
}

// due is when the reminder of a visit is due, in seconds. Days and times of day are the wall clock's, whatever it does in between.
func (p reminderPlan) due(starts int64, zone *ical.Zone) int64 {
	if p.days == 0 {
		return starts - int64(p.minutes)*60
	}
	day := zone.Civil(starts).Midnight()
	return zone.Instant(day - ical.Civil(p.days*86400) + ical.Civil(p.at*60))
}

// reminderRows are the reminders that a group plans, by booking.
type reminderRows struct {
	rows map[string][]reminderRow
}

type reminderRow struct {
	channel string
	due     int64
}

// plan plans the reminders of a visit. Those whose time has passed are left out.
func (r *reminderRows) plan(b *booking, now int64) {
	r.forget(b.id)
	zone, err := ical.LoadZone(b.Zone)
	if err != nil || b.Patient == "" {
		return
	}
	for _, p := range reminderPlans {
		if due := p.due(b.starts, zone); due > now && due < b.starts {
			r.add(b.id, reminderRow{p.channel, due})
		}
	}
}

// tell plans to tell a patient at once that a slot is offered.
func (r *reminderRows) tell(offer *booking, now int64) {
	r.add(offer.id, reminderRow{"sms", now})
	r.add(offer.id, reminderRow{"email", now})
}

func (r *reminderRows) add(booking string, row reminderRow) {
	if r.rows == nil {
		r.rows = map[string][]reminderRow{}
	}
	r.rows[booking] = append(r.rows[booking], row)
}

func (r *reminderRows) forget(booking string) { delete(r.rows, booking) }

// first is when the first of them is due; 0 when there are none.
func (r *reminderRows) first() int64 {
	var first int64
	for _, rows := range r.rows {
		for _, row := range rows {
			if first == 0 || row.due < first {
				first = row.due
			}
		}
	}
	return first
}

const withdraw = `UPDATE calendar_reminder SET state = 4 WHERE booking = $1 AND state = 1`

// write withdraws what is due for bookings that moved or are cancelled, and adds what was planned.
func (r *reminderRows) write(ctx context.Context, tx db.Tx, withdrawn []string) error {
	slices.Sort(withdrawn)
	for _, booking := range slices.Compact(withdrawn) {
		if _, err := tx.Exec(ctx, withdraw, booking); err != nil {
			return err
		}
	}
	var ids, bookings, channels []string
	var dues []int64
	for booking, rows := range r.rows {
		for _, row := range rows {
			ids, bookings, channels, dues = append(ids, id.New()), append(bookings, booking), append(channels, row.channel), append(dues, row.due)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	states, zeros, none := make([]int32, len(ids)), make([]int64, len(ids)), make([]int32, len(ids))
	for i := range states {
		states[i] = int32(remindDue)
	}
	_, err := tx.Insert(ctx, "calendar_reminder", db.Col("id", ids), db.Col("booking", bookings), db.Col("channel", channels), db.Col("due", dues),
		db.Col("state", states), db.Col("lease", zeros), db.Col("attempts", none))
	return err
}
