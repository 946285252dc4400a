package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// CalendarOptions say how Calendar measures.
type CalendarOptions struct {
	Clinic
	Conns    int           // connections of the window and of the mix
	Duration time.Duration // of each loop
	Warmup   time.Duration
	Repeats  int    // of each question about the whole cohort
	Ops      string // URL of the listener for operators, whose metrics count the database's queries; empty: they are not counted
	PID      int
	Growth   int // patients who get a hundred times the events; 0: growth is not measured
	Seed     uint64
}

// Figure is one line of the calendar's table.
type Figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	Limit float64 `json:"limit,omitempty"` // what the machine does bare, in the same unit
	Bar   float64 `json:"bar"`             // 0: none
	Least bool    `json:"least,omitempty"` // the bar is the least that will do, not the most
}

// Met says whether the figure reaches its bar.
func (f Figure) Met() bool {
	return f.Bar == 0 || f.Least && f.Value >= f.Bar || !f.Least && f.Value <= f.Bar
}

// CalendarReport is what Calendar found out.
type CalendarReport struct {
	Report

	Calendar []Figure `json:"calendar"`
}

type calendarRun struct {
	opt      CalendarOptions
	calendar Target
	env      *environment
	report   *CalendarReport
	progress func(string)
}

// Calendar measures the calendar's windows against the bars of a cached calendar. The clinic must be there: see PrepareClinic.
func Calendar(ctx context.Context, target Target, opt CalendarOptions, progress func(string)) (*CalendarReport, error) {
	calendar, err := calendarOf(target)
	if err != nil {
		return nil, err
	}
	r := &calendarRun{
		opt: opt, calendar: calendar, env: &environment{Population: Population{Patients: opt.Patients}},
		report: &CalendarReport{Report: Report{Started: time.Now(), Machine: ThisMachine(), Facts: map[string]string{}}}, progress: progress,
	}
	body, err := AnswerTo(ctx, calendar, "/events?subscriber=Patient/"+patientID(opt.Patients-1)+"&"+opt.span())
	if err != nil {
		return nil, err
	}
	if n := strings.Count(string(body), `"start"`); n != visitsAMonth {
		return nil, fmt.Errorf("the last patient has %d visits in the month, not %d: run with --prepare first, and with the same --patients and --month", n, visitsAMonth)
	}
	for _, step := range []func(context.Context) error{r.window, r.cohort, r.mix, r.growth} {
		if err := step(ctx); err != nil {
			return r.report, err
		}
	}
	return r.report, nil
}

func (r *calendarRun) add(f Figure) {
	r.report.Calendar = append(r.report.Calendar, f)
	r.progress(f.line())
}

func (r *calendarRun) path(patient int) string {
	return "/events?subscriber=Patient/" + patientID(patient) + "&" + r.opt.span()
}

// warmPatients is how many patients' months the loop of windows is about: what a busy clinic looks at.
const warmPatients = 500

func (r *calendarRun) loop(ctx context.Context, w Workload) (Run, error) {
	run, err := measureRun(ctx, r.calendar, r.env, w, loop{connections: r.opt.Conns}, Options{Duration: r.opt.Duration, Warmup: r.opt.Warmup, PID: r.opt.PID, Seed: r.opt.Seed})
	if err == nil && run.Errors > 0 {
		err = fmt.Errorf("%s: %d of %d requests failed: %s", w.Name, run.Errors, run.Requests, run.FirstError)
	}
	r.report.Runs = append(r.report.Runs, run)
	return run, err
}

// window measures one subscriber's month beside net/http, in turns.
func (r *calendarRun) window(ctx context.Context) error {
	patients := min(warmPatients, r.opt.Patients)
	body, err := AnswerTo(ctx, r.calendar, r.path(0))
	if err != nil {
		return err
	}
	if _, err := inParallel(ctx, r.calendar, 4, patients, io.Discard, "windows", func(ctx context.Context, c *conn, i int) error { return c.must(ctx, "GET", r.path(i), nil) }); err != nil {
		return err
	}
	limit, err := LimitHTTP(ctx, "http-window", "net/http answering the bytes of a window", slices.Clone(body), r.opt.Conns, r.opt.Duration)
	if err != nil {
		return err
	}
	r.report.Limits = append(r.report.Limits, limit)
	run, err := r.loop(ctx, Workload{Name: "window", do: func(ctx context.Context, w *worker) error {
		_, err := w.to(r.path(w.rand.IntN(patients))).send(ctx, "GET", nil, visitsAMonth)
		return err
	}})
	if err != nil {
		return err
	}
	r.add(Figure{Name: fmt.Sprintf("window of one subscriber's month, %d connections (%d bytes)", r.opt.Conns, len(body)), Value: run.PerSecond, Unit: "/s", Limit: limit.PerSecond})
	r.add(Figure{Name: "the same as a part of net/http", Value: run.PerSecond / limit.PerSecond, Bar: 0.5, Least: true})
	r.add(Figure{Name: "the same, p50", Value: run.P50, Unit: "ms", Limit: limit.P50})
	r.add(Figure{Name: "the same, p99", Value: run.P99, Unit: "ms", Limit: limit.P99, Bar: 5})
	one, err := measureRun(ctx, r.calendar, r.env, Workload{Name: "window-one", do: func(ctx context.Context, w *worker) error {
		_, err := w.to(r.path(w.rand.IntN(patients))).send(ctx, "GET", nil, visitsAMonth)
		return err
	}}, loop{connections: r.opt.Conns, rate: 1000}, Options{Duration: r.opt.Duration, Warmup: r.opt.Warmup / 2, PID: r.opt.PID, Seed: r.opt.Seed})
	if err != nil {
		return err
	}
	r.report.Runs = append(r.report.Runs, one)
	r.add(Figure{Name: "the same at 1,000/s, p99", Value: one.P99, Unit: "ms", Bar: 5})
	return nil
}

// cohort measures the month of all patients, on one connection.
func (r *calendarRun) cohort(ctx context.Context) error {
	c := newConn(r.calendar)
	defer c.close()
	base := "/events?group=" + clinicGroup + "&" + r.opt.span()
	occurrences := r.opt.Patients * visitsAMonth
	for _, q := range []struct {
		name, query string
		first       float64 // the bar of the first byte, ms
		whole       float64
	}{
		{"one month, whole", "&count=" + strconv.Itoa(min(occurrences, 50_000)), 50, 0},
		{"day counts", "&shape=days", 0, 5},
		{"busy heat", "&shape=heat", 0, 0},
		{"free/busy", "&shape=freebusy", 0, 0},
	} {
		var firsts, wholes []float64
		size := 0
		for i := range r.opt.Repeats + 1 {
			began := time.Now()
			if err := c.must(ctx, "GET", base+q.query, nil); err != nil {
				return err
			}
			if i == 0 {
				r.add(Figure{Name: fmt.Sprintf("cohort of %d patients, %s, not asked before", r.opt.Patients, q.name), Value: ms(time.Since(began)), Unit: "ms"})
				continue
			}
			firsts, wholes, size = append(firsts, ms(c.began.Sub(began))), append(wholes, ms(time.Since(began))), len(c.body)
		}
		name := fmt.Sprintf("cohort of %d patients, %d occurrences, %s (%d KB)", r.opt.Patients, occurrences, q.name, size>>10)
		r.add(Figure{Name: name + ", first byte", Value: middle(firsts), Unit: "ms", Bar: q.first})
		r.add(Figure{Name: name, Value: middle(wholes), Unit: "ms", Bar: q.whole})
	}
	return nil
}

// mix measures 95 reads and 5 writes of 100, and counts the queries that the database had to answer.
func (r *calendarRun) mix(ctx context.Context) error {
	before, err := r.counts(ctx)
	if err != nil {
		return err
	}
	var work Workload
	work.Name = "mix"
	work.do = func(ctx context.Context, w *worker) error {
		patient := w.rand.IntN(min(warmPatients*2, w.env.Patients))
		if w.rand.IntN(1000) < 25 { // two writes each
			return r.write(ctx, w, patient)
		}
		switch n := w.rand.IntN(100); {
		case n < 60:
			w.to(r.path(patient))
		case n < 90:
			day := r.opt.Month.AddDate(0, 0, 7*w.rand.IntN(4))
			w.to("/events?subscriber=" + r.opt.clinician(patient) + "&from=" + day.Format(time.DateOnly) + "&to=" + day.AddDate(0, 0, 7).Format(time.DateOnly))
		case n < 98:
			w.to("/events?subscriber=" + r.opt.clinician(patient) + "&shape=days&" + r.opt.span())
		default:
			first := patient / patientsPerClinician * patientsPerClinician
			w.to("/events?shape=heat&" + r.opt.span() + "&subscriber=")
			for i := first; i < min(first+patientsPerClinician, r.opt.Patients); i++ {
				if i > first {
					w.and(",")
				}
				w.and("Patient/" + patientID(i))
			}
		}
		_, err := w.send(ctx, "GET", nil, 1)
		return err
	}
	run, err := r.loop(ctx, work)
	if err != nil {
		return err
	}
	after, err := r.counts(ctx)
	if err != nil {
		return err
	}
	r.add(Figure{Name: fmt.Sprintf("mix of 95 %% reads, %d connections", r.opt.Conns), Value: run.PerSecond, Unit: "/s"})
	r.add(Figure{Name: "the same, p99", Value: run.P99, Unit: "ms"})
	if reads := after.reads - before.reads; reads > 0 {
		r.add(Figure{Name: "the same: queries of the calendar's reads for 1,000 of them", Value: 1000 * (after.calendar - before.calendar) / reads, Bar: 20})
		r.add(Figure{Name: "the same: all queries outside of writes, also the audit log's, for 1,000 reads", Value: 1000 * (after.all - before.all) / reads, Bar: 20})
	}
	return nil
}

// write makes a visit and takes it back, so that what is measured next is as it was.
func (r *calendarRun) write(ctx context.Context, w *worker, patient int) error {
	day := r.opt.Month.AddDate(0, 0, w.rand.IntN(28)).Format(time.DateOnly)
	hour := 8 + w.rand.IntN(9)
	w.doc = fmt.Appendf(w.doc[:0], `{"organization":%q,"subscribers":["Patient/%s",%q],"title":"Visit","start":"%sT%02d:00:00","end":"%sT%02d:30:00","tz":"UTC"}`,
		clinicOrganization, patientID(patient), r.opt.clinician(patient), day, hour, day, hour)
	a, err := w.to("/events").send(ctx, "POST", w.doc, 1)
	if err != nil {
		return err
	}
	id := string(a.Location[strings.LastIndexByte(string(a.Location), '/')+1:])
	if id == "" {
		return errors.New("a new event has no Location")
	}
	_, err = w.to("/events/"+id).send(ctx, "DELETE", nil, 1)
	return err
}

// counts are the metrics that the mix is about.
type counts struct{ calendar, reads, all float64 }

func (r *calendarRun) counts(ctx context.Context) (c counts, err error) {
	if r.opt.Ops == "" {
		return c, nil
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(r.opt.Ops, "/")+"/metrics", nil)
	if err != nil {
		return c, err
	}
	res, err := http.DefaultClient.Do(q)
	if err != nil {
		return c, err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return c, err
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		for _, m := range []struct {
			name string
			to   *float64
		}{{"ward_calendar_queries", &c.calendar}, {"ward_calendar_reads", &c.reads}, {"ward_db_queries", &c.all}} {
			if name == m.name {
				if *m.to, err = strconv.ParseFloat(value, 64); err != nil {
					return c, err
				}
			}
		}
	}
	return c, nil
}

// growth measures the same windows with a hundred times the events.
func (r *calendarRun) growth(ctx context.Context) error {
	patients := min(r.opt.Growth, r.opt.Patients)
	if patients == 0 {
		return nil
	}
	var list []string
	for i := range patients {
		list = append(list, "Patient/"+patientID(i))
	}
	questions := []struct{ name, path string }{
		{"window of one", ""},
		{fmt.Sprintf("window of %d", patients), "/events?" + r.opt.span() + "&subscriber=" + strings.Join(list, ",")},
		{fmt.Sprintf("day counts of %d", patients), "/events?shape=days&" + r.opt.span() + "&subscriber=" + strings.Join(list, ",")},
	}
	measure := func() (out []float64, err error) {
		for _, q := range questions {
			run, err := measureRun(ctx, r.calendar, r.env, Workload{Name: q.name, do: func(ctx context.Context, w *worker) error {
				path := q.path
				if path == "" {
					path = r.path(w.rand.IntN(patients))
				}
				_, err := w.to(path).send(ctx, "GET", nil, 1)
				return err
			}}, loop{connections: 4}, Options{Duration: r.opt.Duration / 2, Warmup: r.opt.Warmup})
			if err != nil {
				return nil, err
			}
			out = append(out, run.Mean)
		}
		return out, nil
	}
	few, err := measure()
	if err != nil {
		return err
	}
	if _, err := r.opt.history(ctx, r.calendar, patients, 99, 4, io.Discard); err != nil {
		return err
	}
	many, err := measure()
	if err != nil {
		return err
	}
	for i, q := range questions {
		r.add(Figure{Name: q.name + " with 100 × the events", Value: many[i] / few[i], Unit: "× the time", Bar: 1.3})
	}
	return nil
}

func (f Figure) line() string {
	met := ""
	if f.Bar != 0 {
		met = "most"
		if f.Least {
			met = "least"
		}
		met = fmt.Sprintf(" (at %s %g: %s)", met, f.Bar, map[bool]string{true: "met", false: "not met"}[f.Met()])
	}
	limit := ""
	if f.Limit != 0 {
		limit = fmt.Sprintf(", net/http %.4g%s", f.Limit, f.Unit)
	}
	return fmt.Sprintf("%s: %.4g%s%s%s", f.Name, f.Value, f.Unit, limit, met)
}

// Table writes the figures as Markdown.
func (r *CalendarReport) Table(out io.Writer) error {
	fmt.Fprintln(out, "| work | Ward | net/http | wished | |\n|---|---:|---:|---:|---|")
	for _, f := range r.Calendar {
		limit, wished, met := "", "", ""
		if f.Limit != 0 {
			limit = fmt.Sprintf("%.4g%s", f.Limit, f.Unit)
		}
		if f.Bar != 0 {
			wished, met = fmt.Sprintf("%s %g%s", map[bool]string{true: "≥", false: "≤"}[f.Least], f.Bar, f.Unit), map[bool]string{true: "met", false: "**not met**"}[f.Met()]
		}
		if _, err := fmt.Fprintf(out, "| %s | %.4g%s | %s | %s | %s |\n", f.Name, f.Value, f.Unit, limit, wished, met); err != nil {
			return err
		}
	}
	return nil
}
