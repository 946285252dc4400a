package app

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ward/internal/backend/db"
	"ward/internal/backend/db/dbtest"
)

// event makes an event and gives its id.
func (c *clinic) event(t testing.TB, body string) string {
	t.Helper()
	r := c.must(t, 201, "admin", "POST", "/calendar/events", body)
	var e struct{ ID string }
	if err := json.Unmarshal([]byte(r.body), &e); err != nil {
		t.Fatal(err)
	}
	return e.ID
}

// run lets the clock run from one thing that is due to the next until a time, in all processes at once, and gives what was sent: "when channel to".
func (c *clinic) run(t testing.TB, until time.Time, zone *time.Location, processes ...*clinic) (sent []string) {
	t.Helper()
	for {
		var mu sync.Mutex
		var wg sync.WaitGroup
		next := until
		for _, p := range append(processes, c) {
			wg.Go(func() {
				at := p.turn(t)
				mu.Lock()
				defer mu.Unlock()
				if !at.IsZero() && at.Before(next) {
					next = at
				}
			})
		}
		wg.Wait()
		now := c.clock.Now()
		for _, m := range c.sent.take() {
			sent = append(sent, now.In(zone).Format("01-02 15:04")+" "+m.Channel+" "+m.To)
		}
		if !now.Before(until) {
			slices.Sort(sent)
			return sent
		}
		if next.After(now) {
			c.clock.Set(next)
		} else {
			c.clock.Advance(time.Second)
		}
	}
}

// TestEventReminders_LocalTime: the reminders of a daily event at 9:00 are an hour before and a day before on the clocks there, before a change of the clocks, on the
// day and after.
func TestEventReminders_LocalTime(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		zone      string
		day       time.Time // on which the clocks change
		processes int
	}{
		{"America/New_York", time.Date(2026, 3, 8, 0, 0, 0, 0, time.UTC), 1},
		{"America/New_York", time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), 2},
		{"Europe/London", time.Date(2026, 3, 29, 0, 0, 0, 0, time.UTC), 1},
		{"Australia/Lord_Howe", time.Date(2026, 4, 5, 0, 0, 0, 0, time.UTC), 1},
		{"Asia/Kathmandu", time.Date(2026, 4, 5, 0, 0, 0, 0, time.UTC), 1},
	} {
		t.Run(row.zone+row.day.Format(" 01"), func(t *testing.T) {
			t.Parallel()
			zone, err := time.LoadLocation(row.zone)
			if err != nil {
				t.Fatal(err)
			}
			local := func(day, hour int) time.Time {
				return time.Date(row.day.Year(), row.day.Month(), row.day.Day()+day, hour, 0, 0, 0, zone)
			}
			var d *db.DB
			if row.processes == 1 {
				d = dbtest.SQLite(t)
			} else {
				d = dbtest.Postgres(t)
			}
			c := newClinicAt(t, d, local(-2, 6))
			var others []*clinic
			for range row.processes - 1 {
				others = append(others, clinicOn(t, d, c.clock, c.sent))
			}
			c.event(t, fmt.Sprintf(`{"organization":"Organization/1","subscribers":["Patient/p1","Location/room"],"title":"Rounds","start":"%sT09:00:00","end":"%sT09:30:00","tz":%q,
				"rrule":"FREQ=DAILY","reminders":[60,1440]}`, row.day.AddDate(0, 0, -30).Format(time.DateOnly), row.day.AddDate(0, 0, -30).Format(time.DateOnly), row.zone))
			var want []string
			for day := -2; day <= 2; day++ {
				date := local(day, 0).Format("01-02 ")
				want = append(want, date+"08:00 push Patient/p1", date+"09:00 email p@example.com")
			}
			if got := c.run(t, local(2, 23), zone, others...); !slices.Equal(got, want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		})
	}
}

// TestEventReminders_FollowTheEvent: what is moved, cancelled, deleted or given up is reminded of as it is then; who has no address is told by push.
func TestEventReminders_FollowTheEvent(t *testing.T) {
	t.Parallel()
	eachClinic(t, func(t *testing.T, c *clinic) {
		zone := time.UTC
		c.put(t, "Practitioner/silent", `"name":[{"family":"Quiet"}]`)
		at := func(day, hour int) time.Time { return time.Date(2026, 1, day, hour, 0, 0, 0, time.UTC) }
		series := c.event(t, `{"organization":"Organization/1","subscribers":["Patient/p1","Practitioner/silent","Location/room"],"title":"Group","start":"2026-01-06T10:00:00","end":"2026-01-06T11:00:00","tz":"UTC",
			"rrule":"FREQ=DAILY;COUNT=6","reminders":[120],"overrides":[{"recurrence":"2026-01-07T10:00:00","start":"2026-01-07T15:00:00","end":"2026-01-07T16:00:00"},{"recurrence":"2026-01-08T10:00:00","cancelled":true}]}`)
		gone := c.event(t, `{"organization":"Organization/1","subscribers":["Patient/p2"],"title":"Gone","start":"2026-01-06T10:00:00","end":"2026-01-06T11:00:00","tz":"UTC","reminders":[60]}`)
		c.event(t, `{"organization":"Organization/1","subscribers":["Patient/p3"],"title":"Past its time","start":"2026-01-05T13:30:00","end":"2026-01-05T14:00:00","tz":"UTC","reminders":[60]}`)
		c.must(t, 204, "admin", "DELETE", "/calendar/events/"+gone, "")
		same(t, "until the 8th", c.run(t, at(8, 23), zone),
			"01-06 08:00 push Practitioner/silent", "01-06 08:00 sms +15185550100", "01-07 13:00 push Practitioner/silent", "01-07 13:00 sms +15185550100")
		c.must(t, 200, "admin", "POST", "/calendar/events/"+series+"/$edit", `{"scope":"this","recurrence":"2026-01-09T10:00:00","cancel":true}`)
		c.must(t, 200, "admin", "PUT", "/calendar/events/"+series, `{"organization":"Organization/1","subscribers":["Patient/p1"],"title":"Group","start":"2026-01-06T10:00:00","end":"2026-01-06T11:00:00","tz":"UTC",
			"rrule":"FREQ=DAILY;COUNT=6","exdates":["2026-01-09T10:00:00"],"reminders":[120]}`)
		same(t, "then", c.run(t, at(20, 0), zone), "01-10 08:00 sms +15185550100", "01-11 08:00 sms +15185550100")
	})
}

// TestEventReminders_SurviveRestarts: a process that dies between planning a reminder, sending it and noting that leaves it to the next, which sends it once; and what was
// due while none ran goes out then, unless it is over.
func TestEventReminders_SurviveRestarts(t *testing.T) {
	t.Parallel()
	eachClinic(t, func(t *testing.T, c *clinic) {
		c.event(t, `{"organization":"Organization/1","subscribers":["Patient/p1"],"title":"Daily","start":"2026-01-06T10:00:00","end":"2026-01-06T11:00:00","tz":"UTC","rrule":"FREQ=DAILY","reminders":[60]}`)
		c.turn(t)
		c.clock.Set(time.Date(2026, 1, 6, 9, 0, 0, 0, time.UTC))
		// It planned and sent the reminder, and died before it could note that.
		c.turn(t)
		if sent := c.sent.take(); len(sent) != 1 {
			t.Fatalf("%+v", sent)
		}
		c.sql(t, `UPDATE calendar_reminder SET state = 2, lease = `+fmt.Sprint(c.clock.Now().Unix()+120))
		c.sql(t, `UPDATE calendar_alarm SET due = 0, since = since - 86400`) // and what it planned is planned again
		again := clinicOn(t, c.db, c.clock, c.sent)
		again.turn(t)
		if sent := c.sent.take(); len(sent) != 0 {
			t.Errorf("planned again: %+v", sent)
		}
		c.clock.Advance(3 * time.Minute)
		again.turn(t)
		if sent := c.sent.take(); len(sent) != 1 {
			t.Errorf("after its lease: %+v", sent) // the same message; a sender that has its id does nothing
		}
		// Nobody runs for two days: the one that goes on now is told of, the others are over.
		c.clock.Set(time.Date(2026, 1, 8, 10, 30, 0, 0, time.UTC))
		again.turn(t)
		if sent := c.sent.take(); len(sent) != 1 || !strings.Contains(sent[0].Text, "8 January 2026 at 10:00 UTC") || strings.Contains(sent[0].Text, "Daily") {
			t.Errorf("after two days: %+v", sent)
		}
	})
}

// TestEventReminders_EarlierEvents: events that were stored before there were reminders of events have them from then on.
func TestEventReminders_EarlierEvents(t *testing.T) {
	t.Parallel()
	eachClinic(t, func(t *testing.T, c *clinic) {
		c.event(t, `{"organization":"Organization/1","subscribers":["Patient/p1"],"title":"Daily","start":"2026-01-06T10:00:00","end":"2026-01-06T11:00:00","tz":"UTC","reminders":[60]}`)
		c.event(t, `{"organization":"Organization/1","subscribers":["Patient/p1"],"title":"Daily","start":"2026-01-06T10:00:00","end":"2026-01-06T11:00:00","tz":"UTC"}`)
		c.sql(t, `DELETE FROM calendar_alarm`)
		c.sql(t, `DELETE FROM calendar_checked`)
		same(t, "sent", c.run(t, time.Date(2026, 1, 7, 0, 0, 0, 0, time.UTC), time.UTC), "01-06 09:00 push Patient/p1")
	})
}

// sql does what no route does.
func (c *clinic) sql(t testing.TB, text string) {
	t.Helper()
	if err := c.db.Write(c.ctx, func(ctx context.Context, tx db.Tx) error {
		_, err := tx.Exec(ctx, text)
		return err
	}); err != nil {
		t.Fatal(err)
	}
}
