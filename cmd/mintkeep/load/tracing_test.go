package load

import (
	"testing"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
	"github.com/mintkeep/mintkeep/server/tracing/tracingtest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// Tracing that is off costs less than 1 % of a request, and with one trace in a hundred less than 3 %, whether the collector
// answers or is gone. The servers are measured in turn, at the same rate, and the ratios are of one round.
func TestTracingCost(t *testing.T) {
	wanted(t, "tracing")
	const rate = 1_000 // requests a second
	c := tracingtest.New(t)
	program := processtest.Program(t)
	type server struct {
		*stand
		name string
		base int     // the server that it is compared with
		most float64 // times the cost of that
	}
	var servers []server
	start := func(name string, base int, most float64, program string, environ ...string) {
		redis := storetest.Redis(t)
		servers = append(servers, server{newStandOf(t, program, redis, redis.URL(), environ...), name, base, most})
	}
	off := 0
	if *before != "" {
		start("before", 0, 1, *before)
		off = 1
	}
	start("off", 0, 1.01, program)
	start("1 % of the traces", off, 1.03, program, "OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL)
	start("the same, without a collector", off, 1.03, program, "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1")
	report := newTable("request|server|ms/request|ratio")
	for name, job := range map[string]func(*stand) job{"issue": (*stand).issue, "introspect": (*stand).introspect, "me": (*stand).me} {
		costs, ratios := make([][]float64, len(servers)), make([][]float64, len(servers))
		for range rounds {
			for i, s := range servers {
				o, cost := s.measure(func() *outcome { return open(t, s.addr(), 16, rate, *lasts, job(s.stand)) })
				o.served(t)
				costs[i] = append(costs[i], cost.server)
				ratios[i] = append(ratios[i], cost.server/costs[s.base][len(costs[s.base])-1])
			}
		}
		for i, s := range servers {
			ratio := median(ratios[i])
			report.add("%s|%s|%.4f|%.3f", name, s.name, median(costs[i]), ratio)
			if ratio > s.most {
				t.Errorf("%s, %s: %.3f times the cost, want at most %v", name, s.name, ratio, s.most)
			}
		}
	}
	report.print()
	if c.Posts() == 0 {
		t.Error("the collector has got no spans")
	}
}
