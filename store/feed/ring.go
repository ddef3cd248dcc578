package feed

import (
	"slices"
	"time"
)

const (
	// maxRing and maxRingHandles bound the memory of the entries that a replica keeps: 64 bytes an entry and 16 a handle.
	maxRing        = maxEntries + maxEntries/4
	maxRingHandles = 1 << 18
	// repeatReach is among how many entries a repeated handle is looked for.
	repeatReach = 1_024
	// maxAnswer is how many handles one answer has.
	maxAnswer = 4_096
	// restateAfter is after how many entries the replication id is appended again, so that a trim does not lose it.
	restateAfter = maxEntries / 2
)

// ring has the last entries of the stream, without a gap. The caller holds the lock of the Feed.
//
// A position is the number of an entry since this ring was begun. Positions of an earlier ring say nothing: epoch tells
// the rings apart.
type ring struct {
	epoch   uint64
	sharded bool // it is a cluster: deletions are on other servers, which may lose them alone
	entries []entry
	first   uint64 // position of entries[0]
	handles int

	lastReset   uint64 // position of the last entry that resets
	replication string // the replication id of the newest mark; empty: there is none; or disputed
	restated    uint64 // position of the last entry with a replication id

	last answerPart      // what the last answer had: most guards ask for the same
	has  map[Handle]bool // what since has found; kept for its memory: a guard may ask from far back at each poll
}

type answerPart struct {
	from, to uint64
	voids    *Voids
	more     bool
	read     time.Time // when its first void was read, repeated ones apart; zero: it has none
}

// disputed is no replication id: two entries have different ones.
const disputed = "disputed"

// restart empties the ring.
func (r *ring) restart() { *r = ring{epoch: r.epoch + 1, sharded: r.sharded, has: r.has} }

// end is the position behind the last entry.
func (r *ring) end() uint64 { return r.first + uint64(len(r.entries)) }

// newest is the last entry; nil: there is none.
func (r *ring) newest() *entry {
	if len(r.entries) == 0 {
		return nil
	}
	return &r.entries[len(r.entries)-1]
}

func (r *ring) add(e entry) {
	at := r.end()
	if e.field == repeatField && !r.sharded {
		e.voids = r.unrepeated(e.voids)
	}
	r.entries = append(r.entries, e)
	r.handles += len(e.voids)
	switch e.field {
	case markField:
		r.lastReset, r.replication, r.restated = at, e.value, at
	case breakField:
		r.lastReset = at
	case restateField:
		switch r.replication {
		case "": // the mark was trimmed
			r.replication = e.value
		case e.value:
		default: // a late replica has written it: each replica that reads it appends a mark, which settles the id
			r.replication = disputed
		}
		r.restated = at
	}
	if len(r.entries) > maxRing || r.handles > maxRingHandles {
		r.trim()
	}
}

// unrepeated are those of repeated handles that none of the last entries since the last reset has. A guard whose cursor is
// behind an entry was told of its handles. As long as the entry is there, Redis has not lost the deletion before it, so
// no guard was told meanwhile that the credential is active. In a cluster this does not hold: the deletion is on another
// shard, which may have lost it alone. What was appended before a reset belongs to another revocation, or another Redis.
func (r *ring) unrepeated(handles []Handle) (left []Handle) {
	missing := map[Handle]bool{}
	for _, h := range handles {
		missing[h] = true
	}
	for i, e := range slices.Backward(r.entries) {
		if len(missing) == 0 || i < len(r.entries)-repeatReach || r.first+uint64(i) <= r.lastReset {
			break
		}
		for _, h := range e.voids {
			delete(missing, h)
		}
	}
	for _, h := range handles {
		if missing[h] {
			left = append(left, h)
		}
	}
	return left
}

// trim drops the oldest eighth, so that it is not done for each entry.
func (r *ring) trim() {
	n := max(1, len(r.entries)/8)
	for _, e := range r.entries[:n] {
		r.handles -= len(e.voids)
	}
	r.entries = slices.Clone(r.entries[n:])
	r.first += uint64(n)
}

// find is the position behind the entry of a cursor; false: the cursor is not valid.
func (r *ring) find(c Cursor) (behind uint64, ok bool) {
	i, there := slices.BinarySearchFunc(r.entries, c.id, func(e entry, id entryID) int { return e.id.compare(id) })
	if !there || r.entries[i].tag != c.tag {
		return 0, false
	}
	behind = r.first + uint64(i) + 1
	return behind, r.continues(behind)
}

// continues is whether everything since this position is there, and nothing in it resets.
func (r *ring) continues(from uint64) bool {
	return from > r.lastReset && from > r.first && from <= r.end()
}

// isAhead is whether the cursor may be of an entry that was not read yet.
func (r *ring) isAhead(c Cursor) bool {
	newest := r.newest()
	return newest == nil || c.id.compare(newest.id) > 0
}

// cursorBefore is the cursor of the entry before this position.
func (r *ring) cursorBefore(at uint64) Cursor { return r.entries[at-1-r.first].Cursor }

// since is what follows a position for which continues holds: at most maxAnswer handles, and whether there are more.
func (r *ring) since(from uint64) answerPart {
	if r.last.voids != nil && r.last.from == from && (r.last.to == r.end() || r.last.more) {
		return r.last
	}
	p := answerPart{from: from, to: from, voids: &Voids{}}
	if r.has == nil {
		r.has = make(map[Handle]bool, maxAnswer)
	}
	has := r.has
	clear(has)
	for _, e := range r.entries[from-r.first:] {
		if len(has)+len(e.voids) > maxAnswer {
			p.more = true
			break
		}
		if p.read.IsZero() && len(e.voids) > 0 && e.wakes() {
			p.read = e.read
		}
		for _, h := range e.voids {
			if !has[h] {
				has[h] = true
				p.voids.handles = append(p.voids.handles, h)
			}
		}
		p.to++
	}
	r.last = p
	return p
}
