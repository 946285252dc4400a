package app

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ward/internal/base/scope"
	"ward/internal/kernel/module"
	"ward/internal/kernel/observe"
	"ward/internal/kernel/outbox"
	"ward/internal/kernel/tenancy"
)

// buildOutbox makes the outbox of all modules' consumers and adds its module.
func (a *App) buildOutbox() (err error) {
	var consumers []module.Consumer
	for _, m := range a.parts {
		consumers = append(consumers, m.Consumers...)
	}
	a.Outbox, err = outbox.New(outbox.Config{}, outbox.Deps{
		DB: a.Backends.DB, Bus: a.Backends.Bus, Keys: a.Backends.Seal, Clock: a.clock, Logger: a.log, Consumers: consumers, Metrics: newOutboxMeter(a.metrics),
		Tenants: a.allTenants,
	})
	if err != nil {
		return err
	}
	a.parts = append(a.parts, a.Outbox.Module())
	return nil
}

// allTenants lists the tenants that are served here, suspended ones too, for work behind the scenes.
func (a *App) allTenants(ctx context.Context) ([]scope.Tenant, error) {
	list, err := a.Tenants.List(ctx)
	all := make([]scope.Tenant, 0, len(list))
	for _, t := range list {
		if t.Status != tenancy.Deleting && !a.Tenants.Away(t) {
			all = append(all, t.Tenant)
		}
	}
	return all, err
}

// outboxMeter counts what the outbox does.
type outboxMeter struct {
	enqueued, published, messages prometheus.Counter
	handled                       *prometheus.HistogramVec
}

func newOutboxMeter(m *observe.Metrics) *outboxMeter {
	return &outboxMeter{
		enqueued:  m.Counter("ward_outbox_enqueued_total", "Events written into the outbox.").WithLabelValues(),
		published: m.Counter("ward_outbox_published_total", "Events that the bus has.").WithLabelValues(),
		messages:  m.Counter("ward_outbox_messages_total", "Messages that they travelled in.").WithLabelValues(),
		handled:   m.Seconds("ward_outbox_handled_seconds", "Time to handle an event.", "consumer", "outcome"),
	}
}

func (m *outboxMeter) Enqueued(n int) { m.enqueued.Add(float64(n)) }

func (m *outboxMeter) Published(n, messages int) {
	m.published.Add(float64(n))
	m.messages.Add(float64(messages))
}

func (m *outboxMeter) Handled(consumer, outcome string, took time.Duration) {
	m.handled.WithLabelValues(consumer, outcome).Observe(took.Seconds())
}

// guardMeter counts the calls that leave the process.
type guardMeter struct {
	calls    *prometheus.HistogramVec
	breakers *prometheus.GaugeVec
}

func newGuardMeter(m *observe.Metrics) *guardMeter {
	return &guardMeter{
		calls:    m.Seconds("ward_call_seconds", "Time of a call to another server.", "to", "outcome"),
		breakers: m.Gauge("ward_breaker_open", "1 while calls to a server are refused because it failed, 0.5 while it is tried.", "to"),
	}
}

func (m *guardMeter) Called(to, outcome string, took time.Duration) {
	m.calls.WithLabelValues(to, outcome).Observe(took.Seconds())
}

func (m *guardMeter) Breaker(to, state string) {
	value := map[string]float64{"open": 1, "half-open": 0.5}[state]
	m.breakers.WithLabelValues(to).Set(value)
}

// peopleMeter counts what becomes of accounts.
type peopleMeter struct{ activated prometheus.Counter }

func newPeopleMeter(m *observe.Metrics) *peopleMeter {
	return &peopleMeter{activated: m.Counter("ward_activations_total", "Passwords that were hashed in their turn.").WithLabelValues()}
}

func (m *peopleMeter) Activated(n int) { m.activated.Add(float64(n)) }
