package app

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"ward/internal/backend/db"
	"ward/internal/backend/db/dbtest"
	"ward/internal/base/clock"
)

// happens is an occurrence in a window.
type happens struct {
	Event, Start, End, TZ, UTC, Title, Location, Category, Appointment, Visit, Organization string
	Subscribers                                                                             []string
}

// window is what happens to a subscriber in the first quarter of 2026.
func (c *clinic) window(t testing.TB, token, subscriber string) (list []happens) {
	t.Helper()
	r := c.must(t, 200, token, "GET", "/calendar/events?from=2026-01-01&to=2026-04-01&count=50000&subscriber="+subscriber, "")
	var answer struct{ Occurrences []happens }
	if err := json.Unmarshal([]byte(r.body), &answer); err != nil {
		t.Fatal(err)
	}
	return answer.Occurrences
}

// starts are the starts in a subscriber's window.
func (c *clinic) starts(t testing.TB, subscriber string) (list []string) {
	t.Helper()
	for _, h := range c.window(t, "admin", subscriber) {
		list = append(list, h.Start)
	}
	return list
}

func same(t testing.TB, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// TestBooking_VisitsAreEvents: a booked visit is in the calendars of the patient, the clinician and the room at once, moves and goes with its Appointment,
// and changes in no other way.
func TestBooking_VisitsAreEvents(t *testing.T) {
	t.Parallel()
	eachClinic(t, func(t *testing.T, c *clinic) {
		parties := []string{"Patient/p1", "Practitioner/dr", "Location/room"}
		hold := c.must(t, 200, "frontdesk", "POST", hold, ask("2026-01-06T11:00:00-05:00", "Patient/p1", "Location/room")).one(t)
		same(t, "a hold", c.starts(t, "Practitioner/dr"))
		c.must(t, 200, "frontdesk", "POST", cancel, byReference(hold.ID))

		a := c.must(t, 200, "frontdesk", "POST", book, ask(tuesday9, "Patient/p1", "Location/room")).one(t)
		for _, p := range parties {
			same(t, p, c.starts(t, p), "2026-01-06T09:00:00")
		}
		got := c.window(t, "admin", "Practitioner/dr")[0]
		if got.Appointment != "Appointment/"+a.ID || got.Title != "Visit" || got.End != "2026-01-06T09:30:00" || got.TZ != "America/New_York" || got.UTC != "2026-01-06T14:00:00Z" ||
			got.Visit != "" || got.Category != "visit" || got.Organization != "Organization/test" || len(got.Subscribers) != 3 {
			t.Errorf("%+v", got)
		}
		if mine := c.window(t, "patient:p1", "Patient/p1"); len(mine) != 1 || len(mine[0].Subscribers) != 0 {
			t.Errorf("as the patient sees it: %+v", mine)
		}
		c.must(t, 403, "patient:p2", "GET", "/calendar/events?from=2026-01-01&to=2026-02-01&subscriber=Patient/p1", "")

		for _, try := range [][3]string{
			{"PUT", "/calendar/events/" + got.Event, `{"organization":"Organization/1","subscribers":["Patient/p1"],"title":"Mine","start":"2026-01-06T09:00:00","end":"2026-01-06T09:30:00","tz":"UTC"}`},
			{"DELETE", "/calendar/events/" + got.Event, ""},
			{"POST", "/calendar/events/" + got.Event + "/$edit", `{"scope":"this","recurrence":"2026-01-06T09:00:00","title":"Mine"}`},
		} {
			if r := c.must(t, 409, "admin", try[0], try[1], try[2]); !strings.Contains(r.body, "$reschedule") {
				t.Errorf("%s does not say how: %s", try[0], r.body)
			}
		}

		c.must(t, 200, "frontdesk", "POST", reschedule, byReference(a.ID, "start", tuesday10))
		for _, p := range parties {
			same(t, p+" moved", c.starts(t, p), "2026-01-06T10:00:00")
		}
		c.truth(t)
		// A move that is refused moves nothing.
		c.must(t, 200, "frontdesk", "POST", book, ask(tuesday930, "Patient/p2"))
		c.must(t, 409, "frontdesk", "POST", reschedule, byReference(a.ID, "start", tuesday930))
		same(t, "dr", c.starts(t, "Practitioner/dr"), "2026-01-06T09:30:00", "2026-01-06T10:00:00")

		c.must(t, 200, "frontdesk", "POST", cancel, byReference(a.ID, "reason", "pat"))
		for _, p := range []string{"Patient/p1", "Location/room"} {
			same(t, p+" cancelled", c.starts(t, p))
		}
		c.must(t, 410, "admin", "GET", "/calendar/events/"+a.ID, "")
		c.truth(t)
	})
}

// TestBooking_TelehealthAndOrganization: the event of a visit by video carries the visit, one of an organization's rules the organization, one at a place its name; and
// a visit that was held is an event when it is booked.
func TestBooking_TelehealthAndOrganization(t *testing.T) {
	t.Parallel()
	eachClinic(t, func(t *testing.T, c *clinic) {
		c.put(t, "Organization/west", `"name":"West"`)
		c.must(t, 204, "admin", "PUT", "/calendar/services/visit", `{"title":"By video","minutes":30,"telehealth":true}`)
		held := c.must(t, 200, "frontdesk", "POST", hold, ask(tuesday9, "Patient/p1")).one(t)
		c.must(t, 200, "frontdesk", "POST", book, byReference(held.ID))
		c.must(t, 204, "admin", "PUT", "/calendar/services/visit", `{"title":"At the clinic","minutes":30}`)
		c.must(t, 204, "admin", "PUT", "/calendar/availability/dr", strings.Replace(weekdays, `{"actor"`, `{"organization":"Organization/west","location":"Location/room","actor"`, 1))
		c.must(t, 200, "frontdesk", "POST", book, ask(tuesday10, "Patient/p2"))
		got := c.window(t, "admin", "Practitioner/dr")
		if len(got) != 2 {
			t.Fatalf("%+v", got)
		}
		if v := got[0]; v.Visit != held.ID || v.Title != "By video" || v.Location != "" || v.Appointment != "Appointment/"+held.ID || v.Organization != "Organization/west" {
			t.Errorf("by video: %+v", v)
		}
		if v := got[1]; v.Visit != "" || v.Title != "At the clinic" || v.Location != "Room 1" || v.Organization != "Organization/west" {
			t.Errorf("at the clinic: %+v", v)
		}
		c.must(t, 400, "admin", "PUT", "/calendar/availability/dr", strings.Replace(weekdays, `{"actor"`, `{"organization":"Practitioner/dr","actor"`, 1))
	})
}

// TestBooking_EarlierVisitsAreCarriedOver: visits that were booked before visits were events are events after the clockwork's first turn.
func TestBooking_EarlierVisitsAreCarriedOver(t *testing.T) {
	t.Parallel()
	eachClinic(t, func(t *testing.T, c *clinic) {
		for i, start := range []string{tuesday9, tuesday930, tuesday10} {
			a := c.must(t, 200, "frontdesk", "POST", book, ask(start, []string{"Patient/p1", "Patient/p2", "Patient/p3"}[i])).one(t)
			if i == 1 {
				c.must(t, 200, "frontdesk", "POST", cancel, byReference(a.ID))
			}
		}
		if err := c.db.Write(c.ctx, func(ctx context.Context, tx db.Tx) error {
			for _, table := range []string{"calendar_event", "calendar_month", "calendar_subscription", "calendar_subscriber", "calendar_counter"} {
				if _, err := tx.Exec(ctx, "DELETE FROM "+table); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		later := clinicOn(t, c.db, c.clock, c.sent) // the process starts anew
		same(t, "before", later.starts(t, "Practitioner/dr"))
		later.turn(t)
		same(t, "dr", later.starts(t, "Practitioner/dr"), "2026-01-06T09:00:00", "2026-01-06T10:00:00")
		same(t, "p3", later.starts(t, "Patient/p3"), "2026-01-06T10:00:00")
		later.turn(t)
		later.truth(t)
	})
}

// TestBooking_EventsWhenTheClocksGoBack: a visit in the second of two hours that the clocks show alike is shown at its instant.
func TestBooking_EventsWhenTheClocksGoBack(t *testing.T) {
	t.Parallel()
	c := newClinicAt(t, dbtest.SQLite(t), time.Date(2026, 10, 30, 12, 0, 0, 0, time.UTC))
	c.must(t, 204, "admin", "PUT", "/calendar/availability/dr", `{"actor":"Practitioner/dr","zone":"America/New_York","hours":[{"rrule":"FREQ=DAILY","start":"00:00","end":"08:00"}],"services":[{"service":"visit"}]}`)
	for i, start := range []string{"2026-11-01T01:30:00-04:00", "2026-11-01T01:30:00-05:00"} {
		c.must(t, 200, "frontdesk", "POST", book, ask(start, []string{"Patient/p1", "Patient/p2"}[i]))
	}
	r := c.must(t, 200, "admin", "GET", "/calendar/events?from=2026-11-01&to=2026-11-02&subscriber=Practitioner/dr", "")
	if !strings.Contains(r.body, `"utc":"2026-11-01T05:30:00Z"`) || !strings.Contains(r.body, `"utc":"2026-11-01T06:30:00Z"`) {
		t.Error(r.body)
	}
}

func newClinicAt(t testing.TB, d *db.DB, at time.Time) *clinic {
	t.Helper()
	c := clinicOn(t, d, clock.NewManual(at), &sentMessages{})
	c.seed(t)
	return c
}
