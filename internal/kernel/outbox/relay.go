package outbox

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"ward/internal/backend/bus"
	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
)

const (
	relayRows        = 512 // rows taken at once
	envelopeEvents   = 128 // in one message
	envelopeBytes    = 256 << 10
	publishersAtOnce = 4 // tenants
	pauseLeast       = 100 * time.Millisecond
	pauseMost        = 5 * time.Second
)

// looks are the pauses after which a tenant is looked at again when nothing was found: an event is enqueued before its transaction commits. After
// the last the tenant is idle.
func looks() []time.Duration {
	return []time.Duration{2 * time.Millisecond, 10 * time.Millisecond, 50 * time.Millisecond, 250 * time.Millisecond, time.Second, 5 * time.Second, 20 * time.Second}
}

// relays are the tenants that have, or may soon have, events to publish. Each has a goroutine while that is so.
type relays struct {
	publishing chan struct{} // places

	mu      sync.Mutex
	at      map[int32]*relay
	running context.Context //nolint:containedctx // nil while the relay does not run
	work    sync.WaitGroup
}

type relay struct {
	tenant scope.Tenant
	soon   bool // signalled since the last look began
	owed   bool // something was enqueued and nothing was found since: its transaction is slow, or was rolled back
	begun  bool // has its goroutine
	wake   chan struct{}
}

// signal has a tenant looked at soon. known is for a tenant that has nothing if it is not among those that are looked at.
func (r *relays) signal(o *Outbox, tenant scope.Tenant, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.at[tenant.ID]
	switch {
	case t == nil && known:
		return
	case t == nil:
		t = &relay{tenant: tenant, wake: make(chan struct{}, 1)}
		r.at[tenant.ID] = t
	case t.soon:
		return
	}
	t.soon, t.owed = true, t.owed || !known
	r.start(o, t)
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// start is called with the lock held.
func (r *relays) start(o *Outbox, t *relay) {
	if r.running == nil || t.begun {
		return
	}
	t.begun = true
	ctx := r.running
	r.work.Go(func() { o.relayTenant(ctx, t) })
}

// Relay publishes the events of this process's transactions, and sweeps for what others left, until ctx ends. What is still waiting then is
// published by [Outbox.Flush], or by the next process.
func (o *Outbox) Relay(ctx context.Context) error {
	if len(o.consumers) == 0 {
		<-ctx.Done()
		return nil
	}
	r := &o.relays
	r.mu.Lock()
	r.running = ctx
	for _, t := range r.at {
		r.start(o, t)
	}
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.running = nil
		r.mu.Unlock()
		r.work.Wait()
	}()
	for ctx.Err() == nil {
		err := o.sweep(ctx)
		next := o.config.SweepEvery
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			o.deps.Logger.WarnContext(ctx, "outbox: a sweep failed and is made again", "error", err)
			next = min(next, 10*time.Second)
		case o.deps.DB.Dialect().Name == db.SQLite:
			<-ctx.Done() // nobody else writes here, and what this process enqueues it knows
			return nil
		}
		sleep(ctx, next)
	}
	return nil
}

// sweep looks once at every tenant, slowly.
func (o *Outbox) sweep(ctx context.Context) (failed error) {
	tenants, err := o.deps.Tenants(ctx)
	if err != nil {
		return err
	}
	tick := time.NewTicker(time.Second / time.Duration(o.config.SweepRate))
	defer tick.Stop()
	for _, t := range tenants {
		waiting := false
		err := o.deps.DB.Read(scope.WithTenant(ctx, t), func(ctx context.Context, q db.Querier) error {
			return q.Query(ctx, "SELECT 1 FROM outbox_event LIMIT 1", func(db.Row) error { waiting = true; return db.Stop })
		})
		if err != nil { // the others are looked at nevertheless
			failed = fmt.Errorf("tenant %d: %w", t.ID, err)
		}
		if waiting {
			o.relays.signal(o, t, false)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
	return failed
}

// relayTenant publishes a tenant's events until it is idle.
func (o *Outbox) relayTenant(ctx context.Context, t *relay) {
	look, pause := 0, pauseLeast
	for ctx.Err() == nil {
		n, err := o.publishAll(ctx, t)
		wait := o.looks[look]
		switch {
		case err != nil:
			if ctx.Err() == nil {
				o.deps.Logger.WarnContext(ctx, "outbox: events can't be published and are tried again", "tenant", t.tenant.ID, "pause", pause, "error", err)
			}
			wait, pause = pause, min(2*pause, pauseMost)
			sleep(ctx, wait) // signals don't shorten it: the bus or the database is away
			continue
		case n > 0:
			look, pause = 0, pauseLeast
			sleep(ctx, o.looks[0]) // more will come: let some gather
			continue
		case look == len(o.looks)-1:
			if o.relays.rest(t) {
				return
			}
			look = 0
			continue
		default:
			look++
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-t.wake:
			look = 0
		case <-timer.C:
		}
		timer.Stop()
	}
	o.relays.mu.Lock()
	t.begun = false
	o.relays.mu.Unlock()
}

// rest lets an idle tenant go, unless it was signalled meanwhile. What is owed to it is remembered for Wake.
func (r *relays) rest(t *relay) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t.soon {
		return false
	}
	t.begun = false
	if !t.owed {
		delete(r.at, t.tenant.ID)
	}
	return true
}

// looking notes that what is signalled from now on will not be seen by the look that begins. The function it returns is told what was found.
func (r *relays) looking(t *relay) (found func(n int)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	owed := t.owed
	t.soon, t.owed = false, false
	return func(n int) {
		r.mu.Lock()
		defer r.mu.Unlock()
		t.owed = t.owed || owed && n == 0
	}
}

// Flush publishes what waits in the outboxes of the tenants that this process wrote to, and returns when it is done, or with the error that
// stopped it. It is called when the process drains, after the last transaction and before the bus closes.
func (o *Outbox) Flush(ctx context.Context) error {
	if len(o.consumers) == 0 {
		return nil
	}
	o.relays.mu.Lock()
	var all []*relay
	for _, t := range o.relays.at {
		all = append(all, t)
	}
	o.relays.mu.Unlock()
	for _, t := range all {
		if _, err := o.publishAll(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

// publishAll publishes until the tenant's outbox is empty, and says how many events those were.
func (o *Outbox) publishAll(ctx context.Context, t *relay) (total int, err error) {
	select {
	case o.relays.publishing <- struct{}{}:
		defer func() { <-o.relays.publishing }()
	case <-ctx.Done():
		return 0, ctx.Err() //nolint:wrapcheck // the caller's own
	}
	ctx = scope.WithTenant(ctx, t.tenant)
	for {
		found := o.relays.looking(t)
		n, err := o.publishSome(ctx, t.tenant)
		found(n)
		total += n
		if err != nil || n < relayRows {
			return total, err
		}
	}
}

type waiting struct {
	id                eventID
	consumer, subject string
	data              []byte
}

// publishSome takes up to relayRows events, publishes them and deletes those that the stream has.
func (o *Outbox) publishSome(ctx context.Context, tenant scope.Tenant) (n int, err error) {
	if o.deps.DB.Dialect().Name == db.PostgreSQL {
		err = o.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
			rows, err := take(ctx, tx, " FOR UPDATE SKIP LOCKED")
			if n = len(rows); err != nil || n == 0 {
				return err
			}
			kept, publishErr := o.publish(ctx, tenant, rows)
			if len(kept) == 0 {
				return publishErr
			}
			return remove(ctx, tx, kept) // the others stay; the next look meets the error again
		})
		return n, err
	}
	var rows []waiting
	err = o.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) (err error) {
		rows, err = take(ctx, q, "")
		return err
	})
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	kept, publishErr := o.publish(ctx, tenant, rows)
	if len(kept) > 0 {
		err = o.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error { return remove(ctx, tx, kept) })
		if err != nil {
			return 0, err
		}
	}
	return len(kept), publishErr
}

func take(ctx context.Context, q db.Querier, lock string) (rows []waiting, err error) {
	err = q.Query(ctx, "SELECT id, consumer, subject, data FROM outbox_event ORDER BY id LIMIT "+strconv.Itoa(relayRows)+lock, func(r db.Row) error {
		w := waiting{consumer: r.Text(1), subject: r.Text(2), data: append([]byte{}, r.Bytes(3)...)}
		if copy(w.id[:], r.Bytes(0)) != len(w.id) {
			return fault.Internal("an event's id has not 16 bytes")
		}
		rows = append(rows, w)
		return nil
	})
	return rows, err
}

func remove(ctx context.Context, tx db.Tx, rows []waiting) error {
	ids, consumers := make([][]byte, len(rows)), make([]string, len(rows))
	for i := range rows {
		ids[i], consumers[i] = rows[i].id[:], rows[i].consumer
	}
	_, err := tx.Delete(ctx, "outbox_event", db.Col("id", ids), db.Col("consumer", consumers))
	return err
}

// publish sends the rows in as few messages as it can and gives those that the stream has.
func (o *Outbox) publish(ctx context.Context, tenant scope.Tenant, rows []waiting) (kept []waiting, err error) {
	if err := o.prepare(ctx); err != nil {
		return nil, err
	}
	groups := envelopes(rows)
	messages := make([]bus.Message, len(groups))
	for i, g := range groups {
		messages[i] = letter(tenant, g)
	}
	for i, messageErr := range o.deps.Bus.PublishAll(ctx, messages) {
		if messageErr != nil {
			err = messageErr
			continue
		}
		kept = append(kept, groups[i]...)
	}
	if err != nil {
		o.ready.Store(false) // perhaps the server lost its streams
	}
	if len(kept) > 0 {
		o.deps.Metrics.Published(len(kept), len(messages))
	}
	return kept, err
}

// envelopes puts rows of one subject and consumer together.
func envelopes(rows []waiting) (groups [][]waiting) {
	type kind struct{ subject, consumer string }
	open := map[kind]int{}
	sizes := []int{}
	for _, w := range rows {
		k := kind{w.subject, w.consumer}
		i, ok := open[k]
		if !ok || len(groups[i]) == envelopeEvents || sizes[i]+len(w.data) > envelopeBytes {
			i = len(groups)
			open[k] = i
			groups, sizes = append(groups, nil), append(sizes, 0)
		}
		groups[i] = append(groups[i], w)
		sizes[i] += len(w.data) + 24
	}
	return groups
}

const consumerHeader = "Ward-Consumer"

// letter is the message of events of one subject. Its id is that of its first event: published again after a crash it is one message, and where it then
// holds others too, the consumers' idempotence takes over.
func letter(tenant scope.Tenant, events []waiting) bus.Message {
	inside := make([]enclosed, len(events))
	for i, w := range events {
		inside[i] = enclosed{w.id, w.data}
	}
	m := bus.Message{
		ID:      events[0].id.String() + "." + strconv.Itoa(len(events)),
		Subject: subjectPrefix + strconv.Itoa(int(tenant.ID)) + "." + events[0].subject,
		Data:    encodeEnvelope(inside),
	}
	if c := events[0].consumer; c != "" {
		m.Header = map[string]string{consumerHeader: c}
		if fresh, err := newEventID(); err == nil {
			m.ID = fresh.String() // somebody asked for it to come again
		}
	}
	return m
}

// prepare makes the stream and every durable consumer, so that no event is published before all who want it are known to the server.
func (o *Outbox) prepare(ctx context.Context) error {
	if o.ready.Load() {
		return nil
	}
	o.preparing.Lock()
	defer o.preparing.Unlock()
	if o.ready.Load() {
		return nil
	}
	if err := o.deps.Bus.Ensure(ctx, bus.Stream{Name: stream, Subjects: []string{subjectPrefix + ">"}, MaxBytes: o.config.StreamBytes}); err != nil {
		return err
	}
	for i := range o.consumers {
		if err := o.deps.Bus.Prepare(ctx, o.busConsumer(&o.consumers[i])); err != nil {
			return err
		}
	}
	o.ready.Store(true)
	return nil
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
