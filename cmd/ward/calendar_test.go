package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestRun_CalendarExpand(t *testing.T) {
	t.Parallel()
	in := []string{
		`{"id":"a","dtstart":"20260308T023000","tz":"America/New_York","rrule":"FREQ=WEEKLY;COUNT=2"}`,
		`{"id":2,"dtstart":"20260103","tz":"","rrule":"FREQ=DAILY","limit":2}`,
		`{"id":"w","dtstart":"20060103T090000","tz":"Europe/London","rrule":"FREQ=DAILY","from":"20260701","to":"2026-07-02T10:00:00+01:00"}`,
		`{"id":"one","dtstart":"20260103T090000","tz":""}`,
		``,
		`{"id":"none","dtstart":"20260103T090000","rrule":"FREQ=DAILY;COUNT=3","from":"20270101T000000Z"}`,
		`{"id":"x","dtstart":"20260103T090000","tz":"Mars/Olympus","rrule":"FREQ=DAILY"}`,
		`{"id":"y","dtstart":"20260103T090000","tz":"","rrule":"FREQ=MONTHLY;BYMONTHDAY=32"}`,
		`{"id":"z","dtstart":"soon"}`,
		`{"id":"l","dtstart":"20260103T090000","rrule":"FREQ=SECONDLY","limit":1000000}`,
		`{"id":"m","dtstart":"20260103T090000","rrule":"FREQ=SECONDLY","to":"30260103T090000"}`,
		`{"id":"r","dtstart":"20260103T090000","from":"20270101","to":"20260101"}`,
		`not JSON`,
		`{"id":"long","dtstart":"` + strings.Repeat("1", 2<<20) + `"}`,
		`{"id":"last","dtstart":"20260103T090000","rrule":"FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"}`,
	}
	want := []string{
		`{"id":"a","local":["20260308T023000","20260315T023000"],"utc":["20260308T073000Z","20260315T063000Z"]}`,
		`{"id":2,"local":["20260103","20260104"],"utc":["20260103T000000Z","20260104T000000Z"]}`,
		`{"id":"w","local":["20260701T090000","20260702T090000"],"utc":["20260701T080000Z","20260702T080000Z"]}`,
		`{"id":"one","local":["20260103T090000"],"utc":["20260103T090000Z"]}`,
		`{"id":"none","local":[],"utc":[]}`,
		`{"id":"x","error":"unknown time zone: it must be a name of the IANA time zone database such as America/New_York or Europe/London"}`,
		`{"id":"y","error":"BYMONTHDAY must be numbers from 1 to 31 and -31 to -1, with commas between them"}`,
		`{"id":"z","error":"dtstart must be a date such as 20260103, or a date and time such as 20260103T090000 or 20260103T090000Z"}`,
		`{"id":"l","error":"limit must be from 1 to 100000"}`,
		`{"id":"m","error":"these are more than 100000 occurrences: choose from and to closer to each other, or a limit"}`,
		`{"id":"r","error":"from is after to: it must be the earlier of both"}`,
		`{"id":null,"error":"the line must be a JSON object such as {\"id\":\"1\",\"dtstart\":\"20260103T090000\",\"tz\":\"America/New_York\",\"rrule\":\"FREQ=DAILY;COUNT=3\"}"}`,
		`{"id":null,"error":"the line is longer than 1 MB"}`,
		`{"id":"last","error":"RRULE yields nothing before the year 10000: no time satisfies BYMONTH=2;BYMONTHDAY=30 together"}`,
	}
	var out, problems bytes.Buffer
	code := run(t.Context(), &world{out: &out, err: &problems, in: strings.NewReader(strings.Join(in, "\n"))}, []string{"calendar", "expand"})
	got := strings.Split(strings.TrimSpace(out.String()), "\n")
	if code != 0 || len(got) != len(want) {
		t.Fatalf("%d, %d lines, %s", code, len(got), problems.String())
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("line %d:\n got %s\nwant %s", i, got[i], want[i])
		}
	}
}
