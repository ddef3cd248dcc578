package load

import (
	"testing"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
	"github.com/mintkeep/mintkeep/server/tracing/tracingtest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// Tracing that is off costs less than 1 % of a request, and with one trace in a hundred less than 3 %. The servers are measured in
// turn, at the same rate, and the ratios are of one round.
func TestTracingCost(t *testing.T) {
	wanted(t, "tracing")
	const rate = 1_000 // requests a second
	c := tracingtest.New(t)
	start := func(program string, environ ...string) *stand {
		redis := storetest.Redis(t)
		return newStandOf(t, program, redis, redis.URL(), environ...)
	}
	program := processtest.Program(t)
	off, on := start(program), start(program, "OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL)
	stands, most := []*stand{off, on}, []float64{1, 1.03}
	if *before != "" {
		stands, most = append([]*stand{start(*before)}, stands...), []float64{1, 1.01, 1.03}
	}
	report := newTable("request|server|ms/request|ratio")
	for name, job := range map[string]func(*stand) job{"issue": (*stand).issue, "introspect": (*stand).introspect, "me": (*stand).me} {
		costs, ratios := make([][]float64, len(stands)), make([][]float64, len(stands))
		for range rounds {
			for i, s := range stands {
				o, cost := s.measure(func() *outcome { return open(t, s.addr(), 16, rate, *lasts, job(s)) })
				o.served(t)
				costs[i] = append(costs[i], cost.server)
			}
			for i := range stands {
				base := max(0, min(i-1, len(stands)-2)) // of on it is off, and of off the one before
				ratios[i] = append(ratios[i], costs[i][len(costs[i])-1]/costs[base][len(costs[base])-1])
			}
		}
		labels := []string{"before", "off", "1 % of the traces"}[3-len(stands):]
		for i := range stands {
			ratio := median(ratios[i])
			report.add("%s|%s|%.4f|%.3f", name, labels[i], median(costs[i]), ratio)
			if ratio > most[i] {
				t.Errorf("%s, %s: %.3f times the cost, want at most %v", name, labels[i], ratio, most[i])
			}
		}
	}
	report.print()
	if c.Posts() == 0 {
		t.Error("the collector has got no spans")
	}
}
