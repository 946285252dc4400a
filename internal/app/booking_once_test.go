package app

import (
	"strings"
	"sync"
	"testing"
	"time"
)

// TestBooking_IdempotencyKey: a retry returns the first answer, whether that was yes or no; another request under the same key is refused.
func TestBooking_IdempotencyKey(t *testing.T) {
	t.Parallel()
	eachClinic(t, func(t *testing.T, c *clinic) {
		key := []string{"Idempotency-Key", "k-1"}
		first := c.must(t, 200, "frontdesk", "POST", book, ask(tuesday9, "Patient/p1"), key...)
		again := c.must(t, 200, "frontdesk", "POST", book, ask(tuesday9, "Patient/p1"), key...)
		if first.body != again.body {
			t.Errorf("the retry answered\n%s\nthe first\n%s", again.body, first.body)
		}
		c.must(t, 422, "frontdesk", "POST", book, ask(tuesday930, "Patient/p1"), key...)
		c.must(t, 422, "frontdesk", "POST", cancel, byReference(first.one(t).ID), key...)
		c.must(t, 409, "admin", "POST", book, ask(tuesday9, "Patient/p1"), key...) // another principal's key is another key

		// A refusal is an answer too, when the claim itself was refused.
		refused := c.must(t, 200, "frontdesk", "POST", hold, ask(tuesday10, "Patient/p2"))
		id := refused.one(t).ID
		c.must(t, 200, "frontdesk", "POST", cancel, byReference(id))
		no := c.must(t, 409, "frontdesk", "POST", cancel, byReference(id), "Idempotency-Key", "k-2")
		if r := c.must(t, 409, "frontdesk", "POST", cancel, byReference(id), "Idempotency-Key", "k-2"); r.body != no.body {
			t.Error("another refusal:", r.body)
		}
		// Many at once with one key are one.
		var wg sync.WaitGroup
		var mu sync.Mutex
		answers := map[string]int{}
		for range 12 {
			wg.Go(func() {
				r := c.do(t, "frontdesk", "POST", book, ask(tuesday930, "Patient/p3"), "Idempotency-Key", "k-3")
				mu.Lock()
				answers[r.body]++
				mu.Unlock()
				if r.status != 200 {
					t.Error(r.status, r.body)
				}
			})
		}
		wg.Wait()
		if len(answers) != 1 {
			t.Errorf("%d different answers", len(answers))
		}
		c.must(t, 400, "frontdesk", "POST", book, ask(tuesday10, "Patient/p1"), "Idempotency-Key", strings.Repeat("x", 300))
		c.clock.Advance(25 * time.Hour)
		if _, err := c.booking.Turn(c.ctx); err != nil {
			t.Fatal(err)
		}
		c.must(t, 400, "frontdesk", "POST", book, ask("2026-01-05T09:00:00-05:00", "Patient/p1"), key...) // forgotten: it is asked anew
		c.truth(t)
	})
}

// TestHold_ExpiresByItself: a hold keeps others out until its time is over, then anybody may take it, without a runner; who held it is told.
func TestHold_ExpiresByItself(t *testing.T) {
	t.Parallel()
	eachClinic(t, func(t *testing.T, c *clinic) {
		h := c.must(t, 200, "frontdesk", "POST", hold, ask(tuesday9, "")).one(t)
		if h.Status != "pending" {
			t.Errorf("%+v", h)
		}
		c.must(t, 404, "admin", "GET", "/fhir/Appointment/"+h.ID, "") // nothing is stored that could stop being true by itself
		c.must(t, 409, "frontdesk", "POST", book, ask(tuesday9, "Patient/p1"))
		if free := c.free(t, "2026-01-06T00:00:00-05:00", "2026-01-06T10:00:00-05:00"); len(free) != 1 || free[0] != tuesday930 {
			t.Errorf("free while it is held: %v", free)
		}
		c.must(t, 400, "frontdesk", "POST", book, byReference(h.ID)) // a visit needs a patient
		c.clock.Advance(11 * time.Minute)
		if free := c.free(t, "2026-01-06T00:00:00-05:00", "2026-01-06T10:00:00-05:00"); len(free) != 2 {
			t.Errorf("free after the hold: %v", free)
		}
		c.must(t, 409, "frontdesk", "POST", book, byReference(h.ID, "patient-reference", "Patient/p1"))
		c.must(t, 200, "frontdesk", "POST", book, ask(tuesday9, "Patient/p2"))
		c.must(t, 409, "frontdesk", "POST", book, byReference(h.ID, "patient-reference", "Patient/p1"))

		// Booked in time it stays.
		h = c.must(t, 200, "frontdesk", "POST", hold, ask(tuesday10, "")).one(t)
		a := c.must(t, 200, "frontdesk", "POST", book, byReference(h.ID, "patient-reference", "Patient/p3")).one(t)
		if a.ID != h.ID || a.Status != "booked" || len(a.Participant) != 2 {
			t.Errorf("%+v", a)
		}
		c.must(t, 409, "frontdesk", "POST", book, byReference(h.ID, "patient-reference", "Patient/p3"))
		c.clock.Advance(time.Hour)
		if _, err := c.booking.Turn(c.ctx); err != nil {
			t.Fatal(err)
		}
		c.must(t, 409, "frontdesk", "POST", book, ask(tuesday10, "Patient/p4"))
		c.truth(t)
	})
}

// TestBooking_AllPartiesOrNone: when one party has no time, none is claimed.
func TestBooking_AllPartiesOrNone(t *testing.T) {
	t.Parallel()
	eachClinic(t, func(t *testing.T, c *clinic) {
		c.must(t, 201, "admin", "PUT", "/calendar/availability/other", strings.Replace(weekdays, "Practitioner/dr", "Practitioner/other", 1))
		c.must(t, 200, "frontdesk", "POST", book, ask(tuesday9, "Patient/p1", "Location/room", "Practitioner/interpreter"))
		elsewhere := strings.Replace(ask(tuesday9, "Patient/p2", "Location/room"), "Practitioner/dr", "Practitioner/other", 1)
		if r := c.must(t, 409, "frontdesk", "POST", book, elsewhere); !strings.Contains(r.body, "Location/room") {
			t.Error(r.body)
		}
		// Neither the other clinician nor the patient was claimed by that.
		c.must(t, 200, "frontdesk", "POST", book, strings.Replace(ask(tuesday9, "Patient/p2"), "Practitioner/dr", "Practitioner/other", 1))
		// A patient is in one place at a time, and so is an interpreter.
		if r := c.must(t, 409, "frontdesk", "POST", book, strings.Replace(ask(tuesday9, "Patient/p1"), "Practitioner/dr", "Practitioner/other", 1)); strings.Contains(r.body, "room") {
			t.Error(r.body)
		}
		c.must(t, 200, "frontdesk", "POST", book, ask(tuesday930, "Patient/p1", "Location/room"))
		c.truth(t)
	})
}

// TestBooking_SeatsAndOverbooking: a capacity is so many visits at once; one more takes a permission of its own.
func TestBooking_SeatsAndOverbooking(t *testing.T) {
	t.Parallel()
	eachClinic(t, func(t *testing.T, c *clinic) {
		c.must(t, 204, "admin", "PUT", "/calendar/availability/dr", strings.Replace(weekdays, `"zone"`, `"capacity":2,"bufferAfter":15,"zone"`, 1))
		c.must(t, 200, "frontdesk", "POST", book, ask(tuesday9, "Patient/p1"))
		c.must(t, 200, "frontdesk", "POST", book, ask(tuesday9, "Patient/p2"))
		c.must(t, 409, "frontdesk", "POST", book, ask(tuesday9, "Patient/p3"))
		c.must(t, 409, "frontdesk", "POST", book, ask(tuesday930, "Patient/p3")) // the buffers of both
		extra := strings.Replace(ask(tuesday9, "Patient/p3"), `"parameter":[`, `"parameter":[{"name":"overbook","valueBoolean":true},`, 1)
		c.must(t, 403, "nurse", "POST", book, extra)
		c.must(t, 403, "patient:p3", "POST", book, extra)
		a := c.must(t, 200, "clinician", "POST", book, extra).one(t)
		slot := c.must(t, 200, "admin", "GET", "/fhir/"+a.Slot[0].Reference, "")
		if !strings.Contains(slot.body, `"overbooked":true`) {
			t.Error(slot.body)
		}
		c.must(t, 200, "frontdesk", "POST", book, ask(tuesday10, "Patient/p4"))
	})
}

// TestBooking_PatientsBookTheirOwn: a patient finds, books, moves and cancels visits of their own, and no others are there for them.
func TestBooking_PatientsBookTheirOwn(t *testing.T) {
	t.Parallel()
	eachClinic(t, func(t *testing.T, c *clinic) {
		a := c.must(t, 200, "patient:p1", "POST", book, ask(tuesday9, "Patient/p1")).one(t)
		c.must(t, 403, "patient:p1", "POST", book, ask(tuesday930, "Patient/p2"))
		c.must(t, 404, "patient:p2", "POST", cancel, byReference(a.ID))
		c.must(t, 404, "patient:p2", "POST", reschedule, byReference(a.ID, "start", tuesday10))
		c.must(t, 200, "patient:p1", "POST", reschedule, byReference(a.ID, "start", tuesday10))
		c.must(t, 403, "patient:p1", "PUT", "/calendar/availability/dr", weekdays)
		c.must(t, 403, "analyst", "POST", book, ask(tuesday9, "Patient/p1"))
		// A proposal's id alone is enough: the patient is who asks.
		r := c.must(t, 200, "patient:p2", "GET", "/fhir/Appointment/$find?start=2026-01-06T00:00:00Z&end=2026-01-07T00:00:00Z&practitioner=dr&service-type=visit&_count=1", "")
		if p := r.one(t); c.must(t, 200, "patient:p2", "POST", book, byReference(p.ID)).one(t).Start != p.Start {
			t.Error(r.body)
		}
		c.must(t, 200, "patient:p1", "POST", cancel, byReference(a.ID))
		// The Appointment is kept by the calendar: not even an administrator changes it behind its back.
		c.must(t, 409, "admin", "DELETE", "/fhir/Appointment/"+a.ID, "")
		c.truth(t)
	})
}

// TestBooking_RefusalsAreFirstAnswersToo: a retry of what was refused as not understood, not there or against a rule gets that answer, also when by then it would be
// another.
func TestBooking_RefusalsAreFirstAnswersToo(t *testing.T) {
	t.Parallel()
	eachClinic(t, func(t *testing.T, c *clinic) {
		c.must(t, 204, "admin", "PUT", "/calendar/services/visit", `{"title":"Visit","minutes":30,"minimumAge":60}`)
		type try struct {
			key, path, body string
			status          int
		}
		tries := []try{
			{"age", book, ask(tuesday9, "Patient/p1"), 422},
			{"nobody", book, ask(tuesday9, "Patient/later"), 404},
			{"past", book, ask("2026-01-05T07:00:00-05:00", "Patient/p1"), 400},
			{"words", book, `{"resourceType":"Parameters","parameter":[{"name":"colour","valueString":"red"}]}`, 400},
			{"text", cancel, `{`, 400},
			{"gone", cancel, byReference("nothing"), 404},
		}
		first := make([]string, len(tries))
		for i, x := range tries {
			first[i] = c.must(t, x.status, "frontdesk", "POST", x.path, x.body, "Idempotency-Key", x.key).body
		}
		c.must(t, 204, "admin", "PUT", "/calendar/services/visit", `{"title":"Visit","minutes":30}`)
		c.put(t, "Patient/later", `"birthDate":"1940-01-01"`)
		for i, x := range tries {
			again := c.must(t, x.status, "frontdesk", "POST", x.path, x.body, "Idempotency-Key", x.key).body
			if again != first[i] {
				t.Errorf("%s: first\n%s\nthen\n%s", x.key, first[i], again)
			}
			if r := c.do(t, "frontdesk", "POST", hold, ask(tuesday930, "Patient/p2"), "Idempotency-Key", x.key); r.status != 422 || !strings.Contains(r.body, "another request") {
				t.Errorf("%s: another request under the key: %d %s", x.key, r.status, r.body)
			}
		}
		c.must(t, 200, "frontdesk", "POST", book, ask(tuesday9, "Patient/p1"), "Idempotency-Key", "anew")
		c.truth(t)
	})
}
