package events

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// instants are when occurrences begin in a subscriber's window, in UTC, in the order of the answer.
func (w *world) instants(subscriber, from, to, zone string) []string {
	w.t.Helper()
	var answer struct{ Occurrences []struct{ UTC, Title string } }
	query := fmt.Sprintf("events?count=50000&subscriber=%s&from=%s&to=%s&tz=%s", subscriber, from, to, url.QueryEscape(zone))
	if err := json.Unmarshal([]byte(w.do(200, "GET", query, "")), &answer); err != nil {
		w.t.Fatal(err)
	}
	var list []string
	for _, o := range answer.Occurrences {
		list = append(list, strings.TrimSuffix(o.UTC, ":00Z")+"Z")
	}
	return list
}

// TestClockChanges_WindowsEditsExportsImports: daily events at times that a clock change skips or shows twice. A skipped time is later by the gap, of an
// ambiguous one it is the first; an edit names the occurrence by the time that the rule gives; and a file brings it all back.
func TestClockChanges_WindowsEditsExportsImports(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		for i, row := range []struct {
			zone, clock string
			days        [3]string // the second one is that of the change
			want        string
			edited      string // with the second one at 12:00, and an hour later from the third on
		}{
			{"America/New_York", "02:30", [3]string{"2026-03-07", "2026-03-08", "2026-03-09"}, "2026-03-07T07:30Z 2026-03-08T07:30Z 2026-03-09T06:30Z", "2026-03-07T07:30Z 2026-03-08T16:00Z 2026-03-09T07:30Z"},
			{"America/New_York", "01:30", [3]string{"2026-10-31", "2026-11-01", "2026-11-02"}, "2026-10-31T05:30Z 2026-11-01T05:30Z 2026-11-02T06:30Z", "2026-10-31T05:30Z 2026-11-01T17:00Z 2026-11-02T07:30Z"},
			{"Europe/London", "01:30", [3]string{"2026-03-28", "2026-03-29", "2026-03-30"}, "2026-03-28T01:30Z 2026-03-29T01:30Z 2026-03-30T00:30Z", "2026-03-28T01:30Z 2026-03-29T11:00Z 2026-03-30T01:30Z"},
			{"Europe/London", "01:30", [3]string{"2026-10-24", "2026-10-25", "2026-10-26"}, "2026-10-24T00:30Z 2026-10-25T00:30Z 2026-10-26T01:30Z", "2026-10-24T00:30Z 2026-10-25T12:00Z 2026-10-26T02:30Z"},
			{"Australia/Lord_Howe", "02:15", [3]string{"2026-10-03", "2026-10-04", "2026-10-05"}, "2026-10-02T15:45Z 2026-10-03T15:45Z 2026-10-04T15:15Z", "2026-10-02T15:45Z 2026-10-04T01:00Z 2026-10-04T16:15Z"},
			{"Australia/Lord_Howe", "01:45", [3]string{"2026-04-04", "2026-04-05", "2026-04-06"}, "2026-04-03T14:45Z 2026-04-04T14:45Z 2026-04-05T15:15Z", "2026-04-03T14:45Z 2026-04-05T01:30Z 2026-04-05T16:15Z"},
			{"Asia/Kathmandu", "09:00", [3]string{"2026-03-28", "2026-03-29", "2026-03-30"}, "2026-03-28T03:15Z 2026-03-29T03:15Z 2026-03-30T03:15Z", "2026-03-28T03:15Z 2026-03-29T06:15Z 2026-03-30T04:15Z"},
		} {
			subscriber := fmt.Sprintf("Device/%d", i)
			at := func(day, clock string) string { return day + "T" + clock + ":00" }
			later := func(clock string) string {
				parsed, _ := time.Parse("15:04", clock)
				return parsed.Add(time.Hour).Format("15:04")
			}
			end, _ := time.Parse(time.DateOnly, row.days[2])
			to := end.AddDate(0, 0, 1).Format(time.DateOnly)
			id := w.event(at(row.days[0], row.clock), at(row.days[0], later(row.clock)), row.zone, fmt.Sprintf(`"subscribers":[%q],"rrule":"FREQ=DAILY;COUNT=3"`, subscriber))
			same := func(step, want string) {
				t.Helper()
				if got := strings.Join(w.instants(subscriber, row.days[0], to, row.zone), " "); got != want {
					t.Errorf("%s at %s, %s:\n got %s\nwant %s", row.zone, row.clock, step, got, want)
				}
			}
			there := func(step, want string) {
				t.Helper()
				text := w.do(200, "GET", "events.ics?subscriber="+subscriber, "")
				before := w.ctx
				w.fresh()
				w.do(200, "POST", "import?organization=Organization/1&subscriber="+subscriber, text)
				same(step, want)
				w.ctx = before
			}
			same("window", row.want)
			there("imported", row.want)
			w.do(200, "POST", "events/"+id+"/$edit", fmt.Sprintf(`{"scope":"this","recurrence":%q,"start":%q}`, at(row.days[1], row.clock), at(row.days[1], "12:00")))
			w.do(200, "POST", "events/"+id+"/$edit", fmt.Sprintf(`{"scope":"following","recurrence":%q,"start":%q}`, at(row.days[2], row.clock), at(row.days[2], later(row.clock))))
			same("edited", row.edited)
			there("edited and imported", row.edited)
		}
	})
}

// TestEdit_SplitThenMergeIsTheOriginal: whatever the series, splitting it at its k-th occurrence by $edit leaves, both parts together, what was there.
func TestEdit_SplitThenMergeIsTheOriginal(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		n := 0
		rapid.Check(t, func(r *rapid.T) {
			n++ // a calendar of its own for each
			subscriber := fmt.Sprintf("Device/%d", n)
			zone := rapid.SampledFrom([]string{"UTC", "America/New_York", "Europe/London", "Australia/Lord_Howe", "Asia/Kathmandu"}).Draw(r, "zone")
			rule := rapid.SampledFrom([]string{
				"FREQ=DAILY", "FREQ=DAILY;INTERVAL=3", "FREQ=WEEKLY;BYDAY=MO,WE,FR", "FREQ=WEEKLY;INTERVAL=2;WKST=SU;BYDAY=SU,TU", "FREQ=MONTHLY;BYDAY=-1FR", "FREQ=MONTHLY;BYMONTHDAY=31",
				"FREQ=MONTHLY", "FREQ=YEARLY;BYMONTH=3,10;BYDAY=SU", "FREQ=HOURLY;INTERVAL=11", "FREQ=MONTHLY;BYDAY=MO,TU,WE;BYSETPOS=2,-1",
			}).Draw(r, "rule")
			if bound := rapid.SampledFrom([]string{"", ";COUNT=17", ";UNTIL=20261130T000000Z", ";UNTIL=20260605T220000Z"}).Draw(r, "bound"); bound != "" {
				rule += bound
			}
			day := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, rapid.IntRange(0, 120).Draw(r, "day")).Format(time.DateOnly)
			hour := rapid.IntRange(0, 22).Draw(r, "hour")
			more := fmt.Sprintf(`"subscribers":[%q],"rrule":%q`, subscriber, rule)
			if rapid.Bool().Draw(r, "dates") {
				more += fmt.Sprintf(`,"rdates":["2026-06-06T06:06:00"],"exdates":["%sT%02d:15:00"]`, day, hour)
			}
			id := w.event(fmt.Sprintf("%sT%02d:15:00", day, hour), fmt.Sprintf("%sT%02d:45:00", day, hour), zone, more)
			all := w.instants(subscriber, "2025-12-31", "2027-01-31", "UTC")
			if len(all) == 0 {
				return
			}
			k := rapid.IntRange(0, len(all)-1).Draw(r, "k")
			var answer struct{ Occurrences []struct{ Recurrence string } }
			if err := json.Unmarshal([]byte(w.do(200, "GET", "events?count=50000&subscriber="+subscriber+"&from=2025-12-31&to=2027-01-31", "")), &answer); err != nil {
				t.Fatal(err)
			}
			w.do(200, "POST", "events/"+id+"/$edit", fmt.Sprintf(`{"scope":"following","recurrence":%q,"title":"Second"}`, answer.Occurrences[k].Recurrence))
			if got := w.instants(subscriber, "2025-12-31", "2027-01-31", "UTC"); !slices.Equal(got, all) {
				r.Fatalf("%s in %s from %s, split at %d (%s):\n got %v\nwant %v", rule, zone, day, k, answer.Occurrences[k].Recurrence, got, all)
			}
		})
	})
}
