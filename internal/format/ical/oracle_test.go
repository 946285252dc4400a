package ical

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"os"
	"slices"
	"testing"
)

// oracle is a rule with what python-dateutil says of it.
type oracle struct {
	ID          string   `json:"id"`
	DTStart     string   `json:"dtstart"`
	RRule       string   `json:"rrule"`
	TZID        string   `json:"tzid"`
	Synced      *bool    `json:"synced"`
	Truncated   bool     `json:"truncated"`
	Expected    []string `json:"expected"`
	ExpectedUTC []string `json:"expected_utc"`
	Agree       []string `json:"agree"`
	NonRFC      string   `json:"non_rfc"`
	Set         *struct {
		RRule, ExRule [][2]string
		RDate, ExDate []string
	} `json:"rruleset"`
}

func oracles(t testing.TB, name string) (list []oracle) {
	t.Helper()
	f, err := os.Open("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var o oracle
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			t.Fatal(err)
		}
		list = append(list, o)
	}
	return list
}

func moment(t testing.TB, s string) Moment {
	t.Helper()
	m, err := ParseMoment("a time", s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func series(start, zone, rule string) (*Series, error) {
	var d Definition
	var err error
	if d.Start, err = ParseMoment("DTSTART", start); err != nil {
		return nil, err
	}
	if zone != "" {
		if d.Zone, err = LoadZone(zone); err != nil {
			return nil, err
		}
	}
	if rule != "" {
		r, err := ParseRule(rule)
		if err != nil {
			return nil, err
		}
		d.Rule = &r
	}
	return NewSeries(d)
}

func mustSeries(t testing.TB, start, zone, rule string) *Series {
	t.Helper()
	s, err := series(start, zone, rule)
	if err != nil {
		t.Fatalf("%s %s %s: %v", start, zone, rule, err)
	}
	return s
}

const begin, end = int64(-1 << 45), int64(1 << 45)

func locals(list []Occurrence) (out []string) {
	for _, o := range list {
		out = append(out, o.Local.String())
	}
	return out
}

func utcs(list []Occurrence) (out []string) {
	for _, o := range list {
		out = append(out, Civil(o.Start).String()+"Z")
	}
	return out
}

// check gives what the series of the case says, and what the case expects, with DTSTART added where it does not match its rule.
func (o oracle) check(t *testing.T, s *Series) (local, utc, wantLocal, wantUTC []string) {
	t.Helper()
	wantLocal, wantUTC = o.Expected, o.ExpectedUTC
	first := Civil(s.First().Start).String() + "Z"
	if len(wantLocal) == 0 || wantLocal[0] != o.DTStart {
		r := s.Definition().Rule
		wantLocal = append([]string{o.DTStart}, wantLocal...)
		wantUTC = append([]string{first}, wantUTC...)
		if r.Count > 0 && !o.Truncated { // it counts
			wantLocal, wantUTC = wantLocal[:len(wantLocal)-1], wantUTC[:len(wantUTC)-1]
		}
	}
	limit := 0
	if o.Truncated || s.Definition().Rule.Count == 0 && s.Definition().Rule.Until == nil {
		limit = len(wantLocal)
	}
	list := s.Between(nil, begin, end, limit)
	return locals(list), utcs(list), wantLocal, wantUTC
}

// differ are the cases whose oracle is wrong, with the reason. The answer that is right is written out for those that have one.
//
//nolint:gochecknoglobals // constant table
var differ = map[string]struct {
	why   string
	right []string
}{
	"du-ny-0118": {"2008-12-30 lies in week 1 of the week-numbering year 2009, which INTERVAL=2 from 2004 leaves out", nil},
	"du-ny-0602": {"2011-01-01 lies in week 52 of 2010, which has no week 53", []string{
		"20060520T011500", "20070519T011500", "20080517T011500", "20090516T011500",
		"20100102T011500", "20100522T011500", "20110521T011500", "20120519T011500",
	}},

	"dateutil-testYearlyByWeekNo":       {"without BYDAY the weekday is DTSTART's", []string{"19970902T090000", "19980512T090000", "19990518T090000"}},
	"dateutil-testToStrYearlyByWeekNo":  {"without BYDAY the weekday is DTSTART's", []string{"19970902T090000", "19980512T090000", "19990518T090000"}},
	"dateutil-testMonthlyByWeekNo":      {"without BYDAY the weekday is DTSTART's", []string{"19970902T090000", "19980512T090000", "19990518T090000"}},
	"dateutil-testToStrMonthlyByWeekNo": {"without BYDAY the weekday is DTSTART's", []string{"19970902T090000", "19980512T090000", "19990518T090000"}},
	"dateutil-testWeeklyByWeekNo":       {"without BYDAY the weekday is DTSTART's", []string{"19970902T090000", "19980512T090000", "19990518T090000"}},
	"dateutil-testToStrWeeklyByWeekNo":  {"without BYDAY the weekday is DTSTART's", []string{"19970902T090000", "19980512T090000", "19990518T090000"}},
	"dateutil-testMaxYear":              {"a rule that never yields anything is refused", nil},
	"dateutil-testUntilEmpty":           {"an UNTIL before DTSTART is refused", nil},
}

func TestOracle(t *testing.T) {
	t.Parallel()
	cases := 0
	for _, o := range append(oracles(t, "random.jsonl.gz"), oracles(t, "dateutil.jsonl.gz")...) {
		if o.NonRFC != "" || o.Set != nil {
			continue // BYEASTER; sets are below
		}
		cases++
		known, wrong := differ[o.ID]
		s, err := series(o.DTStart, o.TZID, o.RRule)
		if err != nil {
			if !wrong || known.right != nil || len(o.Expected) > 0 {
				t.Errorf("%s %s: %v", o.ID, o.RRule, err)
			}
			continue
		}
		local, utc, wantLocal, wantUTC := o.check(t, s)
		same := slices.Equal(local, wantLocal) && (o.TZID == "" || slices.Equal(utc, wantUTC))
		switch {
		case wrong && same:
			t.Errorf("%s: is listed as wrong and is not", o.ID)
		case wrong && known.right != nil && !slices.Equal(local, known.right):
			t.Errorf("%s %s\n got %v\nright %v", o.ID, o.RRule, local, known.right)
		case !wrong && !same:
			t.Errorf("%s %s %s %s\n got %v\nwant %v\n got %v\nwant %v", o.ID, o.DTStart, o.TZID, o.RRule, local, wantLocal, utc, wantUTC)
		}
		seeks(t, o.ID, s)
	}
	if cases != 1400+446 {
		t.Errorf("%d cases", cases)
	}
}

// seeks asks for the occurrences in windows, and each by itself: the answer is the one that a walk from the beginning gives.
func seeks(t *testing.T, id string, s *Series) {
	t.Helper()
	all := s.Between(nil, begin, end, 60)
	for i := 0; i < len(all); i += 7 {
		j := min(i+5, len(all)-1)
		if got := s.Between(nil, all[i].Start, all[j].Start, 0); !slices.Equal(got, all[i:j]) {
			t.Errorf("%s: window %d to %d gives %v, want %v", id, i, j, utcs(got), utcs(all[i:j]))
		}
		if got, ok := s.At(all[i].Start); !ok || got != all[i] {
			t.Errorf("%s: occurrence %d is not found by itself", id, i)
		}
		if got, ok := s.At(all[i].Start + 1); ok && (i+1 == len(all) || got != all[i+1]) {
			t.Errorf("%s: an occurrence where there is none: %v", id, got)
		}
	}
}

func TestOracle_Sets(t *testing.T) {
	t.Parallel()
	sets := 0
	for _, o := range oracles(t, "dateutil.jsonl.gz") {
		if o.Set == nil {
			continue
		}
		sets++
		if len(o.Set.RRule)+len(o.Set.RDate) == 0 {
			t.Fatal("an empty set")
		}
		gather := func(rules [][2]string, dates []string) (list []Moment) {
			for _, d := range dates {
				list = append(list, moment(t, d))
			}
			for _, r := range rules {
				plain, err := ParseRule(r[1])
				if err != nil {
					t.Fatal(err)
				}
				count := plain.Count
				plain.Count = 0
				s, err := NewSeries(Definition{Start: moment(t, r[0]), Rule: &plain})
				if err != nil {
					t.Fatal(err)
				}
				all := s.Between(nil, begin, end, 20)
				if !s.pattern.dayAllowed(all[0].Local.day()) { // it leaves out a DTSTART that does not match
					all = all[1:]
				}
				for _, at := range all[:count] {
					list = append(list, Moment{Civil: at.Local})
				}
			}
			slices.SortFunc(list, func(a, b Moment) int { return int(a.Civil - b.Civil) })
			return list
		}
		in, out := gather(o.Set.RRule, o.Set.RDate), gather(o.Set.ExRule, o.Set.ExDate)
		s, err := NewSeries(Definition{Start: in[0], RDates: in, ExDates: out})
		if err != nil {
			t.Fatal(err)
		}
		if got := locals(s.Between(nil, begin, end, len(o.Expected))); !slices.Equal(got, o.Expected) {
			t.Errorf("%s\n got %v\nwant %v", o.ID, got, o.Expected)
		}
	}
	if sets != 16 {
		t.Errorf("%d sets", sets)
	}
}
