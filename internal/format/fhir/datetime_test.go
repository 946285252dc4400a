package fhir_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"ward/internal/base/fault"
	"ward/internal/format/fhir"
)

func micros(t *testing.T, s string) int64 {
	t.Helper()
	v, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t.Fatal(err)
	}
	return v.UnixMicro()
}

// FHIR R4 search.html#date: a value stands for an interval as long as its precision.
func TestParseDateTime_IntervalWithPrecision(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		value, low, high string
		precision        fhir.Precision
	}{
		{"2013", "2013-01-01T00:00:00Z", "2014-01-01T00:00:00Z", fhir.Year},
		{"0001", "0001-01-01T00:00:00Z", "0002-01-01T00:00:00Z", fhir.Year},
		{"2013-12", "2013-12-01T00:00:00Z", "2014-01-01T00:00:00Z", fhir.Month},
		{"2012-02", "2012-02-01T00:00:00Z", "2012-03-01T00:00:00Z", fhir.Month},
		{"2012-02-29", "2012-02-29T00:00:00Z", "2012-03-01T00:00:00Z", fhir.Day},
		{"2013-01-14T10:00", "2013-01-14T10:00:00Z", "2013-01-14T10:01:00Z", fhir.Minute},
		{"2013-01-14T10:00+02:00", "2013-01-14T08:00:00Z", "2013-01-14T08:01:00Z", fhir.Minute},
		{"2013-01-14T10:00:05", "2013-01-14T10:00:05Z", "2013-01-14T10:00:06Z", fhir.Second},
		{"2013-01-14T10:00:60Z", "2013-01-14T10:01:00Z", "2013-01-14T10:01:01Z", fhir.Second},
		{"2013-01-14T10:00:05.5-03:30", "2013-01-14T13:30:05.5Z", "2013-01-14T13:30:05.6Z", fhir.Fraction},
		{"2015-02-07T13:28:17.239Z", "2015-02-07T13:28:17.239Z", "2015-02-07T13:28:17.240Z", fhir.Fraction},
		{"2015-02-07T13:28:17.123456789Z", "2015-02-07T13:28:17.123456Z", "2015-02-07T13:28:17.123457Z", fhir.Fraction},
		{"1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z", "1970-01-01T00:00:00Z", fhir.Fraction},
	} {
		low, high, precision, err := fhir.ParseDateTime(row.value)
		if err != nil || low != micros(t, row.low) || high != micros(t, row.high) || precision != row.precision {
			t.Errorf("%s = [%s, %s) %v, %v", row.value, time.UnixMicro(low).UTC(), time.UnixMicro(high).UTC(), precision, err)
		}
	}
}

func TestParseDateTime_RefusesWithoutRepeatingTheValue(t *testing.T) {
	t.Parallel()
	for _, value := range []string{
		"", "13", "0000", "2013-", "2013-1", "2013-13", "2013-00", "2013-02-29", "1900-02-29", "2013-04-31", "2013-01-14T", "2013-01-14T10",
		"2013-01-14T24:00:00Z", "2013-01-14T10:60Z", "2013-01-14T10:00:61Z", "2013-01-14T10:00:05.Z", "2013-01-14 10:00", "2013-01-14T10:00:05 02:00",
		"2013-01-14T10:00:05z", "2013-01-14T10:00:05+2:00", "2013-01-14T10:00:05+15:00", "2013-01-14T10:00:05+14:30", "2013-01-14T10:00:05ZZ", "2013-01-14Z",
		"20130114", "2013/01/14", " 2013", "2013 ", "２０１３",
	} {
		_, _, _, err := fhir.ParseDateTime(value)
		if !fault.Is(err, fault.CodeInvalid) {
			t.Errorf("%q: %v", value, err)
		}
	}
}

func TestParseInstantDateTime_StrictForms(t *testing.T) {
	t.Parallel()
	for value, want := range map[string][4]bool{ // as instant, date, dateTime in a resource, time
		"2013":                      {false, true, true, false},
		"2013-01-14":                {false, true, true, false},
		"2013-01-14T10:00Z":         {false, false, false, false},
		"2013-01-14T10:00:00":       {false, false, false, false},
		"2013-01-14T10:00:00Z":      {true, false, true, false},
		"2013-01-14T10:00:00+01:00": {true, false, true, false},
		"10:00:00":                  {false, false, false, true},
		"10:00:00.5":                {false, false, false, true},
		"10:00":                     {false, false, false, false},
		"10:00:00Z":                 {false, false, false, false},
		"24:00:00":                  {false, false, false, false},
	} {
		_, _, instant := fhir.ParseInstant(value)
		_, _, _, date := fhir.ParseDate(value)
		_, _, clock := fhir.ParseTime([]byte(value))
		if got := [4]bool{instant == nil, date == nil, fhir.CheckDateTime(value) == nil, clock == nil}; got != want {
			t.Errorf("%s: got %v, want %v", value, got, want)
		}
	}
	if low, high, err := fhir.ParseTime("10:00:00.5"); err != nil || low != 36_000_500_000 || high != 36_000_600_000 {
		t.Errorf("10:00:00.5 = [%d, %d), %v", low, high, err)
	}
}

func TestInstant_RoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ms := rapid.Int64Range(-62_135_596_800_000, 253_402_300_799_999).Draw(t, "ms")
		s := fhir.FormatInstant(time.UnixMilli(ms))
		low, high, err := fhir.ParseInstant(s)
		if err != nil || low != ms*1000 || high != ms*1000+1000 {
			t.Fatalf("%s = [%d, %d), %v; want %d ms", s, low, high, err, ms)
		}
	})
}

func FuzzParseDateTime(f *testing.F) {
	for _, s := range []string{"2013", "2013-12-31", "2013-01-14T10:00:05.5-03:30", "2013-01-14T10:00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		low, high, precision, err := fhir.ParseDateTime(s)
		if err != nil {
			return
		}
		if low >= high || precision < fhir.Year || precision > fhir.Fraction {
			t.Fatalf("%q = [%d, %d) %v", s, low, high, precision)
		}
		if want, err := time.Parse(time.RFC3339, s); err == nil && want.UnixMicro() != low {
			t.Fatalf("%q starts at %d, time.Parse says %d", s, low, want.UnixMicro())
		}
	})
}

func BenchmarkParseDateTime(b *testing.B) {
	s := []byte("2015-02-07T13:28:17.239+02:00")
	b.ReportAllocs()
	for b.Loop() {
		if _, _, _, err := fhir.ParseDateTime(s); err != nil {
			b.Fatal(err)
		}
	}
}
