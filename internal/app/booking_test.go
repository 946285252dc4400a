package app

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ward/internal/backend/cache"
	"ward/internal/backend/db"
	"ward/internal/backend/db/dbtest"
	"ward/internal/base/clock"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/domain/calendar/alarm"
	"ward/internal/domain/calendar/booking"
	"ward/internal/domain/calendar/events"
	"ward/internal/domain/calendar/reminder"
	"ward/internal/domain/records"
	"ward/internal/format/fhir/search"
	"ward/internal/format/fhir/spec"
	"ward/internal/format/fhir/validate"
	"ward/internal/kernel/audit"
	"ward/internal/kernel/limit"
	"ward/internal/kernel/observe"
	"ward/internal/kernel/seal/sealtest"
	"ward/internal/kernel/serve"
)

// clinic is booking over the real records and a real database, behind the real server. Its clock stands at Monday, 5 January 2026, 8:00 in New
// York, until a test moves it.
type clinic struct {
	db      *db.DB
	records *records.Service
	booking *booking.Service
	events  *events.Service
	audit   *audit.Log
	clock   *clock.Manual
	handler http.Handler
	ctx     context.Context //nolint:containedctx // the tenant's
	sent    *sentMessages

	limits   booking.Limits
	careOnly bool // clinicians and nurses are kept to the charts in their care
}

// sentMessages keeps messages by their id, as a sender must.
type sentMessages struct {
	mu   sync.Mutex
	list []reminder.Message
	fail int // so many calls fail first
}

func (s *sentMessages) Send(_ context.Context, m reminder.Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail > 0 {
		s.fail--
		return fault.Unavailable("the gateway is away")
	}
	if !slices.ContainsFunc(s.list, func(x reminder.Message) bool { return x.ID == m.ID }) {
		s.list = append(s.list, m)
	}
	return nil
}

func (s *sentMessages) take() []reminder.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.list
	s.list = nil
	return list
}

// clinicDoor stands for the directory and the tokens: a token is a role, and the patient whose it is: "patient:p1"; or all that there is to say,
// as a query: "role=nurse&person=Practitioner/n&scopes=…&patient=p1&client=c".
type clinicDoor struct{ tenant scope.Tenant }

func (d clinicDoor) Find(_ context.Context, slug string) (scope.Tenant, error) {
	if slug != d.tenant.Slug {
		return scope.Tenant{}, fault.NotFound("there is no such tenant")
	}
	return d.tenant, nil
}

func (d clinicDoor) Verify(_ context.Context, token string) (scope.Principal, int32, error) {
	if strings.HasPrefix(token, "role=") {
		q, err := url.ParseQuery(token)
		p := scope.Principal{ID: "test/" + q.Get("id"), Role: q.Get("role"), Person: q.Get("person"), Scopes: q.Get("scopes"), Patient: q.Get("patient"), Client: q.Get("client")}
		if id, ok := strings.CutPrefix(p.Person, "Patient/"); ok {
			p.Patients = []string{id}
		}
		return p, d.tenant.ID, err
	}
	role, patient, _ := strings.Cut(token, ":")
	p := scope.Principal{ID: "test/" + token, Role: role}
	if patient != "" {
		p.Person, p.Patients = "Patient/"+patient, []string{patient}
	}
	return p, d.tenant.ID, nil
}

//nolint:gochecknoglobals // a constant
var mondayMorning = time.Date(2026, 1, 5, 13, 0, 0, 0, time.UTC)

func eachClinic(t *testing.T, test func(t *testing.T, c *clinic)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, d *db.DB) { test(t, newClinic(t, d)) })
}

func newClinic(t testing.TB, d *db.DB) *clinic {
	t.Helper()
	c := clinicOn(t, d, clock.NewManual(mondayMorning), &sentMessages{})
	c.seed(t)
	return c
}

// clinicOn is one process over the database.
func clinicOn(t testing.TB, d *db.DB, clk *clock.Manual, sent *sentMessages) *clinic {
	t.Helper()
	tenant := scope.Tenant{ID: 1, Slug: "test"}
	c := &clinic{db: d, clock: clk, ctx: scope.WithTenant(t.Context(), tenant), sent: sent}
	answers, err := cache.New(t.Context(), cache.Config{TagSlots: 1 << 14}, cache.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	log, err := audit.New(audit.Deps{DB: d, Secret: []byte("a secret of thirty-two bytes, ok"), Clock: clk})
	if err != nil {
		t.Fatal(err)
	}
	c.audit = log
	keys := sealtest.Keys(t, d)
	discard := slog.New(slog.DiscardHandler)
	c.records, err = records.New(records.Deps{
		DB: d, Cache: answers, Keys: keys, Definitions: spec.R4(), Validator: validate.New(spec.R4()), Standard: search.Standard(),
		Clock: clk, Log: discard, CursorKey: []byte("a key for tests"), Version: "test", Operations: map[string][][2]string{"Appointment": booking.Operations()},
		Settings: func(context.Context) (records.Settings, error) {
			return records.Settings{ReferentialIntegrity: true, CareOnly: c.careOnly}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	c.events = events.New(events.Deps{
		DB: d, Cache: answers, Keys: keys, Clock: clk, Audit: log, Visible: (&cohorts{records: c.records}).visible, Sight: sightIn(c.records), SightTag: records.SightTag(), Alarms: alarm.Rows{Clock: clk, Wake: func(tn scope.Tenant) { c.booking.Wake(tn) }},
	})
	c.booking = booking.New(booking.Deps{
		DB: d, Events: c.events, Sight: sightIn(c.records), Limits: func(context.Context) (booking.Limits, error) { return c.limits, nil }, Alarms: alarm.New(alarm.Deps{DB: d, Clock: clk, Events: c.events, Records: bookingRecords{c.records}}), Clock: clk, Log: discard, Records: bookingRecords{c.records}, Audit: log, Keys: keys, BaseURL: "http://example.com",
		Tenants: func(context.Context) ([]scope.Tenant, error) { return []scope.Tenant{tenant}, nil },
		Senders: map[string]reminder.Sender{"email": c.sent, "sms": c.sent, "push": c.sent},
	})
	for _, m := range []struct {
		name  string
		files func() error
	}{
		{"records", func() error { return d.RegisterTenant("records", records.Migrations()) }},
		{"booking", func() error { return d.RegisterTenant("booking", booking.Migrations()) }},
		{"alarm", func() error { return d.RegisterTenant("alarm", alarm.Migrations()) }},
		{"calendar", func() error { return d.RegisterTenant("calendar", events.Migrations()) }},
		{"audit", func() error { return d.RegisterTenant("audit", log.Module().Migrations) }},
	} {
		if err := m.files(); err != nil && !strings.Contains(err.Error(), "twice") && !strings.Contains(err.Error(), "already") && !strings.Contains(err.Error(), "was opened") {
			t.Fatal(m.name, err)
		}
	}
	if err := d.MigrateTenants(t.Context()); err != nil {
		t.Fatal(err)
	}
	door := clinicDoor{tenant}
	server, err := serve.New(serve.Deps{
		Routes: slices.Concat(c.records.Module().Routes, c.booking.Module().Routes, c.events.Module().Routes), Tenants: door, Tokens: door, Lanes: limit.NewLanes(limit.Options{Ceiling: 2000, Queue: 2000}),
		Metrics: observe.NewMetrics(), Log: discard, Clock: clock.System(),
	}, serve.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c.handler = server.Handler()
	return c
}

const weekdays = `{"actor":"Practitioner/dr","zone":"America/New_York","hours":[{"rrule":"FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR","start":"09:00","end":"17:00"}],
	"breaks":[{"rrule":"FREQ=DAILY","start":"12:00","end":"13:00"}],"services":[{"service":"visit"}]}`

// seed makes a clinician who can be visited on weekdays from 9 to 17 in New York, with lunch from 12 to 13, and patients.
func (c *clinic) seed(t testing.TB) {
	t.Helper()
	c.put(t, "Practitioner/dr", `"name":[{"family":"Adam"}]`)
	c.put(t, "Practitioner/other", `"name":[{"family":"Eve"}]`)
	c.put(t, "Practitioner/interpreter", `"name":[{"family":"Babel"}]`)
	c.put(t, "Location/room", `"name":"Room 1","address":{"line":["1 Main St"],"city":"Albany","state":"NY","postalCode":"12207"},"telecom":[{"system":"phone","value":"518-555-0100"}]`)
	for n := range 5 {
		c.put(t, fmt.Sprintf("Patient/p%d", n), `"birthDate":"1980-05-05","telecom":[{"system":"email","value":"p@example.com"},{"system":"phone","value":"+15185550100"}]`)
	}
	c.must(t, 204, "admin", "PUT", "/calendar/services/visit", `{"title":"Visit","minutes":30}`)
	c.must(t, 201, "admin", "PUT", "/calendar/availability/dr", weekdays)
}

func (c *clinic) put(t testing.TB, ref, rest string) {
	t.Helper()
	typ, id, _ := strings.Cut(ref, "/")
	body := fmt.Sprintf(`{"resourceType":%q,"id":%q,%s}`, typ, id, rest)
	if r := c.do(t, "admin", "PUT", "/fhir/"+ref, body); r.status != 201 && r.status != 200 {
		t.Fatalf("PUT %s: %d %s", ref, r.status, r.body)
	}
}

type clinicReply struct {
	status int
	header http.Header
	body   string
}

// do sends a request to the tenant; headers come in pairs.
func (c *clinic) do(t testing.TB, token, method, path, body string, headers ...string) clinicReply {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "http://example.com/t/test"+path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/fhir+json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	c.handler.ServeHTTP(w, r)
	return clinicReply{w.Code, w.Header(), w.Body.String()}
}

func (c *clinic) must(t testing.TB, status int, token, method, path, body string, headers ...string) clinicReply {
	t.Helper()
	r := c.do(t, token, method, path, body, headers...)
	if r.status != status {
		t.Fatalf("%s %s as %s: %d, want %d: %s", method, path, token, r.status, status, r.body)
	}
	return r
}

// appointment is what tests look at in an Appointment.
type appointment struct {
	ID, Status, Start, End string
	Slot                   []struct{ Reference string }
	Participant            []struct{ Actor struct{ Reference string } }
	Comment                string
}

// list reads the Appointments of an answer.
func (r clinicReply) list(t testing.TB) (list []appointment) {
	t.Helper()
	var bundle struct {
		Entry []struct{ Resource appointment }
	}
	if err := json.Unmarshal([]byte(r.body), &bundle); err != nil {
		t.Fatal(err, r.body)
	}
	for _, e := range bundle.Entry {
		list = append(list, e.Resource)
	}
	return list
}

func (r clinicReply) one(t testing.TB) appointment {
	t.Helper()
	list := r.list(t)
	if len(list) != 1 {
		t.Fatalf("%d appointments: %s", len(list), r.body)
	}
	return list[0]
}

// free are the starts that $find gives.
func (c *clinic) free(t testing.TB, from, to string, more ...string) (starts []string) {
	t.Helper()
	q := url.Values{"start": {from}, "end": {to}, "_count": {"1000"}}
	for i := 0; i+1 < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	for _, a := range c.must(t, 200, "frontdesk", "GET", "/fhir/Appointment/$find?"+q.Encode(), "").list(t) {
		starts = append(starts, a.Start)
	}
	return starts
}

// ask is a Parameters body with an Appointment of a patient with dr and others.
func ask(start, patient string, others ...string) string {
	participants := []string{`{"actor":{"reference":"Practitioner/dr"},"status":"needs-action"}`}
	for _, ref := range append(others, patient) {
		if ref != "" {
			participants = append(participants, fmt.Sprintf(`{"actor":{"reference":%q},"status":"needs-action"}`, ref))
		}
	}
	return fmt.Sprintf(`{"resourceType":"Parameters","parameter":[{"name":"appointment-resource","resource":{"resourceType":"Appointment","status":"pending",
		"serviceType":[{"coding":[{"system":"urn:ward:service","code":"visit"}]}],"start":%q,"comment":"as asked","participant":[%s]}}]}`, start, strings.Join(participants, ","))
}

func byReference(id string, more ...string) string {
	parts := []string{fmt.Sprintf(`{"name":"appointment-reference","valueReference":{"reference":"Appointment/%s"}}`, id)}
	for i := 0; i+1 < len(more); i += 2 {
		parts = append(parts, fmt.Sprintf(`{"name":%q,"valueString":%q}`, more[i], more[i+1]))
	}
	return `{"resourceType":"Parameters","parameter":[` + strings.Join(parts, ",") + `]}`
}

const (
	book       = "/fhir/Appointment/$book"
	hold       = "/fhir/Appointment/$hold"
	cancel     = "/fhir/Appointment/$cancel"
	reschedule = "/fhir/Appointment/$reschedule"
	tuesday9   = "2026-01-06T09:00:00-05:00"
	tuesday930 = "2026-01-06T09:30:00-05:00"
	tuesday10  = "2026-01-06T10:00:00-05:00"
)

// truth compares what the records say with what is claimed and with what calendars show: every booked Appointment has its Slots, busy, and its event with
// every party, and there are no others.
func (c *clinic) truth(t testing.TB) {
	t.Helper()
	slots, extra := map[string]string{}, map[string]bool{} // times, and whether overbooked
	read := func(path string, each func(raw json.RawMessage)) {
		for path != "" {
			r := c.must(t, 200, "admin", "GET", path, "")
			var b struct {
				Entry []struct{ Resource json.RawMessage }
				Link  []struct{ Relation, URL string }
			}
			if err := json.Unmarshal([]byte(r.body), &b); err != nil {
				t.Fatal(err)
			}
			for _, e := range b.Entry {
				each(e.Resource)
			}
			path = ""
			for _, l := range b.Link {
				if l.Relation == "next" {
					path = l.URL[strings.Index(l.URL, "/fhir"):]
				}
			}
		}
	}
	read("/fhir/Slot?_count=500", func(raw json.RawMessage) {
		var s struct {
			ID, Status, Start, End string
			Overbooked             bool
		}
		_ = json.Unmarshal(raw, &s)
		if s.Status != "busy" {
			t.Errorf("Slot/%s is %s", s.ID, s.Status)
		}
		slots["Slot/"+s.ID] = s.Start + " " + s.End
		extra["Slot/"+s.ID] = s.Overbooked
	})
	taken := map[string]string{}
	shown := map[string]bool{} // party, Appointment, instant
	read("/fhir/Appointment?_count=500", func(raw json.RawMessage) {
		var a appointment
		_ = json.Unmarshal(raw, &a)
		if a.Status != "booked" {
			if len(a.Slot) > 0 {
				t.Errorf("Appointment/%s is %s and has a slot", a.ID, a.Status)
			}
			return
		}
		if len(a.Slot) == 0 {
			t.Errorf("Appointment/%s is booked without a slot", a.ID)
		}
		for _, s := range a.Slot {
			if slots[s.Reference] != a.Start+" "+a.End {
				t.Errorf("Appointment/%s from %s: %s is %q", a.ID, a.Start, s.Reference, slots[s.Reference])
			}
			delete(slots, s.Reference)
		}
		over := slices.ContainsFunc(a.Slot, func(s struct{ Reference string }) bool { return extra[s.Reference] })
		for _, p := range a.Participant {
			key := p.Actor.Reference + " " + a.Start
			if other := taken[key]; other != "" && !over {
				t.Errorf("%s is in %s and %s at %s", p.Actor.Reference, other, a.ID, a.Start)
			}
			if !over {
				taken[key] = a.ID
			}
			at, _ := time.Parse(time.RFC3339, a.Start)
			shown[p.Actor.Reference+" Appointment/"+a.ID+" "+at.UTC().Format("2006-01-02T15:04:05Z")] = true
		}
	})
	for s := range slots {
		t.Errorf("%s is busy with nothing", s)
	}
	parties := map[string]bool{"Practitioner/dr": true, "Location/room": true, "Practitioner/interpreter": true}
	for s := range shown {
		party, _, _ := strings.Cut(s, " ")
		parties[party] = true
	}
	for p := range parties {
		for _, h := range c.window(t, "admin", p) {
			key := p + " " + h.Appointment + " " + h.UTC
			if !shown[key] {
				t.Errorf("a calendar has what is not booked: %s", key)
			}
			delete(shown, key)
		}
	}
	for s := range shown {
		t.Errorf("not in the calendar, or twice: %s", s)
	}
}

// TestBooking_FindBookCancel: what is free is found, booked once, free again after it was cancelled, and the records say so all the time.
func TestBooking_FindBookCancel(t *testing.T) {
	t.Parallel()
	eachClinic(t, func(t *testing.T, c *clinic) {
		day := []string{"2026-01-06T00:00:00-05:00", "2026-01-07T00:00:00-05:00"}
		free := c.free(t, day[0], day[1])
		if len(free) != 14 || free[0] != tuesday9 || free[5] != "2026-01-06T11:30:00-05:00" || free[6] != "2026-01-06T13:00:00-05:00" || free[13] != "2026-01-06T16:30:00-05:00" {
			t.Fatalf("free on Tuesday: %v", free)
		}
		a := c.must(t, 200, "frontdesk", "POST", book, ask(tuesday9, "Patient/p1")).one(t)
		if a.Status != "booked" || a.Start != tuesday9 || a.End != tuesday930 || len(a.Slot) != 1 || a.Comment != "as asked" {
			t.Errorf("%+v", a)
		}
		if got := c.free(t, day[0], day[1]); len(got) != 13 || got[0] != tuesday930 {
			t.Errorf("free after booking: %v", got)
		}
		c.truth(t)
		if r := c.do(t, "frontdesk", "POST", book, ask(tuesday9, "Patient/p2")); r.status != 409 || !strings.Contains(r.body, "Practitioner/dr") {
			t.Errorf("booked twice: %d %s", r.status, r.body)
		}
		if r := c.do(t, "frontdesk", "POST", book, strings.Replace(ask(tuesday9, "Patient/p1"), "Practitioner/dr", "Practitioner/other", 1)); r.status != 422 {
			t.Errorf("somebody without availability: %d %s", r.status, r.body)
		}
		c.must(t, 200, "frontdesk", "GET", "/fhir/Schedule/dr", "")
		moved := c.must(t, 200, "frontdesk", "POST", reschedule, byReference(a.ID, "start", tuesday10)).one(t)
		if moved.ID != a.ID || moved.Start != tuesday10 || moved.Comment != "as asked" {
			t.Errorf("moved: %+v", moved)
		}
		c.truth(t)
		gone := c.must(t, 200, "frontdesk", "POST", cancel, byReference(a.ID, "reason", "pat")).one(t)
		if gone.Status != "cancelled" || len(gone.Slot) != 0 {
			t.Errorf("cancelled: %+v", gone)
		}
		c.truth(t)
		if got := c.free(t, day[0], day[1]); len(got) != 14 {
			t.Errorf("free after cancelling: %v", got)
		}
		c.must(t, 409, "frontdesk", "POST", cancel, byReference(a.ID))
		c.must(t, 409, "frontdesk", "POST", reschedule, byReference(a.ID, "start", tuesday9))
	})
}
