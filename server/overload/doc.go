// Package overload is admission control: it keeps the server useful when more requests come than its processors can
// serve.
//
// Without it all requests would be served at once. Each would take longer the more there are, and in the end each would
// be given up by its caller, or run out of its store budget, when most of the work for it was done.
//
// While the processors are overloaded, the [Limiter] lets only so many requests run at once. The others wait, in the order
// in which they came, and before they have cost much. A request that would wait too long is shed at once: its caller can
// ask another replica.
//
// A limit alone would do harm: if Redis is far away, or slow today, a thousand requests may wait for it while the
// processors have nothing to do. So the limit holds only while ready work waits for a processor. The latency probe
// measures that: it reads how long the scheduler of the Go runtime lets runnable goroutines wait. While that is next to
// nothing, no request waits here.
//
// server/web asks the limiter before each handler, but for probes and documents.
package overload
