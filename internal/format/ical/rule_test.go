package ical

import (
	"strings"
	"testing"
	"time"

	"ward/internal/base/fault"
)

func TestParseRule_Refused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ rule, says string }{
		{"", "FREQ"},
		{"BYDAY=MO", "must have FREQ"},
		{"FREQ=FORTNIGHTLY", "YEARLY, MONTHLY, WEEKLY, DAILY, HOURLY, MINUTELY, SECONDLY"},
		{"FREQ=DAILY;BYMONTHDAY=32", "BYMONTHDAY must be numbers from 1 to 31 and -31 to -1"},
		{"FREQ=DAILY;BYMONTHDAY=0", "BYMONTHDAY must be numbers from 1 to 31 and -31 to -1"},
		{"FREQ=YEARLY;BYYEARDAY=-367", "BYYEARDAY must be numbers from 1 to 366 and -366 to -1"},
		{"FREQ=YEARLY;BYWEEKNO=54", "BYWEEKNO must be numbers from 1 to 53"},
		{"FREQ=YEARLY;BYMONTH=13", "BYMONTH must be numbers from 1 to 12"},
		{"FREQ=YEARLY;BYMONTH=-1", "BYMONTH must be numbers from 1 to 12"},
		{"FREQ=DAILY;BYHOUR=24", "BYHOUR must be numbers from 0 to 23"},
		{"FREQ=DAILY;BYMINUTE=60", "BYMINUTE must be numbers from 0 to 59"},
		{"FREQ=DAILY;BYSECOND=61", "BYSECOND must be numbers from 0 to 60"},
		{"FREQ=MONTHLY;BYDAY=MO;BYSETPOS=0", "BYSETPOS must be numbers from 1 to 366"},
		{"FREQ=MONTHLY;BYSETPOS=1", "BYSETPOS picks"},
		{"FREQ=WEEKLY;BYDAY=2MO", "BYDAY may have numbers"},
		{"FREQ=YEARLY;BYWEEKNO=2;BYDAY=1MO", "beside BYWEEKNO"},
		{"FREQ=MONTHLY;BYDAY=6MO", "1 to 5"},
		{"FREQ=WEEKLY;BYDAY=XX", "BYDAY must be days from MO, TU"},
		{"FREQ=DAILY;COUNT=0", "COUNT must be a whole number from 1"},
		{"FREQ=DAILY;INTERVAL=0", "INTERVAL must be a whole number from 1"},
		{"FREQ=DAILY;INTERVAL=99999999999", "INTERVAL must be a whole number from 1"},
		{"FREQ=DAILY;COUNT=3;UNTIL=20300101T000000Z", "COUNT or UNTIL, not both"},
		{"FREQ=DAILY;UNTIL=tomorrow", "UNTIL must be a date"},
		{"FREQ=DAILY;UNTIL=20260230T000000Z", "UNTIL names a day that the calendar does not have"},
		{"FREQ=DAILY;WKST=XX", "WKST must be one of MO"},
		{"FREQ=DAILY;FREQ=DAILY", "FREQ twice"},
		{"FREQ=DAILY;X-SECRET=1", "a part that is not known"},
		{"FREQ=DAILY;BYDAY", "NAME=VALUE"},
		{"FREQ=DAILY;UNTIL=20250101T000000", "UNTIL is before the start"},
		{"FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "BYMONTHDAY=30"},
		{"FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30,31;COUNT=5", "yields nothing"},
		{"FREQ=YEARLY;BYYEARDAY=1;BYMONTH=12", "yields nothing"},
		{"FREQ=MONTHLY;BYDAY=1MO;BYMONTHDAY=8", "yields nothing"},
		{"FREQ=YEARLY;BYWEEKNO=53;BYMONTH=6", "yields nothing"},
		{"FREQ=SECONDLY;INTERVAL=2;BYSECOND=1", "yields nothing"},
		{"FREQ=HOURLY;INTERVAL=24;BYHOUR=10", "yields nothing"},
		{"FREQ=MINUTELY;INTERVAL=1440;BYHOUR=10", "yields nothing"},
		{"FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30", "yields nothing"},
		{"FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "yields nothing"},
		{"FREQ=DAILY;BYHOUR=9;BYSETPOS=2", "yields nothing"},
		{"FREQ=SECONDLY;BYSECOND=0,30;BYSETPOS=2", "yields nothing"},
		{"FREQ=MONTHLY;BYMONTHDAY=1;BYSETPOS=5", "yields nothing"},
		{strings.Repeat("FREQ=DAILY;", 1000), "longer"},
	} {
		began := time.Now()
		_, err := series("20260103T090000", "America/New_York", c.rule)
		if c.rule == "" {
			_, err = ParseRule("")
		}
		if !fault.Is(err, fault.CodeInvalid) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%.80s: %v, want it to say %q", c.rule, err, c.says)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("%s was refused after %s", c.rule, took)
		}
	}
}

func TestLoadZone_Unknown(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "Local", "Mars/Olympus", "../../etc/passwd", "America/New_York\x00", strings.Repeat("a", 500)} {
		if _, err := LoadZone(name); !fault.Is(err, fault.CodeInvalid) || !strings.Contains(err.Error(), "IANA") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestRule_String(t *testing.T) {
	t.Parallel()
	for _, c := range [][2]string{
		{"freq=weekly;byday=we,mo;wkst=su;interval=2", "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,WE;WKST=SU"},
		{"RRULE:FREQ=MONTHLY;BYDAY=-1FR,2MO,+1TU;COUNT=10", "FREQ=MONTHLY;BYDAY=-1FR,1TU,2MO;COUNT=10"},
		{
			"FREQ=YEARLY;BYSETPOS=-1;BYMONTH=11,1;BYMONTHDAY=2,2,-3;BYHOUR=9;BYMINUTE=30;BYSECOND=0;UNTIL=20300101T000000Z",
			"FREQ=YEARLY;BYMONTH=1,11;BYMONTHDAY=-3,2;BYHOUR=9;BYMINUTE=30;BYSECOND=0;BYSETPOS=-1;UNTIL=20300101T000000Z",
		},
		{"FREQ=YEARLY;BYWEEKNO=20,-1;BYYEARDAY=100;UNTIL=20300101", "FREQ=YEARLY;BYWEEKNO=-1,20;BYYEARDAY=100;UNTIL=20300101"},
	} {
		r, err := ParseRule(c[0])
		if err != nil {
			t.Fatalf("%s: %v", c[0], err)
		}
		if got := r.String(); got != c[1] {
			t.Errorf("%s became %s, want %s", c[0], got, c[1])
		}
	}
}
