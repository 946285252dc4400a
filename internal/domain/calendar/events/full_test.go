package events

import (
	"fmt"
	"strings"
	"testing"
)

// TestDense_SeriesAreBoundInEveryMonth: a series that is thin in its first month and dense in another is refused, a calendar that has too much in a month
// says so, and a text is kept once for all occurrences.
func TestDense_SeriesAreBoundInEveryMonth(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		body := func(start, rule, more string) string {
			return fmt.Sprintf(`{"organization":"Organization/1","subscribers":["Patient/1"],"title":"Visit","start":%q,"end":%q,"tz":"UTC","rrule":%q%s}`, start, start, rule, more)
		}
		text := `,"description":"` + strings.Repeat("x", maxText) + `"`
		for _, rule := range []string{"FREQ=SECONDLY;BYMONTH=3,6;BYMINUTE=0", "FREQ=MINUTELY;BYMONTH=3,6;BYHOUR=22,23", "FREQ=HOURLY;BYMONTH=3,6;BYMINUTE=0,5,10,15,20"} {
			if got := w.do(400, "POST", "events", body("2026-03-31T23:00:00", rule, text)); !strings.Contains(got, "more than 3000 occurrences in a month") {
				t.Errorf("%s: %s", rule, got)
			}
		}
		w.do(201, "POST", "events", body("2026-03-31T23:00:00", "FREQ=SECONDLY;COUNT=100", ""))
		w.do(201, "POST", "events", body("2026-03-31T23:00:00", "FREQ=SECONDLY;UNTIL=20260331T233000Z", ""))
		const june = "from=2026-06-01&to=2026-07-01&shape=days&subscriber=Patient/1"
		for range 16 {
			w.do(201, "POST", "events", body("2026-04-01T00:00:00", "FREQ=MINUTELY;INTERVAL=15", text))
		}
		if got := w.do(200, "GET", "events?"+june, ""); strings.Count(got, `"count":1536`) != 30 {
			t.Error(got)
		}
		var months window
		months.subscribers, months.from, months.to = []string{"Patient/1"}, monthBegin(monthOf(0)+677), monthBegin(monthOf(0)+678)
		list, err := w.shards(w.ctx, &months)
		if err != nil {
			t.Fatal(err)
		}
		if n := list[0][0].len(); n != 16*30*96 || len(list[0][0]) > n*300+16*2*maxText {
			t.Errorf("%d entries take %d bytes", n, len(list[0][0]))
		}
		for range 2 {
			w.do(201, "POST", "events", body("2026-04-01T00:00:00", "FREQ=MINUTELY;INTERVAL=15", text))
		}
		if got := w.do(403, "GET", "events?"+june, ""); !strings.Contains(got, "more than 50000 occurrences in a month") {
			t.Error(got)
		}
		w.do(200, "GET", "events?from=2026-02-01&to=2026-03-01&subscriber=Patient/1", "")
	})
}
