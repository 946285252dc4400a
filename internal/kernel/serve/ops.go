package serve

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/pprof"
	"sync"
	"time"

	"ward/internal/base/clock"
	"ward/internal/base/fault"
	"ward/internal/kernel/module"
)

// Check is one part that /readyz asks.
type Check struct {
	Name     string
	Critical bool // false for a part without which the process still answers correctly, such as a cache
	Check    func(ctx context.Context) error
}

// checkTime bounds all checks together; an answer is kept for as long as checkKept, so that probes cost nothing.
const (
	checkTime = 2 * time.Second
	checkKept = time.Second
)

type readiness struct {
	checks []Check
	clock  clock.Clock

	mu    sync.Mutex
	asked time.Time
	last  report
}

type report struct {
	Ready  bool              `json:"ready"`
	Checks map[string]string `json:"checks,omitempty"`
}

func (r *readiness) report(ctx context.Context) report {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock.Now()
	if !r.asked.IsZero() && now.Sub(r.asked) < checkKept {
		return r.last
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	errs := make([]error, len(r.checks))
	var wait sync.WaitGroup
	for i, c := range r.checks {
		wait.Go(func() { errs[i] = c.Check(ctx) })
	}
	wait.Wait()
	out := report{Ready: true, Checks: make(map[string]string, len(r.checks))}
	for i, c := range r.checks {
		out.Checks[c.Name] = "ok"
		if errs[i] != nil {
			out.Checks[c.Name] = fault.Message(errs[i])
			out.Ready = out.Ready && !c.Critical
		}
	}
	r.asked, r.last = now, out
	return out
}

// OpsRoutes are the routes of the ops listener, for the list of the whole surface.
func OpsRoutes() []module.Route { return (&Server{}).opsRoutes() }

func (s *Server) opsRoutes() []module.Route {
	route := func(pattern, summary string, handler func(http.ResponseWriter, *http.Request) error) module.Route {
		return module.Route{
			Method: http.MethodGet, Pattern: pattern, Target: module.Ops, Lane: module.Urgent, Public: true, Summary: summary,
			Objective: module.Objective{Percentile: 0.99, Latency: time.Second}, Handler: handler,
		}
	}
	routes := []module.Route{
		route("/healthz", "Says that the process lives", func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			_, err := w.Write([]byte("ok\n"))
			return err
		}),
		route("/readyz", "Says whether the process takes requests, and which part keeps it from it", s.readyz),
		route("/metrics", "Prometheus metrics with native histograms", func(w http.ResponseWriter, r *http.Request) error {
			s.deps.Metrics.Handler().ServeHTTP(w, r)
			return nil
		}),
	}
	if s.options.Profiles {
		routes = append(routes, route("/debug/pprof/{name...}", "Go profiles", func(w http.ResponseWriter, r *http.Request) error {
			switch r.PathValue("name") {
			case "profile":
				pprof.Profile(w, r)
			case "trace":
				pprof.Trace(w, r)
			default:
				pprof.Index(w, r)
			}
			return nil
		}))
		routes[len(routes)-1].Timeout = 5 * time.Minute
	}
	return routes
}

func (s *Server) readyz(w http.ResponseWriter, r *http.Request) error {
	out := report{Checks: map[string]string{"process": "draining"}}
	if !s.draining.Load() {
		out = s.ready.report(r.Context())
	}
	body, err := json.Marshal(out)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	if !out.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_, err = w.Write(append(body, '\n'))
	return err
}
