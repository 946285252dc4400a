package booking

import (
	"context"
	"time"

	"ward/internal/base/fault"
	"ward/internal/domain/calendar/alarm"
	"ward/internal/domain/calendar/part"
	"ward/internal/domain/calendar/reminder"
	"ward/internal/domain/calendar/rule"
	"ward/internal/format/ical"
)

// planReminders plans the reminders of a booked visit.
func planReminders(r *reminder.Rows, b *booking, now int64) {
	zone, err := ical.LoadZone(b.Zone)
	if err != nil || b.Patient == "" {
		r.Forget(b.id)
		return
	}
	r.Plan(b.id, b.starts, zone, now)
}

// compose is what a reminder says, of a visit or of an event.
func (b *Service) compose(ctx context.Context, d reminder.Due, now int64) (*reminder.Message, error) {
	if alarm.Ours(d) {
		if b.deps.Alarms == nil {
			return nil, nil //nolint:nilnil // nobody is reminded of events
		}
		return b.deps.Alarms.Message(asSystem(ctx), d, now)
	}
	return b.message(ctx, d, now)
}

// message is what a reminder of a visit says; nil when there is nothing to say any more, or nobody to say it to.
func (b *Service) message(ctx context.Context, d reminder.Due, now int64) (*reminder.Message, error) {
	v, err := b.loadBooking(ctx, d.Subject)
	if err != nil && !fault.Is(err, fault.CodeNotFound) {
		return nil, err
	}
	if err != nil || v.Patient == "" || v.starts <= now || v.state == held && (v.Waiting == "" || v.expires <= now) || v.state != held && v.state != booked {
		return nil, nil //nolint:nilnil,nilerr // nothing to say
	}
	var p rule.Patient
	if err := b.readAs(asSystem(ctx), v.Patient, &p); err != nil {
		if fault.Is(err, fault.CodeUnprocessable) {
			return nil, nil //nolint:nilnil // the patient is gone
		}
		return nil, err
	}
	to := part.Reached(p.Telecom, d.Channel, time.Unix(now, 0).UTC().Format(time.DateOnly))
	if d.Channel == "push" {
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
	m := &reminder.Message{ID: d.ID, Channel: d.Channel, To: to, Subject: "Your appointment", Text: "You have an appointment on " + when(v.starts) + "."}
	if v.state == held {
		m.Subject = "An appointment has become free"
		m.Text = "An appointment on " + when(v.starts) + " has become free. It is kept for you until " + when(v.expires) + "."
	}
	return m, nil
}
