package dav_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	emersion "github.com/emersion/go-ical"
	"github.com/emersion/go-webdav"
	"github.com/emersion/go-webdav/caldav"

	"ward/internal/backend/db"
	"ward/internal/backend/db/dbtest"
	"ward/internal/base/clock"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/domain/calendar/dav"
	"ward/internal/domain/calendar/events"
	"ward/internal/kernel/access"
	"ward/internal/kernel/audit"
	"ward/internal/kernel/seal/sealtest"
)

//nolint:gochecknoglobals // tenants of the shared database of a run
var lastTenant atomic.Int32

// noted keeps what would be in the audit log.
type noted struct{ list []audit.Event }

func (n *noted) Record(_ context.Context, e audit.Event) error {
	n.list = append(n.list, e)
	return nil
}

func (n *noted) RecordEven(ctx context.Context, e audit.Event, _ func(ctx context.Context) bool) error {
	return n.Record(ctx, e)
}

func (n *noted) RecordIn(_ context.Context, _ db.Tx, list ...audit.Event) error {
	n.list = append(n.list, list...)
	return nil
}

// said is what was noted since the last time: the actions, with the patients.
func (n *noted) said() string {
	var words []string
	for _, e := range n.list {
		words = append(words, fmt.Sprintf("%d%v", e.Action, e.Patients))
	}
	n.list = nil
	return strings.Join(words, " ")
}

// world is a tenant's calendars as a CalDAV server.
type world struct {
	*testing.T
	mux   *http.ServeMux
	ctx   context.Context
	who   scope.Principal
	audit *noted
	last  *httptest.ResponseRecorder
}

func each(t *testing.T, test func(w *world)) {
	t.Helper()
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		dbtest.Migrate(t, d, "calendar", events.Migrations())
		w := &world{T: t, mux: http.NewServeMux(), audit: &noted{}, who: clinician}
		w.ctx = scope.WithTenant(t.Context(), scope.Tenant{ID: 6000 + lastTenant.Add(1), Slug: "test"})
		service := events.New(events.Deps{
			DB: d, Keys: sealtest.Keys(t, d), Clock: clock.System(), Audit: w.audit,
			Visible: func(_ context.Context, patients []string) error {
				if slices.Contains(patients, "hidden") {
					return fault.NotFound("not there")
				}
				return nil
			},
			Organization: func(context.Context, string) (string, error) { return "Organization/1", nil },
		})
		for _, r := range append(dav.New(service).Module().Routes, service.Module().Routes...) {
			w.mux.HandleFunc(r.Method+" "+r.Pattern, func(rw http.ResponseWriter, req *http.Request) {
				sc, _ := scope.From(req.Context())
				err := error(fault.Denied("the role may not"))
				if r.Public || access.Permits(&sc.Principal, r.Permission) {
					err = r.Handler(rw, req)
				}
				if err != nil {
					http.Error(rw, fault.Message(err), fault.CodeOf(err).Status())
				}
			})
		}
		test(w)
	})
}

var (
	clinician = scope.Principal{ID: "user/ada", Role: access.Clinician, Person: "Practitioner/ada"}
	patient   = scope.Principal{ID: "user/pat", Role: access.Patient, Person: "Patient/1", Patients: []string{"1"}}
)

const (
	base = "/t/test/caldav/"
	mine = base + "calendars/ada/Practitioner-ada/"
)

// Do is the client of go-webdav: it goes straight to the routes.
func (w *world) Do(r *http.Request) (*http.Response, error) {
	sc, _ := scope.From(w.ctx)
	sc.Principal = w.who
	in := httptest.NewRequestWithContext(scope.With(w.ctx, sc), r.Method, r.URL.RequestURI(), r.Body)
	in.Header = r.Header
	w.last = httptest.NewRecorder()
	w.mux.ServeHTTP(w.last, in)
	res := w.last.Result()
	res.Request = r
	return res, nil
}

// ask sends a request, whose answer must have the status, and gives its body.
func (w *world) ask(status int, method, path, body string, header ...string) string {
	w.Helper()
	r, err := http.NewRequestWithContext(w.ctx, method, "http://x"+path, strings.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, _ := w.Do(r)
	_ = res.Body.Close()
	if w.last.Code != status {
		w.Fatalf("%s %s: %d %s, want %d", method, path, w.last.Code, w.last.Body, status)
	}
	return w.last.Body.String()
}

// has fails unless text has all the parts, in their order.
func (w *world) has(text string, parts ...string) {
	w.Helper()
	rest := text
	for _, p := range parts {
		_, after, ok := strings.Cut(rest, p)
		if !ok {
			w.Errorf("it lacks %q:\n%s", p, text)
			return
		}
		rest = after
	}
}

func event(uid, more string) string {
	return "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Test//EN\r\nBEGIN:VEVENT\r\nUID:" + uid + "\r\nDTSTAMP:20260101T000000Z\r\n" + strings.ReplaceAll(more, "\n", "\r\n") + "\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
}

const weekly = "SUMMARY:Clinic\nDTSTART;TZID=America/New_York:20260302T090000\nDTEND;TZID=America/New_York:20260302T100000\nRRULE:FREQ=WEEKLY\n" +
	"EXDATE;TZID=America/New_York:20260316T090000\nBEGIN:VALARM\nACTION:DISPLAY\nDESCRIPTION:x\nTRIGGER:-PT30M\nEND:VALARM\nEND:VEVENT\n" +
	"BEGIN:VEVENT\nUID:w\nDTSTAMP:20260101T000000Z\nRECURRENCE-ID;TZID=America/New_York:20260309T090000\nSUMMARY:Clinic\\, late\nDTSTART;TZID=America/New_York:20260310T150000\nDTEND;TZID=America/New_York:20260310T160000"

// TestDAV_AnotherLibrarysClientFindsItsWay has go-webdav's client discover, store, query and read.
func TestDAV_AnotherLibrarysClientFindsItsWay(t *testing.T) {
	each(t, func(w *world) {
		plain, err := webdav.NewClient(w, "http://x"+base)
		if err != nil {
			w.Fatal(err)
		}
		principal, err := plain.FindCurrentUserPrincipal(w.ctx)
		if err != nil || principal != base+"principals/ada/" {
			w.Fatal(principal, err)
		}
		client, err := caldav.NewClient(w, "http://x"+base)
		if err != nil {
			w.Fatal(err)
		}
		home, err := client.FindCalendarHomeSet(w.ctx, principal)
		if err != nil || home != base+"calendars/ada/" {
			w.Fatal(home, err)
		}
		calendars, err := client.FindCalendars(w.ctx, home)
		if err != nil || len(calendars) != 1 || calendars[0].Path != mine || calendars[0].Name != "My calendar" || !slices.Equal(calendars[0].SupportedComponentSet, []string{"VEVENT"}) {
			w.Fatal(calendars, err)
		}
		file, err := emersion.NewDecoder(strings.NewReader(event("w", weekly))).Decode()
		if err != nil {
			w.Fatal(err)
		}
		if _, err := client.PutCalendarObject(w.ctx, mine+"w.ics", file); err != nil {
			w.Fatal(err)
		}
		all := caldav.CalendarCompRequest{Name: "VCALENDAR", AllProps: true, AllComps: true}
		within := func(from, to string) []caldav.CalendarObject {
			at := func(s string) time.Time { when, _ := time.Parse(time.RFC3339, s); return when }
			list, err := client.QueryCalendar(w.ctx, mine, &caldav.CalendarQuery{CompRequest: all, CompFilter: caldav.CompFilter{
				Name: "VCALENDAR", Comps: []caldav.CompFilter{{Name: "VEVENT", Start: at(from), End: at(to)}},
			}})
			if err != nil {
				w.Fatal(err)
			}
			return list
		}
		if got := within("2046-03-01T00:00:00Z", "2046-03-08T00:00:00Z"); len(got) != 1 || got[0].Path != mine+"w.ics" || got[0].ETag == "" {
			w.Errorf("twenty years on: %v", got)
		}
		for _, none := range []string{"2026-03-16T00:00:00Z 2026-03-17T00:00:00Z", "2026-02-01T00:00:00Z 2026-03-02T14:00:00Z"} {
			from, to, _ := strings.Cut(none, " ")
			if got := within(from, to); len(got) != 0 {
				w.Errorf("%s: %v", none, got)
			}
		}
		list, err := client.MultiGetCalendar(w.ctx, mine, &caldav.CalendarMultiGet{Paths: []string{mine + "w.ics"}, CompRequest: all})
		if err != nil || len(list) != 1 || len(list[0].Data.Events()) != 2 {
			w.Fatal(list, err)
		}
		one, err := client.GetCalendarObject(w.ctx, mine+"w.ics")
		if err != nil || one.ETag != list[0].ETag {
			w.Error(one, err)
		}
		if err := plain.RemoveAll(w.ctx, mine+"w.ics"); err != nil {
			w.Error(err)
		}
		if _, err := client.GetCalendarObject(w.ctx, mine+"w.ics"); err == nil {
			w.Error("it is there still")
		}
	})
}

func TestDAV_ConflictsAre412(t *testing.T) {
	each(t, func(w *world) {
		one := event("a", "SUMMARY:One\nDTSTART:20260302T090000Z\nDTEND:20260302T100000Z")
		two := strings.Replace(one, "One", "Two", 1)
		w.ask(412, "PUT", mine+"a.ics", one, "If-Match", `"x-1"`)
		w.ask(201, "PUT", mine+"a.ics", one, "If-None-Match", "*", "Content-Type", "text/calendar; charset=utf-8")
		w.ask(412, "PUT", mine+"a.ics", one, "If-None-Match", "*")
		w.ask(200, "GET", mine+"a.ics", "")
		first := w.last.Header().Get("ETag")
		w.ask(304, "GET", mine+"a.ics", "", "If-None-Match", first)
		w.ask(204, "PUT", mine+"a.ics", two, "If-Match", first)
		w.ask(412, "PUT", mine+"a.ics", one, "If-Match", first)
		w.ask(412, "DELETE", mine+"a.ics", "", "If-Match", first)
		w.has(w.ask(200, "GET", mine+"a.ics", ""), "UID:a\r\n", "SUMMARY:Two\r\n")
		second := w.last.Header().Get("ETag")
		// a file is kept as it was sent, with its ETag at once, until the event is changed elsewhere; what is too large must be read again
		same := strings.Replace(two, "SUMMARY", "X-OTHER;X-P=\"a,b\":1\r\nATTENDEE:mailto:a@example.org\r\nSUMMARY", 1)
		w.ask(204, "PUT", mine+"a.ics", same)
		kept := w.last.Header().Get("ETag")
		if got := w.ask(200, "GET", mine+"a.ics", ""); got != same || kept == "" || kept != w.last.Header().Get("ETag") {
			w.Errorf("it has the ETag %s and not %s, and says:\n%s", w.last.Header().Get("ETag"), kept, got)
		}
		w.has(w.ask(207, "REPORT", mine, query("<C:calendar-data/>", `<C:comp-filter name="VEVENT"><C:prop-filter name="ATTENDEE"/></C:comp-filter>`)), "ATTENDEE")
		id := strings.Split(strings.Trim(kept, `"`), "-")
		w.ask(200, "POST", "/t/test/calendar/events/"+strings.Join(id[:len(id)-1], "-")+"/$edit", `{"scope":"all","recurrence":"2026-03-02T09:00:00","title":"Three"}`)
		if got := w.ask(200, "GET", mine+"a.ics", ""); !strings.Contains(got, "SUMMARY:Three") || strings.Contains(got, "ATTENDEE") {
			w.Error(got)
		}
		w.ask(204, "PUT", mine+"a.ics", strings.Replace(two, "SUMMARY", strings.Repeat("X-OTHER:"+strings.Repeat("x", 60)+"\r\n", 1000)+"SUMMARY", 1))
		if w.last.Header().Get("ETag") != "" {
			w.Error("an ETag for what was not kept as it was sent")
		}
		w.ask(412, "DELETE", mine+"a.ics", "", "If-Match", second)
		w.ask(204, "DELETE", mine+"a.ics", "", "If-Match", `"nothing", *`)
		w.ask(404, "DELETE", mine+"a.ics", "")
		w.ask(412, "DELETE", mine+"a.ics", "", "If-Match", "*")
		w.ask(404, "GET", mine+"a.ics", "")
		// the same name again is another event, with another ETag
		w.ask(201, "PUT", mine+"a.ics", strings.Replace(same, "UID:a", "UID:b", 1), "If-None-Match", "*")
		w.ask(200, "GET", mine+"a.ics", "")
		if tag := w.last.Header().Get("ETag"); tag == first || tag == second {
			w.Errorf("the ETag %s comes again", tag)
		}
	})
}

// TestDAV_NamesAndUIDs: a name keeps its event, and a UID is once in a calendar, but may be in others.
func TestDAV_NamesAndUIDs(t *testing.T) {
	each(t, func(w *world) {
		file := event("the uid@example.org", "SUMMARY:One\nDTSTART:20260302T090000Z\nDTEND:20260302T100000Z")
		strange := mine + "An%20event%20of%20mine@home,%20no%2042"
		w.ask(201, "PUT", strange, file)
		w.has(w.ask(200, "GET", strange, ""), "UID:the uid@example.org")
		w.has(w.ask(207, "PROPFIND", mine, "", "Depth", "1"), "<D:href>"+mine+"</D:href>", "<D:href>"+mine+"An%20event%20of%20mine@home,%20no%2042</D:href>", "<D:getetag>")
		w.has(w.ask(409, "PUT", mine+"other.ics", file), "<C:no-uid-conflict/>")
		w.has(w.ask(403, "PUT", strange, strings.Replace(file, "the uid", "another", 1)), "<C:no-uid-conflict/>")
		w.ask(404, "GET", mine+"other.ics", "")
		// a colleague was sent the same invitation
		w.who = scope.Principal{ID: "user/bob", Role: access.Clinician, Person: "Practitioner/bob"}
		bobs := base + "calendars/bob/Practitioner-bob/"
		w.ask(404, "GET", mine, "")
		w.ask(201, "PUT", bobs+"x.ics", file)
		w.ask(204, "PUT", bobs+"x.ics", strings.Replace(file, "One", "Bob's", 1))
		w.has(w.ask(200, "GET", bobs+"x.ics", ""), "UID:the uid@example.org", "SUMMARY:Bob's")
		w.ask(204, "DELETE", bobs+"x.ics", "")
		w.ask(201, "PUT", bobs+"y.ics", file)
		w.who = clinician
		w.has(w.ask(200, "GET", strange, ""), "SUMMARY:One")
		// what others made has its id as its name, and may be changed under it
		made := w.ask(201, "POST", "/t/test/calendar/events", `{"organization":"Organization/7","subscribers":["Practitioner/ada","Patient/1"],"title":"Visit","start":"2026-03-02T09:00:00","end":"2026-03-02T09:30:00","tz":"Europe/London","appointment":"Appointment/5"}`)
		id := regexp.MustCompile(`"id":"([^"]+)"`).FindStringSubmatch(made)[1]
		text := w.ask(200, "GET", mine+id+".ics", "")
		w.ask(204, "PUT", mine+id+".ics", strings.Replace(text, "SUMMARY:Visit", "SUMMARY:Visit at home", 1))
		w.has(w.ask(200, "GET", "/t/test/calendar/events/"+id, ""), `"organization":"Organization/7"`, `"subscribers":["Patient/1","Practitioner/ada"]`, `"title":"Visit at home"`, `"appointment":"Appointment/5"`)
		w.ask(404, "GET", bobs+id+".ics", "")
	})
}

func query(data, filter string) string {
	return `<?xml version="1.0"?><C:calendar-query xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:prop><D:getetag/>` + data + `</D:prop><C:filter><C:comp-filter name="VCALENDAR">` +
		filter + `</C:comp-filter></C:filter></C:calendar-query>`
}

const (
	inMarch   = `<C:comp-filter name="VEVENT"><C:time-range start="20260301T000000Z" end="20260401T000000Z"/></C:comp-filter>`
	expanded  = `<C:calendar-data><C:expand start="20260301T000000Z" end="20260317T000000Z"/></C:calendar-data>`
	limitedTo = `<C:calendar-data><C:limit-recurrence-set start="%s" end="%s"/></C:calendar-data>`
)

func TestDAV_ExpandAndLimit(t *testing.T) {
	each(t, func(w *world) {
		w.ask(201, "PUT", mine+"w.ics", event("w", weekly))
		w.ask(201, "PUT", mine+"d.ics", event("d", "SUMMARY:Day\nDTSTART;VALUE=DATE:20260305"))
		w.ask(201, "PUT", mine+"n.ics", event("n", "SUMMARY:Elsewhen\nDTSTART;VALUE=DATE:20260505"))
		text := w.ask(207, "REPORT", mine, query(expanded, inMarch), "Depth", "1")
		text = strings.ReplaceAll(text, "&#xD;&#xA;", "\n")
		// the second is moved to the day after, in summer time; the third is taken out
		w.has(text, "SUMMARY:Day")
		w.has(text, "DTSTART:20260302T140000Z\n", "DTEND:20260302T150000Z\n", "RECURRENCE-ID:20260302T140000Z\n", "DTSTART:20260310T190000Z\n", "RECURRENCE-ID:20260309T130000Z\n", "SUMMARY:Clinic\\, late\n")
		for _, not := range []string{"RRULE", "TZID", "20260316", "20260323", "Elsewhen"} {
			if strings.Contains(text, not) {
				w.Errorf("it has %s:\n%s", not, text)
			}
		}
		w.has(text, "DTSTART;VALUE=DATE:20260305\n")
		for _, row := range []struct {
			from, to string
			late     bool
		}{{"20260301T000000Z", "20260303T000000Z", false}, {"20260309T000000Z", "20260309T235959Z", true}, {"20260310T000000Z", "20260311T000000Z", true}, {"20260401T000000Z", "20270401T000000Z", false}} {
			text := w.ask(207, "REPORT", mine, query(fmt.Sprintf(limitedTo, row.from, row.to), `<C:comp-filter name="VEVENT"/>`))
			w.has(text, "RRULE:FREQ=WEEKLY")
			if strings.Contains(text, "RECURRENCE-ID") != row.late {
				w.Errorf("%s to %s: %s", row.from, row.to, text)
			}
		}
		// too much at once is refused, and what can't be meant
		w.ask(201, "PUT", mine+"h.ics", event("h", "SUMMARY:Hourly\nDTSTART:20260301T000000Z\nDTEND:20260301T001000Z\nRRULE:FREQ=HOURLY"))
		w.ask(403, "REPORT", mine, query(`<C:calendar-data><C:expand start="20000101T000000Z" end="30000101T000000Z"/></C:calendar-data>`, inMarch))
		w.ask(400, "REPORT", mine, query(`<C:calendar-data><C:expand start="20260101T000000Z"/></C:calendar-data>`, inMarch))
		w.ask(400, "REPORT", mine, query(`<C:calendar-data><C:expand start="now" end="20260101T000000Z"/></C:calendar-data>`, inMarch))
		w.has(w.ask(403, "REPORT", mine, query(`<C:calendar-data content-type="application/calendar+json"/>`, inMarch)), "<C:supported-calendar-data/>")
	})
}

func TestDAV_Filters(t *testing.T) {
	each(t, func(w *world) {
		w.ask(201, "PUT", mine+"w.ics", event("w", weekly))
		w.ask(201, "PUT", mine+"d.ics", event("d", "SUMMARY:Day\nLOCATION:Zürich\nDTSTART;VALUE=DATE:20260305"))
		for filter, want := range map[string]string{
			``:                               "d w",
			`<C:comp-filter name="VEVENT"/>`: "d w",
			`<C:comp-filter name="VTODO"/>`:  "",
			`<C:comp-filter name="VTODO"><C:is-not-defined/></C:comp-filter>`:                                                                                                                      "d w",
			`<C:comp-filter name="VEVENT"><C:is-not-defined/></C:comp-filter>`:                                                                                                                     "",
			`<C:comp-filter name="VEVENT"><C:time-range start="20260304T000000Z"/></C:comp-filter>`:                                                                                                "d w",
			`<C:comp-filter name="VEVENT"><C:time-range end="20260303T000000Z"/></C:comp-filter>`:                                                                                                  "w",
			`<C:comp-filter name="VEVENT"><C:time-range start="20260305T120000Z" end="20260305T130000Z"/></C:comp-filter>`:                                                                         "d",
			`<C:comp-filter name="VEVENT"><C:comp-filter name="VALARM"/></C:comp-filter>`:                                                                                                          "w",
			`<C:comp-filter name="VEVENT"><C:comp-filter name="VALARM"><C:is-not-defined/></C:comp-filter></C:comp-filter>`:                                                                        "d w",
			`<C:comp-filter name="VEVENT"><C:comp-filter name="VALARM"><C:time-range start="20260302T133000Z" end="20260302T133001Z"/></C:comp-filter></C:comp-filter>`:                            "w",
			`<C:comp-filter name="VEVENT"><C:comp-filter name="VALARM"><C:time-range start="20260302T133001Z" end="20260302T140001Z"/></C:comp-filter></C:comp-filter>`:                            "",
			`<C:comp-filter name="VEVENT"><C:prop-filter name="SUMMARY"><C:text-match>LATE</C:text-match></C:prop-filter></C:comp-filter>`:                                                         "w",
			`<C:comp-filter name="VEVENT"><C:prop-filter name="SUMMARY"><C:text-match collation="i;octet">LATE</C:text-match></C:prop-filter></C:comp-filter>`:                                     "",
			`<C:comp-filter name="VEVENT"><C:prop-filter name="LOCATION"><C:text-match negate-condition="yes">bern</C:text-match></C:prop-filter></C:comp-filter>`:                                 "d",
			`<C:comp-filter name="VEVENT"><C:prop-filter name="LOCATION"><C:is-not-defined/></C:prop-filter></C:comp-filter>`:                                                                      "w",
			`<C:comp-filter name="VEVENT"><C:prop-filter name="DTSTART"><C:param-filter name="VALUE"><C:text-match>date</C:text-match></C:param-filter></C:prop-filter></C:comp-filter>`:           "d",
			`<C:comp-filter name="VEVENT"><C:prop-filter name="DTSTART"><C:param-filter name="TZID"><C:is-not-defined/></C:param-filter></C:prop-filter></C:comp-filter>`:                          "d",
			`<C:comp-filter name="VEVENT"><C:prop-filter name="UID"><C:text-match>w</C:text-match></C:prop-filter><C:time-range start="20260316T000000Z" end="20260317T000000Z"/></C:comp-filter>`: "",
		} {
			text := w.ask(207, "REPORT", mine, query("", filter))
			var got []string
			for _, name := range []string{"d", "w"} {
				if strings.Contains(text, "<D:href>"+mine+name+".ics</D:href>") {
					got = append(got, name)
				}
			}
			if strings.Join(got, " ") != want {
				w.Errorf("%s: %v, want %s", filter, got, want)
			}
		}
		w.has(w.ask(403, "REPORT", mine, query("", `<C:comp-filter name="VEVENT"><C:prop-filter name="DTSTAMP"><C:time-range start="20260101T000000Z"/></C:prop-filter></C:comp-filter>`)), "<C:supported-filter/>")
		w.has(w.ask(403, "REPORT", mine, query("", `<C:comp-filter name="VEVENT"><C:prop-filter name="SUMMARY"><C:text-match collation="i;unicode-casemap">x</C:text-match></C:prop-filter></C:comp-filter>`)), "<C:supported-collation/>")
		w.ask(400, "REPORT", mine, query("", strings.Repeat(`<C:comp-filter name="VTODO"><C:is-not-defined/></C:comp-filter>`, 200)))
	})
}

func TestDAV_FreeBusy(t *testing.T) {
	each(t, func(w *world) {
		w.ask(201, "PUT", mine+"w.ics", event("w", weekly))
		w.ask(201, "PUT", mine+"o.ics", event("o", "SUMMARY:x\nDTSTART:20260302T143000Z\nDTEND:20260302T160000Z"))
		w.ask(201, "PUT", mine+"f.ics", event("f", "SUMMARY:x\nDTSTART:20260303T143000Z\nDTEND:20260303T160000Z\nTRANSP:TRANSPARENT"))
		w.ask(201, "PUT", mine+"t.ics", event("t", "SUMMARY:x\nDTSTART:20260304T143000Z\nDTEND:20260304T160000Z\nSTATUS:TENTATIVE"))
		text := w.ask(200, "REPORT", mine, `<C:free-busy-query xmlns:C="urn:ietf:params:xml:ns:caldav"><C:time-range start="20260301T000000Z" end="20260308T000000Z"/></C:free-busy-query>`)
		w.has(text, "BEGIN:VFREEBUSY\r\n", "FREEBUSY;FBTYPE=BUSY:20260302T140000Z/20260302T160000Z\r\n", "FREEBUSY;FBTYPE=BUSY-TENTATIVE:20260304T143000Z/20260304T160000Z\r\n", "END:VFREEBUSY")
		if strings.Count(text, "FREEBUSY;") != 2 {
			w.Error(text)
		}
	})
}

func syncing(token, more string) string {
	return `<D:sync-collection xmlns:D="DAV:"><D:sync-token>` + token + `</D:sync-token><D:sync-level>1</D:sync-level>` + more + `<D:prop><D:getetag/></D:prop></D:sync-collection>`
}

func TestDAV_Sync(t *testing.T) {
	each(t, func(w *world) {
		tokenOf := func(text string) string {
			w.Helper()
			m := regexp.MustCompile(`<D:sync-token>([^<]+)</D:sync-token>`).FindStringSubmatch(text)
			if m == nil {
				w.Fatalf("no token: %s", text)
			}
			return m[1]
		}
		state := func() string {
			text := w.ask(207, "PROPFIND", mine, `<D:propfind xmlns:D="DAV:" xmlns:S="http://calendarserver.org/ns/" xmlns:O="urn:other"><D:prop><D:sync-token/><S:getctag/><O:colour/></D:prop></D:propfind>`, "Depth", "0")
			w.has(text, "<S:getctag>", `<colour xmlns="urn:other"/>`, "404 Not Found")
			return tokenOf(text)
		}
		empty := state()
		if got := tokenOf(w.ask(207, "REPORT", mine, syncing("", ""))); got != empty {
			w.Errorf("%s, and the property says %s", got, empty)
		}
		for _, name := range []string{"a", "b", "c"} {
			w.ask(201, "PUT", mine+name+".ics", event(name, "SUMMARY:x\nDTSTART:20260302T143000Z\nDTEND:20260302T160000Z"))
		}
		text := w.ask(207, "REPORT", mine, syncing(empty, ""))
		first := tokenOf(text)
		w.has(text, "a.ics", "b.ics", "c.ics")
		if first != state() || first == empty {
			w.Errorf("%s, and the property says %s", first, state())
		}
		w.ask(204, "PUT", mine+"b.ics", event("b", "SUMMARY:y\nDTSTART:20260302T143000Z\nDTEND:20260302T160000Z"))
		w.ask(204, "DELETE", mine+"a.ics", "")
		text = w.ask(207, "REPORT", mine, syncing(first, ""))
		w.has(text, mine+"b.ics</D:href><D:propstat>", mine+"a.ics</D:href><D:status>HTTP/1.1 404 Not Found</D:status>")
		if strings.Contains(text, "c.ics") {
			w.Errorf("c has not changed: %s", text)
		}
		// in parts
		text = w.ask(207, "REPORT", mine, syncing(first, "<D:limit><D:nresults>1</D:nresults></D:limit>"))
		w.has(text, "b.ics", "<D:href>"+mine+"</D:href><D:status>HTTP/1.1 507")
		text = w.ask(207, "REPORT", mine, syncing(tokenOf(text), "<D:limit><D:nresults>1</D:nresults></D:limit>"))
		w.has(text, "a.ics", "404 Not Found")
		if strings.Contains(text, "507") || tokenOf(text) != state() {
			w.Error(text)
		}
		// who begins now hears nothing of what is gone
		if text = w.ask(207, "REPORT", mine, syncing("", "")); strings.Contains(text, "a.ics") {
			w.Error(text)
		}
		for _, bad := range []string{"x", "urn:ward:sync:", "urn:ward:sync:!", "data:,1"} {
			w.has(w.ask(403, "REPORT", mine, syncing(bad, "")), "<D:valid-sync-token/>")
		}
	})
}

// TestDAV_WhatIsNoEventIsRefused: with the precondition, and what is wrong where; and nothing is stored.
func TestDAV_WhatIsNoEventIsRefused(t *testing.T) {
	each(t, func(w *world) {
		good := "SUMMARY:x\nDTSTART:20260302T143000Z\nDTEND:20260302T160000Z"
		for _, row := range []struct{ file, precondition, says string }{
			{"nonsense", "valid-calendar-data", "line 1"},
			{"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:x\r\nEND:VCALENDAR\r\n", "valid-calendar-data", "line 4 ends a component"},
			{event("x", "SUMMARY:x"), "valid-calendar-data", "DTSTART must be there"},
			{event("x", "DTSTART;TZID=Mars/Olympus:20260302T143000"), "valid-calendar-data", "TZID names an unknown time zone"},
			{event("x", good+"\nRRULE:FREQ=MONTHLY;BYMONTHDAY=32"), "valid-calendar-data", "BYMONTHDAY must be"},
			{event("x", good+"\nRRULE:FREQ=DAILY;COUNT=2;UNTIL=20270101T000000Z"), "valid-calendar-data", "COUNT"},
			{event("x", "DTSTART:20261302T143000Z"), "valid-calendar-data", "DTSTART names a day that the calendar does not have"},
			{event("x", good+"\nEND:VEVENT\nBEGIN:VEVENT\nUID:x\nRECURRENCE-ID;RANGE=THISANDFUTURE:20260302T143000Z\n"+good), "valid-calendar-data", "may not have RANGE"},
			{event("x", good+"\nEND:VEVENT\nBEGIN:VEVENT\nUID:y\n"+good), "valid-calendar-object-resource", "one event"},
			{strings.Replace(event("x", good), "VERSION:2.0", "METHOD:REQUEST", 1), "valid-calendar-object-resource", "METHOD"},
			{strings.ReplaceAll(event("x", good), "VEVENT", "VTODO"), "supported-calendar-component", "VEVENTs"},
			{"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n", "valid-calendar-object-resource", "one event"},
			{event("x", strings.Replace(good, "SUMMARY:x", "SUMMARY:\xff", 1)), "valid-calendar-data", "UTF-8"},
		} {
			w.has(w.ask(403, "PUT", mine+"x.ics", row.file), "<C:"+row.precondition+"/>", "<D:responsedescription>", row.says)
			w.ask(404, "GET", mine+"x.ics", "")
		}
		w.has(w.ask(415, "PUT", mine+"x.ics", event("x", good), "Content-Type", "text/plain"), "<C:supported-calendar-data/>")
		w.ask(400, "PUT", mine+strings.Repeat("x", 201), event("x", good))
		w.ask(405, "PUT", mine, event("x", good))
		w.ask(403, "DELETE", mine, "")
		for method, body := range map[string]string{"PROPFIND": "<a", "REPORT": "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "PROPPATCH": strings.Repeat("<a>", 30)} {
			w.ask(400, method, mine, body, "Depth", "0")
		}
		w.has(w.ask(403, "PROPFIND", base, "", "Depth", "infinity"), "<D:propfind-finite-depth/>")
		w.has(w.ask(403, "REPORT", mine, `<D:expand-property xmlns:D="DAV:"/>`), "<D:supported-report/>")
		w.has(w.ask(207, "PROPPATCH", mine, `<D:propertyupdate xmlns:D="DAV:"><D:set><D:prop><D:displayname>Other</D:displayname></D:prop></D:set></D:propertyupdate>`), "403 Forbidden")
		w.has(w.ask(207, "REPORT", mine, `<C:calendar-multiget xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:prop><D:getetag/></D:prop><D:href>`+mine+`no.ics</D:href><D:href>/elsewhere</D:href></C:calendar-multiget>`),
			mine+"no.ics</D:href><D:status>HTTP/1.1 404", "/elsewhere</D:href><D:status>HTTP/1.1 404")
	})
}

// TestDAV_SeesWhatTheEventRoutesShow: rights, private events and the audit log are those of the events.
func TestDAV_SeesWhatTheEventRoutesShow(t *testing.T) {
	each(t, func(w *world) {
		made := w.ask(201, "POST", "/t/test/calendar/events", `{"organization":"Organization/7","subscribers":["Practitioner/ada","Patient/1"],"title":"Visit","start":"2026-03-02T09:00:00","end":"2026-03-02T09:30:00","tz":"Europe/London"}`)
		id := regexp.MustCompile(`"id":"([^"]+)"`).FindStringSubmatch(made)[1]
		w.ask(201, "PUT", mine+"p.ics", event("secret-uid", "SUMMARY:Therapy\nDESCRIPTION:Why\nCLASS:PRIVATE\nDTSTART:20260302T143000Z\nDTEND:20260302T160000Z"))
		w.audit.said()
		w.ask(200, "GET", mine+id+".ics", "")
		w.ask(207, "REPORT", mine, query("<C:calendar-data/>", inMarch))
		w.ask(204, "PUT", mine+id+".ics", strings.Replace(w.ask(200, "GET", mine+id+".ics", ""), "Visit", "Call", 1))
		if got := w.audit.said(); got != fmt.Sprintf("%d[] %d[] %d[] %d[1]", audit.Read, audit.Search, audit.Read, audit.Update) {
			w.Errorf("the audit log has %s", got)
		}
		// a colleague who opens the calendar by its path
		w.who = scope.Principal{ID: "user/bob", Role: access.Nurse, Person: "Practitioner/bob"}
		theirs := base + "calendars/bob/Practitioner-ada/"
		text := w.ask(207, "REPORT", theirs, query("<C:calendar-data/>", inMarch))
		w.has(text, "SUMMARY:Call")
		w.has(text, "SUMMARY:Busy")
		for _, not := range []string{"Therapy", "Why", "secret-uid"} {
			if strings.Contains(text, not) {
				w.Errorf("a colleague reads %s", not)
			}
		}
		w.ask(403, "PUT", theirs+"p.ics", event("secret-uid", "SUMMARY:x\nDTSTART:20260302T143000Z"))
		w.ask(403, "DELETE", theirs+"p.ics", "")
		w.ask(404, "PROPFIND", base+"calendars/bob/Patient-hidden/", "", "Depth", "0")
		// the patient: their own, read only, without who else is there
		w.who = patient
		own := base + "calendars/pat/Patient-1/"
		w.has(w.ask(207, "PROPFIND", base+"calendars/pat/", `<D:propfind xmlns:D="DAV:"><D:prop><D:current-user-privilege-set/></D:prop></D:propfind>`, "Depth", "1"), own)
		if strings.Contains(w.last.Body.String(), "write-content") {
			w.Error("a patient may write")
		}
		w.has(w.ask(200, "GET", own+id+".ics", ""), "SUMMARY:Call")
		if strings.Contains(w.last.Body.String(), "ada") {
			w.Error("a patient sees who else is there")
		}
		w.ask(403, "PUT", own+"x.ics", event("x", "SUMMARY:x\nDTSTART:20260302T143000Z"))
		w.ask(403, "DELETE", own+id+".ics", "")
		w.ask(403, "PROPFIND", base+"calendars/pat/Patient-2/", "", "Depth", "0")
		w.ask(403, "PROPFIND", base+"calendars/pat/Practitioner-ada/", "", "Depth", "0")
		w.ask(404, "PROPFIND", base+"calendars/ada/", "", "Depth", "0")
		w.ask(301, "PROPFIND", "/t/test/.well-known/caldav", "")
		if at := w.last.Header().Get("Location"); at != base {
			w.Error(at)
		}
		w.ask(204, "OPTIONS", base, "")
		w.has(w.last.Header().Get("DAV"), "calendar-access")
	})
}
