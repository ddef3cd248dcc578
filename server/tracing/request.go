package tracing

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Request is the span of a request. The zero Request has none.
type Request struct{ span trace.Span }

// Start starts the span of r, which matches the pattern route; empty: none. The context is that of r, with the span. trusted is
// whether r comes from a trusted proxy.
func (t *Tracer) Start(r *http.Request, route string, trusted bool) (context.Context, Request) {
	ctx := r.Context()
	if t == nil {
		return ctx, Request{}
	}
	options := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer)}
	if caller := callerOf(r); caller.IsValid() {
		if trusted {
			ctx = trace.ContextWithRemoteSpanContext(ctx, caller)
		} else {
			options = append(options, trace.WithLinks(trace.Link{SpanContext: caller}))
		}
	}
	method := methodOf(r.Method)
	ctx, span := t.tracer.Start(ctx, nameOf(method, route), options...)
	if span.IsRecording() {
		span.SetAttributes(attribute.String("http.request.method", method))
		if route != "" {
			span.SetAttributes(attribute.String("http.route", route))
		}
	}
	return ctx, Request{span}
}

// callerOf is the span of the caller, as its traceparent says (W3C Trace Context §3.2).
func callerOf(r *http.Request) trace.SpanContext {
	if len(r.Header["Traceparent"]) == 0 {
		return trace.SpanContext{}
	}
	ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.HeaderCarrier(r.Header))
	return trace.SpanContextFromContext(ctx).WithTraceState(trace.TraceState{})
}

// methodOf is a method by which spans are named. A caller may send any word.
func methodOf(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodOptions, http.MethodConnect, http.MethodTrace:
		return method
	}
	return "_OTHER" // as the semantic conventions of OpenTelemetry have it
}

func nameOf(method, route string) string {
	if route == "" {
		return method
	}
	return method + " " + route
}

// TraceID is the id of the request's trace, whether or not it is sampled; empty without tracing.
func (q Request) TraceID() string {
	if q.span == nil {
		return ""
	}
	return q.span.SpanContext().TraceID().String()
}

// End ends the span. code is the error code of the answer, and reason why a credential was rejected; both may be empty.
func (q Request) End(status int, code, reason string) {
	if q.span == nil {
		return
	}
	if q.span.IsRecording() {
		q.span.SetAttributes(attribute.Int("http.response.status_code", status))
		if code != "" {
			q.span.SetAttributes(attribute.String("error.type", code))
		}
		if reason != "" {
			q.span.SetAttributes(attribute.String("mintkeep.reason", reason))
		}
		if status >= http.StatusInternalServerError {
			q.span.SetStatus(codes.Error, "")
		}
	}
	q.span.End()
}
