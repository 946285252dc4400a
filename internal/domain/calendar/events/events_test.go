package events

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"ward/internal/backend/cache"
	"ward/internal/backend/db"
	"ward/internal/backend/db/dbtest"
	"ward/internal/base/clock"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/kernel/access"
	"ward/internal/kernel/seal/sealtest"
)

//nolint:gochecknoglobals // tenants of the shared database of a run
var lastTenant atomic.Int32

// world is the events of a fresh tenant, as an API.
type world struct {
	*Service
	t    testing.TB
	db   *db.DB
	ctx  context.Context
	who  scope.Principal
	mux  *http.ServeMux
	last *httptest.ResponseRecorder
}

func newWorld(t testing.TB, d *db.DB, c *cache.Cache) *world {
	t.Helper()
	dbtest.Migrate(t, d, "calendar", Migrations())
	w := &world{t: t, db: d, who: scope.Principal{ID: "user/1", Role: access.FrontDesk, Person: "Practitioner/desk"}}
	w.fresh()
	w.Service = New(Deps{
		DB: d, Cache: c, Keys: sealtest.Keys(t, d), Clock: clock.System(),
		Cohort: func(_ context.Context, kind, value string, _ int) ([]string, error) {
			if kind == "group" && value == "7" {
				return []string{"Patient/1", "Patient/2", "Patient/3"}, nil
			}
			return nil, fault.NotFound("there is no such group")
		},
		Visible: func(_ context.Context, patients []string) error {
			if slices.Contains(patients, "hidden") {
				return fault.NotFound("not there")
			}
			return nil
		},
	})
	w.route()
	return w
}

// route serves the API of the world's service.
func (w *world) route() {
	w.mux = http.NewServeMux()
	for _, r := range w.Module().Routes {
		w.mux.HandleFunc(r.Method+" "+r.Pattern, func(rw http.ResponseWriter, req *http.Request) {
			if err := r.Handler(rw, req); err != nil {
				http.Error(rw, fault.Message(err), fault.CodeOf(err).Status())
			}
		})
	}
}

// fresh makes the world another tenant's.
func (w *world) fresh() {
	w.ctx = scope.WithTenant(w.t.Context(), scope.Tenant{ID: 4000 + lastTenant.Add(1), Slug: "test"})
}

// each runs a test on both databases, with a cache and without one.
func each(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	t.Run("cached", func(t *testing.T) {
		t.Parallel()
		dbtest.Each(t, func(t *testing.T, d *db.DB) {
			c, err := cache.New(t.Context(), cache.Config{}, cache.Deps{Clock: clock.System()})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = c.Close(context.WithoutCancel(t.Context())) })
			test(t, newWorld(t, d, c))
		})
	})
	t.Run("uncached", func(t *testing.T) {
		t.Parallel()
		dbtest.Each(t, func(t *testing.T, d *db.DB) { test(t, newWorld(t, d, nil)) })
	})
}

// do asks the API and gives the answer, which must have the status.
func (w *world) do(status int, method, path, body string, header ...string) string {
	w.t.Helper()
	sc, _ := scope.From(w.ctx)
	sc.Principal = w.who
	r := httptest.NewRequestWithContext(scope.With(w.ctx, sc), method, "/t/test/calendar/"+path, strings.NewReader(body))
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w.last = httptest.NewRecorder()
	w.mux.ServeHTTP(w.last, r)
	if w.last.Code != status {
		w.t.Fatalf("%s %s: %d %s, want %d", method, path, w.last.Code, w.last.Body, status)
	}
	return w.last.Body.String()
}

// event creates an event of Patient/1 and Practitioner/2 and gives its id.
func (w *world) event(start, end, tz, more string) string {
	w.t.Helper()
	if more != "" {
		more = "," + more
	}
	subscribers := `"subscribers":["Patient/1","Practitioner/2"],`
	if strings.Contains(more, "subscribers") {
		subscribers = ""
	}
	answer := w.do(201, "POST", "events", fmt.Sprintf(`{"organization":"Organization/1",%s"title":"Visit","start":%q,"end":%q,"tz":%q%s}`, subscribers, start, end, tz, more))
	var e Event
	if err := json.Unmarshal([]byte(answer), &e); err != nil {
		w.t.Fatal(err)
	}
	return e.ID
}

// starts are the starts in a window, in the order of the answer.
func (w *world) starts(query string) string {
	w.t.Helper()
	var answer struct {
		Occurrences []struct{ Start, Title string }
	}
	if err := json.Unmarshal([]byte(w.do(200, "GET", "events?"+query, "")), &answer); err != nil {
		w.t.Fatal(err)
	}
	var list []string
	for _, o := range answer.Occurrences {
		s := o.Start
		if o.Title != "Visit" {
			s += "=" + o.Title
		}
		list = append(list, s)
	}
	return strings.Join(list, " ")
}

func (w *world) want(query, want string) {
	w.t.Helper()
	if got := w.starts(query); got != want {
		w.t.Errorf("%s:\n got %s\nwant %s", query, got, want)
	}
}

const march = "subscriber=Patient/1&from=2026-03-01&to=2026-04-01"

func TestWindow_WhatOverlapsIsThere(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.want(march, "")
		w.event("2026-02-27T09:00:00", "2026-03-02T09:00:00", "UTC", "")                // ends in it
		w.event("2026-03-31T23:00:00", "2026-04-02T09:00:00", "UTC", "")                // begins in it
		w.event("2026-02-01T09:00:00", "2026-05-01T09:00:00", "UTC", `"title":"Leave"`) // around it
		w.event("2026-02-28T09:00:00", "2026-02-28T10:00:00", "UTC", "")                // before
		w.event("2026-04-01T00:00:00", "2026-04-01T10:00:00", "UTC", "")                // after
		w.event("2006-03-06T09:00:00", "2006-03-06T09:30:00", "America/New_York", `"rrule":"FREQ=MONTHLY;BYDAY=1MO","title":"Old"`)
		w.event("2026-03-15", "2026-03-16", "", `"title":"Day"`)
		w.want(march, "2026-02-01T09:00:00=Leave 2026-02-27T09:00:00 2026-03-02T09:00:00=Old 2026-03-15=Day 2026-03-31T23:00:00")
		// over months, each once
		w.want("subscriber=Patient/1,Practitioner/2&from=2026-02-28&to=2026-04-02T00:00:00Z&tz=UTC",
			"2026-02-01T09:00:00=Leave 2026-02-27T09:00:00 2026-02-28T09:00:00 2026-03-02T09:00:00=Old 2026-03-15=Day 2026-03-31T23:00:00 2026-04-01T00:00:00")
		w.want("subscriber=Patient/1&from=2026-03-02T09:00:00Z&to=2026-03-02T14:00:01Z", "2026-02-01T09:00:00=Leave 2026-03-02T09:00:00=Old")
		w.want("subscriber=Patient/9&from=2026-03-01&to=2026-04-01", "")
		w.want("group=7&from=2026-03-02&to=2026-03-03", "2026-02-01T09:00:00=Leave 2026-02-27T09:00:00 2026-03-02T09:00:00=Old")
	})
}

func TestWindow_ChangesCountAtOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.want(march, "")
		id := w.event("2026-03-10T09:00:00", "2026-03-10T10:00:00", "Europe/London", "")
		w.want(march, "2026-03-10T09:00:00")
		tag := w.last.Header().Get("ETag")
		w.do(304, "GET", "events?"+march, "", "If-None-Match", tag)
		e := `{"organization":"Organization/1","subscribers":["Patient/2"],"title":"Moved","start":"2026-03-11T09:00:00","end":"2026-03-11T10:00:00","tz":"Europe/London"}`
		w.do(412, "PUT", "events/"+id, e, "If-Match", `"7"`)
		w.do(200, "PUT", "events/"+id, e, "If-Match", `"1"`)
		w.do(412, "PUT", "events/"+id, e, "If-Match", `"1"`)
		w.do(200, "GET", "events?"+march, "", "If-None-Match", tag)
		w.want(march, "")
		w.want("subscriber=Patient/2&from=2026-03-01&to=2026-04-01", "2026-03-11T09:00:00=Moved")
		w.do(412, "DELETE", "events/"+id, "", "If-Match", `"1"`)
		w.do(204, "DELETE", "events/"+id, "", "If-Match", `"2"`)
		w.want("subscriber=Patient/2&from=2026-03-01&to=2026-04-01", "")
		w.do(410, "GET", "events/"+id, "")
		w.do(404, "GET", "events/nobody", "")
	})
}

func TestEdit_ThisFollowingAll(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		id := w.event("2026-03-02T09:00:00", "2026-03-02T10:00:00", "America/New_York", `"rrule":"FREQ=WEEKLY;BYDAY=MO;COUNT=5"`)
		w.want(march, "2026-03-02T09:00:00 2026-03-09T09:00:00 2026-03-16T09:00:00 2026-03-23T09:00:00 2026-03-30T09:00:00")
		w.do(200, "POST", "events/"+id+"/$edit", `{"scope":"this","recurrence":"2026-03-09T09:00:00","start":"2026-03-10T11:00:00","title":"Late"}`)
		w.do(200, "POST", "events/"+id+"/$edit", `{"scope":"this","recurrence":"2026-03-30T09:00:00","cancel":true}`)
		w.want(march, "2026-03-02T09:00:00 2026-03-10T11:00:00=Late 2026-03-16T09:00:00 2026-03-23T09:00:00")
		w.do(404, "POST", "events/"+id+"/$edit", `{"scope":"this","recurrence":"2026-03-10T09:00:00","cancel":true}`)
		w.do(400, "POST", "events/"+id+"/$edit", `{"scope":"some","recurrence":"2026-03-09T09:00:00"}`)
		// from the 16th on an hour later and on Tuesdays; the override of the 30th goes along
		answer := w.do(200, "POST", "events/"+id+"/$edit", `{"scope":"following","recurrence":"2026-03-16T09:00:00","start":"2026-03-17T10:00:00","title":"New"}`)
		var split struct{ Events []Event }
		if err := json.Unmarshal([]byte(answer), &split); err != nil || len(split.Events) != 2 || split.Events[0].ID != id || len(split.Events[1].Overrides) != 1 {
			t.Fatalf("%v %s", err, answer)
		}
		w.want(march, "2026-03-02T09:00:00 2026-03-10T11:00:00=Late 2026-03-17T10:00:00=New 2026-03-24T10:00:00=New")
		w.do(200, "POST", "events/"+split.Events[1].ID+"/$edit", `{"scope":"all","recurrence":"2026-03-24T10:00:00","start":"2026-03-24T10:30:00","end":"2026-03-24T10:45:00"}`)
		w.want(march, "2026-03-02T09:00:00 2026-03-10T11:00:00=Late 2026-03-17T10:30:00=New 2026-03-24T10:30:00=New")
		w.do(200, "POST", "events/"+split.Events[1].ID+"/$edit", `{"scope":"following","recurrence":"2026-03-24T10:30:00","cancel":true}`)
		w.want(march, "2026-03-02T09:00:00 2026-03-10T11:00:00=Late 2026-03-17T10:30:00=New")
		w.do(200, "POST", "events/"+split.Events[1].ID+"/$edit", `{"scope":"all","recurrence":"2026-03-17T10:30:00","cancel":true}`)
		w.want(march, "2026-03-02T09:00:00 2026-03-10T11:00:00=Late")
	})
}

func TestWindow_PagesAndShapes(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.event("2026-03-02T09:00:00", "2026-03-02T10:00:00", "America/New_York", `"rrule":"FREQ=DAILY;COUNT=10"`)
		w.event("2026-03-02T09:30:00", "2026-03-02T10:30:00", "America/New_York", `"rrule":"FREQ=DAILY;COUNT=10"`)
		w.event("2026-03-02T12:00:00", "2026-03-02T13:00:00", "America/New_York", `"free":true`)
		w.event("2026-03-02T14:00:00", "2026-03-02T15:00:00", "America/New_York", `"status":"cancelled"`)
		all := strings.Fields(w.starts(march))
		if len(all) != 22 {
			t.Fatal(all)
		}
		var paged []string
		cursor := ""
		for {
			var page struct {
				Occurrences []struct{ Start string }
				Next        string
			}
			if err := json.Unmarshal([]byte(w.do(200, "GET", "events?"+march+"&count=5"+cursor, "")), &page); err != nil {
				t.Fatal(err)
			}
			for _, o := range page.Occurrences {
				paged = append(paged, o.Start)
			}
			if page.Next == "" {
				break
			}
			cursor = "&cursor=" + page.Next
		}
		if !slices.Equal(paged, all) {
			t.Errorf("paged %v\nall %v", paged, all)
		}
		two := "subscriber=Patient/1,Patient/3&from=2026-03-01&to=2026-03-04&tz=America/New_York&shape="
		if got, want := w.do(200, "GET", "events?"+two+"days", ""), `{"days":[{"day":"2026-03-01","count":0},{"day":"2026-03-02","count":4},{"day":"2026-03-03","count":2}]}`; got != want {
			t.Errorf("days %s", got)
		}
		if got, want := w.do(200, "GET", "events?"+two+"freebusy", ""), `{"subscribers":[{"subscriber":"Patient/1","busy":[{"start":"2026-03-02T14:00:00Z","end":"2026-03-02T15:30:00Z"},`+
			`{"start":"2026-03-03T14:00:00Z","end":"2026-03-03T15:30:00Z"}]},{"subscriber":"Patient/3","busy":[]}]}`; got != want {
			t.Errorf("freebusy %s", got)
		}
		if got, want := w.do(200, "GET", "events?"+two+"heat", ""),
			`{"days":["2026-03-01","2026-03-02","2026-03-03"],"subscribers":[{"subscriber":"Patient/1","minutes":[0,90,90]},{"subscriber":"Patient/3","minutes":[0,0,0]}]}`; got != want {
			t.Errorf("heat %s", got)
		}
	})
}

func TestWindow_OverClockChanges(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		for i, zone := range []string{"America/New_York", "Europe/London", "Australia/Lord_Howe", "Asia/Kathmandu"} {
			subscriber := fmt.Sprintf(`"subscribers":["Device/%d"],"rrule":"FREQ=DAILY"`, i)
			w.event("2020-01-01T09:00:00", "2020-01-01T10:00:00", zone, subscriber)
			query := fmt.Sprintf("subscriber=Device/%d&from=2026-01-01&to=2027-01-01&tz=%s", i, url.QueryEscape(zone))
			list := strings.Fields(w.starts(query))
			if len(list) != 365 || slices.ContainsFunc(list, func(s string) bool { return !strings.HasSuffix(s, "T09:00:00") }) {
				t.Errorf("%s: %d occurrences at %v", zone, len(list), list[:3])
			}
		}
	})
}

func TestSync_TellsEveryChangeOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		sync := func(token string) (told []string, next string) {
			var answer changes
			if err := json.Unmarshal([]byte(w.do(200, "GET", "sync?subscriber=Patient/1&token="+token, "")), &answer); err != nil {
				t.Fatal(err)
			}
			for _, c := range answer.Changes {
				if c.Deleted != (c.Event == nil) {
					t.Errorf("%+v", c)
				}
				told = append(told, fmt.Sprint(c.ID, c.Deleted))
			}
			return told, answer.Token
		}
		a := w.event("2026-03-10T09:00:00", "2026-03-10T10:00:00", "UTC", "")
		b := w.event("2026-03-11T09:00:00", "2026-03-11T10:00:00", "UTC", "")
		w.event("2026-03-11T09:00:00", "2026-03-11T10:00:00", "UTC", `"subscribers":["Patient/8"]`)
		told, token := sync("")
		if !slices.Equal(told, []string{a + "false", b + "false"}) {
			t.Fatal(told)
		}
		if told, again := sync(token); len(told) != 0 || again != token {
			t.Fatal(told, again, token)
		}
		w.do(204, "DELETE", "events/"+a, "")
		w.do(200, "PUT", "events/"+b, `{"organization":"Organization/1","subscribers":["Patient/2"],"title":"x","start":"2026-03-11","end":"2026-03-12"}`)
		if told, token = sync(token); !slices.Equal(told, []string{a + "true", b + "true"}) {
			t.Fatal(told)
		}
		if told, _ := sync(token); len(told) != 0 {
			t.Fatal(told)
		}
		w.do(400, "GET", "sync?subscriber=Patient/1&token=~", "")
		w.do(400, "GET", "sync?subscriber=you", "")
	})
}

func TestAccess_OwnCalendarsAndPrivateEvents(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		id := w.event("2026-03-10T09:00:00", "2026-03-10T10:00:00", "UTC", "")
		w.event("2026-03-12T09:00:00", "2026-03-12T10:00:00", "UTC", `"title":"Secret","visibility":"private","subscribers":["Practitioner/2"]`)
		w.want("subscriber=Practitioner/2&from=2026-03-01&to=2026-04-01", "2026-03-10T09:00:00 2026-03-12T09:00:00=Busy")
		w.do(404, "GET", "events?subscriber=Patient/hidden&from=2026-03-01&to=2026-04-01", "")
		w.do(404, "POST", "events", `{"organization":"Organization/1","subscribers":["Patient/hidden"],"title":"x","start":"2026-03-11","end":"2026-03-12"}`)
		w.who = scope.Principal{ID: "user/2", Role: access.Clinician, Person: "Practitioner/2"}
		w.want("subscriber=Practitioner/2&from=2026-03-01&to=2026-04-01", "2026-03-10T09:00:00 2026-03-12T09:00:00=Secret")
		w.who = scope.Principal{ID: "user/3", Role: access.Patient, Person: "Patient/1", Patients: []string{"1"}}
		w.want(march, "2026-03-10T09:00:00")
		if strings.Contains(w.last.Body.String(), "Practitioner/2") {
			t.Error("a patient sees who else is there")
		}
		w.do(403, "GET", "events?subscriber=Practitioner/2&from=2026-03-01&to=2026-04-01", "")
		w.do(403, "GET", "events?group=7&from=2026-03-01&to=2026-04-01", "")
		w.do(403, "GET", "sync?subscriber=Patient/2", "")
		w.do(200, "GET", "events/"+id, "")
		w.who = scope.Principal{ID: "user/4", Role: access.Patient, Person: "Patient/2", Patients: []string{"2"}}
		w.do(404, "GET", "events/"+id, "")
		w.who = scope.Principal{ID: "client/1", Role: access.Clinician, Person: "Practitioner/2", Scopes: "patient/Appointment.rs openid", Patient: "1"}
		w.want(march, "2026-03-10T09:00:00")
		w.do(403, "GET", "events?subscriber=Practitioner/2&from=2026-03-01&to=2026-04-01", "")
		w.do(403, "DELETE", "events/"+id, "")
		w.who.Scopes = "user/Observation.rs"
		w.do(403, "GET", "events?"+march, "")
	})
}

func TestTenants_SeeTheirOwn(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		id := w.event("2026-03-10T09:00:00", "2026-03-10T10:00:00", "UTC", "")
		w.want(march, "2026-03-10T09:00:00")
		w.fresh()
		w.want(march, "")
		w.do(404, "GET", "events/"+id, "")
	})
}

func TestRefused(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		for _, c := range []struct{ event, says string }{
			{`{}`, "organization"},
			{`{"organization":"Organization/1","subscribers":[],"title":"x","start":"2026-03-11","end":"2026-03-12"}`, "subscribers must be 1 to 500"},
			{`{"organization":"Organization/1","subscribers":["you"],"title":"x","start":"2026-03-11","end":"2026-03-12"}`, "subscribers must be references"},
			{`{"organization":"Organization/1","subscribers":["Patient/1"],"start":"2026-03-11","end":"2026-03-12"}`, "title"},
			{`{"organization":"Organization/1","subscribers":["Patient/1"],"title":"x","start":"tomorrow","end":"2026-03-12"}`, "start must be a time"},
			{`{"organization":"Organization/1","subscribers":["Patient/1"],"title":"x","start":"2026-03-12","end":"2026-03-12"}`, "end must be after start"},
			{`{"organization":"Organization/1","subscribers":["Patient/1"],"title":"x","start":"2026-03-12","end":"2029-03-12"}`, "366 days"},
			{`{"organization":"Organization/1","subscribers":["Patient/1"],"title":"x","start":"2026-03-12","end":"2026-03-12T10:00:00"}`, "end must be a day"},
			{`{"organization":"Organization/1","subscribers":["Patient/1"],"title":"x","start":"2026-03-12T09:00:00","end":"2026-03-12T10:00:00","tz":"Mars/Olympus"}`, "IANA"},
			{`{"organization":"Organization/1","subscribers":["Patient/1"],"title":"x","start":"2026-03-12","end":"2026-03-13","rrule":"FREQ=MONTHLY;BYMONTHDAY=32"}`, "BYMONTHDAY must be"},
			{`{"organization":"Organization/1","subscribers":["Patient/1"],"title":"x","start":"2026-03-12","end":"2026-03-13","rrule":"FREQ=DAILY;UNTIL=20250101"}`, "UNTIL is before"},
			{`{"organization":"Organization/1","subscribers":["Patient/1"],"title":"x","start":"2026-03-12","end":"2026-03-13","rrule":"FREQ=DAILY;COUNT=2;UNTIL=20270101"}`, "COUNT or UNTIL"},
			{`{"organization":"Organization/1","subscribers":["Patient/1"],"title":"x","start":"2026-03-12T09:00:00","end":"2026-03-12T10:00:00","tz":"UTC","rrule":"FREQ=SECONDLY"}`, "occurrences in a month"},
			{`{"organization":"Organization/1","subscribers":["Patient/1"],"title":"x","start":"2026-03-12","end":"2026-03-13","rrule":"FREQ=DAILY","overrides":[{"recurrence":"2025-01-01"}]}`, "overrides.recurrence"},
			{`{"organization":"Organization/1","subscribers":["Patient/1"],"title":"x","start":"2026-03-12","end":"2026-03-13","status":"maybe"}`, "confirmed, tentative, cancelled"},
			{`{"organization":"Organization/1","subscribers":["Patient/1"],"title":"` + strings.Repeat("x", 300) + `","start":"2026-03-12","end":"2026-03-13"}`, "title must be text"},
			{`{"organization":"Organization/1","surprise":1}`, "not known"},
			{`{"organization":7}`, "organization has the wrong type"},
			{`[]`, "JSON object"},
			{`{} {}`, "one JSON object"},
		} {
			if got := w.do(400, "POST", "events", c.event); !strings.Contains(got, c.says) {
				t.Errorf("%s: %s, want it to say %s", c.event, got, c.says)
			}
		}
		for _, c := range []struct{ query, says string }{
			{"", "from must be a time"},
			{"from=2026-03-01", "to must be a time"},
			{"from=2026-03-01&to=2026-04-01", "subscriber, group, panel"},
			{"from=2026-03-01&to=2026-04-01&subscriber=you", "references"},
			{"from=2026-03-01&to=2026-02-01&subscriber=Patient/1", "to must be after from"},
			{"from=2026-03-01&to=3026-03-01&subscriber=Patient/1", "400 days"},
			{"from=2026-03-01&to=2026-04-01&subscriber=Patient/1&count=1000000", "count must be from 1 to 50000"},
			{"from=2026-03-01&to=2026-04-01&subscriber=Patient/1&shape=cube", "occurrences, days, freebusy, heat"},
			{"from=2026-03-01&to=2026-04-01&subscriber=Patient/1&tz=Mars", "IANA"},
			{"from=2026-03-01&to=2026-04-01&subscriber=Patient/1&cursor=!", "cursor"},
			{"from=2026-03-01&to=2026-04-01&subscriber=Patient/1&limit=3", "not known"},
		} {
			if got := w.do(400, "GET", "events?"+c.query, ""); !strings.Contains(got, c.says) {
				t.Errorf("%s: %s, want it to say %s", c.query, got, c.says)
			}
		}
		w.want(march, "")
		w.do(409, "POST", "events", func() string {
			e := `{"organization":"Organization/1","subscribers":["Patient/1"],"uid":"u","title":"Visit","start":"2026-03-12","end":"2026-03-13"}`
			w.do(201, "POST", "events", e)
			return e
		}())
	})
}

func TestSealed_NothingIsStoredInTheClear(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.event("2026-03-12T09:00:00", "2026-03-12T10:00:00", "UTC", `"title":"Unmistakable"`)
		err := w.db.Read(w.ctx, func(ctx context.Context, q db.Querier) error {
			return q.Query(ctx, "SELECT body FROM calendar_event", func(r db.Row) error {
				if strings.Contains(string(r.Bytes(0)), "Unmistakable") {
					t.Error("a title lies in the database")
				}
				return nil
			})
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
