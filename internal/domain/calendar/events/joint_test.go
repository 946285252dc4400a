package events

import (
	"context"
	"errors"
	"testing"

	"ward/internal/backend/db"
)

// joint has another domain change events in a transaction of its own, which ends with err.
func (w *world) joint(err error, puts []*Event, drops ...string) error {
	w.t.Helper()
	j, joinErr := w.Join(w.ctx)
	if joinErr != nil {
		w.t.Fatal(joinErr)
	}
	return j.Done(w.ctx, w.db.Write(w.ctx, func(ctx context.Context, tx db.Tx) error {
		if err := j.Stage(puts, drops); err != nil {
			return err
		}
		if writeErr := w.WriteJoint(ctx, tx, j); writeErr != nil {
			return writeErr
		}
		return err
	}))
}

func visit(start, end string) *Event {
	return &Event{
		ID: "visit-1", Organization: "Organization/1", Subscribers: []string{"Patient/1", "Practitioner/2"}, Title: "Visit", Appointment: "Appointment/1",
		Start: start, End: end, TZ: "UTC",
	}
}

func TestJoint_BookedVisitsAreEvents(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.want(march, "")
		if err := w.joint(nil, []*Event{visit("2026-03-02T09:00:00", "2026-03-02T09:30:00")}); err != nil {
			t.Fatal(err)
		}
		w.want(march, "2026-03-02T09:00:00")
		if err := w.joint(nil, []*Event{visit("2026-03-04T09:00:00", "2026-03-04T09:30:00")}, "never-there"); err != nil {
			t.Fatal(err)
		}
		w.want(march, "2026-03-04T09:00:00")
		w.want("subscriber=Practitioner/2&from=2026-03-01&to=2026-04-01", "2026-03-04T09:00:00")
		gone := errors.New("the caller gives up")
		if err := w.joint(gone, nil, "visit-1"); !errors.Is(err, gone) {
			t.Fatal(err)
		}
		w.want(march, "2026-03-04T09:00:00")

		// by booking alone
		w.do(409, "DELETE", "events/visit-1", "")
		w.do(409, "PUT", "events/visit-1", `{"organization":"Organization/1","subscribers":["Patient/1"],"title":"Mine","start":"2026-03-02","end":"2026-03-03"}`)
		w.do(409, "POST", "events/visit-1/$edit", `{"scope":"this","recurrence":"2026-03-04T09:00:00","cancel":true}`)
		w.do(409, "POST", "events", `{"organization":"Organization/1","subscribers":["Patient/1"],"title":"Mine","start":"2026-03-02","end":"2026-03-03","kept":true}`)

		if err := w.joint(nil, nil, "visit-1"); err != nil {
			t.Fatal(err)
		}
		w.want(march, "")
		w.do(410, "GET", "events/visit-1", "")
		if err := w.joint(nil, []*Event{visit("2026-03-05T09:00:00", "2026-03-05T09:30:00")}); err != nil {
			t.Fatal(err)
		}
		w.want(march, "2026-03-05T09:00:00")
	})
}
