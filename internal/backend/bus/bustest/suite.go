// Package bustest holds what every bus must do, whatever server it talks to.
package bustest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ward/internal/backend/bus"
	"ward/internal/base/fault"
)

// Run checks that a bus keeps its promises. open gives a connection of its own to the same server each time, and closes it when the test ends.
func Run(t *testing.T, open func(t *testing.T) *bus.Bus) {
	t.Helper()
	for name, check := range map[string]func(t *testing.T, open func(t *testing.T) *bus.Bus){
		"PublishedIsConsumed":         publishedIsConsumed,
		"SameIDIsOneMessage":          sameIDIsOneMessage,
		"FailureIsTriedAgain":         failureIsTriedAgain,
		"PanicIsAFailure":             panicIsAFailure,
		"LastFailureIsDead":           lastFailureIsDead,
		"DeadThatFailsComesAgain":     deadThatFailsComesAgain,
		"EveryConsumerGetsEach":       everyConsumerGetsEach,
		"ProcessesShareAConsumer":     processesShareAConsumer,
		"ConsumerGoesOnWhereItWas":    consumerGoesOnWhereItWas,
		"SlowHandlerKeepsItsMessage":  slowHandlerKeepsItsMessage,
		"EndWaitsForWorkInHand":       endWaitsForWorkInHand,
		"NoStreamIsUnavailable":       noStreamIsUnavailable,
		"FullStreamRefuses":           fullStreamRefuses,
		"EnsureAgainChanges":          ensureAgainChanges,
		"BroadcastsArriveInOrder":     broadcastsArriveInOrder,
		"ListenerThatStoppedIsSilent": listenerThatStoppedIsSilent,
		"CheckSaysFine":               checkSaysFine,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, open)
		})
	}
}

// place is a stream of a test's own.
type place struct {
	stream bus.Stream
	root   string
}

func newPlace(t *testing.T, b *bus.Bus) place {
	t.Helper()
	name := strings.ToLower(rand.Text())
	p := place{stream: bus.Stream{Name: "T" + name, Subjects: []string{"ward.test." + name + ".>"}, MaxBytes: 16 << 20}, root: "ward.test." + name + "."}
	if err := b.Ensure(t.Context(), p.stream); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p place) consumer(handle func(context.Context, bus.Message) error) bus.Consumer {
	return bus.Consumer{
		Stream: p.stream.Name, Name: "c", Subject: p.root + ">", Handle: handle, Backoff: []time.Duration{time.Millisecond, time.Millisecond},
		Dead: func(context.Context, bus.Message, error) error { return errors.New("nobody should have died") },
	}
}

// run consumes until the test, or the function it returns, ends it.
func run(t *testing.T, b *bus.Bus, c bus.Consumer) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := b.Consume(ctx, c); err != nil {
			t.Error(err)
		}
	}()
	end = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	t.Cleanup(end)
	return end
}

func publish(t *testing.T, b *bus.Bus, messages ...bus.Message) {
	t.Helper()
	for i, err := range b.PublishAll(t.Context(), messages) {
		if err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
	}
}

// await waits until happened gives true.
func await(t *testing.T, what string, happened func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !happened(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("20 s passed before %s", what)
		}
	}
}

// seen collects what a handler got.
type seen struct {
	mu   sync.Mutex
	data []string
}

func (s *seen) handle(_ context.Context, m bus.Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.data = append(s.data, string(m.Data))
	return nil
}

func (s *seen) sorted() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(slices.Values(s.data))
}

func (s *seen) await(t *testing.T, want ...string) {
	t.Helper()
	await(t, fmt.Sprintf("%d messages came", len(want)), func() bool { return len(s.sorted()) >= len(want) })
	if got := s.sorted(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func publishedIsConsumed(t *testing.T, open func(t *testing.T) *bus.Bus) {
	b := open(t)
	p := newPlace(t, b)
	got := make(chan bus.Message, 1)
	run(t, b, p.consumer(func(_ context.Context, m bus.Message) error { got <- m; return nil }))
	want := bus.Message{ID: "id-1", Subject: p.root + "records.changed", Header: map[string]string{"Ward-Kind": "x"}, Data: []byte("\x00data")}
	if err := b.Prepare(t.Context(), p.consumer(nil)); err != nil {
		t.Fatal(err)
	}
	publish(t, b, want)
	m := <-got
	if m.ID != want.ID || m.Subject != want.Subject || string(m.Data) != string(want.Data) || m.Header["Ward-Kind"] != "x" || len(m.Header) != 1 || m.Attempt != 1 {
		t.Errorf("got %+v", m)
	}
	await(t, "the stream is empty", func() bool { n, err := b.Pending(t.Context(), p.stream.Name); return err == nil && n == 0 })
}

func sameIDIsOneMessage(t *testing.T, open func(t *testing.T) *bus.Bus) {
	b := open(t)
	p := newPlace(t, b)
	var s seen
	run(t, b, prepared(t, b, p.consumer(s.handle)))
	for range 3 {
		publish(t, b, bus.Message{ID: "one", Subject: p.root + "a", Data: []byte("one")})
	}
	publish(t, b, bus.Message{ID: "two", Subject: p.root + "a", Data: []byte("two")})
	s.await(t, "one", "two")
}

func prepared(t *testing.T, b *bus.Bus, c bus.Consumer) bus.Consumer {
	t.Helper()
	if err := b.Prepare(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	return c
}

func failureIsTriedAgain(t *testing.T, open func(t *testing.T) *bus.Bus) {
	b := open(t)
	p := newPlace(t, b)
	attempts := make(chan int, 10)
	run(t, b, prepared(t, b, p.consumer(func(_ context.Context, m bus.Message) error {
		attempts <- m.Attempt
		if m.Attempt < 3 {
			return errors.New("not yet")
		}
		return nil
	})))
	publish(t, b, bus.Message{Subject: p.root + "a"})
	for want := 1; want <= 3; want++ {
		if got := <-attempts; got != want {
			t.Errorf("attempt %d, want %d", got, want)
		}
	}
	await(t, "the stream is empty", func() bool { n, err := b.Pending(t.Context(), p.stream.Name); return err == nil && n == 0 })
}

func panicIsAFailure(t *testing.T, open func(t *testing.T) *bus.Bus) {
	b := open(t)
	p := newPlace(t, b)
	done := make(chan struct{})
	run(t, b, prepared(t, b, p.consumer(func(_ context.Context, m bus.Message) error {
		if m.Attempt == 1 {
			panic("a bug")
		}
		close(done)
		return nil
	})))
	publish(t, b, bus.Message{Subject: p.root + "a"})
	<-done
}

func lastFailureIsDead(t *testing.T, open func(t *testing.T) *bus.Bus) {
	b := open(t)
	p := newPlace(t, b)
	type death struct {
		m     bus.Message
		cause error
	}
	dead := make(chan death, 1)
	var calls atomic.Int32
	cause := errors.New("it never works")
	c := p.consumer(func(context.Context, bus.Message) error { calls.Add(1); return cause })
	c.Dead = func(_ context.Context, m bus.Message, cause error) error { dead <- death{m, cause}; return nil }
	run(t, b, prepared(t, b, c))
	publish(t, b, bus.Message{ID: "x", Subject: p.root + "a", Data: []byte("work")})
	d := <-dead
	if !errors.Is(d.cause, cause) || string(d.m.Data) != "work" || d.m.ID != "x" || d.m.Attempt != 3 || calls.Load() != 3 {
		t.Errorf("dead %+v after %d calls", d, calls.Load())
	}
	await(t, "the stream is empty", func() bool { n, err := b.Pending(t.Context(), p.stream.Name); return err == nil && n == 0 })
}

func deadThatFailsComesAgain(t *testing.T, open func(t *testing.T) *bus.Bus) {
	b := open(t)
	p := newPlace(t, b)
	done := make(chan struct{})
	var handled, died atomic.Int32
	c := p.consumer(func(context.Context, bus.Message) error { handled.Add(1); return errors.New("no") })
	c.Dead = func(_ context.Context, _ bus.Message, cause error) error {
		if died.Add(1) < 3 {
			return errors.New("the database is away")
		}
		if !errors.Is(cause, bus.ErrAbandoned) {
			t.Errorf("cause %v", cause)
		}
		close(done)
		return nil
	}
	run(t, b, prepared(t, b, c))
	publish(t, b, bus.Message{Subject: p.root + "a"})
	<-done
	if handled.Load() != 3 {
		t.Errorf("handled %d times, want 3", handled.Load())
	}
}

func everyConsumerGetsEach(t *testing.T, open func(t *testing.T) *bus.Bus) {
	b := open(t)
	p := newPlace(t, b)
	var all, some seen
	c := p.consumer(all.handle)
	c.Name = "all"
	run(t, b, prepared(t, b, c))
	c = p.consumer(some.handle)
	c.Name, c.Subject = "some", p.root+"*.wanted"
	run(t, b, prepared(t, b, c))
	publish(t, b, bus.Message{Subject: p.root + "1.wanted", Data: []byte("a")}, bus.Message{Subject: p.root + "1.other", Data: []byte("b")},
		bus.Message{Subject: p.root + "2.wanted", Data: []byte("c")})
	all.await(t, "a", "b", "c")
	some.await(t, "a", "c")
}

func processesShareAConsumer(t *testing.T, open func(t *testing.T) *bus.Bus) {
	one, two := open(t), open(t)
	p := newPlace(t, one)
	var s seen
	c := prepared(t, one, p.consumer(s.handle))
	run(t, one, c)
	run(t, two, c)
	var messages []bus.Message
	var want []string
	for i := range 200 {
		want = append(want, fmt.Sprintf("%03d", i))
		messages = append(messages, bus.Message{Subject: p.root + "a", Data: []byte(want[i])})
	}
	publish(t, one, messages...)
	s.await(t, want...)
}

func consumerGoesOnWhereItWas(t *testing.T, open func(t *testing.T) *bus.Bus) {
	b := open(t)
	p := newPlace(t, b)
	var s seen
	c := prepared(t, b, p.consumer(s.handle))
	publish(t, b, bus.Message{Subject: p.root + "a", Data: []byte("1 before it ever ran")})
	end := run(t, b, c)
	s.await(t, "1 before it ever ran")
	end()
	publish(t, b, bus.Message{Subject: p.root + "a", Data: []byte("2 while it was away")})
	run(t, open(t), c)
	s.await(t, "1 before it ever ran", "2 while it was away")
}

func slowHandlerKeepsItsMessage(t *testing.T, open func(t *testing.T) *bus.Bus) {
	b := open(t)
	p := newPlace(t, b)
	var calls atomic.Int32
	done := make(chan struct{})
	c := p.consumer(func(context.Context, bus.Message) error {
		if calls.Add(1) == 1 {
			<-time.After(time.Second) // longer than AckWait
			close(done)
		}
		return nil
	})
	c.AckWait = 300 * time.Millisecond
	run(t, b, prepared(t, b, c))
	publish(t, b, bus.Message{Subject: p.root + "a"})
	<-done
	await(t, "the stream is empty", func() bool { n, err := b.Pending(t.Context(), p.stream.Name); return err == nil && n == 0 })
	if calls.Load() != 1 {
		t.Errorf("handled %d times", calls.Load())
	}
}

func endWaitsForWorkInHand(t *testing.T, open func(t *testing.T) *bus.Bus) {
	b := open(t)
	p := newPlace(t, b)
	began, release := make(chan struct{}), make(chan struct{})
	var finished atomic.Bool
	end := run(t, b, prepared(t, b, p.consumer(func(ctx context.Context, _ bus.Message) error {
		close(began)
		<-release
		finished.Store(ctx.Err() == nil)
		return nil
	})))
	publish(t, b, bus.Message{Subject: p.root + "a"})
	<-began
	go func() { <-time.After(20 * time.Millisecond); close(release) }()
	end()
	if !finished.Load() {
		t.Error("Consume returned before its handler, or cancelled it")
	}
	await(t, "the stream is empty", func() bool { n, err := b.Pending(t.Context(), p.stream.Name); return err == nil && n == 0 })
}

func noStreamIsUnavailable(t *testing.T, open func(t *testing.T) *bus.Bus) {
	if err := open(t).Publish(t.Context(), bus.Message{Subject: "ward.nobody." + rand.Text()}); !fault.Is(err, fault.CodeUnavailable) {
		t.Errorf("%v, want Unavailable", err)
	}
}

func fullStreamRefuses(t *testing.T, open func(t *testing.T) *bus.Bus) {
	b := open(t)
	p := newPlace(t, b)
	prepared(t, b, p.consumer(nil))
	p.stream.MaxBytes = 4096
	if err := b.Ensure(t.Context(), p.stream); err != nil {
		t.Fatal(err)
	}
	refused := 0
	for i := range 10 {
		if err := b.Publish(t.Context(), bus.Message{ID: fmt.Sprint(i), Subject: p.root + "a", Data: make([]byte, 1000)}); err != nil {
			if !fault.Is(err, fault.CodeUnavailable) {
				t.Fatal(err)
			}
			refused++
		}
	}
	kept, err := b.Pending(t.Context(), p.stream.Name)
	if err != nil || refused == 0 || int(kept)+refused != 10 { //nolint:gosec // small
		t.Errorf("%d kept, %d refused, %v", kept, refused, err)
	}
}

func ensureAgainChanges(t *testing.T, open func(t *testing.T) *bus.Bus) {
	b := open(t)
	p := newPlace(t, b)
	for range 2 {
		p.stream.MaxAge = time.Hour
		if err := b.Ensure(t.Context(), p.stream); err != nil {
			t.Fatal(err)
		}
	}
}

func broadcastsArriveInOrder(t *testing.T, open func(t *testing.T) *bus.Bus) {
	from, to := open(t), open(t)
	root := "ward.test." + strings.ToLower(rand.Text())
	got := make(chan string, 2000)
	stop, err := to.Listen([]string{root + ".all", root + ".one"}, func(subject string, data []byte) {
		got <- strings.TrimPrefix(subject, root+".") + " " + string(data)
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	heard := false
	await(t, "the listener is known", func() bool {
		_ = from.Broadcast(t.Context(), root+".all", []byte("hello?"))
		select {
		case <-got:
			heard = true
		case <-time.After(5 * time.Millisecond):
		}
		return heard
	})
	for i := range 1000 {
		subject := root + ".all"
		if i%3 == 0 {
			subject = root + ".one"
		}
		if err := from.Broadcast(t.Context(), subject, fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := 0; i < 1000; {
		m := <-got
		if strings.HasSuffix(m, "hello?") {
			continue
		}
		want := fmt.Sprint("all ", i)
		if i%3 == 0 {
			want = fmt.Sprint("one ", i)
		}
		if m != want {
			t.Fatalf("got %q, want %q", m, want)
		}
		i++
	}
}

func listenerThatStoppedIsSilent(t *testing.T, open func(t *testing.T) *bus.Bus) {
	b := open(t)
	subject := "ward.test." + strings.ToLower(rand.Text())
	var stopped atomic.Bool
	stop, err := b.Listen([]string{subject}, func(string, []byte) {
		if stopped.Load() {
			t.Error("called after stop returned")
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		_ = b.Broadcast(t.Context(), subject, nil)
	}
	stop()
	stopped.Store(true)
	for range 100 {
		_ = b.Broadcast(t.Context(), subject, nil)
	}
	if err := b.Check(t.Context()); err != nil { // a round trip after them
		t.Error(err)
	}
}

func checkSaysFine(t *testing.T, open func(t *testing.T) *bus.Bus) {
	b := open(t)
	if err := b.Check(t.Context()); err != nil || !b.Connected() {
		t.Errorf("%v, connected %v", err, b.Connected())
	}
}
