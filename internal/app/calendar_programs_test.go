package app_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"ward/internal/backend/db/dbtest"
	"ward/internal/base/scope"
	"ward/internal/kernel/access"
	"ward/internal/kernel/audit"
	"ward/internal/kernel/identity/people"
	"ward/internal/kernel/tenancy"
)

// programs is a hospital whose people use calendar programs, with all that it logs.
type programs struct {
	*hospital
	log *lines
}

// appSecret is the authenticator app of everybody here.
const appSecret = "JBSWY3DPEHPK3PXP"

func eachProgram(t *testing.T, test func(t *testing.T, h *programs)) {
	t.Helper()
	t.Parallel()
	for _, name := range []string{"sqlite", "postgres"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := embedded(t)
			if name == "postgres" {
				c.DB.URL, c.DB.Migrate = dbtest.PostgresURL(t), true
			}
			log := &lines{}
			a := startedLogging(t, c, slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
			tenant, err := a.Tenants.Create(t.Context(), "general", "", tenancy.Settings{ClinicianAccess: tenancy.ChartsInCare})
			if err != nil {
				t.Fatal(err)
			}
			h := &programs{&hospital{t: t, app: a, tenant: tenant, ctx: scope.WithTenant(t.Context(), tenant.Tenant)}, log}
			admin := h.token(access.Admin)
			for path, body := range map[string]string{
				"Practitioner/ada": `{"resourceType":"Practitioner","id":"ada"}`, "Organization/o1": `{"resourceType":"Organization","id":"o1","name":"Clinic"}`,
				"Patient/p1": `{"resourceType":"Patient","id":"p1","generalPractitioner":[{"reference":"Practitioner/ada"}]}`,
				"Patient/p2": `{"resourceType":"Patient","id":"p2"}`,
			} {
				if status, text := h.send(admin, "PUT", "fhir/"+path, body); status != 201 {
					t.Fatal(status, text)
				}
			}
			if status, text := h.send(admin, "PUT", "fhir/PractitionerRole/r1", `{"resourceType":"PractitionerRole","id":"r1","practitioner":{"reference":"Practitioner/ada"},"organization":{"reference":"Organization/o1"}}`); status != 201 {
				t.Fatal(status, text)
			}
			for _, i := range []people.Invitation{
				{Email: "ada@example.org", Role: access.Clinician, Reference: "Practitioner/ada"},
				{Email: "pat@example.org", Role: access.Patient, Reference: "Patient/p1", Patients: []string{"p1"}},
			} {
				if err := a.People.Plant(h.ctx, i, "a long enough passphrase", appSecret); err != nil {
					t.Fatal(err)
				}
			}
			test(t, h)
		})
	}
}

// reply is an answer, read whole.
type reply struct {
	status int
	header http.Header
	body   string
}

// ask sends a request below the tenant; prepare may be nil.
func (h *programs) ask(method, path, body string, prepare func(r *http.Request)) reply {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), method, "http://"+h.app.Addr()+"/t/general/"+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	if prepare != nil {
		prepare(r)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, string(b)}
}

// browser asks as somebody who is signed in by these methods.
func (h *programs) browser(email, method, path, body string, methods ...string) reply {
	h.t.Helper()
	who, err := h.app.People.ByEmail(h.ctx, email)
	if err != nil {
		h.t.Fatal(err)
	}
	return h.ask(method, path, body, func(r *http.Request) {
		w := httptest.NewRecorder()
		if err := h.app.Sessions.Begin(h.ctx, w, r, who.ID, methods); err != nil {
			h.t.Fatal(err)
		}
		for _, c := range w.Result().Cookies() {
			r.AddCookie(c)
		}
	})
}

// make makes a password or a feed and gives what is told this once, and the id.
func (h *programs) make(email, kind, body string) (told, id string) {
	h.t.Helper()
	got := h.browser(email, "POST", "calendar/"+kind, body, people.ByPassword, people.ByCode)
	var out struct{ ID, Password, Path string }
	if err := json.Unmarshal([]byte(got.body), &out); err != nil || got.status != 201 {
		h.t.Fatal(got.status, got.body)
	}
	return out.Password + strings.TrimPrefix(out.Path, "/t/general/"), out.ID
}

func basicAuth(password string) func(r *http.Request) {
	return func(r *http.Request) { r.SetBasicAuth("ada@example.org", password); r.Header.Set("Depth", "0") }
}

func (h *programs) account(email string) string {
	h.t.Helper()
	p, err := h.app.People.ByEmail(h.ctx, email)
	if err != nil {
		h.t.Fatal(err)
	}
	return p.ID
}

const lunch = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Test//EN\r\nBEGIN:VEVENT\r\nUID:uid-of-lunch\r\nDTSTAMP:20260101T000000Z\r\nSUMMARY:Lunch\r\nLOCATION:Roof\r\nDESCRIPTION:Why\r\nDTSTART:%s\r\nDURATION:PT1H\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"

func soon(days int) string {
	return time.Now().UTC().AddDate(0, 0, days).Format("20060102") + "T120000Z"
}

// TestCalendarPassword_OpensCalendarsAlone: who may make one, what it opens, and when it ends.
func TestCalendarPassword_OpensCalendarsAlone(t *testing.T) {
	eachProgram(t, func(t *testing.T, h *programs) {
		const name = `{"name":"phone"}`
		for who, got := range map[string]reply{
			"a token":               h.ask("POST", "calendar/passwords", name, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+h.token(access.Clinician)) }),
			"without second factor": h.browser("ada@example.org", "POST", "calendar/passwords", name, people.ByPassword),
			"another site":          h.ask("POST", "calendar/passwords", name, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }),
		} {
			if got.status != 403 && got.status != 401 {
				t.Errorf("%s makes a password: %d %s", who, got.status, got.body)
			}
		}
		for _, bad := range []string{`{}`, `{"name":"x","titles":true}`, `{"name":"x","other":1}`, `{"name":"` + strings.Repeat("x", 101) + `"}`, `[]`} {
			if got := h.browser("ada@example.org", "POST", "calendar/passwords", bad, people.ByPassword, people.ByCode); got.status != 400 {
				t.Errorf("%s: %d %s", bad, got.status, got.body)
			}
		}
		password, id := h.make("ada@example.org", "passwords", name)
		home := "caldav/calendars/" + h.account("ada@example.org") + "/"
		own := home + "Practitioner-ada/"
		for _, row := range []struct {
			method, path string
			prepare      func(r *http.Request)
			status       int
		}{
			{"PROPFIND", "caldav/", basicAuth(password), 207},
			{"PROPFIND", "caldav/", basicAuth(strings.ToUpper(strings.ReplaceAll(password, "-", " "))), 207}, // as somebody types it
			{"PROPFIND", home + "Patient-p1/", basicAuth(password), 207},                                     // in their care
			{"PROPFIND", home + "Patient-p2/", basicAuth(password), 404},                                     // not
			{"PROPFIND", "caldav/", nil, 401},
			{"PROPFIND", "caldav/", basicAuth(password[:len(password)-1]), 401},
			{"PROPFIND", "caldav/", basicAuth(strings.Repeat("abcd-", 8)), 401},
			{"PROPFIND", "caldav/", basicAuth(""), 401},
			{"PROPFIND", "caldav/", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+password) }, 401},
			{"GET", "calendar/events?subscriber=Practitioner/ada&from=2026-01-01&to=2026-02-01", basicAuth(password), 401},
			{"GET", "calendar/passwords", basicAuth(password), 401},
			{"GET", "fhir/Patient/p1", basicAuth(password), 401},
			{"GET", "fhir/Appointment", basicAuth(password), 401},
		} {
			if got := h.ask(row.method, row.path, "", row.prepare); got.status != row.status {
				t.Errorf("%s %s: %d, want %d: %s", row.method, row.path, got.status, row.status, got.body)
			} else if challenge := got.header.Get("WWW-Authenticate"); row.status == 401 && strings.HasPrefix(challenge, "Basic ") != strings.HasPrefix(row.path, "caldav") {
				t.Errorf("%s: the challenge is %s", row.path, challenge)
			}
		}
		if got := h.ask("PUT", own+"l.ics", fmt.Sprintf(lunch, soon(1)), basicAuth(password)); got.status != 201 || got.header.Get("ETag") == "" {
			t.Fatal(got.status, got.body)
		}
		// it belongs to the organisation of who wrote it, and the log knows who, and by which password
		admin := h.token(access.Admin)
		if status, text := h.send(admin, "GET", "calendar/sync?subscriber=Practitioner/ada", ""); status != 200 || !strings.Contains(text, `"organization":"Organization/o1"`) {
			t.Error(status, text)
		}
		page, err := h.app.Audit.Find(h.ctx, audit.Query{})
		if err != nil {
			t.Fatal(err)
		}
		by := map[audit.Action]string{}
		for _, e := range page.Entries {
			if e.Type == "CalendarEvent" || e.Type == "calendar-password" {
				by[e.Action] = e.By.ID + " " + e.By.Client
			}
		}
		ada := "user/" + h.account("ada@example.org")
		if by[audit.Create] != ada+" calendar-password/"+id || by[audit.Grant] != ada+" " {
			t.Errorf("the audit log has %v", by)
		}
		// a second tenant does not know it
		if _, err := h.app.Tenants.Create(t.Context(), "other", "", tenancy.Settings{}); err != nil {
			t.Fatal(err)
		}
		got := h.ask("PROPFIND", "caldav/", "", func(r *http.Request) { basicAuth(password)(r); r.URL.Path = "/t/other/caldav/" })
		if got.status != 401 {
			t.Errorf("another tenant: %d", got.status)
		}
		list := h.browser("ada@example.org", "GET", "calendar/passwords", "", people.ByPassword)
		if list.status != 200 || !strings.Contains(list.body, id) || !strings.Contains(list.body, `"name":"phone"`) || !strings.Contains(list.body, `"used":`) || strings.Contains(list.body, password) {
			t.Error(list.status, list.body)
		}
		if got := h.browser("pat@example.org", "DELETE", "calendar/passwords/"+id, "", people.ByPassword); got.status != 404 {
			t.Errorf("somebody else revokes it: %d", got.status)
		}
		second, _ := h.make("ada@example.org", "passwords", name)
		if got := h.browser("ada@example.org", "DELETE", "calendar/passwords/"+id, "", people.ByPassword); got.status != 204 {
			t.Error(got.status, got.body)
		}
		if got := h.ask("PROPFIND", "caldav/", "", basicAuth(password)); got.status != 401 {
			t.Errorf("a revoked one: %d", got.status)
		}
		// an account that is closed takes its passwords along
		if err := h.app.People.Disable(h.ctx, h.account("ada@example.org")); err != nil {
			t.Fatal(err)
		}
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for deadline := time.Now().Add(10 * time.Second); h.ask("PROPFIND", "caldav/", "", basicAuth(second)).status != 401; <-tick.C {
			if time.Now().After(deadline) {
				t.Fatal("a closed account still reads calendars")
			}
		}
		h.nowhere(password, strings.ReplaceAll(password, "-", ""), second)
	})
}

// nowhere fails when a secret is in the log, the metrics or the audit log.
func (h *programs) nowhere(secrets ...string) {
	h.t.Helper()
	_, metrics := do(h.t, "http://"+h.app.OpsAddr()+"/metrics", "")
	page, err := h.app.Audit.Find(h.ctx, audit.Query{})
	if err != nil {
		h.t.Fatal(err)
	}
	log := h.log.String()
	if !strings.Contains(log, `"route"`) {
		h.t.Error("nothing is logged: this test shows nothing")
	}
	for _, s := range secrets {
		for where, text := range map[string]string{"log": log, "metrics": metrics, "audit log": fmt.Sprintf("%+v", page.Entries)} {
			if strings.Contains(text, s) {
				h.t.Errorf("the %s has a secret", where)
			}
		}
	}
}

// TestFeed_TellsNoTitlesUnlessAsked: what a feed says, to whom, and when it ends.
func TestFeed_TellsNoTitlesUnlessAsked(t *testing.T) {
	eachProgram(t, func(t *testing.T, h *programs) {
		admin := h.token(access.Admin)
		day := func(days int) string { return time.Now().UTC().AddDate(0, 0, days).Format(time.DateOnly) }
		for _, body := range []string{
			fmt.Sprintf(`{"uid":"lindqvist-surgery","organization":"Organization/o1","subscribers":["Practitioner/ada","Patient/p1"],"title":"Surgery","description":"Details","location":"Room 9","category":"Theatre","reminders":[10],"start":"%sT09:00:00","end":"%sT10:00:00","tz":"Europe/London","rrule":"FREQ=DAILY;COUNT=3","overrides":[{"recurrence":"%sT09:00:00","title":"Long surgery","location":"Room 8","description":"Other"}]}`, day(3), day(3), day(4)),
			fmt.Sprintf(`{"organization":"Organization/o1","subscribers":["Practitioner/ada"],"title":"Therapy","visibility":"private","start":"%sT09:00:00","end":"%sT10:00:00","tz":"Europe/London"}`, day(6), day(6)),
			fmt.Sprintf(`{"organization":"Organization/o1","subscribers":["Practitioner/ada"],"title":"Longago","start":"%sT09:00:00","end":"%sT10:00:00","tz":"Europe/London"}`, day(-60), day(-60)),
			fmt.Sprintf(`{"organization":"Organization/o1","subscribers":["Practitioner/ada"],"title":"Farahead","start":"%sT09:00:00","end":"%sT10:00:00","tz":"Europe/London"}`, day(400), day(400)),
		} {
			if status, text := h.send(admin, "POST", "calendar/events", body); status != 201 {
				t.Fatal(status, text)
			}
		}
		hidden := []string{"Details", "Other", "Theatre", "Therapy", "lindqvist", "Patient", "Practitioner", "VALARM", "Longago", "Farahead", day(-60), day(400)}
		busy, busyID := h.make("ada@example.org", "feeds", `{"name":"kitchen"}`)
		titled, _ := h.make("ada@example.org", "feeds", `{"name":"phone","titles":true}`)
		patients, _ := h.make("pat@example.org", "feeds", `{"name":"mine","titles":true}`)
		for path, want := range map[string]struct {
			told, not []string
			events    int
		}{
			busy:     {[]string{"SUMMARY:Busy", "RRULE:FREQ=DAILY;COUNT=3"}, append([]string{"Surgery", "surgery", "Room"}, hidden...), 3},
			titled:   {[]string{"SUMMARY:Surgery", "LOCATION:Room 9", "SUMMARY:Long surgery", "LOCATION:Room 8", "SUMMARY:Busy"}, hidden, 3},
			patients: {[]string{"SUMMARY:Surgery"}, hidden, 2},
		} {
			got := h.ask("GET", path, "", nil)
			if got.status != 200 || !strings.HasPrefix(got.header.Get("Content-Type"), "text/calendar") || got.header.Get("Referrer-Policy") != "no-referrer" ||
				got.header.Get("Cache-Control") != "private, no-cache" || strings.Count(got.body, "BEGIN:VEVENT") != want.events {
				t.Errorf("%d %v %s", got.status, got.header, got.body)
			}
			text := strings.ReplaceAll(got.body, "\r\n ", "")
			for _, word := range want.told {
				if !strings.Contains(text, word) {
					t.Errorf("the feed does not tell %s:\n%s", word, text)
				}
			}
			for _, word := range want.not {
				if strings.Contains(text, word) {
					t.Errorf("the feed tells %s:\n%s", word, text)
				}
			}
			again := h.ask("GET", path, "", func(r *http.Request) { r.Header.Set("If-None-Match", got.header.Get("ETag")) })
			if again.status != 304 || again.body != "" {
				t.Errorf("again: %d", again.status)
			}
			if same := h.ask("GET", path, "", nil); same.body != got.body {
				t.Error("the same calendar is told differently")
			}
		}
		tag := h.ask("HEAD", busy, "", nil).header.Get("ETag")
		if status, text := h.send(admin, "POST", "calendar/events", fmt.Sprintf(`{"organization":"Organization/o1","subscribers":["Practitioner/ada"],"title":"New","start":"%s","end":"%s"}`, day(1), day(2))); status != 201 {
			t.Fatal(status, text)
		}
		if got := h.ask("GET", busy, "", func(r *http.Request) { r.Header.Set("If-None-Match", tag) }); got.status != 200 || strings.Count(got.body, "BEGIN:VEVENT") != 4 {
			t.Errorf("after a change: %d %s", got.status, got.body)
		}
		// whose: one's own, or what one may see
		if got := h.browser("pat@example.org", "POST", "calendar/feeds", `{"name":"x","subscriber":"Practitioner/ada"}`, people.ByPassword, people.ByCode); got.status != 403 {
			t.Errorf("a patient has a feed of the clinician: %d", got.status)
		}
		if got := h.browser("ada@example.org", "POST", "calendar/feeds", `{"name":"x","subscriber":"Patient/p2"}`, people.ByPassword, people.ByCode); got.status != 404 {
			t.Errorf("a feed of somebody not in their care: %d", got.status)
		}
		// the address is no password, and no password an address
		secret := strings.TrimSuffix(strings.TrimPrefix(busy, "calendar/feed/"), ".ics")
		if got := h.ask("PROPFIND", "caldav/", "", basicAuth(secret)); got.status != 401 {
			t.Errorf("a feed's secret is a password: %d", got.status)
		}
		password, _ := h.make("ada@example.org", "passwords", `{"name":"x"}`)
		unknown := []reply{
			h.ask("GET", "calendar/feed/"+strings.ReplaceAll(password, "-", "")+".ics", "", nil),
			h.ask("GET", "calendar/feed/"+strings.Repeat("a", 32)+".ics", "", nil),
			h.ask("GET", "calendar/feed/short.ics", "", nil),
			h.ask("GET", "calendar/feed/"+secret, "", nil),
			h.ask("GET", "calendar/feed/"+strings.ToUpper(secret)+".ics", "", nil),
		}
		if got := h.browser("ada@example.org", "DELETE", "calendar/feeds/"+busyID, "", people.ByPassword); got.status != 204 {
			t.Error(got.status, got.body)
		}
		unknown = append(unknown, h.ask("GET", busy, "", nil))
		// all look the same, but for the request's id
		for _, got := range unknown {
			var problem map[string]any
			if err := json.Unmarshal([]byte(got.body), &problem); err != nil {
				t.Fatal(err)
			}
			delete(problem, "request")
			if text := fmt.Sprintf("%v %s %s", problem, got.header.Get("Cache-Control"), got.header.Get("ETag")); got.status != 404 || text != "map[code:not-found detail:there is nothing at this path status:404 title:Not Found] private, no-cache " {
				t.Errorf("%d %s", got.status, text)
			}
		}
		// too often is told so
		statuses := map[int]int{}
		for range 40 {
			statuses[h.ask("GET", titled, "", nil).status]++
		}
		if statuses[429] == 0 || statuses[200] == 0 || statuses[200]+statuses[429] != 40 {
			t.Errorf("asked 40 times: %v", statuses)
		}
		h.nowhere(secret, strings.TrimPrefix(titled, "calendar/feed/"), strings.TrimPrefix(patients, "calendar/feed/"))
		said := h.events(audit.Query{})
		if !slices.ContainsFunc(said, func(s string) bool { return strings.HasPrefix(s, "grant calendar-feed/") }) ||
			!slices.ContainsFunc(said, func(s string) bool { return strings.HasPrefix(s, "revoke calendar-feed/"+busyID) }) ||
			!slices.ContainsFunc(said, func(s string) bool {
				return strings.HasPrefix(s, "export CalendarEvent/") && strings.HasSuffix(s, "of p1")
			}) {
			t.Errorf("the audit log has %v", said)
		}
	})
}
