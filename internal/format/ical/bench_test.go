package ical

import (
	"testing"
	"time"

	"github.com/teambition/rrule-go"
)

// BenchmarkBetween_Month is a month's window of series that began long ago; the bar is 300 ns and no allocation. The library beside
// it walks from the beginning.
func BenchmarkBetween_Month(b *testing.B) {
	from, to := int64(moment(b, "20260301T050000").Civil), int64(moment(b, "20260401T040000").Civil)
	for _, c := range []struct{ name, rule string }{
		{"daily", "FREQ=DAILY"},
		{"weekly", "FREQ=WEEKLY;BYDAY=MO,WE,FR"},
		{"monthly-last-weekday", "FREQ=MONTHLY;BYDAY=-1FR"},
		{"monthly-last-workday", "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1"},
		{"daily-count", "FREQ=DAILY;COUNT=20000"},
		{"yearly", "FREQ=YEARLY;BYMONTH=3;BYDAY=2SU"},
		{"workhours", "FREQ=MINUTELY;INTERVAL=30;BYHOUR=9,10,11;BYDAY=MO"},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := mustSeries(b, "20060105T090000", "America/New_York", c.rule)
			room := make([]Occurrence, 0, 64)
			b.ReportAllocs()
			for b.Loop() {
				room = s.Between(room[:0], from, to, 0)
			}
		})
		b.Run(c.name+"/rrule-go", func(b *testing.B) {
			o, err := rrule.StrToROption(c.rule)
			if err != nil {
				b.Fatal(err)
			}
			o.Dtstart = time.Date(2006, 1, 5, 9, 0, 0, 0, time.UTC)
			r, err := rrule.NewRRule(*o)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				r.Between(time.Unix(from, 0).UTC(), time.Unix(to, 0).UTC(), true)
			}
		})
	}
}

func BenchmarkNewSeries(b *testing.B) {
	for _, rule := range []string{"FREQ=WEEKLY;BYDAY=MO", "FREQ=DAILY;COUNT=1000", "FREQ=MONTHLY;BYDAY=-1FR;COUNT=120", "FREQ=YEARLY;BYWEEKNO=53"} {
		b.Run(rule, func(b *testing.B) {
			for b.Loop() {
				mustSeries(b, "20060105T090000", "America/New_York", rule)
			}
		})
	}
}

func TestBetween_AllocatesNothing(t *testing.T) {
	from, to := int64(moment(t, "20260301T050000").Civil), int64(moment(t, "20260401T040000").Civil)
	room := make([]Occurrence, 0, 64)
	for _, rule := range []string{"FREQ=DAILY", "FREQ=WEEKLY;BYDAY=MO,WE,FR", "FREQ=MONTHLY;BYDAY=-1FR", "FREQ=HOURLY;BYHOUR=9;COUNT=40000"} {
		s := mustSeries(t, "20060105T090000", "America/New_York", rule)
		if n := testing.AllocsPerRun(100, func() { room = s.Between(room[:0], from, to, 0) }); n != 0 {
			t.Errorf("%s: %v allocations", rule, n)
		}
	}
}
