package guard

import (
	"sync/atomic"
	"time"
)

// counts are those of [Stats].
type counts struct {
	hits, asks, voids, resets, served, refused atomic.Uint64
}

// Stats are of this moment, the counts since [New].
type Stats struct {
	State   State
	KnownAt time.Time // up to then it has every void; zero: no poll was answered yet
	Entries int
	Hits    uint64 // answers from memory
	Asks    uint64 // questions to Mintkeep
	Voids   uint64
	Resets  uint64
	Served  uint64
	Refused uint64
}

// Stats returns the state of the guard, and its counts.
func (g *Guard) Stats() Stats {
	now := g.clock()
	state, _ := g.state(now)
	var knownAt time.Time
	if known := g.known.Load(); known != nil {
		age, _ := known.age(now)
		knownAt = time.Now().Add(-age)
	}
	return Stats{
		State: state, KnownAt: knownAt, Entries: g.memory.len(), Hits: g.counts.hits.Load(), Asks: g.counts.asks.Load(), Voids: g.counts.voids.Load(),
		Resets: g.counts.resets.Load(), Served: g.counts.served.Load(), Refused: g.counts.refused.Load(),
	}
}

// EventKind is what an [Event] is about.
type EventKind string

// The kinds of events.
const (
	Asked        EventKind = "asked"   // Mintkeep was asked about a credential
	Voided       EventKind = "voided"  // answers are forgotten, since something they depend on has changed
	WasReset     EventKind = "reset"   // all answers are forgotten
	Refused      EventKind = "refused" // a check rejected a credential
	StateChanged EventKind = "state"
)

// Event is told to Config.Observe.
type Event struct {
	Kind   EventKind
	Reason string // of a refusal
	Count  int    // of voids
	State  State  // the new one
}

func (g *Guard) observe(e Event) {
	if g.config.Observe != nil {
		g.config.Observe(e)
	}
}
