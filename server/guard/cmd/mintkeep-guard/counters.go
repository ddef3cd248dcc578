package main

import (
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/mintkeep/mintkeep/server/guard"
)

// counters counts refusals by their reasons, of which there are few.
type counters struct {
	mu      sync.Mutex
	refused map[string]uint64
}

func newCounters() *counters { return &counters{refused: map[string]uint64{}} }

func (c *counters) observe(e guard.Event) {
	if e.Kind != guard.Refused {
		return
	}
	c.mu.Lock()
	c.refused[e.Reason]++
	c.mu.Unlock()
}

// write writes the metrics in the text format of Prometheus.
func (c *counters) write(w io.Writer, s guard.Stats) {
	metric := func(name, kind, help string, value any) {
		_, _ = fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n%s %v\n", name, help, name, kind, name, value)
	}
	current := 0
	if s.State == guard.Current {
		current = 1
	}
	metric("mintkeep_guard_current", "gauge", "1 while checks are answered from memory.", current)
	metric("mintkeep_guard_entries", "gauge", "Credentials that are remembered.", s.Entries)
	metric("mintkeep_guard_hits_total", "counter", "Checks that were answered from memory.", s.Hits)
	metric("mintkeep_guard_asks_total", "counter", "Questions to Mintkeep.", s.Asks)
	metric("mintkeep_guard_voids_total", "counter", "Things of which Mintkeep said to forget what depends on them.", s.Voids)
	metric("mintkeep_guard_resets_total", "counter", "How often everything was forgotten.", s.Resets)
	metric("mintkeep_guard_served_total", "counter", "Checks that let a request through.", s.Served)
	const name = "mintkeep_guard_refused_total"
	_, _ = fmt.Fprintf(w, "# HELP %s Checks that did not, by their reason.\n# TYPE %s counter\n", name, name)
	c.mu.Lock()
	defer c.mu.Unlock()
	reasons := make([]string, 0, len(c.refused))
	for reason := range c.refused {
		reasons = append(reasons, reason)
	}
	slices.Sort(reasons)
	for _, reason := range reasons {
		_, _ = fmt.Fprintf(w, "%s{reason=%q} %d\n", name, reason, c.refused[reason])
	}
}
