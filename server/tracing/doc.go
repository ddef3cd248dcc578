// Package tracing makes the spans of OpenTelemetry, and is its only importer.
//
//	[New]                a [Tracer] as the variables of OpenTelemetry say; nil if they say nothing: then nothing is traced
//	[Tracer.Start]       the span of a request, in server/web
//	[Request.End]        with the status, the error code and the reason of a rejection
//	[Tracer.RoundTrips]  the round trips to Redis within it, for store.Options.Trace
//	[Begin]              any other part of it, such as a signature
//
// An attribute is one of those that are set here, by name: a route and never a path, the names of Redis commands and never a
// key or an argument. So no span has a client id, the id of a credential, an address, a query or a header of the caller.
//
// The traceparent of a trusted proxy is continued. Any other caller's begins a new trace, which has a link to it: a stranger must
// not decide what is sampled, nor add to a trace that is not theirs. A tracestate is dropped, since it is text of the caller's.
//
// Spans wait in a bounded queue for the exporter, and are dropped when it is full. No request waits for the exporter.
package tracing
