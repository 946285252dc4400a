package events

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ward/internal/base/fault"
	"ward/internal/format/ical"
)

func vevent(lines ...string) string {
	return "BEGIN:VEVENT\r\nUID:x\r\nSUMMARY:x\r\n" + strings.Join(lines, "\r\n") + "\r\nEND:VEVENT\r\n"
}

func vcalendar(parts ...string) string {
	return "BEGIN:VCALENDAR\r\nVERSION:2.0\r\n" + strings.Join(parts, "") + "END:VCALENDAR\r\n"
}

// dates are days as a list of values.
func dates(n int) string {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var list []string
	for i := range n {
		list = append(list, at.AddDate(0, 0, i).Format("20060102"))
	}
	return strings.Join(list, ",")
}

// TestBadInput_IsRefusedByName goes through the "Bad input": each is a 400 that names the part and what it may be, within a second or so, and nothing
// is stored.
func TestBadInput_IsRefusedByName(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		posted := func(tz, rrule string) string {
			return fmt.Sprintf(`{"organization":"Organization/1","subscribers":["Patient/1"],"title":"x","start":"2026-03-02T09:00:00","end":"2026-03-02T10:00:00","tz":%q,"rrule":%q}`, tz, rrule)
		}
		const start = "DTSTART:20260302T090000Z"
		type row struct{ name, method, path, body, says string }
		rows := []row{
			{"an unknown zone", "POST", "events", posted("Mars/Olympus", ""), "unknown time zone: it must be a name of the IANA time zone database"},
			{"a zone that is a path", "POST", "events", posted("./Europe/London", ""), "unknown time zone"},
			{"another", "POST", "events", posted("../../../../etc/passwd", ""), "unknown time zone"},
			{"an impossible rule", "POST", "events", posted("UTC", "FREQ=MONTHLY;BYMONTHDAY=32"), "BYMONTHDAY must be"},
			{"UNTIL before start", "POST", "events", posted("UTC", "FREQ=DAILY;UNTIL=20260101T000000Z"), "UNTIL"},
			{"COUNT with UNTIL", "POST", "events", posted("UTC", "FREQ=DAILY;COUNT=3;UNTIL=20270101T000000Z"), "COUNT or UNTIL, not both"},
			{"a rule that yields nothing", "POST", "events", posted("UTC", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"), "yields nothing"},
			{"the same by the second", "POST", "events", posted("UTC", "FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30"), "yields nothing"},
			{"every second", "POST", "events", posted("UTC", "FREQ=SECONDLY"), "more than 3000 occurrences in a month: choose a longer FREQ or INTERVAL"},
			{"every second of some December", "POST", "events", posted("UTC", "FREQ=SECONDLY;BYMONTH=12"), "more than 3000 occurrences in a month"},
			{"every second of leap days", "POST", "events", posted("UTC", "FREQ=SECONDLY;BYYEARDAY=366"), "more than 3000 occurrences in a month"},
			{"every second of every tenth year", "POST", "events", posted("UTC", "FREQ=YEARLY;INTERVAL=10;BYMONTH=7;BYMONTHDAY=1,2,3,4;BYHOUR=1,2,3,4,5,6,7,8,9,10,11,12,13;BYMINUTE=0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32,33,34,35,36,37,38,39,40,41,42,43,44,45,46,47,48,49,50,51,52,53,54,55,56,57,58,59;BYSECOND=0,30"), "more than 3000 occurrences in a month"},
			{"10⁹ occurrences by count", "POST", "events", posted("UTC", "FREQ=DAILY;COUNT=1000000000"), "rrule may have COUNT from 1 to 100000"},
			{"100,000 of them in 70 days", "POST", "events", posted("UTC", "FREQ=MINUTELY;COUNT=100000"), "more than 3000 occurrences in a month"},
			{"a word for a number", "POST", "events", posted("UTC", "FREQ=DAILY;INTERVAL=many"), "INTERVAL must be"},
			{"a frequency there is not", "POST", "events", posted("UTC", "FREQ=FORTNIGHTLY"), "FREQ must be one of"},
			{"a rule's end", "POST", "events", posted("UTC", "FREQ=DAILY;COUNT"), "RRULE"},
			{"a year there is not", "POST", "events", strings.Replace(posted("UTC", ""), "2026-03-02T10", "9999-03-02T10", 1), "end must be in the years 0001 to 9998"},
			{"a NUL", "POST", "events", strings.Replace(posted("UTC", ""), `"x"`, `"\u0000"`, 1), "title must be text"},
			{"many subscribers", "POST", "events", strings.Replace(posted("UTC", ""), `["Patient/1"]`, `["Patient/1"`+strings.Repeat(`,"Patient/1"`, 600)+`]`, 1), "subscribers must be 1 to 500"},
			{"not JSON", "POST", "events", `{"organization":`, "must be a JSON object"},
			{"an edit of nothing", "POST", "events/none/$edit", `{"scope":"some","recurrence":"2026-03-02T09:00:00"}`, "scope must be one of this, following, all"},

			{"a window of 1,000 years", "GET", "events?subscriber=Patient/1&from=2026-01-01&to=3026-01-01", "", "to must be after from, by 400 days at most"},
			{"a window backwards", "GET", "events?subscriber=Patient/1&from=2026-02-01&to=2026-01-01", "", "to must be after from"},
			{"10⁶ occurrences at once", "GET", "events?subscriber=Patient/1&from=2026-01-01&to=2026-02-01&count=1000000", "", "count must be from 1 to 50000"},
			{"a window in a zone there is not", "GET", "events?subscriber=Patient/1&from=2026-01-01&to=2026-02-01&tz=Mars", "", "unknown time zone"},
			{"a window of no year", "GET", "events?subscriber=Patient/1&from=0000-01-01&to=0000-02-01", "", "from must be"},
			{"a shape there is not", "GET", "events?subscriber=Patient/1&from=2026-01-01&to=2026-02-01&shape=round", "", "shape must be one of occurrences, days, freebusy, heat"},
			{"a forged cursor", "GET", "events?subscriber=Patient/1&from=2026-01-01&to=2026-02-01&cursor=%00", "", "cursor"},

			{"a file that is none", "POST", into, "PK\x03\x04", "line 1 must be a name, a colon and a value"},
			{"a file that ends early", "POST", into, "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n", "must begin with BEGIN:VCALENDAR and end with END:VCALENDAR"},
			{"no UTF-8", "POST", into, vcalendar(vevent(start, "DESCRIPTION:\xff\xfe")), "UTF-8"},
			{"nulls", "POST", into, vcalendar(vevent(start, "DESCRIPTION:\x00")), "event 1 of the calendar: DESCRIPTION must be text"},
			{"deep nesting", "POST", into, strings.Repeat("BEGIN:VCALENDAR\r\n", 1) + strings.Repeat("BEGIN:VEVENT\r\n", 100_000), "line 7 has more than 6 components within each other"},
			{"a line of a megabyte", "POST", into, vcalendar(vevent(start, "DESCRIPTION:"+strings.Repeat("x", 1<<20))), "line 7 is longer than 262144 bytes"},
			{"the same, folded", "POST", into, vcalendar(vevent(start, "DESCRIPTION:"+strings.Repeat("x\r\n ", 1<<19))), "is longer than 262144 bytes"},
			{"lines without end", "POST", into, vcalendar(strings.Repeat("X-A:1\r\n", 300_000)), "is one too many: a calendar may have 250000"},
			{"parameters without end", "POST", into, vcalendar(vevent(start, "X-A"+strings.Repeat(";A=1", 60_000)+":1")), "must have parameters of the form NAME=VALUE, 32 at most"},
			{"a quotation mark", "POST", into, vcalendar(vevent(`DTSTART;TZID="Europe/London:20260302T090000`)), "quotation mark that is not closed"},
			{"an unknown zone in a file", "POST", into, vcalendar(vevent("DTSTART;TZID=Mars/Olympus:20260302T090000")), "event 1 of the calendar: TZID names an unknown time zone"},
			{"a zone that is a path in a file", "POST", into, vcalendar(vevent("DTSTART;TZID=/x/../etc/localtime:20260302T090000")), "TZID names an unknown time zone"},
			{"a zone of one's own", "POST", into, vcalendar("BEGIN:VTIMEZONE\r\nTZID:Mine\r\nBEGIN:STANDARD\r\nDTSTART:16010101T000000\r\nRRULE:FREQ=SECONDLY\r\nTZOFFSETFROM:+9999\r\nTZOFFSETTO:-9999\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n", vevent("DTSTART;TZID=Mine:20260302T090000")), "TZID names an unknown time zone"},
			{"zones without end", "POST", into, vcalendar(strings.Repeat("BEGIN:VTIMEZONE\r\nTZID:Mine\r\nEND:VTIMEZONE\r\n", 60_000), vevent(start)), "more than 500 VTIMEZONEs"},
			{"too many exceptions", "POST", into, vcalendar(vevent("DTSTART;VALUE=DATE:20260101", "RRULE:FREQ=DAILY", "EXDATE;VALUE=DATE:"+dates(5001))), "event 1 of the calendar: RDATE may be up to 3000, exdates up to 5000"},
			{"too many dates", "POST", into, vcalendar(vevent("DTSTART;VALUE=DATE:20260101", "RDATE;VALUE=DATE:"+dates(3001))), "event 1 of the calendar: RDATE may be up to 3000"},
			{"a rule by the second in a file", "POST", into, vcalendar(vevent(start, "RRULE:FREQ=SECONDLY")), "event 1 of the calendar: RRULE gives more than 3000 occurrences in a month"},
			{"an impossible rule in a file", "POST", into, vcalendar(vevent(start, "RRULE:FREQ=MONTHLY;BYMONTHDAY=32")), "event 1 of the calendar: BYMONTHDAY must be"},
			{"two rules", "POST", into, vcalendar(vevent(start, "RRULE:FREQ=DAILY", "RRULE:FREQ=WEEKLY")), "RRULE may come once"},
			{"an end before the start", "POST", into, vcalendar(vevent(start, "DTEND:20260301T090000Z")), "event 1 of the calendar: DTEND must be after start"},
			{"a duration of ages", "POST", into, vcalendar(vevent(start, "DURATION:P9999W")), "event 1 of the calendar: DTEND must be after start, by 366 days at most"},
			{"the end of time", "POST", into, vcalendar(vevent("DTSTART:99991231T235959Z", "DURATION:P1D")), "event 1 of the calendar: DTSTART must be in the years 0001 to 9998"},
			{"before time", "POST", into, vcalendar(vevent("DTSTART;TZID=Pacific/Auckland:00000101T000000")), "event 1 of the calendar: DTSTART must be in the years 0001 to 9998"},
			{"a good one before a bad one", "POST", into, vcalendar(strings.Replace(vevent(start), "UID:x", "UID:y", 1), vevent("DTSTART:20260230T090000Z")), "event 2 of the calendar: DTSTART names a day that the calendar does not have"},
			{"one event too many", "POST", into, vcalendar(many(5001)), "event 5001 of the calendar: is one too many"},
			{"too many for too many", "POST", "import?organization=Organization/1&subscriber=" + strings.Repeat("Patient/1,", 20) + "Patient/2", vcalendar(many(1000)), "more than 20000 entries"},
		}
		for _, r := range rows {
			t.Log(r.name)
			began := time.Now()
			if got := w.do(400, r.method, r.path, r.body); !strings.Contains(got, r.says) {
				t.Errorf("%s: %s, want it to say %s", r.name, got, r.says)
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("%s took %s", r.name, took)
			}
		}
		w.want("subscriber=Patient/1,Patient/2&from=2026-01-01&to=2027-02-01", "")
		if got := w.do(200, "GET", "sync?subscriber=Patient/1", ""); !strings.Contains(got, `"changes":[]`) {
			t.Errorf("something was stored: %s", got)
		}
	})
}

// many are so many events.
func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "BEGIN:VEVENT\r\nUID:%d\r\nDTSTART:20260302T090000Z\r\nEND:VEVENT\r\n", i)
	}
	return b.String()
}

// TestImport_WhatIsManyButGoodIsTaken: what stays within the limits is stored, shown and exported.
func TestImport_WhatIsManyButGoodIsTaken(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		var overrides strings.Builder
		at := time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC)
		for i := range 1000 {
			day := at.AddDate(0, 0, 2000+i).Format("20060102")
			overrides.WriteString(vevent("RECURRENCE-ID:"+day+"T090000Z", "DTSTART:"+day+"T110000Z", "DTEND:"+day+"T113000Z"))
		}
		series := vevent("DTSTART:20260101T090000Z", "DTEND:20260101T100000Z", "RRULE:FREQ=DAILY", "EXDATE:"+strings.ReplaceAll(dates(1999), ",", "T090000Z,")+"T090000Z") + overrides.String()
		if got := w.do(200, "POST", into, vcalendar(series)); got != `{"created":1,"replaced":0}` {
			t.Fatal(got)
		}
		w.want("subscriber=Patient/1&from=2026-01-01&to=2027-01-31", "")
		w.want("subscriber=Patient/1&from=2031-06-23&to=2031-06-26", "2031-06-23T09:00:00=x 2031-06-24T11:00:00=x 2031-06-25T11:00:00=x")
		text := w.do(200, "GET", "events.ics?subscriber=Patient/1", "")
		w.fresh()
		if got := w.do(200, "POST", into, text); got != `{"created":1,"replaced":0}` {
			t.Fatal(got)
		}
		w.want("subscriber=Patient/1&from=2034-03-18&to=2034-03-21", "2034-03-18T11:00:00=x 2034-03-19T11:00:00=x 2034-03-20T09:00:00=x")
	})
}

// FuzzImport: what is taken can be read, exported and imported again with the same occurrences, and nothing takes long.
func FuzzImport(f *testing.F) {
	for _, seed := range []string{
		imported, vcalendar(vevent("DTSTART:20260302T090000Z", "RRULE:FREQ=SECONDLY;BYMONTH=12")), vcalendar(vevent("DTSTART;VALUE=DATE:20260302", "RDATE;VALUE=DATE:20270101", "EXDATE;VALUE=DATE:20260302")),
		vcalendar(vevent("DTSTART;TZID=Australia/Lord_Howe:20260405T014500", "DURATION:PT45M", "RRULE:FREQ=HOURLY;INTERVAL=5;UNTIL=20260501")),
		vcalendar(vevent("DTSTART:20260302T090000", "DTEND:20260302T090000", "RRULE:FREQ=YEARLY;BYWEEKNO=53;BYDAY=MO;BYSETPOS=-1")),
		vcalendar(vevent("DTSTART;TZID=Pacific/Apia:20111229T120000", "RRULE:FREQ=DAILY;COUNT=5")),
	} {
		f.Add(seed)
	}
	files, _ := filepath.Glob("testdata/*.ics")
	for _, name := range files {
		if b, err := os.ReadFile(name); err == nil {
			f.Add(string(b))
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		began := time.Now()
		list := taken(t, text)
		if took := time.Since(began); took > 2*time.Second {
			t.Fatalf("it takes %s", took)
		}
		if list == nil {
			return
		}
		again := taken(t, string(calendarOf(list, time.Unix(1772000000, 0)).Append(nil)))
		if len(again) != len(list) {
			t.Fatalf("%d events come back as %d", len(list), len(again))
		}
		for i, r := range list {
			from := r.series.First().Start - 86400
			a, b := r.occurrences(nil, from, from+366*86400), again[i].occurrences(nil, from, from+366*86400)
			if len(a) != len(b) {
				t.Fatalf("event %d has %d occurrences, and %d when it comes back", i, len(a), len(b))
			}
			newShard(1, "Patient/1", []*ready{r}, monthOf(from))
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Fatalf("with its export it takes %s", took)
		}
	})
}

// taken is what an import would store; nil when it refuses, which it does with Invalid alone.
func taken(t *testing.T, text string) []*ready {
	t.Helper()
	c, err := ical.Parse([]byte(text))
	var list []*ready
	if err == nil {
		list, err = eventsOf(c, "Organization/1", []string{"Patient/1"})
	}
	if err != nil && !fault.Is(err, fault.CodeInvalid) {
		t.Fatalf("refused with %v", err)
	}
	return list
}
