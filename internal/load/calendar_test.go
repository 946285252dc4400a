package load

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// desk answers as a tenant's calendar does, and counts what it was asked.
type desk struct {
	mu      sync.Mutex
	asked   map[string]int
	visits  map[string]int // imported, by patient
	queries int
}

func (d *desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	d.mu.Lock()
	defer d.mu.Unlock()
	path := strings.TrimPrefix(r.URL.Path, "/t/x/")
	q := r.URL.Query()
	patient, _, _ := strings.Cut(q.Get("subscriber"), ",")
	what := r.Method + " " + path + " " + q.Get("shape")
	if q.Has("group") {
		what += " of the group"
	}
	d.asked[what]++
	switch {
	case path == "/metrics":
		d.queries += 7
		fmt.Fprintf(w, "# TYPE ward_db_queries gauge\nward_db_queries %d\nward_calendar_reads %d\nward_calendar_queries %d\n", 2*d.queries, 1000*d.queries, d.queries)
	case path == "calendar/import":
		d.visits[patient] += strings.Count(string(body), "BEGIN:VEVENT") + 3*strings.Count(string(body), "RRULE")
		fmt.Fprint(w, `{}`)
	case r.Method == http.MethodPost && path == "calendar/events":
		w.Header().Set("Location", r.URL.Path+"/e1")
		w.WriteHeader(http.StatusCreated)
	case r.Method == http.MethodDelete:
		w.WriteHeader(http.StatusNoContent)
	case strings.HasPrefix(path, "calendar/events"):
		fmt.Fprintf(w, `{"occurrences":[%s]}`, strings.Repeat(`{"start":"2027-03-01T09:00:00"},`, d.visits[patient]))
	default:
		fmt.Fprint(w, `{}`)
	}
}

func TestCalendar_AsksEveryQuestion(t *testing.T) {
	t.Parallel()
	d := &desk{asked: map[string]int{}, visits: map[string]int{}}
	server := httptest.NewServer(d)
	t.Cleanup(server.Close)
	target, err := ParseTarget(server.URL+"/t/x/fhir", "boss")
	if err != nil {
		t.Fatal(err)
	}
	clinic := Clinic{Patients: 25, Month: time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC)}
	if _, err := Calendar(t.Context(), target, CalendarOptions{Clinic: clinic}, func(string) {}); err == nil || !strings.Contains(err.Error(), "--prepare") {
		t.Fatalf("nothing is prepared: %v", err)
	}
	if _, err := PrepareClinic(t.Context(), target, clinic, 2, io.Discard); err != nil {
		t.Fatal(err)
	}
	if len(d.visits) != 25 || d.visits["Patient/load-patient-24"] != visitsAMonth {
		t.Fatalf("%v", d.visits)
	}
	r, err := Calendar(t.Context(), target, CalendarOptions{
		Clinic: clinic, Conns: 4, Duration: 200 * time.Millisecond, Warmup: 10 * time.Millisecond, Repeats: 3, Ops: server.URL, Growth: 2,
	}, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	figures := map[string]Figure{}
	for _, f := range r.Calendar {
		figures[f.Name] = f
	}
	if f := figures["the same: queries of the calendar's reads for 1,000 of them"]; f.Value != 1 || !f.Met() {
		t.Errorf("%+v", f)
	}
	if f := figures["the same as a part of net/http"]; f.Value <= 0 || f.Met() != (f.Value >= 0.5) {
		t.Errorf("%+v", f)
	}
	if f := figures["window of one with 100 × the events"]; f.Value <= 0 {
		t.Errorf("%+v", f)
	}
	for _, what := range []string{
		"GET calendar/events  of the group", "GET calendar/events days of the group", "GET calendar/events heat of the group", "GET calendar/events freebusy of the group",
		"POST calendar/events ", "DELETE calendar/events/e1 ",
	} {
		if d.asked[what] == 0 {
			t.Errorf("never asked: %s (%v)", what, d.asked)
		}
	}
	if d.asked["POST calendar/import "] != 25+2 {
		t.Errorf("%v", d.asked)
	}
	var table strings.Builder
	if err := r.Table(&table); err != nil || !strings.Contains(table.String(), "| window of one subscriber's month, 4 connections") {
		t.Errorf("%v %s", err, &table)
	}
}
