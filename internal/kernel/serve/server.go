package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ward/internal/base/clock"
	"ward/internal/base/fault"
	"ward/internal/base/proxies"
	"ward/internal/base/scope"
	"ward/internal/kernel/limit"
	"ward/internal/kernel/module"
	"ward/internal/kernel/observe"
)

// Tenants finds the tenant of a path.
type Tenants interface {
	// Find returns fault.NotFound for a slug that no tenant has and fault.Denied for a suspended tenant.
	Find(ctx context.Context, slug string) (scope.Tenant, error)
}

// Tokens says who a token speaks for.
type Tokens interface {
	// Verify returns the tenant's id too, 0 for a token of the system, and fault.Unauthenticated for a token that is not good.
	Verify(ctx context.Context, token string) (p scope.Principal, tenantID int32, err error)
}

// Sessions says who is signed in in the browser that a request comes from.
type Sessions interface {
	// Has says whether the request carries a session's cookie of the tenant, good or not.
	Has(tenant scope.Tenant, r *http.Request) bool
	// Principal is who is signed in, in the tenant of ctx's scope. It returns fault.Unauthenticated when the session is not good.
	Principal(ctx context.Context, r *http.Request) (scope.Principal, error)
}

// Passwords says who a calendar password speaks for, which programs show that can do no more than HTTP Basic.
type Passwords interface {
	// Verify returns fault.Unauthenticated for one that is not good in the tenant of ctx's scope.
	Verify(ctx context.Context, password string) (scope.Principal, error)
}

// Deps are what the server works with. All are needed but Sessions, nil when nobody signs in, Passwords, nil when no program has one, and
// Traces, nil when tracing is off.
type Deps struct {
	Routes    []module.Route
	Tenants   Tenants
	Tokens    Tokens
	Sessions  Sessions
	Passwords Passwords // for routes that are Basic alone
	Origins   Origins   // whose pages may call the API; nil: nobody's but our own
	Lanes     *limit.Lanes
	Rate      func(ctx context.Context, tenant scope.Tenant) error // counts a request of the tenant, and refuses one too many; nil: none is
	Checks    []Check                                              // for /readyz
	Metrics   *observe.Metrics
	Traces    *observe.Traces
	Log       *slog.Logger
	Clock     clock.Clock
	Audit     Audit // hears what is refused; nil: nobody does
}

// Options of the server. The zero value of a field is its default.
type Options struct {
	Listen      string // host:port; port 0 takes a free one
	OpsListen   string // host:port of health, readiness and metrics
	Certificate string // PEM file of the TLS certificate and its chain; "" serves without TLS
	Key         string // PEM file of its key
	// Certificates gives certificates in place of the files, and Protocols what it speaks besides HTTP (ACME's acme-tls/1).
	Certificates func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	Protocols    []string
	Proxies      proxies.List // whose X-Forwarded-For is believed
	Targets      module.Target

	Timeouts      map[module.Lane]time.Duration // of a whole answer; default 10 s urgent, 30 s interactive, 10 min background
	HeaderTimeout time.Duration                 // to send the header; default 10 s
	ReadTimeout   time.Duration                 // to send header and body; default 60 s; longer where the route's timeout is
	WriteTimeout  time.Duration                 // to take the answer; default 120 s; longer where the route's timeout is
	IdleTimeout   time.Duration                 // between requests of a connection; default 120 s
	DrainWait     time.Duration                 // between "not ready" and closing the door, for load balancers; default 0
	DrainTimeout  time.Duration                 // for requests in flight; default 30 s
	LogSample     int                           // one of so many answers is logged at info level; 0 logs none
	Profiles      bool                          // /debug/pprof/ on the ops listener
}

func (o *Options) defaults() {
	set := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	set(&o.HeaderTimeout, 10*time.Second)
	set(&o.ReadTimeout, time.Minute)
	set(&o.WriteTimeout, 2*time.Minute)
	set(&o.IdleTimeout, 2*time.Minute)
	set(&o.DrainTimeout, 30*time.Second)
	timeouts := map[module.Lane]time.Duration{module.Urgent: 10 * time.Second, module.Interactive: 30 * time.Second, module.Background: 10 * time.Minute}
	for lane, d := range o.Timeouts {
		if d > 0 {
			timeouts[lane] = d
		}
	}
	o.Timeouts = timeouts
	if o.Targets == 0 {
		o.Targets = module.All
	}
}

// Server answers the routes of its targets. Make it with [New], then Start, Drain and Close in this order.
type Server struct {
	deps        Deps
	options     Options
	mux         *http.ServeMux
	ops         *http.ServeMux
	none        [2]*route // for requests that no route matches; the second where FHIR is spoken
	compressors *compressors
	ids         *observe.RequestIDs
	seconds     *prometheus.HistogramVec
	panics      prometheus.Counter
	answered    atomic.Uint64
	draining    atomic.Bool
	ready       readiness
	origins     *http.CrossOriginProtection

	main, side listener
	failed     chan error
}

type listener struct {
	http *http.Server
	net  net.Listener
}

// New builds the server. It returns fault.Invalid for routes that contradict each other and for a certificate that can't be read.
func New(d Deps, o Options) (*Server, error) {
	o.defaults()
	s := &Server{
		deps: d, options: o, mux: http.NewServeMux(), ops: http.NewServeMux(), compressors: newCompressors(), ids: observe.NewRequestIDs(d.Clock.Now()),
		seconds: d.Metrics.Seconds("ward_http_request_seconds", "Time to answer a request.", "pattern", "method", "status", "lane"),
		panics:  d.Metrics.Counter("ward_http_panics_total", "Handlers that panicked.").WithLabelValues(),
		failed:  make(chan error, 2),
		origins: http.NewCrossOriginProtection(),
	}
	s.ready = readiness{checks: d.Checks, clock: d.Clock}
	s.gauges()
	for _, r := range append(s.opsRoutes(), d.Routes...) {
		if r.Target&o.Targets == 0 && r.Target != module.Ops {
			continue
		}
		if err := s.add(r); err != nil {
			return nil, err
		}
	}
	for i, pattern := range []string{"none", module.FHIRPrefix + "/none"} {
		s.none[i] = s.prepare(module.Route{Method: "any", Pattern: pattern, Lane: module.Interactive, Public: true, Target: module.Ops})
		s.none[i].ofTenant = false
	}
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { s.serve(s.noneAt(r), s.unrouted, w, r) })
	config, err := o.tls(d.Clock)
	if err != nil {
		return nil, err
	}
	s.main.http = s.httpServer(s.Handler(), config)
	if Loopback(o.OpsListen) {
		config = nil // probes and scrapers of this machine need no certificate
	}
	s.side.http = s.httpServer(s.Ops(), config)
	return s, nil
}

// add puts the route on its mux, whose panics about patterns become errors.
func (s *Server) add(r module.Route) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.Invalid("route %s %s: %v", r.Method, r.Pattern, p)
		}
	}()
	rt := s.prepare(r)
	mux := s.mux
	if r.Target == module.Ops {
		mux = s.ops
	}
	mux.HandleFunc(r.Method+" "+r.Pattern, func(w http.ResponseWriter, r *http.Request) { s.serve(rt, rt.Handler, w, r) })
	return nil
}

// Handler answers everything but health, readiness and metrics.
func (s *Server) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := guard(r); err != nil {
			s.serve(s.noneAt(r), func(http.ResponseWriter, *http.Request) error { return suspicious(kindOf(err), err) }, w, r)
			return
		}
		if s.cors(w, r) {
			return
		}
		// A base URL is often written with its slash: /t/demo/fhir/ is /t/demo/fhir.
		if p := r.URL.Path; len(p) > 1 && p[len(p)-1] == '/' && speaksFHIR(p) {
			r.URL.Path, r.URL.RawPath = p[:len(p)-1], ""
		}
		s.mux.ServeHTTP(w, r)
	})
}

func (s *Server) noneAt(r *http.Request) *route {
	if speaksFHIR(r.URL.Path) {
		return s.none[1]
	}
	return s.none[0]
}

// Ops answers health, readiness and metrics.
func (s *Server) Ops() http.Handler { return s.ops }

func (s *Server) httpServer(h http.Handler, config *tls.Config) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler: h, TLSConfig: config, Protocols: &protocols, HTTP2: &http.HTTP2Config{MaxConcurrentStreams: 250},
		ReadHeaderTimeout: s.options.HeaderTimeout, ReadTimeout: s.options.ReadTimeout, WriteTimeout: s.options.WriteTimeout,
		IdleTimeout: s.options.IdleTimeout, MaxHeaderBytes: maxRead,
		ErrorLog: slog.NewLogLogger(s.deps.Log.Handler(), slog.LevelDebug),
	}
}

// Start opens the listeners and answers in the background. It returns fault.Unavailable when an address can't be had; ctx bounds the opening only.
func (s *Server) Start(ctx context.Context) error {
	for _, l := range []struct {
		to      *listener
		address string
		setting string
	}{{&s.main, s.options.Listen, "http.listen"}, {&s.side, s.options.OpsListen, "http.ops-listen"}} {
		var config net.ListenConfig
		n, err := config.Listen(ctx, "tcp", l.address)
		if err != nil {
			return errors.Join(fault.Unavailable("can't listen on %s: set %s to a free address of this machine", l.address, l.setting).With(err), s.close())
		}
		l.to.net = n
	}
	for _, l := range []*listener{&s.side, &s.main} {
		go func() {
			var err error
			if l.http.TLSConfig != nil {
				err = l.http.ServeTLS(l.net, "", "")
			} else {
				err = l.http.Serve(l.net)
			}
			if !errors.Is(err, http.ErrServerClosed) {
				s.failed <- fmt.Errorf("listener %s: %w", l.net.Addr(), err)
			}
		}()
	}
	return nil
}

// Addr is where requests go, once started.
func (s *Server) Addr() string { return s.main.net.Addr().String() }

// OpsAddr is where health, readiness and metrics are, once started.
func (s *Server) OpsAddr() string { return s.side.net.Addr().String() }

// Failed tells when a listener broke; the process is no use then.
func (s *Server) Failed() <-chan error { return s.failed }

// Drain makes /readyz say no, waits Options.DrainWait, closes the door and waits for the requests in flight, at most
// Options.DrainTimeout or until ctx ends; what is left then is cut off and fault.Timeout returned. Health and metrics stay.
func (s *Server) Drain(ctx context.Context) error {
	s.draining.Store(true)
	if s.options.DrainWait > 0 {
		select {
		case <-time.After(s.options.DrainWait):
		case <-ctx.Done():
		}
	}
	ctx, cancel := context.WithTimeout(ctx, s.options.DrainTimeout)
	defer cancel()
	if err := s.main.http.Shutdown(ctx); err != nil {
		return errors.Join(fault.Timeout("requests were still in flight when the time to drain was over").With(err), s.main.http.Close())
	}
	return nil
}

// Close ends health, readiness and metrics, and whatever Drain left.
func (s *Server) Close() error { return s.close() }

func (s *Server) close() error {
	var errs []error
	for _, l := range []*listener{&s.main, &s.side} {
		if l.http != nil {
			errs = append(errs, l.http.Close())
		}
		if l.net != nil {
			if err := l.net.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

func (s *Server) gauges() {
	for lane := module.Urgent; lane <= module.Background; lane++ {
		labels := prometheus.Labels{"lane": lane.String()}
		s.deps.Metrics.MustRegister(
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "ward_lane_running", Help: "Requests being worked on.", ConstLabels: labels}, func() float64 {
				running, _, _ := s.deps.Lanes.Count(lane)
				return float64(running)
			}),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "ward_lane_waiting", Help: "Requests waiting for their place.", ConstLabels: labels}, func() float64 {
				_, waiting, _ := s.deps.Lanes.Count(lane)
				return float64(waiting)
			}),
			prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "ward_lane_refused_total", Help: "Requests that found no place.", ConstLabels: labels}, func() float64 {
				_, _, refused := s.deps.Lanes.Count(lane)
				return float64(refused)
			}),
		)
	}
}
