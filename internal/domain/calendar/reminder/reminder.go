package reminder

import (
	"cmp"
	"context"
	"slices"

	"ward/internal/backend/db"
	"ward/internal/base/id"
	"ward/internal/format/ical"
)

// state is what a reminder is. The numbers are stored.
type state int32

const (
	stateDue       state = 1
	stateSent      state = 3 // 2 is being sent
	stateWithdrawn state = 4
	stateFailed    state = 5
)

// Plan is when a reminder is due: days before the visit, at a time of day where the visit is, or minutes before it.
type Plan struct {
	Channel string
	Days    int
	At      int // minutes of the day, on the clock of the visit's zone
	Minutes int // before the visit, when Days is 0
}

// Plans are the reminders of every visit.
//
//nolint:gochecknoglobals // constant table
var Plans = []Plan{
	{Channel: "email", Days: 7, At: 9 * 60},
	{Channel: "sms", Days: 1, At: 17 * 60},
	{Channel: "push", Minutes: 60},
}

// Due is when the reminder of a visit is due, in seconds. Days and times of day are the wall clock's, whatever it does in between.
func (p Plan) Due(starts int64, zone *ical.Zone) int64 {
	if p.Days == 0 {
		return starts - int64(p.Minutes)*60
	}
	day := zone.Civil(starts).Midnight()
	return zone.Instant(day - ical.Civil(p.Days*86400) + ical.Civil(p.At*60))
}

// Rows are reminders that a transaction plans, by what they remind of. The zero value has none.
type Rows struct {
	rows map[string][]row
}

type row struct {
	id      string // empty: a new one
	channel string
	due     int64
}

// Plan plans the reminders of a visit. Those whose time has passed are left out.
func (r *Rows) Plan(subject string, starts int64, zone *ical.Zone, now int64) {
	r.Forget(subject)
	for _, p := range Plans {
		if due := p.Due(starts, zone); due > now && due < starts {
			r.Add(subject, p.Channel, due)
		}
	}
}

// Add plans one more.
func (r *Rows) Add(subject, channel string, due int64) { r.AddOnce("", subject, channel, due) }

// AddOnce plans one more, unless one with the id is or was there.
func (r *Rows) AddOnce(id, subject, channel string, due int64) {
	if r.rows == nil {
		r.rows = map[string][]row{}
	}
	r.rows[subject] = append(r.rows[subject], row{id, channel, due})
}

// Forget drops what was planned of a subject.
func (r *Rows) Forget(subject string) { delete(r.rows, subject) }

// First is when the first of them is due; 0 when there are none.
func (r *Rows) First() int64 {
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

// Write withdraws what is due of subjects that moved or ended, and adds what was planned.
func (r *Rows) Write(ctx context.Context, tx db.Tx, withdrawn []string) error {
	slices.Sort(withdrawn)
	for _, subject := range slices.Compact(withdrawn) {
		if _, err := tx.Exec(ctx, withdraw, subject); err != nil {
			return err
		}
	}
	var ids, subjects, channels []string
	var dues []int64
	for subject, rows := range r.rows {
		for _, row := range rows {
			ids, subjects, channels, dues = append(ids, cmp.Or(row.id, id.New())), append(subjects, subject), append(channels, row.channel), append(dues, row.due)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	states, zeros, none := make([]int32, len(ids)), make([]int64, len(ids)), make([]int32, len(ids))
	for i := range states {
		states[i] = int32(stateDue)
	}
	_, err := tx.InsertNew(ctx, "calendar_reminder", db.Col("id", ids), db.Col("booking", subjects), db.Col("channel", channels), db.Col("due", dues),
		db.Col("state", states), db.Col("lease", zeros), db.Col("attempts", none))
	return err
}
