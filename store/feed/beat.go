package feed

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// beatEvery is the time between two beats. If a former primary is still read, the next beat shows it.
	beatEvery = time.Second
	// beatsTime is how long the beats stay after the last one. A replica that starts and finds none appends a mark: in the
	// meantime a replica that does not append may have revoked credentials.
	beatsTime = 5 * time.Second
	// mixedTime is for how long the watermark of a replica that does not append must not move before looks count again.
	mixedTime = 3 * time.Second
	// unsureTime is for how long a replica that starts waits for a watermark to move: two beats, because that of a running replica
	// may not move between one and the next.
	unsureTime = 3 * beatEvery / 2
	// blindTime: if this replica has not seen the others for so long, one that does not append may have come and gone.
	blindTime = 5 * time.Second
	// activeHeartbeats: a replica runs if its watermark is behind the counter by at most so many heartbeats of all replicas.
	activeHeartbeats = 16
)

var errMixed = unavailable("a replica of an older version, or with MINTKEEP_FEED=off, uses this Redis: it does not append what it revokes")

var errBlind = unavailable("the other replicas were not seen lately")

// beats tell the other replicas that this replica runs and appends what it revokes. While its feed is not known to be continuous,
// its beats are negative.
type beats struct {
	beating      chan struct{} // has something while a beat is under way
	acknowledged atomic.Int64  // the last beat that the pool has written
	continuous   atomic.Uint64 // 1 more than Feed.breaks was when a look of this replica counted last; 0: none has

	mu          sync.Mutex
	alone       bool  // there are no others
	trouble     error // why no look counts
	began       bool
	checked     time.Time // when the others were seen last
	seen        map[string]int64
	appends     map[string]bool // replicas that have beaten, and still have a beat or a watermark
	mixedUntil  time.Time       // zero: no other version runs
	unsureUntil time.Time       // until then it is not known whether one runs
}

// check is why a look that is sent now does not count; nil: the other replicas append too. A process that was stopped may go on
// with a look: its clock tells that it has missed beats.
func (b *beats) check(now time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.alone:
		return nil
	case !b.began:
		return errNoLook
	case b.trouble == nil && now.Sub(b.checked) > 2*beatEvery:
		return errBlind
	}
	return b.trouble
}

// beat beats until ctx is done.
func (f *Feed) beat(ctx context.Context) {
	if f.Watermarks == nil {
		return
	}
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		f.Beat(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// Beat looks at the other replicas, and writes the next beat of this one. The first comes before the first watermark, so that
// the others do not take this replica for one that does not append.
func (f *Feed) Beat(ctx context.Context) {
	if f.Watermarks == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	select {
	case f.beats.beating <- struct{}{}:
	case <-ctx.Done():
		return
	}
	defer func() { <-f.beats.beating }()
	last := f.beats.acknowledged.Load()
	value := last + 1
	if f.beats.continuous.Load() != f.breaks.Load()+1 {
		value = -value
	}
	// The watermarks are read before the beats: a replica that appends has beaten before it has a watermark.
	w, err := f.Watermarks(ctx)
	others := redis.NewMapStringStringCmd(ctx, "hgetall", f.BeatsKey) // before this beat, which prolongs those of dead replicas
	write := redis.NewIntCmd(ctx, "hset", f.BeatsKey, f.Replica, value)
	expire := redis.NewBoolCmd(ctx, "pexpire", f.BeatsKey, beatsTime.Milliseconds())
	f.pool(ctx, others, write, expire)
	if written := errors.Join(others.Err(), write.Err(), expire.Err()); written != nil {
		err = errors.Join(err, written)
	} else {
		if beatOf(others.Val()[f.Replica]) < last { // Redis has lost the last beat, and perhaps what was appended before
			f.Break()
		}
		f.beats.acknowledged.Store(last + 1) // after the break, so that no look counts in between
	}
	f.beats.mu.Lock() // until after the break, so that no look counts in between
	defer f.beats.mu.Unlock()
	if f.beats.judge(f.Replica, time.Now(), others.Val(), w, err) {
		f.Break()
	}
}

// awaitBeat waits for a beat that is under way.
func (b *beats) awaitBeat(ctx context.Context) {
	select {
	case b.beating <- struct{}{}:
		<-b.beating
	case <-ctx.Done():
	}
}

// beatOf is the number of a beat.
func beatOf(text string) int64 {
	n, _ := strconv.ParseInt(text, 10, 64) // none is 0
	return max(n, -n)
}

// Leave removes the beat of this replica. It comes after its watermark was removed.
func (f *Feed) Leave(ctx context.Context) {
	if f.Watermarks == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	f.pool(ctx, redis.NewIntCmd(ctx, "hdel", f.BeatsKey, f.Replica))
}

// judge decides whether looks count, by the beats and the watermarks of all replicas, or by the error of reading them.
// broken: a mark is needed, because a replica that does not append may have revoked credentials. The caller holds the lock.
func (b *beats) judge(self string, now time.Time, others map[string]string, w Watermarks, err error) (broken bool) {
	if err != nil {
		b.trouble = unavailable("the other replicas are not known: " + err.Error())
		return false
	}
	first := !b.began
	if first {
		b.began, broken = true, !isContinuous(self, others, w)
	} else {
		broken = now.Sub(b.checked) > blindTime
	}
	b.checked = now
	moves, perhaps := b.moves(self, first, others, w)
	if perhaps && broken { // no other replica has watched them
		b.unsureUntil = now.Add(unsureTime)
	}
	if moves {
		b.mixedUntil = now.Add(mixedTime)
		broken = true // at once, so that the beats say so to a replica that starts
	}
	if b.trouble = nil; now.Before(b.unsureUntil) {
		b.trouble = errNoLook
	}
	if !b.mixedUntil.IsZero() {
		if now.Before(b.mixedUntil) {
			b.trouble = errMixed
		} else {
			b.mixedUntil, broken = time.Time{}, true
		}
	}
	return broken
}

// isContinuous is whether another replica runs whose feed is continuous. The beats of dead replicas stay as long as any
// replica beats; a dead replica is known by its watermark.
func isContinuous(self string, others map[string]string, w Watermarks) bool {
	for id, beat := range others {
		at, runs := w.Of[id]
		n, _ := strconv.ParseInt(beat, 10, 64)
		if id != self && n > 0 && runs && w.Counter-at <= activeHeartbeats {
			return true
		}
	}
	return false
}

// moves is whether a replica runs that does not append, and perhaps whether one may: at first, one that heartbeats once a
// second is far behind one that revokes all the time. One that has ever beaten appends: its beats may have expired while
// Redis was away.
func (b *beats) moves(self string, first bool, others map[string]string, w Watermarks) (moves, perhaps bool) {
	appends := map[string]bool{}
	for id := range others {
		appends[id] = true
	}
	for id, at := range w.Of {
		if appends[id] || b.appends[id] || id == self {
			appends[id] = true
			continue
		}
		before, known := b.seen[id]
		if first {
			moves, perhaps = moves || w.Counter-at <= activeHeartbeats, true
		} else {
			moves = moves || !known || at != before
		}
	}
	b.seen, b.appends = w.Of, appends
	return moves, perhaps
}
