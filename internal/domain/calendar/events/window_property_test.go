package events

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"ward/internal/base/clock"
)

// all reads a window page by page, and gives what is in it: each occurrence as it was answered, in its order.
func (w *world) all(query string, page int) (list []string) {
	w.t.Helper()
	cursor := ""
	for {
		var answer struct {
			Occurrences []json.RawMessage
			Next        string
		}
		if err := json.Unmarshal([]byte(w.do(200, "GET", fmt.Sprintf("events?%s&count=%d%s", query, page, cursor), "")), &answer); err != nil {
			w.t.Fatal(err)
		}
		for _, o := range answer.Occurrences {
			list = append(list, string(o))
		}
		if answer.Next == "" {
			return list
		}
		cursor = "&cursor=" + answer.Next
	}
}

// TestWindow_UnionOfItsParts: window(a,c) = window(a,b) ∪ window(b,c), whatever the pages, for one and for several subscribers.
func TestWindow_UnionOfItsParts(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		r := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // a test's
		zones := []string{"America/New_York", "Europe/London", "Australia/Lord_Howe", "Asia/Kathmandu", ""}
		rules := []string{"", "", "", "FREQ=DAILY;INTERVAL=3", "FREQ=WEEKLY;BYDAY=MO,TH;COUNT=30", "FREQ=MONTHLY;BYDAY=-1FR", "FREQ=YEARLY"}
		people := []string{"Patient/u1", "Patient/u2", "Practitioner/u3"}
		base := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		for i := range 60 {
			start := base.Add(time.Duration(r.IntN(400*24*12)) * 5 * time.Minute)
			if r.IntN(4) == 0 {
				start = start.AddDate(-r.IntN(20), 0, 0)
			}
			format, zone := "2006-01-02T15:04:05", zones[r.IntN(len(zones))]
			end := start.Add(time.Duration(r.IntN(300)) * time.Minute * 7)
			if r.IntN(6) == 0 {
				format, zone, end = time.DateOnly, "", start.AddDate(0, 0, 1+r.IntN(40))
			}
			more := fmt.Sprintf(`"title":"E%d","subscribers":[%q]`, i, people[r.IntN(3)])
			if r.IntN(2) == 0 {
				more = fmt.Sprintf(`"title":"E%d","subscribers":[%q,%q,%q]`, i, people[0], people[1], people[2])
			}
			if rule := rules[r.IntN(len(rules))]; rule != "" {
				more += fmt.Sprintf(`,"rrule":%q`, rule)
			}
			w.event(start.Format(format), end.Format(format), zone, more)
		}
		for range 25 {
			cuts := []int{r.IntN(360 * 24), r.IntN(360 * 24), r.IntN(360 * 24)}
			slices.Sort(cuts)
			if cuts[0] == cuts[1] || cuts[1] == cuts[2] {
				continue
			}
			at := func(i int) string { return base.Add(time.Duration(cuts[i]) * time.Hour).Format(time.RFC3339) }
			who := "&subscriber=" + strings.Join(people[:1+r.IntN(3)], ",")
			whole := w.all("from="+at(0)+"&to="+at(2)+who, 1+r.IntN(40))
			parts := map[string]bool{}
			for _, o := range append(w.all("from="+at(0)+"&to="+at(1)+who, 1+r.IntN(9)), w.all("from="+at(1)+"&to="+at(2)+who, 50_000)...) {
				parts[o] = true
			}
			once := map[string]bool{}
			for _, o := range whole {
				if once[o] {
					t.Fatalf("twice: %s", o)
				}
				once[o] = true
			}
			if !maps.Equal(once, parts) {
				t.Fatalf("%s, %s, %s%s: the whole has %d, the parts have %d", at(0), at(1), at(2), who, len(once), len(parts))
			}
			// The days' counts are of the same occurrences.
			var days struct{ Days []struct{ Count int } }
			if err := json.Unmarshal([]byte(w.do(200, "GET", "events?shape=days&from="+at(0)+"&to="+at(2)+who, "")), &days); err != nil {
				t.Fatal(err)
			}
			sum := 0
			for _, d := range days.Days {
				sum += d.Count
			}
			if sum != len(whole) {
				t.Fatalf("%s to %s%s: the days count %d of %d", at(0), at(2), who, sum, len(whole))
			}
		}
		// Whole days and months in UTC are counted from the shards' own counts.
		for range 10 {
			from := base.AddDate(0, 0, r.IntN(200))
			window := "from=" + from.Format(time.DateOnly) + "&to=" + from.AddDate(0, 0, 1+r.IntN(90)).Format(time.DateOnly) + "&subscriber=Patient/u1,Patient/u2"
			var days struct{ Days []struct{ Count int } }
			if err := json.Unmarshal([]byte(w.do(200, "GET", "events?shape=days&"+window, "")), &days); err != nil {
				t.Fatal(err)
			}
			sum := 0
			for _, d := range days.Days {
				sum += d.Count
			}
			if n := len(w.all(window, 50_000)); sum != n {
				t.Fatalf("%s: the days count %d of %d", window, sum, n)
			}
		}
	})
}

// TestSync_TokensLastLongerThan30Days has a token from 31 days and hundreds of changes ago: it tells those, and nothing else.
func TestSync_TokensLastLongerThan30Days(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		now := clock.NewManual(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))
		d := w.deps
		d.Clock = now
		w.Service = New(d)
		w.route()
		type told struct {
			Changes []struct {
				ID      string
				Deleted bool
			}
			Token string
			More  bool
		}
		ask := func(token string) (out told) {
			t.Helper()
			if err := json.Unmarshal([]byte(w.do(200, "GET", "sync?subscriber=Patient/1&token="+token, "")), &out); err != nil {
				t.Fatal(err)
			}
			return out
		}
		for i := range 20 {
			w.event(fmt.Sprintf("2026-03-%02dT09:00:00", i+1), fmt.Sprintf("2026-03-%02dT10:00:00", i+1), "UTC", "")
		}
		token := ask("").Token
		want := map[string]bool{} // whether it was deleted
		for range 31 {
			now.Advance(24 * time.Hour)
			for range 4 {
				id := w.event("2026-03-02T11:00:00", "2026-03-02T12:00:00", "UTC", "")
				want[id] = false
				w.event("2026-03-02T11:00:00", "2026-03-02T12:00:00", "UTC", `"subscribers":["Patient/other"]`)
			}
		}
		for id := range want {
			if len(want)%3 == 0 || strings.HasSuffix(id, "a") {
				w.do(204, "DELETE", "events/"+id, "")
				want[id] = true
			}
		}
		got := map[string]bool{}
		for more := true; more; {
			out := ask(token)
			for _, c := range out.Changes {
				got[c.ID] = c.Deleted
			}
			token, more = out.Token, out.More
		}
		if !maps.Equal(got, want) {
			t.Errorf("%d changes were told, there were %d", len(got), len(want))
		}
		if out := ask(token); len(out.Changes) != 0 {
			t.Errorf("%d changes again", len(out.Changes))
		}
	})
}
