package observe

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"ward/internal/base/fault"
)

// TraceOptions say where spans go.
type TraceOptions struct {
	Endpoint string  // OTLP over HTTP, such as "http://collector:4318"; "" turns tracing off
	Ratio    float64 // share of requests without a caller's decision that are traced, 0 to 1
	Service  string  // service.name
	Version  string  // service.version
}

// Traces opens spans and sends them on. A nil *Traces does nothing, which is what tracing turned off is.
type Traces struct {
	trace.Tracer
	provider *sdk.TracerProvider
}

// NewTraces starts the exporter in the background; it does not wait for the collector. It returns nil when no endpoint is
// set, and fault.Invalid when the options can't be.
func NewTraces(ctx context.Context, o TraceOptions) (*Traces, error) {
	if o.Endpoint == "" {
		return nil, nil //nolint:nilnil // tracing turned off
	}
	if o.Ratio < 0 || o.Ratio > 1 {
		return nil, fault.Invalid("the share of traced requests is %v: it must be from 0 to 1", o.Ratio)
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(o.Endpoint), otlptracehttp.WithTimeout(5*time.Second))
	if err != nil {
		return nil, fault.Invalid("the trace endpoint is no URL: write one like http://collector:4318").With(err)
	}
	provider := sdk.NewTracerProvider(
		sdk.WithBatcher(exporter, sdk.WithMaxQueueSize(4096)),
		sdk.WithSampler(sdk.ParentBased(sdk.TraceIDRatioBased(o.Ratio))),
		sdk.WithResource(resource.NewSchemaless(attribute.String("service.name", o.Service), attribute.String("service.version", o.Version))),
	)
	return &Traces{Tracer: provider.Tracer("ward"), provider: provider}, nil
}

// Close sends what is left and stops.
func (t *Traces) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return t.provider.Shutdown(ctx)
}
