package bus_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ward/internal/backend/bus"
	"ward/internal/backend/bus/bustest"
	"ward/internal/base/fault"
	"ward/internal/base/testenv"
)

func connect(t *testing.T, url string) *bus.Bus {
	t.Helper()
	b, err := bus.Connect(bus.Config{URL: url}, bus.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close(context.WithoutCancel(t.Context())) })
	return b
}

func TestBus_OnAServer(t *testing.T) {
	t.Parallel()
	url := testenv.URL(t, "WARD_TEST_NATS")
	bustest.Run(t, func(t *testing.T) *bus.Bus { return connect(t, url) })
}

func TestConnect_RefusesOtherURLs(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "localhost:4222", "http://localhost", "nats://user:secret@ho st:1"} {
		_, err := bus.Connect(bus.Config{URL: url}, bus.Deps{})
		if !fault.Is(err, fault.CodeInvalid) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", url, err)
		}
	}
}

func await(t *testing.T, what string, happened func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); !happened(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("30 s passed before %s", what)
		}
	}
}

// TestServer_KilledAndBack publishes and consumes while the server is killed and started again: everything that was confirmed is consumed,
// what can't be confirmed fails at once, and nobody has to be told that it is back.
func TestServer_KilledAndBack(t *testing.T) {
	t.Parallel()
	server := bustest.NewServer(t)
	b := connect(t, server.URL()) // before the server is there
	var lost, found atomic.Int32
	b.OnDisconnect(func() { lost.Add(1) })
	b.OnReconnect(func() { found.Add(1) })
	if err := b.Publish(t.Context(), bus.Message{Subject: "ward.event.1"}); !fault.Is(err, fault.CodeUnavailable) {
		t.Fatalf("without a server: %v", err)
	}
	if err := b.Broadcast(t.Context(), "ward.x", nil); !fault.Is(err, fault.CodeUnavailable) {
		t.Fatalf("without a server: %v", err)
	}
	if err := b.Check(t.Context()); !fault.Is(err, fault.CodeUnavailable) {
		t.Fatalf("without a server: %v", err)
	}
	heard := make(chan struct{}, 1000)
	stop, err := b.Listen([]string{"ward.x"}, func(string, []byte) { heard <- struct{}{} })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	var mu sync.Mutex
	got := map[string]bool{}
	consumer := bus.Consumer{
		Stream: "EVENTS", Name: "c", Subject: "ward.event.>", AckWait: time.Second,
		Handle: func(_ context.Context, m bus.Message) error {
			mu.Lock()
			defer mu.Unlock()
			got[m.ID] = true
			return nil
		},
		Dead: func(context.Context, bus.Message, error) error { t.Error("a message died"); return nil },
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Consume(ctx, consumer) }()
	confirmed := map[string]bool{}
	n := 0
	for round := range 3 {
		server.Start()
		await(t, "the stream is made", func() bool {
			return b.Ensure(t.Context(), bus.Stream{Name: "EVENTS", Subjects: []string{"ward.event.>"}, MaxBytes: 16 << 20}) == nil && b.Prepare(t.Context(), consumer) == nil
		})
		for range 100 {
			n++
			if id := fmt.Sprint(n); b.Publish(t.Context(), bus.Message{ID: id, Subject: "ward.event.1", Data: []byte(id)}) == nil {
				confirmed[id] = true
			}
		}
		await(t, "a broadcast is heard", func() bool {
			_ = b.Broadcast(t.Context(), "ward.x", nil)
			select {
			case <-heard:
				return true
			default:
				return false
			}
		})
		if round == 2 {
			break
		}
		server.Kill()
		await(t, "the loss is noticed", func() bool { return !b.Connected() })
		began := time.Now()
		if err := b.Publish(t.Context(), bus.Message{Subject: "ward.event.1"}); !fault.Is(err, fault.CodeUnavailable) || time.Since(began) > time.Second {
			t.Errorf("while it is away: %v after %v", err, time.Since(began))
		}
	}
	await(t, "all that was confirmed is consumed", func() bool {
		mu.Lock()
		defer mu.Unlock()
		for id := range confirmed {
			if !got[id] {
				return false
			}
		}
		return true
	})
	if len(confirmed) < 300 {
		t.Errorf("only %d of 300 were confirmed", len(confirmed))
	}
	await(t, "callbacks came", func() bool { return lost.Load() >= 2 && found.Load() >= 3 })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
