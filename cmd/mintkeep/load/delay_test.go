package load

import (
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/store/storetest"
)

// A Redis that is further away costs time and not work: more requests at once make up for the waiting.
func TestDelay(t *testing.T) {
	wanted(t, "delay")
	report := newTable("round trip|request|connections|requests/s|p50 ms|p99 ms|ms of processor a request")
	defer report.print()
	for _, trip := range []time.Duration{0, time.Millisecond, 5 * time.Millisecond} {
		redis := storetest.Redis(t)
		url := redis.URL()
		if trip > 0 {
			url = "redis://" + distant(t, redis.Addr(), trip)
		}
		s := newStandAt(t, redis, url)
		for _, it := range []struct {
			name string
			job  job
		}{{"issue", s.issue()}, {"introspect", s.introspect()}} {
			for _, conns := range []int{1, 8, 32, 128, 512} {
				o, c := s.measure(func() *outcome { return closed(t, s.addr(), conns, *lasts, it.job) })
				o.served(t)
				report.add("%v|%s|%d|%.0f|%s|%s|%.3f", trip, it.name, conns, o.perSecond(),
					ms(percentile(o.good, 50)), ms(percentile(o.good, 99)), c.total())
			}
		}
		s.server.Kill()
	}
}
