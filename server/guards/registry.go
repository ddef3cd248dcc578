package guards

import (
	"cmp"
	"crypto/rand"
	"log/slog"
	"sync"
	"time"

	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/feed"
)

const (
	// MaxGuards is how many instances are known at once. Others are not listed, and known to be missing.
	MaxGuards = 10_000
	// Remembered is for how long a guard is known after its last poll, or for its lease, if that is longer.
	Remembered = time.Minute
	// AssumedLease is that of a guard that does not tell it.
	AssumedLease = 10 * time.Second
	// Doctor is the instance as which mintkeep doctor polls. It keeps no answer, and is not listed.
	Doctor = "mintkeep doctor"

	// joinEvery is how often it is looked up whether a client has polled within a day; maxJoining bounds how many at once.
	joinEvery  = 24 * time.Hour
	maxJoining = 256
)

// Options for [New]. All but Logger and WriteEvery are required.
type Options struct {
	Store  *store.Store
	Audit  *audit.Log
	Now    func() time.Time
	Logger *slog.Logger // nil: slog.Default

	// WriteEvery is how often this replica writes what it has heard. Zero: 10 s. Tests have less.
	WriteEvery time.Duration
}

// Poll is what a guard says in one poll, and what is known of the answer.
type Poll struct {
	Instance string // the name that it gives itself; may be empty
	ClientID string
	Version  string // of the guard; may be empty
	Lease    time.Duration
	Entries  int
	// Served and Refused count since the instance started.
	Served, Refused int64
	After           string    // its cursor
	At              time.Time // when the poll arrived, or for Heard when it was answered
	Address         string    // from where it came, for the audit log; may be empty

	// Lag is the age of what the guard knows once it has the answer: from the moment that the answer's fresh names until At.
	// Negative if the answer has no fresh, or if there is more. Asked ignores it.
	Lag time.Duration
}

// Registry has the guards that this replica has heard of within the last minute, or within their lease. It is safe for concurrent use.
type Registry struct {
	Options
	replica string              // a random name of this process
	probed  chan feed.ProbeRead // probes that were read from the feed

	mu      sync.Mutex
	heard   map[name]*guard
	full    time.Time            // when a guard was left out last, because there were too many
	joined  map[string]time.Time // client → when it was looked up last whether it has polled within a day
	joining []Poll               // of clients for which that is to be looked up
	isNew   bool                 // there is a guard that was not written yet
	begun   []time.Time          // when this replica has begun probes
}

// New makes a registry. It writes nothing before Run.
func New(o Options) *Registry {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	o.WriteEvery = cmp.Or(o.WriteEvery, writeEvery)
	r := &Registry{
		Options: o, replica: rand.Text(), probed: make(chan feed.ProbeRead, maxProbes),
		heard: map[name]*guard{}, joined: map[string]time.Time{},
	}
	if f := o.Store.Feed(); f != nil {
		f.OnProbe(r.probeRead)
	}
	return r
}

// name is that of an instance.
type name struct{ client, instance string }

// guard is an instance as this replica has heard it.
type guard struct {
	Poll
	began time.Time // when it polled with this cursor first
	known time.Time // up to then it knows everything; zero: it got no fresh yet
	rate  rate
}

// Asked notes that a poll has arrived. It does no I/O.
func (r *Registry) Asked(p Poll) {
	p.Lag = -1
	r.note(p)
}

// Heard notes that a poll was answered. It does no I/O.
func (r *Registry) Heard(p Poll) { r.note(p) }

func (r *Registry) note(p Poll) {
	if p.Instance == Doctor {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.join(p)
	p.Address = ""
	id := name{p.ClientID, p.Instance}
	g := r.heard[id]
	if g == nil {
		if len(r.heard) >= MaxGuards && !r.makeRoom(p.At) {
			r.full = p.At
			return
		}
		g = &guard{}
		r.heard[id], r.isNew = g, true
	}
	if p.After != g.After || g.began.IsZero() {
		g.began = p.At
	}
	g.Poll = p
	g.rate.add(p.At, p.Served, p.Refused)
	if p.Lag >= 0 {
		if known := p.At.Add(-p.Lag); known.After(g.known) {
			g.known = known
		}
	}
}

// isFull is whether guards were left out within the last minute. The caller holds the lock.
func (r *Registry) isFull(now time.Time) bool {
	return !r.full.IsZero() && now.Sub(r.full) < Remembered
}

// makeRoom is whether there is room for one more guard. It forgets old ones at most once a second, so that instances that never
// poll again cost little. The caller holds the lock.
func (r *Registry) makeRoom(now time.Time) bool {
	if now.Sub(r.full) >= time.Second {
		r.forget(now)
	}
	return len(r.heard) < MaxGuards
}

// forget drops the guards that are not remembered any longer. The caller holds the lock.
func (r *Registry) forget(now time.Time) {
	for id, g := range r.heard {
		if !isRemembered(now.Sub(g.At), g.Lease) {
			delete(r.heard, id)
		}
	}
}

// isRemembered is whether a guard is known so long after its last poll: it may still answer from memory then.
func isRemembered(silence, lease time.Duration) bool { return silence <= max(Remembered, lease) }

// join has Run look up whether this is the first poll of the client within a day. The caller holds the lock.
func (r *Registry) join(p Poll) {
	if last, known := r.joined[p.ClientID]; known && p.At.Sub(last) < joinEvery || len(r.joining) >= maxJoining {
		return
	}
	r.joined[p.ClientID] = p.At
	r.joining = append(r.joining, p)
}
