package web

import (
	"runtime/metrics"
	"time"
)

const (
	// scheduleLooked is how often the runtime is asked, which takes 3 µs.
	scheduleLooked = 20 * time.Millisecond
	// fewWaits are too few to tell anything from. The runtime notes each eighth.
	fewWaits = 16
)

// schedule knows how long goroutines that could run wait until they do.
type schedule struct {
	looked time.Time
	sample [1]metrics.Sample
	before []uint64 // the counts of the time before
	late   bool
}

// behind is whether, when it was looked at last, one in ten had waited longer than behindAfter. The other nine in ten are
// no measure: who is woken by the one that runs just now goes next, however long the queue is.
func (s *schedule) behind(now time.Time) bool {
	if now.Sub(s.looked) < scheduleLooked {
		return s.late
	}
	s.looked = now
	s.sample[0].Name = "/sched/latencies:seconds"
	metrics.Read(s.sample[:])
	waits := s.sample[0].Value.Float64Histogram()
	if s.before == nil { // all since the process began
		s.before = make([]uint64, len(waits.Counts))
		copy(s.before, waits.Counts)
		return false
	}
	var all, long uint64
	for i, n := range waits.Counts {
		n, s.before[i] = n-s.before[i], n
		all += n
		if waits.Buckets[i] >= behindAfter.Seconds() {
			long += n
		}
	}
	s.late = all >= fewWaits && long*10 > all
	return s.late
}
