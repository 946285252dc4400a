package availability

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func compiled(t *testing.T, a Availability) *Availability {
	t.Helper()
	a.Actor, a.Services = "Practitioner/dr", []Offer{{Service: "visit"}}
	if err := a.Compile(); err != nil {
		t.Fatal(err)
	}
	return &a
}

// startsOn are the starts of visits, as the clocks there show them, on a day of the zone.
func startsOn(t *testing.T, a *Availability, day string, minutes int) (starts []string) {
	t.Helper()
	date, err := time.ParseInLocation(time.DateOnly, day, a.zone.Location())
	if err != nil {
		t.Fatal(err)
	}
	now := date.AddDate(0, -1, 0).Unix()
	a.Starts(minutes, date.Unix(), date.AddDate(0, 0, 1).Unix(), now, func(start, end int64) bool {
		if end-start != int64(minutes)*60 {
			t.Errorf("a visit of %d seconds", end-start)
		}
		starts = append(starts, time.Unix(start, 0).In(a.zone.Location()).Format("15:04-07:00"))
		return true
	})
	return starts
}

// TestAvailability_ClockChanges: hours are the wall clock's. Where an hour is skipped there is an hour less to book in, where one comes twice an hour more; the rest of
// the day, and the days before and after, are as always.
func TestAvailability_ClockChanges(t *testing.T) {
	t.Parallel()
	daily := func(zone, start, end string) Availability {
		return Availability{Zone: zone, Hours: []Hours{{Rule: "FREQ=DAILY", Start: start, End: end}}}
	}
	for _, row := range []struct {
		name    string
		rules   Availability
		day     string
		minutes int
		want    string
	}{
		{"New York, the day before spring forward", daily("America/New_York", "01:00", "04:00"), "2026-03-07", 60, "01:00-05:00 02:00-05:00 03:00-05:00"},
		{"New York, 2:00 is skipped", daily("America/New_York", "01:00", "04:00"), "2026-03-08", 60, "01:00-05:00 03:00-04:00"},
		{"New York, the hours begin in the gap", daily("America/New_York", "02:30", "05:00"), "2026-03-08", 30, "03:30-04:00 04:00-04:00 04:30-04:00"},
		{"New York, a working day after the gap", daily("America/New_York", "09:00", "11:00"), "2026-03-08", 60, "09:00-04:00 10:00-04:00"},
		{"New York, 1:00 comes twice", daily("America/New_York", "00:00", "03:00"), "2026-11-01", 60, "00:00-04:00 01:00-04:00 01:00-05:00 02:00-05:00"},
		{"New York, the night over the gap", daily("America/New_York", "22:00", "04:00"), "2026-03-08", 60, "00:00-05:00 01:00-05:00 03:00-04:00 22:00-04:00 23:00-04:00"},
		{"London, 1:00 is skipped", daily("Europe/London", "00:00", "03:00"), "2026-03-29", 60, "00:00+00:00 02:00+01:00"},
		{"London, 1:00 comes twice", daily("Europe/London", "00:00", "03:00"), "2026-10-25", 60, "00:00+01:00 01:00+01:00 01:00+00:00 02:00+00:00"},
		{"Lord Howe, half an hour is skipped", daily("Australia/Lord_Howe", "01:00", "04:00"), "2026-10-04", 30, "01:00+10:30 01:30+10:30 02:30+11:00 03:00+11:00 03:30+11:00"},
		{"Lord Howe, half an hour comes twice", daily("Australia/Lord_Howe", "01:00", "03:00"), "2026-04-05", 30, "01:00+11:00 01:30+11:00 01:30+10:30 02:00+10:30 02:30+10:30"},
		{"Kathmandu, a quarter to", daily("Asia/Kathmandu", "09:00", "11:00"), "2026-03-29", 60, "09:00+05:45 10:00+05:45"},
		{"Kathmandu, at night", daily("Asia/Kathmandu", "22:00", "24:00"), "2026-11-01", 60, "22:00+05:45 23:00+05:45"},
	} {
		if got := strings.Join(startsOn(t, compiled(t, row.rules), row.day, row.minutes), " "); got != row.want {
			t.Errorf("%s: %s, want %s", row.name, got, row.want)
		}
	}
}

// TestAvailability_Rules: breaks, time off, steps, notice, and the days on which hours are.
func TestAvailability_Rules(t *testing.T) {
	t.Parallel()
	mornings := []Hours{{Rule: "FREQ=WEEKLY;BYDAY=MO,WE", Start: "09:00", End: "12:00"}}
	for _, row := range []struct {
		name    string
		rules   Availability
		day     string
		minutes int
		want    string
	}{
		{"a Monday", Availability{Hours: mornings}, "2026-01-05", 60, "09:00 10:00 11:00"},
		{"a Tuesday", Availability{Hours: mornings}, "2026-01-06", 60, ""},
		{"steps", Availability{Hours: mornings, Step: 30}, "2026-01-05", 60, "09:00 09:30 10:00 10:30 11:00"},
		{"a break", Availability{Hours: mornings, Breaks: []Hours{{Rule: "FREQ=DAILY", Start: "10:15", End: "10:30"}}}, "2026-01-05", 30, "09:00 09:30 10:30 11:00 11:30"},
		{"time off", Availability{Hours: mornings, TimeOff: []Off{{"2026-01-05T00:00", "2026-01-05T11:00"}}}, "2026-01-05", 60, "11:00"},
		{"hours that overlap", Availability{Hours: append(slices.Clone(mornings), Hours{Rule: "FREQ=DAILY", Start: "11:00", End: "13:00"})}, "2026-01-05", 60, "09:00 10:00 11:00 12:00"},
		{"every other week, this one", Availability{Hours: []Hours{{Rule: "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO", Start: "09:00", End: "10:00", From: "2025-12-22"}}}, "2026-01-05", 60, "09:00"},
		{"every other week, not this one", Availability{Hours: []Hours{{Rule: "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO", Start: "09:00", End: "10:00", From: "2025-12-29"}}}, "2026-01-05", 60, ""},
		{"a beginning that is none of its days", Availability{Hours: []Hours{{Rule: "FREQ=WEEKLY;BYDAY=MO", Start: "09:00", End: "10:00", From: "2026-01-06"}}}, "2026-01-06", 60, ""},
		{"the last Friday of a month", Availability{Hours: []Hours{{Rule: "FREQ=MONTHLY;BYDAY=-1FR", Start: "09:00", End: "10:00"}}}, "2026-01-30", 60, "09:00"},
		{"until a day", Availability{Hours: []Hours{{Rule: "FREQ=DAILY;UNTIL=20260104", Start: "09:00", End: "10:00"}}}, "2026-01-05", 60, ""},
	} {
		row.rules.Zone = "UTC"
		got := startsOn(t, compiled(t, row.rules), row.day, row.minutes)
		for i := range got {
			got[i] = strings.TrimSuffix(got[i], "+00:00")
		}
		if s := strings.Join(got, " "); s != row.want {
			t.Errorf("%s: %q, want %q", row.name, s, row.want)
		}
	}
	a := compiled(t, Availability{Zone: "UTC", Hours: mornings, MinimumNotice: 120, MaximumAdvance: 7})
	monday := time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC).Unix()
	for hour, want := range map[int64]string{9: "2 hours before", 10: "", 13: "no visit"} {
		if got := a.Starting(monday+(hour-8)*3600, 60, monday); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%d:00: %q, want %q", hour, got, want)
		}
	}
	if got := a.Starting(monday+9*86400, 60, monday); !strings.Contains(got, "too far ahead") {
		t.Error(got)
	}
}
