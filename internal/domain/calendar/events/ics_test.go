package events

import (
	"strings"
	"testing"

	"ward/internal/base/scope"
	"ward/internal/kernel/access"
)

const imported = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VTIMEZONE\r\nTZID:Eastern\r\nX-LIC-LOCATION:America/New_York\r\nEND:VTIMEZONE\r\n" +
	"BEGIN:VEVENT\r\nUID:series@example.org\r\nSUMMARY:Physio\\, weekly\r\nDTSTART;TZID=Eastern:20260302T090000\r\nDURATION:PT1H30M\r\n" +
	"RRULE:FREQ=WEEKLY;COUNT=4\r\nEXDATE;TZID=Eastern:20260316T090000\r\nBEGIN:VALARM\r\nACTION:DISPLAY\r\nTRIGGER:-PT30M\r\nEND:VALARM\r\nEND:VEVENT\r\n" +
	"BEGIN:VEVENT\r\nUID:series@example.org\r\nRECURRENCE-ID:20260309T130000Z\r\nSUMMARY:Physio\\, late\r\nDTSTART;TZID=Eastern:20260309T150000\r\nDTEND;TZID=Eastern:20260309T160000\r\nEND:VEVENT\r\n" +
	"BEGIN:VEVENT\r\nUID:day@example.org\r\nSUMMARY:Off\r\nDTSTART;VALUE=DATE:20260320\r\nTRANSP:TRANSPARENT\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"

const into = "import?organization=Organization/1&subscriber=Patient/1"

func TestICS_ImportExportImport(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		const want = "2026-03-02T09:00:00=Physio, weekly 2026-03-09T15:00:00=Physio, late 2026-03-20=Off 2026-03-23T09:00:00=Physio, weekly"
		if got := w.do(200, "POST", into, imported); got != `{"created":2,"replaced":0}` {
			t.Error(got)
		}
		w.want(march, want)
		if got := w.do(200, "POST", into, imported); got != `{"created":0,"replaced":2}` {
			t.Error(got)
		}
		w.want(march, want)
		text := w.do(200, "GET", "events.ics?subscriber=Patient/1", "")
		for _, part := range []string{
			"TZID:America/New_York\r\n", "BEGIN:DAYLIGHT\r\nDTSTART:20260308T020000\r\n", "DTSTART;TZID=America/New_York:20260302T090000\r\n",
			"DTEND;TZID=America/New_York:20260302T103000\r\n", "RRULE:FREQ=WEEKLY;COUNT=4\r\n", "RECURRENCE-ID;TZID=America/New_York:20260309T090000\r\n",
			"SUMMARY:Physio\\, late\r\n", "TRIGGER:-PT30M\r\n", "DTSTART;VALUE=DATE:20260320\r\n", "TRANSP:TRANSPARENT\r\n",
		} {
			if !strings.Contains(text, part) {
				t.Errorf("the export lacks %q:\n%s", part, text)
			}
		}
		// what was exported is the same again, in another tenant
		w.fresh()
		w.want(march, "")
		w.do(200, "POST", into, text)
		w.want(march, want)
		w.who = scope.Principal{ID: "user/3", Role: access.Patient, Person: "Patient/2", Patients: []string{"2"}}
		w.do(403, "GET", "events.ics?subscriber=Patient/1", "")
	})
}

func TestICS_RefusedLeavesNothing(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		good := strings.TrimSuffix(imported, "END:VCALENDAR\r\n")
		for _, c := range []struct{ more, says string }{
			{"BEGIN:VEVENT\r\nDTSTART:20260302T090000\r\nEND:VEVENT\r\n", "event 4 of the calendar: UID must be there"},
			{"BEGIN:VEVENT\r\nUID:x\r\nEND:VEVENT\r\n", "DTSTART must be there"},
			{"BEGIN:VEVENT\r\nUID:x\r\nDTSTART;TZID=Mars:20260302T090000\r\nEND:VEVENT\r\n", "TZID names an unknown time zone"},
			{"BEGIN:VEVENT\r\nUID:x\r\nDTSTART:20260302T090000\r\nRRULE:FREQ=DAILY;BYMONTHDAY=32\r\nEND:VEVENT\r\n", "BYMONTHDAY must be"},
			{"BEGIN:VEVENT\r\nUID:x\r\nDTSTART:20260302T090000\r\nDURATION:soon\r\nEND:VEVENT\r\n", "DURATION must be"},
			{"BEGIN:VEVENT\r\nUID:x\r\nDTSTART:20260302T090000\r\nDTEND:20260301T090000\r\nEND:VEVENT\r\n", "DTEND must be after start"},
			{"BEGIN:VEVENT\r\nUID:x\r\nRECURRENCE-ID:20260302T090000\r\nDTSTART:20260302T090000\r\nEND:VEVENT\r\n", "without the series"},
			{"BEGIN:VEVENT\r\nUID:day@example.org\r\nDTSTART:20260302T090000\r\nEND:VEVENT\r\n", "UID must be there once"},
			{"BEGIN:VEVENT\r\nUID:x\r\nDTSTART:20260302T090000\r\nEXRULE:FREQ=DAILY\r\nEND:VEVENT\r\n", "EXRULE"},
			{"BEGIN:VEVENT\r\nEND:VCALENDAR\r\n", "ends a component"},
			{strings.Repeat("BEGIN:VEVENT\r\nUID:x\r\nEND:VEVENT\r\n", 1), "DTSTART must be there"},
		} {
			if got := w.do(400, "POST", into, good+c.more+"END:VCALENDAR\r\n"); !strings.Contains(got, c.says) {
				t.Errorf("%q: %s, want it to say %s", c.more, got, c.says)
			}
		}
		w.do(400, "POST", "import?organization=Organization/1", imported)
		w.do(404, "POST", "import?organization=Organization/1&subscriber=Patient/hidden", imported)
		w.want(march, "")
	})
}
