package outbox

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"

	"ward/internal/backend/bus"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/kernel/module"
)

// Consume runs all consumers until ctx ends, and returns when the work in hand is done.
func (o *Outbox) Consume(ctx context.Context) error {
	pause := pauseLeast
	for len(o.consumers) > 0 && ctx.Err() == nil && o.prepare(ctx) != nil { // the stream must be there before its consumers
		sleep(ctx, pause)
		pause = min(2*pause, pauseMost)
	}
	var running sync.WaitGroup
	errs := make([]error, len(o.consumers))
	for i := range o.consumers {
		running.Go(func() { errs[i] = o.deps.Bus.Consume(ctx, o.busConsumer(&o.consumers[i])) })
	}
	running.Wait()
	<-ctx.Done()
	return errors.Join(errs...)
}

func (o *Outbox) busConsumer(c *consumer) bus.Consumer {
	return bus.Consumer{
		Stream: stream, Name: c.durable, Subject: subjectPrefix + "*." + c.Subject, Concurrency: o.config.Concurrency, Backoff: o.config.Backoff,
		Handle: func(ctx context.Context, m bus.Message) error { return o.handle(ctx, c, m) },
		Dead:   func(ctx context.Context, m bus.Message, cause error) error { return o.bury(ctx, c, m, cause) },
	}
}

// open reads a message: whose it is, and what is in it. A message for another consumer, or of a tenant that is gone, is nothing.
func (o *Outbox) open(ctx context.Context, c *consumer, m bus.Message) (tenant scope.Tenant, subject string, events []enclosed, err error) {
	if only := m.Header[consumerHeader]; only != "" && only != c.Name {
		return tenant, "", nil, nil
	}
	number, subject, ok := strings.Cut(strings.TrimPrefix(m.Subject, subjectPrefix), ".")
	id, err := strconv.ParseInt(number, 10, 32)
	if err != nil || !ok {
		return tenant, "", nil, fault.Internal("the subject %s names no tenant", m.Subject)
	}
	if events, err = decodeEnvelope(m.Data); err != nil {
		return tenant, "", nil, err
	}
	tenant, there, err := o.tenants.find(ctx, int32(id), o.deps.Tenants)
	if err != nil {
		return tenant, "", nil, err
	}
	if !there {
		o.deps.Logger.WarnContext(ctx, "outbox: events of a tenant that is not there are dropped", "tenant", id, "consumer", c.Name, "events", len(events))
		return tenant, "", nil, nil
	}
	return tenant, subject, events, nil
}

// handle gives a message's events to their consumer. Of many events, those that failed, or all when the message comes again because a process
// died with it, are published anew, each by itself.
func (o *Outbox) handle(ctx context.Context, c *consumer, m bus.Message) error {
	tenant, subject, events, err := o.open(ctx, c, m)
	if err != nil {
		return err
	}
	if len(events) == 1 {
		return o.handleOne(ctx, c, tenant, subject, events[0])
	}
	failed := events
	if m.Attempt == 1 {
		failed = nil
		for _, e := range events {
			if err := o.handleOne(ctx, c, tenant, subject, e); err != nil {
				failed = append(failed, e)
			}
		}
	}
	if len(failed) == 0 {
		return nil
	}
	letters := make([]bus.Message, len(failed))
	for i, e := range failed {
		letters[i] = letter(tenant, []waiting{{id: e.id, subject: subject, data: e.data, consumer: c.Name}})
		letters[i].ID = e.id.String() + "." + c.Name + ".alone"
	}
	return errors.Join(o.deps.Bus.PublishAll(ctx, letters)...)
}

func (o *Outbox) handleOne(ctx context.Context, c *consumer, tenant scope.Tenant, subject string, e enclosed) (err error) {
	began := o.deps.Clock.Now()
	defer func() {
		if p := recover(); p != nil {
			err = fault.Internal("panic").With(fmt.Errorf("%v\n%s", p, debug.Stack()))
		}
		outcome := "ok"
		if err != nil {
			outcome = "failed"
			o.deps.Logger.WarnContext(ctx, "outbox: an event was not handled", "consumer", c.Name, "tenant", tenant.ID, "event", e.id.String(), "error", err)
		}
		o.deps.Metrics.Handled(c.Name, outcome, o.deps.Clock.Now().Sub(began))
	}()
	ctx = scope.WithTenant(ctx, tenant)
	data, err := o.unseal(ctx, e.id, e.data)
	if fault.Is(err, fault.CodeGone) {
		o.deps.Logger.WarnContext(ctx, "outbox: an event of a tenant whose keys were destroyed is dropped", "tenant", tenant.ID, "consumer", c.Name)
		return nil
	}
	if err != nil {
		return err
	}
	return c.Handle(ctx, module.Event{ID: e.id.String(), Subject: subject, Tenant: tenant, Time: e.id.time(), Data: data})
}

// tenants are the tenants by number.
type tenants struct {
	mu   sync.Mutex
	byID map[int32]scope.Tenant
}

func (t *tenants) find(ctx context.Context, id int32, all func(context.Context) ([]scope.Tenant, error)) (scope.Tenant, bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if found, ok := t.byID[id]; ok {
		return found, true, nil
	}
	list, err := all(ctx)
	if err != nil {
		return scope.Tenant{}, false, err
	}
	t.byID = make(map[int32]scope.Tenant, len(list))
	for _, one := range list {
		t.byID[one.ID] = one
	}
	found, ok := t.byID[id]
	return found, ok, nil
}
