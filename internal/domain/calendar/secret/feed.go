package secret

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"

	"ward/internal/base/fault"
	"ward/internal/base/scope"
)

// What a feed tells of: this long before today and after, in UTC.
const (
	feedBefore = 31 * 24 * time.Hour
	feedAfter  = 366 * 24 * time.Hour
)

// handleFeed answers whoever has the address. What is wrong with an address is not told: it is not there.
func (s *Secrets) handleFeed(w http.ResponseWriter, r *http.Request) error {
	head := w.Header()
	head.Set("Referrer-Policy", "no-referrer")
	head.Set("X-Robots-Tag", "noindex, nofollow")
	ctx := r.Context()
	missing := fault.NotFound("there is nothing at this path")
	secret, ok := strings.CutSuffix(r.PathValue("file"), ".ics")
	if text, good := plain(secret); !ok || !good || text != secret {
		return missing
	}
	h, err := s.find(ctx, secret, feed)
	if err != nil {
		return err
	}
	if err := s.pace.take(h.ID); err != nil {
		return err
	}
	sc, _ := scope.From(ctx)
	sc.Principal = h.principal
	ctx = scope.With(ctx, sc)
	calendar, err := s.deps.Events.Calendar(ctx, h.Subscriber)
	if fault.Is(err, fault.CodeDenied) || fault.Is(err, fault.CodeNotFound) {
		return missing // whom it speaks for may not see it any more
	}
	if err != nil {
		return err
	}
	state, err := calendar.State(ctx)
	if err != nil {
		return err
	}
	today := s.deps.Clock.Now().UTC().Truncate(24 * time.Hour)
	sum := sha256.Sum256([]byte(strings.Join([]string{h.ID, state, today.Format(time.DateOnly), h.principal.Role, strconv.FormatBool(h.Titles)}, "\x00")))
	tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	head.Set("ETag", tag)
	head.Set("Cache-Control", "private, no-cache")
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	text, err := calendar.Feed(ctx, today.Add(-feedBefore).Unix(), today.Add(feedAfter).Unix(), h.Titles)
	if err != nil {
		return err
	}
	head.Set("Content-Type", "text/calendar; charset=utf-8")
	head.Set("Content-Disposition", `attachment; filename="calendar.ics"`)
	_, _ = w.Write(text)
	return nil
}
