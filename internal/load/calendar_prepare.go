package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Clinic is the made-up calendars that Calendar works on. Each patient has eight visits in the month: four of a series that began two years
// before, and four single ones, all with one of the clinicians. They are those of a Group.
type Clinic struct {
	Patients int
	Month    time.Time // its first day; the visits' UIDs hold it, so that each month has its own
}

const (
	patientsPerClinician = 20
	visitsAMonth         = 8
	clinicGroup          = "load-calendar"
	clinicOrganization   = "Organization/load-calendar"
)

func (c Clinic) clinician(patient int) string {
	return "Practitioner/load-doctor-" + strconv.Itoa(patient/patientsPerClinician)
}

// span is the query of a month's window.
func (c Clinic) span() string {
	return "from=" + c.Month.Format(time.DateOnly) + "&to=" + c.Month.AddDate(0, 1, 0).Format(time.DateOnly)
}

// calendarOf is the calendar of the tenant whose FHIR endpoint the target is.
func calendarOf(target Target) (Target, error) {
	base, ok := strings.CutSuffix(target.Base, "/fhir")
	if !ok {
		return target, fmt.Errorf("the URL must end in /fhir, as in http://127.0.0.1:8080/t/demo/fhir")
	}
	target.Base = base + "/calendar"
	return target, nil
}

// PrepareClinic stores the patients, the Group and the visits, by imports of one file for each patient. Who is there already is replaced by
// the same, so that it may be run again.
func PrepareClinic(ctx context.Context, target Target, c Clinic, connections int, progress io.Writer) (Prepared, error) {
	started := time.Now()
	calendar, err := calendarOf(target)
	if err != nil {
		return Prepared{}, err
	}
	people := phases(Population{Patients: c.Patients})[0]
	done, err := people.send(ctx, target, connections, progress)
	if err != nil {
		return Prepared{done, time.Since(started)}, err
	}
	group := []byte(`{"resourceType":"Group","id":"` + clinicGroup + `","type":"person","actual":true,"member":[`)
	for i := range c.Patients {
		if i > 0 {
			group = append(group, ',')
		}
		group = append(append(append(group, `{"entity":{"reference":"Patient/`...), patientID(i)...), `"}}`...)
	}
	one := newConn(target)
	defer one.close()
	if err := one.must(ctx, "PUT", "/Group/"+clinicGroup, append(group, "]}"...)); err != nil {
		return Prepared{done, time.Since(started)}, err
	}
	n, err := inParallel(ctx, calendar, connections, c.Patients, progress, "calendars", func(ctx context.Context, conn *conn, i int) error {
		path := "/import?organization=" + clinicOrganization + "&subscriber=Patient/" + patientID(i) + "," + c.clinician(i)
		return conn.must(ctx, "POST", path, c.file(i))
	})
	return Prepared{done + n*visitsAMonth, time.Since(started)}, err
}

// file is a patient's calendar as iCalendar.
func (c Clinic) file(patient int) []byte {
	r := random(11, uint64(patient))
	b := []byte("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Ward//load//EN\r\n")
	hour := 8 + patient%patientsPerClinician/2
	b = appendVisit(b, fmt.Sprintf("load-%s-%d-series", c.Month.Format("200601"), patient), "Physiotherapy", c.Month.AddDate(-2, 0, 2), hour, "RRULE:FREQ=MONTHLY;BYMONTHDAY=3,10,17,24\r\n")
	for n := range visitsAMonth / 2 {
		day := c.Month.AddDate(0, 0, n*7+r.IntN(7))
		b = appendVisit(b, fmt.Sprintf("load-%s-%d-%d", c.Month.Format("200601"), patient, n), "Follow-up visit", day, 8+r.IntN(9), "")
	}
	return append(b, "END:VCALENDAR\r\n"...)
}

func appendVisit(b []byte, uid, title string, day time.Time, hour int, more string) []byte {
	date := day.Format("20060102")
	return fmt.Appendf(b, "BEGIN:VEVENT\r\nUID:%s\r\nDTSTAMP:20260101T000000Z\r\nSUMMARY:%s\r\nLOCATION:Room %d\r\nDTSTART:%sT%02d0000Z\r\nDTEND:%sT%02d3000Z\r\n%sEND:VEVENT\r\n",
		uid, title, hour, date, hour, date, hour, more)
}

// history is other months of the first patients: for each so many events as there are single ones in the month, for every month back.
func (c Clinic) history(ctx context.Context, calendar Target, patients, months, connections int, progress io.Writer) (int, error) {
	return inParallel(ctx, calendar, connections, patients, progress, "histories", func(ctx context.Context, conn *conn, i int) error {
		b := []byte("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Ward//load//EN\r\n")
		for m := range months {
			for n := range visitsAMonth {
				day := c.Month.AddDate(0, -1-m, n*3+i%3)
				b = appendVisit(b, fmt.Sprintf("load-%s-%d-old-%d-%d", c.Month.Format("200601"), i, m, n), "Visit", day, 8+n, "")
			}
		}
		return conn.must(ctx, "POST", "/import?organization="+clinicOrganization+"&subscriber=Patient/"+patientID(i), append(b, "END:VCALENDAR\r\n"...))
	})
}

// must sends a request that has to succeed.
func (c *conn) must(ctx context.Context, method, path string, body []byte) error {
	a, err := c.do(ctx, method, []byte(path), body)
	if err != nil {
		return err
	}
	if a.Status >= 300 {
		path, _, _ := strings.Cut(path, "?")
		return fmt.Errorf("%s %s: status %d: %.300s", method, path, a.Status, bytes.TrimSpace(a.Body))
	}
	return nil
}

// inParallel does n things over so many connections. It says how many were done.
func inParallel(ctx context.Context, target Target, connections, n int, progress io.Writer, what string, do func(ctx context.Context, c *conn, i int) error) (int, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next, done atomic.Int64
	var all sync.WaitGroup
	for range connections {
		all.Go(func() {
			c := newConn(target)
			c.timeout = 2 * time.Minute
			defer c.close()
			for i := int(next.Add(1)) - 1; i < n && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				if err := do(ctx, c, i); err != nil {
					cancel(fmt.Errorf("%s %d: %w", what, i, err))
					return
				}
				done.Add(1)
			}
		})
	}
	all.Wait()
	fmt.Fprintf(progress, "%s: %d of %d\n", what, done.Load(), n)
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return int(done.Load()), err
	}
	return int(done.Load()), ctx.Err()
}
