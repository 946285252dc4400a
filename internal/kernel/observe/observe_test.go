package observe_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"ward/internal/kernel/observe"
)

func TestLogger_CarriesTheRequest(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := observe.NewLogger(&out, slog.LevelInfo, false).With("part", "records")
	parent := observe.ParseTraceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	log.InfoContext(observe.WithRequest(t.Context(), observe.Request{ID: "r1", Trace: parent}), "hello")
	log.DebugContext(t.Context(), "not shown")
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	if line["request"] != "r1" || line["trace"] != "4bf92f3577b34da6a3ce929d0e0e4736" || line["part"] != "records" {
		t.Errorf("line %s", out.Bytes())
	}
}

func TestParseTraceparent(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01":     true,
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00":     true,
		"cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-new": true,
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-new": false,
		"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01":     false,
		"00-00000000000000000000000000000000-00f067aa0ba902b7-01":     false,
		"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01":     false,
		"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01":     false,
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0x":     false,
		"": false,
	} {
		if got := observe.ParseTraceparent(s).IsValid(); got != want {
			t.Errorf("%q: %v", s, got)
		}
	}
}

func TestRequestIDs(t *testing.T) {
	t.Parallel()
	ids := observe.NewRequestIDs(time.Unix(1_700_000_000, 0))
	a, b := ids.Next(), ids.Next()
	if a == b || !observe.ValidRequestID(a) {
		t.Errorf("%q %q", a, b)
	}
	for s, want := range map[string]bool{"": false, "a b": false, "a\n": false, strings.Repeat("a", 65): false, "A-1_b.c:d": true} {
		if observe.ValidRequestID(s) != want {
			t.Errorf("%q: %v", s, !want)
		}
	}
}

func TestMetrics_NativeHistogramsAreScraped(t *testing.T) {
	t.Parallel()
	m := observe.NewMetrics()
	m.Seconds("ward_test_seconds", "A test.", "lane").WithLabelValues("urgent").Observe(0.02)
	r := httptest.NewRequest("GET", "/metrics", nil)
	r.Header.Set("Accept", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited")
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, r)
	if !strings.HasPrefix(w.Header().Get("Content-Type"), "application/vnd.google.protobuf") || !strings.Contains(w.Body.String(), "ward_test_seconds") {
		t.Errorf("%s", w.Header())
	}
	w = httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if !strings.Contains(w.Body.String(), `ward_test_seconds_bucket{lane="urgent",le="0.025"} 1`) {
		t.Error(w.Body.String())
	}
}

func TestTraces_OffByDefaultAndChecked(t *testing.T) {
	t.Parallel()
	traces, err := observe.NewTraces(t.Context(), observe.TraceOptions{})
	if traces != nil || err != nil {
		t.Errorf("%v %v", traces, err)
	}
	if err := traces.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := observe.NewTraces(t.Context(), observe.TraceOptions{Endpoint: "http://localhost:4318", Ratio: 2}); err == nil {
		t.Error("a ratio of 2 was taken")
	}
}
