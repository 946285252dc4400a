package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ward/internal/backend/bus"
	"ward/internal/backend/bus/bustest"
	"ward/internal/backend/bus/embedded"
	"ward/internal/backend/db"
	"ward/internal/backend/db/dbtest"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/base/testenv"
	"ward/internal/kernel/module"
	"ward/internal/kernel/outbox"
	"ward/internal/kernel/seal"
	"ward/internal/kernel/seal/sealtest"
)

// house is a database and a bus with tenants 1, 2 and 3.
type house struct {
	t    *testing.T
	db   *db.DB
	bus  *bus.Bus
	keys *seal.Keys
	all  []scope.Tenant
}

// onEach runs a test on every database that is there.
func onEach(t *testing.T, test func(t *testing.T, h *house)) {
	t.Helper()
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, newHouse(t, dbtest.SQLite(t), openBus(t)))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		testenv.URL(t, "WARD_TEST_POSTGRES")
		test(t, newHouse(t, dbtest.Postgres(t), openBus(t)))
	})
}

func openBus(t *testing.T) *bus.Bus {
	t.Helper()
	b, err := embedded.Open(t.Context(), embedded.Config{Dir: t.TempDir()}, bus.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close(context.WithoutCancel(t.Context())) })
	return b
}

func newHouse(t *testing.T, d *db.DB, b *bus.Bus) *house {
	t.Helper()
	bare, err := outbox.New(outbox.Config{}, outbox.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	dbtest.Migrate(t, d, "outbox", bare.Module().Migrations)
	return &house{t: t, db: d, bus: b, keys: sealtest.Keys(t, d), all: []scope.Tenant{{ID: 1, Slug: "one"}, {ID: 2, Slug: "two"}, {ID: 3, Slug: "three"}}}
}

func (h *house) outbox(consumers ...module.Consumer) *outbox.Outbox {
	h.t.Helper()
	o, err := outbox.New(
		outbox.Config{Backoff: []time.Duration{time.Millisecond, time.Millisecond}, SweepRate: 1000, SweepEvery: 50 * time.Millisecond},
		outbox.Deps{DB: h.db, Bus: h.bus, Keys: h.keys, Consumers: consumers, Tenants: func(context.Context) ([]scope.Tenant, error) { return h.all, nil }},
	)
	if err != nil {
		h.t.Fatal(err)
	}
	return o
}

// run has the outbox relay and consume until the test, or the function it returns, ends it.
func (h *house) run(o *outbox.Outbox) (end func()) {
	h.t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(h.t.Context()))
	var running sync.WaitGroup
	for _, r := range o.Module().Runners {
		running.Go(func() {
			if err := r.Run(ctx); err != nil {
				h.t.Errorf("%s: %v", r.Name, err)
			}
		})
	}
	end = sync.OnceFunc(func() { cancel(); running.Wait() })
	h.t.Cleanup(end)
	return end
}

func (h *house) tenant(id int32) context.Context {
	return scope.WithTenant(context.WithoutCancel(h.t.Context()), h.all[id-1])
}

func (h *house) enqueue(o *outbox.Outbox, tenant int32, subject string, data ...string) {
	h.t.Helper()
	events := make([]module.Event, len(data))
	for i, d := range data {
		events[i] = module.Event{Subject: subject, Data: []byte(d)}
	}
	ctx := h.tenant(tenant)
	if err := h.db.Write(ctx, func(ctx context.Context, tx db.Tx) error { return o.Enqueue(ctx, tx, events...) }); err != nil {
		h.t.Fatal(err)
	}
	o.Wake(ctx)
}

func (h *house) rows(tenant int32, table string) (n int) {
	h.t.Helper()
	err := h.db.Read(h.tenant(tenant), func(ctx context.Context, q db.Querier) error {
		return q.Query(ctx, "SELECT count(*) FROM "+table, func(r db.Row) error { n = int(r.Int64(0)); return nil })
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return n
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

// witness is a consumer that remembers what it saw.
type witness struct {
	mu   sync.Mutex
	seen map[string]int // tenant and data → times
	fail func(e module.Event, times int) error
}

func (w *witness) consumer(name, subject string) module.Consumer {
	return module.Consumer{Name: name, Subject: subject, Handle: func(ctx context.Context, e module.Event) error {
		s, ok := scope.From(ctx)
		if !ok || s.Tenant != e.Tenant {
			return fmt.Errorf("scope %v of an event of %v", s.Tenant, e.Tenant)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.seen == nil {
			w.seen = map[string]int{}
		}
		key := fmt.Sprintf("%d %s %s", e.Tenant.ID, e.Subject, e.Data)
		w.seen[key]++
		if w.fail != nil {
			return w.fail(e, w.seen[key])
		}
		return nil
	}}
}

func (w *witness) count(key string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen[key]
}

func (w *witness) keys() (keys []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for k := range w.seen {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func (w *witness) await(t *testing.T, want ...string) {
	t.Helper()
	slices.Sort(want)
	await(t, fmt.Sprintf("%d events came", len(want)), func() bool { return len(w.keys()) >= len(want) })
	if got := w.keys(); !slices.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

func TestEnqueue_CommittedEventsReachTheirConsumers(t *testing.T) {
	onEach(t, func(t *testing.T, h *house) {
		var all, some witness
		o := h.outbox(all.consumer("all", ">"), some.consumer("calendar.changes", "calendar.*"))
		h.run(o)
		h.enqueue(o, 1, "records.changed", "a", "b")
		h.enqueue(o, 2, "calendar.booked", "a")
		err := h.db.Write(h.tenant(1), func(ctx context.Context, tx db.Tx) error {
			if err := o.Enqueue(ctx, tx, module.Event{Subject: "records.changed", Data: []byte("never happened")}); err != nil {
				return err
			}
			return errors.New("rolled back")
		})
		if err == nil {
			t.Fatal("no error")
		}
		h.enqueue(o, 3, "calendar.cancelled", "")
		all.await(t, "1 records.changed a", "1 records.changed b", "2 calendar.booked a", "3 calendar.cancelled ")
		some.await(t, "2 calendar.booked a", "3 calendar.cancelled ")
		await(t, "the outboxes are empty", func() bool { return h.rows(1, "outbox_event")+h.rows(2, "outbox_event")+h.rows(3, "outbox_event") == 0 })
	})
}

func TestEnqueue_WithoutWakeIsPublishedToo(t *testing.T) {
	onEach(t, func(t *testing.T, h *house) {
		var w witness
		o := h.outbox(w.consumer("c", "x"))
		h.run(o)
		for i := range 3 {
			err := h.db.Write(h.tenant(1), func(ctx context.Context, tx db.Tx) error {
				err := o.Enqueue(ctx, tx, module.Event{Subject: "x", Data: fmt.Append(nil, i)})
				<-time.After(30 * time.Millisecond) // a slow transaction: the relay looks before it commits
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		w.await(t, "1 x 0", "1 x 1", "1 x 2")
	})
}

func TestEnqueue_WhatNobodyWantsIsNotWritten(t *testing.T) {
	onEach(t, func(t *testing.T, h *house) {
		var w witness
		o := h.outbox(w.consumer("c", "records.>"))
		if o.Wants("calendar.booked") || !o.Wants("records.changed") || o.Wants("records") {
			t.Error("Wants is wrong")
		}
		h.enqueue(o, 1, "calendar.booked", "a", "b")
		if n := h.rows(1, "outbox_event"); n != 0 || o.Hot() != 0 {
			t.Errorf("%d rows, %d tenants looked at", n, o.Hot())
		}
	})
}

func TestEnqueue_RefusesWhatItCannotCarry(t *testing.T) {
	onEach(t, func(t *testing.T, h *house) {
		var w witness
		o := h.outbox(w.consumer("c", ">"))
		for name, row := range map[string]struct {
			e    module.Event
			code fault.Code
		}{
			"too large":   {module.Event{Subject: "a", Data: make([]byte, outbox.MaxData+1)}, fault.CodeTooLarge},
			"bad subject": {module.Event{Subject: "a b"}, fault.CodeInternal},
		} {
			err := h.db.Write(h.tenant(1), func(ctx context.Context, tx db.Tx) error { return o.Enqueue(ctx, tx, row.e) })
			if !fault.Is(err, row.code) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestNew_RefusesConsumersThatCannotBe(t *testing.T) {
	t.Parallel()
	handle := func(context.Context, module.Event) error { return nil }
	for name, cs := range map[string][]module.Consumer{
		"no name":    {{Subject: "a", Handle: handle}},
		"odd name":   {{Name: "a b", Subject: "a", Handle: handle}},
		"no subject": {{Name: "a", Handle: handle}},
		"no handle":  {{Name: "a", Subject: "a"}},
		"twice":      {{Name: "a.b", Subject: "a", Handle: handle}, {Name: "a_b", Subject: "a", Handle: handle}},
	} {
		if _, err := outbox.New(outbox.Config{}, outbox.Deps{Consumers: cs}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestConsumer_FailureIsTriedAgainThenDeadThenReplayed(t *testing.T) {
	onEach(t, func(t *testing.T, h *house) {
		var broken atomic.Bool
		broken.Store(true)
		w := &witness{fail: func(e module.Event, times int) error {
			switch {
			case string(e.Data) == "shaky" && times < 3:
				return errors.New("not yet")
			case string(e.Data) == "bad" && broken.Load():
				return fault.Unavailable("the laboratory is closed")
			default:
				return nil
			}
		}}
		var other witness
		o := h.outbox(w.consumer("lab", "orders.placed"), other.consumer("other", "orders.placed"))
		h.run(o)
		h.enqueue(o, 1, "orders.placed", "good", "shaky", "bad", "fine") // one envelope
		h.enqueue(o, 2, "orders.placed", "bad")
		var dead []outbox.DeadEvent
		await(t, "two events are dead", func() bool { return h.rows(1, "outbox_dead") == 1 && h.rows(2, "outbox_dead") == 1 })
		dead, err := o.Dead(h.tenant(1), "", nil, 10)
		if err != nil || len(dead) != 1 {
			t.Fatalf("%v %v", dead, err)
		}
		d := dead[0]
		if d.Consumer != "lab" || d.Subject != "orders.placed" || string(d.Data) != "bad" || d.Tenant != h.all[0] || d.Attempts != 3 ||
			d.Cause != "unavailable: the laboratory is closed" || time.Since(d.Died) > time.Minute || time.Since(d.Time) > time.Minute {
			t.Errorf("dead %+v", d)
		}
		if more, err := o.Dead(h.tenant(1), "lab", &d, 10); err != nil || len(more) != 0 {
			t.Errorf("after the last: %v %v", more, err)
		}
		if none, err := o.Dead(h.tenant(1), "other", nil, 10); err != nil || len(none) != 0 {
			t.Errorf("of another consumer: %v %v", none, err)
		}
		for key, want := range map[string]int{"1 orders.placed good": 1, "1 orders.placed fine": 1, "1 orders.placed shaky": 3, "1 orders.placed bad": 4} {
			if got := w.count(key); got != want {
				t.Errorf("%s was handled %d times, want %d", key, got, want)
			}
		}
		for _, key := range other.keys() {
			if other.count(key) != 1 {
				t.Errorf("the other consumer saw %s %d times", key, other.count(key))
			}
		}

		if _, err := o.Replay(h.tenant(1), "nobody"); !fault.Is(err, fault.CodeNotFound) {
			t.Errorf("replay for nobody: %v", err)
		}
		if _, err := o.Replay(h.tenant(1), "lab", "x"); !fault.Is(err, fault.CodeInvalid) {
			t.Errorf("replay of no id: %v", err)
		}
		if n, err := o.Replay(h.tenant(1), "lab", "0190a1b2-c3d4-7e5f-8a9b-000000000000"); n != 0 || err != nil {
			t.Errorf("replay of an event that is not dead: %d %v", n, err)
		}
		before := w.count("1 orders.placed bad")
		if n, err := o.Replay(h.tenant(1), "lab", d.ID); n != 1 || err != nil {
			t.Fatalf("replayed %d, %v", n, err)
		}
		await(t, "it is dead again", func() bool { return w.count("1 orders.placed bad") >= before+3 && h.rows(1, "outbox_dead") == 1 })
		broken.Store(false)
		if n, err := o.Replay(h.tenant(1), "lab"); n != 1 || err != nil {
			t.Fatalf("replayed %d, %v", n, err)
		}
		before = w.count("1 orders.placed bad")
		await(t, "it is handled", func() bool { return w.count("1 orders.placed bad") > before || h.rows(1, "outbox_event") == 0 })
		if n, err := o.Discard(h.tenant(2), "lab"); n != 1 || err != nil {
			t.Fatalf("discarded %d, %v", n, err)
		}
		if n := h.rows(2, "outbox_dead"); n != 0 {
			t.Errorf("%d dead events are left", n)
		}
		for _, key := range other.keys() {
			if other.count(key) != 1 {
				t.Errorf("a replay for lab reached the other consumer: %s %d times", key, other.count(key))
			}
		}
	})
}

func TestConsumer_PanicKillsOneEvent(t *testing.T) {
	onEach(t, func(t *testing.T, h *house) {
		w := &witness{fail: func(e module.Event, _ int) error {
			if string(e.Data) == "boom" {
				panic("a bug")
			}
			return nil
		}}
		o := h.outbox(w.consumer("c", "x"))
		h.run(o)
		h.enqueue(o, 1, "x", "a", "boom", "b")
		await(t, "it is dead", func() bool { return h.rows(1, "outbox_dead") == 1 })
		if w.count("1 x a") != 1 || w.count("1 x b") != 1 {
			t.Errorf("a %d times, b %d times", w.count("1 x a"), w.count("1 x b"))
		}
	})
}

func TestFirst_DoesTheWorkOnce(t *testing.T) {
	onEach(t, func(t *testing.T, h *house) {
		var o *outbox.Outbox
		var first, again atomic.Int32
		c := module.Consumer{Name: "once", Subject: "x", Handle: func(ctx context.Context, e module.Event) error {
			var isFirst bool
			err := h.db.Write(ctx, func(ctx context.Context, tx db.Tx) (err error) {
				isFirst, err = o.First(ctx, tx, "once", e)
				return err
			})
			if isFirst {
				first.Add(1)
				return errors.New("the work is done, but the answer is lost")
			}
			again.Add(1)
			return err
		}}
		o = h.outbox(c)
		h.run(o)
		h.enqueue(o, 1, "x", "a", "b", "c")
		await(t, "every event came twice", func() bool { return again.Load() == 3 })
		if first.Load() != 3 {
			t.Errorf("the work was done %d times for 3 events", first.Load())
		}
		if n := h.rows(1, "outbox_dead"); n != 0 {
			t.Errorf("%d are dead", n)
		}
	})
}

func TestRelay_FindsWhatAProcessLeft(t *testing.T) {
	onEach(t, func(t *testing.T, h *house) {
		var gone, w witness
		dead := h.outbox(gone.consumer("c", "x")) // its relay never ran
		for tenant := range int32(3) {
			h.enqueue(dead, tenant+1, "x", "left")
		}
		h.run(h.outbox(w.consumer("c", "x")))
		w.await(t, "1 x left", "2 x left", "3 x left")
	})
}

func TestRelay_BurstTravelsInFewMessages(t *testing.T) {
	onEach(t, func(t *testing.T, h *house) {
		const events = 3000
		var w witness
		m := &meter{}
		o, err := outbox.New(outbox.Config{}, outbox.Deps{
			DB: h.db, Bus: h.bus, Keys: h.keys, Consumers: []module.Consumer{w.consumer("c", "x")}, Metrics: m,
			Tenants: func(context.Context) ([]scope.Tenant, error) { return h.all, nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for begin := 0; begin < events; begin += 100 {
			var data []string
			for i := range 100 {
				data = append(data, fmt.Sprint(begin+i))
				want = append(want, fmt.Sprint("1 x ", begin+i))
			}
			h.enqueue(o, 1, "x", data...)
		}
		h.run(o)
		w.await(t, want...)
		await(t, "the outbox is empty", func() bool { return h.rows(1, "outbox_event") == 0 })
		if m.published.Load() != events || m.messages.Load() > events/20 {
			t.Errorf("%d events in %d messages", m.published.Load(), m.messages.Load())
		}
	})
}

func TestRelay_ProcessesShareTheWork(t *testing.T) {
	t.Parallel()
	testenv.URL(t, "WARD_TEST_POSTGRES")
	h := newHouse(t, dbtest.Postgres(t), openBus(t))
	var w witness
	processes := []*outbox.Outbox{h.outbox(w.consumer("c", "x")), h.outbox(w.consumer("c", "x"))}
	for _, o := range processes {
		h.run(o)
	}
	var want []string
	for i := range 200 {
		want = append(want, fmt.Sprint("1 x ", i))
		h.enqueue(processes[i%2], 1, "x", fmt.Sprint(i))
	}
	w.await(t, want...)
	await(t, "the outbox is empty", func() bool { return h.rows(1, "outbox_event") == 0 })
	for _, key := range want {
		if n := w.count(key); n != 1 {
			t.Errorf("%s was handled %d times", key, n)
		}
	}
}

func TestRelay_IdleTenantsCostNothing(t *testing.T) {
	onEach(t, func(t *testing.T, h *house) {
		var w witness
		o := h.outbox(w.consumer("c", "x"))
		o.SetLooks(time.Millisecond, time.Millisecond)
		h.run(o)
		for tenant := range int32(3) {
			h.enqueue(o, tenant+1, "x", "a")
		}
		w.await(t, "1 x a", "2 x a", "3 x a")
		await(t, "no tenant is looked at", func() bool { return o.Hot() == 0 })
		h.enqueue(o, 2, "x", "b")
		w.await(t, "1 x a", "2 x a", "2 x b", "3 x a")
	})
}

func TestFlush_PublishesBeforeTheProcessEnds(t *testing.T) {
	onEach(t, func(t *testing.T, h *house) {
		var w witness
		o := h.outbox(w.consumer("c", "x"))
		end := h.run(o)
		end()
		h.enqueue(o, 1, "x", "late")
		if err := o.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := h.rows(1, "outbox_event"); n != 0 {
			t.Errorf("%d events are left", n)
		}
		h.run(h.outbox(w.consumer("c", "x")))
		w.await(t, "1 x late")
	})
}

func TestConsumer_OfATenantThatIsGoneDropsIt(t *testing.T) {
	onEach(t, func(t *testing.T, h *house) {
		var w witness
		o := h.outbox(w.consumer("c", "x"))
		h.enqueue(o, 3, "x", "gone")
		h.enqueue(o, 3, "x", "gone too")
		if err := o.Flush(t.Context()); err != nil { // published, and nobody consumes yet
			t.Fatal(err)
		}
		h.all = h.all[:2]
		o = h.outbox(w.consumer("c", "x"))
		h.enqueue(o, 1, "x", "a")
		h.run(o)
		w.await(t, "1 x a")
		await(t, "the stream is empty", func() bool { n, err := h.bus.Pending(t.Context(), "WARD_EVENTS"); return err == nil && n == 0 })
		w.await(t, "1 x a")
	})
}

// TestBus_KilledAndBack enqueues while the NATS server is killed and started again: nothing is lost, nothing has to be done.
func TestBus_KilledAndBack(t *testing.T) {
	t.Parallel()
	server := bustest.NewServer(t)
	b, err := bus.Connect(bus.Config{URL: server.URL()}, bus.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close(context.WithoutCancel(t.Context())) })
	h := newHouse(t, dbtest.SQLite(t), b)
	var w witness
	o := h.outbox(w.consumer("c", "x"))
	h.run(o)
	var want []string
	for round := range 3 {
		for i := range 20 {
			data := fmt.Sprint(round, " ", i)
			want = append(want, "1 x "+data)
			h.enqueue(o, 1, "x", data)
			switch {
			case i == 5:
				server.Start()
			case i == 15 && round < 2:
				server.Kill()
			}
		}
	}
	w.await(t, want...)
}

type meter struct{ enqueued, published, messages, handled atomic.Int64 }

func (m *meter) Enqueued(n int) { m.enqueued.Add(int64(n)) }
func (m *meter) Published(events, messages int) {
	m.published.Add(int64(events))
	m.messages.Add(int64(messages))
}
func (m *meter) Handled(string, string, time.Duration) { m.handled.Add(1) }
