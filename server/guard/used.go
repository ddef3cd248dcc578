package guard

import (
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxUsed    = 4_096 // API keys whose uses wait to be reported
	usedAtOnce = 256
)

// used are the uses of API keys that Mintkeep was not told of yet: its last use and its statistics stay right.
type used struct {
	mu   sync.Mutex
	keys []*verdict
}

// note counts a use.
func (u *used) note(v *verdict) {
	if v.credential.Type != "api_key" || v.uses.Add(1) != 1 {
		return
	}
	u.mu.Lock()
	if len(u.keys) < maxUsed {
		u.keys = append(u.keys, v)
	}
	u.mu.Unlock()
}

// usedKey is [id, uses, seconds ago].
type usedKey struct {
	id   string
	uses uint32
}

// MarshalJSON is the array.
func (k usedKey) MarshalJSON() ([]byte, error) { return json.Marshal([]any{k.id, k.uses, 0}) }

// take are some of the uses, which are reported now.
func (u *used) take(instant) []usedKey {
	u.mu.Lock()
	n := min(len(u.keys), usedAtOnce)
	some := u.keys[:n]
	u.keys = append([]*verdict(nil), u.keys[n:]...)
	u.mu.Unlock()
	keys := make([]usedKey, 0, n)
	for _, v := range some {
		if uses := v.uses.Swap(0); v.credential.ID != "" && uses > 0 {
			keys = append(keys, usedKey{v.credential.ID, uses})
		}
	}
	return keys
}

// counts are those of [Stats].
type counts struct {
	hits, asks, voids, resets, served, refused atomic.Uint64
}

// Stats are of this moment, the counts since [New].
type Stats struct {
	State   State
	KnownAt time.Time // up to then it has every void; zero: it has not heard of any
	Entries int
	Hits    uint64 // answers from memory
	Asks    uint64 // questions to Mintkeep
	Voids   uint64
	Resets  uint64
	Served  uint64
	Refused uint64
}

// Stats tells how the guard is.
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
