package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"ward/internal/base/clock"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/domain/calendar/booking"
	"ward/internal/domain/calendar/events"
	"ward/internal/domain/calendar/reminder"
)

// The demo's clinic: four clinicians, each with a room, who see patients from Monday to Friday. The week in which the demo is started and the one after it are
// filled, once each.

const (
	demoZone         = "America/New_York"
	demoOrganization = "Organization/demo-clinic"
	demoMeetings     = "Location/demo-conference"
)

// demoClinicians are how the clinicians work: from when to when, and when they have lunch.
//
//nolint:gochecknoglobals // constant table
var demoClinicians = []struct{ start, lunch, back, end string }{
	{"08:30", "12:00", "13:00", "16:30"},
	{"08:30", "12:30", "13:15", "17:00"},
	{"09:00", "12:00", "13:00", "17:30"},
	{"09:30", "13:00", "13:45", "17:30"},
}

// demoServices are what visits are for, and how many of a hundred are.
//
//nolint:gochecknoglobals // constant table
var demoServices = []struct {
	id, body string
	minutes  int
	share    int
}{
	{"visit", `{"title":"Office visit","minutes":30}`, 30, 46},
	{"follow-up", `{"title":"Follow-up by video","minutes":15,"telehealth":true}`, 15, 18},
	{"new-patient", `{"title":"New patient visit","minutes":60}`, 60, 10},
	{"physical", `{"title":"Annual physical","minutes":45}`, 45, 14},
	{"procedure", `{"title":"Minor procedure","minutes":45}`, 45, 12},
}

// demoClinic marks in the journal that the clinic is there.
var demoClinic = [16]byte([]byte("ward demo clinic")) //nolint:gochecknoglobals // a constant

// bookingDemo makes the clinic and fills its weeks, as far as an earlier start did not.
func (a *App) bookingDemo(ctx context.Context, target *localTarget) error {
	if !target.done(demoClinic) {
		if err := errors.Join(a.demoClinic(ctx, target), target.mark(ctx, demoClinic)); err != nil {
			return err
		}
	}
	monday := demoMonday(a.clock.Now())
	const busy, filling = 88, 55
	if err := a.demoWeek(ctx, target, monday, busy); err != nil {
		return err
	}
	return a.demoWeek(ctx, target, monday.AddDate(0, 0, 7), filling)
}

// demoClinic makes the clinic and its standing appointments.
func (a *App) demoClinic(ctx context.Context, target *localTarget) error {
	clinicians, err := a.demoClinicians(ctx, target)
	if err != nil || len(clinicians) == 0 {
		return err
	}
	places := []string{
		`{"resourceType":"Organization","id":"demo-clinic","active":true,"name":"Demo Clinic"}`,
		`{"resourceType":"Location","id":"demo-conference","status":"active","name":"Conference room","managingOrganization":{"reference":"Organization/demo-clinic"}}`,
	}
	for i := range clinicians {
		places = append(places, fmt.Sprintf(`{"resourceType":"Location","id":"demo-room-%d","status":"active","name":"Room %d","managingOrganization":{"reference":"Organization/demo-clinic"},
			"address":{"line":["1 Main Street"],"city":"Boston","state":"MA","postalCode":"02108"},"telecom":[{"system":"phone","value":"617-555-0100"}]}`, i+1, i+1))
	}
	text := strings.ReplaceAll(strings.Join(places, "\n"), "\n\t\t\t", " ")
	source := ImportSource{Name: "clinic.ndjson", Size: int64(len(text)), Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }}
	if _, err := runImport(ctx, target, []ImportSource{source}, ImportOptions{Progress: func(int64, ImportReport) {}, Refused: func(r ImportRefusal) error {
		return fault.Internal("the demo's clinic was refused: %s: %s", r.Type, r.Message)
	}}); err != nil {
		return err
	}
	ctx = scope.WithTenant(ctx, target.tenant)
	var offers []string
	for _, s := range demoServices {
		if err := a.Booking.PutService(ctx, s.id, []byte(s.body)); err != nil {
			return err
		}
		offers = append(offers, `{"service":"`+s.id+`"}`)
	}
	for i, who := range clinicians {
		day := demoClinicians[i]
		body := fmt.Sprintf(`{"actor":%q,"organization":%q,"location":"Location/demo-room-%d","zone":%q,"hours":[{"rrule":"FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR","start":%q,"end":%q}],
			"breaks":[{"rrule":"FREQ=DAILY","start":%q,"end":%q}],"services":[%s],"step":15,"minimumNotice":60,"publish":%t}`,
			who, demoOrganization, i+1, demoZone, day.start, day.end, day.lunch, day.back, strings.Join(offers, ","), i%2 == 0)
		if err := a.Booking.PutAvailability(ctx, demoSchedule(i), []byte(body)); err != nil {
			return err
		}
		// A room has its time too: nobody else is seen in it meanwhile.
		room := fmt.Sprintf(`{"actor":"Location/demo-room-%d","organization":%q,"zone":%q,"hours":[{"rrule":"FREQ=DAILY","start":"07:00","end":"20:00"}],"services":[{"service":"visit"}]}`,
			i+1, demoOrganization, demoZone)
		if err := a.Booking.PutAvailability(ctx, fmt.Sprintf("room-%d", i+1), []byte(room)); err != nil {
			return err
		}
	}
	return a.demoMeetings(ctx, clinicians)
}

func demoSchedule(i int) string { return fmt.Sprintf("clinician-%d", i+1) }

// demoClinicians are the practitioners who see patients: as many as there are working days for.
func (a *App) demoClinicians(ctx context.Context, target *localTarget) (list []string, err error) {
	found, err := a.Records.Matching(scope.WithTenant(ctx, target.tenant), "Practitioner", "", len(demoClinicians))
	for _, v := range found {
		list = append(list, "Practitioner/"+v.ID)
	}
	return list, err
}

// demoMeetings are what the week has besides visits: the team's huddle, lunch, a meeting, time for charts, and who is on call at night and at weekends.
func (a *App) demoMeetings(ctx context.Context, clinicians []string) error {
	monday := demoMonday(a.clock.Now())
	at := func(days int, clock string) string {
		return monday.AddDate(0, 0, days).Format(time.DateOnly) + "T" + clock + ":00"
	}
	list := []events.Event{{
		Title: "Team huddle", Category: "meeting", Location: "Conference room", Subscribers: append([]string{demoMeetings}, clinicians...),
		Start: at(0, "08:10"), End: at(0, "08:25"), RRule: "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", Reminders: []int{5},
	}, {
		Title: "Clinical meeting", Category: "meeting", Location: "Conference room", Subscribers: append([]string{demoMeetings}, clinicians...),
		Start: at(2, "17:45"), End: at(2, "18:30"), RRule: "FREQ=WEEKLY;INTERVAL=2;BYDAY=WE", Reminders: []int{15},
	}}
	for i, who := range clinicians {
		day := demoClinicians[i]
		end, _ := time.Parse("15:04", day.end)
		weeks := fmt.Sprintf("FREQ=WEEKLY;INTERVAL=%d", len(clinicians))
		list = append(list,
			events.Event{Title: "Lunch", Category: "break", Subscribers: []string{who}, Start: at(0, day.lunch), End: at(0, day.back), RRule: "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR"},
			events.Event{
				Title: "Charts and messages", Category: "administration", Subscribers: []string{who}, Start: at(1, day.end), End: at(1, end.Add(15*time.Minute).Format("15:04")),
				RRule: "FREQ=WEEKLY;BYDAY=TU,TH",
			},
			events.Event{
				Title: "On call", Category: "on-call", Subscribers: []string{who}, Start: at(7*i, "18:30"), End: at(7*i+1, "08:00"), RRule: weeks + ";BYDAY=MO,TU,WE,TH,FR", Free: true,
			},
			events.Event{
				Title: "On call, weekend", Category: "on-call", Subscribers: []string{who}, Start: at(7*i+5, "08:00"), End: at(7*i+6, "08:00"), RRule: weeks + ";BYDAY=SA,SU", Free: true,
			})
	}
	for i := range list {
		e := &list[i]
		e.Organization, e.TZ = demoOrganization, demoZone
		if _, err := a.Events.Create(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// demoMonday is the Monday of the clinic's week.
func demoMonday(now time.Time) time.Time {
	zone, err := time.LoadLocation(demoZone)
	if err != nil {
		zone = time.UTC // a machine without zones; the binary has them
	}
	now = now.In(zone)
	return time.Date(now.Year(), now.Month(), now.Day()-(int(now.Weekday())+6)%7, 0, 0, 0, 0, zone)
}

// demoVisit is a visit that is to be booked.
type demoVisit struct {
	ask    booking.Ask
	cancel bool
}

// demoWeek fills the clinicians' week that begins on the Monday: full of every hundred stretches are taken.
func (a *App) demoWeek(ctx context.Context, target *localTarget, monday time.Time, full int) error {
	year, week := monday.ISOWeek()
	mark := [16]byte(fmt.Appendf(nil, "ward week %04d%02d", year, week))
	if target.done(mark) {
		return nil
	}
	tenant := scope.WithTenant(ctx, target.tenant)
	found, err := a.Records.Matching(tenant, "Patient", "", 1000)
	if err != nil || len(found) == 0 {
		return err
	}
	patients := make([]string, len(found))
	for i, v := range found {
		patients[i] = "Patient/" + v.ID
	}
	// They were booked on the Friday before: what is past by now is part of a week, too.
	desk := a.bookingAt(clock.NewManual(monday.AddDate(0, 0, -3).Add(12*time.Hour)), map[string]reminder.Sender{})
	random := rand.New(rand.NewPCG(uint64(year), uint64(week))) //nolint:gosec // the same week has the same visits
	visits := make(chan demoVisit)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed error
	for range 64 {
		wg.Go(func() {
			for v := range visits {
				if err := v.book(tenant, desk); err != nil {
					mu.Lock()
					failed = err
					mu.Unlock()
				}
			}
		})
	}
	for day := range 5 {
		for _, v := range demoDay(random, monday.AddDate(0, 0, day), patients, full) {
			visits <- v
		}
	}
	close(visits)
	wg.Wait()
	if failed != nil {
		return failed
	}
	return target.mark(ctx, mark)
}

// book books it. A time that is taken stays somebody else's.
func (v demoVisit) book(ctx context.Context, desk *booking.Service) error {
	made, err := desk.Book(ctx, v.ask)
	if err == nil && v.cancel {
		err = desk.Cancel(ctx, made.ID, "pat", "")
	}
	if fault.Is(err, fault.CodeConflict) || fault.Is(err, fault.CodeUnprocessable) {
		return nil
	}
	return err
}

// demoDay is a day's visits of all clinicians. A patient has one at most.
func demoDay(random *rand.Rand, day time.Time, patients []string, full int) (list []demoVisit) {
	order := random.Perm(len(patients))
	const quarter = 15
	for i, c := range demoClinicians {
		for _, stretch := range [][2]string{{c.start, c.lunch}, {c.back, c.end}} {
			from, to := demoMinutes(stretch[0]), demoMinutes(stretch[1])
			for at := from; at < to; {
				s := demoServices[pick(random)]
				if at+s.minutes > to || random.IntN(100) >= full || len(order) == 0 {
					at += quarter
					continue
				}
				start := time.Date(day.Year(), day.Month(), day.Day(), 0, at, 0, 0, day.Location())
				list = append(list, demoVisit{
					booking.Ask{Schedule: demoSchedule(i), Service: s.id, Start: start, Patient: patients[order[0]]}, random.IntN(100) < 6,
				})
				order = order[1:]
				at += s.minutes
			}
		}
	}
	return list
}

// pick chooses a service by its share.
func pick(random *rand.Rand) int {
	n := random.IntN(100)
	for i, s := range demoServices {
		if n -= s.share; n < 0 {
			return i
		}
	}
	return 0
}

// demoMinutes reads a time of day.
func demoMinutes(s string) int {
	t, _ := time.Parse("15:04", s)
	return t.Hour()*60 + t.Minute()
}
