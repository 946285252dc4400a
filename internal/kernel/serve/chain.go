package serve

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/kernel/access"
	"ward/internal/kernel/audit"
	"ward/internal/kernel/module"
	"ward/internal/kernel/observe"
)

// route is a module's route with what each request needs of it worked out beforehand.
type route struct {
	module.Route
	fhir, ofTenant, admitted bool
	limit                    int64
	timeout                  time.Duration
	spanName                 string
	classes                  [6]atomic.Pointer[prometheus.Observer] // by status / 100
}

type handler = func(w http.ResponseWriter, r *http.Request) error

// The header values are shared by all answers: nothing appends to them.
//
//nolint:gochecknoglobals // constant table
var (
	noSniff      = []string{"nosniff"}
	privateCache = []string{"private, no-cache"}
	hsts         = []string{"max-age=31536000"}
)

func (s *Server) prepare(r module.Route) *route {
	rt := &route{
		Route: r, fhir: r.OfFHIR(), ofTenant: r.OfTenant(), admitted: r.Target != module.Ops,
		limit: r.BodyLimit, timeout: r.Timeout, spanName: r.Method + " " + r.Pattern,
	}
	if rt.limit == 0 {
		rt.limit = module.DefaultBodyLimit
	}
	if rt.timeout == 0 {
		rt.timeout = s.options.Timeouts[r.Lane]
	}
	return rt
}

// serve takes one request through the chain to the handler.
func (s *Server) serve(rt *route, handle handler, w http.ResponseWriter, r *http.Request) {
	x := &exchange{ResponseWriter: w, server: s, route: rt, began: s.deps.Clock.Now()}
	q := s.request(r)
	h := w.Header()
	x.id[0] = q.ID
	h["X-Request-Id"] = x.id[:]
	h["X-Content-Type-Options"] = noSniff
	h["Cache-Control"] = privateCache
	if r.TLS != nil {
		h["Strict-Transport-Security"] = hsts
	}
	ctx := r.Context()
	var span trace.Span
	if s.deps.Traces != nil {
		if q.Trace.IsValid() {
			ctx = trace.ContextWithRemoteSpanContext(ctx, q.Trace)
		}
		ctx, span = s.deps.Traces.Start(ctx, rt.spanName, trace.WithSpanKind(trace.SpanKindServer),
			trace.WithAttributes(attribute.String("http.route", rt.Pattern), attribute.String("http.request.method", rt.Method)))
		q.Trace = span.SpanContext()
	}
	ctx = observe.WithRequest(ctx, q)

	err := s.answer(rt, handle, x, r, ctx)
	if err != nil {
		err = s.refuse(rt, x, r.WithContext(ctx), err)
	} else {
		err = x.finish()
	}
	s.note(rt, x, span, ctx, err)
	if x.begun() && err != nil && !x.whole() {
		panic(http.ErrAbortHandler) // the client must not take half an answer for a whole one
	}
}

// request finds the ids of the request: the caller's where they are good.
func (s *Server) request(r *http.Request) observe.Request {
	q := observe.Request{Address: r.RemoteAddr}
	if i := strings.LastIndexByte(q.Address, ':'); i > 0 {
		q.Address = q.Address[:i]
	}
	if len(s.options.Proxies) > 0 {
		if client, ok := s.options.Proxies.Client(r); ok {
			q.Address = client.String()
		}
	}
	if given := r.Header["X-Request-Id"]; len(given) == 1 && observe.ValidRequestID(given[0]) {
		q.ID = given[0]
	} else {
		q.ID = s.ids.Next()
	}
	if parent := r.Header["Traceparent"]; len(parent) == 1 {
		q.Trace = observe.ParseTraceparent(parent[0])
	}
	return q
}

// answer admits the request and runs the handler. A panic becomes an internal fault.
func (s *Server) answer(rt *route, handle handler, x *exchange, r *http.Request, ctx context.Context) (err error) { //nolint:revive // ctx replaces r's
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler { //nolint:errorlint,err113 // the value itself is the message
				panic(p)
			}
			s.panics.Inc()
			s.deps.Log.ErrorContext(ctx, "a handler panicked", slog.String("route", rt.spanName), slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
			err = fault.Internal("a handler panicked")
		}
	}()
	sc, err := s.scope(ctx, rt, r)
	var body *limitedBody
	defer func() {
		if err != nil && (body == nil || body.failed == nil) {
			s.suspect(ctx, rt, sc, err)
		}
	}()
	if err != nil {
		return err
	}
	if r.ContentLength > rt.limit {
		return tooLarge(rt.limit)
	}
	if rt.admitted {
		if err := s.deps.Lanes.Enter(ctx, rt.Lane); err != nil {
			return err
		}
		defer s.deps.Lanes.Leave(rt.Lane)
	}
	if sc.Valid() {
		ctx = scope.With(ctx, sc)
	}
	ctx, cancel := context.WithTimeout(ctx, rt.timeout)
	defer cancel()
	if rt.timeout > s.options.ReadTimeout {
		s.extend(x.ResponseWriter, x.began.Add(rt.timeout))
	}
	if accepts := r.Header["Accept-Encoding"]; len(accepts) > 0 {
		x.accepts = negotiate(strings.Join(accepts, ","))
		if r.Method == http.MethodHead {
			x.accepts = identity
		}
	}
	r = r.WithContext(ctx)
	if r.Body != nil && r.Body != http.NoBody {
		body = &limitedBody{ReadCloser: r.Body, left: rt.limit, limit: rt.limit, beyond: func(err error) { s.suspect(ctx, rt, sc, err) }}
		if !boundsItself(rt.Permission) && strings.Contains(r.Header.Get("Content-Type"), "json") {
			body.depth = &depth{}
		}
		r.Body = body
	}
	return handle(x, r)
}

// extend gives a route that may take long the time on the connection too.
func (s *Server) extend(w http.ResponseWriter, until time.Time) {
	c := http.NewResponseController(w)
	// A connection that can't have deadlines, such as a test's recorder, has none to extend.
	_ = c.SetReadDeadline(until)
	_ = c.SetWriteDeadline(until.Add(s.options.WriteTimeout))
}

// scope finds the tenant and who is asking, and holds them against what the route demands.
func (s *Server) scope(ctx context.Context, rt *route, r *http.Request) (sc scope.Scope, err error) {
	if rt.ofTenant {
		if sc.Tenant, err = s.deps.Tenants.Find(ctx, r.PathValue("tenant")); err != nil {
			return sc, err
		}
	}
	if rt.Public {
		return sc, nil
	}
	principal, err := s.principal(ctx, rt, sc.Tenant, r)
	if err != nil {
		return sc, err
	}
	if !access.Permits(&principal, rt.Permission) {
		sc.Principal = principal
		return sc, suspicious(audit.Denied, fault.Denied("the role %s may not do this: it needs %s", principal.Role, rt.Permission))
	}
	if principal.Rights == nil { // whoever verified it did not keep them
		principal = access.WithRights(principal)
	}
	sc.Principal = principal
	sc.System = !rt.ofTenant
	if rt.ofTenant && rt.Lane != module.Urgent && s.deps.Rate != nil {
		err = s.deps.Rate(ctx, sc.Tenant)
	}
	return sc, err
}

// principal is who is asking: by a token, or else by the cookie of a session, whose requests must come from this site's own pages
// where they change something; or, where the route takes one, by a calendar password.
func (s *Server) principal(ctx context.Context, rt *route, tenant scope.Tenant, r *http.Request) (scope.Principal, error) {
	if s.deps.Sessions != nil && tenant.ID != 0 && len(r.Header["Authorization"]) == 0 && s.deps.Sessions.Has(tenant, r) {
		if err := s.origins.Check(r); err != nil {
			return scope.Principal{}, suspicious(audit.CrossSite, fault.Denied("this request comes from another site").With(err))
		}
		principal, err := s.deps.Sessions.Principal(scope.With(ctx, scope.Scope{Tenant: tenant}), r)
		return principal, suspiciousIf(audit.SessionUnknown, err)
	}
	if rt.Basic && s.deps.Passwords != nil {
		// the name beside it says nothing that the password does not
		if _, password, ok := r.BasicAuth(); ok {
			principal, err := s.deps.Passwords.Verify(scope.With(ctx, scope.Scope{Tenant: tenant}), password)
			return principal, suspiciousIf(audit.BadPassword, err)
		}
	}
	token, err := bearer(r.Header)
	if err != nil {
		return scope.Principal{}, err
	}
	principal, tenantID, err := s.deps.Tokens.Verify(ctx, token)
	if err == nil && tenantID != tenant.ID {
		err = suspicious(audit.WrongTenant, fault.Denied("this token is not for this tenant"))
	}
	return principal, suspiciousIf(audit.BadToken, err)
}

// bearer is the token of the Authorization header (RFC 6750 §2.1).
func bearer(h http.Header) (string, error) {
	values := h["Authorization"]
	if len(values) == 0 {
		return "", fault.Unauthenticated("a token is needed: send the header Authorization: Bearer <token>")
	}
	const scheme = "Bearer "
	if v := values[0]; len(values) == 1 && len(v) > len(scheme) && strings.EqualFold(v[:len(scheme)], scheme) {
		return strings.TrimSpace(v[len(scheme):]), nil
	}
	return "", fault.Unauthenticated("the Authorization header must be: Bearer <token>")
}

// refuse answers with the error unless the answer has begun; it returns what is to be logged.
func (s *Server) refuse(rt *route, x *exchange, r *http.Request, err error) error {
	if x.begun() {
		x.abandon()
		return err
	}
	x.reset()
	s.fail(x, r, rt.fhir, rt.Basic, err)
	if finish := x.finish(); finish != nil {
		return errors.Join(err, finish)
	}
	x.answered = true
	return err
}

// note counts and logs the request. Successes are logged at debug level, or as one of the sampled.
func (s *Server) note(rt *route, x *exchange, span trace.Span, ctx context.Context, err error) { //nolint:revive // ctx comes last: it is only for the log
	ended := s.deps.Clock.Now()
	status := x.status
	if err != nil && fault.CodeOf(err) == fault.CodeCanceled && ctx.Err() != nil {
		status = 499 // the client went away; nobody saw an answer
	}
	s.observer(rt, status).Observe(seconds(x.began, ended))
	if span != nil {
		span.SetAttributes(attribute.Int("http.response.status_code", status))
		if status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, fault.CodeOf(err).String())
		}
		span.End()
	}
	level := slog.LevelDebug
	switch {
	case status >= http.StatusInternalServerError:
		level = slog.LevelError
		if code := fault.CodeOf(orInternal(err)); code != fault.CodeInternal {
			level = slog.LevelWarn
		}
	case s.options.LogSample > 0 && s.answered.Add(1)%uint64(s.options.LogSample) == 0:
		level = slog.LevelInfo
	}
	if !s.deps.Log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("route", rt.spanName), slog.Int("status", status), slog.String("lane", rt.Lane.String()),
		slog.Float64("ms", float64(ended.Sub(x.began).Microseconds())/1000), slog.Int64("bytes", x.written),
	}
	if err != nil {
		attrs = append(attrs, slog.String("code", fault.CodeOf(err).String()))
		if status >= http.StatusInternalServerError {
			attrs = append(attrs, slog.String("error", err.Error()))
		}
	}
	s.deps.Log.LogAttrs(ctx, level, "request", attrs...)
}

func orInternal(err error) error {
	if err == nil {
		return fault.Internal("the handler answered so itself")
	}
	return err
}

func (s *Server) observer(rt *route, status int) prometheus.Observer {
	class := min(max(status/100, 1), 5)
	if status == 499 {
		class = 0
	}
	if o := rt.classes[class].Load(); o != nil {
		return *o
	}
	name := [...]string{"canceled", "1xx", "2xx", "3xx", "4xx", "5xx"}[class]
	o := s.seconds.WithLabelValues(rt.Pattern, rt.Method, name, rt.Lane.String())
	rt.classes[class].Store(&o)
	return o
}
