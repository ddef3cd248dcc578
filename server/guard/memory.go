package guard

import (
	"crypto/sha256"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// handleSize is that of a handle, which names something on which verdicts depend.
	handleSize = 16
	// voidLife is how long a void is remembered that concerns no verdict: longer than a question takes.
	voidLife = 30 * time.Second
	// maxVoids bounds them. More count as a reset.
	maxVoids = 1 << 16
	// maxInactive and inactiveLife bound the inactive verdicts. They are kept apart, so that junk pushes nothing out.
	maxInactive  = 4_096
	inactiveLife = 30 * time.Second
)

// never is the expiry of what does not expire.
var never = instant{math.MaxInt64, math.MaxInt64}

type (
	handle [handleSize]byte
	digest [sha256.Size]byte
)

// handle is that of the credential with this digest.
func (d digest) handle() handle { return handle(d[:handleSize]) }

// verdict is an active answer of introspection. Only used and uses change. There are many, and so they are small, and share
// what they have in common.
type verdict struct {
	digest     digest
	credential Credential
	sent       time.Duration // when the question was, by the monotonic clock
	expires    instant
	stamp      uint64        // what had been voided when the question was sent
	ties       []*tie        // the others than the credential itself
	state      state         // of the credential, for [Guard.confirm]
	slot       int32         // in the clock of its shard
	uses       atomic.Uint32 // of an API key, that were not reported yet
	used       atomic.Bool   // since the hand of that clock passed
	bound      bool          // to a key; this version cannot check a proof of possession
}

// state is that of a credential, which Mintkeep compares. Zero: there is none.
type state [8]byte

// tie is something on which verdicts depend: a client or a user. All its verdicts share it.
type tie struct {
	handle handle
	name   string // of the client or the user
	voided atomic.Uint64
	refs   int
}

// memory has the verdicts, and what was voided.
type memory struct {
	shards []shard
	resets atomic.Uint64 // the stamp of the last reset

	mu       sync.Mutex
	stamp    uint64 // counts voids and resets
	ties     map[handle]*tie
	lists    lists
	recent   map[handle]voided // what was voided lately
	inactive map[digest]instant
}

type voided struct {
	stamp uint64
	at    time.Duration
}

func newMemory(entries int) *memory {
	n := 64
	if entries < 64*16 {
		n = 1
	}
	m := &memory{shards: make([]shard, n), ties: map[handle]*tie{}, lists: lists{}, recent: map[handle]voided{}, inactive: map[digest]instant{}}
	for i := range m.shards {
		m.shards[i].init((entries + n - 1) / n)
	}
	return m
}

func (m *memory) shard(h handle) *shard { return &m.shards[int(h[0])%len(m.shards)] }

// find is the usable verdict about a credential; nil: there is none.
func (m *memory) find(d digest, now instant) *verdict {
	v := m.shard(d.handle()).find(d)
	if v == nil || !m.usable(v) || v.expired(now) {
		return nil
	}
	return v
}

// has is whether there is a verdict about a credential, usable or not.
func (m *memory) has(d digest) bool { return m.shard(d.handle()).find(d) != nil }

// expired is whether the credential has expired by one of the clocks. The wall clock may be set, and so it counts a minute
// later. But it goes on while the machine is suspended.
func (v *verdict) expired(now instant) bool {
	return now.mono >= v.expires.mono || now.wall >= v.expires.wall
}

// usable is whether nothing that the verdict depends on was voided since its question was sent.
func (m *memory) usable(v *verdict) bool {
	if v.stamp < m.resets.Load() {
		return false
	}
	for _, t := range v.ties {
		if t.voided.Load() > v.stamp {
			return false
		}
	}
	return true
}

// now is the stamp of a question that is sent now.
func (m *memory) now() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stamp
}

// keep remembers a verdict, unless something that it depends on was voided since its question was sent.
func (m *memory) keep(v *verdict) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.holds(v) {
		return
	}
	m.link(v)
	for _, gone := range m.shard(v.digest.handle()).put(v) {
		m.release(gone)
	}
}

// link has a verdict share its ties and lists with the others. The caller holds the lock.
func (m *memory) link(v *verdict) {
	ties := make([]*tie, len(v.ties))
	for i, own := range v.ties {
		t := m.ties[own.handle]
		if t == nil {
			t = &tie{handle: own.handle, name: v.credential.owner()}
			m.ties[own.handle] = t
		}
		t.refs++
		t.share(&v.credential)
		ties[i] = t
	}
	v.ties = ties
	v.credential.Scopes, v.credential.Audiences = m.lists.share(v.credential.Scopes), m.lists.share(v.credential.Audiences)
}

// holds is whether nothing that a verdict depends on was voided since its question was sent, whether it is remembered or not. The
// caller holds the lock.
func (m *memory) holds(v *verdict) bool {
	if v.stamp < m.resets.Load() || m.recent[v.digest.handle()].stamp > v.stamp {
		return false
	}
	for _, own := range v.ties {
		if t := m.ties[own.handle]; t != nil && t.voided.Load() > v.stamp || m.recent[own.handle].stamp > v.stamp {
			return false
		}
	}
	return true
}

// stillHolds is [memory.holds] for a caller without the lock.
func (m *memory) stillHolds(v *verdict) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.holds(v)
}

// release forgets the ties of a verdict that is gone. What was voided stays known for the questions that are under way.
// The caller holds the lock.
func (m *memory) release(v *verdict) {
	m.lists.release(v.credential.Scopes)
	m.lists.release(v.credential.Audiences)
	for _, t := range v.ties {
		if t.refs--; t.refs == 0 {
			delete(m.ties, t.handle)
			if at := t.voided.Load(); at > m.recent[t.handle].stamp {
				m.recent[t.handle] = voided{at, v.sent + voidLife}
			}
		}
	}
}

// void makes every verdict with one of these ties unusable.
func (m *memory) void(handles []handle, now instant) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, h := range handles {
		m.stamp++
		m.recent[h] = voided{m.stamp, now.mono}
		if t := m.ties[h]; t != nil {
			t.voided.Store(m.stamp)
		}
		if gone := m.shard(h).drop(h); gone != nil {
			m.release(gone)
		}
	}
	if len(handles) > 0 {
		clear(m.inactive) // a credential of a user that was enabled is active again
	}
	if len(m.recent) > maxVoids {
		m.prune(now)
	}
	if len(m.recent) > maxVoids {
		m.resetLocked()
	}
}

// prune forgets voids that no question under way can have missed.
func (m *memory) prune(now instant) {
	for h, v := range m.recent {
		if now.mono-v.at > voidLife {
			delete(m.recent, h)
		}
	}
}

// reset makes every verdict unusable, and returns those that were used lately, at most so many.
func (m *memory) reset(most int) (used []*verdict) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.shards {
		used = m.shards[i].appendUsed(used, most)
	}
	m.resetLocked()
	return used
}

// forget drops a verdict, if it is still the one about its credential.
func (m *memory) forget(v *verdict) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.shard(v.digest.handle()).dropOnly(v) {
		m.release(v)
	}
}

// forgetAbout drops the verdict about a credential, if there is one.
func (m *memory) forgetAbout(d digest) {
	if v := m.shard(d.handle()).find(d); v != nil {
		m.forget(v)
	}
}

// olderThan are verdicts whose question was sent before that, at most so many.
func (m *memory) olderThan(mono time.Duration, most int) (old []*verdict) {
	for i := range m.shards {
		old = m.shards[i].appendOlder(old, mono, most)
	}
	return old
}

func (m *memory) resetLocked() {
	m.stamp++
	m.resets.Store(m.stamp)
	for i := range m.shards {
		m.shards[i].clear()
	}
	clear(m.ties)
	clear(m.lists)
	clear(m.recent)
	clear(m.inactive)
}

// keepInactive remembers for a while that a credential is not active. It is never active later, but for a key that was
// disabled: a void says so.
func (m *memory) keepInactive(d digest, stamp uint64, now instant) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if stamp != m.stamp {
		return
	}
	if len(m.inactive) >= maxInactive {
		for other := range m.inactive {
			delete(m.inactive, other)
			break
		}
	}
	m.inactive[d] = now
}

func (m *memory) isInactive(d digest, now instant) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	at, known := m.inactive[d]
	return known && now.mono-at.mono < inactiveLife
}

// len is how many verdicts there are.
func (m *memory) len() (n int) {
	for i := range m.shards {
		n += m.shards[i].len()
	}
	return n
}
