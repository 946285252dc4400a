package app_test

import (
	"cmp"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"ward/internal/app"
	"ward/internal/base/clock"
)

// planned is an occurrence in a demo's calendar.
type planned struct {
	Title, Category, UTC, Start, End string
	Free                             bool
	Subscribers                      []string
	from, to                         time.Time
}

// demoCalendar is what a calendar of the demo shows in the week from a Monday on, in the order of the starts.
func demoCalendar(t *testing.T, d app.Demo, subscriber string, monday time.Time) (list []planned) {
	t.Helper()
	q := url.Values{
		"subscriber": {subscriber}, "from": {monday.Format(time.DateOnly)}, "to": {monday.AddDate(0, 0, 7).Format(time.DateOnly)}, "count": {"5000"}, "tz": {monday.Location().String()},
	}
	status, body := do(t, d.Base+"/t/demo/calendar/events?"+q.Encode(), d.Tokens["admin"])
	var answer struct{ Occurrences []planned }
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != 200 {
		t.Fatal(status, body)
	}
	for _, p := range answer.Occurrences {
		const local = "2006-01-02T15:04:05"
		var err1, err2 error
		p.from, err1 = time.ParseInLocation(local, p.Start, monday.Location())
		p.to, err2 = time.ParseInLocation(local, p.End, monday.Location())
		if err := cmp.Or(err1, err2); err != nil {
			t.Fatal(err)
		}
		if p.from.UTC().Format(local)+"Z" != p.UTC {
			t.Errorf("%s is at %s, which is not %s on the clinic's clocks", p.Title, p.UTC, p.Start)
		}
		list = append(list, p)
	}
	return list
}

func minutes(t time.Time) int { return t.Hour()*60 + t.Minute() }

// TestDemo_ClinicsWeek: this week and the next of every clinician look like those of a clinic, before the clocks go back and after: visits from Monday to Friday within working
// hours, lunch, the team's huddle, somebody on call every night, and nobody, no room and no patient in two places at once. A second start adds nothing.
func TestDemo_ClinicsWeek(t *testing.T) {
	t.Parallel()
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	now := clock.NewManual(time.Date(2026, 10, 28, 14, 0, 0, 0, zone)) // a Wednesday; the clocks go back on Sunday
	monday := time.Date(2026, 10, 26, 0, 0, 0, 0, zone)
	c := embedded(t)
	for start := range 2 {
		a, err := app.Open(t.Context(), c, app.Options{Clock: now})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := a.FillDemo(t.Context(), func(int64, int64, app.ImportReport) {}); err != nil {
			t.Fatal(err)
		}
		t.Logf("filled in %s", time.Since(began))
		if err := a.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		d, err := a.WriteDemo(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if start == 0 {
			clinicWeek(t, d, monday, 6)
			clinicWeek(t, d, monday.AddDate(0, 0, 7), 3)
		} else if n := len(demoCalendar(t, d, "Location/demo-room-1", monday)); n < 30 || n > 100 {
			t.Errorf("%d visits in a room after the second start", n)
		}
		if err := a.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		now.Advance(time.Minute)
	}
}

// demoActors are the clinicians who can be booked.
func demoActors(t *testing.T, d app.Demo) (list []string) {
	t.Helper()
	_, body := do(t, d.Base+"/t/demo/calendar/availability", d.Tokens["admin"])
	var answer struct{ Availability []struct{ Actor string } }
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatal(err, body)
	}
	for _, a := range answer.Availability {
		if strings.HasPrefix(a.Actor, "Practitioner/") {
			list = append(list, a.Actor)
		}
	}
	return list
}

// clinicWeek looks at a week; a day of a clinician has so many visits at least.
func clinicWeek(t *testing.T, d app.Demo, monday time.Time, least int) {
	t.Helper()
	clinicians := demoActors(t, d)
	if len(clinicians) < 4 {
		t.Fatalf("%d clinicians", len(clinicians))
	}
	if i := slices.IndexFunc(d.People, func(p app.DemoPerson) bool { return p.Role == "clinician" }); i < 0 || !slices.Contains(clinicians, d.People[i].Person) {
		t.Error("the clinician who can sign in has no week")
	}
	kinds, patients, onCall := map[string]int{}, map[string]int{}, map[string]int{}
	for i, who := range clinicians {
		list := demoCalendar(t, d, who, monday)
		apart(t, who, list)
		days := map[time.Weekday]map[string]int{}
		for _, p := range list {
			day := p.from.Weekday()
			if days[day] == nil {
				days[day] = map[string]int{}
			}
			days[day][p.Category]++
			switch p.Category {
			case "on-call":
				if p.from.After(monday) && p.from.Before(monday.AddDate(0, 0, 7)) {
					onCall[p.from.Format(time.DateOnly)]++
				}
			case "visit":
				if day == time.Saturday || day == time.Sunday || minutes(p.from) < 8*60+30 || minutes(p.to) > 17*60+30 {
					t.Errorf("%s sees somebody on %s from %s to %s", who, day, p.Start, p.End)
				}
				kinds[p.Title]++
				for _, s := range p.Subscribers {
					if strings.HasPrefix(s, "Patient/") {
						patients[s+p.from.Format(" "+time.DateOnly)]++
					}
				}
			case "meeting":
				if !slices.Contains(p.Subscribers, "Location/demo-conference") || len(p.Subscribers) != len(clinicians)+1 {
					t.Errorf("%s: %v", p.Title, p.Subscribers)
				}
			}
		}
		for day := time.Monday; day <= time.Friday; day++ {
			n := days[day]
			if n["visit"] < least || n["visit"] > 22 || n["break"] != 1 || n["meeting"] < 1 {
				t.Errorf("%s on %s: %v", who, day, n)
			}
		}
		room := demoCalendar(t, d, "Location/demo-room-"+string(rune('1'+i)), monday)
		apart(t, "the room of "+who, room)
		if len(room) < 5*least {
			t.Errorf("%d visits in the room of %s", len(room), who)
		}
	}
	for day := range 7 {
		if n := onCall[monday.AddDate(0, 0, day).Format(time.DateOnly)]; n != 1 {
			t.Errorf("%d are on call from %s on", n, monday.AddDate(0, 0, day).Weekday())
		}
	}
	if len(kinds) < 5 || kinds["Office visit"] <= kinds["Minor procedure"] {
		t.Errorf("what visits are for: %v", kinds)
	}
	for p, n := range patients {
		if n > 1 {
			t.Errorf("%s: %d visits", p, n)
		}
	}
}

// apart says that nothing of a calendar overlaps, but what takes no time.
func apart(t *testing.T, whose string, list []planned) {
	t.Helper()
	list = slices.DeleteFunc(slices.Clone(list), func(p planned) bool { return p.Free })
	slices.SortFunc(list, func(a, b planned) int { return a.from.Compare(b.from) })
	for i := 1; i < len(list); i++ {
		if list[i].from.Before(list[i-1].to) {
			t.Errorf("%s: %s until %s and %s from %s on", whose, list[i-1].Title, list[i-1].End, list[i].Title, list[i].Start)
		}
	}
}
