package reminder_test

import (
	"testing"
	"time"

	"ward/internal/domain/calendar/reminder"
	"ward/internal/format/ical"
)

// TestReminderPlan_LocalTime: days before and times of day are the wall clock's.
func TestReminderPlan_LocalTime(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ zone, visit, want string }{
		{"America/New_York", "2026-03-09T09:00:00-04:00", "2026-03-08T17:00:00-04:00"},
		{"America/New_York", "2026-03-08T09:00:00-04:00", "2026-03-07T17:00:00-05:00"},
		{"Europe/London", "2026-10-26T00:30:00Z", "2026-10-25T17:00:00Z"},
		{"Australia/Lord_Howe", "2026-10-05T08:00:00+11:00", "2026-10-04T17:00:00+11:00"},
		{"Asia/Kathmandu", "2026-10-05T00:15:00+05:45", "2026-10-04T17:00:00+05:45"},
	} {
		zone, err := ical.LoadZone(row.zone)
		if err != nil {
			t.Fatal(err)
		}
		visit, err := time.Parse(time.RFC3339, row.visit)
		if err != nil {
			t.Fatal(err)
		}
		p := reminder.Plan{Channel: "sms", Days: 1, At: 17 * 60}
		if got := time.Unix(p.Due(visit.Unix(), zone), 0).In(zone.Location()).Format(time.RFC3339); got != row.want {
			t.Errorf("%s, %s: %s, want %s", row.zone, row.visit, got, row.want)
		}
	}
}
