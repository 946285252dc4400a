package observe

import (
	"context"
	"strconv"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// Request is what a request is known by in logs and traces.
type Request struct {
	ID    string            // the client's X-Request-Id when it is a sensible one, else our own
	Trace trace.SpanContext // of the span we opened, or the caller's when tracing is off; may be invalid

	Address string // where it came from, without the port; for the audit log, not for logs
}

type requestKey struct{}

type requestContext struct {
	context.Context //nolint:containedctx // this is a context
	request         Request
}

func (c *requestContext) Value(k any) any {
	if _, ok := k.(requestKey); ok {
		return c
	}
	return c.Context.Value(k)
}

// WithRequest is ctx with the request's ids.
func WithRequest(ctx context.Context, q Request) context.Context {
	return &requestContext{Context: ctx, request: q}
}

// RequestFrom gives the ids that ctx carries; false when it carries none.
func RequestFrom(ctx context.Context) (Request, bool) {
	if c, ok := ctx.Value(requestKey{}).(*requestContext); ok {
		return c.request, true
	}
	return Request{}, false
}

// RequestIDs makes request ids that differ between processes and within one.
type RequestIDs struct {
	prefix string
	count  atomic.Uint64
}

// NewRequestIDs makes ids for a process that started at the time.
func NewRequestIDs(started time.Time) *RequestIDs {
	return &RequestIDs{prefix: strconv.FormatInt(started.UnixMicro(), 36) + "-"}
}

// Next is a new id, about 14 characters of 0-9 a-z and -.
func (s *RequestIDs) Next() string {
	var buf [32]byte
	return string(strconv.AppendUint(append(buf[:0], s.prefix...), s.count.Add(1), 36))
}

// ValidRequestID says whether a client's id may be taken over: 1 to 64 of A-Z a-z 0-9 - _ . : which can't break a log line.
func ValidRequestID(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' && c != ':' {
			return false
		}
	}
	return true
}

// ParseTraceparent reads a W3C traceparent header (Trace Context §3.2); the span context is invalid when it is malformed.
func ParseTraceparent(s string) trace.SpanContext {
	if len(s) < 55 || s[2] != '-' || s[35] != '-' || s[52] != '-' || s[:2] == "ff" || (len(s) > 55 && (s[:2] == "00" || s[55] != '-')) {
		return trace.SpanContext{}
	}
	if !isHex(s[:2]) || !isHex(s[53:55]) {
		return trace.SpanContext{}
	}
	traceID, err := trace.TraceIDFromHex(s[3:35])
	if err != nil {
		return trace.SpanContext{}
	}
	spanID, err := trace.SpanIDFromHex(s[36:52])
	if err != nil {
		return trace.SpanContext{}
	}
	flags, _ := strconv.ParseUint(s[53:55], 16, 8)
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: traceID, SpanID: spanID, TraceFlags: trace.TraceFlags(flags) & trace.FlagsSampled, Remote: true,
	})
}

func isHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
