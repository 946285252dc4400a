package app

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ward/internal/backend/db"
	"ward/internal/backend/db/dbtest"
	"ward/internal/base/scope"
	"ward/internal/domain/calendar/booking"
	"ward/internal/domain/calendar/reminder"
	"ward/internal/domain/calendar/rule"
)

// turn lets the clockwork do what is due.
func (c *clinic) turn(t testing.TB) time.Time {
	t.Helper()
	next, err := c.booking.Turn(c.ctx)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

func (c *clinic) wait(t testing.TB, patient, from, to string) string {
	t.Helper()
	r := c.must(t, 201, "patient:"+patient, "POST", "/calendar/waitlist",
		fmt.Sprintf(`{"service":"visit","patient":"Patient/%s","actor":"Practitioner/dr","earliest":%q,"latest":%q}`, patient, from, to))
	var e struct{ ID string }
	if err := json.Unmarshal([]byte(r.body), &e); err != nil {
		t.Fatal(err)
	}
	return e.ID
}

// waiting is the states of the waitlist, in order, and the offers.
func (c *clinic) waiting(t testing.TB) (states, offers []string) {
	t.Helper()
	r := c.must(t, 200, "frontdesk", "GET", "/calendar/waitlist?service=visit", "")
	var list struct {
		Waiting []struct{ State, Offer string }
	}
	if err := json.Unmarshal([]byte(r.body), &list); err != nil {
		t.Fatal(err)
	}
	for _, e := range list.Waiting {
		states, offers = append(states, e.State), append(offers, strings.TrimPrefix(e.Offer, "Appointment/"))
	}
	return states, offers
}

// TestWaitlist_OffersInOrder: a cancelled slot is offered to the first who waits, for half an hour, then to the next, and is free for nobody else in between.
func TestWaitlist_OffersInOrder(t *testing.T) {
	t.Parallel()
	eachClinic(t, func(t *testing.T, c *clinic) {
		a := c.must(t, 200, "frontdesk", "POST", book, ask(tuesday9, "Patient/p0", "Location/room")).one(t)
		const from, to = "2026-01-06T00:00:00-05:00", "2026-01-07T00:00:00-05:00"
		c.wait(t, "p4", "2026-01-08T00:00:00-05:00", "2026-01-09T00:00:00-05:00") // another day
		for _, p := range []string{"p1", "p2", "p3"} {
			c.clock.Advance(time.Second)
			c.wait(t, p, from, to)
		}
		check := func(want ...string) []string {
			t.Helper()
			states, offers := c.waiting(t)
			if !slices.Equal(states, want) {
				t.Fatalf("the waitlist is %v, want %v", states, want)
			}
			c.must(t, 409, "frontdesk", "POST", book, ask(tuesday9, "Patient/p0"))
			c.truth(t)
			return offers
		}
		c.must(t, 200, "frontdesk", "POST", cancel, byReference(a.ID))
		first := check("waiting", "offered", "waiting", "waiting")[1]
		c.turn(t)
		told := c.sent.take()
		if len(told) != 2 || !strings.Contains(told[0].Text, "has become free") || strings.Contains(told[0].Text, "Visit") {
			t.Errorf("told: %+v", told)
		}
		// The first lets it lapse, the second declines, the third takes it.
		c.clock.Advance(31 * time.Minute)
		c.must(t, 409, "patient:p1", "POST", book, byReference(first))
		c.turn(t)
		second := check("waiting", "lapsed", "offered", "waiting")
		c.must(t, 404, "patient:p3", "POST", book, byReference(second[2]))
		entries := c.must(t, 200, "patient:p2", "GET", "/calendar/waitlist?service=visit", "")
		var list struct{ Waiting []struct{ ID string } }
		if err := json.Unmarshal([]byte(entries.body), &list); err != nil || len(list.Waiting) != 1 {
			t.Fatalf("others are on p2's list: %s", entries.body)
		}
		c.must(t, 204, "patient:p2", "POST", "/calendar/waitlist/"+list.Waiting[0].ID+"/decline", "")
		third := check("waiting", "lapsed", "waiting", "offered")[3]
		got := c.must(t, 200, "patient:p3", "POST", book, byReference(third)).one(t)
		if got.Start != tuesday9 || len(got.Participant) != 3 {
			t.Errorf("%+v", got)
		}
		check("waiting", "lapsed", "waiting", "booked")
		// Nobody waits for it any more who has not declined it: it is free when it is cancelled again.
		c.must(t, 200, "patient:p3", "POST", cancel, byReference(got.ID))
		c.must(t, 200, "frontdesk", "POST", book, ask(tuesday9, "Patient/p0"))
	})
}

// TestReminders_OnceAtTheLocalTime: the clocks of New York go forward on 8 March 2026; the reminder of the day before is due at 17:00 there, whatever they do.
// Two processes and a gateway that fails do not make it go out twice.
func TestReminders_OnceAtTheLocalTime(t *testing.T) {
	t.Parallel()
	d := dbtest.Postgres(t)
	c := newClinic(t, d)
	remindersOnce(t, c, c.booking, c.booking, clinicOn(t, d, c.clock, c.sent).booking)
}

func TestReminders_OnceOnSQLite(t *testing.T) {
	t.Parallel()
	c := newClinic(t, dbtest.SQLite(t))
	remindersOnce(t, c, c.booking, c.booking)
}

func remindersOnce(t *testing.T, c *clinic, processes ...*booking.Service) {
	t.Helper()
	at := func(s string) {
		when, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		c.clock.Set(when)
	}
	var mu sync.Mutex
	turns := func() (sent []reminder.Message) {
		var wg sync.WaitGroup
		for _, b := range processes {
			wg.Go(func() {
				if _, err := b.Turn(c.ctx); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		mu.Lock()
		defer mu.Unlock()
		return c.sent.take()
	}
	at("2026-03-01T12:00:00Z")
	// Monday 9 March, 9:00 in summer time; moved to 10:00, and a second one that is cancelled.
	a := c.must(t, 200, "frontdesk", "POST", book, ask("2026-03-09T09:00:00-04:00", "Patient/p1")).one(t)
	c.must(t, 200, "frontdesk", "POST", reschedule, byReference(a.ID, "start", "2026-03-09T10:00:00-04:00"))
	gone := c.must(t, 200, "frontdesk", "POST", book, ask("2026-03-09T09:00:00-04:00", "Patient/p2")).one(t)
	c.must(t, 200, "frontdesk", "POST", cancel, byReference(gone.ID))

	for _, step := range []struct {
		now, channel string
		fail         int
	}{
		{now: "2026-03-02T13:59:59Z"},                   // 8:59:59 in winter time
		{now: "2026-03-02T14:00:00Z", channel: "email"}, // a week before, 9:00
		{now: "2026-03-02T14:00:01Z"},
		{now: "2026-03-08T20:59:59Z"},
		{now: "2026-03-08T21:00:00Z", fail: 1},        // the day before, 17:00 in summer time; the gateway is away
		{now: "2026-03-08T21:05:00Z", channel: "sms"}, // tried again
		{now: "2026-03-09T12:59:59Z"},
		{now: "2026-03-09T13:00:00Z", channel: "push"}, // an hour before 10:00
		{now: "2026-03-10T13:00:00Z"},
	} {
		at(step.now)
		c.sent.mu.Lock()
		c.sent.fail = step.fail
		c.sent.mu.Unlock()
		sent := turns()
		switch {
		case step.channel == "" && len(sent) > 0, step.channel != "" && (len(sent) != 1 || sent[0].Channel != step.channel):
			t.Errorf("%s: sent %+v, want %q", step.now, sent, step.channel)
		case len(sent) == 1 && !strings.Contains(sent[0].Text, "Monday 9 March 2026 at 10:00 EDT"):
			t.Errorf("%s: %q", step.now, sent[0].Text)
		}
	}
}

// TestFileOutbox_OnceEach: a message that is sent again is there once; its name says nothing about anybody.
func TestFileOutbox_OnceEach(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	ctx := scope.WithTenant(t.Context(), scope.Tenant{ID: 7})
	for range 2 {
		if err := (reminder.FileOutbox{Folder: folder}).Send(ctx, reminder.Message{ID: "m1", Channel: "email", To: "p@example.com", Text: "x"}); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob(filepath.Join(folder, "*", "*"))
	if err != nil || len(files) != 1 || filepath.Base(files[0]) != "m1.json" {
		t.Fatal(files, err)
	}
	if info, err := os.Stat(files[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
}

const licence = `{"extension":[{"url":"http://hl7.org/fhir/us/davinci-pdex-plan-net/StructureDefinition/practitioner-qualification","extension":[
	{"url":"status","valueCode":"active"},{"url":"whereValid","valueCodeableConcept":{"coding":[{"system":"https://www.usps.com/","code":"%s"}]}}]}],
	"code":{"text":"MD"},"period":{"start":"2020-01-01","end":"%s"}}`

// TestRules_ReasonsAreShown: each rule refuses with its reason in words, and the nightly check lists booked visits that lost what they had.
func TestRules_ReasonsAreShown(t *testing.T) {
	t.Parallel()
	eachClinic(t, func(t *testing.T, c *clinic) {
		c.must(t, 204, "admin", "PUT", "/calendar/services/visit", `{"title":"Visit","minutes":30,"minimumAge":18,"maximumAge":64,"licence":true,"coverage":true,"telehealth":true}`)
		refused := func(says string, body string) {
			t.Helper()
			r := c.must(t, 422, "frontdesk", "POST", book, body)
			if !strings.Contains(r.body, says) || !strings.Contains(r.body, `"business-rule"`) {
				t.Errorf("want %q: %s", says, r.body)
			}
		}
		home := func(patient, birth, state string) {
			address := `"country":"US"`
			if state != "" {
				address = fmt.Sprintf(`"state":%q`, state)
			}
			c.put(t, "Patient/"+patient, fmt.Sprintf(`"birthDate":%q,"address":[{"use":"home",%s}]`, birth, address))
		}
		qualified := func(state, until string) {
			c.put(t, "Practitioner/dr", `"name":[{"family":"Adam"}],"qualification":[`+fmt.Sprintf(licence, state, until)+`]`)
		}
		covered := func(status string) {
			c.put(t, "Coverage/c1", `"status":"`+status+`","beneficiary":{"reference":"Patient/p1"},"payor":[{"reference":"Patient/p1"}],"period":{"start":"2026-01-01"}`)
		}
		home("p1", "2008-01-07", "New York") // 18 on the day after
		qualified("NY", "2026-12-31")
		covered("active")
		refused("for patients of 18 years and older", ask(tuesday9, "Patient/p1"))
		home("p1", "1960-05-05", "New York")
		refused("for patients up to 64 years", ask(tuesday9, "Patient/p1"))
		home("p1", "1980-05-05", "NJ")
		refused("not licensed in NJ", ask(tuesday9, "Patient/p1"))
		home("p1", "1980-05-05", "")
		refused("in which state", ask(tuesday9, "Patient/p1"))
		// Where the patient will be goes before where they live.
		a := c.must(t, 200, "frontdesk", "POST", book, strings.Replace(ask(tuesday9, "Patient/p1"), `"parameter":[`, `"parameter":[{"name":"patient-state","valueCode":"US-NY"},`, 1)).one(t)
		home("p1", "1980-05-05", "NY")
		covered("cancelled")
		refused("no insurance of the patient is active", ask(tuesday10, "Patient/p1"))
		covered("active")
		qualified("NY", "2026-01-05")
		refused("not licensed in NY", ask(tuesday10, "Patient/p1"))
		// A hold is refused too, before anybody types more.
		c.must(t, 422, "frontdesk", "POST", hold, ask(tuesday10, "Patient/p1"))

		// The night after, the visit that was booked is on the list, until the licence is renewed.
		type lapses struct {
			Checked string
			Lapses  []struct {
				Appointment string
				Findings    []rule.Finding
			}
		}
		list := func() (l lapses) {
			t.Helper()
			if err := json.Unmarshal([]byte(c.must(t, 200, "frontdesk", "GET", "/calendar/lapses", "").body), &l); err != nil {
				t.Fatal(err)
			}
			return l
		}
		if l := list(); l.Checked != "" {
			t.Errorf("checked: %+v", l)
		}
		c.turn(t)
		if l := list(); len(l.Lapses) != 1 || l.Lapses[0].Appointment != "Appointment/"+a.ID || len(l.Lapses[0].Findings) != 1 || l.Lapses[0].Findings[0].Rule != "licence" {
			t.Errorf("%+v", l)
		}
		qualified("NY", "2026-12-31")
		c.clock.Advance(time.Hour)
		c.turn(t)
		if l := list(); len(l.Lapses) != 1 {
			t.Error("checked twice a night")
		}
		c.clock.Set(time.Date(2026, 1, 6, 2, 0, 1, 0, time.UTC))
		c.turn(t)
		if l := list(); len(l.Lapses) != 0 {
			t.Errorf("%+v", l)
		}
	})
}

// TestBooking_BadInput: what can't be meant is refused with the part's name and what it may be, and nothing is written.
func TestBooking_BadInput(t *testing.T) {
	t.Parallel()
	eachClinic(t, func(t *testing.T, c *clinic) {
		availability := func(was, is string) string { return strings.Replace(weekdays, was, is, 1) }
		for _, row := range []struct {
			name, method, path, body, says string
			status                         int
		}{
			{"unknown zone", "PUT", "/calendar/availability/x", availability("America/New_York", "America/Gotham"), "zone: unknown time zone", 400},
			{"impossible rule", "PUT", "/calendar/availability/x", availability("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", "FREQ=MONTHLY;BYMONTHDAY=32"), "hours[0].rrule: BYMONTHDAY", 400},
			{"rule that yields nothing", "PUT", "/calendar/availability/x", availability("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"), "hours[0].rrule: RRULE yields nothing", 400},
			{"COUNT with UNTIL", "PUT", "/calendar/availability/x", availability("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", "FREQ=DAILY;COUNT=3;UNTIL=20270101"), "hours[0].rrule: ", 400},
			{"COUNT without a beginning", "PUT", "/calendar/availability/x", availability("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", "FREQ=DAILY;COUNT=3"), "name it in from", 400},
			{"hours by the minute", "PUT", "/calendar/availability/x", availability("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", "FREQ=MINUTELY"), "hours[0].rrule: hours recur by days", 400},
			{"no time of day", "PUT", "/calendar/availability/x", availability("09:00", "25:00"), "hours[0].start: must be a time of day", 400},
			{"between cells", "PUT", "/calendar/availability/x", availability("17:00", "17:03"), "hours[0].end: must be a time of day", 400},
			{"actor", "PUT", "/calendar/availability/x", availability("Practitioner/dr", "Patient/p1"), "actor: must be a reference", 400},
			{"service that is not there", "PUT", "/calendar/availability/x", availability(`"service":"visit"`, `"service":"none"`), "there is no service none", 400},
			{"unknown member", "PUT", "/calendar/availability/x", availability(`"zone"`, `"zones":1,"zone"`), "zones", 400},
			{"capacity", "PUT", "/calendar/availability/x", availability(`"zone"`, `"capacity":100000,"zone"`), "capacity: must be 1 to 500", 400},
			{"time off backwards", "PUT", "/calendar/availability/x", availability(`"zone"`, `"timeOff":[{"start":"2026-02-01T00:00","end":"2026-01-01T00:00"}],"zone"`), "timeOff[0]: must end after", 400},
			{"id with dots", "PUT", "/calendar/availability/a.b", weekdays, "letters, digits and -", 400},
			{"service of 7 minutes", "PUT", "/calendar/services/x", `{"title":"X","minutes":7}`, "minutes: must be 5 to 1440", 400},
			{"ages", "PUT", "/calendar/services/x", `{"title":"X","minutes":10,"minimumAge":20,"maximumAge":10}`, "maximumAge", 400},
			{"past start", "POST", book, ask("2026-01-05T07:00:00-05:00", "Patient/p1"), "start is past", 400},
			{"start without zone", "POST", book, ask("2026-01-06T09:00:00", "Patient/p1"), "Appointment.start must be a time with its offset", 400},
			{"start between cells", "POST", book, ask("2026-01-06T09:01:00-05:00", "Patient/p1"), "full 5 minutes", 400},
			{"start that is no start", "POST", book, ask("2026-01-06T09:15:00-05:00", "Patient/p1"), "no visit of this service starts then", 422},
			{"at night", "POST", book, ask("2026-01-06T03:00:00-05:00", "Patient/p1"), "no visit of this service starts then", 422},
			{"at lunch", "POST", book, ask("2026-01-06T12:00:00-05:00", "Patient/p1"), "no visit of this service starts then", 422},
			{"in ten years", "POST", book, ask("2036-01-07T09:00:00-05:00", "Patient/p1"), "too far ahead", 422},
			{"no patient", "POST", book, ask(tuesday9, ""), "a visit needs a patient", 400},
			{"two patients", "POST", book, ask(tuesday9, "Patient/p1", "Patient/p2"), "a visit has one patient", 400},
			{"patient who is not there", "POST", book, ask(tuesday9, "Patient/nobody"), "there is no such Patient", 404},
			{"no service", "POST", book, strings.Replace(ask(tuesday9, "Patient/p1"), "urn:ward:service", "urn:other", 1), "serviceType must have a coding", 400},
			{"unknown parameter", "POST", book, byReference("x", "colour", "red"), `no parameter \"colour\"`, 400},
			{"nothing", "POST", book, `{"resourceType":"Parameters"}`, "either appointment-reference or appointment-resource", 400},
			{"no JSON", "POST", book, `{`, "not JSON", 400},
			{"nobody's visit", "POST", cancel, byReference("nothing"), "no such appointment", 404},
			{"window of 1,000 years", "GET", "/fhir/Appointment/$find?start=2026-01-06T00:00:00Z&end=3026-01-06T00:00:00Z", "", "end is more than 92 days after start", 400},
			{"window backwards", "GET", "/fhir/Appointment/$find?start=2026-01-06T00:00:00Z&end=2026-01-05T00:00:00Z", "", "end must be after start", 400},
			{"window without start", "GET", "/fhir/Appointment/$find?end=2026-01-05T00:00:00Z", "", "start must be a time", 400},
			{"practitioner", "GET", "/fhir/Appointment/$find?start=2026-01-06T00:00:00Z&end=2026-01-07T00:00:00Z&practitioner=Patient/1", "", "practitioner must be a reference", 400},
			{"waitlist backwards", "POST", "/calendar/waitlist", `{"service":"visit","patient":"Patient/p1","earliest":"2026-02-01T00:00:00Z","latest":"2026-01-01T00:00:00Z"}`, "latest: must be after earliest", 400},
		} {
			r := c.do(t, "admin", row.method, row.path, row.body)
			if r.status != row.status || !strings.Contains(r.body, row.says) {
				t.Errorf("%s: %d, want %d and %q: %s", row.name, r.status, row.status, row.says, r.body)
			}
		}
		c.truth(t)
		if free := c.free(t, "2026-01-06T00:00:00-05:00", "2026-01-07T00:00:00-05:00"); len(free) != 14 {
			t.Errorf("something was claimed: %v", free)
		}
	})
}

// TestPublish_SmartSchedulingLinks: what is published is free and of schedules that say so; everybody may read it.
func TestPublish_SmartSchedulingLinks(t *testing.T) {
	t.Parallel()
	eachClinic(t, func(t *testing.T, c *clinic) {
		var manifest struct {
			Request string
			Output  []struct{ Type, URL string }
			Error   []any
		}
		get := func(path string) clinicReply { return c.must(t, 200, "", "GET", path, "") }
		if err := json.Unmarshal([]byte(get("/calendar/slots/$bulk-publish").body), &manifest); err != nil || manifest.Error == nil || !strings.HasSuffix(manifest.Request, "$bulk-publish") {
			t.Fatal(manifest, err)
		}
		read := func(typ string) (lines []string) {
			for _, o := range manifest.Output {
				if o.Type == typ {
					r := get(o.URL[strings.Index(o.URL, "/calendar"):])
					for line := range strings.SplitSeq(strings.TrimSpace(r.body), "\n") {
						if line != "" {
							lines = append(lines, line)
						}
					}
				}
			}
			return lines
		}
		if got := read("Slot"); len(got) != 0 {
			t.Errorf("published without being told to: %v", got[0])
		}
		c.must(t, 204, "admin", "PUT", "/calendar/availability/dr", strings.Replace(weekdays, `"zone"`, `"publish":true,"location":"Location/room","zone"`, 1))
		c.must(t, 200, "frontdesk", "POST", book, ask(tuesday9, "Patient/p1"))
		slots, schedules, locations := read("Slot"), read("Schedule"), read("Location")
		if len(schedules) != 1 || !strings.Contains(schedules[0], `"Location/room"`) || len(locations) != 1 || !strings.Contains(locations[0], "518-555-0100") {
			t.Errorf("%v %v", schedules, locations)
		}
		if len(slots) != 20*14-1 {
			t.Errorf("%d slots", len(slots))
		}
		for _, s := range slots {
			if strings.Contains(s, `"start":"`+tuesday9) || strings.Contains(s, "Patient") || !strings.Contains(s, "booking-deep-link") || !strings.Contains(s, `"free"`) {
				t.Errorf("%s", s)
			}
		}
		first := get(manifest.Output[2].URL[strings.Index(manifest.Output[2].URL, "/calendar"):])
		c.must(t, 304, "", "GET", manifest.Output[2].URL[strings.Index(manifest.Output[2].URL, "/calendar"):], "", "If-None-Match", first.header.Get("ETag"))
		c.must(t, 404, "", "GET", "/calendar/slots/slots-2020-01-01.ndjson", "")
	})
}

// TestReminders_SurviveRestarts: a process that dies with a reminder in its hands, sent or not, leaves it to the next one after its lease.
func TestReminders_SurviveRestarts(t *testing.T) {
	t.Parallel()
	eachClinic(t, func(t *testing.T, c *clinic) {
		c.must(t, 200, "frontdesk", "POST", book, ask(tuesday9, "Patient/p1"))
		c.clock.Set(time.Date(2026, 1, 5, 22, 0, 0, 0, time.UTC)) // 17:00 on the day before
		// It took the reminder and died.
		taken := int64(0)
		err := c.db.Write(c.ctx, func(ctx context.Context, tx db.Tx) (err error) {
			taken, err = tx.Exec(ctx, `UPDATE calendar_reminder SET state = 2, lease = $1, attempts = 1 WHERE state = 1 AND due <= $2`,
				c.clock.Now().Unix()+120, c.clock.Now().Unix())
			return err
		})
		if err != nil || taken != 1 {
			t.Fatal(taken, err)
		}
		c.turn(t)
		if sent := c.sent.take(); len(sent) != 0 {
			t.Errorf("sent while another process has it: %+v", sent)
		}
		c.clock.Advance(2 * time.Minute)
		c.turn(t)
		c.turn(t)
		if sent := c.sent.take(); len(sent) != 1 || sent[0].Channel != "sms" || sent[0].To != "+15185550100" {
			t.Errorf("sent %+v", sent)
		}
	})
}
