package app

import (
	"context"
	"path/filepath"

	"ward/internal/backend/db"
	"ward/internal/base/clock"
	"ward/internal/domain/calendar/alarm"
	"ward/internal/domain/calendar/booking"
	"ward/internal/domain/calendar/reminder"
	"ward/internal/domain/records"
)

// buildBooking makes the booking of visits, which writes to the records in its own transactions.
func (a *App) buildBooking() {
	outbox := reminder.FileOutbox{Folder: filepath.Join(a.Config.Data, "messages")}
	a.Booking = a.bookingAt(a.clock, map[string]reminder.Sender{"email": outbox, "sms": outbox, "push": outbox})
}

// bookingAt is booking by a clock.
func (a *App) bookingAt(now clock.Clock, senders map[string]reminder.Sender) *booking.Service {
	return booking.New(booking.Deps{
		DB: a.Backends.DB, Clock: now, Log: a.log, Records: bookingRecords{a.Records}, Sight: sightIn(a.Records), Limits: bookingLimits(a.Tenants), Events: a.Events,
		Alarms: alarm.New(alarm.Deps{DB: a.Backends.DB, Clock: now, Events: a.Events, Records: bookingRecords{a.Records}}),
		Audit:  a.Audit, Keys: a.Backends.Seal, Tenants: a.allTenants, BaseURL: a.Config.HTTP.PublicURL,
		Senders: senders,
	})
}

// bookingRecords is the record store, as booking needs it.
type bookingRecords struct{ records *records.Service }

func (r bookingRecords) Read(ctx context.Context, typ, id string) ([]byte, error) {
	v, err := r.records.Read(ctx, typ, id)
	if err != nil {
		return nil, err
	}
	return v.JSON, nil
}

func (r bookingRecords) Matching(ctx context.Context, typ, criteria string, most int) ([][]byte, error) {
	found, err := r.records.Matching(ctx, typ, criteria, most)
	if err != nil {
		return nil, err
	}
	list := make([][]byte, len(found))
	for i, v := range found {
		list[i] = v.JSON
	}
	return list, nil
}

func (r bookingRecords) Join(ctx context.Context) (booking.Joint, error) {
	return r.records.Join(ctx)
}

func (r bookingRecords) WriteJoint(ctx context.Context, tx db.Tx, joints []booking.Joint) error {
	list := make([]*records.Joint, len(joints))
	for i, j := range joints {
		list[i] = j.(*records.Joint) //nolint:forcetypeassert // Join made it
	}
	return r.records.WriteJoint(ctx, tx, list...)
}
