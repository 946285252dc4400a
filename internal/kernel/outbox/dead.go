package outbox

import (
	"context"
	"strings"
	"time"

	"ward/internal/backend/bus"
	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/kernel/module"
)

// DeadEvent is an event that a consumer could not handle.
type DeadEvent struct {
	module.Event
	Consumer string
	Cause    string // what the last attempt returned, at most 500 bytes
	Attempts int
	Died     time.Time
}

const causeBytes = 500

// bury puts a message's events into the tenant's outbox_dead.
func (o *Outbox) bury(ctx context.Context, c *consumer, m bus.Message, cause error) error {
	tenant, subject, events, err := o.open(ctx, c, m)
	if err != nil || len(events) == 0 {
		if fault.Is(err, fault.CodeInternal) { // not even readable: nobody can replay it
			o.deps.Logger.ErrorContext(ctx, "outbox: a message that can't be read is dropped", "consumer", c.Name, "subject", m.Subject, "bytes", len(m.Data), "error", err)
			return nil
		}
		return err
	}
	text := strings.ToValidUTF8(cause.Error()[:min(len(cause.Error()), causeBytes)], "")
	n := len(events)
	var (
		ids, data       = make([][]byte, n), make([][]byte, n)
		consumers       = make([]string, n)
		subjects, texts = make([]string, n), make([]string, n)
		attempts, at    = make([]int64, n), make([]int64, n)
	)
	for i, e := range events {
		ids[i], data[i], consumers[i], subjects[i], texts[i] = e.id[:], e.data, c.Name, subject, text
		attempts[i], at[i] = int64(m.Attempt), o.deps.Clock.Now().UnixMilli()
		o.deps.Metrics.Handled(c.Name, "dead", 0)
		o.deps.Logger.ErrorContext(ctx, "outbox: an event is dead: list the dead ones and replay it when the cause is gone",
			"consumer", c.Name, "tenant", tenant.ID, "event", e.id.String(), "attempts", m.Attempt, "error", cause)
	}
	return o.deps.DB.Write(scope.WithTenant(ctx, tenant), func(ctx context.Context, tx db.Tx) error {
		_, err := tx.Upsert(ctx, "outbox_dead", []string{"consumer", "id"}, db.Col("consumer", consumers), db.Col("id", ids), db.Col("subject", subjects),
			db.Col("data", data), db.Col("cause", texts), db.Col("attempts", attempts), db.Col("at", at))
		return err
	})
}

// Dead lists the dead events of the scope's tenant, those of a consumer or, for an empty name, of all: oldest first within a consumer, up to limit, those after
// the one given (nil for the first).
func (o *Outbox) Dead(ctx context.Context, consumer string, after *DeadEvent, limit int) (dead []DeadEvent, err error) {
	defer fault.Op(&err, "outbox.Dead", consumer)
	s, _ := scope.From(ctx)
	afterConsumer, afterID := "", []byte{}
	if after != nil {
		id, err := parseEventID(after.ID)
		if err != nil {
			return nil, err
		}
		afterConsumer, afterID = after.Consumer, id[:]
	}
	err = o.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) error {
		dead = nil
		return q.Query(ctx, `SELECT consumer, id, subject, data, cause, attempts, at FROM outbox_dead
			WHERE (consumer > $1 OR consumer = $1 AND id > $2) AND ($3 = '' OR consumer = $3) ORDER BY consumer, id LIMIT $4`, func(r db.Row) error {
			var id eventID
			copy(id[:], r.Bytes(1))
			data, err := o.unseal(ctx, id, r.Bytes(3))
			dead = append(dead, DeadEvent{
				Event:    module.Event{ID: id.String(), Subject: r.Text(2), Tenant: s.Tenant, Time: id.time(), Data: data},
				Consumer: r.Text(0), Cause: r.Text(4), Attempts: int(r.Int64(5)), Died: time.UnixMilli(r.Int64(6)).UTC(),
			})
			return err
		}, afterConsumer, afterID, consumer, int64(limit))
	})
	return dead, err
}

// Replay hands dead events of the scope's tenant to their consumer again, those with the ids or, without ids, all of the consumer's. It says how many those were. They
// leave the list in the same transaction; one that fails again comes back.
//
// Errors: NotFound for a consumer that is not there, Invalid for an id that is not one.
func (o *Outbox) Replay(ctx context.Context, consumer string, ids ...string) (n int, err error) {
	defer fault.Op(&err, "outbox.Replay", consumer)
	known := false
	for i := range o.consumers {
		known = known || o.consumers[i].Name == consumer
	}
	if !known {
		return 0, fault.NotFound("there is no consumer %q", consumer)
	}
	n, err = o.settle(ctx, consumer, ids, true)
	o.Wake(ctx)
	return n, err
}

// Discard forgets dead events of the scope's tenant, those with the ids or, without ids, all of the consumer's. It says how many those were.
//
// Errors: Invalid for an id that is not one.
func (o *Outbox) Discard(ctx context.Context, consumer string, ids ...string) (n int, err error) {
	defer fault.Op(&err, "outbox.Discard", consumer)
	return o.settle(ctx, consumer, ids, false)
}

// settle takes dead events off the list, and puts them into the outbox when they are to come again.
func (o *Outbox) settle(ctx context.Context, consumer string, ids []string, again bool) (n int, err error) {
	chosen := map[eventID]bool{}
	for _, text := range ids {
		id, err := parseEventID(text)
		if err != nil {
			return 0, err
		}
		chosen[id] = true
	}
	err = o.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		var keys, data [][]byte
		var consumers, subjects []string
		err := tx.Query(ctx, "SELECT id, subject, data FROM outbox_dead WHERE consumer = $1 ORDER BY id", func(r db.Row) error {
			if len(chosen) > 0 && !chosen[eventID(r.Bytes(0))] {
				return nil
			}
			keys, data = append(keys, append([]byte{}, r.Bytes(0)...)), append(data, append([]byte{}, r.Bytes(2)...))
			consumers, subjects = append(consumers, consumer), append(subjects, r.Text(1))
			return nil
		}, consumer)
		if n = len(keys); err != nil || n == 0 {
			return err
		}
		if again {
			if _, err := tx.InsertNew(ctx, "outbox_event", db.Col("id", keys), db.Col("consumer", consumers), db.Col("subject", subjects), db.Col("data", data)); err != nil {
				return err
			}
		}
		_, err = tx.Delete(ctx, "outbox_dead", db.Col("consumer", consumers), db.Col("id", keys))
		return err
	})
	if err == nil && again && n > 0 {
		if s, ok := scope.From(ctx); ok {
			o.relays.signal(o, s.Tenant, false)
		}
	}
	return n, err
}
