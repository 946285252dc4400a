package load

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// ActivationOptions say what Activation measures.
type ActivationOptions struct {
	Population
	Admin      string        // bearer token that may invite
	Rate       float64       // activations a second
	Duration   time.Duration // of each surge, and of each run before it and after the last
	Rounds     int           // how often: a machine's mood shows in how the runs alone differ
	Charts     float64       // charts a second, all the time
	Conns      int           // connections that ask for charts
	Patience   time.Duration // for the last password to be hashed after the surge
	Prefix     string        // of the addresses; another one for each measurement
	PID        int           // the server's process, 0 when unknown
	FirstAwake time.Duration // charts before the first run, not counted
}

// ActivationReport is what a surge of activations did to charts. Times are milliseconds.
type ActivationReport struct {
	Rate      float64 `json:"rate"`
	Sent      int     `json:"sent"`
	Accepted  int     `json:"accepted"`
	Busy      int     `json:"busy"`   // answers 429 or 503, which were sent again
	Failed    int     `json:"failed"` // other answers
	First     string  `json:"firstError,omitempty"`
	Done      int     `json:"done"` // passwords hashed in the end
	AcceptP50 float64 `json:"acceptP50"`
	AcceptP95 float64 `json:"acceptP95"`
	Drain     float64 `json:"drainSeconds"`    // from the end of the surge to the last password
	Promised  float64 `json:"promisedSeconds"` // what the last one was told to wait

	Alone   Run `json:"alone"`   // charts alone, all rounds together
	During  Run `json:"during"`  // charts beside the surges
	Drained Run `json:"drained"` // charts beside what was left of them, a run's time at most

	EachAlone  []float64 `json:"eachAlone"` // p95 of each run, in order
	EachDuring []float64 `json:"eachDuring"`
}

// Moved is by how much the charts' p95 moved: 0.2 is 20 %.
func (r *ActivationReport) Moved() (surge, drain float64) {
	if r.Alone.P95 > 0 {
		surge = r.During.P95/r.Alone.P95 - 1
		if r.Drained.Requests > 0 {
			drain = r.Drained.P95/r.Alone.P95 - 1
		}
	}
	return surge, drain
}

// activator sends the activations over its own connections.
type activator struct {
	http  *http.Client
	base  string // http://host/t/tenant
	admin string
}

// Activation measures charts alone, beside a surge of activations, and alone again.
func Activation(ctx context.Context, target Target, opt ActivationOptions, say func(text string)) (*ActivationReport, error) {
	tenant, ok := strings.CutSuffix(target.Base, "/fhir")
	if !ok {
		return nil, fmt.Errorf("the path %s is no FHIR base of a tenant", target.Base)
	}
	a := &activator{
		http: &http.Client{Timeout: 60 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64, MaxConnsPerHost: 64}},
		base: "http://" + target.Address + tenant, admin: opt.Admin,
	}
	charts := newCharts(target, opt)
	defer charts.close()
	charts.run(ctx, opt.FirstAwake, nil, &kindOfRun{})
	report := &ActivationReport{Rate: opt.Rate}
	var alone, during, drained kindOfRun
	for round := range max(opt.Rounds, 1) {
		n := int(opt.Rate * opt.Duration.Seconds())
		say(fmt.Sprintf("inviting %d people", n))
		links, err := a.invite(ctx, n, fmt.Sprintf("%s-%d", opt.Prefix, round))
		if err != nil {
			return nil, err
		}
		report.Sent += n
		report.EachAlone = append(report.EachAlone, charts.run(ctx, opt.Duration, nil, &alone).P95)
		say(fmt.Sprintf("charts alone: p95 %.2f ms", report.EachAlone[round]))
		s := &surge{report: report}
		r := charts.run(ctx, opt.Duration, func(ctx context.Context) { s.send(ctx, a, links, opt.Rate) }, &during)
		ended := time.Now()
		report.EachDuring = append(report.EachDuring, r.P95)
		say(fmt.Sprintf("beside %.0f activations/s: p95 %.2f ms", opt.Rate, r.P95))
		patience, cancel := context.WithTimeout(ctx, opt.Patience)
		finished := make(chan time.Time, 1)
		go func() { finished <- s.wait(patience, a) }()
		if last := s.last(); last != "" && !a.done(ctx, last) {
			say(fmt.Sprintf("beside what was left: p95 %.2f ms", charts.run(ctx, opt.Duration, nil, &drained).P95))
		}
		report.Drain = max(report.Drain, (<-finished).Sub(ended).Seconds())
		cancel()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	report.EachAlone = append(report.EachAlone, charts.run(ctx, opt.Duration, nil, &alone).P95)
	report.Alone, report.During, report.Drained = charts.sum(&alone), charts.sum(&during), charts.sum(&drained)
	return report, ctx.Err()
}

// kindOfRun is what the runs of one kind came to.
type kindOfRun struct {
	histogram
	tally
	took time.Duration
}

// charts is a steady load of charts.
type charts struct {
	workers []*worker
	work    Workload
	opt     ActivationOptions
}

func newCharts(target Target, opt ActivationOptions) *charts {
	c := &charts{opt: opt, work: Workload{Name: "chart", do: func(ctx context.Context, w *worker) error {
		return w.chart(ctx, w.rand.IntN(w.env.Patients), w.rand.IntN(codesPerPatient))
	}}}
	env := &environment{Population: opt.Population}
	for i := range opt.Conns {
		c.workers = append(c.workers, &worker{conn: newConn(target), env: env, rand: random(4, uint64(i)), open: true})
	}
	return c
}

func (c *charts) close() {
	for _, w := range c.workers {
		w.close()
	}
}

// run asks for charts for a time, while beside does something else, and adds to the kind.
func (c *charts) run(ctx context.Context, d time.Duration, beside func(ctx context.Context), into *kindOfRun) Run {
	for _, w := range c.workers {
		w.latency, w.tally = histogram{}, tally{}
	}
	began := time.Now()
	var all sync.WaitGroup
	if beside != nil {
		all.Go(func() { beside(ctx) })
	}
	loop{connections: len(c.workers), rate: c.opt.Charts}.drive(ctx, c.workers, c.work, d)
	took := time.Since(began)
	all.Wait()
	for _, w := range c.workers {
		into.histogram.add(&w.latency)
		into.tally.add(w.tally)
	}
	into.took += took
	return summary(c.workers, took)
}

// sum is the run that a kind's runs make together.
func (c *charts) sum(p *kindOfRun) Run {
	if p.took == 0 {
		return Run{}
	}
	r := summary([]*worker{{latency: p.histogram, tally: p.tally}}, p.took)
	r.Workload, r.Loop, r.Connections, r.Rate = c.work.Name, "open", len(c.workers), c.opt.Charts
	u := usageOf(c.opt.PID)
	r.ServerRSS, r.ServerPeakRSS = u.rss, u.peakRSS
	return r
}

// invite makes accounts and takes their links.
func (a *activator) invite(ctx context.Context, n int, prefix string) ([]string, error) {
	links := make([]string, n)
	var next atomic.Int64
	var all sync.WaitGroup
	var mu sync.Mutex
	var failed error
	for range 8 {
		all.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n || ctx.Err() != nil {
					return
				}
				var made struct {
					Link string `json:"link"`
				}
				status, err := a.send(ctx, http.MethodPost, a.base+"/people", map[string]any{
					"email": fmt.Sprintf("%s-%d@load.invalid", prefix, i), "role": "patient", "patients": []string{patientID(i)}, "byHand": true,
				}, a.admin, &made)
				_, path, ok := strings.Cut(made.Link, "/activate/")
				if err == nil && (status != http.StatusCreated || !ok) {
					err = fmt.Errorf("an invitation was answered %d: the token must be an administrator's", status)
				}
				if err != nil {
					mu.Lock()
					failed = errors.Join(failed, err)
					mu.Unlock()
					return
				}
				links[i] = a.base + "/activate/" + path
			}
		})
	}
	all.Wait()
	return links, failed
}

func (a *activator) send(ctx context.Context, method, url string, body any, token string, into any) (int, error) {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return 0, err
		}
		content = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, url, content)
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := a.http.Do(r)
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if location, ok := into.(*accepted); ok && err == nil {
		location.at = res.Header.Get("Location")
	}
	if err == nil && res.StatusCode < 300 {
		err = json.Unmarshal(text, into)
	}
	return res.StatusCode, err
}

type accepted struct {
	State   string  `json:"state"`
	Seconds float64 `json:"seconds"`
	at      string
}

// surge is the activations sent.
type surge struct {
	mu      sync.Mutex
	report  *ActivationReport
	latency histogram
	tickets []string
}

// send sends each activation when it is due, and again when the server is too busy to take it.
func (s *surge) send(ctx context.Context, a *activator, links []string, rate float64) {
	var all sync.WaitGroup
	began := time.Now()
	for i, link := range links {
		due := began.Add(time.Duration(float64(i) / rate * float64(time.Second)))
		if wait := time.Until(due); wait > 0 {
			time.Sleep(wait)
		}
		if ctx.Err() != nil {
			break
		}
		all.Go(func() { s.one(ctx, a, link, due) })
	}
	all.Wait()
	s.report.AcceptP50, s.report.AcceptP95 = ms(s.latency.quantile(0.5)), ms(s.latency.quantile(0.95))
}

func (s *surge) one(ctx context.Context, a *activator, link string, due time.Time) {
	for ctx.Err() == nil {
		var got accepted
		status, err := a.send(ctx, http.MethodPost, link, map[string]string{"password": "load load load load " + link[len(link)-8:]}, "", &got)
		s.mu.Lock()
		switch {
		case err == nil && status == http.StatusAccepted:
			s.report.Accepted++
			s.report.Promised = max(s.report.Promised, got.Seconds)
			s.latency.record(time.Since(due))
			s.tickets = append(s.tickets, got.at)
		case err == nil && (status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable):
			s.report.Busy++
			s.mu.Unlock()
			time.Sleep(time.Second)
			continue
		default:
			s.report.Failed++
			if s.report.First == "" {
				s.report.First = fmt.Sprintf("%d %v", status, err)
			}
		}
		s.mu.Unlock()
		return
	}
}

func (s *surge) last() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.tickets) == 0 {
		return ""
	}
	return s.tickets[len(s.tickets)-1]
}

func (a *activator) done(ctx context.Context, ticket string) bool {
	host, _, _ := strings.Cut(strings.TrimPrefix(a.base, "http://"), "/")
	var got accepted
	status, err := a.send(ctx, http.MethodGet, "http://"+host+ticket, nil, "", &got)
	return err == nil && status == http.StatusOK && got.State == "done"
}

// wait waits until the last password is hashed, then looks at each.
func (s *surge) wait(ctx context.Context, a *activator) time.Time {
	last := s.last()
	for last != "" && ctx.Err() == nil && !a.done(ctx, last) {
		select {
		case <-ctx.Done():
		case <-time.After(250 * time.Millisecond):
		}
	}
	end := time.Now()
	for _, t := range s.tickets {
		// One that was sent before the last but came later may still be on its way.
		for range 40 {
			if a.done(context.WithoutCancel(ctx), t) {
				s.report.Done++
				break
			}
			if ctx.Err() != nil {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	return end
}
