package main

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

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
	const state = "mintkeep_guard_state"
	_, _ = fmt.Fprintf(w, "# HELP %s 1 for the state of the guard, 0 for the others.\n# TYPE %s gauge\n", state, state)
	for _, one := range []guard.State{guard.Blind, guard.Current, guard.Stale, guard.Misconfigured, guard.Shut} {
		is := 0
		if one == s.State {
			is = 1
		}
		_, _ = fmt.Fprintf(w, "%s{state=%q} %d\n", state, one, is)
	}
	if !s.KnownAt.IsZero() {
		metric("mintkeep_guard_known_age_seconds", "gauge", "How long ago the moment is up to which the guard has every void.", time.Since(s.KnownAt).Seconds())
	}
	metric("mintkeep_guard_entries", "gauge", "Credentials that are remembered.", s.Entries)
	metric("mintkeep_guard_hits_total", "counter", "Checks that were answered from memory.", s.Hits)
	metric("mintkeep_guard_asks_total", "counter", "Questions to Mintkeep.", s.Asks)
	metric("mintkeep_guard_voids_total", "counter", "Handles that were voided: the answers that depend on them are forgotten.", s.Voids)
	metric("mintkeep_guard_resets_total", "counter", "Times that all answers were forgotten.", s.Resets)
	metric("mintkeep_guard_served_total", "counter", "Checks that let a request through.", s.Served)
	const name = "mintkeep_guard_refused_total"
	_, _ = fmt.Fprintf(w, "# HELP %s Checks that rejected a request, by reason.\n# TYPE %s counter\n", name, name)
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
