package observe

import (
	"context"
	"io"
	"log/slog"
	"strings"

	"ward/internal/base/fault"
)

// NewLogger writes JSON lines (or text, for people at a terminal) of at least the level to w. Lines logged with a request's
// context carry its "request" and "trace" ids.
func NewLogger(w io.Writer, level slog.Level, text bool) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	var h slog.Handler = slog.NewJSONHandler(w, options)
	if text {
		h = slog.NewTextHandler(w, options)
	}
	return slog.New(withRequest{h})
}

// ParseLevel reads debug, info, warn or error. It returns fault.Invalid for anything else.
func ParseLevel(s string) (slog.Level, error) {
	switch strings.ToLower(s) {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	default:
		return 0, fault.Invalid("%q is no log level: write debug, info, warn or error", s)
	}
}

type withRequest struct{ slog.Handler }

func (h withRequest) Handle(ctx context.Context, r slog.Record) error {
	if q, ok := RequestFrom(ctx); ok {
		r.AddAttrs(slog.String("request", q.ID))
		if q.Trace.IsValid() {
			r.AddAttrs(slog.String("trace", q.Trace.TraceID().String()))
		}
	}
	return h.Handler.Handle(ctx, r)
}

func (h withRequest) WithAttrs(attrs []slog.Attr) slog.Handler {
	return withRequest{h.Handler.WithAttrs(attrs)}
}

func (h withRequest) WithGroup(name string) slog.Handler {
	return withRequest{h.Handler.WithGroup(name)}
}
