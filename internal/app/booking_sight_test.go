package app

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"ward/internal/kernel/audit"
)

const nurse = "role=nurse&id=nurse&person=Practitioner/other"

// care keeps clinicians and nurses to those in their care: p2 is in that of Practitioner/other.
func (c *clinic) care(t testing.TB) {
	t.Helper()
	c.careOnly = true
	c.put(t, "Patient/p2", `"birthDate":"1980-05-05","generalPractitioner":[{"reference":"Practitioner/other"}]`)
}

// label makes somebody a patient whose chart is labelled: psychiatry.
func (c *clinic) label(t testing.TB, patient string) {
	t.Helper()
	report, err := c.records.ImportResources(c.ctx, [][]byte{fmt.Appendf(nil, `{"resourceType":"Patient","id":%q,"birthDate":"1980-05-05",
		"meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"PSY"}]}}`, patient)})
	if err != nil || len(report.Refused) > 0 {
		t.Fatal(err, report.Refused)
	}
}

// notThere asks for the same about two patients and wants one answer: 404, as for who does not exist.
func (c *clinic) notThere(t testing.TB, token, method, path, body, patient string) {
	t.Helper()
	id := []string{"X-Request-Id", "one"}
	got := c.must(t, 404, token, method, path, body, id...).body
	if want := c.must(t, 404, token, method, path, strings.ReplaceAll(body, patient, "nobody"), id...).body; got != want {
		t.Errorf("%s %s as %s tells who is there:\n%s\n%s", method, path, token, got, want)
	}
}

// TestBooking_WhoIsOutOfSightIsNotThere: booking and the waitlist show, change and tell nothing of patients whom the records hide: those who are in somebody
// else's care, and those whose chart is labelled.
func TestBooking_WhoIsOutOfSightIsNotThere(t *testing.T) {
	t.Parallel()
	eachClinic(t, func(t *testing.T, c *clinic) {
		c.must(t, 204, "admin", "PUT", "/calendar/services/visit", `{"title":"Visit","minutes":30,"maximumAge":60,"coverage":false}`)
		visit := c.must(t, 200, "frontdesk", "POST", book, ask(tuesday9, "Patient/p1")).one(t).ID
		held := c.must(t, 200, "frontdesk", "POST", hold, ask(tuesday930, "Patient/p1")).one(t).ID
		vip := c.must(t, 200, "frontdesk", "POST", book, ask(tuesday10, "Patient/p3")).one(t).ID
		until := [2]string{"2026-01-06T09:00:00-05:00", "2026-01-09T17:00:00-05:00"}
		entries := map[string]string{}
		for _, p := range []string{"p1", "p2", "p3"} {
			entries[p] = c.wait(t, p, until[0], until[1])
		}
		c.care(t)
		c.label(t, "p3")
		for _, hidden := range []struct{ token, patient, visit string }{{nurse, "p1", visit}, {"frontdesk", "p3", vip}, {"admin", "p3", vip}} {
			token, patient := hidden.token, hidden.patient
			c.must(t, 404, token, "GET", "/fhir/Patient/"+patient, "")
			if token == nurse {
				c.must(t, 404, token, "GET", "/fhir/Appointment/"+hidden.visit, "")
			}
			for _, try := range [][2]string{
				{cancel, byReference(hidden.visit)},
				{reschedule, byReference(hidden.visit, "start", "2026-01-06T11:00:00-05:00")},
				{book, byReference(hidden.visit)},
				{book, strings.Replace(ask(tuesday9, "Patient/"+patient), `"status":"pending"`, fmt.Sprintf(`"status":"cancelled","id":%q`, hidden.visit), 1)},
				{book, strings.Replace(ask("2026-01-06T11:30:00-05:00", "Patient/"+patient), `"status":"pending"`, fmt.Sprintf(`"status":"booked","id":%q`, hidden.visit), 1)},
			} {
				if r := c.must(t, 404, token, "POST", try[0], try[1]); strings.Contains(r.body, patient) || !strings.Contains(r.body, "no such appointment") {
					t.Errorf("%s: %s", try[1], r.body)
				}
			}
			c.notThere(t, token, "POST", book, ask("2026-01-06T11:00:00-05:00", "Patient/"+patient), patient)
			c.notThere(t, token, "POST", book, ask(tuesday9, "Patient/"+patient), patient) // taken: not even that is told
			c.notThere(t, token, "POST", hold, ask("2026-01-06T11:00:00-05:00", "Patient/"+patient), patient)
			c.notThere(t, token, "POST", "/calendar/waitlist", fmt.Sprintf(`{"service":"visit","patient":"Patient/%s","earliest":%q,"latest":%q}`, patient, until[0], until[1]), patient)
			if r := c.must(t, 200, token, "GET", "/calendar/waitlist?service=visit", ""); strings.Contains(r.body, "Patient/"+patient) || !strings.Contains(r.body, "Patient/p2") {
				t.Errorf("the waitlist as %s: %s", token, r.body)
			}
			c.must(t, 404, token, "DELETE", "/calendar/waitlist/"+entries[patient], "")
			c.must(t, 404, token, "POST", "/calendar/waitlist/"+entries[patient]+"/decline", "")
		}
		c.must(t, 404, nurse, "POST", book, byReference(held))
		c.must(t, 404, nurse, "POST", cancel, byReference(held))
		// Who is in care is booked for as ever, and everybody for themselves.
		in := c.must(t, 200, nurse, "POST", book, ask("2026-01-06T13:00:00-05:00", "Patient/p2")).one(t).ID
		c.must(t, 200, nurse, "POST", cancel, byReference(in))
		c.must(t, 200, "patient:p3", "POST", cancel, byReference(vip))
		c.must(t, 204, "patient:p3", "DELETE", "/calendar/waitlist/"+entries["p3"], "")
		c.must(t, 200, "frontdesk", "POST", cancel, byReference(visit))
		c.truth(t)
	})
}

// TestWaitlist_ReadsAreRecorded: whom somebody saw waiting is in the audit log, and nobody else.
func TestWaitlist_ReadsAreRecorded(t *testing.T) {
	t.Parallel()
	eachClinic(t, func(t *testing.T, c *clinic) {
		c.care(t)
		c.wait(t, "p1", "2026-01-06T09:00:00-05:00", "2026-01-09T17:00:00-05:00")
		c.wait(t, "p2", "2026-01-06T09:00:00-05:00", "2026-01-09T17:00:00-05:00")
		c.must(t, 200, nurse, "GET", "/calendar/waitlist?service=visit&state=waiting", "")
		c.must(t, 200, nurse, "GET", "/calendar/waitlist?service=visit&state=left", "")
		c.must(t, 400, nurse, "GET", "/calendar/waitlist?service=visit&state=odd", "")
		if found := c.recorded(t, "test/nurse", audit.Search, "CalendarWaiting"); len(found) != 2 || !slices.Equal(found[1].Patients, []string{"p2"}) || len(found[0].Patients) != 0 {
			t.Errorf("recorded: %+v", found)
		}
		if found := c.recorded(t, "test/patient:p1", audit.Create, "CalendarWaiting"); len(found) != 1 || !slices.Equal(found[0].Patients, []string{"p1"}) {
			t.Errorf("recorded: %+v", found)
		}
	})
}

// recorded are the events of one kind by somebody, the newest first.
func (c *clinic) recorded(t testing.TB, by string, action audit.Action, typ string) (list []audit.Event) {
	t.Helper()
	if err := c.audit.Flush(c.ctx); err != nil {
		t.Fatal(err)
	}
	page, err := c.audit.Find(c.ctx, audit.Query{By: by, Action: action})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range page.Entries {
		if e.Type == typ {
			list = append(list, e.Event)
		}
	}
	return list
}

// TestLapses_OfWhoIsSeen: what a rule has against a visit is told of patients who are seen.
func TestLapses_OfWhoIsSeen(t *testing.T) {
	t.Parallel()
	eachClinic(t, func(t *testing.T, c *clinic) {
		seen := c.must(t, 200, "frontdesk", "POST", book, ask(tuesday9, "Patient/p1")).one(t).ID
		vip := c.must(t, 200, "frontdesk", "POST", book, ask(tuesday10, "Patient/p3")).one(t).ID
		c.label(t, "p3")
		c.must(t, 204, "admin", "PUT", "/calendar/services/visit", `{"title":"Visit","minutes":30,"minimumAge":60}`)
		if err := c.booking.CheckLapses(c.ctx); err != nil {
			t.Fatal(err)
		}
		if r := c.must(t, 200, "frontdesk", "GET", "/calendar/lapses", ""); !strings.Contains(r.body, seen) || strings.Contains(r.body, vip) {
			t.Error(r.body)
		}
	})
}

// TestBooking_WordsAlone: of an Appointment that is sent its words are kept. What refers to something, which would be written with the system's rights
// and tell whether it is there, is refused before anything is done.
func TestBooking_WordsAlone(t *testing.T) {
	t.Parallel()
	eachClinic(t, func(t *testing.T, c *clinic) {
		c.put(t, "ServiceRequest/order", `"status":"active","intent":"order","subject":{"reference":"Patient/p2"}`)
		with := func(start, member string) string {
			return strings.Replace(ask(start, "Patient/p1"), `"comment":"as asked"`, `"comment":"as asked",`+member, 1)
		}
		for _, member := range []string{
			`"supportingInformation":[{"reference":"ServiceRequest/%s"}]`, `"basedOn":[{"reference":"ServiceRequest/%s"}]`, `"reasonReference":[{"reference":"Condition/%s"}]`,
			`"contained":[{"resourceType":"Patient","id":"%s"}]`, `"identifier":[{"assigner":{"reference":"Organization/%s"}}]`,
			`"reasonCode":[{"text":"x","extension":[{"url":"http://example.com","valueReference":{"reference":"ServiceRequest/%s"}}]}]`,
			`"modifierExtension":[{"url":"http://example.com/%s"}]`, `"_comment":{"extension":[{"url":"http://example.com","valueReference":{"reference":"ServiceRequest/%s"}}]}`,
		} {
			var answers []string
			for _, id := range []string{"order", "nothing"} {
				for _, path := range []string{book, hold} {
					answers = append(answers, c.must(t, 400, "patient:p1", "POST", path, with(tuesday9, fmt.Sprintf(member, id))).body)
				}
			}
			if len(slices.Compact(slices.Sorted(slices.Values(answers)))) != 1 {
				t.Errorf("%s tells whether it is there: %v", member, answers)
			}
		}
		body := c.must(t, 200, "patient:p1", "POST", book, with(tuesday9, `"description":"Knee","patientInstruction":"Bring shoes","priority":5,"reasonCode":[{"text":"pain"}],
			"extension":[{"url":"http://example.com","valueReference":{"reference":"ServiceRequest/nothing"}}],"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>"},
			"meta":{"tag":[{"code":"mine"}]},"slot":[{"reference":"Slot/nothing"}],"created":"2026-01-01"`)).body
		for _, kept := range []string{"as asked", "Knee", "Bring shoes", `"priority":5`, "pain"} {
			if !strings.Contains(body, kept) {
				t.Errorf("%s is lost: %s", kept, body)
			}
		}
		for _, gone := range []string{"mine", "ServiceRequest", "nothing", "xhtml", "created"} {
			if strings.Contains(body, gone) {
				t.Errorf("%s was taken over: %s", gone, body)
			}
		}
		// Devices and relatives are named by those who see them.
		c.put(t, "Device/pump", `"patient":{"reference":"Patient/p2"}`)
		for _, device := range []string{"Device/pump", "Device/nothing"} {
			if r := c.must(t, 404, "patient:p1", "POST", book, ask(tuesday10, "Patient/p1", device)); !strings.Contains(r.body, "there is no such Device") {
				t.Error(r.body)
			}
		}
		c.must(t, 200, "admin", "POST", book, ask(tuesday10, "Patient/p1", "Device/pump"))
		c.truth(t)
	})
}

// TestBooking_OnePersonsShare: a patient holds, books and waits for as much as a person may, whoever of those that don't run the calendar does it.
func TestBooking_OnePersonsShare(t *testing.T) {
	t.Parallel()
	eachClinic(t, func(t *testing.T, c *clinic) {
		c.limits.Visits, c.limits.Waiting = 4, 2
		at := func(n int) string { return fmt.Sprintf("2026-01-%02dT09:00:00-05:00", 6+n) }
		var holds []string
		for n := range 3 {
			holds = append(holds, c.must(t, 200, "patient:p1", "POST", hold, ask(at(n), "Patient/p1")).one(t).ID)
		}
		for _, token := range []string{"patient:p1", "nurse"} {
			if r := c.must(t, 409, token, "POST", hold, ask(at(6), "Patient/p1")); !strings.Contains(r.body, "3 times are held") {
				t.Error(r.body)
			}
		}
		c.must(t, 200, "patient:p2", "POST", hold, ask(at(6), "Patient/p2"))
		c.must(t, 200, "frontdesk", "POST", cancel, byReference(c.must(t, 200, "frontdesk", "POST", hold, ask(at(7), "Patient/p1")).one(t).ID))
		for _, id := range holds {
			c.must(t, 200, "patient:p1", "POST", book, byReference(id))
		}
		c.must(t, 200, "patient:p1", "POST", book, ask(at(7), "Patient/p1"))
		if r := c.must(t, 409, "patient:p1", "POST", book, ask(at(8), "Patient/p1")); !strings.Contains(r.body, "4 booked visits to come") {
			t.Error(r.body)
		}
		held := c.must(t, 200, "patient:p1", "POST", hold, ask(at(8), "Patient/p1")).one(t).ID
		c.must(t, 409, "patient:p1", "POST", book, byReference(held))
		c.must(t, 200, "patient:p1", "POST", cancel, byReference(holds[0]))
		c.must(t, 200, "patient:p1", "POST", book, byReference(held))
		c.must(t, 200, "frontdesk", "POST", book, ask(at(9), "Patient/p1"))

		c.wait(t, "p1", at(0), at(9))
		c.wait(t, "p1", at(0), at(9))
		entry := fmt.Sprintf(`{"service":"visit","patient":"Patient/p1","earliest":%q,"latest":%q}`, at(0), at(9))
		for _, token := range []string{"patient:p1", "nurse"} {
			if r := c.must(t, 409, token, "POST", "/calendar/waitlist", entry); !strings.Contains(r.body, "2 waitlists") {
				t.Error(r.body)
			}
		}
		c.must(t, 201, "frontdesk", "POST", "/calendar/waitlist", entry)
		// Holds for nobody yet are bound by who holds.
		for n := range 20 {
			c.must(t, 200, "nurse", "POST", hold, ask(fmt.Sprintf("2026-02-%02dT%02d:00:00-05:00", 2+n/4, 13+n%4), ""))
		}
		if r := c.must(t, 409, "nurse", "POST", hold, ask("2026-02-10T09:00:00-05:00", "")); !strings.Contains(r.body, "20 times without a patient") {
			t.Error(r.body)
		}
		c.must(t, 200, "frontdesk", "POST", hold, ask("2026-02-10T09:00:00-05:00", ""))
		c.truth(t)
	})
}

// TestBooking_FirstAnswersAreForWhoMaySeeThem: an Idempotency-Key is that of one person through one app with one grant; the answer comes again only while the visit
// is theirs to see, and that it came is recorded.
func TestBooking_FirstAnswersAreForWhoMaySeeThem(t *testing.T) {
	t.Parallel()
	eachClinic(t, func(t *testing.T, c *clinic) {
		c.care(t)
		key := []string{"Idempotency-Key", "k"}
		c.must(t, 200, nurse, "POST", book, ask(tuesday9, "Patient/p2"), key...)
		c.must(t, 200, nurse, "POST", book, ask(tuesday9, "Patient/p2"), key...)
		if found := c.recorded(t, "test/nurse", audit.Read, "Appointment"); len(found) != 1 || !slices.Equal(found[0].Patients, []string{"p2"}) || found[0].Detail != "first answer" {
			t.Errorf("recorded: %+v", found)
		}
		c.put(t, "Patient/p2", `"birthDate":"1980-05-05"`) // in nobody's care any more
		if r := c.must(t, 404, nurse, "POST", book, ask(tuesday9, "Patient/p2"), key...); strings.Contains(r.body, "p2") {
			t.Error(r.body)
		}
		c.careOnly = false
		app := "role=nurse&id=nurse&person=Practitioner/other&client=app&scopes="
		for _, token := range []string{app + "user/Appointment.cruds", app + "patient/Appointment.cruds&patient=p2", app + "user/Observation.rs"} {
			if r := c.do(t, token, "POST", book, ask(tuesday9, "Patient/p2"), key...); r.status != 409 && r.status != 403 {
				t.Errorf("%s: %d %s", token, r.status, r.body)
			}
		}
		c.must(t, 200, nurse, "POST", book, ask(tuesday9, "Patient/p2"), key...)
	})
}

// TestBooking_AppsNeedScopesToRead: an app whose scopes name nothing of the calendar reads nothing of it; patients are not told when somebody is on leave.
func TestBooking_AppsNeedScopesToRead(t *testing.T) {
	t.Parallel()
	eachClinic(t, func(t *testing.T, c *clinic) {
		c.must(t, 204, "admin", "PUT", "/calendar/availability/dr", strings.Replace(weekdays, `"services"`, `"timeOff":[{"start":"2026-07-01T00:00","end":"2026-07-15T00:00"}],"services"`, 1))
		paths := []string{"/calendar/availability", "/calendar/availability/dr", "/calendar/services", "/fhir/Appointment/$find?start=2026-01-06T00:00:00Z&end=2026-01-07T00:00:00Z"}
		for scopes, status := range map[string]int{
			"patient/Observation.rs openid": 403, "user/Observation.read": 403, "openid": 403, "user/Appointment.c": 403, "user/Appointment.rs?status=booked": 403,
			"patient/Appointment.rs": 200, "user/Slot.read": 200, "user/Schedule.s": 200, "user/*.cruds": 200, "system/*.*": 200,
		} {
			for _, role := range []string{"patient&person=Patient/p1&patient=p1", "clinician&person=Practitioner/dr&patient=p1"} {
				status := status
				if strings.HasPrefix(role, "clinician") && strings.HasPrefix(scopes, "patient/") {
					status = 403 // it is for one patient, and these are everybody's
				}
				for _, path := range paths {
					if r := c.do(t, "role="+role+"&id=x&client=app&scopes="+strings.ReplaceAll(scopes, " ", "%20"), "GET", path, ""); r.status != status {
						t.Errorf("%s with %s, %s: %d, want %d", role, scopes, path, r.status, status)
					}
				}
			}
		}
		for token, told := range map[string]bool{"patient:p1": false, "proxy:p1": false, "nurse": true, "frontdesk": true} {
			for _, path := range paths[:2] {
				if r := c.must(t, 200, token, "GET", path, ""); strings.Contains(r.body, "2026-07-01") != told || !json.Valid([]byte(r.body)) {
					t.Errorf("%s %s: %s", token, path, r.body)
				}
			}
		}
	})
}
