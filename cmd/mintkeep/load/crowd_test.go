package load

import (
	"testing"

	"github.com/mintkeep/mintkeep/store/storetest"
)

// Two thousand connections, all of which want an answer at once and then another: all are served.
func TestConnections(t *testing.T) {
	wanted(t, "connections")
	s := newStand(t, storetest.Redis(t))
	report := newTable("request|connections|requests/s|p50 ms|p99 ms|slowest ms|memory MiB|files")
	defer report.print()
	for _, it := range []struct {
		name string
		job  job
	}{{"issue", s.issue()}, {"introspect", s.introspect()}, {"me, by key", s.me()}} {
		for _, conns := range []int{32, 2_000} {
			o, _ := s.measure(func() *outcome { return closed(t, s.addr(), conns, *lasts, it.job) })
			o.served(t)
			u := s.server.Usage(t)
			report.add("%s|%d|%.0f|%s|%s|%s|%s|%d", it.name, conns, o.perSecond(), ms(percentile(o.good, 50)),
				ms(percentile(o.good, 99)), ms(percentile(o.good, 100)), mib(u.Resident), u.Files)
		}
	}
}

// Two servers on one Redis serve what one does, or more where there are processors for it.
func TestReplicas(t *testing.T) {
	wanted(t, "replicas")
	redis := storetest.Redis(t)
	a, b := newStand(t, redis), newStand(t, redis)
	report := newTable("request|servers|requests/s|ms/request|with Redis")
	defer report.print()
	for _, it := range []struct {
		name string
		a, b job
	}{{"issue", a.issue(), b.issue()}, {"introspect", a.introspect(), b.introspect()}} {
		one, c := a.measure(func() *outcome { return closed(t, a.addr(), 32, *lasts, it.a) })
		one.served(t)
		report.add("%s|1|%.0f|%.3f|%.3f", it.name, one.perSecond(), c.server, c.total())
		two, c := both(t, a, b, it.a, it.b)
		two.served(t)
		report.add("%s|2|%.0f|%.3f|%.3f", it.name, two.perSecond(), c.server, c.total())
	}
}

// both loads two servers on one Redis at the same time, with sixteen connections each.
func both(t *testing.T, a, b *stand, j, k job) (*outcome, cost) {
	t.Helper()
	server, redis := a.server.Usage(t).CPU+b.server.Usage(t).CPU, a.redisUsage().CPU
	other := make(chan *outcome)
	go func() { other <- closed(b.tb, b.addr(), 16, *lasts, k) }()
	o := closed(t, a.addr(), 16, *lasts, j)
	o.add(<-other)
	return o, perRequest(o, a.server.Usage(t).CPU+b.server.Usage(t).CPU-server, a.redisUsage().CPU-redis)
}
