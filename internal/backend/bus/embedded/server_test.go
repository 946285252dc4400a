package embedded_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"ward/internal/backend/bus"
	"ward/internal/backend/bus/bustest"
	"ward/internal/backend/bus/embedded"
	"ward/internal/base/fault"
)

func open(t testing.TB, dir string) *bus.Bus {
	t.Helper()
	b, err := embedded.Open(t.Context(), embedded.Config{Dir: dir}, bus.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(t, b) })
	return b
}

func shut(t testing.TB, b *bus.Bus) {
	t.Helper()
	if err := b.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Error(err)
	}
}

func TestBus(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	bustest.Run(t, func(*testing.T) *bus.Bus { return b })
}

func TestOpen_KeepsWhatWasPublished(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := open(t, dir)
	stream := bus.Stream{Name: "EVENTS", Subjects: []string{"ward.event.>"}}
	c := bus.Consumer{Stream: "EVENTS", Name: "c", Subject: "ward.event.>"}
	for _, err := range []error{b.Ensure(t.Context(), stream), b.Prepare(t.Context(), c), b.Publish(t.Context(), bus.Message{Subject: "ward.event.1.x", Data: []byte("kept")})} {
		if err != nil {
			t.Fatal(err)
		}
	}
	shut(t, b)
	b = open(t, dir)
	got := make(chan string, 1)
	c.Handle = func(_ context.Context, m bus.Message) error { got <- string(m.Data); return nil }
	c.Dead = func(context.Context, bus.Message, error) error { return nil }
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Consume(ctx, c) }()
	if data := <-got; data != "kept" {
		t.Errorf("got %q", data)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestOpen_RefusesWhatItCannotUse(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/file"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]embedded.Config{"no folder": {}, "a file": {Dir: file}, "no port": {Dir: t.TempDir(), Listen: "localhost"}} {
		if _, err := embedded.Open(t.Context(), c, bus.Deps{}); !fault.Is(err, fault.CodeInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOpen_ListensOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	b, err := embedded.Open(t.Context(), embedded.Config{Dir: t.TempDir(), Listen: "127.0.0.1:24299"}, bus.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	defer shut(t, b)
	other, err := bus.Connect(bus.Config{URL: "nats://127.0.0.1:24299"}, bus.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	defer shut(t, other)
	if err := other.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestOpen_IsLight starts a process of its own that opens a bus, and reads what that took.
func TestOpen_IsLight(t *testing.T) {
	if os.Getenv("WARD_BUS_CHILD") == "1" {
		before := resident(t)
		began := time.Now()
		b := open(t, t.TempDir())
		if err := b.Ensure(t.Context(), bus.Stream{Name: "EVENTS", Subjects: []string{"ward.event.>"}}); err != nil {
			t.Fatal(err)
		}
		fmt.Printf("CHILD %d %d\n", time.Since(began).Milliseconds(), (resident(t)-before)>>20)
		return
	}
	command := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestOpen_IsLight$") //nolint:gosec // itself
	command.Env = append(os.Environ(), "WARD_BUS_CHILD=1")
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var ms, mb int
	for line := range strings.Lines(string(out)) {
		_, _ = fmt.Sscanf(line, "CHILD %d %d", &ms, &mb)
	}
	t.Logf("started in %d ms, %d MB more resident", ms, mb)
	if ms == 0 || ms > 1500 || mb > 15 { // 150 ms on an idle machine; this one may be busy
		t.Errorf("started in %d ms, %d MB more resident\n%s", ms, mb, out)
	}
}

func resident(t *testing.T) int {
	t.Helper()
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip("no /proc here")
	}
	pages, _ := strconv.Atoi(strings.Fields(string(statm))[1])
	return pages * os.Getpagesize()
}

func BenchmarkPublishAll(b *testing.B) {
	for _, batch := range []int{1, 16, 256} {
		b.Run(fmt.Sprint(batch), func(b *testing.B) {
			x := open(b, b.TempDir())
			if err := x.Ensure(b.Context(), bus.Stream{Name: "EVENTS", Subjects: []string{"ward.event.>"}}); err != nil {
				b.Fatal(err)
			}
			if err := x.Prepare(b.Context(), bus.Consumer{Stream: "EVENTS", Name: "c", Subject: "ward.event.>"}); err != nil {
				b.Fatal(err)
			}
			messages := make([]bus.Message, batch)
			n := 0
			for b.Loop() {
				for i := range messages {
					n++
					messages[i] = bus.Message{ID: strconv.Itoa(n), Subject: "ward.event.1.records.changed", Data: make([]byte, 150)}
				}
				for _, err := range x.PublishAll(b.Context(), messages) {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}
