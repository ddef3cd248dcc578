package feed

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// beatEvery is the time between two beats. An older primary that is still read is noticed by the next one.
	beatEvery = time.Second
	// beatsTime is how long the beats of the last replica that appends outlive it. Whoever finds none appends a mark: in
	// the meantime credentials may have been revoked by something that does not append.
	beatsTime = 3 * time.Second
	// mixedTime is how long the watermark of a replica that does not append must not have moved.
	mixedTime = 3 * time.Second
	// blindTime is after how long without a look at the other replicas one may have come and gone.
	blindTime = 5 * time.Second
	// activeHeartbeats is by how many heartbeats of all replicas the watermark of one that runs may be behind.
	activeHeartbeats = 16
)

var errMixed = unavailable("a replica of an older version, or with MINTKEEP_FEED=off, uses this Redis: it does not append what it revokes")

// beats say of each replica that appends what it revokes that it runs. While its feed is not known to be continuous, its
// beats are negative.
type beats struct {
	beating      sync.Mutex
	acknowledged atomic.Int64 // the last beat that the pool has written
	continuous   atomic.Bool  // a look of this replica has counted

	mu         sync.Mutex
	trouble    error // why no look counts
	began      bool
	checked    time.Time // when the others were seen last
	seen       map[string]int64
	mixedUntil time.Time // zero: no other version runs
}

// check is why no look counts; nil: the other replicas append too.
func (b *beats) check() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.began {
		return errNoLook
	}
	return b.trouble
}

// beat beats until ctx is done.
func (f *Feed) beat(ctx context.Context) {
	if f.Watermarks == nil {
		f.beats.mu.Lock()
		f.beats.began = true
		f.beats.mu.Unlock()
		f.Break()
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
	f.beats.beating.Lock()
	defer f.beats.beating.Unlock()
	n := f.beats.acknowledged.Load() + 1
	value := n
	if !f.beats.continuous.Load() {
		value = -n
	}
	var others *redis.MapStringStringCmd
	_, err := f.DB.Client.Pipelined(ctx, func(p redis.Pipeliner) error {
		others = p.HGetAll(ctx, f.BeatsKey) // before this beat, which lets those of dead replicas live on
		p.HSet(ctx, f.BeatsKey, f.Replica, value)
		p.PExpire(ctx, f.BeatsKey, beatsTime)
		return nil
	})
	var w Watermarks
	if err == nil {
		f.beats.acknowledged.Store(n)
		w, err = f.Watermarks(ctx)
	}
	if f.beats.judge(f.Replica, time.Now(), others.Val(), w, err) {
		f.Break()
	}
}

// Leave takes the beat of this replica out. It comes after the watermark was taken out.
func (f *Feed) Leave(ctx context.Context) {
	if f.Watermarks == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	_ = f.DB.Client.HDel(ctx, f.BeatsKey, f.Replica).Err()
}

// judge decides whether looks count, by the beats and the watermarks of all replicas, or by the error of reading them. It is
// true if a mark is needed: something that does not append may have revoked credentials.
func (b *beats) judge(self string, now time.Time, others map[string]string, w Watermarks, err error) (broken bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		b.trouble = unavailable("the other replicas are not known: " + err.Error())
		return false
	}
	first := !b.began
	if first {
		b.began, broken = true, true
		for id, beat := range others {
			if n, _ := strconv.ParseInt(beat, 10, 64); id != self && n > 0 {
				broken = false
			}
		}
	} else if now.Sub(b.checked) > blindTime {
		broken = true
	}
	b.checked = now
	if b.moves(self, first, others, w) {
		b.mixedUntil = now.Add(mixedTime)
	}
	b.trouble = nil
	if !b.mixedUntil.IsZero() {
		if now.Before(b.mixedUntil) {
			b.trouble = errMixed
		} else {
			b.mixedUntil, broken = time.Time{}, true
		}
	}
	return broken
}

// moves is whether a replica runs that does not append. A watermark that is seen for the first time shows that at the next
// beat, when its replica has beaten too if it appends.
func (b *beats) moves(self string, first bool, others map[string]string, w Watermarks) (moves bool) {
	for id, at := range w.Of {
		if _, appends := others[id]; appends || id == self {
			continue
		}
		if before, known := b.seen[id]; first && w.Counter-at <= activeHeartbeats || known && at != before {
			moves = true
		}
	}
	b.seen = w.Of
	return moves
}
