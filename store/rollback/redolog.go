package rollback

import (
	"slices"
	"sync"
	"time"
)

const (
	// EntryLife is how long an entry is remembered at least, unless there are too many. MaxEntries is how many are
	// remembered at most.
	EntryLife  = 15 * time.Minute
	MaxEntries = 1 << 14
	// A segment is full after segmentTime, or with segmentSize entries. The next one begins once nothing is pending. Segments are
	// forgotten as a whole.
	segmentTime = time.Minute
	segmentSize = MaxEntries / 16
)

// redoLog has the deletions of this replica, so that they can be replayed when Redis has lost them.
//
//	  note              the heartbeat has sent it again,
//	   │                and advanced the watermark behind it
//	   ▼                            │
//	pending ────────────────────────┴──▶ covered ──▶ forgotten
//	   ▲                                   │         after 15 minutes, with its segment
//	   └──────── a rollback was noticed ───┘
//
// From the moment an entry is covered, Redis can lose it only together with the watermark.
type redoLog struct {
	mu       sync.Mutex
	segments []segment // oldest first; none before the first heartbeat
	pending  []Entry   // of all segments, oldest first
	size     int       // entries of all segments

	replaysAll bool // replayAll was called, and entries are still pending: they may be of any segment
	full       bool // an entry had no room since nothing was pending
	inDoubt    []*inDoubt

	unannounced []any        // payloads that the next heartbeat announces, in addition to those of what is pending
	listed      map[any]bool // what unannounced has
}

// segment has the entries that were noted since the counters were at floor. All entries of earlier segments are covered
// by lower watermarks, but for those that are pending again.
type segment struct {
	since   time.Time
	floor   []int64
	entries []Entry
}

// begin starts with one segment of all that is remembered, and makes it pending: a store that was fenced may have lost
// all of it. Payloads that were not announced yet stay so.
func (l *redoLog) begin(now time.Time, floor []int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.setAllPending()
	l.segments = []segment{{since: now, floor: floor, entries: slices.Clone(l.pending)}}
	l.size = len(l.pending)
}

// note remembers deletions that were applied, or perhaps were. It says whether there is something to cover now, and
// whether there was room for all. What it does not remember and was not announced is announced all the same.
func (l *redoLog) note(entries ...Entry) (noted, room bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	room = true
	for _, e := range entries {
		switch {
		case len(l.segments) == 0: // what was deleted before the first heartbeat is not remembered
			l.addUnannouncedOf(e)
			continue
		case e.deletesNothing():
			continue
		case !l.makeRoom():
			room = false
			l.addUnannouncedOf(e)
			continue
		}
		last := &l.segments[len(l.segments)-1]
		last.entries = append(last.entries, e)
		l.pending = append(l.pending, e)
		l.size++
		noted = true
	}
	return noted, room
}

func (l *redoLog) addUnannouncedOf(e Entry) {
	if !e.Announced {
		l.addUnannounced(e.Payload)
	}
}

// addUnannounced has the next heartbeat announce a payload. More than MaxEntries are not remembered.
func (l *redoLog) addUnannounced(payload any) {
	if payload == nil || l.listed[payload] || len(l.unannounced) >= MaxEntries {
		return
	}
	if l.listed == nil {
		l.listed = map[any]bool{}
	}
	l.listed[payload] = true
	l.unannounced = append(l.unannounced, payload)
}

func (l *redoLog) announceLater(payloads ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range payloads {
		l.addUnannounced(p)
	}
}

// nextUnannounced are the payloads to announce, at most so many.
func (l *redoLog) nextUnannounced(most int) []any {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.unannounced[:min(most, len(l.unannounced))])
}

// announced drops the first payloads, which were announced, and says how many are left.
func (l *redoLog) announced(n int) (left int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.unannounced[:n] {
		delete(l.listed, p)
	}
	l.unannounced = slices.Delete(l.unannounced, 0, n)
	return len(l.unannounced)
}

func (l *redoLog) countUnannounced() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.unannounced)
}

// makeRoom forgets old segments, if their entries are covered.
func (l *redoLog) makeRoom() bool {
	for l.size >= MaxEntries && len(l.segments) > 1 && !l.replaysAll {
		l.forgetSegment()
	}
	if l.size >= MaxEntries {
		l.full = true
		return false
	}
	return true
}

func (l *redoLog) forgetSegment() {
	l.size -= len(l.segments[0].entries)
	l.segments = l.segments[1:]
}

// isFull is whether a deletion had no room since the log last had nothing pending.
func (l *redoLog) isFull() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.full
}

// forget drops the deletions of fields of this key with a condition on this field, but for those whose condition has
// the value current. An entry that is pending stays so until the next heartbeat, which counts on its place in the list,
// and finds the newer value.
func (l *redoLog) forget(key, field, current string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	outdated := func(e Entry) bool {
		return e.key == key && (len(e.fields) > 0 || e.restrict != nil) && e.field == field && e.value != current
	}
	l.size = 0
	for i, s := range l.segments {
		l.segments[i].entries = slices.DeleteFunc(s.entries, outdated)
		l.size += len(l.segments[i].entries)
	}
}

// next is what to send again: at most so many of the pending entries, without the first few.
func (l *redoLog) next(from, most int) []Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	from = min(from, len(l.pending))
	return slices.Clone(l.pending[from:min(from+most, len(l.pending))])
}

// settle drops the entries that are covered, covered[i] for the one at from+i, and says how many are still pending.
func (l *redoLog) settle(from int, covered []bool) (pending int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	from = min(from, len(l.pending))
	end := min(from+len(covered), len(l.pending))
	kept := slices.Clone(l.pending[:from])
	for i, e := range l.pending[from:end] {
		if !covered[i] {
			kept = append(kept, e)
		}
	}
	l.pending = append(kept, l.pending[end:]...)
	if len(l.pending) == 0 {
		l.replaysAll, l.full = false, false
	}
	return len(l.pending)
}

func (l *redoLog) countPending() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.pending)
}

// replayAll makes everything pending that is remembered, and says how much that is.
func (l *redoLog) replayAll() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.setAllPending()
	return len(l.pending)
}

// setAllPending makes everything pending that is remembered. The caller holds the lock.
func (l *redoLog) setAllPending() {
	l.pending, l.replaysAll = nil, true
	for _, s := range l.segments {
		for _, e := range s.entries {
			e.Announced = false // the announcement may be lost too
			l.pending = append(l.pending, e)
		}
	}
}

// pendingAcknowledged is whether an acknowledged deletion is pending for whose key in is true.
func (l *redoLog) pendingAcknowledged(in func(key string) bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.pending, func(e Entry) bool { return !e.unacknowledged && in(e.key) })
}

// reaches is whether every deletion is remembered that a Redis with this counter, in one of its parts, may have lost.
func (l *redoLog) reaches(part int, n int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.segments) > 0 && n >= l.segments[0].floor[part]
}

// startSegment begins a new segment if the last one is full, and forgets old ones. It is called after a heartbeat that left
// nothing pending, with its counters.
func (l *redoLog) startSegment(now time.Time, floor []int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := &l.segments[len(l.segments)-1]
	if len(l.pending) > 0 || now.Sub(last.since) < segmentTime && len(last.entries) < segmentSize {
		return
	}
	l.segments = append(l.segments, segment{since: now, floor: floor})
	for len(l.segments) > 1 && (now.Sub(l.segments[1].since) >= EntryLife || l.size > MaxEntries-segmentSize) {
		l.forgetSegment()
	}
}
