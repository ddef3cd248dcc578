package tracing

import (
	"cmp"
	"context"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/mintkeep/mintkeep/store/redisdb"
)

// Begin begins a span within the request that ctx belongs to, and returns the function that ends it. It costs next to nothing
// if the request is not sampled.
func Begin(ctx context.Context, name string) (end func()) {
	span := child(ctx, name, trace.SpanKindInternal)
	if span == nil {
		return func() {}
	}
	return func() { span.End() }
}

// child is nil if the span that ctx belongs to is not recorded, or there is none.
func child(ctx context.Context, name string, kind trace.SpanKind, attributes ...attribute.KeyValue) trace.Span {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return nil
	}
	_, span := parent.TracerProvider().Tracer(scope).Start(ctx, name, trace.WithSpanKind(kind), trace.WithAttributes(attributes...))
	return span
}

// RoundTrips is for store.Options.Trace: nil without tracing, so that then no hook is added.
func (t *Tracer) RoundTrips() func(context.Context, redisdb.RoundTrip) (end func(error)) {
	if t == nil {
		return nil
	}
	return roundTrip
}

// roundTrip begins the span of a round trip to Redis; end is nil if the request is not sampled.
func roundTrip(ctx context.Context, r redisdb.RoundTrip) (end func(error)) {
	if !trace.SpanFromContext(ctx).IsRecording() { // before the names are gathered
		return nil
	}
	names := r.Commands()
	attributes := []attribute.KeyValue{
		attribute.String("db.system.name", "redis"),
		attribute.String("db.operation.name", strings.Join(names, " ")),
		attribute.String("server.address", r.Server),
	}
	name := "redis pipeline"
	if r.Count() == 1 {
		name = "redis " + names[0]
	} else {
		attributes = append(attributes, attribute.Int("db.operation.batch.size", r.Count()))
	}
	if r.Shared {
		attributes = append(attributes, attribute.Bool("mintkeep.redis.shared", true))
	}
	span := child(ctx, name, trace.SpanKindClient, attributes...)
	return func(err error) {
		if err != nil { // its text may have what was stored
			span.SetAttributes(attribute.String("error.type", cmp.Or(redisdb.ErrorPrefix(err), "unavailable")))
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}
