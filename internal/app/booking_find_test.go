package app

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// TestFind_BySpecialtyAndOrganization: the parameters of IHE ITI-115, by what the availability says and by PractitionerRoles in the record.
func TestFind_BySpecialtyAndOrganization(t *testing.T) {
	t.Parallel()
	eachClinic(t, func(t *testing.T, c *clinic) {
		for _, o := range []string{"Organization/west", "Organization/east", "Organization/none"} {
			c.put(t, o, `"name":"Clinic"`)
		}
		c.put(t, "PractitionerRole/r1", `"practitioner":{"reference":"Practitioner/other"},"organization":{"reference":"Organization/east"},"specialty":[{"coding":[{"system":"http://snomed.info/sct","code":"394579002"}]}]`)
		c.put(t, "PractitionerRole/r2", `"active":false,"practitioner":{"reference":"Practitioner/other"},"organization":{"reference":"Organization/none"}`)
		own := strings.Replace(weekdays, `{"actor"`, `{"organization":"Organization/west","specialty":["http://snomed.info/sct|394814009","peds"],"actor"`, 1)
		c.must(t, 204, "admin", "PUT", "/calendar/availability/dr", own)
		c.must(t, 201, "admin", "PUT", "/calendar/availability/other", strings.Replace(weekdays, "Practitioner/dr", "Practitioner/other", 1))
		for _, row := range []struct {
			name, value string
			want        []string
		}{
			{"specialty", "394814009", []string{"dr"}},
			{"specialty", "http://snomed.info/sct|394814009", []string{"dr"}},
			{"specialty", "http://other|394814009", nil},
			{"specialty", "http://snomed.info/sct|394579002", []string{"other"}},
			{"specialty", "peds,394579002", []string{"dr", "other"}},
			{"specialty", "1", nil},
			{"organization", "Organization/west", []string{"dr"}},
			{"organization", "east", []string{"other"}},
			{"organization", "Organization/none", nil},
			{"practitioner", "other", []string{"other"}},
		} {
			q := url.Values{"start": {"2026-01-06T00:00:00-05:00"}, "end": {"2026-01-07T00:00:00-05:00"}, "_count": {"1000"}, row.name: {row.value}}
			var got []string
			for _, a := range c.must(t, 200, "frontdesk", "GET", "/fhir/Appointment/$find?"+q.Encode(), "").list(t) {
				if who := strings.TrimPrefix(a.Participant[0].Actor.Reference, "Practitioner/"); !slices.Contains(got, who) {
					got = append(got, who)
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, row.want) {
				t.Errorf("%s=%s: %v, want %v", row.name, row.value, got, row.want)
			}
		}
		window := "start=2026-01-06T00:00:00-05:00&end=2026-01-07T00:00:00-05:00"
		c.must(t, 400, "frontdesk", "GET", "/fhir/Appointment/$find?"+window+"&organization=Patient/p1", "")
		c.must(t, 400, "frontdesk", "GET", "/fhir/Appointment/$find?"+window+"&specialty=a%26active=false", "")
		c.must(t, 400, "admin", "PUT", "/calendar/availability/dr", strings.Replace(own, `"peds"`, `""`, 1))
		if r := c.must(t, 200, "frontdesk", "GET", "/fhir/Schedule?specialty=394814009", ""); !strings.Contains(r.body, `"id":"dr"`) {
			t.Errorf("the Schedule does not say what it is for: %s", r.body)
		}
	})
}

// TestBooking_CapabilityStatement: booking's operations are in it, on Appointment.
func TestBooking_CapabilityStatement(t *testing.T) {
	t.Parallel()
	eachClinic(t, func(t *testing.T, c *clinic) {
		var statement struct {
			Rest []struct {
				Resource []struct {
					Type      string
					Operation []struct{ Name, Definition string }
				}
			}
		}
		if err := json.Unmarshal([]byte(c.must(t, 200, "frontdesk", "GET", "/fhir/metadata", "").body), &statement); err != nil {
			t.Fatal(err)
		}
		found := map[string]string{}
		for _, r := range statement.Rest[0].Resource {
			for _, o := range r.Operation {
				if r.Type == "Appointment" {
					found[o.Name] = o.Definition
				} else if o.Name == "book" {
					t.Errorf("$book on %s", r.Type)
				}
			}
		}
		for _, name := range []string{"find", "hold", "book", "cancel", "reschedule", "validate"} {
			if found[name] == "" {
				t.Errorf("no $%s: %v", name, found)
			}
		}
	})
}

// TestWaitlist_OffersWhatARescheduleFrees: the time that a visit leaves is offered as one that is cancelled is, unless the visit still needs a part of it.
func TestWaitlist_OffersWhatARescheduleFrees(t *testing.T) {
	t.Parallel()
	eachClinic(t, func(t *testing.T, c *clinic) {
		c.must(t, 204, "admin", "PUT", "/calendar/availability/dr", strings.Replace(weekdays, `{"actor"`, `{"step":15,"actor"`, 1))
		a := c.must(t, 200, "frontdesk", "POST", book, ask(tuesday9, "Patient/p0", "Location/room")).one(t)
		c.wait(t, "p1", "2026-01-06T00:00:00-05:00", "2026-01-06T09:30:00-05:00")
		c.must(t, 200, "frontdesk", "POST", reschedule, byReference(a.ID, "start", "2026-01-06T09:15:00-05:00"))
		if states, _ := c.waiting(t); states[0] != "waiting" {
			t.Errorf("half a visit was offered: %v", states)
		}
		c.must(t, 200, "frontdesk", "POST", reschedule, byReference(a.ID, "start", tuesday9))
		c.must(t, 200, "frontdesk", "POST", reschedule, byReference(a.ID, "start", tuesday10))
		states, offers := c.waiting(t)
		if states[0] != "offered" {
			t.Fatalf("after the move: %v", states)
		}
		c.must(t, 409, "frontdesk", "POST", book, ask(tuesday9, "Patient/p2"))
		c.turn(t)
		if told := c.sent.take(); len(told) != 2 || !strings.Contains(told[0].Text, "has become free") {
			t.Errorf("told: %+v", told)
		}
		got := c.must(t, 200, "patient:p1", "POST", book, byReference(offers[0])).one(t)
		if got.Start != tuesday9 || len(got.Participant) != 3 {
			t.Errorf("%+v", got)
		}
		c.truth(t)
	})
}
