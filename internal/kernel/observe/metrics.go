package observe

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics is the process's registry. Packages register their own collectors in it.
type Metrics struct {
	*prometheus.Registry
}

// NewMetrics is a registry that has the Go runtime's and the process's metrics.
func NewMetrics() *Metrics {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return &Metrics{Registry: r}
}

// Seconds is a histogram of durations: native buckets, each 10 % wider than the one before, and a few classic ones for
// scrapers that only read text. Labels must come from small fixed sets.
func (m *Metrics) Seconds(name, help string, labels ...string) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: name, Help: help,
		Buckets:                        []float64{0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 10},
		NativeHistogramBucketFactor:    1.1,
		NativeHistogramMaxBucketNumber: 100,
	}, labels)
	m.MustRegister(h)
	return h
}

// Counter is a count of events. Labels must come from small fixed sets.
func (m *Metrics) Counter(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	m.MustRegister(c)
	return c
}

// Gauge is a value that goes up and down. Labels must come from small fixed sets.
func (m *Metrics) Gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	m.MustRegister(g)
	return g
}

// GaugeFunc is a value that is asked for when it is scraped.
func (m *Metrics) GaugeFunc(name, help string, value func() float64) {
	m.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
}

// Handler answers a scrape, as text or protobuf with native histograms.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.Registry, promhttp.HandlerOpts{EnableOpenMetrics: true, MaxRequestsInFlight: 3})
}
