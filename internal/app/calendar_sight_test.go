package app

import (
	"fmt"
	"strings"
	"testing"
)

// TestCalendar_OthersOutOfSightAreBusy: in the calendar of somebody who is seen, what happens with a patient who is not says that they are busy, and neither
// who it is nor what; at once when that changes, whoever asked before.
func TestCalendar_OthersOutOfSightAreBusy(t *testing.T) {
	t.Parallel()
	eachClinic(t, func(t *testing.T, c *clinic) {
		c.care(t)
		ids := map[string]string{}
		for n, p := range []string{"p1", "p2", "p3"} {
			ids[p] = c.must(t, 200, "frontdesk", "POST", book, ask([]string{tuesday9, tuesday930, tuesday10}[n], "Patient/"+p)).one(t).ID
		}
		window := "/calendar/events?subscriber=Practitioner/dr&from=2026-01-06&to=2026-01-07"
		// told says for whom of the patients the whole of their visits is told in all the ways that there are.
		told := func(token string, want ...string) {
			t.Helper()
			for range 2 { // the second is kept
				for _, path := range []string{window, "/calendar/sync?subscriber=Practitioner/dr", "/calendar/events.ics?subscriber=Practitioner/dr", ""} {
					for p, id := range ids {
						at := path
						if at == "" {
							at = "/calendar/events/" + id
						}
						body := c.must(t, 200, token, "GET", at, "").body
						full := false
						for _, w := range want {
							full = full || w == p
						}
						if n := strings.Count(body, "Busy"); path == window && n != 3-len(want) {
							t.Errorf("%s as %s: %d times Busy, want %d: %s", at, token, n, 3-len(want), body)
						}
						if strings.HasSuffix(at, ".ics?subscriber=Practitioner/dr") {
							continue // it names nobody
						}
						if got := strings.Contains(body, "Patient/"+p+`"`) && strings.Contains(body, "Appointment/"+id); got != full || !full && (strings.Contains(body, "Patient/"+p+`"`) || strings.Contains(body, "Appointment/"+id)) {
							t.Errorf("%s as %s tells of %s: %v, want %v: %s", at, token, p, got, full, body)
						}
					}
				}
			}
			if n := strings.Count(c.must(t, 200, token, "GET", "/calendar/events.ics?subscriber=Practitioner/dr", "").body, "SUMMARY:Busy"); n != 3-len(want) {
				t.Errorf("as %s: %d times Busy in the file, want %d", token, n, 3-len(want))
			}
		}
		told("frontdesk", "p1", "p2", "p3")
		told(nurse, "p2")
		told("role=clinician&id=dr&person=Practitioner/dr", "p1", "p2", "p3") // who is there themselves
		told("frontdesk", "p1", "p2", "p3")
		tag := c.must(t, 200, "frontdesk", "GET", window, "").header.Get("ETag")
		c.label(t, "p3")
		told("frontdesk", "p1", "p2")
		told("admin", "p1", "p2")
		c.must(t, 200, "frontdesk", "GET", window, "", "If-None-Match", tag)
		c.put(t, "Patient/p2", `"birthDate":"1980-05-05"`) // in nobody's care any more
		told(nurse)
		if _, err := c.records.ImportResources(c.ctx, [][]byte{[]byte(`{"resourceType":"Patient","id":"p3","birthDate":"1980-05-05"}`)}); err != nil {
			t.Fatal(err)
		}
		told("frontdesk", "p1", "p2", "p3")
		c.must(t, 304, "frontdesk", "GET", window, "", "If-None-Match", tag)
		c.label(t, "p3")
		for _, hidden := range [][2]string{{"frontdesk", "p3"}, {"admin", "p3"}, {nurse, "p1"}} {
			token, p := hidden[0], hidden[1]
			for _, path := range []string{"/calendar/events?from=2026-01-06&to=2026-01-07&subscriber=Patient/%s", "/calendar/events?from=2026-01-06&to=2026-01-07&shape=days&subscriber=Practitioner/dr,Patient/%s", "/calendar/sync?subscriber=Patient/%s", "/calendar/events.ics?subscriber=Patient/%s"} {
				id := []string{"X-Request-Id", "one"}
				got, want := c.must(t, 404, token, "GET", fmt.Sprintf(path, p), "", id...).body, c.must(t, 404, token, "GET", fmt.Sprintf(path, "nobody"), "", id...).body
				if got != want {
					t.Errorf("%s tells who is there:\n%s\n%s", path, got, want)
				}
			}
			c.must(t, 404, token, "POST", "/calendar/events", fmt.Sprintf(`{"organization":"Organization/1","subscribers":["Patient/%s"],"title":"x","start":"2026-01-06","end":"2026-01-07"}`, p))
		}
		if body := c.must(t, 200, "patient:p3", "GET", "/calendar/events?from=2026-01-06&to=2026-01-07&subscriber=Patient/p3", "").body; !strings.Contains(body, ids["p3"]) || strings.Contains(body, "Busy") {
			t.Error(body)
		}
	})
}
