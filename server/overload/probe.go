package overload

import (
	"runtime/metrics"
	"time"
)

const (
	// probeInterval is how often the runtime is asked, which takes 3 µs.
	probeInterval = 20 * time.Millisecond
	// maxLatency is how long a runnable goroutine waits for a processor before it counts as delayed.
	maxLatency = 2 * time.Millisecond
	// minSamples are needed for a verdict. The runtime samples one wait in eight.
	minSamples = 16
)

// latencyProbe measures how long runnable goroutines wait for a processor.
type latencyProbe struct {
	asked   time.Time
	sample  [1]metrics.Sample
	counts  []uint64 // of the histogram, at the last interval
	delayed bool
}

// overloaded is whether one goroutine in ten waited longer than maxLatency in the last interval. The other nine are no
// measure: a goroutine that is woken by a running one runs next, however long the queue is.
func (p *latencyProbe) overloaded(now time.Time) bool {
	if now.Sub(p.asked) < probeInterval {
		return p.delayed
	}
	p.asked = now
	p.sample[0].Name = "/sched/latencies:seconds"
	metrics.Read(p.sample[:])
	waits := p.sample[0].Value.Float64Histogram()
	if p.counts == nil { // the first histogram counts since the start of the process
		p.counts = make([]uint64, len(waits.Counts))
		copy(p.counts, waits.Counts)
		return false
	}
	var all, long uint64
	for i, n := range waits.Counts {
		n, p.counts[i] = n-p.counts[i], n
		all += n
		if waits.Buckets[i] >= maxLatency.Seconds() {
			long += n
		}
	}
	p.delayed = all >= minSamples && long*10 > all
	return p.delayed
}
