package outbox_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"ward/internal/backend/bus"
	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/kernel/module"
)

// TestSealed_NeitherTablesNorMessagesShowAnEvent follows an event through its tables and the stream, and looks for what it carries.
func TestSealed_NeitherTablesNorMessagesShowAnEvent(t *testing.T) {
	onEach(t, func(t *testing.T, h *house) {
		const secret = "Unmistakable/42"
		var w witness
		o := h.outbox(w.consumer("c", "x"), module.Consumer{Name: "never", Subject: "x", Handle: func(context.Context, module.Event) error {
			return errors.New("it fails each time")
		}})
		h.enqueue(o, 1, "x", secret)
		shows := func(table string) (n int) {
			t.Helper()
			err := h.db.Read(h.tenant(1), func(ctx context.Context, q db.Querier) error {
				return q.Query(ctx, "SELECT data FROM "+table, func(r db.Row) error {
					n++
					if bytes.Contains(r.Bytes(0), []byte("Unmistakable")) {
						t.Errorf("%s shows it", table)
					}
					return nil
				})
			})
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		if shows("outbox_event") != 1 {
			t.Error("there is no event")
		}
		messages := make(chan bus.Message, 10)
		h.run(o)
		await(t, "it is dead", func() bool { return h.rows(1, "outbox_dead") == 1 })
		w.await(t, "1 x "+secret)
		go func() {
			_ = h.bus.Consume(t.Context(), bus.Consumer{
				Stream: "WARD_EVENTS", Name: "spy", Subject: "ward.event.>",
				Handle: func(_ context.Context, m bus.Message) error { messages <- m; return nil },
				Dead:   func(context.Context, bus.Message, error) error { return nil },
			})
		}()
		await(t, "the spy listens", func() bool {
			h.enqueue(o, 1, "x", secret)
			return len(messages) > 0
		})
		if m := <-messages; bytes.Contains(m.Data, []byte("Unmistakable")) {
			t.Errorf("the message shows it: %q", m.Data)
		}
		shows("outbox_dead")
		dead, err := o.Dead(h.tenant(1), "never", nil, 1)
		if err != nil || len(dead) != 1 || string(dead[0].Data) != secret {
			t.Errorf("%+v %v", dead, err)
		}
	})
}

// TestSealed_WithoutItsKeysATenantsEventsAreGone: what is in the tables and on its way is dropped, and other tenants' events come.
func TestSealed_WithoutItsKeysATenantsEventsAreGone(t *testing.T) {
	onEach(t, func(t *testing.T, h *house) {
		var w witness
		o := h.outbox(w.consumer("c", "x"))
		h.enqueue(o, 1, "x", "gone")
		h.enqueue(o, 2, "x", "kept")
		if _, err := h.keys.Destroy(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		h.run(o)
		w.await(t, "2 x kept")
		await(t, "the event is dropped", func() bool { return h.rows(1, "outbox_event") == 0 })
		for _, key := range w.keys() {
			if key == "1 x gone" {
				t.Error("the event was handled")
			}
		}
		err := h.db.Write(h.tenant(1), func(ctx context.Context, tx db.Tx) error { return o.Enqueue(ctx, tx, module.Event{Subject: "x"}) })
		if !fault.Is(err, fault.CodeGone) {
			t.Errorf("an event of a tenant without keys: %v", err)
		}
	})
}
